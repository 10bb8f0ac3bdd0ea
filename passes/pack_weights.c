/* pack_weights.c: lays the weights of each linear out in the panels that its kernel reads.
 *
 *   %w = const @x.weight : f32[10,4]                               %w = const @x.weight.panel8.N : f32[2,4,8]
 *   %y = linear %x, %w {kernel="linear_f32__scalar"}       ->      %b = const @x.weight.bias.M : f32[16]
 *                                                                  %y = linear %x, %w, %b {kernel=.. panel=8 width=10}
 *
 * A panel holds `panel` outputs side by side for each input: packed[p][k][i] = weight[p * panel + i][k], so that the
 * kernel's inner loop reads one vector of outputs per input, in order. The last panel is padded with zeros, and so is the
 * bias, which every packed linear has: kernels need no special cases. A weight that several ops share is packed once. */
#include "rewrite.h"
#include <stdlib.h>
#include <string.h>

/* Element by element of the target, in order; `size` is a literal where it matters: a weight has millions of elements. */
static inline __attribute__((always_inline)) void pack_elements(uint8_t *target, const uint8_t *source, int64_t outputs,
	int64_t inputs, int64_t panel, size_t size)
{
	for (int64_t first = 0; first < outputs; first += panel) {
		int64_t count = outputs - first < panel ? outputs - first : panel;
		for (int64_t k = 0; k < inputs; k++, target += (size_t)panel * size)
			for (int64_t i = 0; i < count; i++)
				memcpy(target + (size_t)i * size, source + (size_t)((first + i) * inputs + k) * size, size);
	}
}

static Tensor *pack(Graph *graph, const Tensor *from, int64_t panel)
{
	int64_t outputs = from->type.dim[0].plus, inputs = from->type.dim[1].plus, size = dtype_bytes[from->type.dtype];
	int64_t panels = (outputs + panel - 1) / panel;
	char what[32];
	snprintf(what, sizeof what, "panel%lld", (long long)panel);
	Tensor *to = tensor_derived(graph, from, what, type_numbers(from->type.dtype, 3, (int64_t[]){ panels, inputs, panel }));
	uint8_t *target = (uint8_t *)(uintptr_t)to->data;
	if (size == 2)
		pack_elements(target, from->data, outputs, inputs, panel, 2);
	else if (size == 4)
		pack_elements(target, from->data, outputs, inputs, panel, 4);
	else
		pack_elements(target, from->data, outputs, inputs, panel, (size_t)size);
	return to;
}

static Tensor *pad_bias(Graph *graph, const Tensor *weight, const Value *bias, int64_t count)
{
	const Tensor *from = bias ? value_tensor(bias) : NULL;
	Tensor *to = tensor_derived(graph, from ? from : weight, from ? "padded" : "bias", type_numbers(DT_F32, 1, &count));
	if (from)
		tensor_floats(from, 0, from->type.dim[0].plus, (float *)(uintptr_t)to->data);
	return to;
}

/* The packed form of the same weight, made for an earlier linear; NULL: none. */
static Value *packed_before(const Graph *graph, const Node *node, const Tensor *weight, int64_t panel,
	const Tensor *const *packed_from)
{
	for (const Node *other = graph->first; other != node; other = other->next)
		if (other->op == OP_LINEAR && (other->attr.has & A_panel) && other->attr.panel == panel
			&& packed_from[other->args[1]->id] == weight)
			return other->args[1];
	return NULL;
}

static bool node_pack(Graph *graph, Node *node, PassRun *run, const Tensor **packed_from)
{
	const KernelInfo *kernel = (node->attr.has & A_kernel) ? kernel_find(node->attr.kernel) : NULL;
	if (!kernel)
		return diag_error(run->diag, EXIT_USAGE, node->line, "pack-weights: linear has no kernel; run lower first");
	if (!kernel->panel || (node->attr.has & A_panel))
		return true;
	const Tensor *weight = value_tensor(node->args[1]);
	if (!weight || weight->type.rank != 2)
		return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
			"pack-weights: the weight of a linear must be a constant matrix");
	int64_t outputs = weight->type.dim[0].plus;
	Value *packed = packed_before(graph, node, weight, kernel->panel, packed_from);
	if (!packed)
		packed = graph_const(graph, node, pack(graph, weight, kernel->panel), node->args[1]->node->origin);
	Value *old[2] = { node->args[1], node->nargs == 3 ? node->args[2] : NULL };
	int64_t padded = (outputs + kernel->panel - 1) / kernel->panel * kernel->panel;
	Value *bias = packed ? graph_const(graph, node, pad_bias(graph, weight, old[1], padded), node->origin) : NULL;
	if (!bias)
		return false;
	packed_from[packed->id] = weight;
	node->args[1] = packed;
	node->args[2] = bias;
	node->nargs = 3;
	node->attr.has |= A_panel | A_width;
	node->attr.panel = kernel->panel;
	node->attr.width = outputs;
	for (int i = 0; i < 2; i++)
		if (old[i] && !value_uses(graph, old[i]))
			rewrite_erase(graph, old[i]->node);
	run->changes++;
	return true;
}

bool pass_pack_weights(Graph *graph, PassRun *run)
{
	size_t known = graph->next_id;
	for (const Node *node = graph->first; node; node = node->next)
		known += node->op == OP_LINEAR ? 2 : 0;   /* each gets at most two new constants */
	const Tensor **packed_from = calloc(known + 1, sizeof *packed_from);   /* by value id */
	if (!packed_from)
		return diag_error(run->diag, EXIT_RUN, 0, "out of memory: pack-weights of %zu values", known);
	bool good = true;
	for (Node *node = graph->first, *next; node && good; node = next) {
		next = node->next;
		if (node->op == OP_LINEAR)
			good = node_pack(graph, node, run, packed_from);
	}
	free(packed_from);
	return good;
}
