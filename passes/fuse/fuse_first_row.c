/* fuse_first_row.c: a classifier reads only the row of [CLS]; the ops that make the other rows of the last
 * layer go away.
 *
 *   %q = linear %x, %wq, %bq : f32[S,8]                      %x0 = pool %x {mode=first} : f32[8]
 *   %c = attention %q, %k, %v {heads=2}  : f32[S,8]          %q = linear %x0, %wq, %bq : f32[8]
 *   %h = linear %c, %wo, %bo : f32[S,8]                ->    %c = attention %q, %k, %v {heads=2}  : f32[8]
 *   %p = pool %h {mode=first} : f32[8]                       %h = linear %c, %wo, %bo : f32[8]
 *
 * The rule: taking the first row commutes with every row-wise op, and with attention in its query; keys and
 * values still need all rows. So a pool climbs through any op that only it reads and stops at a value with
 * other uses. For a text of no tokens there is no first row; what is computed from its zeros differs from the
 * zeros that the pool would have given. */
#include "fuse.h"

/* True when row 0 of node's result needs only row 0 of its arguments that have rows (of attention: its
 * first). */
static bool node_takes_first_row(const Node *node)
{
	if (node->op == OP_ATTENTION)
		return node->attr.pack != PACK_QKV;
	return op_info[node->op].domain == DOMAIN_ROWS && !node_lookups(node) && node->op != OP_CAST;
}

/* Row 0 of x, made right behind x; an earlier one is taken again. */
static Value *first_row(Graph *graph, Value *x, PassRun *run)
{
	Node *before = x->node ? x->node->next : graph->first;
	if (before && before->op == OP_POOL && before->attr.mode == POOL_FIRST && before->args[0] == x)
		return before->results[0];
	const Attrs attr = {.has = A_mode, .mode = POOL_FIRST};
	return graph_emit(graph, before, OP_POOL, &x, 1, &attr, x->node ? x->node->origin : NULL, run->diag);
}

/* Every argument must be rows of the same shape as the result's, or not depend on the row at all. */
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

/* Moves the pool above the op that it reads. */
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
	/* From the end, so that the pools that a climb leaves further up are met later. */
	for (Node *pool = graph->last, *prev; pool; pool = prev) {
		prev = pool->prev;
		if (pool->op != OP_POOL || pool->attr.mode != POOL_FIRST || !pool->args[0]->node)
			continue;
		Node *node = pool->args[0]->node;
		if (!node_takes_first_row(node) || !node_rows_fit(node))
			continue;
		if (value_only_user(graph, pool->args[0]) != pool) {
			if (pool->results[0]->id < own)
				pass_note(
					run, pool, "first-row: all rows are needed, %s has other uses", op_info[node->op].name);
			continue;
		}
		/* The climb erases pool and perhaps nodes before it, never those behind: start again from there. */
		Node *next = pool->next;
		if (!pool_climb(graph, pool, run))
			return false;
		prev = next ? next->prev : graph->last;
	}
	return true;
}
