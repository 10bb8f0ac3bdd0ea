/* infer.c: the type of every op's result from its arguments and attributes, one function an op, and with it the complete
 * list of what an op accepts: graph_insert, the parser's verifier and the passes all ask here. Numbers are eval.c's.
 *
 * Floats of any width may be arguments (constants stay as the checkpoint stores them); what is computed is f32. The ops that
 * only move elements (reshape, transpose, slice, concat of equals) keep the element type. Two dims are equal when their
 * terms are: f32[S,384] and f32[S,384] add, f32[S] and f32[S+1] never do, whatever S may be. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "ir.h"

/* ---- messages ------------------------------------------------------------------------------------------------------ */

bool node_error(const Node *node, Diag *diag, const char *format, ...)
{
	char *message, result[264];
	va_list args;
	va_start(args, format);
	int bytes = vasprintf(&message, format, args);
	va_end(args);
	bool named = node->nresults > 0 && node->results[0];
	diag_error(diag, EXIT_INPUT, node->line, "%s%s%s%s%s: %s", node->origin ? node->origin : "", node->origin ? ": " : "",
		named ? value_print(node->results[0], result) : "", named ? " = " : "", op_info[node->op].name,
		bytes >= 0 ? message : "out of memory");
	if (bytes >= 0)
		free(message);
	return false;
}

static const Type *arg_type(const Node *node, int i) { return &node->args[i]->type; }

/* "%x is f32[3]": the start of most complaints. */
#define ARG_TEXT(i) value_print(node->args[i], (char[264]){0}), type_print(arg_type(node, i), (char[128]){0})
#define DIM_TEXT(size) type_print(&(Type){.dtype = DT_F32, .rank = 1, .dim = {size}}, (char[128]){0}) + 3   /* "[S]" */

static bool expect_float(const Node *node, int i, Diag *diag)
{
	return dtype_is_float(arg_type(node, i)->dtype) || node_error(node, diag, "%s is %s, expected floats", ARG_TEXT(i));
}

static bool expect_rank(const Node *node, int i, int least, int most, Diag *diag)
{
	int rank = arg_type(node, i)->rank;
	if (rank >= least && rank <= most)
		return true;
	if (least == most)
		return node_error(node, diag, "%s is %s, expected rank %d", ARG_TEXT(i), least);
	return node_error(node, diag, "%s is %s, expected rank %d to %d", ARG_TEXT(i), least, most);
}

/* Argument i is float[dim] (a bias, gamma, beta). */
static bool expect_vector(const Node *node, int i, Dim dim, Diag *diag)
{
	if (!expect_float(node, i, diag) || !expect_rank(node, i, 1, 1, diag))
		return false;
	return dim_equal(arg_type(node, i)->dim[0], dim) ||
		node_error(node, diag, "%s is %s, expected %s", ARG_TEXT(i), DIM_TEXT(dim));
}

static bool expect_not_negative(const Node *node, const char *name, double value, Diag *diag)
{
	return (isfinite(value) && value >= 0) || node_error(node, diag, "%s is %g, expected a number >= 0", name, value);
}

static Type floats_like(const Type *type)
{
	Type result = *type;
	result.dtype = DT_F32;
	return result;
}

static Dim last_dim(const Type *type) { return type->dim[type->rank - 1]; }

/* ---- constants and ids --------------------------------------------------------------------------------------------- */

bool infer_CONST(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!node->data)
		return node_error(node, diag, "has no data");
	results[0] = node->data->type;
	return true;
}

static bool expect_ids(const Node *node, int i, Diag *diag)
{
	if (arg_type(node, i)->dtype != DT_I32 || arg_type(node, i)->rank != 1)
		return node_error(node, diag, "%s is %s, expected i32 of rank 1", ARG_TEXT(i));
	return true;
}

/* Arguments i and i+1 are a table and its ids. */
static bool expect_table(const Node *node, int i, Diag *diag)
{
	return expect_float(node, i, diag) && expect_rank(node, i, 2, 2, diag) && expect_ids(node, i + 1, diag);
}

