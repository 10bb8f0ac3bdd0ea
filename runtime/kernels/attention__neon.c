/* attention__neon.c: attention__scalar.c with NEON, AArch64 and ARMv7, similar to attention__avx512.c.
 *
 *   scratch  float packed[keys*d], panel p = packed + p*8*d is K^T[d][min(8, keys - p*8)]
 *            float score[4][keys]; received: sum[keys] after it, attention_biased: slice[2 * keys];
 *            attention_relative: sum[32][keys], products[4][rows of a table], then the slices */
#if defined(__ARM_NEON)
#include "math__neon.h"
#include "bias__scalar.h"
#include "relative__scalar.h"
#include "select__scalar.h"

/* Transposes 4 keys by 4 columns at a time in registers, and the rest one by one. */
RT_INLINE void attention_neon_pack(float *packed, const float *k, int keys, int d, int k_stride)
{
	for (int t = 0; t < keys; t += 4) {
		int width = rt_min(8, keys - (t & ~7)), count = rt_min(4, keys - t), j = 0;
		float *to = packed + (size_t)(t & ~7) * (size_t)d + (t & 7);
		const float *from = k + (size_t)t * (size_t)k_stride;
		for (; count == 4 && j <= d - 4; j += 4) {
			float32x4x2_t a = vtrnq_f32(vld1q_f32(from + j), vld1q_f32(from + k_stride + j));
			float32x4x2_t b = vtrnq_f32(
				vld1q_f32(from + 2 * (size_t)k_stride + j), vld1q_f32(from + 3 * (size_t)k_stride + j));
			float *column = to + (size_t)j * (size_t)width;
			vst1q_f32(column, vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0])));
			vst1q_f32(column + width, vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1])));
			vst1q_f32(column + 2 * width, vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0])));
			vst1q_f32(column + 3 * width, vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1])));
		}
		for (; j < d; j++)
			for (int i = 0; i < count; i++)
				to[(size_t)j * (size_t)width + (size_t)i] = from[(size_t)i * (size_t)k_stride + (size_t)j];
	}
}

/* c[i][n] = scale[i] * sum over t of a[i][t] b[t][n] for i < mr and n < cols, at most 8. as, bs, cs: strides
 * of the rows of a, b, c. whole: cols >= 8, a literal at the call. */
RT_INLINE void attention_neon_tile(float *c, int cs, const float *a, int as, const float *b, int bs,
	int length, int cols, const float *scale, int mr, int whole)
{
	float32x4_t acc[4][2];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) acc[i][0] = acc[i][1] = vdupq_n_f32(0);
	for (int t = 0; t < length; t++, b += bs) {
		float32x4_t b0 = whole ? vld1q_f32(b) : math_neon_load(b, cols);
		float32x4_t b1 = vdupq_n_f32(0);
		if (whole)
			b1 = vld1q_f32(b + 4);
		else if (cols > 4)
			b1 = math_neon_load(b + 4, cols - 4);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			float x = a[(size_t)i * (size_t)as + (size_t)t];
			acc[i][0] = math_neon_fma_n(acc[i][0], b0, x);
			acc[i][1] = math_neon_fma_n(acc[i][1], b1, x);
		}
	}
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
	{
		float *row = c + (size_t)i * (size_t)cs;
		math_neon_store(row, vmulq_n_f32(acc[i][0], scale[i]), whole ? 4 : cols);
		if (whole || cols > 4)
			math_neon_store(row + 4, vmulq_n_f32(acc[i][1], scale[i]), whole ? 4 : cols - 4);
	}
}

/* out[m][n] = product of x[m] and row n of 16 rows of a table that lie side by side. */
RT_INLINE void relative_neon_products(
	float *out, int stride, const float *x, int x_stride, const float *row, int d, int mr)
{
	static const float ones[4] = {1, 1, 1, 1};
#define RELATIVE_PRODUCTS(m) \
	case m: \
		attention_neon_tile(out, stride, x, x_stride, row, RELATIVE_PANEL, d, 8, ones, m, 1); \
		attention_neon_tile(out + 8, stride, x, x_stride, row + 8, RELATIVE_PANEL, d, 8, ones, m, 1); \
		break;
	switch (mr) {
		RELATIVE_PRODUCTS(1) RELATIVE_PRODUCTS(2) RELATIVE_PRODUCTS(3) RELATIVE_PRODUCTS(4)
	}
#undef RELATIVE_PRODUCTS
}
RELATIVE_SUMS(relative_neon_sums, , relative_neon_products)

/* The weights of mr queries from i0 on with all keys, for one head: scores, optional biases, selection and
 * softmax. factor: 1 / sum for each query. */
