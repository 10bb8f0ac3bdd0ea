/* pieces.c: cuts a program into pieces and writes their text. Everything that only this model has is in one
 * piece. The text of the other pieces is the same for every model of equal sizes, so the cache has their
 * objects:
 *
 *     NAME.c                             graphs, tables, C API, wrappers of linears
 *     linear_f16__avx512_k384.c          a core of linears, or a wrapper, with the kernel it calls
 *     runtime.c answers.c tokenizer.c program.c   runtime/ without kernels
 *
 * A function that another piece calls is hidden instead of static, so no library exports it. */
#include <stdlib.h>
#include <string.h>
#include "codegen/tokenize/tokenizer_tables.h"
#include "pieces.h"

#define HIDDEN "__attribute__((visibility(\"hidden\")))"

static const char apart[] = "#define RT_APART\n";
static const char intrinsics[] = "#if defined(__x86_64__)\n#include <immintrin.h>\n"
								 "#elif defined(__ARM_NEON)\n#include <arm_neon.h>\n#endif\n"
								 "#include <math.h>\n";

/* ---- a piece while it is written ------------------------------------------------------------- */

/* The new last piece; its text is whole after fclose. */
static FILE *piece_open(Pieces *pieces, PieceKind kind, const char *name)
{
	if (!pieces->mem)
		pieces->mem = mem_new();
	pieces->at = checked_grow(pieces->at, &pieces->capacity, (size_t)pieces->count + 1, sizeof *pieces->at);
	Piece *piece = &pieces->at[pieces->count++];
	*piece = (Piece){.kind = kind, .name = mem_printf(pieces->mem, "%s.c", name)};
	return text_open(&piece->text, &piece->bytes);
}

/* The same for a piece of runtime/. */
static Paste paste_open(Pieces *pieces, const char *name)
{
	Paste paste = {.out = piece_open(pieces, PIECE_RUNTIME, name)};
	fputs(apart, paste.out);
	return paste;
}

static void paste_close(Paste *paste)
{
	text_close(paste->out);
	paste_free(paste);
}

/* ---- runtime/ -------------------------------------------------------------------------------- */

typedef enum PartWhen { ALWAYS, ANSWERS, MAIN } PartWhen;
static const struct {
	const char *file;
	PartWhen when;
} parts[] = {
#define PART(file, when) {file, when},
#include "runtime/parts.def"
#undef PART
};

static bool parts_piece(Pieces *pieces, const char *name, PartWhen when, Diag *diag)
{
	Paste paste = paste_open(pieces, name);
	bool good = paste_file(&paste, "rt.h", diag);
	for (size_t i = 0; good && i < sizeof parts / sizeof *parts; i++)
		if (parts[i].when == when)
			good = paste_file(&paste, parts[i].file, diag);
	paste_close(&paste);
	return good;
}

bool pieces_tokenizer(Pieces *pieces, const TokenizerDesc *desc, Diag *diag)
{
	Paste paste = paste_open(pieces, "tokenizer");
	bool good = paste_file(&paste, "rt.h", diag) && paste_file(&paste, "tokenize/tokenizer.c", diag)
		&& paste_tokenizer(&paste, desc, diag);
	paste_close(&paste);
	return good;
}

static bool unpack_piece(Pieces *pieces, Diag *diag)
{
	Paste paste = paste_open(pieces, "unpack");
	bool good = paste_file(&paste, "rt.h", diag) && paste_file(&paste, "unpack.c", diag);
	paste_close(&paste);
	return good;
}

bool pieces_runtime(Pieces *pieces, bool packed, bool answers, bool program, Diag *diag)
{
	return parts_piece(pieces, "runtime", ALWAYS, diag)
		&& (!answers || parts_piece(pieces, "answers", ANSWERS, diag))
		&& (!program || parts_piece(pieces, "program", MAIN, diag))
		&& (!packed || unpack_piece(pieces, diag));
}

/* ---- the prefix ------------------------------------------------------------------------------ */

/* The prefix; its files are in no piece after it. */
static bool prefix_make(Pieces *pieces, Paste *paste, Diag *diag)
{
	FILE *out = text_open(&pieces->prefix, &pieces->prefix_bytes);
	paste->out = out;
	fputs(apart, out);
	bool good = paste_file(paste, "rt.h", diag);
	fputs(intrinsics, out);
	good = good && paste_file(paste, "exit.h", diag);
	text_close(out);
	return good;
}

