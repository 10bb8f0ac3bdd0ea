/* options.c: the options of `build` and of every command that builds, as one argp child. Positional arguments
 * stay with the command. Whether a name is known (CPU, pass, task) is told by those who know it. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bertc.h"
#include "compiler/import/import.h"
#include "compiler/kernel_tune/kernel_tune.h"
#include "compiler/measure/calibrate.h"

enum { /* keys of options without a letter */
	KEY_EMIT = 0x100,
	KEY_NAME,
	KEY_PASSES,
	KEY_PRINT_PIPELINE,
	KEY_WEIGHTS,
	KEY_WEIGHTS_AS,
	KEY_PACK,
	KEY_COMPUTE,
	KEY_TARGET,
	KEY_CPU,
	KEY_STATIC,
	KEY_NO_STATIC,
	KEY_SYSROOT,
	KEY_CC,
	KEY_TASK,
	KEY_OUTPUTS,
	KEY_MAX_TOKENS,
	KEY_PROGRESS,
	KEY_SAVE_TEMPS,
	KEY_SEARCH,
	KEY_LEDGER,
	KEY_PRINT_AFTER,
	KEY_STOP_AFTER,
	KEY_DUMP_IR,
	KEY_TIME_PASSES,
	KEY_VERIFY_EACH,
	KEY_CHECK_EACH,
	KEY_EXPLAIN,
	KEY_TUNE_CACHE,
	KEY_MERGE
};

static const struct argp_option table[] = {{NULL, 0, NULL, 0, "Result:", 1},
	{"output", 'o', "OUT", 0, "where the result goes; it appears whole or not at all", 0},
	{"emit", KEY_EMIT, "KIND", 0, "exe (default), lib, shared, obj, c, bir or checkpoint", 0},
	{"name", KEY_NAME, "NAME", 0, "prefix of the C functions, an identifier (default: from OUT)", 0},
	{"task", KEY_TASK, "TASK", 0,
		"classify, tag, embed, rank, qa or fill-mask, when the checkpoint does not say or for another use",
		0},
	{"merge", KEY_MERGE, "NAME=DIR,...", 0,
		"one program of several tasks over the base MODEL: directories of checkpoints, or of "
		"a delta.safetensors that changes the base",
		0},
	{"outputs", KEY_OUTPUTS, "LIST", 0, "further outputs to keep, comma-separated: hidden, pooled", 0},
	{"max-tokens", KEY_MAX_TOKENS, "N", 0, "longest text in tokens", 0},
	{NULL, 0, NULL, 0, "Passes and numbers:", 2},
	{"passes", KEY_PASSES, "PIPELINE", 0, "pass pipeline, as in fuse,lower,plan-memory; see `bertc passes`",
		0},
	{NULL, 'O', "LEVEL", 0, "preset pipeline 0 to 3 (default 2); all of them keep the numbers", 0},
	{"weights", KEY_WEIGHTS, "TYPE", 0,
		"store weights as f32, f16 or bf16 (default: as the checkpoint has them)", 0},
	{"compute", KEY_COMPUTE, "TYPE", 0,
		"arithmetic of the linears: f32, or bf16: factors rounded to bf16, sums in f32", 0},
	{"print-pipeline", KEY_PRINT_PIPELINE, NULL, 0, "print the pipeline that ran", 0},
	{"ledger", KEY_LEDGER, "FILE.json", 0, "write what each pass did and cost", 0},
	{"explain", KEY_EXPLAIN, NULL, 0, "say why patterns did not match", 0},
	{"print-ir-after", KEY_PRINT_AFTER, "PASS", 0, "print the IR after a pass, `all` or `changed`", 0},
	{"stop-after", KEY_STOP_AFTER, "PASS", 0, "stop after this pass (with --emit=bir)", 0},
	{"dump-ir", KEY_DUMP_IR, "DIR", 0, "write the IR after every pass as a numbered file", 0},
	{"time-passes", KEY_TIME_PASSES, NULL, 0, "print the time each pass took", 0},
	{"verify-each", KEY_VERIFY_EACH, NULL, 0, "verify the IR after each pass", 0},
	{"check-each", KEY_CHECK_EACH, NULL, 0, "evaluate the IR before and after each pass and compare", 0},
	{NULL, 0, NULL, 0, "Target:", 3},
	{"target", KEY_TARGET, "TRIPLE", 0, "target (default: this machine); see `bertc targets`", 0},
	{"cpu", KEY_CPU, "NAME", 0,
		"CPU, `native` or `baseline` (default: native here, baseline elsewhere); of several, with commas "
		"between, "
		"the program picks the last that it can run",
		0},
	{"tune-cache", KEY_TUNE_CACHE, "FILE", 0,
		"choose kernels as this file says, which `bertc build --tune` wrote", 0},
	{"static", KEY_STATIC, NULL, 0, "link the program statically (default)", 0},
	{"no-static", KEY_NO_STATIC, NULL, 0, "link the program with the target's shared C library", 0},
	{"sysroot", KEY_SYSROOT, "DIR", 0, "look up the target's C library here", 0},
	{"cc", KEY_CC, "PROG", 0, "compile with this compiler instead of the built-in Clang", 0},
	{"weights-as", KEY_WEIGHTS_AS, "FORM", 0, "with --emit=c: incbin (default) or inline, as C text", 0},
	{"pack", KEY_PACK, "HOW", 0,
		"plain (default): weights lie in the program as they are computed with; small: entropy coded, and "
		"decoded when "
		"it starts",
		0},
	{"save-temps", KEY_SAVE_TEMPS, "DIR", 0, "keep the C file, its weights and the object here", 0},
	{NULL, 0, NULL, 0, "Other:", 4},
	{"search", KEY_SEARCH, "DIR", 0,
		"look up files that the description names here as well (may be repeated)", 0},
	{"quiet", 'q', NULL, 0, "no notes and no progress", 0},
	{"progress", KEY_PROGRESS, NULL, 0, "show progress (default on a terminal)", 0}, {0}};

