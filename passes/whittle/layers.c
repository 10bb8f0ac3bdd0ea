/* layers.c: finds an encoder's layers and their blocks. Which nodes make a layer is told by their origins;
 * what they do is read off the ops, so that every spelling that fuse knows is known here too:
 *
 *   attention   linear out of the joined heads of softmax(q k^T) v, q, k, v linears of one value x; then x +
 * out ffn         linear out of elementwise functions of one linear in of x; then x + out */
#include "layers.h"
#include <stdlib.h>
#include <string.h>

Layer *layers_number(const Layers *layers, int64_t number)
{
	for (int32_t i = 0; i < layers->count; i++)
		if (layers->at[i].number == number)
			return &layers->at[i];
	return NULL;
}

/* One value more that a layer reads, or that is read of it; a second one is an error. */
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

/* The edges that cross a layer's border. */
static bool find_borders(const Graph *graph, Layers *layers, const char *pass, Diag *diag)
{
	for (const Node *node = graph->first; node; node = node->next) {
		Layer *to = layers_number(layers, node_layer(node));
		for (int32_t i = 0; i < node->nargs; i++) {
			Value *arg = node->args[i];
			if (value_is_const(arg))
				continue;
			Layer *from = layers_number(layers, arg->node ? node_layer(arg->node) : -1);
			if (from == to)
				continue;
			if ((to && !note_value(&to->input, arg, to->number, "inputs", pass, diag))
				|| (from && !note_value(&from->output, arg, from->number, "outputs", pass, diag)))
				return false;
		}
	}
	for (int32_t i = 0; i < graph->noutputs; i++) {
		Value *value = graph->outputs[i].value;
		Layer *from = layers_number(layers, value->node ? node_layer(value->node) : -1);
		if (from && !note_value(&from->output, value, from->number, "outputs", pass, diag))
			return false;
	}
	return true;
}

/* An origin as merge-tasks writes it, "stsb/layer.0.ffn.in"; NULL: there is none. */
static const char *origin_of_task(const Graph *graph)
{
	for (const Node *node = graph->first; node; node = node->next) {
		if (node->place.task_bytes && node->place.layer >= 0)
			return node->origin;
	}
	return NULL;
}

/* Rows of as many columns, each row one of what thin leaves. */
static bool thinned_rows(const Type *to, const Type *from)
{
	return type_is_rows(from) && type_rows(to) > 1 && from->rank == 2 && to->rank == 2
		&& dim_equal(from->dim[1], to->dim[1]) && from->dtype == to->dtype;
}

