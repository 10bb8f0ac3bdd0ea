/* eval_text.c: reference implementation of the ops on whole rows or on all tokens of a text: softmax, norms,
 * pooling, thinning. A text without tokens is legal: softmax of no elements is empty, and pooling gives
 * zeros. */
#include <math.h>
#include <string.h>
#include "eval.h"

/* ---- rows ------------------------------------------------------------------------------------ */

void eval_softmax_row(const double *from, double *to, int64_t count)
{
	double largest = -INFINITY, sum = 0;
	for (int64_t i = 0; i < count; i++)
		largest = fmax(largest, from[i]);
	for (int64_t i = 0; i < count; i++)
		sum += to[i] = exp(from[i] - largest);
	for (int64_t i = 0; i < count; i++)
		to[i] /= sum;
}

/* Uses the population variance (divided by count), as in LayerNorm: https://arxiv.org/abs/1607.06450 */
void eval_layernorm_row(
	const double *from, const double *gamma, const double *beta, double eps, double *to, int64_t count)
{
	double mean = 0, variance = 0;
	for (int64_t i = 0; i < count; i++)
		mean += from[i];
	mean /= (double)count;
	for (int64_t i = 0; i < count; i++)
		variance += (from[i] - mean) * (from[i] - mean);
	double factor = 1 / sqrt(variance / (double)count + eps);
	for (int64_t i = 0; i < count; i++)
		to[i] = gamma[i] * (from[i] - mean) * factor + beta[i];
}

/* Whether element j ranks after element i: it is smaller, or equal and later. NaN is smaller than any
 * number. */
static bool comes_behind(const double *x, int64_t j, int64_t i)
{
	const double a = isnan(x[j]) ? -INFINITY : x[j], b = isnan(x[i]) ? -INFINITY : x[i];
	return a < b || (a == b && j > i);
}

void eval_select_scores(const Attrs *attr, double *x, int64_t count)
{
	int64_t kept = attrs_kept(attr, count);
	double *p = checked_calloc((size_t)count, sizeof *p);
	memcpy(p, x, (size_t)count * sizeof *p);
	if (attr->has & A_threshold) {
		eval_softmax_row(p, p, count);
		kept = 0;
		for (int64_t i = 0; i < count; i++)
			kept += p[i] >= attr->threshold;
		kept = kept ? kept : 1;
		memcpy(p, x, (size_t)count * sizeof *p);
	}
	for (int64_t i = 0; i < count; i++) {
		int64_t before = 0;
		for (int64_t j = 0; j < count; j++)
			before += j != i && comes_behind(p, i, j);
		if (before >= kept)
			x[i] = -INFINITY;
	}
	free(p);
}

/* Copies argument 0 into the result. Returns the size of a row, at least 1 so that callers can use it as a
 * step. */
static int64_t rows_begin(const EvalArray *const *args, EvalArray *result)
{
	eval_widen(args[0], 0, result->count, result->v);
	int64_t size = result->dim[result->rank - 1];
	return size > 0 ? size : 1;
}

bool eval_SOFTMAX(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t size = rows_begin(args, &results[0]);
	for (int64_t at = 0; at < results[0].count; at += size) {
		if (node->attr.has & A_SELECT)
			eval_select_scores(&node->attr, results[0].v + at, size);
		eval_softmax_row(results[0].v + at, results[0].v + at, size);
	}
	return true;
}

static void layernorm_rows(const Node *node, const EvalArray *gamma, const EvalArray *beta, EvalArray *result)
{
	int64_t size = gamma->count;
	double *own_gamma, *own_beta;
	const double *g = eval_doubles(gamma, &own_gamma), *b = eval_doubles(beta, &own_beta);
	for (int64_t at = 0; at < result->count; at += size)
		eval_layernorm_row(result->v + at, g, b, node->attr.eps, result->v + at, size);
	free(own_gamma);
	free(own_beta);
}

bool eval_LAYERNORM(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	rows_begin(args, &results[0]);
	layernorm_rows(node, args[1], args[2], &results[0]);
	return true;
}

bool eval_ADD_LAYERNORM(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	for (int64_t i = 0; i < results[0].count; i++)
		results[0].v[i] = eval_at(args[0], i) + eval_at(args[1], i);
	layernorm_rows(node, args[2], args[3], &results[0]);
	return true;
}

