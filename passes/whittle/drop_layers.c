/* drop_layers.c: `drop-layers{strategy=top keep=4}` removes whole encoder layers.
 * Sajjad, Dalvi, Durrani, Nakov: "On the Effect of Dropping Layers of Pre-trained Transformer Models", 2020,
 * section 3.
 *
 *   %h1 = layer.0(%h0)                       %h1 = layer.0(%h0)
 *   %h2 = layer.1(%h1)               ->      %h3 = layer.2(%h1)
 *   %h3 = layer.2(%h2)                       return hidden=%h3
 *   return hidden=%h3
 *
 *   top, bottom    drops the last (first) layers
 *   odd-alternate  every second layer goes, from the last downwards. The names are the paper's, which counts
 *   even-alternate layers from 1: of twelve layers keep=8 drops its {5,7,9,11} or its {6,8,10,12}. bertc
 *                  counts from 0, as everywhere: these are 4, 6, 8, 10 and 5, 7, 9, 11
 *   even, odd      older names that count from 0: even is odd-alternate, odd is even-alternate
 *   symmetric      drops the middle layers; if an odd number stays, one more stays before the gap
 *   contribution   drops layers with an output most similar to their input: the mean over the texts of `data`
 *                  of the cosine between the two at [CLS], as in the paper, or with tokens=all the mean over
 *                  all tokens, for taggers and embedders
 *   layers=0,2     no strategy: keeps these layers
 *
 * Layers keep the numbers of the checkpoint, in origins and in options of other passes. */
#include "layers.h"
#include "calibrate.h"
#include <string.h>

typedef bool StrategyFn(const Layers *, int32_t drop, bool *gone, Graph *, PassRun *);

