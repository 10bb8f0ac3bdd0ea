/* parse.c: parses .bir text into a module: the lines outside graphs, and the files that they refer to. IR.md
 * has the grammar. The input may be any bytes. Every error has its line, and parsing continues after it.
 * Nothing recurses. In the resulting module every name is resolved; verify.c checks everything else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ir/atomic_file.h"
#include "parse.h"

/* 64 times the text of the largest models, whose weights are in other files (XXL encoders: 48 layers, about 1
 * MB). */
enum { TEXT_BYTES_MAX = 64 << 20 };

/* ---- the module line ------------------------------------------------------------------------- */
/* The path of a weights file, in the arena; NULL and a message if there is no such file. */
static const char *reference_find(Parser *parser, const char *name)
{
	MemArena *mem = parser->module->mem;
	const char *path = mem_printf(mem, "%s/%s", parser->directory, name);
	if (!file_is_absent(path))
		return path;
	for (const char *const *search = parser->search; search && *search; search++) {
		path = mem_printf(mem, "%s/%s", *search, name);
		if (!file_is_absent(path))
			return path;
	}
	parse_error(parser, "weights '%s': no such file in '%s'%s", name, parser->directory,
		parser->search && *parser->search ? " or in the --search directories"
										  : "; --search=DIR adds a directory");
	return NULL;
}

/* A file name in quotes; NULL on error. */
static const char *parse_reference(Parser *parser, const char *what)
{
	const char *name = parse_string(parser, what);
	if (name && !name_is_file(name)) {
		parse_error(parser, "'%s' is not a plain file name; give its directory with --search=DIR", name);
		return NULL;
	}
	return name;
}

static bool module_has_file(const Module *module, const char *name)
{
	for (int32_t i = 0; i < module->nfiles; i++)
		if (strcmp(tensor_file_name(module->files[i]), name) == 0)
			return true;
	return false;
}

static bool parse_weights(Parser *parser)
{
	Module *module = parser->module;
	do {
		const char *name = parse_reference(parser, "the name of a .safetensors file in quotes");
		if (name && (module->nfiles == WEIGHTS_MAX || module_has_file(module, name))) {
			parse_error(parser, "weights '%s': named twice, or more than %d files", name, WEIGHTS_MAX);
			name = NULL;
		}
		const char *path = name ? reference_find(parser, name) : NULL;
		if (!path || !module_add_file(module, tensor_file_open(path, parser->diag))) {
			parser->weights_missing = true;
			return false;
		}
		if (!module->weights)
			module->weights = name;
	} while (parse_accept(parser, ','));
	return true;
}

static bool parse_module(Parser *parser)
{
	Module *module = parser->module;
	if (parser->has_module_line || module->ngraphs || module->nheads || module->nmeta)
		return parse_error(parser, "expected one module line, before all other lines");
	parser->has_module_line = true;
	if (parser->token.kind == TOKEN_SYMBOL
		&& !(module->name = parse_name(parser, TOKEN_SYMBOL, "the module's name, such as @tiny")))
		return false;
	while (parser->token.kind == TOKEN_WORD) {
		int64_t number;
		if (!module->nfiles && parse_accept_word(parser, "weights")) {
			if (!parse_weights(parser))
				return false;
		} else if (!module->tokenizer && parse_accept_word(parser, "tokenizer")) {
			if (!(module->tokenizer = parse_reference(parser, "the name of a tokenizer file in quotes")))
				return false;
		} else if (!module->max_tokens && parse_accept_word(parser, "max_tokens")) {
			if (!parse_int(parser, "max_tokens", 1, INT32_MAX, &number))
				return false;
			module->max_tokens = (int32_t)number;
		} else {
			return parse_expected(parser, "weights, tokenizer or max_tokens, each once");
		}
	}
	return true;
}

