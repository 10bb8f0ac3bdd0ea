/* sparsify_fit.c: refits the remaining weights of each output by least squares on the linear's inputs
 * (Hassibi, Stork: "Second order derivatives for network pruning: Optimal Brain Surgeon", 1993, equation 5,
 * for all weights of a row at once; Frantar, Alistarh: "SparseGPT", arXiv:2301.00774, equation 2). With H the
 * covariance of the inputs plus ridge times their mean variance on the diagonal, w a row of the weight and S
 * its remaining places,
 *
 *   w'_S = (H_SS)^-1 (H w)_S        w' is zero elsewhere        b' = b + (w - w') E[x]
 *
 * minimises mean |w' x + b' - w x - b|^2 + ridge * v * |w' - w|^2; when fewer weights are removed than stay,
 * the equivalent system of the removed weights is solved instead. The score of a weight is w_c^2 / [H^-1]_cc
 * instead of w_c^2 E[x_c^2]: the increase of the error when it is removed and the rest refitted (Optimal
 * Brain Surgeon's equation 5 again).
 *
 * The systems are solved by Cholesky, DEPTH rows at a time. Each product and each sum is rounded
 * (-ffp-contract=off), so that results do not depend on the vector width of the machine that runs bertc. */
#include "eliminate.h"
#include "sparsify.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 8 };

/* ---- one row --------------------------------------------------------------------------------- */

/* Updates rows from..n of the upper half of A with the DEPTH rows of R above them: A_ij -= sum over d of R_di
 * R_dj for j >= i. Some j < i are written too, but never read. The function exists twice, as in eliminate.c.
 */
#define UPDATE(name, bytes) \
	static void name(double *a, const double *r, int64_t from, int64_t n, int64_t ld) \
	{ \
		typedef double Vector __attribute__((vector_size(bytes), aligned(8), may_alias)); \
		enum { STEP = bytes / 8 }; \
		for (int64_t i = from; i < n; i++) { \
			double f[DEPTH]; \
			for (int d = 0; d < DEPTH; d++) \
				f[d] = r[d * ld + i]; \
			for (int64_t j = i & ~(int64_t)7; j < n; j += 2 * STEP) { \
				Vector *to = (Vector *)(a + i * ld + j), low = to[0], high = to[1]; \
				for (int d = 0; d < DEPTH; d++) { \
					const Vector *row = (const Vector *)(r + d * ld + j); \
					low -= f[d] * row[0], high -= f[d] * row[1]; \
				} \
				to[0] = low, to[1] = high; \
			} \
		} \
	}

UPDATE(update_plain, 16)
#ifdef __x86_64__
__attribute__((target("avx2"))) UPDATE(update_avx2, 32)
#endif

	static void update(double *a, int64_t at, int64_t n, int64_t ld)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) {
		update_avx2(a, a + at * ld, at + DEPTH, n, ld);
		return;
	}
#endif
	update_plain(a, a + at * ld, at + DEPTH, n, ld);
}

/* A = R^T R, R in the upper half of A; false when A is not positive definite. */
static bool factor(double *a, int64_t n, int64_t ld)
{
	for (int64_t at = 0; at < n; at += DEPTH) {
		const int64_t end = at + DEPTH < n ? at + DEPTH : n;
		for (int64_t p = at; p < end; p++) {
			double *row = a + p * ld;
			if (!(row[p] > 0) || !isfinite(row[p]))
				return false;
			const double root = sqrt(row[p]);
			for (int64_t j = p; j < n; j++)
				row[j] /= root;
			for (int64_t i = p + 1; i < end; i++)
				for (int64_t j = i; j < n; j++)
					a[i * ld + j] -= row[i] * row[j];
		}
		if (end < n)
			update(a, at, n, ld);
	}
	return true;
}

/* R^T R x = b in place of b. */
static void substitute(const double *r, int64_t n, int64_t ld, double *b)
{
	for (int64_t i = 0; i < n; i++) {
		b[i] /= r[i * ld + i];
		for (int64_t j = i + 1; j < n; j++)
			b[j] -= r[i * ld + j] * b[i];
	}
	for (int64_t i = n; i-- > 0;) {
		for (int64_t j = i + 1; j < n; j++)
			b[i] -= r[i * ld + j] * b[j];
		b[i] /= r[i * ld + i];
	}
}

/* Copies the submatrix of m[n,ld] at the marked places, and lists these places. */
static int64_t gather(const double *m, int64_t ld, int64_t n, const bool *gone, bool marked, SparseScratch *s)
{
	int64_t count = 0;
	for (int64_t c = 0; c < n; c++)
		if (gone[c] == marked)
			s->index[count++] = (int32_t)c;
	for (int64_t i = 0; i < count; i++)
		for (int64_t j = 0; j < count; j++)
			s->a[i * ld + j] = m[s->index[i] * ld + s->index[j]];
	return count;
}

