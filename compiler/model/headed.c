/* headed.c: tensors with the heads on an axis of their own, as einsum reads them in XLNet: [rows,heads,size]
 * and [heads,size]. Ops read the two axes of heads as one. A projection to heads counts its rows as inputs,
 * so that a linear needs it transposed. Convolutions have axes of size 1. In DeBERTa the rows of query, key
 * and value alternate head by head.
 * --emit=checkpoint writes the stored form back. */
#include <string.h>
#include "family.h"

static bool has_shape(const Type *type, const int64_t *want, int32_t rank)
{
	bool same = type->rank == rank;
	for (int32_t i = 0; same && i < rank; i++)
		same = type->dim[i].plus == want[i];
	return same;
}

/* The tensor NAME, which has this shape. keys: of config.json, for the message. */
static const Tensor *shaped_tensor(
	Builder *b, const char *name, const int64_t *shape, int32_t rank, const char *keys, const char *origin)
{
	const Tensor *tensor = builder_floats(b, name, NULL, origin);
	char found[128], expected[128];
	if (!tensor || has_shape(&tensor->type, shape, rank))
		return tensor;
	Type type = {.dtype = tensor->type.dtype, .rank = rank};
	for (int32_t i = 0; i < rank; i++)
		type.dim[i] = dim_number(shape[i]);
	builder_fail(b, EXIT_INPUT, "%s: %s is %s, expected %s; %s %s match this checkpoint? (in %s)", origin,
		tensor->name, type_print(&tensor->type, found), type_print(&type, expected),
		strchr(keys, ' ') ? "do" : "does", keys, tensor->file ? tensor->file : b->desc->weights);
	return NULL;
}

static void transpose(const Tensor *from, Tensor *to)
{
	const int64_t rows = to->type.dim[0].plus, columns = to->type.dim[1].plus,
				  bytes = dtype_bytes[to->type.dtype];
	for (int64_t i = 0; i < rows; i++)
		for (int64_t k = 0; k < columns; k++)
			memcpy((uint8_t *)(uintptr_t)to->data + (i * columns + k) * bytes,
				(const uint8_t *)from->data + (k * rows + i) * bytes, (size_t)bytes);
}

Value *build_folded(Builder *b, const char *name, const int64_t *shape, int32_t rank, int32_t axes,
	bool turned, const char *keys, const char *origin)
{
	const Tensor *from = shaped_tensor(b, name, shape, rank, keys, origin);
	if (!from)
		return NULL;
	from = builder_narrowed(b, from);
	int64_t columns = 1;
	for (int32_t i = axes - 1; i < rank; i++)
		columns *= shape[i];
	const Dim joined = dim_number(columns), rows = dim_number(shape[0]);
	Type type = axes == 2 ? type_make(from->type.dtype, 2, rows, joined)
						  : type_make(from->type.dtype, 1, joined);
	Tensor *to;
	if (turned) {
		type = type_make(from->type.dtype, 2, joined, rows);
		to = tensor_new(b->module, builder_text(b, "%s.turned", from->name), type);
		transpose(from, to);
	} else {
		to = mem_alloc(b->module->mem, sizeof *to);
		*to = *from;
		to->name = builder_text(b, "%s.joined", from->name);
		to->file = NULL;
		to->type = type;
	}
	to->source = from->source ? from->source : from->name;
	to->turned = turned;
	return graph_const(b->graph, NULL, to, origin);
}

Value *build_headed(Builder *b, const char *name, int64_t rows, bool turned, const char *origin)
{
	const ModelDesc *desc = b->desc;
	const int64_t shape[] = {rows, desc->heads, desc->hidden / desc->heads};
	const char *keys = builder_text(
		b, "%s and %s", size_name(desc, SIZE_HIDDEN), size_name(desc, SIZE_HEADS));
	return rows ? build_folded(b, name, shape, 3, 2, turned, keys, origin)
				: build_folded(b, name, shape + 1, 2, 1, turned, keys, origin);
}

Value *build_linear_dealt(
	Builder *b, Value *x, const char *stem, int32_t part, int32_t parts, const char *bias, const char *origin)
{
	if (b->failed || !x)
		return NULL;
	const int64_t inner = x->type.dim[x->type.rank - 1].plus, hidden = b->desc->hidden;
	Value *weight = build_tensor(
			  b, builder_text(b, "%s.weight", stem), NULL, parts * hidden, inner, SIZE_HIDDEN, origin),
		  *shift = bias ? build_tensor(b, bias, NULL, hidden, 0, SIZE_HIDDEN, origin) : NULL;
	refuse_scales(b, x, stem, parts * hidden, origin);
	if (b->failed)
		return NULL;
	const Tensor *from = value_tensor(weight);
	Type type = from->type;
	type.dim[0] = dim_number(hidden);
	Tensor *to = tensor_new(b->module, builder_text(b, "%s.%d", from->name, part), type);
	to->source = from->source ? from->source : from->name;
	to->part = part;
	to->parts = parts;
	to->heads = b->desc->heads;
	const int64_t bytes = to->bytes / to->heads;
	for (int32_t head = 0; head < to->heads; head++)
		memcpy((uint8_t *)(uintptr_t)to->data + head * bytes,
			(const uint8_t *)from->data + (head * parts + part) * bytes, (size_t)bytes);
	Value *args[] = {x, graph_const(b->graph, NULL, to, origin), shift};
	return build_op(b, OP_LINEAR, args, shift ? 3 : 2, NULL, origin);
}
