/* verify_lowered.c: invariants L1 to L5 of verify.c. L4 guards against errors in plan-memory: if two live
 * values overlapped, the only sign would be wrong numbers. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "verify.h"

enum {
	CHAIN_ROWS_LEAST = 16, /* the few rows that all threads share must fit in a block (steps.h) */
	CHAIN_ROWS_MOST = 4096,
	OFFSET_ALIGNMENT = 64,
	LIVE_MAX = 4096, /* values alive at once; BERT has about ten. Limits the time for a hostile file */
};

#define VALUE_TEXT(value) value_print((value), (char[264]){0})

static bool is_identifier(const char *text)
{
	if (!text || !*text || isdigit((unsigned char)*text))
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && *text != '_')
			return false;
	return true;
}

static bool value_is_inner(const Value *value)
{
	return value->node && (value->node->attr.has & A_inner) && (value->node->attr.inner >> value->index & 1);
}

/* L5 for a single op. */
static void verify_chained_node(const Node *node, Diag *diag)
{
	const bool chained = node->attr.has & A_chain;
	if (chained != ((node->attr.has & A_rows) != 0) || ((node->attr.has & A_inner) && !chained)) {
		node_error(node, diag, "chain needs rows and rows needs chain; inner needs both");
		return;
	}
	if (!chained)
		return;
	if (node->attr.chain < 1 || node->attr.rows < CHAIN_ROWS_LEAST || node->attr.rows > CHAIN_ROWS_MOST)
		node_error(node, diag, "chain is %lld and rows is %lld, expected at least 1 and %d to %d",
			(long long)node->attr.chain, (long long)node->attr.rows, CHAIN_ROWS_LEAST, CHAIN_ROWS_MOST);
	if ((node->attr.has & A_inner) && (node->attr.inner < 1 || node->attr.inner >> node->nresults))
		node_error(node, diag, "inner is %lld, expected a mask of its %d results",
			(long long)node->attr.inner, node->nresults);
	const int32_t symbol = node->nresults ? type_rows(&node->results[0]->type) : 0;
	bool rows = op_info[node->op].domain == DOMAIN_ROWS && symbol;
	for (int i = 0; i < node->nargs; i++)
		rows &= value_is_const(node->args[i]) || type_rows(&node->args[i]->type) == symbol;
	for (int i = 0; i < node->nresults; i++)
		rows &= type_rows(&node->results[i]->type) == symbol;
	const Node *linear = node->op == OP_POOL ? node->args[0]->node : NULL;
	if (linear && node_pooled(linear) == node && node->attr.mode == POOL_MAX
		&& (value_is_inner(node->args[0]) || !(linear->attr.has & A_offset)))
		return;
	if (!rows)
		node_error(node, diag, "is in a chain, but not all of its values have one row per token");
}

/* L5: the ops of a chain are neighbours, and agree in the symbol of their rows and in the size of a block. */
static void verify_chains(const Graph *graph, Diag *diag)
{
	int64_t chain = 0, rows = 0, highest = 0;
	int32_t symbol = 0;
	bool pooled = false; /* the chain has ended */
	for (const Node *node = graph->first; node; node = node->next) {
		if (op_info[node->op].domain == DOMAIN_NONE)
			continue;
		int64_t now = node->attr.has & A_chain ? node->attr.chain : 0;
		if (now && now != chain && now <= highest)
			node_error(node, diag,
				"chain %lld is out of order: number chains upwards and keep the ops of a chain together",
				(long long)now);
		if (now && now == chain && node->attr.rows != rows)
			node_error(node, diag, "rows is %lld, but %lld earlier in the chain", (long long)node->attr.rows,
				(long long)rows);
		if (now && now == chain && pooled)
			node_error(node, diag, "a chain that ends in a pool has two ops");
		if (now && now == chain && type_rows(&node->results[0]->type) != symbol && node->op != OP_POOL)
			node_error(node, diag, "its rows have another symbol than the rows earlier in the chain");
		symbol = type_rows(&node->results[0]->type);
		pooled = node->op == OP_POOL || (now && now == chain && node_pooled(node));
		chain = now;
		rows = node->attr.rows;
		highest = now > highest ? now : highest;
	}
}

static int64_t node_chain(const Node *node)
{
	return node && (node->attr.has & A_chain) ? node->attr.chain : 0;
}

/* L2 for sparse weights. Kernels do not check them. */
static void verify_sparse(const Node *node, Diag *diag)
{
	for (int i = 0; i < node->nargs && (node->attr.has & A_panel); i++) {
		const Type *type = &node->args[i]->type, *x = &node->args[0]->type;
		const Tensor *tensor = value_tensor(node->args[i]);
		if (!tensor || type->rank != 1 || type->dtype != DT_I8)
			continue;
		const int64_t words = sparse_words(x->dim[x->rank - 1].plus, x->dtype);
		if (!sparse_is_valid(tensor->data, type->dim[0].plus, node->attr.width, words, x->dtype))
			node_error(node, diag,
				"%s is not a valid packed form of %lld outputs with %lld words; let pack-weights write "
				"sparse weights",
				VALUE_TEXT(node->args[i]), (long long)node->attr.width, (long long)words);
	}
}

