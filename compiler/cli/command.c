/* command.c: runs a command: parses its options and the MODEL, calls its work, prints messages and returns
 * the exit code. A Usage describes the command. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/import/import.h"

enum { KEYS = 0x100, OPTIONS_MAX = 48, OWN_GROUP = 5 };

/* A table for argp, and the struct that holds the values. */
typedef struct Parser {
	const Usage *usage; /* NULL: the options of build, which take no words */
	const CommandOption *table;
	void *options;
	struct Parser *build; /* the parser below this one; NULL: none */
	struct argp_option row[OPTIONS_MAX + 1];
} Parser;

static int option_key(const CommandOption *table, int i)
{
	if (table[i].letter)
		return table[i].letter;
	return table[i].name ? KEYS + i : 0;
}

static void parser_init(Parser *parser, const Usage *usage, const CommandOption *table, void *options)
{
	*parser = (Parser){.usage = usage, .table = table, .options = options};
	for (int i = 0; i < OPTIONS_MAX && table && table[i].doc; i++)
		parser->row[i] = (struct argp_option){.name = table[i].name,
			.key = option_key(table, i),
			.arg = table[i].value,
			.flags = table[i].optional ? OPTION_ARG_OPTIONAL : 0,
			.doc = table[i].doc,
			.group = table[i].group};
	if (usage && parser->row[0].group == 0)
		parser->row[0].group = OWN_GROUP;
}

/* ---- values ---------------------------------------------------------------------------------- */

void option_refuse(
	const CommandOption *option, const char *text, const char *expected, struct argp_state *state)
{
	if (option->name)
		argp_error(state, "--%s=%s: expected %s", option->name, text, expected);
	else
		argp_error(state, "-%c %s: expected %s", option->letter, text, expected);
}

double option_number(const CommandOption *option, const char *text, struct argp_state *state)
{
	char *end, expected[96];
	const double value = strtod(text, &end);
	const bool whole = option->kind != OPTION_REAL;
	if (end == text || *end || !(value >= option->least && value <= option->most)
		|| (whole && value != floor(value))) {
		snprintf(expected, sizeof expected,
			whole ? "a whole number from %.0f to %.0f" : "a number from %g to %g", option->least,
			option->most);
		option_refuse(option, text, expected, state);
	}
	return value;
}

/* Index of the word among those of the option. */
static unsigned option_choice(const CommandOption *option, const char *word, struct argp_state *state)
{
	char list[256] = "";
	for (unsigned i = 0; i < option->nwords; i++) {
		const char *between = i + 1 < option->nwords ? ", " : " or ";
		if (strcmp(word, option->words[i]) == 0)
			return i;
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? between : "", option->words[i]);
	}
	option_refuse(option, word, list, state);
	return 0;
}

void option_append(const CommandOption *option, const char **list, const char *text, struct argp_state *state)
{
	const int most = (int)option->most;
	int count = 0;
	while (count < most && list[count])
		count++;
	if (count == most)
		argp_error(state, "--%s may be given %d times at most", option->name, most);
	else
		list[count] = text;
}

static void option_store(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	void *at = (char *)options + option->at;
	const unsigned choice = option->words ? option_choice(option, text, state) : 0;
	if (option->call) {
		option->call(option, options, text, state);
		return;
	}
	switch (option->kind) {
	case OPTION_TEXT: *(const char **)at = text; break;
	case OPTION_FLAG: *(bool *)at = !option->words || choice; break;
	case OPTION_CHOICE: *(unsigned *)at = choice; break;
	case OPTION_INT: *(int *)at = (int)(text ? option_number(option, text, state) : option->least); break;
	case OPTION_LARGE: *(uint64_t *)at = (uint64_t)option_number(option, text, state); break;
	case OPTION_REAL: *(double *)at = option_number(option, text, state); break;
	}
}

/* ---- words ----------------------------------------------------------------------------------- */

static void no_model(struct argp_state *state)
{
	char known[IMPORTERS_BYTES];
	argp_error(state, "no model: give %s", importers_text(0, known));
}

void option_model(BuildOptions *options, const char *word, struct argp_state *state)
{
	if (options->load.model)
		argp_error(state, "one model at a time: %s after %s", word, options->load.model);
	options->load.model = word;
}

static void parse_end(const Usage *usage, void *options, struct argp_state *state)
{
	if (!usage->plain && !((const BuildOptions *)options)->load.model)
		no_model(state);
	for (const CommandOption *option = usage->options; option && option->doc; option++)
		if (option->needed && !*(const char **)(void *)((char *)options + option->at))
			argp_error(state, "%s", option->needed);
	if (usage->check)
		usage->check(options, state);
}

static error_t parse_word(int key, char *text, const Parser *parser, struct argp_state *state)
{
	const Usage *usage = parser->usage;
	switch (key) {
	case ARGP_KEY_INIT:
		if (parser->build)
			state->child_inputs[0] = parser->build;
		return 0;
	case ARGP_KEY_ARG:
		if (usage->plain && !usage->word)
			return ARGP_ERR_UNKNOWN;
		if (usage->word)
			usage->word(parser->options, text, state);
		else
			option_model(parser->options, text, state);
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (usage->no_words)
			argp_error(state, "%s", usage->no_words);
		return 0;
	case ARGP_KEY_END: parse_end(usage, parser->options, state); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	const Parser *parser = state->input;
	for (int i = 0; parser && parser->row[i].doc; i++)
		if (key == parser->row[i].key && key != 0) {
			option_store(&parser->table[i], parser->options, text, state);
			return 0;
		}
	return parser && parser->usage ? parse_word(key, text, parser, state) : ARGP_ERR_UNKNOWN;
}

/* ---- running a command ----------------------------------------------------------------------- */

void command_parse(const Usage *usage, int argc, char **argv, void *options)
{
	Parser own, build;
	parser_init(&own, usage, usage->options, options);
	parser_init(&build, NULL, build_table, options);
	own.build = usage->plain ? NULL : &build;
	int end = 0;
	while (build.row[end].doc)
		end++;
	if (own.row[0].group == OWN_GROUP && own.row[0].doc)
		build.row[end] = (struct argp_option){.doc = "Of this command:", .group = OWN_GROUP};
	const struct argp below = {.options = build.row, .parser = parse};
	const struct argp_child children[] = {{.argp = &below}, {0}};
	const struct argp argp = {.options = own.row,
		.parser = parse,
		.args_doc = usage->arguments,
		.doc = usage->doc,
		.children = usage->plain ? NULL : children};
	argp_parse(&argp, argc, argv, 0, NULL, &own);
}

int command_run(const Usage *usage, int argc, char **argv, BuildOptions *options)
{
	Diag diag;
	Loaded loaded = {0};
	build_options_init(options, argc, argv);
	command_parse(usage, argc, argv, options);
	options->quiet |= usage->quiet;
	diag_init(&diag, options->load.model);
	int status = EXIT_RUN;
	if (!usage->loads || model_load(&options->load, &loaded, &diag))
		status = usage->work(options, &loaded, &diag);
	progress_clear();
	model_unload(&loaded);
	diag_print(&diag, stderr);
	if (diag.errors)
		status = (int)diag.code;
	diag_free(&diag);
	free(options->about.command);
	return status;
}

char *result_program(BuildOptions *options, const char *directory)
{
	ResultOptions *result = &options->result;
	char *path = checked_printf("%s/program", directory);
	result->out = path;
	result->name = "program";
	result->emit = EMIT_EXE;
	if (result->is_static < 0)
		result->is_static = 1;
	return path;
}
