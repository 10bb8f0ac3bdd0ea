/* prune_tokens.c: `prune-tokens{layer=2 keep=0.5}` drops, from layer 2 on, the tokens that receive the least
 * attention in layer 2. Goyal, Choudhury, Raje, Chakaravarthy, Sabharwal, Verma: "PoWER-BERT: Accelerating
 * BERT Inference via Progressive Word-vector Elimination", 2020, sections 3.1 and 3.2: the significance of a
 * token is the attention that it receives, summed over heads and queries, and tokens are dropped between a
 * layer's attention and its feed-forward network. keep= is the number of tokens that stay, or a share of the
 * text's length, like the paper's retention configuration. It is not learnt.
 *
 *   %p = softmax %s                                    %p = softmax %s
 *   %c = .. matmul %p, %v .. : f32[S,8]                %c = .. matmul %p, %v .. : f32[S,8]
 *   %h = linear %c, %w, %b : f32[S,8]         ->       %r = received %q, %k {heads=2 pack=none}
 *   %y = add %h, %x : f32[S,8]                         %t = thin %r {symbol=1 share=0.5} : i32[S1]
 *   return hidden=%y                                   %c1 = gather %c, %t : f32[S1,8]
 *                                                      %x1 = gather %x, %t : f32[S1,8]
 *                                                      %h = linear %c1, %w, %b : f32[S1,8]
 *                                                      %y = add %h, %x1 : f32[S1,8]
 *                                                      %z = spread %y, %t, %ids : f32[S,8]
 *                                                      return hidden=%z
 *
 * All later ops work on the remaining tokens of each text. Position embeddings were added before the first
 * layer, so positions do not change. Ties: the earlier token stays. [CLS], the first token, always stays.
 * Pooling is over the remaining tokens. An output with one row per token gets all rows back: a dropped token
 * has the row of the last kept token before it. A tagger needs a label for every word: all tokens that begin
 * a word (all but the vocabulary's continuing pieces) stay. Span extraction, fill-mask and vectors of tokens
 * may need any token, so nothing can be dropped there.
 *
 * Values that several later layers read, such as rows added in each, lose the same rows. A bias by distance
 * keeps the distances in the whole text: by_distance gets the positions of the remaining tokens. Any other
 * bias f32[heads,S,S] is refused: it has tokens on two axes, and gather picks rows.
 *
 * layer=2,4 keep=0.7,0.5 thins twice. Each share is of the tokens that are left at that layer. */
#include "layers.h"
#include "ir/attention.h"
#include <stdlib.h>
#include <string.h>

typedef struct Thinning {
	const Layer *layer;
	Attrs attr; /* keep or share, and the symbol */
} Thinning;
enum { THINNINGS_MAX = SYMBOLS_MAX - 2 };
typedef struct Thinnings {
	Thinning at[THINNINGS_MAX];
	int32_t count;
} Thinnings;

/* "0.5" is a share, "64" a number. */
static bool read_keep(const char *item, Attrs *attr, int32_t longest, PassRun *run)
{
	char *end;
	const size_t bytes = strcspn(item, ",");
	if (memchr(item, '.', bytes)) {
		attr->has |= A_share;
		attr->share = strtod(item, &end);
	} else {
		attr->has |= A_keep;
		attr->keep = strtoll(item, &end, 10);
	}
	const bool good = *item >= '0' && *item <= '9' && end == item + bytes
		&& (attr->has & A_share ? attr->share > 0 && attr->share <= 1
								: attr->keep >= 1 && attr->keep <= INT32_MAX);
	if (!good)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"prune-tokens: keep=%s, expected shares (above 0.0, at most 1.0) or numbers of tokens (at least "
			"1), separated by commas",
			pass_option(run, "keep"));
	return !(attr->has & A_keep) || !longest
		|| pass_option_fits(run, "keep", attr->keep, longest, "a text has at most", "token");
}

static const char *next_item(const char *item)
{
	item += strcspn(item, ",");
	return *item ? item + 1 : NULL;
}

/* keep=0.7,0.5: one for each layer, or one for all. */
static bool read_keeps(Thinnings *all, int32_t longest, PassRun *run)
{
	const char *layers = pass_option(run, "layer"), *keeps = pass_option(run, "keep"), *keep = keeps;
	const bool several = strchr(keeps, ',') != NULL;
	for (int32_t i = 0; i < all->count; i++) {
		Thinning *thinning = &all->at[i];
		if (!keep)
			return diag_error(run->diag, EXIT_USAGE, 0, "prune-tokens: layer=%s has more items than keep=%s",
				layers, keeps);
		if (!read_keep(keep, &thinning->attr, longest, run))
			return false;
		thinning->attr.has |= A_symbol;
		thinning->attr.symbol = i + 1;
		keep = several ? next_item(keep) : keeps;
	}
	return !several || !keep
		|| diag_error(
			run->diag, EXIT_USAGE, 0, "prune-tokens: keep=%s has more items than layer=%s", keeps, layers);
}