/* ---- meta and head lines --------------------------------------------------------------------- */
static bool parse_meta(Parser *parser)
{
	const char *key = parse_string(parser, "a key in quotes"),
			   *value = key ? parse_string(parser, "a value in quotes") : NULL;
	if (!value)
		return false;
	if (parser->module->nmeta == META_MAX)
		return parse_error(parser, "more than %d meta lines", META_MAX);
	for (int32_t i = 0; i < parser->module->nmeta; i++)
		if (strcmp(parser->module->meta[i].key, key) == 0)
			return parse_error(parser, "meta \"%s\" is given twice", key);
	module_set_meta(parser->module, key, value);
	return true;
}

/* ["negative", "positive"], after the '['. */
static bool parse_labels(Parser *parser, Head *head)
{
	size_t capacity = 0;
	if (parse_accept(parser, ']'))
		return true;
	do {
		if (head->nlabels == LABELS_MAX)
			return parse_error(parser, "more than %d labels", LABELS_MAX);
		head->labels = mem_grow(
			parser->module->mem, head->labels, &capacity, (size_t)head->nlabels + 1, sizeof *head->labels);
		const char *label = parse_string(parser, "a label in quotes");
		if (!label)
			return false;
		head->labels[head->nlabels++] = label;
	} while (parse_accept(parser, ','));
	return parse_expect(parser, ']', "',' or ']'");
}

/* Accepts one of `count` words and returns its index; -1: none of them. */
static int32_t accept_one_of(Parser *parser, const char *const *words, int32_t count)
{
	for (int32_t i = 0; i < count; i++)
		if (parse_accept_word(parser, words[i]))
			return i;
	return -1;
}

/* head [@name] TASK [PROBLEM] output=NAME [labels=[...]] */
static bool parse_head(Parser *parser)
{
	Module *module = parser->module;
	if (module->nheads == HEADS_LIMIT)
		return parse_error(parser, "more than %d heads", HEADS_LIMIT);
	Head *head = module_add_head(module, NULL);
	head->line = parser->token.line;
	if (parser->token.kind == TOKEN_SYMBOL
		&& !(head->name = parse_name(parser, TOKEN_SYMBOL, "the head's name")))
		return false;
	int32_t task = accept_one_of(parser, task_names, TASK_COUNT);
	if (task < 0)
		return parse_expected(
			parser, "a task: classify, tag, embed, rank, qa, fill-mask, choice, multi-vector or sparse");
	head->task = (Task)task;
	if (!head->name)
		head->name = task_names[task];
	int32_t problem = accept_one_of(parser, problem_names, PROBLEM_COUNT);
	head->problem = problem < 0 ? PROBLEM_SINGLE : (Problem)problem;
	if (!parse_accept_word(parser, "output"))
		return parse_expected(
			parser, problem < 0 ? "single, multi, regression or output=NAME" : "output=NAME");
	if (!parse_expect(parser, '=', "'='")
		|| !(head->output = parse_name(parser, TOKEN_WORD, "the name of an output")))
		return false;
	if (!parse_accept_word(parser, "labels"))
		return true;
	return parse_expect(parser, '=', "'='") && parse_expect(parser, '[', "'['") && parse_labels(parser, head);
}

/* option @NAME : f32 = NUMBER */
static bool parse_option(Parser *parser)
{
	Module *module = parser->module;
	const int32_t line = parser->token.line;
	const char *name = parse_name(parser, TOKEN_SYMBOL, "the option's name, such as @exit_entropy");
	Type type;
	Number number;
	if (!name || !parse_expect(parser, ':', "':'") || !parse_type(parser, &type))
		return false;
	if (type.dtype != DT_F32 || type.rank != 0)
		return parse_error(parser, "expected f32, the type of every option");
	if (!parse_expect(parser, '=', "'=' and the default") || !parse_number(parser, &number))
		return false;
	if (module->noptions == OPTIONS_MAX || module_find_option(module, name) >= 0)
		return parse_error(
			parser, "option @%s is given twice, or there are more than %d options", name, OPTIONS_MAX);
	module_set_option(module, name, number.is_int ? (double)number.i : number.d);
	module->options[module->noptions - 1].line = line;
	return true;
}