/* Solves for the remaining weights: w'_S = (H_SS)^-1 (H w)_S. */
static bool fit_kept(const double *h, int64_t ld, int64_t n, const bool *gone, double *w, SparseScratch *s)
{
	const int64_t kept = gather(h, ld, n, gone, false, s);
	for (int64_t i = 0; i < kept; i++) {
		s->b[i] = 0;
		for (int64_t c = 0; c < n; c++)
			s->b[i] += h[s->index[i] * ld + c] * w[c];
	}
	if (!factor(s->a, kept, ld))
		return false;
	substitute(s->a, kept, ld, s->b);
	memset(w, 0, (size_t)n * sizeof *w);
	for (int64_t i = 0; i < kept; i++)
		w[s->index[i]] = s->b[i];
	return true;
}

/* Solves for the removed weights: w' = w - (H^-1)_G^T (H^-1_GG)^-1 w_G. */
static bool fit_gone(
	const double *inverse, int64_t ld, int64_t n, const bool *gone, double *w, SparseScratch *s)
{
	const int64_t count = gather(inverse, ld, n, gone, true, s);
	for (int64_t i = 0; i < count; i++)
		s->b[i] = w[s->index[i]];
	if (!factor(s->a, count, ld))
		return false;
	substitute(s->a, count, ld, s->b);
	for (int64_t i = 0; i < count; i++)
		for (int64_t c = 0; c < n; c++)
			w[c] -= s->b[i] * inverse[s->index[i] * ld + c];
	for (int64_t i = 0; i < count; i++)
		w[s->index[i]] = 0;
	return true;
}

bool sparse_fit_row(const double *h, const double *inverse, int64_t ld, int64_t n, const bool *gone,
	double *w, SparseScratch *s)
{
	int64_t count = 0;
	for (int64_t c = 0; c < n; c++)
		count += gone[c];
	return 2 * count > n ? fit_kept(h, ld, n, gone, w, s)
						 : fit_gone(inverse, ld, n, gone, w, s); /* the smaller system */
}

/* ---- observations ---------------------------------------------------------------------------- */

/* A value that linears read. Its covariance includes the ridge. */
typedef struct Input {
	Value *value;
	Covariance covariance;
	double *inverse, *norms, held;
} Input;

struct SparseFits {
	Input *at;
	int32_t count;
	int64_t widest;
};

static void add_text(void *argument, const float *row, int32_t width, int32_t tokens)
{
	const SparseFits *fits = argument;
	(void)width;
	for (int32_t t = 0; t < tokens; t++)
		for (int32_t i = 0; i < fits->count; i++) {
			covariance_add(&fits->at[i].covariance, row);
			row += fits->at[i].covariance.width;
		}
}

static Input *input_of(const SparseFits *fits, const Value *value)
{
	for (int32_t i = 0; i < fits->count; i++)
		if (fits->at[i].value == value)
			return &fits->at[i];
	return NULL;
}

static bool see(Graph *graph, SparseFits *fits, PassRun *run)
{
	Value **values = mem_alloc(graph->module->mem, (size_t)fits->count * sizeof *values);
	Probe probe;
	probe_open(&probe, graph, 0);
	for (int32_t i = 0; i < fits->count; i++)
		values[i] = probe_value(&probe, fits->at[i].value);
	Value *rows = concat_all(probe.graph, values, fits->count, 1, run->diag);
	const bool good = rows && probe_rows(&probe, rows, add_text, fits, run);
	probe_close(&probe);
	return good
		&& (fits->at[0].covariance.rows > 0
			|| diag_error_in(run->diag, EXIT_INPUT, pass_option(run, "data"), 0, "has no texts"));
}

static bool failed(const Input *input, PassRun *run)
{
	const Node *node = input->value->node;
	return diag_error(run->diag, EXIT_RUN, 0,
		"sparsify: %s has NaN or infinite numbers; a larger ridge= may help",
		node && node->origin ? node->origin : "the graph's input");
}

/* Adds the ridge, inverts, and stores 1 / sqrt of the inverse's diagonal. */
static bool finish(Graph *graph, Input *input, double ridge)
{
	Covariance *c = &input->covariance;
	const size_t bytes = (size_t)(c->ld * c->ld) * sizeof *c->products;
	covariance_finish(c);
	double *products = checked_malloc(bytes), variance = 0;
	float *none = checked_calloc((size_t)c->width, sizeof *none);
	Elimination inverse;
	memcpy(products, c->products, bytes);
	bool good = elimination_open(&inverse, c, (int32_t)c->width, 1, 1, none, ridge);
	input->norms = mem_alloc(graph->module->mem, (size_t)c->width * sizeof *input->norms);
	for (int64_t i = 0; good && i < c->width; i++) {
		const double own = inverse.inverse[i * c->ld + i];
		good = own > 0 && isfinite(own);
		input->norms[i] = 1 / sqrt(own);
		variance += products[i * c->ld + i] / (double)c->width;
	}
	input->inverse = inverse.inverse;
	inverse.inverse = NULL;
	elimination_close(&inverse);
	free(none);
	free(c->products);
	c->products = products;
	input->held = variance > 0 ? ridge * variance : 1;
	for (int64_t i = 0; good && i < c->width; i++)
		c->products[i * c->ld + i] += input->held;
	return good;
}

