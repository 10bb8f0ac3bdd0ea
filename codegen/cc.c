/* cc.c: compiles the emitted file with another compiler (--cc=PROG). */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "emit.h"
#include "ir/atomic_file.h"

extern char **environ;

static char *with_suffix(const char *name, const char *suffix)
{
	return checked_printf("%s%s", name, suffix);
}

/* Runs argv without a shell; its messages go to standard error as they are. */
static bool run_program(const char *const *argv, Diag *diag)
{
	pid_t child;
	int status, error = posix_spawnp(&child, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
	if (error)
		return diag_error(diag, EXIT_RUN, 0, "--cc: %s cannot be run: %s", argv[0], strerror(error));
	temporary_worker(child);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return diag_error(diag, EXIT_RUN, 0, "--cc: %s: %s", argv[0], strerror(errno));
	temporary_worker(0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return diag_error(diag, EXIT_RUN, 0, "--cc: %s failed with %s %d", argv[0],
			WIFEXITED(status) ? "status" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return true;
}

enum { ARGUMENTS_MAX = 48 };
typedef struct Arguments {
	const char *at[ARGUMENTS_MAX];
	int count;
	char *owned[8];
	int nowned;
} Arguments;

static void add(Arguments *arguments, const char *text)
{
	if (arguments->count < ARGUMENTS_MAX - 1)
		arguments->at[arguments->count++] = text;
}

static void add_owned(Arguments *arguments, char *text)
{
	arguments->owned[arguments->nowned++] = text;
	add(arguments, text);
}

/* What compiling and linking share: the program, the target's flags, the sysroot. */
static Arguments cc_arguments(const EmitOptions *options)
{
	Arguments arguments = {0};
	add(&arguments, options->cc);
	char *flags = with_suffix(options->target.cc_flags, "");
	arguments.owned[arguments.nowned++] = flags;
	for (char *save, *flag = strtok_r(flags, " ", &save); flag; flag = strtok_r(NULL, " ", &save))
		add(&arguments, flag);
	if (options->sysroot)
		add_owned(&arguments, with_suffix("--sysroot=", options->sysroot));
	return arguments;
}

static bool finish(Arguments *arguments, Diag *diag)
{
	bool good = run_program(arguments->at, diag);
	for (int i = 0; i < arguments->nowned; i++)
		free(arguments->owned[i]);
	return good;
}

bool cc_compile(const EmitOptions *options, const CcJob *job, Diag *diag)
{
	static const char *const flags[] = {COMPILE_FLAGS};
	Arguments arguments = cc_arguments(options);
	add(&arguments, "-std=c17");
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		add(&arguments, flags[i]);
	add(&arguments, job->pic ? "-fPIC" : "-fno-pie");
	add(&arguments, "-pthread");
	for (const char *const *define = job->defines; *define; define++)
		add_owned(&arguments, with_suffix("-D", *define));
	add_owned(&arguments, with_suffix("-I", job->directory));
	add_owned(&arguments, with_suffix("-Wa,-I", job->directory)); /* .incbin is the assembler's */
	add(&arguments, "-c");
	add(&arguments, job->source);
	add(&arguments, "-o");
	add(&arguments, job->object);
	return finish(&arguments, diag);
}

static const char *link_kind(EmitKind kind, bool is_static)
{
	if (kind == EMIT_SHARED)
		return "-shared";
	return is_static ? "-static" : "-pie";
}

bool cc_link(const EmitOptions *options, bool is_static, const char *object, const char *out, Diag *diag)
{
	Arguments arguments = cc_arguments(options);
	add(&arguments, link_kind(options->kind, is_static));
	add(&arguments, "-pthread");
	add(&arguments, object);
	add(&arguments, "-lm");
	add(&arguments, "-o");
	add(&arguments, out);
	return finish(&arguments, diag);
}
