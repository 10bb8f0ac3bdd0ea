/* attention__avx512.c: attention__scalar.c with AVX-512.
 *
 * Up to 32 queries of a head are in the lanes of two registers. Their scores with a key are two vectors,
 * computed from K's rows as they are, one broadcast element at a time. The softmax over all keys needs no sum
 * across lanes and divides at the end. For the product with V, whose rows are vectors already, the weights of
 * a key are broadcast. So every stride in a loop is a literal, and only queries are transposed. Scores are
 * multiplied by log2 e, so the softmax uses powers of two.
 *
 * K and V of the head are copied first: in the input their rows are thousands of bytes apart and share few
 * sets of L1.
 *
 * Biases are added before this scaling; see attention__avx512.h.
 *
 *   scratch  float queries[d][32], score[keys][32], k[keys][d rounded up to 16], v[keys][d rounded up to 16];
 *            attention_biased: then slice[2 * keys]
 *            attention_relative: then sum[keys][32], products[16][rows of a table], the slice of
 *            attention_biased, and slices of rows */
#if defined(__x86_64__)
#include "attention__avx512.h"
#include "relative__avx512.h"

/* queries[j][i] = factor * element j of query i, for count <= 32 of them; 0 beyond. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_queries(
	float *queries, const float *q, int count, int d, int q_stride, float factor)
{
	RT_UNROLL_NONE for (int i0 = 0; i0 < 32; i0 += 16) RT_UNROLL_NONE for (int j0 = 0; j0 < d; j0 += 16)
	{
		const __mmask16 columns = math_avx512_first(d - j0);
		__m512 r[16];
		RT_UNROLL_FULL for (int i = 0; i < 16;
			i++) /* beyond the last query: loads an existing row with an empty mask */
			r[i]
			= _mm512_mul_ps(_mm512_set1_ps(factor),
				_mm512_maskz_loadu_ps(i0 + i < count ? columns : 0,
					q + (size_t)(i0 + i < count ? i0 + i : 0) * (size_t)q_stride + j0));
		math_avx512_transpose(r);
		RT_UNROLL_FULL for (int j = 0; j < 16; j++) if (j0 + j < d)
			_mm512_storeu_ps(queries + (size_t)(j0 + j) * 32 + (size_t)i0, r[j]);
	}
}

/* Copies rows of d numbers, padded with zeros to a multiple of 16. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_copy(
	float *to, const float *from, int rows, int d, int stride)
{
	const int wide = (d + 15) & ~15;
	for (int t = 0; t < rows; t++)
		for (int j = 0; j < wide; j += 16)
			_mm512_store_ps(to + (size_t)t * (size_t)wide + j,
				_mm512_maskz_loadu_ps(math_avx512_first(d - j), from + (size_t)t * (size_t)stride + j));
}

/* ---- selecting (attention__scalar.c says what), 16 queries in the lanes of each vector ------- */

/* Maps floats to integers of the same order, both zeros to 0; and back. */
RT_INLINE RT_TARGET_AVX512 __m512i attention_avx512_order(__m512 x)
{
	const __m512i bits = _mm512_castps_si512(_mm512_add_ps(x, _mm512_setzero_ps()));
	return _mm512_xor_si512(bits, _mm512_srli_epi32(_mm512_srai_epi32(bits, 31), 1));
}
RT_INLINE RT_TARGET_AVX512 __m512 attention_avx512_float(__m512i order)
{
	return _mm512_castsi512_ps(_mm512_xor_si512(order, _mm512_srli_epi32(_mm512_srai_epi32(order, 31), 1)));
}