/* ---- the whole text -------------------------------------------------------------------------- */
/* Parses one line or one whole graph. Skips blank lines and comments. */
static void parse_item(Parser *parser)
{
	bool good = true;
	if (token_is(&parser->token, "graph") && parser->module->ngraphs < GRAPHS_MAX) {
		parse_advance(parser);
		parse_graph(parser);
		return;
	}
	if (parse_accept_word(parser, "module"))
		good = parse_module(parser);
	else if (parse_accept_word(parser, "meta"))
		good = parse_meta(parser);
	else if (parse_accept_word(parser, "head"))
		good = parse_head(parser);
	else if (parse_accept_word(parser, "option"))
		good = parse_option(parser);
	else if (parser->token.kind != TOKEN_LINE_END && parser->token.kind != TOKEN_COMMENT)
		good = token_is(&parser->token, "graph")
			? parse_error(parser, "more than %d graphs", GRAPHS_MAX)
			: parse_expected(parser, "module, meta, head, option or graph");
	if (!good || !parse_line_end(parser, NULL))
		parse_skip_line(parser);
}

Module *module_parse(
	const char *text, size_t bytes, const char *directory, const char *const *search, Diag *diag)
{
	int errors = diag->errors;
	Parser parser = {.module = module_new("model"),
		.diag = diag,
		.directory = directory ? directory : ".",
		.search = search};
	parser.module->directory = mem_string(parser.module->mem, parser.directory, strlen(parser.directory));
	lex_start(&parser.lexer, text, bytes);
	parse_advance(&parser);
	while (parser.token.kind != TOKEN_END)
		parse_item(&parser);
	if (parser.module->ngraphs == 0 && diag->errors == errors)
		parse_error(&parser, "no graph in the text");
	if (diag->errors == errors)
		return parser.module;
	module_free(parser.module);
	return NULL;
}

/* ---- files ----------------------------------------------------------------------------------- */
/* Reads a whole stream of any kind, up to the limit and one byte that shows that there is more. The result is
 * malloc'd. */
static char *stream_read(FILE *in, const char *path, size_t *bytes, Diag *diag)
{
	size_t room = 1 << 16;
	char *text = checked_malloc(room);
	*bytes = fread(text, 1, room, in);
	while (*bytes == room && room <= TEXT_BYTES_MAX) {
		room = room < TEXT_BYTES_MAX ? 2 * room : TEXT_BYTES_MAX + 1;
		text = checked_realloc(text, room);
		*bytes += fread(text + *bytes, 1, room - *bytes, in);
	}
	if (!ferror(in) && *bytes <= TEXT_BYTES_MAX)
		return text;
	if (ferror(in))
		diag_error_in(diag, EXIT_INPUT, path, 0, "cannot be read: %s", strerror(errno));
	else
		diag_error_in(diag, EXIT_INPUT, path, 0, "more than %d bytes of text", TEXT_BYTES_MAX);
	free(text);
	return NULL;
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return checked_strdup(".");
	return checked_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

Module *module_read(const char *path, const char *const *search, Diag *diag)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct stat st;
	const int fd = is_stdin ? STDIN_FILENO : file_open_or_pipe(path, &st, diag);
	if (fd < 0)
		return NULL;
	FILE *in = is_stdin ? stdin : fdopen(fd, "rb");
	if (!in)
		out_of_memory(0);
	const char *file = diag->file;
	char *directory = directory_of(path);
	size_t bytes;
	char *text = stream_read(in, is_stdin ? "<stdin>" : path, &bytes, diag);
	if (!is_stdin)
		fclose(in);
	diag->file = is_stdin ? "<stdin>" : path;
	Module *module = text ? module_parse(text, bytes, directory, search, diag) : NULL;
	if (module && !module_verify(module, diag)) {
		module_free(module);
		module = NULL;
	}
	diag->file = file;
	free(text);
	free(directory);
	return module;
}
