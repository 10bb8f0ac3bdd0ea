/* logistic.h: multinomial logistic regression, for passes that fit a head to what they observe. Internal to
 * passes/. */
#ifndef BERTC_LOGISTIC_H
#define BERTC_LOGISTIC_H
#include <stdbool.h>
#include <stdint.h>

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
