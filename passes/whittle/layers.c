/* layers.c: finds an encoder's layers. The origins of ops name their layer; layers_infer finds the layers of
 * a graph without such origins. A layer has one carried input, the output of the layer before it. All its
 * other inputs come from outside the layers (a bias, a mask, a table), and several layers may read them. */
#include "layers.h"
#include <stdlib.h>
#include <string.h>

Layer *layers_number(const Layers *layers, int64_t number)
{
	const int32_t place = number >= 0 && number <= layers->most ? layers->place[number] : 0;
	return place ? &layers->at[place - 1] : NULL;
}

char *layers_print(Graph *graph, const Layers *layers)
{
	MemArena *mem = graph->module->mem;
	int32_t *numbers = mem_alloc(mem, (size_t)layers->count * sizeof *numbers);
	for (int32_t i = 0; i < layers->count; i++)
		numbers[i] = layers->at[i].number;
	return layer_list_print(mem, numbers, layers->count);
}

bool layers_listed(
	Graph *graph, const Layers *layers, const char *key, int32_t *chosen, int32_t *count, PassRun *run)
{
	LayerList list = layer_list_open(run, key);
	bool *seen = mem_alloc(graph->module->mem, (size_t)layers->count * sizeof *seen);
	*count = 0;
	while (layer_list_next(&list)) {
		const Layer *layer = layers_number(layers, list.layer);
		if (!layer)
			return layer_list_refuse(&list, "there is no layer %d; the model has %d: %s", list.layer,
				layers->count, layers_print(graph, layers));
		const int32_t index = (int32_t)(layer - layers->at);
		if (seen[index])
			return layer_list_refuse(&list, "layer %d is named twice", list.layer);
		seen[index] = true;
		chosen[(*count)++] = index;
	}
	return !list.failed;
}

/* Records a value that passes from one layer to another. A second one is an error. */
static bool note_value(
	Value **known, Value *value, int32_t layer, const char *what, const char *pass, Diag *diag)
{
	char first[264], second[264];
	if (*known && *known != value)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%s: layer %d has two %s, %s and %s; a layer must have one", pass, layer, what,
			value_print(*known, first), value_print(value, second));
	*known = value;
	return true;
}

static bool note_shared(Layer *layer, Value *value, const char *pass, Diag *diag)
{
	for (int32_t i = 0; i < layer->nshared; i++)
		if (layer->shared[i] == value)
			return true;
	if (layer->nshared == SHARED_MAX)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%s: layer %d reads more than %d values from outside the layers", pass, layer->number,
			SHARED_MAX);
	layer->shared[layer->nshared++] = value;
	return true;
}

/* Handles an argument that passes from layer `from` to layer `to`; either may be NULL. */
static bool note_crossing(Layer *to, Layer *from, Value *value, const char *pass, Diag *diag)
{
	if (from && !note_value(&from->output, value, from->number, "outputs", pass, diag))
		return false;
	if (to && from)
		return note_value(&to->input, value, to->number, "inputs", pass, diag);
	return !to || note_shared(to, value, pass, diag);
}

static Layer *layer_of(const Layers *layers, const Value *value)
{
	return layers_number(layers, value->node ? node_layer(value->node) : -1);
}

/* The edges that cross a layer's border. */
static bool find_borders(const Graph *graph, Layers *layers, const char *pass, Diag *diag)
{
	for (const Node *node = graph->first; node; node = node->next) {
		Layer *to = layers_number(layers, node_layer(node));
		for (int32_t i = 0; i < node->nargs; i++) {
			Layer *from = layer_of(layers, node->args[i]);
			if (from != to && !value_is_const(node->args[i])
				&& !note_crossing(to, from, node->args[i], pass, diag))
				return false;
		}
	}
	for (int32_t i = 0; i < graph->noutputs; i++) {
		Layer *from = layer_of(layers, graph->outputs[i].value);
		if (from && !note_crossing(NULL, from, graph->outputs[i].value, pass, diag))
			return false;
	}
	return true;
}

/* An origin with a task's name, as merge-tasks writes it: "stsb/layer.0.ffn.in". NULL when there is none. */
static const char *origin_of_task(const Graph *graph)
{
	for (const Node *node = graph->first; node; node = node->next) {
		if (node->place.task_bytes && node->place.layer >= 0)
			return node->origin;
	}
	return NULL;
}

/* True for rows with the same number of columns, one for each token that thin keeps. */
static bool thinned_rows(const Type *to, const Type *from)
{
	return type_is_rows(from) && type_rows(to) > 1 && from->rank == 2 && to->rank == 2
		&& dim_equal(from->dim[1], to->dim[1]) && from->dtype == to->dtype;
}

/* True when the type of a layer's output fits in place of its input. */
static bool carries(const Layer *layer, const Value *value)
{
	return type_equal(&value->type, &layer->output->type) || thinned_rows(&layer->output->type, &value->type);
}

static int32_t count_readers(const Layers *layers, const Value *value)
{
	int32_t readers = 0;
	for (int32_t i = 0; i < layers->count; i++)
		for (int32_t k = 0; k < layers->at[i].nshared; k++)
			readers += layers->at[i].shared[k] == value;
	return readers;
}

