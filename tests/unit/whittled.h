/* whittled.h: common code of the tests of passes that make a model smaller: a small encoder, and the PassEnv
 * functions that run it on texts, implemented here with the reference evaluator. The Python tests cover the
 * real ones in compiler/measure/calibrate.c. */
#ifndef WHITTLED_H
#define WHITTLED_H
#include <CUnit/Basic.h>
#include <math.h>
#include <string.h>
#include "passes/driver.h"
#include "module_text.h"
#include "tiny_encoder.h"

static const int32_t texts[][6] = {{1, 2, 3, 4, 5, 6}, {7, 3, 9, -1}, {2, -1}, {8, 8, 1, 10, -1}};
enum { TEXTS = sizeof texts / sizeof *texts };

static inline int32_t text_length(const int32_t *ids)
{
	int32_t n = 0;
	while (n < 6 && ids[n] >= 0)
		n++;
	return n;
}

/* All outputs of a text as doubles: outputs[k] is freed by the caller. */
static inline void outputs_of(const Module *module, const int32_t *ids, EvalArray *outputs)
{
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(graph_eval_ids(module->graphs[0], ids, NULL, text_length(ids), outputs, &diag));
	diag_free(&diag);
}

static inline bool play_observe(void *context, Module *module, const char *data, int32_t limit,
	ObserveFn *each, void *argument, Diag *diag)
{
	(void)context;
	CU_ASSERT_STRING_EQUAL(data, "texts.tsv");
	CU_ASSERT_TRUE(module_verify(module, diag));
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 1);
	const Type *type = &module->graphs[0]->outputs[0].value->type;
	for (int i = 0; i < (limit ? limit : TEXTS); i++) {
		EvalArray out = {0};
		outputs_of(module, texts[i], &out);
		float row[4096];
		CU_ASSERT_TRUE_FATAL(out.count <= 4096);
		for (int64_t k = 0; k < out.count; k++)
			row[k] = (float)eval_at(&out, k);
		const int32_t tokens = text_length(texts[i]), rows = type_is_rows(type) ? tokens : 1;
		each(argument, row, (int32_t)out.count / rows, tokens);
		eval_array_free(&out);
	}
	return true;
}

/* Labels of the texts, and the loss of one output on them: what compiler/measure/score.c
 * computes on a file. */
static const int gold[TEXTS] = {0, 1, 1, 0};

static inline OutputScore score_of(const Module *module, int output)
{
	OutputScore score = {0};
	for (int i = 0; i < TEXTS; i++) {
		EvalArray out[32] = {{0}};
		outputs_of(module, texts[i], out);
		double sum = 0, top = eval_at(&out[output], 0);
		int best = 0;
		for (int k = 0; k < out[output].count; k++) {
			sum += exp(eval_at(&out[output], k));
			best = eval_at(&out[output], k) > top ? (top = eval_at(&out[output], k), k) : best;
		}
		score.loss += (log(sum) - eval_at(&out[output], gold[i])) / TEXTS;
		score.value += (double)(best == gold[i]) / TEXTS;
		for (int k = 0; k < module->graphs[0]->noutputs; k++)
			eval_array_free(&out[k]);
	}
	return score;
}

static int scored_outputs;

static inline bool play_score(
	void *context, Module *module, const char *data, int32_t limit, OutputScore *scores, Diag *diag)
{
	(void)context, (void)limit;
	CU_ASSERT_STRING_EQUAL(data, "texts.tsv");
	CU_ASSERT_TRUE(module_verify(module, diag));
	CU_ASSERT_TRUE_FATAL(module->graphs[0]->noutputs <= 32);
	for (int k = 0; k < module->graphs[0]->noutputs; k++)
		scores[k] = score_of(module, k);
	scored_outputs += module->graphs[0]->noutputs;
	return true;
}

static inline bool play_labels(
	void *context, const char *data, int32_t limit, int32_t **labels, int32_t *count, Diag *diag)
{
	(void)context, (void)data, (void)limit, (void)diag;
	*count = TEXTS;
	*labels = malloc(sizeof gold);
	memcpy(*labels, gold, sizeof gold);
	return true;
}

static const bool *used_ids;
static bool no_corpus;
static int32_t renumbered[16];

static inline bool play_used(void *context, const char *corpus, bool *used, int32_t rows, Diag *diag)
{
	(void)context, (void)diag;
	CU_ASSERT_EQUAL(corpus == NULL, no_corpus);
	if (corpus)
		CU_ASSERT_STRING_EQUAL(corpus, "corpus.txt");
	memcpy(used, used_ids, (size_t)rows);
	return true;
}

/* Token 3 is no text's. */
static inline void play_never(void *context, bool *never, int32_t rows)
{
	(void)context, (void)rows;
	never[3] = true;
}

static inline bool play_renumber(void *context, const int32_t *to, int32_t rows, Diag *diag)
{
	(void)context, (void)diag;
	CU_ASSERT_TRUE_FATAL(rows <= 16);
	memcpy(renumbered, to, (size_t)rows * sizeof *to);
	return true;
}

static inline Module *encoder(const TinyEncoder *e)
{
	char *text = tiny_encoder_text(e);
	Module *module = module_of_text(text);
	free(text);
	return module;
}

static const PassEnv played_env = {.max_tokens = 16,
	.quiet = true,
	.observe = play_observe,
	.score = play_score,
	.labels = play_labels,
	.vocab_used = play_used,
	.vocab_never = play_never,
	.vocab_renumber = play_renumber};

/* Runs the pipeline; NULL, or the first message of an error, malloc'd. */
static inline char *run(const char *text, Module *module)
{
	return passes_error(text, module, &played_env, NULL);
}

static inline void runs(const char *text, Module *module) { passes_run(text, module, &played_env, NULL); }

/* Largest difference between the first outputs of two modules over all texts. */
static inline double difference(const Module *a, const Module *b)
{
	double worst = 0;
	for (int i = 0; i < TEXTS; i++) {
		EvalArray x[2] = {{0}}, y[2] = {{0}};
		outputs_of(a, texts[i], x);
		outputs_of(b, texts[i], y);
		CU_ASSERT_EQUAL_FATAL(x[0].count, y[0].count);
		for (int64_t k = 0; k < x[0].count; k++)
			worst = fmax(worst, fabs(eval_at(&x[0], k) - eval_at(&y[0], k)));
		for (int k = 0; k < 2; k++) {
			eval_array_free(&x[k]);
			eval_array_free(&y[k]);
		}
	}
	return worst;
}

static inline const Value *named(const Graph *graph, const char *name)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node->nresults && node->results[0]->name && !strcmp(node->results[0]->name, name))
			return node->results[0];
	return NULL;
}

static const TinyEncoder tiny = {.layers = 3, .heads = 4, .size = 3, .ffn = 7, .vocab = 11, .labels = 2};

#endif
