/* calibrate.c: observers. A copy of the graph returns one output only: the concatenation of all observed
 * numbers of a text. The copy is compiled and run over the data, and the means are returned.
 *
 *   return logits=%l        ->      %s = mul %h, %h
 *                                   %m = pool %s {mode=mean} : f32[8]
 *                                   return observed=%m
 *
 * This example observes the mean square of a value's columns. */
#include "calibrate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Layers are observed on every text, so no text may end early. Each exit is replaced by a concat of the one
 * value that it passes on. */
static void pass_exits(Graph *graph)
{
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_EXIT) {
			node->op = OP_CONCAT;
			node->nargs = 1;
			node->attr = (Attrs){.has = A_axis, .axis = node->results[0]->type.rank - 1};
		}
}

void probe_open(Probe *probe, const Graph *graph, int32_t room)
{
	const Module *module = graph->module;
	*probe = (Probe){.module = module_copy(module)};
	for (int32_t g = 0; g < module->ngraphs; g++)
		if (module->graphs[g] == graph)
			probe->graph = probe->module->graphs[g];
	probe->seen = mem_alloc(probe->module->mem, (size_t)room * sizeof *probe->seen);
	probe->module->graphs[0] = probe->graph; /* the other graphs are not needed */
	probe->module->ngraphs = 1;
	probe->module->nheads = 0;
	pass_exits(probe->graph);
}

void probe_close(Probe *probe)
{
	module_free(probe->module);
	*probe = (Probe){0};
}

Value *probe_value(const Probe *probe, const Value *value)
{
	for (Node *node = probe->graph->first; node; node = node->next)
		for (int32_t i = 0; i < node->nresults; i++)
			if (node->results[i]->id == value->id)
				return node->results[i];
	for (int32_t i = 0; i < probe->graph->ninputs; i++)
		if (probe->graph->inputs[i]->id == value->id)
			return probe->graph->inputs[i];
	return NULL;
}

void probe_want(Probe *probe, Value *value)
{
	probe->seen[probe->nseen++] = value;
	probe->width += (int32_t)type_count(&value->type);
}

Value *concat_all(Graph *graph, Value **values, int32_t count, int32_t axis, Diag *diag)
{
	const Attrs attr = {.has = A_axis, .axis = axis};
	while (count > 1) {
		int32_t made = 0;
		for (int32_t at = 0; at < count; at += ARGS_MAX) {
			int32_t n = count - at < ARGS_MAX ? count - at : ARGS_MAX;
			Value *part = n == 1 ? values[at]
								 : graph_emit(graph, NULL, OP_CONCAT, values + at, n, &attr, NULL, diag);
			if (!part)
				return NULL;
			values[made++] = part;
		}
		count = made;
	}
	return values[0];
}

typedef struct Means {
	bool by_tokens;
	double *sum, weight;
} Means;

static void add_text(void *argument, const float *row, int32_t width, int32_t tokens)
{
	Means *means = argument;
	double weight = means->by_tokens ? tokens : 1;
	for (int32_t i = 0; i < width; i++)
		means->sum[i] += weight * (double)row[i];
	means->weight += weight;
}

/* Checks data= and limit=, and that code can be run. */
static bool probe_ready(PassRun *run, const char **data, int64_t *limit)
{
	const char *pass = pass_info[run->item->pass].name;
	*limit = pass_option_int(run, "limit", 0);
	*data = pass_option(run, "data");
	if (!*data)
		return diag_error(
			run->diag, EXIT_USAGE, 0, "%s: %s needs texts; give data=FILE", pass, run->item->text);
	if (!run->env->observe || !run->env->score)
		return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"%s: %s runs the model on texts, which needs its tokenizer; use 'bertc build' instead of 'bertc "
			"opt'",
			pass, run->item->text);
	return true;
}

/* Runs the copy with one value as its output. */
static bool observe_value(
	Probe *probe, Value *value, const char *data, int32_t limit, ObserveFn *each, void *arg, PassRun *run)
{
	if (!value)
		return false;
	probe->graph->noutputs = 0;
	graph_add_output(probe->graph, "observed", value);
	graph_sweep(probe->graph);
	return run->env->observe(run->env->calibration, probe->module, data, limit, each, arg, run->diag);
}

bool probe_observe(Probe *probe, const char *data, int32_t limit, ObserveFn *each, void *arg, PassRun *run)
{
	return observe_value(probe, concat_all(probe->graph, probe->seen, probe->nseen, 0, run->diag), data,
		limit, each, arg, run);
}

bool probe_each(Probe *probe, ObserveFn *each, void *argument, PassRun *run)
{
	const char *data;
	int64_t limit;
	return probe_ready(run, &data, &limit) && probe_observe(probe, data, (int32_t)limit, each, argument, run);
}

static void keep_row(void *argument, const float *row, int32_t width, int32_t tokens)
{
	LabelledRows *kept = argument;
	(void)tokens;
	kept->rows = checked_grow(
		kept->rows, &kept->capacity, (size_t)kept->n + 1, (size_t)width * sizeof *kept->rows);
	kept->width = width;
	memcpy(kept->rows + (size_t)kept->n * (size_t)width, row, (size_t)width * sizeof *row);
	kept->n++;
}

