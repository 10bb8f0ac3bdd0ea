/* cmd_build.c: `bertc build MODEL -o OUT`. options.c has the options, load.c reads the model, build.c does
 * the work. With --data the ledger reports the cost of each pass, as `bertc inspect` does. */
#include <stdlib.h>
#include "bertc.h"
#include "compiler/report/inspect.h"
#include "compiler/build/tunings.h"

typedef struct BuildCommand {
	BuildOptions build;
	const char *data;
	int limit;
	bool no_latency;
} BuildCommand;

static const CommandOption table[] = {
	{"verified", "FILE.json", "store these figures of `bertc verify --json` in the program's --about",
		INTO(BuildCommand, build.about.verified), .group = 4},
	{"tune", NULL,
		"time kernels for this model's shapes on this machine, save the choice in the file of --tune-cache "
		"(default: bertc/tune.txt in $XDG_CACHE_HOME or ~/.cache), and use it for this build",
		INTO(BuildCommand, build.run.tune), .group = 3},
	{"data", "FILE",
		"labelled data, as for `bertc eval`: score and time the model after each pass, and print the ledger; "
		"--ledger stores these figures, --about only the scores",
		INTO(BuildCommand, data), .group = 4},
	{"limit", "N", "score only the first N rows of --data (default 500)", INTO(BuildCommand, limit), 1,
		1 << 30},
	{"no-latency", NULL, "do not time the model after each pass", INTO(BuildCommand, no_latency)},
	{0},
};

static void check(void *options, struct argp_state *state)
{
	const BuildOptions *build = options;
	if (!build->result.out)
		argp_error(state, "no result: give -o OUT");
}

static bool after_pass(void *measurer, LedgerRow *row, Module *module, Diag *diag)
{
	return measure_row(measurer, row, module, diag);
}

/* Builds, and measures the model before the first pass and after each pass. */
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

static int build(void *options, Loaded *loaded, Diag *diag)
{
	BuildCommand *command = options;
	BuildOptions *o = &command->build;
	Ledger ledger = {0};
	char *kept = NULL;
	if (o->run.tune && !o->run.tune_cache) {
		kept = tune_default_path(diag);
		o->run.tune_cache = kept;
	}
	if (!diag->errors && build_check(o, diag) && model_load(&o->load, loaded, diag)) {
		if (command->data)
			build_measured(command, loaded, &ledger, diag);
		else
			build_loaded(o, loaded, &ledger, diag);
	}
	ledger_free(&ledger);
	free(kept);
	return EXIT_DONE;
}

int cmd_build(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL",
		.doc = "Compile a model into a program, a library or C.\v"
			   "MODEL is one of these:\n"
#define IMPORTER(NAME, reads, doc, ...) "  " doc "\n"
#include "compiler/import/importers.def"
#undef IMPORTER
			   "\nExamples:\n"
			   "  bertc build minilm-sst2 -o sst2\n"
			   "  bertc build minilm-l6 --weights=f16 --cpu=x86-64-v3 -o embed\n"
			   "  bertc build minilm-l6 --emit=lib --name=embed -o libembed.a\n"
			   "  bertc build minilm-sst2 --data sst2/dev.tsv -o sst2 \\\n"
			   "    --passes='drop-layers{strategy=top keep=5},quantize-int8'",
		.options = table,
		.check = check,
		.work = build,
	};
	BuildCommand command = {.limit = 500};
	return command_run(&usage, argc, argv, &command.build);
}
