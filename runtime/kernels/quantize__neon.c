/* quantize__neon.c: quantize__scalar.c with NEON, AArch64 and ARMv7. */
#if defined(__ARM_NEON)
#include "math__neon.h"

/* 4 numbers as codes of 32 bits, to nearest even; NaN becomes 0. ARMv7 rounds by adding 1.5 * 2^23, whose last bit is worth 1. */
RT_INLINE int32x4_t quantize_neon_codes(float32x4_t x, float inverse)
{
	const float32x4_t v = vmulq_n_f32(x, inverse);
#if defined(__aarch64__)
	return vcvtnq_s32_f32(v);
#else
	const float32x4_t magic = vdupq_n_f32(12582912.0f);
	return vcvtq_s32_f32(vsubq_f32(vaddq_f32(v, magic), magic));
#endif
}

RT_INLINE void RT_NEON(quantize_f32)(int8_t *q, float *s, const float *x, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)K;
		int8_t *codes = q + (size_t)r * (size_t)K;
		float32x4_t lanes = vdupq_n_f32(0);
		for (int k = 0; k < K; k += 4) {   /* VMAX would keep a NaN */
			const float32x4_t size = vabsq_f32(math_neon_load(row + k, K - k));
			lanes = vbslq_f32(vcgtq_f32(size, lanes), size, lanes);
		}
		const float largest = math_neon_max(lanes), inverse = largest < 1e-30f ? 0 : 127.0f / largest;
		for (int k = 0; k < K; k += 8) {
			const int32x4_t low = quantize_neon_codes(math_neon_load(row + k, K - k), inverse);
			const int32x4_t high = quantize_neon_codes(K - k > 4 ? math_neon_load(row + k + 4, K - k - 4) : vdupq_n_f32(0), inverse);
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

/* 4 codes of 32 bits of n floats. VMAX would keep a NaN. */
RT_INLINE int32x4_t quantize_neon_static_codes(const float *x, const float *m, const float *z, int n)
{
	const float32x4_t least = vdupq_n_f32(-127), v = vaddq_f32(vmulq_f32(math_neon_load(x, n), math_neon_load(m, n)),
		math_neon_load(z, n));
	return quantize_neon_codes(vminq_f32(vbslq_f32(vcgtq_f32(v, least), v, least), vdupq_n_f32(127)), 1);
}

RT_INLINE void RT_NEON(quantize_static_f32)(int8_t *q, float *s, const float *x, const float *m, const float *z, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)K;
		int8_t *codes = q + (size_t)r * (size_t)K;
		s[r] = 1;
		for (int k = 0; k < K; k += 8) {
			const int32x4_t low = quantize_neon_static_codes(row + k, m + k, z + k, K - k);
			const int32x4_t high = K - k > 4 ? quantize_neon_static_codes(row + k + 4, m + k + 4, z + k + 4, K - k - 4)
				: vdupq_n_s32(0);
			const int8x8_t bytes = vqmovn_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high)));
			if (K - k >= 8) {
				vst1_s8(codes + k, bytes);
			} else {
				int8_t some[8];
				vst1_s8(some, bytes);
				memcpy(codes + k, some, (size_t)(K - k));
			}
		}
	}
}
#endif
