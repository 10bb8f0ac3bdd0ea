/* quantize_int8.c: linears in 8-bit integers.
 *
 *   %y = linear %x, %w, %b {act=gelu}     ->     %q, %s = quantize %x : i8[S,384], f32[S]
 *                                                %y = linear_i8 %q, %s, %wq, %ws, %b {act=gelu}
 *
 * scheme=dynamic: the rows of activations get their scales while the program runs, each from itself alone, so that no calibration is
 * needed and no result depends on what else is in the call (Zafrir et al., "Q8BERT", arXiv:1910.06188, quantise symmetrically; scales
 * a row and an output as in vector-wise quantisation, Dettmers et al., arXiv:2208.07339). Weights: symmetric, a scale an output,
 * codes -127..127: without -128, kernels for CPUs that have no dot product of bytes are exact too. Sums are 32-bit integers;
 * LayerNorm, softmax, GELU and the residual stream stay in f32. Attention may multiply in bf16 (attention=f32 forbids it). */
#include "narrow.h"
#include <string.h>

/* The quantize of x that an earlier linear has got, in front of node; NULL: none. */
static Node *quantize_before(const Node *node, const Value *x)
{
	for (Node *other = node->prev; other; other = other->prev)
		if (other->op == OP_QUANTIZE && other->args[0] == x)
			return other;
	return NULL;
}

static bool node_quantize(Graph *graph, Node *node, const Tensor *weight, PassRun *run)
{
	Tensor *scales, *codes = tensor_quantized(graph, weight, &scales);
	if (!codes) {
		pass_note(run, node, "stays: its weight holds numbers that are not finite");
		return true;
	}
	Node *quantize = quantize_before(node, node->args[0]);
	if (!quantize)
		quantize = graph_insert(graph, node, OP_QUANTIZE, node->args, 1, NULL, node->origin, run->diag);
	Value *wq = quantize ? graph_const(graph, node, codes, node->args[1]->node->origin) : NULL;
	Value *ws = wq ? graph_const(graph, node, scales, node->args[1]->node->origin) : NULL;
	if (!ws)
		return false;
	Value *args[] = { quantize->results[0], quantize->results[1], wq, ws, node->nargs == 3 ? node->args[2] : NULL };
	if (!rewrite_value(graph, node->results[0], OP_LINEAR_I8, args, node->nargs == 3 ? 5 : 4, &node->attr, run))
		return false;
	rewrite_erase(graph, node);
	run->changes++;
	return true;
}

/* The values that linears to be quantised read, in the order of the graph; how many. */
static int32_t find_inputs(Graph *graph, StaticInput *inputs, PassRun *run)
{
	int32_t count = 0;
	for (Node *node = graph->first; node; node = node->next) {
		if (!narrow_weight(node, run))
			continue;
		int32_t i = 0;
		while (i < count && (inputs[i].x != node->args[0] || inputs[i].nreaders == READERS_MAX))
			i++;
		if (i == count)
			inputs[count++] = (StaticInput){ .x = node->args[0], .width = node->args[1]->type.dim[1].plus };
		inputs[i].reader[inputs[i].nreaders++] = node;
	}
	return count;
}

/* What a linear on codes adds: its bias, what the zero points brought into the sum, and the mean error of the rounded weights. */
static Tensor *static_bias(Graph *graph, const StaticInput *input, const Node *node, const Tensor *codes, const Tensor *scales)
{
	const Tensor *weight = value_tensor(node->args[1]);
	const int64_t outputs = weight->type.dim[0].plus, width = input->width;
	const int8_t *wq = codes->data;
	float *row = mem_alloc(graph->module->mem, (size_t)width * sizeof *row);
	Tensor *bias = tensor_derived(graph, weight, "bias", type_numbers(DT_F32, 1, &outputs));
	for (int64_t n = 0; n < outputs; n++, wq += width) {
		const double scale = tensor_at(scales, n);
		double sum = node->nargs == 3 ? tensor_at(value_tensor(node->args[2]), n) : 0;
		tensor_floats(weight, n * width, width, row);
		for (int64_t k = 0; k < width; k++) {
			const double step = 1 / (double)input->m[k], rounded = scale * wq[k];
			sum += input->mean[k] * ((double)row[k] - rounded / step) - rounded * (double)input->z[k];
		}
		tensor_set(bias, n, sum);
	}
	return bias;
}

