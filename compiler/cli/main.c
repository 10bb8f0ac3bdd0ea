/* main.c: finds the command in commands.def and calls it. Each command is in a file cmd_NAME.c. */
#include <jansson.h>
#include <libxml/xmlmemory.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bertc.h"
#include "compiler/support/files.h"

static const struct Command {
	const char *name, *doc;
	int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND(function, name, doc) {name, doc, cmd_##function},
#include "commands.def"
#undef COMMAND
};
enum { COMMANDS = sizeof commands / sizeof *commands };

const char *argp_program_version = "bertc " BERTC_VERSION;

/* Signals and a lack of memory leave no partial results: temporary files are removed, and results get their
 * final names only when complete. */
static void interrupted(int number)
{
	temporaries_remove();
	_exit(EXIT_SIGNAL + number);
}

/* An ignored SIGHUP or SIGPIPE stays ignored: nohup and Python set them so. SIGINT and SIGQUIT are always
 * caught, although a shell ignores them for background jobs, because a script may send them. */
static void catch_signals(void)
{
	static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM};
	struct sigaction before, action = {.sa_handler = interrupted};
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (sigaction(ends[i], &action, &before) == 0 && before.sa_handler == SIG_IGN
			&& (ends[i] == SIGHUP || ends[i] == SIGPIPE))
			sigaction(ends[i], &before, NULL);
}

/* The parser libraries handle a lack of memory as bertc itself does. */
static void prepare_ends(void)
{
	catch_signals();
	out_of_memory_calls(temporaries_remove);
	json_set_alloc_funcs(checked_malloc, free);
	xmlMemSetup(free, checked_malloc, checked_realloc, checked_strdup);
}

static void print_help(FILE *out)
{
	fputs("usage: bertc COMMAND [ARGUMENT...]\n\n"
		  "Compiles BERT-family encoders into programs that need nothing else.\n\n",
		out);
	for (int i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-12s  %s\n", commands[i].name, commands[i].doc);
	fputs("\nExamples:\n"
		  "  bertc build minilm-sst2 -o sst2              one program from a directory\n"
		  "  echo 'what a film' | ./sst2                  runs it: label and score\n"
		  "  bertc build minilm-l6 --emit=lib -o embed.a  a library, embed.h beside it\n"
		  "  bertc build minilm-l6 --emit=c -o embed.c    C17, weights beside it\n"
		  "  bertc build minilm-sst2 --target=aarch64-linux-gnu -o sst2.arm64\n"
		  "  bertc verify minilm-sst2                     compares program and evaluator\n"
		  "\n`bertc COMMAND --help` lists a command's arguments and options. Write a file\n"
		  "name that begins with a dash as ./-NAME, or put `--` before it.\n"
		  "Exit status: 0 done, 1 failed, 2 usage, 3 bad input, 4 not supported, 5 below a\n"
		  "requested limit, 128 + N ended by signal N (130: Ctrl-C).\n",
		out);
}

/* After a usage error: reports a file whose name argp took for an option. */
static void tell_dashes(int status, void *arguments)
{
	char **word = arguments;
	if (status != EXIT_USAGE)
		return;
	for (word++; *word && strcmp(*word, "--") != 0; word++)
		if (**word == '-' && access(*word, F_OK) == 0)
			fprintf(stderr, "bertc: note: the name %s looks like an option; write ./%s, or `--` before it\n",
				*word, *word);
}

/* argp prints argv[0] in usage lines: "bertc COMMAND". */
static int run_command(const struct Command *command, int argc, char **argv)
{
	static char title[64];
	snprintf(title, sizeof title, "bertc %s", command->name);
	argv[0] = title;
	on_exit(tell_dashes, argv);
	return command->run(argc, argv);
}

/* A result that cannot be written to standard output (a full disk, a closed pipe) is a failed run. */
static int finish(int status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_DONE) {
		fputs("bertc: error: standard output cannot be written\n", stderr);
		status = EXIT_RUN;
	}
	return status;
}

int main(int argc, char **argv)
{
	argp_err_exit_status = EXIT_USAGE;
	prepare_ends();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	const char *word = argv[1];
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		print_help(stdout);
		return finish(EXIT_DONE);
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		puts(argp_program_version);
		return finish(EXIT_DONE);
	}
	for (int i = 0; i < COMMANDS; i++)
		if (strcmp(word, commands[i].name) == 0)
			return finish(run_command(&commands[i], argc - 1, argv + 1));
	fprintf(stderr, "bertc: error: unknown command '%s'; `bertc --help` lists them\n", word);
	return EXIT_USAGE;
}