bool infer_EMBED(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_table(node, 0, diag))
		return false;
	results[0] = type_make(DT_F32, 2, arg_type(node, 1)->dim[0], arg_type(node, 0)->dim[1]);
	return true;
}

static bool infer_embed_codes(const Node *node, int32_t codes_a_byte, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *table = arg_type(node, 0);
	if (table->dtype != DT_I8 || table->rank != 2)
		return node_error(node, diag, "%s is %s, expected a table i8[V,%s]", ARG_TEXT(0), codes_a_byte == 2 ? "H/2" : "H");
	if (!dim_is_number(table->dim[1]))
		return node_error(node, diag, "%s is %s, expected columns that are a number", ARG_TEXT(0));
	if (!expect_ids(node, 1, diag) || !expect_vector(node, 2, table->dim[0], diag))
		return false;
	results[0] = type_make(DT_F32, 2, arg_type(node, 1)->dim[0], dim_number(table->dim[1].plus * codes_a_byte));
	if (node->nargs == 4 && (!expect_float(node, 3, diag) || arg_type(node, 3)->rank != 2
		|| !dim_equal(arg_type(node, 3)->dim[0], results[0].dim[0]) || !dim_equal(arg_type(node, 3)->dim[1], results[0].dim[1])))
		return node_error(node, diag, "%s is %s, expected what is looked up, %s", ARG_TEXT(3),
			type_print(&results[0], (char[128]){0}));
	return true;
}

bool infer_EMBED_I8(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_embed_codes(node, 1, results, diag); }

bool infer_EMBED_I4(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_embed_codes(node, 2, results, diag); }

bool infer_POSITION_IDS(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_rank(node, 0, 1, 1, diag))
		return false;
	if ((node->attr.has & A_start) && (node->attr.start < 0 || node->attr.start > INT32_MAX))
		return node_error(node, diag, "start is %lld, expected 0 to %d", (long long)node->attr.start, INT32_MAX);
	results[0] = type_make(DT_I32, 1, arg_type(node, 0)->dim[0]);
	return true;
}

/* ---- products ------------------------------------------------------------------------------------------------------ */

/* The bytes of sparse.c; verify_lowered.c looks into them. */
static bool weights_are_sparse(const Type *weight) { return weight->rank == 1 && weight->dtype == DT_I8; }

/* Packed weights hold `width` outputs, panel by panel, the last one filled up with zeros: w[P,K,panel], or, of numbers that kernels
 * take in groups of g, w[P,ceil(K/g),panel,g], or are sparse, i8[bytes]. Sets the number of outputs and the length of the bias. */
static bool infer_panels(const Node *node, int i, Dim *outputs, Dim *bias, Diag *diag)
{
	int64_t panel = node->attr.panel, width = node->attr.width;
	if (!(node->attr.has & A_width))
		return node_error(node, diag, "panel is given without width");
	if (panel < 1 || panel > DIM_MAX || width < 1 || width > DIM_MAX)
		return node_error(node, diag, "panel is %lld and width is %lld, expected at least 1", (long long)panel,
			(long long)width);
	const Type *weight = arg_type(node, i);
	int64_t panels = (width + panel - 1) / panel;
	if (weights_are_sparse(weight)) {
		if (panel != SPARSE_PANEL || !value_is_const(node->args[i]))
			return node_error(node, diag, "%s is %s, sparse weights: expected a constant and panels of %d", ARG_TEXT(i), SPARSE_PANEL);
	} else {
		if (!expect_rank(node, i, 3, 4, diag))
			return false;
		if (!dim_equal(weight->dim[0], dim_number(panels)) || !dim_equal(weight->dim[2], dim_number(panel)))
			return node_error(node, diag, "%s is %s, expected [%lld,K,%lld] for width %lld", ARG_TEXT(i), (long long)panels,
				(long long)panel, (long long)width);
	}
	*outputs = dim_number(width);
	*bias = dim_number(panels * panel);
	return true;
}

