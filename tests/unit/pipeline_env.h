/* pipeline_env.h: a PassEnv for passes that learn from data, with the reference evaluator and a few texts of
 * token ids; in bertc this is compiler/measure/calibrate.c. Also computes the outputs of a module for these
 * texts. */
#ifndef PIPELINE_ENV_H
#define PIPELINE_ENV_H
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "passes/passes.h"

enum { TEXTS = 10, LENGTH = 7, IDS_MAX = 64 };

/* The texts with their current ids; prune-vocab renumbers them. */
typedef struct World {
	int32_t ids[TEXTS][LENGTH], types[LENGTH], length[TEXTS], labels[TEXTS];
} World;

/* All outputs of all graphs of a text. */
static bool world_eval(const World *w, const Graph *graph, int text, EvalArray *outputs, Diag *diag)
{
	return graph_eval_ids(graph, w->ids[text], w->types, w->length[text], outputs, diag);
}

static int world_texts(int32_t limit) { return limit > 0 && limit < TEXTS ? limit : TEXTS; }

enum { EVALUATED_MAX = 32 };

/* Called with all outputs of a text. */
typedef void WorldFn(void *argument, const World *, int text, const EvalArray *outputs);

/* Evaluates the first graph of a module over the first `limit` texts, 0: over all. */
static bool world_each(
	const World *w, Module *module, int32_t limit, WorldFn *each, void *argument, Diag *diag)
{
	const int n = module->graphs[0]->noutputs;
	if (n > EVALUATED_MAX)
		return diag_error(
			diag, EXIT_RUN, 0, "test: %d outputs are evaluated, expected at most %d", n, EVALUATED_MAX);
	if (!module_verify(module, diag))
		return false;
	for (int i = 0; i < world_texts(limit); i++) {
		EvalArray out[EVALUATED_MAX] = {{0}};
		if (!world_eval(w, module->graphs[0], i, out, diag))
			return false;
		each(argument, w, i, out);
		for (int k = 0; k < n; k++)
			eval_array_free(&out[k]);
	}
	return true;
}

typedef struct Observer {
	ObserveFn *each;
	void *argument;
} Observer;

static void observe_text(void *argument, const World *w, int text, const EvalArray *out)
{
	const Observer *observer = argument;
	float *row = malloc(((size_t)out->count + 1) * sizeof *row);
	for (int64_t k = 0; k < out->count; k++)
		row[k] = (float)eval_at(out, k);
	observer->each(observer->argument, row, (int32_t)out->dim[out->rank - 1], w->length[text]);
	free(row);
}

static bool world_observe(void *context, Module *module, const char *data, int32_t limit, ObserveFn *each,
	void *argument, Diag *diag)
{
	(void)data;
	if (module->graphs[0]->noutputs != 1)
		return diag_error(
			diag, EXIT_RUN, 0, "test: %d outputs are observed, expected one", module->graphs[0]->noutputs);
	return world_each(context, module, limit, observe_text, &(Observer){each, argument}, diag);
}

/* Accuracy and cross-entropy of the first row; takes its columns as labels, for every kind of head. */
static void score_add(OutputScore *score, const EvalArray *out, int32_t label, int texts)
{
	const int64_t n = out->rank ? out->dim[out->rank - 1] : 1, gold = label % n;
	double sum = 0, top = -INFINITY;
	int64_t best = 0;
	for (int64_t k = 0; k < n; k++) {
		sum += exp(fmin(eval_at(out, k), 100));
		best = eval_at(out, k) > top ? k : best;
		top = fmax(top, eval_at(out, k));
	}
	score->value += (double)(n == 1 ? eval_at(out, 0) > label : best == gold) / texts;
	score->loss += (log(sum) - eval_at(out, gold)) / texts;
}

typedef struct Scorer {
	OutputScore *scores;
	int outputs, texts;
} Scorer;

static void score_text(void *argument, const World *w, int text, const EvalArray *out)
{
	const Scorer *scorer = argument;
	for (int k = 0; k < scorer->outputs; k++)
		score_add(&scorer->scores[k], &out[k], w->labels[text], scorer->texts);
}

static bool world_score(
	void *context, Module *module, const char *data, int32_t limit, OutputScore *scores, Diag *diag)
{
	Scorer scorer = {scores, module->graphs[0]->noutputs, world_texts(limit)};
	(void)data;
	memset(scores, 0, (size_t)scorer.outputs * sizeof *scores);
	return world_each(context, module, limit, score_text, &scorer, diag);
}

static bool world_labels(
	void *context, const char *data, int32_t limit, int32_t **labels, int32_t *count, Diag *diag)
{
	const World *w = context;
	(void)data, (void)diag;
	*count = world_texts(limit);
	*labels = malloc(sizeof w->labels);
	memcpy(*labels, w->labels, sizeof w->labels);
	return true;
}

typedef struct ColumnSums {
	double *sum;
	int64_t rows, width;
} ColumnSums;

