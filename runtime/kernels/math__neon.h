/* math__neon.h: exp, softmax and the activations, 4 floats at a time, for AArch64 and for ARMv7. ARMv7 treats
 * floats below 1.2e-38 as zero, and has no division and no fused multiply-add with a scalar. Lanes are
 * combined only in sums. */
#ifndef RT_MATH__NEON_H
#define RT_MATH__NEON_H
#include <arm_neon.h>
#include <math.h>

/* acc + a * b and acc + a * s. */
RT_INLINE float32x4_t math_neon_fma(float32x4_t acc, float32x4_t a, float32x4_t b)
{
#if defined(__aarch64__)
	return vfmaq_f32(acc, a, b);
#else
	return vmlaq_f32(acc, a, b);
#endif
}

RT_INLINE float32x4_t math_neon_fma_n(float32x4_t acc, float32x4_t a, float s)
{
#if defined(__aarch64__)
	return vfmaq_n_f32(acc, a, s);
#else
	return vmlaq_n_f32(acc, a, s);
#endif
}

RT_INLINE float32x4_t math_neon_div(float32x4_t a, float32x4_t b)
{
#if defined(__aarch64__)
	return vdivq_f32(a, b);
#else
	float32x4_t r = vrecpeq_f32(b); /* correct to 8 bits, then 16, then all except one or two of 24 */
	r = vmulq_f32(r, vrecpsq_f32(b, r));
	return vmulq_f32(a, vmulq_f32(r, vrecpsq_f32(b, r)));
#endif
}

/* The first n floats at p, zeros after them; n may be 4 or more. */
RT_INLINE float32x4_t math_neon_load(const float *p, int n)
{
	if (n >= 4)
		return vld1q_f32(p);
	float some[4] = {0};
	for (int i = 0; i < n; i++)
		some[i] = p[i];
	return vld1q_f32(some);
}

RT_INLINE void math_neon_store(float *p, float32x4_t v, int n)
{
	if (n >= 4) {
		vst1q_f32(p, v);
		return;
	}
	float some[4];
	vst1q_f32(some, v);
	for (int i = 0; i < n; i++)
		p[i] = some[i];
}

/* v in the first n lanes, zeros after them. */
RT_INLINE float32x4_t math_neon_keep(float32x4_t v, int n)
{
	const int32_t lane[4] = {0, 1, 2, 3};
	return vreinterpretq_f32_u32(
		vandq_u32(vreinterpretq_u32_f32(v), vcltq_s32(vld1q_s32(lane), vdupq_n_s32(n))));
}

RT_INLINE float math_neon_sum(float32x4_t v)
{
	float32x2_t s = vadd_f32(vget_low_f32(v), vget_high_f32(v));
	return vget_lane_f32(vpadd_f32(s, s), 0);
}

RT_INLINE float math_neon_max(float32x4_t v)
{
	float32x2_t s = vmax_f32(vget_low_f32(v), vget_high_f32(v));
	return vget_lane_f32(vpmax_f32(s, s), 0);
}

/* 4 stored numbers as floats: IEEE halves (see math_from_f16), or the upper halves of floats. */
RT_INLINE float32x4_t math_neon_from_f16(uint16x4_t half)
{
#if defined(__aarch64__)
	return vcvt_f32_f16(vreinterpret_f16_u16(half));
#else
	uint32x4_t h = vmovl_u16(half), exponent = vandq_u32(h, vdupq_n_u32(0x7c00));
	uint32x4_t subnormal = vceqq_u32(exponent, vdupq_n_u32(0)),
			   special = vceqq_u32(exponent, vdupq_n_u32(0x7c00));
	uint32x4_t bits = vaddq_u32(vshlq_n_u32(vandq_u32(h, vdupq_n_u32(0x7fff)), 13), vdupq_n_u32(112u << 23));
	bits = vaddq_u32(bits, vandq_u32(subnormal, vdupq_n_u32(1u << 23)));
	bits = vaddq_u32(bits, vandq_u32(special, vdupq_n_u32(112u << 23)));
	uint32x4_t excess = vandq_u32(subnormal, vreinterpretq_u32_f32(vdupq_n_f32(0x1p-14f)));
	float32x4_t magnitude = vsubq_f32(vreinterpretq_f32_u32(bits), vreinterpretq_f32_u32(excess));
	uint32x4_t sign = vshlq_n_u32(vandq_u32(h, vdupq_n_u32(0x8000)), 16);
	return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(magnitude), sign));
#endif
}

RT_INLINE float32x4_t math_neon_from_bf16(uint16x4_t half)
{
	return vreinterpretq_f32_u32(vshll_n_u16(half, 16));
}

