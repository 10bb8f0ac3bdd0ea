/* eliminate.c: see eliminate.h. Hassibi, Stork: "Second order derivatives for network pruning: Optimal Brain
 * Surgeon", 1993, equations 4 and 5, on the loss of one linear, and for whole units as Kurtic, Frantar,
 * Alistarh: "ZipLM: Inference-Aware Structured Pruning of Language Models", 2023, equations 2 and 3: with H
 * the covariance of the remaining inputs and P the columns of the removed units,
 *
 *   cost = tr(W_P (H^-1_PP)^-1 W_P^T)    W -= W_P (H^-1_PP)^-1 H^-1_P    H^-1 -= H^-1_P^T (H^-1_PP)^-1 H^-1_P
 *
 * All large computations have the form A -= F R, where R has few rows. Each product and each sum is rounded
 * (-ffp-contract=off), so that results do not depend on the vector width of the machine that runs bertc. */
#include "eliminate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/memory.h"

enum { DEPTH = 64, PANEL = 32, LANES = 8, ROWS = 4, SWEEP = 64 };
/* A -= F R, with F [rows, depth] and R [depth, columns]. With `upper`, only panels that touch the upper half
 * of A are computed. rows is a multiple of ROWS, columns of LANES. Rows of A and R are ld apart. A panel of R
 * stays in the L1 cache. */
typedef struct Product {
	double *a;
	int64_t rows, columns, ld;
	const double *f, *r;
	int64_t depth;
	bool upper;
} Product;

/* The function exists twice, because GCC compiles vectors wider than the machine's to poor code. It keeps
 * ROWS rows by two vectors of sums in registers. */
#define SUBTRACT(name, bytes) \
	static void name(const Product *p) \
	{ \
		typedef double Vector __attribute__((vector_size(bytes), aligned(8), may_alias)); \
		enum { STEP = bytes / 8 }; \
		for (int64_t from = 0; from < p->columns; from += PANEL) { \
			const int64_t to = from + PANEL < p->columns ? from + PANEL : p->columns, \
						  end = p->upper && to < p->rows ? to : p->rows; \
			for (int64_t i = 0; i < end; i += ROWS) \
				for (int64_t j = from; j < to; j += 2 * STEP) { \
					double *a = p->a + i * p->ld + j; \
					const double *f = p->f + i * p->depth, *r = p->r + j; \
					Vector low[ROWS], high[ROWS]; \
					for (int k = 0; k < ROWS; k++) \
						low[k] = *(Vector *)(a + k * p->ld), high[k] = *(Vector *)(a + k * p->ld + STEP); \
					for (int64_t d = 0; d < p->depth; d++, r += p->ld) { \
						const Vector x = *(const Vector *)r, y = *(const Vector *)(r + STEP); \
						for (int k = 0; k < ROWS; k++) \
							low[k] -= f[k * p->depth + d] * x, high[k] -= f[k * p->depth + d] * y; \
					} \
					for (int k = 0; k < ROWS; k++) \
						*(Vector *)(a + k * p->ld) = low[k], *(Vector *)(a + k * p->ld + STEP) = high[k]; \
				} \
		} \
	}

SUBTRACT(subtract_plain, 16)
#ifdef __x86_64__
__attribute__((target("avx2"))) SUBTRACT(subtract_avx2, 32)
#endif

	static void subtract(const Product *p)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) {
		subtract_avx2(p);
		return;
	}
#endif
	subtract_plain(p);
}

static int64_t rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* The row stride for n numbers: a multiple of LANES, but not of 512 bytes. With such a stride all rows would
 * share a few lines of the L1 cache. */
static int64_t leading(int64_t n)
{
	const int64_t ld = rounded(n, LANES);
	return ld % 64 ? ld : ld + LANES;
}

/* ---- covariance ------------------------------------------------------------------------------ */

