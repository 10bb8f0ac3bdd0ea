/* emit_h.c: writes NAME.h, the header of an emitted library, for C17 and C++. The declarations are a stable
 * interface. */
#include <stdlib.h>
#include <string.h>
#include "emit.h"

static const char declarations[] = "typedef struct NAME NAME;   /* a context, for one thread at a time; "
								   "contexts share read-only weights */\n"
								   "\n"
								   "enum {  /* status of functions that return int; NAME_strerror gives its "
								   "text */\n"
								   "\tNAME_OK, NAME_E_ARGUMENT, NAME_E_ID, NAME_E_LENGTH, NAME_E_CAPACITY, "
								   "NAME_E_OPTION, NAME_E_TEXT\n"
								   "};\n"
								   "enum { NAME_TRUNCATED = 1, NAME_WINDOWED = 2 };   /* flags of "
								   "NAME_run_text */\n"
								   "\n"
								   "/* Returns NULL on error, for example if the CPU is not supported; "
								   "NAME_why() gives the reason. */\n"
								   "NAME *NAME_new(int threads);\n"
								   "void NAME_free(NAME *);\n"
								   "/* Bytes for calls of up to max_tokens tokens in max_texts texts of up "
								   "to `longest` tokens each. */\n"
								   "size_t NAME_workspace_bytes(int max_tokens, int max_texts, int longest, "
								   "int threads);\n"
								   "/* A context in the caller's memory. Allocates nothing, except in "
								   "pthread_create if threads > 1. */\n"
								   "NAME *NAME_init(void *memory, size_t bytes, int threads);\n"
								   "\n"
								   "/* Token ids without padding: text i has ids[offsets[i]] to "
								   "ids[offsets[i+1]-1]; types may be NULL. out gets one\n"
								   " * row of NAME_OUTPUT_WIDTH floats per text, or per token if "
								   "NAME_PER_TOKEN. Returns 0 or an error. On error\n"
								   " * nothing is written. */\n"
								   "int NAME_run_ids(NAME *, const int32_t *ids, const int32_t *types, const "
								   "int32_t *offsets, int32_t ntext, float *out, size_t out_floats);\n"
								   "/* UTF-8 texts; pair may be NULL. row_offsets has ntext + 1 entries: "
								   "text i has the rows row_offsets[i] to\n"
								   " * row_offsets[i+1]-1 of out. It may be NULL unless NAME_PER_TOKEN. "
								   "flags has ntext entries and may be NULL. If out\n"
								   " * is too small, the function returns NAME_E_CAPACITY, and "
								   "row_offsets[ntext] is the number of rows needed. Tokens may have no row "
								   "in a model\n"
								   " * with a vector for each token. */\n"
								   "int NAME_run_text(NAME *, const char *const *text, const size_t *bytes, "
								   "const char *const *pair, const size_t *pair_bytes, int32_t ntext,\n"
								   "                  float *out, size_t out_floats, int32_t *row_offsets, "
								   "uint8_t *flags);\n"
								   "/* Token ids, including special tokens, and their byte offsets in the "
								   "text (-1: none). pair, types, byte_start and\n"
								   " * byte_end may be NULL. */\n"
								   "int NAME_tokenize(NAME *, const char *text, size_t bytes, const char "
								   "*pair, size_t pair_bytes,\n"
								   "                  int32_t *ids, int32_t *types, int32_t *byte_start, "
								   "int32_t *byte_end, int32_t capacity, int32_t *n);\n"
								   "/* Several outputs at once: output i goes to out[i] if bit i of mask is "
								   "set. */\n"
								   "int NAME_run_outputs(NAME *, const int32_t *ids, const int32_t *types, "
								   "const int32_t *offsets, int32_t ntext,\n"
								   "                     uint32_t mask, float *const *out, const size_t "
								   "*out_floats);\n"
								   "/* Options: \"overflow\" (0 error, 1 truncate, 2 window), \"strict\" (1: "
								   "invalid UTF-8 is an error), \"prefault\" (1: read\n"
								   " * all weights into memory now), \"huge_pages\" (1: copy them to pages "
								   "of 2 MB), \"task\" of a model with a vector for each token (1: texts "
								   "are queries, 2: documents, 0: neither), and\n"
								   " * the options of the model. */\n"
								   "int NAME_set(NAME *, const char *option, double value);\n"
								   "const char *NAME_label(int i);\n"
								   "const char *NAME_output(int i);\n"
								   "/* The CPU whose code the context runs, among those that the model was "
								   "compiled for. */\n"
								   "const char *NAME_cpu(const NAME *);\n"
								   "const char *NAME_strerror(int status);\n"
								   "const char *NAME_why(void);\n"
								   "const char *NAME_about(void);\n";

/* Defines a constant with the prefix as it is and, if different, with the prefix in capitals. */
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
		" * not depend on the other texts of the call or on the number of threads. */\n"
		"#ifndef %s_H\n#define %s_H\n#include <stddef.h>\n#include <stdint.h>\n#ifdef __cplusplus\nextern "
		"\"C\" {\n#endif\n\n",
		name, BERTC_VERSION, name, upper, upper);
	print_macro(h, name, upper, "HIDDEN", e->sizes.hidden, "");
	print_macro(
		h, name, upper, "LABELS", e->module->nheads ? e->module->heads[0].nlabels : 0, "of the first head");
	print_macro(h, name, upper, "MAX_TOKENS", e->sizes.max_tokens, "longest text, including special tokens");
	print_macro(h, name, upper, "BATCH_TOKENS", e->sizes.batch_tokens,
		"capacity of a context; larger calls are split between texts");
	print_macro(h, name, upper, "OUTPUTS", e->graph->noutputs, "");
	print_macro(h, name, upper, "OUTPUT_WIDTH", width, "floats per row of the first output");
	print_macro(h, name, upper, "PER_TOKEN", per_token, "1: the first output has one row per token");
	putc('\n', h);
	c_named(h, declarations, name);
	emit_task_declarations(e, h);
	fputs("\n#ifdef __cplusplus\n}\n#endif\n#endif\n", h);
	free(upper);
	return true;
}
