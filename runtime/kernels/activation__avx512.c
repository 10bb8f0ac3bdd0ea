/* activation__avx512.c: activation__scalar.c with AVX-512. */
#if defined(__x86_64__)
#include "math__avx512.h"

RT_INLINE RT_TARGET_AVX512 void activation_f32__avx512(
	float *out, const float *x, int r0, int r1, int H, int act)
{
	size_t end = (size_t)r1 * (size_t)H;
	for (size_t i = (size_t)r0 * (size_t)H; i < end; i += 16) {
		__mmask16 m = math_avx512_first(end - i < 16 ? (int)(end - i) : 16);
		_mm512_mask_storeu_ps(out + i, m, math_avx512_act(_mm512_maskz_loadu_ps(m, x + i), act));
	}
}
#endif
