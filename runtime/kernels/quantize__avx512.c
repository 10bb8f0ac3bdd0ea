/* quantize__avx512.c: quantize__scalar.c with AVX-512. */
#if defined(__x86_64__)
#include "math__avx512.h"

/* Codes of 16 numbers as 32-bit integers; a NaN, which would become INT_MIN, counts as 0. */
RT_INLINE RT_TARGET_AVX512 __m512i quantize_avx512_code(__m512 x, __m512 inverse)
{
	const __m512 v = _mm512_mul_ps(x, inverse);
	return _mm512_maskz_cvtps_epi32(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v);
}

/* The largest magnitude in a row of K floats. Four vectors at a time hide the latency of max; in this order
 * max returns the second operand if the first is NaN. */
RT_INLINE RT_TARGET_AVX512 float quantize_avx512_largest(const float *x, int K)
{
	__m512 largest[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
	int k = 0;
	for (; k + 64 <= K; k += 64)
		RT_UNROLL_FULL for (int i = 0; i < 4; i++) largest[i] = _mm512_max_ps(
			_mm512_abs_ps(_mm512_loadu_ps(x + k + 16 * i)), largest[i]);
	for (; k < K; k += 16)
		largest[0] = _mm512_max_ps(
			_mm512_abs_ps(_mm512_maskz_loadu_ps(math_avx512_first(K - k), x + k)), largest[0]);
	return _mm512_reduce_max_ps(
		_mm512_max_ps(_mm512_max_ps(largest[0], largest[1]), _mm512_max_ps(largest[2], largest[3])));
}

/* Codes of one row of K floats. Four vectors of codes make one cache line; packing shuffles them within
 * 128-bit parts, which one permutation undoes. */
RT_INLINE RT_TARGET_AVX512 void quantize_avx512_codes(int8_t *q, const float *x, int K, __m512 inverse)
{
	const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
	int k = 0;
	for (; k + 64 <= K; k += 64) {
		const __m512i a = _mm512_packs_epi32(quantize_avx512_code(_mm512_loadu_ps(x + k), inverse),
			quantize_avx512_code(_mm512_loadu_ps(x + k + 16), inverse));
		const __m512i b = _mm512_packs_epi32(quantize_avx512_code(_mm512_loadu_ps(x + k + 32), inverse),
			quantize_avx512_code(_mm512_loadu_ps(x + k + 48), inverse));
		_mm512_storeu_si512(q + k,
			_mm512_max_epi8(
				_mm512_permutexvar_epi32(order, _mm512_packs_epi16(a, b)), _mm512_set1_epi8(-127)));
	}
	for (; k < K; k += 16) {
		const __mmask16 m = math_avx512_first(K - k);
		const __m512i code = quantize_avx512_code(_mm512_maskz_loadu_ps(m, x + k), inverse);
		_mm_mask_storeu_epi8(
			q + k, m, _mm512_cvtsepi32_epi8(_mm512_max_epi32(code, _mm512_set1_epi32(-127))));
	}
}

/* First finds the largest numbers of several rows: handled one by one, each row would wait for a reduction
 * and a division. */
RT_INLINE RT_TARGET_AVX512 void quantize_f32__avx512(
	int8_t *q, float *s, const float *x, int r0, int r1, int K)
{
	enum { ROWS = 4 };
	for (int r = r0; r < r1; r += ROWS) {
		const int stop = rt_min(r1, r + ROWS);
		float inverse[ROWS];
		for (int i = r; i < stop; i++) {
			const float largest = quantize_avx512_largest(x + (size_t)i * (size_t)K, K);
			inverse[i - r] = largest < 1e-30f ? 0 : 127.0f / largest;
			s[i] = largest < 1e-30f ? 0 : largest * (1.0f / 127.0f);
		}
		for (int i = r; i < stop; i++)
			quantize_avx512_codes(
				q + (size_t)i * (size_t)K, x + (size_t)i * (size_t)K, K, _mm512_set1_ps(inverse[i - r]));
	}
}

RT_INLINE RT_TARGET_AVX512 void quantize_static_f32__avx512(
	int8_t *q, float *s, const float *x, const float *m, const float *z, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		s[r] = 1;
		math_avx512_code_row(q + (size_t)r * (size_t)K, x + (size_t)r * (size_t)K, m, z, K);
	}
}
#endif
