/* emit.c: from a planned module to the file that was asked for. Everything is made in a temporary directory
 * beside it and gets its final name when all of it is there. What is inside the C file is emit_c.c's,
 * compiling is toolchain.cc's; here also the way through another compiler (--cc). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "emit.h"

extern char **environ;

/* Paths in the temporary directory. */
typedef struct Files {
	char *c, *h, *weights, *object, *second_c, *second_object, *result, *settled;
} Files;

static char *with_suffix(const char *name, const char *suffix)
{
	return checked_printf("%s%s", name, suffix);
}

static char *temporary(const Scratch *scratch, const char *name, const char *suffix)
{
	char *file = with_suffix(name, suffix), *path = scratch_path(scratch, file);
	free(file);
	return path;
}

static void files_free(Files *files)
{
	free(files->c), free(files->h), free(files->weights), free(files->object), free(files->result);
	free(files->second_c), free(files->second_object), free(files->settled);
}

/* Whole programs and shared libraries are compiled as two files at the same time. An object or a static
 * library is one file, whose inner functions are static: two models may be linked into one program. */
static bool is_split(const EmitOptions *options)
{
	return !options->cc && (options->kind == EMIT_EXE || options->kind == EMIT_SHARED);
}

/* ---- the C text ------------------------------------------------------------------------------ */

static bool write_with(bool (*print)(Emitter *, FILE *), Emitter *e, const char *path)
{
	FILE *out = fopen(path, "w");
	if (!out)
		return diag_error_in(e->diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
	bool good = print(e, out), written = !ferror(out);
	written &= fclose(out) == 0;
	if (good && !written)
		diag_error_in(e->diag, EXIT_RUN, e->options->out, 0, "cannot be written: %s", strerror(errno));
	return good && written;
}

/* x86-64 code reaches its data within 2 GB; other targets within 4 GB or less. */
#define BLOB_BYTES_MAX ((size_t)2000000000)

static bool write_sources(const Module *module, const EmitOptions *options, const Files *files, Diag *diag)
{
	if (module->ngraphs != options->target.ncpus)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"the module holds %d graphs when code is made of it; expected one for each of "
			"the %d CPUs of --cpu: a graph that is not lowered yet",
			(int)module->ngraphs, (int)options->target.ncpus);
	const Graph *graph = module->graphs[0];
	if (graph->noutputs == 0 || graph->noutputs > 32)
		return diag_error(diag, EXIT_UNSUPPORTED, graph->line,
			"graph %s returns %d outputs; a program has 1 to 32", graph->name, (int)graph->noutputs);
	if (graph->ninputs < 1 || graph->ninputs > 2)
		return diag_error(diag, EXIT_UNSUPPORTED, graph->line,
			"graph %s has %d inputs; a program has ids and perhaps types", graph->name, (int)graph->ninputs);
	Emitter e = {.module = module,
		.graph = graph,
		.options = options,
		.diag = diag,
		.mem = mem_new(),
		.split = is_split(options)};
	bool good = write_with(emit_c, &e, files->c) && write_with(emit_h, &e, files->h)
		&& (!e.split || write_with(emit_second, &e, files->second_c));
	if (good && e.weights.blob.bytes > BLOB_BYTES_MAX)
		good = diag_error(diag, EXIT_UNSUPPORTED, 0,
			"weights and tables have %zu bytes; a program holds %zu at most; try --weights=f16",
			e.weights.blob.bytes, BLOB_BYTES_MAX);
	if (good && options->pack_small)
		good = emit_packed_report(&e);
	if (good && !options->weights_inline)
		good = weights_write(&e.weights.blob, files->weights, diag);
	for (int32_t i = 0; i < e.nvariants; i++)
		free(e.variants[i].text);
	weights_free(&e.weights);
	mem_free(e.mem);
	return good;
}

/* ---- another compiler ------------------------------------------------------------------------ */

