/* cmd_run.c: `bertc run MODEL [TEXT...]`: builds the program for this machine in a temporary directory and
 * runs it with this process's standard input and output. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bertc.h"
#include "compiler/support/process.h"

typedef struct RunOptions {
	BuildOptions build;
	const char **texts;
	int ntexts;
} RunOptions;

/* The model, then texts. */
static void take_word(void *options, char *word, struct argp_state *state)
{
	(void)state;
	RunOptions *o = options;
	if (o->build.load.model)
		o->texts[o->ntexts++] = word;
	else
		o->build.load.model = word;
}

/* Runs the program; its exit status becomes ours. */
static int run_program(const char *path, const RunOptions *options, Diag *diag)
{
	const char **words = checked_calloc((size_t)options->ntexts + 2, sizeof *words);
	words[0] = path;
	memcpy(words + 1, options->texts, (size_t)options->ntexts * sizeof *words);
	const pid_t child = process_fork();
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

static int build_and_run(void *options, Loaded *loaded, Diag *diag)
{
	RunOptions *o = options;
	char *directory = temporary_directory(diag),
		 *path = directory ? result_program(&o->build, directory) : NULL;
	int status = EXIT_RUN;
	const bool good = path && build_loaded(&o->build, loaded, NULL, diag);
	model_unload(loaded); /* the memory is the program's now */
	diag_print(diag, stderr);
	if (good)
		status = run_program(path, o, diag);
	if (directory)
		remove_tree(directory);
	free(path);
	free(directory);
	return status;
}

int cmd_run(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL [TEXT...]",
		.doc = "Build for this machine in a temporary directory and run the program.\v"
			   "Without TEXT the program reads one text per line from standard input. Words after `--` are "
			   "options of the program.\n\n"
			   "Examples:\n"
			   "  bertc run minilm-sst2 'a gripping film'\n"
			   "  bertc run minilm-sst2 -- --json --batch 8 < reviews.txt",
		.word = take_word,
		.work = build_and_run,
		.loads = true,
	};
	RunOptions options = {.texts = checked_calloc((size_t)argc + 1, sizeof(char *))};
	const int status = command_run(&usage, argc, argv, &options.build);
	free(options.texts);
	return status;
}