bool probe_labelled(
	Probe *probe, const char *data, int32_t limit, bool labelled, LabelledRows *kept, PassRun *run)
{
	int32_t labels = 0;
	*kept = (LabelledRows){0};
	if (labelled && !run->env->labels(run->env->calibration, data, limit, &kept->labels, &labels, run->diag))
		return false;
	if (!probe_observe(probe, data, limit, keep_row, kept, run))
		return false;
	return (kept->n > 0 && (!labelled || labels == kept->n))
		|| diag_error_in(
			run->diag, EXIT_INPUT, data, 0, labelled ? "has no texts with labels" : "has no texts");
}

void labelled_rows_free(LabelledRows *kept)
{
	free(kept->rows);
	free(kept->labels);
	*kept = (LabelledRows){0};
}

const float *labelled_row(const LabelledRows *kept, int32_t text)
{
	return kept->rows + (int64_t)text * kept->width;
}

bool probe_run(Probe *probe, bool by_tokens, double *means, PassRun *run)
{
	memset(means, 0, (size_t)probe->width * sizeof *means);
	Means sum = {by_tokens, means, 0};
	if (!probe_each(probe, add_text, &sum, run))
		return false;
	bool finite = true;
	for (int32_t i = 0; i < probe->width && sum.weight > 0; i++) {
		means[i] /= sum.weight;
		finite = finite && isfinite(means[i]);
	}
	if (!finite) /* no choice can be made from them */
		return diag_error(run->diag, EXIT_RUN, 0,
			"%s: the model computes NaN or infinite numbers on %s; are its weights damaged?",
			pass_info[run->item->pass].name, pass_option(run, "data"));
	return sum.weight > 0
		|| diag_error_in(run->diag, EXIT_INPUT, pass_option(run, "data"), 0, "has no texts");
}

bool probe_rows(Probe *probe, Value *value, ObserveFn *each, void *argument, PassRun *run)
{
	const char *data;
	int64_t limit;
	return probe_ready(run, &data, &limit)
		&& observe_value(probe, value, data, (int32_t)limit, each, argument, run);
}

bool probe_score(Probe *probe, OutputScore *scores, PassRun *run)
{
	const char *data;
	int64_t limit;
	return probe_ready(run, &data, &limit)
		&& run->env->score(run->env->calibration, probe->module, data, (int32_t)limit, scores, run->diag);
}

/* Cosine as the dot product of unit vectors. */
Value *emit_cosine(Graph *graph, Value *a, Value *b, bool all_tokens, Diag *diag)
{
	const Attrs unit = {.has = A_eps, .eps = 1e-12}, first = {.has = A_mode, .mode = POOL_FIRST},
				mean = {.has = A_mode, .mode = POOL_MEAN};
	Value *sides[2] = {a, b};
	int64_t width = a->type.dim[a->type.rank - 1].plus;
	for (int i = 0; i < 2; i++) {
		if (!all_tokens && !(sides[i] = graph_emit(graph, NULL, OP_POOL, &sides[i], 1, &first, NULL, diag)))
			return NULL;
		if (!(sides[i] = graph_emit(graph, NULL, OP_NORMALIZE, &sides[i], 1, &unit, NULL, diag)))
			return NULL;
	}
	Value *product = graph_emit(graph, NULL, OP_MUL, sides, 2, NULL, NULL, diag);
	Tensor *ones = tensor_new(graph->module, NULL, type_numbers(DT_F32, 2, (int64_t[]){1, width}));
	for (int64_t i = 0; i < width; i++)
		tensor_set(ones, i, 1);
	Value *weight = graph_const(graph, NULL, ones, NULL);
	Value *sum = product
		? graph_emit(graph, NULL, OP_LINEAR, (Value *[]){product, weight}, 2, NULL, NULL, diag)
		: NULL;
	return sum && all_tokens ? graph_emit(graph, NULL, OP_POOL, &sum, 1, &mean, NULL, diag) : sum;
}

bool observe_layer_cosines(Graph *graph, const Layers *layers, bool all_tokens, double *cosine, PassRun *run)
{
	Probe probe;
	probe_open(&probe, graph, layers->count);
	bool good = true;
	for (int32_t i = 0; i < layers->count && good; i++) {
		Value *value = emit_cosine(probe.graph, probe_value(&probe, layers->at[i].input),
			probe_value(&probe, layers->at[i].output), all_tokens, run->diag);
		good = value != NULL;
		if (good)
			probe_want(&probe, value);
	}
	good = good && probe_run(&probe, all_tokens, cosine, run);
	probe_close(&probe);
	return good;
}

bool observe_squares(Graph *graph, Value *const *values, int32_t count, double *means, PassRun *run)
{
	const Attrs mean = {.has = A_mode, .mode = POOL_MEAN};
	Probe probe;
	probe_open(&probe, graph, count);
	bool good = true;
	for (int32_t i = 0; i < count && good; i++) {
		Value *x = probe_value(&probe, values[i]);
		Value *square = graph_emit(probe.graph, NULL, OP_MUL, (Value *[]){x, x}, 2, NULL, NULL, run->diag);
		Value *value = square ? graph_emit(probe.graph, NULL, OP_POOL, &square, 1, &mean, NULL, run->diag)
							  : NULL;
		good = value != NULL;
		if (good)
			probe_want(&probe, value);
	}
	good = good && probe_run(&probe, true, means, run);
	probe_close(&probe);
	return good;
}
