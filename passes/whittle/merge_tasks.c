/* merge_tasks.c: `merge-tasks` joins a module's graphs, one per task, into one graph with shared weights.
 *
 *   graph @stsb(%ids) {                                    graph @stsb(%ids) {
 *     %x = embed %words, %ids                                %x = embed %words, %ids
 *     %y = linear %x, %w, %b1   # layer.0.q                  %y = linear %x, %w, %b1   # stsb/layer.0.q
 *     return stsb=%y }                                ->     %z = linear %x, %w, %b2   # mrpc/layer.0.q
 *   graph @mrpc(%ids) {                                      return stsb=%y, mrpc=%z }
 *     %v = embed %words, %ids
 *     %z = linear %v, %w, %b2   # layer.0.q
 *     return mrpc=%z }
 *
 * Ops that both graphs compute from equal constants are computed once. For tasks that differ in biases
 * (BitFit: Ben Zaken, Goldberg, Ravfogel, 2022), these are all ops before the first different bias; for heads
 * on one trunk (CERBERUS, 2021), the trunk. Equal weights become one constant. Ops that only one task needs
 * get the task's name before their origin. A program runs only the ops that the requested outputs need. */
#include "calibrate.h"
#include <stdlib.h>
#include <string.h>

static bool inputs_equal(const Graph *a, const Graph *b)
{
	bool same = a->ninputs == b->ninputs;
	for (int32_t i = 0; same && i < a->ninputs; i++)
		same = type_equal(&a->inputs[i]->type, &b->inputs[i]->type);
	return same;
}

static bool has_output(const Graph *graph, const char *name)
{
	for (int32_t i = 0; i < graph->noutputs; i++)
		if (!strcmp(graph->outputs[i].name, name))
			return true;
	return false;
}

/* Appends all nodes and outputs of `from` to `graph`. */
static void append(Graph *graph, const Graph *from)
{
	Value **map = checked_calloc((size_t)from->next_id + 1, sizeof *map);
	for (int32_t i = 0; i < from->ninputs; i++)
		map[from->inputs[i]->id] = graph->inputs[i];
	for (const Node *node = from->first; node; node = node->next) {
		Value *args[ARGS_MAX];
		for (int32_t i = 0; i < node->nargs; i++)
			args[i] = map[node->args[i]->id];
		node_clone(graph, node, args, map);
	}
	for (int32_t i = 0; i < from->noutputs; i++)
		graph_add_output(graph, from->outputs[i].name, map[from->outputs[i].value->id]);
	free(map);
}

/* The number of the only task that needs a value; -1 for several tasks. first[t]: the first output of task t.
 */
static int32_t only_task(uint32_t reached, const int32_t *first, int32_t tasks)
{
	for (int32_t t = 0; t < tasks; t++) {
		const uint32_t own = (uint32_t)((UINT64_C(1) << first[t + 1]) - (UINT64_C(1) << first[t]));
		if (reached && !(reached & ~own))
			return t;
	}
	return -1;
}

static void name_origins(
	Graph *graph, const char *const *names, const int32_t *first, int32_t tasks, PassRun *run)
{
	uint32_t *reached = checked_calloc((size_t)graph->next_id + 1, sizeof *reached);
	int32_t shared = 0, all = 0;
	graph_reach_outputs(graph, reached);
	for (Node *node = graph->first; node; node = node->next) {
		const int32_t task = node->nresults ? only_task(reached[node->results[0]->id], first, tasks) : -1;
		if (task >= 0 && node->origin && node->op != OP_CONST)
			node_set_origin(graph, node, mem_printf(graph->module->mem, "%s/%s", names[task], node->origin));
		all += node->op != OP_CONST;
		shared += node->op != OP_CONST && task < 0;
	}
	free(reached);
	pass_note(run, NULL, "%d of %d ops serve several tasks", shared, all);
}

bool pass_merge_tasks(Graph *graph, PassRun *run)
{
	Module *module = graph->module;
	const int32_t tasks = module->ngraphs;
	if (tasks == 1 || graph != module->graphs[0])
		return true;
	const char **names = mem_alloc(module->mem, (size_t)tasks * sizeof *names);
	int32_t *first = mem_alloc(module->mem, ((size_t)tasks + 1) * sizeof *first), outputs = 0;
	const Graph *thins = NULL;
	for (int32_t t = 0; t < tasks; first[++t] = outputs) {
		const Graph *from = module->graphs[t];
		names[t] = from->name;
		outputs += from->noutputs;
		if (from->level != graph->level || from->level == LEVEL_LOWERED || !inputs_equal(graph, from))
			return diag_error(run->diag, EXIT_UNSUPPORTED, from->line,
				"merge-tasks: graphs @%s and @%s differ in inputs or level, or are lowered", graph->name,
				from->name);
		for (const Node *node = from->first; node; node = node->next)
			if (node->op == OP_EXIT)
				return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
					"merge-tasks: graph @%s has exits; a text would end for all tasks at once", from->name);
			else if (node->op == OP_THIN && thins && thins != from)
				return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
					"merge-tasks: graphs @%s and @%s both drop tokens; a merged program can do so for one "
					"task only",
					thins->name, from->name);
			else if (node->op == OP_THIN)
				thins = from;
		for (int32_t i = 0; i < from->noutputs && t > 0; i++)
			if (has_output(graph, from->outputs[i].name))
				return diag_error(run->diag, EXIT_UNSUPPORTED, from->return_line,
					"merge-tasks: graph @%s and an earlier graph both return %s; outputs must differ in name",
					from->name, from->outputs[i].name);
		if (outputs > 32)
			return diag_error(run->diag, EXIT_UNSUPPORTED, from->line,
				"merge-tasks: more than 32 outputs, the limit of a program");
		if (t > 0)
			append(graph, from);
	}
	module->ngraphs = 1;
	if (!pass_cse(graph, run))
		return false;
	name_origins(graph, names, first, tasks, run);
	run->changes += tasks - 1;
	return true;
}
