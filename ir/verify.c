/* verify.c: checks modules and graphs. The invariants:
 *
 * Module (verify_module.c)
 *   M1  The names of the module and of every graph, head and output are valid (name_is_valid). Graphs, heads,
 *       options and meta keys are unique. The default of an option is finite. `weights` and `tokenizer` are
 *       plain file names. There is at least one graph.
 *   M2  Every head reads an existing output of the shape that its task needs: classify and rank f32[n],
 *       embed and sparse f32[n], choice f32[1], tag, fill-mask and multi-vector f32[S,n], qa f32[S,2]. A head
 *       has as many labels as its output has columns: always for tag and for classify (except regression),
 *       and for rank and regression if labels are given.
 *
 * Graph
 *   G1  There are one or two inputs, each i32[S], and at least one output. Names of outputs are unique.
 *   G2  The list of nodes is linked correctly in both directions and has at most NODES_MAX nodes.
 *   G3  Ids of values are unique and below next_id. Names of values are optional, valid and unique.
 *   G4  A value's node and index point back to the value. An argument is an input of the graph or the result
 *       of an earlier node; so is an output.
 *   G5  Dims are numbers from 1, or terms in S or in a symbol S1 .. S7. An earlier op defines the symbol,
 *       and only one op does.
 *   G6  The number of arguments and the attributes match ops.def. Values of attributes are in range (heads
 *       divide the hidden size, perm is a permutation, slices lie within their axis). Result types are those
 *       that infer derives.
 *   G7  Constants have a tensor. Its dims are plain numbers, and its size in bytes matches them.
 *   G8  The graph has no op above its level. Only lowered code has kernel, offset, panel and width.
 *   G9  An exit reads an option of the module. It has one argument for each output of the graph, of the same
 *       type (exits.c).
 *
 * Lowered code (verify_lowered.c)
 *   L1  Every op is allowed there. Every op that emits code (domain other than NONE) names a kernel, which is
 *       an identifier.
 *   L2  Every computed value has a shape that fits a region of the arena (type_region). Outputs are f32 and
 *       computed. Sparse weights have a valid packed form.
 *   L3  With an arena plan, every such value has an offset, a multiple of 64, and ends within its region.
 *   L4  Values of the same region that are alive at the same time do not overlap. A value lives from its node
 *       to the last node that reads it, both included, so a node never writes over its arguments. An output
 *       lives to the end. A value that a chain reads or writes lives until the chain's end, unless it is
 *       inner to the chain.
 *   L5  The ops of a chain are row-wise, neighbours, and agree in their rows. Only the chain reads its inner
 *       values. Or a chain is a linear, whose result is inner, and its pool of the mode max.
 *   L6  After an exit no node reads a value from before the exit, except constants (exits.c).
 *
 * The verifier collects all errors, each with its line and the name of its value. Only a broken list of nodes
 * (G2) stops it early. */
#include <stdlib.h>
#include <string.h>
#include "verify.h"

typedef struct Verify {
	const Graph *graph;
	Diag *diag;
	ValueMap defined;     /* values met so far */
	const Value **values; /* the values by their number */
	size_t capacity;
	uint32_t symbols; /* bit k: symbol k is known */
} Verify;

#define GRAPH_ERROR(verify, line, format, ...) \
	diag_error((verify)->diag, EXIT_INPUT, (line), "graph @%s: " format, (verify)->graph->name, __VA_ARGS__)
#define VALUE_TEXT(value) value_print((value), (char[264]){0})
#define TYPE_TEXT(type) type_print((type), (char[128]){0})

static int value_line(const Value *value, const Graph *graph)
{
	return value->node ? value->node->line : graph->line;
}