/* Argument i is a matrix of weights [N,K], or its packed form, for rows of argument 0. */
static bool infer_weights(const Node *node, int i, Dim *outputs, Dim *bias, Diag *diag)
{
	if (node->attr.has & A_panel) {
		if (!infer_panels(node, i, outputs, bias, diag))
			return false;
	} else {
		if (node->attr.has & A_width)
			return node_error(node, diag, "width is given without panel");
		if (!expect_rank(node, i, 2, 2, diag))
			return false;
		*outputs = *bias = arg_type(node, i)->dim[0];
	}
	const Type *x = arg_type(node, 0), *weight = arg_type(node, i);
	if (!type_is_number(weight))
		return node_error(node, diag, "%s is %s, expected weights of a fixed size (matmul multiplies activations)", ARG_TEXT(i));
	int64_t group = weight->rank == 4 ? weight->dim[3].plus : 1;
	Dim inputs = last_dim(x);
	bool fit = weights_are_sparse(weight) ? dim_is_number(inputs)
		: weight->rank == 4 ? dim_is_number(inputs) && (inputs.plus + group - 1) / group == weight->dim[1].plus
		: dim_equal(inputs, weight->dim[1]);
	return fit || node_error(node, diag, "%s is %s but %s is %s: the inner sizes differ", ARG_TEXT(0), ARG_TEXT(i));
}

static bool infer_linear(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	Dim outputs, bias;
	const bool sparse = (node->attr.has & A_panel) && node->op == OP_LINEAR && weights_are_sparse(arg_type(node, 1));   /* f32 words */
	if (!expect_float(node, 0, diag) || !(sparse || expect_float(node, 1, diag)) || !expect_rank(node, 0, 1, RANK_MAX, diag)
		|| !infer_weights(node, 1, &outputs, &bias, diag) || (node->nargs == 3 && !expect_vector(node, 2, bias, diag)))
		return false;
	const Type *x = arg_type(node, 0);
	results[0] = floats_like(x);
	results[0].dim[x->rank - 1] = outputs;
	return true;
}

bool infer_LINEAR(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if ((node->attr.has & A_panel) && !weights_are_sparse(arg_type(node, 1)) && !expect_rank(node, 1, 3, 3, diag))
		return false;
	return infer_linear(node, results, diag);
}

bool infer_LINEAR_BF16(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_linear(node, results, diag);
}

static bool expect_dtype(const Node *node, int i, DType dtype, Diag *diag)
{
	return arg_type(node, i)->dtype == dtype || node_error(node, diag, "%s is %s, expected %s", ARG_TEXT(i), dtype_names[dtype]);
}

/* The scales of codes[..,K]: f32[..]. */
static Type type_of_scales(const Type *codes)
{
	Type scales = floats_like(codes);
	scales.rank--;
	return scales;
}

bool infer_QUANTIZE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 1, RANK_MAX, diag))
		return false;
	results[0] = *arg_type(node, 0);
	results[0].dtype = DT_I8;
	results[1] = type_of_scales(arg_type(node, 0));
	return true;
}

/* The codes of floats by static scales, which are arguments `at` and `at` + 1. */
static bool infer_codes(const Node *node, const Type *floats, int32_t at, Type results[2], Diag *diag)
{
	const Dim width = floats->dim[floats->rank - 1];
	results[1] = type_of_scales(floats);
	results[0] = *floats;
	results[0].dtype = DT_I8;
	return expect_vector(node, at, width, diag) && expect_vector(node, at + 1, width, diag);
}

bool infer_QUANTIZE_STATIC(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return expect_float(node, 0, diag) && expect_rank(node, 0, 1, RANK_MAX, diag) && infer_codes(node, arg_type(node, 0), 1, results, diag);
}

