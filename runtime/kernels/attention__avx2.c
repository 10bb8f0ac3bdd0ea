/* attention__avx2.c: attention__scalar.c with AVX2 and FMA, similar to attention__avx512.c.
 *
 *   scratch  float packed[keys*d], panel p = packed + p*16*d is K^T[d][min(16, keys - p*16)]
 *            float score[4][keys]; received: sum[keys] after it, attention_biased: slice[2 * keys];
 *            attention_relative: sum[32][keys], products[4][rows of a table], then the slices */
#if defined(__x86_64__)
#include "math__avx2.h"
#include "bias__scalar.h"
#include "relative__scalar.h"
#include "select__scalar.h"

RT_INLINE RT_TARGET_AVX2 void attention_avx2_pack(
	float *packed, const float *k, int keys, int d, int k_stride)
{
	for (int t0 = 0; t0 < keys; t0 += 8) {
		int width = rt_min(16, keys - (t0 & ~15)), count = rt_min(8, keys - t0);
		float *to = packed + (size_t)(t0 & ~15) * (size_t)d + (t0 & 15);
		for (int j0 = 0; j0 < d; j0 += 8) {
			__m256 r[8];
			RT_UNROLL_FULL for (int i = 0; i < 8; i++) r[i] = i < count
				? math_avx2_load(k + (size_t)(t0 + i) * (size_t)k_stride + j0, d - j0)
				: _mm256_setzero_ps();
			math_avx2_transpose(r);
			RT_UNROLL_FULL for (int j = 0; j < 8; j++) if (j0 + j < d)
				math_avx2_store(to + (size_t)(j0 + j) * (size_t)width, r[j], count);
		}
	}
}

/* c[i][n] = scale[i] * sum over t of a[i][t] b[t][n] for i < mr and n < cols, at most 16. as, bs, cs: strides
 * of the rows of a, b, c. whole: cols >= 16, a literal at the call, so that no masks are needed. */
RT_INLINE RT_TARGET_AVX2 void attention_avx2_tile(float *c, int cs, const float *a, int as, const float *b,
	int bs, int length, int cols, const float *scale, int mr, int whole)
{
	__m256 acc[4][2];
	__m256i m0 = math_avx2_first(cols), m1 = math_avx2_first(cols - 8);
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int t = 0; t < length; t++, b += bs) {
		__m256 b0 = whole ? _mm256_loadu_ps(b) : _mm256_maskload_ps(b, m0);
		__m256 b1 = whole ? _mm256_loadu_ps(b + 8) : _mm256_maskload_ps(b + 8, m1);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			__m256 x = _mm256_broadcast_ss(a + (size_t)i * (size_t)as + (size_t)t);
			acc[i][0] = _mm256_fmadd_ps(x, b0, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(x, b1, acc[i][1]);
		}
	}
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
	{
		__m256 factor = _mm256_broadcast_ss(scale + i);
		math_avx2_store(c + (size_t)i * (size_t)cs, _mm256_mul_ps(acc[i][0], factor), cols);
		math_avx2_store(c + (size_t)i * (size_t)cs + 8, _mm256_mul_ps(acc[i][1], factor), cols - 8);
	}
}

/* out[m][n] = product of x[m] and row n of 16 rows of a table that lie side by side. */
RT_INLINE RT_TARGET_AVX2 void relative_avx2_products(
	float *out, int stride, const float *x, int x_stride, const float *row, int d, int mr)
{
	static const float ones[4] = {1, 1, 1, 1};
#define RELATIVE_PRODUCTS(m) \
	case m: attention_avx2_tile(out, stride, x, x_stride, row, RELATIVE_PANEL, d, 16, ones, m, 1); break;
	switch (mr) {
		RELATIVE_PRODUCTS(1) RELATIVE_PRODUCTS(2) RELATIVE_PRODUCTS(3) RELATIVE_PRODUCTS(4)
	}
#undef RELATIVE_PRODUCTS
}
RELATIVE_SUMS(relative_avx2_sums, RT_TARGET_AVX2, relative_avx2_products)

/* The weights of mr queries from i0 on with all keys, for one head: scores, optional biases, selection and
 * softmax. factor: 1 / sum for each query. */
RT_INLINE RT_TARGET_AVX2 void attention_avx2_weights(const float *q, int q_stride, const float *packed,
	int keys, int d, float scale, int keep, float threshold, float *score, float factor[4],
	const BiasHead *biases, int i0, int mr)
{
	for (int i = 0; i < mr; i++)
		factor[i] = scale;
	for (int t = 0; t < keys; t += 16) {
		const float *panel = packed + (size_t)t * (size_t)d;
		if (keys - t >= 16)
			attention_avx2_tile(score + t, keys, q, q_stride, panel, 16, d, 16, factor, mr, 1);
		else
			attention_avx2_tile(score + t, keys, q, q_stride, panel, keys - t, d, keys - t, factor, mr, 0);
	}
	for (int i = 0; i < mr; i++) {
		float *row = score + (size_t)i * (size_t)keys;
		if (biases)
			bias_add(row, biases, i0 + i, keys);
		select_largest(row, keys, keep);
		factor[i] = math_avx2_softmax(row, row, keys);
		if (threshold > 0)
			factor[i] = select_probable(row, keys, threshold, factor[i]);
	}
}

