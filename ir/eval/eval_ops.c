/* eval_ops.c: reference implementation of lookups, products, and ops that move or combine elements. infer.c
 * has checked the shapes. ops.def defines each op. eval_text.c has the ops on rows and texts (softmax,
 * pooling, ...). */
#include <math.h>
#include <string.h>
#include "eval.h"

/* ---- ids ------------------------------------------------------------------------------------- */

/* Adds or sets the rows of table a[V,H] that the ids b[S] pick. Reads the table row by row: as doubles, a
 * whole f16 table of 30522 x 384 would take 94 MB. */
static bool embed_rows(
	const Node *node, const EvalArray *table, const EvalArray *ids, bool add, EvalArray *result, Diag *diag)
{
	int64_t hidden = table->dim[1];
	const bool packed = node->op == OP_EMBED && (node->attr.has & A_panel);
	const int64_t rows = packed ? node->attr.width : table->dim[0];
	double *row = checked_calloc((size_t)hidden, sizeof *row);
	bool good = true;
	for (int64_t t = 0; good && t < ids->count; t++) {
		int64_t id = (int64_t)eval_at(ids, t);
		if (id < 0 || id >= rows) {
			good = node_error(node, diag, "id %lld of token %lld is outside the table of %lld rows",
				(long long)id, (long long)t, (long long)rows);
			break;
		}
		if (packed)
			eval_weight_row(node, table, id, hidden, NULL, row);
		else
			eval_widen(table, id * hidden, hidden, row);
		for (int64_t j = 0; j < hidden; j++)
			result->v[t * hidden + j] = (add ? result->v[t * hidden + j] : 0) + row[j];
	}
	free(row);
	return good;
}

bool eval_BAG(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	for (int64_t t = 0; t < args[1]->count; t++) {
		const int64_t id = (int64_t)eval_at(args[1], t);
		if (id < 0 || id >= args[0]->count)
			return node_error(node, diag, "id %lld of token %lld is outside the table of %lld rows",
				(long long)id, (long long)t, (long long)args[0]->count);
		results[0].v[id] += eval_at(args[0], id);
	}
	return true;
}

bool eval_EMBED(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	return embed_rows(node, args[0], args[1], false, &results[0], diag);
}

bool eval_EMBED_LAYERNORM(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	EvalArray *result = &results[0];
	int64_t hidden = result->dim[1];
	double *gamma, *beta;
	for (int i = 0; i < node->nargs - 2; i += 2)
		if (!embed_rows(node, args[i], args[i + 1], i > 0, result, diag))
			return false;
	const double *g = eval_doubles(args[node->nargs - 2], &gamma),
				 *b = eval_doubles(args[node->nargs - 1], &beta);
	for (int64_t t = 0; t < result->dim[0]; t++)
		eval_layernorm_row(result->v + t * hidden, g, b, node->attr.eps, result->v + t * hidden, hidden);
	free(gamma);
	free(beta);
	return true;
}

bool eval_POSITION_IDS(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const double start = node->attr.has & A_start ? (double)node->attr.start : 0;
	double place = start;
	for (int64_t i = 0; i < results[0].count; i++) {
		const bool skips = (node->attr.has & A_padding) && eval_at(args[0], i) == (double)node->attr.padding;
		results[0].v[i] = skips ? start - 1 : place++;
	}
	return true;
}

/* ---- products -------------------------------------------------------------------------------- */

/* The weights of output n are row n of b[N,K], a column of a panel in b[P,K,panel] or b[P,K/g,panel,g], or
 * packed sparse. */
void eval_weight_row(
	const Node *node, const EvalArray *weight, int64_t n, int64_t depth, float *floats, double *row)
{
	if ((node->attr.has & A_panel) && weight->rank == 1) {
		const DType dtype = node->args[0]->type.dtype == DT_I8 ? DT_I8 : DT_F32;
		/* i8 codes need less room than f32 words */
		sparse_row(weight->tensor->data, node->attr.width, sparse_words(depth, dtype), n, floats);
		for (int64_t k = 0; k < depth; k++)
			row[k] = dtype == DT_I8 ? ((const int8_t *)floats)[k] : floats[k];
	} else if (node->attr.has & A_panel) {
		int64_t panel = node->attr.panel, group = weight->rank == 4 ? weight->dim[3] : 1;
		int64_t start = (n / panel * weight->dim[1] * panel + n % panel) * group;
		for (int64_t k = 0; k < depth; k++)
			row[k] = eval_at(weight, start + k / group * panel * group + k % group);
	} else if (weight->tensor && weight->dtype != DT_F64) {
		tensor_floats(weight->tensor, n * depth, depth, floats);
		for (int64_t k = 0; k < depth; k++)
			row[k] = floats[k];
	} else {
		eval_widen(weight, n * depth, depth, row);
	}
}

