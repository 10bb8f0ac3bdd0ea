/* pipeline_compiled.h: compares compiled code of a module with the reference evaluator, with all texts in
 * one call. */
#ifndef PIPELINE_COMPILED_H
#define PIPELINE_COMPILED_H
#include "codegen/emit.h"
#include "compiled.h"
#include "pipeline_env.h"

/* Replaces the evaluator's numbers in `n` (numbers_of) by those of the compiled code, for all texts. */
static bool compiled_numbers(
	const Compiled *c, const Graph *graph, const World *w, int threads, Numbers *n, Diag *diag)
{
	int32_t offsets[TEXTS + 1] = {0}, ids[TEXTS * LENGTH], types[TEXTS * LENGTH];
	float *out[OUTPUTS_MAX];
	size_t floats[OUTPUTS_MAX];
	for (int i = 0; i < TEXTS; i++) {
		offsets[i + 1] = offsets[i] + w->length[i];
		memcpy(ids + offsets[i], w->ids[i], (size_t)w->length[i] * sizeof *ids);
		memcpy(types + offsets[i], w->types, (size_t)w->length[i] * sizeof *types);
	}
	for (int k = 0; k < n->outputs; k++) {
		const Value *value = graph->outputs[k].value;
		floats[k] = (size_t)value_unit(value)
			* (size_t)(value_place(value) == PLACE_TOKENS ? offsets[TEXTS] : TEXTS);
		out[k] = malloc(floats[k] * sizeof(float));
	}
	void *context = c->new(threads);
	const int code = context
		? c->run(context, ids, types, offsets, TEXTS, (1u << n->outputs) - 1, out, floats)
		: -1;
	if (context)
		c->free(context);
	for (int k = 0; k < n->outputs; k++) {
		const float *at = out[k];
		for (int i = 0; i < TEXTS && !code; i++) {
			EvalArray *a = &n->at[i][k];
			if (!a->v) /* a constant output is read in place */
				a->v = calloc((size_t)a->count + 1, sizeof *a->v);
			for (int64_t j = 0; j < a->count; j++)
				a->v[j] = (double)*at++;
		}
		free(out[k]);
	}
	return !code || diag_error(diag, EXIT_RUN, 0, "test: the compiled model answers with error %d", code);
}

/* True if code and evaluator may differ, because rounding decides on a code, a key, a token or an exit. */
static bool graph_decides(const Graph *graph)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_QUANTIZE || node->op == OP_LINEAR_BF16 || node->op == OP_THIN
			|| node->op == OP_EXIT || (node->attr.has & (A_bits | A_SELECT)))
			return true;
	return false;
}

/* Compiles a graph before lowering and compares. tolerance: as in numbers_differ. */
static bool compiled_check(Module *module, const World *w, double tolerance, Diag *diag)
{
	Numbers by_eval, by_code;
	Compiled c = {0};
	const char *where;
	bool finite;
	Module *copy = module_copy(module);
	const bool decides = graph_decides(module->graphs[0]);
	bool good = numbers_of(module, w, &by_eval, diag) && numbers_of(module, w, &by_code, diag);
	const bool open = good && compiled_open(&c, copy, pipeline_preset(0), 2, "native", diag);
	if (good && !open
		&& diag->code
			== EXIT_UNSUPPORTED) /* refused with a message, for example because of a computed weight */
		diag_free(diag), diag_init(diag, NULL);
	else
		good = good && open;
	for (int threads = 1; good && open && threads <= 2; threads++) {
		good = compiled_numbers(&c, module->graphs[0], w, threads, &by_code, diag);
		const double d = good ? numbers_differ(&by_eval, &by_code, by_eval.outputs, &where, &finite) : 0;
		if (good && (!finite || (!decides && !(d <= tolerance))))
			good = diag_error(diag, EXIT_RUN, 0,
				"compiled code differs from the evaluator by %g at output %s%s", d, where,
				finite ? "" : ", which is no number");
	}
	if (c.handle)
		dlclose(c.handle);
	numbers_free(&by_eval);
	numbers_free(&by_code);
	module_free(copy);
	return good;
}
#endif
