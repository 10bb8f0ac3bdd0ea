/* emit_c.c: writes NAME.c, one translation unit: head comment, weights, the kernels in use, the runtime, one
 * wrapper for each kind of step, the graph as a list of calls, tables, and the C API. It prints only glue:
 * the code that computes is pasted from runtime/. */
#include <stdlib.h>
#include <string.h>
#include "emit.h"

bool output_shape(Emitter *e, int32_t i, int64_t *width, bool *per_token)
{
	const GraphOutput *output = &e->graph->outputs[i];
	Place place = value_place(output->value);
	char type[128];
	if (output->value->type.dtype != DT_F32 || (place != PLACE_TEXTS && type_rows(&output->value->type) != 1))
		return diag_error(e->diag, EXIT_UNSUPPORTED, e->graph->line,
			"output %s is %s, expected f32 with one row per text or one row per token", output->name,
			type_print(&output->value->type, type));
	*width = value_unit(output->value);
	*per_token = place == PLACE_TOKENS;
	return true;
}

/* ---- parts of the file ----------------------------------------------------------------------- */

static void print_head_line(FILE *c, const char *what, const char *text)
{
	fprintf(c, " *   %-9s ", what);
	c_comment(c, text ? text : "");
	putc('\n', c);
}

static void print_head(const Emitter *e, FILE *c)
{
	const EmitOptions *o = e->options;
	static const char *const compile[] = {COMPILE_FLAGS};
	char *upper = c_upper(o->name);
	char flags[256] = "-std=c17";
	for (size_t i = 0; i < sizeof compile / sizeof *compile; i++)
		snprintf(flags + strlen(flags), sizeof flags - strlen(flags), " %s", compile[i]);
	if (o->target.cc_flags[0])
		snprintf(flags + strlen(flags), sizeof flags - strlen(flags), " %s", o->target.cc_flags);
	fprintf(c,
		"/* cc %s -D%s_MAIN %s.c -o %s -lm -pthread    (a program; add -static for a static one)\n"
		" * cc %s -c %s.c                           (an object for a library; %s.h has the API)\n",
		flags, upper, o->name, o->name, flags, o->name, o->name);
	fprintf(c, " *\n * Made by bertc %s. %s\n", BERTC_VERSION,
		o->weights_inline ? "The weights are in this file."
						  : "The weights are in the file that .incbin names below. It is looked up in the "
							"working directory\n"
							" * of the compiler, then in -I directories.");
	print_head_line(c, "command", o->command);
	fprintf(c, " *   target    %s, CPU %s or a compatible one\n", o->target.triple, o->target.cpu);
	print_head_line(c, "passes", o->pipeline);
	const char *hash = module_meta(e->module, "model_sha256");
	print_head_line(c, "model", hash ? hash : "not known");
	fputs(" */\n", c);
	free(upper);
}

void emit_blob_declaration(const Emitter *e, FILE *c)
{
	fprintf(c, "extern const unsigned char %s_blob[] __attribute__((visibility(\"hidden\"), aligned(64)));\n",
		e->options->name);
}

void emit_wrapper(const Wrapper *w, const char *linkage, FILE *c)
{
	fprintf(c, "\n%s %svoid %s%s", linkage, w->attribute, w->name, w->text);
}

/* The symbol is global, so that link-time optimisation finds it, and hidden, so that no library exports it.
 * The start of a page lets the system map and share the weights from the file as they are. */
void emit_blob(const Emitter *e, FILE *c)
{
	const char *name = e->options->name;
	if (e->options->weights_inline) {
		weights_print_inline(&e->weights.blob, name, c);
		return;
	}
	char *upper = c_upper(name);
	fprintf(c, "\n#ifndef %s_WEIGHTS\n#define %s_WEIGHTS \"%s.weights\"\n#endif\n", upper, upper, name);
	fprintf(c,
		"__asm__(\n\t\".pushsection .rodata\\n\\t\"\n\t\".balign 4096\\n\\t\"\n"
		"\t\".globl %s_blob\\n\\t\"\n"
		"\t\".hidden %s_blob\\n\\t\"\n"
		"\t\".type %s_blob, %%object\\n\"\n"
		"\t\"%s_blob:\\n\\t\"\n"
		"\t\".incbin \\\"\" %s_WEIGHTS \"\\\"\\n\\t\"\n"
		"\t\".size %s_blob, . - %s_blob\\n\\t\"\n"
		"\t\".popsection\\n\");\n",
		name, name, name, name, upper, name, name);
	emit_blob_declaration(e, c);
	free(upper);
}