/* Codes, weights, scales, bias; the sums of packed codes are argument `at_sums`. */
static bool infer_linear_i8(const Node *node, int32_t at_sums, Type results[RESULTS_MAX], Diag *diag)
{
	Dim outputs, bias;
	if (!expect_dtype(node, 0, DT_I8, diag) || !expect_rank(node, 0, 1, RANK_MAX, diag) || !expect_dtype(node, 2, DT_I8, diag)
		|| !infer_weights(node, 2, &outputs, &bias, diag) || !expect_vector(node, 3, bias, diag)
		|| (node->nargs >= 5 && !expect_vector(node, 4, bias, diag)))
		return false;
	const Type *x = arg_type(node, 0), scales = type_of_scales(x);
	if (!type_equal(arg_type(node, 1), &scales))
		return node_error(node, diag, "%s is %s, expected the scales %s of the codes", ARG_TEXT(1),
			type_print(&scales, (char[128]){0}));
	const Type sums = type_make(DT_I32, 1, bias);
	if (node->nargs > at_sums && !type_equal(arg_type(node, at_sums), &sums))
		return node_error(node, diag, "%s is %s, expected i32%s, the sums of the packed codes", ARG_TEXT(at_sums), DIM_TEXT(bias));
	results[0] = floats_like(x);
	results[0].dim[x->rank - 1] = outputs;
	return true;
}

bool infer_LINEAR_I8(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_linear_i8(node, 5, results, diag);
}

bool infer_LINEAR_I8_CODES(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!infer_linear_i8(node, 7, results, diag))
		return false;
	const Type floats = results[0];
	return infer_codes(node, &floats, 5, results, diag);
}

bool infer_MATMUL(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_float(node, 1, diag) || !expect_rank(node, 0, 2, RANK_MAX, diag))
		return false;
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	bool fit = a->rank == b->rank && dim_equal(last_dim(a), b->dim[a->rank - 2]);
	for (int i = 0; fit && i < a->rank - 2; i++)
		fit = dim_equal(a->dim[i], b->dim[i]);
	if (!fit)
		return node_error(node, diag, "%s is %s but %s is %s, expected [..,M,K] and [..,K,N] with equal leading axes",
			ARG_TEXT(0), ARG_TEXT(1));
	results[0] = floats_like(a);
	results[0].dim[a->rank - 1] = last_dim(b);
	return true;
}

/* ---- moving elements ----------------------------------------------------------------------------------------------- */

bool infer_TRANSPOSE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *a = arg_type(node, 0);
	const Ints *perm = &node->attr.perm;
	unsigned seen = 0;
	if (perm->count != a->rank)
		return node_error(node, diag, "perm has %d axes but %s is %s", perm->count, ARG_TEXT(0));
	results[0] = *a;
	for (int i = 0; i < perm->count; i++) {
		if (perm->at[i] < 0 || perm->at[i] >= a->rank || (seen & 1u << perm->at[i]))
			return node_error(node, diag, "perm is not a permutation of 0..%d", a->rank - 1);
		seen |= 1u << perm->at[i];
		results[0].dim[i] = a->dim[perm->at[i]];
	}
	return true;
}

bool infer_RESHAPE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Dims *shape = &node->attr.shape;
	const Type *a = arg_type(node, 0);
	Type result = {.dtype = a->dtype, .rank = shape->count};
	if (shape->count < 0 || shape->count > RANK_MAX)
		return node_error(node, diag, "shape has %d dims, the most is %d", shape->count, RANK_MAX);
	for (int i = 0; i < shape->count; i++) {
		if (!dim_is_valid(shape->at[i]))
			return node_error(node, diag, "shape has the dim %s, expected a number from 1 or a term of S",
				DIM_TEXT(shape->at[i]));
		result.dim[i] = shape->at[i];
	}
	if (!type_counts_equal(a, &result))
		return node_error(node, diag, "%s is %s, which has not as many elements as %s", ARG_TEXT(0),
			type_print(&result, (char[128]){0}));
	results[0] = result;
	return true;
}

/* attr.axis names an axis of argument i, and that axis has a fixed size. */
static bool expect_fixed_axis(const Node *node, int i, Diag *diag)
{
	const Type *a = arg_type(node, i);
	if (node->attr.axis < 0 || node->attr.axis >= a->rank)
		return node_error(node, diag, "axis is %lld but %s is %s", (long long)node->attr.axis, ARG_TEXT(i));
	return dim_is_number(a->dim[node->attr.axis]) ||
		node_error(node, diag, "axis %lld of %s, %s, has no fixed size", (long long)node->attr.axis, ARG_TEXT(i));
}

