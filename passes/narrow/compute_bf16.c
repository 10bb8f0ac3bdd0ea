/* compute_bf16.c: linears with both factors rounded to bf16 (8 bits of significand) and sums in f32.
 *
 *   %y = linear %x, %w, %b {act=gelu}     ->     %y = linear_bf16 %x, %w.bf16, %b {act=gelu}
 *
 * This is --compute=bf16. It halves the bytes of the weights and, on a CPU with a bf16 dot product, is up to
 * twice as fast as f32. All other ops stay f32, except the two products of attention. */
#include "narrow.h"

/* The weight of a linear in bf16. */
static Value *narrow_value(Graph *graph, Node *node, const Tensor *weight, RoundedList *list)
{
	const Rounded *rounded = rounded_find(list, node->args[1]);
	Type type = weight->type;
	type.dtype = DT_BF16;
	if (rounded)
		return rounded->codes;
	if (weight->type.dtype == DT_BF16)
		return node->args[1];
	Tensor *narrow = tensor_derived(graph, weight, "bf16", type);
	for (int64_t i = 0, n = type_count(&type); i < n; i++)
		((uint16_t *)(uintptr_t)narrow->data)[i] = bfloat_from_float((float)tensor_at(weight, i));
	return rounded_add(list, graph, node, narrow, NULL)->codes;
}

bool pass_compute_bf16(Graph *graph, PassRun *run)
{
	narrow_attention(graph, run);
	RoundedList list = rounded_open(graph);
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		const Tensor *weight = narrow_weight(node, run);
		if (!weight)
			continue;
		Value *args[] = {
			node->args[0], narrow_value(graph, node, weight, &list), node->nargs == 3 ? node->args[2] : NULL};
		if (!rewrite_value(graph, node->results[0], OP_LINEAR_BF16, args, node->nargs, &node->attr, run))
			return false;
		rewrite_erase(graph, node);
		run->changes++;
	}
	return true;
}
