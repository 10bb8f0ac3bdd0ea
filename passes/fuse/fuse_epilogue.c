/* fuse_epilogue.c: turns activations written as arithmetic into one op, and moves biases and activations into
 * the linear before them. There they cost almost nothing, because the kernel still has the sums in registers.
 *
 *   %h = linear %x, %w : f32[S,16]
 *   %i = add %h, %b                        ->    %g = linear %x, %w, %b {act=gelu} : f32[S,16]
 *   %g = mul(mul(%i, 0.5), add(erf(div(%i, 1.4142135)), 1))
 *
 * Formulas come in many orders (0.5 first or last, x * (1 + c x^2) or x + c x^3). So no order is listed here:
 * the arithmetic around erf, tanh or sigmoid is read as a polynomial, and its coefficients are compared. */
#include "fuse.h"
#include <math.h>

/* Constants are written in f32 or f16 and with few digits ("0.7978845608", "1.41421356"). */
static const double TOLERANCE = 2e-6;

/* c[i][j] x^i g^j */
enum { X_MAX = 3, G_MAX = 1 };
typedef struct Poly {
	double c[X_MAX + 1][G_MAX + 1];
} Poly;

static bool poly_equal(const Poly *a, const Poly *b)
{
	for (int i = 0; i <= X_MAX; i++)
		for (int j = 0; j <= G_MAX; j++)
			if (fabs(a->c[i][j] - b->c[i][j]) > TOLERANCE)
				return false;
	return true;
}

static bool poly_multiply(const Poly *a, const Poly *b, Poly *out)
{
	*out = (Poly){0};
	for (int i = 0; i <= X_MAX; i++)
		for (int j = 0; j <= G_MAX; j++)
			for (int k = 0; k <= X_MAX && a->c[i][j] != 0; k++)
				for (int l = 0; l <= G_MAX; l++) {
					double product = a->c[i][j] * b->c[k][l];
					if (product == 0)
						continue;
					if (i + k > X_MAX || j + l > G_MAX)
						return false;
					out->c[i + k][j + l] += product;
				}
	return true;
}

/* Reads v as a polynomial in x and g, at most `depth` ops deep. False when v is not a polynomial of low
 * degree. */
static bool poly_of(const Value *v, const Value *x, const Value *g, int depth, Poly *out)
{
	*out = (Poly){0};
	double scalar;
	if (v == x) {
		out->c[1][0] = 1;
		return true;
	}
	if (v == g) {
		out->c[0][1] = 1;
		return true;
	}
	if (value_is_scalar(v, &scalar)) {
		out->c[0][0] = scalar;
		return true;
	}
	if (!v->node || v->node->nargs != 2 || depth == 0)
		return false;
	Op op = v->node->op;
	if (op != OP_ADD && op != OP_SUB && op != OP_MUL && op != OP_DIV)
		return false;
	Poly a, b;
	if (!poly_of(v->node->args[0], x, g, depth - 1, &a) || !poly_of(v->node->args[1], x, g, depth - 1, &b))
		return false;
	if (op == OP_MUL)
		return poly_multiply(&a, &b, out);
	if (op == OP_DIV) {
		if (!value_is_scalar(v->node->args[1], &scalar) || scalar == 0)
			return false;
		b = (Poly){0};
		b.c[0][0] = 1 / scalar;
		return poly_multiply(&a, &b, out);
	}
	for (int i = 0; i <= X_MAX; i++)
		for (int j = 0; j <= G_MAX; j++)
			out->c[i][j] = a.c[i][j] + (op == OP_SUB ? -b.c[i][j] : b.c[i][j]);
	return true;
}

/* One row an activation: outer(x, g) with g = function(inner(x)). */
static const struct Formula {
	Act act;
	Op function;
	Poly inner, outer;
} formulas[] = {
	{ACT_GELU, OP_ERF, {{[1] = {M_SQRT1_2}}}, {{[1] = {0.5, 0.5}}}},
	{ACT_GELU_TANH, OP_TANH, {{[1] = {0.7978845608028654}, [3] = {0.0356774081363001}}},
		{{[1] = {0.5, 0.5}}}},
	{ACT_SILU, OP_SIGMOID, {{[1] = {1}}}, {{[1] = {0, 1}}}},
};

enum { DEPTH_MAX = 6, CANDIDATES_MAX = 24 };

/* Candidates for x: the values from which u is computed by arithmetic. */
static int32_t collect_sources(Value *u, Value *sources[CANDIDATES_MAX])
{
	int32_t count = 0;
	sources[count++] = u;
	for (int32_t i = 0; i < count; i++) {
		const Node *node = sources[i]->node;
		if (!node || (node->op != OP_ADD && node->op != OP_SUB && node->op != OP_MUL && node->op != OP_DIV))
			continue;
		for (int32_t k = 0; k < node->nargs; k++) {
			bool known = value_is_const(node->args[k]) || count == CANDIDATES_MAX;
			for (int32_t s = 0; s < count && !known; s++)
				known = sources[s] == node->args[k];
			if (!known)
				sources[count++] = node->args[k];
		}
	}
	return count;
}

/* The value that equals outer(x, g), searched from g through single uses. NULL when there is none. */
static Value *formula_root(const Graph *graph, const struct Formula *f, const Value *x, Value *g)
{
	Value *root = g;
	for (int step = 0; step < DEPTH_MAX; step++) {
		Node *user = value_only_user(graph, root);
		if (!user || user->nresults != 1)
			return NULL;
		root = user->results[0];
		Poly outer;
		if (!poly_of(root, x, g, DEPTH_MAX, &outer))
			return NULL;
		if (poly_equal(&outer, &f->outer) && type_equal(&root->type, &x->type))
			return root;
	}
	return NULL;
}

