/* linear__avx2.c: out = act(x W^T + bias) with AVX2 and FMA; linear__scalar.c documents the arguments.
 *
 * A tile is up to 6 rows by one panel of 16 outputs: 12 accumulators, two weight vectors and one broadcast of
 * x fill 15 of the 16 registers. It runs over all of K, so each output is written once and never read back.
 * Tiles of 4 rows by 24 outputs, which fill all 16 registers, are the same code with other literals:
 * `vectors` of 8 outputs per row, `most` rows. */
#if defined(__x86_64__)
#include "tile__avx2.h"

/* 8 weights as floats. */
RT_INLINE RT_TARGET_AVX2 __m256 linear_avx2_load(const char *w, int dtype)
{
	if (dtype == RT_STORED_F16)
		return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(const void *)w));
	if (dtype == RT_STORED_BF16)
		return _mm256_castsi256_ps(
			_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_load_si128((const __m128i *)(const void *)w)), 16));
	return _mm256_load_ps((const float *)(const void *)w);
}

/* Rows 0..mr-1 of x and out, one panel w[K][8 * vectors] of which the first `width` outputs are written.
 * `ahead`: this tile's share of the next panel; each step of k prefetches `step` bytes of it. */
RT_INLINE RT_TARGET_AVX2 void linear_avx2_tile(float *out, const float *x, const char *w, const float *bias,
	uintptr_t ahead, int step, int width, int K, int N, int act, int dtype, int mr, int vectors)
{
	enum { MR = 6 };
	const int part = (dtype == RT_STORED_F32 ? 4 : 2) * 8; /* bytes of 8 weights */
	__m256 acc[MR][TILE_AVX2_VECTORS];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < vectors; j++) acc[i][j]
		= _mm256_loadu_ps(bias + 8 * j);
	for (int k = 0; k < K; k++, w += vectors * part, ahead += (uintptr_t)step) {
		__m256 wj[TILE_AVX2_VECTORS];
		RT_UNROLL_FULL for (int j = 0; j < (vectors * part + 63) / 64; j++)
		{
			_mm_prefetch(
				(const char *)(ahead + 64 * (uintptr_t)j), _MM_HINT_T1); /* prefetches the next panel to L2 */
			_mm_prefetch((const char *)((uintptr_t)w + 512 + 64 * (uintptr_t)j),
				_MM_HINT_T0); /* and the following weights to L1 */
		}
		RT_UNROLL_FULL for (int j = 0; j < vectors; j++) wj[j] = linear_avx2_load(w + j * part, dtype);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			__m256 a = _mm256_broadcast_ss(x + (size_t)i * (size_t)K + (size_t)k);
			RT_UNROLL_FULL for (int j = 0; j < vectors; j++) acc[i][j] = _mm256_fmadd_ps(a, wj[j], acc[i][j]);
		}
	}
	tile_avx2_store(out, acc, vectors, width, N, act, mr);
}

RT_INLINE RT_TARGET_AVX2 void linear_avx2(float *out, const float *x, const void *w, const float *bias,
	int r0, int r1, int p0, int p1, int K, int N, int act, int dtype, int vectors, int most)
{
	const int NR = 8 * vectors, line = (dtype == RT_STORED_F32 ? 4 : 2) * NR; /* bytes of a panel for one k */
	int rows = r1 - r0, tiles = (rows + most - 1) / most; /* of equal height: 8 rows are 4 + 4, not 6 + 2 */
	if (rows <= 0)
		return;
	for (int p = p0; p < p1; p++) {
		const char *panel = (const char *)w + (size_t)p * (size_t)K * (size_t)line;
		int step = line / tiles, width = N % NR ? rt_min(NR, N - p * NR) : NR;
		uintptr_t ahead = (uintptr_t)panel + (uintptr_t)K * (uintptr_t)line;
		for (int t = 0; t < tiles; t++, ahead += (uintptr_t)step * (uintptr_t)K) {
			int first = r0 + rt_part(rows, t, tiles), mr = r0 + rt_part(rows, t + 1, tiles) - first;
			float *y = out + (size_t)first * (size_t)N + (size_t)p * NR;
			const float *row = x + (size_t)first * (size_t)K, *b = bias + (size_t)p * NR;
#define LINEAR_TILE(m) \
	case m: \
		if (m <= most) { \
			linear_avx2_tile(y, row, panel, b, ahead, step, width, K, N, act, dtype, m, vectors); \
		} \
		break;
			switch (mr) {
				LINEAR_TILE(1) LINEAR_TILE(2) LINEAR_TILE(3) LINEAR_TILE(4) LINEAR_TILE(5) LINEAR_TILE(6)
			}
#undef LINEAR_TILE
		}
	}
}

RT_INLINE RT_TARGET_AVX2 void linear_f32__avx2(float *out, const float *x, const void *w, const float *bias,
	int r0, int r1, int p0, int p1, int K, int N, int act)
{
	linear_avx2(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32, 2, 6);
}

RT_INLINE RT_TARGET_AVX2 void linear_f32_4x24__avx2(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act)
{
	linear_avx2(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32, 3, 4);
}

RT_INLINE RT_TARGET_AVX2 void linear_f16__avx2(float *out, const float *x, const void *w, const float *bias,
	int r0, int r1, int p0, int p1, int K, int N, int act)
{
	linear_avx2(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F16, 2, 6);
}

RT_INLINE RT_TARGET_AVX2 void linear_bf16__avx2(float *out, const float *x, const void *w, const float *bias,
	int r0, int r1, int p0, int p1, int K, int N, int act)
{
	linear_avx2(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_BF16, 2, 6);
}
#endif