/* L1 and L2, and the first half of L3. */
static void verify_lowered_node(const Graph *graph, const Node *node, Diag *diag)
{
	const OpInfo *info = &op_info[node->op];
	int64_t bytes;
	if (info->domain == DOMAIN_NONE)
		return;
	if (!(node->attr.has & A_kernel))
		node_error(node, diag, "has no kernel");
	else if (!is_identifier(node->attr.kernel))
		node_error(node, diag, "kernel \"%s\" is not a C identifier", node->attr.kernel);
	for (int i = 0; i < node->nresults; i++)
		if (type_region(&node->results[i]->type, &bytes) == REGION_NONE)
			node_error(node, diag, "%s is %s, which has no place in the arena", VALUE_TEXT(node->results[i]),
				type_print(&node->results[i]->type, (char[128]){0}));
	verify_sparse(node, diag);
	verify_chained_node(node, diag);
	if (!graph->arena.planned && (node->attr.has & A_offset))
		node_error(node, diag, "has an offset, but the graph has no arena plan");
	if (graph->arena.planned && (!(node->attr.has & A_offset) || node->attr.offset.count != node->nresults))
		node_error(node, diag, "expected %d offset%s, because the graph has an arena plan", node->nresults,
			node->nresults == 1 ? "" : "s");
}

