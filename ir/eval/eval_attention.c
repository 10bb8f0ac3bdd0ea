/* eval_attention.c: reference implementation of attention, score biases and `received`. */
#include <math.h>
#include <string.h>
#include "ir/attention.h"
#include "eval.h"

/* ---- score biases ---------------------------------------------------------------------------- */

/* A table [heads or 1, 2R+1], or, by query, the table of query i in row i of [S,heads*(2R+1)]. */
typedef struct Table {
	const EvalArray *of;
	int64_t heads;
	bool by_query;
} Table;

/* Its element for query i and two positions at this distance. */
static double table_at(const Table *table, int64_t head, int64_t i, double distance)
{
	const EvalArray *of = table->of;
	const int64_t tables = table->by_query ? table->heads : 1, width = of->dim[1] / tables, reach = width / 2;
	int64_t row = of->dim[0] == 1 ? 0 : head;
	if (table->by_query)
		row = i * tables + head;
	const double held = fmax(fmin(distance, (double)reach), (double)-reach);
	return eval_at(of, row * width + reach + (int64_t)held);
}

static double distance_at(const EvalArray *places, int64_t i, int64_t j)
{
	return places ? eval_at(places, j) - eval_at(places, i) : (double)(j - i);
}

bool eval_BY_DISTANCE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const Table table = {args[0], results[0].dim[0], node->attr.has & A_heads};
	const int64_t tokens = results[0].dim[1];
	const EvalArray *places = args[1]->dtype == DT_I32 ? args[1] : NULL;
	for (int64_t h = 0, at = 0; h < results[0].dim[0]; h++)
		for (int64_t i = 0; i < tokens; i++)
			for (int64_t j = 0; j < tokens; j++)
				results[0].v[at++] = table_at(&table, h, i, distance_at(places, i, j));
	return true;
}

/* Element of an array that broadcasts to [heads, queries, keys]. */
static double dense_at(const EvalArray *bias, int64_t h, int64_t i, int64_t j)
{
	const int64_t want[3] = {h, i, j};
	int64_t at = 0;
	for (int32_t d = 0; d < bias->rank; d++)
		at = at * bias->dim[d] + (bias->dim[d] == 1 ? 0 : want[3 - bias->rank + d]);
	return eval_at(bias, at);
}

/* The queries, keys or values of all heads. Row i starts at data + i*stride, head h at h*d within the row.
 */
typedef struct Heads {
	const double *data;
	int64_t stride;
} Heads;

static const double *row_of(Heads rows, int64_t i, int64_t h, int64_t d)
{
	return rows.data + i * rows.stride + h * d;
}

/* The product of x[d] with row `row` of head h of a table [D,H], or of a packed one. */
static double table_dot(const EvalArray *table, int64_t h, int64_t d, int64_t row, const double *x)
{
	const bool packed = table->rank == 4;
	const int64_t panel = packed ? table->dim[3] : 1, step = packed ? panel : 1,
				  at = packed ? ((h * table->dim[1] + row / panel) * d) * panel + row % panel
							  : row * table->dim[1] + h * d;
	double sum = 0;
	for (int64_t c = 0; c < d; c++)
		sum += x[c] * eval_at(table, at + c * step);
	return sum;
}

/* The row of the table for a distance. */
static int64_t indexed_row(const EvalArray *index, int64_t distance)
{
	const int64_t reach = index->count / 2;
	const int64_t held = distance < -reach ? -reach : distance;
	return (int64_t)eval_at(index, reach + (held > reach ? reach : held));
}

bool eval_DOT_BY_DISTANCE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	double *owned;
	const Heads rows = {eval_doubles(args[0], &owned), args[0]->dim[1]};
	const int64_t heads = node->attr.heads, d = rows.stride / heads, tokens = results[0].dim[1];
	for (int64_t h = 0, at = 0; h < heads; h++)
		for (int64_t i = 0; i < tokens; i++)
			for (int64_t j = 0; j < tokens; j++)
				results[0].v[at++] = table_dot(args[1], h, d, indexed_row(args[2], j - i),
					row_of(rows, node->attr.axis == DOT_QUERIES ? i : j, h, d));
	free(owned);
	return true;
}

