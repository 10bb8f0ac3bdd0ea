/* normalize_embeddings.c: `normalize-embeddings{method=z-score data=FILE}` post-processes embeddings with
 * statistics of a file, as in Sajjad, Alam, Dalvi, Durrani: "Effect of Post-processing on Contextualized Word
 * Representations", 2022, section 2:
 *
 *   z-score           (x - mean) / standard deviation, column by column
 *   min-max           (x - min) / (max - min)
 *   all-but-the-top   x - mean, minus its projection on the D largest principal components (Mu,
 *                     Viswanath, "All-but-the-Top", 2018). components=D; not given: a hundredth of the
 *                     width. D must be less than the number of rows: n rows span n - 1 directions
 *   unit              x / |x|, which needs no data
 *
 *   %e = pool %h {mode=mean} : f32[8]             %p = pool %h {mode=mean} : f32[8]
 *   return embedding=%e                    ->     %m = mul %p, %scale : f32[8]
 *                                                 %e = add %m, %shift : f32[8]
 *                                                 return embedding=%e
 *
 * The pass changes the output of the model's embedding head, before a final normalisation to unit length.
 * With layers=LIST it changes the output rows of these layers, for all readers. Statistics of a later layer
 * are taken after the earlier layers have been changed. A column that is constant in the data is only
 * shifted; if all columns are constant, the pass refuses. affine.c folds the result. */
#include "affine.h"
#include "calibrate.h"
#include "statistics.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums over all rows. The first row is subtracted, because columns of BERT have means far above their
 * deviation. */
typedef struct Moments {
	int64_t width, rows;
	bool by_token;                                 /* one row per token, not per text */
	double *origin, *sum, *squares, *least, *most; /* [width] each */
	double *products;                              /* [width,width], upper half; or NULL */
	double *row;
} Moments;

static void moments_add(Moments *m, const float *row)
{
	for (int64_t i = 0; i < m->width && m->rows == 0; i++) {
		m->most[i] = (double)row[i];
		m->least[i] = m->most[i];
		m->origin[i] = m->most[i];
	}
	for (int64_t i = 0; i < m->width; i++) {
		const double x = (double)row[i], d = x - m->origin[i];
		m->row[i] = d;
		m->sum[i] += d;
		m->squares[i] += d * d;
		m->least[i] = x < m->least[i] ? x : m->least[i];
		m->most[i] = x > m->most[i] ? x : m->most[i];
	}
	for (int64_t i = 0; m->products && i < m->width; i++)
		for (int64_t k = i; k < m->width; k++)
			m->products[i * m->width + k] += m->row[i] * m->row[k];
	m->rows++;
}

static void add_text(void *argument, const float *row, int32_t width, int32_t tokens)
{
	Moments *m = argument;
	for (int32_t t = 0; t < (m->by_token ? tokens : 1); t++)
		moments_add(m, row + (size_t)t * (size_t)width);
}

/* Refuses rows that are all equal, such as a single row: only zeros and rounding errors would be left. */
static bool moments_vary(const Moments *m, const Value *value, PassRun *run)
{
	for (int64_t i = 0; i < m->width; i++)
		if (m->most[i] > m->least[i])
			return true;
	return diag_error(run->diag, EXIT_USAGE, 0,
		"normalize-embeddings: %s%s%lld %s of %s%s, expected rows that differ; give more texts",
		value->node && value->node->origin ? value->node->origin : "",
		value->node && value->node->origin ? ": " : "", (long long)m->rows, m->rows == 1 ? "row" : "rows",
		pass_option(run, "data"), m->rows == 1 ? "" : ", all alike");
}

