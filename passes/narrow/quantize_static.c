/* quantize_static.c: quantize-int8{scheme=static}. Quantises activations with constant scales
 * (static_scales.c) and selects the linears that use them.
 *
 *   %y = linear %x, %w, %b {act=gelu}    ->    %q, %s = quantize_static %x, %m, %z : i8[S,384], f32[S]
 *                                              %y = linear_i8 %q, %s, %wq, %ws, %b1 {act=gelu}
 *
 * Scales of the checkpoint (trained_scales.c) are used unchanged. Other scales are learnt. The steps 1 / m
 * are multiplied into the weights before rounding. The bias includes the zero points and the mean error of
 * the rounded weights (bias correction, Nagel et al., "Data-Free Quantization", arXiv:1906.04721).
 * sensitivity=yes measures each linear alone on labelled data. With a budget, the most sensitive linears keep
 * dynamic scales (scheme=dynamic), until the score loses at most `budget` points. */
#include "narrow.h"
#include "passes/whittle/prune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool tensor_is_finite(Graph *graph, const Tensor *weight)
{
	Tensor *scales;
	return tensor_quantized(graph, weight, &scales) != NULL;
}

/* Collects the input values of the linears to quantise, in graph order. Returns their number. */
static int32_t find_inputs(Graph *graph, StaticInput *inputs, PassRun *run)
{
	int32_t count = 0;
	for (Node *node = graph->first; node; node = node->next) {
		const Tensor *weight = narrow_weight(node, run);
		if (!weight)
			continue;
		if (!tensor_is_finite(graph, weight) || (node->nargs == 3 && !value_is_const(node->args[2]))) {
			pass_note(run, node, "stays: its weight or bias is not a constant of finite numbers");
			continue;
		}
		int32_t i = 0;
		while (i < count && (inputs[i].x != node->args[0] || inputs[i].nreaders == READERS_MAX))
			i++;
		if (i == count)
			inputs[count++] = (StaticInput){.x = node->args[0], .width = node->args[1]->type.dim[1].plus};
		inputs[i].reader[inputs[i].nreaders++] = node;
	}
	return count;
}

/* The bias of a linear on codes: the original bias, corrected for the zero points and the mean error of the
 * rounded weights. */
static Tensor *static_bias(
	Graph *graph, const StaticInput *input, const Node *node, const Tensor *codes, const Tensor *scales)
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

/* The weight with each column multiplied by the step of its input: the value of one code. */
static Tensor *weight_of_steps(Graph *graph, const StaticInput *input, const Tensor *weight)
{
	Tensor *scaled = tensor_derived(
		graph, weight, "steps", type_numbers(DT_F32, 2, (int64_t[]){weight->type.dim[0].plus, input->width}));
	float *row = (float *)(uintptr_t)scaled->data;
	for (int64_t n = 0; n < weight->type.dim[0].plus; n++, row += input->width) {
		tensor_floats(weight, n * input->width, input->width, row);
		for (int64_t k = 0; k < input->width; k++)
			row[k] /= input->m[k];
	}
	return scaled;
}

/* Builds the linear_i8 that replaces a linear, before the node `before` (NULL: at the end). */
static Value *emit_static(Graph *graph, const StaticInput *input, const Node *node, Node *before,
	Value *const *codes_of_x, PassRun *run)
{
	const Tensor *weight = value_tensor(node->args[1]);
	Tensor *scales,
		*codes = input->trained_rows ? trained_codes(graph, weight, 1 / (double)input->m[0], &scales) : NULL;
	if (!codes)
		codes = tensor_quantized(graph, weight_of_steps(graph, input, weight), &scales);
	const char *origin = node->args[1]->node->origin;
	Value *wq = graph_const(graph, before, codes, origin), *ws = graph_const(graph, before, scales, origin);
	Value *args[] = {codes_of_x[0], codes_of_x[1], wq, ws,
		graph_const(graph, before, static_bias(graph, input, node, codes, scales), origin)};
	Node *made = graph_insert(graph, before, OP_LINEAR_I8, args, 5, &node->attr, node->origin, run->diag);
	return made ? made->results[0] : NULL;
}

