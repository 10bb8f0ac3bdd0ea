/* hard_attention.c: `hard-attention{share=0.25 layers=auto data=dev.tsv}` lets each query of some layers
 * attend to few keys only. Nagarajan, Sen, Stevens, Raghunathan: "AxFormer: Accuracy-driven Approximation of
 * Transformers", 2020, selective hard attention: in layers selected on data, words that do not matter are
 * left out of the weighted sum.
 *
 *   %p = softmax %s : f32[12,S,S]           ->           %p = softmax %s {share=0.25} : f32[12,S,S]
 *
 *   k=N            the N keys with the highest scores
 *   share=X        the same, with N = X times the text's length, rounded, at least 1
 *   threshold=P    keys with a probability of at least P, or the most probable key if there are none
 * Ties: the earlier key stays. The softmax is over the kept keys: their probabilities sum to one again, so
 * fuse may still fold the biases of k and v.
 *
 * layers=0,2-5 names the layers, and layers=all (the default) takes all layers. layers=auto takes the layers
 * where the selection does no harm:
 *
 *   by=accuracy    takes the layers that, changed alone, do not lower the score on labelled data. While all
 *                  of these together lower it, the layer with the highest loss alone is left out
 *   by=cosine      takes the layers whose outputs with and without the selection have a mean cosine of at
 *                  least `cosine` (0.999), over all tokens of any texts
 *
 * The scores are computed as before. A selection can only save work after them (docs/performance.md). */
#include "prune.h"
#include <string.h>

typedef struct Choice {
	Layer *layer;
	Attrs before;
	bool taken;
	OutputScore alone;
} Choice; /* before: of its softmax */
typedef struct Choices {
	Choice *at;
	int32_t count;
} Choices;

static bool read_selection(Attrs *attr, int32_t longest, PassRun *run)
{
	const bool by_k = pass_option(run, "k"), by_share = pass_option(run, "share"),
			   by_threshold = pass_option(run, "threshold");
	*attr = (Attrs){
		.has = (by_k ? A_keep : 0u) | (by_share ? A_share : 0u) | (by_threshold ? A_threshold : 0u)};
	if (by_k + by_share + by_threshold != 1)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"hard-attention: give one of k= (number of keys that a query keeps), share= (share of the text's "
			"keys) or threshold= (least probability)");
	attr->keep = pass_option_int(run, "k", attr->keep);
	attr->share = pass_option_real(run, "share", attr->share);
	attr->threshold = pass_option_real(run, "threshold", attr->threshold);
	return !by_k || !longest
		|| pass_option_fits(run, "k", attr->keep, longest, "a text has at most", "token");
}

static void set_selection(const Choice *choice, const Attrs *attr)
{
	Attrs *softmax = &choice->layer->softmax->attr;
	*softmax = choice->before;
	if (!choice->taken)
		return;
	softmax->has = (softmax->has & ~(uint32_t)A_SELECT) | attr->has;
	softmax->keep = attr->keep;
	softmax->share = attr->share;
	softmax->threshold = attr->threshold;
}

/* layers=0,2-5 */
static bool take_listed(Graph *graph, const Choices *all, const Layers *layers, PassRun *run)
{
	int32_t *listed = mem_alloc(graph->module->mem, (size_t)layers->count * sizeof *listed), count;
	if (!layers_listed(graph, layers, "layers", listed, &count, run))
		return false;
	for (int32_t i = 0; i < count; i++) {
		const Layer *layer = &layers->at[listed[i]];
		int32_t c = 0;
		while (c < all->count && all->at[c].layer != layer)
			c++;
		if (c == all->count)
			return diag_error(run->diag, EXIT_USAGE, 0,
				"hard-attention: there is no attention in layer %d; leave it out of layers=", layer->number);
		all->at[c].taken = true;
	}
	return true;
}

/* ---- layers=auto ----------------------------------------------------------------------------- */

static Value *emit_selecting(const Probe *probe, Value *old, const Variant *variant, Diag *diag)
{
	return graph_emit(
		probe->graph, NULL, OP_SOFTMAX, old->node->args, 1, variant->what, old->node->origin, diag);
}

