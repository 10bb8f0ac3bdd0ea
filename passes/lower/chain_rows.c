/* chain_rows.c: joins consecutive row-wise ops into a chain. A thread runs a whole chain on one block of
 * rows, then on the next block.
 *
 *   %o = linear %c, ..                              %o = linear %c, .. {.. chain=1 rows=48}
 *   %x = add_layernorm %o, %h, ..            ->     %x = add_layernorm %o, %h, .. {.. chain=1 rows=48}
 *   %q, %s = quantize %x                            %q, %s = quantize %x {.. chain=1 rows=48}
 *   %y = linear_i8 %q, %s, ..                       %y = linear_i8 %q, %s, .. {.. chain=1 rows=48}
 *
 * A linear of which only a pool {mode=max} reads the rows is a chain with this pool. A thread takes some
 * outputs of the linear through the rows of all texts, and keeps the largest. So the scores of a vocabulary
 * for each token are never in memory together: for 512 tokens and 30,522 words they take 62 MB.
 *
 * Values between two ops of a chain are read while they are still in the cache of the core that wrote them.
 * So a LayerNorm passes its codes to the next linear through the cache. Threads wait for each other at the
 * end of a chain instead of after every op. A BERT layer has two chains, before and after attention. Each row
 * depends on the same row only, so no result depends on the block size.
 *
 * A block of 48 rows is four tiles of 12. With its 1536 inner sums (295 KB) it takes half an L2 cache.
 * Weights stored in f16 or bf16 and multiplied in f32 are widened once per block; eleven tiles per block make
 * up for that. f32 weights gain nothing from smaller blocks. Sparse linears take up to 64 rows in the lanes
 * of their registers (a model with 90 % zeros, 128 tokens: 3.8 ms, and 4.3 ms with blocks of 48). A tuning
 * can choose another size. */
#include "passes/rewrite.h"
#include <stdlib.h>

enum { ROWS_NARROW = 48, ROWS_SPARSE = 64, ROWS_WIDE = 132 };

/* A constant operand of a sum or product may be broadcast to all rows. A computed operand has one row per
 * row. */
static bool operand_is_rowwise(const Node *node, const Value *v)
{
	const Type *result = &node->results[0]->type;
	if (value_is_const(v))
		return v->type.rank < result->rank || dim_equal(v->type.dim[0], dim_number(1));
	return v->type.rank == result->rank;
}

bool node_is_rowwise(const Node *node)
{
	if (op_info[node->op].domain != DOMAIN_ROWS)
		return false;
	const int32_t rows = type_rows(&node->results[0]->type);
	bool computed = false,
		 broadcasts = node->op == OP_ADD || node->op == OP_SUB || node->op == OP_MUL || node->op == OP_DIV;
	for (int32_t i = 0; i < node->nargs; i++) {
		const Value *v = node->args[i];
		if (broadcasts && !operand_is_rowwise(node, v))
			return false;
		if (value_is_const(v))
			continue;
		if (!rows || type_rows(&v->type) != rows)
			return false;
		computed = true;
	}
	for (int32_t i = 0; i < node->nresults; i++)
		if (!rows || type_rows(&node->results[i]->type) != rows)
			return false;
	return computed;
}

static bool node_chains(const Node *node) { return (node->attr.has & A_kernel) && node_is_rowwise(node); }

/* True for a dense linear whose rows only a pool {mode=max} reads, which is the next op. */
static bool is_pooled(const Graph *graph, const Node *node)
{
	const KernelInfo *kernel = node->attr.has & A_kernel ? kernel_find(node->attr.kernel) : NULL;
	if ((node->op != OP_LINEAR && node->op != OP_LINEAR_I8 && node->op != OP_LINEAR_BF16)
		|| node->results[0]->type.rank != 2 || !kernel || kernel_is_sparse(kernel))
		return false;
	const Node *next = node->next, *pool = value_only_user(graph, node->results[0]);
	while (next && next->op == OP_CONST)
		next = next->next;
	return pool && pool == next && pool->op == OP_POOL && pool->attr.mode == POOL_MAX
		&& !(pool->attr.has & A_option);
}

/* The end of the chain that begins at first: the node after its last op. All ops of a chain serve the same
 * outputs, so that a program can skip the chain when none of these outputs is requested. */
static Node *chain_end(const Graph *graph, Node *first, const uint32_t *reached, bool *narrow)
{
	if (is_pooled(graph, first))
		return value_only_user(graph, first->results[0])->next;

	Node *end = first, *node = first;
	const int32_t rows = type_rows(&first->results[0]->type);
	for (; node
		&& (node->op == OP_CONST
			|| (node_chains(node) && !is_pooled(graph, node) && type_rows(&node->results[0]->type) == rows
				&& reached[node->results[0]->id] == reached[first->results[0]->id]));
		node = node->next)
		if (node->op != OP_CONST) {
			*narrow |= node->op == OP_LINEAR_I8 || node->op == OP_LINEAR_I8_CODES
				|| node->op == OP_LINEAR_BF16;
			end = node;
		}
	return end->next;
}

static bool chain_is_sparse(const Node *first, const Node *end)
{
	for (const Node *node = first; node != end; node = node->next) {
		const KernelInfo *kernel = node->attr.has & A_kernel ? kernel_find(node->attr.kernel) : NULL;
		if (kernel && kernel_is_sparse(kernel))
			return true;
	}
	return false;
}

static int64_t chain_rows(const Node *first, const Node *end, bool narrow, const PassEnv *env)
{
	TuneRow key;
	const TuneRow *tuned = tune_key_chain(first, end, env->cpu, &key) ? tune_find(env->tune, &key) : NULL;
	if (tuned)
		return tuned->rows;
	if (chain_is_sparse(first, end))
		return ROWS_SPARSE;
	return narrow ? ROWS_NARROW : ROWS_WIDE;
}

bool pass_chain_rows(Graph *graph, PassRun *run)
{
	const int64_t rows = pass_option_int(run, "rows", 0);
	uint32_t *reached = checked_calloc((size_t)graph->next_id + 1, sizeof *reached);
	graph_reach_outputs(graph, reached);
	int64_t number = 0;
	for (Node *node = graph->first, *end; node; node = end) {
		bool narrow = false;
		end = node->next;
		if (!node_chains(node))
			continue;
		end = chain_end(graph, node, reached, &narrow);
		narrow |= is_pooled(graph, node);
		const int64_t block = rows ? rows : chain_rows(node, end, narrow, run->env);
		number++;
		for (; node != end; node = node->next) {
			if (node->op == OP_CONST)
				continue;
			node->attr.has |= A_chain | A_rows;
			node->attr.chain = number;
			node->attr.rows = block;
			run->changes++;
		}
	}
	free(reached);
	return true;
}
