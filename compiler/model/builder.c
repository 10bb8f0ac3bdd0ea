/* builder.c: builds graphs from primitive ops and checks the shapes of tensors (builder.h). The files of
 * families/ build the encoders; heads.c builds the heads. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "family.h"

/* ---- the builder ----------------------------------------------------------------------------- */

void builder_start(Builder *b, const ModelDesc *desc, TensorFile *const *files, int32_t nfiles,
	const LoadOptions *options, Diag *diag)
{
	const Type tokens = type_make(DT_I32, 1, dim_symbol(1));
	*b = (Builder){
		.desc = desc, .options = options, .diag = diag, .module = module_new(desc->name), .prefix = ""};
	for (int32_t i = 0; i < nfiles; i++)
		module_add_file(b->module, files[i]);
	if (desc->delta) { /* after the checkpoint's files; only builder_find reads it */
		TensorFile *delta = tensor_file_open(desc->delta, diag);
		b->delta = delta;
		b->failed = !delta || !module_add_file(b->module, delta);
	}
	MemArena *mem = b->module->mem;
	b->module->weights = mem_string(mem, desc->weights, strlen(desc->weights));
	b->module->tokenizer = desc->tokenizer ? mem_string(mem, desc->tokenizer, strlen(desc->tokenizer)) : NULL;
	b->module->directory = mem_string(mem, desc->directory, strlen(desc->directory));
	b->module->max_tokens = desc->max_tokens;
	b->graph = graph_new(b->module, "main");
	b->ids = graph_add_input(b->graph, "ids", tokens);
	if (family_has_segments(desc) || family_hides(desc))
		b->types = graph_add_input(b->graph, "types", tokens);
	b->hidden_keys = build_hidden_keys(b);
}

/* Refuses tensors of a delta that no op reads: they must not be ignored silently. */
static void check_delta(Builder *b)
{
	for (int32_t i = 0; i < tensor_file_count(b->delta) && !b->failed; i++) {
		const Tensor *tensor = tensor_file_get(b->delta, i);
		bool read = false;
		for (const Node *node = b->graph->first; node && !read; node = node->next)
			read = node->op == OP_CONST
				&& (node->data->data == tensor->data
					|| (node->data->source && strcmp(node->data->source, tensor->name) == 0));
		if (!read)
			builder_fail(b, EXIT_INPUT,
				"%s holds %s, which this model does not use; does the delta belong to this base and task?",
				b->desc->delta, tensor->name);
	}
}

Module *builder_finish(Builder *b)
{
	if (b->delta && !b->failed)
		check_delta(b);
	if (!b->failed)
		return b->module;
	module_free(b->module);
	return NULL;
}

bool builder_fail(Builder *b, ExitCode code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = checked_vprintf(format, args);
	va_end(args);
	if (!b->failed)
		diag_error_in(b->diag, code, b->desc->path, 0, "%s", text);
	free(text);
	b->failed = true;
	return false;
}

bool builder_has_room(
	Builder *b, int64_t rows, int64_t columns, const char *what, const char *hint, const char *origin)
{
	enum { NUMBERS_MAX = 1 << 27 }; /* 512 MiB in f32; 57 times the largest linear of BERT-base */
	return rows <= NUMBERS_MAX / columns
		|| builder_fail(b, EXIT_UNSUPPORTED, "%s: a table of %s, [%jd,%jd], has more than %d numbers; %s",
			origin, what, (intmax_t)rows, (intmax_t)columns, (int)NUMBERS_MAX, hint);
}

char *builder_text(Builder *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = checked_vprintf(format, args);
	va_end(args);
	char *copy = mem_string(b->module->mem, text, strlen(text));
	free(text);
	return copy;
}

/* ---- tensors --------------------------------------------------------------------------------- */

const Tensor *builder_find(const Builder *b, const char *name)
{
	char text[SPELLING_BYTES];
	const char *other;
	if (b->part)
		return tensor_file_find(b->part, name);
	const Tensor *tensor = b->delta ? tensor_file_find(b->delta, name) : NULL;
	for (int i = 0; b->delta && !tensor && (other = family_spelling(b->desc->family, name, i, text)); i++)
		tensor = tensor_file_find(b->delta, other);
	return tensor ? tensor : module_find_tensor(b->module, name);
}

bool builder_has(const Builder *b, const char *tensor) { return builder_find(b, tensor) != NULL; }