/* Collects the moments of a value over the data. */
static bool observe(Graph *graph, const Value *value, bool products, Moments *m, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	Probe probe;
	*m = (Moments){.width = value->type.dim[value->type.rank - 1].plus, .by_token = value->type.rank == 2};
	double **const vectors[] = {&m->origin, &m->sum, &m->squares, &m->least, &m->most, &m->row};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		*vectors[i] = mem_alloc(mem, (size_t)m->width * sizeof(double));
	if (products)
		m->products = mem_alloc(mem, (size_t)(m->width * m->width) * sizeof(double));
	probe_open(&probe, graph, 0);
	bool good = probe_rows(&probe, probe_value(&probe, value), add_text, m, run);
	probe_close(&probe);
	for (int64_t i = 0; good && i < m->width; i++)
		if (!isfinite(m->sum[i]) || !isfinite(m->squares[i]))
			return diag_error(run->diag, EXIT_RUN, 0,
				"normalize-embeddings: %s computes NaN or infinite numbers on %s; are its weights damaged?",
				value->node->origin ? value->node->origin : "the model", pass_option(run, "data"));
	return good
		&& (m->rows > 0 || diag_error_in(run->diag, EXIT_INPUT, pass_option(run, "data"), 0, "has no texts"))
		&& moments_vary(m, value, run);
}

/* ---- the methods ----------------------------------------------------------------------------- */

static bool z_score(Graph *graph, const Moments *m, int64_t components, Affine *affine, PassRun *run)
{
	(void)components;
	(void)run;
	double *scale = mem_alloc(graph->module->mem, (size_t)m->width * sizeof *scale),
		   *shift = mem_alloc(graph->module->mem, (size_t)m->width * sizeof *shift);
	const double n = (double)m->rows;
	for (int64_t i = 0; i < m->width; i++) {
		const double moved = m->sum[i] / n, mean = m->origin[i] + moved,
					 variance = m->squares[i] / n - moved * moved;
		scale[i] = m->most[i] > m->least[i] && variance > 0 ? 1 / sqrt(variance) : 1;
		shift[i] = -mean * scale[i];
	}
	affine->scale = scale;
	affine->shift = shift;
	return true;
}

static bool min_max(Graph *graph, const Moments *m, int64_t components, Affine *affine, PassRun *run)
{
	(void)components;
	(void)run;
	double *scale = mem_alloc(graph->module->mem, (size_t)m->width * sizeof *scale),
		   *shift = mem_alloc(graph->module->mem, (size_t)m->width * sizeof *shift);
	for (int64_t i = 0; i < m->width; i++) {
		scale[i] = m->most[i] > m->least[i] ? 1 / (m->most[i] - m->least[i]) : 1;
		shift[i] = -m->least[i] * scale[i];
	}
	affine->scale = scale;
	affine->shift = shift;
	return true;
}

static bool all_but_the_top(Graph *graph, const Moments *m, int64_t components, Affine *affine, PassRun *run)
{
	const int64_t width = m->width;
	const double n = (double)m->rows;
	if (components == 0)
		components = width >= 200 ? width / 100 : 1;
	if (components >= width)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"normalize-embeddings: components=%lld removes all of the embedding, which has %lld numbers",
			(long long)components, (long long)width);
	if (components >= m->rows) /* n rows span n - 1 directions; further eigenvectors are arbitrary */
		return diag_error(run->diag, EXIT_USAGE, 0,
			"normalize-embeddings: %lld components, but only %lld rows in %s; expected fewer components than "
			"rows; give more texts%s",
			(long long)components, (long long)m->rows, pass_option(run, "data"),
			components > 1 ? " or a smaller components=" : "");
	for (int64_t i = 0; i < width; i++)
		for (int64_t k = i; k < width; k++) {
			double *at = &m->products[i * width + k];
			*at = *at / n - m->sum[i] / n * (m->sum[k] / n);
			m->products[k * width + i] = *at;
		}
	double share, *basis = eigen_leading(m->products, width, components, &share);
	double *kept = mem_alloc(graph->module->mem, (size_t)(components * width) * sizeof *kept),
		   *shift = mem_alloc(graph->module->mem, (size_t)width * sizeof *shift);
	memcpy(kept, basis, (size_t)(components * width) * sizeof *kept);
	free(basis);
	for (int64_t i = 0; i < width; i++)
		shift[i] = -(m->origin[i] + m->sum[i] / n);
	for (int64_t k = 0; k < components; k++) {
		const double along = eval_dot(kept + k * width, shift, width);
		for (int64_t i = 0; i < width; i++)
			shift[i] -= along * kept[k * width + i];
	}
	pass_note(run, NULL, "removes %lld principal components, with %.1f %% of the variance",
		(long long)components, 100 * share);
	affine->basis = kept;
	affine->rank = components;
	affine->shift = shift;
	return true;
}

