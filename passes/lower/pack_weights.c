/* pack_weights.c: reorders the weights of each linear into the panels that its kernel reads.
 *
 *   %w = const @x.weight : f32[10,4]                         %w = const @x.weight.panel8.N : f32[2,4,8]
 *   %y = linear %x, %w {kernel="linear_f32__scalar"}   ->    %b = const @x.weight.bias.M : f32[16]
 *                                                            %y = linear %x, %w, %b
 *                                                                 {kernel=.. panel=8 width=10}
 *
 * A panel holds `panel` outputs side by side for each input: packed[p][k][i] = weight[p * panel + i][k], so
 * that the kernel's inner loop reads one vector of outputs per input, in order. If one instruction multiplies
 * and sums groups of g inputs, the layout is packed[p][k / g][i][k % g]. The last panel, the last group and
 * the bias are padded with zeros. Every packed linear has a bias, so kernels need no special cases. A weight
 * that several ops share is packed once. Sparse kernels read i8[bytes] without the zeros, in the layout of
 * ir/sparse.c. The tables of products by distance (attention's dots) are cut into heads and panels of 32
 * rows: packed[h][p][k][i] = table[p * 32 + i][h * d + k]. If a linear also multiplies by an embed's table (a
 * tied decoder), the embed reads its rows from the panels. pack_recurrent.c packs the weights of lstm and
 * gru. */
#include "ir/attention.h"
#include "passes/rewrite.h"
#include <stdlib.h>
#include <string.h>

/* The arguments of a linear op that are its weight and bias, and whether it also has scales and sums. */
typedef struct Slots {
	int32_t weight, scales, bias, sums;
} Slots;

static Slots slots_of(const Node *node)
{
	return node->op == OP_LINEAR_I8      ? (Slots){.weight = 2, .scales = 3, .bias = 4, .sums = 5}
		: node->op == OP_LINEAR_I8_CODES ? (Slots){.weight = 2, .scales = 3, .bias = 4, .sums = 7}
										 : (Slots){.weight = 1, .bias = 2};
}

static bool is_linear(const Node *node) { return node_weight(node) >= 0; }

/* Writes the target element by element, in order. The hot calls pass a literal `size`, because a weight has
 * millions of elements. */
static inline __attribute__((always_inline)) void pack_elements(uint8_t *target, const uint8_t *source,
	int64_t outputs, int64_t inputs, int64_t panel, int64_t group, size_t size)
{
	for (int64_t first = 0; first < outputs; first += panel) {
		int64_t count = outputs - first < panel ? outputs - first : panel;
		for (int64_t k = 0; k < inputs; k += group, target += (size_t)(panel * group) * size) {
			size_t bytes = (size_t)(inputs - k < group ? inputs - k : group) * size;
			for (int64_t i = 0; i < count; i++)
				memcpy(target + (size_t)(i * group) * size,
					source + (size_t)((first + i) * inputs + k) * size, bytes);
		}
	}
}

static Tensor *pack(Graph *graph, const Tensor *from, int64_t panel, int64_t group)
{
	int64_t outputs = from->type.dim[0].plus, inputs = from->type.dim[1].plus,
			size = dtype_bytes[from->type.dtype];
	int64_t panels = (outputs + panel - 1) / panel;
	char what[32];
	snprintf(what, sizeof what, "panel%lld", (long long)panel);
	int64_t sizes[] = {panels, (inputs + group - 1) / group, panel, group};
	Tensor *to = tensor_derived(graph, from, what, type_numbers(from->type.dtype, group > 1 ? 4 : 3, sizes));
	uint8_t *target = (uint8_t *)(uintptr_t)to->data;
	if (size == 2 && group == 1)
		pack_elements(target, from->data, outputs, inputs, panel, 1, 2);
	else if (size == 4 && group == 1)
		pack_elements(target, from->data, outputs, inputs, panel, 1, 4);
	else
		pack_elements(target, from->data, outputs, inputs, panel, group, (size_t)size);
	return to;
}

/* The words as f32, for f16 and bf16 weights too. */
static Tensor *pack_sparse(Graph *graph, const Tensor *from, PassRun *run, int line)
{
	from = from->type.dtype == DT_F16 || from->type.dtype == DT_BF16 ? tensor_widened(graph, from) : from;
	const int64_t bytes = sparse_pack(from, NULL);
	if (bytes < 0) {
		diag_error(run->diag, EXIT_UNSUPPORTED, line,
			"pack-weights: %s has more than 2 GB of sparse weights; lower{sparse=never} keeps them dense",
			from->name);
		return NULL;
	}
	Tensor *to = tensor_derived(graph, from, "sparse", type_numbers(DT_I8, 1, &bytes));
	sparse_pack(from, (void *)(uintptr_t)to->data);
	return to;
}