void covariance_open(Covariance *c, int64_t width)
{
	*c = (Covariance){.width = width, .ld = leading(width)};
	const size_t ld = (size_t)c->ld;
	c->origin = checked_calloc(ld, sizeof *c->origin);
	c->sum = checked_calloc(ld, sizeof *c->sum);
	c->products = checked_calloc(ld * ld, sizeof *c->products);
	c->block = checked_calloc(ld * DEPTH, sizeof *c->block);
	c->turned = checked_calloc(ld * DEPTH, sizeof *c->turned);
}

static void add_waiting(Covariance *c)
{
	for (int64_t i = 0; i < c->width; i++)
		for (int64_t d = 0; d < c->waiting; d++)
			c->turned[i * c->waiting + d] = -c->block[d * c->ld + i];
	subtract(&(Product){c->products, c->ld, c->ld, c->ld, c->turned, c->block, c->waiting, true});
	c->waiting = 0;
}

void covariance_add(Covariance *c, const float *row)
{
	double *to = c->block + c->waiting * c->ld;
	for (int64_t i = 0; i < c->width && c->rows == 0; i++)
		c->origin[i] = (double)row[i];
	for (int64_t i = 0; i < c->width; i++) {
		to[i] = (double)row[i] - c->origin[i];
		c->sum[i] += to[i];
	}
	c->rows++;
	if (++c->waiting == DEPTH)
		add_waiting(c);
}

void covariance_finish(Covariance *c)
{
	const double n = c->rows ? (double)c->rows : 1;
	add_waiting(c);
	for (int64_t i = 0; i < c->width; i++)
		for (int64_t j = i; j < c->width; j++) {
			double *upper = &c->products[i * c->ld + j];
			*upper = (*upper - c->sum[i] * c->sum[j] / n) / n;
			c->products[j * c->ld + i] = *upper;
		}
	for (int64_t i = 0; i < c->width; i++)
		c->sum[i] = c->origin[i] + c->sum[i] / n;
}

void covariance_close(Covariance *c)
{
	free(c->origin);
	free(c->sum);
	free(c->products);
	free(c->block);
	free(c->turned);
	*c = (Covariance){0};
}

/* ---- inverses -------------------------------------------------------------------------------- */

/* Inverts a small symmetric positive definite matrix [n,n] in place (Gauss-Jordan). False when it is not
 * positive definite. */
static bool invert_small(double *a, int64_t n)
{
	for (int64_t p = 0; p < n; p++) {
		const double pivot = a[p * n + p];
		if (!(pivot > 0) || !isfinite(pivot))
			return false;
		a[p * n + p] = 1;
		for (int64_t j = 0; j < n; j++)
			a[p * n + j] /= pivot;
		for (int64_t i = 0; i < n; i++) {
			const double factor = a[i * n + p];
			if (i == p)
				continue;
			a[i * n + p] = 0;
			for (int64_t j = 0; j < n; j++)
				a[i * n + j] -= factor * a[p * n + j];
		}
	}
	return true;
}

/* One block of columns of the Gauss-Jordan elimination: rows [ld * SWEEP], factors [ld * SWEEP], small [n,n].
 */
static bool sweep(double *a, int64_t ld, int64_t at, int64_t n, double *rows, double *factors, double *small)
{
	for (int64_t k = 0; k < n; k++)
		memcpy(small + k * n, a + (at + k) * ld + at, (size_t)n * sizeof *small);
	if (!invert_small(small, n))
		return false;
	memset(rows, 0, (size_t)(n * ld) * sizeof *rows);
	for (int64_t k = 0; k < n; k++)
		for (int64_t l = 0; l < n; l++)
			for (int64_t j = 0; j < ld; j++)
				rows[k * ld + j] += small[k * n + l] * a[(at + l) * ld + j];
	for (int64_t k = 0; k < n; k++)
		memcpy(rows + k * ld + at, small + k * n, (size_t)n * sizeof *rows);
	for (int64_t i = 0; i < ld; i++)
		for (int64_t k = 0; k < n; k++) {
			factors[i * n + k] = a[i * ld + at + k]; /* the block's own rows are overwritten below */
			a[i * ld + at + k] = 0;
		}
	subtract(&(Product){a, ld, ld, ld, factors, rows, n, false});
	memcpy(a + at * ld, rows, (size_t)(n * ld) * sizeof *a);
	return true;
}

