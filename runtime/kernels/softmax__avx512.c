/* softmax__avx512.c: softmax__scalar.c with AVX-512. */
#if defined(__x86_64__)
#include "math__avx512.h"

RT_INLINE RT_TARGET_AVX512 void softmax_f32__avx512(float *out, const float *x, int r0, int r1, int N)
{
	for (int r = r0; r < r1; r++) {
		float *y = out + (size_t)r * (size_t)N;
		__m512 scale = _mm512_set1_ps(math_avx512_softmax(y, x + (size_t)r * (size_t)N, N));
		for (int i = 0; i < N; i += 16) {
			__mmask16 m = math_avx512_first(N - i);
			_mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(_mm512_maskz_loadu_ps(m, y + i), scale));
		}
	}
}
#endif
