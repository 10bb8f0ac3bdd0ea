/* logistic.c: multinomial logistic regression by L-BFGS (Nocedal and Wright, Numerical Optimization,
 * algorithm 7.5) with backtracking line search (steps are halved until Armijo's rule holds). The problem is
 * strictly convex, except for a constant added to all biases, so the starting point does not matter. It
 * starts at zero and uses no random numbers. Features are first standardised to mean 0 and variance 1: some
 * features of BERT are a hundred times as large as others, and without this, hundreds of steps become
 * thousands. */
#include "statistics.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/memory.h"

enum { MEMORY = 12, STEPS_MAX = 500, HALVINGS_MAX = 40 };
static const double GRADIENT_SMALL = 1e-8, ARMIJO = 1e-4;

typedef struct Fit {
	const LogisticData *data;
	double l2;
	int64_t size;          /* parameters: [classes][width + 1], the bias last */
	double *mean, *factor; /* of each feature: x becomes (x - mean) * factor */
	float *x;              /* [n, width], standardised */
	double *p;             /* [classes]: a row's log probabilities */
	double *at, *gradient, *next, *next_gradient, *direction;
	double *s[MEMORY], *y[MEMORY],
		rho[MEMORY]; /* steps, changes of the gradient, 1 / their products; a ring */
	int32_t kept, newest;
} Fit;

static double dot(const double *a, const double *b, int64_t n)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static bool fit_standardise(Fit *f)
{
	const LogisticData *d = f->data;
	for (int32_t j = 0; j < d->width; j++) {
		double mean = 0, square = 0;
		for (int32_t i = 0; i < d->n; i++)
			mean += (double)d->x[i * d->stride + j] / d->n;
		for (int32_t i = 0; i < d->n; i++) {
			const double distance = (double)d->x[i * d->stride + j] - mean;
			square += distance * distance / d->n;
		}
		if (!isfinite(square))
			return false;
		f->mean[j] = mean;
		/* a constant feature gets the weight 0; a variance below the float rounding of the mean counts as
		 * zero */
		f->factor[j] = square > 1e-15 * mean * mean ? 1 / sqrt(square) : 0;
		for (int32_t i = 0; i < d->n; i++)
			f->x[(int64_t)i * d->width + j] = (float)(((double)d->x[i * d->stride + j] - mean)
				* f->factor[j]);
	}
	return true;
}

void log_softmax(double *x, int32_t n)
{
	double top = x[0], sum = 0;
	for (int32_t i = 1; i < n; i++)
		top = fmax(top, x[i]);
	for (int32_t i = 0; i < n; i++)
		sum += exp(x[i] - top);
	for (int32_t i = 0; i < n; i++)
		x[i] -= top + log(sum);
}

/* Stores the row's log probabilities in f->p. */
static void row_softmax(const Fit *f, const double *w, const float *x)
{
	const int32_t width = f->data->width, classes = f->data->classes;
	for (int32_t c = 0; c < classes; c++, w += width + 1) {
		double logit = w[width];
		for (int32_t j = 0; j < width; j++)
			logit += w[j] * (double)x[j];
		f->p[c] = logit;
	}
	log_softmax(f->p, classes);
}

static double fit_loss(Fit *f, const double *w, double *gradient)
{
	const LogisticData *d = f->data;
	double loss = 0;
	memset(gradient, 0, (size_t)f->size * sizeof *gradient);
	for (int32_t i = 0; i < d->n; i++) {
		const float *x = f->x + (int64_t)i * d->width, *target = d->target + (int64_t)i * d->classes;
		row_softmax(f, w, x);
		for (int32_t c = 0; c < d->classes; c++) {
			double *g = gradient + (int64_t)c * (d->width + 1);
			const double error = (exp(f->p[c]) - (double)target[c]) / d->n;
			loss -= (double)target[c] * f->p[c] / d->n;
			for (int32_t j = 0; j < d->width; j++)
				g[j] += error * (double)x[j];
			g[d->width] += error;
		}
	}
	for (int32_t c = 0; c < d->classes; c++)
		for (int32_t j = 0; j < d->width; j++) {
			const int64_t at = (int64_t)c * (d->width + 1) + j;
			loss += 0.5 * f->l2 * w[at] * w[at];
			gradient[at] += f->l2 * w[at];
		}
	return loss;
}

