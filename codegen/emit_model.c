/* emit_model.c: writes the tables of the emitted file: outputs, heads, options, steps, the variants for CPUs,
 * and the RtModel that refers to them (runtime/model.h). */
#include <string.h>
#include "emit.h"

bool emit_has_exits(const Graph *graph)
{
	const Node *node = graph->first;
	while (node && node->op != OP_EXIT)
		node = node->next;
	return node != NULL;
}

static int32_t output_index(const Graph *graph, const char *name)
{
	for (int32_t i = 0; i < graph->noutputs; i++)
		if (strcmp(graph->outputs[i].name, name) == 0)
			return i;
	return -1;
}

/* The start of a row: what it is about. */
static void row_open(FILE *c, const char *name)
{
	fputs("\t{", c);
	c_string(c, name);
}

static bool print_heads(Emitter *e, FILE *c)
{
	const Module *m = e->module;
	const char *name = e->options->name;
	for (int32_t i = 0; i < m->nheads; i++) {
		if (!m->heads[i].nlabels)
			continue;
		fprintf(c, "static const char *const %s_labels%d[] = {\n", name, (int)i);
		for (int32_t k = 0; k < m->heads[i].nlabels; k++) {
			putc('\t', c);
			c_string(c, m->heads[i].labels[k]);
			fputs(",\n", c);
		}
		fputs("};\n", c);
	}
	if (m->nheads)
		fprintf(c, "static const RtHead %s_heads[] = {\n", name);
	for (int32_t i = 0; i < m->nheads; i++) {
		const Head *head = &m->heads[i];
		int32_t output = output_index(e->graph, head->output);
		if (output < 0)
			return diag_error(e->diag, EXIT_INPUT, 0,
				"head %s reads output %s, which graph %s does not return", head->name, head->output,
				e->graph->name);
		row_open(c, head->name);
		fprintf(
			c, ", %d, %d, %d, %d, ", (int)head->task, (int)head->problem, (int)output, (int)head->nlabels);
		fprintf(c, head->nlabels ? "%s_labels%d},\n" : "NULL},\n", name, (int)i);
	}
	if (m->nheads)
		fputs("};\n", c);
	return true;
}

static bool print_outputs(Emitter *e, FILE *c)
{
	fprintf(c, "static const RtOutput %s_outputs[] = {\n", e->options->name);
	for (int32_t i = 0; i < e->graph->noutputs; i++) {
		int64_t width;
		bool per_token;
		if (!output_shape(e, i, &width, &per_token))
			return false;
		row_open(c, e->graph->outputs[i].name);
		fprintf(c, ", %lld, %d},\n", (long long)width, per_token);
	}
	fputs("};\n", c);
	return true;
}

static void print_options(const Emitter *e, FILE *c)
{
	const Module *m = e->module;
	if (m->noptions)
		fprintf(c, "static const RtOptionInfo %s_options[] = {\n", e->options->name);
	for (int32_t i = 0; i < m->noptions; i++) {
		row_open(c, m->options[i].name);
		fputs(", ", c);
		c_real(c, m->options[i].value);
		fputs("},\n", c);
	}
	fputs(m->noptions ? "};\n" : "", c);
}

/* The name of the prompt that a meta line has; NULL: it has none. */
static const char *prompt_name(const Meta *meta)
{
	const size_t stem = strlen(META_PROMPT);
	return strncmp(meta->key, META_PROMPT, stem) == 0 ? meta->key + stem : NULL;
}

/* The number of prompts, and the index of the default one; -1: none. */
static int32_t count_prompts(const Module *m, int32_t *usual)
{
	int32_t count = 0;
	const char *name = module_meta(m, META_DEFAULT_PROMPT);
	*usual = -1;
	for (int32_t i = 0; i < m->nmeta; i++) {
		if (!prompt_name(&m->meta[i]))
			continue;
		if (name && strcmp(name, prompt_name(&m->meta[i])) == 0)
			*usual = count;
		count++;
	}
	return count;
}

static void print_prompts(const Emitter *e, FILE *c)
{
	const Module *m = e->module;
	int32_t usual;
	if (count_prompts(m, &usual) == 0)
		return;
	fprintf(c, "static const RtPrompt %s_prompts[] = {\n", e->options->name);
	for (int32_t i = 0; i < m->nmeta; i++)
		if (prompt_name(&m->meta[i])) {
			row_open(c, prompt_name(&m->meta[i]));
			fputs(", ", c);
			c_string(c, m->meta[i].value);
			fputs("},\n", c);
		}
	fputs("};\n", c);
}

static void print_steps(const Variant *v, FILE *c)
{
	fprintf(c, "static const RtStep %s_steps[] = {\n", v->function);
	for (int32_t i = 0; i < v->nsteps; i++) {
		row_open(c, v->steps[i].origin ? v->steps[i].origin : "");
		fprintf(c, ", \"%s\", %.9g, %.9g, %.9g, %d},\n", v->steps[i].kernel, v->steps[i].per_token,
			v->steps[i].per_text, v->steps[i].per_pair, (int)v->steps[i].symbol);
	}
	fputs("\t{\"\", \"\", 0, 0, 0, 0}\n};\n", c); /* a table must not be empty, even without steps */
}

