/* cmd_opt.c: `bertc opt IN.bir --passes=PIPELINE`: runs passes on the textual IR and prints the result. This
 * file has only the options. */
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/build/tunings.h"

enum { SEARCH_MAX = 16 };
typedef struct Options {
	const char *in, *out, *passes, *target, *cpu, *ledger, *tune_cache;
	const char *search[SEARCH_MAX + 1];
	bool elide, print_pipeline;
	DriverOptions driver;
} Options;

static void set_level(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	Options *o = options;
	o->passes = pipeline_preset((int)option_number(option, text, state));
}

static void add_search(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	Options *o = options;
	option_append(option, o->search, text, state);
}

static void take_word(void *options, char *word, struct argp_state *state)
{
	Options *o = options;
	if (o->in)
		argp_error(state, "one graph at a time: %s after %s", word, o->in);
	o->in = word;
}

static const CommandOption table[] = {
	{"passes", "PIPELINE", "passes to run, such as cse,fuse{only=attention,qkv},dce; see `bertc passes`",
		INTO(Options, passes), .group = 1},
	{NULL, "LEVEL", "preset pipeline 0 to 3", .kind = OPTION_INT, .most = 3, .call = set_level,
		.letter = 'O'},
	{"output", "OUT.bir",
		"result (default: standard output); constants too large for text go to OUT.safetensors",
		INTO(Options, out), .letter = 'o'},
	{"elide-constants", NULL, "print large constants made by passes as `const elided`", INTO(Options, elide)},
	{"target", "TRIPLE", "target whose kernels lower chooses (default: this machine)", INTO(Options, target),
		.group = 2},
	{"cpu", "NAME", "CPU of the target, `native` or `baseline`; see `bertc targets`", INTO(Options, cpu)},
	{"tune-cache", "FILE", "choose kernels by this file, written by `bertc build --tune`",
		INTO(Options, tune_cache)},
	{"search", "DIR", "also look in this directory for weights (may be repeated)", .call = add_search,
		.most = SEARCH_MAX},
	{"print-pipeline", NULL, "print the pipeline to standard error", INTO(Options, print_pipeline),
		.group = 3},
	{"print-ir-after", "PASS",
		"print the IR to standard error after this pass, after `all` passes, or after those that "
		"`changed` it",
		INTO(Options, driver.print_after)},
	{"stop-after", "PASS", "stop after this pass", INTO(Options, driver.stop_after)},
#define DRIVER_OPTION(name, value, member, doc) {name, value, doc, INTO(Options, driver.member)},
#include "driver.def"
#undef DRIVER_OPTION
	{"ledger", "FILE.json",
		"write the changes and the cost of each pass; `-` prints a table to standard error",
		INTO(Options, ledger)},
	{0},
};

static bool run_passes(const Options *options, Module *module, Diag *diag)
{
	Target target;
	Ledger ledger = {0};
	TuneTable tunings = {0};
	Pipeline *pipeline = pipeline_parse(options->passes ? options->passes : "", diag);
	bool good = pipeline && target_find(options->target, options->cpu, &target, diag)
		&& tune_load(&tunings, options->tune_cache, false, diag);
	if (good && options->print_pipeline) {
		char *text = pipeline_text(pipeline);
		fprintf(stderr, "%s\n", text);
		free(text);
	}
	if (good) {
		PassEnv env = {.isa = target.isa,
			.cpus = target.cpus,
			.ncpus = target.ncpus,
			.max_tokens = module->max_tokens,
			.tune = &tunings};
		good = pipeline_run(pipeline, module, &env, &options->driver, &ledger, diag);
	}
	if (options->ledger && strcmp(options->ledger, "-") == 0) {
		ledger_print(&ledger, stderr);
	} else if (options->ledger && good) {
		AtomicFile file;
		char *json = ledger_json(&ledger);
		good = atomic_open(&file, options->ledger, diag);
		if (good) {
			fprintf(file.stream, "%s\n", json);
			good = atomic_commit(&file, diag);
		}
		free(json);
	}
	ledger_free(&ledger);
	tune_free(&tunings);
	pipeline_free(pipeline);
	return good;
}

static bool write_result(const Options *options, const Module *module, Diag *diag)
{
	PrintOptions print = {.elide_constants = options->elide};
	if (options->out && strcmp(options->out, "-") != 0)
		return module_write(module, options->out, &print, diag);
	if (!options->elide && module_has_loose_constants(module))
		return diag_error(diag, EXIT_USAGE, 0,
			"passes made constants that are too large for text; give -o OUT.bir, which writes them to "
			"OUT.safetensors, or --elide-constants");
	module_print(module, stdout, &print);
	return true;
}

int cmd_opt(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "[IN.bir]",
		.doc = "Run passes on the textual IR. Without IN.bir, or with `-`, read standard input.\v"
			   "Examples:\n"
			   "  bertc opt layer.bir --passes=canonicalize,fuse,dce\n"
			   "  bertc opt layer.bir -O2 --cpu=x86-64-v3 --elide-constants \\\n"
			   "    --print-ir-after=changed\n"
			   "  bertc opt layer.bir --passes='fuse{only=attention}' --explain \\\n"
			   "    --check-each --ledger=-",
		.options = table,
		.word = take_word,
		.plain = true,
	};
	Options options = {.driver.failure_path = "bertc-failure.bir"};
	char *command = NULL;
	size_t bytes;
	FILE *line = text_open(&command, &bytes);
	for (int i = 0; i < argc; i++)
		fprintf(line, "%s%s", i ? " " : "", argv[i]);
	text_close(line);
	command_parse(&usage, argc, argv, &options);
	options.driver.reproduce = command;
	const char *in = options.in ? options.in : "-";

	Diag diag;
	diag_init(&diag, strcmp(in, "-") ? in : "<stdin>");
	Module *module = module_read(in, options.search, &diag);
	if (module && module_verify(module, &diag) && run_passes(&options, module, &diag)
		&& module_verify(module, &diag))
		write_result(&options, module, &diag);
	diag_print(&diag, stderr);
	ExitCode code = diag.errors ? diag.code : EXIT_DONE;
	module_free(module);
	diag_free(&diag);
	free(command);
	return code;
}
