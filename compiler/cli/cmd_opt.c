/* cmd_opt.c: `bertc opt IN.bir --passes=PIPELINE`: runs passes on the textual IR and prints what they leave.
 * Reading, passes and printing are the libraries'; here are only the options. */
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/build/tunings.h"

enum {
	KEY_PASSES = 0x100,
	KEY_ELIDE,
	KEY_PRINT_AFTER,
	KEY_STOP_AFTER,
	KEY_DUMP_IR,
	KEY_TIME_PASSES,
	KEY_VERIFY_EACH,
	KEY_CHECK_EACH,
	KEY_EXPLAIN,
	KEY_PRINT_PIPELINE,
	KEY_TARGET,
	KEY_CPU,
	KEY_SEARCH,
	KEY_LEDGER,
	KEY_TUNE_CACHE
};

static const struct argp_option table[] = {
	{"passes", KEY_PASSES, "PIPELINE", 0,
		"passes to run, as in cse,fuse{only=attention,qkv},dce; see `bertc passes`", 1},
	{NULL, 'O', "LEVEL", 0, "preset pipeline 0 to 3", 0},
	{"output", 'o', "OUT.bir", 0,
		"result (default: standard output); constants too large for text go to OUT.safetensors", 0},
	{"elide-constants", KEY_ELIDE, NULL, 0, "print large constants that passes made as `const elided`", 0},
	{"target", KEY_TARGET, "TRIPLE", 0, "target whose kernels lower chooses (default: this machine)", 2},
	{"cpu", KEY_CPU, "NAME", 0, "its CPU, `native` or `baseline`; see `bertc targets`", 0},
	{"tune-cache", KEY_TUNE_CACHE, "FILE", 0,
		"choose kernels as this file says, which `bertc build --tune` wrote", 0},
	{"search", KEY_SEARCH, "DIR", 0, "look up weights here as well (may be repeated)", 0},
	{"print-pipeline", KEY_PRINT_PIPELINE, NULL, 0, "print the pipeline to standard error", 3},
	{"print-ir-after", KEY_PRINT_AFTER, "PASS", 0,
		"print the IR after a pass, `all` or `changed`, to standard error", 0},
	{"stop-after", KEY_STOP_AFTER, "PASS", 0, "stop after this pass", 0},
	{"dump-ir", KEY_DUMP_IR, "DIR", 0, "write the IR after every pass as a numbered file", 0},
	{"time-passes", KEY_TIME_PASSES, NULL, 0, "print the time each pass took", 0},
	{"verify-each", KEY_VERIFY_EACH, NULL, 0, "verify the IR after each pass", 0},
	{"check-each", KEY_CHECK_EACH, NULL, 0, "evaluate the IR before and after each pass and compare", 0},
	{"explain", KEY_EXPLAIN, NULL, 0, "say why patterns did not match", 0},
	{"ledger", KEY_LEDGER, "FILE.json", 0,
		"write what each pass did and cost; `-` prints it as a table to standard error", 0},
	{0}};

enum { SEARCH_MAX = 16 };
typedef struct Options {
	const char *in, *out, *passes, *target, *cpu, *ledger, *tune_cache;
	const char *search[SEARCH_MAX + 1];
	int nsearch;
	bool elide, print_pipeline;
	DriverOptions driver;
} Options;

static error_t parse(int key, char *argument, struct argp_state *state)
{
	Options *options = state->input;
	switch (key) {
	case KEY_PASSES: options->passes = argument; return 0;
	case 'O':
		if (argument[0] < '0' || argument[0] > '3' || argument[1])
			argp_error(state, "-O%s: expected 0 to 3", argument);
		options->passes = pipeline_preset(argument[0] - '0');
		return 0;
	case 'o': options->out = argument; return 0;
	case KEY_ELIDE: options->elide = true; return 0;
	case KEY_TARGET: options->target = argument; return 0;
	case KEY_CPU: options->cpu = argument; return 0;
	case KEY_TUNE_CACHE: options->tune_cache = argument; return 0;
	case KEY_SEARCH:
		if (options->nsearch == SEARCH_MAX)
			argp_error(state, "--search may be given %d times at most", SEARCH_MAX);
		options->search[options->nsearch++] = argument;
		return 0;
	case KEY_PRINT_PIPELINE: options->print_pipeline = true; return 0;
	case KEY_PRINT_AFTER: options->driver.print_after = argument; return 0;
	case KEY_STOP_AFTER: options->driver.stop_after = argument; return 0;
	case KEY_DUMP_IR: options->driver.dump_dir = argument; return 0;
	case KEY_TIME_PASSES: options->driver.time_passes = true; return 0;
	case KEY_VERIFY_EACH: options->driver.verify_each = true; return 0;
	case KEY_CHECK_EACH: options->driver.check_each = true; return 0;
	case KEY_EXPLAIN: options->driver.explain = true; return 0;
	case KEY_LEDGER: options->ledger = argument; return 0;
	case ARGP_KEY_ARG:
		if (options->in)
			argp_error(state, "one graph at a time: %s after %s", argument, options->in);
		options->in = argument;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

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
		fprintf(stderr, "%s\n", text ? text : "");
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
		good = json && atomic_open(&file, options->ledger, diag);
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
			"passes made constants that are too large for text: give -o OUT.bir, which puts them in "
			"OUT.safetensors, or "
			"--elide-constants");
	module_print(module, stdout, &print);
	return true;
}

int cmd_opt(int argc, char **argv)
{
	Options options = {.driver.failure_path = "bertc-failure.bir"};
	const struct argp argp = {.options = table,
		.parser = parse,
		.args_doc = "[IN.bir]",
		.doc = "Run passes on the textual IR; `-` or nothing reads standard input.\v"
			   "Examples:\n"
			   "  bertc opt layer.bir --passes=canonicalize,fuse,dce\n"
			   "  bertc opt layer.bir -O2 --cpu=x86-64-v3 --print-ir-after=changed --elide-constants\n"
			   "  bertc opt layer.bir --passes='fuse{only=attention}' --explain --check-each --ledger=-"};
	char *command = NULL;
	size_t bytes;
	FILE *line = open_memstream(&command, &bytes);
	for (int i = 0; line && i < argc; i++)
		fprintf(line, "%s%s", i ? " " : "", argv[i]);
	if (line)
		fclose(line);
	argp_parse(&argp, argc, argv, 0, NULL, &options);
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