/* Runs argv without a shell; its messages go to standard error as they are. */
static bool run_program(const char *const *argv, Diag *diag)
{
	pid_t child;
	int status, error = posix_spawnp(&child, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
	if (error)
		return diag_error(diag, EXIT_RUN, 0, "--cc: %s cannot be run: %s", argv[0], strerror(error));
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return diag_error(diag, EXIT_RUN, 0, "--cc: %s: %s", argv[0], strerror(errno));
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

static bool cc_compile(const EmitOptions *options, const Files *files, const char *directory,
	const char *const *defines, bool pic, Diag *diag)
{
	static const char *const flags[] = {COMPILE_FLAGS};
	Arguments arguments = cc_arguments(options);
	add(&arguments, "-std=c17");
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		add(&arguments, flags[i]);
	add(&arguments, pic ? "-fPIC" : "-fno-pie");
	add(&arguments, "-pthread");
	for (; *defines; defines++)
		add_owned(&arguments, with_suffix("-D", *defines));
	add_owned(&arguments, with_suffix("-I", directory));
	add_owned(&arguments, with_suffix("-Wa,-I", directory)); /* .incbin is the assembler's */
	add(&arguments, "-c");
	add(&arguments, files->c);
	add(&arguments, "-o");
	add(&arguments, files->object);
	return finish(&arguments, diag);
}

static const char *link_kind(EmitKind kind, bool is_static)
{
	if (kind == EMIT_SHARED)
		return "-shared";
	return is_static ? "-static" : "-pie";
}

static bool cc_link(const EmitOptions *options, bool is_static, const Files *files, Diag *diag)
{
	Arguments arguments = cc_arguments(options);
	add(&arguments, link_kind(options->kind, is_static));
	add(&arguments, "-pthread");
	add(&arguments, files->object);
	add(&arguments, "-lm");
	add(&arguments, "-o");
	add(&arguments, files->result);
	return finish(&arguments, diag);
}

/* ---- compiling and linking ------------------------------------------------------------------- */

typedef struct CompileThread {
	CompileJob job;
	Diag diag;
	bool good;
} CompileThread;

static void *compile_thread(void *argument)
{
	CompileThread *thread = argument;
	thread->good = toolchain_compile(&thread->job, &thread->diag);
	return NULL;
}

/* Clang on two files at once, each with messages of its own. */
static bool compile_both(const CompileJob *job, const Files *files, Diag *diag)
{
	CompileThread second = {.job = *job};
	second.job.source = files->second_c;
	second.job.object = files->second_object;
	diag_init(&second.diag, diag->file);
	toolchain_start();
	pthread_t handle;
	bool started = pthread_create(&handle, NULL, compile_thread, &second) == 0;
	bool good = toolchain_compile(job, diag);
	if (started)
		pthread_join(handle, NULL);
	else
		compile_thread(&second);
	for (int i = 0; good && i < second.diag.count; i++) /* what ails both is said once */
		if (second.diag.messages[i].severity == SEV_ERROR)
			diag_error(diag, second.diag.code, 0, "%s", second.diag.messages[i].text);
	diag_free(&second.diag);
	return good && second.good;
}

/* NAME_WEIGHTS="path": an assembler looks for .incbin where bertc runs before it looks anywhere else, and
 * weights of another build may lie there under the same name. Quotes and backslashes pass through two
 * strings: C's and the assembler's. */
static char *weights_define(const EmitOptions *options, const Files *files)
{
	char *text = NULL, *upper = c_upper(options->name);
	size_t bytes;
	FILE *out = text_open(&text, &bytes);
	fprintf(out, "%s_WEIGHTS=\"", upper);
	for (const char *at = files->weights; *at; at++)
		fprintf(out, *at == '"' || *at == '\\' ? "\\\\\\%c" : "%c", *at);
	putc('"', out);
	text_close(out);
	free(upper);
	return text;
}

static bool compile(
	const EmitOptions *options, const Files *files, const char *directory, bool pic, Diag *diag)
{
	char *upper = c_upper(options->name), *weights = weights_define(options, files),
		 *main_define = options->kind == EMIT_EXE ? with_suffix(upper, "_MAIN") : NULL;
	const char *defines[] = {weights, main_define, NULL};
	const CompileJob job = {.source = files->c,
		.object = files->object,
		.target = &options->target,
		.defines = defines,
		.directory = directory,
		.pic = pic,
		.sysroot = options->sysroot};
	bool good;
	if (options->cc)
		good = cc_compile(options, files, directory, defines, pic, diag);
	else if (is_split(options))
		good = compile_both(&job, files, diag);
	else
		good = toolchain_compile(&job, diag);
	free(weights);
	free(main_define);
	free(upper);
	return good;
}

/* Writes a linked file once more, in pieces of many megabytes. LLD writes through a mapping, whose pages the
 * system takes one by one, wherever there is room; from one large write it makes large pages. A program that
 * streams its weights from memory is 12 % faster for it (MiniLM-L6 in f32, 8 tokens: 1.54 ms instead
 * of 1.75). */
static bool settle(const char *path, const char *aside, Diag *diag)
{
	enum { PIECE_BYTES = 64 << 20 };
	struct stat st = {0};
	int in = open(path, O_RDONLY | O_CLOEXEC), out = -1;
	char *piece = checked_malloc(PIECE_BYTES);
	bool good = in >= 0 && fstat(in, &st) == 0
		&& (out = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777)) >= 0;
	for (ssize_t got; good && (got = read(in, piece, PIECE_BYTES)) != 0;)
		good = got > 0 && write(out, piece, (size_t)got) == got;
	if (!good)
		diag_error(diag, EXIT_RUN, 0, "the linked file cannot be written again: %s", strerror(errno));
	free(piece);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return good
		&& (rename(aside, path) == 0 || diag_error(diag, EXIT_RUN, 0, "%s: %s", path, strerror(errno)));
}

static bool make_result(const EmitOptions *options, const Files *files, const char *directory, Diag *diag)
{
	const char *objects[] = {files->object, is_split(options) ? files->second_object : NULL, NULL};
	bool is_static = options->kind == EMIT_EXE && options->is_static;
	if (options->kind == EMIT_C)
		return true;
	if (!compile(options, files, directory, !is_static, diag))
		return false;
	if (options->kind == EMIT_LIB)
		return toolchain_archive(objects, files->result, diag);
	if (options->kind == EMIT_OBJ)
		return rename(files->object, files->result) == 0
			|| diag_error_in(diag, EXIT_RUN, options->out, 0, "cannot be written: %s", strerror(errno));
	return options->cc ? cc_link(options, is_static, files, diag)
					   : toolchain_link(options->kind, is_static, &options->target, objects, files->result,
							 options->sysroot, diag)
			&& settle(files->result, files->settled, diag);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Beside `path` under another name. */
static char *beside(const char *path, const char *name, const char *suffix)
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash + 1 - path) : 0;
	return checked_printf("%.*s%s%s", folder, path, name, suffix);
}