/* v with the sign bit of `sign`. */
RT_INLINE float32x4_t math_neon_with_sign(float32x4_t v, float32x4_t sign)
{
	return vbslq_f32(vdupq_n_u32(0x80000000), sign, v);
}

/* e^x for x <= 0, zero below -87.3 (where floats become subnormal); NaN stays. As in math__avx512.h: x = n
 * ln2 + r. */
RT_INLINE float32x4_t math_neon_exp(float32x4_t x)
{
	const float32x4_t least = vdupq_n_f32(-87.3f), one = vdupq_n_f32(1.0f), round = vdupq_n_f32(12582912.0f);
	uint32x4_t gone = vcltq_f32(x, least);
	x = vmaxq_f32(x, least);
	/* adding 1.5 * 2^23 leaves the nearest integer */
	float32x4_t n = vsubq_f32(vaddq_f32(vmulq_f32(x, vdupq_n_f32(0x1.715476p+0f)), round), round);
	float32x4_t r = math_neon_fma(x, n, vdupq_n_f32(-0x1.62e4p-1f));
	r = math_neon_fma(r, n, vdupq_n_f32(-0x1.7f7d1cp-20f));
	float32x4_t p = vdupq_n_f32(0x1.6a23cep-10f);
	p = math_neon_fma(vdupq_n_f32(0x1.123a2p-7f), p, r);
	p = math_neon_fma(vdupq_n_f32(0x1.5558f2p-5f), p, r);
	p = math_neon_fma(vdupq_n_f32(0x1.555492p-3f), p, r);
	p = math_neon_fma(vdupq_n_f32(0x1.fffffcp-2f), p, r);
	p = math_neon_fma(one, p, r);
	p = math_neon_fma(one, p, r);
	int32x4_t power = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
	return vreinterpretq_f32_u32(
		vbicq_u32(vreinterpretq_u32_f32(vmulq_f32(p, vreinterpretq_f32_s32(power))), gone));
}

/* 1 / (1 + e^-x), computed from e^-|x| to avoid overflow. */
RT_INLINE float32x4_t math_neon_sigmoid(float32x4_t x)
{
	const float32x4_t one = vdupq_n_f32(1.0f);
	float32x4_t e = math_neon_exp(vnegq_f32(vabsq_f32(x)));
	uint32x4_t negative = vcltq_f32(x, vdupq_n_f32(0));
	return math_neon_div(vbslq_f32(negative, e, one), vaddq_f32(one, e));
}

/* tanh |x| = (1 - e) / (1 + e) with e = e^-2|x|; below 0.625, where this cancels, x + x^3 P(x^2). */
RT_INLINE float32x4_t math_neon_tanh(float32x4_t x)
{
	const float32x4_t one = vdupq_n_f32(1.0f);
	float32x4_t e = math_neon_exp(vmulq_f32(vabsq_f32(x), vdupq_n_f32(-2.0f)));
	float32x4_t large = math_neon_div(vsubq_f32(one, e), vaddq_f32(one, e)), z = vmulq_f32(x, x);
	float32x4_t p = vdupq_n_f32(-0x1.76aadp-8f);
	p = math_neon_fma(vdupq_n_f32(0x1.525692p-6f), p, z);
	p = math_neon_fma(vdupq_n_f32(-0x1.b8443ep-5f), p, z);
	p = math_neon_fma(vdupq_n_f32(0x1.110768p-3f), p, z);
	p = math_neon_fma(vdupq_n_f32(-0x1.555534p-2f), p, z);
	uint32x4_t small = vcltq_f32(vabsq_f32(x), vdupq_n_f32(0.625f));
	return vbslq_f32(small, math_neon_fma(x, vmulq_f32(x, z), p), math_neon_with_sign(large, x));
}

/* GELU(x) = max(x, 0) - |x| 0.5 erfc(|x| / sqrt 2): see math__avx2.h. */
RT_INLINE float32x4_t math_neon_gelu(float32x4_t x)
{
	const float32x4_t one = vdupq_n_f32(1.0f);
	float32x4_t t = vminq_f32(vabsq_f32(x), vdupq_n_f32(10.0f));
	float32x4_t e = math_neon_exp(vmulq_f32(vmulq_f32(t, t), vdupq_n_f32(-0.5f)));
	float32x4_t u = math_neon_div(one, math_neon_fma(one, t, vdupq_n_f32(0.3f)));
	float32x4_t p = vdupq_n_f32(-0x1.12fa36p-4f);
	p = math_neon_fma(vdupq_n_f32(0x1.6351f8p-3f), p, u);
	p = math_neon_fma(vdupq_n_f32(0x1.b69534p-5f), p, u);
	p = math_neon_fma(vdupq_n_f32(0x1.661bd2p-4f), p, u);
	p = math_neon_fma(vdupq_n_f32(0x1.1687c4p-3f), p, u);
	p = math_neon_fma(vdupq_n_f32(0x1.dde03ap-4f), p, u);
	float32x4_t tail = vmulq_f32(vmulq_f32(e, u), vmulq_f32(p, t));
	return vsubq_f32(vmaxq_f32(x, vdupq_n_f32(0)), tail);
}

