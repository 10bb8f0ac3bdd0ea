/* eliminate.h: removes inputs of a linear and refits the remaining weights by least squares. Internal to
 * passes/. */
#ifndef BERTC_ELIMINATE_H
#define BERTC_ELIMINATE_H
#include <stdbool.h>
#include <stdint.h>

/* Covariance of rows of `width` numbers. The first row is subtracted before multiplying, because columns of
 * BERT have means far above their deviation. */
typedef struct Covariance {
	int64_t width, ld;      /* rows of a matrix are ld apart */
	int64_t rows, waiting;  /* number of rows seen; number not yet multiplied */
	double *origin, *sum;   /* [ld] */
	double *products;       /* [ld, ld]: its upper half; after covariance_finish the whole covariance */
	double *block, *turned; /* the waiting rows, and their transpose */
} Covariance;
void covariance_open(Covariance *, int64_t width);
void covariance_add(Covariance *, const float *row);
void covariance_finish(Covariance *); /* sum becomes the mean */
void covariance_close(Covariance *);

/* A linear y = W x + b whose inputs are `count` units of `width` numbers. W' is zero at the removed units. W'
 * and b' minimise mean |W' x + b' - W x - b|^2 + ridge * v * |W' - W|^2, where v is the mean variance of an
 * input. */
typedef struct Elimination {
	int32_t count, width, outputs, live; /* live: number of remaining units */
	int64_t ld;
	double *inverse; /* [live * width, ld]: of the covariance of the remaining inputs, with the ridge */
	double *weight;  /* [outputs, ld]: W' */
	double *cost;    /* [live]: increase of the minimum if the unit at this place is removed next */
	int32_t *unit;   /* [live]: the unit at this place */
	double *rows, *factors; /* scratch */
} Elimination;
enum { LOT_MAX = 16 }; /* most units to remove at once */
/* Takes ownership of the covariance's matrix; weight[outputs, count*width]. False: numbers are NaN or
 * infinite. */
bool elimination_open(Elimination *, Covariance *, int32_t count, int32_t width, int32_t outputs,
	const float *weight, double ridge);
/* Finds the n <= LOT_MAX units with the smallest individual costs (ties: the last) and returns their mean
 * cost. n must be below live. */
double elimination_least(const Elimination *, int32_t n, int32_t *unit);
/* False: numbers are NaN or infinite. */
bool elimination_remove(Elimination *, const int32_t *unit, int32_t n);
void elimination_close(Elimination *);
#endif
