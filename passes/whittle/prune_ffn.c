/* prune_ffn.c: `prune-ffn{keep=1024}` removes neurons of feed-forward networks: rows of the first linear,
 * columns of the second. Nagarajan, Sen, Stevens, Raghunathan: "AxFormer: Accuracy-driven Approximation of
 * Transformers", 2020, accuracy-driven pruning.
 *
 *   %u = linear %x, %wi, %bi : f32[S,16]                  %u = linear %x, %wi2, %bi2 : f32[S,10]
 *   %a = tanh %u : f32[S,16]                      ->      %a = tanh %u : f32[S,10]
 *   %h = linear %a, %wo : f32[S,8]                        %h = linear %a, %wo2 : f32[S,8]
 *
 * In a gated network, out(act(in(x)) * gate(x)), the rows of the gate are removed too. The gate may be a
 * separate linear or half of a joint one.
 *
 * keep=N keeps N neurons in each network, which a checkpoint can express. share=X keeps this share of all
 * neurons over all layers, at least one per network. neurons=0.17,3.5 removes the listed neurons; those of a
 * layer's second network follow those of its first. prune.c ranks the neurons. The remaining neurons are
 * renumbered from 0. */
#include "prune.h"

static const UnitName name = {"prune-ffn", "neuron", "neurons"};

static Group neurons_of(Layer *layer, const Network *network)
{
	Group group = {.layer = layer,
		.network = network,
		.in = {network->in, network->gate},
		.nin = network->gate ? 2 : 1,
		.mixed = network->gate ? 2 : 1,
		.out = network->block.out,
		.count = (int32_t)network->block.out->args[1]->type.dim[1].plus,
		.width = 1};
	for (int32_t i = 0; i < 2 && network->half[i]; i++)
		group.first[i] = network->half[i]->attr.start;
	return group;
}

/* Updates the slices that split one linear's result into the activated half and the gate. */
static bool set_halves(Graph *graph, const Group *group, PassRun *run)
{
	(void)graph;
	(void)run;
	const int64_t left = group->count - group->ngone;
	for (int32_t i = 0; i < 2 && group->network->half[i]; i++) {
		Attrs *attr = &group->network->half[i]->attr;
		attr->start = attr->start ? left : 0;
		attr->end = attr->start + left;
	}
	return true;
}

bool pass_prune_ffn(Graph *graph, PassRun *run)
{
	Layers layers;
	Groups groups = {0};
	if (!layers_find_blocks(graph, name.pass, &layers, run))
		return false;
	for (int32_t i = 0; i < layers.count; i++) {
		Layer *layer = &layers.at[i];
		if (!layer->nffn)
			pass_note(run, NULL, "layer %d has no feed-forward network", layer->number);
		for (int32_t k = 0; k < layer->nffn; k++) {
			const Group group = neurons_of(layer, &layer->ffn[k]);
			groups_add(graph, &groups, &group);
		}
	}
	return groups_choose(graph, &groups, &name, run) && groups_remove(graph, &groups, &name, set_halves, run);
}
