/* quantize__avx512.c: quantize__scalar.c with AVX-512. */
#if defined(__x86_64__)
#include "math__avx512.h"

/* Codes of one row of K floats; returns the scale. 64 at a time, so that a cache line of codes is written at once. */
RT_INLINE RT_TARGET_AVX512 float quantize_avx512_codes(int8_t *q, const float *x, int K, __m512 lanes)
{
	const float largest = _mm512_reduce_max_ps(lanes);
	const __m512 inverse = _mm512_set1_ps(largest < 1e-30f ? 0 : 127.0f / largest);
	const __m512i least = _mm512_set1_epi32(-127);
	for (int k = 0; k < K; k += 16) {
		__mmask16 m = math_avx512_first(K - k);
		const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + k), inverse);
		/* a NaN would become INT_MIN: it counts as 0 */
		const __m512i code = _mm512_maskz_cvtps_epi32(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v);
		_mm_mask_storeu_epi8(q + k, m, _mm512_cvtsepi32_epi8(_mm512_max_epi32(code, least)));
	}
	return largest < 1e-30f ? 0 : largest * (1.0f / 127.0f);
}

RT_INLINE RT_TARGET_AVX512 void quantize_f32__avx512(int8_t *q, float *s, const float *x, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)K;
		__m512 largest = _mm512_setzero_ps();
		for (int k = 0; k < K; k += 16)   /* in this order max returns the second, `largest`, when a number is NaN */
			largest = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(math_avx512_first(K - k), row + k)), largest);
		s[r] = quantize_avx512_codes(q + (size_t)r * (size_t)K, row, K, largest);
	}
}
#endif
