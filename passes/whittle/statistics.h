/* statistics.h: what passes compute of the numbers that they observe: leading eigenvectors (eigen.c) and
 * logistic regression (logistic.c). Internal to passes/. */
#ifndef BERTC_STATISTICS_H
#define BERTC_STATISTICS_H
#include <stdbool.h>
#include <stdint.h>

/* ---- eigen.c: for passes that keep or remove the directions of largest variance ---------------- */
/* [count,n]: unit eigenvectors of the symmetric matrix m [n,n], largest eigenvalue first, with zeros for an
 * eigenvalue of 0. m must have no negative eigenvalues and is overwritten. *share: their part of the sum of
 * all eigenvalues. The caller frees the result. */
double *eigen_leading(double *m, int64_t n, int64_t count, double *share);

/* ---- logistic.c: for passes that fit a head ----------------------------------------------------- */
/* log softmax of n logits, in place. */
void log_softmax(double *x, int32_t n);

/* n rows of `width` features, `stride` floats apart. For each row, the target probabilities of `classes`
 * classes: 0 and 1 for labels, or a teacher's softmax for distillation. */
typedef struct LogisticData {
	int32_t n, width, classes;
	const float *x;
	int64_t stride;
	const float *target; /* [n, classes] */
} LogisticData;

/* Minimises the mean cross-entropy plus l2/2 times the sum of the squared weights. The penalty excludes
 * biases and is for features with unit variance. The result is deterministic. weight[classes, width] and
 * bias[classes] are for the features as they are. False: a feature is NaN or infinite. */
bool logistic_fit(const LogisticData *, double l2, float *weight, float *bias);
#endif
