/* metrics.c: see metrics.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "metrics.h"
#include "ir/memory.h"

/* ---- closeness ------------------------------------------------------------------------------- */

Closeness metric_closeness(const double *reference, const float *x, int64_t n)
{
	Closeness c = {0, 0, 0};
	double dot = 0, rr = 0, xx = 0;
	bool finite = true;
	for (int64_t i = 0; i < n; i++) {
		const double r = reference[i], y = (double)x[i], difference = fabs(r - y);
		finite = finite && isfinite(r) && isfinite(y);
		c.max_abs = fmax(c.max_abs, difference);
		c.largest = fmax(c.largest, fabs(r));
		dot += r * y;
		rr += r * r;
		xx += y * y;
	}
	if (!finite)
		return (Closeness){INFINITY, c.largest, 0};
	c.cosine = rr > 0 && xx > 0 ? dot / sqrt(rr) / sqrt(xx) : rr == xx; /* two zero vectors are equal */
	return c;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void metric_sort(double *values, int32_t n) { qsort(values, (size_t)n, sizeof *values, compare_double); }

uint64_t metric_draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

double metric_quantile(const double *sorted, int32_t n, double q)
{
	if (n == 0)
		return NAN;
	const double at = q * (n - 1);
	const int32_t below = (int32_t)at, above = below + 1 < n ? below + 1 : below;
	return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

double metric_stddev(const double *values, int32_t n)
{
	double mean = 0, squares = 0;
	for (int32_t i = 0; i < n; i++)
		mean += values[i] / n;
	for (int32_t i = 0; i < n; i++)
		squares += (values[i] - mean) * (values[i] - mean);
	return n > 1 ? sqrt(squares / (n - 1)) : 0;
}

typedef struct Ranked {
	double value;
	int32_t index;
} Ranked;

static int compare_ranked(const void *a, const void *b)
{
	return compare_double(&((const Ranked *)a)->value, &((const Ranked *)b)->value);
}

/* Ranks from 1; equal values get the mean of their ranks. */
static double *ranks_of(const double *values, int32_t n)
{
	Ranked *order = checked_calloc((size_t)n + 1, sizeof *order);
	double *ranks = checked_calloc((size_t)n + 1, sizeof *ranks);
	for (int32_t i = 0; i < n; i++)
		order[i] = (Ranked){values[i], i};
	qsort(order, (size_t)n, sizeof *order, compare_ranked);
	for (int32_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && !(order[end].value > order[i].value); end++)
			;
		for (int32_t j = i; j < end; j++)
			ranks[order[j].index] = (i + 1 + end) / 2.0;
	}
	free(order);
	return ranks;
}

double metric_spearman(const double *a, const double *b, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if (isnan(a[i]) || isnan(b[i]))
			return NAN;
	double *ra = ranks_of(a, n), *rb = ranks_of(b, n), ab = 0, aa = 0, bb = 0;
	const double mean = (n + 1) / 2.0;
	for (int32_t i = 0; i < n; i++) {
		ab += (ra[i] - mean) * (rb[i] - mean);
		aa += (ra[i] - mean) * (ra[i] - mean);
		bb += (rb[i] - mean) * (rb[i] - mean);
	}
	free(ra);
	free(rb);
	return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : NAN;
}

/* ---- spans ----------------------------------------------------------------------------------- */

/* The end (exclusive) of the span that begins at word `at`, and its type; `at` if no span begins there. */
static int32_t span_end(const char *const *labels, int32_t words, int32_t at, int scheme, const char **type)
{
	const char *other;
	if (rt_tag_kind(labels[at], scheme, type) == 'O')
		return at;
	const bool inside = at > 0 && rt_tag_kind(labels[at - 1], scheme, &other) != 'O';
	if (inside && !rt_tag_begins(labels[at - 1], labels[at], scheme))
		return at;
	int32_t end = at + 1;
	while (end < words && rt_tag_kind(labels[end], scheme, &other) != 'O'
		&& !rt_tag_begins(labels[end - 1], labels[end], scheme))
		end++;
	return end;
}

void metric_spans(
	const char *const *gold, const char *const *predicted, int32_t words, int scheme, SpanCounts *counts)
{
	for (int32_t i = 0; i < words; i++) {
		const char *of_gold, *of_predicted;
		const int32_t g = span_end(gold, words, i, scheme, &of_gold),
					  p = span_end(predicted, words, i, scheme, &of_predicted);
		if (g > i && g == p && strcmp(of_gold, of_predicted) == 0) {
			counts->right++;
			continue;
		}
		counts->missed += g > i;
		counts->spurious += p > i;
	}
}

double metric_f1(const SpanCounts *c)
{
	return c->right > 0 ? 2.0 * (double)c->right / (double)(2 * c->right + c->spurious + c->missed) : 0;
}
