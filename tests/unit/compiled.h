/* compiled.h: builds a module as a shared library of this machine and opens it. */
#ifndef COMPILED_H
#define COMPILED_H
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
#include "compiler/cli/bertc.h"

/* m_new, m_free and m_run_outputs. The caller closes the handle. */
typedef struct Compiled {
	void *handle;
	void *(*new)(int);
	void (*free)(void *);
	int (*run)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, uint32_t, float *const *,
		const size_t *);
} Compiled;

/* Options for a build of "m" without progress and without a file of a failure. The caller frees
 * about.command. */
static BuildOptions build_of(const char *out, EmitKind emit, const char *passes)
{
	BuildOptions options;
	build_options_init(&options, 1, (char *[]){"bertc build", NULL});
	options.result.out = out;
	options.result.emit = emit;
	options.result.name = "m";
	options.run.passes = passes;
	options.run.driver.failure_path = NULL;
	options.progress = false;
	return options;
}

/* passes NULL: those of the level. False and a message if the build fails, or leaves other files than the
 * library and its header. The module is changed, but not freed. */
static bool compiled_open(
	Compiled *c, Module *module, const char *passes, int level, const char *cpu, Diag *diag)
{
	char directory[] = "/tmp/bertc-compiled-XXXXXX", out[64];
	if (!mkdtemp(directory))
		return diag_error(diag, EXIT_RUN, 0, "test: no directory for temporary files");
	snprintf(out, sizeof out, "%s/m.so", directory);
	BuildOptions options = build_of(out, EMIT_SHARED, passes);
	options.run.level = level;
	options.result.cpu = cpu;
	Loaded loaded = {.module = module};
	const bool good = build_loaded(&options, &loaded, NULL, diag);
	free(options.about.command);
	c->handle = good ? dlopen(out, RTLD_NOW | RTLD_LOCAL) : NULL;
	unlink(out);
	snprintf(out, sizeof out, "%s/m.h", directory);
	unlink(out);
	if (rmdir(directory) != 0)
		return diag_error(diag, EXIT_RUN, 0, "test: the build left files in %s", directory);
	if (good && !c->handle)
		return diag_error(diag, EXIT_RUN, 0, "test: %s", dlerror());
	if (!good)
		return false;
	*(void **)&c->new = dlsym(c->handle, "m_new");
	*(void **)&c->free = dlsym(c->handle, "m_free");
	*(void **)&c->run = dlsym(c->handle, "m_run_outputs");
	return (c->new && c->free && c->run)
		|| diag_error(diag, EXIT_RUN, 0, "test: the library lacks a function");
}
#endif