/* layer=2,4-5 and keep=. */
static bool read_thinnings(Thinnings *all, Graph *graph, const Layers *layers, PassRun *run)
{
	int32_t *chosen = mem_alloc(graph->module->mem, (size_t)layers->count * sizeof *chosen), count;
	if (!layers_listed(graph, layers, "layer", chosen, &count, run))
		return false;
	if (count > THINNINGS_MAX)
		return diag_error(run->diag, EXIT_USAGE, 0, "prune-tokens: layer=%s names more than %d layers",
			pass_option(run, "layer"), THINNINGS_MAX);
	for (int32_t i = 0; i < count; i++) {
		if (i && chosen[i] < chosen[i - 1])
			return diag_error(run->diag, EXIT_USAGE, 0,
				"prune-tokens: layer=%s, expected the layers in ascending order", pass_option(run, "layer"));
		all->at[all->count++] = (Thinning){.layer = &layers->at[chosen[i]]};
	}
	return read_keeps(all, graph->module->max_tokens, run);
}

/* ---- tokens that must stay ------------------------------------------------------------------- */

/* f32[S,1], not 0 for tokens that begin a word. NULL and messages on error. */
static Value *emit_beginnings(Graph *graph, PassRun *run)
{
	const PassEnv *env = run->env;
	const Node *lookup = graph_lookup(graph, 0, NULL);
	if (!lookup || !env->vocab_continues) {
		diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"prune-tokens: a tagger keeps all tokens that begin a word; to find them, %s",
			lookup ? "the tokenizer is needed: use 'bertc build' instead of 'bertc opt'"
				   : "a word table is needed, and the graph has none");
		return NULL;
	}
	const int64_t rows = lookup->args[0]->type.dim[0].plus;
	bool *continues = mem_alloc(graph->module->mem, (size_t)rows * sizeof *continues);
	env->vocab_continues(env->calibration, continues, (int32_t)rows);
	Tensor *table = tensor_derived(
		graph, lookup->args[0]->node->data, "begins", type_numbers(DT_F32, 2, (int64_t[]){rows, 1}));
	for (int64_t i = 0; i < rows; i++)
		tensor_set(table, i, !continues[i]);
	Value *constant = graph_const(graph, graph->first, table, "tokens.begin");
	return graph_emit(graph, constant->node->next, OP_EMBED, (Value *[]){constant, graph->inputs[0]}, 2, NULL,
		"tokens.begin", run->diag);
}

/* Sets *must to the value that marks the tokens that thin must keep, or NULL. */
static bool find_needed(Graph *graph, Value **must, PassRun *run)
{
	const Module *module = graph->module;
	*must = NULL;
	for (int32_t i = 0; i < module->nheads; i++) {
		const Head *head = &module->heads[i];
		if (head->task == TASK_QA || head->task == TASK_FILL_MASK || head->task == TASK_MULTI_VECTOR
			|| head->task == TASK_SPARSE)
			return diag_error(run->diag, EXIT_UNSUPPORTED, head->line,
				"prune-tokens: head @%s (%s) may need any token, so none can be dropped", head->name,
				task_names[head->task]);
		if (head->task == TASK_TAG && !*must && !(*must = emit_beginnings(graph, run)))
			return false;
	}
	return true;
}

/* ---- thinning -------------------------------------------------------------------------------- */

/* True when v is computed after node. The residual input of a block is usually computed before the block,
 * where gather does not split the chain of the last linear and the add. */
static bool comes_after(const Value *v, const Node *node)
{
	while (node && node != v->node)
		node = node->next;
	return v->node && node;
}

