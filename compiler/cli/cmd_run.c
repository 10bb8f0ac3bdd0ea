/* cmd_run.c: `bertc run MODEL [TEXT...]`: builds the program for this machine in a temporary directory and
 * runs it at once, with this process's standard input and output. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bertc.h"

typedef struct RunOptions {
	BuildOptions build;
	const char **texts;
	int ntexts;
} RunOptions;

static error_t parse(int key, char *argument, struct argp_state *state)
{
	RunOptions *options = state->input;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &options->build; return 0;
	case ARGP_KEY_ARG:
		if (!options->build.load.model)
			options->build.load.model = argument;
		else
			options->texts[options->ntexts++] = argument;
		return 0;
	case ARGP_KEY_END:
		if (!options->build.load.model)
			option_no_model(state);
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

/* Runs the program; its exit status becomes ours. */
static int run_program(const char *path, const RunOptions *options, Diag *diag)
{
	const char **words = calloc((size_t)options->ntexts + 2, sizeof *words);
	if (!words) {
		diag_error(diag, EXIT_RUN, 0, "out of memory");
		return EXIT_RUN;
	}
	words[0] = path;
	memcpy(words + 1, options->texts, (size_t)options->ntexts * sizeof *words);
	const pid_t child = fork();
	if (child == 0) {
		execv(path, (char *const *)words);
		_exit(127);
	}
	int status = 0;
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	free(words);
	if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
		diag_error(diag, EXIT_RUN, 0, "the built program cannot be started");
	else if (WIFSIGNALED(status))
		diag_error(diag, EXIT_RUN, 0, "the built program was ended by signal %d", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_RUN;
}

int cmd_run(int argc, char **argv)
{
	RunOptions options = {.texts = calloc((size_t)argc + 1, sizeof(char *))};
	build_options_init(&options.build, argc, argv);
	const struct argp_child children[] = {{.argp = &build_argp}, {0}};
	const struct argp argp = {.parser = parse,
		.args_doc = "MODEL [TEXT...]",
		.children = children,
		.doc = "Build for this machine in a temporary directory and run at once.\v"
			   "Without TEXT the program reads a text a line from standard input. Options of the program "
			   "follow a `--`:\n"
			   "  bertc run minilm-sst2 'a gripping film'\n"
			   "  bertc run minilm-sst2 -- --json --batch 8 < reviews.txt"};
	argp_parse(&argp, argc, argv, 0, NULL, &options);

	Diag diag;
	diag_init(&diag, options.build.load.model);
	Loaded loaded = {0};
	char *directory = NULL, *path = NULL;
	int status = EXIT_DONE;
	if (model_load(&options.build.load, &loaded, &diag) && (directory = temporary_directory(&diag))) {
		if (asprintf(&path, "%s/program", directory) < 0)
			path = NULL;
		options.build.result.out = path;
		options.build.result.name = "program";
		options.build.result.emit = EMIT_EXE;
		options.build.result.is_static = options.build.result.is_static < 0 ? 1
																			: options.build.result.is_static;
		const bool good = path && build_loaded(&options.build, &loaded, NULL, &diag);
		model_unload(&loaded); /* the memory is the program's now */
		loaded = (Loaded){0};
		diag_print(&diag, stderr);
		if (good)
			status = run_program(path, &options, &diag);
	}
	progress_clear();
	model_unload(&loaded);
	if (directory)
		remove_tree(directory);
	free(path);
	free(directory);
	free(options.texts);
	return command_end(&options.build, &diag, status);
}
