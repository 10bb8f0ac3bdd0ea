/* heads.c: builds the part after the encoder: pooling, classifiers, span and mask predictions, and the
 * outputs of the graph. The family defines the parts of a head and their tensor names (HeadSpec). A head of
 * the description may name another stem. */
#include <string.h>
#include "family.h"
#include "compiler/support/files.h"

/* ---- pooling --------------------------------------------------------------------------------- */

/* tanh(dense(row of the first token)), or that row as it is: transformers' pooler_output. */
static Value *build_pooler(Builder *b)
{
	const char *origin = pooling_words[POOLING_POOLER];
	Attrs first = {.has = A_mode, .mode = POOL_FIRST};
	if (b->pooled || b->failed)
		return b->pooled;
	Value *hidden = b->hidden;
	Value *row = build_op(b, OP_POOL, &hidden, 1, &first, origin);
	if (b->desc->trait[TRAIT_PLAIN_POOLER])
		return b->pooled = row;
	const char *stem = builder_text(b, "%s%s", b->prefix, b->desc->family->pooler);
	row = build_linear(b, row, stem, b->desc->hidden, SIZE_HIDDEN, origin);
	return b->pooled = build_unary(b, OP_TANH, row, origin);
}

static Value *build_pool(Builder *b, Value *rows, Pool mode, bool skips, const char *origin)
{
	const Attrs attr = {.has = A_mode | (skips ? A_option : 0), .mode = mode, .option = OPTION_PROMPT};
	if (skips)
		module_set_option(b->module, OPTION_PROMPT, 0);
	return build_op(b, OP_POOL, &rows, 1, &attr, origin);
}

/* The result of one word of `pooling` on the rows f32[S,H]: f32[H]. */
static Value *build_pooling_part(
	Builder *b, const HeadDesc *head, const char *word, Value *rows, const char *origin)
{
	const int pooling = word_index(word, pooling_words, POOLING_COUNT);
	if (b->token_weights && (pooling == POOL_MEAN || pooling == POOL_MEAN_SQRT))
		return build_weighted_mean(b, rows, pooling == POOL_MEAN_SQRT, origin);
	if (b->token_weights && pooling == POOL_MEAN_WEIGHTED)
		builder_fail(b, EXIT_UNSUPPORTED, "%s: weightedmean after WordWeights is not supported", origin);
	return pooling == POOLING_POOLER ? build_pooler(b)
									 : build_pool(b, rows, (Pool)pooling, head->skips_prompt, origin);
}

/* The results of all n words, concatenated: f32[n*H]. */
static Value *build_pooling(Builder *b, const HeadDesc *head, Value *rows, const char *origin)
{
	Value *parts[POOLINGS_MAX]; /* description_check has checked the words and their number */
	int count = 0;
	char *words = builder_text(b, "%s", head->pooling), *rest;
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		parts[count++] = build_pooling_part(b, head, word, rows, origin);
	Attrs attr = {.has = A_axis, .axis = 0};
	return count == 1 ? parts[0] : build_op(b, OP_CONCAT, parts, count, &attr, origin);
}

/* ---- one function per kind of head ----------------------------------------------------------- */

static Task head_task(const HeadDesc *head) { return (Task)word_index(head->task, task_names, TASK_COUNT); }

static const HeadSpec *head_spec(const Builder *b, const HeadDesc *head)
{
	return family_head(b->desc->family, head);
}

const char *head_stem(Builder *b, const HeadDesc *head, const char *stem)
{
	const char *star = strchr(stem, '*');
	return star ? builder_text(b, "%.*s%s%s", (int)(star - stem), stem, head->tensors, star + 1) : stem;
}

Value *head_transform(
	Builder *b, const HeadDesc *head, Value *x, int32_t width, Size size, const char *origin)
{
	const HeadSpec *spec = head_spec(b, head);
	if (!spec->dense)
		return x;
	if (spec->spare) {
		if (!builder_has(b, builder_text(b, "%s.weight", head_stem(b, head, spec->dense))))
			return x;
		width = 0;
	}
	const char *own = spec->encoder_act ? NULL : b->desc->head_activation,
			   *activation = spec->activation ? spec->activation : own;
	if (!b->desc->trait[TRAIT_BARE_HEAD])
		x = build_linear_of(b, BIAS_HEAD, x, head_stem(b, head, spec->dense), width, size, origin);
	x = build_activation(b, activation ? activation : b->desc->activation, x, origin);
	return spec->norm ? build_layernorm(b, x, head_stem(b, head, spec->norm), origin) : x;
}

Value *head_embed(Builder *b, const HeadDesc *head, const char *origin)
{
	Value *rows = build_modules(b, head, true, b->hidden, origin);
	Value *x = build_pooling(b, head, rows, origin);
	const int64_t width = rows ? rows->type.dim[1].plus : 0;
	if (head->pooled && x && head->pooled != width) /* only informative, so a warning */
		diag_warn(b->diag, 0,
			"the Pooling module's config.json has word_embedding_dimension %jd, but the size of its input is "
			"%jd; do they belong together?",
			(intmax_t)head->pooled, (intmax_t)width);
	x = build_modules(b, head, false, x, origin);
	if (head->normalize)
		x = build_normalize(b, x, origin);
	if (head->dim == 0 || !x || head->dim >= x->type.dim[0].plus)
		return x;
	const Attrs first = {.has = A_axis | A_start | A_end, .axis = 0, .start = 0, .end = head->dim};
	return build_op(b, OP_SLICE, &x, 1, &first, origin);
}

