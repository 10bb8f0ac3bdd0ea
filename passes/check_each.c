/* check_each.c: --check-each. Runs a module on one small made-up text with the reference evaluator, so that
 * the driver can report how a pass changed the outputs. */
#include "driver.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Enough for every token to see others, few enough for naive loops over a whole BERT: about a second. */
enum { TOKENS_MAX = 5 };

/* Rows of the smallest table that `input` indexes, over all graphs; INT32_MAX when `input` indexes no table.
 */
static int32_t input_rows(const Graph *graph, const Value *input)
{
	int64_t rows = INT32_MAX;
	for (const Node *node = graph->first; node; node = node->next) {
		int32_t pairs = node_lookups(node);
		for (int32_t i = 0; i < pairs; i++)
			if (node->args[2 * i + 1] == input && node_table_rows(node, i) < rows)
				rows = node_table_rows(node, i);
	}
	return (int32_t)rows;
}

/* The number of tokens to run, limited by the position tables, max_tokens and TOKENS_MAX. */
static int32_t sample_tokens(const Graph *graph, const PassEnv *env)
{
	int64_t tokens = env->max_tokens > 0 && env->max_tokens < TOKENS_MAX ? env->max_tokens : TOKENS_MAX;
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_POSITION_IDS) {
			int64_t room = input_rows(graph, node->results[0])
				- ((node->attr.has & A_start) ? node->attr.start : 0);
			tokens = room < tokens ? room : tokens;
		}
	return tokens < 0 ? 0 : (int32_t)tokens;
}

static bool graph_sample(const Graph *graph, const PassEnv *env, Sample *sample, Diag *diag)
{
	int32_t ids[TOKENS_MAX], types[TOKENS_MAX], tokens = sample_tokens(graph, env);
	int32_t id_rows = graph->ninputs > 0 ? input_rows(graph, graph->inputs[0]) : 1;
	int32_t type_rows = graph->ninputs > 1 ? input_rows(graph, graph->inputs[1]) : 1;
	uint32_t seed = 12345;
	for (int32_t i = 0; i < TOKENS_MAX; i++) { /* Numerical Recipes' "quick and dirty" generator */
		seed = seed * 1664525u + 1013904223u;
		ids[i] = id_rows > 0 ? (int32_t)((seed >> 8) % (uint32_t)id_rows) : 0;
		types[i] = type_rows > 1 && i >= 2;
	}
	EvalArray *outputs = checked_calloc((size_t)graph->noutputs, sizeof *outputs);
	bool good = graph_eval_ids(graph, ids, types, tokens, outputs, diag);
	for (int32_t i = 0; good && i < graph->noutputs; i++) {
		sample->v = checked_grow(
			sample->v, &sample->capacity, (size_t)(sample->count + outputs[i].count), sizeof *sample->v);
		for (int64_t k = 0; k < outputs[i].count; k++)
			sample->v[sample->count++] = eval_at(&outputs[i], k);
		eval_array_free(&outputs[i]);
	}
	free(outputs);
	return good;
}

bool sample_run(const Module *module, const PassEnv *env, Sample *sample, Diag *diag)
{
	*sample = (Sample){0};
	for (int32_t g = 0; g < module->ngraphs; g++)
		if (!graph_sample(module->graphs[g], env, sample, diag)) {
			sample_free(sample);
			return false;
		}
	return true;
}

bool sample_compare(const Sample *before, const Sample *after, double *max_abs, double *cosine)
{
	if (before->count != after->count)
		return false;
	double aa = 0, bb = 0, ab = 0;
	*max_abs = 0;
	for (int64_t i = 0; i < before->count; i++) {
		double a = before->v[i], b = after->v[i], d = fabs(a - b);
		if (d > *max_abs || isnan(d))
			*max_abs = d;
		aa += a * a;
		bb += b * b;
		ab += a * b;
	}
	*cosine = aa == bb && aa == ab ? 1 : ab / sqrt(aa * bb); /* also when all are zero */
	return true;
}

void sample_free(Sample *sample)
{
	free(sample->v);
	*sample = (Sample){0};
}