/* Loops over outputs, so each row of weights is widened once for all tokens. 10 million weights and 128
 * tokens take about a second. */
int64_t eval_products(const Node *node, const EvalArray *x, const EvalArray *weight, EvalArray *result)
{
	const int64_t depth = x->dim[x->rank - 1], width = result->dim[result->rank - 1], rows = x->count / depth;
	double *owned, *row = checked_calloc((size_t)depth, sizeof *row);
	float *floats = checked_calloc((size_t)depth, sizeof *floats);
	const double *elements = eval_doubles(x, &owned);
	for (int64_t n = 0; rows > 0 && n < width; n++) {
		eval_weight_row(node, weight, n, depth, floats, row);
		for (int64_t t = 0; t < rows; t++)
			result->v[t * width + n] = eval_dot(elements + t * depth, row, depth);
	}
	free(owned);
	free(row);
	free(floats);
	return width;
}

bool eval_LINEAR(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const Act act = node->attr.has & A_act ? node->attr.act : ACT_NONE;
	const int64_t width = eval_products(node, args[0], args[1], results);
	for (int64_t i = 0; i < results[0].count; i++) {
		const double bias = node->nargs == 3 ? eval_at(args[2], i % width) : 0;
		results[0].v[i] = eval_act(act, results[0].v[i] + bias);
	}
	return true;
}

bool eval_MATMUL(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	const EvalArray *a = args[0], *b = args[1];
	int64_t M = a->dim[a->rank - 2], K = a->dim[a->rank - 1], N = b->dim[b->rank - 1], batch = 1;
	for (int i = 0; i < a->rank - 2; i++)
		batch *= a->dim[i];
	double *own_a, *own_b;
	const double *from_a = eval_doubles(a, &own_a), *from_b = eval_doubles(b, &own_b);
	for (int64_t i = 0; i < batch * M; i++)
		for (int64_t k = 0; k < K; k++) {
			const double *row = from_b + (i / M * K + k) * N;
			for (int64_t n = 0; n < N; n++)
				results[0].v[i * N + n] += from_a[i * K + k] * row[n];
		}
	free(own_a);
	free(own_b);
	return true;
}

/* ---- moving elements ------------------------------------------------------------------------- */

/* result[i0,i1,..] = from[i0*strides[0] + i1*strides[1] + ..] */
static void strided_copy(EvalArray *result, const EvalArray *from, const int64_t strides[RANK_MAX])
{
	int64_t index[RANK_MAX] = {0}, at = 0;
	for (int64_t i = 0; i < result->count; i++) {
		result->v[i] = eval_at(from, at);
		for (int d = result->rank - 1; d >= 0; d--) {
			at += strides[d];
			if (++index[d] < result->dim[d])
				break;
			at -= strides[d] * result->dim[d];
			index[d] = 0;
		}
	}
}

bool eval_TRANSPOSE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t of_arg[RANK_MAX], strides[RANK_MAX] = {0}, stride = 1;
	for (int i = args[0]->rank - 1; i >= 0; i--) {
		of_arg[i] = stride;
		stride *= args[0]->dim[i];
	}
	for (int i = 0; i < results[0].rank; i++)
		strides[i] = of_arg[node->attr.perm.at[i]];
	strided_copy(&results[0], args[0], strides);
	return true;
}

bool eval_RESHAPE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	eval_widen(args[0], 0, results[0].count, results[0].v);
	return true;
}

