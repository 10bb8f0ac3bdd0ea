/* attention_bf16__avx512bf16.c: attention__scalar.c with both products in bf16 (VDPBF16PS) and the softmax
 * between them in f32, for programs with linears in bf16 or int8. The loops are those of attention__avx512.c,
 * over pairs: two elements of a key and a query, or two keys of a weight and a value.
 *
 * q (multiplied by scale), k, v and the weights 2^(score - largest) are rounded to bf16. The division by the
 * sum comes last. The output has a cosine above 0.9999 with the exact one. 8-bit codes would lose the many
 * small weights beside a large one.
 *
 *   scratch  uint16_t queries[d/2][32][2], k[keys][d], v[keys/2][d rounded up to 16][2]
 *            uint16_t weight[keys/2][32][2]
 *            float score[keys][32], of attention_biased slice[2 * keys]
 *
 * with d rounded up to 32 and keys rounded up to 2, padded with zeros. */
#if defined(__x86_64__)
#include "attention__avx512.h"

/* 32 numbers as bf16; numbers from `count` on are 0. */
RT_INLINE RT_TARGET_AVX512BF16 __m512i attention_bf16_round(const float *x, int count, __m512 factor)
{
	const __m512 a = _mm512_maskz_loadu_ps(math_avx512_first(count), x);
	const __m512 b = _mm512_maskz_loadu_ps(math_avx512_first(count - 16), count > 16 ? x + 16 : x);
	return (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(b, factor), _mm512_mul_ps(a, factor));
}

