/* exits.c: checks exits. `%y = exit %x, %logits, .. {option="exit_entropy"}` computes the entropy of
 * softmax(%logits), in nats. If it is below the option, the text ends here: %logits and the arguments after
 * it are the graph's outputs, in order. Otherwise %y is %x. This is the rule of DeeBERT (Xin et al., ACL
 * 2020, section 3.2).
 *
 * Lowered code compacts the batch at an exit: it drops the rows of texts that ended and moves the other rows
 * together. So nodes after an exit may read an earlier value only through the exit (L6). */
#include <stdlib.h>
#include <string.h>
#include "verify.h"

enum {
	EXITS_MAX = 256
}; /* no encoder has so many layers; each exit costs a walk over the rest of the graph */

/* G9. */
static void verify_exit(const Graph *graph, const Node *node, Diag *diag)
{
	if (node->nargs != graph->noutputs + 1) {
		node_error(node, diag,
			"has %d arguments, expected the value it passes on and one for each of the graph's %d outputs",
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
		if ((node->attr.has & A_option) && module_find_option(graph->module, node->attr.option) < 0)
			node_error(node, diag, "the module has no option @%s", node->attr.option);
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
		node_error(reader, diag,
			"reads %s, a value from before an exit; after an exit, read the exit's result or constants",
			value_print(value, (char[264]){0}));
	return diag->errors == errors;
}

/* Finds the first node from an exit on that reads a value from before the exit. Constants do not count. */
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
