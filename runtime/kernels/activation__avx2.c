/* activation__avx2.c: activation__scalar.c with AVX2 and FMA. */
#if defined(__x86_64__)
#include "math__avx2.h"

RT_INLINE RT_TARGET_AVX2 void activation_f32__avx2(float *out, const float *x, int r0, int r1, int H, int act)
{
	size_t end = (size_t)r1 * (size_t)H;
	for (size_t i = (size_t)r0 * (size_t)H; i < end; i += 8) {
		int n = end - i < 8 ? (int)(end - i) : 8;
		math_avx2_store(out + i, math_avx2_act(math_avx2_load(x + i, n), act), n);
	}
}
#endif
