/* expose_layers.c: makes a copy of the model return values between and inside the encoder's layers:
 *
 *   return logits=%l      ->      %x = concat %h0, %h1, %q0, %k0, .. {axis=1} : f32[S,n]
 *                                 return exposed=%x, whole=%l, without.0=%l0, ..
 *
 * It returns q and k instead of attention probabilities, because a program returns rows of a fixed width. The
 * reader computes softmax(q k^T scale). */
#include "calibrate.h"
#include "layers.h"

enum { OUTPUTS_MAX = 32 }; /* that a program can have */

/* Columns of `all` are in the order in which values are added. */
typedef struct Columns {
	Value **values;
	int32_t count;
	int64_t width;
} Columns;

static int64_t add_column(Columns *all, Value *value)
{
	const int64_t at = all->width;
	all->values[all->count++] = value;
	all->width += value_width(value);
	return at;
}

static bool is_rows(const Value *value)
{
	return type_is_rows(&value->type) && value->type.rank == 2 && value->type.dtype == DT_F32;
}

bool layers_expose(Module *copy, ExposedLayers *out, Diag *diag)
{
	Graph *graph = copy->graphs[0];
	static const char *const names[] = {"exposed", "whole"};
	PassRun run = {.diag = diag};
	Layers layers;
	*out = (ExposedLayers){0};
	if (!layers_find_blocks(graph, "inspect", &layers, &run))
		return false;
	out->at = mem_alloc(copy->mem, (size_t)layers.count * sizeof *out->at);
	Columns all = {.values = mem_alloc(copy->mem, (size_t)layers.count * 4 * sizeof *all.values)};
	for (int32_t i = 0; i < layers.count; i++) {
		const Layer *layer = &layers.at[i];
		ExposedLayer *exposed = &out->at[out->count++];
		if (!is_rows(layer->input) || !is_rows(layer->output))
			return diag_error(diag, EXIT_UNSUPPORTED, 0,
				"inspect: the input or output of layer %d does not consist of rows of numbers",
				layer->number);
		*exposed = (ExposedLayer){.number = layer->number,
			.width = (int32_t)value_width(layer->input),
			.input = add_column(&all, layer->input),
			.output = add_column(&all, layer->output)};
		if (layer->has_attention && !layer->heads.nbiases) {
			exposed->heads = (int32_t)layer->heads.q.heads;
			exposed->size = (int32_t)layer->heads.q.size;
			exposed->scale = layer->heads.scale;
			exposed->q = add_column(&all, layer->heads.q.rows);
			exposed->k = add_column(&all, layer->heads.k.rows);
		}
	}
	Value *whole = graph->outputs[0].value;
	Value *outputs[OUTPUTS_MAX] = {NULL, whole};
	Node *last = graph->last;
	out->without = layers.count < OUTPUTS_MAX - 2 ? layers.count : OUTPUTS_MAX - 2;
	if (layers.count == 1)
		out->without = 0;
	for (int32_t i = 0; i < out->without; i++)
		outputs[2 + i] = clone_behind(graph, last, layers.at[i].output, layers.at[i].input, whole);
	out->width = all.width;
	out->out_width = value_width(whole);
	out->out_per_token = !type_is_number(&whole->type);
	outputs[0] = concat_all(graph, all.values, all.count, 1, diag);
	if (!outputs[0])
		return false;
	copy->nheads = 0;
	copy->ngraphs = 1;
	graph->noutputs = 0;
	for (int32_t i = 0; i < 2 + out->without; i++)
		graph_add_output(graph, i < 2 ? names[i] : mem_printf(copy->mem, "without.%d", i - 2), outputs[i]);
	graph_sweep(graph);
	return true;
}