SparseFits *sparse_fits_open(Graph *graph, SparseMatrix *at, int32_t count, double ridge, PassRun *run)
{
	SparseFits *fits = mem_alloc(graph->module->mem, sizeof *fits);
	fits->at = mem_alloc(graph->module->mem, (size_t)count * sizeof *fits->at);
	bool good = true;
	for (int32_t i = 0; i < count && good; i++)
		if (at[i].ninputs == 1 && !input_of(fits, at[i].inputs[0])) {
			Input *input = &fits->at[fits->count++];
			input->value = at[i].inputs[0];
			covariance_open(&input->covariance, at[i].columns);
			fits->widest = input->covariance.ld > fits->widest ? input->covariance.ld : fits->widest;
		}
	good = good && (fits->count == 0 || see(graph, fits, run));
	for (int32_t i = 0; i < fits->count && good; i++)
		good = finish(graph, &fits->at[i], ridge) || failed(&fits->at[i], run);
	for (int32_t i = 0; i < count && good; i++)
		if (at[i].ninputs == 1)
			at[i].norms = input_of(fits, at[i].inputs[0])->norms;
	if (good)
		return fits;
	sparse_fits_close(fits);
	return NULL;
}

void sparse_fits_close(SparseFits *fits)
{
	for (int32_t i = 0; i < fits->count; i++) {
		free(fits->at[i].inverse);
		covariance_close(&fits->at[i].covariance);
	}
}

/* ---- matrices -------------------------------------------------------------------------------- */

/* d^T H d without the ridge. */
static double error_of(const Input *input, const double *d)
{
	const Covariance *c = &input->covariance;
	double sum = 0;
	for (int64_t i = 0; i < c->width; i++) {
		double product = -input->held * d[i];
		if (d[i] == 0)
			continue;
		for (int64_t k = 0; k < c->width; k++)
			product += c->products[i * c->ld + k] * d[k];
		sum += d[i] * product;
	}
	return sum;
}

/* Fills m->fitted and m->moved, and adds the errors to m->error and m->whole. */
static bool fit_rows(SparseMatrix *m, const Input *input, SparseScratch *s, double *w)
{
	const Covariance *c = &input->covariance;
	double *d = w + m->columns;
	m->error = 0;
	m->whole = 0;
	for (int64_t r = 0; r < m->rows; r++) {
		for (int64_t k = 0; k < m->columns; k++) {
			w[k] = tensor_at(m->tensor, r * m->columns + k);
			d[k] = w[k];
		}
		m->whole += error_of(input, d);
		if (!sparse_fit_row(c->products, input->inverse, c->ld, m->columns, m->gone + r * m->columns, w, s))
			return false;
		double moved = 0;
		for (int64_t k = 0; k < m->columns; k++) {
			m->fitted[r * m->columns + k] = (float)w[k];
			d[k] -= w[k];
			moved += d[k] * c->sum[k];
		}
		m->moved[r] = moved;
		m->error += error_of(input, d);
	}
	return true;
}

bool sparse_fit(Graph *graph, SparseFits *fits, SparseMatrix *at, int32_t count, PassRun *run)
{
	const size_t ld = (size_t)fits->widest;
	SparseScratch s = {checked_calloc(ld * ld, sizeof *s.a), checked_calloc(ld, sizeof *s.b),
		checked_calloc(ld, sizeof *s.index)};
	double *w = checked_calloc(2 * ld, sizeof *w);
	bool good = true;
	for (int32_t i = 0; i < count && good; i++) {
		SparseMatrix *m = &at[i];
		if (m->ninputs != 1)
			continue;
		if (!m->fitted) {
			m->fitted = mem_alloc(graph->module->mem, (size_t)(m->rows * m->columns) * sizeof *m->fitted);
			m->moved = mem_alloc(graph->module->mem, (size_t)m->rows * sizeof *m->moved);
		}
		const Input *input = input_of(fits, m->inputs[0]);
		good = fit_rows(m, input, &s, w) || failed(input, run);
	}
	free(s.a);
	free(s.b);
	free(s.index);
	free(w);
	return good;
}