static bool find_layers(Graph *graph, const char *pass, Layers *layers, bool thinned, Diag *diag)
{
	*layers = (Layers){0};
	int32_t room = 0;
	for (const Node *node = graph->first; node; node = node->next)
		room += node_layer(node) >= 0;
	layers->at = mem_alloc(graph->module->mem, ((size_t)room + 1) * sizeof *layers->at);
	for (const Node *node = graph->first; node; node = node->next) {
		int32_t number = node_layer(node);
		if (number >= 0 && !layers_number(layers, number))
			layers->at[layers->count++].number = number;
	}
	const char *task = layers->count == 0 ? origin_of_task(graph) : NULL;
	if (task)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%s: layers belong to several tasks by now (%s); give the pass in front of merge-tasks: "
			"--passes='%s{..},merge-tasks'",
			pass, task, pass);
	if (layers->count == 0)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%s: graph @%s has no layers: no op comes from a part called layer.N (the comment at the end of "
			"its line)",
			pass, graph->name);
	if (!find_borders(graph, layers, pass, diag))
		return false;
	for (int32_t i = 0; i < layers->count; i++) {
		const Layer *layer = &layers->at[i];
		const bool whole = layer->input && layer->output,
				   less = whole && thinned_rows(&layer->output->type, &layer->input->type);
		if (!whole || (!type_equal(&layer->input->type, &layer->output->type) && !(less && thinned)))
			return diag_error(diag, EXIT_UNSUPPORTED, 0, "%s: layer %d %s", pass, layer->number,
				!layer->input        ? "reads nothing from outside"
					: !layer->output ? "is read by nothing"
					: less           ? "thins tokens out; give the pass in front of prune-tokens"
									 : "makes another shape than it reads");
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

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A linear at graph level with constant weight and, if any, bias. */
static Node *constant_linear(const Value *v)
{
	Node *node = value_is(v, OP_LINEAR) && !v->node->attr.has ? v->node : NULL;
	for (int32_t i = 1; node && i < node->nargs; i++)
		if (!value_is_const(node->args[i]))
			node = NULL;
	return node;
}

/* The linear that alone reads `inner`, and the sum that alone reads it. */
static bool find_residual(const Graph *graph, const Value *inner, Block *block)
{
	Node *user = value_only_user(graph, inner);
	block->out = user && user->args[0] == inner ? constant_linear(user->results[0]) : NULL;
	block->sum = block->out ? value_only_user(graph, block->out->results[0]) : NULL;
	if (!block->sum || block->sum->op != OP_ADD)
		return false;
	block->around = block->sum->args[block->sum->args[0] == block->out->results[0] ? 1 : 0];
	return type_equal(&block->around->type, &block->sum->results[0]->type);
}

static const char *find_attention(const Graph *graph, Layer *layer, const Node *softmax)
{
	const char *why = attention_match(graph, softmax, &layer->heads);
	if (why)
		return *why ? why : "softmax stands there, but no attention around it";
	layer->q = constant_linear(layer->heads.q.rows);
	layer->k = constant_linear(layer->heads.k.rows);
	layer->v = constant_linear(layer->heads.v.rows);
	if (!layer->q || !layer->k || !layer->v || layer->q == layer->k || layer->q == layer->v
		|| layer->k == layer->v)
		return "q, k and v are not linears of their own with constant weights";
	if (!value_only_user(graph, layer->q->results[0]) || !value_only_user(graph, layer->k->results[0])
		|| !value_only_user(graph, layer->v->results[0]))
		return "q, k or v has other uses";
	return find_residual(graph, layer->heads.result, &layer->attention) ? NULL
																		: "its result is not read by one "
																		  "linear whose result is added to "
																		  "what went around";
}

static bool op_is_elementwise(Op op)
{
	switch (op) {
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_ERF:
	case OP_TANH:
	case OP_RELU:
	case OP_SIGMOID:
	case OP_EXP:
	case OP_SQRT: return true;
	default: return false;
	}
}

/* The one linear that v is an elementwise function of, v being read by nothing but such functions and `user`.
 */
static Node *elementwise_source(const Graph *graph, Value *v, const Node *user)
{
	enum { WAITING_MAX = 32 }; /* gelu_tanh, the longest activation, has nine ops */
	Value *waiting[WAITING_MAX] = {v};
	int32_t count = 1;
	Node *source = NULL;
	for (int32_t at = 0; at < count; at++) {
		Node *node = waiting[at]->node;
		double scalar;
		if (value_is_scalar(waiting[at], &scalar))
			continue;
		if (node && node->op == OP_LINEAR && (!source || source == node))
			source = node;
		else if (!node || !op_is_elementwise(node->op) || !type_equal(&waiting[at]->type, &v->type))
			return NULL;
		for (int32_t i = 0; node->op != OP_LINEAR && i < node->nargs; i++) {
			bool known = false;
			for (int32_t k = 0; k < count; k++)
				known |= waiting[k] == node->args[i];
			if (!known && count == WAITING_MAX)
				return NULL;
			if (!known)
				waiting[count++] = node->args[i];
		}
	}
	for (int32_t at = 0; at < count; at++) { /* nobody else may read what will change its width */
		int32_t inside = 0;
		if (value_is_const(waiting[at]))
			continue;
		for (int32_t k = -1; k < count; k++) {
			const Node *reader = k < 0 ? user : waiting[k]->node;
			for (int32_t i = 0; reader && (k < 0 || reader->op != OP_LINEAR) && i < reader->nargs; i++)
				inside += reader->args[i] == waiting[at];
		}
		if (inside != value_uses(graph, waiting[at]))
			return NULL;
	}
	return source ? constant_linear(source->results[0]) : NULL;
}

static bool find_ffn(const Graph *graph, Layer *layer, Node *out)
{
	if (out == layer->q || out == layer->k || out == layer->v || out == layer->attention.out
		|| out->nargs < 2)
		return false;
	layer->ffn_in = elementwise_source(graph, out->args[0], out);
	return layer->ffn_in && layer->ffn_in != layer->q && layer->ffn_in != layer->k
		&& layer->ffn_in != layer->v && find_residual(graph, out->args[0], &layer->ffn);
}

bool layers_find_blocks(Graph *graph, const char *pass, Layers *layers, PassRun *run)
{
	if (!layers_find(graph, pass, layers, run->diag))
		return false;
	for (Node *node = graph->first; node;
		node = node->next) { /* attention first: its linears are not the FFN's */
		Layer *layer = layers_number(layers, node->op == OP_SOFTMAX ? node_layer(node) : -1);
		const char *why = layer && !layer->has_attention ? find_attention(graph, layer, node) : NULL;
		if (why)
			pass_note(run, node, "the attention of layer %d is not recognised: %s", layer->number, why);
		else if (layer && !layer->has_attention) {
			layer->has_attention = true;
			layer->softmax = node;
		}
	}
	for (Node *node = graph->first; node; node = node->next) {
		Layer *layer = layers_number(layers, node->op == OP_LINEAR ? node_layer(node) : -1);
		if (layer && !layer->has_ffn)
			layer->has_ffn = find_ffn(graph, layer, node);
	}
	return true;
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
