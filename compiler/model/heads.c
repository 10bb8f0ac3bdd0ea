/* heads.c: what stands on the encoder: pooling, classifiers, span and mask predictions, and the outputs of
 * the graph. The tensors' names are those of transformers' Bert* classes; a head of the description may name
 * another stem. */
#include <string.h>
#include "builder.h"
#include "compiler/support/files.h"

/* ---- pooling --------------------------------------------------------------------------------- */

/* tanh(dense(row of [CLS])): transformers' pooler_output. */
static Value *build_pooler(Builder *b)
{
	Attrs first = {.has = A_mode, .mode = POOL_FIRST};
	if (b->pooled || b->failed)
		return b->pooled;
	Value *hidden = b->hidden;
	Value *row = build_op(b, OP_POOL, &hidden, 1, &first, "pooler");
	row = build_linear(
		b, row, builder_text(b, "%s%s", b->prefix, b->pooler), b->desc->hidden, &size_hidden, "pooler");
	return b->pooled = build_unary(b, OP_TANH, row, "pooler");
}

/* One word of `pooling`: f32[H]. */
static Value *build_pooling_part(Builder *b, const char *word, const char *origin)
{
	if (strcmp(word, "pooler") == 0)
		return build_pooler(b);
	Attrs attr = {.has = A_mode, .mode = (Pool)word_index(word, pool_words, POOL_COUNT)};
	Value *hidden = b->hidden;
	return build_op(b, OP_POOL, &hidden, 1, &attr, origin);
}

/* All words, one after another: f32[n*H]. */
static Value *build_pooling(Builder *b, const char *pooling, const char *origin)
{
	Value *parts[POOL_COUNT + 1]; /* description_check: every word is known and stands once */
	int count = 0;
	char *words = builder_text(b, "%s", pooling), *rest;
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		parts[count++] = build_pooling_part(b, word, origin);
	Attrs attr = {.has = A_axis, .axis = 0};
	return count == 1 ? parts[0] : build_op(b, OP_CONCAT, parts, count, &attr, origin);
}

/* ---- Dense modules of sentence-transformers -------------------------------------------------- */

/* A copy in the module under a name of its own: every Dense calls its tensors linear.weight and linear.bias.
 */
static const Tensor *copy_dense_tensor(Builder *b, const TensorFile *file, const char *href, const char *name)
{
	const Tensor *tensor = tensor_file_find(file, name);
	if (!tensor || !dtype_is_float(tensor->type.dtype))
		return NULL;
	Type type = tensor->type;
	if (type.dtype == DT_F64)
		type.dtype = DT_F32;
	Tensor *copy = tensor_new(b->module, builder_text(b, "%s.%s", href, name), type);
	if (tensor->type.dtype == DT_F64)
		tensor_floats(tensor, 0, type_count(&type), (float *)copy->data);
	else
		memcpy((void *)copy->data, tensor->data, (size_t)tensor->bytes);
	return copy;
}

static Value *build_dense(Builder *b, const struct DenseDesc *dense, Value *x, const char *origin)
{
	const ModelDesc *desc = b->desc;
	const char *directory = desc->modules_directory ? desc->modules_directory : desc->directory;
	if (b->failed || !x)
		return NULL;
	char *path = file_find_in(
		directory, dense->href, "model.safetensors", b->options->search, b->module->mem, b->diag);
	TensorFile *file = path ? tensor_file_open(path, b->diag) : NULL;
	if (!file) {
		b->failed = true;
		return NULL;
	}
	const Tensor *weight = copy_dense_tensor(b, file, dense->href, "linear.weight");
	const Tensor *bias = copy_dense_tensor(b, file, dense->href, "linear.bias");
	int64_t inner = x->type.dim[0].plus;
	char found[128];
	if (!weight)
		builder_fail(b, EXIT_INPUT, "%s: %s holds no linear.weight of a float type", origin, path);
	else if (weight->type.rank != 2 || weight->type.dim[1].plus != inner)
		builder_fail(b, EXIT_INPUT,
			"%s: linear.weight of %s is %s, expected [any,%jd], the width of what it is given", origin, path,
			type_print(&weight->type, found), (intmax_t)inner);
	else if (bias && (bias->type.rank != 1 || bias->type.dim[0].plus != weight->type.dim[0].plus))
		builder_fail(b, EXIT_INPUT, "%s: linear.bias of %s is %s, expected [%jd]", origin, path,
			type_print(&bias->type, found), (intmax_t)weight->type.dim[0].plus);
	tensor_file_close(file);
	if (b->failed)
		return NULL;
	Value *args[3] = {x, graph_const(b->graph, NULL, weight, origin),
		bias ? graph_const(b->graph, NULL, bias, origin) : NULL};
	return build_activation(
		b, dense->activation, build_op(b, OP_LINEAR, args, bias ? 3 : 2, NULL, origin), origin);
}

