/* affine.h: applies an affine function to each row of a value, where it costs least. Internal to passes/. */
#ifndef BERTC_AFFINE_H
#define BERTC_AFFINE_H
#include "passes/rewrite.h"

/* y = x * scale + shift, column by column, or y = x - V'V x + shift with `rank` orthonormal rows V. */
typedef struct Affine {
	int64_t width;
	const double *scale, *shift; /* [width] each; scale NULL where basis is given */
	const double *basis;         /* V [rank,width], or NULL */
	int64_t rank;
} Affine;

/* Replaces x = value by y everywhere. Folds the function into the LayerNorm (gamma and beta) or linear that
 * computes the value, also through a pooling. Otherwise folds it into the linears that read the value, or
 * else adds ops after it. pass_note reports the place. If the function was folded before a pooling, a text
 * without tokens still has zeros as its pooled row. False and messages on error. */
bool affine_apply(Graph *, Value *value, const Affine *, PassRun *);
#endif