/* select_largest in every lane of score[t][..], with keep < keys; low and high as there. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_largest(float *score, int keys, int keep)
{
	const __m512i one = _mm512_set1_epi32(1), wanted = _mm512_set1_epi32(keep);
	__m512 least = _mm512_load_ps(score), most = least;
	for (int t = 1; t < keys; t++) {
		least = _mm512_min_ps(least, _mm512_load_ps(score + 32 * (size_t)t));
		most = _mm512_max_ps(most, _mm512_load_ps(score + 32 * (size_t)t));
	}
	__m512i low = attention_avx512_order(least), high = _mm512_add_epi32(attention_avx512_order(most), one);
	for (;;) {
		const __m512i middle = _mm512_add_epi32(low, _mm512_srli_epi32(_mm512_sub_epi32(high, low), 1));
		const __mmask16 open = _mm512_cmpneq_epi32_mask(middle, low);
		if (!open)
			break;
		const __m512 bound = attention_avx512_float(middle);
		__m512i count = _mm512_setzero_si512();
		RT_UNROLL_4 for (int t = 0; t < keys; t++) count = _mm512_mask_add_epi32(
			count, _mm512_cmp_ps_mask(_mm512_load_ps(score + 32 * (size_t)t), bound, _CMP_GE_OQ), count, one);
		const __mmask16 enough = open & _mm512_cmpge_epi32_mask(count, wanted);
		low = _mm512_mask_mov_epi32(low, enough, middle);
		high = _mm512_mask_mov_epi32(high, open & (__mmask16)~enough, middle);
		high = _mm512_mask_add_epi32(high, open & _mm512_cmpeq_epi32_mask(count, wanted), middle, one);
	}
	const __m512 bound = attention_avx512_float(low);
	__m512i equals = wanted;
	for (int t = 0; t < keys; t++)
		equals = _mm512_mask_sub_epi32(equals,
			_mm512_cmp_ps_mask(_mm512_load_ps(score + 32 * (size_t)t), bound, _CMP_GT_OQ), equals, one);
	for (int t = 0; t < keys; t++) {
		const __m512 x = _mm512_load_ps(score + 32 * (size_t)t);
		const __mmask16 equal = _mm512_cmp_ps_mask(x, bound, _CMP_EQ_OQ),
						spent = _mm512_cmple_epi32_mask(equals, _mm512_setzero_si512());
		_mm512_mask_store_ps(score + 32 * (size_t)t,
			_mm512_cmp_ps_mask(x, bound, _CMP_LT_OQ) | (equal & spent), _mm512_set1_ps(-INFINITY));
		equals = _mm512_mask_sub_epi32(equals, equal, equals, one);
	}
}

/* select_probable in every lane. */
RT_INLINE RT_TARGET_AVX512 __m512 attention_avx512_probable(
	float *score, int keys, float threshold, __m512 inverse)
{
	const __m512 limit = _mm512_set1_ps(threshold);
	__m512 most = _mm512_setzero_ps(), sum = _mm512_setzero_ps();
	for (int t = 0; t < keys; t++)
		most = _mm512_max_ps(_mm512_load_ps(score + 32 * (size_t)t), most);
	__mmask16 none = _mm512_cmp_ps_mask(_mm512_mul_ps(most, inverse), limit, _CMP_LT_OQ);
	for (int t = 0; t < keys; t++) {
		__m512 e = _mm512_load_ps(score + 32 * (size_t)t);
		const __mmask16 first = none & _mm512_cmp_ps_mask(e, most, _CMP_EQ_OQ);
		e = _mm512_maskz_mov_ps(first | _mm512_cmp_ps_mask(_mm512_mul_ps(e, inverse), limit, _CMP_NLT_UQ), e);
		_mm512_store_ps(score + 32 * (size_t)t, e);
		sum = _mm512_add_ps(sum, e);
		none &= (__mmask16)~first;
	}
	return _mm512_maskz_div_ps(keys > 0 ? 0xffff : 0, _mm512_set1_ps(1.0f), sum);
}

/* ---- one head -------------------------------------------------------------------------------- */

