/* elastic_net.c: see elastic_net.h. The optimiser is OWL-QN (Andrew, Gao: "Scalable Training of
 * L1-Regularized Log-Linear Models", 2007) in liblbfgs. This file has the objective and its gradient. An
 * evaluation computes scores and gradient of a row together, while the row is in cache. */
#include <lbfgs.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "elastic_net.h"
#include "ir/memory.h"
#include "ir/ir.h"

typedef struct Work {
	const ElasticNet *net;
	ElasticFit *fit;
	double *row, *score;
} Work;

/* Turns scores into probabilities. Returns the log of the sum of their exponentials. */
static double softmax(double *score, int32_t n)
{
	double top = score[0], sum = 0;
	for (int32_t k = 1; k < n; k++)
		top = score[k] > top ? score[k] : top;
	for (int32_t k = 0; k < n; k++)
		sum += exp(score[k] - top);
	const double log_sum = top + log(sum);
	for (int32_t k = 0; k < n; k++)
		score[k] = exp(score[k] - log_sum);
	return log_sum;
}

/* The smooth part (loss and l2) and its gradient; v is weights, then biases. */
static double smooth(void *argument, const double *v, double *gradient, const int n, const double step)
{
	const Work *work = argument;
	const ElasticNet *net = work->net;
	const int32_t width = net->width, classes = net->classes;
	const double *bias = v + (size_t)width * (size_t)classes;
	double *bias_gradient = gradient + (size_t)width * (size_t)classes, loss = 0, squares = 0;
	(void)step;
	memset(gradient, 0, (size_t)n * sizeof *gradient);
	for (int32_t r = 0; r < net->rows; r++) {
		const float *x = net->x + (size_t)r * (size_t)width;
		for (int32_t i = 0; i < width; i++)
			work->row[i] = (double)x[i];
		for (int32_t k = 0; k < classes; k++)
			work->score[k] = bias[k] + eval_dot(v + (size_t)k * (size_t)width, work->row, width);
		const double gold = work->score[net->y[r]];
		loss += softmax(work->score, classes) - gold;
		for (int32_t k = 0; k < classes; k++) {
			const double error = (work->score[k] - (k == net->y[r])) / net->rows;
			double *to = gradient + (size_t)k * (size_t)width;
			bias_gradient[k] += error;
			for (int32_t i = 0; i < width; i++)
				to[i] += error * work->row[i];
		}
	}
	for (size_t i = 0; i < (size_t)width * (size_t)classes; i++) {
		squares += v[i] * v[i];
		gradient[i] += 2 * net->l2 * v[i];
	}
	work->fit->evaluations++;
	return loss / net->rows + net->l2 * squares;
}

/* g plus the subgradient of l1 |v| that brings the sum nearest to zero. Returns the sum. */
static double nearest_to_zero(double v, double g, double l1)
{
	if (v != 0)
		return v > 0 ? g + l1 : g - l1;
	if (g > l1)
		return g - l1;
	return g < -l1 ? g + l1 : 0;
}

/* Computes the objective and the violation: the largest component of the smallest subgradient. */
static void judge(const Work *work, const double *v, double *gradient, int n)
{
	const ElasticNet *net = work->net;
	const int weights = net->width * net->classes;
	double objective = smooth((void *)(uintptr_t)work, v, gradient, n, 0), worst = 0;
	for (int i = 0; i < n; i++) {
		double g = gradient[i];
		if (i < weights) {
			objective += net->l1 * fabs(v[i]);
			g = nearest_to_zero(v[i], g, net->l1);
		}
		worst = fabs(g) > worst ? fabs(g) : worst;
	}
	work->fit->objective = objective;
	work->fit->violation = worst;
}

bool elastic_net_fit(const ElasticNet *net, ElasticFit *fit)
{
	/* Rounding may end a line search early. A restart then lowers the violation, from about 1e-6 to 1e-7. */
	enum { ROUNDS = 3 };
	const int weights = net->width * net->classes, n = weights + net->classes;
	const double enough = 1e-7, bearable = 1e-5;
	double *v = lbfgs_malloc(n), *gradient = lbfgs_malloc(n);
	Work work = {net, fit, checked_calloc((size_t)net->width, sizeof(double)),
		checked_calloc((size_t)net->classes, sizeof(double))};
	lbfgs_parameter_t parameter;
	lbfgs_parameter_init(&parameter);
	parameter.orthantwise_c = net->l1;
	parameter.orthantwise_end = weights;
	parameter.linesearch = net->l1 > 0 ? LBFGS_LINESEARCH_BACKTRACKING : LBFGS_LINESEARCH_DEFAULT;
	parameter.epsilon = 1e-12; /* never reached; the end is a gain below delta in ten steps */
	parameter.past = 10;
	parameter.delta = 1e-11;
	parameter.max_iterations = 5000;
	fit->evaluations = 0;
	fit->violation = INFINITY;
	if (!v || !gradient)
		out_of_memory((size_t)n * sizeof *v);
	memcpy(v, fit->weight, (size_t)weights * sizeof *v);
	memcpy(v + weights, fit->bias, (size_t)net->classes * sizeof *v);
	for (int i = 0; i < ROUNDS && !(fit->violation <= enough); i++) {
		if (lbfgs(n, v, NULL, smooth, NULL, &work, &parameter) == LBFGSERR_OUTOFMEMORY)
			out_of_memory(0);
		judge(&work, v, gradient, n);
	}
	memcpy(fit->weight, v, (size_t)weights * sizeof *v);
	memcpy(fit->bias, v + weights, (size_t)net->classes * sizeof *v);
	lbfgs_free(v);
	lbfgs_free(gradient);
	free(work.row);
	free(work.score);
	return fit->violation <= bearable;
}

int32_t elastic_net_predict(const ElasticNet *net, const ElasticFit *fit, const float *x, const bool *keep)
{
	int32_t best = 0;
	double top = -INFINITY;
	for (int32_t k = 0; k < net->classes; k++) {
		double score = fit->bias[k];
		for (int32_t i = 0; i < net->width; i++)
			if (!keep || keep[i])
				score += fit->weight[(size_t)k * (size_t)net->width + (size_t)i] * (double)x[i];
		if (score > top) {
			top = score;
			best = k;
		}
	}
	return best;
}
