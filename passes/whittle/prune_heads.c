/* prune_heads.c: `prune-heads{keep=8}` removes attention heads: their rows of q, k and v, and their columns
 * of the output linear. Nagarajan, Sen, Stevens, Raghunathan: "AxFormer: Accuracy-driven Approximation of
 * Transformers", 2020, accuracy-driven pruning.
 *
 *   %q = linear %x, %wq : f32[S,12]                               %q = linear %x, %wq2 : f32[S,8]
 *   %r = reshape %q {shape=[S,3,4]}                               %r = reshape %q {shape=[S,2,4]}
 *   .. likewise k and v; softmax(q k^T) v ..              ->      ..
 *   %c = reshape %t {shape=[S,12]}                                %c = reshape %t {shape=[S,8]}
 *   %h = linear %c, %wo : f32[S,12]                               %h = linear %c, %wo2 : f32[S,12]
 *
 * If the heads have score biases by distance, the layer gets a table with the rows of those that stay:
 *
 *   %b = by_distance %table, %x : f32[3,S,S]                      %t2 = embed %table, [0, 2] : f32[2,9]
 *   %s = add %scores, %b                                  ->      %b2 = by_distance %t2, %x : f32[2,S,S]
 *                                                                 %s = add %scores, %b2
 *
 * A bias of products by distance gets a table with the columns of those heads.
 *
 * Attention then has fewer heads of the same size, which saves time in every kernel. Widths may differ
 * between layers. keep=N keeps N heads in each layer. share=X keeps this share of all heads over all layers,
 * at least one per layer. heads=0.3,4.11 removes the listed heads. prune.c ranks the heads. The remaining
 * heads are renumbered from 0. */
#include "prune.h"
#include <string.h>

/* Skips a scalar factor and a rotation between a linear and the split of heads: returns the linear's result.
 */
static const Value *without_factor(const Value *v)
{
	while (value_is(v, OP_MUL) || value_is(v, OP_DIV) || value_is(v, OP_ROTARY))
		v = v->node->args[value_is_const(v->node->args[0]) ? 1 : 0];
	return v;
}

/* ---- score biases ---------------------------------------------------------------------------- */

/* True when v is a bias by distance with a row of its table for each head. */
static bool has_row_by_head(const Value *v)
{
	return value_is(v, OP_BY_DISTANCE) && !dim_equal(v->node->args[0]->type.dim[0], dim_number(1));
}

/* `width` rows of a table for each head that stays. NULL and messages on error. */
static Value *rows_of_rest(Graph *graph, Node *before, Value *table, const Group *group, int32_t width,
	const char *origin, PassRun *run)
{
	const int64_t left = (int64_t)(group->count - group->ngone) * width;
	Tensor *rest = tensor_new(graph->module, NULL, type_make(DT_I32, 1, dim_number(left)));
	int64_t n = 0;
	for (int32_t u = 0; u < group->count; u++)
		for (int32_t i = 0; i < width && !group->gone[u]; i++)
			tensor_set(rest, n++, (double)u * width + i);
	Value *rows[] = {table, graph_const(graph, before, rest, origin)};
	return graph_emit(graph, before, OP_EMBED, rows, 2, NULL, origin, run->diag);
}

/* The linear's bias [N] for the heads that stay. */
static Value *shift_of_rest(Graph *graph, Node *before, Value *shift, const Group *group, int32_t width,
	const char *origin, PassRun *run)
{
	Attrs column = {.has = A_shape, .shape = {2, {shift->type.dim[0], dim_number(1)}}};
	shift = graph_emit(graph, before, OP_RESHAPE, &shift, 1, &column, origin, run->diag);
	shift = shift ? rows_of_rest(graph, before, shift, group, width, origin, run) : NULL;
	if (!shift)
		return NULL;
	const Attrs flat = {.has = A_shape, .shape = {1, {shift->type.dim[0]}}};
	return graph_emit(graph, before, OP_RESHAPE, &shift, 1, &flat, origin, run->diag);
}

/* The rows of tables by query, which a linear makes, for the heads that stay. */
static Value *tables_of_rest(Graph *graph, Node *before, const Node *linear, const Group *group, PassRun *run)
{
	const char *origin = linear->origin;
	const int32_t width = (int32_t)(linear->results[0]->type.dim[1].plus / group->count);
	Value *args[3] = {
		linear->args[0], rows_of_rest(graph, before, linear->args[1], group, width, origin, run)};
	if (args[1] && linear->nargs > 2)
		args[2] = shift_of_rest(graph, before, linear->args[2], group, width, origin, run);
	if (!args[1] || (linear->nargs > 2 && !args[2]))
		return NULL;
	return graph_emit(graph, before, OP_LINEAR, args, linear->nargs, NULL, origin, run->diag);
}

/* The same bias for the heads that stay. NULL and messages on error. */
static Value *bias_of_rest(Graph *graph, Node *before, const Node *bias, const Group *group, PassRun *run)
{
	const char *origin = bias->origin;
	Attrs attr = bias->attr;
	attr.heads = group->count - group->ngone;
	Value *table = attr.has & A_heads ? tables_of_rest(graph, before, bias->args[0]->node, group, run)
									  : rows_of_rest(graph, before, bias->args[0], group, 1, origin, run);
	if (!table)
		return NULL;
	return graph_emit(
		graph, before, OP_BY_DISTANCE, (Value *[]){table, bias->args[1]}, 2, &attr, origin, run->diag);
}

