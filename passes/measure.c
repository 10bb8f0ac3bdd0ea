/* measure.c: the size of a module in parameters, bytes and multiply-adds, for the ledger. */
#include "ir/attention.h"
#include "driver.h"
#include <stdlib.h>

/* The text length at which work is counted. Texts of BERT's classification data sets average 20 to 128
 * tokens. */
enum { TOKENS = 128 };

static int64_t symbols_at(const int64_t *symbols, const Type *type, int32_t axis)
{
	return dim_at(type->dim[axis], symbols);
}

/* Elements of a type at TOKENS tokens. The verifier has already refused types that overflow. */
static int64_t type_elements(const int64_t *symbols, const Type *type)
{
	int64_t count = 1;
	for (int32_t i = 0; i < type->rank; i++)
		if (__builtin_mul_overflow(count, symbols_at(symbols, type, i), &count))
			return 0;
	return count;
}

/* The packed sparse weights of a node, or NULL. *each: numbers per word. */
static const Tensor *sparse_weights(const Node *node, int64_t *each)
{
	const bool linear = node->op == OP_LINEAR || node->op == OP_LINEAR_I8 || node->op == OP_LINEAR_I8_CODES;
	const Tensor *weight = linear && (node->attr.has & A_panel) ? value_tensor(node->args[node_weight(node)])
																: NULL;
	*each = node->op == OP_LINEAR ? 1 : SPARSE_WORD;
	return weight && weight->type.rank == 1 ? weight : NULL;
}

/* Numbers of sparse weights that the program stores. Zeros within stored words and zeros that fill up bands
 * count. */
static int64_t sparse_numbers(const Node *node, const Tensor *weight, int64_t each)
{
	const Type *input = &node->args[0]->type;
	const int64_t inputs = input->dim[input->rank - 1].plus;
	return each
		* sparse_stored(weight->data, node->attr.width, sparse_words(inputs, each == 1 ? DT_F32 : DT_I8));
}

int64_t node_macs(const Node *node, int64_t *symbols)
{
	const Type *result = node->nresults ? &node->results[0]->type : NULL;
	int64_t each;
	const Tensor *sparse = sparse_weights(node, &each);
	if (sparse)
		return type_elements(symbols, &node->args[0]->type)
			/ symbols_at(symbols, &node->args[0]->type, node->args[0]->type.rank - 1)
			* sparse_numbers(node, sparse, each);
	switch (node->op) {
	case OP_LINEAR:
	case OP_LINEAR_I8:
	case OP_LINEAR_I8_CODES:
	case OP_LINEAR_BF16:
	case OP_MATMUL: /* K: the last axis of the input */
		return type_elements(symbols, result)
			* symbols_at(symbols, &node->args[0]->type, node->args[0]->type.rank - 1);
	case OP_ATTENTION: /* scores, products by distance, and those with v: queries * keys * H each */
		return (2 + attention_dots(node))
			* symbols_at(symbols, &node->args[attention_parts(node) - 1]->type, 0)
			* type_elements(symbols, result);
	case OP_RECEIVED: { /* the scores alone */
		const int64_t parts = node->attr.pack == PACK_QKV ? 3 : 1, tokens = symbols_at(symbols, result, 0);
		return tokens * type_elements(symbols, &node->args[0]->type) / parts;
	}
	case OP_THIN:
		symbols[node->attr.symbol + 1] = attrs_kept(
			&node->attr, symbols_at(symbols, &node->args[0]->type, 0));
		return 0;
	default: return 0;
	}
}

typedef struct Counted {
	const Tensor *tensor;
	int64_t count;
} Counted;

static int counted_by_data(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const Counted *)a)->tensor->data,
			  y = (uintptr_t)((const Counted *)b)->tensor->data;
	return x < y ? -1 : x > y;
}

/* Bytes of the arena for one text of TOKENS tokens and one thread: IR.md, Arena. */
static int64_t arena_bytes(const ArenaPlan *plan)
{
	return plan->planned
		? TOKENS * plan->per_token + plan->per_text + (int64_t)TOKENS * TOKENS * plan->per_pair
			+ TOKENS * plan->per_thread_token + plan->per_thread + plan->per_block + plan->fixed
		: 0;
}

void module_measure(const Module *module, LedgerRow *row)
{
	size_t consts = 0;
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next)
			consts += node->op == OP_CONST;
	Counted *tensors = checked_calloc(consts, sizeof *tensors);
	consts = 0;
	for (int32_t g = 0; g < module->ngraphs; g++) {
		const Graph *graph = module->graphs[g];
		int64_t arena = arena_bytes(&graph->arena);
		int64_t symbols[SYMBOLS_MAX] = {0, TOKENS};
		row->arena_bytes = arena > row->arena_bytes ? arena : row->arena_bytes; /* one graph runs at a time */
		for (const Node *node = graph->first; node; node = node->next) {
			row->nodes++;
			row->macs += node_macs(node, symbols);
			if (node->op == OP_CONST)
				tensors[consts++] = (Counted){node->data, type_count(&((const Tensor *)node->data)->type)};
			int64_t each;
			const Tensor *sparse = sparse_weights(node, &each);
			for (size_t i = consts; sparse && i-- > 0;)
				if (tensors[i].tensor->data == sparse->data) /* bytes, as a constant */
					tensors[i].count = sparse_numbers(node, sparse, each);
		}
	}
	qsort(tensors, consts, sizeof *tensors, counted_by_data);
	for (size_t i = 0; i < consts; i++)
		if (i == 0 || tensors[i].tensor->data != tensors[i - 1].tensor->data) {
			row->parameters += tensors[i].count;
			row->weight_bytes += tensors[i].tensor->bytes;
		}
	free(tensors);
}
