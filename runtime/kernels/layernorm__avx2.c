/* layernorm__avx2.c: layernorm__scalar.c with AVX2 and FMA.
 * Lane j of the sums adds the elements j, j+8, .. */
#if defined(__x86_64__)
#include "math__avx2.h"

/* Elements i..i+7 of p, or the first n of them and zeros. */
RT_INLINE RT_TARGET_AVX2 __m256 layernorm_avx2_load(const void *p, size_t i, int n, int dtype)
{
	if (dtype == RT_STORED_F32)
		return math_avx2_load((const float *)p + i, n);
	uint16_t half[8] = {0};
	memcpy(half, (const uint16_t *)p + i, n < 8 ? (size_t)n * 2 : 16);
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)half);
	return dtype == RT_STORED_F16 ? _mm256_cvtph_ps(v)
								  : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

/* out[H] = layernorm(a + b + c); b and c may be NULL. out, which is in L1, holds the sum meanwhile. */
RT_INLINE RT_TARGET_AVX2 void layernorm_avx2_row(float *out, const void *a, const float *b, const float *c,
	const float *gamma, const float *beta, int H, float eps, int dtype)
{
	__m256 sum = _mm256_setzero_ps(), squares = _mm256_setzero_ps();
	for (int i = 0; i < H; i += 8) {
		__m256 v = layernorm_avx2_load(a, (size_t)i, H - i, dtype);
		if (b)
			v = _mm256_add_ps(v, math_avx2_load(b + i, H - i));
		if (c)
			v = _mm256_add_ps(v, math_avx2_load(c + i, H - i));
		math_avx2_store(out + i, v, H - i);
		sum = _mm256_add_ps(sum, v);
	}
	__m256 mean = _mm256_set1_ps(math_avx2_sum(sum) / (float)H);
	for (int i = 0; i < H; i += 8) {
		__m256 v = _mm256_sub_ps(math_avx2_load(out + i, H - i), mean);
		if (H - i < 8)
			v = _mm256_and_ps(v, _mm256_castsi256_ps(math_avx2_first(H - i)));
		squares = _mm256_fmadd_ps(v, v, squares);
	}
	__m256 scale = _mm256_set1_ps(1.0f / sqrtf(math_avx2_sum(squares) / (float)H + eps));
	for (int i = 0; i < H; i += 8) {
		__m256 v = _mm256_mul_ps(_mm256_sub_ps(math_avx2_load(out + i, H - i), mean), scale);
		v = _mm256_fmadd_ps(v, math_avx2_load(gamma + i, H - i), math_avx2_load(beta + i, H - i));
		math_avx2_store(out + i, v, H - i);
	}
}

RT_INLINE RT_TARGET_AVX2 void layernorm_f32__avx2(
	float *out, const float *x, const float *gamma, const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_avx2_row(out + row, x + row, NULL, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE RT_TARGET_AVX2 void add_layernorm_f32__avx2(float *out, const float *x, const float *y,
	const float *gamma, const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_avx2_row(out + row, x + row, y + row, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE RT_TARGET_AVX2 void add_layernorm_codes_f32__avx2(float *out, int8_t *q, float *s, const float *x,
	const float *y, const float *gamma, const float *beta, const float *m, const float *z, int r0, int r1,
	int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		s[r] = 1;
		layernorm_avx2_row(out + row, x + row, y + row, NULL, gamma, beta, H, eps, RT_STORED_F32);
		math_avx2_code_row(q + row, out + row, m, z, H);
	}
}

RT_INLINE RT_TARGET_AVX2 void embed_layernorm_avx2(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps, int dtype)
{
	for (int r = r0; r < r1; r++) {
		const char *a = (const char *)t0 + (size_t)ids0[r] * (size_t)H * (dtype == RT_STORED_F32 ? 4 : 2);
		const float *b = t1 ? t1 + (size_t)ids1[r] * (size_t)H : NULL,
					*c = t2 ? t2 + (size_t)ids2[r] * (size_t)H : NULL;
		layernorm_avx2_row(out + (size_t)r * (size_t)H, a, b, c, gamma, beta, H, eps, dtype);
	}
}

RT_INLINE RT_TARGET_AVX2 void embed_layernorm_f32__avx2(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	embed_layernorm_avx2(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F32);
}

RT_INLINE RT_TARGET_AVX2 void embed_layernorm_f16__avx2(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	embed_layernorm_avx2(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F16);
}

RT_INLINE RT_TARGET_AVX2 void embed_layernorm_bf16__avx2(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	embed_layernorm_avx2(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_BF16);
}
#endif