/* The sum of each output's codes. Kernels that multiply shifted, unsigned codes subtract the shift with it.
 */
static Tensor *sum_codes(Graph *graph, const Tensor *weight, int64_t count)
{
	Tensor *to = tensor_derived(graph, weight, "sums", type_numbers(DT_I32, 1, &count));
	const int8_t *codes = weight->data;
	int32_t *sums = (int32_t *)(uintptr_t)to->data;
	int64_t outputs = weight->type.dim[0].plus, inputs = weight->type.dim[1].plus;
	for (int64_t n = 0; n < outputs; n++)
		for (int64_t k = 0; k < inputs; k++)
			sums[n] += codes[n * inputs + k];
	return to;
}

/* A vector with one number per output, padded with zeros to whole panels. With from == NULL it is all zeros.
 */
static Tensor *pad_vector(Graph *graph, const Tensor *weight, const Value *vector, int64_t count)
{
	const Tensor *from = vector ? value_tensor(vector) : NULL;
	Tensor *to = tensor_derived(
		graph, from ? from : weight, from ? "padded" : "bias", type_numbers(DT_F32, 1, &count));
	if (from)
		tensor_floats(from, 0, from->type.dim[0].plus, (float *)(uintptr_t)to->data);
	return to;
}

/* The packed form that an earlier linear already made of the same weight, or NULL. */
static Value *packed_before(const Graph *graph, const Node *node, const Tensor *weight,
	const KernelInfo *kernel, const Tensor *const *packed_from)
{
	for (const Node *other = graph->first; other != node; other = other->next) {
		if (!is_linear(other) || !(other->attr.has & A_panel) || other->attr.panel != kernel->panel)
			continue;
		Value *packed = other->args[slots_of(other).weight];
		int64_t group = packed->type.rank == 4 ? packed->type.dim[3].plus : 1;
		const bool sparse = packed->type.rank == 1;
		if (packed_from[packed->id] == weight && sparse == kernel_is_sparse(kernel)
			&& (sparse || group == kernel->group))
			return packed;
	}
	return NULL;
}

/* True when an embed reads the table. */
static bool is_table(const Graph *graph, const Value *table)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_EMBED && node->args[0] == table && !(node->attr.has & A_panel))
			return true;
	return false;
}

/* Embeds of `table` read its packed form. */
static void embeds_pack(Graph *graph, const Value *table, Value *packed, int64_t panel)
{
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_EMBED && node->args[0] == table && !(node->attr.has & A_panel)) {
			node->attr.has |= A_panel | A_width;
			node->attr.panel = panel;
			node->attr.width = table->type.dim[0].plus;
			node->args[0] = packed;
		}
}

static bool node_pack(Graph *graph, Node *node, PassRun *run, const Tensor **packed_from)
{
	const KernelInfo *kernel = (node->attr.has & A_kernel) ? kernel_find(node->attr.kernel) : NULL;
	const Slots at = slots_of(node);
	if (!kernel)
		return diag_error(
			run->diag, EXIT_USAGE, node->line, "pack-weights: linear has no kernel; run lower first");
	if (!kernel->panel || (node->attr.has & A_panel))
		return true;
	const Tensor *weight = value_tensor(node->args[at.weight]);
	if (!weight || weight->type.rank != 2)
		return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
			"pack-weights: the weight of a linear must be a constant matrix");
	int64_t outputs = weight->type.dim[0].plus,
			padded = (outputs + kernel->panel - 1) / kernel->panel * kernel->panel;
	Value *old[ARGS_MAX] = {NULL};
	for (int32_t i = at.weight; i < node->nargs; i++)
		old[i] = node->args[i];
	Value *packed = packed_before(graph, node, weight, kernel, packed_from);
	if (!packed) {
		Tensor *tensor = kernel_is_sparse(kernel) ? pack_sparse(graph, weight, run, node->line)
												  : pack(graph, weight, kernel->panel, kernel->group);
		if (!tensor)
			return false;
		const bool tied = tensor->type.rank == 3 && is_table(graph, old[at.weight]);
		packed = graph_const(
			graph, tied ? old[at.weight]->node->next : node, tensor, old[at.weight]->node->origin);
		if (tied)
			embeds_pack(graph, old[at.weight], packed, kernel->panel);
	}
	node->args[at.weight] = packed;
	if (at.scales)
		node->args[at.scales] = graph_const(
			graph, node, pad_vector(graph, weight, old[at.scales], padded), node->origin);
	node->args[at.bias] = graph_const(
		graph, node, pad_vector(graph, weight, old[at.bias], padded), node->origin);
	if (at.sums)
		node->args[at.sums] = graph_const(graph, node, sum_codes(graph, weight, padded), node->origin);
	node->nargs = at.sums ? at.sums + 1 : at.bias + 1;
	packed_from[packed->id] = weight;
	node->attr.has |= A_panel | A_width;
	node->attr.panel = kernel->panel;
	node->attr.width = outputs;
	for (int32_t i = 0; i < ARGS_MAX; i++)
		if (old[i] && !value_uses(graph, old[i]))
			rewrite_erase(graph, old[i]->node);
	run->changes++;
	return true;
}

