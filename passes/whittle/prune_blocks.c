/* prune_blocks.c: `prune-blocks{by=accuracy data=dev.tsv}` removes whole attention or feed-forward blocks.
 * Nagarajan, Sen, Stevens, Raghunathan: "AxFormer: Accuracy-driven Approximation of Transformers", 2020,
 * accuracy-driven pruning.
 *
 *   %h = linear %c, %wo, %bo : f32[S,8]                   %y = layernorm %x, %g, %b
 *   %s = add %h, %x : f32[S,8]                    ->
 *   %y = layernorm %s, %g, %b
 *
 * The residual input stays. The LayerNorm after the block stays too, because the next block was trained with
 * its gains: removing it for one block of a MiniLM costs up to 5 more points of accuracy on SST-2.
 *
 *   by=accuracy     removes one block at a time: the one without which the accuracy on labelled data is
 *                   highest (ties: lowest loss). All remaining blocks are measured again each time. Without
 *                   keep= and share= it stops when no removal improves the model
 *   by=activation   the block that adds least to its residual input: |block(x)|^2 / |x|^2 over all tokens of
 *                   the data
 *   by=magnitude    |weights of its last linear| * |weights of the linear before|, without data
 *   blocks=         0.attention,3-5.ffn: removes these. In a layer with several networks the last one is ffn,
 *                   the earlier ones are ffn.0, ffn.1 and so on
 *   keep=N          N blocks stay in the whole encoder
 *   share=X         this share of all blocks stays */
#include "prune.h"
#include <math.h>
#include <string.h>

typedef struct Candidate {
	Layer *layer;
	const Block *block;
	const Node *in; /* the linear whose rows are the block's heads or neurons */
	const char *part;
	double score; /* the lowest is removed first */
	bool gone;
} Candidate;
typedef struct Candidates {
	Candidate *at;
	int32_t count;
} Candidates;

static Candidates find_candidates(Graph *graph, const Layers *layers)
{
	MemArena *mem = graph->module->mem;
	size_t room = (size_t)layers->count;
	for (int32_t i = 0; i < layers->count; i++)
		room += (size_t)layers->at[i].nffn;
	Candidates all = {mem_alloc(mem, room * sizeof *all.at), 0};
	for (int32_t i = 0; i < layers->count; i++) {
		Layer *layer = &layers->at[i];
		if (layer->has_attention)
			all.at[all.count++] = (Candidate){
				.layer = layer, .block = &layer->attention, .in = layer->v, .part = "attention"};
		for (int32_t k = 0; k < layer->nffn; k++)
			all.at[all.count++] = (Candidate){.layer = layer,
				.block = &layer->ffn[k].block,
				.in = layer->ffn[k].in,
				.part = k < layer->nffn - 1 ? mem_printf(mem, "ffn.%d", k) : "ffn"};
	}
	return all;
}

bool blocks_list(Graph *graph, const char *pass, BlockList *list, Diag *diag)
{
	MemArena *mem = graph->module->mem;
	PassRun run = {.diag = diag};
	Layers layers;
	*list = (BlockList){0};
	if (!layers_find_blocks(graph, pass, &layers, &run))
		return false;
	const Candidates all = find_candidates(graph, &layers);
	const char **names = mem_alloc(mem, (size_t)all.count * sizeof *names);
	int32_t *numbers = mem_alloc(mem, (size_t)layers.count * sizeof *numbers);
	for (int32_t i = 0; i < all.count; i++)
		names[i] = mem_printf(mem, "%d.%s", all.at[i].layer->number, all.at[i].part);
	for (int32_t i = 0; i < layers.count; i++)
		numbers[i] = layers.at[i].number;
	*list = (BlockList){numbers, names, layers.count, all.count};
	return true;
}

static void candidate_remove(Graph *graph, Candidate *candidate, PassRun *run)
{
	const Node *sum = candidate->block
						  ->sum; /* read now: the residual input may have been another block's sum */
	candidate->gone = true;
	rewrite_uses(
		graph, sum->results[0], sum->args[sum->args[0] == candidate->block->out->results[0] ? 1 : 0]);
	run->changes++;
}

