/* attention__scalar.c: softmax(q k^T * scale) v for heads h0..h1-1 of one text.
 *
 *   out  [queries][heads*d]      head h fills columns h*d..h*d+d-1
 *   q    [queries], k, v [keys]  with row strides q_stride, k_stride, v_stride in floats; head h reads
 *                                columns h*d..h*d+d-1
 *   scratch                      of this thread, of the size in kernels.def; here the scores of one query,
 *                                float[keys]
 *
 * attention_select computes the softmax over the selected keys of a query: the `keep` keys with the highest
 * scores (the first of equal ones; keep >= keys: all), or the keys with at least the probability `threshold`
 * (0: all), or the most probable key if there are none.
 *
 * attention_biased adds score biases (bias__scalar.h) before the selection. A single query is the text's
 * first token. Its scratch has an additional slice of float[2 * keys] at the end.
 * attention_relative adds products by distance as well (relative__scalar.h).
 *
 * received sums the same softmax over the queries, out[keys][heads]: the attention that each key receives.
 * received_biased adds score biases, with scratch as attention_biased.
 *
 * A text without tokens gives zeros. The softmax uses all scores of a query at once. Texts are short (2 KB of
 * scores per query for 512 tokens), so the running maximum of "flash" attention would gain nothing. Each
 * result depends only on its own query. */
#include "bias__scalar.h"
#include "relative__scalar.h"
#include "select__scalar.h"

/* Computes the weights of query i with all keys, not yet divided by their sum, in score. Returns 1 / sum.
 * biases may be NULL; relative of `nrelative` tables too. */
RT_INLINE float attention_scalar_weights(float *score, const float *query, const float *k, int keys, int d,
	int k_stride, float scale, int keep, float threshold, const BiasHead *biases, const RtRelative *relative,
	int nrelative, int h, int i)
{
	float top = -INFINITY;
	for (int t = 0; t < keys; t++) {
		const float *key = k + (size_t)t * (size_t)k_stride;
		float dot = 0;
		for (int j = 0; j < d; j++)
			dot += query[j] * key[j];
		score[t] = dot * scale;
	}
	if (biases)
		bias_add(score, biases, i, keys);
	relative_add(score, relative, nrelative, query, k, k_stride, h, d, i, keys);
	for (int t = 0; t < keys; t++)
		top = score[t] > top ? score[t] : top;
	select_largest(score, keys, keep);
	double sum = 0;
	for (int t = 0; t < keys; t++)
		sum += (double)(score[t] = expf(score[t] - top));
	const float factor = keys ? (float)(1.0 / sum) : 0;
	return threshold > 0 ? select_probable(score, keys, threshold, factor) : factor;
}

RT_INLINE void attention_relative_f32__scalar(float *out, const float *q, const float *k, const float *v,
	int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1,
	float scale, int keep, float threshold, const RtBias *bias, int nbias, const RtRelative *relative,
	int nrelative, void *scratch)
{
	float *score = scratch;
	for (int h = h0; h < h1; h++) {
		const BiasHead biases = bias_head(score + keys, bias, nbias, h, keys, 0);
		for (int i = 0; i < queries; i++) {
			const size_t column = (size_t)h * (size_t)d;
			float *y = out + (size_t)i * (size_t)heads * (size_t)d + column;
			const float factor = attention_scalar_weights(score, q + (size_t)i * (size_t)q_stride + column,
				k + column, keys, d, k_stride, scale, keep, threshold, nbias ? &biases : NULL, relative,
				nrelative, h, i);
			memset(y, 0, (size_t)d * sizeof *y);
			for (int t = 0; t < keys; t++)
				for (int j = 0; j < d; j++)
					y[j] += score[t] * v[(size_t)t * (size_t)v_stride + column + (size_t)j];
			for (int j = 0; j < d; j++)
				y[j] *= factor;
		}
	}
}

RT_INLINE void attention_biased_f32__scalar(float *out, const float *q, const float *k, const float *v,
	int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1,
	float scale, int keep, float threshold, const RtBias *bias, int nbias, void *scratch)
{
	attention_relative_f32__scalar(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0,
		h1, scale, keep, threshold, bias, nbias, NULL, 0, scratch);
}

RT_INLINE void attention_select_f32__scalar(float *out, const float *q, const float *k, const float *v,
	int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1,
	float scale, int keep, float threshold, void *scratch)
{
	attention_biased_f32__scalar(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1,
		scale, keep, threshold, NULL, 0, scratch);
}

RT_INLINE void attention_f32__scalar(float *out, const float *q, const float *k, const float *v, int queries,
	int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1, float scale,
	void *scratch)
{
	attention_select_f32__scalar(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1,
		scale, INT32_MAX, 0, scratch);
}

RT_INLINE void received_biased_f32__scalar(float *out, const float *q, const float *k, int tokens, int heads,
	int d, int q_stride, int k_stride, int h0, int h1, float scale, int keep, float threshold,
	const RtBias *bias, int nbias, void *scratch)
{
	float *score = scratch;
	for (int h = h0; h < h1; h++) {
		const size_t column = (size_t)h * (size_t)d;
		const BiasHead biases = bias_head(score + tokens, bias, nbias, h, tokens, 0);
		for (int t = 0; t < tokens; t++)
			out[(size_t)t * (size_t)heads + (size_t)h] = 0;
		for (int i = 0; i < tokens; i++) {
			const float factor = attention_scalar_weights(score, q + (size_t)i * (size_t)q_stride + column,
				k + column, tokens, d, k_stride, scale, keep, threshold, nbias ? &biases : NULL, NULL, 0, h,
				i);
			for (int t = 0; t < tokens; t++)
				out[(size_t)t * (size_t)heads + (size_t)h] += score[t] * factor;
		}
	}
}

RT_INLINE void received_f32__scalar(float *out, const float *q, const float *k, int tokens, int heads, int d,
	int q_stride, int k_stride, int h0, int h1, float scale, int keep, float threshold, void *scratch)
{
	received_biased_f32__scalar(
		out, q, k, tokens, heads, d, q_stride, k_stride, h0, h1, scale, keep, threshold, NULL, 0, scratch);
}