bool pieces_prefix(Pieces *pieces, Diag *diag)
{
	Paste paste = {0};
	bool good = prefix_make(pieces, &paste, diag);
	paste_free(&paste);
	return good;
}

/* ---- the model ------------------------------------------------------------------------------- */

/* A wrapper that only calls its core: it stays beside the graphs. */
static bool is_thin(const Wrapper *w) { return !w->is_core && w->kernel->group; }

static void print_wrappers(const Emitter *e, FILE *c)
{
	for (int32_t i = 0; i < e->nwrappers; i++) {
		const Wrapper *w = &e->wrappers[i];
		if (is_thin(w))
			emit_wrapper(w, "static __attribute__((noinline))", c);
		else
			fprintf(c, "\n" HIDDEN " void %s%.*s;\n", w->name, (int)strcspn(w->text, "\n"), w->text);
	}
}

static void print_tokenizer_functions(const TokenizerDesc *desc, FILE *c)
{
	if (!desc)
		return;
	fprintf(
		c, "RT_API RtSplitFn split_%s;\nRT_API RtWordFn %s_word;\n", desc->split->name, desc->model->name);
	if (desc->trim_offsets)
		fputs("RT_API RtTrimFn trim_offsets;\n", c);
	if (desc->ncuts > 0)
		fputs("RT_API RtSplitFn split_cuts;\n", c);
	if (desc->contextual)
		fputs("RT_API RtNextFn normalizer_next;\n", c);
}

static bool model_piece(Emitter *e, Pieces *pieces, Paste *paste)
{
	FILE *out = piece_open(pieces, PIECE_BEHIND, e->options->name);
	paste->out = out;
	if (e->options->kind == EMIT_EXE) {
		char *upper = c_upper(e->options->name);
		fprintf(out, "#define %s_MAIN\n", upper);
		free(upper);
	}
	bool good = paste_file(
		paste, e->options->kind == EMIT_EXE ? "program.h" : "answers/answering.h", e->diag);
	fputc('\n', out);
	emit_blob_declaration(e, out);
	print_tokenizer_functions(e->options->tokenizer, out);
	if (e->weights.npacked)
		fputs("RT_API void rt_unpack(RtUnpack *);\n", out);
	emit_packed_tables(e, out);
	print_wrappers(e, out);
	good = good && emit_tables(e, out, true);
	text_close(out);
	return good;
}

static bool kernel_piece(const Emitter *e, const Wrapper *w, Pieces *pieces, Paste *paste)
{
	paste->out = piece_open(pieces, PIECE_BEHIND, w->name);
	bool good = paste_kernel(paste, w->kernel->function, e->diag);
	emit_wrapper(w, HIDDEN, paste->out);
	text_close(paste->out);
	return good;
}

/* The pieces after the prefix. */
static bool behind_pieces(Emitter *e, Pieces *pieces)
{
	Paste paste = {0};
	bool good = prefix_make(pieces, &paste, e->diag);
	const int32_t before = paste.count;
	good = good && model_piece(e, pieces, &paste);
	for (int32_t i = 0; good && i < e->nwrappers; i++) {
		paste_forget(&paste, before);
		good = is_thin(&e->wrappers[i]) || kernel_piece(e, &e->wrappers[i], pieces, &paste);
	}
	paste_free(&paste);
	return good;
}

bool pieces_make(Emitter *e, Pieces *pieces)
{
	return behind_pieces(e, pieces) && pieces_tokenizer(pieces, e->options->tokenizer, e->diag)
		&& pieces_runtime(pieces, e->weights.npacked > 0,
			e->options->kind == EMIT_EXE || emit_has_task_functions(e), e->options->kind == EMIT_EXE,
			e->diag);
}

void pieces_free(Pieces *pieces)
{
	for (int32_t i = 0; i < pieces->count; i++)
		free(pieces->at[i].text);
	free(pieces->at);
	free(pieces->prefix);
	mem_free(pieces->mem);
	*pieces = (Pieces){0};
}