/* ---- one function a task: the value that is the head's output -------------------------------- */

static Value *head_embed(Builder *b, const HeadDesc *head, const char *origin)
{
	Value *x = build_pooling(b, head->pooling, origin);
	for (int32_t i = 0; i < head->ndense; i++)
		x = build_dense(b, &head->dense[i], x, origin);
	Attrs attr = {.has = A_eps, .eps = 1e-12}; /* torch.nn.functional.normalize's own */
	return head->normalize ? build_op(b, OP_NORMALIZE, &x, 1, &attr, origin) : x;
}

static Value *head_classify(Builder *b, const HeadDesc *head, const char *origin)
{
	Value *x = build_pooling(b, head->pooling, origin);
	return build_linear(b, x, head->tensors, head->nlabels, &size_labels, origin);
}

static Value *head_tag(Builder *b, const HeadDesc *head, const char *origin)
{
	return build_linear(b, b->hidden, head->tensors, head->nlabels, &size_labels, origin);
}

static Value *head_qa(Builder *b, const HeadDesc *head, const char *origin)
{
	return build_linear(b, b->hidden, head->tensors, 2, &size_labels, origin);
}

/* The decoder is the word table again, unless the checkpoint holds another one. */
static Value *mask_decoder(Builder *b, const char *name, const char *origin)
{
	const Tensor *own = builder_find(b, name), *words = value_tensor(b->words);
	bool tied = !own
		|| (type_equal(&own->type, &words->type) && memcmp(own->data, words->data, (size_t)own->bytes) == 0);
	return tied ? b->words
				: build_tensor(b, name, NULL, b->desc->vocab, b->desc->hidden, &size_vocab, origin);
}

static Value *head_fill_mask(Builder *b, const HeadDesc *head, const char *origin)
{
	const char *stem = head->tensors;
	Value *x = build_linear(
		b, b->hidden, builder_text(b, "%s.transform.dense", stem), b->desc->hidden, &size_hidden, origin);
	x = build_activation(b, b->desc->activation, x, origin);
	x = build_layernorm(b, x, builder_text(b, "%s.transform.LayerNorm", stem), origin);
	if (b->failed)
		return NULL;
	Value *decoder = mask_decoder(b, builder_text(b, "%s.decoder.weight", stem), origin);
	Value *bias = build_tensor(b, builder_text(b, "%s.bias", stem), builder_text(b, "%s.decoder.bias", stem),
		b->desc->vocab, 0, &size_vocab, origin);
	return build_op(b, OP_LINEAR, (Value *[]){x, decoder, bias}, 3, NULL, origin);
}

typedef Value *HeadFn(Builder *, const HeadDesc *, const char *origin);
static const struct {
	HeadFn *build;
	const char *output;
} tasks[TASK_COUNT] = {
	[TASK_CLASSIFY] = {head_classify, "logits"},
	[TASK_TAG] = {head_tag, "logits"},
	[TASK_EMBED] = {head_embed, "embedding"},
	[TASK_RANK] = {head_classify, "logits"},
	[TASK_QA] = {head_qa, "logits"},
	[TASK_FILL_MASK] = {head_fill_mask, "logits"},
};

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
	int task = word_index(desc->task, task_names, TASK_COUNT);
	int problem = desc->problem ? word_index(desc->problem, problem_names, PROBLEM_COUNT) : PROBLEM_SINGLE;
	Value *value = tasks[task].build(b, desc, builder_text(b, "head.%s", desc->name));
	if (b->failed)
		return;
	const char *output = builder_text(b, "%s", b->desc->nheads > 1 ? desc->name : tasks[task].output);
	graph_add_output(b->graph, output, value);
	Head *head = module_add_head(b->module, desc->name);
	head->task = (Task)task;
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
