/* neurons.c: see passes.h. A neuron is a column of a layer's output, as in Dalvi, Durrani, Sajjad, Belinkov,
 * Bau, Glass: "What Is One Grain of Sand in the Desert?", 2019.
 *
 *   return logits=%l                   ->      %n = concat %h0, %h1 {axis=1} : f32[S,16]
 *                                              return neurons=%n */
#include "calibrate.h"

bool neurons_expose(Graph *graph, const char *pass, Neurons *neurons, Diag *diag)
{
	MemArena *mem = graph->module->mem;
	Layers layers;
	if (!layers_find(graph, pass, &layers, diag))
		return false;
	Value **outputs = mem_alloc(mem, (size_t)layers.count * sizeof *outputs);
	int32_t *numbers = mem_alloc(mem, (size_t)layers.count * sizeof *numbers);
	for (int32_t i = 0; i < layers.count; i++) {
		const Type *type = &layers.at[i].output->type;
		outputs[i] = layers.at[i].output;
		numbers[i] = layers.at[i].number;
		if (!type_is_rows(type) || type->rank != 2 || !type_equal(type, &outputs[0]->type))
			return diag_error(diag, EXIT_UNSUPPORTED, 0,
				"%s: the outputs of layers %d and %d differ in width", pass, numbers[i], numbers[0]);
	}
	*neurons = (Neurons){layers.count, (int32_t)outputs[0]->type.dim[1].plus, numbers};
	Value *all = concat_all(graph, outputs, layers.count, 1, diag);
	if (!all)
		return false;
	graph->noutputs = 0;
	graph_add_output(graph, "neurons", all);
	graph->module->nheads = 0;
	graph_sweep(graph);
	return true;
}