bool eval_NORMALIZE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t size = rows_begin(args, &results[0]);
	for (int64_t at = 0; at < results[0].count; at += size) {
		double *row = results[0].v + at, norm = fmax(sqrt(eval_dot(row, row, size)), node->attr.eps);
		for (int64_t i = 0; i < size; i++)
			row[i] /= norm;
	}
	return true;
}

static int magnitude_larger_first(const void *a, const void *b)
{
	const double x = fabs(*(const double *)a), y = fabs(*(const double *)b);
	return (x < y) - (x > y);
}

bool eval_TOP(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const int64_t size = rows_begin(args, &results[0]), keep = node->attr.keep;
	if (keep >= size)
		return true;
	double *order = checked_calloc((size_t)size, sizeof *order);
	for (int64_t at = 0; at < results[0].count; at += size) {
		double *row = results[0].v + at;
		memcpy(order, row, (size_t)size * sizeof *order);
		qsort(order, (size_t)size, sizeof *order, magnitude_larger_first);
		const double least = fabs(order[keep - 1]);
		int64_t equal = keep; /* how many elements of the least kept magnitude stay */
		for (int64_t i = 0; i < size; i++)
			equal -= fabs(row[i]) > least;
		for (int64_t i = 0; i < size; i++)
			if (fabs(row[i]) < least || (fabs(row[i]) == least && equal-- <= 0))
				row[i] = 0;
	}
	free(order);
	return true;
}

bool eval_RMSNORM(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t size = rows_begin(args, &results[0]);
	for (int64_t at = 0; at < results[0].count; at += size) {
		double *row = results[0].v + at, squares = eval_dot(row, row, size),
			   factor = 1 / sqrt(squares / (double)size + node->attr.eps);
		for (int64_t i = 0; i < size; i++)
			row[i] *= eval_at(args[1], i) * factor;
	}
	return true;
}

/* Rotates pairs by the angles with these cosines and sines: (x[i], x[i + half]), or neighbours. */
static void rotate_head(double *x, const EvalArray *angles, int64_t row, int64_t half, bool neighbours)
{
	for (int64_t i = 0; i < half; i++) {
		const double cosine = eval_at(angles, row + i), sine = eval_at(angles, row + half + i);
		double *first = x + (neighbours ? 2 * i : i), *second = first + (neighbours ? 1 : half);
		const double a = *first, b = *second;
		*first = a * cosine - b * sine;
		*second = b * cosine + a * sine;
	}
}