/* ---- tables of products by distance ---------------------------------------------------------- */

enum { DOTS_PANEL = 32 }; /* RELATIVE_PANEL of the kernels */

static Tensor *pack_table(Graph *graph, const Tensor *from, int64_t heads)
{
	const int64_t rows = from->type.dim[0].plus, d = from->type.dim[1].plus / heads,
				  panels = (rows + DOTS_PANEL - 1) / DOTS_PANEL;
	Tensor *to = tensor_derived(
		graph, from, "panels", type_numbers(DT_F32, 4, (int64_t[]){heads, panels, d, DOTS_PANEL}));
	float *target = (float *)(uintptr_t)to->data,
		  *row = mem_alloc(graph->module->mem, (size_t)(heads * d) * 4);
	for (int64_t r = 0; r < rows; r++) {
		tensor_floats(from, r * heads * d, heads * d, row);
		for (int64_t h = 0; h < heads; h++)
			for (int64_t k = 0; k < d; k++)
				target[((h * panels + r / DOTS_PANEL) * d + k) * DOTS_PANEL + r % DOTS_PANEL] = row[h * d
					+ k];
	}
	return to;
}

/* The packed form of the table that an earlier attention reads; NULL: there is none. */
static Value *table_before(
	const Graph *graph, const Node *node, const Value *table, const Value *const *packed_of)
{
	for (const Node *other = graph->first; other != node; other = other->next)
		for (int32_t i = 0; i < other->nargs && other->op == OP_ATTENTION; i++)
			if (packed_of[other->args[i]->id] == table && other->attr.heads == node->attr.heads)
				return other->args[i];
	return NULL;
}

static bool tables_pack(Graph *graph, Node *node, PassRun *run, const Value **packed_of)
{
	ScoreBias biases[BIASES_MAX];
	const int32_t count = attention_biases(node, biases);
	int32_t at = attention_parts(node);
	if ((node->attr.has & A_panel) || !attention_has_dots(node, 0))
		return true;
	for (int32_t i = 0; i < count; at += score_bias_args(&biases[i++])) {
		Value *table = biases[i].value;
		if (!biases[i].axis)
			continue;
		if (!value_is_const(table))
			return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
				"pack-weights: %s, a table of products by distance, is not a constant; run fold-const first",
				value_print(table, (char[264]){0}));
		Value *packed = table_before(graph, node, table, packed_of);
		if (!packed)
			packed = graph_const(
				graph, node, pack_table(graph, value_tensor(table), node->attr.heads), table->node->origin);
		node->args[at] = packed;
		packed_of[packed->id] = table;
		rewrite_erase(graph, table->node);
	}
	node->attr.has |= A_panel;
	node->attr.panel = DOTS_PANEL;
	run->changes++;
	return true;
}

bool pass_pack_weights(Graph *graph, PassRun *run)
{
	size_t known = graph->next_id;
	for (const Node *node = graph->first; node; node = node->next)
		known += is_linear(node) || node->op == OP_ATTENTION ? 4
															 : 0; /* each gets at most four new constants */
	const Tensor **packed_from = checked_calloc(known + 1, sizeof *packed_from); /* by value id */
	const Value **packed_of = checked_calloc(known + 1, sizeof *packed_of);
	bool good = true;
	for (Node *node = graph->first, *next; node && good; node = next) {
		next = node->next;
		if (is_linear(node))
			good = node_pack(graph, node, run, packed_from);
		if (node->op == OP_ATTENTION)
			good = tables_pack(graph, node, run, packed_of);
		if (node->op == OP_LSTM || node->op == OP_GRU)
			good = recurrent_pack(graph, node, run);
	}
	free(packed_from);
	free(packed_of);
	return good;
}
