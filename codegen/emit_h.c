/* emit_h.c: NAME.h, the header of an emitted library, for C17 and C++. What it declares is interface.md's
 * contract. */
#include <stdlib.h>
#include <string.h>
#include "emit.h"

static const char declarations[] = "typedef struct NAME NAME;   /* a context: for one thread at a time; the "
								   "weights behind it are shared and read-only */\n"
								   "\n"
								   "enum {  /* status of the functions that return int; text by "
								   "NAME_strerror */\n"
								   "\tNAME_OK, NAME_E_ARGUMENT, NAME_E_ID, NAME_E_LENGTH, NAME_E_CAPACITY, "
								   "NAME_E_OPTION, NAME_E_TEXT\n"
								   "};\n"
								   "enum { NAME_TRUNCATED = 1, NAME_WINDOWED = 2 };   /* flags of "
								   "NAME_run_text */\n"
								   "\n"
								   "/* NULL: out of memory, or this CPU lacks what the code needs: "
								   "NAME_why() says which. */\n"
								   "NAME *NAME_new(int threads);\n"
								   "void NAME_free(NAME *);\n"
								   "/* Bytes that suffice for calls of up to max_tokens in max_texts, the "
								   "longest of `longest` tokens. */\n"
								   "size_t NAME_workspace_bytes(int max_tokens, int max_texts, int longest, "
								   "int threads);\n"
								   "/* A context in the caller's memory; allocates nothing (threads > 1: "
								   "what pthread_create does). */\n"
								   "NAME *NAME_init(void *memory, size_t bytes, int threads);\n"
								   "\n"
								   "/* ids, types (may be NULL) packed without padding; text i is "
								   "[offsets[i], offsets[i+1]). "
								   "out: a row of NAME_OUTPUT_WIDTH floats a\n"
								   " * text, or a row a token where NAME_PER_TOKEN. 0 = done; else nothing "
								   "was written. */\n"
								   "int NAME_run_ids(NAME *, const int32_t *ids, const int32_t *types, const "
								   "int32_t *offsets, int32_t ntext, "
								   "float *out, size_t out_floats);\n"
								   "/* UTF-8 texts, pair NULL where there is none. "
								   "row_offsets (ntext + 1, may be NULL unless NAME_PER_TOKEN): rows of each "
								   "text in out;\n"
								   " * flags (ntext, may be NULL). Too small a buffer: NAME_E_CAPACITY, and "
								   "the rows needed in row_offsets[ntext]. */\n"
								   "int NAME_run_text(NAME *, const char *const *text, const size_t *bytes, "
								   "const char *const *pair, const size_t *pair_bytes, int32_t ntext,\n"
								   "                  float *out, size_t out_floats, int32_t *row_offsets, "
								   "uint8_t *flags);\n"
								   "/* Token ids with special tokens, and where each lies in the text (-1: "
								   "nowhere); all but ids and n may be NULL. */\n"
								   "int NAME_tokenize(NAME *, const char *text, size_t bytes, const char "
								   "*pair, size_t pair_bytes,\n"
								   "                  int32_t *ids, int32_t *types, int32_t *byte_start, "
								   "int32_t *byte_end, int32_t capacity, int32_t *n);\n"
								   "/* Several outputs at once: those whose bit is in mask, each to out[i]. "
								   "*/\n"
								   "int NAME_run_outputs(NAME *, const int32_t *ids, const int32_t *types, "
								   "const int32_t *offsets, int32_t ntext,\n"
								   "                     uint32_t mask, float *const *out, const size_t "
								   "*out_floats);\n"
								   "/* Options: \"overflow\" (0 error, 1 truncate, 2 window), \"strict\" (1: "
								   "invalid UTF-8 is an error). */\n"
								   "int NAME_set(NAME *, const char *option, double value);\n"
								   "const char *NAME_label(int i);\n"
								   "const char *NAME_output(int i);\n"
								   "/* Whose code the context runs, of the CPUs that the model was compiled "
								   "for. */\n"
								   "const char *NAME_cpu(const NAME *);\n"
								   "const char *NAME_strerror(int status);\n"
								   "const char *NAME_why(void);\n"
								   "const char *NAME_about(void);\n";

/* The constant under the prefix as it is; under the prefix in capitals, as macros are usually spelled, when
 * that differs. */
static void print_macro(
	FILE *h, const char *name, const char *upper, const char *what, long long value, const char *comment)
{
	fprintf(h, "#define %s_%s %lld", name, what, value);
	fprintf(h, *comment ? "   /* %s */\n" : "%s\n", comment);
	if (strcmp(name, upper) != 0)
		fprintf(h, "#define %s_%s %s_%s\n", upper, what, name, what);
}

bool emit_h(Emitter *e, FILE *h)
{
	const char *name = e->options->name;
	int64_t width;
	bool per_token;
	if (!output_shape(e, 0, &width, &per_token))
		return false;
	char *upper = c_upper(name);
	fprintf(h,
		"/* %s.h: made by bertc %s. "
		"No global mutable state, no malloc after %s_new, safe to use after fork(). The results for a text "
		"do\n"
		" * not depend on what else is in the call, nor on the number of threads. */\n"
		"#ifndef %s_H\n#define %s_H\n#include <stddef.h>\n#include <stdint.h>\n#ifdef __cplusplus\nextern "
		"\"C\" {\n#endif\n\n",
		name, BERTC_VERSION, name, upper, upper);
	print_macro(h, name, upper, "HIDDEN", e->sizes.hidden, "");
	print_macro(
		h, name, upper, "LABELS", e->module->nheads ? e->module->heads[0].nlabels : 0, "of the first head");
	print_macro(h, name, upper, "MAX_TOKENS", e->sizes.max_tokens, "longest text, special tokens included");
	print_macro(h, name, upper, "BATCH_TOKENS", e->sizes.batch_tokens,
		"room of a context; larger calls are cut between texts");
	print_macro(h, name, upper, "OUTPUTS", e->graph->noutputs, "");
	print_macro(h, name, upper, "OUTPUT_WIDTH", width, "floats a row of the first output");
	print_macro(h, name, upper, "PER_TOKEN", per_token, "1: the first output has a row a token");
	putc('\n', h);
	for (const char *at = declarations; *at;) {
		const char *next = strstr(at, "NAME");
		size_t plain = next ? (size_t)(next - at) : strlen(at);
		fwrite(at, 1, plain, h);
		at += plain;
		if (next) {
			fputs(name, h);
			at += 4;
		}
	}
	fputs("\n#ifdef __cplusplus\n}\n#endif\n#endif\n", h);
	free(upper);
	return true;
}
