/* activation__neon.c: activation__scalar.c with NEON, AArch64 and ARMv7. */
#if defined(__ARM_NEON)
#include "math__neon.h"

RT_INLINE void RT_NEON(activation_f32)(float *out, const float *x, int r0, int r1, int H, int act)
{
	size_t end = (size_t)r1 * (size_t)H;
	for (size_t i = (size_t)r0 * (size_t)H; i < end; i += 4) {
		int n = end - i < 4 ? (int)(end - i) : 4;
		math_neon_store(out + i, math_neon_act(math_neon_load(x + i, n), act), n);
	}
}
#endif
