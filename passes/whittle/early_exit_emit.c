/* early_exit_emit.c: the ops of an exit: see early_exit.c. */
#include "early_exit.h"
#include "ir/attention.h"

bool exit_remakes(const Value *v)
{
	const Node *node = v->node;
	if (!node || node->nargs != 2 || !value_tensor(node->args[0]))
		return false;
	if (node->op == OP_BY_DISTANCE)
		return node->args[1]->type.dtype != DT_I32 || places_are_plain(node->args[1]);
	return node->op == OP_EMBED && places_are_plain(node->args[1]);
}

static Value *emit_linear(
	Graph *graph, Node *before, Value *x, const Tensor *const pair[2], const char *origin, Diag *diag)
{
	Value *args[3] = {
		x, graph_const(graph, before, pair[0], origin), graph_const(graph, before, pair[1], origin)};
	return graph_emit(graph, before, OP_LINEAR, args, 3, NULL, origin, diag);
}

Value *exit_row(const EarlyExit *e, const Exit *exit, Graph *graph, Node *before, Value *rows)
{
	const Attrs attr = {.has = A_mode, .mode = e->pool};
	const char *origin = mem_printf(graph->module->mem, "exit.%d.pooler", exit->layer->number);
	Value *row = graph_emit(graph, before, OP_POOL, &rows, 1, &attr, origin, e->run->diag);
	if (row && exit->pooler[0]) {
		row = emit_linear(graph, before, row, exit->pooler, origin, e->run->diag);
		row = row ? graph_emit(graph, before, OP_TANH, &row, 1, NULL, origin, e->run->diag) : NULL;
	}
	return row;
}

Value *exit_number(Graph *graph, Node *before, int32_t number, const char *origin)
{
	Tensor *tensor = tensor_new(graph->module, NULL, type_numbers(DT_F32, 1, (int64_t[]){1}));
	tensor_set(tensor, 0, number);
	return graph_const(graph, before, tensor, origin);
}

/* What tells such a value the number of tokens. */
static const Value *counted(const Value *v)
{
	const Value *rows = v->node->args[1];
	return value_is(rows, OP_POSITION_IDS) ? rows->node->args[0] : rows;
}

/* Makes such a value again for the rows that are left. */
static Value *emit_again(const EarlyExit *e, const Value *value, Value *rest)
{
	const Node *node = value->node;
	Node *before = rest->node->next;
	Value *args[2] = {node->args[0], rest};
	if (node->op == OP_EMBED) {
		const Node *places = node->args[1]->node;
		args[1] = graph_emit(
			e->graph, before, OP_POSITION_IDS, &rest, 1, &places->attr, places->origin, e->run->diag);
	}
	return args[1] ? graph_emit(e->graph, before, node->op, args, 2, NULL, node->origin, e->run->diag) : NULL;
}

static void use_behind(Value *by, const Value *of)
{
	for (Node *node = by->node->next; node; node = node->next)
		for (int32_t i = 0; i < node->nargs; i++)
			if (node->args[i] == of)
				node->args[i] = by;
}

/* Makes the values by place again that layers after the exit read. */
static bool emit_shared(const EarlyExit *e, const Layers *layers, const Exit *exit, Value *rest)
{
	for (int32_t i = exit->run; i < layers->count; i++)
		for (int32_t k = 0; k < layers->at[i].nshared; k++) {
			Value *old = layers->at[i].shared[k], *again;
			if (counted(old) == rest)
				continue;
			if (!(again = emit_again(e, old, rest)))
				return false;
			use_behind(again, old);
			for (int32_t later = i; later < layers->count; later++)
				for (int32_t n = 0; n < layers->at[later].nshared; n++)
					if (layers->at[later].shared[n] == old)
						layers->at[later].shared[n] = again;
		}
	return true;
}

bool exit_emit(const EarlyExit *e, const Layers *layers, const Exit *exit)
{
	Graph *graph = e->graph;
	Value *rows = exit->layer->output;
	Node *before = rows->node->next;
	const char *origin = mem_printf(graph->module->mem, "exit.%d", exit->layer->number);
	const Attrs attr = {.has = A_option, .option = EXIT_OPTION};
	Value *row = exit_row(e, exit, graph, before, rows);
	Value *logits = row ? emit_linear(graph, before, row, exit->head, origin, e->run->diag) : NULL;
	Value *args[3] = {rows, logits, logits ? exit_number(graph, before, exit->run, origin) : NULL};
	Value *rest = logits ? graph_emit(graph, before, OP_EXIT, args, 3, &attr, origin, e->run->diag) : NULL;
	if (!rest)
		return false;
	use_behind(rest, rows);
	e->run->changes++;
	return emit_shared(e, layers, exit, rest);
}
