/* load.c: reads a model with an importer of importers.def -> a verified module at graph level and its
 * tokenizer. An importer makes either a module or a description. For a description, this file or, for several
 * tasks, merge.c builds the module. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "import.h"
#include "compiler/model/family.h"
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer.h"

/* ---- which importer -------------------------------------------------------------------------- */

typedef struct Importer {
	const char *reads;
	unsigned options;
	bool (*takes)(const char *path);
	bool (*import)(const LoadOptions *, Loaded *, Diag *);
} Importer;
static const Importer importers[] = {
#define IMPORTER(NAME, reads, doc, options) {reads, options, import_##NAME##_takes, import_##NAME},
#include "importers.def"
#undef IMPORTER
};
enum { IMPORTERS = sizeof importers / sizeof *importers };

const char *importers_text(ImportOptions options, char text[IMPORTERS_BYTES])
{
	int32_t left = 0;
	size_t at = 0;
	for (int i = 0; i < IMPORTERS; i++)
		left += (importers[i].options & options) == options;
	text[0] = '\0';
	for (int i = 0; i < IMPORTERS && at < IMPORTERS_BYTES; i++) {
		if ((importers[i].options & options) != options)
			continue;
		const char *gap = left > 2 ? ", " : " or ";
		at += (size_t)snprintf(
			text + at, IMPORTERS_BYTES - at, "%s%s", importers[i].reads, left > 1 ? gap : "");
		left--;
	}
	return text;
}

static const Importer *find_importer(const char *path, Diag *diag)
{
	char known[IMPORTERS_BYTES];
	for (int i = 0; i < IMPORTERS; i++)
		if (importers[i].takes(path))
			return &importers[i];
	const char *problem = access(path, F_OK) == 0 ? "the name has no known suffix" : strerror(errno);
	diag_error_in(
		diag, EXIT_INPUT, path, 0, "is not a model: %s; expected %s", problem, importers_text(0, known));
	return NULL;
}

/* Refuses options that the importer does not accept, because ignoring them could change the answer. */
static bool check_options(const Importer *importer, const LoadOptions *options, Diag *diag)
{
	static const struct {
		ImportOptions option;
		const char *name, *why;
	} table[] = {
#define IMPORT_OPTION(NAME, field, why) {IMPORT_##NAME, #field, why},
#include "importers.def"
#undef IMPORT_OPTION
	};
	const char *const given[] = {
#define IMPORT_OPTION(NAME, field, why) options->field,
#include "importers.def"
#undef IMPORT_OPTION
	};
	char takers[IMPORTERS_BYTES];
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (given[i] && !(importer->options & table[i].option))
			return diag_error(diag, EXIT_USAGE, 0, "--%s=%s is only for %s; %s", table[i].name, given[i],
				importers_text(table[i].option, takers), table[i].why);
	return true;
}

/* ---- from a description ---------------------------------------------------------------------- */

/* The SHA-256 of all weight files, one after another, as 64 digits. */
static void hash_files(const Module *module, char hex[65])
{
	MemArena *mem = mem_new();
	const size_t count = (size_t)module->nfiles;
	const void **parts = mem_alloc(mem, count * sizeof *parts);
	size_t *bytes = mem_alloc(mem, count * sizeof *bytes);
	for (size_t i = 0; i < count; i++)
		parts[i] = tensor_file_bytes(module->files[i], &bytes[i]);
	sha256_hex(parts, bytes, (int)count, hex);
	mem_free(mem);
}

enum { SIZE_TEXT_BYTES = 32 };
static int print_size(char text[SIZE_TEXT_BYTES], const char *about, int32_t size)
{
	return *about ? snprintf(text, SIZE_TEXT_BYTES, about, size) : 0;
}

/* Values of META_PLAIN_TOKENS. */
static const char *const token_words[] = {
	[TOKENS_SPECIAL] = "false", [TOKENS_ALONE] = "true", [TOKENS_PLAIN] = "template"};

