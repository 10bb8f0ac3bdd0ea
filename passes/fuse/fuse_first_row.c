/* fuse_first_row.c: a classifier reads only the row of [CLS]. The last layer then computes only that row.
 *
 *   %q = linear %x, %wq, %bq : f32[S,8]                      %x0 = pool %x {mode=first} : f32[8]
 *   %c = attention %q, %k, %v {heads=2}  : f32[S,8]          %q = linear %x0, %wq, %bq : f32[8]
 *   %h = linear %c, %wo, %bo : f32[S,8]                ->    %c = attention %q, %k, %v {heads=2}  : f32[8]
 *   %p = pool %h {mode=first} : f32[8]                       %h = linear %c, %wo, %bo : f32[8]
 *
 * Taking the first row commutes with every row-wise op, and with the query of attention; keys and values
 * still need all rows. So a pool moves up through each op that only it reads, and stops at a value with other
 * uses. A text without tokens has no first row: the pool gives zeros, and after this pass the output is
 * computed from these zeros instead of being zero. */
#include "fuse.h"

/* True when row 0 of node's result needs only row 0 of its arguments with rows. For attention, only the first
 * argument is meant. */
static bool node_takes_first_row(const Node *node)
{
	if (node->op == OP_ATTENTION)
		return node->attr.pack != PACK_QKV;
	return op_info[node->op].domain == DOMAIN_ROWS && !node_lookups(node) && node->op != OP_CAST;
}

/* Row 0 of x, computed right after x. An existing one is reused. */
static Value *first_row(Graph *graph, Value *x, PassRun *run)
{
	Node *before = x->node ? x->node->next : graph->first;
	if (before && before->op == OP_POOL && before->attr.mode == POOL_FIRST && before->args[0] == x)
		return before->results[0];
	const Attrs attr = {.has = A_mode, .mode = POOL_FIRST};
	return graph_emit(graph, before, OP_POOL, &x, 1, &attr, x->node ? x->node->origin : NULL, run->diag);
}

/* Every argument must have rows of the same shape as the result, or be independent of the row. */
static bool node_rows_fit(const Node *node)
{
	for (int32_t i = 0; i < node->nargs; i++) {
		const Type *type = &node->args[i]->type;
		bool query = node->op != OP_ATTENTION || i == 0;
		if (query && type->rank > 2)
			return false;
		if (query && !type_is_number(type) && !(type_is_rows(type) && type->rank == 2))
			return false;
		/* a constant [1,H] would make the result [1,H] instead of [H]; only weights of linear and tables of
		 * attention are matrices */
		if (type_is_number(type) && type->rank == 2 && node->op != OP_LINEAR && node->op != OP_ATTENTION)
			return false;
	}
	return type_is_rows(&node->results[0]->type) && node->results[0]->type.rank == 2;
}

/* Moves the pool before the op that it reads. */
static bool pool_climb(Graph *graph, Node *pool, PassRun *run)
{
	Node *node = pool->args[0]->node;
	Value *args[ARGS_MAX];
	for (int32_t i = 0; i < node->nargs; i++) {
		args[i] = node->args[i];
		if (type_is_rows(&args[i]->type) && (node->op != OP_ATTENTION || i == 0)
			&& !(args[i] = first_row(graph, args[i], run)))
			return false;
	}
	Value *by = graph_emit(graph, pool, node->op, args, node->nargs, &node->attr, node->origin, run->diag);
	if (!by)
		return false;
	rewrite_uses(graph, pool->results[0], by);
	rewrite_erase(graph, pool);
	run->changes++;
	return true;
}

bool fuse_first_row(Graph *graph, PassRun *run)
{
	uint32_t own = graph->next_id; /* pools from here on are this pattern's: they rest where others need all
									  rows */
	/* Backwards, so that the walk meets pools that were moved up. */
	for (Node *pool = graph->last, *prev; pool; pool = prev) {
		prev = pool->prev;
		if (pool->op != OP_POOL || pool->attr.mode != POOL_FIRST || (pool->attr.has & A_option)
			|| !pool->args[0]->node)
			continue;
		Node *node = pool->args[0]->node;
		if (!node_takes_first_row(node) || !node_rows_fit(node))
			continue;
		if (value_only_user(graph, pool->args[0]) != pool) {
			if (pool->results[0]->id < own)
				pass_note(run, pool, "first-row: all rows are needed, because %s has other uses",
					op_info[node->op].name);
			continue;
		}
		/* Moving up erases pool and perhaps nodes before it, never nodes after it. Restart from the node
		 * after it. */
		Node *next = pool->next;
		if (!pool_climb(graph, pool, run))
			return false;
		prev = next ? next->prev : graph->last;
	}
	return true;
}