/* ---- elimination ----------------------------------------------------------------------------- */

/* The inverse of the block of H^-1 for the units at places p[0..n): small[n*width, n*width]. */
static bool invert_block(const Elimination *e, const int32_t *p, int32_t n, double *small)
{
	const int64_t width = e->width, size = n * width;
	for (int64_t i = 0; i < size; i++)
		for (int64_t j = 0; j < size; j++)
			small[i * size + j] = e->inverse[(p[i / width] * width + i % width) * e->ld + p[j / width] * width
				+ j % width];
	return invert_small(small, size);
}

/* The cost of every remaining unit. */
static bool price(Elimination *e)
{
	const int64_t width = e->width;
	double *small = checked_calloc((size_t)(e->live * width * width), sizeof *small);
	bool good = true;
	for (int32_t p = 0; good && p < e->live; p++) {
		e->cost[p] = 0;
		good = invert_block(e, &p, 1, small + p * width * width);
	}
	for (int32_t n = 0; good && n < e->outputs; n++)
		for (int32_t p = 0; p < e->live; p++) {
			const double *w = e->weight + n * e->ld + p * width, *m = small + p * width * width;
			for (int64_t i = 0; i < width; i++)
				for (int64_t j = 0; j < width; j++)
					e->cost[p] += w[i] * m[i * width + j] * w[j];
		}
	for (int32_t p = 0; good && p < e->live; p++)
		good = isfinite(e->cost[p]);
	free(small);
	return good;
}

bool elimination_open(Elimination *e, Covariance *c, int32_t count, int32_t width, int32_t outputs,
	const float *weight, double ridge)
{
	const int64_t n = (int64_t)count * width, ld = c->ld, rows = rounded(outputs, ROWS),
				  most = rows > ld ? rows : ld;
	const int64_t depth = (int64_t)LOT_MAX * width > SWEEP ? (int64_t)LOT_MAX * width : SWEEP;
	*e = (Elimination){
		.count = count, .width = width, .outputs = outputs, .live = count, .ld = ld, .inverse = c->products};
	c->products = NULL;
	e->weight = checked_calloc((size_t)(rows * ld), sizeof *e->weight);
	e->cost = checked_calloc((size_t)count, sizeof *e->cost);
	e->unit = checked_calloc((size_t)count, sizeof *e->unit);
	e->rows = checked_calloc((size_t)(depth * ld), sizeof *e->rows);
	e->factors = checked_calloc((size_t)(depth * most), sizeof *e->factors);
	double variance = 0, small[SWEEP * SWEEP];
	for (int64_t i = 0; i < n; i++)
		variance += e->inverse[i * ld + i] / (double)n;
	for (int64_t i = 0; i < n; i++)
		e->inverse[i * ld + i] += variance > 0 ? ridge * variance : 1;
	for (int64_t i = n; i < ld; i++) /* the padding is an identity block */
		e->inverse[i * ld + i] = 1;
	for (int64_t at = 0; at < n; at += SWEEP)
		if (!sweep(e->inverse, ld, at, n - at < SWEEP ? n - at : SWEEP, e->rows, e->factors, small))
			return false;
	for (int64_t o = 0; o < outputs; o++)
		for (int64_t i = 0; i < n; i++)
			e->weight[o * ld + i] = (double)weight[o * n + i];
	for (int32_t u = 0; u < count; u++)
		e->unit[u] = u;
	return price(e);
}