/* The origin of the model, for --about and reports. */
static void set_meta(Module *module, const ModelDesc *desc)
{
	char hex[65], line[SIZE_COUNT * SIZE_TEXT_BYTES + NAME_BYTES_MAX];
	hash_files(module, hex);
	if (desc->family) {
		module_set_meta(module, "source", desc->family->model_type);
		int at = 0;
#define SIZE(NAME, field, least, most, about) at += print_size(line + at, about, desc->field);
#include "compiler/model/sizes.def"
#undef SIZE
		snprintf(line + at, sizeof line - (size_t)at, "%s", desc->activation);
		module_set_meta(module, "encoder", line);
	}
	module_set_meta(module, "model_sha256", hex);
	for (int32_t i = 0; i < desc->nprompts; i++) {
		snprintf(line, sizeof line, "%s%s", META_PROMPT, desc->prompt[i].name);
		module_set_meta(module, line, desc->prompt[i].text);
	}
	if (desc->unknown_keys)
		module_set_meta(module, META_UNKNOWN_KEYS, desc->unknown_keys);
	if (desc->default_prompt)
		module_set_meta(module, META_DEFAULT_PROMPT, desc->default_prompt);
	if (desc->lowercase)
		module_set_meta(module, META_LOWERCASE, "1");
	if (desc->late)
		description_late_meta(desc, module);
	if (desc->family && desc->family->tokens)
		module_set_meta(module, META_PLAIN_TOKENS, token_words[desc->family->tokens]);
	if (desc->similarity)
		module_set_meta(module, META_SIMILARITY, desc->similarity);
	else if (desc->nheads > 0 && strcmp(desc->head[0].task, task_names[TASK_SPARSE]) == 0)
		module_set_meta(module, META_SIMILARITY, "dot");
}

static bool build_description(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	ModelDesc *desc = loaded->desc;
	if (options->merge && !merge_parse(desc, options->merge, diag))
		return false;
	if (desc->nmerges) {
		if (!merge_load(desc, options, loaded, diag))
			return false;
	} else {
		loaded->module = desc->is_graph ? desc->module : description_build(desc, options, diag);
	}
	desc->module = NULL;
	if (!loaded->module)
		return false;
	if (desc->weights)
		set_meta(loaded->module, desc);
	if (desc->passes)
		loaded->passes = mem_string(loaded->mem, desc->passes, strlen(desc->passes));
	return true;
}

/* ---- from a module --------------------------------------------------------------------------- */

static FamilyTokens module_tokens(const Module *module)
{
	const char *word = module_meta(module, META_PLAIN_TOKENS);
	const int at = word ? word_index(word, token_words, TOKENS_PLAIN + 1) : TOKENS_SPECIAL;
	return at < 0 ? TOKENS_ALONE : (FamilyTokens)at;
}

static TokenizerReading tokenizer_reading(const LoadOptions *options, FamilyTokens tokens)
{
	if (tokens == TOKENS_ALONE)
		return TOKENIZER_ALONE;
	if (tokens == TOKENS_PLAIN)
		return TOKENIZER_PLAIN;
	return options->transformers5 ? TOKENIZER_FIVE : TOKENIZER_FILES;
}

/* NULL and a message if it cannot lower texts as well. */
static TokenizerDesc *lowered(TokenizerDesc *tokenizer, const char *path, Diag *diag)
{
	if (!tokenizer || tokenizer_lower(tokenizer))
		return tokenizer;
	diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
		"do_lower_case needs a step of the normaliser, which already has as many steps as it can have");
	return NULL;
}