bool infer_SLICE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	int64_t start = node->attr.start, end = node->attr.end;
	if (!expect_fixed_axis(node, 0, diag))
		return false;
	const Type *a = arg_type(node, 0);
	if (start < 0 || start >= end || end > a->dim[node->attr.axis].plus)
		return node_error(node, diag, "start %lld and end %lld do not fit axis %lld of %s, %s", (long long)start, (long long)end,
			(long long)node->attr.axis, ARG_TEXT(0));
	results[0] = *a;
	results[0].dim[node->attr.axis] = dim_number(end - start);
	return true;
}

bool infer_CONCAT(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_fixed_axis(node, 0, diag))
		return false;
	const Type *first = arg_type(node, 0);
	int64_t axis = node->attr.axis, total = first->dim[axis].plus;
	results[0] = *first;
	for (int i = 1; i < node->nargs; i++) {
		const Type *a = arg_type(node, i);
		bool fit = a->rank == first->rank && dim_is_number(a->dim[axis]);
		for (int d = 0; fit && d < a->rank; d++)
			fit = d == axis || dim_equal(a->dim[d], first->dim[d]);
		if (!fit || (a->dtype != first->dtype && !(dtype_is_float(a->dtype) && dtype_is_float(first->dtype))))
			return node_error(node, diag, "%s is %s, which does not fit %s, %s, along axis %lld", ARG_TEXT(i), ARG_TEXT(0),
				(long long)axis);
		if (a->dtype != first->dtype)
			results[0].dtype = DT_F32;
		if (__builtin_add_overflow(total, a->dim[axis].plus, &total) || total > DIM_MAX)
			return node_error(node, diag, "the result has more than %lld elements along axis %lld", (long long)DIM_MAX,
				(long long)axis);
	}
	results[0].dim[axis] = dim_number(total);
	return true;
}

/* ---- selecting ------------------------------------------------------------------------------------------------------ */

static bool expect_selection(const Node *node, Diag *diag)
{
	const Attrs *attr = &node->attr;
	const uint32_t given = attr->has & A_SELECT;
	if (given & (given - 1))
		return node_error(node, diag, "keep, share and threshold exclude each other");
	if ((given & A_keep) && (attr->keep < 1 || attr->keep > INT32_MAX))
		return node_error(node, diag, "keep is %lld, expected a number from 1", (long long)attr->keep);
	if ((given & A_share) && !(attr->share > 0 && attr->share <= 1))
		return node_error(node, diag, "share is %g, expected a number above 0 and at most 1", attr->share);
	if ((given & A_threshold) && !(attr->threshold > 0 && attr->threshold <= 1))
		return node_error(node, diag, "threshold is %g, expected a probability above 0", attr->threshold);
	return true;
}

bool infer_THIN(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag) || !expect_selection(node, diag))
		return false;
	const Type *a = arg_type(node, 0), must = type_make(DT_F32, 2, a->dim[0], dim_number(1));
	if (!(node->attr.has & (A_keep | A_share)))
		return node_error(node, diag, "says neither keep nor share");
	if (node->attr.symbol < 1 || node->attr.symbol >= SYMBOLS_MAX - 1)
		return node_error(node, diag, "symbol is %lld, expected 1 to %d", (long long)node->attr.symbol, SYMBOLS_MAX - 2);
	if (node->nargs == 2 && !type_equal(arg_type(node, 1), &must))
		return node_error(node, diag, "%s is %s, expected one number a row of %s, %s", ARG_TEXT(1), ARG_TEXT(0));
	results[0] = type_make(DT_I32, 1, dim_symbol((int32_t)node->attr.symbol + 1));
	return true;
}

/* Argument i holds places of `rows` rows: thin made them of as many, where it did. The evaluator looks at every place; compiled code
 * takes none but thin's. */
static bool expect_places(const Node *node, int i, Dim rows, Diag *diag)
{
	const Node *thin = node->args[i]->node;
	return !thin || thin->op != OP_THIN || dim_equal(arg_type(thin, 0)->dim[0], rows) ||
		node_error(node, diag, "%s are places of other rows, those of %s", value_print(node->args[i], (char[264]){0}),
			value_print(thin->args[0], (char[264]){0}));
}

