/* share_weights.c: `share-weights` merges constants of equal type and bytes, such as the layers of an ALBERT,
 * a tied word table, or the shared base of several tasks.
 *
 *   %w1 = const @layer.0.weight : f32[8,8]
 *   %w2 = const @layer.1.weight : f32[8,8]          ->     %w1 = const @layer.0.weight : f32[8,8]
 *   %y = linear %x, %w1                                    %y = linear %x, %w1
 *   %z = linear %y, %w2                                    %z = linear %y, %w1
 *
 * A program stores equal bytes once in any case (codegen/weights.c). This pass makes the sharing visible to
 * later passes, which then quantize and pack once, and to the ledger. cse also merges constants, but only
 * within one graph; this pass works on all graphs of a module. */
#include "passes/rewrite.h"
#include <stdlib.h>
#include <string.h>

typedef struct Entry {
	Node *node;
	Graph *graph;
	int32_t number;
} Entry;

static int by_type(const Type *a, const Type *b)
{
	int order = a->dtype != b->dtype ? (a->dtype > b->dtype) - (a->dtype < b->dtype) : a->rank - b->rank;
	for (int32_t i = 0; i < a->rank && !order; i++)
		order = (a->dim[i].plus > b->dim[i].plus) - (a->dim[i].plus < b->dim[i].plus);
	return order;
}

static int by_tensor(const Entry *x, const Entry *y)
{
	const Tensor *a = x->node->data, *b = y->node->data;
	const int type = by_type(&a->type, &b->type);
	if (type)
		return type;
	return a->data == b->data ? 0 : memcmp(a->data, b->data, (size_t)a->bytes);
}

static int compare(const void *a, const void *b)
{
	const Entry *x = a, *y = b;
	const int order = by_tensor(x, y);
	return order ? order : x->number - y->number; /* among equals the first stays */
}

/* Makes `later` use the data of `earlier`, or removes `later` when both are in one graph. Returns the bytes
 * saved. */
static int64_t share(const Entry *earlier, const Entry *later, PassRun *run)
{
	const Tensor *data = later->node->data;
	const int64_t saved = data->data == earlier->node->data->data ? 0 : data->bytes;
	if (later->graph == earlier->graph) {
		graph_replace_uses(later->graph, later->node->results[0], earlier->node->results[0]);
		graph_erase(later->graph, later->node);
		run->changes++;
	} else if (data != earlier->node->data) {
		later->node->data = earlier->node->data;
		run->changes++;
	}
	return saved;
}

bool pass_share_weights(Graph *graph, PassRun *run)
{
	const Module *module = graph->module;
	int32_t n = 0;
	int64_t saved = 0;
	if (graph != module->graphs[0]) /* the run on the first graph handles all graphs */
		return true;
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next)
			n += node->op == OP_CONST;
	Entry *entries = checked_calloc((size_t)n, sizeof *entries);
	n = 0;
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (Node *node = module->graphs[g]->first; node; node = node->next)
			if (node->op == OP_CONST) {
				entries[n] = (Entry){node, module->graphs[g], n};
				n++;
			}
	qsort(entries, (size_t)n, sizeof *entries, compare);
	for (int32_t i = 1, base = 0; i < n; i++)
		if (by_tensor(&entries[base], &entries[i]) == 0) {
			saved += share(&entries[base], &entries[i], run);
			if (entries[base].graph != entries[i].graph)
				base = i;
		} else {
			base = i;
		}
	free(entries);
	if (run->changes)
		pass_note(run, NULL, "merges %d constants into equal ones, which saves %lld bytes", run->changes,
			(long long)saved);
	return true;
}
