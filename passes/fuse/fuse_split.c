/* fuse_split.c: splits a linear whose result is only sliced by columns, as in gated feed-forward networks:
 *
 *   %b = linear %x, %w : f32[S,16]                       %in = linear %x, %w0 : f32[S,8]
 *   %in = slice %b {axis=1 start=0 end=8}         ->     %gate = linear %x, %w1 : f32[S,8]
 *   %gate = slice %b {axis=1 start=8 end=16}
 *
 * A slice copies its rows. Each of the new linears takes its own activation, and runs in a chain. */
#include "fuse.h"
#include <string.h>

/* Whether every reader of v takes some of its columns, together not more than there are. */
static bool all_slices(const Graph *graph, const Value *v)
{
	int64_t width = 0;
	int32_t uses = 0;
	for (const Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_SLICE || node->args[0] != v)
			continue;
		if (node->attr.axis != v->type.rank - 1)
			return false;
		width += node->attr.end - node->attr.start;
		uses++;
	}
	return uses > 1 && uses == value_uses(graph, v) && width <= value_width(v);
}

/* Rows start..end-1 of a weight, or elements of a bias. */
static Tensor *rows_of(Graph *graph, const Tensor *from, int64_t start, int64_t end)
{
	const int64_t bytes = from->bytes / from->type.dim[0].plus;
	Type type = from->type;
	type.dim[0] = dim_number(end - start);
	Tensor *to = tensor_derived(graph, from, "split", type);
	memcpy((void *)(uintptr_t)to->data, (const uint8_t *)from->data + start * bytes, (size_t)to->bytes);
	return to;
}

/* The linear that computes the slice. NULL after an error. */
static Value *split_off(Graph *graph, Node *slice, PassRun *run)
{
	const Node *linear = slice->args[0]->node;
	Value *args[3] = {linear->args[0]};
	for (int32_t i = 1; i < linear->nargs; i++)
		args[i] = graph_const(graph, slice,
			rows_of(graph, value_tensor(linear->args[i]), slice->attr.start, slice->attr.end), slice->origin);
	return rewrite_value(graph, slice->results[0], OP_LINEAR, args, linear->nargs, NULL, run);
}

static bool is_constant_linear(const Node *node)
{
	bool constant = node->op == OP_LINEAR && !node->attr.has;
	for (int32_t i = 1; constant && i < node->nargs; i++)
		constant = value_is_const(node->args[i]);
	return constant;
}

/* A linear that can be split; NULL: there is none. */
static Node *find_split(const Graph *graph)
{
	for (Node *node = graph->first; node; node = node->next)
		if (is_constant_linear(node) && all_slices(graph, node->results[0]))
			return node;
	return NULL;
}

bool fuse_split(Graph *graph, PassRun *run)
{
	for (Node *linear; (linear = find_split(graph));) {
		const Value *whole = linear->results[0];
		for (Node *node = linear->next, *next; node; node = next) {
			next = node->next;
			if (node->op != OP_SLICE || node->args[0] != whole)
				continue;
			const bool last = value_uses(graph, whole) == 1;
			if (!split_off(graph, node, run))
				return false;
			rewrite_erase(graph, node); /* the last one takes the linear with it */
			run->changes++;
			if (last)
				break;
		}
	}
	return true;
}