/* Rewrites the activation around function node `g`. *after becomes the node that replaces it. */
static bool node_fuse_activation(Graph *graph, Node *g, PassRun *run, Node **after)
{
	Value *sources[CANDIDATES_MAX];
	int32_t nsources = collect_sources(g->args[0], sources);
	bool known = false;
	for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
		const struct Formula *f = &formulas[i];
		for (int32_t s = 0; s < nsources && f->function == g->op; s++) {
			Poly inner;
			if (!poly_of(g->args[0], sources[s], NULL, DEPTH_MAX, &inner) || !poly_equal(&inner, &f->inner))
				continue;
			known = true;
			Value *root = formula_root(graph, f, sources[s], g->results[0]);
			if (!root) {
				if (g->op == OP_ERF || s > 0) /* a plain tanh or sigmoid is no failed formula */
					pass_note(run, g,
						"activation: its argument is that of %s, but the ops after it are not, or have other "
						"uses",
						f->act == ACT_GELU ? "gelu" : "gelu_tanh");
				continue;
			}
			Node *dead = root->node;
			Value *by = rewrite_value(
				graph, root, OP_ACTIVATION, &sources[s], 1, &(Attrs){.has = A_act, .act = f->act}, run);
			if (!by)
				return false;
			*after = by->node;
			rewrite_erase(graph, dead);
			run->changes++;
			return true;
		}
	}
	if (g->op == OP_ERF && !known)
		pass_note(run, g, "activation: its argument is not that of gelu, x / sqrt 2");
	return true;
}

bool fuse_activation(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_ERF || node->op == OP_TANH || node->op == OP_SIGMOID) {
			Node *after = node;
			if (!node_fuse_activation(graph, node, run, &after))
				return false;
			node = after;
		}
	return true;
}

/* The activation that a node computes, or ACT_NONE. */
static Act node_activation(const Node *node)
{
	switch (node->op) {
	case OP_ACTIVATION: return node->attr.act;
	case OP_RELU: return ACT_RELU;
	case OP_TANH: return ACT_TANH;
	case OP_SIGMOID: return ACT_SIGMOID;
	default: return ACT_NONE;
	}
}

/* The sum of two biases of n elements as f32. */
static Tensor *bias_sum(Graph *graph, const Tensor *a, const Tensor *b)
{
	Type type = b->type;
	type.dtype = DT_F32;
	Tensor *sum = tensor_derived(graph, a ? a : b, "sum", type);
	for (int64_t i = 0; i < type_count(&type); i++)
		tensor_set(sum, i, (a ? tensor_at(a, i) : 0) + tensor_at(b, i));
	return sum;
}

/* add(linear, const[N]) -> linear with bias; the constant may stand on either side. *after as above. */
static bool node_fuse_bias(Graph *graph, Node *add, PassRun *run, Node **after)
{
	int32_t side = value_is_const(add->args[1]) ? 1 : 0;
	const Tensor *bias = value_tensor(add->args[side]);
	Value *x = add->args[1 - side];
	if (!bias || !value_is(x, OP_LINEAR) || bias->type.rank != 1 || bias->type.dim[0].plus != value_width(x)
		|| !dtype_is_float(bias->type.dtype))
		return true;
	Node *linear = linear_of(graph, x, add);
	if (!linear || (linear->attr.has & A_act)) {
		pass_note(run, add, "epilogue: the bias stays an add, because the linear has %s",
			linear ? "an activation" : "other uses");
		return true;
	}
	const Tensor *sum = linear->nargs == 3 ? bias_sum(graph, linear_bias(linear), bias) : bias;
	Value *by = rewrite_value(graph, add->results[0], OP_LINEAR,
		(Value *[]){linear->args[0], linear->args[1],
			sum == bias ? add->args[side] : graph_const(graph, add, sum, linear->origin)},
		3, &linear->attr, run);
	if (!by)
		return false;
	node_set_origin(graph, by->node, linear->origin);
	*after = by->node;
	rewrite_erase(graph, add);
	run->changes++;
	return true;
}

static bool node_fuse_epilogue(Graph *graph, Node *node, PassRun *run)
{
	Act act = node_activation(node);
	if (act == ACT_NONE || !value_is(node->args[0], OP_LINEAR))
		return true;
	Node *linear = linear_of(graph, node->args[0], node);
	if (!linear || (linear->attr.has & A_act)) {
		pass_note(run, node, "epilogue: not merged into the linear, which has %s",
			linear ? "an activation already" : "other uses");
		return true;
	}
	Attrs attr = linear->attr;
	attr.has |= A_act;
	attr.act = act;
	Value *by = rewrite_value(graph, node->results[0], OP_LINEAR, linear->args, linear->nargs, &attr, run);
	if (!by)
		return false;
	node_set_origin(graph, by->node, linear->origin);
	rewrite_erase(graph, node);
	run->changes++;
	return true;
}

bool fuse_epilogue(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		Node *after = node;
		if (node->op == OP_ADD && !node_fuse_bias(graph, node, run, &after))
			return false;
		next = after->next;
		if (after == node && !node_fuse_epilogue(graph, node, run))
			return false;
	}
	return true;
}
