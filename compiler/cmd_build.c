/* cmd_build.c: `bertc build MODEL -o OUT`. Options are options.c's, reading is load.c's, the work is build.c's. */
#include <stdlib.h>
#include "tune.h"

enum { KEY_VERIFIED = 0x200, KEY_TUNE };
static const struct argp_option table[] = {
	{"verified", KEY_VERIFIED, "FILE.json", 0, "what `bertc verify --json` measured of this build, for the program's --about", 4},
	{"tune", KEY_TUNE, NULL, 0, "time kernels for this model's shapes on this machine, keep the choice in the file of --tune-cache "
		"(default: bertc/tune.txt in $XDG_CACHE_HOME or ~/.cache) and build with it", 3},
	{0}
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	BuildOptions *options = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options;
		return 0;
	case KEY_VERIFIED:
		options->verified = argument;
		return 0;
	case KEY_TUNE:
		options->tune = true;
		return 0;
	case ARGP_KEY_ARG:
		option_model(state, options, argument);
		return 0;
	case ARGP_KEY_END:
		if (!options->model)
			argp_error(state, "no model: give a Hugging Face directory, a model.xml or a .bir file");
		else if (!options->out)
			argp_error(state, "no result: give -o OUT");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_build(int argc, char **argv)
{
	BuildOptions options;
	build_options_init(&options, argc, argv);
	const struct argp_child children[] = {{.argp = &build_argp}, {0}};
	const struct argp argp = {.options = table, .parser = parse, .args_doc = "MODEL", .children = children, .doc =
		"Compile a model into a program, a library or C.\v"
		"MODEL is a Hugging Face directory, a model.xml (see `bertc describe`) or a graph in .bir text.\n\n"
		"Examples:\n"
		"  bertc build minilm-sst2 -o sst2\n"
		"  bertc build minilm-l6 --weights=f16 --cpu=x86-64-v3 -o embed\n"
		"  bertc build minilm-l6 --emit=lib --name=embed -o libembed.a"};
	argp_parse(&argp, argc, argv, 0, NULL, &options);

	Diag diag;
	diag_init(&diag, options.model);
	Loaded loaded = {0};
	Ledger ledger = {0};
	char *kept = NULL;
	if (options.tune && !options.tune_cache)
		options.tune_cache = kept = tune_default_path(&diag);
	if (!diag.errors && build_check(&options, &diag) && model_load(&options, &loaded, &diag))
		build_loaded(&options, &loaded, &ledger, &diag);
	progress_clear();
	ledger_free(&ledger);
	model_unload(&loaded);
	diag_print(&diag, stderr);
	ExitCode code = diag.errors ? diag.code : EXIT_DONE;
	diag_free(&diag);
	free(options.command);
	free(kept);
	return code;
}
