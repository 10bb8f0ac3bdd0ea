/* modules.c: the modules of sentence-transformers around the pooling: Dense, LayerNorm, Normalize and
 * SparseAutoEncoder. Each has a folder of its own, with its weights. A module acts on each token, before the
 * pooling, or after it.
 */
#include <string.h>
#include "family.h"
#include "compiler/support/files.h"

const char *const module_words[MODULE_COUNT] = {[MODULE_DENSE] = "dense",
	[MODULE_LAYERNORM] = "layernorm",
	[MODULE_NORMALIZE] = "normalize",
	[MODULE_AUTOENCODER] = "autoencoder",
	[MODULE_WORD_WEIGHTS] = "word-weights",
	[MODULE_CNN] = "cnn",
	[MODULE_LSTM] = "lstm",
	[MODULE_LAYERS] = "layer-pooling"};

static const char *where(Builder *b, const TensorFile *file, const struct ModuleDesc *module)
{
	return builder_text(b, "%s/%s", module->href, tensor_file_name(file));
}

/* The tensor of a module: [rows,columns], or [rows] if columns is 0; rows 0: any number. NULL and a message
 * if it is another, and if it is needed and missing. */
static Value *module_tensor(Builder *b, const TensorFile *file, const struct ModuleDesc *module,
	const char *name, bool needed, int64_t rows, int64_t columns, const char *origin)
{
	const Tensor *tensor = tensor_file_find(file, name);
	char found[128];
	if (!tensor || !dtype_is_float(tensor->type.dtype)) {
		if (needed)
			builder_fail(
				b, EXIT_INPUT, "%s: %s has no %s of a float type", origin, where(b, file, module), name);
		return NULL;
	}
	const bool fits = tensor->type.rank == (columns ? 2 : 1)
		&& (rows == 0 || tensor->type.dim[0].plus == rows)
		&& (columns == 0 || tensor->type.dim[1].plus == columns);
	if (fits)
		return graph_const(b->graph, NULL, builder_copy(b, tensor, module->href), origin);
	const char *first = rows ? builder_text(b, "%jd", (intmax_t)rows) : "any";
	builder_fail(b, EXIT_INPUT, "%s: %s of %s is %s, expected [%s%s] for its input", origin, name,
		where(b, file, module), type_print(&tensor->type, found), first,
		columns ? builder_text(b, ",%jd", (intmax_t)columns) : "");
	return NULL;
}

/* Checks the weights against the module's config.json. */
static void check_dense(
	Builder *b, const struct ModuleDesc *dense, const Value *weight, const Value *bias, const char *path)
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

/* act(linear(x)), and with a residual x, or what a second linear makes of it where the widths differ. */
static Value *build_dense(
	Builder *b, const struct ModuleDesc *dense, const TensorFile *file, Value *x, const char *origin)
{
	const int64_t inner = x->type.dim[x->type.rank - 1].plus;
	Value *weight = module_tensor(b, file, dense, "linear.weight", true, 0, inner, origin);
	if (!weight)
		return NULL;
	const int64_t outer = weight->type.dim[0].plus;
	Value *bias = module_tensor(b, file, dense, "linear.bias", false, outer, 0, origin), *rest = x;
	check_dense(b, dense, weight, bias, where(b, file, dense));
	Value *args[3] = {x, weight, bias};
	Value *y = build_op(b, OP_LINEAR, args, bias ? 3 : 2, NULL, origin);
	y = build_activation(b, dense->activation, y, origin);
	if (!dense->residual)
		return y;
	if (inner != outer) {
		Value *across[2] = {x, module_tensor(b, file, dense, "residual.weight", true, outer, inner, origin)};
		rest = across[1] ? build_op(b, OP_LINEAR, across, 2, NULL, origin) : NULL;
	}
	return build_binary(b, OP_ADD, y, rest, origin);
}

static Value *build_norm(
	Builder *b, const struct ModuleDesc *norm, const TensorFile *file, Value *x, const char *origin)
{
	const int64_t width = x->type.dim[x->type.rank - 1].plus;
	const Attrs attr = {.has = A_eps, .eps = 1e-5}; /* the default of torch.nn.LayerNorm */
	Value *weight = module_tensor(b, file, norm, "norm.weight", true, width, 0, origin);
	Value *args[3] = {x, weight, NULL};
	args[2] = weight ? module_tensor(b, file, norm, "norm.bias", true, width, 0, origin) : NULL;
	return args[2] ? build_op(b, OP_LAYERNORM, args, 3, &attr, origin) : NULL;
}

Value *build_normalize(Builder *b, Value *x, const char *origin)
{
	const Attrs attr = {.has = A_eps, .eps = 1e-12}; /* the default of torch.nn.functional.normalize */
	return build_op(b, OP_NORMALIZE, &x, 1, &attr, origin);
}

/* A constant [1,width] that makes a sum of a vector's elements, times `factor`. */
static Value *build_summing(Builder *b, int64_t width, double factor, const char *origin)
{
	Tensor *tensor = tensor_new(b->module, NULL, type_make(DT_F32, 2, dim_number(1), dim_number(width)));
	for (int64_t i = 0; i < width; i++)
		tensor_set(tensor, i, factor);
	return graph_const(b->graph, NULL, tensor, origin);
}