TokenizerDesc *description_tokenizer(
	const ModelDesc *desc, const LoadOptions *options, MemArena *mem, Diag *diag)
{
	const TokenizerReading reading = tokenizer_reading(
		options, desc->family ? desc->family->tokens : TOKENS_SPECIAL);
	TokenizerDesc *tokenizer = tokenizer_import(
		desc->directory, desc->tokenizer, options->search, reading, mem, diag);
	for (int task = 0; tokenizer && desc->late && task < LATE_COUNT; task++)
		if (desc->late->prefix[task])
			tokenizer_mark(tokenizer, desc->late->prefix[task], mem);
	return desc->lowercase ? lowered(tokenizer, desc->path, diag) : tokenizer;
}

/* Beside those of the other files. */
static void add_unknown_keys(Module *module, const char *keys)
{
	const char *before = NULL;
	for (int32_t i = 0; i < module->nmeta; i++)
		if (strcmp(module->meta[i].key, META_UNKNOWN_KEYS) == 0)
			before = module->meta[i].value;
	if (before && strstr(before, keys)) /* of a graph that was written with them */
		return;
	char *all = mem_printf(module->mem, "%s%s%s", before ? before : "", before ? "; " : "", keys);
	module_set_meta(module, META_UNKNOWN_KEYS, all);
}

static bool load_tokenizer(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	const ModelDesc *desc = loaded->desc;
	const Module *module = loaded->module;
	const char *name = desc ? desc->tokenizer : module->tokenizer, *directory = module->directory;
	if (!name)
		return true;
	if (desc)
		loaded->tokenizer = description_tokenizer(desc, options, loaded->mem, diag);
	else
		loaded->tokenizer = tokenizer_import(directory ? directory : ".", name, options->search,
			tokenizer_reading(options, module_tokens(module)), loaded->mem, diag);
	for (int i = 0; !desc && loaded->tokenizer && i < LATE_COUNT; i++) {
		const char *prefix = module_meta(module, mem_printf(loaded->mem, "%s%d", META_PREFIX, i));
		if (prefix)
			tokenizer_mark(loaded->tokenizer, prefix, loaded->mem);
	}
	if (!desc && module_meta(module, META_LOWERCASE))
		loaded->tokenizer = lowered(loaded->tokenizer, options->model, diag);
	if (loaded->tokenizer && loaded->tokenizer->unknown_keys)
		add_unknown_keys(loaded->module, loaded->tokenizer->unknown_keys);
	for (int32_t i = 0; loaded->tokenizer && module && i < module->nheads; i++)
		loaded->tokenizer->spelled |= module->heads[i].task == TASK_SPARSE; /* as SparseEncoder.decode */
	return loaded->tokenizer != NULL;
}

/* Computes the hash that identifies the graph. It covers the graph's text, and the data of the constants
 * unless the checkpoint's hash covers them. */
static void hash_graph(Loaded *loaded, bool from_checkpoint)
{
	size_t count = 1;
	const Module *module = loaded->module;
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next)
			count += node->op == OP_CONST && !from_checkpoint;
	char *text = module_text(module, &(PrintOptions){.elide_constants = true});
	const void **parts = checked_calloc(count, sizeof *parts);
	size_t *bytes = checked_calloc(count, sizeof *bytes), at = 1;
	parts[0] = text;
	bytes[0] = strlen(text);
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next) {
			if (node->op != OP_CONST || from_checkpoint)
				continue;
			parts[at] = node->data->data;
			bytes[at] = (size_t)node->data->bytes;
			at++;
		}
	sha256_hex(parts, bytes, (int)at, loaded->graph_sha256);
	free(text);
	free(parts);
	free(bytes);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Refuses a template with an id or a segment that the model does not have, because every text would then be
 * an error. A model with one segment type accepts both segments of a pair. */
