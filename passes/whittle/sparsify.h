/* sparsify.h: the matrices that sparsify changes, and its decisions about them. Internal to passes/. */
#ifndef BERTC_SPARSIFY_H
#define BERTC_SPARSIFY_H
#include "calibrate.h"

/* A weight [rows,columns] of linears in an encoder's layers: columns are inputs. */
typedef struct SparseMatrix {
	Value *weight; /* the constant */
	const Tensor *tensor;
	const char *kind; /* its part of a layer: "attention.query" */
	int64_t rows, columns;
	Value **inputs; /* inputs of the linears with this weight: ninputs different values f32[S,columns] */
	int32_t ninputs;
	double *norms; /* for each input, the factor of a weight's magnitude; NULL without data */
	bool *gone;    /* per weight: true when it becomes zero */
	float *fitted; /* refit: the fitted weights; NULL: those of tensor */
	double *moved; /* refit: change of each output's bias */
	double error;  /* refit: mean squared change of the linear's result over the data */
	double whole;  /* refit: mean square of the result */
} SparseMatrix;

/* A unit of weights that are kept or zeroed together: high rows by wide columns, fewer at the border. */
typedef struct SparseUnit {
	int64_t high, wide;
} SparseUnit;

/* sparsify_choose.c: marks units of the matrices at[0..count) together in `gone`, lowest score first, until
 * `sparsity` of all weights are marked. A unit's score is the root mean square of its weights, each times the
 * norm of its input. Ties: the later unit is marked. */
void sparse_choose(const SparseMatrix *at, int32_t count, SparseUnit unit, double sparsity);
/* Marks existing zeros. Returns their number. */
int64_t sparse_mark_zeros(const SparseMatrix *);

/* sparsify_fit.c: observes the linears' inputs on the texts of option data. Fills `norms` of matrices with
 * one input; other matrices are not changed. NULL: an error. */
typedef struct SparseFits SparseFits;
SparseFits *sparse_fits_open(Graph *, SparseMatrix *at, int32_t count, double ridge, PassRun *);
/* Fits the remaining weights of these matrices to the results of `tensor`. Fills `fitted`, `moved`, `error`
 * and `whole`. */
bool sparse_fit(Graph *, SparseFits *, SparseMatrix *at, int32_t count, PassRun *);
void sparse_fits_close(SparseFits *);

/* Fits one row: the weights of w[n] that are not gone change so that the row's result stays as close as
 * possible to the old one, for inputs with the covariance h[n,ld] (and its inverse). ld is a multiple of 8.
 * False: h is not positive definite. */
typedef struct SparseScratch {
	double *a, *b;
	int32_t *index;
} SparseScratch; /* [ld * ld], [ld], [ld] */
bool sparse_fit_row(const double *h, const double *inverse, int64_t ld, int64_t n, const bool *gone,
	double *w, SparseScratch *);
#endif
