/* eval.c: the reference evaluator. It runs a graph on one text with naive loops in double precision. For
 * fold-const it runs single nodes on constants. The ops are in eval_ops.c (products, moving and combining
 * elements) and eval_text.c (rows and texts). Kernels, passes and golden tests are compared with it, so
 * simplicity comes before speed; only linear is made fast enough for real models.
 *
 * Graphs must be verified. Token ids are data, so embed checks them. */
#include <math.h>
#include <string.h>
#include "eval.h"

/* ---- arrays ---------------------------------------------------------------------------------- */

double eval_at(const EvalArray *array, int64_t i)
{
	return array->v ? array->v[i] : tensor_at(array->tensor, i);
}

void eval_array_free(EvalArray *array)
{
	free(array->v);
	array->v = NULL;
}

void eval_widen(const EvalArray *array, int64_t start, int64_t count, double *out)
{
	for (int64_t i = 0; i < count; i++)
		out[i] = eval_at(array, start + i);
}

const double *eval_doubles(const EvalArray *array, double **owned)
{
	*owned = NULL;
	if (array->v)
		return array->v;
	*owned = checked_calloc((size_t)array->count, sizeof **owned);
	eval_widen(array, 0, array->count, *owned);
	return *owned;
}

/* Sets dtype, dims and count for the given symbols. False: the size is negative or above the limit. */
static bool array_shape(EvalArray *array, const Type *type, const int64_t *symbols, int64_t most)
{
	*array = (EvalArray){.dtype = type->dtype, .rank = type->rank, .count = 1};
	for (int i = 0; i < type->rank; i++) {
		array->dim[i] = dim_at(type->dim[i], symbols);
		if (array->dim[i] < 0 || __builtin_mul_overflow(array->count, array->dim[i], &array->count))
			return false;
	}
	return array->count <= most;
}

static bool node_eval(
	const Node *node, const int64_t *symbols, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	for (int i = 0; i < node->nresults; i++) {
		const Type *type = &node->results[i]->type;
		bool is_const = node->op == OP_CONST; /* read in place, so the size does not matter */
		if (!array_shape(&results[i], type, symbols,
				is_const ? TENSOR_BYTES_MAX : EVAL_BYTES_MAX / (int64_t)sizeof(double)))
			return node_error(node, diag,
				"%s has a negative size or is too large to evaluate, for %lld tokens",
				type_print(type, (char[128]){0}), (long long)symbols[1]);
		if (!is_const)
			results[i].v = checked_calloc((size_t)results[i].count, sizeof(double));
	}
	return op_info[node->op].eval(node, args, results, diag);
}

bool eval_CONST(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)args, (void)diag;
	results[0].tensor = node->data;
	return true;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

/* The state of one run. Each value has a number in the map, an array, and the index of the last node that
 * reads it. */
typedef struct Run {
	const Graph *graph;
	ValueMap map;
	EvalArray *arrays;
	int64_t *last_use;
	int64_t symbols[SYMBOLS_MAX];
	const Node *ended; /* the exit where the text ended; NULL: none */
} Run;

static void run_find_last_uses(Run *run)
{
	int64_t index = 0;
	for (const Node *node = run->graph->first; node; node = node->next, index++)
		for (int i = 0; i < node->nargs; i++)
			run->last_use[value_map_find(&run->map, node->args[i])] = index;
	for (int i = 0; i < run->graph->noutputs; i++)
		run->last_use[value_map_find(&run->map, run->graph->outputs[i].value)] = INT64_MAX;
}

static bool run_set_inputs(Run *run, const EvalArray *inputs, Diag *diag)
{
	const Graph *graph = run->graph;
	for (int i = 0; i < graph->ninputs; i++) {
		if (inputs[i].rank != 1 || inputs[i].count != inputs[0].count
			|| (!inputs[i].v && inputs[i].count > 0))
			return diag_error(
				diag, EXIT_INPUT, graph->line, "graph @%s: the inputs differ in length", graph->name);
		EvalArray *array = &run->arrays[i];
		*array = inputs[i];
		array->v = checked_calloc((size_t)array->count, sizeof *array->v);
		eval_widen(&inputs[i], 0, inputs[i].count, array->v);
	}
	run->symbols[1] = graph->ninputs > 0 ? inputs[0].count : 0;
	return true;
}

static double option_value(const Graph *graph, const Node *node)
{
	return graph->module->options[module_find_option(graph->module, node->attr.option)]
		.value; /* it exists: G9 */
}