static Value *constant_row(
	Graph *graph, Node *before, const float *numbers, int64_t count, const char *origin)
{
	Tensor *tensor = tensor_new(graph->module, NULL, type_numbers(DT_F32, 1, &count));
	for (int64_t k = 0; k < count; k++)
		tensor_set(tensor, k, (double)numbers[k]);
	return graph_const(graph, before, tensor, origin);
}

/* Builds the op for the codes and scales of x, before the node `before` (NULL: at the end). */
static Node *emit_codes(Graph *graph, const StaticInput *input, Value *x, Node *before, PassRun *run)
{
	const char *origin = input->reader[0]->origin;
	Value *args[] = {x, constant_row(graph, before, input->m, input->width, origin),
		constant_row(graph, before, input->z, input->width, origin)};
	return graph_insert(graph, before, OP_QUANTIZE_STATIC, args, 3, NULL, origin, run->diag);
}

/* Quantises all linears of all inputs, in the graph itself or in a probe's copy. Marked linears get dynamic
 * scales. */
static bool quantize_all(
	Graph *graph, const Probe *probe, const StaticInput *inputs, int32_t count, PassRun *run)
{
	RoundedList list = rounded_open(graph);
	for (const StaticInput *in = inputs; in < inputs + count; in++) {
		Node *quantize = NULL;
		for (int32_t i = 0; i < in->nreaders; i++) {
			Node *node = probe ? probe_value(probe, in->reader[i]->results[0])->node : in->reader[i];
			if (in->dynamic[i]) {
				if (!node_quantize_dynamic(graph, node, value_tensor(node->args[1]), &list, run))
					return false;
				continue;
			}
			/* its input may come from a linear that is already int8 */
			if (!quantize && !(quantize = emit_codes(graph, in, node->args[0], node, run)))
				return false;
			Value *y = emit_static(graph, in, node, node, quantize->results, run);
			if (!y)
				return false;
			rewrite_uses(graph, node->results[0], y);
			rewrite_erase(graph, node);
			run->changes++;
		}
	}
	return true;
}

/* ---- how much each of them costs ------------------------------------------------------------ */

typedef struct Single {
	const StaticInput *input;
	PassRun *run;
} Single;

static Value *alone_in_int8(const Probe *probe, Value *old, const Variant *variant, Diag *diag)
{
	const Single *single = variant->what;
	(void)diag;
	Node *quantize = emit_codes(probe->graph, single->input, old->node->args[0], NULL, single->run);
	return quantize
		? emit_static(probe->graph, single->input, old->node, NULL, quantize->results, single->run)
		: NULL;
}

typedef struct Ranked {
	double loss;
	StaticInput *input;
	int32_t reader;
} Ranked;

/* Most sensitive first. Ties: the earlier linear first. */
static int ranked_compare(const void *a, const void *b)
{
	const Ranked *x = a, *y = b;
	if (x->loss != y->loss)
		return x->loss > y->loss ? -1 : 1;
	if (x->input != y->input)
		return x->input < y->input ? -1 : 1;
	return x->reader - y->reader;
}

/* Scores the model with each linear alone in int8, and adds a note for each. ranked[] has room for all
 * linears. */
static bool measure_alone(Graph *graph, StaticInput *inputs, int32_t count, Ranked *ranked, int32_t *nranked,
	OutputScore *base, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	Single *single = mem_alloc(mem, (size_t)count * sizeof *single);
	int32_t n = 0;
	for (int32_t i = 0; i < count; i++)
		n += inputs[i].nreaders;
	Variant *variants = mem_alloc(mem, (size_t)n * sizeof *variants);
	OutputScore *scores = mem_alloc(mem, (size_t)n * sizeof *scores);
	n = 0;
	for (int32_t i = 0; i < count; i++) {
		single[i] = (Single){&inputs[i], run};
		for (int32_t r = 0; r < inputs[i].nreaders; r++, n++) {
			ranked[n] = (Ranked){0, &inputs[i], r};
			variants[n] = (Variant){inputs[i].reader[r]->results[0], alone_in_int8, &single[i], NULL};
		}
	}
	if (!variants_score(graph, variants, n, scores, base, run))
		return false;
	pass_note(run, NULL, "score %.4f, loss %.4f in float", base->value, base->loss);
	for (int32_t i = 0; i < n; i++) {
		ranked[i].loss = scores[i].loss - base->loss;
		pass_note(run, ranked[i].input->reader[ranked[i].reader],
			"alone in int8: score %.4f (%+.4f), loss %.4f (%+.4f)", scores[i].value,
			scores[i].value - base->value, scores[i].loss, ranked[i].loss);
	}
	qsort(ranked, (size_t)n, sizeof *ranked, ranked_compare);
	*nranked = n;
	return true;
}

