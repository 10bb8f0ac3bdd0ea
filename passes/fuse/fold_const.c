/* fold_const.c: computes values that depend on constants only, with the reference evaluator.
 *
 *   %a = const splat(2) : f32[]
 *   %b = sqrt %a : f32[]            ->   %b = const ... : f32[]
 *
 * A constant row that is added to rows of a table is added to the table instead (fold_rows.c). Unused
 * constants are deleted at once. A result that would be much larger than its operands (a broadcast, an outer
 * product) is not folded, because the program would grow. */
#include "passes/rewrite.h"

/* Folding may add at most this many bytes. The scalars and biases of a model stay far below; its weights do
 * not grow. */
enum { GROWTH_BYTES_MAX = 1 << 20 };

static bool node_folds(const Node *node, PassRun *run)
{
	if (node->op == OP_CONST || !node->nargs)
		return false;
	int64_t bytes = 0;
	for (int32_t i = 0; i < node->nargs; i++) {
		if (!value_is_const(node->args[i]))
			return false;
		bytes += value_tensor(node->args[i])->bytes;
	}
	for (int32_t i = 0; i < node->nresults; i++) {
		const Type *type = &node->results[i]->type;
		int64_t count = type_is_number(type) ? type_count(type) : -1;
		if (count < 0)
			return false;
		if (count * dtype_bytes[type->dtype] > bytes + GROWTH_BYTES_MAX) {
			pass_note(run, node, "kept: the folded constant would have %lld bytes, its arguments have %lld",
				(long long)count * dtype_bytes[type->dtype], (long long)bytes);
			return false;
		}
	}
	return true;
}

bool pass_fold_const(Graph *graph, PassRun *run)
{
	if (graph->level == LEVEL_GRAPH && !fold_table_rows(graph, run))
		return false;
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		if (!node_folds(node, run))
			continue;
		for (int32_t i = 0; i < node->nresults; i++) {
			const Tensor *tensor = node_eval_const(graph, node, i, run->diag);
			if (!tensor)
				return false;
			Value *folded = graph_const(graph, node, tensor, node->origin);
			if (!folded)
				return false;
			rewrite_uses(graph, node->results[i], folded);
		}
		rewrite_erase(graph, node);
		run->changes++;
	}
	return true;
}
