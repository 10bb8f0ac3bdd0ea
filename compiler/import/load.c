/* load.c: whatever a person calls a model -> a verified module at graph level and its tokenizer. A directory
 * is a Hugging Face model, a .xml a model description, a .bir a graph. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "import.h"
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer.h"

#define FAMILY(function, name, doc) FamilyFn family_##function;
#include "compiler/families/families.def"
#undef FAMILY
static const struct {
	const char *name;
	FamilyFn *build;
} families[] = {
#define FAMILY(function, name, doc) {name, family_##function},
#include "compiler/families/families.def"
#undef FAMILY
};

/* ---- from a description ---------------------------------------------------------------------- */

Module *description_build(const ModelDesc *desc, const LoadOptions *options, Diag *diag)
{
	TensorFile **files;
	int32_t count = checkpoint_open(desc, options->search, &files, diag);
	Module *module = NULL;
	if (count == 0)
		return NULL;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (strcmp(families[i].name, desc->family) == 0) {
			module = families[i].build(desc, files, count, options, diag); /* the files are its own now */
			free(files);
			return module;
		}
	checkpoint_close(files, count);
	diag_error_in(diag, EXIT_UNSUPPORTED, desc->path, 0, "family \"%s\" is not known", desc->family);
	return NULL;
}

/* What --about and reports say about where the model came from. */
static bool set_meta(Module *module, const ModelDesc *desc, const LoadOptions *options, Diag *diag)
{
	char hex[65], line[256];
	if (!checkpoint_sha256(desc, options->search, hex, diag))
		return false;
	if (desc->family) {
		module_set_meta(module, "source", desc->family);
		snprintf(line, sizeof line, "%d layers, hidden %d, %d heads, ffn %d, %s", desc->layers, desc->hidden,
			desc->heads, desc->ffn, desc->activation);
		module_set_meta(module, "encoder", line);
	}
	module_set_meta(module, "model_sha256", hex);
	return true;
}

static bool load_description(ModelDesc *desc, const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	if (options->merge && !merge_parse(desc, options->merge, diag))
		return false;
	if (desc->nmerges) {
		if (!merge_load(desc, options, loaded, diag))
			return false;
	} else {
		loaded->module = desc->is_graph ? desc->module : description_build(desc, options, diag);
	}
	desc->module = NULL;
	if (!loaded->module || (desc->weights && !set_meta(loaded->module, desc, options, diag)))
		return false;
	if (desc->passes)
		loaded->passes = mem_string(loaded->mem, desc->passes, strlen(desc->passes));
	if (!desc->tokenizer)
		return true;
	loaded->tokenizer = tokenizer_import(
		desc->directory, desc->tokenizer, options->search, loaded->mem, diag);
	return loaded->tokenizer != NULL;
}

/* ---- from a graph ---------------------------------------------------------------------------- */

static bool load_graph(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	if (options->outputs)
		return diag_error(diag, EXIT_USAGE, 0,
			"--outputs is for directories and encoders; a graph says itself what it returns");
	Module *module = loaded->module = module_read(options->model, options->search, diag);
	if (!module)
		return false;
	if (options->max_tokens > 0 && (module->max_tokens == 0 || options->max_tokens < module->max_tokens))
		module->max_tokens = options->max_tokens;
	if (!module->tokenizer)
		return true;
	const char *directory = module->directory ? module->directory : ".";
	loaded->tokenizer = tokenizer_import(directory, module->tokenizer, options->search, loaded->mem, diag);
	return loaded->tokenizer != NULL;
}

/* Which graph this is: its text tells all but the constants' data, for which the checkpoint's hash stands
 * where there is one. */
static bool hash_graph(Loaded *loaded, bool from_checkpoint, Diag *diag)
{
	size_t count = 1;
	const Module *module = loaded->module;
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next)
			count += node->op == OP_CONST && !from_checkpoint;
	char *text = module_text(module, &(PrintOptions){.elide_constants = true});
	const void **parts = calloc(count, sizeof *parts);
	size_t *bytes = calloc(count, sizeof *bytes), at = 0;
	bool good = text && parts && bytes;
	if (good) {
		parts[at] = text, bytes[at++] = strlen(text);
		for (int32_t g = 0; g < module->ngraphs; g++)
			for (const Node *node = module->graphs[g]->first; node; node = node->next)
				if (node->op == OP_CONST && !from_checkpoint)
					parts[at] = node->data->data, bytes[at++] = (size_t)node->data->bytes;
		toolchain_sha256(parts, bytes, (int)at, loaded->graph_sha256);
	}
	free(text), free(parts), free(bytes);
	return good || diag_error(diag, EXIT_RUN, 0, "out of memory");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);
	return length > tail && strcmp(text + length - tail, suffix) == 0;
}