double elimination_least(const Elimination *e, int32_t n, int32_t *unit)
{
	int32_t place[LOT_MAX], found = 0;
	double sum = 0;
	for (int32_t p = 0; p < e->live; p++) {
		int32_t at = found < n ? found++ : n;
		for (; at > 0
			&& (e->cost[p] < e->cost[place[at - 1]]
				|| (e->cost[p] == e->cost[place[at - 1]] && e->unit[p] > e->unit[place[at - 1]]));
			at--)
			if (at < n)
				place[at] = place[at - 1];
		if (at < n)
			place[at] = p;
	}
	for (int32_t i = 0; i < found; i++) {
		unit[i] = e->unit[place[i]];
		sum += e->cost[place[i]] / found;
	}
	return sum;
}

/* Copies columns `from` of a matrix to columns `to`. */
static void move_columns(double *a, int64_t rows, int64_t ld, int64_t from, int64_t to, int64_t width)
{
	for (int64_t i = 0; i < rows; i++)
		for (int64_t k = 0; k < width; k++) {
			a[i * ld + to + k] = a[i * ld + from + k];
			a[i * ld + from + k] = 0;
		}
}

/* Moves the last unit to the place of a removed one. */
static void close_gap(Elimination *e, int32_t place)
{
	const int64_t width = e->width, ld = e->ld, to = place * width, from = (int64_t)--e->live * width;
	if (place != e->live) {
		memcpy(e->inverse + to * ld, e->inverse + from * ld, (size_t)(width * ld) * sizeof *e->inverse);
		move_columns(e->inverse, from, ld, from, to, width);
		move_columns(e->weight, e->outputs, ld, from, to, width);
		e->unit[place] = e->unit[e->live];
	} else {
		move_columns(e->weight, e->outputs, ld, from, from, width);
	}
}

/* A -= A_P (H^-1_PP)^-1 H^-1_P, the last two of which are in e->rows. */
static void subtract_units(Elimination *e, double *a, int64_t rows, const int32_t *place, int64_t size)
{
	for (int64_t i = 0; i < rows; i++)
		for (int64_t k = 0; k < size; k++)
			e->factors[i * size + k] = a[i * e->ld + place[k / e->width] * e->width + k % e->width];
	memset(e->factors + rows * size, 0, (size_t)((rounded(rows, ROWS) - rows) * size) * sizeof *e->factors);
	subtract(&(Product){a, rounded(rows, ROWS), rounded((int64_t)e->live * e->width, LANES), e->ld,
		e->factors, e->rows, size, false});
}

bool elimination_remove(Elimination *e, const int32_t *unit, int32_t n)
{
	int32_t place[LOT_MAX], found = 0;
	const int64_t size = (int64_t)n * e->width;
	double *small = checked_calloc((size_t)(size * size), sizeof *small);
	for (int32_t p = 0; p < e->live; p++)
		for (int32_t i = 0; i < n; i++)
			if (e->unit[p] == unit[i])
				place[found++] = p;
	bool good = small && found == n && invert_block(e, place, n, small);
	if (good) {
		memset(e->rows, 0, (size_t)(size * e->ld) * sizeof *e->rows);
		for (int64_t k = 0; k < size; k++)
			for (int64_t l = 0; l < size; l++) {
				const double *row = e->inverse + (place[l / e->width] * e->width + l % e->width) * e->ld;
				for (int64_t j = 0; j < e->ld; j++)
					e->rows[k * e->ld + j] += small[k * size + l] * row[j];
			}
		subtract_units(e, e->weight, e->outputs, place, size);
		subtract_units(e, e->inverse, (int64_t)e->live * e->width, place, size);
		for (int32_t i = n; i-- > 0;)
			close_gap(e, place[i]);
	}
	free(small);
	return good && price(e);
}

void elimination_close(Elimination *e)
{
	free(e->inverse);
	free(e->weight);
	free(e->cost);
	free(e->unit);
	free(e->rows);
	free(e->factors);
	*e = (Elimination){0};
}