RT_INLINE void attention_neon_weights(const float *q, int q_stride, const float *packed, int keys, int d,
	float scale, int keep, float threshold, float *score, float factor[4], const BiasHead *biases, int i0,
	int mr)
{
	for (int i = 0; i < mr; i++)
		factor[i] = scale;
	for (int t = 0; t < keys; t += 8) {
		const float *panel = packed + (size_t)t * (size_t)d;
		if (keys - t >= 8)
			attention_neon_tile(score + t, keys, q, q_stride, panel, 8, d, 8, factor, mr, 1);
		else
			attention_neon_tile(score + t, keys, q, q_stride, panel, keys - t, d, keys - t, factor, mr, 0);
	}
	for (int i = 0; i < mr; i++) {
		float *row = score + (size_t)i * (size_t)keys;
		if (biases)
			bias_add(row, biases, i0 + i, keys);
		select_largest(row, keys, keep);
		factor[i] = math_neon_softmax(row, row, keys);
		if (threshold > 0)
			factor[i] = select_probable(row, keys, threshold, factor[i]);
	}
}

/* mr queries of one head, all keys. */
RT_INLINE void attention_neon_queries(float *out, int out_stride, const float *q, int q_stride,
	const float *packed, const float *v, int v_stride, int keys, int d, float scale, int keep,
	float threshold, float *score, const BiasHead *biases, int i0, int mr)
{
	float factor[4];
	attention_neon_weights(
		q, q_stride, packed, keys, d, scale, keep, threshold, score, factor, biases, i0, mr);
	for (int j = 0; j < d; j += 8)
		if (d - j >= 8)
			attention_neon_tile(out + j, out_stride, score, keys, v + j, v_stride, keys, 8, factor, mr, 1);
		else
			attention_neon_tile(
				out + j, out_stride, score, keys, v + j, v_stride, keys, d - j, factor, mr, 0);
}

RT_INLINE void RT_NEON(attention_relative_f32)(float *out, const float *q, const float *k, const float *v,
	int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1,
	float scale, int keep, float threshold, const RtBias *bias, int nbias, const RtRelative *relative,
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
		attention_neon_pack(packed, k + column, keys, d, k_stride);
		for (int i = 0, mr; i < queries; i += mr) {
			if (nrelative && keys && i % RELATIVE_BLOCK == 0) {
				const int count = rt_min(RELATIVE_BLOCK, queries - i);
				memset(sum, 0, (size_t)count * (size_t)keys * sizeof *sum);
				for (int b = 0; b < nrelative; b++)
					relative_neon_sums(sum, products, relative + b, slice[b],
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
		attention_neon_queries(y, heads *d, query, q_stride, packed, v + column, v_stride, keys, d, scale, \
			keep, threshold, score, nbias + nrelative ? &biases : NULL, i, m); \
		break;
			switch (mr) {
				ATTENTION_QUERIES(1) ATTENTION_QUERIES(2) ATTENTION_QUERIES(4)
			}
#undef ATTENTION_QUERIES
		}
	}
}

RT_INLINE void RT_NEON(attention_biased_f32)(float *out, const float *q, const float *k, const float *v,
	int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1,
	float scale, int keep, float threshold, const RtBias *bias, int nbias, void *scratch)
{
	RT_NEON(attention_relative_f32)(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0,
		h1, scale, keep, threshold, bias, nbias, NULL, 0, scratch);
}

RT_INLINE void RT_NEON(attention_select_f32)(float *out, const float *q, const float *k, const float *v,
	int queries, int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1,
	float scale, int keep, float threshold, void *scratch)
{
	RT_NEON(attention_biased_f32)(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1,
		scale, keep, threshold, NULL, 0, scratch);
}

RT_INLINE void RT_NEON(attention_f32)(float *out, const float *q, const float *k, const float *v, int queries,
	int keys, int heads, int d, int q_stride, int k_stride, int v_stride, int h0, int h1, float scale,
	void *scratch)
{
	RT_NEON(attention_select_f32)(out, q, k, v, queries, keys, heads, d, q_stride, k_stride, v_stride, h0, h1,
		scale, INT32_MAX, 0, scratch);
}

/* Adds up the weights of all queries in float sum[keys], after the scores. */
RT_INLINE void RT_NEON(received_f32)(float *out, const float *q, const float *k, int tokens, int heads, int d,
	int q_stride, int k_stride, int h0, int h1, float scale, int keep, float threshold, void *scratch)
{
	float *packed = scratch, *score = packed + (size_t)tokens * (size_t)d, *sum = score + 4 * (size_t)tokens;
	for (int h = h0; h < h1; h++) {
		size_t column = (size_t)h * (size_t)d;
		attention_neon_pack(packed, k + column, tokens, d, k_stride);
		memset(sum, 0, (size_t)tokens * sizeof *sum);
		for (int i = 0, mr; i < tokens; i += mr) {
			const float *query = q + (size_t)i * (size_t)q_stride + column;
			float factor[4];
			mr = tokens - i >= 4 ? 4 : 1;
			if (mr == 4)
				attention_neon_weights(
					query, q_stride, packed, tokens, d, scale, keep, threshold, score, factor, NULL, i, 4);
			else
				attention_neon_weights(
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
