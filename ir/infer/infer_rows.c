/* infer_rows.c: types of ops on whole rows or on the tokens of a text: selection, norms, pooling. */
#include "infer.h"

/* ---- selecting ------------------------------------------------------------------------------- */

bool expect_selection(const Node *node, Diag *diag)
{
	const Attrs *attr = &node->attr;
	const uint32_t given = attr->has & A_SELECT;
	if (given & (given - 1))
		return node_error(node, diag, "keep, share and threshold exclude each other");
	if ((given & A_keep) && (attr->keep < 1 || attr->keep > INT32_MAX))
		return node_error(node, diag, "keep is %lld, expected a number >= 1", (long long)attr->keep);
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
		return node_error(node, diag, "needs keep or share");
	if (node->attr.symbol < 1 || node->attr.symbol >= SYMBOLS_MAX - 1)
		return node_error(
			node, diag, "symbol is %lld, expected 1 to %d", (long long)node->attr.symbol, SYMBOLS_MAX - 2);
	if (node->nargs == 2 && !type_equal(arg_type(node, 1), &must))
		return node_error(
			node, diag, "%s is %s, expected one number per row of %s, %s", ARG_TEXT(1), ARG_TEXT(0));
	results[0] = type_make(DT_I32, 1, dim_symbol((int32_t)node->attr.symbol + 1));
	return true;
}

/* Checks that argument i holds indices into `rows` rows. If thin made them, it must have had as many rows.
 * The evaluator checks every index. Compiled code accepts only indices from thin. */
static bool expect_places(const Node *node, int i, Dim rows, Diag *diag)
{
	const Node *thin = node->args[i]->node;
	return !thin || thin->op != OP_THIN || dim_equal(arg_type(thin, 0)->dim[0], rows)
		|| node_error(node, diag, "%s are indices into other rows, those of %s",
			value_print(node->args[i], (char[264]){0}), value_print(thin->args[0], (char[264]){0}));
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
		|| !expect_rank(node, 2, 1, RANK_MAX, diag)
		|| !expect_places(node, 1, arg_type(node, 2)->dim[0], diag))
		return false;
	if (!dim_equal(arg_type(node, 0)->dim[0], arg_type(node, 1)->dim[0]))
		return node_error(
			node, diag, "%s is %s, expected a row for each of %s, %s", ARG_TEXT(0), ARG_TEXT(1));
	results[0] = type_make(DT_F32, 2, arg_type(node, 2)->dim[0], arg_type(node, 0)->dim[1]);
	return true;
}

bool infer_SHIFT(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	enum { SHIFT_MAX = 1 << 20 }; /* an encoder has no more positions */
	const long long start = node->attr.start;
	if (!infer_same(node, 1, results, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	return (start >= -SHIFT_MAX && start <= SHIFT_MAX)
		|| node_error(node, diag, "start is %lld, expected a number of rows from -%d to %d", start, SHIFT_MAX,
			SHIFT_MAX);
}

/* ---- mixing the rows of a text --------------------------------------------------------------- */

bool infer_CONVOLVE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const bool by_head = node->attr.has & A_heads;
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag) || !expect_float(node, 1, diag)
		|| !expect_rank(node, 1, by_head ? 1 : 2, 2, diag))
		return false;
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	const Dim last = b->dim[b->rank - 1];
	const long long heads = node->attr.heads;
	results[0] = type_make(DT_F32, 2, a->dim[0], a->dim[1]);
	if (!by_head)
		return (dim_is_number(b->dim[0]) && dim_equal(b->dim[1], a->dim[1]))
			|| node_error(node, diag, "%s is %s, expected some rows of weights for the columns of %s, %s",
				ARG_TEXT(1), ARG_TEXT(0));
	if (heads < 1 || !dim_is_number(a->dim[1]) || a->dim[1].plus % heads != 0)
		return node_error(
			node, diag, "heads is %lld, expected a divisor of the columns of %s, %s", heads, ARG_TEXT(0));
	const bool rows = b->rank == 1 || dim_equal(b->dim[0], a->dim[0]);
	return (rows && dim_is_number(last) && last.plus % heads == 0)
		|| node_error(node, diag,
			"%s is %s, expected weights of %lld heads, for each row of %s, %s, or for all", ARG_TEXT(1),
			heads, ARG_TEXT(0));
}

