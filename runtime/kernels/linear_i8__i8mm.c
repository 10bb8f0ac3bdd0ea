/* linear_i8__i8mm.c: linear_i8__scalar.c with SMMLA, which multiplies 2 rows of 8 codes with 2 outputs of 8
 * codes and adds the four sums of 8 products to 4 lanes.
 *
 * Up to 48 rows are copied to scratch in pairs, padded with zeros; with an odd number, the last pair has a
 * row of zeros. A tile is up to 4 pairs of rows by one panel of 8 outputs: 16 registers of sums, 4 of rows
 * and 4 of weights.
 *
 *   w        [P][K/8 rounded up][8][8]
 *   scratch  int8_t rows[24][K/8 rounded up to 8][2][8] */
#if defined(__aarch64__)
#include "tile__neon.h"

/* Codes k..k+7 of row i at rows[i / 2][k / 8][i % 2], for count rows; zeros beyond K and count. */
RT_INLINE RT_TARGET_I8MM void linear_i8_i8mm_bring(int8_t *rows, const int8_t *q, int count, int K)
{
	const int stride = (K + 63) & ~63;
	for (int i = 0; i < (count + 1) / 2 * 2; i++, q += K) {
		int8_t *to = rows + (size_t)(i / 2 * 2) * (size_t)stride + i % 2 * 8;
		int k = 0;
		for (; k + 8 <= K && i < count; k += 8, to += 16)
			vst1_s8(to, vld1_s8(q + k));
		for (; k < stride; k += 8, to += 16)
			for (int j = 0; j < 8; j++)
				to[j] = k + j < K && i < count ? q[k + j] : 0;
	}
}

/* mr pairs of rows by one panel w[K8][8][8]. Writes `valid` rows and the first `width` outputs. */
RT_INLINE RT_TARGET_I8MM void linear_i8_i8mm_tile(TileOut out, const int8_t *rows, const float *s,
	const int8_t *w, const float *ws, const float *bias, int valid, int width, int K, int N, int act, int mr)
{
	enum { MR = 4 };
	const int stride = (K + 63) & ~63, groups = (K + 7) / 8;
	int32_t tile[2 * MR][8];
	int32x4_t acc[MR][4];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < 4; j++) acc[i][j]
		= vdupq_n_s32(0);
	RT_UNROLL_NONE for (int k = 0; k < groups; k++, w += 64)
	{
		int8x16_t a[MR];
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) a[i] = vld1q_s8(
			rows + (size_t)(2 * i) * (size_t)stride + 16 * (size_t)k);
		RT_UNROLL_FULL for (int j = 0; j < 4; j++)
		{
			const int8x16_t b = vld1q_s8(w + 16 * j);
			RT_UNROLL_FULL for (int i = 0; i < mr; i++) acc[i][j] = vmmlaq_s32(acc[i][j], a[i], b);
		}
	}
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < 4; j++)
	{
		vst1_s32(tile[2 * i] + 2 * j, vget_low_s32(acc[i][j]));
		vst1_s32(tile[2 * i + 1] + 2 * j, vget_high_s32(acc[i][j]));
	}
	tile_neon_scale(out, tile[0], s, ws, bias, width, N, act, valid);
}

RT_INLINE RT_TARGET_I8MM void linear_i8_i8mm(TileOut out, const int8_t *q, const float *s, const void *w,
	const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
	int act, void *scratch)
{
	enum { NR = 8, MR = 4, ROWS = TILE_NEON_ROWS };
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  groups = (K + 7) / 8;
	(void)sums;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int pairs = (rows + 1) / 2,
				  tiles = (pairs + MR - 1) / MR; /* of equal height: 6 pairs are 3 + 3, not 4 + 2 */
		linear_i8_i8mm_bring(scratch, q + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			const int8_t *panel = (const int8_t *)w + (size_t)p * (size_t)groups * 64;
			const int width = N % NR ? rt_min(NR, N - p * NR) : NR;
			for (int t = 0; t < tiles; t++) {
				const int i = rt_part(pairs, t, tiles), end = rt_part(pairs, t + 1, tiles),
						  valid = rt_min(2 * end, rows) - 2 * i;
				const TileOut y = tile_out(out, first + 2 * i, p * NR, N);
				const int8_t *x = (const int8_t *)scratch + (size_t)(2 * i) * (size_t)stride;
#define LINEAR_I8_TILE(m) \
	case m: \
		linear_i8_i8mm_tile( \
			y, x, s + first + 2 * i, panel, ws + p * NR, bias + p * NR, valid, width, K, N, act, m); \
		break;
				switch (end - i) {
					LINEAR_I8_TILE(1) LINEAR_I8_TILE(2) LINEAR_I8_TILE(3) LINEAR_I8_TILE(4)
				}
#undef LINEAR_I8_TILE
			}
		}
	}
}

RT_INLINE RT_TARGET_I8MM void linear_i8__i8mm(float *out, const int8_t *q, const float *s, const void *w,
	const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
	int act, void *scratch)
{
	linear_i8_i8mm(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE RT_TARGET_I8MM void linear_i8_codes__i8mm(int8_t *out, float *scales, const int8_t *q,
	const float *s, const void *w, const float *ws, const float *bias, const float *m, const float *z,
	const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_i8mm(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
#endif
