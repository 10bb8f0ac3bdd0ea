/* linear__neon.c: out = act(x W^T + bias) with NEON, AArch64 and ARMv7; linear__scalar.c documents the
 * arguments.
 *
 * A tile is up to 8 rows (ARMv7, with half the registers: 4) by one panel of 8 outputs. It runs over all of
 * K, so each output is written once and never read back. The 32 registers of AArch64 also hold 6 rows by 16
 * outputs, the same code with other literals: `vectors` of 4 outputs per row, `most` rows. */
#if defined(__ARM_NEON)
#include "tile__neon.h"

#if defined(__aarch64__)
enum { LINEAR_NEON_MR = 8 };
#else
enum { LINEAR_NEON_MR = 4 };
#endif

/* 4 weights as floats. */
RT_INLINE float32x4_t linear_neon_load(const char *w, int dtype)
{
	if (dtype == RT_STORED_F16)
		return math_neon_from_f16(vld1_u16((const uint16_t *)(const void *)w));
	if (dtype == RT_STORED_BF16)
		return math_neon_from_bf16(vld1_u16((const uint16_t *)(const void *)w));
	return vld1q_f32((const float *)(const void *)w);
}

/* Rows 0..mr-1 of x and out, one panel w[K][4 * vectors] of which the first `width` outputs are written. */
RT_INLINE void linear_neon_tile(float *out, const float *x, const char *w, const float *bias, int width,
	int K, int N, int act, int dtype, int mr, int vectors)
{
	enum { MR = LINEAR_NEON_MR };
	const int part = (dtype == RT_STORED_F32 ? 4 : 2) * 4; /* bytes of 4 weights */
	float32x4_t acc[MR][TILE_NEON_VECTORS];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < vectors; j++) acc[i][j]
		= vld1q_f32(bias + 4 * j);
	for (int k = 0; k < K; k++, w += vectors * part) {
		float32x4_t wj[TILE_NEON_VECTORS];
		RT_UNROLL_FULL for (int j = 0; j < vectors; j++) wj[j] = linear_neon_load(w + j * part, dtype);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			float a = x[(size_t)i * (size_t)K + (size_t)k];
			RT_UNROLL_FULL for (int j = 0; j < vectors; j++) acc[i][j] = math_neon_fma_n(acc[i][j], wj[j], a);
		}
	}
	tile_neon_store(out, acc, vectors, width, N, act, mr);
}

RT_INLINE void linear_neon(float *out, const float *x, const void *w, const float *bias, int r0, int r1,
	int p0, int p1, int K, int N, int act, int dtype, int vectors, int most)
{
	const int NR = 4 * vectors, line = (dtype == RT_STORED_F32 ? 4 : 2) * NR; /* bytes of a panel for one k */
	int rows = r1 - r0, tiles = (rows + most - 1) / most; /* of equal height: 10 rows are 5 + 5, not 8 + 2 */
	for (int p = p0; p < p1; p++) {
		const char *panel = (const char *)w + (size_t)p * (size_t)K * (size_t)line;
		int width = N % NR ? rt_min(NR, N - p * NR) : NR;
		for (int t = 0; t < tiles; t++) {
			int first = r0 + rt_part(rows, t, tiles), mr = r0 + rt_part(rows, t + 1, tiles) - first;
			float *y = out + (size_t)first * (size_t)N + (size_t)p * NR;
			const float *row = x + (size_t)first * (size_t)K, *b = bias + (size_t)p * NR;
#define LINEAR_TILE(m) \
	case m: \
		if (m <= most) { \
			linear_neon_tile(y, row, panel, b, width, K, N, act, dtype, m, vectors); \
		} \
		break;
			switch (mr) {
				LINEAR_TILE(1)
				LINEAR_TILE(2)
				LINEAR_TILE(3)
				LINEAR_TILE(4)
#if defined(__aarch64__)
				LINEAR_TILE(5) LINEAR_TILE(6) LINEAR_TILE(7) LINEAR_TILE(8)
#endif
			}
#undef LINEAR_TILE
		}
	}
}

RT_INLINE void RT_NEON(linear_f32)(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act)
{
	linear_neon(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32, 2, LINEAR_NEON_MR);
}

#if defined(__aarch64__)
RT_INLINE void linear_f32_6x16__neon64(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act)
{
	linear_neon(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32, 4, 6);
}
#endif

RT_INLINE void RT_NEON(linear_f16)(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act)
{
	linear_neon(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F16, 2, LINEAR_NEON_MR);
}

RT_INLINE void RT_NEON(linear_bf16)(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act)
{
	linear_neon(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_BF16, 2, LINEAR_NEON_MR);
}
#endif
