/* graph.c: builds and changes modules and graphs. infer.c (shapes) and eval.c (numbers) define the ops;
 * verify.c checks graphs.
 *
 * A module's lists (graphs, heads, meta, files, and a graph's inputs and outputs) are arrays in its arena.
 * They grow to double size when their count is a power of two, so only functions in this file may append to
 * them. */
#include <stdlib.h>
#include <string.h>
#include "value_map.h"

static void *list_append(MemArena *mem, void *list, int32_t *count, size_t item_bytes)
{
	size_t n = (size_t)*count;
	if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
		void *larger = mem_alloc(mem, (n ? 2 * n : 1) * item_bytes);
		if (n)
			memcpy(larger, list, n * item_bytes);
		list = larger;
	}
	++*count;
	return list;
}
#define APPEND(mem, list, count) \
	(*((list) = list_append((mem), (list), &(count), sizeof *(list)), &(list)[(count) - 1]))

static const char *string_copy(MemArena *mem, const char *text)
{
	return text ? mem_string(mem, text, strlen(text)) : NULL;
}

/* ---- modules --------------------------------------------------------------------------------- */

Module *module_new(const char *name)
{
	MemArena *mem = mem_new();
	Module *module = mem_alloc(mem, sizeof *module);
	module->mem = mem;
	module->name = string_copy(mem, name);
	return module;
}

void module_free(Module *module)
{
	if (!module)
		return;
	for (int i = 0; i < module->nfiles && !module->borrows_files; i++)
		tensor_file_close(module->files[i]);
	mem_free(module->mem);
}

bool module_add_file(Module *module, TensorFile *file)
{
	if (!file)
		return false;
	APPEND(module->mem, module->files, module->nfiles) = file;
	return true;
}

const Tensor *module_find_tensor(const Module *module, const char *name)
{
	for (int i = 0; i < module->nfiles; i++) {
		const Tensor *tensor = tensor_file_find(module->files[i], name);
		if (tensor)
			return tensor;
	}
	return NULL;
}

const char *module_meta(const Module *module, const char *key)
{
	for (int i = 0; i < module->nmeta; i++)
		if (strcmp(module->meta[i].key, key) == 0)
			return module->meta[i].value;
	return NULL;
}

void module_set_meta(Module *module, const char *key, const char *value)
{
	for (int i = 0; i < module->nmeta; i++)
		if (strcmp(module->meta[i].key, key) == 0) {
			module->meta[i].value = string_copy(module->mem, value);
			return;
		}
	APPEND(module->mem, module->meta, module->nmeta) = (Meta){
		string_copy(module->mem, key), string_copy(module->mem, value)};
}

Head *module_add_head(Module *module, const char *name)
{
	APPEND(module->mem, module->heads, module->nheads) = (Head){.name = string_copy(module->mem, name)};
	return &module->heads[module->nheads - 1];
}

void module_set_option(Module *module, const char *name, double value)
{
	int32_t at = module_find_option(module, name);
	if (at >= 0)
		module->options[at].value = value;
	else
		APPEND(module->mem, module->options, module->noptions) = (Option){
			.name = string_copy(module->mem, name), .value = value};
}

int32_t module_find_option(const Module *module, const char *name)
{
	for (int32_t i = 0; i < module->noptions; i++)
		if (strcmp(module->options[i].name, name) == 0)
			return i;
	return -1;
}

static void head_copy(Module *into, const Head *from)
{
	Head *head = module_add_head(into, from->name);
	const char *name = head->name, **labels = mem_alloc(into->mem, (size_t)from->nlabels * sizeof *labels);
	*head = *from;
	head->name = name;
	head->output = string_copy(into->mem, from->output);
	head->labels = labels;
	for (int i = 0; i < from->nlabels; i++)
		labels[i] = string_copy(into->mem, from->labels[i]);
}

