/* verify.c: is this module sound? The invariants, in prose:
 *
 * Module (verify_module.c)
 *   M1  The module's and every graph's, head's and output's name is a valid name (name_is_valid); graphs,
 * heads, options and meta keys are unique; an option's default is a finite number. `weights` and `tokenizer`
 * are plain file names. There is at least one graph. M2  Every head reads an output that a graph has, of the
 * shape that its task needs: classify and rank f32[n], embed f32[n], tag and fill-mask f32[S,n], qa f32[S,2].
 * Where a head's labels name the columns, there are as many as columns: always for tag and for classify (but
 * regression), for rank and regression when any are given. Graph G1  One or two inputs, each i32[S]; at least
 * one output; output names are unique. G2  The node list is linked both ways and has at most NODES_MAX nodes.
 *   G3  Ids of values are unique and below next_id; names, where given, are valid and unique.
 *   G4  Ownership: a value's node and index lead back to where it stands. An argument is an input or the
 * result of an earlier node of the same graph; so is an output. G5  Dims are numbers from 1 or terms of S, or
 * of a symbol S1 .. S7 that an op above the value makes; each is made once. G6  Number of arguments and
 * attributes are what ops.def says, attribute values are in range (heads divide the hidden size, perm is a
 * permutation, slices lie within their axis), and result types are what infer says. G7  Constants have a
 * tensor of plain numbers for dims, with as many bytes as these ask for. G8  The graph holds no op above its
 * level; kernel, offset, panel and width stand in lowered code only. G9  An exit reads an option of the
 * module, and has an argument for each output of the graph, of its type (exits.c). Lowered code
 * (verify_lowered.c) L1  Every op may stand there, and every op that makes code (domain other than NONE)
 * names its kernel, an identifier. L2  Every value made has a place by its shape (type_region); outputs are
 * f32 and made by code. Sparse weights hold what they say. L3  With an arena plan, every such value has an
 * offset, a multiple of 64; the value ends within its region. L4  No two values of one region that live at
 * the same time overlap. A value lives from the node that makes it to the last that reads it, both included,
 * so a node never writes over its arguments; an output lives to the end. What is not inner to a chain, but
 * made or read there, lives through all of the chain. L5  Ops of a chain are row-wise, follow each other and
 * agree in rows; an inner result is read in its chain only. L6  Behind an exit nothing is read that was given
 * or made in front of it, but constants (exits.c).
 *
 * All errors are collected, each at its line with the name of its value; only broken lists (G2) end the walk
 * early. */
#include <stdlib.h>
#include <string.h>
#include "verify.h"

typedef struct Verify {
	const Graph *graph;
	Diag *diag;
	ValueMap defined;     /* values met so far */
	const Value **values; /* the same by number */
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

/* G4, first half; remembers the value for G3. False: the pointer cannot be followed. */
static bool define_value(Verify *verify, const Value *value, const Node *node, int32_t index, int line)
{
	if (!value)
		return GRAPH_ERROR(
			verify, line, "value %d of %s is missing", index, node ? op_info[node->op].name : "its inputs");
	if (!value_map_add(&verify->defined, value))
		return GRAPH_ERROR(verify, line, "%s is made twice", VALUE_TEXT(value));
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

/* G5: what thin makes is known from here on. */
static void make_symbol(Verify *verify, const Node *node)
{
	if (node->op != OP_THIN || node->attr.symbol < 1 || node->attr.symbol >= SYMBOLS_MAX - 1)
		return; /* the latter is infer's to say */
	const uint32_t bit = (uint32_t)1 << (node->attr.symbol + 1);
	if (verify->symbols & bit)
		node_error(node, verify->diag, "S%lld is made by another op already", (long long)node->attr.symbol);
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
		return !tensor || node_error(node, verify->diag, "has data, which is for const only");
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

/* G4, second half. False also when an argument's type is unsound, which has been said where the argument is
 * made. */
static bool verify_args(Verify *verify, const Node *node)
{
	bool good = true;
	for (int i = 0; i < node->nargs && i < ARGS_MAX; i++) {
		if (!node->args[i])
			good = node_error(node, verify->diag, "argument %d is missing", i);
		else if (value_map_find(&verify->defined, node->args[i]) < 0)
			good = node_error(
				node, verify->diag, "argument %s is not made before it is used", VALUE_TEXT(node->args[i]));
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
		node_error(node, verify->diag, "may not stand in a graph of level %s", words[level]);
	if (level != LEVEL_LOWERED && (node->attr.has & (A_kernel | A_offset | A_panel | A_width)))
		node_error(node, verify->diag,
			"kernel, offset, panel and width are for lowered code, this graph's level is %s", words[level]);
}

/* G6. Arguments count by the type they are declared with, so that one wrong type makes one error. */
static void verify_types(Verify *verify, const Node *node)
{
	Type results[RESULTS_MAX] = {0};
	if (!node_infer(node, results, verify->diag))
		return;
	for (int i = 0; i < node->nresults; i++)
		if (!type_equal(&node->results[i]->type, &results[i]))
			node_error(node, verify->diag, "%s is declared %s, but the op makes %s",
				VALUE_TEXT(node->results[i]), TYPE_TEXT(&node->results[i]->type), TYPE_TEXT(&results[i]));
}

/* False: the list cannot be walked on. */
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

/* G2 on the way. */
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

/* G1, outputs. There are few, so every pair is compared; a hostile thousand costs a million comparisons. */
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
			GRAPH_ERROR(verify, line, "output %s is no value of this graph", output->name);
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
		return (one->name == NULL) - (two->name == NULL); /* nameless last */
	int order = strcmp(one->name, two->name);
	return order ? order : by_id(a, b);
}

/* G3. Sorted, so that equals stand together. */
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
			GRAPH_ERROR(verify, line, "\"%s\" is no valid name", values[i]->name);
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
		GRAPH_ERROR(&verify, graph->line,
			"its level is above what is expected here (%d, expected at most %d)", (int)graph->level,
			(int)highest);
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