static void print_variants(const Emitter *e, FILE *c)
{
	fprintf(c, "static const RtVariant %s_variants[] = {\n", e->options->name);
	for (int32_t i = 0; i < e->nvariants; i++) {
		const Variant *v = &e->variants[i];
		const ArenaPlan *arena = &v->graph->arena;
		/* on ARMv7 a flag enables NEON for the whole file */
		fprintf(c, "\t{.cpu = \"%s\", .isa = %u, .run = %s, .steps = %s_steps, .nsteps = %d,\n", v->cpu->name,
			(unsigned)(v->isa | (v->cpu->isa & ISA_NEON32)), v->function, v->function, (int)v->nsteps);
		fprintf(c,
			"\t\t.per_token = %lld, .per_text = %lld, .per_pair = %lld, "
			".per_thread_token = %lld, .per_thread = %lld, .per_block = %lld, .fixed = %lld},\n",
			(long long)arena->per_token, (long long)arena->per_text, (long long)arena->per_pair,
			(long long)arena->per_thread_token, (long long)arena->per_thread, (long long)arena->per_block,
			(long long)arena->fixed);
	}
	fputs("};\n", c);
}

/* The highest k among the symbols Sk that ops define. */
static int64_t thinned_count(const Emitter *e)
{
	int64_t count = 0;
	for (int32_t g = 0; g < e->module->ngraphs; g++)
		for (const Node *node = e->module->graphs[g]->first; node; node = node->next)
			if (node->op == OP_THIN && node->attr.symbol > count)
				count = node->attr.symbol;
	return count;
}

static void print_text(FILE *c, const char *member, const char *text)
{
	if (!text)
		return;
	fprintf(c, "\t.%s = ", member);
	c_string(c, text);
	fputs(",\n", c);
}

static void print_model(const Emitter *e, FILE *c)
{
	const EmitOptions *o = e->options;
	ModelSizes sizes = e->sizes;
	fprintf(c, "static const RtModel %s_model = {\n\t.name = \"%s\",\n\t.about = ", o->name, o->name);
	c_string(c, o->about_json ? o->about_json : "{}");
	fprintf(c,
		",\n\t.hidden = %d, .vocab = %d, .type_vocab = %d, .max_tokens = %d, "
		".batch_tokens = %d, .batch_texts = %d, .takes_pairs = %d,\n",
		(int)sizes.hidden, (int)sizes.vocab, (int)sizes.type_vocab, (int)sizes.max_tokens,
		(int)sizes.batch_tokens, (int)sizes.batch_texts, o->tokenizer && o->tokenizer->npair > 0);
	fprintf(c, "\t.nthinned = %d,\n", (int)thinned_count(e));
	fprintf(c, "\t.outputs = %s_outputs, .noutputs = %d,\n", o->name, (int)e->graph->noutputs);
	if (e->module->noptions)
		fprintf(c, "\t.options = %s_options, .noptions = %d, .exits = %d,\n", o->name,
			(int)e->module->noptions, emit_has_exits(e->graph));
	fprintf(c, e->module->nheads ? "\t.heads = %s_heads, .nheads = %d,\n" : "\t.heads = NULL, .nheads = 0,\n",
		o->name, (int)e->module->nheads);
	int32_t usual;
	const int32_t prompts = count_prompts(e->module, &usual);
	if (prompts)
		fprintf(c, "\t.prompts = %s_prompts, .nprompts = %d,\n", o->name, (int)prompts);
	if (usual >= 0)
		fprintf(c, "\t.prompt = &%s_prompts[%d],\n", o->name, (int)usual);
	if (emit_is_late(e->module))
		fprintf(c, "\t.late = &%s_late,\n", o->name);
	fprintf(c, o->tokenizer ? "\t.tokenizer = &%s_tokenizer,\n" : "\t.tokenizer = NULL,\n", o->name);
	print_text(c, "labels", o->labels);
	print_text(c, "pattern", o->pattern);
	print_text(c, "ranges", o->ranges);
	print_text(c, "similarity", module_meta(e->module, META_SIMILARITY));
	print_text(c, "unknown_keys", module_meta(e->module, META_UNKNOWN_KEYS));
	fprintf(c, "\t.variants = %s_variants, .nvariants = %d,\n", o->name, (int)e->nvariants);
	if (e->weights.npacked)
		fprintf(c, "\t.unpack = %s_unpack, .unpacked = &%s_unpack_state,\n", o->name, o->name);
	fprintf(c, "\t.weights = %s_blob, .weights_bytes = %zu,\n};\n", o->name, e->weights.blob.bytes);
}

bool emit_model(Emitter *e, FILE *c)
{
	if (!print_outputs(e, c) || !print_heads(e, c) || !emit_late(e, c))
		return false;
	print_options(e, c);
	print_prompts(e, c);
	for (int32_t i = 0; i < e->nvariants; i++)
		print_steps(&e->variants[i], c);
	print_variants(e, c);
	print_model(e, c);
	return true;
}