typedef bool Method(Graph *, const Moments *, int64_t components, Affine *, PassRun *);
static const struct {
	const char *name;
	Method *fit;
} methods[] = {
	{"z-score", z_score},
	{"min-max", min_max},
	{"all-but-the-top", all_but_the_top},
	{"unit", NULL},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* ---- values to post-process ------------------------------------------------------------------ */

/* Adds x / |x| after value, for all its readers. */
static bool make_unit(Graph *graph, Value *value, PassRun *run)
{
	const Attrs attr = {.has = A_eps, .eps = 1e-12};
	const char *origin = value->node ? value->node->origin : NULL;
	if (value_is(value, OP_NORMALIZE)) {
		pass_note(run, value->node, "has unit length already");
		return true;
	}
	Value *by = graph_emit(graph, value->node ? value->node->next : graph->first, OP_NORMALIZE, &value, 1,
		&attr, origin, run->diag);
	if (!by)
		return false;
	rewrite_uses(graph, value, by);
	by->node->args[0] = value;
	run->changes++;
	return true;
}

static bool process(Graph *graph, Value *value, int method, int64_t components, PassRun *run)
{
	Moments moments;
	if (!methods[method].fit)
		return make_unit(graph, value, run);
	Affine affine = {.width = value->type.dim[value->type.rank - 1].plus};
	return observe(graph, value, methods[method].fit == all_but_the_top, &moments, run)
		&& methods[method].fit(graph, &moments, components, &affine, run)
		&& affine_apply(graph, value, &affine, run);
}

/* The output of the embedding head, before its normalisation. */
static Value *find_output(const Graph *graph, bool unit, PassRun *run)
{
	const Module *module = graph->module;
	for (int32_t h = 0; h < module->nheads; h++)
		for (int32_t i = 0; module->heads[h].task == TASK_EMBED && i < graph->noutputs; i++)
			if (!strcmp(graph->outputs[i].name, module->heads[h].output)) {
				Value *value = graph->outputs[i].value;
				return !unit && value_is(value, OP_NORMALIZE) ? value->node->args[0] : value;
			}
	diag_error(run->diag, EXIT_UNSUPPORTED, 0,
		"normalize-embeddings: the model has no embedding head; give --task=embed, or layers= for the "
		"outputs of layers");
	return NULL;
}

static bool process_layers(Graph *graph, int method, int64_t components, PassRun *run)
{
	Layers layers;
	if (!layers_find(graph, "normalize-embeddings", &layers, run->diag))
		return false;
	int32_t *chosen = mem_alloc(graph->module->mem, (size_t)layers.count * sizeof *chosen);
	int32_t count = layers.count;
	bool *marked = mem_alloc(graph->module->mem, (size_t)layers.count * sizeof *marked);
	const bool all = pass_option_is(run, "layers", "all");
	if (!all && !layers_listed(graph, &layers, "layers", chosen, &count, run))
		return false;
	for (int32_t i = 0; i < count; i++)
		marked[all ? i : chosen[i]] = true;
	for (int32_t i = 0; i < layers.count; i++)
		if (marked[i] && !process(graph, layers.at[i].output, method, components, run))
			return false;
	return true;
}

bool pass_normalize_embeddings(Graph *graph, PassRun *run)
{
	const char *name = pass_option(run, "method");
	const int64_t components = pass_option_int(run, "components", 0);
	int method = 0;
	if (!name)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"normalize-embeddings: give method=, which is z-score, min-max, all-but-the-top or unit");
	while (method + 1 < METHODS && strcmp(name, methods[method].name))
		method++;
	if (pass_option(run, "components") && methods[method].fit != all_but_the_top)
		return diag_error(
			run->diag, EXIT_USAGE, 0, "normalize-embeddings: components= is for method=all-but-the-top");
	if (!methods[method].fit && (pass_option(run, "data") || pass_option(run, "limit")))
		return diag_error(run->diag, EXIT_USAGE, 0,
			"normalize-embeddings: method=unit learns nothing; leave data= and limit= out");
	bool good;
	if (pass_option(run, "layers")) {
		good = process_layers(graph, method, components, run);
	} else {
		Value *value = find_output(graph, methods[method].fit == NULL, run);
		good = value && process(graph, value, method, components, run);
	}
	if (good && run->changes)
		graph_sweep(graph);
	return good;
}
