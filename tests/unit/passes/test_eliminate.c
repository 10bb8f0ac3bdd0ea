/* test_eliminate.c: compares the removal of units from a linear by eliminate.c with the normal equations,
 * solved here for every set of units. */
#include "tests/unit/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "passes/whittle/eliminate.h"

static uint64_t state;
static double draw(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double)(state >> 40) / (1 << 23) - 1;
}

typedef struct Case {
	int count, width, outputs, rows;
	double ridge;
	float *x, *w; /* [rows, n], [outputs, n] */
	double *h;    /* [n, n]: covariance with the ridge */
} Case;

static int inputs(const Case *c) { return c->count * c->width; }

/* Inputs that depend on each other and have means far above their deviation. */
static Case make(int count, int width, int outputs, int rows, double ridge)
{
	Case c = {count, width, outputs, rows, ridge, NULL, NULL, NULL};
	const int n = inputs(&c);
	double *mean = calloc((size_t)n, sizeof *mean), variance = 0;
	c.x = calloc((size_t)(rows * n), sizeof *c.x);
	c.w = calloc((size_t)(outputs * n), sizeof *c.w);
	c.h = calloc((size_t)(n * n), sizeof *c.h);
	for (int r = 0; r < rows; r++) {
		const double shared = draw();
		for (int i = 0; i < n; i++) {
			c.x[r * n + i] = (float)(30 + i % 7 + shared * (i % 5) + draw() * (1 + i % 3));
			mean[i] += (double)c.x[r * n + i] / rows;
		}
	}
	for (int i = 0; i < outputs * n; i++)
		c.w[i] = (float)draw();
	for (int r = 0; r < rows; r++)
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				c.h[i * n + j] += ((double)c.x[r * n + i] - mean[i]) * ((double)c.x[r * n + j] - mean[j])
					/ rows;
	for (int i = 0; i < n; i++)
		variance += c.h[i * n + i] / n;
	for (int i = 0; i < n; i++)
		c.h[i * n + i] += ridge * variance;
	free(mean);
	return c;
}

static void drop(Case *c)
{
	free(c->x);
	free(c->w);
	free(c->h);
}

/* The minimum of (W' - W) H (W' - W)^T over W' [outputs, n] that is zero at the removed units. */
static double solve(const Case *c, const bool *gone, double *fitted)
{
	const int n = inputs(c);
	int stay[256], m = 0;
	double *a = calloc((size_t)(n * (n + 1)), sizeof *a), total = 0;
	for (int i = 0; i < n; i++)
		if (!gone[i / c->width])
			stay[m++] = i;
	memset(fitted, 0, (size_t)(c->outputs * n) * sizeof *fitted);
	for (int o = 0; o < c->outputs; o++) {
		for (int i = 0; i < m; i++) {
			for (int j = 0; j < m; j++)
				a[i * (m + 1) + j] = c->h[stay[i] * n + stay[j]];
			a[i * (m + 1) + m] = 0;
			for (int j = 0; j < n; j++)
				a[i * (m + 1) + m] += c->h[stay[i] * n + j] * (double)c->w[o * n + j];
		}
		for (int p = 0; p < m; p++)
			for (int i = 0; i < m; i++) {
				const double f = i == p ? 0 : a[i * (m + 1) + p] / a[p * (m + 1) + p];
				for (int j = p; j <= m; j++)
					a[i * (m + 1) + j] -= f * a[p * (m + 1) + j];
			}
		for (int i = 0; i < m; i++)
			fitted[o * n + stay[i]] = a[i * (m + 1) + m] / a[i * (m + 1) + i];
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				total += (fitted[o * n + i] - (double)c->w[o * n + i]) * c->h[i * n + j]
					* (fitted[o * n + j] - (double)c->w[o * n + j]);
	}
	free(a);
	return total;
}

static Elimination begin(const Case *c, Covariance *seen)
{
	Elimination e;
	covariance_open(seen, inputs(c));
	for (int r = 0; r < c->rows; r++)
		covariance_add(seen, c->x + r * inputs(c));
	covariance_finish(seen);
	CU_ASSERT_TRUE_FATAL(elimination_open(&e, seen, c->count, c->width, c->outputs, c->w, c->ridge));
	return e;
}

static void compare(const Case *c, const Elimination *e, const double *want)
{
	const int n = inputs(c);
	for (int o = 0; o < c->outputs; o++)
		for (int p = 0; p < e->live; p++)
			for (int k = 0; k < c->width; k++)
				CU_ASSERT_DOUBLE_EQUAL(
					e->weight[o * e->ld + p * c->width + k], want[o * n + e->unit[p] * c->width + k], 1e-8);
}

/* Removes groups of units until one is left. Checks every weight, every cost, and that the cheapest are
 * removed. */
