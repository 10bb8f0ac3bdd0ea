/* scores.c: probabilities from logits, the order of scores, and the best tokens of a row. */
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

/* ---- order: heap sort (Williams, 1964), which needs no memory ---------------------------------- */

/* Whether a comes before b; equal scores keep their order. */
RT_FN int scores_before(const float *scores, int32_t a, int32_t b)
{
	return rt_ranks_before((double)scores[a], (double)scores[b])
		|| (a < b && !rt_ranks_before((double)scores[b], (double)scores[a]));
}

/* Restores the heap below `at`: no element comes before one that is below it. */
RT_FN void scores_sift(const float *scores, int32_t *order, int32_t at, int32_t n)
{
	const int32_t moved = order[at];
	for (int32_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && scores_before(scores, order[child], order[child + 1]))
			child++;
		if (scores_before(scores, order[child], moved))
			break;
		order[at] = order[child];
	}
	order[at] = moved;
}

RT_FN void scores_heap(const float *scores, int32_t *order, int32_t n)
{
	for (int32_t i = n / 2; i-- > 0;)
		scores_sift(scores, order, i, n);
}

RT_API void rt_sort(const float *scores, int32_t *order, int32_t n)
{
	scores_heap(scores, order, n);
	for (int32_t last = n - 1; last > 0; last--) {
		const int32_t worst = order[0];
		order[0] = order[last];
		order[last] = worst;
		scores_sift(scores, order, 0, last);
	}
}

RT_API int32_t rt_largest(const float *weights, int32_t n, int32_t most, int32_t *numbers, int32_t *count)
{
	*count = 0;
	for (int32_t i = 0; i < n; i++) {
		if (weights[i] == 0)
			continue;
		if (*count < most)
			numbers[*count] = i;
		if (*count == most - 1)
			scores_heap(weights, numbers, most);
		if (*count >= most && most > 0 && scores_before(weights, i, numbers[0])) {
			numbers[0] = i;
			scores_sift(weights, numbers, 0, most);
		}
		(*count)++;
	}
	const int32_t held = rt_min(*count, most);
	rt_sort(weights, numbers, held);
	return held;
}

/* ---- the best tokens --------------------------------------------------------------------------- */

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
