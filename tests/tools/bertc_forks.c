/* bertc_forks.c: bertc for tests that call it hundreds of times and compile nothing. Each command runs in a
 * fork of one process, in which LLVM's libraries are loaded already. That saves 20 ms of each command.
 *
 * A request is a line of standard input with tabs between its fields: the files for standard output and
 * standard error, then the arguments of bertc. The answer is a line with the wait status. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#define main bertc_main
#include "compiler/cli/main.c"
#undef main

enum { FIELDS_MAX = 64 };

static void child_run(int nfields, char **fields)
{
	if (nfields < 2 || !freopen("/dev/null", "r", stdin) || !freopen(fields[0], "w", stdout)
		|| !freopen(fields[1], "w", stderr))
		_exit(EXIT_USAGE);
	fields[1] = "bertc";
	exit(bertc_main(nfields - 1, fields + 1));
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, stdin) > 0) {
		char *fields[FIELDS_MAX + 1] = {NULL}, *rest = line;
		int nfields = 0, status;
		line[strcspn(line, "\n")] = '\0';
		while (nfields < FIELDS_MAX && (fields[nfields] = strsep(&rest, "\t")))
			nfields++;
		const pid_t child = fork();
		if (child == 0)
			child_run(nfields, fields);
		if (child < 0 || waitpid(child, &status, 0) < 0)
			return EXIT_RUN;
		printf("%d\n", status);
		fflush(stdout);
	}
	free(line);
	return EXIT_DONE;
}