/* mr queries of one head, all keys. */
RT_INLINE RT_TARGET_AVX2 void attention_avx2_queries(float *out, int out_stride, const float *q, int q_stride,
	const float *packed, const float *v, int v_stride, int keys, int d, float scale, int keep,
	float threshold, float *score, const BiasHead *biases, int i0, int mr)
{
	float factor[4];
	attention_avx2_weights(
		q, q_stride, packed, keys, d, scale, keep, threshold, score, factor, biases, i0, mr);
	for (int j = 0; j < d; j += 16)
		if (d - j >= 16)
			attention_avx2_tile(out + j, out_stride, score, keys, v + j, v_stride, keys, 16, factor, mr, 1);
		else
			attention_avx2_tile(
				out + j, out_stride, score, keys, v + j, v_stride, keys, d - j, factor, mr, 0);
}

RT_INLINE RT_TARGET_AVX2 void attention_relative_f32__avx2(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, int keep, float threshold, const RtBias *bias, int nbias, const RtRelative *relative,
	int nrelative, void *scratch)
{
	float *packed = scratch, *score = packed + (size_t)keys * (size_t)d, *sum = score + 6 * (size_t)keys,
		  *products = sum + RELATIVE_BLOCK * (size_t)keys;
	const int32_t *slice[RELATIVE_MOST];
	relative_slices(slice, (int32_t *)(void *)(products + 4 * relative_most(relative, nrelative)), relative,
		nrelative, keys);
	for (int h = h0; h < h1; h++) {
		size_t column = (size_t)h * (size_t)d;
		BiasHead biases = bias_head(score + 4 * (size_t)keys, bias, nbias, h, keys, 0);
		attention_avx2_pack(packed, k + column, keys, d, k_stride);
		for (int i = 0, mr; i < queries; i += mr) {
			if (nrelative && keys && i % RELATIVE_BLOCK == 0) {
				const int count = rt_min(RELATIVE_BLOCK, queries - i);
				memset(sum, 0, (size_t)count * (size_t)keys * sizeof *sum);
				for (int b = 0; b < nrelative; b++)
					relative_avx2_sums(sum, products, relative + b, slice[b],
						relative[b].by_key ? k + column : q + (size_t)i * (size_t)q_stride + column,
						relative[b].by_key ? k_stride : q_stride, h, d, i, count, keys);
				biases.relative = sum;
				biases.first = i;
			}
			float *y = out + (size_t)i * (size_t)heads * (size_t)d + column;
			const float *query = q + (size_t)i * (size_t)q_stride + column;
			mr = queries - i >= 2 ? 2 : 1;
			if (queries - i >= 4)
				mr = 4;
#define ATTENTION_QUERIES(m) \
	case m: \
		attention_avx2_queries(y, heads *d, query, q_stride, packed, v + column, v_stride, keys, d, scale, \
			keep, threshold, score, nbias + nrelative ? &biases : NULL, i, m); \
		break;
			switch (mr) {
				ATTENTION_QUERIES(1) ATTENTION_QUERIES(2) ATTENTION_QUERIES(4)
			}
#undef ATTENTION_QUERIES
		}
	}
}

RT_INLINE RT_TARGET_AVX2 void attention_biased_f32__avx2(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, int keep, float threshold, const RtBias *bias, int nbias, void *scratch)
{
	attention_relative_f32__avx2(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1,
		scale, keep, threshold, bias, nbias, NULL, 0, scratch);
}

RT_INLINE RT_TARGET_AVX2 void attention_select_f32__avx2(float *out, const float *q, const float *k,
	const float *v, int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0,
	int h1, float scale, int keep, float threshold, void *scratch)
{
	attention_biased_f32__avx2(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1,
		scale, keep, threshold, NULL, 0, scratch);
}

RT_INLINE RT_TARGET_AVX2 void attention_f32__avx2(float *out, const float *q, const float *k, const float *v,
	int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1,
	float scale, void *scratch)
{
	attention_select_f32__avx2(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1,
		scale, INT32_MAX, 0, scratch);
}

/* Adds up the weights of all queries in float sum[keys], after the scores. */
RT_INLINE RT_TARGET_AVX2 void received_f32__avx2(float *out, const float *q, const float *k, int tokens,
	int heads, int d, int q_stride, int k_stride, int h0, int h1, float scale, int keep, float threshold,
	void *scratch)
{
	float *packed = scratch, *score = packed + (size_t)tokens * (size_t)d, *sum = score + 4 * (size_t)tokens;
	for (int h = h0; h < h1; h++) {
		size_t column = (size_t)h * (size_t)d;
		attention_avx2_pack(packed, k + column, tokens, d, k_stride);
		memset(sum, 0, (size_t)tokens * sizeof *sum);
		for (int i = 0, mr; i < tokens; i += mr) {
			const float *query = q + (size_t)i * (size_t)q_stride + column;
			float factor[4];
			mr = tokens - i >= 4 ? 4 : 1;
			if (mr == 4)
				attention_avx2_weights(
					query, q_stride, packed, tokens, d, scale, keep, threshold, score, factor, NULL, i, 4);
			else
				attention_avx2_weights(
					query, q_stride, packed, tokens, d, scale, keep, threshold, score, factor, NULL, i, 1);
			for (int m = 0; m < mr; m++)
				for (int t = 0; t < tokens; t++)
					sum[t] += score[(size_t)m * (size_t)tokens + (size_t)t] * factor[m];
		}
		for (int t = 0; t < tokens; t++)
			out[(size_t)t * (size_t)heads + (size_t)h] = sum[t];
	}
}
#endif
