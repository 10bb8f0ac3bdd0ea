/* affine.c: see affine.h.
 *
 *   %h = layernorm %r, %g, %b      ->      %h = layernorm %r, %g2, %b2
 *                                               g2 = g * scale, b2 = b * scale + shift
 *   %h = linear %x, %w, %c         ->      %h = linear %x, %w2, %c2
 *                                               w2 = M w, c2 = M c + shift
 *   %y = linear %h, %w, %c         ->      %y = linear %h, %w2, %c2
 *                                               w2 = w M, c2 = c + w shift
 *   %y = tanh %h                   ->      %m = mul %h, %scale         or  %d = linear %h, %V
 *                                          %s = add %m, %shift             %p = linear %d, %Vt, %minus_shift
 *                                          %y = tanh %s                    %s = sub %h, %p
 *
 * M is the diagonal of scale, or I - V'V. Weights are changed only where they are f32: rounding a product to
 * f16 would cost more than the op saves. */
#include "affine.h"
#include "statistics.h"
#include "passes/fuse/fuse.h"
#include <string.h>

/* y of one row, without shift. */
static void affine_row(const Affine *affine, double *row)
{
	if (!affine->basis) {
		for (int64_t i = 0; i < affine->width; i++)
			row[i] *= affine->scale[i];
		return;
	}
	for (int64_t k = 0; k < affine->rank; k++) { /* V has orthogonal rows: they can be removed one by one */
		const double *v = affine->basis + k * affine->width, along = eval_dot(v, row, affine->width);
		for (int64_t i = 0; i < affine->width; i++)
			row[i] -= along * v[i];
	}
}

static Tensor *vector_of(
	Graph *graph, const Tensor *base, const char *what, const double *v, int64_t n, double factor)
{
	Tensor *to = base
		? tensor_derived(graph, base, what, type_numbers(DT_F32, 1, &n))
		: tensor_new(graph->module, mem_printf(graph->module->mem, "affine.%s.%u", what, graph->next_id),
			  type_numbers(DT_F32, 1, &n));
	for (int64_t i = 0; i < n; i++)
		tensor_set(to, i, factor * v[i]);
	return to;
}

/* True for a linear with a weight that may be changed. */
static bool linear_is_plain(const Node *node)
{
	return node && node->op == OP_LINEAR && !node->attr.has && value_is_const(node->args[1])
		&& value_tensor(node->args[1])->type.dtype == DT_F32
		&& (node->nargs < 3 || value_is_const(node->args[2]));
}

/* ---- into its producer ----------------------------------------------------------------------- */

/* True when the function may be applied to the rows before pooling instead of to the pooled row. */
static bool pool_lets_through(const Node *pool, const Affine *affine)
{
	bool grows = affine->scale != NULL;
	for (int64_t i = 0; grows && i < affine->width; i++)
		grows = affine->scale[i] >= 0;
	switch (pool->attr.mode) {
	case POOL_FIRST:
	case POOL_LAST:
	case POOL_MEAN:
	case POOL_MEAN_WEIGHTED: return true;
	case POOL_MAX: return grows;
	default: return false;
	}
}

static Value *pooled_source(const Graph *graph, Value *value, const Affine *affine)
{
	const Node *pool = value->node;
	while (pool && pool->op == OP_POOL && pool_lets_through(pool, affine)
		&& value_only_user(graph, pool->args[0]) == pool) {
		value = pool->args[0];
		pool = value->node;
	}
	return value;
}

static bool fold_layernorm(Graph *graph, Node *norm, const Affine *affine)
{
	if (norm->op != OP_LAYERNORM || affine->basis || !value_is_const(norm->args[1])
		|| !value_is_const(norm->args[2]))
		return false;
	for (int k = 1; k <= 2; k++) {
		const Tensor *from = value_tensor(norm->args[k]);
		Tensor *to = tensor_derived(graph, from, "affine", type_numbers(DT_F32, 1, &affine->width));
		for (int64_t i = 0; i < affine->width; i++)
			tensor_set(to, i, tensor_at(from, i) * affine->scale[i] + (k == 2 ? affine->shift[i] : 0));
		norm->args[k] = graph_const(graph, norm, to, norm->args[k]->node->origin);
	}
	return true;
}

/* w2 = M w, c2 = M c + shift */
static bool fold_outputs(Graph *graph, Node *linear, const Affine *affine)
{
	if (!linear_is_plain(linear))
		return false;
	const Tensor *weight = value_tensor(linear->args[1]), *bias = linear_bias(linear);
	const int64_t inputs = weight->type.dim[1].plus;
	MemArena *mem = graph->module->mem;
	double *row = mem_alloc(mem, (size_t)affine->width * sizeof *row);
	Tensor *to = tensor_derived(graph, weight, "affine", weight->type);
	for (int64_t k = 0; k < inputs; k++) {
		for (int64_t i = 0; i < affine->width; i++)
			row[i] = tensor_at(weight, i * inputs + k);
		affine_row(affine, row);
		for (int64_t i = 0; i < affine->width; i++)
			tensor_set(to, i * inputs + k, row[i]);
	}
	for (int64_t i = 0; i < affine->width; i++)
		row[i] = bias ? tensor_at(bias, i) : 0;
	affine_row(affine, row);
	for (int64_t i = 0; i < affine->width; i++)
		row[i] += affine->shift[i];
	linear->args[1] = graph_const(graph, linear, to, linear->args[1]->node->origin);
	linear->args[2] = graph_const(graph, linear,
		vector_of(graph, bias ? bias : weight, "affine", row, affine->width, 1), linear->origin);
	linear->nargs = 3;
	return true;
}

