/* test_sparsify.c: rows that sparsify fits against the normal equations, solved here by Gauss, and against
 * small changes of the answer. */
#include "tests/unit/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "passes/whittle/sparsify.h"

enum { MOST = 96 };

static uint64_t state = 7;
static double draw(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double)(state >> 40) / (1 << 23) - 1;
}

/* a x = b for every column of b [n, columns], in place, by Gauss with pivots. */
static void solve(double *a, int n, double *b, int columns)
{
	for (int p = 0; p < n; p++) {
		int best = p;
		for (int i = p; i < n; i++)
			best = fabs(a[i * n + p]) > fabs(a[best * n + p]) ? i : best;
		for (int j = 0; j < n; j++) {
			const double t = a[p * n + j];
			a[p * n + j] = a[best * n + j];
			a[best * n + j] = t;
		}
		for (int j = 0; j < columns; j++) {
			const double t = b[p * columns + j];
			b[p * columns + j] = b[best * columns + j];
			b[best * columns + j] = t;
		}
		for (int i = 0; i < n; i++) {
			const double f = i == p ? 0 : a[i * n + p] / a[p * n + p];
			for (int j = 0; j < n; j++)
				a[i * n + j] -= f * a[p * n + j];
			for (int j = 0; j < columns; j++)
				b[i * columns + j] -= f * b[p * columns + j];
		}
	}
	for (int p = 0; p < n; p++)
		for (int j = 0; j < columns; j++)
			b[p * columns + j] /= a[p * n + p];
}

static void check(int n, double share)
{
	const int ld = (n + 7) / 8 * 8;
	double *h = calloc((size_t)(ld * ld), sizeof *h), *inverse = calloc((size_t)(ld * ld), sizeof *inverse),
		   *w = calloc((size_t)ld, sizeof *w);
	double *old = calloc((size_t)n, sizeof *old), *small = calloc((size_t)(n * n), sizeof *small),
		   *unit = calloc((size_t)(n * n), sizeof *unit);
	SparseScratch s = {calloc((size_t)(ld * ld), sizeof(double)), calloc((size_t)ld, sizeof(double)),
		calloc((size_t)ld, sizeof(int32_t))};
	bool *gone = calloc((size_t)n, sizeof *gone);
	int kept[MOST], count = 0;
	for (int r = 0; r < 3 * n; r++) { /* inputs that depend on each other */
		double x[MOST];
		const double shared = draw();
		for (int i = 0; i < n; i++)
			x[i] = draw() + shared * (i % 3);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				h[i * ld + j] += x[i] * x[j];
	}
	for (int i = 0; i < n; i++) {
		h[i * ld + i] += 0.1;
		old[i] = w[i] = draw();
		gone[i] = (draw() + 1) / 2 < share;
		if (!gone[i])
			kept[count++] = i;
		for (int j = 0; j < n; j++) {
			small[i * n + j] = h[i * ld + j];
			unit[i * n + j] = i == j;
		}
	}
	solve(small, n, unit, n);
	for (int i = 0; i < n; i++)
		memcpy(inverse + i * ld, unit + i * n, (size_t)n * sizeof *inverse);
	CU_ASSERT_FATAL(sparse_fit_row(h, inverse, ld, n, gone, w, &s));
	double b[MOST], *sub = small;
	for (int i = 0; i < count; i++) {
		b[i] = 0;
		for (int c = 0; c < n; c++)
			b[i] += h[kept[i] * ld + c] * old[c];
		for (int j = 0; j < count; j++)
			sub[i * count + j] = h[kept[i] * ld + kept[j]];
	}
	solve(sub, count, b, 1);
	double worst = 0;
	for (int i = 0; i < count; i++)
		worst = fmax(worst, fabs(w[kept[i]] - b[i]));
	CU_ASSERT(worst < 1e-8);
	for (int i = 0; i < n; i++)
		CU_ASSERT(!gone[i] || w[i] == 0);
	void *const owned[] = {h, inverse, w, old, small, unit, s.a, s.b, s.index, gone};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
}

static void test_rows(void)
{
	static const double shares[] = {0, 0.1, 0.4, 0.6, 0.9, 1.1};
	for (int n = 1; n <= MOST; n += n < 20 ? 1 : 19)
		for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
			check(n, shares[i]);
}

/* A matrix that is not a covariance is refused by every solver. */
static void test_refusals(void)
{
	double h[64], w[8], a[64], b[8];
	int32_t index[8];
	SparseScratch s = {a, b, index};
	for (int stays = 1; stays < 8; stays++)
		for (int what = 0; what < 3; what++) {
			bool gone[8];
			for (int i = 0; i < 8; i++) {
				gone[i] = i >= stays;
				w[i] = 1;
				for (int j = 0; j < 8; j++)
					h[i * 8 + j] = (double[]){(double)NAN, -(i == j), 0}[what];
			}
			CU_ASSERT_FALSE(sparse_fit_row(h, h, 8, 8, gone, w, &s));
		}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"rows", test_rows},
		{"refusals", test_refusals},
	};
	return SUITE_RUN("sparsify", tests);
}
