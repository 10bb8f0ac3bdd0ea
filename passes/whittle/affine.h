/* affine.h: an affine function of each row of a value, put where it costs least. Internal to passes/. */
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

/* Lets y stand for x = value everywhere: in the gamma and beta of the LayerNorm, or in the linear, that makes
 * it (a pooling in between lets it through), else in the linears that read it, else as ops of its own behind
 * it. pass_note says which. A text without tokens, whose pooled row is zeros, keeps zeros when the function
 * went in front of the pooling. False and messages on error. */
bool affine_apply(Graph *, Value *value, const Affine *, PassRun *);
#endif