/* G4, first half. Records the value for G3. False: the value cannot be checked further. */
static bool define_value(Verify *verify, const Value *value, const Node *node, int32_t index, int line)
{
	if (!value)
		return GRAPH_ERROR(
			verify, line, "value %d of %s is missing", index, node ? op_info[node->op].name : "its inputs");
	if (!value_map_add(&verify->defined, value))
		return GRAPH_ERROR(verify, line, "%s is defined twice", VALUE_TEXT(value));
	verify->values = checked_grow(
		verify->values, &verify->capacity, (size_t)verify->defined.count, sizeof *verify->values);
	verify->values[verify->defined.count - 1] = value;
	if (value->node != node || value->index != index)
		GRAPH_ERROR(verify, line, "%s does not belong to the node that makes it", VALUE_TEXT(value));
	return true;
}

static bool type_can_print(const Type *type)
{
	return (unsigned)type->dtype < DT_COUNT && type->rank >= 0 && type->rank <= RANK_MAX;
}

/* G5. */
static bool type_is_sound(const Verify *verify, const Type *type)
{
	bool sound = type_can_print(type);
	for (int i = 0; sound && i < type->rank; i++)
		sound = dim_is_valid(type->dim[i])
			&& (dim_is_number(type->dim[i]) || (verify->symbols >> type->dim[i].symbol & 1));
	return sound;
}

/* G5: thin defines its symbol. */
static void make_symbol(Verify *verify, const Node *node)
{
	if (node->op != OP_THIN || node->attr.symbol < 1 || node->attr.symbol >= SYMBOLS_MAX - 1)
		return; /* infer reports a bad symbol */
	const uint32_t bit = (uint32_t)1 << (node->attr.symbol + 1);
	if (verify->symbols & bit)
		node_error(
			node, verify->diag, "S%lld is already defined by another op", (long long)node->attr.symbol);
	verify->symbols |= bit;
}

static bool verify_type(Verify *verify, const Value *value, int line)
{
	if (!type_can_print(&value->type))
		return GRAPH_ERROR(
			verify, line, "%s has no valid type (rank %d)", VALUE_TEXT(value), value->type.rank);
	return type_is_sound(verify, &value->type)
		|| GRAPH_ERROR(verify, line, "%s is %s, but dims are numbers from 1 to 2^40 or terms of S",
			VALUE_TEXT(value), TYPE_TEXT(&value->type));
}

/* G7, before infer reads the tensor's type. */
static bool verify_data(Verify *verify, const Node *node)
{
	const Tensor *tensor = node->data;
	if (node->op != OP_CONST)
		return !tensor || node_error(node, verify->diag, "has data, which only const may have");
	if (!tensor)
		return node_error(node, verify->diag, "has no data");
	const Type *type = &tensor->type;
	const char *name = tensor->name ? tensor->name : "";
	if (!type_is_sound(verify, type) || !type_is_number(type))
		return node_error(node, verify->diag, "tensor %s has dims that are not numbers from 1 to 2^40", name);
	int64_t count = type_count(type), bytes;
	if (count < 0 || __builtin_mul_overflow(count, (int64_t)dtype_bytes[type->dtype], &bytes)
		|| bytes != tensor->bytes || !tensor->data)
		return node_error(node, verify->diag, "tensor %s is %s but has %lld bytes", name, TYPE_TEXT(type),
			(long long)tensor->bytes);
	return true;
}

/* G4, second half. Also false if an argument has a bad type, which was reported at its definition. */
static bool verify_args(Verify *verify, const Node *node)
{
	bool good = true;
	for (int i = 0; i < node->nargs && i < ARGS_MAX; i++) {
		if (!node->args[i])
			good = node_error(node, verify->diag, "argument %d is missing", i);
		else if (value_map_find(&verify->defined, node->args[i]) < 0)
			good = node_error(node, verify->diag, "argument %s is not defined before it is used",
				VALUE_TEXT(node->args[i]));
		else if (!type_is_sound(verify, &node->args[i]->type))
			good = false;
	}
	return good;
}

