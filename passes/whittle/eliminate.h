/* eliminate.h: taking inputs out of a linear so that those that stay do their work, by least squares.
 * Internal to passes/. */
#ifndef BERTC_ELIMINATE_H
#define BERTC_ELIMINATE_H
#include <stdbool.h>
#include <stdint.h>

/* Covariance of rows of `width` numbers. Products are of differences from the first row: columns of BERT have
 * means far above their deviation. */
typedef struct Covariance {
	int64_t width, ld;      /* rows of a matrix are ld apart */
	int64_t rows, waiting;  /* seen in all; of them not yet among the products */
	double *origin, *sum;   /* [ld] */
	double *products;       /* [ld, ld]: its upper half; after covariance_finish all of the covariance */
	double *block, *turned; /* the rows that wait, and their transpose */
} Covariance;
void covariance_open(Covariance *, int64_t width);
void covariance_add(Covariance *, const float *row);
void covariance_finish(Covariance *); /* sum becomes the mean */
void covariance_close(Covariance *);

/* A linear y = W x + b whose inputs are `count` units of `width` numbers. W' and b' minimise, among those
 * that are zero at the units that are gone, mean |W' x + b' - W x - b|^2 + ridge * v * |W' - W|^2, v being
 * the mean variance of an input. */
typedef struct Elimination {
	int32_t count, width, outputs, live; /* live: how many units are left */
	int64_t ld;
	double *inverse;        /* [live * width, ld]: of the covariance of what is left, with the ridge */
	double *weight;         /* [outputs, ld]: W' */
	double *cost;           /* [live]: what the minimum grows by when the unit at this place goes next */
	int32_t *unit;          /* [live]: which unit is at this place */
	double *rows, *factors; /* scratch */
} Elimination;
enum { LOT_MAX = 16 }; /* units that go at once, at most */
/* Takes the covariance's matrix over; weight[outputs, count*width]. False: numbers
 * are NaN or infinite. */
bool elimination_open(Elimination *, Covariance *, int32_t count, int32_t width, int32_t outputs,
	const float *weight, double ridge);
/* The n <= LOT_MAX units that cost least alone, of equal ones the last; returns their mean cost. n must be
 * below live. */
double elimination_least(const Elimination *, int32_t n, int32_t *unit);
/* False: numbers are NaN or infinite. */
bool elimination_remove(Elimination *, const int32_t *unit, int32_t n);
void elimination_close(Elimination *);
#endif
