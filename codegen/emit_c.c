/* emit_c.c: NAME.c, one translation unit: head comment, weights, kernels in use, runtime, one wrapper a kind
 * of step, the graph as a list of calls, tables, and the C API. It prints only glue: the code that computes
 * is pasted from runtime/. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/tokenize/tokenizer_tables.h"
#include "emit.h"

enum { BATCH_TOKENS = 512, TEXTS_PER_BATCH = 128, TOKENS_UNSAID = 512 };

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Rows of the tables that an input of the graph picks from, the least of them; most where there is none. */
static int32_t rows_picked_by(const Graph *graph, int32_t input, int32_t *width)
{
	int64_t least = INT32_MAX, widest = 0;
	for (const Node *node = graph->first; node; node = node->next) {
		int32_t pairs = node_lookups(node);
		for (int32_t i = 0; i < pairs; i++) {
			const Value *ids = node->args[2 * i + 1];
			const Type *table = &node->args[2 * i]->type;
			if (ids->node || ids->index != input)
				continue;
			if (node_table_rows(node, i) < least)
				least = node_table_rows(node, i);
			if (table->dim[1].plus > widest) /* what a narrow one tells of a token is not its embedding */
				*width = (int32_t)(widest = table->dim[1].plus);
		}
	}
	return (int32_t)least;
}

/* Tokens for which every table of positions has a row. */
static int64_t positions_limit(const Graph *graph)
{
	int64_t limit = INT32_MAX / 2;
	for (const Node *node = graph->first; node; node = node->next) {
		int32_t pairs = node_lookups(node);
		for (int32_t i = 0; i < pairs; i++) {
			const Node *ids = node->args[2 * i + 1]->node;
			if (!ids || ids->op != OP_POSITION_IDS)
				continue;
			int64_t rows = node_table_rows(node, i) - (ids->attr.has & A_start ? ids->attr.start : 0);
			limit = rows < limit ? rows : limit;
		}
	}
	return limit < 0 ? 0 : limit;
}

void emit_sizes(Emitter *e)
{
	ModelSizes sizes = {0};
	int32_t ignored;
	const GraphOutput *first = &e->graph->outputs[0];
	sizes.hidden = first->value->type.rank ? (int32_t)first->value->type.dim[first->value->type.rank - 1].plus
										   : 1;
	sizes.vocab = rows_picked_by(e->graph, 0, &sizes.hidden);
	sizes.type_vocab = rows_picked_by(e->graph, 1, &ignored);
	int64_t limit = positions_limit(e->graph),
			tokens = e->module->max_tokens > 0 ? e->module->max_tokens : TOKENS_UNSAID;
	sizes.max_tokens = (int32_t)(tokens < limit ? tokens : limit);
	sizes.batch_tokens = sizes.max_tokens > BATCH_TOKENS ? sizes.max_tokens : BATCH_TOKENS;
	sizes.batch_texts = TEXTS_PER_BATCH;
	e->sizes = sizes;
}

bool output_shape(Emitter *e, int32_t i, int64_t *width, bool *per_token)
{
	const GraphOutput *output = &e->graph->outputs[i];
	Place place = value_place(output->value);
	char type[128];
	if (output->value->type.dtype != DT_F32 || (place != PLACE_TEXTS && type_rows(&output->value->type) != 1))
		return diag_error(e->diag, EXIT_UNSUPPORTED, e->graph->line,
			"output %s is %s; a program returns f32 with a row a text or a row a token", output->name,
			type_print(&output->value->type, type));
	*width = value_unit(output->value);
	*per_token = place == PLACE_TOKENS;
	return true;
}

/* ---- parts of the file ----------------------------------------------------------------------- */

static const char *meta(const Module *module, const char *key)
{
	for (int32_t i = 0; i < module->nmeta; i++)
		if (strcmp(module->meta[i].key, key) == 0)
			return module->meta[i].value;
	return "not known";
}

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
		"/* cc %s -D%s_MAIN %s.c -o %s -lm -pthread    (a program; add -static for one that needs nothing)\n"
		" * cc %s -c %s.c                           (an object of a library; the API is in %s.h)\n",
		flags, upper, o->name, o->name, flags, o->name, o->name);
	fprintf(c, " *\n * Made by bertc %s. %s\n", BERTC_VERSION,
		o->weights_inline ? "The weights are in this file."
						  : "The weights lie in the file that .incbin names below, looked for where the "
							"compiler runs,\n"
							" * then in directories given by -I.");
	print_head_line(c, "command", o->command);
	fprintf(c, " *   target    %s, CPU %s or any that can do the same\n", o->target.triple, o->target.cpu);
	print_head_line(c, "passes", o->pipeline);
	print_head_line(c, "model", meta(e->module, "model_sha256"));
	fputs(" */\n", c);
	free(upper);
}

/* The symbol is global, so that link-time optimisation finds it, and hidden, so that no library exports it.
 * The start of a page lets the system map and share the weights from the file as they are. */
static void print_blob(const Emitter *e, FILE *c)
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
		"\t\".popsection\\n\");\n"
		"extern const unsigned char %s_blob[] __attribute__((visibility(\"hidden\"), aligned(64)));\n",
		name, name, name, name, upper, name, name, name);
	free(upper);
}

