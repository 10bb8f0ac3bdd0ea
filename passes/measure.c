/* measure.c: the size of a module in parameters, bytes and multiply-adds, for the ledger. */
#include "driver.h"
#include <stdlib.h>

/* The length at which work is counted: BERT's classification data sets average 20 to 128 tokens. */
enum { TOKENS = 128 };

static int64_t symbols_at(const int64_t *symbols, const Type *type, int32_t axis) { return dim_at(type->dim[axis], symbols); }

/* Elements of a type at TOKENS tokens. A type that overflows was refused long before. */
static int64_t type_elements(const int64_t *symbols, const Type *type)
{
	int64_t count = 1;
	for (int32_t i = 0; i < type->rank; i++)
		if (__builtin_mul_overflow(count, symbols_at(symbols, type, i), &count))
			return 0;
	return count;
}

int64_t node_macs(const Node *node, int64_t *symbols)
{
	const Type *result = node->nresults ? &node->results[0]->type : NULL;
	switch (node->op) {
	case OP_LINEAR: case OP_LINEAR_I8: case OP_LINEAR_I8_CODES: case OP_LINEAR_BF16: case OP_MATMUL:   /* K: the last axis of what they read */
		return type_elements(symbols, result) * symbols_at(symbols, &node->args[0]->type, node->args[0]->type.rank - 1);
	case OP_ATTENTION:   /* scores, then their product with v: queries * keys * H each */
		return 2 * symbols_at(symbols, &node->args[node->nargs - 1]->type, 0) * type_elements(symbols, result);
	case OP_RECEIVED: {  /* the scores alone */
		const int64_t parts = node->attr.pack == PACK_QKV ? 3 : 1, tokens = symbols_at(symbols, result, 0);
		return tokens * type_elements(symbols, &node->args[0]->type) / parts;
	}
	case OP_THIN:
		symbols[node->attr.symbol + 1] = attrs_kept(&node->attr, symbols_at(symbols, &node->args[0]->type, 0));
		return 0;
	default:
		return 0;
	}
}

static int tensor_by_data(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)(*(const Tensor *const *)a)->data, y = (uintptr_t)(*(const Tensor *const *)b)->data;
	return x < y ? -1 : x > y;
}

/* Bytes of the arena for one text of TOKENS tokens and one thread: IR.md, Arena. */
static int64_t arena_bytes(const ArenaPlan *plan)
{
	return plan->planned ? TOKENS * plan->per_token + plan->per_text + (int64_t)TOKENS * TOKENS * plan->per_pair
		+ TOKENS * plan->per_thread_token + plan->per_thread + plan->per_block + plan->fixed : 0;
}

void module_measure(const Module *module, LedgerRow *row)
{
	size_t consts = 0;
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next)
			consts += node->op == OP_CONST;
	const Tensor **tensors = calloc(consts + 1, sizeof *tensors);
	consts = 0;
	for (int32_t g = 0; g < module->ngraphs; g++) {
		const Graph *graph = module->graphs[g];
		int64_t arena = arena_bytes(&graph->arena);
		int64_t symbols[SYMBOLS_MAX] = { 0, TOKENS };
		row->arena_bytes = arena > row->arena_bytes ? arena : row->arena_bytes;   /* one graph runs at a time */
		for (const Node *node = graph->first; node; node = node->next) {
			row->nodes++;
			row->macs += node_macs(node, symbols);
			if (node->op == OP_CONST && tensors)
				tensors[consts++] = node->data;
		}
	}
	if (tensors)
		qsort(tensors, consts, sizeof *tensors, tensor_by_data);
	for (size_t i = 0; i < consts; i++)
		if (i == 0 || tensors[i]->data != tensors[i - 1]->data) {
			row->parameters += type_count(&tensors[i]->type);
			row->weight_bytes += tensors[i]->bytes;
		}
	free(tensors);
}