/* True when the layer adds a linear's result to the value, as a residual block does. */
static bool goes_around(const Graph *graph, const Layer *layer, const Value *value)
{
	for (const Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_ADD || node_layer(node) != layer->number)
			continue;
		for (int32_t i = 0; i < 2; i++)
			if (node->args[i] == value && value_is(node->args[1 - i], OP_LINEAR))
				return true;
	}
	return false;
}

/* Chooses the carried input among several values from outside the layers. It has the shape of the layer's
 * output, and no other layer reads it. If several values qualify, it is the one with a residual block around
 * it. */
static bool is_carried(const Graph *graph, const Layers *layers, const Layer *layer, const Value *value)
{
	int32_t likely = 0;
	if (layer->nshared == 1)
		return true;
	if (!layer->output || !carries(layer, value) || count_readers(layers, value) != 1)
		return false;
	for (int32_t i = 0; i < layer->nshared; i++)
		likely += carries(layer, layer->shared[i]) && count_readers(layers, layer->shared[i]) == 1;
	return likely == 1 || goes_around(graph, layer, value);
}

/* The carried input of a layer that reads no other layer: the first layer, or one after an exit. Its other
 * inputs are shared. */
static bool find_input(const Graph *graph, const Layers *layers, Layer *layer, const char *pass, Diag *diag)
{
	int32_t carried = -1;
	for (int32_t i = 0; i < layer->nshared; i++) {
		if (!is_carried(graph, layers, layer, layer->shared[i]))
			continue;
		if (!note_value(&layer->input, layer->shared[i], layer->number, "inputs", pass, diag))
			return false;
		carried = i;
	}
	if (carried < 0)
		return true;
	for (int32_t i = carried + 1; i < layer->nshared; i++)
		layer->shared[i - 1] = layer->shared[i];
	layer->nshared--;
	return true;
}

/* Counts the layers that origins name, and makes room for them. */
static int32_t count_named(const Graph *graph, Layers *layers)
{
	int32_t most = -1, named = 0;
	for (const Node *node = graph->first; node; node = node->next) {
		const int32_t number = node_layer(node);
		most = number > most ? number : most;
		named += number >= 0;
	}
	*layers = (Layers){.most = most};
	MemArena *mem = graph->module->mem;
	layers->place = mem_alloc(mem, ((size_t)most + 1) * sizeof *layers->place);
	layers->at = mem_alloc(mem, ((size_t)(named <= most ? named : most + 1) + 1) * sizeof *layers->at);
	return named;
}

/* The reason why passes cannot treat this as a layer, or NULL. */
static const char *layer_fault(const Layer *layer, bool thinned)
{
	if (!layer->input && layer->nshared)
		return "reads several values from outside, and none of them can be its main input";
	if (!layer->input)
		return "reads nothing from outside";
	if (!layer->output)
		return "is read by nothing";
	if (type_equal(&layer->input->type, &layer->output->type))
		return NULL;
	if (!thinned_rows(&layer->output->type, &layer->input->type))
		return "has an output of another shape than its input";
	return thinned ? NULL : "drops tokens; put the pass before prune-tokens";
}

static bool find_layers(Graph *graph, const char *pass, Layers *layers, bool thinned, Diag *diag)
{
	const int32_t named = count_named(graph, layers);
	const char *task = named == 0 ? origin_of_task(graph) : NULL;
	if (task)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%s: the layers belong to several tasks already (%s); put the pass before merge-tasks: "
			"--passes='%s{..},merge-tasks'",
			pass, task, pass);
	const char *why = named == 0 ? layers_infer(graph) : NULL;
	if (why)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%s: graph @%s has no layers: no op has an origin layer.N (the comment at the end of its line), "
			"and its structure shows none: %s",
			pass, graph->name, why);
	if (named == 0)
		count_named(graph, layers);
	for (const Node *node = graph->first; node; node = node->next) {
		const int32_t number = node_layer(node);
		if (number < 0 || layers->place[number])
			continue;
		layers->at[layers->count++].number = number;
		layers->place[number] = layers->count;
	}
	if (!find_borders(graph, layers, pass, diag))
		return false;
	for (int32_t i = 0; i < layers->count; i++)
		if (!layers->at[i].input && !find_input(graph, layers, &layers->at[i], pass, diag))
			return false;
	for (int32_t i = 0; i < layers->count; i++) {
		const char *fault = layer_fault(&layers->at[i], thinned);
		if (fault)
			return diag_error(
				diag, EXIT_UNSUPPORTED, 0, "%s: layer %d %s", pass, layers->at[i].number, fault);
	}
	return true;
}

bool layers_find(Graph *graph, const char *pass, Layers *layers, Diag *diag)
{
	return find_layers(graph, pass, layers, false, diag);
}

bool layers_find_thinned(Graph *graph, const char *pass, Layers *layers, Diag *diag)
{
	return find_layers(graph, pass, layers, true, diag);
}

bool graph_retype(Graph *graph, Diag *diag)
{
	for (Node *node = graph->first; node; node = node->next) {
		Type types[RESULTS_MAX];
		if (node->op == OP_CONST)
			continue;
		if (!node_infer(node, types, diag))
			return false;
		for (int32_t i = 0; i < node->nresults; i++)
			node->results[i]->type = types[i];
	}
	return true;
}
