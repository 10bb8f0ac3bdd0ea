/* recurrent.c: one direction of a layer of LSTM or GRU, from tensors with the names of PyTorch: the linear of
 * all tokens, then the recurrence. */
#include "family.h"

static const char *tensor_name(Builder *b, const char *part, const Recurrence *r)
{
	return builder_text(b, "%s%s.%s_l%d%s", b->prefix, r->stem, part, r->layer, r->back ? "_reverse" : "");
}

Value *build_recurrence(Builder *b, Value *x, const Recurrence *r, const char *origin)
{
	const int64_t gates = (r->gru ? 3 : 4) * r->width, shape[] = {gates, r->width};
	if (b->failed || !x)
		return NULL;
	Value *in[] = {x,
		build_tensor(
			b, tensor_name(b, "weight_ih", r), NULL, gates, x->type.dim[1].plus, SIZE_HIDDEN, origin),
		build_tensor(b, tensor_name(b, "bias_ih", r), NULL, gates, 0, SIZE_HIDDEN, origin)};
	Value *args[] = {build_op(b, OP_LINEAR, in, 3, NULL, origin),
		build_folded(
			b, tensor_name(b, "weight_hh", r), shape, 2, 2, true, size_name(b->desc, SIZE_HIDDEN), origin),
		build_tensor(b, tensor_name(b, "bias_hh", r), NULL, gates, 0, SIZE_HIDDEN, origin)};
	const Attrs attr = {.has = r->back ? A_reverse : 0, .reverse = r->back};
	return build_op(b, r->gru ? OP_GRU : OP_LSTM, args, 3, &attr, origin);
}
