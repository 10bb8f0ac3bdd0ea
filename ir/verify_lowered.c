/* verify_lowered.c: invariants L1 to L4 of verify.c. The last one is the safety net under plan-memory: a plan that lets two
 * live values overlap gives wrong numbers without any other sign. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "verify.h"

enum {
	OFFSET_ALIGNMENT = 64,
	LIVE_MAX = 4096,           /* values alive at once: BERT has some ten; bounds the time that a hostile file can take */
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
		node_error(node, diag, "kernel \"%s\" is no C identifier", node->attr.kernel);
	for (int i = 0; i < node->nresults; i++)
		if (type_region(&node->results[i]->type, &bytes) == REGION_NONE)
			node_error(node, diag, "%s is %s, which has no place in the arena", VALUE_TEXT(node->results[i]),
				type_print(&node->results[i]->type, (char[128]){0}));
	if (!graph->arena.planned && (node->attr.has & A_offset))
		node_error(node, diag, "has an offset, but the graph has no arena plan");
	if (graph->arena.planned && (!(node->attr.has & A_offset) || node->attr.offset.count != node->nresults))
		node_error(node, diag, "expected %d offset%s, as the graph has an arena plan", node->nresults,
			node->nresults == 1 ? "" : "s");
}

static void verify_lowered_outputs(const Graph *graph, Diag *diag)
{
	int line = graph->return_line ? graph->return_line : graph->line;
	for (int i = 0; i < graph->noutputs; i++) {
		const GraphOutput *output = &graph->outputs[i];
		if (!output->value->node || op_info[output->value->node->op].domain == DOMAIN_NONE)
			diag_error(diag, EXIT_UNSUPPORTED, line, "graph @%s: output %s is not computed but an input or a constant",
				graph->name, output->name);
		else if (output->value->type.dtype != DT_F32)
			diag_error(diag, EXIT_INPUT, line, "graph @%s: output %s is %s, expected f32", graph->name, output->name,
				type_print(&output->value->type, (char[128]){0}));
	}
}

/* ---- the plan ------------------------------------------------------------------------------------------------------ */

/* A value in the arena: it has [begin, end) of each unit of its region, until node number `last` has run. */
typedef struct Place { const Value *value; Region region; int64_t begin, end, last; } Place;

typedef struct Plan {
	const Graph *graph;
	Diag        *diag;
	ValueMap     map;
	int64_t     *last_use;                 /* by number of the value; -1: nobody reads it */
	Place        live[LIVE_MAX];
	int          nlive;
} Plan;

static void plan_find_last_uses(Plan *plan)
{
	int64_t index = 0;
	value_map_init(&plan->map, plan->graph);
	plan->last_use = checked_calloc((size_t)plan->map.count, sizeof *plan->last_use);
	memset(plan->last_use, 0xff, (size_t)plan->map.count * sizeof *plan->last_use);
	for (const Node *node = plan->graph->first; node; node = node->next, index++)
		for (int i = 0; i < node->nargs; i++)
			plan->last_use[value_map_find(&plan->map, node->args[i])] = index;
	for (int i = 0; i < plan->graph->noutputs; i++)
		plan->last_use[value_map_find(&plan->map, plan->graph->outputs[i].value)] = INT64_MAX;
}

/* L3: reads the value's place from its node. */
static bool plan_place(Plan *plan, const Value *value, Place *place)
{
	const ArenaPlan *arena = &plan->graph->arena;
	const struct { const char *name; int64_t bytes; } regions[] = {
		[REGION_TOKENS] = {"per_token", arena->per_token},
		[REGION_TEXTS] = {"per_text", arena->per_text},
		[REGION_PAIRS] = {"per_pair", arena->per_pair},
	};
	const Node *node = value->node;
	int64_t offset = node->attr.offset.at[value->index], bytes = 0, last = plan->last_use[value_map_find(&plan->map, value)];
	Region region = type_region(&value->type, &bytes);
	if (offset < 0 || offset % OFFSET_ALIGNMENT != 0)
		return node_error(node, plan->diag, "%s has offset %lld, expected a multiple of %d", VALUE_TEXT(value), (long long)offset,
			OFFSET_ALIGNMENT);
	if (offset > regions[region].bytes || bytes > regions[region].bytes - offset)
		return node_error(node, plan->diag, "%s takes %lld bytes at offset %lld, past %s=%lld", VALUE_TEXT(value),
			(long long)bytes, (long long)offset, regions[region].name, (long long)regions[region].bytes);
	*place = (Place){value, region, offset, offset + bytes, last};
	return true;
}

/* L4: the new value against all that live while it is written. */
static bool plan_add(Plan *plan, const Place *place)
{
	const Node *node = place->value->node;
	for (int i = 0; i < plan->nlive; i++) {
		const Place *other = &plan->live[i];
		if (other->region == place->region && other->begin < place->end && place->begin < other->end)
			node_error(node, plan->diag, "%s at offset %lld overlaps %s at offset %lld, which is still in use",
				VALUE_TEXT(place->value), (long long)place->begin, VALUE_TEXT(other->value), (long long)other->begin);
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
	const int64_t terms[] = {arena->per_token,        arena->per_text,   arena->per_pair,
	                         arena->per_thread_token, arena->per_thread, arena->fixed};
	for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
		if (terms[i] < 0 || terms[i] > TENSOR_BYTES_MAX) {
			diag_error(diag, EXIT_INPUT, graph->line, "graph @%s: a term of its arena is %lld bytes", graph->name,
				(long long)terms[i]);
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
		return !graph->arena.planned ||
			diag_error(diag, EXIT_INPUT, graph->line, "graph @%s: an arena plan is for lowered code", graph->name);
	for (const Node *node = graph->first; node; node = node->next)
		verify_lowered_node(graph, node, diag);
	verify_lowered_outputs(graph, diag);
	if (graph->arena.planned && diag->errors == errors)
		verify_plan(graph, diag);
	return diag->errors == errors;
}
