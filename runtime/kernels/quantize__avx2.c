/* quantize__avx2.c: quantize__scalar.c with AVX2. */
#if defined(__x86_64__)
#include "math__avx2.h"

/* 8 numbers as 32-bit codes. NaN, which would become INT_MIN, counts as 0. No number exceeds 127.5 steps. */
RT_INLINE RT_TARGET_AVX2 __m256i quantize_avx2_codes(__m256 x, __m256 inverse)
{
	const __m256 v = _mm256_mul_ps(x, inverse);
	return _mm256_and_si256(_mm256_cvtps_epi32(v), _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_ORD_Q)));
}

RT_INLINE RT_TARGET_AVX2 void quantize_f32__avx2(int8_t *q, float *s, const float *x, int r0, int r1, int K)
{
	const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packing works within 128-bit halves */
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)K;
		int8_t *codes = q + (size_t)r * (size_t)K;
		__m256 lanes = _mm256_setzero_ps();
		for (int k = 0; k < K;
			k += 8) /* in this order max returns the second operand, `lanes`, if the first is NaN */
			lanes = _mm256_max_ps(_mm256_and_ps(math_avx2_load(row + k, K - k), magnitude), lanes);
		const float largest = math_avx2_max(lanes);
		const __m256 inverse = _mm256_set1_ps(largest < 1e-30f ? 0 : 127.0f / largest);
		for (int k = 0; k < K; k += 32) {
			__m256i code[4];
			RT_UNROLL_FULL for (int i = 0; i < 4; i++)
			{
				const int at = k + 8 * i;
				__m256 x = _mm256_setzero_ps();
				if (K - k >= 32)
					x = _mm256_loadu_ps(row + at);
				else if (K > at)
					x = math_avx2_load(row + at, K - at);
				code[i] = quantize_avx2_codes(x, inverse);
			}
			const __m256i bytes = _mm256_permutevar8x32_epi32(
				_mm256_packs_epi16(
					_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3])),
				order);
			if (K - k >= 32) {
				_mm256_storeu_si256((__m256i *)(void *)(codes + k), bytes);
			} else {
				int8_t some[32];
				_mm256_storeu_si256((__m256i *)(void *)some, bytes);
				memcpy(codes + k, some, (size_t)(K - k));
			}
		}
		s[r] = largest < 1e-30f ? 0 : largest * (1.0f / 127.0f);
	}
}

RT_INLINE RT_TARGET_AVX2 void quantize_static_f32__avx2(
	int8_t *q, float *s, const float *x, const float *m, const float *z, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		s[r] = 1;
		math_avx2_code_row(q + (size_t)r * (size_t)K, x + (size_t)r * (size_t)K, m, z, K);
	}
}
#endif
