/* prune_vocab.c: `prune-vocab{corpus=FILE}` keeps only some rows of the word table: tokens that a corpus
 * uses, all single characters, and special and added tokens. The tokenizer's vocabulary shrinks too, so words
 * that are not in the corpus are split into smaller pieces. Abdaoui, Pradel, Sigel: "Load What You Need:
 * Smaller Versions of Multilingual BERT", 2020.
 *
 *   %w = const @words : f32[30522,8]              %w2 = const : f32[9120,8]
 *   %x = embed %w, %ids                   ->      %x = embed %w2, %ids
 *
 * Ids are row numbers and are renumbered in the old order. Texts of the corpus keep their pieces and their
 * results: WordPiece takes the longest piece that fits, and all pieces that it took still exist. The output
 * of a masked language model has one column per token and shrinks too.
 *
 * keep=N keeps N rows. If the corpus uses fewer, the lowest ids that texts can have fill up the rest:
 * WordPiece vocabularies list common pieces first, so other texts probably contain them.
 * `prune-vocab{keep=N}` without a corpus uses the order of ids only. It refuses an alphabetical vocabulary,
 * because its order says nothing about frequency. */
#include "layers.h"
#include <string.h>

/* The kept rows (axis 0) of a matrix or vector with one row per token, or the kept columns of a matrix with
 * one column per token (axis 1). */
static const Tensor *keep_tokens(
	Graph *graph, const Tensor *from, int32_t axis, const int32_t *to, int32_t kept)
{
	const int64_t outer = axis == 1 ? from->type.dim[0].plus : 1, old = from->type.dim[axis].plus,
				  block = from->bytes / outer / old;
	Type type = from->type;
	type.dim[axis] = dim_number(kept);
	Tensor *tensor = tensor_derived(graph, from, "vocab", type);
	for (int64_t i = 0; i < outer * old; i++)
		if (to[i % old] >= 0)
			memcpy((uint8_t *)(uintptr_t)tensor->data + (i / old * kept + to[i % old]) * block,
				(const uint8_t *)from->data + i * block, (size_t)block);
	return tensor;
}

/* Replaces an argument by a shorter constant. All readers of a constant share the new one. */
static void shorten(Graph *graph, Value *old, int32_t axis, const int32_t *to, int32_t rows)
{
	const Tensor *tensor = value_tensor(old);
	Value *by = NULL;
	if (tensor)
		by = graph_const(graph, old->node, keep_tokens(graph, tensor, axis, to, rows), old->node->origin);
	if (by)
		rewrite_uses(graph, old, by);
}

/* True for the scores of a masked language model, or a term of their sum. */
static bool is_scores(const Graph *graph, const Value *v)
{
	const Module *module = graph->module;
	for (int32_t i = 0; i < graph->noutputs; i++) {
		const Value *scores = graph->outputs[i].value;
		const bool term = value_is(scores, OP_ADD)
			&& (scores->node->args[0] == v || scores->node->args[1] == v);
		for (int32_t h = 0; (scores == v || term) && h < module->nheads; h++)
			if (module->heads[h].task == TASK_FILL_MASK
				&& !strcmp(module->heads[h].output, graph->outputs[i].name))
				return true;
	}
	return false;
}

/* Sets the arguments of a node that have a row or, axis 1, a column for each token: the tables that ids
 * index, and the weights and biases of masked words' scores. Returns their number. */
static int32_t tokens_of(const Graph *graph, const Node *node, int64_t rows, int32_t *first, int32_t *axis)
{
	*axis = node->op == OP_MATMUL;
	*first = node->op != OP_EMBED;
	if (node->op == OP_EMBED)
		return node->args[1] == graph->inputs[0];
	const bool scores = (node->op == OP_LINEAR || node->op == OP_MATMUL)
		&& is_scores(graph, node->results[0]);
	if (!scores || !value_is_const(node->args[1]) || node->args[1]->type.rank != 2
		|| value_width(node->results[0]) != rows) /* before its type is recomputed */
		return 0;
	return node->nargs - 1;
}

