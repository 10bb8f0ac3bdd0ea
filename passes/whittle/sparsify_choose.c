/* sparsify_choose.c: selects the weights to zero (sparsify.h). Sorting tens of millions of units is avoided:
 * non-negative floats have the same order as their bits, so two histograms (upper and lower half of the bits)
 * find the threshold. */
#include "sparsify.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Units {
	const SparseMatrix *matrix;
	SparseUnit unit;
	int64_t down, across;
} Units;

static Units units_of(const SparseMatrix *m, SparseUnit unit)
{
	unit.wide = unit.wide < m->columns ? unit.wide : m->columns;
	unit.high = unit.high < m->rows ? unit.high : m->rows;
	return (Units){m, unit, (m->rows + unit.high - 1) / unit.high, (m->columns + unit.wide - 1) / unit.wide};
}

/* A unit's first row and column, and its size. */
typedef struct Patch {
	int64_t row, column, high, wide;
} Patch;

static Patch patch_of(const Units *u, int64_t at)
{
	const SparseMatrix *m = u->matrix;
	Patch p = {at / u->across * u->unit.high, at % u->across * u->unit.wide, u->unit.high, u->unit.wide};
	p.high = m->rows - p.row < p.high ? m->rows - p.row : p.high;
	p.wide = m->columns - p.column < p.wide ? m->columns - p.column : p.wide;
	return p;
}

static uint32_t score_of(const SparseMatrix *m, Patch p)
{
	double sum = 0;
	for (int64_t r = p.row; r < p.row + p.high; r++)
		for (int64_t k = p.column; k < p.column + p.wide; k++) {
			const int64_t i = r * m->columns + k;
			const double w = (m->fitted ? (double)m->fitted[i] : tensor_at(m->tensor, i))
				* (m->norms ? m->norms[k] : 1);
			sum += w * w;
		}
	const float score = (float)sqrt(sum / (double)(p.high * p.wide));
	uint32_t bits;
	memcpy(&bits, &score, sizeof bits);
	return bits;
}

/* Adds the size of units to the histogram. With shift 0, only units count that have the upper 16 bits
 * `upper`. */
static void count_units(const Units *u, int shift, uint32_t upper, int64_t *histogram)
{
	for (int64_t at = 0; at < u->down * u->across; at++) {
		const Patch p = patch_of(u, at);
		const uint32_t score = score_of(u->matrix, p);
		if (shift == 16 || score >> 16 == upper)
			histogram[score >> shift & 0xffff] += p.high * p.wide;
	}
}

/* The first place of the histogram at which the sum reaches *wanted. Subtracts the weights before this place
 * from *wanted. */
static uint32_t find_place(const int64_t *histogram, int64_t *wanted)
{
	uint32_t place = 0;
	while (place < 0xffff && histogram[place] < *wanted) {
		*wanted -= histogram[place];
		place++;
	}
	return place;
}

void sparse_choose(const SparseMatrix *at, int32_t count, SparseUnit unit, double sparsity)
{
	int64_t weights = 0, *histogram = checked_calloc(2 << 16, sizeof *histogram);
	for (int32_t i = 0; i < count; i++)
		weights += at[i].rows * at[i].columns;
	int64_t wanted = llround(sparsity * (double)weights);
	for (int32_t i = 0; i < count; i++) {
		const Units u = units_of(&at[i], unit);
		count_units(&u, 16, 0, histogram);
	}
	const uint32_t upper = find_place(histogram, &wanted);
	for (int32_t i = 0; i < count; i++) {
		const Units u = units_of(&at[i], unit);
		count_units(&u, 0, upper, histogram + (1 << 16));
	}
	const uint32_t last = upper << 16 | find_place(histogram + (1 << 16), &wanted);
	for (int32_t i = count - 1; i >= 0; i--) {
		const Units u = units_of(&at[i], unit);
		for (int64_t k = u.down * u.across - 1; k >= 0; k--) {
			const Patch p = patch_of(&u, k);
			const uint32_t score = score_of(&at[i], p);
			if (score > last || (score == last && wanted <= 0))
				continue;
			wanted -= score == last ? p.high * p.wide : 0;
			for (int64_t r = p.row; r < p.row + p.high; r++)
				memset(at[i].gone + r * at[i].columns + p.column, true, (size_t)p.wide);
		}
	}
	free(histogram);
}

int64_t sparse_mark_zeros(const SparseMatrix *m)
{
	int64_t zeros = 0;
	for (int64_t i = 0; i < m->rows * m->columns; i++)
		if (tensor_at(m->tensor, i) == 0) {
			m->gone[i] = true;
			zeros++;
		}
	return zeros;
}
