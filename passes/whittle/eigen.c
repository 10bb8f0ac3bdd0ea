/* eigen.c: eigenvectors of symmetric matrices without negative eigenvalues: of second moments and
 * covariances. */
#include "statistics.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include "ir/ir.h"

/* Rotates rows a and b so that they are orthogonal. False when they already were, within rounding. *aa, *bb:
 * their squared lengths. */
static bool rotate(double *a, double *b, double *aa, double *bb, int64_t n)
{
	const double ab = eval_dot(a, b, n);
	if (fabs(ab) <= 1e-14 * sqrt(*aa * *bb))
		return false;
	const double zeta = (*bb - *aa) / (2 * ab),
				 t = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
	const double c = 1 / sqrt(1 + t * t), s = c * t;
	for (int64_t i = 0; i < n; i++) {
		const double x = a[i], y = b[i];
		a[i] = c * x - s * y;
		b[i] = s * x + c * y;
	}
	*aa = eval_dot(a, a, n);
	*bb = eval_dot(b, b, n);
	return true;
}

/* One-sided Jacobi (Hestenes 1958) on a symmetric matrix without negative eigenvalues: its rows become
 * eigenvectors times eigenvalues. The squared eigenvalues are stored in `squares`. It works on whole rows,
 * needs no second matrix, and converges in some ten sweeps. */
static void diagonalize(double *m, double *squares, int64_t n)
{
	enum { SWEEPS_MAX = 60 };
	bool turned = true;
	for (int64_t i = 0; i < n; i++)
		squares[i] = eval_dot(m + i * n, m + i * n, n);
	for (int sweep = 0; turned && sweep < SWEEPS_MAX; sweep++) {
		turned = false;
		for (int64_t i = 0; i < n; i++)
			for (int64_t k = i + 1; k < n; k++)
				turned |= rotate(m + i * n, m + k * n, squares + i, squares + k, n);
	}
}

typedef struct Ranked {
	double length;
	int64_t row;
} Ranked;

static int longer_first(const void *a, const void *b)
{
	const Ranked *x = a, *y = b;
	if (x->length != y->length)
		return x->length > y->length ? -1 : 1;
	return x->row < y->row ? -1 : 1;
}

double *eigen_leading(double *m, int64_t n, int64_t count, double *share)
{
	double *lead = checked_calloc((size_t)(count * n), sizeof *lead), all = 0,
		   *squares = checked_calloc((size_t)n, sizeof *squares);
	Ranked *ranked = checked_calloc((size_t)n, sizeof *ranked);
	*share = 0;
	diagonalize(m, squares, n);
	for (int64_t i = 0; i < n; i++) {
		ranked[i] = (Ranked){sqrt(squares[i]), i};
		all += ranked[i].length;
	}
	qsort(ranked, (size_t)n, sizeof *ranked, longer_first);
	for (int64_t k = 0; k < count; k++) {
		*share += ranked[k].length / (all > 0 ? all : 1);
		for (int64_t i = 0; ranked[k].length > 0 && i < n; i++)
			lead[k * n + i] = m[ranked[k].row * n + i] / ranked[k].length;
	}
	free(squares);
	free(ranked);
	return lead;
}
