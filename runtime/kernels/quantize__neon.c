/* quantize__neon.c: quantize__scalar.c with NEON, AArch64 and ARMv7. */
#if defined(__ARM_NEON)
#include "math__neon.h"

RT_INLINE void RT_NEON(quantize_f32)(int8_t *q, float *s, const float *x, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)K;
		int8_t *codes = q + (size_t)r * (size_t)K;
		float32x4_t lanes = vdupq_n_f32(0);
		for (int k = 0; k < K; k += 4) { /* VMAX would keep NaN */
			const float32x4_t size = vabsq_f32(math_neon_load(row + k, K - k));
			lanes = vbslq_f32(vcgtq_f32(size, lanes), size, lanes);
		}
		const float largest = math_neon_max(lanes), inverse = largest < 1e-30f ? 0 : 127.0f / largest;
		for (int k = 0; k < K; k += 8) {
			const int32x4_t low = math_neon_rounded(math_neon_load(row + k, K - k), inverse);
			const int32x4_t high = math_neon_rounded(
				K - k > 4 ? math_neon_load(row + k + 4, K - k - 4) : vdupq_n_f32(0), inverse);
			const int8x8_t bytes = vqmovn_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high)));
			if (K - k >= 8) {
				vst1_s8(codes + k, bytes);
			} else {
				int8_t some[8];
				vst1_s8(some, bytes);
				memcpy(codes + k, some, (size_t)(K - k));
			}
		}
		s[r] = largest < 1e-30f ? 0 : largest * (1.0f / 127.0f);
	}
}

RT_INLINE void RT_NEON(quantize_static_f32)(
	int8_t *q, float *s, const float *x, const float *m, const float *z, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		s[r] = 1;
		math_neon_code_row(q + (size_t)r * (size_t)K, x + (size_t)r * (size_t)K, m, z, K);
	}
}
#endif