bool infer_GATHER(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag) || !expect_ids(node, 1, diag)
		|| !expect_places(node, 1, arg_type(node, 0)->dim[0], diag))
		return false;
	results[0] = type_make(DT_F32, 2, arg_type(node, 1)->dim[0], arg_type(node, 0)->dim[1]);
	return true;
}

bool infer_SPREAD(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag) || !expect_ids(node, 1, diag)
		|| !expect_rank(node, 2, 1, RANK_MAX, diag) || !expect_places(node, 1, arg_type(node, 2)->dim[0], diag))
		return false;
	if (!dim_equal(arg_type(node, 0)->dim[0], arg_type(node, 1)->dim[0]))
		return node_error(node, diag, "%s is %s, expected a row for each of %s, %s", ARG_TEXT(0), ARG_TEXT(1));
	results[0] = type_make(DT_F32, 2, arg_type(node, 2)->dim[0], arg_type(node, 0)->dim[1]);
	return true;
}

/* ---- elementwise --------------------------------------------------------------------------------------------------- */

/* Axes are matched from the last one; a size of 1 stretches. */
static bool infer_broadcast(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_float(node, 1, diag))
		return false;
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	Type result = floats_like(a->rank >= b->rank ? a : b);
	for (int i = 1; i <= a->rank && i <= b->rank; i++) {
		Dim of_a = a->dim[a->rank - i], of_b = b->dim[b->rank - i], one = dim_number(1);
		if (!dim_equal(of_a, of_b) && !dim_equal(of_a, one) && !dim_equal(of_b, one))
			return node_error(node, diag, "%s is %s and %s is %s: these shapes do not broadcast", ARG_TEXT(0), ARG_TEXT(1));
		result.dim[result.rank - i] = dim_equal(of_a, one) ? of_b : of_a;
	}
	results[0] = result;
	return true;
}

bool infer_ADD(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_broadcast(node, results, diag); }
bool infer_SUB(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_broadcast(node, results, diag); }
bool infer_MUL(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_broadcast(node, results, diag); }
bool infer_DIV(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_broadcast(node, results, diag); }

static bool infer_same(const Node *node, int least_rank, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, least_rank, RANK_MAX, diag))
		return false;
	results[0] = floats_like(arg_type(node, 0));
	return true;
}

bool infer_ERF(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_same(node, 0, results, diag); }
bool infer_TANH(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_same(node, 0, results, diag); }
bool infer_RELU(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_same(node, 0, results, diag); }
bool infer_SIGMOID(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_same(node, 0, results, diag); }
bool infer_EXP(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_same(node, 0, results, diag); }
bool infer_SQRT(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_same(node, 0, results, diag); }
bool infer_SOFTMAX(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_same(node, 1, results, diag) && expect_selection(node, diag);
}
bool infer_ACTIVATION(const Node *node, Type results[RESULTS_MAX], Diag *diag) { return infer_same(node, 0, results, diag); }

/* Keeps the element type that the result has been given (graph_insert: f32). */
bool infer_CAST(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	(void)diag;
	results[0] = floats_like(arg_type(node, 0));
	if (node->nresults > 0 && node->results[0])
		results[0].dtype = node->results[0]->type.dtype;
	return true;
}

/* ---- over the last axis -------------------------------------------------------------------------------------------- */

bool infer_LAYERNORM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!infer_same(node, 1, results, diag))
		return false;
	Dim size = last_dim(arg_type(node, 0));
	return expect_vector(node, 1, size, diag) && expect_vector(node, 2, size, diag) &&
		expect_not_negative(node, "eps", node->attr.eps, diag);
}

bool infer_ADD_LAYERNORM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!infer_same(node, 1, results, diag) || !expect_float(node, 1, diag))
		return false;
	const Type *a = arg_type(node, 0), b = floats_like(arg_type(node, 1));
	if (!type_equal(&results[0], &b))
		return node_error(node, diag, "%s is %s and %s is %s, expected the same shape", ARG_TEXT(0), ARG_TEXT(1));
	return expect_vector(node, 2, last_dim(a), diag) && expect_vector(node, 3, last_dim(a), diag) &&
		expect_not_negative(node, "eps", node->attr.eps, diag);
}