static void shorten_all(Graph *graph, const int32_t *to, int64_t old, int32_t rows)
{
	for (Node *node = graph->first; node; node = node->next) {
		int32_t first, axis;
		const int32_t count = tokens_of(graph, node, old, &first, &axis);
		for (int32_t i = first; i < first + count; i++)
			if (node->args[i]->type.dim[axis].plus == old) /* a shared table is shortened once */
				shorten(graph, node->args[i], axis, to, rows);
	}
}

/* Position ids that skip padding get its new id. If padding was removed, there is nothing to skip. */
static void renumber_padding(Graph *graph, const int32_t *to, int64_t old)
{
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_POSITION_IDS || !(node->attr.has & A_padding))
			continue;
		const int64_t id = node->attr.padding;
		if (id < old && to[id] >= 0)
			node->attr.padding = to[id];
		else
			node->attr.has &= ~(uint32_t)A_padding;
	}
}

/* The number of rows of the tables that ids index. 0 when there is no table, -1 when the tables differ. */
static int64_t table_rows(const Graph *graph)
{
	int64_t rows = 0;
	for (const Node *node = NULL; (node = graph_lookup(graph, 0, node));)
		if (node->op == OP_EMBED && value_is_const(node->args[0])) {
			const int64_t own = node->args[0]->type.dim[0].plus;
			rows = rows == 0 || rows == own ? own : -1;
		}
	return rows;
}

/* A sparse head with a weight for each token, not for each latent of an autoencoder. NULL: there is none. */
static const Head *head_of_words(const Graph *graph, int64_t rows)
{
	const Module *module = graph->module;
	for (int32_t h = 0; h < module->nheads; h++)
		for (int32_t i = 0; i < graph->noutputs; i++)
			if (module->heads[h].task == TASK_SPARSE && value_width(graph->outputs[i].value) == rows
				&& !strcmp(module->heads[h].output, graph->outputs[i].name))
				return &module->heads[h];
	return NULL;
}

bool pass_prune_vocab(Graph *graph, PassRun *run)
{
	const PassEnv *env = run->env;
	const char *corpus = pass_option(run, "corpus");
	const int64_t old = table_rows(graph);
	int32_t rows = 0;
	int64_t keep = pass_option_int(run, "keep", 0);
	if (!corpus && keep == 0)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"prune-vocab: give corpus=FILE (texts like those of the model's users) or keep=N (number of the "
			"most frequent tokens that stay)");
	if (old <= 0 || old > INT32_MAX || graph->module->ngraphs != 1)
		return diag_error(run->diag, EXIT_UNSUPPORTED, 0, "prune-vocab: %s",
			old == 0 ? "no constant table is indexed by %ids"
					 : "the graph has several tables indexed by ids, or the module has several graphs");
	const Head *words = head_of_words(graph, old);
	if (words)
		return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"prune-vocab: head @%s (sparse) has a weight for each token, so none can be dropped",
			words->name);
	if (!pass_option_fits(run, "keep", keep, old, "the word table has", "row"))
		return false;
	if (!env->vocab_used || !env->vocab_renumber)
		return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"prune-vocab: the tokenizer must change too, and there is none; use 'bertc build' with a model "
			"that has one, instead of 'bertc opt'");
	bool *used = mem_alloc(graph->module->mem, (size_t)old * sizeof *used),
		 *never = mem_alloc(graph->module->mem, (size_t)old * sizeof *never);
	int32_t *to = mem_alloc(graph->module->mem, (size_t)old * sizeof *to);
	if (!env->vocab_used(env->calibration, corpus, used, (int32_t)old, run->diag))
		return false;
	if (env->vocab_never && keep > 0)
		env->vocab_never(env->calibration, never, (int32_t)old);
	for (int64_t i = 0; i < old; i++)
		keep -= used[i];
	for (int64_t i = 0; i < old; i++)
		to[i] = used[i] || (!never[i] && keep-- > 0) ? rows++ : -1;
	pass_note(run, NULL, "%d of %lld tokens stay", rows, (long long)old);
	if (rows == old)
		return true;
	if (!env->vocab_renumber(env->calibration, to, (int32_t)old, run->diag))
		return false;
	shorten_all(graph, to, old, rows);
	renumber_padding(graph, to, old);
	graph_sweep(graph);
	run->changes = (int32_t)old - rows;
	return graph_retype(graph, run->diag);
}