Module *module_copy(const Module *from)
{
	Module *module = module_new(from->name);
	module->weights = string_copy(module->mem, from->weights);
	module->tokenizer = string_copy(module->mem, from->tokenizer);
	module->directory = string_copy(module->mem, from->directory);
	module->max_tokens = from->max_tokens;
	module->borrows_files = true;
	for (int i = 0; i < from->nfiles; i++)
		module_add_file(module, from->files[i]);
	for (int i = 0; i < from->nmeta; i++)
		module_set_meta(module, from->meta[i].key, from->meta[i].value);
	for (int i = 0; i < from->noptions; i++)
		module_set_option(module, from->options[i].name, from->options[i].value);
	for (int i = 0; i < from->nheads; i++)
		head_copy(module, &from->heads[i]);
	for (int i = 0; i < from->ngraphs; i++)
		graph_copy(module, from->graphs[i]);
	return module;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

Graph *graph_new(Module *module, const char *name)
{
	Graph *graph = mem_alloc(module->mem, sizeof *graph);
	graph->module = module;
	graph->name = string_copy(module->mem, name);
	graph->level = LEVEL_GRAPH;
	APPEND(module->mem, module->graphs, module->ngraphs) = graph;
	return graph;
}

static Value *value_new(Graph *graph, const char *name, Type type, Node *node, int32_t index)
{
	Value *value = mem_alloc(graph->module->mem, sizeof *value);
	*value = (Value){.id = graph->next_id++, .name = name, .type = type, .node = node, .index = index};
	return value;
}

Value *graph_add_input(Graph *graph, const char *name, Type type)
{
	MemArena *mem = graph->module->mem;
	Value *value = value_new(graph, string_copy(mem, name), type, NULL, graph->ninputs);
	APPEND(mem, graph->inputs, graph->ninputs) = value;
	return value;
}

void graph_add_output(Graph *graph, const char *name, Value *value)
{
	MemArena *mem = graph->module->mem;
	APPEND(mem, graph->outputs, graph->noutputs) = (GraphOutput){string_copy(mem, name), value};
}

/* Copies a node without its links and results. */
static Node *node_new(
	Module *module, Op op, Value *const *args, int32_t nargs, const Attrs *attr, const char *origin)
{
	Node *node = mem_alloc(module->mem, sizeof *node);
	node->op = op;
	node->nargs = nargs;
	for (int i = 0; i < nargs; i++)
		node->args[i] = args[i];
	if (attr) {
		node->attr = *attr;
		if (attr->has & A_kernel)
			node->attr.kernel = string_copy(module->mem, attr->kernel);
	}
	node->origin = string_copy(module->mem, origin);
	node->place = origin_parse(node->origin);
	return node;
}

static void graph_link(Graph *graph, Node *before, Node *node)
{
	node->next = before;
	node->prev = before ? before->prev : graph->last;
	*(node->prev ? &node->prev->next : &graph->first) = node;
	*(before ? &before->prev : &graph->last) = node;
}

static Node *graph_add_node(Graph *graph, Node *before, Node *node, const Type *results)
{
	node->nresults = op_info[node->op].results;
	for (int i = 0; i < node->nresults; i++)
		node->results[i] = value_new(graph, NULL, results[i], node, i);
	graph_link(graph, before, node);
	return node;
}

Node *graph_insert(Graph *graph, Node *before, Op op, Value *const *args, int32_t nargs, const Attrs *attr,
	const char *origin, Diag *diag)
{
	Type results[RESULTS_MAX] = {0};
	if (nargs < 0 || nargs > ARGS_MAX) {
		diag_error(
			diag, EXIT_INPUT, 0, "%s: %d arguments, expected at most %d", op_info[op].name, nargs, ARGS_MAX);
		return NULL;
	}
	Node *node = node_new(graph->module, op, args, nargs, attr, origin);
	return node_infer(node, results, diag) ? graph_add_node(graph, before, node, results) : NULL;
}

Node *graph_insert_typed(Graph *graph, Node *before, Op op, Value *const *args, int32_t nargs,
	const Attrs *attr, const Tensor *data, const char *origin, const Type *results)
{
	Node *node = node_new(graph->module, op, args, nargs, attr, origin);
	node->data = data;
	return graph_add_node(graph, before, node, results);
}

Value *graph_emit(Graph *graph, Node *before, Op op, Value *const *args, int32_t nargs, const Attrs *attr,
	const char *origin, Diag *diag)
{
	Node *node = graph_insert(graph, before, op, args, nargs, attr, origin, diag);
	return node ? node->results[0] : NULL;
}

Value *graph_const(Graph *graph, Node *before, const Tensor *tensor, const char *origin)
{
	return graph_insert_typed(graph, before, OP_CONST, NULL, 0, NULL, tensor, origin, &tensor->type)
		->results[0];
}

Tensor *tensor_new(Module *module, const char *name, Type type)
{
	Tensor *tensor = mem_alloc(module->mem, sizeof *tensor);
	int64_t count = type_count(&type), bytes;
	if (count < 0 || __builtin_mul_overflow(count, (int64_t)dtype_bytes[type.dtype], &bytes)
		|| bytes > TENSOR_BYTES_MAX)
		bytes = INT64_MAX; /* mem_alloc reports that it is too much */
	*tensor = (Tensor){.name = string_copy(module->mem, name), .type = type, .bytes = bytes};
	tensor->data = mem_alloc(module->mem, (size_t)bytes);
	return tensor;
}

static void node_copy(Graph *graph, const Node *from, const ValueMap *map, Value **copies)
{
	Node *node = node_new(graph->module, from->op, NULL, 0, &from->attr, from->origin);
	node->nargs = from->nargs;
	node->nresults = from->nresults;
	node->data = from->data;
	node->line = from->line;
	for (int i = 0; i < from->nargs; i++)
		node->args[i] = copies[value_map_find(map, from->args[i])];
	for (int i = 0; i < from->nresults; i++) {
		const Value *result = from->results[i];
		node->results[i] = value_new(
			graph, string_copy(graph->module->mem, result->name), result->type, node, i);
		node->results[i]->id = result->id;
		copies[value_map_find(map, result)] = node->results[i];
	}
	graph_link(graph, NULL, node);
}

/* Requires that every argument comes before its node, which verify checks and the functions above ensure. */
Graph *graph_copy(Module *into, const Graph *from)
{
	Graph *graph = graph_new(into, from->name);
	ValueMap map;
	value_map_init(&map, from);
	Value **copies = checked_calloc((size_t)map.count, sizeof *copies);
	for (int i = 0; i < from->ninputs; i++) {
		copies[i] = graph_add_input(graph, from->inputs[i]->name, from->inputs[i]->type);
		copies[i]->id = from->inputs[i]->id;
	}
	for (const Node *node = from->first; node; node = node->next)
		node_copy(graph, node, &map, copies);
	for (int i = 0; i < from->noutputs; i++)
		graph_add_output(graph, from->outputs[i].name, copies[value_map_find(&map, from->outputs[i].value)]);
	graph->level = from->level;
	graph->next_id = from->next_id;
	graph->arena = from->arena;
	graph->line = from->line;
	graph->return_line = from->return_line;
	free(copies);
	value_map_free(&map);
	return graph;
}

/* ---- changing a graph ------------------------------------------------------------------------ */

void graph_replace_uses(Graph *graph, Value *old, Value *by)
{
	for (Node *node = graph->first; node; node = node->next)
		for (int i = 0; i < node->nargs; i++)
			if (node->args[i] == old)
				node->args[i] = by;
	for (int i = 0; i < graph->noutputs; i++)
		if (graph->outputs[i].value == old)
			graph->outputs[i].value = by;
}

void graph_erase(Graph *graph, Node *node)
{
	*(node->prev ? &node->prev->next : &graph->first) = node->next;
	*(node->next ? &node->next->prev : &graph->last) = node->prev;
	node->prev = NULL;
	node->next = NULL;
}

int32_t value_uses(const Graph *graph, const Value *value)
{
	int32_t uses = 0;
	for (const Node *node = graph->first; node; node = node->next)
		for (int i = 0; i < node->nargs; i++)
			uses += node->args[i] == value;
	for (int i = 0; i < graph->noutputs; i++)
		uses += graph->outputs[i].value == value;
	return uses;
}

Node *value_only_user(const Graph *graph, const Value *value)
{
	Node *user = NULL;
	for (int i = 0; i < graph->noutputs; i++)
		if (graph->outputs[i].value == value)
			return NULL;
	for (Node *node = graph->first; node; node = node->next)
		for (int i = 0; i < node->nargs; i++)
			if (node->args[i] == value) {
				if (user)
					return NULL;
				user = node;
			}
	return user;
}

void graph_reach_outputs(const Graph *graph, uint32_t *by_id)
{
	memset(by_id, 0, (size_t)graph->next_id * sizeof *by_id);
	for (int32_t i = 0; i < graph->noutputs; i++)
		by_id[graph->outputs[i].value->id] |= 1u << (i < 31 ? i : 31);
	const uint32_t all = graph->noutputs < 32 ? (1u << graph->noutputs) - 1 : UINT32_MAX;
	for (const Node *node = graph->last; node; node = node->prev) {
		uint32_t needed = node->op == OP_EXIT ? all : 0; /* an exit supplies all outputs */
		for (int32_t i = 0; i < node->nresults; i++)
			needed |= by_id[node->results[i]->id];
		for (int32_t i = 0; i < node->nargs; i++)
			by_id[node->args[i]->id] |= needed;
	}
}

int32_t node_weight(const Node *node)
{
	switch (node->op) {
	case OP_LINEAR:
	case OP_LINEAR_BF16: return 1;
	case OP_LINEAR_I8:
	case OP_LINEAR_I8_CODES: return 2;
	default: return -1;
	}
}

int32_t node_lookups(const Node *node)
{
	switch (node->op) {
	case OP_BAG:
	case OP_EMBED:
	case OP_EMBED_I8:
	case OP_EMBED_I4: return 1;
	case OP_EMBED_LAYERNORM: return (node->nargs - 2) / 2;
	default: return 0;
	}
}

int64_t node_table_rows(const Node *node, int32_t pair)
{
	return (node->attr.has & A_panel) ? node->attr.width : node->args[2 * pair]->type.dim[0].plus;
}

const Node *graph_lookup(const Graph *graph, int32_t input, const Node *after)
{
	const Node *node = after ? after->next : graph->first;
	while (node && (input >= graph->ninputs || !node_lookups(node) || node->args[1] != graph->inputs[input]))
		node = node->next;
	return node;
}

bool value_is_const(const Value *value) { return value->node && value->node->op == OP_CONST; }

const Tensor *value_tensor(const Value *value) { return value_is_const(value) ? value->node->data : NULL; }

bool value_is_scalar(const Value *value, double *number)
{
	const Tensor *tensor = value_tensor(value);
	if (!tensor || type_count(&tensor->type) != 1)
		return false;
	*number = tensor_at(tensor, 0);
	return true;
}
