/* softmax__neon.c: softmax__scalar.c with NEON, AArch64 and ARMv7. */
#if defined(__ARM_NEON)
#include "math__neon.h"

RT_INLINE void RT_NEON(softmax_f32)(float *out, const float *x, int r0, int r1, int N)
{
	for (int r = r0; r < r1; r++) {
		float *y = out + (size_t)r * (size_t)N;
		float32x4_t scale = vdupq_n_f32(math_neon_softmax(y, x + (size_t)r * (size_t)N, N));
		for (int i = 0; i < N; i += 4)
			math_neon_store(y + i, vmulq_f32(math_neon_load(y + i, N - i), scale), N - i);
	}
}
#endif
