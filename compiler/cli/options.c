/* options.c: the options of `build`, which every command that builds has. Names (CPU, pass, task) are checked
 * by the code that uses them. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bertc.h"
#include "compiler/kernel_tune/kernel_tune.h"
#include "compiler/measure/calibrate.h"

static const char *const emit_names[EMIT_COUNT] = {"exe", "lib", "shared", "obj", "c", "bir", "checkpoint"};
static const char *const compat_names[] = {"files", "transformers5"};
static const char *const weight_names[] = {"f32", "f16", "bf16"};
static const char *const compute_names[] = {"f32", "bf16"};
static const char *const form_names[] = {"incbin", "inline"};
static const char *const pack_names[] = {"plain", "small"};

/* ---- options that do more than fill a member ------------------------------------------------- */

static void set_passes(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	(void)option, (void)state;
	build_set_passes(options, text);
}

static void set_level(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	BuildOptions *build = options;
	build->run.level = (int)option_number(option, text, state);
	build->run.level_given = true;
}

/* Zero-shot classification is a use of a classifier (build/baked.c). */
static void set_task(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	(void)option, (void)state;
	BuildOptions *build = options;
	build->result.zero_shot = strcmp(text, task_names[TASK_COUNT]) == 0;
	build->load.task = build->result.zero_shot ? task_names[TASK_CLASSIFY] : text;
}

static void add_search(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	BuildOptions *build = options;
	option_append(option, build->load.search, text, state);
}

static void set_quiet(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	(void)option, (void)text, (void)state;
	BuildOptions *build = options;
	build->quiet = true;
	build->progress = false;
}

#define OUT(member) INTO(BuildOptions, result.member)
#define RUN(member) INTO(BuildOptions, run.member)
#define LOAD(member) INTO(BuildOptions, load.member)
enum { SEARCH_MAX = sizeof((BuildOptions *)0)->load.search / sizeof(char *) - 1 };

