/* math__scalar.h: scalar functions in plain C17: the float formats of stored weights, and the activations. */
#ifndef RT_MATH__SCALAR_H
#define RT_MATH__SCALAR_H
#include <math.h>

RT_INLINE float math_float(uint32_t bits)
{
	float x;
	memcpy(&x, &bits, 4);
	return x;
}
RT_INLINE uint32_t math_bits(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, 4);
	return bits;
}

/* IEEE half to float, exact, without branches so that compilers vectorise it. The exponent moves from bias 15
 * to 127. Subnormals get the exponent of the smallest normal half, 2^-14, which is then subtracted. Infinity
 * and NaN get exponent 255. */
RT_INLINE float math_from_f16(uint16_t h)
{
	uint32_t exponent = h & 0x7c00u, bits = ((uint32_t)(h & 0x7fffu) << 13) + (112u << 23);
	uint32_t subnormal = exponent ? 0 : 1u << 23;
	bits += subnormal + (exponent == 0x7c00u ? 112u << 23 : 0);
	float magnitude = math_float(bits) - (exponent ? 0.0f : 0x1p-14f);
	return math_float(math_bits(magnitude) | (uint32_t)(h & 0x8000u) << 16);
}

RT_INLINE float math_from_bf16(uint16_t h) { return math_float((uint32_t)h << 16); }

/* Element i of weights stored as dtype (RT_STORED_*). */
RT_INLINE float math_stored(const void *w, size_t i, int dtype)
{
	if (dtype == RT_STORED_F16)
		return math_from_f16(((const uint16_t *)w)[i]);
	if (dtype == RT_STORED_BF16)
		return math_from_bf16(((const uint16_t *)w)[i]);
	return ((const float *)w)[i];
}

RT_INLINE float math_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/* ir/enums.def defines the activations. */
RT_INLINE float math_act(float x, int act)
{
	switch (act) {
	case RT_ACT_GELU:
		return 0.5f * x * erfcf(x * -0.707106781f); /* erfc keeps the digits of the negative side */
	case RT_ACT_GELU_TANH:                          /* (1 + tanh y) / 2 = sigmoid 2y */
		return x * math_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
	case RT_ACT_RELU: return x < 0 ? 0 : x;
	case RT_ACT_SILU: return x * math_sigmoid(x);
	case RT_ACT_TANH: return tanhf(x);
	case RT_ACT_SIGMOID: return math_sigmoid(x);
	default: return x;
	}
}

/* q[n] = static codes of x[n]: x * m + z, product and sum each rounded to f32, then to nearest even and
 * clamped to -127..127. NaN gets -127. */
RT_INLINE void math_code_row(int8_t *q, const float *x, const float *m, const float *z, int n)
{
	for (int k = 0; k < n; k++) {
		const float product = x[k] * m[k], code = nearbyintf(product + z[k]);
		const float low = code > -127 ? code : -127;
		q[k] = (int8_t)(low > 127 ? 127 : low);
	}
}
#endif