static bool drop_top(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
{
	(void)graph;
	(void)run;
	for (int32_t i = 0; i < drop; i++)
		gone[layers->count - 1 - i] = true;
	return true;
}

static bool drop_bottom(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
{
	(void)layers;
	(void)graph;
	(void)run;
	for (int32_t i = 0; i < drop; i++)
		gone[i] = true;
	return true;
}

/* Drops layers of one parity; places count from 0. */
static bool drop_alternate(const Layers *layers, int32_t drop, bool *gone, int32_t parity, PassRun *run)
{
	int32_t found = 0;
	for (int32_t i = layers->count - 1; i >= 0 && found < drop; i--)
		if (i % 2 == parity) {
			gone[i] = true;
			found++;
		}
	return found == drop
		|| diag_error(run->diag, EXIT_USAGE, 0,
			"drop-layers: strategy=%s keep=%d: the strategy drops at most %d of %d layers, so at least %d "
			"stay",
			pass_option(run, "strategy"), layers->count - drop, found, layers->count, layers->count - found);
}

static bool drop_odd_alternate(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
{
	(void)graph;
	return drop_alternate(layers, drop, gone, 0, run);
}

static bool drop_even_alternate(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
{
	(void)graph;
	return drop_alternate(layers, drop, gone, 1, run);
}

static bool drop_symmetric(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
{
	(void)graph;
	(void)run;
	int32_t first = (layers->count - drop + 1) / 2;
	for (int32_t i = 0; i < drop; i++)
		gone[first + i] = true;
	return true;
}

/* Ties: the later layer is dropped. */
static bool drop_contribution(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
{
	double *cosine = mem_alloc(graph->module->mem, (size_t)layers->count * sizeof *cosine);
	if (!observe_layer_cosines(graph, layers, pass_option_is(run, "tokens", "all"), cosine, run))
		return false;
	for (int32_t n = 0; n < drop; n++) {
		int32_t best = -1;
		for (int32_t i = 0; i < layers->count; i++)
			if (!gone[i] && (best < 0 || cosine[i] >= cosine[best]))
				best = i;
		gone[best] = true;
	}
	for (int32_t i = 0; i < layers->count; i++)
		pass_note(run, NULL, "layer %d: cosine of input and output %.4f", layers->at[i].number, cosine[i]);
	return true;
}

static const struct {
	const char *name;
	StrategyFn *drop;
} strategies[] = {
	{"top", drop_top},
	{"bottom", drop_bottom},
	{"odd-alternate", drop_odd_alternate},
	{"even-alternate", drop_even_alternate},
	{"even", drop_odd_alternate},
	{"odd", drop_even_alternate},
	{"symmetric", drop_symmetric},
	{"contribution", drop_contribution},
};
enum { STRATEGIES = sizeof strategies / sizeof strategies[0] };

/* layers=0,2-4: the layers to keep. */
static bool keep_listed(const Layers *layers, bool *gone, Graph *graph, PassRun *run)
{
	int32_t *kept = mem_alloc(graph->module->mem, (size_t)layers->count * sizeof *kept), count;
	if (!layers_listed(graph, layers, "layers", kept, &count, run))
		return false;
	for (int32_t i = 0; i < layers->count; i++)
		gone[i] = true;
	for (int32_t i = 0; i < count; i++)
		gone[kept[i]] = false;
	return true;
}

/* A strategy and a number do not show which layers they mean. */
static void remark_gone(const Layers *layers, const bool *gone, Graph *graph, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	int32_t *numbers = mem_alloc(mem, (size_t)layers->count * sizeof *numbers), count = 0;
	for (int32_t i = 0; i < layers->count; i++)
		if (gone[i])
			numbers[count++] = layers->at[i].number;
	if (count)
		pass_remark(run, "drops layer%s %s, counted from 0; %d of %d stay", count == 1 ? "" : "s",
			layer_list_print(mem, numbers, count), layers->count - count, layers->count);
}

static bool choose_layers(const Layers *layers, bool *gone, Graph *graph, PassRun *run)
{
	const char *list = pass_option(run, "layers"), *name = pass_option(run, "strategy");
	if (list)
		return name || pass_option(run, "keep") ? diag_error(run->diag, EXIT_USAGE, 0,
													  "drop-layers: layers= names the layers that stay; "
													  "leave strategy= and keep= out")
												: keep_listed(layers, gone, graph, run);
	const int64_t keep = pass_option_int(run, "keep", 0);
	if (!name || !pass_option(run, "keep"))
		return diag_error(run->diag, EXIT_USAGE, 0,
			"drop-layers: give strategy= and keep=, or layers=, as in "
			"drop-layers{strategy=top keep=4}");
	if (!pass_option_fits(run, "keep", keep, layers->count, "the model has", "layer"))
		return false;
	if (keep == layers->count) {
		pass_note(run, NULL, "keep=%lld: all %d layers stay", (long long)keep, layers->count);
		return true;
	}
	for (int i = 0; i < STRATEGIES; i++)
		if (strcmp(name, strategies[i].name) == 0)
			return strategies[i].drop(layers, layers->count - (int32_t)keep, gone, graph, run);
	return diag_error(run->diag, EXIT_USAGE, 0, "drop-layers: strategy=%s is not known", name);
}

bool pass_drop_layers(Graph *graph, PassRun *run)
{
	Layers layers;
	if (!layers_find(graph, "drop-layers", &layers, run->diag))
		return false;
	bool *gone = mem_alloc(graph->module->mem, (size_t)layers.count * sizeof *gone);
	if (!choose_layers(&layers, gone, graph, run))
		return false;
	remark_gone(&layers, gone, graph, run);
	for (int32_t i = 0; i < layers.count; i++) {
		Layer *layer = &layers.at[i];
		if (!gone[i])
			continue;
		for (int32_t k = i + 1; k < layers.count; k++)
			if (layers.at[k].input == layer->output)
				layers.at[k].input = layer->input;
		rewrite_uses(graph, layer->output, layer->input);
		pass_note(run, NULL, "layer %d is dropped", layer->number);
		run->changes++;
	}
	if (run->changes)
		graph_sweep(graph);
	return true;
}