const CommandOption build_table[] = {
	{.doc = "Result:", .group = 1},
	{"output", "OUT", "path of the result, which appears only when it is complete", OUT(out), .letter = 'o'},
	{"emit", "KIND", "exe (default), lib, shared, obj, c, bir or checkpoint", OUT(emit), WORDS(emit_names)},
	{"name", "NAME", "prefix of the C functions, an identifier (default: from OUT)", OUT(name)},
	{"task", "TASK",
		"classify, tag, embed, rank, qa, fill-mask, choice, multi-vector, sparse, or zero-shot: classify "
		"with labels that the program gets by --labels (default: from the "
		"checkpoint)",
		.call = set_task, WORDS(task_names)},
	{"merge", "NAME=DIR,...",
		"one program for several tasks that share the base MODEL; DIR has a checkpoint, or a "
		"delta.safetensors that changes the base",
		LOAD(merge)},
	{"route", "NAME",
		"for a Router of sentence-transformers: the route to build, such as query (default: the one that "
		"encode() takes)",
		LOAD(route)},
	{"compat", "RELEASE",
		"how to read a tokenizer where releases of transformers differ: files (default; as transformers 4 "
		"and "
		"the tokenizers library) or transformers5",
		LOAD(transformers5), WORDS(compat_names)},
	{"outputs", "LIST", "additional outputs: hidden, pooled, or both, separated by a comma", LOAD(outputs)},
	{"max-tokens", "N", "longest text in tokens, at most the positions of the encoder", LOAD(max_tokens), 1,
		INT_MAX / 2},
	{"labels", "A,B,...",
		"zero-shot classification: labels stored in the program, which chooses among them unless its own "
		"--labels gives others",
		OUT(labels)},
	{"ranges", "FILE",
		"embeddings: the program's --ranges for int8 and uint8, as its --precision=ranges prints them",
		OUT(ranges)},
	{"template", "TEXT", "with --labels: the hypothesis, in which each label replaces {}", OUT(pattern)},
	{.doc = "Passes and numbers:", .group = 2},
	{"passes", "PIPELINE", "pass pipeline, such as O2,quantize-int8; see `bertc passes`", .call = set_passes},
	{NULL, "LEVEL", "preset pipeline 0 to 3 (default 2); none changes results beyond rounding",
		.call = set_level, .letter = 'O', .kind = OPTION_INT, .most = 3},
	{"weights", "TYPE", "store weights as f32, f16 or bf16 (default: the type in the checkpoint)",
		RUN(weights), WORDS(weight_names)},
	{"compute", "TYPE", "arithmetic of linears: f32, or bf16 (factors rounded to bf16, sums in f32)",
		RUN(compute), WORDS(compute_names)},
	{"print-pipeline", NULL, "print the pipeline that ran", RUN(print_pipeline)},
	{"ledger", "FILE.json", "write the changes and the cost of each pass", RUN(ledger)},
	{"print-ir-after", "PASS",
		"print the IR after this pass, after `all` passes, or after those that `changed` it",
		RUN(driver.print_after)},
	{"stop-after", "PASS", "stop after this pass (with --emit=bir)", RUN(driver.stop_after)},
#define DRIVER_OPTION(name, value, member, doc) {name, value, doc, RUN(driver.member)},
#include "driver.def"
#undef DRIVER_OPTION
	{.doc = "Target:", .group = 3},
	{"target", "TRIPLE", "target (default: this machine); see `bertc targets`", OUT(target)},
	{"cpu", "NAME",
		"CPU, `native` or `baseline` (default: native for this machine, else baseline); with several, "
		"separated by commas, the program uses the last one that the machine supports",
		OUT(cpu)},
	{"tune-cache", "FILE", "choose kernels by this file, written by `bertc build --tune`", RUN(tune_cache)},
	{"static", NULL, "link the program statically (default)", OUT(is_static), 1},
	{"no-static", NULL, "link the program with the target's shared C library", OUT(is_static), 0},
	{"sysroot", "DIR", "directory with the target's C library", OUT(sysroot)},
	{"cc", "PROG", "compile with this compiler instead of the built-in Clang", OUT(cc)},
	{"weights-as", "FORM",
		"with --emit=c: incbin (default; weights in a file of their own) or inline (weights as C text)",
		OUT(weights_inline), WORDS(form_names)},
	{"pack", "HOW",
		"plain (default): store weights as the kernels read them; small: store them entropy-coded, to be "
		"decoded when the program starts",
		OUT(pack_small), WORDS(pack_names)},
	{"no-cache", NULL,
		"compile everything anew (default: reuse compiled code from $BERTC_CACHE, or from bertc/objects in "
		"$XDG_CACHE_HOME or ~/.cache)",
		OUT(no_cache)},
	{"save-temps", "DIR", "keep the C file, its weights and the objects in this directory", OUT(save_temps)},
	{.doc = "Other:", .group = 4},
	{"search", "DIR", "also look in this directory for the files that the model names (may be repeated)",
		.call = add_search, .most = SEARCH_MAX},
	{"quiet", NULL, "no notes and no progress", .call = set_quiet, .letter = 'q'},
	{"progress", NULL, "show progress (default on a terminal)", INTO(BuildOptions, progress)},
	{0},
};

/* ---- the command line for --about ------------------------------------------------------------ */

/* Options that name a path of this machine or do not affect the result. They are left out of the stored
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
	{"--no-cache", false},
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

/* The number of words to leave out, from this one on. */
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

/* "bertc build minilm-sst2 --weights=f16": the command without directories. Words after `--` are not
 * options. */
static char *command_line(int argc, char **argv)
{
	char *text = NULL;
	size_t bytes;
	bool names = false;
	FILE *out = text_open(&text, &bytes);
	fputs(argc > 0 ? argv[0] : "bertc", out);
	for (int i = 1; i < argc; i++) {
		const int skip = names ? 0 : place_words(argv[i]);
		if (skip) {
			i += skip - 1;
			continue;
		}
		char *argument = checked_strdup(argv[i]);
		for (size_t n = strlen(argument); n > 1 && argument[n - 1] == '/'; n--)
			argument[n - 1] = '\0';
		if (strchr(argument, '{')) /* a pipeline */
			pipeline_hide_folders(argument);
		const char *slash = names || argument[0] != '-' ? strrchr(argument, '/') : NULL;
		const char *shown = argument;
		if (slash && slash[1])
			shown = slash + 1;
		names = names || strcmp(shown, "--") == 0;
		const bool dash = slash && *shown == '-' && !names;
		fprintf(out, dash ? " ./%s" : " %s", shown);
		free(argument);
	}
	text_close(out);
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