/* The score with all linears in int8. */
static bool score_all(Graph *graph, const StaticInput *inputs, int32_t count, double *score, PassRun *run)
{
	Probe probe;
	OutputScore scores;
	PassRun quiet = {run->env, run->item, run->diag, 0, NULL};
	probe_open(&probe, graph, 1);
	const char *head = graph->module->heads[0].output; /* variants_score has refused a model without one */
	for (int32_t i = 0; i < probe.graph->noutputs; i++)
		if (!strcmp(probe.graph->outputs[i].name, head))
			probe.graph->outputs[0] = probe.graph->outputs[i];
	probe.graph->noutputs = 1;
	bool good = quantize_all(probe.graph, &probe, inputs, count, &quiet);
	if (good) {
		graph_sweep(probe.graph);
		good = probe_score(&probe, &scores, run);
	}
	*score = good ? scores.value : 0;
	probe_close(&probe);
	return good;
}

/* Marks the most sensitive linears, then 1, 2, 4.. more, until the lost points fit the budget. */
static bool keep_budget(
	Graph *graph, StaticInput *inputs, int32_t count, Ranked *ranked, int32_t n, double floor, PassRun *run)
{
	for (int32_t marked = 0, more = 1;; more *= 2) {
		double score;
		if (!score_all(graph, inputs, count, &score, run))
			return false;
		pass_note(run, NULL,
			"score %.4f with dynamic scales in %d of %d linears; the budget allows %.4f or more", score,
			marked, n, floor);
		if (score >= floor || marked == n)
			break;
		for (int32_t end = marked + more < n ? marked + more : n; marked < end; marked++)
			ranked[marked].input->dynamic[ranked[marked].reader] = true;
	}
	for (int32_t i = 0; i < n; i++)
		if (ranked[i].input->dynamic[ranked[i].reader])
			pass_note(
				run, ranked[i].input->reader[ranked[i].reader], "dynamic scales, to stay within the budget");
	return true;
}

static bool choose_dynamic(Graph *graph, StaticInput *inputs, int32_t count, PassRun *run)
{
	const double points = pass_option_real(run, "budget", -1);
	if (points < 0 && pass_option_is(run, "sensitivity", "no"))
		return true;
	int32_t n = 0;
	for (int32_t i = 0; i < count; i++)
		n += inputs[i].nreaders;
	OutputScore base;
	Ranked *ranked = mem_alloc(graph->module->mem, (size_t)n * sizeof *ranked);
	return measure_alone(graph, inputs, count, ranked, &n, &base, run)
		&& (points < 0 || keep_budget(graph, inputs, count, ranked, n, base.value - points / 100, run));
}

bool quantize_static(Graph *graph, PassRun *run)
{
	int32_t room = 1;
	for (Node *node = graph->first; node; node = node->next)
		room += node->op == OP_LINEAR;
	StaticInput *inputs = mem_alloc(graph->module->mem, (size_t)room * sizeof *inputs);
	const int32_t count = find_inputs(graph, inputs, run);
	int32_t learnt = count;
	return !count
		|| (trained_inputs(graph, inputs, &learnt, run) && static_scales(graph, inputs, learnt, run)
			&& choose_dynamic(graph, inputs, count, run) && quantize_all(graph, NULL, inputs, count, run));
}
