/* narrow.c: selects the linears that quantize-int8 and compute-bf16 rewrite, computes the codes of weights,
 * and builds the linear on codes for both schemes of quantize-int8 (narrow.h). */
#include "narrow.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A head's last linear has one output per label. Encoder layers, poolers and dense modules have hundreds. */
enum { OUTPUTS_LEAST = 64 };

const Tensor *narrow_weight(const Node *node, PassRun *run)
{
	if (node->op != OP_LINEAR || (node->attr.has & A_panel))
		return NULL;
	const Tensor *weight = value_tensor(node->args[1]);
	if (!weight || weight->type.rank != 2 || !dtype_is_float(weight->type.dtype)) {
		pass_note(run, node, "stays: its weight is not a constant matrix of floats");
		return NULL;
	}
	if (origin_matches(pass_option(run, "exclude"), node->origin)) {
		pass_note(run, node, "stays: excluded");
		return NULL;
	}
	if (weight->type.dim[0].plus < OUTPUTS_LEAST) {
		pass_note(run, node, "stays: %lld outputs, fewer than %d", (long long)weight->type.dim[0].plus,
			OUTPUTS_LEAST);
		return NULL;
	}
	return weight;
}

void narrow_attention(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_ATTENTION || (node->attr.has & (A_bits | A_kernel)))
			continue;
		if (origin_matches(pass_option(run, "exclude"), node->origin)) {
			pass_note(run, node, "stays in f32: excluded");
			continue;
		}
		if (node->attr.has & A_SELECT) {
			pass_note(run, node, "stays in f32: rounding its factors would change which keys it selects");
			continue;
		}
		node->attr.has |= A_bits;
		node->attr.bits = 16;
		run->changes++;
	}
}

/* Row n as f32. *largest is its largest absolute value. False when the row has NaN or infinite numbers. */
static bool row_read(const Tensor *matrix, int64_t n, int64_t width, float *row, float *largest)
{
	*largest = 0;
	tensor_floats(matrix, n * width, width, row);
	for (int64_t k = 0; k < width; k++) {
		if (!isfinite(row[k]))
			return false;
		*largest = fmaxf(*largest, fabsf(row[k]));
	}
	return true;
}

Tensor *tensor_quantized(Graph *graph, const Tensor *matrix, Tensor **scales)
{
	int64_t rows = matrix->type.dim[0].plus, width = matrix->type.dim[1].plus;
	Tensor *codes = tensor_derived(graph, matrix, "i8", type_numbers(DT_I8, 2, (int64_t[]){rows, width}));
	*scales = tensor_derived(graph, matrix, "scales", type_numbers(DT_F32, 1, &rows));
	int8_t *to = (int8_t *)(uintptr_t)codes->data;
	float *row = mem_alloc(graph->module->mem, (size_t)width * sizeof *row);
	for (int64_t n = 0; n < rows; n++, to += width) {
		float largest;
		if (!row_read(matrix, n, width, row, &largest))
			return NULL;
		tensor_set(*scales, n, (double)(largest / 127.0f));
		for (int64_t k = 0; k < width; k++)
			to[k] = largest > 0 ? (int8_t)nearbyint((double)row[k] * 127.0 / (double)largest) : 0;
	}
	return codes;
}

static int code_4(float x, float scale)
{
	const float code = scale > 0 ? nearbyintf(x / scale) : 0;
	return (int)fminf(fmaxf(code, -7), 7);
}

/* With so few codes, a scale for the largest number of a row is too coarse for the others. For 384 normally
 * distributed numbers, 0.7 of that scale halves the squared error. */
static float scale_4(const float *row, int64_t width, float largest)
{
	float best = largest / 7;
	double least = INFINITY;
	for (int part = 20; part >= 10; part--) {
		const float scale = largest / 7 * (float)part / 20;
		double error = 0;
		for (int64_t k = 0; k < width; k++) {
			const double off = (double)row[k] - (double)((float)code_4(row[k], scale) * scale);
			error += off * off;
		}
		if (error < least) {
			least = error;
			best = scale;
		}
	}
	return best;
}

Tensor *tensor_quantized_4(Graph *graph, const Tensor *matrix, Tensor **scales)
{
	int64_t rows = matrix->type.dim[0].plus, width = matrix->type.dim[1].plus;
	Tensor *codes = tensor_derived(graph, matrix, "i4", type_numbers(DT_I8, 2, (int64_t[]){rows, width / 2}));
	*scales = tensor_derived(graph, matrix, "scales", type_numbers(DT_F32, 1, &rows));
	uint8_t *to = (uint8_t *)(uintptr_t)codes->data;
	float *row = mem_alloc(graph->module->mem, (size_t)width * sizeof *row);
	for (int64_t n = 0; n < rows; n++) {
		float largest;
		if (!row_read(matrix, n, width, row, &largest))
			return NULL;
		const float scale = scale_4(row, width, largest);
		tensor_set(*scales, n, (double)scale);
		for (int64_t k = 0; k < width; k += 2)
			*to++ = (uint8_t)((code_4(row[k], scale) & 15) | (code_4(row[k + 1], scale) & 15) << 4);
	}
	return codes;
}

/* An existing quantize of x before node, or NULL. */
static Node *quantize_before(const Node *node, const Value *x)
{
	for (Node *other = node->prev; other; other = other->prev)
		if (other->op == OP_QUANTIZE && other->args[0] == x)
			return other;
	return NULL;
}

RoundedList rounded_open(Graph *graph)
{
	int32_t linears = 0;
	for (const Node *node = graph->first; node; node = node->next)
		linears += node->op == OP_LINEAR;
	return (RoundedList){mem_alloc(graph->module->mem, (size_t)linears * sizeof(Rounded)), 0};
}

const Rounded *rounded_find(const RoundedList *list, const Value *weight)
{
	for (int32_t i = 0; i < list->count; i++)
		if (list->at[i].from == weight)
			return &list->at[i];
	return NULL;
}

const Rounded *rounded_add(
	RoundedList *list, Graph *graph, Node *node, const Tensor *codes, const Tensor *scales)
{
	const Value *weight = node->args[1];
	Node *before = value_uses(graph, weight) > 1 ? weight->node->next : node;
	Rounded *rounded = &list->at[list->count++];
	*rounded = (Rounded){.from = weight, .codes = graph_const(graph, before, codes, weight->node->origin)};
	if (scales)
		rounded->scales = graph_const(graph, before, scales, weight->node->origin);
	return rounded;
}

bool node_quantize_dynamic(Graph *graph, Node *node, const Tensor *weight, RoundedList *list, PassRun *run)
{
	const Rounded *rounded = rounded_find(list, node->args[1]);
	Tensor *scales, *codes = rounded ? NULL : tensor_quantized(graph, weight, &scales);
	if (!rounded && !codes) {
		pass_note(run, node, "stays: its weight holds NaN or infinite numbers");
		return true;
	}
	Node *quantize = quantize_before(node, node->args[0]);
	if (!quantize)
		quantize = graph_insert(graph, node, OP_QUANTIZE, node->args, 1, NULL, node->origin, run->diag);
	if (!quantize)
		return false;
	if (!rounded)
		rounded = rounded_add(list, graph, node, codes, scales);
	Value *args[] = {quantize->results[0], quantize->results[1], rounded->codes, rounded->scales,
		node->nargs == 3 ? node->args[2] : NULL};
	if (!rewrite_value(
			graph, node->results[0], OP_LINEAR_I8, args, node->nargs == 3 ? 5 : 4, &node->attr, run))
		return false;
	rewrite_erase(graph, node);
	run->changes++;
	return true;
}