bool infer_FOURIER(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	const Type *a = arg_type(node, 0);
	if (!dim_is_number(a->dim[1]) || a->dim[1].plus % 2 != 0)
		return node_error(node, diag, "%s is %s, expected an even number of columns", ARG_TEXT(0));
	results[0] = type_make(DT_F32, 2, a->dim[0], dim_number(a->dim[1].plus / 2));
	return true;
}

/* The weights of the state are b[H,gates*H], or packed, b[P,H,gates,panel]. */
static bool expect_state_weights(const Node *node, int64_t width, int64_t gates, Diag *diag)
{
	const bool packed = node->attr.has & A_panel;
	const int64_t panel = packed ? node->attr.panel : 1;
	if (!expect_float(node, 1, diag) || !expect_rank(node, 1, packed ? 4 : 2, packed ? 4 : 2, diag))
		return false;
	if (panel < 1 || panel > DIM_MAX)
		return node_error(node, diag, "panel is %lld, expected at least 1", (long long)panel);
	const int64_t flat[] = {width, gates * width},
				  panels[] = {(width + panel - 1) / panel, width, gates, panel};
	bool good = true;
	for (int32_t i = 0; i < arg_type(node, 1)->rank; i++)
		good = good && dim_equal(arg_type(node, 1)->dim[i], dim_number(packed ? panels[i] : flat[i]));
	return good
		|| node_error(node, diag, "%s is %s, expected weights of %lld units and %lld gates", ARG_TEXT(1),
			(long long)width, (long long)gates);
}

static bool infer_recurrent(const Node *node, int gates, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	const Type *a = arg_type(node, 0);
	const Dim columns = a->dim[1];
	if (!dim_is_number(columns) || columns.plus % gates != 0)
		return node_error(node, diag, "%s is %s, expected a multiple of %d columns", ARG_TEXT(0), gates);
	const Dim width = dim_number(columns.plus / gates);
	if (!expect_state_weights(node, width.plus, gates, diag))
		return false;
	if ((node->attr.has & A_reverse) && node->attr.reverse != 0 && node->attr.reverse != 1)
		return node_error(node, diag, "reverse is %lld, expected 0 or 1", (long long)node->attr.reverse);
	results[0] = type_make(DT_F32, 2, a->dim[0], width);
	return expect_vector(node, 2, columns, diag);
}

bool infer_LSTM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_recurrent(node, 4, results, diag);
}

bool infer_GRU(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_recurrent(node, 3, results, diag);
}

/* ---- over the last axis ---------------------------------------------------------------------- */

bool infer_LAYERNORM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!infer_same(node, 1, results, diag))
		return false;
	Dim size = last_dim(arg_type(node, 0));
	return expect_vector(node, 1, size, diag) && expect_vector(node, 2, size, diag)
		&& expect_not_negative(node, "eps", node->attr.eps, diag);
}

bool infer_ADD_LAYERNORM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!infer_same(node, 1, results, diag) || !expect_float(node, 1, diag))
		return false;
	const Type *a = arg_type(node, 0), b = floats_like(arg_type(node, 1));
	if (!type_equal(&results[0], &b))
		return node_error(
			node, diag, "%s is %s and %s is %s, expected the same shape", ARG_TEXT(0), ARG_TEXT(1));
	return expect_vector(node, 2, last_dim(a), diag) && expect_vector(node, 3, last_dim(a), diag)
		&& expect_not_negative(node, "eps", node->attr.eps, diag);
}

bool infer_ADD_LAYERNORM_CODES(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_ADD_LAYERNORM(node, results, diag) && infer_codes(node, &results[0], 4, results + 1, diag);
}

