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

/* Updates the number of heads of rotations, and the shapes of the reshapes that split and join heads. */
static void set_heads(Graph *graph, const Group *group)
{
	const Layer *layer = group->layer;
	const int64_t heads = group->count - group->ngone;
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_RESHAPE && node->op != OP_ROTARY)
			continue;
		const Value *from = without_factor(node->args[0]);
		if (node->op == OP_ROTARY && (from == layer->q->results[0] || from == layer->k->results[0]))
			node->attr.heads = heads;
		if (node->op == OP_ROTARY)
			continue;
		if (node->results[0] == layer->heads.result)
			node->attr.shape.at[1] = dim_number(heads * layer->heads.q.size);
		else if (from == layer->q->results[0] || from == layer->k->results[0] || from == layer->v->results[0])
			node->attr.shape.at[1] = dim_number(heads);
	}
}

static const UnitName name = {"prune-heads", "head", "heads"};

/* True when a score bias has its own numbers for each head. No weight of the layer holds them. */
static bool has_bias_by_head(const AttentionMatch *heads)
{
	for (int32_t i = 0; i < heads->nbiases; i++) {
		const ScoreBias *bias = &heads->bias[i];
		if ((bias->is_table || bias->value->type.rank == 3)
			&& !dim_equal(bias->value->type.dim[0], dim_number(1)))
			return true;
	}
	return false;
}

static bool find_heads(Graph *graph, Groups *groups, PassRun *run)
{
	Layers layers;
	if (!layers_find_blocks(graph, name.pass, &layers, run))
		return false;
	for (int32_t i = 0; i < layers.count; i++) {
		Layer *layer = &layers.at[i];
		if (layer->has_attention && has_bias_by_head(&layer->heads))
			pass_note(run, layer->softmax,
				"the heads of layer %d stay: each has a bias of its own, which is shared", layer->number);
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