/* ---- without labels -------------------------------------------------------------------------- */

static bool score_magnitude(Graph *graph, Candidates *all, PassRun *run)
{
	(void)graph;
	(void)run;
	for (int32_t i = 0; i < all->count; i++) {
		const Tensor *in = value_tensor(all->at[i].in->args[1]),
					 *out = value_tensor(all->at[i].block->out->args[1]);
		all->at[i].score = rows_norm(in, 0, in->type.dim[0].plus)
			* unit_columns_norm(out, 0, (int32_t)out->type.dim[1].plus);
	}
	return true;
}

static double sum_of(const double *values, int64_t count)
{
	double sum = 0;
	for (int64_t i = 0; i < count; i++)
		sum += values[i];
	return sum;
}

static bool score_activation(Graph *graph, Candidates *all, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	const int64_t hidden = value_width(all->at[0].block->around);
	Value **values = mem_alloc(mem, (size_t)all->count * 2 * sizeof *values);
	double *squares = mem_alloc(mem, (size_t)all->count * 2 * (size_t)hidden * sizeof *squares);
	for (int32_t i = 0; i < all->count; i++) {
		values[2 * i] = all->at[i].block->out->results[0];
		values[2 * i + 1] = all->at[i].block->around;
	}
	if (!observe_squares(graph, values, 2 * all->count, squares, run))
		return false;
	for (int32_t i = 0; i < all->count; i++, squares += 2 * hidden)
		all->at[i].score = sum_of(squares, hidden) / sum_of(squares + hidden, hidden);
	return true;
}

static void remove_least(Graph *graph, Candidates *all, int64_t count, PassRun *run)
{
	for (int64_t n = 0; n < count; n++) {
		Candidate *least = NULL;
		for (int32_t i = 0; i < all->count; i++)
			if (!all->at[i].gone && (!least || all->at[i].score <= least->score))
				least = &all->at[i];
		pass_note(run, NULL, "%s of layer %d is removed (importance %.4g)", least->part, least->layer->number,
			least->score);
		candidate_remove(graph, least, run);
	}
}

/* ---- by accuracy ----------------------------------------------------------------------------- */

static Value *without_block(const Probe *probe, Value *old, const Variant *variant, Diag *diag)
{
	(void)old;
	(void)diag;
	return probe_value(probe, variant->what);
}

static bool is_better(OutputScore a, OutputScore b)
{
	return a.value != b.value ? a.value > b.value : a.loss < b.loss;
}

/* count < 0: until no removal improves the model. */
static bool remove_by_accuracy(Graph *graph, int64_t count, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	for (int64_t n = 0; count < 0 || n < count; n++) {
		Layers layers;
		PassRun silent = *run;
		silent.row = NULL;
		if (!layers_find_blocks(graph, "prune-blocks", &layers, &silent))
			return false;
		Candidates all = find_candidates(graph, &layers);
		Variant *variants = mem_alloc(mem, (size_t)all.count * sizeof *variants);
		OutputScore *scores = mem_alloc(mem, (size_t)all.count * sizeof *scores), base;
		for (int32_t i = 0; i < all.count; i++)
			variants[i] = (Variant){
				all.at[i].block->sum->results[0], without_block, all.at[i].block->around, NULL};
		if (all.count == 0)
			return true;
		if (!variants_score(graph, variants, all.count, scores, &base, run))
			return false;
		int32_t best = 0;
		for (int32_t i = 1; i < all.count; i++)
			best = is_better(scores[i], scores[best]) ? i : best;
		if (n == 0)
			pass_note(run, NULL, "unchanged: score %.4f, loss %.4f", base.value, base.loss);
		if (count < 0 && !is_better(scores[best], base)) {
			pass_note(run, NULL, "stops: removing any further block does not improve the score");
			return true;
		}
		pass_note(run, NULL, "%s of layer %d is removed: score %.4f, loss %.4f", all.at[best].part,
			all.at[best].layer->number, scores[best].value, scores[best].loss);
		candidate_remove(graph, &all.at[best], run);
		graph_sweep(graph);
	}
	return true;
}