static const char *const emit_names[EMIT_COUNT] = {"exe", "lib", "shared", "obj", "c", "bir", "checkpoint"};
static const char *const weight_names[] = {"f32", "f16", "bf16"};
static const char *const compute_names[] = {"f32", "bf16"};

/* Index of the word, or a usage error that lists them all. */
static int choose(
	struct argp_state *state, const char *option, const char *word, const char *const *words, int count)
{
	char list[256] = "";
	for (int i = 0; i < count; i++) {
		if (strcmp(word, words[i]) == 0)
			return i;
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", words[i]);
	}
	argp_error(state, "--%s=%s: expected one of %s", option, word, list);
	return 0;
}

static int number(struct argp_state *state, const char *option, const char *text, long least, long most)
{
	char *end;
	errno = 0;
	long value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < least || value > most)
		argp_error(state, "%s %s: expected a whole number from %ld to %ld", option, text, least, most);
	return (int)value;
}

static void add_search(struct argp_state *state, BuildOptions *options, const char *directory)
{
	size_t count = 0, room = sizeof options->load.search / sizeof *options->load.search - 1;
	while (count < room && options->load.search[count])
		count++;
	if (count == room)
		argp_error(state, "--search may be given %zu times at most", room);
	else
		options->load.search[count] = directory;
}

