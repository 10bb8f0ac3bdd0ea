/* cmd_build.c: `bertc build MODEL -o OUT`. Options are options.c's, reading is load.c's, the work is
 * build.c's. With --data the ledger tells what each pass costs, as `bertc inspect` does. */
#include <stdlib.h>
#include "bertc.h"
#include "compiler/report/inspect.h"
#include "compiler/build/tunings.h"

enum { KEY_VERIFIED = 0x200, KEY_TUNE, KEY_DATA, KEY_LIMIT, KEY_NO_LATENCY };

typedef struct BuildCommand {
	BuildOptions build;
	const char *data;
	int limit;
	bool no_latency;
} BuildCommand;

static const struct argp_option table[] = {
	{"verified", KEY_VERIFIED, "FILE.json", 0,
		"what `bertc verify --json` measured of this build, for the program's --about", 4},
	{"tune", KEY_TUNE, NULL, 0,
		"time kernels for this model's shapes on this machine, keep the choice in the file of --tune-cache "
		"(default: bertc/tune.txt in $XDG_CACHE_HOME or ~/.cache) and build with it",
		3},
	{"data", KEY_DATA, "FILE", 0,
		"labelled data as `bertc eval` reads it: score and time a program made of what each pass leaves, "
		"print the ledger with these figures, and put them into --ledger, the scores also into --about",
		4},
	{"limit", KEY_LIMIT, "N", 0, "score only the first N rows of --data (default 500)", 4},
	{"no-latency", KEY_NO_LATENCY, NULL, 0,
		"time nothing: the same ledger every time, but for what the passes took", 4},
	{0}};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	BuildCommand *command = state->input;
	BuildOptions *options = &command->build;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = options; return 0;
	case KEY_VERIFIED: options->about.verified = argument; return 0;
	case KEY_TUNE: options->run.tune = true; return 0;
	case KEY_DATA: command->data = argument; return 0;
	case KEY_LIMIT: command->limit = (int)option_number(state, "limit", argument, 1, 1 << 30); return 0;
	case KEY_NO_LATENCY: command->no_latency = true; return 0;
	case ARGP_KEY_ARG: option_model(state, options, argument); return 0;
	case ARGP_KEY_END:
		if (!options->load.model)
			option_no_model(state);
		else if (!options->result.out)
			argp_error(state, "no result: give -o OUT");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static bool after_pass(void *measurer, LedgerRow *row, Module *module, Diag *diag)
{
	return measure_row(measurer, row, module, diag);
}

/* Builds, and measures the model as it was read and as each pass leaves it. */
static bool build_measured(const BuildCommand *command, Loaded *loaded, Ledger *ledger, Diag *diag)
{
	BuildOptions options = command->build;
	Dataset data = {0};
	Measurer measurer = {.options = &command->build,
		.loaded = loaded,
		.data = &data,
		.path = command->data,
		.limit = command->limit,
		.timed = !command->no_latency};
	Pipeline *pipeline = build_pipeline(&options, loaded, diag);
	bool good = pipeline && dataset_read(command->data, &data, diag)
		&& (measurer.tail = measure_tail(pipeline))
		&& measure_row(&measurer, &ledger->start, loaded->module, diag);
	options.run.driver.after = after_pass;
	options.run.driver.after_arg = &measurer;
	good = good && build_loaded(&options, loaded, ledger, diag);
	progress_clear();
	if (good && !options.quiet) {
		printf("%s on %s\n", measurer.metric, command->data);
		ledger_print(ledger, stdout);
	}
	free(measurer.tail);
	pipeline_free(pipeline);
	dataset_free(&data);
	return good;
}

int cmd_build(int argc, char **argv)
{
	BuildCommand command = {.limit = 500};
	BuildOptions *options = &command.build;
	build_options_init(options, argc, argv);
	const struct argp_child children[] = {{.argp = &build_argp}, {0}};
	const struct argp argp = {.options = table,
		.parser = parse,
		.args_doc = "MODEL",
		.children = children,
		.doc = "Compile a model into a program, a library or C.\v"
			   "MODEL is one of these:\n"
#define IMPORTER(NAME, reads, doc, ...) "  " doc "\n"
#include "compiler/import/importers.def"
#undef IMPORTER
			   "\nExamples:\n"
			   "  bertc build minilm-sst2 -o sst2\n"
			   "  bertc build minilm-l6 --weights=f16 --cpu=x86-64-v3 -o embed\n"
			   "  bertc build minilm-l6 --emit=lib --name=embed -o libembed.a\n"
			   "  bertc build minilm-sst2 --passes='drop-layers{strategy=top keep=5},quantize-int8' --data "
			   "sst2/dev.tsv -o sst2"};
	argp_parse(&argp, argc, argv, 0, NULL, &command);

	Diag diag;
	diag_init(&diag, options->load.model);
	Loaded loaded = {0};
	Ledger ledger = {0};
	char *kept = NULL;
	if (options->run.tune && !options->run.tune_cache)
		options->run.tune_cache = kept = tune_default_path(&diag);
	if (!diag.errors && build_check(options, &diag) && model_load(&options->load, &loaded, &diag)) {
		if (command.data)
			build_measured(&command, &loaded, &ledger, &diag);
		else
			build_loaded(options, &loaded, &ledger, &diag);
	}
	progress_clear();
	ledger_free(&ledger);
	model_unload(&loaded);
	diag_print(&diag, stderr);
	ExitCode code = diag.errors ? diag.code : EXIT_DONE;
	diag_free(&diag);
	free(options->about.command);
	free(kept);
	return code;
}
