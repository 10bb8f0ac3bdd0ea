/* eval.h: shared by the files of the reference evaluator. */
#ifndef BERTC_EVAL_H
#define BERTC_EVAL_H
#include <stdlib.h>
#include "ir/value_map.h"

/* Most bytes of one value during evaluation. Fill-mask over 250,000 words takes 1 GiB for 512 tokens. */
#define EVAL_BYTES_MAX ((int64_t)4 << 30)

/* All elements of an array as doubles. The caller frees *owned, which is NULL if the array owns them. */
const double *eval_doubles(const EvalArray *, double **owned);
/* Writes elements start .. start+count-1 to out. */
void eval_widen(const EvalArray *, int64_t start, int64_t count, double *out);
/* Writes the `depth` weights of output n of a linear op to row, packed or not. floats: scratch of `depth`
 * floats. */
void eval_weight_row(
	const Node *, const EvalArray *weight, int64_t n, int64_t depth, float *floats, double *row);
/* result[t,n] = sum of x[t,k] * weight[n,k]: a linear op without bias and activation. Returns the width of
 * the result. */
int64_t eval_products(const Node *, const EvalArray *x, const EvalArray *weight, EvalArray *result);
/* eval_POOL without the first `skipped` rows. */
void eval_pool(const Node *, const EvalArray *const *args, EvalArray *results, double skipped);
/* Softmax of one row. from == to is allowed. */
void eval_softmax_row(const double *from, double *to, int64_t count);
void eval_layernorm_row(
	const double *from, const double *gamma, const double *beta, double eps, double *to, int64_t count);
/* Sets the scores that keep, share or threshold do not select to -infinity, so softmax makes them 0. */
void eval_select_scores(const Attrs *, double *scores, int64_t count);
double eval_act(Act, double);
/* How many rows thin keeps. */
int64_t eval_thin_count(const Node *, const EvalArray *const *args);
/* Whether the text ends at the exit if its option is `limit`. */
bool eval_exit_taken(const Node *, const EvalArray *const *args, double limit);
#endif