bool eval_ROTARY(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const int64_t width = rows_begin(args, &results[0]), size = width / node->attr.heads,
				  angles = args[1]->dim[args[1]->rank - 1],
				  end = node->attr.has & A_end ? node->attr.end : node->attr.heads;
	for (int64_t at = 0, row = 0; at < results[0].count; at += width, row += angles)
		for (int64_t head = 0; head < end; head++)
			rotate_head(results[0].v + at + head * size, args[1], row, angles / 2, node->attr.has & A_apart);
	return true;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* Pools one column of a[S,H], every `hidden`-th number from `column` on, from row `first` on. first < S. */
static double pool_column(Pool mode, const double *column, int64_t hidden, int64_t first, int64_t tokens)
{
	double sum = 0, weights = 0, largest = -INFINITY;
	if (mode == POOL_FIRST)
		return column[first * hidden];
	if (mode == POOL_LAST)
		return column[(tokens - 1) * hidden];
	for (int64_t t = first; t < tokens; t++) {
		double x = column[t * hidden], weight = mode == POOL_MEAN_WEIGHTED ? (double)(t + 1) : 1;
		sum += weight * x;
		weights += weight;
		largest = fmax(largest, x);
	}
	switch (mode) {
	case POOL_MAX: return largest;
	case POOL_MEAN_SQRT: return sum / sqrt(weights);
	case POOL_SUM: return sum;
	default: return sum / weights;
	}
}

void eval_pool(const Node *node, const EvalArray *const *args, EvalArray *results, double skipped)
{
	Pool mode = node->attr.has & A_mode ? node->attr.mode : POOL_FIRST;
	int64_t tokens = args[0]->dim[0], hidden = args[0]->dim[1];
	int64_t first = skipped < (double)tokens ? (int64_t)fmax(skipped, 0) : tokens;
	double *owned;
	const double *x = eval_doubles(args[0], &owned);
	first = first == tokens && mode == POOL_FIRST ? 0 : first;
	for (int64_t j = 0; j < hidden; j++)
		results[0].v[j] = first < tokens ? pool_column(mode, x + j, hidden, first, tokens) : 0;
	free(owned);
}

bool eval_POOL(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	eval_pool(node, args, results, 0);
	return true;
}

/* ---- thinning -------------------------------------------------------------------------------- */

static bool row_must_stay(const EvalArray *const *args, int32_t nargs, int64_t row)
{
	return row == 0 || (nargs == 2 && eval_at(args[1], row) != 0);
}

int64_t eval_thin_count(const Node *node, const EvalArray *const *args)
{
	int64_t rows = args[0]->dim[0], kept = attrs_kept(&node->attr, rows), must = 0;
	for (int64_t i = 0; i < rows; i++)
		must += row_must_stay(args, node->nargs, i);
	return kept > must ? kept : must;
}

bool eval_THIN(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const int64_t rows = args[0]->dim[0], width = args[0]->dim[1], kept = results[0].count;
	double *sum = checked_calloc((size_t)rows, sizeof *sum);
	for (int64_t i = 0; i < rows; i++)
		for (int64_t n = 0; n < width; n++)
			sum[i] += eval_at(args[0], i * width + n);
	int64_t at = 0;
	for (int64_t i = 0; i < rows; i++) {
		const bool must = row_must_stay(args, node->nargs, i);
		int64_t before = 0;
		for (int64_t j = 0; j < rows; j++) {
			const bool first = row_must_stay(args, node->nargs, j);
			before += j != i && (first != must ? first : comes_behind(sum, i, j));
		}
		if (before < kept)
			results[0].v[at++] = (double)i;
	}
	free(sum);
	return true;
}

bool eval_GATHER(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	const int64_t rows = args[0]->dim[0], width = args[0]->dim[1];
	for (int64_t i = 0; i < args[1]->count; i++) {
		const int64_t from = (int64_t)eval_at(args[1], i);
		if (from < 0 || from >= rows)
			return node_error(
				node, diag, "index %lld is outside of %lld rows", (long long)from, (long long)rows);
		eval_widen(args[0], from * width, width, results[0].v + i * width);
	}
	return true;
}

bool eval_SPREAD(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	const int64_t width = args[0]->dim[1], rows = results[0].dim[0], places = args[1]->count;
	for (int64_t i = 0, at = -1; i < rows; i++) {
		while (at + 1 < places && eval_at(args[1], at + 1) <= (double)i)
			at++;
		if (at >= 0)
			eval_widen(args[0], at * width, width, results[0].v + i * width);
	}
	return true;
}

bool eval_SHIFT(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const int64_t rows = args[0]->dim[0], width = args[0]->dim[1];
	for (int64_t i = 0; i < rows; i++) {
		const int64_t from = i + node->attr.start;
		if (from >= 0 && from < rows)
			eval_widen(args[0], from * width, width, results[0].v + i * width);
	}
	return true;
}

bool eval_CONVOLVE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const int64_t rows = args[0]->dim[0], width = args[0]->dim[1],
				  heads = node->attr.has & A_heads ? node->attr.heads : 0,
				  own = node->args[1]->type.rank == 2,
				  taps = heads ? args[1]->dim[own] / heads : args[1]->dim[0];
	for (int64_t i = 0; i < rows; i++)
		for (int64_t k = 0; k < taps; k++) {
			const int64_t from = i + k - taps / 2;
			for (int64_t c = 0; c < width && from >= 0 && from < rows; c++) {
				const int64_t at = heads ? (own * i * heads + c / (width / heads)) * taps + k : k * width + c;
				results[0].v[i * width + c] += eval_at(args[1], at) * eval_at(args[0], from * width + c);
			}
		}
	return true;
}

bool eval_FOURIER(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	static const double turn = 6.28318530717958647693;
	const int64_t rows = args[0]->dim[0], width = results[0].dim[1];
	for (int64_t i = 0; i < rows; i++)
		for (int64_t t = 0; t < rows; t++) {
			const double angle = turn * (double)(i * t % rows) / (double)rows;
			for (int64_t c = 0; c < width; c++)
				results[0].v[i * width + c] += cos(angle) * eval_at(args[0], 2 * t * width + c)
					- sin(angle) * eval_at(args[0], (2 * t + 1) * width + c);
		}
	return true;
}
