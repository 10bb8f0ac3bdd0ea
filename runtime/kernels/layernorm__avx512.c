/* layernorm__avx512.c: layernorm__scalar.c with AVX-512. Lane j of sum k adds the elements 64n + 16k + j. */
#if defined(__x86_64__)
#include "math__avx512.h"

/* 16 elements at p, or those under the mask. */
RT_INLINE RT_TARGET_AVX512 __m512 layernorm_avx512_load(const void *p, size_t i, __mmask16 m, int dtype)
{
	const uint16_t *half = (const uint16_t *)p + i;
	if (dtype == RT_STORED_F16)
		return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, half));
	if (dtype == RT_STORED_BF16)
		return _mm512_castsi512_ps(
			_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, half)), 16));
	return _mm512_maskz_loadu_ps(m, (const float *)p + i);
}

/* 16 elements of a + b + c. */
RT_INLINE RT_TARGET_AVX512 __m512 layernorm_avx512_sum(
	const void *a, const float *b, const float *c, int i, __mmask16 m, int dtype)
{
	__m512 v = layernorm_avx512_load(a, (size_t)i, m, dtype);
	if (b)
		v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, b + i));
	if (c)
		v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, c + i));
	return v;
}

RT_INLINE RT_TARGET_AVX512 float layernorm_avx512_reduce(const __m512 lanes[4])
{
	return _mm512_reduce_add_ps(
		_mm512_add_ps(_mm512_add_ps(lanes[0], lanes[1]), _mm512_add_ps(lanes[2], lanes[3])));
}

/* out[H] = layernorm(a + b + c); b and c may be NULL. out, which is in L1, holds the sum meanwhile. Four
 * vectors at a time with separate sums hide the latency of additions. */
RT_INLINE RT_TARGET_AVX512 void layernorm_avx512_row(float *out, const void *a, const float *b,
	const float *c, const float *gamma, const float *beta, int H, float eps, int dtype)
{
	const __m512 zero = _mm512_setzero_ps();
	const __mmask16 all = 0xffff;
	__m512 sum[4] = {zero, zero, zero, zero}, squares[4] = {zero, zero, zero, zero};
	int i = 0;
	for (; i + 64 <= H; i += 64)
		RT_UNROLL_FULL for (int j = 0; j < 4; j++)
		{
			const __m512 v = layernorm_avx512_sum(a, b, c, i + 16 * j, all, dtype);
			_mm512_storeu_ps(out + i + 16 * j, v);
			sum[j] = _mm512_add_ps(sum[j], v);
		}
	for (; i < H; i += 16) {
		const __mmask16 m = math_avx512_first(H - i);
		const __m512 v = layernorm_avx512_sum(a, b, c, i, m, dtype);
		_mm512_mask_storeu_ps(out + i, m, v);
		sum[0] = _mm512_add_ps(sum[0], v);
	}
	const __m512 mean = _mm512_set1_ps(layernorm_avx512_reduce(sum) / (float)H);
	for (i = 0; i + 64 <= H; i += 64)
		RT_UNROLL_FULL for (int j = 0; j < 4; j++)
		{
			const __m512 v = _mm512_sub_ps(_mm512_loadu_ps(out + i + 16 * j), mean);
			squares[j] = _mm512_fmadd_ps(v, v, squares[j]);
		}
	for (; i < H; i += 16) {
		const __mmask16 m = math_avx512_first(H - i);
		const __m512 v = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, out + i), mean);
		squares[0] = _mm512_fmadd_ps(v, v, squares[0]);
	}
	const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(layernorm_avx512_reduce(squares) / (float)H + eps));
	for (i = 0; i < H; i += 16) {
		const __mmask16 m = math_avx512_first(H - i);
		const __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, out + i), mean), scale);
		_mm512_mask_storeu_ps(out + i, m,
			_mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, gamma + i), _mm512_maskz_loadu_ps(m, beta + i)));
	}
}

RT_INLINE RT_TARGET_AVX512 void layernorm_f32__avx512(
	float *out, const float *x, const float *gamma, const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_avx512_row(out + row, x + row, NULL, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE RT_TARGET_AVX512 void add_layernorm_f32__avx512(float *out, const float *x, const float *y,
	const float *gamma, const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		layernorm_avx512_row(out + row, x + row, y + row, NULL, gamma, beta, H, eps, RT_STORED_F32);
	}
}

RT_INLINE RT_TARGET_AVX512 void add_layernorm_codes_f32__avx512(float *out, int8_t *q, float *s,
	const float *x, const float *y, const float *gamma, const float *beta, const float *m, const float *z,
	int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		s[r] = 1;
		layernorm_avx512_row(out + row, x + row, y + row, NULL, gamma, beta, H, eps, RT_STORED_F32);
		math_avx512_code_row(q + row, out + row, m, z, H);
	}
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_avx512(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps, int dtype)
{
	const size_t bytes = (size_t)H * (dtype == RT_STORED_F32 ? 4 : 2);
	for (int r = r0; r < r1; r++) {
		const char *a = (const char *)t0 + (size_t)ids0[r] * bytes;
		if (r + 4 < r1) /* prefetch: rows are scattered in a table that exceeds the caches */
			for (size_t i = 0; i < bytes; i += 64)
				_mm_prefetch((const char *)t0 + (size_t)ids0[r + 4] * bytes + i, _MM_HINT_T0);
		const float *b = t1 ? t1 + (size_t)ids1[r] * (size_t)H : NULL,
					*c = t2 ? t2 + (size_t)ids2[r] * (size_t)H : NULL;
		layernorm_avx512_row(out + (size_t)r * (size_t)H, a, b, c, gamma, beta, H, eps, dtype);
	}
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_f32__avx512(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	embed_layernorm_avx512(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F32);
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_f16__avx512(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	embed_layernorm_avx512(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F16);
}

RT_INLINE RT_TARGET_AVX512 void embed_layernorm_bf16__avx512(float *out, const void *t0, const int32_t *ids0,
	const float *t1, const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	embed_layernorm_avx512(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_BF16);
}
#endif
