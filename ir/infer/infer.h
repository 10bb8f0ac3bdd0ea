/* infer.h: shared by the files of ir/infer/: checks of a node's arguments. Every expect_* reports an error
 * and returns false if its check fails. */
#ifndef BERTC_IR_INFER_H
#define BERTC_IR_INFER_H
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"

static inline const Type *arg_type(const Node *node, int i) { return &node->args[i]->type; }

/* Arguments for "%s is %s", as in "%x is f32[3]". */
#define VALUE_TEXT(v) value_print(v, (char[264]){0}), type_print(&(v)->type, (char[128]){0})
#define ARG_TEXT(i) VALUE_TEXT(node->args[i])
#define DIM_TEXT(size) \
	type_print(&(Type){.dtype = DT_F32, .rank = 1, .dim = {size}}, (char[128]){0}) + 3 /* "[S]" */

static inline Type floats_like(const Type *type)
{
	Type result = *type;
	result.dtype = DT_F32;
	return result;
}

static inline Dim last_dim(const Type *type) { return type->dim[type->rank - 1]; }

bool expect_float(const Node *, int i, Diag *);
bool expect_rank(const Node *, int i, int least, int most, Diag *);
bool expect_vector(const Node *, int i, Dim, Diag *); /* argument i is float[dim]: a bias, gamma, beta */
bool expect_not_negative(const Node *, const char *name, double value, Diag *);
bool expect_ids(const Node *, int i, Diag *);   /* argument i is i32[tokens] */
bool expect_table(const Node *, int i, Diag *); /* argument i is float[rows,width], i + 1 ids of its rows */
bool expect_selection(const Node *, Diag *);    /* keep, share and threshold, if given, are in range */
bool infer_same(const Node *, int least_rank, Type results[RESULTS_MAX],
	Diag *); /* the result is f32 of argument 0's shape */
/* The codes i8 and scales f32 of `floats`. Arguments at and at + 1 are steps and zero points. */
bool infer_codes(const Node *, const Type *floats, int32_t at, Type results[2], Diag *);
#endif
