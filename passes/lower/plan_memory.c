/* plan_memory.c: assigns every value an offset in one arena. The arena's size is a polynomial of the numbers
 * of tokens and texts.
 *
 *   graph @main(...) level=lowered {                 graph @main(...) level=lowered
 *                                                       arena{per_token=96 ..} {
 *     %y = linear %x, %w, %b {kernel=..}       ->      %y = linear %x, %w, %b {kernel=.. offset=[64]}
 *
 * The arena has three regions: values with one factor S (bytes per token), values without S (bytes per text),
 * and values with two factors S (bytes per pair of tokens). An offset is in the unit of its region, so it is
 * valid for any number of tokens. Within a region, values that are live at the same time do not overlap. The
 * largest values are placed first, each at the lowest free offset (the greedy rule of "Efficient Memory
 * Management for Deep Neural Net Inference", arXiv:2001.03288). No op writes over its arguments.
 *
 * The ops of a chain (chain-rows) run interleaved, block by block. Values that only the chain reads are in a
 * fourth region, a thread's block of rows (attribute inner; offset in bytes per row). Every other value that
 * the chain reads or writes is live during the whole chain.
 *
 * Input: the kernels' scratch sizes, set by lower. Output: Graph.arena and the attribute offset. */
#include "ir/attention.h"
#include "passes/rewrite.h"
#include <stdlib.h>

/* A cache line. Two threads never write to the same line, and vector loads do not cross lines. */
enum { ALIGNMENT = 64, REGION_BLOCK = REGION_PAIRS + 1, REGION_COUNT };

typedef struct Block {
	const Value *value;
	int region; /* a Region, or REGION_BLOCK */
	int64_t bytes, offset;
	int32_t first, last; /* steps at which it is written first and read last */
	int32_t number;      /* order of definition, which breaks ties deterministically */
	bool placed;
} Block;

typedef struct Planner {
	Graph *graph;
	Block *blocks;      /* by number */
	int32_t *last_use;  /* by value id: step */
	int32_t *chain_end; /* by step: the last step of its chain, or itself */
	bool *outside;      /* by value id: an output, or read by an op outside its own chain */
	int32_t count, steps;
} Planner;

static int64_t round_up(int64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static int64_t node_chain(const Node *node)
{
	return node && (node->attr.has & A_chain) ? node->attr.chain : 0;
}

/* A step is the position of a node in the graph, constants included. Constants may stand inside a chain. */
static void planner_find_chains(Planner *p)
{
	int32_t step = 0, end = -1;
	int64_t chain = 0;
	for (const Node *node = p->graph->first; node; node = node->next) {
		p->chain_end[step] = step;
		step++;
	}
	for (const Node *node = p->graph->last; node; node = node->prev) {
		step--;
		if (node->op == OP_CONST)
			continue;
		if (node_chain(node) != chain || !chain)
			end = step;
		chain = node_chain(node);
		p->chain_end[step] = end;
	}
}

static void planner_find_lifetimes(Planner *p)
{
	for (const Node *node = p->graph->first; node; node = node->next, p->steps++)
		for (int32_t i = 0; i < node->nargs; i++) {
			const Value *v = node->args[i];
			p->last_use[v->id] = p->steps;
			p->outside[v->id] |= !node_chain(node) || node_chain(node) != node_chain(v->node);
		}
	for (int32_t i = 0; i < p->graph->noutputs; i++) { /* copied out after the last step */
		p->last_use[p->graph->outputs[i].value->id] = p->steps;
		p->outside[p->graph->outputs[i].value->id] = true;
	}
}

static bool planner_make_blocks(Planner *p, PassRun *run)
{
	int32_t step = 0;
	char label[264];
	for (const Node *node = p->graph->first; node; node = node->next, step++) {
		for (int32_t i = 0; i < node->nresults && node->op != OP_CONST; i++) {
			const Value *value = node->results[i];
			int32_t last = p->last_use[value->id] > step ? p->last_use[value->id] : step;
			Block *block = &p->blocks[p->count];
			bool inner = node_chain(node) && !p->outside[value->id];
			*block = (Block){.value = value, .first = step, .number = p->count++};
			block->last = inner || last >= p->steps ? last : p->chain_end[last];
			block->region = (int)type_region(&value->type, &block->bytes);
			if (inner && block->region == REGION_TOKENS)
				block->region = REGION_BLOCK;
			if (block->region == REGION_NONE)
				return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
					"%s: its shape has no place in the arena; run lower first", value_print(value, label));
			if (block->region == REGION_BLOCK)
				block->bytes = value_inner_bytes(value, block->bytes);
			block->bytes = round_up(block->bytes);
		}
	}
	return true;
}

