/* emit.c: makes the requested file from a planned module. Everything is written to a temporary directory
 * beside the result and renamed when it is complete. emit_c.c writes the C file, toolchain.cc compiles it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pieces.h"

/* Paths in the temporary directory. */
typedef struct Files {
	char *c, *h, *weights, *objects, *blob, *result, *archive;
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
	free(files->c), free(files->h), free(files->weights), free(files->objects), free(files->blob);
	free(files->result), free(files->archive);
}

/* The built-in compiler takes pieces; C for a reader, or another compiler, is one file. */
static bool is_whole(const EmitOptions *options) { return options->kind == EMIT_C || options->cc; }

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

static bool check_module(const Module *module, const EmitOptions *options, Diag *diag)
{
	if (module->ngraphs != options->target.ncpus)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"the module has %d graphs, expected one for each of the %d CPUs of --cpu; start with a graph "
			"that is not lowered yet",
			(int)module->ngraphs, (int)options->target.ncpus);
	const Graph *graph = module->graphs[0];
	if (graph->noutputs == 0 || graph->noutputs > 32)
		return diag_error(diag, EXIT_UNSUPPORTED, graph->line,
			"graph %s returns %d outputs, expected 1 to 32", graph->name, (int)graph->noutputs);
	if (graph->ninputs < 1 || graph->ninputs > 2)
		return diag_error(diag, EXIT_UNSUPPORTED, graph->line,
			"graph %s has %d inputs; expected ids, or ids and types", graph->name, (int)graph->ninputs);
	return true;
}

/* What the emitter knows after its walk, as files and pieces. */
static bool write_walked(Emitter *e, const Files *files, Pieces *pieces)
{
	bool good = write_with(emit_h, e, files->h);
	if (good && (is_whole(e->options) || e->options->save_temps))
		good = write_with(emit_c, e, files->c);
	if (good && !is_whole(e->options))
		good = pieces_make(e, pieces);
	if (good && e->weights.blob.bytes > BLOB_BYTES_MAX)
		good = diag_error(e->diag, EXIT_UNSUPPORTED, 0,
			"weights and tables have %zu bytes; a program holds %zu at most; try --weights=f16",
			e->weights.blob.bytes, BLOB_BYTES_MAX);
	if (good && e->options->pack_small)
		good = emit_packed_report(e);
	return good && (e->options->weights_inline || weights_write(&e->weights.blob, files->weights, e->diag));
}

static bool write_sources(
	const Module *module, const EmitOptions *options, const Files *files, Pieces *pieces, Diag *diag)
{
	Emitter e = {
		.module = module, .graph = module->graphs[0], .options = options, .diag = diag, .mem = mem_new()};
	bool good = check_module(module, options, diag) && emit_walk(&e) && write_walked(&e, files, pieces);
	emit_walk_free(&e);
	mem_free(e.mem);
	return good;
}

/* ---- compiling and linking ------------------------------------------------------------------- */

/* NAME_WEIGHTS="path": an assembler looks for .incbin where bertc runs before it looks anywhere else, and
 * weights of another build may lie there under the same name. Quotes and backslashes pass through two
 * strings: C's and the assembler's. */
static char *weights_define(const EmitOptions *options, const Files *files, char between)
{
	char *text = NULL, *upper = c_upper(options->name);
	size_t bytes;
	FILE *out = text_open(&text, &bytes);
	fprintf(out, "%s_WEIGHTS%c\"", upper, between);
	for (const char *at = files->weights; *at; at++)
		fprintf(out, *at == '"' || *at == '\\' ? "\\\\\\%c" : "%c", *at);
	putc('"', out);
	text_close(out);
	free(upper);
	return text;
}

static bool compile_whole(
	const EmitOptions *options, const Files *files, const char *directory, bool pic, Diag *diag)
{
	char *upper = c_upper(options->name), *weights = weights_define(options, files, '='),
		 *main_define = options->kind == EMIT_EXE ? with_suffix(upper, "_MAIN") : NULL;
	const char *defines[] = {weights, main_define, NULL};
	const CcJob job = {files->c, files->objects, directory, defines, pic};
	bool good = cc_compile(options, &job, diag);
	free(weights);
	free(main_define);
	free(upper);
	return good;
}

