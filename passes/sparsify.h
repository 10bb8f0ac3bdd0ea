/* sparsify.h: the matrices that sparsify thins out, and what it decides about them. Internal to passes/. */
#ifndef BERTC_SPARSIFY_H
#define BERTC_SPARSIFY_H
#include "calibrate.h"

/* A weight [rows,columns] of linears in an encoder's layers: columns are inputs. */
typedef struct SparseMatrix {
	Value        *weight;               /* the constant */
	const Tensor *tensor;
	const char   *kind;                 /* its part of a layer: "attention.query" */
	int64_t       rows, columns;
	Value       **inputs;               /* what the linears read that it belongs to: ninputs different values f32[S,columns] */
	int32_t       ninputs;
	double       *norms;                /* root mean square of each input over the data; NULL: no data given */
	bool         *gone;                 /* of each weight: it is to be zero */
} SparseMatrix;

/* The weights that live or die together: high rows by wide columns, those at the border fewer. */
typedef struct SparseUnit { int64_t high, wide; } SparseUnit;

/* sparsify_choose.c: marks in `gone`, of the matrices at[0..count) taken together, the units of least score until `sparsity` of all
 * weights are marked. A unit's score is the root mean square of its weights, each times the norm of its input. Of equal
 * scores the later goes. */
void sparse_choose(const SparseMatrix *at, int32_t count, SparseUnit unit, double sparsity);
/* Marks what is zero already; how many that are. */
int64_t sparse_mark_zeros(const SparseMatrix *);
#endif
