/* grouped.c: grouped linears: each of `groups` equal parts of the inputs gives the same part of the outputs.
 * The weight is that of a 1x1 convolution, [rows,K/groups,1], or has the blocks of a product from the right,
 * [groups,K/groups,rows/groups]. It becomes a matrix [rows,K] with zeros outside of the blocks of its
 * diagonal, so that passes find an ordinary linear; kernels for sparse weights skip the zeros.
 * --emit=checkpoint writes the stored form back. */
#include <string.h>
#include "family.h"

/* The weight in one of the two forms; NULL and a message. */
static const Tensor *stored_weight(
	Builder *b, const char *name, int64_t rows, int64_t inner, Size size, bool blocks, const char *origin)
{
	const int32_t groups = b->desc->size[size];
	const Tensor *tensor = builder_floats(b, name, NULL, origin);
	char found[128];
	if (!tensor)
		return NULL;
	if (rows % groups != 0 || inner % groups != 0) {
		builder_fail(b, EXIT_INPUT, "%s: %s is %d, expected a divisor of %jd inputs and %jd outputs", origin,
			size_name(b->desc, size), groups, (intmax_t)inner, (intmax_t)rows);
		return NULL;
	}
	const Type *type = &tensor->type,
			   want = blocks
		? type_make(type->dtype, 3, dim_number(groups), dim_number(inner / groups), dim_number(rows / groups))
		: type_make(type->dtype, 3, dim_number(rows), dim_number(inner / groups), dim_number(1));
	if (type_equal(type, &want))
		return tensor;
	builder_fail(b, EXIT_INPUT, "%s: weight is %s, expected %s; do %s, %s and %s match this checkpoint? (%s)",
		origin, type_print(type, found), type_print(&want, (char[128]){0}), size_name(b->desc, SIZE_HIDDEN),
		size_name(b->desc, SIZE_FFN), size_name(b->desc, size), tensor->name);
	return NULL;
}

static Value *linear_grouped(
	Builder *b, Value *x, const char *stem, int64_t rows, Size groups, bool blocks, const char *origin)
{
	if (b->failed || !x)
		return NULL;
	const int64_t inner = x->type.dim[x->type.rank - 1].plus, parts = b->desc->size[groups];
	const Tensor *from = stored_weight(
		b, builder_text(b, "%s.weight", stem), rows, inner, groups, blocks, origin);
	if (!from)
		return NULL;
	if (!builder_has_room(b, rows, inner, "a grouped linear's weights", "use smaller sizes", origin))
		return NULL;
	from = builder_narrowed(b, from);
	const DType dtype = from->type.dtype;
	Tensor *to = tensor_new(b->module, builder_text(b, "%s.diagonal", from->name),
		type_make(dtype, 2, dim_number(rows), dim_number(inner)));
	const int64_t width = inner / parts, height = rows / parts, bytes = dtype_bytes[dtype];
	for (int64_t row = 0; row < rows; row++)
		for (int64_t k = 0; k < width; k++) {
			const int64_t group = row / height,
						  at = blocks ? (group * width + k) * height + row % height : row * width + k;
			memcpy((uint8_t *)(uintptr_t)to->data + (row * inner + group * width + k) * bytes,
				(const uint8_t *)from->data + at * bytes, (size_t)bytes);
		}
	to->source = from->source ? from->source : from->name;
	to->groups = (int32_t)parts;
	to->turned = blocks;
	refuse_scales(b, x, stem, rows, origin);
	Value *bias = build_tensor(b, builder_text(b, "%s.bias", stem), NULL, rows, 0, groups, origin);
	return build_op(
		b, OP_LINEAR, (Value *[]){x, graph_const(b->graph, NULL, to, origin), bias}, 3, NULL, origin);
}

Value *build_linear_grouped(
	Builder *b, Value *x, const char *stem, int64_t rows, Size groups, const char *origin)
{
	return linear_grouped(b, x, stem, rows, groups, false, origin);
}

Value *build_linear_blocks(
	Builder *b, Value *x, const char *stem, int64_t rows, Size groups, const char *origin)
{
	return linear_grouped(b, x, stem, rows, groups, true, origin);
}
