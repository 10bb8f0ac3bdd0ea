/* fuse_affine.c: moves a scale and a shift of columns, the NoNorm of MobileBERT, into the linear before it.
 *
 *   %l = linear %a, %w, %b : f32[S,8]                      %r = mul %x, %scale : f32[S,8]
 *   %s = add %l, %x : f32[S,8]                             %l = linear %a, %w2, %b2 : f32[S,8]
 *   %m = mul %s, %scale : f32[S,8]                  ->     %y = add %l, %r : f32[S,8]
 *   %y = add %m, %shift : f32[S,8]
 *
 *   %l = linear %a, %w, %b ; mul ; add              ->     %y = linear %a, %w2, %b2
 *
 * with w2 = scale * w (by rows) and b2 = scale * b + shift. Without a shift b2 is scale * b. */
#include <math.h>
#include "fuse.h"

/* The constant of an add or a mul that holds one float for each column. *x: its other argument. NULL: none.
 */
static const Tensor *column_constant(const Node *node, Value **x)
{
	for (int32_t side = 1; side >= 0; side--) {
		const Tensor *constant = value_tensor(node->args[side]);
		*x = node->args[1 - side];
		if (constant && constant->type.rank == 1 && dtype_is_float(constant->type.dtype)
			&& !value_is_const(*x) && (*x)->type.rank > 1 && value_width(*x) == constant->type.dim[0].plus)
			return constant;
	}
	return NULL;
}

/* A match: y = mul(x, scale) + shift, where x is the linear or sum = linear + rest. */
typedef struct Affine {
	Node *linear, *sum; /* sum NULL: x is the linear */
	Value *rest;
	const Tensor *scale, *shift; /* shift NULL: none */
	Node *last;                  /* the add of the shift, or the mul */
} Affine;

/* The linear that computes v for `user` alone, and has no activation. */
static Node *plain_linear(const Graph *graph, const Value *v, const Node *user)
{
	Node *linear = linear_of(graph, v, user);
	return linear && !linear->attr.has ? linear : NULL;
}

/* x is linear + rest: finds both. */
static bool match_sum(const Graph *graph, Value *x, const Node *user, Affine *match)
{
	if (!value_is(x, OP_ADD) || value_only_user(graph, x) != user)
		return false;
	match->sum = x->node;
	for (int32_t side = 0; side < 2; side++) {
		match->rest = x->node->args[1 - side];
		match->linear = plain_linear(graph, x->node->args[side], x->node);
		if (match->linear && type_equal(&match->rest->type, &x->type) && !value_is_const(match->rest))
			return true;
	}
	return false;
}

static bool match_affine(const Graph *graph, Node *mul, Affine *match)
{
	Value *x, *product = mul->results[0], *same;
	*match = (Affine){.last = mul};
	match->scale = mul->op == OP_MUL ? column_constant(mul, &x) : NULL;
	if (!match->scale)
		return false;
	Node *user = value_only_user(graph, product);
	if (user && user->op == OP_ADD && (match->shift = column_constant(user, &same)) && same == product)
		match->last = user;
	else
		match->shift = NULL;
	match->linear = plain_linear(graph, x, mul);
	return match->linear || match_sum(graph, x, mul, match);
}

/* The weight with each row times its scale, in its own element type. NULL: that would round f16 or bf16, or
 * overflow. */
static const Tensor *scaled_rows(Graph *graph, const Tensor *weight, const Tensor *scale)
{
	const int64_t rows = weight->type.dim[0].plus, columns = weight->type.dim[1].plus;
	const DType dtype = weight->type.dtype;
	Tensor *to = tensor_derived(graph, weight, "scaled", weight->type);
	for (int64_t i = 0; i < rows * columns; i++) {
		const double product = tensor_at(weight, i) * tensor_at(scale, i / columns);
		const double stored = dtype_round(dtype, product);
		if (dtype == DT_F32 ? !isfinite(stored) : stored != product)
			return NULL;
		tensor_set(to, i, product);
	}
	return to;
}

/* scale * bias + shift; either of them may be missing. NULL: both are, or the result overflows. */
static const Tensor *scaled_bias(Graph *graph, const Affine *match, bool *fits)
{
	const Tensor *bias = linear_bias(match->linear), *shift = match->shift;
	const int64_t width = match->scale->type.dim[0].plus;
	*fits = true;
	if (!bias && !shift)
		return NULL;
	Tensor *to = tensor_derived(graph, bias ? bias : shift, "scaled", type_numbers(DT_F32, 1, &width));
	for (int64_t i = 0; i < width; i++) {
		const double sum = (bias ? tensor_at(bias, i) * tensor_at(match->scale, i) : 0)
			+ (shift ? tensor_at(shift, i) : 0);
		*fits &= isfinite(dtype_round(DT_F32, sum));
		tensor_set(to, i, sum);
	}
	return to;
}

/* linear + mul(rest, scale) in place of the match. */
static bool replace_sum(Graph *graph, const Affine *match, PassRun *run)
{
	Node *sum = match->sum, *mul = match->last;
	Value *scale = graph_const(graph, sum, match->scale, mul->origin);
	Value *rest = graph_emit(
		graph, sum, OP_MUL, (Value *[]){match->rest, scale}, 2, NULL, mul->origin, run->diag);
	if (!rest)
		return false;
	sum->args[sum->args[0] == match->linear->results[0] ? 1 : 0] = rest;
	rewrite_uses(graph, mul->results[0], sum->results[0]);
	return true;
}

bool fuse_affine(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		Affine match;
		bool fits;
		next = node->next;
		if (!match_affine(graph, node, &match))
			continue;
		const Tensor *weight = scaled_rows(graph, value_tensor(match.linear->args[1]), match.scale),
					 *bias = scaled_bias(graph, &match, &fits);
		if (!weight || !fits) {
			pass_note(run, node,
				"fold-affine: the scale stays: its product with the weights is not exact in %s",
				dtype_names[match.linear->args[1]->type.dtype]);
			continue;
		}
		next = match.last->next;
		match.linear = linear_replace(graph, match.linear, weight, bias, run);
		if (!match.linear)
			return false;
		if (match.sum && !replace_sum(graph, &match, run))
			return false;
		if (!match.sum)
			rewrite_uses(graph, match.last->results[0], match.linear->results[0]);
		rewrite_erase(graph, match.last);
		run->changes++;
	}
	return true;
}