static bool check_template(const TemplateItem *items, int32_t count, const char *of, int64_t words,
	int64_t types, const char *model, Diag *diag)
{
	const int64_t segments = types == 1 ? 2 : types;
	for (int32_t i = 0; i < count; i++) {
		if (words && items[i].piece == PIECE_TOKEN && (items[i].id < 0 || items[i].id >= words))
			return diag_error_in(diag, EXIT_INPUT, model, 0,
				"the tokenizer adds the id %d to %s (post_processor), but the word table has %jd rows; "
				"does the tokenizer belong to this checkpoint?",
				items[i].id, of, (intmax_t)words);
		if (types && items[i].type >= segments)
			return diag_error_in(diag, EXIT_INPUT, model, 0,
				"the tokenizer gives %s the segment %d (type_id of post_processor), but the model has %jd; "
				"does the tokenizer belong to this checkpoint?",
				of, items[i].type, (intmax_t)types);
	}
	return true;
}

/* Number of rows of the smallest table that the input indexes; 0: it indexes none. */
static int64_t table_rows(const Module *module, int32_t input)
{
	int64_t rows = 0;
	for (int32_t g = 0; g < module->ngraphs; g++) {
		const Graph *graph = module->graphs[g];
		for (const Node *node = NULL; input < graph->ninputs && (node = graph_lookup(graph, input, node));) {
			const int64_t own = node->op == OP_EMBED ? node->args[0]->type.dim[0].plus : 0;
			rows = own && (!rows || own < rows) ? own : rows;
		}
	}
	return rows;
}

static bool check_templates(const Loaded *loaded, const char *model, Diag *diag)
{
	const TokenizerDesc *tokenizer = loaded->tokenizer;
	const int64_t words = table_rows(loaded->module, 0), types = table_rows(loaded->module, 1);
	return !tokenizer
		|| (check_template(tokenizer->single, tokenizer->nsingle, "a text", words, types, model, diag)
			&& check_template(tokenizer->pair, tokenizer->npair, "a pair", words, types, model, diag));
}

/* A copy of a template; types without a row become 0. */
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

/* Segments without a row in the table of types become segment 0, as with --ids. An encoder with one type thus
 * accepts pairs. */
static void check_types(Loaded *loaded)
{
	TokenizerDesc *tokenizer = loaded->tokenizer;
	if (!tokenizer || loaded->module->ngraphs == 0 || loaded->module->graphs[0]->ninputs < 2)
		return;
	const Graph *graph = loaded->module->graphs[0];
	for (const Node *node = NULL; (node = graph_lookup(graph, 1, node));)
		if (node->op == OP_EMBED) {
			const int64_t rows = node->args[0]->type.dim[0].plus;
			tokenizer->single = known_types(tokenizer->single, tokenizer->nsingle, rows, loaded->mem);
			tokenizer->pair = known_types(tokenizer->pair, tokenizer->npair, rows, loaded->mem);
		}
}

/* Warns if the tokenizer has ids without a row in the word table (the constant that %ids indexes). This is
 * not an error, because such tokens may never occur. The program refuses texts with them. */
static void check_vocabulary(const Loaded *loaded, const char *model, Diag *diag)
{
	if (!loaded->tokenizer || loaded->module->ngraphs == 0)
		return;
	const Graph *graph = loaded->module->graphs[0];
	for (const Node *node = NULL; (node = graph_lookup(graph, 0, node));)
		if (node->op == OP_EMBED && loaded->tokenizer->nvocab > node->args[0]->type.dim[0].plus)
			diag_warn(diag, 0,
				"%s: the tokenizer has %d tokens, but the word table has %jd rows; the program will refuse "
				"texts with the other tokens",
				model, loaded->tokenizer->nvocab, (intmax_t)node->args[0]->type.dim[0].plus);
}

bool model_load(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	*loaded = (Loaded){.mem = mem_new()};
	const Importer *importer = find_importer(options->model, diag);
	bool good = importer && check_options(importer, options, diag) && importer->import(options, loaded, diag)
		&& (!loaded->desc || build_description(options, loaded, diag))
		&& load_tokenizer(options, loaded, diag) && module_verify(loaded->module, diag)
		&& check_templates(loaded, options->model, diag);
	const ModelDesc *desc = loaded->desc;
	if (good)
		hash_graph(loaded, desc && desc->weights && !desc->nmerges);
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
