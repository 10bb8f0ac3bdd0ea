/* cost.c: see cost.h. The time of a linear is the larger of two: its multiply-adds at the rate of its number
 * format, and the transfer of its weights from memory. Other ops take a few passes over their results. The
 * constants are ratios measured on Zen 4 (docs/performance.md): bf16 and int8 products run 2 and 4 times
 * as fast as fp32 ones, attention at three quarters of that rate, and a byte from memory takes as long as two
 * multiply-adds. */
#include "ir/attention.h"
#include "cost.h"
#include <stdlib.h>

static const double byte_time = 2, element_time = 8, op_time = 20000;

static double linear_rate(const Node *node)
{
	switch (node->op) {
	case OP_LINEAR_I8:
	case OP_LINEAR_I8_CODES: return 4;
	case OP_LINEAR_BF16: return 2;
	default: return 1;
	}
}

static double elements(const Type *type, const int64_t *symbols)
{
	double n = 1;
	for (int32_t i = 0; i < type->rank; i++)
		n *= (double)dim_at(type->dim[i], symbols);
	return n;
}

static double elements_last(const Type *type, const int64_t *symbols)
{
	return (double)dim_at(type->dim[type->rank - 1], symbols);
}

static double node_time(const Node *node, int64_t *symbols, int64_t begin)
{
	if (node->op == OP_CONST || node->nresults == 0)
		return 0;
	const Type *result = &node->results[0]->type;
	const double made = elements(result, symbols);
	double products = 0, bytes = 0, rate = linear_rate(node);
	const int32_t at = node_weight(node);
	if (at >= 0) {
		const Type *in = &node->args[0]->type, *weight = &node->args[at]->type;
		products = made * elements_last(in, symbols);
		if (weight->rank == 1) /* sparse weight: five bytes hold an index and four int8 codes, or one float */
			products = made / elements_last(result, symbols) * elements(weight, symbols)
				* (in->dtype == DT_I8 ? 4 : 1) / 5;
		for (int32_t i = 1; i < node->nargs; i++)
			if (value_tensor(node->args[i]))
				bytes += (double)value_tensor(node->args[i])->bytes;
	} else if (node->op == OP_ATTENTION || node->op == OP_RECEIVED) {
		products = (2 + attention_dots(node)) * made
			* (double)dim_at(node->args[attention_parts(node) - 1]->type.dim[0], symbols);
		rate = 0.75;
	} else if (node->op == OP_THIN) {
		const int64_t rows = dim_at(node->args[0]->type.dim[0], symbols),
					  kept = attrs_kept(&node->attr, rows);
		const int64_t least = begin < rows ? begin : rows;
		symbols[node->attr.symbol + 1] = node->nargs > 1 && begin > kept ? least : kept;
	}
	const double work = products / rate, read = bytes * byte_time;
	return (work > read ? work : read) + made * element_time + op_time;
}

Cost cost_model(const Module *module, CostText text)
{
	Cost cost = {0};
	const Graph *graph = module->graphs[0];
	int64_t symbols[SYMBOLS_MAX] = {0, text.tokens};
	for (const Node *node = graph->first; node; node = node->next) {
		cost.time += node_time(node, symbols, text.begin);
		if (node->op == OP_CONST && node->data)
			cost.bytes += node->data->bytes;
	}
	return cost;
}