/* ---- into its readers ------------------------------------------------------------------------ */

/* w2 = w M (M is symmetric), c2 = c + w shift */
static void fold_inputs(Graph *graph, Node *linear, const Affine *affine)
{
	const Tensor *weight = value_tensor(linear->args[1]), *bias = linear_bias(linear);
	const int64_t outputs = weight->type.dim[0].plus;
	MemArena *mem = graph->module->mem;
	double *row = mem_alloc(mem, (size_t)affine->width * sizeof *row),
		   *sums = mem_alloc(mem, (size_t)outputs * sizeof *sums);
	Tensor *to = tensor_derived(graph, weight, "affine", weight->type);
	for (int64_t n = 0; n < outputs; n++) {
		for (int64_t i = 0; i < affine->width; i++)
			row[i] = tensor_at(weight, n * affine->width + i);
		sums[n] = (bias ? tensor_at(bias, n) : 0) + eval_dot(row, affine->shift, affine->width);
		affine_row(affine, row);
		for (int64_t i = 0; i < affine->width; i++)
			tensor_set(to, n * affine->width + i, row[i]);
	}
	linear->args[1] = graph_const(graph, linear, to, linear->args[1]->node->origin);
	linear->args[2] = graph_const(
		graph, linear, vector_of(graph, bias ? bias : weight, "affine", sums, outputs, 1), linear->origin);
	linear->nargs = 3;
}

static bool fold_readers(Graph *graph, const Value *value, const Affine *affine)
{
	int32_t readers = 0;
	for (const Node *node = graph->first; node; node = node->next)
		for (int32_t i = 0; i < node->nargs; i++)
			if (node->args[i] == value) {
				readers++;
				if (i != 0 || !linear_is_plain(node))
					return false;
			}
	if (readers == 0 || value_uses(graph, value) != readers) /* or a graph output reads it */
		return false;
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_LINEAR && node->args[0] == value)
			fold_inputs(graph, node, affine);
	return true;
}

/* ---- ops of its own -------------------------------------------------------------------------- */

static Value *emit(
	Graph *graph, Node *before, Op op, Value *a, Value *b, Value *c, const char *origin, PassRun *run)
{
	const int32_t nargs = c ? 3 : 2;
	return a && b ? graph_emit(graph, before, op, (Value *[]){a, b, c}, nargs, NULL, origin, run->diag)
				  : NULL;
}

static Value *emit_projection(
	Graph *graph, Node *before, Value *x, const Affine *affine, const char *origin, PassRun *run)
{
	const int64_t rank = affine->rank, width = affine->width;
	Tensor *in = tensor_new(graph->module, mem_printf(graph->module->mem, "affine.in.%u", graph->next_id),
		type_numbers(DT_F32, 2, (int64_t[]){rank, width}));
	Tensor *out = tensor_new(graph->module, mem_printf(graph->module->mem, "affine.out.%u", graph->next_id),
		type_numbers(DT_F32, 2, (int64_t[]){width, rank}));
	for (int64_t k = 0; k < rank; k++)
		for (int64_t i = 0; i < width; i++) {
			tensor_set(in, k * width + i, affine->basis[k * width + i]);
			tensor_set(out, i * rank + k, affine->basis[k * width + i]);
		}
	Value *minus = graph_const(
		graph, before, vector_of(graph, NULL, "shift", affine->shift, width, -1), origin);
	Value *along = emit(
		graph, before, OP_LINEAR, x, graph_const(graph, before, in, origin), NULL, origin, run);
	Value *part = emit(
		graph, before, OP_LINEAR, along, graph_const(graph, before, out, origin), minus, origin, run);
	return emit(graph, before, OP_SUB, x, part, NULL, origin, run);
}

static bool emit_behind(Graph *graph, Value *value, const Affine *affine, PassRun *run)
{
	Node *before = value->node ? value->node->next : graph->first,
		 *last = before ? before->prev : graph->last;
	const char *origin = value->node ? value->node->origin : NULL;
	Value *by;
	if (affine->basis) {
		by = emit_projection(graph, before, value, affine, origin, run);
	} else {
		Value *scale = graph_const(
			graph, before, vector_of(graph, NULL, "scale", affine->scale, affine->width, 1), origin);
		Value *shift = graph_const(
			graph, before, vector_of(graph, NULL, "shift", affine->shift, affine->width, 1), origin);
		by = emit(graph, before, OP_ADD, emit(graph, before, OP_MUL, value, scale, NULL, origin, run), shift,
			NULL, origin, run);
	}
	if (!by)
		return false;
	rewrite_uses(graph, value, by);
	for (Node *node = last ? last->next : graph->first; node != before;
		node = node->next) /* the new ops read the old value */
		for (int32_t i = 0; i < node->nargs; i++)
			if (node->args[i] == by)
				node->args[i] = value;
	return true;
}

bool affine_apply(Graph *graph, Value *value, const Affine *affine, PassRun *run)
{
	Node *maker = pooled_source(graph, value, affine)->node;
	if (maker && fold_layernorm(graph, maker, affine))
		pass_note(run, maker, "folded into gamma and beta of the LayerNorm");
	else if (maker && fold_outputs(graph, maker, affine))
		pass_note(run, maker, "folded into the linear that computes the rows");
	else if (fold_readers(graph, value, affine))
		pass_note(run, value->node, "folded into the linears that read the rows");
	else if (emit_behind(graph, value, affine, run))
		pass_note(run, value->node,
			"added as separate ops: it fits neither into the op that computes the rows nor into those that "
			"read them");
	else
		return false;
	run->changes++;
	return true;
}
