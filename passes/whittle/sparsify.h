/* sparsify.h: the matrices that sparsify thins out, and what it decides about them. Internal to passes/. */
#ifndef BERTC_SPARSIFY_H
#define BERTC_SPARSIFY_H
#include "calibrate.h"

/* A weight [rows,columns] of linears in an encoder's layers: columns are inputs. */
typedef struct SparseMatrix {
	Value *weight; /* the constant */
	const Tensor *tensor;
	const char *kind; /* its part of a layer: "attention.query" */
	int64_t rows, columns;
	Value **inputs; /* what the linears read that it belongs to: ninputs different values f32[S,columns] */
	int32_t ninputs;
	double *norms; /* what a weight's size is times, for each input; NULL: no data given */
	bool *gone;    /* of each weight: it is to be zero */
	float *fitted; /* refit: the weights that do the work of those that are gone; NULL: tensor's */
	double *moved; /* refit: what goes to each output's bias */
	double error;  /* refit: mean square over the data of what the linear makes otherwise */
	double whole;  /* and of what it makes */
} SparseMatrix;

/* The weights that live or die together: high rows by wide columns, those at the border fewer. */
typedef struct SparseUnit {
	int64_t high, wide;
} SparseUnit;

/* sparsify_choose.c: marks in `gone`, of the matrices at[0..count) taken together, the units of least score
 * until `sparsity` of all weights are marked. A unit's score is the root mean square of its weights, each
 * times the norm of its input. Of equal scores the later goes. */
void sparse_choose(const SparseMatrix *at, int32_t count, SparseUnit unit, double sparsity);
/* Marks what is zero already; how many that are. */
int64_t sparse_mark_zeros(const SparseMatrix *);

/* sparsify_fit.c: what linears read on the texts of option data. Fills `norms` of matrices with one input;
 * the others are left alone. NULL: an error. */
typedef struct SparseFits SparseFits;
SparseFits *sparse_fits_open(Graph *, SparseMatrix *at, int32_t count, double ridge, PassRun *);
/* Fits what is not gone of those matrices to all that `tensor` makes: `fitted`, `moved`, `error`, `whole`. */
bool sparse_fit(Graph *, SparseFits *, SparseMatrix *at, int32_t count, PassRun *);
void sparse_fits_close(SparseFits *);

/* One row: of w[n] stays what is not gone and makes, for inputs of the covariance h[n,ld] (and its inverse),
 * most nearly what w made. ld is a multiple of 8. False: h is not positive definite. */
typedef struct SparseScratch {
	double *a, *b;
	int32_t *index;
} SparseScratch; /* [ld * ld], [ld], [ld] */
bool sparse_fit_row(const double *h, const double *inverse, int64_t ld, int64_t n, const bool *gone,
	double *w, SparseScratch *);
#endif
