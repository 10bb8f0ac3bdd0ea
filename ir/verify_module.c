/* verify_module.c: invariants M1 and M2 of verify.c: names, files, options and heads of a module. */
#include <math.h>
#include <string.h>
#include "verify.h"

enum { HEADS_AND_GRAPHS_MAX = 1024 }; /* all pairs are compared; no model has so many */

/* Whether the name is that of a file beside the module. A path could lead elsewhere. */
static bool file_name_is_plain(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void verify_unique(const Module *module, Diag *diag)
{
	for (int i = 0; i < module->ngraphs; i++)
		for (int k = 0; k < i; k++)
			if (strcmp(module->graphs[i]->name, module->graphs[k]->name) == 0)
				diag_error(diag, EXIT_INPUT, module->graphs[i]->line, "two graphs are called @%s",
					module->graphs[i]->name);
	for (int i = 0; i < module->nheads; i++)
		for (int k = 0; k < i; k++)
			if (strcmp(module->heads[i].name, module->heads[k].name) == 0)
				diag_error(diag, EXIT_INPUT, module->heads[i].line, "two heads are called @%s",
					module->heads[i].name);
	for (int i = 0; i < module->nmeta; i++)
		for (int k = 0; k < i; k++)
			if (strcmp(module->meta[i].key, module->meta[k].key) == 0)
				diag_error(diag, EXIT_INPUT, 0, "two meta lines have the key \"%s\"", module->meta[i].key);
}

/* M1. False: the module cannot be checked further. */
static bool verify_names(const Module *module, Diag *diag)
{
	int errors = diag->errors;
	if (!name_is_valid(module->name))
		diag_error(
			diag, EXIT_INPUT, 0, "module name \"%s\" is not a valid name", module->name ? module->name : "");
	if (module->weights && !file_name_is_plain(module->weights))
		diag_error(diag, EXIT_INPUT, 0, "weights \"%s\" is not a plain file name", module->weights);
	if (module->tokenizer && !file_name_is_plain(module->tokenizer))
		diag_error(diag, EXIT_INPUT, 0, "tokenizer \"%s\" is not a plain file name", module->tokenizer);
	if (module->max_tokens < 0)
		diag_error(diag, EXIT_INPUT, 0, "max_tokens is %d, expected a number >= 0", module->max_tokens);
	if (module->ngraphs < 1 || module->ngraphs > HEADS_AND_GRAPHS_MAX || module->nheads > HEADS_AND_GRAPHS_MAX
		|| module->nmeta > HEADS_AND_GRAPHS_MAX)
		return diag_error(diag, EXIT_INPUT, 0,
			"%d graphs, %d heads and %d meta lines, expected at least one graph and at most %d of each",
			module->ngraphs, module->nheads, module->nmeta, HEADS_AND_GRAPHS_MAX);
	for (int i = 0; i < module->ngraphs; i++)
		if (!name_is_valid(module->graphs[i]->name))
			diag_error(diag, EXIT_INPUT, module->graphs[i]->line, "graph %d has no valid name", i);
	for (int i = 0; i < module->nheads; i++)
		if (!name_is_valid(module->heads[i].name))
			diag_error(diag, EXIT_INPUT, module->heads[i].line, "head %d has no valid name", i);
	for (int i = 0; i < module->noptions; i++) {
		const Option *option = &module->options[i];
		if (!name_is_valid(option->name) || module_find_option(module, option->name) != i
			|| !isfinite(option->value))
			diag_error(diag, EXIT_INPUT, option->line,
				"option %d: expected a valid, unique name and a finite default", i);
	}
	return diag->errors == errors;
}

/* Whether the task can read a value of this type: f32, one row per text or per token. If so, sets
 * *columns. */
static bool head_takes(Task task, const Type *type, int64_t *columns)
{
	bool per_token = task == TASK_TAG || task == TASK_QA || task == TASK_FILL_MASK
		|| task == TASK_MULTI_VECTOR;
	if (type->dtype != DT_F32 || type->rank != (per_token ? 2 : 1)
		|| !dim_is_number(type->dim[type->rank - 1]))
		return false;
	if (per_token && type_rows(type) != 1)
		return false;
	*columns = type->dim[type->rank - 1].plus;
	if (task == TASK_CHOICE)
		return *columns == 1;
	return task != TASK_QA || *columns == 2;
}

static bool head_names_columns(const Head *head)
{
	if (head->task == TASK_TAG || (head->task == TASK_CLASSIFY && head->problem != PROBLEM_REGRESSION))
		return true;
	return head->nlabels > 0 && (head->task == TASK_RANK || head->task == TASK_CLASSIFY);
}

static void verify_head_output(const Head *head, const Value *value, Diag *diag)
{
	static const char *const shapes[TASK_COUNT] = {
		[TASK_CLASSIFY] = "f32[labels]",
		[TASK_TAG] = "f32[S,labels]",
		[TASK_EMBED] = "f32[size]",
		[TASK_RANK] = "f32[scores]",
		[TASK_QA] = "f32[S,2]",
		[TASK_FILL_MASK] = "f32[S,words]",
		[TASK_CHOICE] = "f32[1]",
		[TASK_MULTI_VECTOR] = "f32[S,size]",
		[TASK_SPARSE] = "f32[words]",
	};
	int64_t columns = 0;
	if (!head_takes(head->task, &value->type, &columns))
		diag_error(diag, EXIT_INPUT, head->line, "head @%s: output %s is %s, but %s reads %s", head->name,
			head->output, type_print(&value->type, (char[128]){0}), task_names[head->task],
			shapes[head->task]);
	else if (head_names_columns(head) && head->nlabels != columns)
		diag_error(diag, EXIT_INPUT, head->line, "head @%s: %d labels for the %lld columns of output %s",
			head->name, head->nlabels, (long long)columns, head->output);
}

/* M2. */
bool verify_heads(const Module *module, Diag *diag)
{
	int errors = diag->errors;
	for (int i = 0; i < module->nheads; i++) {
		const Head *head = &module->heads[i];
		bool found = false;
		if ((unsigned)head->task >= TASK_COUNT || (unsigned)head->problem >= PROBLEM_COUNT || !head->output
			|| head->nlabels < 0 || head->nlabels > LABELS_MAX) {
			diag_error(diag, EXIT_INPUT, head->line,
				"head @%s: the task, the problem, the output or the number of labels is invalid", head->name);
			continue;
		}
		if (head->task == TASK_CHOICE && module->nheads > 1)
			diag_error(diag, EXIT_INPUT, head->line,
				"head @%s: a choice reads lines of several choices, which no other head can read beside it; "
				"build it alone",
				head->name);
		if (head->task == TASK_MULTI_VECTOR && module->nheads > 1)
			diag_error(diag, EXIT_INPUT, head->line,
				"head @%s: no other head can stand beside multi-vector, which may leave tokens out",
				head->name);
		for (int k = 0; k < head->nlabels; k++)
			if (!head->labels[k] || strlen(head->labels[k]) > NAME_BYTES_MAX)
				diag_error(diag, EXIT_INPUT, head->line, "head @%s: label %d is longer than %d bytes",
					head->name, k, NAME_BYTES_MAX);
		for (int g = 0; g < module->ngraphs; g++)
			for (int k = 0; k < module->graphs[g]->noutputs; k++)
				if (strcmp(module->graphs[g]->outputs[k].name, head->output) == 0) {
					verify_head_output(head, module->graphs[g]->outputs[k].value, diag);
					found = true;
				}
		if (!found)
			diag_error(diag, EXIT_INPUT, head->line, "head @%s: no graph has the output %s", head->name,
				head->output);
	}
	return diag->errors == errors;
}

/* Checks heads last: their check needs graphs with valid types. */
bool module_verify(const Module *module, Diag *diag)
{
	int errors = diag->errors;
	if (!verify_names(module, diag))
		return false;
	bool sound = true;
	verify_unique(module, diag);
	for (int i = 0; i < module->ngraphs; i++)
		sound &= graph_verify(module->graphs[i], diag);
	if (sound)
		verify_heads(module, diag);
	return diag->errors == errors;
}
