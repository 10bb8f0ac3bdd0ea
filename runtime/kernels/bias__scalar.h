/* bias__scalar.h: score biases for attention kernels. A score is q k^T * scale, plus the sum of all tables by
 * distance without explicit positions, plus the other biases in order. The tables of a head are combined to
 * one slice over all distances of the text, so each query reads a contiguous part of it and memory is linear
 * in the length. Compilers vectorise these loops. */
#ifndef RT_BIAS__SCALAR_H
#define RT_BIAS__SCALAR_H

/* dense        adds at[h * head + i * query + t] to score (h, i, t); reach is -1
 * by distance  adds at[h * head + reach + clamp(position of t - position of i, -reach, reach)]; places NULL:
 *              token t has position t; query: from the table of a query to that of the next, 0: all share it
 */
typedef struct RtBias {
	const float *at;
	size_t head, query;
	const int32_t *places;
	int reach;
} RtBias;

/* The biases of one head. slice: NULL if there is no table for it. relative: sums of products by distance
 * (relative__scalar.h) for queries from `first` on, [query][keys], or as the kernel has its scores; NULL:
 * there are none. */
typedef struct BiasHead {
	const RtBias *bias;
	const float *slice, *relative;
	int count, head, first;
} BiasHead;

RT_INLINE int bias_in_slice(const RtBias *bias) { return bias->reach >= 0 && !bias->places && !bias->query; }

/* The element of query i of a table by distance. */
RT_INLINE float bias_by_distance(const RtBias *bias, int head, int i, int distance)
{
	const int held = rt_max(-bias->reach, rt_min(distance, bias->reach));
	return bias->at[(size_t)head * bias->head + (size_t)i * bias->query + (size_t)(bias->reach + held)];
}

/* Fills slice[2 * keys - 1]: the bias of query i and key t is slice[keys - 1 + t - i] or, reversed,
 * slice[keys - 1 + i - t]. */
RT_INLINE BiasHead bias_head(float *slice, const RtBias *bias, int count, int head, int keys, int reversed)
{
	BiasHead result = {.bias = bias, .count = count, .head = head};
	for (int b = 0; b < count; b++) {
		if (!bias_in_slice(bias + b))
			continue;
		for (int x = 1 - keys; x < keys; x++) {
			const float value = bias_by_distance(bias + b, head, 0, reversed ? -x : x);
			slice[keys - 1 + x] = result.slice ? slice[keys - 1 + x] + value : value;
		}
		result.slice = slice;
	}
	return result;
}

/* Adds the biases of query i to score[keys]. */
RT_INLINE void bias_add(float *score, const BiasHead *head, int i, int keys)
{
	for (int t = 0; head->slice && t < keys; t++)
		score[t] += head->slice[keys - 1 - i + t];
	for (int t = 0; head->relative && t < keys; t++)
		score[t] += head->relative[(size_t)(i - head->first) * (size_t)keys + (size_t)t];
	for (int b = 0; b < head->count; b++) {
		const RtBias *bias = head->bias + b;
		if (bias_in_slice(bias))
			continue;
		const float *row = bias->at + (size_t)head->head * bias->head + (size_t)i * bias->query;
		for (int t = 0; bias->reach < 0 && t < keys; t++)
			score[t] += row[t];
		for (int t = 0; bias->reach >= 0 && t < keys; t++)
			score[t] += bias_by_distance(
				bias, head->head, i, bias->places ? bias->places[t] - bias->places[i] : t - i);
	}
}
#endif
