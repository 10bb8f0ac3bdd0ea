/* eval_text.c: reference meaning of the ops that work on whole rows or on all tokens of a text: softmax, the norms, pooling,
 * attention. A text of no tokens is legal: softmax over nothing is nothing, pooling gives zeros. */
#include <math.h>
#include <string.h>
#include "eval.h"

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

void eval_softmax_row(const double *from, double *to, int64_t count)
{
	double largest = -INFINITY, sum = 0;
	for (int64_t i = 0; i < count; i++)
		largest = fmax(largest, from[i]);
	for (int64_t i = 0; i < count; i++)
		sum += to[i] = exp(from[i] - largest);
	for (int64_t i = 0; i < count; i++)
		to[i] /= sum;
}

/* The variance is that of the whole population (divided by count), as LayerNorm defines it: https://arxiv.org/abs/1607.06450 */
void eval_layernorm_row(const double *from, const double *gamma, const double *beta, double eps, double *to, int64_t count)
{
	double mean = 0, variance = 0;
	for (int64_t i = 0; i < count; i++)
		mean += from[i];
	mean /= (double)count;
	for (int64_t i = 0; i < count; i++)
		variance += (from[i] - mean) * (from[i] - mean);
	double factor = 1 / sqrt(variance / (double)count + eps);
	for (int64_t i = 0; i < count; i++)
		to[i] = gamma[i] * (from[i] - mean) * factor + beta[i];
}

/* Copies argument 0 into the result; returns the size of a row (at least 1, so that callers can step). */
static int64_t rows_begin(const EvalArray *const *args, EvalArray *result)
{
	eval_widen(args[0], 0, result->count, result->v);
	int64_t size = result->dim[result->rank - 1];
	return size > 0 ? size : 1;
}

bool eval_SOFTMAX(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	int64_t size = rows_begin(args, &results[0]);
	for (int64_t at = 0; at < results[0].count; at += size)
		eval_softmax_row(results[0].v + at, results[0].v + at, size);
	return true;
}

static void layernorm_rows(const Node *node, const EvalArray *gamma, const EvalArray *beta, EvalArray *result)
{
	int64_t size = gamma->count;
	double *own_gamma, *own_beta;
	const double *g = eval_doubles(gamma, &own_gamma), *b = eval_doubles(beta, &own_beta);
	for (int64_t at = 0; at < result->count; at += size)
		eval_layernorm_row(result->v + at, g, b, node->attr.eps, result->v + at, size);
	free(own_gamma);
	free(own_beta);
}

bool eval_LAYERNORM(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	rows_begin(args, &results[0]);
	layernorm_rows(node, args[1], args[2], &results[0]);
	return true;
}

bool eval_ADD_LAYERNORM(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	for (int64_t i = 0; i < results[0].count; i++)
		results[0].v[i] = eval_at(args[0], i) + eval_at(args[1], i);
	layernorm_rows(node, args[2], args[3], &results[0]);
	return true;
}

bool eval_NORMALIZE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t size = rows_begin(args, &results[0]);
	for (int64_t at = 0; at < results[0].count; at += size) {
		double *row = results[0].v + at, norm = fmax(sqrt(eval_dot(row, row, size)), node->attr.eps);
		for (int64_t i = 0; i < size; i++)
			row[i] /= norm;
	}
	return true;
}

/* ---- texts --------------------------------------------------------------------------------------------------------- */

/* One column of a[S,H], every `hidden`-th number from `column` on, as one number. S > 0. */
static double pool_column(Pool mode, const double *column, int64_t hidden, int64_t tokens)
{
	double sum = 0, weights = 0, largest = -INFINITY;
	if (mode == POOL_FIRST)
		return column[0];
	if (mode == POOL_LAST)
		return column[(tokens - 1) * hidden];
	for (int64_t t = 0; t < tokens; t++) {
		double x = column[t * hidden], weight = mode == POOL_MEAN_WEIGHTED ? (double)(t + 1) : 1;
		sum += weight * x;
		weights += weight;
		largest = fmax(largest, x);
	}
	return mode == POOL_MAX ? largest : mode == POOL_MEAN_SQRT ? sum / sqrt((double)tokens) : sum / weights;
}

bool eval_POOL(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	Pool mode = node->attr.has & A_mode ? node->attr.mode : POOL_FIRST;
	int64_t tokens = args[0]->dim[0], hidden = args[0]->dim[1];
	double *owned;
	const double *x = eval_doubles(args[0], &owned);
	for (int64_t j = 0; tokens > 0 && j < hidden; j++)
		results[0].v[j] = pool_column(mode, x + j, hidden, tokens);
	free(owned);
	return true;
}

/* Where the queries, keys or values of all heads are: row i starts at data + i*stride, head h at h*d in it. */
typedef struct Heads { const double *data; int64_t stride; } Heads;

/* One query of one head over all keys: out[d] = sum over j of softmax(q . k_j * scale) * v_j. */
static void attend(const double *q, Heads k, Heads v, int64_t keys, int64_t d, double scale, double *weights, double *out)
{
	for (int64_t j = 0; j < keys; j++)
		weights[j] = scale * eval_dot(q, k.data + j * k.stride, d);
	eval_softmax_row(weights, weights, keys);
	for (int64_t j = 0; j < keys; j++)
		for (int64_t c = 0; c < d; c++)
			out[c] += weights[j] * v.data[j * v.stride + c];
}

bool eval_ATTENTION(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const EvalArray *last = args[node->nargs - 1];
	int64_t hidden = results[0].dim[results[0].rank - 1], heads = node->attr.heads, d = hidden / heads;
	int64_t queries = results[0].count / hidden, keys = last->dim[0];
	double scale = node->attr.has & A_scale ? node->attr.scale : 1;
	double *owned[3] = {0}, *weights = checked_calloc((size_t)keys, sizeof *weights);
	Heads part[3] = {0};                                  /* q, k, v */
	for (int i = 0; i < node->nargs; i++)
		part[i] = (Heads){eval_doubles(args[i], &owned[i]), args[i]->dim[args[i]->rank - 1]};
	if (node->attr.pack == PACK_QKV)
		part[1] = (Heads){part[0].data + hidden, part[0].stride};
	if (node->attr.pack != PACK_NONE)
		part[2] = (Heads){part[1].data + hidden, part[1].stride};
	for (int64_t i = 0; i < queries; i++)
		for (int64_t h = 0; h < heads; h++)
			attend(part[0].data + i * part[0].stride + h * d, (Heads){part[1].data + h * d, part[1].stride},
				(Heads){part[2].data + h * d, part[2].stride}, keys, d, scale, weights, results[0].v + i * hidden + h * d);
	for (int i = 0; i < 3; i++)
		free(owned[i]);
	free(weights);
	return true;
}