/* The weight with each input's step in it: what a code of that input is worth. */
static Tensor *weight_of_steps(Graph *graph, const StaticInput *input, const Tensor *weight)
{
	Tensor *scaled = tensor_derived(graph, weight, "steps", type_numbers(DT_F32, 2, (int64_t[]){ weight->type.dim[0].plus,
		input->width }));
	float *row = (float *)(uintptr_t)scaled->data;
	for (int64_t n = 0; n < weight->type.dim[0].plus; n++, row += input->width) {
		tensor_floats(weight, n * input->width, input->width, row);
		for (int64_t k = 0; k < input->width; k++)
			row[k] /= input->m[k];
	}
	return scaled;
}

static bool node_quantize_static(Graph *graph, const StaticInput *input, Node *node, Value *const *codes_of_x, PassRun *run)
{
	Tensor *scales, *codes = tensor_quantized(graph, weight_of_steps(graph, input, value_tensor(node->args[1])), &scales);
	if (!codes || (node->nargs == 3 && !value_is_const(node->args[2]))) {
		pass_note(run, node, codes ? "stays: its bias is not constant" : "stays: its weight holds numbers that are not finite");
		return true;
	}
	const char *origin = node->args[1]->node->origin;
	Value *wq = graph_const(graph, node, codes, origin), *ws = wq ? graph_const(graph, node, scales, origin) : NULL;
	Value *bias = ws ? graph_const(graph, node, static_bias(graph, input, node, codes, scales), origin) : NULL;
	Value *args[] = { codes_of_x[0], codes_of_x[1], wq, ws, bias };
	if (!bias || !rewrite_value(graph, node->results[0], OP_LINEAR_I8, args, 5, &node->attr, run))
		return false;
	rewrite_erase(graph, node);
	run->changes++;
	return true;
}

static Value *constant_row(Graph *graph, Node *before, const float *numbers, int64_t count, const char *origin)
{
	Tensor *tensor = tensor_new(graph->module, NULL, type_numbers(DT_F32, 1, &count));
	for (int64_t k = 0; k < count; k++)
		tensor_set(tensor, k, (double)numbers[k]);
	return graph_const(graph, before, tensor, origin);
}

static bool input_quantize_static(Graph *graph, const StaticInput *input, PassRun *run)
{
	Node *first = input->reader[0];
	Value *m = constant_row(graph, first, input->m, input->width, first->origin);
	Value *z = m ? constant_row(graph, first, input->z, input->width, first->origin) : NULL;
	Value *args[] = { first->args[0], m, z };   /* x may have been made by a linear that is in int8 by now */
	Node *quantize = z ? graph_insert(graph, first, OP_QUANTIZE_STATIC, args, 3, NULL, first->origin, run->diag) : NULL;
	if (!quantize)
		return false;
	for (int32_t i = 0; i < input->nreaders; i++)
		if (!node_quantize_static(graph, input, input->reader[i], quantize->results, run))
			return false;
	rewrite_erase(graph, quantize);   /* when no linear could read its codes */
	return true;
}

static bool quantize_static(Graph *graph, PassRun *run)
{
	int32_t room = 1;
	for (Node *node = graph->first; node; node = node->next)
		room += node->op == OP_LINEAR;
	StaticInput *inputs = mem_alloc(graph->module->mem, (size_t)room * sizeof *inputs);
	const int32_t count = find_inputs(graph, inputs, run);
	if (count && !static_scales(graph, inputs, count, run))
		return false;
	for (int32_t i = 0; i < count; i++)
		if (!input_quantize_static(graph, &inputs[i], run))
			return false;
	return true;
}

bool pass_quantize_int8(Graph *graph, PassRun *run)
{
	const char *scheme = pass_option(run, "scheme", "dynamic"), *attention = pass_option(run, "attention", "bf16");
	const bool is_static = strcmp(scheme, "static") == 0;
	if (!is_static && strcmp(scheme, "dynamic") != 0)
		return diag_error(run->diag, EXIT_USAGE, 0, "quantize-int8: scheme=%s, expected dynamic or static", scheme);
	if (strcmp(attention, "bf16") != 0 && strcmp(attention, "f32") != 0)
		return diag_error(run->diag, EXIT_USAGE, 0, "quantize-int8: attention=%s, expected bf16 or f32", attention);
	if (is_static && !quantize_static(graph, run))
		return false;
	if (strcmp(attention, "bf16") == 0)
		narrow_attention(graph, run);
	if (is_static)
		return true;
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		const Tensor *weight = narrow_weight(node, run);
		if (weight && !node_quantize(graph, node, weight, run))
			return false;
	}
	return true;
}
