/* linear_dotbf16__avx2.c: linear_dotbf16__scalar.c with AVX2 and FMA. A product of two bf16 is exact in f32,
 * so a fused multiply-add rounds like the separate operations of the definition.
 *
 * Up to 48 rows are rounded into scratch, as floats, and then multiplied with all panels. A vector of weights
 * has 8 pairs: the second of each is the upper half of a float already; a shift moves the first there. A tile
 * is up to 5 rows by 16 outputs: 10 accumulators, 2 vectors of pairs, 2 of one half of them and a broadcast
 * of x fill 15 of the 16 registers.
 *
 *   scratch  float rows[48][K rounded up to 64], 0 beyond K, where the weights are 0 too */
#if defined(__x86_64__)
#include "tile__avx2.h"

/* rows[i] = x[i] rounded to bf16 for count rows: to nearest even; NaN stays NaN. */
RT_INLINE RT_TARGET_AVX2 void linear_dotbf16_avx2_bring(float *rows, const float *x, int count, int K)
{
	const int stride = (K + 63) & ~63;
	const __m256i half = _mm256_set1_epi32(0x7fff), one = _mm256_set1_epi32(1),
				  top = _mm256_set1_epi32(-0x10000);
	for (int i = 0; i < count; i++, rows += stride, x += K)
		for (int k = 0; k < K; k += 8) {
			const __m256 v = math_avx2_load(x + k, K - k);
			const __m256i bits = _mm256_castps_si256(v),
						  odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
			const __m256i even = _mm256_and_si256(_mm256_add_epi32(_mm256_add_epi32(bits, half), odd), top);
			const __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q), quiet = _mm256_add_ps(v, v);
			_mm256_store_ps(rows + k, _mm256_blendv_ps(_mm256_castsi256_ps(even), quiet, nan));
		}
}

/* Rows 0..mr-1 by one panel w[K2][16][2], of which the first `width` outputs are written. `ahead` as in
 * linear__avx2.c. */
RT_INLINE RT_TARGET_AVX2 void linear_dotbf16_avx2_tile(float *out, const float *rows, const char *w,
	const float *bias, uintptr_t ahead, int step, int width, int K, int N, int act, int mr)
{
	enum { MR = 5 };
	const int stride = (K + 63) & ~63, pairs = (K + 1) / 2;
	const __m256i top = _mm256_set1_epi32(-0x10000);
	__m256 acc[MR][TILE_AVX2_VECTORS];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
	{
		acc[i][0] = _mm256_loadu_ps(bias);
		acc[i][1] = _mm256_loadu_ps(bias + 8);
	}
	uintptr_t at = (uintptr_t)w;
	for (int k = 0; k < pairs; k++, at += 64, ahead += (uintptr_t)step) {
		_mm_prefetch((const char *)ahead, _MM_HINT_T1);
		_mm_prefetch((const char *)(at + 512), _MM_HINT_T0);
		const __m256i w0 = _mm256_load_si256((const __m256i *)at);
		const __m256i w1 = _mm256_load_si256((const __m256i *)(at + 32));
		const __m256 second0 = _mm256_castsi256_ps(_mm256_and_si256(w0, top));
		const __m256 second1 = _mm256_castsi256_ps(_mm256_and_si256(w1, top));
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			const __m256 a = _mm256_broadcast_ss(rows + (size_t)i * (size_t)stride + 2 * (size_t)k + 1);
			acc[i][0] = _mm256_fmadd_ps(a, second0, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(a, second1, acc[i][1]);
		}
		const __m256 first0 = _mm256_castsi256_ps(_mm256_slli_epi32(w0, 16)),
					 first1 = _mm256_castsi256_ps(_mm256_slli_epi32(w1, 16));
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			const __m256 a = _mm256_broadcast_ss(rows + (size_t)i * (size_t)stride + 2 * (size_t)k);
			acc[i][0] = _mm256_fmadd_ps(a, first0, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(a, first1, acc[i][1]);
		}
	}
	tile_avx2_store(out, acc, 2, width, N, act, mr);
}

RT_INLINE RT_TARGET_AVX2 void linear_dotbf16__avx2(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = 16, MR = 5, ROWS = 48 };
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  pairs = (K + 1) / 2;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int tiles = (rows + MR - 1) / MR, step = 64 / tiles;
		linear_dotbf16_avx2_bring(scratch, x + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			const char *panel = (const char *)w + (size_t)p * (size_t)pairs * 64;
			const int width = N % NR ? rt_min(NR, N - p * NR) : NR;
			uintptr_t ahead = (uintptr_t)panel + (uintptr_t)pairs * 64;
			for (int t = 0; t < tiles; t++, ahead += (uintptr_t)step * (uintptr_t)pairs) {
				const int i = rt_part(rows, t, tiles);
				float *y = out + (size_t)(first + i) * (size_t)N + (size_t)p * NR;
				const float *row = (const float *)scratch + (size_t)i * (size_t)stride;
#define LINEAR_DOTBF16_TILE(m) \
	case m: linear_dotbf16_avx2_tile(y, row, panel, bias + p * NR, ahead, step, width, K, N, act, m); break;
				switch (rt_part(rows, t + 1, tiles) - i) {
					LINEAR_DOTBF16_TILE(1)
					LINEAR_DOTBF16_TILE(2)
					LINEAR_DOTBF16_TILE(3) LINEAR_DOTBF16_TILE(4) LINEAR_DOTBF16_TILE(5)
				}
#undef LINEAR_DOTBF16_TILE
			}
		}
	}
}
#endif
