/* elastic_net.h: multinomial logistic regression with an elastic net (Zou, Hastie, 2005) on plain arrays. */
#ifndef BERTC_ELASTIC_NET_H
#define BERTC_ELASTIC_NET_H
#include <stdbool.h>
#include <stdint.h>

/* Minimises, over weights W [classes,width] and biases b [classes],
 *     1/rows sum -log softmax(W x + b)[y]  +  l1 |W|_1  +  l2 |W|^2
 * This is scikit-learn's objective divided by C * rows, with l1 = l1_ratio / (C rows) and
 * l2 = (1 - l1_ratio) / (2 C rows). */
typedef struct ElasticNet {
	int32_t rows, width, classes;
	const float *x;   /* [rows,width] */
	const int32_t *y; /* [rows], each below classes */
	double l1, l2;
} ElasticNet;

typedef struct ElasticFit {
	double *weight, *bias; /* the caller's arrays; hold the starting point, usually zeros */
	double objective,
		violation; /* violation: largest component of the smallest subgradient; 0 at the minimum */
	int evaluations;
} ElasticFit;

/* False: it did not converge. */
bool elastic_net_fit(const ElasticNet *, ElasticFit *);
/* The predicted class of one row. Uses only the columns in `keep` (NULL: all). */
int32_t elastic_net_predict(const ElasticNet *, const ElasticFit *, const float *x, const bool *keep);
#endif