static void verify_lowered_outputs(const Graph *graph, Diag *diag)
{
	int line = graph->return_line ? graph->return_line : graph->line;
	for (int i = 0; i < graph->noutputs; i++) {
		const GraphOutput *output = &graph->outputs[i];
		if (!output->value->node || op_info[output->value->node->op].domain == DOMAIN_NONE)
			diag_error(diag, EXIT_UNSUPPORTED, line,
				"graph @%s: output %s is an input or a constant, expected a computed value", graph->name,
				output->name);
		else if (type_rows(&output->value->type) > 1)
			diag_error(diag, EXIT_UNSUPPORTED, line,
				"graph @%s: output %s is %s, without the rows that thin removed; spread restores them",
				graph->name, output->name, type_print(&output->value->type, (char[128]){0}));
		else if (output->value->type.dtype != DT_F32)
			diag_error(diag, EXIT_INPUT, line, "graph @%s: output %s is %s, expected f32", graph->name,
				output->name, type_print(&output->value->type, (char[128]){0}));
	}
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* A value in the arena. It occupies [begin, end) of each unit of its region until node number `last` has run.
 * inner: the unit is a row in the block of its chain. */
typedef struct Place {
	const Value *value;
	Region region;
	bool inner;
	int64_t begin, end, last;
} Place;

typedef struct Plan {
	const Graph *graph;
	Diag *diag;
	ValueMap map;
	int64_t *last_use; /* by number of the value; -1: unused */
	Place live[LIVE_MAX];
	int nlive;
} Plan;

/* The number of the last op of the chain that begins at `node`, which has number `index`. */
static int64_t chain_last(const Node *node, int64_t index)
{
	const int64_t chain = node_chain(node);
	int64_t last = index;
	for (; chain && node; node = node->next, index++)
		if (node_chain(node) == chain)
			last = index;
		else if (op_info[node->op].domain != DOMAIN_NONE)
			break;
	return last;
}

/* A value that a chain reads or writes lives until the chain's end, unless it is inner to the chain. */
static void plan_find_last_uses(Plan *plan)
{
	int64_t index = 0, chain = 0, end = 0;
	value_map_init(&plan->map, plan->graph);
	plan->last_use = checked_calloc((size_t)plan->map.count, sizeof *plan->last_use);
	memset(plan->last_use, 0xff, (size_t)plan->map.count * sizeof *plan->last_use);
	for (const Node *node = plan->graph->first; node; node = node->next, index++) {
		if (node_chain(node) != chain && op_info[node->op].domain != DOMAIN_NONE) {
			chain = node_chain(node);
			end = chain_last(node, index);
		}
		for (int i = 0; i < node->nargs; i++) {
			const Value *v = node->args[i];
			plan->last_use[value_map_find(&plan->map, v)] = chain && !value_is_inner(v) ? end : index;
			if (value_is_inner(v) && (node_chain(node) != node_chain(v->node)))
				node_error(node, plan->diag, "reads %s, which is inner to another chain", VALUE_TEXT(v));
		}
	}
	for (int i = 0; i < plan->graph->noutputs; i++) {
		const Value *v = plan->graph->outputs[i].value;
		plan->last_use[value_map_find(&plan->map, v)] = INT64_MAX;
		if (value_is_inner(v))
			node_error(
				v->node, plan->diag, "%s is an output, so it cannot be inner to a chain", VALUE_TEXT(v));
	}
}

/* L3. Reads the place of a value from its node. */
static bool plan_place(Plan *plan, const Value *value, Place *place)
{
	const ArenaPlan *arena = &plan->graph->arena;
	const struct {
		const char *name;
		int64_t bytes;
	} regions[] = {
		[REGION_TOKENS] = {"per_token", arena->per_token},
		[REGION_TEXTS] = {"per_text", arena->per_text},
		[REGION_PAIRS] = {"per_pair", arena->per_pair},
	};
	const Node *node = value->node;
	int64_t offset = node->attr.offset.at[value->index], bytes = 0,
			last = plan->last_use[value_map_find(&plan->map, value)];
	Region region = type_region(&value->type, &bytes);
	const bool inner = value_is_inner(value);
	if (inner)
		bytes = value_inner_bytes(value, bytes);
	const int64_t room = inner ? arena->per_block / node->attr.rows : regions[region].bytes;
	if (offset < 0 || offset % OFFSET_ALIGNMENT != 0)
		return node_error(node, plan->diag, "%s has offset %lld, expected a multiple of %d",
			VALUE_TEXT(value), (long long)offset, OFFSET_ALIGNMENT);
	if (offset > room || bytes > room - offset)
		return node_error(node, plan->diag, "%s takes %lld bytes at offset %lld, past %s=%lld",
			VALUE_TEXT(value), (long long)bytes, (long long)offset,
			inner ? "a block's row" : regions[region].name, (long long)room);
	*place = (Place){value, region, inner, offset, offset + bytes, last};
	return true;
}

/* L4. Compares a new value with all values that are alive while it is written. */
static bool plan_add(Plan *plan, const Place *place)
{
	const Node *node = place->value->node;
	for (int i = 0; i < plan->nlive; i++) {
		const Place *other = &plan->live[i];
		if (other->region == place->region && other->inner == place->inner && other->begin < place->end
			&& place->begin < other->end)
			node_error(node, plan->diag,
				"%s at offset %lld overlaps %s at offset %lld, which is still in use",
				VALUE_TEXT(place->value), (long long)place->begin, VALUE_TEXT(other->value),
				(long long)other->begin);
	}
	if (plan->nlive == LIVE_MAX)
		return node_error(node, plan->diag, "more than %d values are in use at once", LIVE_MAX);
	plan->live[plan->nlive++] = *place;
	return true;
}

static void plan_expire(Plan *plan, int64_t index)
{
	int kept = 0;
	for (int i = 0; i < plan->nlive; i++)
		if (plan->live[i].last >= index)
			plan->live[kept++] = plan->live[i];
	plan->nlive = kept;
}

static void plan_walk(Plan *plan)
{
	int64_t index = 0;
	plan_find_last_uses(plan);
	for (const Node *node = plan->graph->first; node; node = node->next, index++) {
		Place place;
		if (op_info[node->op].domain == DOMAIN_NONE)
			continue;
		plan_expire(plan, index);
		for (int i = 0; i < node->nresults; i++)
			if (plan_place(plan, node->results[i], &place) && !plan_add(plan, &place))
				return;
	}
}

static void verify_plan(const Graph *graph, Diag *diag)
{
	const ArenaPlan *arena = &graph->arena;
	const int64_t terms[] = {arena->per_token, arena->per_text, arena->per_pair, arena->per_thread_token,
		arena->per_thread, arena->per_block, arena->fixed};
	for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
		if (terms[i] < 0 || terms[i] > TENSOR_BYTES_MAX) {
			diag_error(diag, EXIT_INPUT, graph->line, "graph @%s: a term of its arena plan is %lld bytes",
				graph->name, (long long)terms[i]);
			return;
		}
	Plan *plan = checked_calloc(1, sizeof *plan);
	plan->graph = graph;
	plan->diag = diag;
	plan_walk(plan);
	value_map_free(&plan->map);
	free(plan->last_use);
	free(plan);
}

bool verify_lowered(const Graph *graph, Diag *diag)
{
	int errors = diag->errors;
	if (graph->level != LEVEL_LOWERED)
		return !graph->arena.planned
			|| diag_error(
				diag, EXIT_INPUT, graph->line, "graph @%s: an arena plan is for lowered code", graph->name);
	for (const Node *node = graph->first; node; node = node->next)
		verify_lowered_node(graph, node, diag);
	verify_chains(graph, diag);
	verify_lowered_outputs(graph, diag);
	if (graph->arena.planned && diag->errors == errors)
		verify_plan(graph, diag);
	return diag->errors == errors;
}
