/* linear_dotbf16__neon.c: linear_dotbf16__scalar.c with NEON, AArch64 and ARMv7. A product of two bf16 is
 * exact in f32, so a multiply-add gives the same bits, fused or not. (BFDOT and BFMMLA round differently from
 * the definition.)
 *
 * Up to 48 rows are rounded into scratch, as floats. A vector of weights holds 4 pairs: the second of each is
 * the upper half of a float already; a shift moves the first there. Tiles are as in linear__neon.c.
 *
 *   scratch  float rows[48][K rounded up to 64], 0 beyond K, where the weights are 0 too */
#if defined(__ARM_NEON)
#include "tile__neon.h"

#if defined(__aarch64__)
enum { LINEAR_DOTBF16_NEON_MR = 8 };
#else
enum { LINEAR_DOTBF16_NEON_MR = 4 };
#endif

/* rows[i] = x[i] rounded to bf16 for count rows: to nearest even; NaN stays NaN. */
RT_INLINE void linear_dotbf16_neon_bring(float *rows, const float *x, int count, int K)
{
	const int stride = (K + 63) & ~63;
	for (int i = 0; i < count; i++, rows += stride, x += K)
		for (int k = 0; k < K; k += 4) {
			const float32x4_t v = math_neon_load(x + k, K - k);
			const uint32x4_t bits = vreinterpretq_u32_f32(v),
							 odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
			const uint32x4_t even = vbicq_u32(
				vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), vdupq_n_u32(0xffff));
			vst1q_f32(rows + k, vbslq_f32(vceqq_f32(v, v), vreinterpretq_f32_u32(even), vaddq_f32(v, v)));
		}
}

/* Rows 0..mr-1 by one panel w[K2][8][2], of which the first `width` outputs are written. */
RT_INLINE void linear_dotbf16_neon_tile(float *out, const float *rows, const uint16_t *w, const float *bias,
	int width, int K, int N, int act, int mr)
{
	enum { MR = LINEAR_DOTBF16_NEON_MR };
	const int stride = (K + 63) & ~63, pairs = (K + 1) / 2;
	float32x4_t acc[MR][TILE_NEON_VECTORS];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
	{
		acc[i][0] = vld1q_f32(bias);
		acc[i][1] = vld1q_f32(bias + 4);
	}
	for (int k = 0; k < pairs; k++, w += 16) {
		const uint32x4_t w0 = vreinterpretq_u32_u16(vld1q_u16(w)),
						 w1 = vreinterpretq_u32_u16(vld1q_u16(w + 8));
		RT_UNROLL_FULL for (int of = 1; of >= 0; of--)
		{ /* the second of a pair first */
			const float32x4_t b0 = vreinterpretq_f32_u32(
				of ? vbicq_u32(w0, vdupq_n_u32(0xffff)) : vshlq_n_u32(w0, 16));
			const float32x4_t b1 = vreinterpretq_f32_u32(
				of ? vbicq_u32(w1, vdupq_n_u32(0xffff)) : vshlq_n_u32(w1, 16));
			RT_UNROLL_FULL for (int i = 0; i < mr; i++)
			{
				const float a = rows[(size_t)i * (size_t)stride + 2 * (size_t)k + (size_t)of];
				acc[i][0] = math_neon_fma_n(acc[i][0], b0, a);
				acc[i][1] = math_neon_fma_n(acc[i][1], b1, a);
			}
		}
	}
	tile_neon_store(out, acc, 2, width, N, act, mr);
}

RT_INLINE void RT_NEON(linear_dotbf16)(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = 8, MR = LINEAR_DOTBF16_NEON_MR, ROWS = 48 };
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  pairs = (K + 1) / 2;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int tiles = (rows + MR - 1) / MR;
		linear_dotbf16_neon_bring(scratch, x + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			const uint16_t *panel = (const uint16_t *)w + (size_t)p * (size_t)pairs * 16;
			const int width = N % NR ? rt_min(NR, N - p * NR) : NR;
			for (int t = 0; t < tiles; t++) {
				const int i = rt_part(rows, t, tiles);
				float *y = out + (size_t)(first + i) * (size_t)N + (size_t)p * NR;
				const float *row = (const float *)scratch + (size_t)i * (size_t)stride;
#define LINEAR_DOTBF16_TILE(m) \
	case m: linear_dotbf16_neon_tile(y, row, panel, bias + p * NR, width, K, N, act, m); break;
				switch (rt_part(rows, t + 1, tiles) - i) {
					LINEAR_DOTBF16_TILE(1)
					LINEAR_DOTBF16_TILE(2)
					LINEAR_DOTBF16_TILE(3)
					LINEAR_DOTBF16_TILE(4)
#if defined(__aarch64__)
					LINEAR_DOTBF16_TILE(5)
					LINEAR_DOTBF16_TILE(6) LINEAR_DOTBF16_TILE(7) LINEAR_DOTBF16_TILE(8)
#endif
				}
#undef LINEAR_DOTBF16_TILE
			}
		}
	}
}
#endif
