/* import/merge.c: builds several checkpoints with one base as one module: `--merge=stsb=DIR,mrpc=DIR`, or
 * <merge> in a description. A directory has a whole checkpoint, or a delta.safetensors with the tensors that
 * differ from the base's and those of its head. Each task becomes a graph, as if it were built alone, but
 * tensors equal to the base's are shared. merge-tasks then joins the graphs. If the pipeline contains
 * merge-tasks, the passes before it change each graph separately ("drop-layers{keep=4},merge-tasks"). */
#include <stdlib.h>
#include <string.h>
#include "import.h"
#include "compiler/model/family.h"
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer.h"

bool merge_parse(ModelDesc *desc, const char *list, Diag *diag)
{
	char *text = mem_string(desc->mem, list, strlen(list)), *rest;
	desc->nmerges = 0;
	for (char *item = strtok_r(text, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
		char *equals = strchr(item, '=');
		if (!equals || equals == item || !equals[1])
			return diag_error(
				diag, EXIT_USAGE, 0, "--merge=%s: expected NAME=DIR, or several separated by commas", list);
		*equals = '\0';
		if (desc->nmerges == HEADS_MAX)
			return diag_error(diag, EXIT_USAGE, 0, "--merge: more than %d tasks", HEADS_MAX);
		desc->merge[desc->nmerges++] = (struct MergeDesc){item, equals + 1};
	}
	return desc->nmerges > 0
		|| diag_error(diag, EXIT_USAGE, 0, "--merge=%s: expected at least one NAME=DIR", list);
}

static bool check_names(const ModelDesc *desc, Diag *diag)
{
	for (int32_t i = 0; i < desc->nmerges; i++) {
		const char *name = desc->merge[i].name;
		if (!name_is_valid(name))
			return diag_error_in(diag, EXIT_USAGE, desc->path, 0,
				"task name \"%s\": expected a letter or '_', then letters, digits, '_', '.' or '-'", name);
		for (int32_t k = 0; k < i; k++)
			if (strcmp(name, desc->merge[k].name) == 0)
				return diag_error_in(diag, EXIT_USAGE, desc->path, 0, "two tasks have the name %s", name);
	}
	return true;
}

/* All tasks must have the base's tokenizer, because a text is tokenized once. */
static bool check_tokenizer(
	const TokenizerDesc *base, const ModelDesc *task, const LoadOptions *options, Diag *diag)
{
	if (!base || !task->tokenizer)
		return true;
	MemArena *mem = mem_new();
	const TokenizerDesc *own = description_tokenizer(task, options, mem, diag);
	const bool same = own && tokenizer_equal(own, base);
	if (own && !same)
		diag_error_in(diag, EXIT_UNSUPPORTED, task->path, 0,
			"has a different tokenizer than the base; tasks of one program share a tokenizer");
	mem_free(mem);
	return same;
}

/* The base's tensor with the same name (with any prefix) if it has the same data; else a view of the task's
 * tensor with a unique name. */
static const Tensor *share_tensor(
	Module *module, const Family *family, const Tensor *tensor, const char *task)
{
	const char *name = tensor->name ? tensor->name : "const", *other;
	char text[SPELLING_BYTES];
	const Tensor *base = module_find_tensor(module, name);
	for (int i = 0; !base && (other = family_spelling(family, name, i, text)); i++)
		base = module_find_tensor(module, other);
	if (base && tensor_equal(base, tensor))
		return base;
	Tensor *own = mem_alloc(module->mem, sizeof *own);
	*own = *tensor;
	own->name = mem_printf(module->mem, "%s/%s", task, family_bare_name(family, name));
	own->file = NULL;
	return own;
}

/* Adds the task's graph and heads to the module. Outputs and heads get the task's name. */
static bool take_task(Module *module, const Family *family, Module *from, const char *task, Diag *diag)
{
	Graph *graph = graph_copy(module, from->graphs[0]);
	MemArena *mem = module->mem;
	graph->name = mem_string(mem, task, strlen(task));
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_CONST)
			node->data = share_tensor(module, family, node->data, task);
	if (from->nheads == 0)
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "task %s has no head", task);
	for (int32_t i = 0; i < graph->noutputs; i++) {
		const char *old = graph->outputs[i].name, *name = task;
		bool named = false;
		for (int32_t h = 0; h < from->nheads; h++) {
			const Head *head = &from->heads[h];
			if (strcmp(head->output, old) != 0)
				continue;
			if (from->nheads > 1)
				name = mem_printf(mem, "%s.%s", task, head->name);
			Head *to = module_add_head(module, name);
			const char *own = to->name;
			*to = *head; /* the task's module owns the labels and lives as long */
			to->name = own;
			to->output = own;
			name = own;
			named = true;
		}
		graph->outputs[i].name = named ? name : mem_printf(mem, "%s.%s", task, old);
	}
	return true;
}

static bool load_task(const ModelDesc *base, const struct MergeDesc *merge, const TokenizerDesc *tokenizer,
	const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	LoadOptions own = *options;
	own.base = base;
	ModelDesc *desc = description_from_hf(merge->directory, &own, diag);
	Module *module = loaded->module, *from = NULL;
	bool good = desc
		&& (!desc->late
			|| diag_error_in(diag, EXIT_UNSUPPORTED, merge->directory, 0,
				"has a vector for each token (multi-vector), which no other task can stand beside"))
		&& check_tokenizer(tokenizer, desc, options, diag) && (from = description_build(desc, &own, diag));
	if (good) {
		loaded->merged[loaded->nmerged++] = from;
		if (module->max_tokens == 0 || desc->max_tokens < module->max_tokens)
			module->max_tokens = desc->max_tokens;
		good = take_task(module, desc->family, from, merge->name, diag);
	}
	if (desc)
		description_free(desc);
	return good;
}

bool merge_graphs(Module *module, Diag *diag)
{
	if (module->ngraphs == 1)
		return true;
	const PassEnv env = {0};
	Pipeline *pipeline = pipeline_parse("merge-tasks", diag);
	const bool good = pipeline && module_verify(module, diag)
		&& pipeline_run(pipeline, module, &env, NULL, NULL, diag);
	pipeline_free(pipeline);
	return good;
}

bool merge_load(ModelDesc *desc, const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	TensorFile **files;
	const int32_t count = check_names(desc, diag) ? checkpoint_open(desc, options->search, &files, diag) : 0;
	if (count == 0)
		return false;
	MemArena *mem = mem_new();
	Module *module = module_new(desc->name);
	desc->late = NULL; /* of the base only the weights count */
	loaded->module = module;
	for (int32_t i = 0; i < count; i++)
		module_add_file(module, files[i]);
	free(files);
	module->weights = mem_string(module->mem, desc->weights, strlen(desc->weights));
	module->tokenizer = desc->tokenizer ? mem_string(module->mem, desc->tokenizer, strlen(desc->tokenizer))
										: NULL;
	module->directory = mem_string(module->mem, desc->directory, strlen(desc->directory));
	module->max_tokens = desc->from_config ? options->max_tokens
										   : desc->max_tokens; /* then the limits of the tasks */
	loaded->merged = mem_alloc(loaded->mem, (size_t)desc->nmerges * sizeof(Module *));
	const TokenizerDesc *tokenizer = desc->tokenizer ? description_tokenizer(desc, options, mem, diag) : NULL;
	bool good = !desc->tokenizer || tokenizer;
	for (int32_t i = 0; i < desc->nmerges && good; i++)
		good = load_task(desc, &desc->merge[i], tokenizer, options, loaded, diag);
	mem_free(mem);
	return good && (options->merge_later || merge_graphs(module, diag));
}
