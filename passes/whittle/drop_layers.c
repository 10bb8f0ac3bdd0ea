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
 *   even, odd      every second layer goes, from the last downwards. Layers count from 0 here as
 *                  everywhere in bertc; the paper counts from 1, so its odd-alternate dropping is `even`
 *   symmetric      drops the middle layers; if an odd number stays, one more stays before the gap
 *   contribution   drops layers with an output most similar to their input: the mean over the texts of `data`
 *                  of the cosine between the two at [CLS], as in the paper, or with tokens=all the mean over
 *                  all tokens, for taggers and embedders
 *   layers=0,2     no strategy: keeps these layers
 *
 * Layers keep the numbers of the checkpoint, in origins and in options of other passes. */
#include "layers.h"
#include "calibrate.h"
#include <stdlib.h>
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
			"drop-layers: strategy=%s keep=%d would drop %d of %d layers, but only %d of them have %s "
			"numbers",
			parity ? "odd" : "even", layers->count - drop, drop, layers->count, found,
			parity ? "odd" : "even");
}

static bool drop_even(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
{
	(void)graph;
	return drop_alternate(layers, drop, gone, 0, run);
}

static bool drop_odd(const Layers *layers, int32_t drop, bool *gone, Graph *graph, PassRun *run)
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
	{"even", drop_even},
	{"odd", drop_odd},
	{"symmetric", drop_symmetric},
	{"contribution", drop_contribution},
};
enum { STRATEGIES = sizeof strategies / sizeof strategies[0] };

/* layers=0,2,4: the layers to keep. */
static bool keep_listed(const Layers *layers, const char *list, bool *gone, PassRun *run)
{
	for (int32_t i = 0; i < layers->count; i++)
		gone[i] = true;
	for (const char *at = list;; at++) {
		char *end;
		int64_t number = strtoll(at, &end, 10);
		const Layer *layer = layers_number(layers, number);
		if (end == at || *at == '-' || *at == '+' || (*end && *end != ','))
			return diag_error(run->diag, EXIT_USAGE, 0,
				"drop-layers: layers=%s, expected numbers with commas between", list);
		if (!layer)
			return diag_error(run->diag, EXIT_USAGE, 0,
				"drop-layers: there is no layer %lld; the graph has %d, from %d to %d", (long long)number,
				layers->count, layers->at[0].number, layers->at[layers->count - 1].number);
		if (!gone[layer - layers->at])
			return diag_error(run->diag, EXIT_USAGE, 0, "drop-layers: layers=%s names layer %lld twice", list,
				(long long)number);
		gone[layer - layers->at] = false;
		at = end;
		if (!*at)
			return true;
	}
}

static bool choose_layers(const Layers *layers, bool *gone, Graph *graph, PassRun *run)
{
	const char *list = pass_option(run, "layers"), *name = pass_option(run, "strategy");
	if (list)
		return name || pass_option(run, "keep") ? diag_error(run->diag, EXIT_USAGE, 0,
													  "drop-layers: layers= says which layers stay; "
													  "give no strategy and no keep")
												: keep_listed(layers, list, gone, run);
	const int64_t keep = pass_option_int(run, "keep", 0);
	if (!name || !pass_option(run, "keep"))
		return diag_error(run->diag, EXIT_USAGE, 0,
			"drop-layers: give strategy= and keep=, or layers=, as in "
			"drop-layers{strategy=top keep=4}");
	if (keep >= layers->count) {
		pass_note(run, NULL, "keep=%lld: all %d layers stay", (long long)keep, layers->count);
		return true;
	}
	int i = 0;
	while (i + 1 < STRATEGIES && strcmp(name, strategies[i].name))
		i++;
	return strategies[i].drop(layers, layers->count - (int32_t)keep, gone, graph, run);
}

bool pass_drop_layers(Graph *graph, PassRun *run)
{
	Layers layers;
	if (!layers_find(graph, "drop-layers", &layers, run->diag))
		return false;
	bool *gone = mem_alloc(graph->module->mem, (size_t)layers.count * sizeof *gone);
	if (!choose_layers(&layers, gone, graph, run))
		return false;
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
