/* canonicalize.c: rewrites each computation in one standard form, so that cse and fuse have fewer patterns to
 * match.
 *
 *   %h = div %x, %two : f32[S,8]             %h = mul %x, %half : f32[S,8]
 *   %r = reshape %h {shape=[S,8]}      ->    %y = add %h, %b : f32[S,8]
 *   %y = add %b, %r : f32[S,8]
 *
 * Rules. Each looks at a node and its arguments only; they are applied until none matches:
 *   constants move to the right of add and mul
 *   x - c becomes x + -c; x / c becomes x * (1/c) where 1/c is exact
 *   x + 0 and x * 1 become x; act=none and scale=1 are left out
 *   reshapes, transposes, casts, slices and concats without effect are removed; two in a row become one
 *   matmul by a constant matrix becomes linear without bias
 * No rule changes a number, not even by rounding. */
#include "passes/rewrite.h"
#include <math.h>

/* x can replace node's result. */
static Value *becomes(const Node *node, Value *x)
{
	return type_equal(&x->type, &node->results[0]->type) ? x : NULL;
}

static Value *scalar_like(Graph *graph, Node *before, const Value *like, double value)
{
	Type type = like->type;
	type.dtype = DT_F32;
	Tensor *tensor = tensor_derived(graph, value_tensor(like), "canonical", type);
	*(float *)(uintptr_t)tensor->data = (float)value;
	return graph_const(graph, before, tensor, like->node->origin);
}

/* Gives node another op and a scalar right operand. */
static bool node_respell(Graph *graph, Node *node, Op op, double scalar)
{
	Value *value = scalar_like(graph, node, node->args[1], scalar);
	if (!value)
		return false;
	node->op = op;
	node->args[1] = value;
	return true;
}

static bool float_exact(double x) { return isfinite(x) && (double)(float)x == x; }

/* 1/c without rounding: c is a power of two. */
static bool has_inverse(double c)
{
	int exponent;
	return c != 0 && isfinite(c) && fabs(frexp(c, &exponent)) == 0.5 && float_exact(1 / c);
}

/* The value that can replace node's result, or NULL. *changed is set when node itself was rewritten. */
static Value *simplify_arithmetic(Graph *graph, Node *node, bool *changed)
{
	Value *a = node->args[0], *b = node->args[1];
	bool commutes = node->op == OP_ADD || node->op == OP_MUL;
	if (commutes && value_is_const(a) && !value_is_const(b)) {
		node->args[0] = b;
		node->args[1] = a;
		*changed = true;
		return NULL;
	}
	double c;
	if (value_is_const(a) || !value_is_scalar(b, &c))
		return NULL;
	double neutral = node->op == OP_ADD || node->op == OP_SUB ? 0 : 1;
	if (c == neutral)
		return becomes(node, a);
	if (node->op == OP_SUB && float_exact(-c))
		*changed = node_respell(graph, node, OP_ADD, -c);
	else if (node->op == OP_DIV && has_inverse(c))
		*changed = node_respell(graph, node, OP_MUL, 1 / c);
	return NULL;
}

static Value *simplify_transpose(Node *node, bool *changed)
{
	Ints *perm = &node->attr.perm;
	bool identity = true;
	for (int32_t i = 0; i < perm->count; i++)
		identity &= perm->at[i] == i;
	if (identity)
		return becomes(node, node->args[0]);
	if (!value_is(node->args[0], OP_TRANSPOSE))
		return NULL;
	const Node *inner = node->args[0]->node;
	for (int32_t i = 0; i < perm->count; i++)
		perm->at[i] = inner->attr.perm.at[perm->at[i]];
	node->args[0] = inner->args[0];
	*changed = true;
	return NULL;
}

static Value *simplify_reshape(Node *node, bool *changed)
{
	Value *same = becomes(node, node->args[0]);
	if (!same && value_is(node->args[0], OP_RESHAPE)) {
		node->args[0] = node->args[0]->node->args[0];
		*changed = true;
	}
	return same;
}

/* matmul %x[M,K], const[K,N] -> linear %x, const[N,K] */
static Value *simplify_matmul(Graph *graph, Node *node, PassRun *run)
{
	const Value *b = node->args[1];
	if (!value_is_const(b) || b->type.rank != 2 || value_is_const(node->args[0]))
		return NULL;
	const Tensor *from = value_tensor(b);
	int64_t rows = b->type.dim[0].plus, columns = b->type.dim[1].plus, size = dtype_bytes[from->type.dtype];
	Tensor *to = tensor_derived(
		graph, from, "transposed", type_numbers(from->type.dtype, 2, (int64_t[]){columns, rows}));
	const uint8_t *source = from->data;
	uint8_t *target = (uint8_t *)(uintptr_t)to->data;
	for (int64_t n = 0; n < columns; n++)
		for (int64_t k = 0; k < rows; k++)
			for (int64_t byte = 0; byte < size; byte++)
				target[(n * rows + k) * size + byte] = source[(k * columns + n) * size + byte];
	Value *weight = graph_const(graph, node, to, b->node->origin);
	if (!weight)
		return NULL;
	return graph_emit(
		graph, node, OP_LINEAR, (Value *[]){node->args[0], weight}, 2, &(Attrs){0}, node->origin, run->diag);
}

static Value *simplify(Graph *graph, Node *node, PassRun *run, bool *changed)
{
	Attrs *attr = &node->attr;
	switch (node->op) {
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV: return simplify_arithmetic(graph, node, changed);
	case OP_TRANSPOSE: return simplify_transpose(node, changed);
	case OP_RESHAPE: return simplify_reshape(node, changed);
	case OP_MATMUL: return simplify_matmul(graph, node, run);
	case OP_CAST:
	case OP_SLICE: /* to the same type, or all of it */ return becomes(node, node->args[0]);
	case OP_CONCAT: return node->nargs == 1 ? node->args[0] : NULL;
	case OP_ACTIVATION: return attr->act == ACT_NONE ? node->args[0] : NULL;
	case OP_LINEAR:
		*changed = (attr->has & A_act) && attr->act == ACT_NONE;
		if (*changed)
			attr->has &= ~(uint32_t)A_act;
		return NULL;
	case OP_ATTENTION:
		*changed = (attr->has & A_scale) && attr->scale == 1;
		if (*changed)
			attr->has &= ~(uint32_t)A_scale;
		return NULL;
	default: return NULL;
	}
}

bool pass_canonicalize(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		bool changed = false;
		Node *args[2] = {
			node->nargs > 0 ? node->args[0]->node : NULL, node->nargs > 1 ? node->args[1]->node : NULL};
		Value *by = simplify(graph, node, run, &changed);
		if (run->diag->errors)
			return false;
		next = changed ? node : node->next; /* a node that was rewritten is looked at again */
		if (by) {
			rewrite_uses(graph, node->results[0], by);
			rewrite_erase(graph, node);
		} else if (changed) {
			for (int i = 0; i < 2; i++) /* what it read before may be unused now */
				if (args[i] && args[i]->nresults && !value_uses(graph, args[i]->results[0]))
					rewrite_erase(graph, args[i]);
		}
		run->changes += changed || by;
	}
	return true;
}
