/* prune_ffn.c: `prune-ffn{keep=1024}` removes neurons of feed-forward networks: rows of the first linear,
 * columns of the second. Nagarajan, Sen, Stevens, Raghunathan: "AxFormer: Accuracy-driven Approximation of
 * Transformers", 2020, accuracy-driven pruning.
 *
 *   %u = linear %x, %wi, %bi : f32[S,16]                  %u = linear %x, %wi2, %bi2 : f32[S,10]
 *   %a = tanh %u : f32[S,16]                      ->      %a = tanh %u : f32[S,10]
 *   %h = linear %a, %wo : f32[S,8]                        %h = linear %a, %wo2 : f32[S,8]
 *
 * keep=N leaves N neurons in each layer, which a checkpoint can say; share=X leaves that share of all
 * neurons, whichever layer they are in, but one in each; neurons=0.17,3.5 removes these. Which ones go first
 * is said in prune.c. Neurons that are left are numbered anew from 0. */
#include "prune.h"

bool pass_prune_ffn(Graph *graph, PassRun *run)
{
	static const UnitName name = {"prune-ffn", "neuron", "neurons"};
	Layers layers;
	Groups groups = {0};
	if (!layers_find_blocks(graph, name.pass, &layers, run))
		return false;
	for (int32_t i = 0; i < layers.count; i++) {
		Layer *layer = &layers.at[i];
		if (layer->has_ffn)
			groups_add(graph, &groups,
				&(Group){.layer = layer,
					.in = {layer->ffn_in},
					.nin = 1,
					.out = layer->ffn.out,
					.count = (int32_t)layer->ffn_in->args[1]->type.dim[0].plus,
					.width = 1});
		else
			pass_note(run, NULL, "layer %d has no feed-forward network", layer->number);
	}
	if (!groups_choose(graph, &groups, &name, run))
		return false;
	for (int32_t g = 0; g < groups.count; g++) {
		const Group *group = &groups.at[g];
		group_note(group, &name, run);
		if (!group->ngone)
			continue;
		group_slice(graph, group);
		run->changes += group->ngone;
	}
	if (run->changes)
		graph_sweep(graph);
	return graph_retype(graph, run->diag);
}