/* Frees each result after its last reader has run. Frees unused results at once. */
static bool run_nodes(Run *run, Diag *diag)
{
	int64_t index = 0;
	for (const Node *node = run->graph->first; node; node = node->next, index++) {
		const EvalArray *args[ARGS_MAX];
		EvalArray results[RESULTS_MAX] = {0};
		for (int i = 0; i < node->nargs; i++)
			args[i] = &run->arrays[value_map_find(&run->map, node->args[i])];
		if (node->op == OP_THIN)
			run->symbols[node->attr.symbol + 1] = eval_thin_count(node, args);
		if (node->op == OP_EXIT && eval_exit_taken(node, args, option_value(run->graph, node))) {
			run->ended = node;
			return true;
		}
		bool good = node_eval(node, run->symbols, args, results, diag);
		if (good && node->op == OP_POOL && (node->attr.has & A_option))
			eval_pool(node, args, results, option_value(run->graph, node));
		for (int i = 0; i < node->nresults; i++)
			run->arrays[value_map_find(&run->map, node->results[i])] = results[i];
		if (!good)
			return false;
		for (int i = 0; i < node->nargs; i++) {
			int32_t number = value_map_find(&run->map, node->args[i]);
			if (run->last_use[number] <= index)
				eval_array_free(&run->arrays[number]);
		}
		for (int i = 0; i < node->nresults; i++) {
			int32_t number = value_map_find(&run->map, node->results[i]);
			if (run->last_use[number] < 0)
				eval_array_free(&run->arrays[number]);
		}
	}
	return true;
}

static void run_copy_outputs(const Run *run, EvalArray *outputs)
{
	for (int i = 0; i < run->graph->noutputs; i++) {
		const Value *value = run->ended ? run->ended->args[i + 1] : run->graph->outputs[i].value;
		const EvalArray *from = &run->arrays[value_map_find(&run->map, value)];
		outputs[i] = *from;
		outputs[i].tensor = NULL;
		outputs[i].v = checked_calloc((size_t)from->count, sizeof(double));
		eval_widen(from, 0, from->count, outputs[i].v);
	}
}

bool graph_eval(const Graph *graph, const EvalArray *inputs, EvalArray *outputs, Diag *diag)
{
	Run run = {.graph = graph};
	value_map_init(&run.map, graph);
	run.arrays = checked_calloc((size_t)run.map.count, sizeof *run.arrays);
	run.last_use = checked_calloc((size_t)run.map.count, sizeof *run.last_use);
	memset(run.last_use, 0xff, (size_t)run.map.count * sizeof *run.last_use); /* -1: never */
	memset(outputs, 0, (size_t)graph->noutputs * sizeof *outputs);
	run_find_last_uses(&run);
	bool good = run_set_inputs(&run, inputs, diag) && run_nodes(&run, diag);
	if (good)
		run_copy_outputs(&run, outputs);
	for (int i = 0; i < run.map.count; i++)
		eval_array_free(&run.arrays[i]);
	free(run.arrays);
	free(run.last_use);
	value_map_free(&run.map);
	return good;
}

bool graph_eval_ids(const Graph *graph, const int32_t *ids, const int32_t *types, int64_t tokens,
	EvalArray *outputs, Diag *diag)
{
	EvalArray inputs[2];
	if (graph->ninputs < 1 || graph->ninputs > 2)
		return diag_error(diag, EXIT_INPUT, graph->line,
			"graph @%s has %d inputs, expected ids, or ids and types", graph->name, graph->ninputs);
	for (int i = 0; i < 2; i++) {
		const int32_t *from = i == 0 ? ids : types;
		inputs[i] = (EvalArray){.dtype = DT_I32, .rank = 1, .dim = {tokens}, .count = tokens};
		inputs[i].v = checked_calloc((size_t)tokens, sizeof(double));
		for (int64_t t = 0; from && t < tokens; t++)
			inputs[i].v[t] = from[t];
	}
	bool good = graph_eval(graph, inputs, outputs, diag);
	eval_array_free(&inputs[0]);
	eval_array_free(&inputs[1]);
	return good;
}

/* ---- constants ------------------------------------------------------------------------------- */

Tensor *node_eval_const(Graph *graph, const Node *node, int32_t result, Diag *diag)
{
	EvalArray arrays[ARGS_MAX] = {0}, results[RESULTS_MAX] = {0};
	const EvalArray *args[ARGS_MAX];
	const int64_t symbols[SYMBOLS_MAX] = {0};
	for (int i = 0; i < node->nargs; i++) {
		const Tensor *tensor = value_tensor(node->args[i]);
		if (!tensor || !array_shape(&arrays[i], &tensor->type, symbols, TENSOR_BYTES_MAX)) {
			node_error(node, diag, "%s is not a constant", value_print(node->args[i], (char[264]){0}));
			return NULL;
		}
		arrays[i].tensor = tensor;
		args[i] = &arrays[i];
	}
	for (int i = 0; i < node->nresults; i++)
		if (!type_is_number(&node->results[i]->type)) {
			node_error(node, diag, "its size depends on the number of tokens");
			return NULL;
		}
	Tensor *tensor = NULL;
	if (node_eval(node, symbols, args, results, diag)) {
		const Value *value = node->results[result];
		tensor = tensor_new(
			graph->module, mem_printf(graph->module->mem, "%s.%u", graph->name, value->id), value->type);
		for (int64_t i = 0; i < results[result].count; i++)
			tensor_set(tensor, i, eval_at(&results[result], i));
	}
	for (int i = 0; i < node->nresults; i++)
		eval_array_free(&results[i]);
	return tensor;
}
