/* dce.c: deletes nodes that no output needs.
 *
 *   %a = erf %x                       return hidden=%x
 *   return hidden=%x           ->
 *
 * One walk from the last node to the first is enough, because every use stands after what it uses. */
#include "passes/rewrite.h"
#include <stdlib.h>

int32_t graph_sweep(Graph *graph)
{
	bool *needed = calloc(graph->next_id + 1, sizeof *needed);
	if (!needed)
		return 0; /* nothing is deleted: the graph stays right, only larger */
	for (int32_t i = 0; i < graph->noutputs; i++)
		needed[graph->outputs[i].value->id] = true;
	int32_t erased = 0;
	for (Node *node = graph->last, *prev; node; node = prev) {
		prev = node->prev;
		bool live = false;
		for (int32_t i = 0; i < node->nresults; i++)
			live |= needed[node->results[i]->id];
		if (!live) {
			graph_erase(graph, node);
			erased++;
			continue;
		}
		for (int32_t i = 0; i < node->nargs; i++)
			needed[node->args[i]->id] = true;
	}
	free(needed);
	return erased;
}

bool pass_dce(Graph *graph, PassRun *run)
{
	run->changes += graph_sweep(graph);
	return true;
}
