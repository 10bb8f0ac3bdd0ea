/* emit_walk.c: walks the graphs and collects everything that is printed afterwards: the calls of each graph,
 * the wrappers and kernels that they need, the blob of constants, the tokenizer's tables. */
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
			/* what a narrow table tells of a token is not its embedding */
			if (table->rank > 1 && table->dim[1].plus > widest)
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

/* ---- the graphs ------------------------------------------------------------------------------ */

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

static bool walk_graphs(Emitter *e)
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

/* The tokenizer's tables: those in the blob, and the C text that names them. */
static bool walk_tokenizer(Emitter *e)
{
	size_t bytes;
	FILE *tables = text_open(&e->tokenizer, &bytes);
	bool good = !e->options->tokenizer
		|| emit_tokenizer(e->options->tokenizer, &e->weights.blob, tables, e->options->name, e->diag);
	text_close(tables);
	return good;
}

bool emit_walk(Emitter *e)
{
	if (!walk_graphs(e) || !walk_tokenizer(e))
		return false;
	static const char guard[64]; /* a kernel may load a whole vector where the last constant ends */
	blob_add(&e->weights.blob, guard, sizeof guard);
	return true;
}

void emit_walk_free(Emitter *e)
{
	for (int32_t i = 0; i < e->nvariants; i++)
		free(e->variants[i].text);
	free(e->tokenizer);
	weights_free(&e->weights);
}
