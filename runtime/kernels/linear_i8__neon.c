/* linear_i8__neon.c: linear_i8__scalar.c with NEON's multiplications of bytes, AArch64 and ARMv7. SMULL and
 * SMLAL add two products in 16 bits (2 * 127 * 128 fits, because no input code is -128). SADALP adds pairs of
 * these to 32-bit sums.
 *
 * Sixteen inputs of an output are neighbours, like 16 inputs of a row. So no lane is broadcast, which would
 * take a fourth of the instructions, and a sum stays in 4 lanes until the end. Up to 48 rows are copied to
 * scratch, padded with zeros. A tile is up to 3 rows by one panel of 8 outputs, four at a time (ARMv7: 2
 * rows, two at a time). Compilers start many products before they add the first, so more sums would be
 * spilled.
 *
 *   w        [P][K/16 rounded up][8][16]
 *   scratch  int8_t rows[48][K rounded up to 64] */
#if defined(__ARM_NEON)
#include "tile__neon.h"

#if defined(__aarch64__)
enum { LINEAR_I8_NEON_MR = 3, LINEAR_I8_NEON_OUTS = 4 };
#else
enum { LINEAR_I8_NEON_MR = 2, LINEAR_I8_NEON_OUTS = 2 };
#endif

/* Rows 0..mr-1 by one panel w[K16][8][16], of which the first `width` outputs are written. */
RT_INLINE void linear_i8_neon_tile(TileOut out, const int8_t *rows, const float *s, const int8_t *w,
	const float *ws, const float *bias, int width, int K, int N, int act, int mr)
{
	enum { MR = LINEAR_I8_NEON_MR, OUTS = LINEAR_I8_NEON_OUTS };
	const int stride = (K + 63) & ~63, groups = (K + 15) / 16;
	int32_t tile[MR][8];
	RT_UNROLL_NONE for (int n = 0; n < 8; n += OUTS)
	{
		const int8_t *at = w + 16 * n;
		int32x4_t acc[MR][OUTS];
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < OUTS; j++) acc[i][j]
			= vdupq_n_s32(0);
		RT_UNROLL_NONE for (int k = 0; k < groups; k++, at += 128)
		{
			int8x16_t a[MR];
			RT_UNROLL_FULL for (int i = 0; i < mr; i++) a[i] = vld1q_s8(
				rows + (size_t)i * (size_t)stride + 16 * (size_t)k);
			RT_UNROLL_FULL for (int j = 0; j < OUTS; j++)
			{
				const int8x16_t b = vld1q_s8(at + 16 * j);
				RT_UNROLL_FULL for (int i = 0; i < mr; i++)
				{
					const int16x8_t low = vmull_s8(vget_low_s8(a[i]), vget_low_s8(b));
					acc[i][j] = vpadalq_s16(acc[i][j], vmlal_s8(low, vget_high_s8(a[i]), vget_high_s8(b)));
				}
			}
		}
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < OUTS; j += 2)
			vst1_s32(tile[i] + n + j, tile_neon_sums(acc[i][j], acc[i][j + 1]));
	}
	tile_neon_scale(out, tile[0], s, ws, bias, width, N, act, mr);
}

RT_INLINE void linear_i8_neon(TileOut out, const int8_t *q, const float *s, const void *w, const float *ws,
	const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act,
	void *scratch)
{
	enum { NR = 8, MR = LINEAR_I8_NEON_MR, ROWS = TILE_NEON_ROWS };
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  groups = (K + 15) / 16;
	(void)sums;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int tiles = (rows + MR - 1) / MR; /* of equal height: 4 rows are 2 + 2, not 3 + 1 */
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
		linear_i8_neon_tile(y, x, s + first + i, panel, ws + p * NR, bias + p * NR, width, K, N, act, m); \
		break;
				switch (rt_part(rows, t + 1, tiles) - i) {
					LINEAR_I8_TILE(1)
					LINEAR_I8_TILE(2)
#if defined(__aarch64__)
					LINEAR_I8_TILE(3)
#endif
				}
#undef LINEAR_I8_TILE
			}
		}
	}
}

RT_INLINE void RT_NEON(linear_i8)(float *out, const int8_t *q, const float *s, const void *w, const float *ws,
	const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act,
	void *scratch)
{
	linear_i8_neon(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE void RT_NEON(linear_i8_codes)(int8_t *out, float *scales, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const float *m, const float *z, const int32_t *sums,
	int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_neon(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
#endif
