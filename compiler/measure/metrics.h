/* metrics.h: figures over predictions: accuracy, entity F1, rank correlation, closeness, quantiles. Plain
 * arrays in, numbers out. */
#ifndef BERTC_METRICS_H
#define BERTC_METRICS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How close two vectors are. NaN in either makes max_abs infinite and the cosine 0, so that no limit lets it
 * pass. */
typedef struct Closeness {
	double max_abs, largest /* of the reference */, cosine;
} Closeness;
Closeness metric_closeness(const double *reference, const float *x, int64_t n);
/* Cosine of two float vectors; 0 when one of them is all zeros. */
double metric_cosine(const float *a, const float *b, int64_t n);

/* Spearman's rank correlation, ties at their mean rank. NaN for fewer than two numbers or a constant side. */
double metric_spearman(const double *a, const double *b, int32_t n);

/* The q-quantile (0 to 1) of n sorted numbers, linear between neighbours. */
double metric_quantile(const double *sorted, int32_t n, double q);
void metric_sort(double *values, int32_t n);
/* The next number of a seeded row of them, evenly spread: splitmix64 (Steele, Lea, Flood 2014). */
uint64_t metric_draw(uint64_t *state);
double metric_stddev(const double *values, int32_t n); /* of a sample; 0 below two */

/* Exact (start, end, type) spans of one sequence of BIO labels: a span starts at B-, or at an I- that follows
 * O or another type. A label without prefix is a span a word. Adds what is right, spurious and missed. */
typedef struct SpanCounts {
	int64_t right, spurious, missed;
} SpanCounts;
void metric_spans(const char *const *gold, const char *const *predicted, int32_t words, SpanCounts *);
double metric_f1(const SpanCounts *); /* 0 when there is nothing right */
#endif