bool infer_ADD_LAYERNORM_CODES(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_ADD_LAYERNORM(node, results, diag) && infer_codes(node, &results[0], 4, results + 1, diag);
}

/* Arguments: table, ids, table, ids, .., gamma, beta. */
bool infer_EMBED_LAYERNORM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (node->nargs % 2 != 0)
		return node_error(node, diag, "%d arguments, expected pairs of a table and its ids, then gamma and beta", node->nargs);
	Type result = {0};
	for (int i = 0; i < node->nargs - 2; i += 2) {
		if (!expect_table(node, i, diag))
			return false;
		Type row = type_make(DT_F32, 2, arg_type(node, i + 1)->dim[0], arg_type(node, i)->dim[1]);
		if (i == 0)
			result = row;
		else if (!type_equal(&result, &row))
			return node_error(node, diag, "%s, %s, and its ids, %s, %s, do not fit the first table", ARG_TEXT(i),
				ARG_TEXT(i + 1));
	}
	results[0] = result;
	int gamma = node->nargs - 2, beta = node->nargs - 1;
	return expect_vector(node, gamma, result.dim[1], diag) && expect_vector(node, beta, result.dim[1], diag) &&
		expect_not_negative(node, "eps", node->attr.eps, diag);
}

bool infer_NORMALIZE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_same(node, 1, results, diag) && expect_not_negative(node, "eps", node->attr.eps, diag);
}

/* ---- over the tokens of a text ------------------------------------------------------------------------------------- */

bool infer_POOL(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	results[0] = type_make(DT_F32, 1, arg_type(node, 0)->dim[1]);
	return true;
}

bool infer_EXIT(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *logits = arg_type(node, 1);
	if (!expect_float(node, 0, diag) || !expect_float(node, 1, diag) || !expect_rank(node, 1, 1, 1, diag))
		return false;
	results[0] = *arg_type(node, 0);
	return (dim_is_number(logits->dim[0]) && logits->dim[0].plus > 1)
		|| node_error(node, diag, "%s is %s; an entropy is that of two labels or more", ARG_TEXT(1));
}

/* Argument i is float[keys, parts*hidden]; its rows must be as many as those of argument `like`. */
static bool expect_heads(const Node *node, int i, int like, int parts, int64_t hidden, Diag *diag)
{
	if (!expect_float(node, i, diag) || !expect_rank(node, i, 2, 2, diag))
		return false;
	const Type *a = arg_type(node, i);
	return (dim_equal(a->dim[1], dim_number(parts * hidden)) && dim_equal(a->dim[0], arg_type(node, like)->dim[0])) ||
		node_error(node, diag, "%s is %s, expected %lld columns and as many rows as %s has, %s", ARG_TEXT(i),
			(long long)(parts * hidden), ARG_TEXT(like));
}

bool infer_ATTENTION(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	static const int args_of[PACK_COUNT] = {[PACK_NONE] = 3, [PACK_KV] = 2, [PACK_QKV] = 1};
	static const char *const words[PACK_COUNT] = {[PACK_NONE] = "q, k and v", [PACK_KV] = "q and kv", [PACK_QKV] = "qkv"};
	Pack pack = node->attr.pack;
	if ((unsigned)pack >= PACK_COUNT || node->nargs != args_of[pack])
		return node_error(node, diag, "%d arguments, expected %s", node->nargs,
			(unsigned)pack < PACK_COUNT ? words[pack] : "a pack");
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, pack == PACK_QKV ? 2 : 1, 2, diag))
		return false;
	const Type *q = arg_type(node, 0);
	Dim columns = last_dim(q);
	int64_t parts = pack == PACK_QKV ? 3 : 1, heads = node->attr.heads;
	int64_t hidden = dim_is_number(columns) ? columns.plus / parts : 0;
	if (hidden < 1 || columns.plus % parts != 0 || heads < 1 || hidden % heads != 0)
		return node_error(node, diag, "%s is %s, which cannot be cut into %lld heads", ARG_TEXT(0), (long long)heads);
	if (hidden > DIM_MAX / 2)
		return node_error(node, diag, "%s is %s, which is too wide", ARG_TEXT(0));
	if (pack == PACK_NONE && !(expect_heads(node, 1, 1, 1, hidden, diag) && expect_heads(node, 2, 1, 1, hidden, diag)))
		return false;
	if (pack == PACK_KV && !expect_heads(node, 1, 1, 2, hidden, diag))
		return false;
	if ((node->attr.has & A_bits) && node->attr.bits != 16 && node->attr.bits != 32)
		return node_error(node, diag, "bits is %lld, expected 16 or 32", (long long)node->attr.bits);
	if ((node->attr.has & A_scale) && !isfinite(node->attr.scale))
		return node_error(node, diag, "scale is %g, expected a finite number", node->attr.scale);
	if ((node->attr.has & A_SELECT) && (node->attr.has & A_bits) && node->attr.bits != 32)
		return node_error(node, diag, "bits=%lld would change which keys are selected", (long long)node->attr.bits);
	results[0] = floats_like(q);
	results[0].dim[q->rank - 1] = dim_number(hidden);
	return expect_selection(node, diag);
}

