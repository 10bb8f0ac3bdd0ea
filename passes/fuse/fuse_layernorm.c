/* fuse_layernorm.c: fuses LayerNorm with the sum before it, so that the sum is never written to memory.
 *
 *   %s = add %x, %y : f32[S,8]
 *   %h = layernorm %s, %g, %b {eps=1e-12}           ->    %h = add_layernorm %x, %y, %g, %b {eps=1e-12}
 *
 *   layernorm(add(add(embed %a, %ids, embed %p, %pos), embed %t, %types))
 *                                                   ->    embed_layernorm %a, %ids, %p, %pos, ..
 *
 * The largest table of embed_layernorm comes first, because kernels read the first table in its stored
 * element type. */
#include "fuse.h"

/* Appends the two terms of a sum that only node reads. False when v is not such a sum or a term is broadcast.
 */
static bool sum_of(const Graph *graph, const Value *v, const Node *user, Value *terms[2])
{
	if (!value_is(v, OP_ADD) || value_only_user(graph, v) != user)
		return false;
	for (int i = 0; i < 2; i++) {
		terms[i] = v->node->args[i];
		if (!type_equal(&terms[i]->type, &v->type))
			return false;
	}
	return true;
}

bool fuse_add_layernorm(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		Value *terms[2];
		if (node->op != OP_LAYERNORM || !value_is(node->args[0], OP_ADD))
			continue;
		if (!sum_of(graph, node->args[0], node, terms) || value_is_const(terms[0])
			|| value_is_const(terms[1])) {
			pass_note(run, node, "add-layernorm: the sum has other uses or is broadcast");
			continue;
		}
		Value *args[] = {terms[0], terms[1], node->args[1], node->args[2]};
		if (!rewrite_value(graph, node->results[0], OP_ADD_LAYERNORM, args, 4, &node->attr, run))
			return false;
		rewrite_erase(graph, node);
		run->changes++;
	}
	return true;
}

enum { TABLES_MAX = 3 };

/* True when a linear multiplies by the table too, usually the head of a masked language model. */
static bool table_is_tied(const Graph *graph, const Value *table)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node_weight(node) >= 0 && node->args[node_weight(node)] == table)
			return true;
	return false;
}

/* A tied table stays with an embed. An embed can read the layout of the linear's kernel (pack-weights), so
 * that the program stores the table once. */
static bool node_is_lookup(const Graph *graph, const Value *v, const Node *user)
{
	return value_is(v, OP_EMBED) && value_only_user(graph, v) == user && value_is_const(v->node->args[0])
		&& !table_is_tied(graph, v->node->args[0]);
}

/* The embeds that add up to v. Returns 0 when v is not a sum of embeds. */
static int32_t lookups_of(const Graph *graph, Value *v, const Node *user, Node *lookups[TABLES_MAX])
{
	int32_t count = 0;
	Value *terms[2];
	while (sum_of(graph, v, user, terms)) { /* the nested sum is the left or the right term */
		int32_t leaf = node_is_lookup(graph, terms[1], v->node) ? 1 : 0;
		if (count == TABLES_MAX - 1 || !node_is_lookup(graph, terms[leaf], v->node))
			return 0;
		lookups[count++] = terms[leaf]->node;
		user = v->node;
		v = terms[1 - leaf];
	}
	if (!node_is_lookup(graph, v, user))
		return 0;
	lookups[count++] = v->node;
	return count;
}

bool fuse_embed_layernorm(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		Node *lookups[TABLES_MAX];
		if (node->op != OP_LAYERNORM)
			continue;
		int32_t count = lookups_of(graph, node->args[0], node, lookups);
		if (!count) {
			Value *terms[2];
			if (sum_of(graph, node->args[0], node, terms)
				&& (value_is(terms[0], OP_EMBED) || value_is(terms[1], OP_EMBED)))
				pass_note(run, node,
					"embed-layernorm: not all terms of the sum are lookups in constant tables without other "
					"readers");
			continue;
		}
		Value *args[2 * TABLES_MAX + 2];
		for (int32_t i = 0; i < count; i++) { /* largest first; the rest from the innermost sum outwards */
			Node *lookup = lookups[count - 1 - i];
			int32_t at = i;
			if (i && value_tensor(lookup->args[0])->bytes > value_tensor(args[0])->bytes) {
				for (int32_t k = i; k > 0; k--) {
					args[2 * k] = args[2 * k - 2];
					args[2 * k + 1] = args[2 * k - 1];
				}
				at = 0;
			}
			args[2 * at] = lookup->args[0];
			args[2 * at + 1] = lookup->args[1];
		}
		args[2 * count] = node->args[1];
		args[2 * count + 1] = node->args[2];
		if (!rewrite_value(
				graph, node->results[0], OP_EMBED_LAYERNORM, args, 2 * count + 2, &node->attr, run))
			return false;
		rewrite_erase(graph, node);
		run->changes++;
	}
	return true;
}