/* G8. */
static void verify_op_level(Verify *verify, const Node *node)
{
	static const char *const words[] = {
		[LEVEL_GRAPH] = "graph", [LEVEL_FUSED] = "fused", [LEVEL_LOWERED] = "lowered"};
	Level level = verify->graph->level;
	uint32_t allowed = level == LEVEL_FUSED ? LEVEL_GRAPH | LEVEL_FUSED : level;
	if (!(op_info[node->op].levels & allowed))
		node_error(node, verify->diag, "is not allowed in a graph of level %s", words[level]);
	if (level != LEVEL_LOWERED && (node->attr.has & (A_kernel | A_offset | A_panel | A_width)))
		node_error(node, verify->diag,
			"kernel, offset, panel and width are only for lowered code; this graph's level is %s",
			words[level]);
}

/* G6. Uses the declared types of arguments, so that one wrong type causes one error. */
static void verify_types(Verify *verify, const Node *node)
{
	Type results[RESULTS_MAX] = {0};
	if (!node_infer(node, results, verify->diag))
		return;
	for (int i = 0; i < node->nresults; i++)
		if (!type_equal(&node->results[i]->type, &results[i]))
			node_error(node, verify->diag, "%s is declared as %s, but the op makes %s",
				VALUE_TEXT(node->results[i]), TYPE_TEXT(&node->results[i]->type), TYPE_TEXT(&results[i]));
}

/* False: the list of nodes cannot be followed further. */
static bool verify_node(Verify *verify, const Node *node)
{
	if ((unsigned)node->op >= OP_COUNT || node->nargs < 0 || node->nargs > ARGS_MAX
		|| node->nresults != op_info[node->op].results)
		return GRAPH_ERROR(verify, node->line, "a node has op %d, %d arguments and %d results", (int)node->op,
			node->nargs, node->nresults);
	for (int i = 0; i < node->nresults; i++)
		if (!node->results[i])
			return GRAPH_ERROR(verify, node->line, "result %d of %s is missing", i, op_info[node->op].name);
	bool sound = verify_args(verify, node) & verify_data(verify, node);
	make_symbol(verify, node);
	for (int i = 0; i < node->nresults; i++) {
		if (!define_value(verify, node->results[i], node, i, node->line))
			return false;
		sound &= verify_type(verify, node->results[i], node->line);
	}
	verify_op_level(verify, node);
	if (sound)
		verify_types(verify, node);
	return true;
}

/* Also checks G2. */
static bool verify_nodes(Verify *verify)
{
	const Graph *graph = verify->graph;
	const Node *last = NULL;
	int32_t count = 0;
	for (const Node *node = graph->first; node; last = node, node = node->next) {
		if (node->prev != last)
			return GRAPH_ERROR(
				verify, node->line, "the list of nodes is broken at %s", op_info[node->op].name);
		if (++count > NODES_MAX)
			return GRAPH_ERROR(verify, node->line, "more than %d nodes", NODES_MAX);
		if (!verify_node(verify, node))
			return false;
	}
	return graph->last == last
		|| GRAPH_ERROR(verify, graph->line, "the list of nodes does not end at its last, %s",
			graph->last ? op_info[graph->last->op].name : "none");
}

/* G1, inputs. */
static void verify_inputs(Verify *verify)
{
	const Graph *graph = verify->graph;
	const Type tokens = type_make(DT_I32, 1, dim_symbol(1));
	if (graph->ninputs < 1 || graph->ninputs > 2)
		GRAPH_ERROR(verify, graph->line, "%d inputs, expected %%ids: i32[S] and perhaps %%types: i32[S]",
			graph->ninputs);
	for (int i = 0; i < graph->ninputs; i++) {
		const Value *input = graph->inputs[i];
		if (define_value(verify, input, NULL, i, graph->line) && verify_type(verify, input, graph->line)
			&& !type_equal(&input->type, &tokens))
			GRAPH_ERROR(verify, graph->line, "input %s is %s, expected i32[S]", VALUE_TEXT(input),
				TYPE_TEXT(&input->type));
	}
}

/* G1, outputs. Compares all pairs: outputs are few, and even a hostile thousand costs only a million
 * comparisons. */
