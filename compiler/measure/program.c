/* program.c: builds a model as a shared object in a temporary directory, loads it into this process and calls
 * it through its C API. verify and eval thus measure the code that users get. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "program.h"
#include "compiler/support/files.h"

#define PREFIX "model" /* of the C functions; RTLD_LOCAL keeps several objects apart */

static bool resolve(Program *program, const char *name, void **function, Diag *diag)
{
	char symbol[64];
	snprintf(symbol, sizeof symbol, PREFIX "_%s", name);
	*function = dlsym(program->handle, symbol);
	return *function || diag_error(diag, EXIT_RUN, 0, "the built program has no function %s", symbol);
}

static bool resolve_all(Program *p, void *(**create)(int), Diag *diag)
{
	return resolve(p, "run_ids", (void **)&p->run_ids, diag)
		&& resolve(p, "run_outputs", (void **)&p->run_outputs, diag)
		&& resolve(p, "run_text", (void **)&p->run_text, diag)
		&& resolve(p, "tokenize", (void **)&p->tokenize, diag) && resolve(p, "set", (void **)&p->set, diag)
		&& resolve(p, "label", (void **)&p->label, diag) && resolve(p, "output", (void **)&p->output, diag)
		&& resolve(p, "strerror", (void **)&p->strerror, diag)
		&& resolve(p, "about", (void **)&p->about, diag) && resolve(p, "cpu", (void **)&p->cpu, diag)
		&& resolve(p, "new", (void **)create, diag);
}

static int32_t row_width(const Type *type)
{
	int64_t width = 1;
	for (int32_t i = 0; i < type->rank; i++)
		if (dim_is_number(type->dim[i]))
			width *= type->dim[i].plus;
	return (int32_t)width;
}

/* Reads sizes from the graph before it is lowered. */
static void describe(const Loaded *loaded, Program *p)
{
	const Graph *graph = loaded->module->graphs[0];
	p->max_tokens = loaded->module->max_tokens;
	p->noutputs = graph->noutputs;
	for (int32_t k = 0; k < graph->noutputs; k++) {
		const Type *type = &graph->outputs[k].value->type;
		if (k == 0) {
			p->width = row_width(type);
			p->per_token = !type_is_number(type);
		}
		if (strcmp(graph->outputs[k].name, "hidden") == 0)
			p->hidden = row_width(type);
	}
}

bool program_open(const BuildOptions *given, Loaded *loaded, int threads, Program *program, Diag *diag)
{
	BuildOptions options = *given;
	Target target;
	void *(*create)(int) = NULL;
	*program = (Program){0};
	if (!target_find(options.result.target, options.result.cpu, &target, diag))
		return false;
	if (!target_is_host(&target))
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"this command runs the program, but programs for %s do not run on this machine; run `bertc "
			"verify --json` without --target, then build for that target with --verified",
			target.triple);
	describe(loaded, program);
	program->directory = temporary_directory(diag);
	if (!program->directory)
		return false;
	char *path = checked_printf("%s/model.so", program->directory);
	options.result.out = path;
	options.result.name = PREFIX;
	options.result.emit = EMIT_SHARED;
	options.result.is_static = 0;
	options.result.weights_inline = false;
	bool good = build_loaded(&options, loaded, NULL, diag);
	if (good && !(program->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
		good = diag_error(diag, EXIT_RUN, 0, "the built program cannot be loaded: %s", dlerror());
	good = good && resolve_all(program, &create, diag);
	if (good && !(program->context = create(threads))) {
		const char *(*why)(void) = NULL;
		good = resolve(program, "why", (void **)&why, diag)
			&& diag_error(diag, EXIT_UNSUPPORTED, 0, "the built program cannot run here: %s", why());
	}
	free(path);
	if (!good)
		program_close(program);
	return good;
}

void program_close(Program *program)
{
	void (*destroy)(void *) = NULL;
	if (program->handle)
		*(void **)&destroy = dlsym(program->handle, PREFIX "_free");
	if (destroy && program->context)
		destroy(program->context);
	if (program->handle)
		dlclose(program->handle);
	if (program->directory)
		remove_tree(program->directory);
	free(program->directory);
	*program = (Program){0};
}

int program_tokenize(const Program *p, const char *text, const char *pair, int32_t *ids, int32_t *types,
	int32_t *start, int32_t most, int32_t *n)
{
	const size_t pair_bytes = pair ? strlen(pair) : 0;
	return p->tokenize(p->context, text, strlen(text), pair, pair_bytes, ids, types, start, NULL, most, n);
}