/* The weights of count <= 16 nv queries with all keys, in score, and 1 / their sums. If keys are selected,
 * queries are not yet multiplied by scale, because the rounding could make equal scores differ; scale is then
 * applied here. selects: a literal at the call. biases, for queries from i0 on: NULL unless selects is
 * set. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_weights(float *score, float inverse[32],
	const float *queries, const float *k, int keys, int d, int selects, float scale, int keep,
	float threshold, const BiasHead *biases, int i0, int count, int nv)
{
	const int wide = (d + 15) & ~15;
	__m512 top[2] = {_mm512_set1_ps(-INFINITY), _mm512_set1_ps(-INFINITY)},
		   sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
	for (int t = 0, mr; t < keys; t += mr) {
		mr = attention_avx512_height(keys - t);
#define ATTENTION_KEYS(m) \
	case m: \
		attention_avx512_keys( \
			score + 32 * (size_t)t, 32, queries, k + (size_t)t * (size_t)wide, d, wide, top, m, nv); \
		break;
		switch (mr) {
			ATTENTION_KEYS(1) ATTENTION_KEYS(2) ATTENTION_KEYS(4) ATTENTION_KEYS(8)
		}
#undef ATTENTION_KEYS
	}
	if (biases)
		attention_avx512_bias(score, biases, i0, count, keys, scale, 1.0f, top, nv);
	else if (selects) {
		top[1] = _mm512_set1_ps(-INFINITY);
		top[0] = top[1];
		for (int t = 0; t < keys; t++)
			RT_UNROLL_FULL for (int w = 0; w < nv; w++)
			{
				float *at = score + 32 * (size_t)t + 16 * w;
				const __m512 x = _mm512_mul_ps(_mm512_load_ps(at), _mm512_set1_ps(scale));
				_mm512_store_ps(at, x);
				top[w] = _mm512_max_ps(x, top[w]);
			}
	}
	for (int w = 0; selects && w < nv && keep < keys; w++)
		attention_avx512_largest(score + 16 * w, keys, keep);
	for (int t = 0; t < keys; t++)
		RT_UNROLL_FULL for (int w = 0; w < nv; w++)
		{
			float *at = score + 32 * (size_t)t + 16 * w;
			const __m512 x = _mm512_sub_ps(_mm512_loadu_ps(at), top[w]);
			const __m512 e = math_avx512_exp2(selects ? _mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)) : x);
			_mm512_storeu_ps(at, e);
			sum[w] = _mm512_add_ps(sum[w], e);
		}
	const __mmask16 some = keys > 0 ? 0xffff : 0; /* without keys the result is 0 */
	RT_UNROLL_FULL for (int w = 0; w < nv; w++)
	{
		__m512 factor = _mm512_maskz_div_ps(some, _mm512_set1_ps(1.0f), sum[w]);
		if (selects && threshold > 0)
			factor = attention_avx512_probable(score + 16 * w, keys, threshold, factor);
		_mm512_store_ps(inverse + 16 * w, factor);
	}
}