/* (x - mean) / (deviation + 1e-5), with the deviation of a sample, as SparseAutoEncoder computes it. */
static Value *build_standard(Builder *b, Value *x, const char *origin)
{
	const int64_t width = x->type.dim[0].plus;
	Value *mean[2] = {x, build_summing(b, width, 1.0 / (double)width, origin)};
	x = build_binary(b, OP_SUB, x, build_op(b, OP_LINEAR, mean, 2, NULL, origin), origin);
	Value *squares[2] = {build_binary(b, OP_MUL, x, x, origin),
		build_summing(b, width, 1.0 / (double)(width > 1 ? width - 1 : 1), origin)};
	Value *deviation = build_unary(b, OP_SQRT, build_op(b, OP_LINEAR, squares, 2, NULL, origin), origin);
	return build_binary(
		b, OP_DIV, x, build_binary(b, OP_ADD, deviation, build_scalar(b, 1e-5), origin), origin);
}

/* The latents of a sparse autoencoder (CSR, arXiv:2503.01776): relu of a linear of x - pre_bias. The head
 * keeps the largest ones. The file has the linear's weight under the name of the decoder, which is its
 * transpose. */
static Value *build_autoencoder(
	Builder *b, const struct ModuleDesc *coder, const TensorFile *file, Value *x, const char *origin)
{
	const int64_t inner = x->type.dim[x->type.rank - 1].plus;
	if (coder->inputs && coder->inputs != inner) {
		builder_fail(b, EXIT_INPUT,
			"%s/config.json has input_dim %jd, but the size of its input is %jd; do they belong together?",
			coder->href, (intmax_t)coder->inputs, (intmax_t)inner);
		return NULL;
	}
	Value *before = module_tensor(b, file, coder, "pre_bias", true, inner, 0, origin);
	Value *weight = module_tensor(
		b, file, coder, "decoder.linear.weight", true, coder->outputs, inner, origin);
	const int64_t outer = weight ? weight->type.dim[0].plus : 1;
	Value *bias = module_tensor(b, file, coder, "latent_bias", true, outer, 0, origin);
	if (coder->standard)
		x = build_standard(b, x, origin);
	Value *args[3] = {build_binary(b, OP_SUB, x, before, origin), weight, bias};
	return build_unary(b, OP_RELU, build_op(b, OP_LINEAR, args, 3, NULL, origin), origin);
}

/* WeightedLayerPooling: the mean of the last states of the layers, as many as there are weights. */
static Value *build_layer_pooling(
	Builder *b, const struct ModuleDesc *module, const TensorFile *file, const char *origin)
{
	Value *stored = module_tensor(b, file, module, "layer_weights", true, 0, 0, origin), *sum = NULL;
	const Tensor *weights = stored ? value_tensor(stored) : NULL;
	const int64_t count = weights ? weights->type.dim[0].plus : 0;
	double total = 0;
	if (!weights)
		return NULL;
	if (b->nstates == 0)
		builder_fail(b, EXIT_UNSUPPORTED, "%s: WeightedLayerPooling is not supported for the family %s",
			origin, b->desc->family->model_type);
	else if (count < 1 || count > b->nstates)
		builder_fail(b, EXIT_INPUT, "%s: layer_weights of %s has %jd numbers, expected 1 to %d for %d layers",
			origin, where(b, file, module), (intmax_t)count, b->nstates, b->nstates - 1);
	else if (module->inputs && (module->inputs != b->nstates || module->outputs != count))
		builder_fail(b, EXIT_INPUT,
			"%s/config.json is for %jd layers and %jd weights, but there are %d layers and %jd weights",
			module->href, (intmax_t)(module->inputs - 1), (intmax_t)module->outputs, b->nstates - 1,
			(intmax_t)count);
	for (int64_t i = 0; i < count; i++)
		total += tensor_at(weights, i);
	for (int64_t i = 0; i < count && !b->failed; i++) {
		Value *part = build_binary(b, OP_MUL, b->states[b->nstates - count + i],
			build_scalar(b, tensor_at(weights, i) / total), origin);
		sum = sum ? build_binary(b, OP_ADD, sum, part, origin) : part;
	}
	return sum;
}

static Value *build_module(Builder *b, const struct ModuleDesc *module, Value *x, const char *origin)
{
	const ModelDesc *desc = b->desc;
	const char *directory = desc->modules_directory ? desc->modules_directory : desc->directory;
	if (b->failed || !x)
		return NULL;
	switch (module->kind) {
	case MODULE_NORMALIZE: return build_normalize(b, x, origin);
	case MODULE_WORD_WEIGHTS: return build_word_weights(b, module, x, origin);
	default: break;
	}
	char *path = file_find_in(
		directory, module->href, "model.safetensors", b->options->search, b->module->mem, b->diag);
	TensorFile *file = path ? tensor_file_open(path, b->diag) : NULL;
	if (!file) {
		b->failed = true;
		return NULL;
	}
	Value *y;
	const char *prefix = b->prefix; /* of the encoder's names */
	b->prefix = "";
	b->part = file;
	b->part_href = module->href;
	switch (module->kind) {
	case MODULE_CNN: y = build_convs(b, x, NULL, origin); break;
	case MODULE_LSTM: y = build_word_lstm(b, x, origin); break;
	case MODULE_DENSE: y = build_dense(b, module, file, x, origin); break;
	case MODULE_LAYERS: y = build_layer_pooling(b, module, file, origin); break;
	case MODULE_AUTOENCODER: y = build_autoencoder(b, module, file, x, origin); break;
	default: y = build_norm(b, module, file, x, origin);
	}
	b->part = NULL;
	b->prefix = prefix;
	tensor_file_close(file);
	return b->failed ? NULL : y;
}

Value *build_modules(Builder *b, const HeadDesc *head, bool each, Value *x, const char *origin)
{
	for (int32_t i = 0; i < head->nmodules; i++)
		if (head->module[i].each == each)
			x = build_module(b, &head->module[i], x, origin);
	return x;
}
