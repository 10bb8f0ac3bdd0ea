/* layernorm__avx512.c: layernorm__scalar.c with AVX-512. Lane j of the sums adds the elements j, j+16, .. */
#if defined(__x86_64__)
#include "math__avx512.h"

/* 16 elements at p, or those under the mask. */
RT_INLINE RT_TARGET_AVX512 __m512 layernorm_avx512_load(const void *p, size_t i, __mmask16 m, int dtype)
{
	const uint16_t *half = (const uint16_t *)p + i;
	if (dtype == RT_STORED_F16)
		return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, half));
	if (dtype == RT_STORED_BF16)
		return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, half)), 16));
	return _mm512_maskz_loadu_ps(m, (const float *)p + i);
}

/* out[H] = layernorm(a + b + c); b and c may be NULL. The sum waits in out, which is in L1. */
RT_INLINE RT_TARGET_AVX512 void layernorm_avx512_row(float *out, const void *a, const float *b, const float *c,
                                                     const float *gamma, const float *beta, int H, float eps, int dtype)
{
	__m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
	for (int i = 0; i < H; i += 16) {
		__mmask16 m = math_avx512_first(H - i);
		__m512 v = layernorm_avx512_load(a, (size_t)i, m, dtype);
		if (b)
			v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, b + i));
		if (c)
			v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, c + i));
		_mm512_mask_storeu_ps(out + i, m, v);
		sum = _mm512_add_ps(sum, v);
	}
	__m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / (float)H);
	for (int i = 0; i < H; i += 16) {
		__mmask16 m = math_avx512_first(H - i);
		__m512 v = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, out + i), mean);
		squares = _mm512_fmadd_ps(v, v, squares);
	}
	__m512 scale = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)H + eps));
	for (int i = 0; i < H; i += 16) {
		__mmask16 m = math_avx512_first(H - i);
		__m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, out + i), mean), scale);
		v = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, gamma + i), _mm512_maskz_loadu_ps(m, beta + i));
		_mm512_mask_storeu_ps(out + i, m, v);
	}
}

RT_INLINE RT_TARGET_AVX512 void layernorm_f32__avx512(float *out, const float *x, const float *gamma, const float *beta, int r0,
                                                      int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_avx512_row(out + row, x + row, NULL, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE RT_TARGET_AVX512 void add_layernorm_f32__avx512(float *out, const float *x, const float *y, const float *gamma,
                                                          const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_avx512_row(out + row, x + row, y + row, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_avx512(float *out, const void *t0, const int32_t *ids0, const float *t1,
                                                       const int32_t *ids1, const float *t2, const int32_t *ids2,
                                                       const float *gamma, const float *beta, int r0, int r1, int H, float eps,
                                                       int dtype)
{
	for (int r = r0; r < r1; r++) {
		const char *a = (const char *)t0 + (size_t)ids0[r] * (size_t)H * (dtype == RT_STORED_F32 ? 4 : 2);
		const float *b = t1 ? t1 + (size_t)ids1[r] * (size_t)H : NULL, *c = t2 ? t2 + (size_t)ids2[r] * (size_t)H : NULL;
		layernorm_avx512_row(out + (size_t)r * (size_t)H, a, b, c, gamma, beta, H, eps, dtype);
	}
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_f32__avx512(float *out, const void *t0, const int32_t *ids0, const float *t1,
                                                            const int32_t *ids1, const float *t2, const int32_t *ids2,
                                                            const float *gamma, const float *beta, int r0, int r1, int H,
                                                            float eps)
{
	embed_layernorm_avx512(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F32);
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_f16__avx512(float *out, const void *t0, const int32_t *ids0, const float *t1,
                                                            const int32_t *ids1, const float *t2, const int32_t *ids2,
                                                            const float *gamma, const float *beta, int r0, int r1, int H,
                                                            float eps)
{
	embed_layernorm_avx512(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F16);
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_bf16__avx512(float *out, const void *t0, const int32_t *ids0, const float *t1,
                                                             const int32_t *ids1, const float *t2, const int32_t *ids2,
                                                             const float *gamma, const float *beta, int r0, int r1, int H,
                                                             float eps)
{
	embed_layernorm_avx512(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_BF16);
}
#endif