/* --emit=c: OUT may be the C file, the directory for it, or its name without .c. */
static char *c_path(const EmitOptions *options)
{
	size_t length = strlen(options->out);
	if (length > 2 && strcmp(options->out + length - 2, ".c") == 0)
		return with_suffix(options->out, "");
	if (!is_directory(options->out))
		return with_suffix(options->out, ".c");
	char *inside = with_suffix(options->out, "/"), *file = with_suffix(options->name, ".c"),
		 *path = with_suffix(inside, file);
	free(inside);
	free(file);
	return path;
}

/* A header, and the weights of C text, lie beside the result. */
static bool commit_beside(
	const Scratch *scratch, const char *path, const char *name, const char *suffix, Diag *diag)
{
	char *to = beside(path, name, suffix), *file = with_suffix(name, suffix);
	bool good = scratch_commit(scratch, file, to, diag);
	free(file);
	free(to);
	return good;
}

static bool commit(
	const EmitOptions *options, const Scratch *scratch, const Files *files, const char *path, Diag *diag)
{
	if (options->kind != EMIT_EXE && !commit_beside(scratch, path, options->name, ".h", diag))
		return false;
	if (options->kind == EMIT_C && !options->weights_inline
		&& !commit_beside(scratch, path, options->name, ".weights", diag))
		return false;
	return scratch_commit(
		scratch, strrchr(options->kind == EMIT_C ? files->c : files->result, '/') + 1, path, diag);
}

/* Copies what --save-temps asks for; a copy that fails is an error like any other. */
static bool save(const EmitOptions *options, const char *from, Diag *diag)
{
	char *to = with_suffix(options->save_temps, strrchr(from, '/')), buffer[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC),
		out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	bool good = in < 0
		|| out >= 0; /* there is no object with --emit=c, no weights file with inline weights */
	for (ssize_t got; good && in >= 0 && (got = read(in, buffer, sizeof buffer)) != 0;)
		good = got > 0 && write(out, buffer, (size_t)got) == got;
	if (!good)
		diag_error_in(diag, EXIT_RUN, to, 0, "cannot be written: %s", strerror(errno));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	free(to);
	return good;
}

static bool save_temps(const EmitOptions *options, const Files *files, Diag *diag)
{
	if (!options->save_temps)
		return true;
	if (mkdir(options->save_temps, 0777) != 0 && errno != EEXIST)
		return diag_error_in(diag, EXIT_RUN, options->save_temps, 0, "cannot be made: %s", strerror(errno));
	return save(options, files->c, diag) && save(options, files->h, diag)
		&& save(options, files->weights, diag) && save(options, files->object, diag)
		&& save(options, files->second_c, diag) && save(options, files->second_object, diag);
}

bool emit_module(const Module *module, const EmitOptions *options, Diag *diag)
{
	if (!c_is_identifier(options->name))
		return diag_error(
			diag, EXIT_USAGE, 0, "--name=%s: is not a name that C functions can begin with", options->name);
	char *path = options->kind == EMIT_C ? c_path(options) : with_suffix(options->out, "");
	Scratch scratch;
	if (is_directory(path) || !scratch_open(&scratch, path, diag)) {
		if (is_directory(path))
			diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: is a directory");
		free(path);
		return false;
	}
	Files files = {temporary(&scratch, options->name, ".c"), temporary(&scratch, options->name, ".h"),
		temporary(&scratch, options->name, ".weights"), temporary(&scratch, options->name, ".o"),
		temporary(&scratch, options->name, ".second.c"), temporary(&scratch, options->name, ".second.o"),
		temporary(&scratch, options->name, ".out"), temporary(&scratch, options->name, ".settled")};
	bool good = write_sources(module, options, &files, diag)
		&& make_result(options, &files, scratch.directory, diag) && save_temps(options, &files, diag)
		&& commit(options, &scratch, &files, path, diag);
	files_free(&files);
	scratch_close(&scratch);
	free(path);
	return good;
}