/* -H^-1 gradient, with H estimated from the last steps. */
static void fit_direction(Fit *f)
{
	double alpha[MEMORY];
	memcpy(f->direction, f->gradient, (size_t)f->size * sizeof *f->direction);
	for (int32_t k = 0; k < f->kept; k++) {
		const int32_t i = (f->newest - k + MEMORY) % MEMORY;
		alpha[i] = f->rho[i] * dot(f->s[i], f->direction, f->size);
		for (int64_t j = 0; j < f->size; j++)
			f->direction[j] -= alpha[i] * f->y[i][j];
	}
	const double scale = f->kept ? 1 / (f->rho[f->newest] * dot(f->y[f->newest], f->y[f->newest], f->size))
								 : 1;
	for (int64_t j = 0; j < f->size; j++)
		f->direction[j] *= scale;
	for (int32_t k = f->kept - 1; k >= 0; k--) {
		const int32_t i = (f->newest - k + MEMORY) % MEMORY;
		const double beta = f->rho[i] * dot(f->y[i], f->direction, f->size);
		for (int64_t j = 0; j < f->size; j++)
			f->direction[j] += (alpha[i] - beta) * f->s[i][j];
	}
	for (int64_t j = 0; j < f->size; j++)
		f->direction[j] = -f->direction[j];
}

/* Records the step and its curvature, if the curvature is positive. */
static void fit_remember(Fit *f)
{
	const int32_t i = (f->newest + 1) % MEMORY;
	double product = 0;
	for (int64_t j = 0; j < f->size; j++) {
		f->s[i][j] = f->next[j] - f->at[j];
		f->y[i][j] = f->next_gradient[j] - f->gradient[j];
		product += f->s[i][j] * f->y[i][j];
	}
	if (product <= DBL_MIN)
		return;
	f->rho[i] = 1 / product;
	f->newest = i;
	f->kept = f->kept < MEMORY ? f->kept + 1 : MEMORY;
}

static void fit_minimise(Fit *f)
{
	double loss = fit_loss(f, f->at, f->gradient);
	for (int32_t step = 0; step < STEPS_MAX; step++) {
		double largest = 0, length = 1, next = 0;
		for (int64_t j = 0; j < f->size; j++)
			largest = fmax(largest, fabs(f->gradient[j]));
		if (largest < GRADIENT_SMALL)
			return;
		fit_direction(f);
		const double slope = dot(f->direction, f->gradient, f->size);
		int32_t halvings = 0;
		for (; halvings < HALVINGS_MAX; halvings++, length /= 2) {
			for (int64_t j = 0; j < f->size; j++)
				f->next[j] = f->at[j] + length * f->direction[j];
			next = fit_loss(f, f->next, f->next_gradient);
			if (next <= loss + ARMIJO * length * slope)
				break;
		}
		if (halvings == HALVINGS_MAX) /* no further progress within rounding */
			return;
		fit_remember(f);
		double *at = f->at, *gradient = f->gradient;
		f->at = f->next;
		f->next = at;
		f->gradient = f->next_gradient;
		f->next_gradient = gradient;
		loss = next;
	}
}

/* Weights for the features as they are: w (x - mean) factor + b. */
static void fit_result(const Fit *f, float *weight, float *bias)
{
	const int32_t width = f->data->width;
	for (int32_t c = 0; c < f->data->classes; c++) {
		const double *w = f->at + (int64_t)c * (width + 1);
		double shift = w[width];
		for (int32_t j = 0; j < width; j++) {
			weight[(int64_t)c * width + j] = (float)(w[j] * f->factor[j]);
			shift -= w[j] * f->factor[j] * f->mean[j];
		}
		bias[c] = (float)shift;
	}
}

bool logistic_fit(const LogisticData *data, double l2, float *weight, float *bias)
{
	Fit f = {
		.data = data, .l2 = l2, .size = (int64_t)data->classes * (data->width + 1), .newest = MEMORY - 1};
	double **const vectors[] = {&f.at, &f.gradient, &f.next, &f.next_gradient, &f.direction};
	enum { VECTORS = sizeof vectors / sizeof vectors[0] };
	const int64_t numbers = f.size * (VECTORS + 2 * MEMORY) + 2 * data->width + data->classes;
	double *memory = checked_calloc((size_t)numbers, sizeof *memory), *rest = memory;
	f.x = checked_calloc((size_t)data->n * (size_t)data->width + 1, sizeof *f.x);
	for (int i = 0; i < VECTORS; i++, rest += f.size)
		*vectors[i] = rest;
	for (int i = 0; i < MEMORY; i++, rest += 2 * f.size) {
		f.s[i] = rest;
		f.y[i] = rest + f.size;
	}
	f.mean = rest;
	f.factor = rest + data->width;
	f.p = rest + 2 * data->width;
	const bool good = fit_standardise(&f);
	if (good) {
		fit_minimise(&f);
		fit_result(&f, weight, bias);
	}
	free(f.x);
	free(memory);
	return good;
}