static void verify_outputs(Verify *verify)
{
	const Graph *graph = verify->graph;
	int line = graph->return_line ? graph->return_line : graph->line;
	enum { OUTPUTS_MAX = 1024 };
	if (graph->noutputs < 1 || graph->noutputs > OUTPUTS_MAX) {
		GRAPH_ERROR(verify, line, "%d outputs, expected 1 to %d", graph->noutputs, OUTPUTS_MAX);
		return;
	}
	for (int i = 0; i < graph->noutputs; i++) {
		const GraphOutput *output = &graph->outputs[i];
		if (!name_is_valid(output->name)) {
			GRAPH_ERROR(verify, line, "output %d has no valid name", i);
			continue;
		}
		for (int k = 0; k < i; k++)
			if (graph->outputs[k].name && strcmp(output->name, graph->outputs[k].name) == 0)
				GRAPH_ERROR(verify, line, "two outputs are called %s", output->name);
		if (!output->value || value_map_find(&verify->defined, output->value) < 0)
			GRAPH_ERROR(verify, line, "output %s is not a value of this graph", output->name);
	}
}

static int by_id(const void *a, const void *b)
{
	const Value *one = *(const Value *const *)a, *two = *(const Value *const *)b;
	return one->id < two->id ? -1 : one->id > two->id;
}

static int by_name(const void *a, const void *b)
{
	const Value *one = *(const Value *const *)a, *two = *(const Value *const *)b;
	if (!one->name || !two->name)
		return (one->name == NULL) - (two->name == NULL); /* unnamed values last */
	int order = strcmp(one->name, two->name);
	return order ? order : by_id(a, b);
}

/* G3. Sorts the values, so that duplicates are neighbours. */
static void verify_identities(Verify *verify)
{
	const Graph *graph = verify->graph;
	const Value **values = verify->values;
	int32_t count = verify->defined.count;
	for (int i = 0; i < count; i++) {
		int line = value_line(values[i], graph);
		if (values[i]->id >= graph->next_id)
			GRAPH_ERROR(verify, line, "%s has id %u, ids must be below %u", VALUE_TEXT(values[i]),
				values[i]->id, graph->next_id);
		if (values[i]->name && !name_is_valid(values[i]->name))
			GRAPH_ERROR(verify, line, "\"%s\" is not a valid name", values[i]->name);
	}
	if (count == 0)
		return;
	qsort(values, (size_t)count, sizeof *values, by_id);
	for (int i = 1; i < count; i++)
		if (values[i]->id == values[i - 1]->id)
			GRAPH_ERROR(verify, value_line(values[i], graph), "two values have the id %u", values[i]->id);
	qsort(values, (size_t)count, sizeof *values, by_name);
	for (int i = 1; i < count && values[i]->name; i++)
		if (strcmp(values[i]->name, values[i - 1]->name) == 0)
			GRAPH_ERROR(
				verify, value_line(values[i], graph), "two values are called %s", VALUE_TEXT(values[i]));
}

bool graph_verify_level(const Graph *graph, Level highest, Diag *diag)
{
	int errors = diag->errors;
	Verify verify = {.graph = graph, .diag = diag, .symbols = 1 << 1};
	if (graph->level != LEVEL_GRAPH && graph->level != LEVEL_FUSED && graph->level != LEVEL_LOWERED)
		return GRAPH_ERROR(&verify, graph->line, "has no valid level (%d)", (int)graph->level);
	if (graph->level > highest)
		GRAPH_ERROR(
			&verify, graph->line, "its level is %d, expected at most %d", (int)graph->level, (int)highest);
	verify_inputs(&verify);
	if (verify_nodes(&verify)) {
		verify_outputs(&verify);
		verify_identities(&verify);
		if (diag->errors == errors && verify_exits(graph, diag))
			verify_lowered(graph, diag);
	}
	free(verify.values);
	value_map_free(&verify.defined);
	return diag->errors == errors;
}

bool graph_verify(const Graph *graph, Diag *diag) { return graph_verify_level(graph, graph->level, diag); }