Value *head_classify(Builder *b, const HeadDesc *head, const char *origin)
{
	const bool late = strcmp(head->pooling, pooling_words[POOLING_LATE]) == 0;
	Value *x = late ? b->hidden : build_pooling(b, head, b->hidden, origin);
	x = head_transform(b, head, x, b->desc->hidden, SIZE_HIDDEN, origin);
	if (late) /* the mean of the scores: the last linear passes a mean on */
		x = build_pool(b, x, POOL_MEAN, false, origin);
	const char *stem = head_stem(b, head, head_spec(b, head)->out);
	const int32_t width = head_task(head) == TASK_CHOICE ? 1 : head->nlabels;
	x = build_linear(b, x, stem, width, SIZE_LABELS, origin);
	return head->activation ? build_activation(b, head->activation, x, origin) : x;
}

Value *head_tokens(Builder *b, const HeadDesc *head, const char *origin)
{
	Value *x = head_transform(b, head, b->hidden, b->desc->hidden, SIZE_HIDDEN, origin);
	const char *stem = head_stem(b, head, head_spec(b, head)->out);
	const int32_t width = head_task(head) == TASK_QA ? 2 : head->nlabels;
	return build_linear(b, x, stem, width, SIZE_LABELS, origin);
}

/* The weights of words in a text, from the scores of each token: the largest, or the sum, of log(1 +
 * relu(score)) over the tokens (SPLADE v2, arXiv:2109.10086, and SPLADE, arXiv:2107.05720). The function
 * grows with the score, so the largest score is taken first. log1p_relu takes the logarithm twice. */
static Value *build_splade(Builder *b, const HeadDesc *head, Value *x, const char *origin)
{
	const bool sums = strcmp(head->pooling, pooling_words[POOL_SUM]) == 0;
	if (!sums)
		x = build_pool(b, x, POOL_MAX, false, origin);
	x = build_unary(b, OP_LOG1P, build_unary(b, OP_RELU, x, origin), origin);
	if (head->activation)
		x = build_unary(b, OP_LOG1P, x, origin);
	return sums ? build_pool(b, x, POOL_SUM, false, origin) : x;
}

/* Keeps the head's number of largest weights. */
static Value *build_sparse(Builder *b, const HeadDesc *head, Value *x, const char *origin)
{
	if (x && b->desc->family->bag)
		x = build_pool(b, x, POOL_FIRST, false, origin);
	else if (x && head_scores_words(head))
		x = build_splade(b, head, x, origin);
	if (!x || !head->top)
		return x;
	const Attrs attr = {.has = A_keep, .keep = head->top};
	return build_op(b, OP_TOP, &x, 1, &attr, origin);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void copy_labels(Builder *b, Head *to, const HeadDesc *from)
{
	MemArena *mem = b->module->mem;
	to->nlabels = from->nlabels;
	to->labels = mem_alloc(mem, (size_t)from->nlabels * sizeof *to->labels);
	for (int32_t i = 0; i < from->nlabels; i++)
		to->labels[i] = mem_string(mem, from->labels[i], strlen(from->labels[i]));
}

static void build_head(Builder *b, const HeadDesc *desc)
{
	const Task task = head_task(desc);
	int problem = desc->problem ? word_index(desc->problem, problem_names, PROBLEM_COUNT) : PROBLEM_SINGLE;
	const char *origin = builder_text(b, "head.%s", desc->name);
	Value *value = head_spec(b, desc)->build(b, desc, origin);
	if (task == TASK_SPARSE)
		value = build_sparse(b, desc, value, origin);
	if (b->failed)
		return;
	const char *alone = task_embeds(task) ? "embedding" : "logits";
	if (task == TASK_MULTI_VECTOR)
		alone = "embeddings";
	const char *output = builder_text(b, "%s", b->desc->nheads > 1 ? desc->name : alone);
	graph_add_output(b->graph, output, value);
	Head *head = module_add_head(b->module, desc->name);
	head->task = task;
	head->problem = (Problem)problem;
	head->output = output;
	copy_labels(b, head, desc);
}

void build_heads(Builder *b, Value *hidden)
{
	b->hidden = hidden;
	for (int32_t i = 0; i < b->desc->nheads && !b->failed; i++)
		build_head(b, &b->desc->head[i]);
	char words[64], *rest;
	snprintf(words, sizeof words, "%s", b->desc->outputs);
	for (char *word = strtok_r(words, " ", &rest); word && !b->failed; word = strtok_r(NULL, " ", &rest)) {
		Value *value = strcmp(word, "hidden") == 0 ? hidden : build_pooler(b);
		if (value)
			graph_add_output(b->graph, word, value);
	}
}
