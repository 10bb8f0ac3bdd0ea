/* rewrite.c: replaces values, erases nodes that become unused, and makes new tensors. The passes decide what
 * to replace. */
#include <fnmatch.h>
#include <stdlib.h>
#include "rewrite.h"
#include <string.h>

bool table_is_angles(const Graph *graph, const Value *v)
{
	for (const Node *node = graph->first; node; node = node->next) {
		const bool turns = node->op == OP_ROTARY && value_is(node->args[1], OP_EMBED),
				   transforms = node->op == OP_FOURIER && value_is(node->args[0], OP_LINEAR);
		if ((turns && node->args[1]->node->args[0] == v) || (transforms && node->args[0]->node->args[1] == v))
			return true;
	}
	return false;
}

Value *rewrite_value(
	Graph *graph, Value *old, Op op, Value *const *args, int32_t nargs, const Attrs *attr, PassRun *run)
{
	Value *by = graph_emit(graph, old->node, op, args, nargs, attr, old->node->origin, run->diag);
	if (by)
		rewrite_uses(graph, old, by);
	return by;
}

void rewrite_uses(Graph *graph, Value *old, Value *by)
{
	graph_replace_uses(graph, old, by);
	if (!by->name && old->node) { /* names of graph inputs stay theirs */
		by->name = old->name;
		old->name = NULL;
	}
}

static bool node_is_used(const Graph *graph, const Node *node)
{
	for (int32_t i = 0; i < node->nresults; i++)
		if (value_uses(graph, node->results[i]))
			return true;
	return false;
}

void rewrite_erase(Graph *graph, Node *node)
{
	/* Patterns are about a dozen nodes deep. Nodes beyond this limit are left to dce. */
	enum { WAITING_MAX = 64 };
	Node *waiting[WAITING_MAX] = {node};
	int32_t count = 1;
	while (count) {
		Node *dead = waiting[--count];
		if (node_is_used(graph, dead))
			continue;
		for (int32_t i = 0; i < dead->nargs; i++) {
			Node *maker = dead->args[i]->node;
			bool known = !maker || count == WAITING_MAX;
			for (int32_t k = 0; k < count && !known; k++)
				known = waiting[k] == maker;
			if (!known)
				waiting[count++] = maker;
		}
		graph_erase(graph, dead);
	}
}

Tensor *tensor_derived(Graph *graph, const Tensor *base, const char *what, Type type)
{
	MemArena *mem = graph->module->mem;
	const char *name = mem_printf(mem, "%s.%s.%u", base->name ? base->name : "const", what, graph->next_id);
	Tensor *tensor = tensor_new(graph->module, name, type);
	tensor->source = base->source ? base->source : base->name;
	tensor->part = base->part;
	tensor->parts = base->parts;
	tensor->heads = base->heads;
	tensor->repeats = base->repeats;
	tensor->groups = base->groups;
	tensor->taps = base->taps;
	tensor->turned = base->turned;
	return tensor;
}

const Tensor *tensor_widened(Graph *graph, const Tensor *from)
{
	if (from->type.dtype == DT_F32)
		return from;
	Type type = from->type;
	type.dtype = DT_F32;
	Tensor *to = tensor_derived(graph, from, "f32", type);
	tensor_floats(from, 0, type_count(&type), (float *)(uintptr_t)to->data);
	return to;
}

Type type_numbers(DType dtype, int32_t rank, const int64_t *sizes)
{
	Type type = {.dtype = dtype, .rank = rank};
	for (int32_t i = 0; i < rank; i++)
		type.dim[i] = dim_number(sizes[i]);
	return type;
}

/* One walk from the last node to the first is enough, because every use stands after what it uses. */
int32_t graph_sweep(Graph *graph)
{
	bool *needed = checked_calloc((size_t)graph->next_id + 1, sizeof *needed);
	for (int32_t i = 0; i < graph->noutputs; i++)
		needed[graph->outputs[i].value->id] = true;
	int32_t erased = 0;
	for (Node *node = graph->last, *prev; node; node = prev) {
		prev = node->prev;
		bool live = false;
		for (int32_t i = 0; i < node->nresults; i++)
			live |= needed[node->results[i]->id];
		if (!live) {
			graph_erase(graph, node);
			erased++;
			continue;
		}
		for (int32_t i = 0; i < node->nargs; i++)
			needed[node->args[i]->id] = true;
	}
	free(needed);
	return erased;
}

bool origin_matches(const char *list, const char *origin)
{
	for (const char *at = list; at && origin; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		char *item = checked_strndup(at, strcspn(at, ",")), *inside = checked_printf("%s.*", item);
		bool match = *item && (fnmatch(item, origin, 0) == 0 || fnmatch(inside, origin, 0) == 0);
		free(item);
		free(inside);
		if (match)
			return true;
	}
	return false;
}
