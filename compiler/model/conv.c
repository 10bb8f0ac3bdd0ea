/* conv.c: convolutions along the tokens. The rows around each token lie side by side, so that passes find an
 * ordinary linear; zeros stand outside of the blocks of its groups. --emit=checkpoint writes the stored form
 * back. */
#include "family.h"

/* The weight [rows,K/groups,taps]; NULL and a message. */
static const Tensor *stored_weight(
	Builder *b, const char *name, int64_t rows, int64_t width, int64_t taps, const char *origin)
{
	const ModelDesc *desc = b->desc;
	const Tensor *tensor = builder_floats(b, name, NULL, origin);
	char found[128];
	if (!tensor)
		return NULL;
	const Type *type = &tensor->type;
	const bool fits = type->rank == 3 && type->dim[1].plus == width && (!rows || type->dim[0].plus == rows)
		&& (taps ? type->dim[2].plus == taps : type->dim[2].plus <= CONV_TAPS_MOST);
	if (fits)
		return tensor;
	if (taps)
		builder_fail(b, EXIT_INPUT, "%s: %s is %s, expected [%jd,%jd,%jd]; do %s, %s and %s match it?",
			origin, name, type_print(type, found), (intmax_t)rows, (intmax_t)width, (intmax_t)taps,
			size_name(desc, SIZE_HIDDEN), size_name(desc, SIZE_CONV_GROUPS), size_name(desc, SIZE_CONV));
	else
		builder_fail(b, EXIT_INPUT, "%s: %s is %s, expected [filters,%jd,width] with a width of at most %d",
			origin, name, type_print(type, found), (intmax_t)width, CONV_TAPS_MOST);
	return NULL;
}

/* The same as the rows of a linear over `taps` rows of K = groups * width columns, side by side. */
static Value *matrix(Builder *b, const Tensor *from, int64_t groups, const char *origin)
{
	const int64_t rows = from->type.dim[0].plus, width = from->type.dim[1].plus,
				  taps = from->type.dim[2].plus, columns = groups * width;
	if (!builder_has_room(b, rows, taps * columns, "a convolution's weights", "use smaller sizes", origin))
		return NULL;
	from = builder_narrowed(b, from);
	Tensor *to = tensor_new(b->module, builder_text(b, "%s.rows", from->name),
		type_make(from->type.dtype, 2, dim_number(rows), dim_number(taps * columns)));
	for (int64_t n = 0; n < rows; n++)
		for (int64_t c = 0; c < width; c++)
			for (int64_t t = 0; t < taps; t++)
				tensor_set(to, (n * taps + t) * columns + n * groups / rows * width + c,
					tensor_at(from, (n * width + c) * taps + t));
	to->source = from->source ? from->source : from->name;
	to->groups = (int32_t)groups;
	to->taps = (int32_t)taps;
	return graph_const(b->graph, NULL, to, origin);
}

/* The rows around each token, side by side. */
static Value *window(Builder *b, Value *x, int64_t taps, const char *origin)
{
	Value *shifted[CONV_TAPS_MOST];
	const Attrs columns = {.has = A_axis, .axis = 1};
	for (int64_t t = 0; t < taps; t++) {
		const Attrs shift = {.has = A_start, .start = (int32_t)(t - (taps - 1) / 2)};
		shifted[t] = shift.start ? build_op(b, OP_SHIFT, &x, 1, &shift, origin) : x;
	}
	return taps == 1 ? x : build_op(b, OP_CONCAT, shifted, (int)taps, &columns, origin);
}

Value *build_conv(
	Builder *b, Value *x, const char *stem, int64_t rows, int64_t taps, int64_t groups, const char *origin)
{
	if (b->failed)
		return NULL;
	const int64_t width = x->type.dim[1].plus / groups;
	const Tensor *from = stored_weight(b, builder_text(b, "%s.weight", stem), rows, width, taps, origin);
	if (!from)
		return NULL;
	Value *weight = matrix(b, from, groups, origin),
		  *around = b->failed ? NULL : window(b, x, from->type.dim[2].plus, origin),
		  *bias = build_tensor(
			  b, builder_text(b, "%s.bias", stem), NULL, from->type.dim[0].plus, 0, SIZE_HIDDEN, origin);
	return build_op(b, OP_LINEAR, (Value *[]){around, weight, bias}, 3, NULL, origin);
}

Value *build_convs(Builder *b, Value *x, const char *act, const char *origin)
{
	enum { CONVS_MOST = 16 }; /* arguments of a concat */
	const Attrs columns = {.has = A_axis, .axis = 1};
	Value *conv[CONVS_MOST];
	int32_t count = 0;
	bool more = true;
	while (more && count < CONVS_MOST && !b->failed) {
		Value *made = build_conv(b, x, builder_text(b, "%sconvs.%d", b->prefix, count), 0, 0, 1, origin);
		conv[count++] = act ? build_activation(b, act, made, origin) : made;
		more = builder_has(b, builder_text(b, "%sconvs.%d.weight", b->prefix, count));
	}
	if (more && !b->failed)
		builder_fail(b, EXIT_UNSUPPORTED, "%s: there are more than %d convolutions", origin, CONVS_MOST);
	if (b->failed)
		return NULL;
	return count == 1 ? conv[0] : build_op(b, OP_CONCAT, conv, count, &columns, origin);
}
