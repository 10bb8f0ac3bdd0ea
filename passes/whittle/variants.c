/* variants.c: scores the model with one change, for many changes at once. One graph computes the head's
 * output unchanged and once for every change. The ops before a change are shared.
 *
 *   %h = linear %x, %w                       %h = linear %x, %w        %h1 = linear %x, %w1
 *   %y = relu %h                     ->      %y = relu %h              %y1 = relu %h1
 *   return logits=%y                         return v0=%y, v1=%y1
 *
 * One build and one run over the data score up to 32 outputs, which costs a fraction of building every
 * variant. */
#include "prune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 }; /* outputs that a program can have */

static const GraphOutput *head_output(const Graph *graph, PassRun *run)
{
	const Module *module = graph->module;
	for (int32_t i = 0; module->nheads > 0 && i < graph->noutputs; i++)
		if (!strcmp(graph->outputs[i].name, module->heads[0].output))
			return &graph->outputs[i];
	if (module->nheads > 0)
		diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"%s: graph @%s does not have the model's first head, and only this head is scored on data; use "
			"another by=, or list the parts to remove",
			pass_info[run->item->pass].name, graph->name);
	else
		diag_error(run->diag, EXIT_UNSUPPORTED, 0, "%s: by=accuracy needs a model with a head; give --task",
			pass_info[run->item->pass].name);
	return NULL;
}

void node_clone(Graph *graph, const Node *node, Value **args, Value **map)
{
	Type types[RESULTS_MAX];
	for (int32_t i = 0; i < node->nresults; i++)
		types[i] = node->results[i]->type;
	const Node *copy = graph_insert_typed(
		graph, NULL, node->op, args, node->nargs, &node->attr, node->data, node->origin, types);
	for (int32_t i = 0; i < node->nresults; i++)
		map[node->results[i]->id] = copy->results[i];
}

Value *clone_behind(Graph *graph, const Node *last, const Value *old, Value *by, Value *output)
{
	Value **map = checked_calloc(graph->next_id, sizeof *map);
	map[old->id] = by;
	for (const Node *node = old->node->next; node && node != last->next; node = node->next) {
		Value *args[ARGS_MAX];
		bool touched = false;
		for (int32_t i = 0; i < node->nargs; i++) {
			args[i] = map[node->args[i]->id] ? map[node->args[i]->id] : node->args[i];
			touched |= args[i] != node->args[i];
		}
		if (!touched)
			continue;
		node_clone(graph, node, args, map);
	}
	Value *result = map[output->id] ? map[output->id] : output;
	free(map);
	return result;
}

/* Scores some variants; with `base`, first the unchanged graph. */
static bool score_batch(Graph *graph, const Variant *variants, int32_t count, bool base, const char *output,
	OutputScore *scores, PassRun *run)
{
	Probe probe;
	probe_open(&probe, graph, 1);
	Graph *copy = probe.graph;
	Node *last = copy->last;
	Value *values[BATCH], *plain = NULL;
	int32_t n = 0;
	bool good = true;
	for (int32_t i = 0; i < copy->noutputs; i++)
		if (!strcmp(copy->outputs[i].name, output))
			plain = copy->outputs[i].value;
	if (base)
		values[n++] = plain;
	for (int32_t i = 0; i < count && good; i++) {
		Value *old = probe_value(&probe, variants[i].old),
			  *by = variants[i].make(&probe, old, &variants[i], run->diag);
		values[n] = by ? clone_behind(copy, last, old, by, plain) : NULL;
		good = values[n++] != NULL;
	}
	copy->noutputs = 0;
	for (int32_t i = 0; i < n && good; i++)
		graph_add_output(copy, mem_printf(probe.module->mem, "v%d", i), values[i]);
	if (good)
		graph_sweep(copy);
	good = good && probe_score(&probe, scores, run);
	probe_close(&probe);
	return good;
}

/* A graph can create the symbol of a thin only once, so a thin cannot be copied. */
static bool thins(const Graph *graph)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_THIN)
			return true;
	return false;
}

bool variants_score(Graph *graph, const Variant *variants, int32_t count, OutputScore *scores,
	OutputScore *base, PassRun *run)
{
	const GraphOutput *output = head_output(graph, run);
	const int32_t most = thins(graph) ? 1 : BATCH;
	bool own = base != NULL;
	for (int32_t at = 0, n; own || at < count; at += n, own = false) {
		OutputScore batch[BATCH];
		n = count - at < most - own ? count - at : most - own;
		if (!output || !score_batch(graph, variants + at, n, own, output->name, batch, run))
			return false;
		if (own)
			*base = batch[0];
		if (own && !isfinite(base->loss))
			return diag_error(run->diag, EXIT_RUN, 0,
				"%s: the unchanged model computes NaN or infinite numbers on %s; are its weights damaged?",
				output->name, pass_option(run, "data"));
		memcpy(scores + at, batch + own, (size_t)n * sizeof *scores);
	}
	return output != NULL;
}

Value *variant_without_units(const Probe *probe, Value *old, const Variant *variant, Diag *diag)
{
	const Group *group = variant->what;
	const Node *out = old->node;
	const Tensor *from = value_tensor(out->args[1]);
	Tensor *to = tensor_derived(probe->graph, from, "without", from->type);
	const int64_t rows = from->type.dim[0].plus, columns = from->type.dim[1].plus,
				  size = dtype_bytes[from->type.dtype];
	uint8_t *data = (uint8_t *)(uintptr_t)to->data;
	memcpy(data, from->data, (size_t)from->bytes);
	for (int32_t u = 0; u < group->count; u++)
		for (int64_t n = 0; variant->units[u] && n < rows; n++)
			memset(data + (n * columns + (int64_t)u * group->width) * size, 0, (size_t)(group->width * size));
	Value *args[3] = {
		out->args[0], graph_const(probe->graph, NULL, to, NULL), out->nargs == 3 ? out->args[2] : NULL};
	return graph_emit(probe->graph, NULL, OP_LINEAR, args, out->nargs, &out->attr, out->origin, diag);
}