/* ---- options --------------------------------------------------------------------------------- */

static Candidate *find_block(const Candidates *all, const LayerList *list)
{
	for (int32_t i = 0; i < all->count; i++) {
		Candidate *block = &all->at[i];
		if (block->layer->number == list->layer && strlen(block->part) == (size_t)list->part_bytes
			&& !memcmp(block->part, list->part, (size_t)list->part_bytes))
			return block;
	}
	return NULL;
}

static bool refuse_block(Graph *graph, LayerList *list, const Layers *layers)
{
	if (layers_number(layers, list->layer))
		return layer_list_refuse(list, "there is no block \"%d.%.*s\"; layer %d has no such block",
			list->layer, list->part_bytes, list->part, list->layer);
	return layer_list_refuse(list, "there is no block \"%d.%.*s\"; the layers are %s", list->layer,
		list->part_bytes, list->part, layers_print(graph, layers));
}

/* blocks=0.attention,3-5.ffn */
static bool remove_listed(Graph *graph, const Candidates *all, const Layers *layers, PassRun *run)
{
	LayerList list = layer_list_open(run, "blocks");
	while (layer_list_next(&list)) {
		Candidate *block = find_block(all, &list);
		if (!block)
			return refuse_block(graph, &list, layers);
		if (block->gone)
			return layer_list_refuse(&list, "block %d.%s is named twice", list.layer, block->part);
		candidate_remove(graph, block, run);
	}
	return !list.failed;
}

/* The number of blocks to remove; -1: as long as the model improves. */
static bool count_to_remove(int32_t blocks, int64_t *count, PassRun *run)
{
	int64_t keep = pass_option_int(run, "keep", -1);
	const double share = pass_option_real(run, "share", -1);
	if (keep >= 0 && share >= 0)
		return diag_error(run->diag, EXIT_USAGE, 0, "prune-blocks: give keep= or share=, not both");
	if (!pass_option_fits(run, "keep", keep, blocks, "the model has", "block"))
		return false;
	if (share >= 0)
		keep = llround(share * blocks);
	const int64_t gone = keep < blocks ? blocks - keep : 0;
	*count = keep < 0 ? -1 : gone;
	return true;
}

static bool remove_chosen(Graph *graph, Candidates *all, const Layers *layers, PassRun *run)
{
	const char *list = pass_option(run, "blocks");
	int64_t count = -1;
	if (!count_to_remove(all->count, &count, run))
		return false;
	if (list)
		return pass_option_given(run, "by") || count >= 0 ? diag_error(run->diag, EXIT_USAGE, 0,
																"prune-blocks: blocks= names the blocks to "
																"remove; leave by=, keep= and share= out")
														  : remove_listed(graph, all, layers, run);
	if (pass_option_is(run, "by", "accuracy"))
		return remove_by_accuracy(graph, count, run);
	if (count < 0)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"prune-blocks: give keep= (number of blocks that stay in all), share= (share that stays) or "
			"blocks= (those to remove); only by=accuracy finds the number itself");
	if (count == 0)
		pass_note(run, NULL, "all %d blocks stay", all->count);
	if (count == 0
		|| !(pass_option_is(run, "by", "activation") ? score_activation : score_magnitude)(graph, all, run))
		return count == 0;
	remove_least(graph, all, count, run);
	return true;
}

bool pass_prune_blocks(Graph *graph, PassRun *run)
{
	Layers layers;
	if (!layers_find_blocks(graph, "prune-blocks", &layers, run))
		return false;
	Candidates all = find_candidates(graph, &layers);
	if (all.count == 0) {
		pass_note(run, NULL, "no block is recognised");
		return true;
	}
	if (!remove_chosen(graph, &all, &layers, run))
		return false;
	if (run->changes)
		graph_sweep(graph);
	return true;
}