/* Options of the pass driver; ARGP_ERR_UNKNOWN when the key is none of them. */
static error_t parse_driver(int key, char *argument, DriverOptions *driver)
{
	switch (key) {
	case KEY_PRINT_AFTER: driver->print_after = argument; return 0;
	case KEY_STOP_AFTER: driver->stop_after = argument; return 0;
	case KEY_DUMP_IR: driver->dump_dir = argument; return 0;
	case KEY_TIME_PASSES: driver->time_passes = true; return 0;
	case KEY_VERIFY_EACH: driver->verify_each = true; return 0;
	case KEY_CHECK_EACH: driver->check_each = true; return 0;
	case KEY_EXPLAIN: driver->explain = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	BuildOptions *options = state->input;
	switch (key) {
	case 'o': options->result.out = argument; return 0;
	case KEY_EMIT:
		options->result.emit = (EmitKind)choose(state, "emit", argument, emit_names, EMIT_COUNT);
		return 0;
	case KEY_NAME: options->result.name = argument; return 0;
	case KEY_TASK:
		choose(state, "task", argument, task_names, TASK_COUNT);
		options->load.task = argument;
		return 0;
	case KEY_MERGE: options->load.merge = argument; return 0;
	case KEY_OUTPUTS: options->load.outputs = argument; return 0;
	case KEY_MAX_TOKENS:
		options->load.max_tokens = number(state, "--max-tokens", argument, 1, INT_MAX / 2);
		return 0;
	case KEY_PASSES: build_set_passes(options, argument); return 0;
	case 'O':
		options->run.level = number(state, "-O", argument, 0, 3);
		options->run.level_given = true;
		return 0;
	case KEY_WEIGHTS:
		choose(state, "weights", argument, weight_names, 3);
		options->run.weights = argument;
		return 0;
	case KEY_COMPUTE:
		choose(state, "compute", argument, compute_names, 2);
		options->run.compute = argument;
		return 0;
	case KEY_PRINT_PIPELINE: options->run.print_pipeline = true; return 0;
	case KEY_LEDGER: options->run.ledger = argument; return 0;
	case KEY_TARGET: options->result.target = argument; return 0;
	case KEY_CPU: options->result.cpu = argument; return 0;
	case KEY_TUNE_CACHE: options->run.tune_cache = argument; return 0;
	case KEY_STATIC: options->result.is_static = 1; return 0;
	case KEY_NO_STATIC: options->result.is_static = 0; return 0;
	case KEY_SYSROOT: options->result.sysroot = argument; return 0;
	case KEY_CC: options->result.cc = argument; return 0;
	case KEY_WEIGHTS_AS:
		options->result.weights_inline = choose(state, "weights-as", argument,
											 (const char *const[]){"incbin", "inline"}, 2)
			== 1;
		return 0;
	case KEY_PACK:
		options->result.pack_small = choose(
										 state, "pack", argument, (const char *const[]){"plain", "small"}, 2)
			== 1;
		return 0;
	case KEY_SAVE_TEMPS: options->result.save_temps = argument; return 0;
	case KEY_SEARCH: add_search(state, options, argument); return 0;
	case 'q':
		options->quiet = true;
		options->progress = false;
		return 0;
	case KEY_PROGRESS: options->progress = true; return 0;
	default: return parse_driver(key, argument, &options->run.driver);
	}
}

const struct argp build_argp = {.options = table, .parser = parse};

/* Options that name a place of this machine or leave no trace in the result: not part of the remembered
 * command. */
static const struct {
	const char *name;
	bool takes_value;
} places[] = {
	{"-o", true},
	{"--output", true},
	{"--search", true},
	{"--sysroot", true},
	{"--cc", true},
	{"--save-temps", true},
	{"--dump-ir", true},
	{"--ledger", true},
	{"--verified", true},
	{"--print-ir-after", true},
	{"--tune-cache", true},
	{"--tune", false},
	{"--time-passes", false},
	{"--verify-each", false},
	{"--check-each", false},
	{"--explain", false},
	{"--print-pipeline", false},
	{"--quiet", false},
	{"-q", false},
	{"--progress", false},
};

/* How many words of the command line to leave out, from this one on. */
static int place_words(const char *argument)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		size_t length = strlen(places[i].name);
		if (strncmp(argument, places[i].name, length) != 0)
			continue;
		if (!argument[length])
			return 1 + places[i].takes_value;
		if (argument[length] == '=' || strncmp(argument, "--", 2) != 0)
			return 1;
	}
	return 0;
}

/* "bertc build minilm-sst2 --weights=f16": the same in whatever directory it is typed. */
static char *command_line(int argc, char **argv)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		return NULL;
	fputs(argc > 0 ? argv[0] : "bertc", out);
	for (int i = 1; i < argc; i++) {
		int skip = place_words(argv[i]);
		if (skip) {
			i += skip - 1;
			continue;
		}
		char *argument = strdup(argv[i]);
		for (size_t n = argument ? strlen(argument) : 0; n > 1 && argument[n - 1] == '/'; n--)
			argument[n - 1] = '\0';
		if (argument && strchr(argument, '{')) /* a pipeline */
			pipeline_hide_folders(argument);
		const char *slash = argument && argument[0] != '-' ? strrchr(argument, '/') : NULL;
		const char *shown = argument ? argument : "";
		if (slash && slash[1])
			shown = slash + 1;
		fprintf(out, " %s", shown);
		free(argument);
	}
	fclose(out);
	return text;
}

void build_options_init(BuildOptions *options, int argc, char **argv)
{
	static const BuildHooks hooks = {calibration_offer, tune_check, tune_before};
	*options = (BuildOptions){
		.run.level = 2, .result.is_static = -1, .hooks = &hooks, .progress = isatty(STDERR_FILENO) == 1};
	options->run.driver.failure_path = "bertc-failure.bir";
	options->about.command = command_line(argc, argv);
	options->run.driver.reproduce = options->about.command;
}

double option_number(struct argp_state *state, const char *name, const char *text, double least, double most)
{
	char *end;
	const double value = strtod(text, &end);
	if (end == text || *end || !(value >= least && value <= most))
		argp_error(state, "--%s=%s: expected a number from %g to %g", name, text, least, most);
	return value;
}

void option_no_model(struct argp_state *state)
{
	char known[IMPORTERS_BYTES];
	argp_error(state, "no model: give %s", importers_text(0, known));
}

void option_model(struct argp_state *state, BuildOptions *options, const char *argument)
{
	if (options->load.model)
		argp_error(state, "one model at a time: %s after %s", argument, options->load.model);
	options->load.model = argument;
}
