/* softmax__avx2.c: softmax__scalar.c with AVX2 and FMA. */
#if defined(__x86_64__)
#include "math__avx2.h"

RT_INLINE RT_TARGET_AVX2 void softmax_f32__avx2(float *out, const float *x, int r0, int r1, int N)
{
	for (int r = r0; r < r1; r++) {
		float *y = out + (size_t)r * (size_t)N;
		__m256 scale = _mm256_set1_ps(math_avx2_softmax(y, x + (size_t)r * (size_t)N, N));
		for (int i = 0; i < N; i += 8)
			math_avx2_store(y + i, _mm256_mul_ps(math_avx2_load(y + i, N - i), scale), N - i);
	}
}
#endif