static int block_larger_first(const void *a, const void *b)
{
	const Block *x = *(Block *const *)a, *y = *(Block *const *)b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static bool block_conflicts(const Block *a, const Block *b)
{
	return a->placed && a->region == b->region && a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `block` overlaps no placed block that is live at the same time. Tries 0 and the
 * end of each placed block. */
static int64_t block_place(Block *const *order, int32_t count, const Block *block)
{
	int64_t offset = 0;
	for (bool moved = true; moved;) {
		moved = false;
		for (int32_t i = 0; i < count; i++) {
			const Block *other = order[i];
			if (block_conflicts(other, block) && offset < other->offset + other->bytes
				&& other->offset < offset + block->bytes) {
				offset = other->offset + other->bytes;
				moved = true;
			}
		}
	}
	return offset;
}

/* need: the bytes that each region needs. */
static void planner_place(Planner *p, int64_t need[REGION_COUNT])
{
	Block **order = checked_calloc((size_t)p->count, sizeof(Block *));
	for (int32_t i = 0; i < p->count; i++)
		order[i] = &p->blocks[i];
	qsort(order, (size_t)p->count, sizeof(Block *), block_larger_first);
	for (int32_t i = 0; i < p->count; i++) {
		Block *block = order[i];
		block->offset = block_place(order, i, block);
		block->placed = true;
		if (need[block->region] < block->offset + block->bytes)
			need[block->region] = block->offset + block->bytes;
	}
	free(order);
}

static void planner_write(const Planner *p)
{
	for (int32_t i = 0; i < p->count; i++) {
		const Value *value = p->blocks[i].value;
		Attrs *attr = &value->node->attr;
		attr->has |= A_offset;
		attr->offset.count = value->node->nresults;
		attr->offset.at[value->index] = p->blocks[i].offset;
		if (p->blocks[i].region != REGION_BLOCK)
			continue;
		attr->inner = ((attr->has & A_inner) ? attr->inner : 0) | INT64_C(1) << value->index;
		attr->has |= A_inner;
	}
}

/* Per-thread scratch: the largest size that any kernel needs, by kernels.def. */
static bool plan_scratch(Graph *graph, PassRun *run)
{
	ArenaPlan *arena = &graph->arena;
	for (const Node *node = graph->first; node; node = node->next) {
		if (node->op == OP_CONST)
			continue;
		const KernelInfo *kernel = (node->attr.has & A_kernel) ? kernel_find(node->attr.kernel) : NULL;
		if (!kernel)
			return diag_error(run->diag, EXIT_USAGE, node->line,
				"plan-memory: %s has no kernel; run lower first", op_info[node->op].name);
		if (!kernel->scratch_per_token && !kernel->scratch && !kernel->staged)
			continue;
		const Type *sized = node->op == OP_ATTENTION ? &node->results[0]->type : &node->args[0]->type;
		const int64_t parts = node->op == OP_RECEIVED && node->attr.pack == PACK_QKV ? 3 : 1;
		int64_t size = sized->dim[sized->rank - 1].plus
			/ ((node->attr.has & A_heads) ? node->attr.heads * parts : 1);
		int64_t staged = kernel->staged * round_up(size);
		if (node->op == OP_ATTENTION)
			staged += kernel->relative * (attention_packed_rows(node) + 32);
		arena->per_thread = staged > arena->per_thread ? staged : arena->per_thread;
		int64_t bytes = kernel->scratch_per_token * size + kernel->scratch;
		if (arena->per_thread_token < bytes)
			arena->per_thread_token = bytes;
	}
	return true;
}

/* The largest number of rows per block of any chain. */
static int64_t block_rows(const Graph *graph)
{
	int64_t rows = 0;
	for (const Node *node = graph->first; node; node = node->next)
		if ((node->attr.has & A_rows) && node->attr.rows > rows)
			rows = node->attr.rows;
	return rows;
}

bool pass_plan_memory(Graph *graph, PassRun *run)
{
	size_t nodes = 0, values = (size_t)graph->next_id + 1;
	for (Node *node = graph->first; node; node = node->next, nodes++)
		node->attr.has &= ~(uint32_t)A_inner;
	Planner p = {.graph = graph,
		.blocks = checked_calloc(nodes * RESULTS_MAX, sizeof(Block)),
		.last_use = checked_calloc(values, sizeof(int32_t)),
		.chain_end = checked_calloc(nodes + 1, sizeof(int32_t)),
		.outside = checked_calloc(values, sizeof(bool))};
	for (size_t i = 0; i < values; i++)
		p.last_use[i] = -1;
	graph->arena = (ArenaPlan){0};
	planner_find_chains(&p);
	planner_find_lifetimes(&p);
	const bool good = plan_scratch(graph, run) && planner_make_blocks(&p, run);
	if (good) {
		int64_t need[REGION_COUNT] = {0};
		planner_place(&p, need);
		planner_write(&p);
		graph->arena.planned = true;
		graph->arena.per_token = need[REGION_TOKENS];
		graph->arena.per_text = need[REGION_TEXTS];
		graph->arena.per_pair = need[REGION_PAIRS];
		graph->arena.per_block = need[REGION_BLOCK] * block_rows(graph);
		run->changes += p.count;
	}
	free(p.blocks);
	free(p.last_use);
	free(p.chain_end);
	free(p.outside);
	return good;
}
