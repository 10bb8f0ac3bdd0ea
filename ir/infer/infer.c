/* infer.c: derives the result types of each op from its arguments and attributes, one function per op. The
 * functions also define all that an op accepts: graph_insert, the verifier and the passes call them. eval.c
 * computes numbers.
 *
 * Arguments may be floats of any width, because constants stay as the checkpoint stores them. Results are
 * f32. Ops that only move elements (reshape, transpose, slice, concat of equal types) keep the element type.
 * Two dims are equal if their terms are equal: f32[S] and f32[S+1] never match, whatever S is. */
#include "infer.h"

/* ---- messages -------------------------------------------------------------------------------- */

bool expect_float(const Node *node, int i, Diag *diag)
{
	return dtype_is_float(arg_type(node, i)->dtype)
		|| node_error(node, diag, "%s is %s, expected floats", ARG_TEXT(i));
}

bool expect_rank(const Node *node, int i, int least, int most, Diag *diag)
{
	int rank = arg_type(node, i)->rank;
	if (rank >= least && rank <= most)
		return true;
	if (least == most)
		return node_error(node, diag, "%s is %s, expected rank %d", ARG_TEXT(i), least);
	return node_error(node, diag, "%s is %s, expected rank %d to %d", ARG_TEXT(i), least, most);
}

/* Argument i is float[dim] (a bias, gamma, beta). */
bool expect_vector(const Node *node, int i, Dim dim, Diag *diag)
{
	if (!expect_float(node, i, diag) || !expect_rank(node, i, 1, 1, diag))
		return false;
	return dim_equal(arg_type(node, i)->dim[0], dim)
		|| node_error(node, diag, "%s is %s, expected %s", ARG_TEXT(i), DIM_TEXT(dim));
}

bool expect_not_negative(const Node *node, const char *name, double value, Diag *diag)
{
	return (isfinite(value) && value >= 0)
		|| node_error(node, diag, "%s is %g, expected a number >= 0", name, value);
}

/* ---- constants and ids ----------------------------------------------------------------------- */

bool infer_CONST(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!node->data)
		return node_error(node, diag, "has no data");
	results[0] = node->data->type;
	return true;
}

bool expect_ids(const Node *node, int i, Diag *diag)
{
	if (arg_type(node, i)->dtype != DT_I32 || arg_type(node, i)->rank != 1)
		return node_error(node, diag, "%s is %s, expected i32 of rank 1", ARG_TEXT(i));
	return true;
}

/* Arguments i and i+1 are a table and its ids. */
bool expect_table(const Node *node, int i, Diag *diag)
{
	return expect_float(node, i, diag) && expect_rank(node, i, 2, 2, diag) && expect_ids(node, i + 1, diag);
}

bool infer_BAG(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 1, 1, diag) || !expect_ids(node, 1, diag))
		return false;
	if (!dim_is_number(arg_type(node, 0)->dim[0]))
		return node_error(node, diag, "%s is %s, expected a number for each id", ARG_TEXT(0));
	results[0] = type_make(DT_F32, 2, dim_number(1), arg_type(node, 0)->dim[0]);
	return true;
}

/* A table packed like the weight of a linear: [P,H,panel] for `width` rows. */
static bool expect_packed_table(const Node *node, Diag *diag)
{
	const int64_t panel = node->attr.panel, width = node->attr.width;
	if ((node->attr.has & (A_panel | A_width)) != (A_panel | A_width) || panel < 1 || panel > DIM_MAX
		|| width < 1 || width > DIM_MAX)
		return node_error(node, diag, "a packed table needs both panel and width, each at least 1");
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 3, 3, diag) || !expect_ids(node, 1, diag))
		return false;
	const Dim *table = arg_type(node, 0)->dim;
	const int64_t panels = (width + panel - 1) / panel;
	return (dim_equal(table[0], dim_number(panels)) && dim_is_number(table[1])
			   && dim_equal(table[2], dim_number(panel)))
		|| node_error(node, diag, "%s is %s, expected [%lld,H,%lld] for width %lld", ARG_TEXT(0),
			(long long)panels, (long long)panel, (long long)width);
}

bool infer_EMBED(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!(node->attr.has & (A_panel | A_width)) ? !expect_table(node, 0, diag)
												: !expect_packed_table(node, diag))
		return false;
	results[0] = type_make(DT_F32, 2, arg_type(node, 1)->dim[0], arg_type(node, 0)->dim[1]);
	return true;
}

static bool infer_embed_codes(const Node *node, int32_t codes_a_byte, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *table = arg_type(node, 0);
	if (table->dtype != DT_I8 || table->rank != 2)
		return node_error(
			node, diag, "%s is %s, expected a table i8[V,%s]", ARG_TEXT(0), codes_a_byte == 2 ? "H/2" : "H");
	if (!dim_is_number(table->dim[1]))
		return node_error(node, diag, "%s is %s, expected a fixed number of columns", ARG_TEXT(0));
	if (!expect_ids(node, 1, diag) || !expect_vector(node, 2, table->dim[0], diag))
		return false;
	results[0] = type_make(
		DT_F32, 2, arg_type(node, 1)->dim[0], dim_number(table->dim[1].plus * codes_a_byte));
	if (node->nargs == 4
		&& (!expect_float(node, 3, diag) || arg_type(node, 3)->rank != 2
			|| !dim_equal(arg_type(node, 3)->dim[0], results[0].dim[0])
			|| !dim_equal(arg_type(node, 3)->dim[1], results[0].dim[1])))
		return node_error(node, diag, "%s is %s, expected the type of the looked-up rows, %s", ARG_TEXT(3),
			type_print(&results[0], (char[128]){0}));
	return true;
}

bool infer_EMBED_I8(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_embed_codes(node, 1, results, diag);
}

