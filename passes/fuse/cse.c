/* cse.c: computes equal values once.
 *
 *   %a = erf %x                     %a = erf %x
 *   %b = erf %x               ->    %c = add %a, %a
 *   %c = add %a, %b
 *
 * Nodes are equal when op, arguments, attributes and result types are; add and mul also with their arguments
 * swapped. Constants are equal when their type and bytes are, so that weights shared between layers are
 * stored once. */
#include "passes/rewrite.h"
#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* The hash of a large tensor uses its size and 16 samples. Equality compares all bytes. */
static uint64_t tensor_hash(const Tensor *tensor)
{
	enum { SAMPLES = 16 };
	uint64_t hash = mix((uint64_t)tensor->bytes, (uint64_t)tensor->type.dtype);
	int64_t step = tensor->bytes / SAMPLES;
	for (int64_t at = 0; at < tensor->bytes; at += step ? step : 1)
		hash = mix(hash, ((const uint8_t *)tensor->data)[at]);
	return hash;
}

static bool op_commutes(Op op) { return op == OP_ADD || op == OP_MUL; }

static uint64_t node_hash(const Node *node)
{
	uint64_t hash = mix(node->op, node->attr.has);
	if (node->op == OP_CONST)
		return mix(hash, tensor_hash(node->data));
	uint64_t sum = 0;
	for (int32_t i = 0; i < node->nargs; i++) {
		sum += node->args[i]->id;
		if (!op_commutes(node->op))
			hash = mix(hash, node->args[i]->id);
	}
	return mix(hash, sum);
}

static bool node_equal(const Node *a, const Node *b)
{
	if (a->op != b->op || a->nargs != b->nargs || a->nresults != b->nresults
		|| !attrs_equal(&a->attr, &b->attr))
		return false;
	if (a->op == OP_CONST)
		return tensor_equal(a->data, b->data);
	for (int32_t i = 0; i < a->nresults; i++)
		if (!type_equal(&a->results[i]->type, &b->results[i]->type))
			return false;
	if (op_commutes(a->op) && a->args[0] == b->args[1] && a->args[1] == b->args[0])
		return true;
	return !memcmp(a->args, b->args, (size_t)a->nargs * sizeof a->args[0]);
}

bool pass_cse(Graph *graph, PassRun *run)
{
	size_t slots = 64, nodes = 0;
	for (const Node *node = graph->first; node; node = node->next)
		nodes++;
	while (slots < 2 * nodes)
		slots *= 2;
	Node **seen = checked_calloc(slots, sizeof(Node *));
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		size_t at = node_hash(node) & (slots - 1);
		while (seen[at] && !node_equal(seen[at], node))
			at = (at + 1) & (slots - 1);
		if (!seen[at]) {
			seen[at] = node;
			continue;
		}
		for (int32_t i = 0; i < node->nresults; i++)
			graph_replace_uses(graph, node->results[i], seen[at]->results[i]);
		graph_erase(graph, node);
		run->changes++;
	}
	free(seen);
	return true;
}
