/* prune_shared.c: layers that share weights, as in ALBERT, lose the same heads and neurons. Units are chosen
 * by the mean of their scores over these layers; the first layer's group, the leader, holds the choice. */
#include "prune.h"
#include <string.h>

/* True when the first `count` arguments but one are constants of the same numbers. */
static bool same_constants(const Node *a, const Node *b, int32_t count)
{
	for (int32_t i = 1; i < count; i++)
		if (value_tensor(a->args[i])->data != value_tensor(b->args[i])->data)
			return false;
	return true;
}

static bool same_weights(const Group *a, const Group *b)
{
	bool same = a->nin == b->nin && a->count == b->count && same_constants(a->out, b->out, 2);
	for (int32_t k = 0; same && k < a->nin; k++)
		same = a->in[k]->nargs == b->in[k]->nargs && same_constants(a->in[k], b->in[k], a->in[k]->nargs);
	return same;
}

int32_t groups_leader(const Groups *groups, const Group *group)
{
	int32_t g = 0;
	while (g < groups->count && !same_weights(&groups->at[g], group))
		g++;
	return g;
}

bool groups_may_refit(const Groups *groups, const UnitName *name, PassRun *run)
{
	for (int32_t g = 0; g < groups->count; g++)
		if (groups->at[g].leader != g)
			return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
				"%s: layers %d and %d share their weights, but a fit on data gives each layer its own; use "
				"by=magnitude, activation or accuracy without refit=yes",
				name->pass, groups->at[groups->at[g].leader].layer->number, groups->at[g].layer->number);
	return true;
}

void groups_average(Graph *graph, const Groups *groups)
{
	int32_t *sharers = mem_alloc(graph->module->mem, (size_t)groups->count * sizeof *sharers);
	for (int32_t g = 0; g < groups->count; g++) {
		const Group *group = &groups->at[g], *leader = &groups->at[group->leader];
		sharers[group->leader]++;
		for (int32_t u = 0; leader != group && u < group->count; u++)
			leader->score[u] += (group->score[u] - leader->score[u]) / sharers[group->leader];
	}
}

/* The layers with the weights of a leader, "0-11". */
static char *print_sharers(Graph *graph, const Groups *groups, int32_t leader)
{
	int32_t *numbers = mem_alloc(graph->module->mem, (size_t)groups->count * sizeof *numbers), count = 0;
	for (int32_t g = 0; g < groups->count; g++)
		if (groups->at[g].leader == leader)
			numbers[count++] = groups->at[g].layer->number;
	return layer_list_print(graph->module->mem, numbers, count);
}

bool groups_agree(Graph *graph, const Groups *groups, const UnitName *name, PassRun *run)
{
	for (int32_t g = 0; g < groups->count; g++) {
		const Group *group = &groups->at[g], *leader = &groups->at[group->leader];
		if (!memcmp(group->gone, leader->gone, (size_t)group->count * sizeof *group->gone))
			continue;
		const char *layers = print_sharers(graph, groups, group->leader);
		return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"%s: layers %s share their weights, so %s= must name the same %ss in all of them, as in %s=%s.0",
			name->pass, layers, name->key, name->one, name->key, layers);
	}
	return true;
}

void groups_follow(const Groups *groups)
{
	for (int32_t g = 0; g < groups->count; g++) {
		Group *group = &groups->at[g];
		const Group *leader = &groups->at[group->leader];
		memmove(group->gone, leader->gone, (size_t)group->count * sizeof *group->gone);
		group->ngone = leader->ngone;
	}
}
