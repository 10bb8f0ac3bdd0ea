/* metrics.h: entity F1, rank correlation, closeness and quantiles of plain arrays. */
#ifndef BERTC_METRICS_H
#define BERTC_METRICS_H
#include "runtime/answers/schemes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How close two vectors are. A NaN in either makes max_abs infinite and the cosine 0, which fails every
 * limit. */
typedef struct Closeness {
	double max_abs, largest /* of the reference */, cosine;
} Closeness;
Closeness metric_closeness(const double *reference, const float *x, int64_t n);

/* Spearman's rank correlation; ties get their mean rank. NaN if n < 2 or if a or b is constant. */
double metric_spearman(const double *a, const double *b, int32_t n);

/* The q-quantile (0 to 1) of n sorted numbers, with linear interpolation. */
double metric_quantile(const double *sorted, int32_t n, double q);
void metric_sort(double *values, int32_t n);
/* The next uniform pseudo-random number: splitmix64 (Steele, Lea, Flood 2014). */
uint64_t metric_draw(uint64_t *state);
double metric_stddev(const double *values, int32_t n); /* sample standard deviation; 0 if n < 2 */

/* Compares the spans of two sequences of tags; a span is right if start, end and type are equal. scheme: as
 * runtime/answers/schemes.h, which says where spans begin and end. Adds to the counts of right, spurious and
 * missed spans. */
typedef struct SpanCounts {
	int64_t right, spurious, missed;
} SpanCounts;
void metric_spans(
	const char *const *gold, const char *const *predicted, int32_t words, int scheme, SpanCounts *);
double metric_f1(const SpanCounts *); /* 0 if nothing is right */
#endif