/* Takes the layers that do not lower the score, alone and together. */
static bool take_by_accuracy(Graph *graph, const Choices *all, const Attrs *attr, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	Variant *variants = mem_alloc(mem, (size_t)all->count * sizeof *variants);
	OutputScore *scores = mem_alloc(mem, ((size_t)all->count + 1) * sizeof *scores), base, together;
	for (int32_t i = 0; i < all->count; i++)
		variants[i] = (Variant){all->at[i].layer->softmax->results[0], emit_selecting, attr, NULL};
	if (!variants_score(graph, variants, all->count, scores, &base, run))
		return false;
	int32_t left = 0;
	for (int32_t i = 0; i < all->count; i++) {
		Choice *choice = &all->at[i];
		choice->alone = scores[i];
		choice->taken = scores[i].value >= base.value;
		left += choice->taken;
		pass_note(run, NULL, "layer %d alone: score %.4f, loss %.4f (unchanged: %.4f, %.4f)",
			choice->layer->number, scores[i].value, scores[i].loss, base.value, base.loss);
	}
	for (; left > 1; left--) {
		for (int32_t i = 0; i < all->count; i++)
			set_selection(&all->at[i], attr);
		if (!variants_score(graph, NULL, 0, scores, &together, run))
			return false;
		pass_note(
			run, NULL, "%d layers together: score %.4f, loss %.4f", left, together.value, together.loss);
		if (together.value >= base.value)
			break;
		Choice *worst = NULL;
		for (int32_t i = 0; i < all->count; i++)
			if (all->at[i].taken && (!worst || all->at[i].alone.loss >= worst->alone.loss))
				worst = &all->at[i];
		worst->taken = false;
	}
	return true;
}

static bool take_by_cosine(Graph *graph, const Choices *all, const Attrs *attr, PassRun *run)
{
	const double least = pass_option_real(run, "cosine", 0);
	double *cosine = mem_alloc(graph->module->mem, (size_t)all->count * sizeof *cosine);
	Probe probe;
	probe_open(&probe, graph, all->count);
	bool good = true;
	Node *last = probe.graph->last;
	for (int32_t i = 0; i < all->count && good; i++) {
		const Variant variant = {.what = attr};
		const Layer *layer = all->at[i].layer;
		Value *old = probe_value(&probe, layer->softmax->results[0]),
			  *output = probe_value(&probe, layer->output);
		Value *by = emit_selecting(&probe, old, &variant, run->diag);
		Value *changed = by ? clone_behind(probe.graph, last, old, by, output) : NULL;
		Value *value = changed ? emit_cosine(probe.graph, output, changed, true, run->diag) : NULL;
		good = value != NULL;
		if (good)
			probe_want(&probe, value);
	}
	good = good && probe_run(&probe, true, cosine, run);
	probe_close(&probe);
	for (int32_t i = 0; i < all->count && good; i++) {
		all->at[i].taken = cosine[i] >= least;
		pass_note(run, NULL, "layer %d: cosine %.5f of its outputs with and without the selection",
			all->at[i].layer->number, cosine[i]);
	}
	return good;
}

static bool choose(Graph *graph, const Choices *all, const Layers *layers, const Attrs *attr, PassRun *run)
{
	const bool automatic = pass_option_is(run, "layers", "auto");
	if (!automatic && (pass_option_given(run, "by") || pass_option_given(run, "cosine")))
		return diag_error(run->diag, EXIT_USAGE, 0, "hard-attention: by= and cosine= are for layers=auto");
	if (pass_option_is(run, "layers", "all")) {
		for (int32_t i = 0; i < all->count; i++)
			all->at[i].taken = true;
		return true;
	}
	if (!automatic)
		return take_listed(graph, all, layers, run);
	if (all->count == 0)
		return true;
	return pass_option_is(run, "by", "cosine") ? take_by_cosine(graph, all, attr, run)
											   : take_by_accuracy(graph, all, attr, run);
}

bool pass_hard_attention(Graph *graph, PassRun *run)
{
	Attrs attr;
	Layers layers;
	if (!read_selection(&attr, graph->module->max_tokens, run)
		|| !layers_find_blocks(graph, "hard-attention", &layers, run))
		return false;
	Choices all = {mem_alloc(graph->module->mem, (size_t)layers.count * sizeof *all.at), 0};
	for (int32_t i = 0; i < layers.count; i++)
		if (layers.at[i].has_attention)
			all.at[all.count++] = (Choice){.layer = &layers.at[i], .before = layers.at[i].softmax->attr};
	if (all.count == 0)
		pass_note(run, NULL, "no layer has attention");
	if (!choose(graph, &all, &layers, &attr, run))
		return false;
	for (int32_t i = 0; i < all.count; i++) {
		set_selection(&all.at[i], &attr);
		run->changes += all.at[i].taken;
		pass_note(run, NULL, "layer %d %s", all.at[i].layer->number,
			all.at[i].taken ? "selects keys" : "is unchanged");
	}
	return true;
}