bool infer_RECEIVED(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Pack pack = node->attr.pack;
	const int64_t heads = node->attr.heads, parts = pack == PACK_QKV ? 3 : 1;
	if ((pack != PACK_NONE && pack != PACK_QKV) || node->nargs != (pack == PACK_QKV ? 1 : 2))
		return node_error(node, diag, "%d arguments, expected q and k, or qkv", node->nargs);
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	const Type *q = arg_type(node, 0);
	const int64_t hidden = dim_is_number(q->dim[1]) ? q->dim[1].plus / parts : 0;
	if (hidden < 1 || q->dim[1].plus % parts != 0 || heads < 1 || hidden % heads != 0 || hidden > DIM_MAX / 2)
		return node_error(node, diag, "%s is %s, which cannot be cut into %lld heads", ARG_TEXT(0), (long long)heads);
	if (pack == PACK_NONE && !expect_heads(node, 1, 0, 1, hidden, diag))
		return false;
	if ((node->attr.has & A_scale) && !isfinite(node->attr.scale))
		return node_error(node, diag, "scale is %g, expected a finite number", node->attr.scale);
	results[0] = type_make(DT_F32, 2, q->dim[0], dim_number(heads));
	return expect_selection(node, diag);
}

/* ---- all ops ------------------------------------------------------------------------------------------------------- */

#define ATTR(name, KIND, doc) [AI_##name] = #name,
static const char *const attr_names[AI_COUNT] = {
#include "attrs.def"
};
#undef ATTR

static bool check_attributes(const Node *node, Diag *diag)
{
	const OpInfo *info = &op_info[node->op];
	bool good = true;
	for (int i = 0; i < AI_COUNT; i++) {
		uint32_t bit = (uint32_t)1 << i;
		if ((info->required & bit) && !(node->attr.has & bit))
			good = node_error(node, diag, "attribute %s is missing", attr_names[i]);
		if ((node->attr.has & bit) && !((info->required | info->optional) & bit))
			good = node_error(node, diag, "takes no attribute %s", attr_names[i]);
	}
	if ((node->attr.has & A_act) && (unsigned)node->attr.act >= ACT_COUNT)
		good = node_error(node, diag, "act is %d, which is no activation", (int)node->attr.act);
	if ((node->attr.has & A_mode) && (unsigned)node->attr.mode >= POOL_COUNT)
		good = node_error(node, diag, "mode is %d, which is no way to pool", (int)node->attr.mode);
	return good;
}

bool node_infer(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const OpInfo *info = &op_info[node->op];
	if (node->nargs < info->least_args || node->nargs > info->most_args) {
		if (info->least_args == info->most_args)
			return node_error(node, diag, "%d arguments, expected %d", node->nargs, info->least_args);
		return node_error(node, diag, "%d arguments, expected %d to %d", node->nargs, info->least_args, info->most_args);
	}
	return check_attributes(node, diag) && info->infer(node, results, diag);
}