/* The blob as a C file of its own. */
static char *blob_text(const EmitOptions *options, const Files *files)
{
	char *text = NULL, *define = weights_define(options, files, ' ');
	size_t bytes;
	FILE *out = text_open(&text, &bytes);
	fprintf(out, "#define %s\n", define);
	emit_blob(&(Emitter){.options = options}, out);
	text_close(out);
	free(define);
	return text;
}

static bool compile(const EmitOptions *options, const Files *files, const Pieces *pieces, Diag *diag)
{
	char *text = blob_text(options, files);
	const PiecePaths paths = {files->objects, files->blob, text};
	bool good = pieces_compile(options, pieces, &paths, diag);
	free(text);
	return good;
}

/* One object of all: a library of it, or itself. */
static bool make_object(
	const EmitOptions *options, const char *const *objects, const Files *files, Diag *diag)
{
	bool good = options->cc ? rename(files->objects, files->result) == 0
							: toolchain_join(objects, files->result, diag);
	if (!good && options->cc)
		diag_error_in(diag, EXIT_RUN, options->out, 0, "cannot be written: %s", strerror(errno));
	if (!good || options->kind == EMIT_OBJ)
		return good;
	char *name = with_suffix(options->name, ".o");
	good = toolchain_archive_file(name, files->result, files->archive, diag)
		&& (rename(files->archive, files->result) == 0
			|| diag_error_in(diag, EXIT_RUN, options->out, 0, "cannot be written: %s", strerror(errno)));
	free(name);
	return good;
}

static bool make_result(
	const EmitOptions *options, const Files *files, const Pieces *pieces, const char *directory, Diag *diag)
{
	const char *objects[] = {files->objects, options->cc ? NULL : files->blob, NULL};
	bool is_static = options->kind == EMIT_EXE && options->is_static;
	if (options->kind == EMIT_C)
		return true;
	if (options->cc ? !compile_whole(options, files, directory, !is_static, diag)
					: !compile(options, files, pieces, diag))
		return false;
	if (options->kind == EMIT_LIB || options->kind == EMIT_OBJ)
		return make_object(options, objects, files, diag);
	return options->cc ? cc_link(options, is_static, files->objects, files->result, diag)
					   : toolchain_link(options->kind, is_static, &options->target, objects, files->result,
							 options->sysroot, diag);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A path beside `path` with another name. */
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

/* Moves a header, or the weights of a C file, beside the result. */
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

/* Copies a file for --save-temps. A failed copy is an error. */
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
		&& save(options, files->weights, diag) && save(options, files->objects, diag);
}

bool emit_module(const Module *module, const EmitOptions *options, Diag *diag)
{
	if (!c_is_identifier(options->name))
		return diag_error(
			diag, EXIT_USAGE, 0, "--name=%s: is not a valid prefix of C functions", options->name);
	char *path = options->kind == EMIT_C ? c_path(options) : with_suffix(options->out, "");
	Scratch scratch;
	if (is_directory(path) || !scratch_open(&scratch, path, diag)) {
		if (is_directory(path))
			diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: is a directory");
		free(path);
		return false;
	}
	Pieces pieces = {0};
	Files files = {temporary(&scratch, options->name, ".c"), temporary(&scratch, options->name, ".h"),
		temporary(&scratch, options->name, ".weights"),
		temporary(&scratch, options->name, options->cc ? ".o" : ".objects.a"),
		temporary(&scratch, options->name, ".blob.o"), temporary(&scratch, options->name, ".out"),
		temporary(&scratch, options->name, ".a")};
	bool good = write_sources(module, options, &files, &pieces, diag)
		&& make_result(options, &files, &pieces, scratch.directory, diag) && save_temps(options, &files, diag)
		&& commit(options, &scratch, &files, path, diag);
	pieces_free(&pieces);
	files_free(&files);
	scratch_close(&scratch);
	free(path);
	return good;
}
