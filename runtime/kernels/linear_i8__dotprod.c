/* linear_i8__dotprod.c: linear_i8__neon.c with SDOT, which adds four products of bytes to each of 4 sums.
 *
 * Layout and scratch are the same, so a sum stays in 4 lanes until the end. A tile is up to 5 rows, four
 * outputs at a time: 20 registers of sums.
 *
 *   w        [P][K/16 rounded up][8][16]
 *   scratch  int8_t rows[48][K rounded up to 64] */
#if defined(__aarch64__)
#include "tile__neon.h"

/* Rows 0..mr-1 by one panel w[K16][8][16], of which the first `width` outputs are written. */
RT_INLINE RT_TARGET_DOTPROD void linear_i8_dotprod_tile(TileOut out, const int8_t *rows, const float *s,
	const int8_t *w, const float *ws, const float *bias, int width, int K, int N, int act, int mr)
{
	enum { MR = 5 };
	const int stride = (K + 63) & ~63, groups = (K + 15) / 16;
	int32_t tile[MR][8];
	RT_UNROLL_NONE for (int half = 0; half < 8; half += 4)
	{
		const int8_t *at = w + 16 * half;
		int32x4_t acc[MR][4];
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < 4; j++) acc[i][j]
			= vdupq_n_s32(0);
		RT_UNROLL_NONE for (int k = 0; k < groups; k++, at += 128)
		{
			int8x16_t a[MR];
			RT_UNROLL_FULL for (int i = 0; i < mr; i++) a[i] = vld1q_s8(
				rows + (size_t)i * (size_t)stride + 16 * (size_t)k);
			RT_UNROLL_FULL for (int j = 0; j < 4; j++)
			{
				const int8x16_t b = vld1q_s8(at + 16 * j);
				RT_UNROLL_FULL for (int i = 0; i < mr; i++) acc[i][j] = vdotq_s32(acc[i][j], a[i], b);
			}
		}
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < 4; j += 2)
			vst1_s32(tile[i] + half + j, tile_neon_sums(acc[i][j], acc[i][j + 1]));
	}
	tile_neon_scale(out, tile[0], s, ws, bias, width, N, act, mr);
}

RT_INLINE RT_TARGET_DOTPROD void linear_i8_dotprod(TileOut out, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1,
	int K, int N, int act, void *scratch)
{
	enum { NR = 8, MR = 5, ROWS = TILE_NEON_ROWS };
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  groups = (K + 15) / 16;
	(void)sums;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int tiles = (rows + MR - 1) / MR; /* of equal height: 6 rows are 3 + 3, not 5 + 1 */
		tile_neon_bring(scratch, q + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			const int8_t *panel = (const int8_t *)w + (size_t)p * (size_t)groups * 128;
			const int width = N % NR ? rt_min(NR, N - p * NR) : NR;
			for (int t = 0; t < tiles; t++) {
				const int i = rt_part(rows, t, tiles);
				const TileOut y = tile_out(out, first + i, p * NR, N);
				const int8_t *x = (const int8_t *)scratch + (size_t)i * (size_t)stride;
#define LINEAR_I8_TILE(m) \
	case m: \
		linear_i8_dotprod_tile(y, x, s + first + i, panel, ws + p * NR, bias + p * NR, width, K, N, act, m); \
		break;
				switch (rt_part(rows, t + 1, tiles) - i) {
					LINEAR_I8_TILE(1) LINEAR_I8_TILE(2) LINEAR_I8_TILE(3) LINEAR_I8_TILE(4) LINEAR_I8_TILE(5)
				}
#undef LINEAR_I8_TILE
			}
		}
	}
}

RT_INLINE RT_TARGET_DOTPROD void linear_i8__dotprod(float *out, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1,
	int K, int N, int act, void *scratch)
{
	linear_i8_dotprod(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE RT_TARGET_DOTPROD void linear_i8_codes__dotprod(int8_t *out, float *scales, const int8_t *q,
	const float *s, const void *w, const float *ws, const float *bias, const float *m, const float *z,
	const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_dotprod(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
#endif