static bool paste_parts(const Emitter *e, FILE *c)
{
	enum { ALWAYS, MAIN };
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

#define HIDDEN "__attribute__((visibility(\"hidden\")))"

static void print_wrappers(const Emitter *e, FILE *c)
{
	fputs("\n/* ==== the steps of this model: kernels with literal dimensions on a thread's share */\n", c);
	for (int32_t i = 0; i < e->nwrappers; i++) {
		const Wrapper *w = &e->wrappers[i];
		if (e->split && w->is_core)
			fprintf(c, "\n" HIDDEN " void %s%.*s;   /* in the second file */\n", w->name,
				(int)strcspn(w->text, "\n"), w->text);
		else
			fprintf(c, "\nstatic __attribute__((noinline)) %svoid %s%s", w->attribute, w->name, w->text);
	}
}

bool emit_second(Emitter *e, FILE *c)
{
	Paste paste = {.out = c};
	bool good = paste_file(&paste, "rt.h", e->diag);
	for (int32_t i = 0; good && i < e->nkernels; i++)
		if (e->kernels[i]->panel) /* a linear of some kind */
			good = paste_kernel(&paste, e->kernels[i]->function, e->diag);
	paste_free(&paste);
	for (int32_t i = 0; good && i < e->nwrappers; i++)
		if (e->wrappers[i].is_core)
			fprintf(c, "\n" HIDDEN " %svoid %s%s", e->wrappers[i].attribute, e->wrappers[i].name,
				e->wrappers[i].text);
	return good;
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
	static const char text[] = "\n/* ==== the C API: NAME.h */\n#include \"NAME.h\"\n\n"
							   "NAME *NAME_new(int threads) { return (NAME *)rt_new(&NAME_model, threads); "
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
	for (const char *at = text; *at;) {
		const char *next = strstr(at, "NAME");
		size_t plain = next ? (size_t)(next - at) : strlen(at);
		fwrite(at, 1, plain, c);
		at += plain;
		if (next) {
			fputs(e->options->name, c);
			at += 4;
		}
	}
	char *upper = c_upper(e->options->name);
	fprintf(c,
		"\n#ifdef %s_MAIN\nint main(int argc, char **argv)\n{\n\treturn rt_main(&%s_model, argc, "
		"argv);\n}\n#endif\n",
		upper, e->options->name);
	free(upper);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* "NAME_graph_x86_64_v3": no two CPUs of a target differ in punctuation alone. */
static const char *function_name(Emitter *e, const char *cpu)
{
	char *name = mem_printf(e->mem, "%s_graph_%s", e->options->name, cpu);
	for (char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at))
			*at = '_';
	return name;
}

/* The calls of one graph. */
static bool walk_variant(Emitter *e, Variant *v)
{
	size_t nodes = 0;
	for (const Node *node = v->graph->first; node; node = node->next)
		nodes++;
	v->steps = mem_alloc(e->mem, (nodes + 1) * sizeof *v->steps);
	uint32_t *reached = mem_alloc(e->mem, ((size_t)v->graph->next_id + 1) * sizeof *reached);
	graph_reach_outputs(v->graph, reached);
	v->reached = reached;
	v->calls = text_open(&v->text, &v->text_bytes);
	bool good = true;
	e->variant = v;
	for (const Node *node = v->graph->first; node && good; node = node->next)
		if (node->op != OP_CONST)
			good = emit_step(e, node);
	if (good)
		emit_end(e);
	text_close(v->calls);
	return good;
}

/* Walks the graphs: afterwards the wrappers, kernels, steps and the blob's constants are known, and each
 * variant's calls. */
static bool walk(Emitter *e)
{
	size_t nodes = 0;
	for (int32_t g = 0; g < e->module->ngraphs; g++)
		for (const Node *node = e->module->graphs[g]->first; node; node = node->next)
			nodes++;
	e->wrappers = mem_alloc(e->mem, (2 * nodes + 1) * sizeof *e->wrappers);
	e->kernels = mem_alloc(e->mem, ((size_t)kernel_count + 1) * sizeof *e->kernels);
	emit_sizes(e);
	bool good = true;
	if (e->options->pack_small)
		emit_packed_constants(e);
	for (int32_t i = 0; i < e->module->ngraphs && good; i++) {
		const CpuTarget *cpu = &e->options->target.cpus[i];
		e->variants[e->nvariants++] = (Variant){
			.cpu = cpu, .graph = e->module->graphs[i], .function = function_name(e, cpu->name)};
		good = walk_variant(e, &e->variants[i]);
	}
	return good;
}

bool emit_c(Emitter *e, FILE *c)
{
	char *tokenizer = NULL;
	size_t bytes;
	if (!walk(e))
		return false;
	FILE *tables = text_open(&tokenizer, &bytes);
	bool good = !e->options->tokenizer
		|| emit_tokenizer(e->options->tokenizer, &e->weights.blob, tables, e->options->name, e->diag);
	text_close(tables);
	static const char guard[64]; /* a kernel may load a whole vector where the last constant ends */
	blob_add(&e->weights.blob, guard, sizeof guard);
	if (good) {
		print_head(e, c);
		good = paste_parts(e, c);
	}
	if (good) {
		print_blob(e, c);
		emit_packed_tables(e, c);
		print_wrappers(e, c);
	}
	for (int32_t i = 0; i < e->nvariants && good; i++)
		good = print_graph(e, &e->variants[i], c);
	if (good) {
		fputs("\n/* ==== tables */\n", c);
		fputs(tokenizer, c);
		good = emit_model(e, c);
	}
	if (good)
		print_api(e, c);
	free(tokenizer);
	return good;
}
