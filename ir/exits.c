/* exits.c: what an exit means to the graph that it stands in. `%y = exit %x, %logits, ..
 * {option="exit_entropy"}` passes %x on, unless the entropy of softmax(%logits), in nats, is below the
 * option: then the text ends there, and %logits and what follows are the graph's outputs, in their order.
 * That is the rule of DeeBERT (Xin et al., ACL 2020, section 3.2).
 *
 * In lowered code the batch is compacted behind an exit: what belongs to the texts that ended is left behind,
 * and the rows of the others move together. So nothing behind an exit may read what was made in front of it,
 * but by the exit (L6). */
#include <stdlib.h>
#include <string.h>
#include "verify.h"

enum { EXITS_MAX = 256 }; /* far above the layers of any encoder; for each the rest of the graph is walked */

/* G9. */
static void verify_exit(const Graph *graph, const Node *node, Diag *diag)
{
	if (module_find_option(graph->module, node->attr.option) < 0)
		node_error(node, diag, "the module has no option @%s", node->attr.option);
	if (node->nargs != graph->noutputs + 1) {
		node_error(node, diag,
			"has %d arguments, expected what it passes on and one for each of the graph's %d outputs",
			node->nargs, graph->noutputs);
		return;
	}
	for (int32_t i = 0; i < graph->noutputs; i++)
		if (!type_equal(&node->args[i + 1]->type, &graph->outputs[i].value->type))
			node_error(node, diag, "%s is %s, but output %s is %s",
				value_print(node->args[i + 1], (char[264]){0}),
				type_print(&node->args[i + 1]->type, (char[128]){0}), graph->outputs[i].name,
				type_print(&graph->outputs[i].value->type, (char[128]){0}));
}

bool verify_exits(const Graph *graph, Diag *diag)
{
	const int errors = diag->errors;
	const Value *value;
	int32_t exits = 0;
	for (const Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_EXIT)
			continue;
		if (++exits > EXITS_MAX)
			return node_error(node, diag, "is one of more than %d exits", EXITS_MAX);
		verify_exit(graph, node, diag);
	}
	const Node *reader = graph->level == LEVEL_LOWERED && diag->errors == errors
		? graph_exit_crossing(graph, &value)
		: NULL;
	if (reader)
		node_error(reader, diag, "behind an exit, %s is read, which was made in front of it",
			value_print(value, (char[264]){0}));
	return diag->errors == errors;
}

/* The first value that the nodes behind an exit read and do not make, constants aside. */
static const Node *read_across(const Graph *graph, const Node *exit, ValueMap *made, const Value **value)
{
	for (const Node *node = exit; node; node = node->next) {
		for (int32_t i = 0; i < node->nargs && node != exit; i++)
			if (!value_is_const(node->args[i]) && value_map_find(made, node->args[i]) < 0) {
				*value = node->args[i];
				return node;
			}
		for (int32_t i = 0; i < node->nresults; i++)
			value_map_add(made, node->results[i]);
	}
	for (int32_t i = 0; i < graph->noutputs; i++)
		if (!value_is_const(graph->outputs[i].value) && value_map_find(made, graph->outputs[i].value) < 0) {
			*value = graph->outputs[i].value;
			return exit;
		}
	return NULL;
}

const Node *graph_exit_crossing(const Graph *graph, const Value **value)
{
	const Node *reader = NULL;
	for (const Node *node = graph->first; node && !reader; node = node->next) {
		if (node->op != OP_EXIT)
			continue;
		ValueMap made = {0};
		reader = read_across(graph, node, &made, value);
		value_map_free(&made);
	}
	return reader;
}