/* Arguments: table, ids, table, ids, .., gamma, beta. */
bool infer_EMBED_LAYERNORM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (node->nargs % 2 != 0)
		return node_error(node, diag,
			"%d arguments, expected pairs of a table and its ids, then gamma and beta", node->nargs);
	Type result = {0};
	for (int i = 0; i < node->nargs - 2; i += 2) {
		if (!expect_table(node, i, diag))
			return false;
		Type row = type_make(DT_F32, 2, arg_type(node, i + 1)->dim[0], arg_type(node, i)->dim[1]);
		if (i == 0)
			result = row;
		else if (!type_equal(&result, &row))
			return node_error(node, diag, "%s, %s, and its ids, %s, %s, do not fit the first table",
				ARG_TEXT(i), ARG_TEXT(i + 1));
	}
	results[0] = result;
	int gamma = node->nargs - 2, beta = node->nargs - 1;
	return expect_vector(node, gamma, result.dim[1], diag) && expect_vector(node, beta, result.dim[1], diag)
		&& expect_not_negative(node, "eps", node->attr.eps, diag);
}

bool infer_NORMALIZE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_same(node, 1, results, diag) && expect_not_negative(node, "eps", node->attr.eps, diag);
}

bool infer_TOP(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_same(node, 1, results, diag) && expect_selection(node, diag);
}

bool infer_RMSNORM(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_same(node, 1, results, diag) && expect_vector(node, 1, last_dim(arg_type(node, 0)), diag)
		&& expect_not_negative(node, "eps", node->attr.eps, diag);
}

/* True when both have the same axes before the last, and numbers as their last. */
static bool same_rows(const Type *a, const Type *b)
{
	bool same = a->rank == b->rank && dim_is_number(last_dim(a)) && dim_is_number(last_dim(b));
	for (int32_t i = 0; same && i < a->rank - 1; i++)
		same = dim_equal(a->dim[i], b->dim[i]);
	return same;
}

bool infer_ROTARY(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!infer_same(node, 1, results, diag) || !expect_float(node, 1, diag)
		|| !expect_rank(node, 1, 1, RANK_MAX, diag))
		return false;
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	const long long heads = node->attr.heads, end = node->attr.has & A_end ? node->attr.end : heads;
	if (!same_rows(a, b))
		return node_error(node, diag, "%s is %s and %s is %s, expected one row of angles per row",
			ARG_TEXT(0), ARG_TEXT(1));
	const long long width = last_dim(a).plus, angles = last_dim(b).plus;
	if (heads < 1 || width % heads != 0)
		return node_error(node, diag, "heads is %lld, expected a divisor of %lld columns", heads, width);
	if (end < 1 || end > heads)
		return node_error(node, diag, "end is %lld, expected 1 to %lld heads", end, heads);
	if ((node->attr.has & A_apart) && node->attr.apart != 1)
		return node_error(node, diag, "apart is %lld, expected 1", (long long)node->attr.apart);
	return (angles % 2 == 0 && angles <= width / heads)
		|| node_error(node, diag, "%s is %s, expected an even number of columns up to the %lld of a head",
			ARG_TEXT(1), width / heads);
}

/* ---- over the tokens of a text --------------------------------------------------------------- */

bool infer_POOL(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	results[0] = type_make(DT_F32, 1, arg_type(node, 0)->dim[1]);
	return !(node->attr.has & A_option) || dim_equal(arg_type(node, 0)->dim[0], dim_symbol(1))
		|| node_error(node, diag,
			"%s is %s; the first rows are those of the prompt only where all tokens have one", ARG_TEXT(0));
}

bool infer_EXIT(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *logits = arg_type(node, 1);
	if (!expect_float(node, 0, diag) || !expect_float(node, 1, diag) || !expect_rank(node, 1, 1, 1, diag))
		return false;
	results[0] = *arg_type(node, 0);
	return (dim_is_number(logits->dim[0]) && logits->dim[0].plus > 1)
		|| node_error(node, diag, "%s is %s; an entropy needs at least two labels", ARG_TEXT(1));
}