static bool paste_parts(const Emitter *e, FILE *c)
{
	enum { ALWAYS, ANSWERS, MAIN };
	static const struct {
		const char *file;
		int when;
	} parts[] = {
#define PART(file, when) {file, when},
#include "runtime/parts.def"
#undef PART
	};
	Paste paste = {.out = c};
	bool good = paste_file(&paste, "rt.h", e->diag);
	for (int32_t i = 0; good && i < e->nkernels; i++)
		good = paste_kernel(&paste, e->kernels[i]->function, e->diag);
	good = good && paste_file(&paste, "tokenize/tokenizer.c", e->diag)
		&& paste_tokenizer(&paste, e->options->tokenizer, e->diag) && paste_file(&paste, "steps.h", e->diag)
		&& (!emit_has_exits(e->graph) || paste_file(&paste, "exit.h", e->diag));
	bool in_main = false;
	for (size_t i = 0; good && i < sizeof parts / sizeof *parts; i++) {
		if (parts[i].when == MAIN && !in_main) {
			char *upper = c_upper(e->options->name);
			fprintf(c, "\n#ifdef %s_MAIN\n", upper);
			free(upper);
			in_main = true;
		}
		good = good && paste_file(&paste, parts[i].file, e->diag);
	}
	if (in_main)
		fputs("#endif\n", c);
	good = good && (!e->weights.npacked || paste_file(&paste, "unpack.c", e->diag));
	paste_free(&paste);
	return good;
}

static void print_wrappers(const Emitter *e, FILE *c)
{
	fputs("\n/* ==== the steps of this model: kernels with literal dimensions on a thread's share */\n", c);
	for (int32_t i = 0; i < e->nwrappers; i++)
		emit_wrapper(&e->wrappers[i], "static __attribute__((noinline))", c);
}

static bool print_graph(Emitter *e, const Variant *v, FILE *c)
{
	fprintf(c, "\nstatic void %s(const RtCall *call, int32_t thread)\n{\n", v->function);
	if (strstr(v->text, ", w + "))
		fprintf(c, "\tconst unsigned char *const w = %s_blob;\n", e->options->name);
	if (strstr(v->text, ", u + "))
		fprintf(c, "\tconst unsigned char *const u = %s_unpacked;\n", e->options->name);
	if (v->nsteps)
		fputs("\tdouble at = rt_steps_begin(call, thread);\n", c);
	fputs(v->text, c);
	for (int32_t i = 0; i < v->graph->noutputs; i++) {
		const Value *value = v->graph->outputs[i].value;
		int64_t width;
		bool per_token;
		if (!output_shape(e, i, &width, &per_token))
			return false;
		if (emit_has_exits(v->graph))
			fprintf(c, "\trt_exit_out(call, thread, %d, rt_%s(call, %lld), %lld, %d, 1);   /* ", (int)i,
				per_token ? "tokens" : "texts", (long long)value->node->attr.offset.at[value->index],
				(long long)width, per_token);
		else
			fprintf(c, "\trt_copy_out(call, thread, %d, rt_%s(call, %lld), call->%s, %lld);   /* ", (int)i,
				per_token ? "tokens" : "texts", (long long)value->node->attr.offset.at[value->index],
				per_token ? "ntokens" : "ntexts", (long long)width);
		c_comment(c, v->graph->outputs[i].name);
		fputs(" */\n", c);
	}
	fputs("}\n", c);
	return true;
}