static const char *print_shape(int64_t rows, int64_t columns, char text[64])
{
	char first[24] = "any";
	if (rows)
		snprintf(first, sizeof first, "%jd", (intmax_t)rows);
	if (columns)
		snprintf(text, 64, "[%s,%jd]", first, (intmax_t)columns);
	else
		snprintf(text, 64, "[%s]", first);
	return text;
}

/* The last part of a tensor's name: "weight" of "....query.weight". */
static const char *last_part(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

static bool shape_fits(const Type *type, int64_t rows, int64_t columns)
{
	return type->rank == (columns ? 2 : 1) && (!rows || type->dim[0].plus == rows)
		&& (!columns || type->dim[1].plus == columns);
}

/* The size of rows with this many numbers. */
static Size size_of(const ModelDesc *desc, int64_t width)
{
	if (width == desc->hidden)
		return SIZE_HIDDEN;
	if (width == desc->bottleneck)
		return SIZE_BOTTLENECK;
	if (width == desc->embedding)
		return SIZE_EMBEDDING;
	if (width == desc->output)
		return SIZE_OUTPUT;
	if (width == desc->ffn)
		return SIZE_FFN;
	return width == desc->heads ? SIZE_HEADS : SIZE_HIDDEN;
}

/* The name of the size that does not match the shape: of the rows or, if the rows match, of the columns. */
static const char *wrong_size(const Builder *b, const Type *type, int64_t rows, int64_t columns, Size size)
{
	if (columns && type->rank == 2 && (!rows || type->dim[0].plus == rows))
		size = size_of(b->desc, columns);
	return size_name(b->desc, size);
}

const Tensor *builder_floats(Builder *b, const char *name, const char *other, const char *origin)
{
	char found[128];
	if (b->failed)
		return NULL;
	const Tensor *tensor = builder_find(b, name);
	if (!tensor && other)
		tensor = builder_find(b, other);
	if (!tensor) {
		builder_fail(b, EXIT_INPUT, "%s: %s holds no tensor %s", origin, b->desc->weights, name);
		return NULL;
	}
	if (!dtype_is_float(tensor->type.dtype)) {
		builder_fail(b, EXIT_UNSUPPORTED, "%s: %s of %s is %s, expected a float type (f32, f16, bf16, f64)",
			origin, tensor->name, tensor->file ? tensor->file : b->desc->weights,
			type_print(&tensor->type, found));
		return NULL;
	}
	return b->part ? builder_copy(b, tensor, b->part_href) : tensor;
}

const Tensor *builder_copy(Builder *b, const Tensor *tensor, const char *href)
{
	const char *name = builder_text(b, "%s.%s", href, tensor->name);
	tensor = builder_narrowed(b, tensor);
	Tensor *copy = tensor_new(b->module, name, tensor->type);
	memcpy((void *)copy->data, tensor->data, (size_t)tensor->bytes);
	return copy;
}

const Tensor *builder_tensor(Builder *b, const char *name, const char *other, int64_t rows, int64_t columns,
	Size size, const char *origin)
{
	const Tensor *tensor = builder_floats(b, name, other, origin);
	char found[128], expected[64];
	if (!tensor)
		return NULL;
	if (!shape_fits(&tensor->type, rows, columns)) {
		builder_fail(b, EXIT_INPUT, "%s: %s is %s, expected %s; does %s %s match this checkpoint? (%s in %s)",
			origin, last_part(tensor->name), type_print(&tensor->type, found),
			print_shape(rows, columns, expected), b->desc->from_config ? "config.json" : "the description's",
			wrong_size(b, &tensor->type, rows, columns, size), tensor->name,
			tensor->file ? tensor->file : b->desc->weights);
		return NULL;
	}
	return tensor;
}

const Tensor *builder_narrowed(Builder *b, const Tensor *tensor)
{
	if (tensor->type.dtype != DT_F64)
		return tensor;
	Type type = tensor->type;
	type.dtype = DT_F32;
	Tensor *copy = tensor_new(b->module, builder_text(b, "%s.f32", tensor->name), type);
	copy->source = tensor->name;
	tensor_floats(tensor, 0, type_count(&type), (float *)copy->data);
	return copy;
}

/* The constant that an earlier layer has made of the same tensor; NULL: none. */
static Value *shared_constant(const Builder *b, const Tensor *tensor)
{
	for (const Node *node = b->desc->family->inner ? b->graph->first : NULL; node; node = node->next)
		if (node->op == OP_CONST && (node->data == tensor || node->data->source == tensor->name))
			return node->results[0];
	return NULL;
}

Value *build_tensor(Builder *b, const char *name, const char *other, int64_t rows, int64_t columns, Size size,
	const char *origin)
{
	const Tensor *tensor = builder_tensor(b, name, other, rows, columns, size, origin);
	Value *shared = tensor ? shared_constant(b, tensor) : NULL;
	if (shared || !tensor)
		return shared;
	return graph_const(b->graph, NULL, builder_narrowed(b, tensor), origin);
}

/* ---- ops ------------------------------------------------------------------------------------- */

Value *build_op(Builder *b, Op op, Value *const *args, int nargs, const Attrs *attr, const char *origin)
{
	for (int i = 0; i < nargs; i++)
		if (!args[i])
			b->failed = true;
	if (b->failed)
		return NULL;
	Value *value = graph_emit(b->graph, NULL, op, args, nargs, attr, origin, b->diag);
	b->failed = !value;
	return value;
}

Value *build_unary(Builder *b, Op op, Value *x, const char *origin)
{
	return build_op(b, op, &x, 1, NULL, origin);
}

Value *build_binary(Builder *b, Op op, Value *x, Value *y, const char *origin)
{
	return build_op(b, op, (Value *[]){x, y}, 2, NULL, origin);
}

Value *build_scalar(Builder *b, double number)
{
	if (b->failed)
		return NULL;
	for (int i = 0; i < b->nscalars; i++)
		if (b->scalars[i].number == number)
			return b->scalars[i].value;
	Tensor *tensor = tensor_new(b->module, NULL, type_make(DT_F32, 0));
	tensor_set(tensor, 0, number);
	Value *value = graph_const(b->graph, NULL, tensor, NULL);
	if (b->nscalars < (int)(sizeof b->scalars / sizeof *b->scalars)) {
		b->scalars[b->nscalars].number = number;
		b->scalars[b->nscalars++].value = value;
	}
	return value;
}

static Value *linear_of_weight(
	Builder *b, bool biased, Value *x, Value *weight, const char *stem, Size size, const char *origin)
{
	if (!weight)
		return NULL;
	Value *bias = NULL;
	if (biased)
		bias = build_tensor(
			b, builder_text(b, "%s.bias", stem), NULL, weight->type.dim[0].plus, 0, size, origin);
	build_scales(b, x, value_tensor(weight), stem, origin);
	return build_op(b, OP_LINEAR, (Value *[]){x, weight, bias}, biased ? 3 : 2, NULL, origin);
}

static Value *linear_of_stem(
	Builder *b, bool biased, Value *x, const char *stem, int64_t rows, Size size, const char *origin)
{
	if (b->failed || !x)
		return NULL;
	const int64_t inner = x->type.dim[x->type.rank - 1].plus;
	Value *weight = build_tensor(b, builder_text(b, "%s.weight", stem), NULL, rows, inner, size, origin);
	return linear_of_weight(b, biased, x, weight, stem, size, origin);
}

Value *build_linear(Builder *b, Value *x, const char *stem, int64_t rows, Size size, const char *origin)
{
	return linear_of_stem(b, true, x, stem, rows, size, origin);
}

Value *build_linear_of(
	Builder *b, Bias part, Value *x, const char *stem, int64_t rows, Size size, const char *origin)
{
	return linear_of_stem(b, !b->desc->unbiased[part], x, stem, rows, size, origin);
}

Value *build_linear_plain(Builder *b, Value *x, const char *stem, int64_t rows, Size size, const char *origin)
{
	return linear_of_stem(b, false, x, stem, rows, size, origin);
}

/* Part `part` of the rows of a tensor, without a copy. */
static Value *part_of_rows(Builder *b, Value *whole, int32_t part, int32_t parts, const char *origin)
{
	if (!whole)
		return NULL;
	const Tensor *from = value_tensor(whole);
	Tensor *view = mem_alloc(b->module->mem, sizeof *view);
	*view = (Tensor){.name = builder_text(b, "%s.%d", from->name, part),
		.type = from->type,
		.bytes = from->bytes / parts,
		.source = from->source ? from->source : from->name,
		.part = part,
		.parts = parts};
	view->type.dim[0] = dim_number(from->type.dim[0].plus / parts);
	view->data = (const uint8_t *)from->data + part * view->bytes;
	return graph_const(b->graph, NULL, view, origin);
}

/* Repeats the rows of each head: head h of the result is head h / (heads / kv_heads) of the tensor. */
static Value *repeat_heads(Builder *b, Value *stored, const char *origin)
{
	if (!stored)
		return NULL;
	const Tensor *from = value_tensor(stored);
	const int32_t heads = b->desc->heads, times = heads / b->desc->kv_heads;
	const int64_t bytes = from->bytes / b->desc->kv_heads;
	Type type = from->type;
	type.dim[0].plus *= times;
	Tensor *to = tensor_new(b->module, builder_text(b, "%s.repeated", from->name), type);
	to->source = from->source ? from->source : from->name;
	to->heads = b->desc->kv_heads;
	to->repeats = times;
	for (int32_t head = 0; head < heads; head++)
		memcpy((uint8_t *)(uintptr_t)to->data + head * bytes,
			(const uint8_t *)from->data + head / times * bytes, (size_t)bytes);
	return graph_const(b->graph, NULL, to, origin);
}

Value *build_linear_shared(Builder *b, Bias part, Value *x, const char *stem, Size size, const char *origin)
{
	if (b->failed || !x)
		return NULL;
	const int64_t inner = x->type.dim[x->type.rank - 1].plus;
	const int64_t rows = (int64_t)b->desc->hidden / b->desc->heads * b->desc->kv_heads;
	const bool biased = !b->desc->unbiased[part];
	Value *weight = build_tensor(b, builder_text(b, "%s.weight", stem), NULL, rows, inner, size, origin),
		  *bias = NULL;
	if (biased)
		bias = build_tensor(b, builder_text(b, "%s.bias", stem), NULL, rows, 0, size, origin);
	refuse_scales(b, x, stem, rows, origin);
	weight = repeat_heads(b, weight, origin);
	bias = repeat_heads(b, bias, origin);
	return build_op(b, OP_LINEAR, (Value *[]){x, weight, bias}, biased ? 3 : 2, NULL, origin);
}

Value *build_linear_rows(Builder *b, Bias bias, Value *x, const char *stem, int64_t rows, Size size,
	int32_t part, int32_t parts, const char *origin)
{
	if (b->failed || !x)
		return NULL;
	const int64_t inner = x->type.dim[x->type.rank - 1].plus;
	const bool biased = !b->desc->unbiased[bias];
	Value *weight = build_tensor(b, builder_text(b, "%s.weight", stem), NULL, rows, inner, size, origin),
		  *shift = NULL;
	if (biased)
		shift = build_tensor(b, builder_text(b, "%s.bias", stem), NULL, rows, 0, size, origin);
	refuse_scales(b, x, stem, rows, origin);
	weight = part_of_rows(b, weight, part, parts, origin);
	shift = part_of_rows(b, shift, part, parts, origin);
	return build_op(b, OP_LINEAR, (Value *[]){x, weight, shift}, biased ? 3 : 2, NULL, origin);
}

static Value *zeros(Builder *b, int64_t width, const char *origin)
{
	Tensor *tensor = tensor_new(b->module, NULL, type_make(DT_F32, 1, dim_number(width)));
	tensor->form = "splat(0)";
	return graph_const(b->graph, NULL, tensor, origin);
}

/* STEM.weight, or the older STEM.gamma: [width of x]. */
static Value *norm_weight(Builder *b, const Value *x, const char *stem, const char *origin)
{
	const int64_t width = x->type.dim[x->type.rank - 1].plus;
	return build_tensor(b, builder_text(b, "%s.weight", stem), builder_text(b, "%s.gamma", stem), width, 0,
		size_of(b->desc, width), origin);
}

/* STEM.bias, or the older STEM.beta. */
static Value *norm_bias(Builder *b, const Value *x, const char *stem, const char *origin)
{
	const int64_t width = x->type.dim[x->type.rank - 1].plus;
	return build_tensor(b, builder_text(b, "%s.bias", stem), builder_text(b, "%s.beta", stem), width, 0,
		size_of(b->desc, width), origin);
}

Value *build_scale(Builder *b, Value *x, const char *stem, const char *origin)
{
	if (b->failed || !x)
		return NULL;
	Value *scale = norm_weight(b, x, stem, origin), *shift = norm_bias(b, x, stem, origin);
	return build_binary(b, OP_ADD, build_binary(b, OP_MUL, x, scale, origin), shift, origin);
}

Value *build_layernorm(Builder *b, Value *x, const char *stem, const char *origin)
{
	return build_layernorm_with(b, x, stem, b->desc->eps, origin);
}

Value *build_layernorm_with(Builder *b, Value *x, const char *stem, double eps, const char *origin)
{
	if (b->failed || !x)
		return NULL;
	const Attrs attr = {.has = A_eps, .eps = eps};
	Value *gamma = norm_weight(b, x, stem, origin);
	if (b->desc->family->rms)
		return build_op(b, OP_RMSNORM, (Value *[]){x, gamma}, 2, &attr, origin);
	Value *beta = b->desc->unbiased[BIAS_NORM] ? zeros(b, x->type.dim[x->type.rank - 1].plus, origin)
											   : norm_bias(b, x, stem, origin);
	x = build_op(b, OP_LAYERNORM, (Value *[]){x, gamma, beta}, 3, &attr, origin);
	builder_made_by(b, x, stem);
	return x;
}

Value *build_embed(Builder *b, Value *table, Value *ids, const char *origin)
{
	return build_op(b, OP_EMBED, (Value *[]){table, ids}, 2, NULL, origin);
}

static Value *build_transpose(Builder *b, Value *x, int p0, int p1, int p2, const char *origin)
{
	Attrs attr = {.has = A_perm, .perm = {3, {p0, p1, p2}}};
	return build_op(b, OP_TRANSPOSE, &x, 1, &attr, origin);
}

/* The heads of x[S,H], turned by the angles of the layer. */
static Value *build_rotary(Builder *b, Value *x, const char *origin)
{
	const Attrs attr = {.has = A_heads | (b->neighbours ? A_apart : 0), .heads = b->desc->heads, .apart = 1};
	return build_op(b, OP_ROTARY, (Value *[]){x, b->angles}, 2, &attr, origin);
}

/* The products of queries (part 0) or keys (1) with the layer's table, by distance. */
static Value *build_dots(Builder *b, Value *x, int32_t part, const char *origin)
{
	const Attrs attr = {.has = A_heads | A_axis, .heads = b->desc->heads, .axis = part + 1};
	return build_op(b, OP_DOT_BY_DISTANCE, (Value *[]){x, b->dots[part], b->rows}, 3, &attr, origin);
}

Value *build_attention(Builder *b, Value *q, Value *k, Value *v, const char *origin)
{
	if (b->failed || !q)
		return NULL;
	const int64_t heads = b->desc->heads, hidden = q->type.dim[1].plus, d = hidden / heads;
	if (b->angles) {
		q = build_rotary(b, q, origin);
		k = build_rotary(b, k, origin);
	}
	if (b->turns_values)
		v = build_rotary(b, v, origin);
	Value *const rows[] = {q, k};
	Attrs split = {.has = A_shape, .shape = {3, {dim_symbol(1), dim_number(heads), dim_number(d)}}};
	Attrs join = {.has = A_shape, .shape = {2, {dim_symbol(1), dim_number(hidden)}}};
	q = build_transpose(b, build_op(b, OP_RESHAPE, &q, 1, &split, origin), 1, 0, 2, origin);
	k = build_transpose(b, build_op(b, OP_RESHAPE, &k, 1, &split, origin), 1, 2, 0, origin);
	v = build_transpose(b, build_op(b, OP_RESHAPE, &v, 1, &split, origin), 1, 0, 2, origin);
	Value *scores = build_binary(b, OP_MATMUL, q, k, origin);
	for (int32_t part = 0; part < 2; part++)
		if (b->dots[part])
			scores = build_binary(b, OP_ADD, scores, build_dots(b, rows[part], part, origin), origin);
	const double parts = b->score_parts ? b->score_parts : 1;
	scores = build_binary(b, OP_DIV, scores, build_scalar(b, sqrt(parts * (double)d)), origin);
	if (b->score_bias)
		scores = build_binary(b, OP_ADD, scores, b->score_bias, origin);
	if (b->hidden_keys)
		scores = build_binary(b, OP_ADD, scores, b->hidden_keys, origin);
	Value *mixed = build_binary(b, OP_MATMUL, build_unary(b, OP_SOFTMAX, scores, origin), v, origin);
	mixed = build_transpose(b, mixed, 1, 0, 2, origin);
	return build_op(b, OP_RESHAPE, &mixed, 1, &join, origin);
}
