/* layernorm__neon.c: layernorm__scalar.c with NEON, AArch64 and ARMv7. Lane j of the sums adds the elements
 * j, j+4, .. */
#if defined(__ARM_NEON)
#include "math__neon.h"

/* Elements i..i+3 of p, or the first n of them and zeros. */
RT_INLINE float32x4_t layernorm_neon_load(const void *p, size_t i, int n, int dtype)
{
	if (dtype == RT_STORED_F32)
		return math_neon_load((const float *)p + i, n);
	uint16_t half[4] = {0};
	memcpy(half, (const uint16_t *)p + i, n < 4 ? (size_t)n * 2 : 8);
	return dtype == RT_STORED_F16 ? math_neon_from_f16(vld1_u16(half)) : math_neon_from_bf16(vld1_u16(half));
}

/* out[H] = layernorm(a + b + c); b and c may be NULL. out, which is in L1, holds the sum meanwhile. */
RT_INLINE void layernorm_neon_row(float *out, const void *a, const float *b, const float *c,
	const float *gamma, const float *beta, int H, float eps, int dtype)
{
	float32x4_t sum = vdupq_n_f32(0), squares = vdupq_n_f32(0);
	for (int i = 0; i < H; i += 4) {
		float32x4_t v = layernorm_neon_load(a, (size_t)i, H - i, dtype);
		if (b)
			v = vaddq_f32(v, math_neon_load(b + i, H - i));
		if (c)
			v = vaddq_f32(v, math_neon_load(c + i, H - i));
		math_neon_store(out + i, v, H - i);
		sum = vaddq_f32(sum, v);
	}
	float32x4_t mean = vdupq_n_f32(math_neon_sum(sum) / (float)H);
	for (int i = 0; i < H; i += 4) {
		float32x4_t v = vsubq_f32(math_neon_load(out + i, H - i), mean);
		if (H - i < 4)
			v = math_neon_keep(v, H - i);
		squares = math_neon_fma(squares, v, v);
	}
	float scale = 1.0f / sqrtf(math_neon_sum(squares) / (float)H + eps);
	for (int i = 0; i < H; i += 4) {
		float32x4_t v = vmulq_n_f32(vsubq_f32(math_neon_load(out + i, H - i), mean), scale);
		v = math_neon_fma(math_neon_load(beta + i, H - i), v, math_neon_load(gamma + i, H - i));
		math_neon_store(out + i, v, H - i);
	}
}

RT_INLINE void RT_NEON(layernorm_f32)(
	float *out, const float *x, const float *gamma, const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_neon_row(out + row, x + row, NULL, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE void RT_NEON(add_layernorm_f32)(float *out, const float *x, const float *y, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_neon_row(out + row, x + row, y + row, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE void RT_NEON(add_layernorm_codes_f32)(float *out, int8_t *q, float *s, const float *x,
	const float *y, const float *gamma, const float *beta, const float *m, const float *z, int r0, int r1,
	int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		s[r] = 1;
		layernorm_neon_row(out + row, x + row, y + row, NULL, gamma, beta, H, eps, RT_STORED_F32);
		math_neon_code_row(q + row, out + row, m, z, H);
	}
}

RT_INLINE void embed_layernorm_neon(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps, int dtype)
{
	for (int r = r0; r < r1; r++) {
		const char *a = (const char *)t0 + (size_t)ids0[r] * (size_t)H * (dtype == RT_STORED_F32 ? 4 : 2);
		const float *b = t1 ? t1 + (size_t)ids1[r] * (size_t)H : NULL,
					*c = t2 ? t2 + (size_t)ids2[r] * (size_t)H : NULL;
		layernorm_neon_row(out + (size_t)r * (size_t)H, a, b, c, gamma, beta, H, eps, dtype);
	}
}

RT_INLINE void RT_NEON(embed_layernorm_f32)(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps)
{
	embed_layernorm_neon(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F32);
}

RT_INLINE void RT_NEON(embed_layernorm_f16)(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps)
{
	embed_layernorm_neon(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F16);
}

RT_INLINE void RT_NEON(embed_layernorm_bf16)(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps)
{
	embed_layernorm_neon(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_BF16);
}
#endif