/* Attention of one head for count <= 16 nv queries. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_block(float *out, int out_stride, const float *queries,
	const float *k, const float *v, int count, int keys, int d, float *score, int selects, float scale,
	int keep, float threshold, const BiasHead *biases, int i0, int nv)
{
	const int wide = (d + 15) & ~15;
	_Alignas(64) float inverse[32];
	attention_avx512_weights(
		score, inverse, queries, k, keys, d, selects, scale, keep, threshold, biases, i0, count, nv);
	RT_UNROLL_NONE for (int j = 0; j < d; j += 32) for (int i = 0, mr; i < count; i += mr)
	{
		mr = attention_avx512_height(count - i);
		float *y = out + (size_t)i * (size_t)out_stride + j;
#define ATTENTION_VALUES(m) \
	case m: \
		if (d - j > 16) \
			attention_avx512_values(y, out_stride, score + i, v + j, wide, keys, d - j, inverse + i, m, 2); \
		else \
			attention_avx512_values(y, out_stride, score + i, v + j, wide, keys, d - j, inverse + i, m, 1); \
		break;
		switch (mr) {
			ATTENTION_VALUES(1) ATTENTION_VALUES(2) ATTENTION_VALUES(4) ATTENTION_VALUES(8)
		}
#undef ATTENTION_VALUES
	}
}

/* selects: a literal at the call. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_heads(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, int selects, int keep, float threshold, const RtBias *bias, int nbias,
	const RtRelative *relative, int nrelative, void *scratch)
{
	const int wide = (d + 15) & ~15;
	float *transposed = scratch, *score = transposed + 32 * (size_t)d, *own_k = score + 32 * (size_t)keys;
	float *own_v = own_k + (size_t)keys * (size_t)wide, *sum = own_v + (size_t)keys * (size_t)wide;
	float *products = sum + (nrelative ? 32 * (size_t)keys : 0),
		  *slice = products + 16 * relative_most(relative, nrelative);
	const int32_t *rows[RELATIVE_MOST];
	relative_slices(rows, (int32_t *)(void *)(slice + 2 * (size_t)keys), relative, nrelative, keys);
	for (int h = h0; h < h1; h++) {
		const size_t column = (size_t)h * (size_t)d;
		BiasHead biases = bias_head(slice, bias, nbias, h, keys, 1);
		biases.relative = nrelative ? sum : NULL;
		attention_avx512_copy(own_k, k + column, keys, d, k_stride);
		attention_avx512_copy(own_v, v + column, keys, d, v_stride);
		for (int i = 0; i < queries; i += 32) {
			const int count = rt_min(32, queries - i);
			float *y = out + (size_t)i * (size_t)heads * (size_t)d + column;
			attention_avx512_queries(transposed, q + column + (size_t)i * (size_t)q_stride, count, d,
				q_stride, selects ? 1.0f : scale * 1.44269504f);
			if (nrelative && keys)
				relative_avx512_sums(
					sum, products, relative, rows, nrelative, transposed, own_k, h, d, i, count, keys);
			if (count > 16)
				attention_avx512_block(y, heads * d, transposed, own_k, own_v, count, keys, d, score, selects,
					scale, keep, threshold, nbias + nrelative ? &biases : NULL, i, 2);
			else
				attention_avx512_block(y, heads * d, transposed, own_k, own_v, count, keys, d, score, selects,
					scale, keep, threshold, nbias + nrelative ? &biases : NULL, i, 1);
		}
	}
}

RT_INLINE RT_TARGET_AVX512 void attention_f32__avx512(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, void *scratch)
{
	attention_avx512_heads(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1, scale,
		0, 0, 0, NULL, 0, NULL, 0, scratch);
}

RT_INLINE RT_TARGET_AVX512 void attention_select_f32__avx512(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, int keep, float threshold, void *scratch)
{
	attention_avx512_heads(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1, scale,
		1, keep, threshold, NULL, 0, NULL, 0, scratch);
}

RT_INLINE RT_TARGET_AVX512 void attention_biased_f32__avx512(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, int keep, float threshold, const RtBias *bias, int nbias, void *scratch)
{
	attention_avx512_heads(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1, scale,
		1, keep, threshold, bias, nbias, NULL, 0, scratch);
}

RT_INLINE RT_TARGET_AVX512 void attention_relative_f32__avx512(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, int keep, float threshold, const RtBias *bias, int nbias, const RtRelative *relative,
	int nrelative, void *scratch)
{
	attention_avx512_heads(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1, scale,
		1, keep, threshold, bias, nbias, relative, nrelative, scratch);
}

/* Adds the weights of up to 32 queries across lanes, and those of all queries in sum[keys], in place of v. */
RT_INLINE RT_TARGET_AVX512 void received_f32__avx512(float *out, const float *q, const float *k, int tokens,
	int heads, int d, int q_stride, int k_stride, int h0, int h1, float scale, int keep, float threshold,
	void *scratch)
{
	const int wide = (d + 15) & ~15;
	float *transposed = scratch, *score = transposed + 32 * (size_t)d, *own_k = score + 32 * (size_t)tokens;
	float *sum = own_k + (size_t)tokens * (size_t)wide;
	_Alignas(64) float inverse[32];
	for (int h = h0; h < h1; h++) {
		const size_t column = (size_t)h * (size_t)d;
		attention_avx512_copy(own_k, k + column, tokens, d, k_stride);
		memset(sum, 0, (size_t)tokens * sizeof *sum);
		for (int i = 0; i < tokens; i += 32) {
			const int count = rt_min(32, tokens - i);
			attention_avx512_queries(
				transposed, q + column + (size_t)i * (size_t)q_stride, count, d, q_stride, 1.0f);
			attention_avx512_weights(
				score, inverse, transposed, own_k, tokens, d, 1, scale, keep, threshold, NULL, i, count, 2);
			const __m512 first = _mm512_maskz_load_ps(math_avx512_first(count), inverse);
			const __m512 second = _mm512_maskz_load_ps(math_avx512_first(count - 16), inverse + 16);
			for (int t = 0; t < tokens; t++)
				sum[t] += _mm512_reduce_add_ps(_mm512_fmadd_ps(_mm512_load_ps(score + 32 * (size_t)t), first,
					_mm512_mul_ps(_mm512_load_ps(score + 32 * (size_t)t + 16), second)));
		}
		for (int t = 0; t < tokens; t++)
			out[(size_t)t * (size_t)heads + (size_t)h] = sum[t];
	}
}
#endif