/* Adds the node's biases to the scores of query i of head h. */
static void add_biases(const Node *node, const EvalArray *const *args, int64_t h, int64_t i, Heads q, Heads k,
	int64_t keys, int64_t d, double *scores)
{
	ScoreBias biases[BIASES_MAX];
	const int32_t count = attention_biases(node, biases);
	int32_t at = attention_parts(node);
	for (int32_t b = 0; b < count; b++) {
		const EvalArray *bias = args[at], *places = biases[b].places ? args[at + 1] : NULL,
						*index = biases[b].index ? args[at + 1] : NULL;
		const Table table = {bias, node->attr.heads, biases[b].by_query};
		at += score_bias_args(&biases[b]);
		for (int64_t j = 0; j < keys; j++)
			if (biases[b].axis)
				scores[j] += table_dot(bias, h, d, indexed_row(index, j - i),
					biases[b].axis == DOT_QUERIES ? row_of(q, i, h, d) : row_of(k, j, h, d));
			else
				scores[j] += biases[b].is_table ? table_at(&table, h, i, distance_at(places, i, j))
												: dense_at(bias, h, i, j);
	}
}

/* ---- attention ------------------------------------------------------------------------------- */

/* weights[j] = softmax over the selected j of (q_i . k_j * scale + biases), for head h. */
static void attend(const Node *node, const EvalArray *const *args, int64_t h, int64_t i, Heads q, Heads k,
	int64_t keys, int64_t d, double *weights)
{
	const Attrs *attr = &node->attr;
	const double scale = attr->has & A_scale ? attr->scale : 1;
	for (int64_t j = 0; j < keys; j++)
		weights[j] = scale * eval_dot(row_of(q, i, h, d), row_of(k, j, h, d), d);
	add_biases(node, args, h, i, q, k, keys, d, weights);
	if (attr->has & A_SELECT)
		eval_select_scores(attr, weights, keys);
	eval_softmax_row(weights, weights, keys);
}

/* Finds the node's q, k and v (received: q and k). The caller frees owned. */
static void heads_of(
	const Node *node, const EvalArray *const *args, int64_t hidden, Heads part[3], double *owned[3])
{
	for (int i = 0; i < attention_parts(node); i++)
		part[i] = (Heads){eval_doubles(args[i], &owned[i]), args[i]->dim[args[i]->rank - 1]};
	if (node->attr.pack == PACK_QKV)
		part[1] = (Heads){part[0].data + hidden, part[0].stride};
	if (node->attr.pack != PACK_NONE)
		part[2] = (Heads){part[1].data + hidden, part[1].stride};
}

bool eval_ATTENTION(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const EvalArray *last = args[attention_parts(node) - 1];
	int64_t hidden = results[0].dim[results[0].rank - 1], heads = node->attr.heads, d = hidden / heads;
	int64_t queries = results[0].count / hidden, keys = last->dim[0];
	double *owned[3] = {0}, *weights = checked_calloc((size_t)keys, sizeof *weights);
	Heads part[3] = {0}; /* q, k, v */
	heads_of(node, args, hidden, part, owned);
	for (int64_t i = 0; i < queries; i++)
		for (int64_t h = 0; h < heads; h++) {
			const Heads v = {part[2].data + h * d, part[2].stride};
			double *out = results[0].v + i * hidden + h * d;
			attend(node, args, h, i, part[0], part[1], keys, d, weights);
			for (int64_t j = 0; j < keys; j++)
				for (int64_t c = 0; c < d; c++)
					out[c] += weights[j] * v.data[j * v.stride + c];
		}
	for (int i = 0; i < 3; i++)
		free(owned[i]);
	free(weights);
	return true;
}

bool eval_RECEIVED(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const int64_t tokens = args[0]->dim[0], heads = node->attr.heads;
	const int64_t hidden = args[0]->dim[1] / (node->attr.pack == PACK_QKV ? 3 : 1), d = hidden / heads;
	double *owned[3] = {0}, *weights = checked_calloc((size_t)tokens, sizeof *weights);
	Heads part[3] = {0};
	heads_of(node, args, hidden, part, owned);
	for (int64_t i = 0; i < tokens; i++)
		for (int64_t h = 0; h < heads; h++) {
			attend(node, args, h, i, part[0], part[1], tokens, d, weights);
			for (int64_t j = 0; j < tokens; j++)
				results[0].v[j * heads + h] += weights[j];
		}
	for (int i = 0; i < 3; i++)
		free(owned[i]);
	free(weights);
	return true;
}
