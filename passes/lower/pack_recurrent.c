/* pack_recurrent.c: the part of pack-weights for lstm and gru. A step reads all weights of the state, so they
 * are in the order in which its kernel reads them: packed[p][k][gate][i] = weight[k][gate * H + p * panel +
 * i], with zeros behind the last unit. */
#include "passes/rewrite.h"

static Tensor *pack_state(Graph *graph, const Tensor *from, int64_t panel)
{
	const int64_t width = from->type.dim[0].plus, gates = from->type.dim[1].plus / width,
				  panels = (width + panel - 1) / panel;
	Tensor *to = tensor_derived(
		graph, from, "units", type_numbers(DT_F32, 4, (int64_t[]){panels, width, gates, panel}));
	float *target = (float *)(uintptr_t)to->data,
		  *row = mem_alloc(graph->module->mem, (size_t)(gates * width) * sizeof *row);
	for (int64_t k = 0; k < width; k++) {
		tensor_floats(from, k * gates * width, gates * width, row);
		for (int64_t i = 0; i < gates * width; i++) {
			const int64_t gate = i / width, unit = i % width;
			target[((unit / panel * width + k) * gates + gate) * panel + unit % panel] = row[i];
		}
	}
	return to;
}

bool recurrent_pack(Graph *graph, Node *node, PassRun *run)
{
	Value *weights = node->args[1];
	const KernelInfo *kernel = (node->attr.has & A_kernel) ? kernel_find(node->attr.kernel) : NULL;
	if (node->attr.has & A_panel)
		return true;
	if (!kernel)
		return diag_error(run->diag, EXIT_USAGE, node->line,
			"pack-weights: %s has no kernel; run lower first", op_info[node->op].name);
	if (!value_is_const(weights))
		return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
			"pack-weights: %s, the weights of the state, is not a constant; run fold-const first",
			value_print(weights, (char[264]){0}));
	node->args[1] = graph_const(
		graph, node, pack_state(graph, value_tensor(weights), kernel->panel), weights->node->origin);
	rewrite_erase(graph, weights->node);
	node->attr.has |= A_panel;
	node->attr.panel = kernel->panel;
	run->changes++;
	return true;
}