static void check(int count, int width, int outputs, int rows, double ridge, int lot)
{
	Case c = make(count, width, outputs, rows, ridge);
	Covariance seen;
	Elimination e = begin(&c, &seen);
	bool gone[64] = {false};
	double *want = calloc((size_t)(outputs * inputs(&c)), sizeof *want), before = 0;
	while (e.live > lot) {
		int32_t unit[LOT_MAX];
		double least = 0, each[64];
		for (int32_t p = 0; p < e.live; p++) {
			gone[e.unit[p]] = true;
			each[p] = solve(&c, gone, want) - before;
			gone[e.unit[p]] = false;
			CU_ASSERT_DOUBLE_EQUAL(e.cost[p], each[p], 1e-7 * (1 + before));
		}
		const double mean = elimination_least(&e, lot, unit);
		for (int i = 0; i < lot; i++) {
			CU_ASSERT_FALSE(gone[unit[i]]);
			for (int32_t p = 0; p < e.live; p++)
				least += e.unit[p] == unit[i] ? each[p] / lot : 0;
			gone[unit[i]] = true;
		}
		CU_ASSERT_DOUBLE_EQUAL(mean, least, 1e-7 * (1 + before));
		for (int32_t p = 0; p < e.live; p++) {
			int32_t below = 0;
			for (int32_t q = 0; q < e.live; q++)
				below += e.cost[q] < e.cost[p];
			CU_ASSERT_EQUAL(gone[e.unit[p]], below < lot);
		}
		CU_ASSERT_TRUE_FATAL(elimination_remove(&e, unit, lot));
		before = solve(&c, gone, want);
		compare(&c, &e, want);
	}
	free(want);
	elimination_close(&e);
	covariance_close(&seen);
	drop(&c);
}

static void test_neurons(void)
{
	check(13, 1, 5, 150, 0.01, 1);
	check(33, 1, 3, 64, 1e-4, 4);
	check(8, 1, 1, 200, 0.5, 3);
}

static void test_heads(void)
{
	check(5, 3, 7, 130, 0.01, 1);
	check(4, 8, 32, 65, 0.1, 1);
	check(12, 12, 6, 300, 0.01, 2); /* wider than a panel, more than one sweep */
}

/* The order in which units go makes no difference, and neither does how many go at once. */
static void test_order(void)
{
	Case c = make(20, 2, 4, 90, 0.01);
	Covariance seen[2];
	Elimination a = begin(&c, &seen[0]), b = begin(&c, &seen[1]);
	CU_ASSERT_TRUE(elimination_remove(&a, (int32_t[]){19, 3, 0, 11}, 4));
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(elimination_remove(&b, (int32_t[]){0, 11, 19, 3} + i, 1));
	CU_ASSERT_EQUAL(a.live, 16);
	CU_ASSERT_EQUAL(b.live, 16);
	for (int32_t p = 0; p < a.live; p++)
		for (int32_t q = 0; q < b.live; q++)
			for (int k = 0; a.unit[p] == b.unit[q] && k < 8; k++)
				CU_ASSERT_DOUBLE_EQUAL(
					a.weight[k / 2 * a.ld + 2 * p + k % 2], b.weight[k / 2 * b.ld + 2 * q + k % 2], 1e-9);
	elimination_close(&a);
	elimination_close(&b);
	covariance_close(&seen[0]);
	covariance_close(&seen[1]);
	drop(&c);
}

/* Constant inputs, no inputs, and NaN or infinite numbers. */
static void test_degenerate(void)
{
	const float same[] = {1, 2, 3, 4}, weight[] = {1, 1, 1, 1}, none[] = {1, NAN, 3, 4};
	for (int kind = 0; kind < 3; kind++) {
		Covariance seen;
		Elimination e;
		covariance_open(&seen, 4);
		for (int r = 0; kind < 2 && r < 70 * kind; r++)
			covariance_add(&seen, same);
		for (int r = 0; kind == 2 && r < 3; r++)
			covariance_add(&seen, r == 1 ? none : same);
		covariance_finish(&seen);
		const bool good = elimination_open(&e, &seen, 4, 1, 1, weight, 0.01);
		CU_ASSERT_EQUAL(good, kind < 2);
		if (good) {
			CU_ASSERT_TRUE(elimination_remove(&e, (int32_t[]){2}, 1));
			CU_ASSERT_DOUBLE_EQUAL(e.weight[0], 1, 1e-12); /* the bias replaces constant inputs */
			CU_ASSERT_FALSE(elimination_remove(&e, (int32_t[]){2}, 1)); /* gone already */
		}
		elimination_close(&e);
		covariance_close(&seen);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"neurons", test_neurons},
		{"heads", test_heads},
		{"order", test_order},
		{"degenerate", test_degenerate},
	};
	return SUITE_RUN("eliminate", tests);
}
