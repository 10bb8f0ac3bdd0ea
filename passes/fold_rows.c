/* fold_rows.c: when a constant row is added to every row looked up in a table, the row is added to the table
 * instead. The single segment row of a model without segments then costs nothing at run time.
 *
 *   %e = embed %table, %ids : f32[S,8]
 *   %y = add %e, %row : f32[S,8]    ->   %y = embed %table2, %ids : f32[S,8]
 *
 * %row is a constant, or a table row at a constant index. A table with other readers stays unchanged. */
#include "rewrite.h"

/* Stores the numbers of v in *row, or NULL when v is not a constant row. False after an error. */
static bool constant_row(Graph *graph, const Value *v, int64_t width, const Tensor **row, PassRun *run)
{
	const Node *node = v->node;
	*row = NULL;
	if (!node || !type_is_number(&v->type) || type_count(&v->type) != width)
		return true;
	if (value_is_const(v)) {
		*row = value_tensor(v);
		return true;
	}
	if (node->op != OP_EMBED || !value_is_const(node->args[0]) || !value_is_const(node->args[1]))
		return true;
	*row = node_eval_const(graph, node, 0, run->diag);
	return *row != NULL;
}

/* table + row, computed in f32 whatever their element types. */
static const Tensor *table_plus_row(Graph *graph, const Tensor *table, const Tensor *row)
{
	Type type = table->type;
	type.dtype = DT_F32;
	Tensor *sum = tensor_derived(graph, table, "row", type);
	sum->source = NULL; /* no longer the checkpoint's table */
	const int64_t width = type.dim[1].plus;
	for (int64_t i = 0; i < type_count(&type); i++)
		tensor_set(sum, i, tensor_at(table, i) + tensor_at(row, i % width));
	return sum;
}

/* The lookup into whose table a row may be folded: `sum` is its only reader, and it is the table's only
 * reader. */
static Node *own_lookup(const Graph *graph, const Value *v, const Node *sum)
{
	Node *embed = value_is(v, OP_EMBED) && value_only_user(graph, v) == sum ? v->node : NULL;
	if (!embed || !value_is_const(embed->args[0]) || value_is_const(embed->args[1]))
		return NULL;
	const bool plain = embed->args[0]->type.rank == 2 && !(embed->attr.has & A_panel);
	const bool alone = value_uses(graph, embed->args[0]) == 1;
	return plain && alone && type_equal(&v->type, &sum->results[0]->type) ? embed : NULL;
}

static bool fold_row(Graph *graph, Node *sum, int32_t side, PassRun *run)
{
	const Node *embed = own_lookup(graph, sum->args[side], sum);
	const Tensor *row;
	if (!embed)
		return true;
	const Tensor *table = value_tensor(embed->args[0]);
	if (!constant_row(graph, sum->args[1 - side], table->type.dim[1].plus, &row, run))
		return false;
	if (!row)
		return true;
	const char *origin = embed->args[0]->node->origin;
	Value *args[] = {graph_const(graph, sum, table_plus_row(graph, table, row), origin), embed->args[1]};
	if (!args[0] || !rewrite_value(graph, sum->results[0], OP_EMBED, args, 2, NULL, run))
		return false;
	run->changes++;
	return true;
}

bool fold_table_rows(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		const int32_t changes = run->changes;
		for (int32_t side = 0; node->op == OP_ADD && side < 2 && run->changes == changes; side++)
			if (!fold_row(graph, node, side, run))
				return false;
		if (run->changes != changes)
			rewrite_erase(graph, node);
	}
	return true;
}
