/* scores.c: probabilities from logits, and the best tokens of a row. */
#include "answering.h"
#include <math.h>

RT_API int32_t rt_softmax(float *x, int32_t n)
{
	int32_t best = 0;
	double sum = 0;
	for (int32_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	const float top = n > 0 ? x[best] : 0;
	for (int32_t i = 0; i < n; i++)
		sum += exp((double)x[i] - (double)top);
	for (int32_t i = 0; i < n; i++)
		x[i] = (float)(exp((double)x[i] - (double)top) / sum);
	return best;
}

RT_API float rt_sigmoid(float x) { return (float)(1 / (1 + exp(-(double)x))); }

RT_API int32_t rt_scores(const RtHead *head, float *row, int32_t n)
{
	int32_t best = 0;
	if (head->problem == RT_SINGLE && n > 1)
		return rt_softmax(row, n);
	for (int32_t i = 0; i < n; i++) {
		if (head->problem != RT_REGRESSION)
			row[i] = rt_sigmoid(row[i]);
		if (row[i] > row[best])
			best = i;
	}
	return best;
}

RT_API float rt_rank(const RtHead *head, float *row, int32_t n)
{
	rt_scores(head, row, n);
	return row[n - 1];
}

RT_API double rt_candidates(const float *row, int32_t n, int32_t top, int32_t *ids, int32_t *count)
{
	double sum = 0;
	*count = 0;
	for (int32_t i = 0; i < n; i++) {
		int32_t at = *count;
		while (at > 0 && row[i] > row[ids[at - 1]])
			at--;
		if (at == top)
			continue;
		*count = rt_min(*count + 1, top);
		memmove(ids + at + 1, ids + at, (size_t)(*count - at - 1) * sizeof *ids);
		ids[at] = i;
	}
	for (int32_t i = 0; i < n && *count > 0; i++)
		sum += exp((double)row[i] - (double)row[ids[0]]);
	return sum;
}

RT_API double rt_candidate(const float *row, int32_t id, int32_t best, double sum)
{
	return exp((double)row[id] - (double)row[best]) / sum;
}
