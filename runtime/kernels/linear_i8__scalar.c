/* linear_i8__scalar.c: out = act(q W^T) over int8 codes in plain C. The sums are integers, so they do not
 * depend on ISA, tile or threads.
 *
 *   out   [r1][N]        only rows r0..r1-1 and columns p0*NR..min(p1*NR, N)-1 are written
 *   q, s  [r1][K], [r1]  codes of the rows, and their scales
 *   w     [P][K/4 rounded up][NR][4]
 *                        "packed": codes of outputs p*NR..p*NR+NR-1, with four neighbouring inputs of an
 *                        output together; zeros beyond N and K; P = ceil(N/NR)
 *   ws    [P*NR]         scales of the outputs' codes
 *   bias  [P*NR]         zeros beyond N
 *   sums  [P*NR]         sum over k of an output's codes, for kernels that multiply q + 128 and must subtract
 *                        the excess
 *   scratch              `staged` * (K rounded up to 64) bytes, by kernels.def
 *
 * Every linear_i8 kernel has this signature; NR is the column `panel` of kernels.def, 4 the column `group`.
 * linear_i8_codes instead writes the result of quantize_static on these outputs, without storing the floats:
 *
 *   out, scales  [r1][N], [r1]  codes, and ones (written by the call with the first panel)
 *   m, z         [N]            as in quantize__scalar.c
 *
 * An output is act(sum * (s * ws) + bias) where s * ws is rounded to f32 and the rest is one fused
 * multiply-add. */
#include "tile__scalar.h"

RT_INLINE void linear_i8_scalar(TileOut out, const int8_t *q, const float *s, const void *w, const float *ws,
	const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act,
	void *scratch)
{
	enum { NR = 8, GROUP = 4 };
	const int quads = (K + GROUP - 1) / GROUP;
	(void)sums, (void)scratch;
	for (int p = p0; p < p1; p++) {
		const int8_t *panel = (const int8_t *)w + (size_t)p * (size_t)quads * NR * GROUP;
		const int width = rt_min(NR, N - p * NR);
		for (int r = r0; r < r1; r++) {
			const int8_t *row = q + (size_t)r * (size_t)K;
			int32_t acc[NR] = {0};
			for (int k = 0; k < K; k++)
				for (int j = 0; j < NR; j++)
					acc[j] += row[k] * panel[(k / GROUP * NR + j) * GROUP + k % GROUP];
			tile_scale(tile_out(out, r, p * NR, N), acc, s[r], ws + p * NR, bias + p * NR, width, act);
		}
	}
}

RT_INLINE void linear_i8__scalar(float *out, const int8_t *q, const float *s, const void *w, const float *ws,
	const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act,
	void *scratch)
{
	linear_i8_scalar(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE void linear_i8_codes__scalar(int8_t *out, float *scales, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const float *m, const float *z, const int32_t *sums,
	int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_scalar(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