bool infer_EMBED_I4(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_embed_codes(node, 2, results, diag);
}

bool infer_POSITION_IDS(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_rank(node, 0, 1, node->attr.has & A_padding ? 1 : RANK_MAX, diag))
		return false;
	if ((node->attr.has & A_start) && (node->attr.start < 0 || node->attr.start > INT32_MAX))
		return node_error(
			node, diag, "start is %lld, expected 0 to %d", (long long)node->attr.start, INT32_MAX);
	if (node->attr.has & A_padding) {
		if (node->attr.padding < 0 || node->attr.padding > INT32_MAX)
			return node_error(
				node, diag, "padding is %lld, expected 0 to %d", (long long)node->attr.padding, INT32_MAX);
		if (!(node->attr.has & A_start) || node->attr.start < 1)
			return node_error(
				node, diag, "padding needs start >= 1, because padding itself has position start - 1");
	}
	results[0] = type_make(DT_I32, 1, arg_type(node, 0)->dim[0]);
	return true;
}

/* ---- moving elements ------------------------------------------------------------------------- */

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
		return node_error(node, diag, "shape has %d dims, expected at most %d", shape->count, RANK_MAX);
	for (int i = 0; i < shape->count; i++) {
		if (!dim_is_valid(shape->at[i]))
			return node_error(node, diag, "shape has the dim %s, expected a number >= 1 or a term in S",
				DIM_TEXT(shape->at[i]));
		result.dim[i] = shape->at[i];
	}
	if (!type_counts_equal(a, &result))
		return node_error(node, diag, "%s is %s, which has another number of elements than %s", ARG_TEXT(0),
			type_print(&result, (char[128]){0}));
	results[0] = result;
	return true;
}

/* Checks that attr.axis is an axis of argument i and has a fixed size. */
static bool expect_fixed_axis(const Node *node, int i, Diag *diag)
{
	const Type *a = arg_type(node, i);
	if (node->attr.axis < 0 || node->attr.axis >= a->rank)
		return node_error(node, diag, "axis is %lld but %s is %s", (long long)node->attr.axis, ARG_TEXT(i));
	return dim_is_number(a->dim[node->attr.axis])
		|| node_error(
			node, diag, "axis %lld of %s, %s, has no fixed size", (long long)node->attr.axis, ARG_TEXT(i));
}

bool infer_SLICE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	int64_t start = node->attr.start, end = node->attr.end;
	if (!expect_fixed_axis(node, 0, diag))
		return false;
	const Type *a = arg_type(node, 0);
	if (start < 0 || start >= end || end > a->dim[node->attr.axis].plus)
		return node_error(node, diag, "start %lld and end %lld do not fit axis %lld of %s, %s",
			(long long)start, (long long)end, (long long)node->attr.axis, ARG_TEXT(0));
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
			return node_error(node, diag, "%s is %s, which does not fit %s, %s, along axis %lld", ARG_TEXT(i),
				ARG_TEXT(0), (long long)axis);
		if (a->dtype != first->dtype)
			results[0].dtype = DT_F32;
		if (__builtin_add_overflow(total, a->dim[axis].plus, &total) || total > DIM_MAX)
			return node_error(node, diag, "the result has more than %lld elements along axis %lld",
				(long long)DIM_MAX, (long long)axis);
	}
	results[0].dim[axis] = dim_number(total);
	return true;
}

/* ---- elementwise ----------------------------------------------------------------------------- */

/* Matches axes from the last one. An axis of size 1 stretches. */
static bool infer_broadcast(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_float(node, 1, diag))
		return false;
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	Type result = floats_like(a->rank >= b->rank ? a : b);
	for (int i = 1; i <= a->rank && i <= b->rank; i++) {
		Dim of_a = a->dim[a->rank - i], of_b = b->dim[b->rank - i], one = dim_number(1);
		if (!dim_equal(of_a, of_b) && !dim_equal(of_a, one) && !dim_equal(of_b, one))
			return node_error(
				node, diag, "%s is %s and %s is %s: these shapes do not broadcast", ARG_TEXT(0), ARG_TEXT(1));
		result.dim[result.rank - i] = dim_equal(of_a, one) ? of_b : of_a;
	}
	results[0] = result;
	return true;
}

#define BROADCASTS(NAME) \
	bool infer_##NAME(const Node *node, Type results[RESULTS_MAX], Diag *diag) \
	{ \
		return infer_broadcast(node, results, diag); \
	}
BROADCASTS(ADD)
BROADCASTS(SUB)
BROADCASTS(MUL)
BROADCASTS(DIV)

bool infer_same(const Node *node, int least_rank, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, least_rank, RANK_MAX, diag))
		return false;
	results[0] = floats_like(arg_type(node, 0));
	return true;
}

#define KEEPS_SHAPE(NAME) \
	bool infer_##NAME(const Node *node, Type results[RESULTS_MAX], Diag *diag) \
	{ \
		return infer_same(node, 0, results, diag); \
	}
KEEPS_SHAPE(ERF)
KEEPS_SHAPE(TANH)
KEEPS_SHAPE(RELU)
KEEPS_SHAPE(SIGMOID)
KEEPS_SHAPE(EXP)
KEEPS_SHAPE(SQRT)
KEEPS_SHAPE(LOG1P)
KEEPS_SHAPE(ACTIVATION)

bool infer_SOFTMAX(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_same(node, 1, results, diag) && expect_selection(node, diag);
}

/* Keeps the element type that the result already has (from graph_insert: f32). */
bool infer_CAST(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	(void)diag;
	results[0] = floats_like(arg_type(node, 0));
	if (node->nresults > 0 && node->results[0])
		results[0].dtype = node->results[0]->type.dtype;
	return true;
}