static void sum_text(void *argument, const World *w, int text, const EvalArray *out)
{
	ColumnSums *sums = argument;
	(void)w, (void)text;
	sums->width = out->dim[1];
	for (int64_t k = 0; k < sums->width && sums->rows == 0; k++)
		sums->sum[k] = 0;
	for (int64_t k = 0; k < out->count; k++)
		sums->sum[k % sums->width] += eval_at(out, k);
	sums->rows += out->dim[0];
}

/* Ranks columns by the magnitude of their means, which works for any data. */
static bool world_rank(
	void *context, Module *module, const char *data, int32_t limit, int32_t *order, double *mean, Diag *diag)
{
	ColumnSums sums = {mean, 0, 0};
	(void)data;
	if (!world_each(context, module, limit, sum_text, &sums, diag))
		return false;
	for (int64_t k = 0; k < sums.width; k++) {
		mean[k] /= (double)sums.rows;
		int64_t at = k;
		while (at > 0 && fabs(mean[order[at - 1]]) < fabs(mean[k])) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = (int32_t)k;
	}
	return true;
}

/* Keeps the tokens of the texts and every second one of the others. */
static bool world_vocab_used(void *context, const char *corpus, bool *used, int32_t rows, Diag *diag)
{
	const World *w = context;
	(void)corpus, (void)diag;
	for (int32_t i = 0; i < rows; i++)
		used[i] = i % 2 == 0;
	for (int i = 0; i < TEXTS; i++)
		for (int t = 0; t < w->length[i]; t++)
			used[w->ids[i][t]] = true;
	return true;
}

static bool world_vocab_renumber(void *context, const int32_t *to, int32_t rows, Diag *diag)
{
	World *w = context;
	for (int i = 0; i < TEXTS; i++)
		for (int t = 0; t < w->length[i]; t++) {
			if (w->ids[i][t] >= rows || to[w->ids[i][t]] < 0)
				return diag_error(
					diag, EXIT_RUN, 0, "test: token %d is gone, which a text uses", w->ids[i][t]);
			w->ids[i][t] = to[w->ids[i][t]];
		}
	return true;
}

static void world_vocab_continues(void *context, bool *continues, int32_t rows)
{
	(void)context;
	for (int32_t i = 0; i < rows; i++)
		continues[i] = i % 3 == 0;
}

static PassEnv world_env(World *w)
{
	return (PassEnv){.max_tokens = 16,
		.quiet = true,
		.calibration = w,
		.observe = world_observe,
		.score = world_score,
		.labels = world_labels,
		.rank = world_rank,
		.vocab_used = world_vocab_used,
		.vocab_renumber = world_vocab_renumber,
		.vocab_continues = world_vocab_continues};
}

/* ---- the numbers of a module ----------------------------------------------------------------- */

enum { OUTPUTS_MAX = 16 };
/* Every output of every graph, graph after graph, for each text. */
typedef struct Numbers {
	int outputs;
	const char *name[OUTPUTS_MAX];
	EvalArray at[TEXTS][OUTPUTS_MAX];
} Numbers;

static void numbers_free(Numbers *n)
{
	for (int i = 0; i < TEXTS; i++)
		for (int k = 0; k < n->outputs; k++)
			eval_array_free(&n->at[i][k]);
	n->outputs = 0;
}

static bool numbers_of(const Module *module, const World *w, Numbers *n, Diag *diag)
{
	memset(n, 0, sizeof *n);
	for (int g = 0; g < module->ngraphs; g++)
		for (int k = 0; k < module->graphs[g]->noutputs; k++) {
			if (n->outputs == OUTPUTS_MAX)
				return diag_error(diag, EXIT_RUN, 0, "test: more than %d outputs", OUTPUTS_MAX);
			n->name[n->outputs++] = module->graphs[g]->outputs[k].name;
		}
	for (int i = 0; i < TEXTS; i++)
		for (int g = 0, first = 0; g < module->ngraphs; first += module->graphs[g++]->noutputs)
			if (!world_eval(w, module->graphs[g], i, &n->at[i][first], diag))
				return false;
	return true;
}

/* Largest difference over the first `outputs` outputs, relative to the largest number if that is above 1.
 * *finite: b has no NaN or infinity. Infinite if shapes differ; *where: the output with the largest
 * difference. */
static double numbers_differ(
	const Numbers *a, const Numbers *b, int outputs, const char **where, bool *finite)
{
	double worst = 0;
	*finite = true;
	*where = "";
	for (int i = 0; i < TEXTS; i++)
		for (int k = 0; k < outputs; k++) {
			const EvalArray *x = &a->at[i][k], *y = &b->at[i][k];
			if (x->rank != y->rank || memcmp(x->dim, y->dim, (size_t)x->rank * sizeof *x->dim) != 0) {
				*where = b->name[k];
				return INFINITY;
			}
			double largest = 1, most = 0;
			for (int64_t n = 0; n < x->count; n++) {
				const double d = fabs(eval_at(x, n) - eval_at(y, n));
				*finite &= isfinite(eval_at(y, n));
				largest = fmax(largest, fabs(eval_at(x, n)));
				most = d > most || isnan(d) ? d : most;
			}
			if (!(most / largest <= worst)) {
				worst = most / largest;
				*where = b->name[k];
			}
		}
	return worst;
}
#endif