/* Thins the rows of a layer after its attention. Returns the positions of the kept rows. */
static Value *thin_layer(
	Graph *graph, const Layer *layer, const Thinning *thinning, Value **must, PassRun *run)
{
	const char *origin = origin_in_layer(graph, layer->number, PART_TOKENS);
	const Attrs attr = attention_attrs(&layer->heads);
	Node *out = layer->attention.out, *sum = layer->attention.sum;
	const int around = sum->args[0] == out->results[0] ? 1 : 0;
	Value *read[ARGS_MAX] = {layer->heads.q.rows, layer->heads.k.rows};
	int32_t nread = 2;
	if (!attention_emit_biases(graph, out, &layer->heads, read, &nread, run->diag))
		return NULL;
	Value *thin_args[2] = {graph_emit(graph, out, OP_RECEIVED, read, nread, &attr, origin, run->diag), *must};
	if (!thin_args[0])
		return NULL;
	const int nargs = *must ? 2 : 1;
	Value *places = graph_emit(graph, out, OP_THIN, thin_args, nargs, &thinning->attr, origin, run->diag);
	if (!places)
		return NULL;
	Value *inner = graph_emit(
		graph, out, OP_GATHER, (Value *[]){out->args[0], places}, 2, NULL, origin, run->diag);
	Value *outer = graph_emit(graph, comes_after(sum->args[around], out) ? sum : out, OP_GATHER,
		(Value *[]){sum->args[around], places}, 2, NULL, origin, run->diag);
	if (*must)
		*must = graph_emit(graph, out, OP_GATHER, (Value *[]){*must, places}, 2, NULL, origin, run->diag);
	if (!inner || !outer)
		return NULL;
	out->args[0] = inner;
	sum->args[around] = outer;
	return places;
}

/* ---- distances ------------------------------------------------------------------------------- */

/* Whether token i has position i in the bias by distance. */
static bool counts_tokens(const Node *by_distance)
{
	const Value *rows = by_distance->args[1];
	if (by_distance->attr.has & A_heads) /* a table for each query */
		return false;
	return rows->type.dtype != DT_I32 || places_are_plain(rows);
}

/* Gives the biases inside later layers the positions of the tokens that are left. */
static void place_distances(Graph *graph, const Layers *layers, const Layer *layer, Value *places)
{
	for (Node *node = graph->first; node; node = node->next) {
		const Layer *own = layers_number(layers, node_layer(node));
		if (node->op == OP_BY_DISTANCE && own && own > layer && counts_tokens(node))
			node->args[1] = places;
	}
}

/* The rows of `whole` that are left, or the bias by distance for them, made where both exist. NULL and
 * messages on error. */
static Value *make_rest(Graph *graph, const Layer *layer, Value *whole, Value *places, PassRun *run)
{
	const bool distances = value_is(whole, OP_BY_DISTANCE) && !(whole->node->attr.has & A_heads)
		&& counts_tokens(whole->node);
	if (!distances && (!type_is_rows(&whole->type) || whole->type.rank != 2)) {
		diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"prune-tokens: an op after the attention of layer %d reads %s, %s, from which dropped tokens "
			"cannot be removed, because it does not have one row per token",
			layer->number, value_print(whole, (char[264]){0}), type_print(&whole->type, (char[128]){0}));
		return NULL;
	}
	Node *before = comes_after(whole, places->node) ? whole->node : places->node;
	Value *args[2] = {distances ? whole->node->args[0] : whole, places};
	return graph_emit(graph, before->next, distances ? OP_BY_DISTANCE : OP_GATHER, args, 2, NULL,
		places->node->origin, run->diag);
}

static bool check_biases(const Layers *layers, const Thinnings *all, PassRun *run)
{
	for (const Layer *layer = all->at[0].layer; layer < layers->at + layers->count; layer++)
		for (int32_t i = 0; i < layer->heads.nbiases; i++) {
			const ScoreBias *bias = &layer->heads.bias[i];
			if (bias->axis || (bias->is_table && all->count > 1))
				return diag_error(run->diag, EXIT_UNSUPPORTED, layer->softmax->line,
					bias->axis ? "prune-tokens: the scores of layer %d have products by distance (%s), and "
								 "the distances of the tokens that are left would change; leave prune-tokens "
								 "out"
							   : "prune-tokens: layer %d adds a bias by distance to its scores (%s); with "
								 "such biases tokens can be dropped in one layer only",
					layer->number, value_print(bias->value, (char[264]){0}));
		}
	return true;
}

/* Ops after the attention of a thinned layer read only the remaining rows of values that have a row for every
 * token: the residual input of a bottleneck, or rows that all layers share. Only rows can be gathered. */
