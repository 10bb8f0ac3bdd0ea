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

static Value *build_pool(Builder *b, Value *rows, Pool mode, const char *origin)
{
	const Attrs attr = {.has = A_mode, .mode = mode};
	return build_op(b, OP_POOL, &rows, 1, &attr, origin);
}

/* The result of one word of `pooling`: f32[H]. */
static Value *build_pooling_part(Builder *b, const char *word, const char *origin)
{
	const int pooling = word_index(word, pooling_words, POOLING_COUNT);
	return pooling == POOLING_POOLER ? build_pooler(b) : build_pool(b, b->hidden, (Pool)pooling, origin);
}

/* The results of all n words, concatenated: f32[n*H]. */
static Value *build_pooling(Builder *b, const char *pooling, const char *origin)
{
	Value *parts[POOLING_COUNT]; /* description_check has checked that every word is known and not repeated */
	int count = 0;
	char *words = builder_text(b, "%s", pooling), *rest;
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		parts[count++] = build_pooling_part(b, word, origin);
	Attrs attr = {.has = A_axis, .axis = 0};
	return count == 1 ? parts[0] : build_op(b, OP_CONCAT, parts, count, &attr, origin);
}

/* ---- Dense modules of sentence-transformers -------------------------------------------------- */

/* Copies a tensor into the module with a unique name. Every Dense names its tensors linear.weight and
 * linear.bias. */
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

/* Checks the weights against the module's config.json. */
static void check_dense(
	Builder *b, const struct DenseDesc *dense, const Tensor *weight, const Tensor *bias, const char *path)
{
	const int64_t said[2] = {dense->outputs, dense->inputs};
	static const char *const keys[2] = {"out_features", "in_features"};
	char found[128];
	for (int axis = 0; axis < 2; axis++)
		if (said[axis] && said[axis] != weight->type.dim[axis].plus)
			builder_fail(b, EXIT_INPUT,
				"%s/config.json has %s %jd, but linear.weight of %s is %s; do they belong together?",
				dense->href, keys[axis], (intmax_t)said[axis], path, type_print(&weight->type, found));
	if ((dense->bias < 0 && bias) || (dense->bias > 0 && !bias))
		builder_fail(b, EXIT_INPUT,
			"%s/config.json has \"bias\": %s, but %s has %s linear.bias; do they belong together?",
			dense->href, bias ? "false" : "true", path, bias ? "a" : "no");
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
		builder_fail(b, EXIT_INPUT, "%s: %s has no linear.weight of a float type", origin, path);
	else if (weight->type.rank != 2 || weight->type.dim[1].plus != inner)
		builder_fail(b, EXIT_INPUT, "%s: linear.weight of %s is %s, expected [any,%jd] for its input", origin,
			path, type_print(&weight->type, found), (intmax_t)inner);
	else if (bias && (bias->type.rank != 1 || bias->type.dim[0].plus != weight->type.dim[0].plus))
		builder_fail(b, EXIT_INPUT, "%s: linear.bias of %s is %s, expected [%jd]", origin, path,
			type_print(&bias->type, found), (intmax_t)weight->type.dim[0].plus);
	if (!b->failed)
		check_dense(b, dense, weight, bias, path);
	tensor_file_close(file);
	if (b->failed)
		return NULL;
	Value *args[3] = {x, graph_const(b->graph, NULL, weight, origin),
		bias ? graph_const(b->graph, NULL, bias, origin) : NULL};
	return build_activation(
		b, dense->activation, build_op(b, OP_LINEAR, args, bias ? 3 : 2, NULL, origin), origin);
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
	const char *own = spec->encoder_act ? NULL : b->desc->head_activation,
			   *activation = spec->activation ? spec->activation : own;
	if (!b->desc->trait[TRAIT_BARE_HEAD])
		x = build_linear_of(b, BIAS_HEAD, x, head_stem(b, head, spec->dense), width, size, origin);
	x = build_activation(b, activation ? activation : b->desc->activation, x, origin);
	return spec->norm ? build_layernorm(b, x, head_stem(b, head, spec->norm), origin) : x;
}

Value *head_embed(Builder *b, const HeadDesc *head, const char *origin)
{
	Value *x = build_pooling(b, head->pooling, origin);
	if (head->pooled && x && head->pooled != b->desc->hidden) /* only informative, so a warning */
		diag_warn(b->diag, 0,
			"the Pooling module's config.json has word_embedding_dimension %jd, but the encoder's hidden "
			"size "
			"is %d; do they belong together?",
			(intmax_t)head->pooled, b->desc->hidden);
	for (int32_t i = 0; i < head->ndense; i++)
		x = build_dense(b, &head->dense[i], x, origin);
	Attrs attr = {.has = A_eps, .eps = 1e-12}; /* the default of torch.nn.functional.normalize */
	return head->normalize ? build_op(b, OP_NORMALIZE, &x, 1, &attr, origin) : x;
}

Value *head_classify(Builder *b, const HeadDesc *head, const char *origin)
{
	const bool late = strcmp(head->pooling, pooling_words[POOLING_LATE]) == 0;
	Value *x = late ? b->hidden : build_pooling(b, head->pooling, origin);
	x = head_transform(b, head, x, b->desc->hidden, SIZE_HIDDEN, origin);
	if (late) /* the mean of the scores: the last linear passes a mean on */
		x = build_pool(b, x, POOL_MEAN, origin);
	const char *stem = head_stem(b, head, head_spec(b, head)->out);
	const int32_t width = head_task(head) == TASK_CHOICE ? 1 : head->nlabels;
	return build_linear(b, x, stem, width, SIZE_LABELS, origin);
}

Value *head_tokens(Builder *b, const HeadDesc *head, const char *origin)
{
	Value *x = head_transform(b, head, b->hidden, b->desc->hidden, SIZE_HIDDEN, origin);
	const char *stem = head_stem(b, head, head_spec(b, head)->out);
	const int32_t width = head_task(head) == TASK_QA ? 2 : head->nlabels;
	return build_linear(b, x, stem, width, SIZE_LABELS, origin);
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
	Value *value = head_spec(b, desc)->build(b, desc, builder_text(b, "head.%s", desc->name));
	if (b->failed)
		return;
	const char *alone = task == TASK_EMBED ? "embedding" : "logits";
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