static void print_api(const Emitter *e, FILE *c)
{
	static const char text[] = "\nNAME *NAME_new(int threads) { return (NAME *)rt_new(&NAME_model, threads); "
							   "}\n"
							   "void NAME_free(NAME *c) { rt_free((RtContext *)c); }\n"
							   "size_t NAME_workspace_bytes(int max_tokens, int max_texts, int longest, int "
							   "threads)\n{\n"
							   "\treturn rt_workspace_bytes(&NAME_model, max_tokens, max_texts, longest, "
							   "threads);\n}\n"
							   "NAME *NAME_init(void *memory, size_t bytes, int threads) "
							   "{ return (NAME *)rt_init(&NAME_model, memory, bytes, threads); }\n"
							   "int NAME_run_ids(NAME *c, const int32_t *ids, const int32_t *types, const "
							   "int32_t *offsets, int32_t ntext, "
							   "float *out, size_t out_floats)\n{\n"
							   "\treturn rt_run_ids((RtContext *)c, ids, types, offsets, ntext, out, "
							   "out_floats);\n}\n"
							   "int NAME_run_text(NAME *c, const char *const *text, const size_t *bytes, "
							   "const char *const *pair, const size_t *pair_bytes, int32_t ntext,\n"
							   "                  float *out, size_t out_floats, int32_t *row_offsets, "
							   "uint8_t *flags)\n{\n"
							   "\treturn rt_run_text((RtContext *)c, text, bytes, pair, pair_bytes, ntext, "
							   "out, out_floats, row_offsets, flags);\n}\n"
							   "int NAME_tokenize(NAME *c, const char *text, size_t bytes, const char *pair, "
							   "size_t pair_bytes,\n"
							   "                  int32_t *ids, int32_t *types, int32_t *byte_start, int32_t "
							   "*byte_end, int32_t capacity, int32_t *n)\n"
							   "{\n"
							   "\treturn rt_encode((RtContext *)c, text, bytes, pair, pair_bytes, ids, "
							   "types, byte_start, byte_end, capacity, n);\n}\n"
							   "int NAME_run_outputs(NAME *c, const int32_t *ids, const int32_t *types, "
							   "const int32_t *offsets, int32_t ntext,\n"
							   "                     uint32_t mask, float *const *out, const size_t "
							   "*out_floats)\n{\n"
							   "\treturn rt_run_outputs((RtContext *)c, ids, types, offsets, ntext, mask, "
							   "out, out_floats);\n}\n"
							   "int NAME_set(NAME *c, const char *option, double value) { return "
							   "rt_set((RtContext *)c, option, value); }\n"
							   "const char *NAME_label(int i) { return rt_label(&NAME_model, i); }\n"
							   "const char *NAME_output(int i) { return rt_output(&NAME_model, i); }\n"
							   "const char *NAME_cpu(const NAME *c) { return rt_cpu((const RtContext *)c); "
							   "}\n"
							   "const char *NAME_strerror(int status) { return rt_strerror(status); }\n"
							   "const char *NAME_why(void) { return rt_why(&NAME_model); }\n"
							   "const char *NAME_about(void) { return NAME_model.about; }\n";
	c_named(c, text, e->options->name);
	emit_task_functions(e, c);
	char *upper = c_upper(e->options->name);
	fprintf(c,
		"\n#ifdef %s_MAIN\nint main(int argc, char **argv)\n{\n\treturn rt_main(&%s_model, argc, "
		"argv);\n}\n#endif\n",
		upper, e->options->name);
	free(upper);
}

/* ---- the whole ------------------------------------------------------------------------------- */

bool emit_tables(Emitter *e, FILE *c, bool with_header)
{
	for (int32_t i = 0; i < e->nvariants; i++)
		if (!print_graph(e, &e->variants[i], c))
			return false;
	fputs("\n/* ==== tables */\n", c);
	fputs(e->tokenizer, c);
	if (!emit_model(e, c))
		return false;
	fprintf(c, "\n/* ==== the C API: %s.h */\n", e->options->name);
	if (with_header && !emit_h(e, c))
		return false;
	if (!with_header)
		fprintf(c, "#include \"%s.h\"\n", e->options->name);
	print_api(e, c);
	return true;
}

bool emit_c(Emitter *e, FILE *c)
{
	print_head(e, c);
	if (!paste_parts(e, c))
		return false;
	emit_blob(e, c);
	emit_packed_tables(e, c);
	print_wrappers(e, c);
	return emit_tables(e, c, false);
}