/* Two vectors of 16 floats as 16 pairs of bf16. */
RT_INLINE RT_TARGET_AVX512BF16 __m512i attention_bf16_pairs(__m512 first, __m512 second)
{
	const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
		23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
	return _mm512_permutexvar_epi16(interleave, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

/* queries[j][i] = elements 2j and 2j+1 of query i times factor, for count <= 32 of them; the rest of the last
 * vector is 0. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_queries(
	uint16_t *queries, const float *q, int count, int d, int q_stride, float factor)
{
	for (int i0 = 0; i0 < count; i0 += 16)
		for (int j0 = 0; j0 < d; j0 += 32) {
			__m512 r[16];
			RT_UNROLL_FULL for (int i = 0; i < 16; i++) r[i] = (__m512)attention_bf16_round(
				q + (size_t)(i0 + i < count ? i0 + i : 0) * (size_t)q_stride + j0,
				i0 + i < count ? d - j0 : 0, _mm512_set1_ps(factor));
			math_avx512_transpose(r);
			RT_UNROLL_FULL for (int j = 0; j < 16; j++)
				_mm512_store_ps(queries + ((size_t)(j0 / 2 + j) * 32 + (size_t)i0) * 2, r[j]);
		}
}

/* score[t][..] = scores of 16 nv queries with the keys k[t], t < mr; top becomes the largest of each query.
 */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_keys(
	float *score, const uint16_t *queries, const uint16_t *k, int d, __m512 top[2], int mr, int nv)
{
	const int wide = (d + 31) & ~31;
	__m512 acc[8][2];
	RT_UNROLL_FULL for (int t = 0; t < mr; t++) RT_UNROLL_FULL for (int v = 0; v < nv; v++) acc[t][v]
		= _mm512_setzero_ps();
	for (int j = 0; j < (d + 1) / 2; j++) {
		__m512bh x[2];
		RT_UNROLL_FULL for (int v = 0; v < nv; v++) x[v] = (__m512bh)_mm512_load_si512(
			queries + ((size_t)j * 32 + 16 * (size_t)v) * 2);
		RT_UNROLL_FULL for (int t = 0; t < mr; t++)
		{
			int32_t pair;
			memcpy(&pair, k + (size_t)t * (size_t)wide + 2 * (size_t)j, 4);
			RT_UNROLL_FULL for (int v = 0; v < nv; v++) acc[t][v] = _mm512_dpbf16_ps(
				acc[t][v], (__m512bh)_mm512_set1_epi32(pair), x[v]);
		}
	}
	RT_UNROLL_FULL for (int t = 0; t < mr; t++) RT_UNROLL_FULL for (int v = 0; v < nv; v++)
	{
		_mm512_store_ps(score + 32 * t + 16 * v, acc[t][v]);
		top[v] = _mm512_max_ps(acc[t][v], top[v]);
	}
}

/* out[i][n] = inverse[i] * sum over t of weight[t][i] v[t][n] for i < mr and n < columns <= 16 nv; the stride
 * of v's rows of pairs is 2 * wide. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_values(float *out, int out_stride, const uint16_t *weight,
	const uint16_t *v, int wide, int keys, int columns, const float *inverse, int mr, int nv)
{
	__m512 acc[8][2];
	const __mmask16 m[2] = {math_avx512_first(columns), math_avx512_first(columns - 16)};
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < nv; j++) acc[i][j]
		= _mm512_setzero_ps();
	for (int t = 0; t < (keys + 1) / 2; t++) {
		__m512bh row[2];
		RT_UNROLL_FULL for (int j = 0; j < nv; j++) row[j] = (__m512bh)_mm512_load_si512(
			v + ((size_t)t * (size_t)wide + 16 * (size_t)j) * 2);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			int32_t pair;
			memcpy(&pair, weight + ((size_t)t * 32 + (size_t)i) * 2, 4);
			RT_UNROLL_FULL for (int j = 0; j < nv; j++) acc[i][j] = _mm512_dpbf16_ps(
				acc[i][j], (__m512bh)_mm512_set1_epi32(pair), row[j]);
		}
	}
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < nv; j++)
		_mm512_mask_storeu_ps(out + (size_t)i * (size_t)out_stride + 16 * j, m[j],
			_mm512_mul_ps(acc[i][j], _mm512_set1_ps(inverse[i])));
}

/* weight = 2^(score - top) in pairs of keys, 0 past the last key; inverse = 1 / sum, or 0 without keys. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_softmax(
	uint16_t *weight, float *inverse, const float *score, const __m512 top[2], int keys, int nv)
{
	__m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
	for (int t = 0; t < keys; t += 2)
		RT_UNROLL_FULL for (int v = 0; v < nv; v++)
		{
			const float *at = score + 32 * (size_t)t + 16 * v;
			const __m512 a = math_avx512_exp2_low(_mm512_sub_ps(_mm512_load_ps(at), top[v]));
			const __m512 b = t + 1 < keys
				? math_avx512_exp2_low(_mm512_sub_ps(_mm512_load_ps(at + 32), top[v]))
				: _mm512_setzero_ps();
			_mm512_store_si512(weight + 32 * (size_t)t + 32 * v, attention_bf16_pairs(a, b));
			sum[v] = _mm512_add_ps(sum[v], _mm512_add_ps(a, b));
		}
	RT_UNROLL_FULL for (int v = 0; v < nv; v++) _mm512_store_ps(
		inverse + 16 * v, _mm512_maskz_div_ps(keys > 0 ? 0xffff : 0, _mm512_set1_ps(1.0f), sum[v]));
}

/* Attention of one head for count <= 16 nv queries from i0 on; biases may be NULL. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_block(float *out, int out_stride, const uint16_t *queries,
	const uint16_t *k, const uint16_t *v, int count, int keys, int d, uint16_t *weight, float *score,
	const BiasHead *biases, int i0, int nv)
{
	const int wide_k = (d + 31) & ~31, wide_v = (d + 15) & ~15;
	_Alignas(64) float inverse[32];
	__m512 top[2] = {_mm512_set1_ps(-INFINITY), _mm512_set1_ps(-INFINITY)};
	for (int t = 0, mr; t < keys; t += mr) {
		mr = attention_avx512_height(keys - t);
#define ATTENTION_KEYS(m) \
	case m: \
		attention_bf16_keys(score + 32 * (size_t)t, queries, k + (size_t)t * (size_t)wide_k, d, top, m, nv); \
		break;
		switch (mr) {
			ATTENTION_KEYS(1) ATTENTION_KEYS(2) ATTENTION_KEYS(4) ATTENTION_KEYS(8)
		}
#undef ATTENTION_KEYS
	}
	if (biases)
		attention_avx512_bias(score, biases, i0, count, keys, 1.0f, 1.44269504f, top, nv);
	attention_bf16_softmax(weight, inverse, score, top, keys, nv);
	for (int j = 0; j < d; j += 32)
		for (int i = 0, mr; i < count; i += mr) {
			mr = attention_avx512_height(count - i);
			float *y = out + (size_t)i * (size_t)out_stride + j;
#define ATTENTION_VALUES(m) \
	case m: \
		if (d - j > 16) \
			attention_bf16_values( \
				y, out_stride, weight + 2 * i, v + 2 * j, wide_v, keys, d - j, inverse + i, m, 2); \
		else \
			attention_bf16_values( \
				y, out_stride, weight + 2 * i, v + 2 * j, wide_v, keys, d - j, inverse + i, m, 1); \
		break;
			switch (mr) {
				ATTENTION_VALUES(1) ATTENTION_VALUES(2) ATTENTION_VALUES(4) ATTENTION_VALUES(8)
			}
#undef ATTENTION_VALUES
		}
}

/* K and V of one head as bf16, V in pairs of keys. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_bring(uint16_t *own_k, uint16_t *own_v, const float *k,
	const float *v, int keys, int d, int k_stride, int v_stride)
{
	const int wide_k = (d + 31) & ~31, wide_v = (d + 15) & ~15;
	for (int t = 0; t < keys; t++)
		for (int j = 0; j < d; j += 32)
			_mm512_store_si512(own_k + (size_t)t * (size_t)wide_k + j,
				attention_bf16_round(k + (size_t)t * (size_t)k_stride + j, d - j, _mm512_set1_ps(1.0f)));
	for (int t = 0; t < keys; t += 2)
		for (int j = 0; j < d; j += 16) {
			const __mmask16 m = math_avx512_first(d - j);
			const float *row = v + (size_t)t * (size_t)v_stride + j;
			const __m512 a = _mm512_maskz_loadu_ps(m, row);
			const __m512 b = _mm512_maskz_loadu_ps(t + 1 < keys ? m : 0, t + 1 < keys ? row + v_stride : row);
			_mm512_store_si512(
				own_v + ((size_t)(t / 2) * (size_t)wide_v + (size_t)j) * 2, attention_bf16_pairs(a, b));
		}
}

/* attention has no bias (nbias 0). */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_heads(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, const RtBias *bias, int nbias, void *scratch)
{
	const int wide_k = (d + 31) & ~31, wide_v = (d + 15) & ~15, even = (keys + 1) & ~1;
	uint16_t *transposed = scratch, *weight = transposed + 32 * (size_t)wide_k,
			 *own_k = weight + 32 * (size_t)even;
	uint16_t *own_v = own_k + (size_t)even * (size_t)wide_k;
	float *score = (float *)(void *)(own_v + (size_t)even * (size_t)wide_v),
		  *slice = score + 32 * (size_t)keys;
	for (int h = h0; h < h1; h++) {
		const size_t column = (size_t)h * (size_t)d;
		const BiasHead biases = bias_head(slice, bias, nbias, h, keys, 1);
		attention_bf16_bring(own_k, own_v, k + column, v + column, keys, d, k_stride, v_stride);
		for (int i = 0; i < queries; i += 32) {
			const int count = rt_min(32, queries - i);
			float *y = out + (size_t)i * (size_t)heads * (size_t)d + column;
			attention_bf16_queries(transposed, q + column + (size_t)i * (size_t)q_stride, count, d, q_stride,
				scale * 1.44269504f);
			if (count > 16)
				attention_bf16_block(y, heads * d, transposed, own_k, own_v, count, keys, d, weight, score,
					nbias ? &biases : NULL, i, 2);
			else
				attention_bf16_block(y, heads * d, transposed, own_k, own_v, count, keys, d, weight, score,
					nbias ? &biases : NULL, i, 1);
		}
	}
}

RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16__avx512bf16(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, void *scratch)
{
	attention_bf16_heads(
		out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1, scale, NULL, 0, scratch);
}

/* Does not select: keep and threshold always mean all keys. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_biased_bf16__avx512bf16(float *out, const float *q,
	const float *k, const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride,
	int v_stride, int h0, int h1, float scale, int keep, float threshold, const RtBias *bias, int nbias,
	void *scratch)
{
	(void)keep, (void)threshold;
	attention_bf16_heads(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1, scale,
		bias, nbias, scratch);
}
#endif