/* Makes products by distance those of the heads that stay: they read a table with fewer columns. */
static bool set_dots(Graph *graph, Node *dots, const Group *group, PassRun *run)
{
	const Attrs turn = {.has = A_perm, .perm = {2, {1, 0}}};
	const char *origin = dots->origin;
	Value *table = graph_emit(graph, dots, OP_TRANSPOSE, &dots->args[1], 1, &turn, origin, run->diag);
	if (table)
		table = rows_of_rest(graph, dots, table, group, group->width, origin, run);
	if (table)
		table = graph_emit(graph, dots, OP_TRANSPOSE, &table, 1, &turn, origin, run->diag);
	dots->args[1] = table;
	dots->attr.heads = group->count - group->ngone;
	return table != NULL;
}

/* Replaces the biases by distance that ops of the layer read. */
static bool set_biases(Graph *graph, const Group *group, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next) {
		if (node_layer(node) != group->layer->number)
			continue;
		if (node->op == OP_DOT_BY_DISTANCE && !set_dots(graph, node, group, run))
			return false;
		for (int32_t i = 0; i < node->nargs; i++)
			if (has_row_by_head(node->args[i])
				&& !(node->args[i] = bias_of_rest(graph, node, node->args[i]->node, group, run)))
				return false;
	}
	return true;
}

/* True when the layer has products by distance with the table. */
static bool has_dots(const Graph *graph, const Layer *layer, const Value *table)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_DOT_BY_DISTANCE && node->args[1] == table && node_layer(node) == layer->number)
			return true;
	return false;
}

/* True when an op of the layer reads the bias from a table. */
static bool reads_table(const Graph *graph, const Layer *layer, const Value *table)
{
	for (const Node *node = graph->first; node; node = node->next)
		for (int32_t i = 0; i < node->nargs && node_layer(node) == layer->number; i++)
			if (value_is(node->args[i], OP_BY_DISTANCE) && node->args[i]->node->args[0] == table)
				return true;
	return false;
}

/* True when a score bias has its own numbers for each head, and no op of the layer could read fewer. */
static bool has_fixed_bias(const Graph *graph, const Layer *layer)
{
	for (int32_t i = 0; i < layer->heads.nbiases; i++) {
		const ScoreBias *bias = &layer->heads.bias[i];
		if (bias->axis && !has_dots(graph, layer, bias->value))
			return true;
		const bool by_head = !bias->axis && (bias->is_table || bias->value->type.rank == 3)
			&& !dim_equal(bias->value->type.dim[0], dim_number(1));
		const bool movable = bias->is_table && (!bias->by_query || value_is(bias->value, OP_LINEAR));
		if (by_head && !(movable && reads_table(graph, layer, bias->value)))
			return true;
	}
	return false;
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* Updates the number of heads of rotations, the shapes of the reshapes that split and join heads, and the
 * score biases. */
static bool set_heads(Graph *graph, const Group *group, PassRun *run)
{
	const Layer *layer = group->layer;
	const int64_t heads = group->count - group->ngone;
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_RESHAPE && node->op != OP_ROTARY)
			continue;
		const Value *from = without_factor(node->args[0]);
		const bool of_head = from == layer->q->results[0] || from == layer->k->results[0]
			|| from == layer->v->results[0];
		if (node->op == OP_ROTARY && of_head)
			node->attr.heads = heads;
		if (node->op == OP_ROTARY)
			continue;
		if (node->results[0] == layer->heads.result)
			node->attr.shape.at[1] = dim_number(heads * layer->heads.q.size);
		else if (of_head)
			node->attr.shape.at[1] = dim_number(heads);
	}
	return set_biases(graph, group, run);
}

static const UnitName name = {"prune-heads", "head", "heads"};

static bool find_heads(Graph *graph, Groups *groups, PassRun *run)
{
	Layers layers;
	if (!layers_find_blocks(graph, name.pass, &layers, run))
		return false;
	for (int32_t i = 0; i < layers.count; i++) {
		Layer *layer = &layers.at[i];
		if (layer->has_attention && has_fixed_bias(graph, layer))
			pass_note(run, layer->softmax,
				"the heads of layer %d stay: they have score biases of their own, which other ops read too",
				layer->number);
		else if (layer->has_attention)
			groups_add(graph, groups,
				&(Group){.layer = layer,
					.in = {layer->q, layer->k, layer->v},
					.nin = 3,
					.mixed = 1,
					.out = layer->attention.out,
					.count = (int32_t)layer->heads.q.heads,
					.width = (int32_t)layer->heads.q.size});
		else
			pass_note(run, NULL, "layer %d has no attention", layer->number);
	}
	return true;
}

bool heads_score(Graph *graph, const PassEnv *env, const char *by, const char *data, int32_t limit,
	double *scores, Diag *diag)
{
	char number[16];
	const PassOption options[] = {{"by", by}, {"data", data}, {"limit", number}};
	PassItem item = {.noptions = limit ? 3 : 2, .options = options, .text = (char *)(uintptr_t)name.pass};
	while (strcmp(pass_info[item.pass].name, name.pass))
		item.pass++;
	PassRun run = {.env = env, .item = &item, .diag = diag};
	Groups groups = {0};
	if (!pass_option_check(item.pass, pass_option_find(item.pass, "by"), by, diag))
		return false;
	snprintf(number, sizeof number, "%d", limit);
	if (!find_heads(graph, &groups, &run) || (groups.count && !groups_score(graph, &groups, &name, &run)))
		return false;
	for (int32_t g = 0; g < groups.count; g++)
		for (int32_t u = 0; u < groups.at[g].count; u++)
			*scores++ = groups.at[g].score[u];
	return true;
}

bool pass_prune_heads(Graph *graph, PassRun *run)
{
	Groups groups = {0};
	return find_heads(graph, &groups, run) && groups_choose(graph, &groups, &name, run)
		&& groups_remove(graph, &groups, &name, set_heads, run);
}