/* ir/enums.def defines the activations. */
RT_INLINE float32x4_t math_neon_act(float32x4_t x, int act)
{
	switch (act) {
	case RT_ACT_GELU: return math_neon_gelu(x);
	case RT_ACT_GELU_TANH: { /* (1 + tanh y) / 2 = sigmoid 2y */
		float32x4_t cubic = math_neon_fma(
			vdupq_n_f32(1.59576912f), vmulq_f32(x, x), vdupq_n_f32(0.0713548163f));
		return vmulq_f32(x, math_neon_sigmoid(vmulq_f32(x, cubic)));
	}
	case RT_ACT_RELU: return vmaxq_f32(x, vdupq_n_f32(0));
	case RT_ACT_SILU: return vmulq_f32(x, math_neon_sigmoid(x));
	case RT_ACT_TANH: return math_neon_tanh(x);
	case RT_ACT_SIGMOID: return math_neon_sigmoid(x);
	default: return x;
	}
}

/* y[n] = exp(x[n] - max(x)); returns 1 / sum(y), 0 for no elements. y may be x. Lane j adds the elements j,
 * j+4, .., so the result depends only on x and n. */
RT_INLINE float math_neon_softmax(float *y, const float *x, int n)
{
	float32x4_t tops = vdupq_n_f32(-INFINITY), sum = vdupq_n_f32(0);
	float top;
	int i = 0;
	for (; i <= n - 4; i += 4)
		tops = vmaxq_f32(tops, vld1q_f32(x + i));
	for (top = math_neon_max(tops); i < n; i++)
		top = x[i] > top ? x[i] : top;
	for (i = 0; i < n; i += 4) {
		float32x4_t e = math_neon_exp(vsubq_f32(math_neon_load(x + i, n - i), vdupq_n_f32(top)));
		math_neon_store(y + i, e, n - i);
		sum = vaddq_f32(sum, n - i >= 4 ? e : math_neon_keep(e, n - i));
	}
	return n > 0 ? 1.0f / math_neon_sum(sum) : 0;
}

/* 4 numbers rounded to 32-bit codes, to nearest even; NaN becomes 0. ARMv7 rounds by adding 1.5 * 2^23, where
 * the last bit has the value 1. */
RT_INLINE int32x4_t math_neon_rounded(float32x4_t x, float inverse)
{
	const float32x4_t v = vmulq_n_f32(x, inverse);
#if defined(__aarch64__)
	return vcvtnq_s32_f32(v);
#else
	const float32x4_t magic = vdupq_n_f32(12582912.0f);
	return vcvtq_s32_f32(vsubq_f32(vaddq_f32(v, magic), magic));
#endif
}

/* 4 static codes, as 32-bit integers, of n floats. Does not use VMAX, which would keep NaN. */
RT_INLINE int32x4_t math_neon_codes(const float *x, const float *m, const float *z, int n)
{
	const float32x4_t least = vdupq_n_f32(-127),
					  v = vaddq_f32(
						  vmulq_f32(math_neon_load(x, n), math_neon_load(m, n)), math_neon_load(z, n));
	return math_neon_rounded(vminq_f32(vbslq_f32(vcgtq_f32(v, least), v, least), vdupq_n_f32(127)), 1);
}

/* math_code_row. */
RT_INLINE void math_neon_code_row(int8_t *q, const float *x, const float *m, const float *z, int n)
{
	for (int k = 0; k < n; k += 8) {
		const int32x4_t low = math_neon_codes(x + k, m + k, z + k, n - k);
		const int32x4_t high = n - k > 4 ? math_neon_codes(x + k + 4, m + k + 4, z + k + 4, n - k - 4)
										 : vdupq_n_s32(0);
		const int8x8_t bytes = vqmovn_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high)));
		if (n - k >= 8) {
			vst1_s8(q + k, bytes);
		} else {
			int8_t some[8];
			vst1_s8(some, bytes);
			memcpy(q + k, some, (size_t)(n - k));
		}
	}
}
#endif