static bool thin_rest(Graph *graph, const Layer *layer, Value *places, PassRun *run)
{
	const uint32_t values = graph->next_id;
	bool *behind = checked_calloc(values, sizeof *behind), good = true;
	Value **rest = checked_calloc(values, sizeof *rest);
	behind[layer->attention.out->results[0]->id] = true;
	for (Node *node = layer->attention.out->next; node && good; node = node->next) {
		bool reads = node == layer->attention.sum;
		for (int32_t i = 0; i < node->nargs; i++)
			reads |= node->args[i]->id < values && behind[node->args[i]->id];
		for (int32_t i = 0; i < node->nargs && reads && good; i++) {
			Value *whole = node->args[i];
			const bool gathered = whole->node && whole->node->nargs == 2 && whole->node->args[1] == places;
			if (behind[whole->id] || gathered || type_is_number(&whole->type))
				continue;
			if (!rest[whole->id])
				rest[whole->id] = make_rest(graph, layer, whole, places, run);
			node->args[i] = rest[whole->id];
			good = node->args[i] != NULL;
		}
		for (int32_t i = 0; i < node->nresults && reads; i++)
			behind[node->results[i]->id] = true;
	}
	free(behind);
	free(rest);
	return good;
}

/* Recomputes the types of all results. The shape of a reshape gets the symbol of its input. */
static bool retype(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next) {
		int32_t symbol = 0;
		for (int32_t d = 0; node->op == OP_RESHAPE && d < node->args[0]->type.rank; d++)
			if (!dim_is_number(node->args[0]->type.dim[d]))
				symbol = node->args[0]->type.dim[d].symbol;
		for (int32_t d = 0; symbol && d < node->attr.shape.count; d++)
			if (!dim_is_number(node->attr.shape.at[d]))
				node->attr.shape.at[d].symbol = symbol;
		Type types[RESULTS_MAX];
		if (node->op == OP_CONST)
			continue;
		if (!node_infer(node, types, run->diag))
			return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
				"prune-tokens: an op after the layer needs a row of every token");
		for (int32_t i = 0; i < node->nresults; i++)
			node->results[i]->type = types[i];
	}
	return true;
}

/* Restores all rows of outputs with one row per token. places[i] created symbol i + 2. */
static bool spread_outputs(Graph *graph, Value *const *places, PassRun *run)
{
	for (int32_t i = 0; i < graph->noutputs; i++) {
		Value **value = &graph->outputs[i].value;
		for (int32_t symbol = type_rows(&(*value)->type); symbol > 1; symbol--) {
			Value *args[] = {*value, places[symbol - 2], symbol > 2 ? places[symbol - 3] : graph->inputs[0]};
			if ((*value)->type.rank != 2
				|| !(*value = graph_emit(graph, NULL, OP_SPREAD, args, 3, NULL, "tokens.spread", run->diag)))
				return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
					"prune-tokens: output %s needs a row for every token, and the dropped rows cannot be "
					"restored",
					graph->outputs[i].name);
		}
	}
	return true;
}

bool pass_prune_tokens(Graph *graph, PassRun *run)
{
	Thinnings all = {0};
	Layers layers;
	Value *places[THINNINGS_MAX], *must;
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_THIN)
			return diag_error(run->diag, EXIT_USAGE, 0,
				"prune-tokens: the graph drops tokens already; name all layers at once, as in "
				"prune-tokens{layer=1,3 keep=0.8,0.5}");
	if (!pass_option(run, "layer") || !pass_option(run, "keep"))
		return diag_error(run->diag, EXIT_USAGE, 0,
			"prune-tokens: give layer= (where tokens are dropped) and keep= (how many stay), as in "
			"prune-tokens{layer=2 keep=0.5}");
	if (!layers_find_blocks(graph, "prune-tokens", &layers, run) || !read_thinnings(&all, graph, &layers, run)
		|| !check_biases(&layers, &all, run) || !find_needed(graph, &must, run))
		return false;
	for (int32_t i = 0; i < all.count; i++) {
		const Thinning *thinning = &all.at[i];
		const Layer *layer = thinning->layer;
		if (!layer->has_attention)
			return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
				"prune-tokens: layer %d has no attention, which decides on the tokens to drop",
				layer->number);
		if (!(places[i] = thin_layer(graph, layer, thinning, &must, run)))
			return false;
		place_distances(graph, &layers, layer, places[i]);
		if (!thin_rest(graph, layer, places[i], run) || !retype(graph, run))
			return false;
		run->changes++;
	}
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_POOL && node->attr.mode != POOL_FIRST && type_rows(&node->args[0]->type) > 1)
			pass_note(run, node, "pools over the remaining tokens");
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_EXIT && type_rows(&node->args[0]->type) > 1)
			pass_note(run, node,
				"the head of this exit was fitted on all tokens, but pools the remaining ones; put "
				"early-exit after prune-tokens to fit it on these");
	return spread_outputs(graph, places, run);
}