/* Splits an array at an axis into `outer` blocks of (size of the axis) times `inner` elements. */
static void axis_split(const EvalArray *array, int64_t axis, int64_t *outer, int64_t *inner)
{
	*inner = 1;
	*outer = 1;
	for (int i = 0; i < array->rank; i++)
		*(i < axis ? outer : inner) *= i == axis ? 1 : array->dim[i];
}

bool eval_SLICE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t outer, inner, size = args[0]->dim[node->attr.axis], taken = node->attr.end - node->attr.start;
	axis_split(args[0], node->attr.axis, &outer, &inner);
	for (int64_t i = 0; i < outer; i++)
		eval_widen(
			args[0], (i * size + node->attr.start) * inner, taken * inner, results[0].v + i * taken * inner);
	return true;
}

bool eval_CONCAT(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t outer, inner, total = results[0].dim[node->attr.axis], at = 0;
	axis_split(&results[0], node->attr.axis, &outer, &inner);
	for (int k = 0; k < node->nargs; k++) {
		int64_t size = args[k]->dim[node->attr.axis];
		for (int64_t i = 0; i < outer; i++)
			eval_widen(args[k], i * size * inner, size * inner, results[0].v + (i * total + at) * inner);
		at += size;
	}
	return true;
}

/* ---- elementwise ----------------------------------------------------------------------------- */

/* Broadcasts an argument to the result's shape: a stretched axis has stride 0. */
static void broadcast(const EvalArray *from, EvalArray *result, double *out)
{
	int64_t strides[RANK_MAX] = {0}, stride = 1;
	for (int i = 1; i <= from->rank; i++) {
		int64_t size = from->dim[from->rank - i];
		strides[result->rank - i] = size == result->dim[result->rank - i] ? stride : 0;
		stride *= size;
	}
	EvalArray stretched = *result;
	stretched.v = out;
	strided_copy(&stretched, from, strides);
}

static bool eval_binary(const Node *node, const EvalArray *const *args, EvalArray *result)
{
	double *b = checked_calloc((size_t)result->count, sizeof *b), *a = result->v;
	broadcast(args[0], result, a);
	broadcast(args[1], result, b);
	for (int64_t i = 0; i < result->count; i++)
		switch (node->op) {
		case OP_ADD: a[i] += b[i]; break;
		case OP_SUB: a[i] -= b[i]; break;
		case OP_MUL: a[i] *= b[i]; break;
		default: a[i] /= b[i]; break;
		}
	free(b);
	return true;
}

#define EVAL_BINARY(NAME) \
	bool eval_##NAME(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag) \
	{ \
		(void)diag; \
		return eval_binary(node, args, &results[0]); \
	}
EVAL_BINARY(ADD)
EVAL_BINARY(SUB)
EVAL_BINARY(MUL)
EVAL_BINARY(DIV)

/* The exact formulas; kernels approximate them. erfc keeps the digits of gelu's left tail. */
double eval_act(Act act, double x)
{
	switch (act) {
	case ACT_GELU: return 0.5 * x * erfc(-x * M_SQRT1_2);
	case ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
	case ACT_RELU: return x > 0 || isnan(x) ? x : 0;
	case ACT_SILU: return x / (1 + exp(-x));
	case ACT_TANH: return tanh(x);
	case ACT_SIGMOID: return 1 / (1 + exp(-x));
	default: return x;
	}
}

/* EVAL_UNARY(NAME, f(x)): applies f to each element. */
#define EVAL_UNARY(NAME, formula) \
	bool eval_##NAME(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag) \
	{ \
		(void)node, (void)diag; \
		for (int64_t i = 0; i < results[0].count; i++) { \
			double x = eval_at(args[0], i); \
			results[0].v[i] = (formula); \
		} \
		return true; \
	}
EVAL_UNARY(ERF, erf(x))
EVAL_UNARY(TANH, tanh(x))
EVAL_UNARY(RELU, eval_act(ACT_RELU, x))
EVAL_UNARY(SIGMOID, eval_act(ACT_SIGMOID, x))
EVAL_UNARY(EXP, exp(x))
EVAL_UNARY(SQRT, sqrt(x))
EVAL_UNARY(LOG1P, log1p(x))
EVAL_UNARY(ACTIVATION, eval_act(node->attr.act, x))
EVAL_UNARY(CAST, dtype_round(results[0].dtype, x))
