/* quantize_embeddings.c: stores embedding tables in fewer bits. A text reads only a few rows, so this saves
 * size, not time: in a MiniLM-L6 program in int8, the word table in f16 is half of the bytes.
 *
 *   %e = embed %t, %ids : f32[S,384]            %e = embed_i8 %t.i8, %ids, %t.scales, %p : f32[S,384]
 *   %x = add %e, %p                       ->
 *
 * to=int8: codes -127..127 with one scale per row, as quantize-int8 does for weights. If an add is the only
 * reader of the rows, the new op does the add too. to=int4: the table of token ids, by far the largest, gets
 * codes -7..7, two per byte (embed_i4); other tables are stored as with to=int8. to=f16 or bf16 changes the
 * storage only. A table with another reader (a tied decoder of a masked language model) stays, because the
 * program would store it twice. */
#include "narrow.h"
#include "passes/rewrite.h"
#include <string.h>

/* The add that is the only reader of embed's result, with terms of equal shape. NULL when there is none. */
static Node *sum_of(const Graph *graph, const Node *embed)
{
	const Value *found = embed->results[0];
	Node *user = value_only_user(graph, found);
	if (!user || user->op != OP_ADD)
		return NULL;
	const Value *other = user->args[user->args[0] == found];
	return type_equal(&other->type, &found->type) && !value_is_const(other) ? user : NULL;
}

static bool table_to_codes(Graph *graph, Node *embed, bool int4, PassRun *run)
{
	const Tensor *table = value_tensor(embed->args[0]);
	Tensor *scales, *codes;
	int4 = int4 && embed->args[1] == graph->inputs[0];
	if (int4 && table->type.dim[1].plus % 2) {
		pass_note(run, embed,
			"stored in int8: its rows have an odd number of columns, but int4 stores two per byte");
		int4 = false;
	}
	codes = int4 ? tensor_quantized_4(graph, table, &scales) : tensor_quantized(graph, table, &scales);
	if (!codes) {
		pass_note(run, embed, "stays: its table holds NaN or infinite numbers");
		return true;
	}
	Node *sum = sum_of(graph, embed), *last = sum ? sum : embed;
	const char *origin = embed->args[0]->node->origin;
	Value *args[] = {graph_const(graph, last, codes, origin), embed->args[1],
		graph_const(graph, last, scales, origin), sum ? sum->args[sum->args[0] == embed->results[0]] : NULL};
	if (!args[0] || !args[2]
		|| !rewrite_value(
			graph, last->results[0], int4 ? OP_EMBED_I4 : OP_EMBED_I8, args, sum ? 4 : 3, NULL, run))
		return false;
	rewrite_erase(graph, last);
	run->changes++;
	return true;
}

static bool table_to_float(Graph *graph, Node *embed, DType to, PassRun *run)
{
	const Tensor *table = value_tensor(embed->args[0]);
	Type type = table->type;
	type.dtype = to;
	if (table->type.dtype == to)
		return true;
	Tensor *narrow = tensor_derived(graph, table, dtype_names[to], type);
	for (int64_t i = 0; i < type_count(&type); i++)
		tensor_set(narrow, i, tensor_at(table, i));
	Value *by = graph_const(graph, embed, narrow, embed->args[0]->node->origin), *old = embed->args[0];
	if (!by)
		return false;
	embed->args[0] = by;
	rewrite_erase(graph, old->node);
	run->changes++;
	return true;
}

bool pass_quantize_embeddings(Graph *graph, PassRun *run)
{
	const char *word = pass_option(run, "to");
	const bool int4 = strcmp(word, "int4") == 0, codes = int4 || strcmp(word, "int8") == 0;
	DType to = DT_F16;
	if (!codes)
		dtype_parse(word, strlen(word), &to);
	if (codes && !fold_table_rows(graph, run)) /* else its sum could not be taken along */
		return false;
	graph_sweep(graph); /* a lookup that nothing needs must not keep its table */
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		const Tensor *table = node->op == OP_EMBED ? value_tensor(node->args[0]) : NULL;
		if (!table || !dtype_is_float(table->type.dtype) || value_is_const(node->args[1]))
			continue; /* fold-const makes a lookup at constant places a constant */
		if (table_is_angles(graph, node->args[0]))
			continue;
		if (value_uses(graph, node->args[0]) > 1)
			pass_note(run, node, "stays: its table has another reader");
		else if (!(codes ? table_to_codes(graph, node, int4, run) : table_to_float(graph, node, to, run)))
			return false;
	}
	return true;
}