/* A copy of a template with types that have a row. */
static TemplateItem *known_types(const TemplateItem *items, int32_t count, int64_t rows, MemArena *mem)
{
	TemplateItem *copy = mem_alloc(mem, (size_t)(count > 0 ? count : 1) * sizeof *copy);
	for (int32_t i = 0; i < count; i++) {
		copy[i] = items[i];
		if (copy[i].type >= rows)
			copy[i].type = 0;
	}
	return copy;
}

/* Segments that the table of types has no row for count as the first, as --ids has it: an encoder with one
 * type takes pairs. */
static void check_types(Loaded *loaded)
{
	TokenizerDesc *tokenizer = loaded->tokenizer;
	if (!tokenizer || loaded->module->ngraphs == 0 || loaded->module->graphs[0]->ninputs < 2)
		return;
	const Graph *graph = loaded->module->graphs[0];
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_EMBED && node->args[1] == graph->inputs[1]) {
			const int64_t rows = node->args[0]->type.dim[0].plus;
			tokenizer->single = known_types(tokenizer->single, tokenizer->nsingle, rows, loaded->mem);
			tokenizer->pair = known_types(tokenizer->pair, tokenizer->npair, rows, loaded->mem);
		}
}

/* Ids that the tokenizer makes should be rows of the word table, which is the constant that %ids picks from.
 * The program refuses the others when it meets one, so that a token nobody uses is no reason to stop here. */
static void check_vocabulary(const Loaded *loaded, const char *model, Diag *diag)
{
	if (!loaded->tokenizer || loaded->module->ngraphs == 0)
		return;
	const Graph *graph = loaded->module->graphs[0];
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_EMBED && graph->ninputs > 0 && node->args[1] == graph->inputs[0]
			&& loaded->tokenizer->nvocab > node->args[0]->type.dim[0].plus)
			diag_warn(diag, 0,
				"%s: the tokenizer has %d tokens, but the word table only %jd rows; a text with one of the "
				"others is an error",
				model, loaded->tokenizer->nvocab, (intmax_t)node->args[0]->type.dim[0].plus);
}

bool model_load(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	struct stat st;
	bool good, from_checkpoint = false, is_directory = stat(options->model, &st) == 0 && S_ISDIR(st.st_mode);
	*loaded = (Loaded){.mem = mem_new()};
	if (options->merge && !is_directory) {
		good = diag_error(diag, EXIT_USAGE, 0,
			"--merge=%s: is for a base that is a directory; a description names its tasks itself",
			options->merge);
	} else if (!is_directory && options->task) {
		good = diag_error(
			diag, EXIT_USAGE, 0, "--task is for directories; this file says itself what it is for");
	} else if (!is_directory && (has_suffix(options->model, ".bir") || strcmp(options->model, "-") == 0)) {
		good = load_graph(options, loaded, diag);
	} else {
		ModelDesc *desc = NULL;
		if (is_directory)
			desc = description_from_hf(options->model, options, diag);
		else if (has_suffix(options->model, ".xml"))
			desc = description_from_xml(options->model, options, diag);
		else
			diag_error_in(
				diag, EXIT_INPUT, options->model, 0, "is neither a directory nor a .xml or .bir file");
		loaded->desc = desc;
		good = desc && load_description(desc, options, loaded, diag);
		from_checkpoint = desc && desc->weights && !desc->nmerges;
	}
	good = good && module_verify(loaded->module, diag) && hash_graph(loaded, from_checkpoint, diag);
	if (good) {
		check_types(loaded);
		check_vocabulary(loaded, options->model, diag);
	} else {
		model_unload(loaded);
	}
	return good;
}

void model_unload(Loaded *loaded)
{
	module_free(loaded->module);
	for (int32_t i = 0; i < loaded->nmerged; i++)
		module_free(loaded->merged[i]);
	description_free(loaded->desc);
	mem_free(loaded->mem);
	*loaded = (Loaded){0};
}
