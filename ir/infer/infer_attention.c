/* infer_attention.c: types of `attention` and `received`, and of score biases.
 *
 * A score bias is an argument of attention after q, k and v. There are three forms:
 *
 *   by distance  a table f32[heads or 1, 2R+1] of fixed size: query i adds a[h, R + clamp(j - i, -R, R)]
 *                to its score with key j. An i32[S] after the table gives the positions of the tokens;
 *                without it, token i has position i
 *   dots         where the attribute dots is not 0: a table f32[D,H] and a constant i32[2R+1] after it, as
 *                in dot_by_distance. Packed, the table is f32[heads, panels, H/heads, panel]
 *   dense        any other type that broadcasts to the scores [heads, S, S] and has one number per key
 *
 * A matrix of fixed size counts as a table. A leading axis of 1 makes it dense. */
#include "ir/attention.h"
#include "infer.h"

bool by_distance_table(const Type *type)
{
	return dtype_is_float(type->dtype) && type->rank == 2 && type_is_number(type)
		&& type->dim[1].plus % 2 == 1;
}

bool by_query_table(const Type *type, int64_t heads)
{
	return dtype_is_float(type->dtype) && type->rank == 2 && dim_is_number(type->dim[1]) && heads > 0
		&& type->dim[1].plus % heads == 0 && type->dim[1].plus / heads % 2 == 1;
}

bool places_are_plain(const Value *places)
{
	const Node *node = places->node;
	return node && node->op == OP_POSITION_IDS && node->nargs == 1
		&& !(node->attr.has & ~(uint32_t)(A_start | A_kernel | A_offset));
}

bool infer_BY_DISTANCE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	const bool by_query = node->attr.has & A_heads;
	if (!by_query && !by_distance_table(a))
		return node_error(node, diag, "%s is %s, expected a table f32[heads,2R+1]", ARG_TEXT(0));
	if (by_query && !by_query_table(a, node->attr.heads))
		return node_error(node, diag, "%s is %s, expected a table for each query, f32[S,%lld*(2R+1)]",
			ARG_TEXT(0), (long long)node->attr.heads);
	if (b->dtype == DT_I32 ? b->rank != 1 : b->rank < 1)
		return node_error(node, diag, "%s is %s, expected positions i32[S], or rows", ARG_TEXT(1));
	if (by_query && !dim_equal(a->dim[0], b->dim[0]))
		return node_error(
			node, diag, "%s is %s, expected as many rows as %s has, %s", ARG_TEXT(0), ARG_TEXT(1));
	results[0] = type_make(
		DT_F32, 3, by_query ? dim_number(node->attr.heads) : a->dim[0], b->dim[0], b->dim[0]);
	return true;
}

int32_t attention_parts(const Node *node)
{
	if (node->attr.pack == PACK_QKV)
		return 1;
	return node->op == OP_RECEIVED || node->attr.pack == PACK_KV ? 2 : 3;
}

/* The axis of bias number i; 0: it has no products, -1: dots has a wrong number. */
static int32_t dots_axis(const Node *node, int32_t i)
{
	if (!(node->attr.has & A_dots) || i >= node->attr.dots.count)
		return 0;
	const int64_t axis = node->attr.dots.at[i];
	return axis >= 0 && axis <= DOT_KEYS ? (int32_t)axis : -1;
}

int32_t attention_biases(const Node *node, ScoreBias at[BIASES_MAX])
{
	int32_t count = 0;
	for (int32_t i = attention_parts(node); i < node->nargs && count < BIASES_MAX; i++) {
		const int32_t axis = dots_axis(node, count);
		ScoreBias *bias = &at[count++];
		const Type *type = arg_type(node, i), *next = i + 1 < node->nargs ? arg_type(node, i + 1) : NULL;
		*bias = (ScoreBias){.value = node->args[i], .axis = axis};
		bias->by_query = !axis && type->rank == 2 && !dim_is_number(type->dim[0])
			&& dim_is_number(type->dim[1]);
		bias->is_table = bias->by_query || (!axis && type->rank == 2 && type_is_number(type));
		if (next && axis)
			bias->index = node->args[++i];
		else if (next && next->dtype == DT_I32)
			bias->places = node->args[++i];
	}
	return count;
}

/* Checks that argument i is float[keys, parts*hidden] with as many rows as argument `like`. */
static bool expect_heads(const Node *node, int i, int like, int parts, int64_t hidden, Diag *diag)
{
	if (!expect_float(node, i, diag) || !expect_rank(node, i, 2, 2, diag))
		return false;
	const Type *a = arg_type(node, i);
	return (dim_equal(a->dim[1], dim_number(parts * hidden))
			   && dim_equal(a->dim[0], arg_type(node, like)->dim[0]))
		|| node_error(node, diag, "%s is %s, expected %lld columns and as many rows as %s has, %s",
			ARG_TEXT(i), (long long)(parts * hidden), ARG_TEXT(like));
}

/* The number of queries. A single q, f32[H], is the query of the first token. */
static Dim query_rows(const Node *node)
{
	const Type *q = arg_type(node, 0);
	return q->rank == 2 ? q->dim[0] : arg_type(node, attention_parts(node) - 1)->dim[0];
}

bool attention_has_dots(const Node *node, int32_t axis)
{
	ScoreBias biases[BIASES_MAX];
	bool any = false;
	for (int32_t i = attention_biases(node, biases) - 1; i >= 0; i--)
		any |= biases[i].axis && (!axis || biases[i].axis == axis);
	return any;
}

int32_t attention_dots(const Node *node)
{
	ScoreBias biases[BIASES_MAX];
	int32_t dots = 0;
	for (int32_t i = attention_biases(node, biases) - 1; i >= 0; i--)
		dots += biases[i].axis != 0;
	return dots;
}

/* Rows of the table of products. */
static int64_t dots_rows(const Type *type)
{
	return type->rank == 4 ? type->dim[1].plus * type->dim[3].plus : type->dim[0].plus;
}

int64_t attention_packed_rows(const Node *node)
{
	ScoreBias biases[BIASES_MAX];
	int64_t most = 0;
	for (int32_t i = attention_biases(node, biases) - 1; i >= 0; i--) {
		const Type *type = &biases[i].value->type;
		if (biases[i].axis && type->rank == 4 && dots_rows(type) > most)
			most = dots_rows(type);
	}
	return most;
}

/* Whether the type is that of a table of products: [D,hidden], or packed. */
static bool dots_table(const Type *type, int64_t heads, int64_t size)
{
	if (!dtype_is_float(type->dtype) || !type_is_number(type) || (type->rank != 2 && type->rank != 4))
		return false;
	if (type->rank == 2)
		return type->dim[1].plus == heads * size;
	return type->dim[0].plus == heads && type->dim[2].plus == size
		&& type->dim[1].plus <= DIM_MAX / type->dim[3].plus;
}

/* Checks that v is a constant i32[2R+1] whose numbers are rows of a table. */
static bool expect_index(const Node *node, const Value *v, int64_t rows, Diag *diag)
{
	const Tensor *index = value_tensor(v);
	const Type *type = &v->type;
	if (type->dtype != DT_I32 || type->rank != 1 || !type_is_number(type) || type->dim[0].plus % 2 == 0)
		return node_error(node, diag, "%s is %s, expected an index i32[2R+1]", VALUE_TEXT(v));
	if (!index)
		return node_error(node, diag, "%s is %s and computed, but an index is a constant", VALUE_TEXT(v));
	for (int64_t i = 0; i < type->dim[0].plus; i++)
		if (tensor_at(index, i) < 0 || tensor_at(index, i) >= (double)rows)
			return node_error(node, diag, "index %.0f at %lld is outside the table of %lld rows",
				tensor_at(index, i), (long long)i, (long long)rows);
	return true;
}

bool infer_DOT_BY_DISTANCE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	const int64_t heads = node->attr.heads;
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	const int64_t hidden = dim_is_number(a->dim[1]) ? a->dim[1].plus : 0;
	if (hidden < 1 || heads < 1 || hidden % heads != 0)
		return node_error(
			node, diag, "%s is %s, which cannot be cut into %lld heads", ARG_TEXT(0), (long long)heads);
	if (b->rank != 2 || !dots_table(b, heads, hidden / heads))
		return node_error(node, diag, "%s is %s, expected a table [D,%lld]", ARG_TEXT(1), (long long)hidden);
	if (node->attr.axis != DOT_QUERIES && node->attr.axis != DOT_KEYS)
		return node_error(node, diag, "axis is %lld, expected 1 (rows of queries) or 2 (rows of keys)",
			(long long)node->attr.axis);
	results[0] = type_make(DT_F32, 3, dim_number(heads), a->dim[0], a->dim[0]);
	return expect_index(node, node->args[2], dots_rows(b), diag);
}

bool score_bias_fits(const ScoreBias *bias, int64_t heads, int64_t size, Dim queries, Dim keys)
{
	const Type *type = &bias->value->type;
	const Dim one = dim_number(1), want[3] = {dim_number(heads), queries, keys};
	if (!dtype_is_float(type->dtype))
		return false;
	if (bias->axis)
		return dots_table(type, heads, size) && dim_equal(queries, keys);
	if (bias->by_query)
		return by_query_table(type, heads) && dim_equal(type->dim[0], queries) && dim_equal(queries, keys);
	if (bias->is_table)
		return by_distance_table(type) && dim_equal(queries, keys)
			&& (dim_equal(type->dim[0], want[0]) || dim_equal(type->dim[0], one));
	bool fits = type->rank >= 1 && type->rank <= 3 && dim_equal(last_dim(type), keys);
	for (int i = 2; fits && i <= type->rank; i++) {
		const Dim dim = type->dim[type->rank - i];
		fits = dim_equal(dim, want[3 - i]) || dim_equal(dim, one);
	}
	return fits;
}

/* Checks what a bias of products has beyond a fitting table. */
static bool expect_dots(const Node *node, const ScoreBias *bias, Diag *diag)
{
	const Type *type = &bias->value->type;
	if (bias->axis < 0)
		return node_error(node, diag, "dots has a number that is not 0, 1 (queries) or 2 (keys)");
	if (!bias->index)
		return node_error(node, diag, "%s is %s and has no index after it, which a table of dots needs",
			VALUE_TEXT(bias->value));
	const bool packed = node->attr.has & A_panel;
	if (type->rank != (packed ? 4 : 2) || (packed && type->dim[3].plus != node->attr.panel))
		return node_error(node, diag, "%s is %s, expected a table %s", VALUE_TEXT(bias->value),
			packed ? "packed in panels" : "[D,hidden]");
	return expect_index(node, bias->index, dots_rows(type), diag);
}

static bool expect_bias(const Node *node, const ScoreBias *bias, int64_t size, Diag *diag)
{
	const Dim keys = arg_type(node, attention_parts(node) - 1)->dim[0];
	const Value *places = bias->places;
	if (!score_bias_fits(bias, node->attr.heads, size, query_rows(node), keys))
		return node_error(node, diag,
			"%s is %s, expected a score bias: [heads,queries,keys] (heads and queries may be 1 or left out), "
			"or, with as many queries as keys, a table by distance [heads,2R+1] or [1,2R+1], or (dots) a "
			"table [D,hidden]",
			VALUE_TEXT(bias->value));
	const bool placed = !places
		|| (bias->is_table && places->type.rank == 1 && dim_equal(places->type.dim[0], keys));
	if (!placed)
		return node_error(node, diag, "%s is %s, expected one position per key, after a table by distance",
			VALUE_TEXT(places));
	return !bias->axis || expect_dots(node, bias, diag);
}

static bool expect_biases(const Node *node, int64_t size, Diag *diag)
{
	ScoreBias biases[BIASES_MAX];
	const int32_t count = attention_biases(node, biases);
	int32_t taken = attention_parts(node);
	if ((node->attr.has & A_dots) && node->attr.dots.count != count)
		return node_error(
			node, diag, "dots has %d numbers for %d score biases", node->attr.dots.count, count);
	for (int32_t i = 0; i < count; i++) {
		if (!expect_bias(node, &biases[i], size, diag))
			return false;
		taken += score_bias_args(&biases[i]);
	}
	if ((node->attr.has & A_panel) && !attention_has_dots(node, 0))
		return node_error(node, diag, "panel is for tables of dots, but no bias has one");
	return taken == node->nargs || node_error(node, diag, "has more than %d score biases", BIASES_MAX);
}

bool infer_ATTENTION(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	static const char *const words[PACK_COUNT] = {
		[PACK_NONE] = "q, k and v", [PACK_KV] = "q and kv", [PACK_QKV] = "qkv"};
	Pack pack = node->attr.pack;
	if ((unsigned)pack >= PACK_COUNT || node->nargs < attention_parts(node))
		return node_error(node, diag, "%d arguments, expected %s", node->nargs,
			(unsigned)pack < PACK_COUNT ? words[pack] : "a pack");
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, pack == PACK_QKV ? 2 : 1, 2, diag))
		return false;
	const Type *q = arg_type(node, 0);
	Dim columns = last_dim(q);
	int64_t parts = pack == PACK_QKV ? 3 : 1, heads = node->attr.heads;
	int64_t hidden = dim_is_number(columns) ? columns.plus / parts : 0;
	if (hidden < 1 || columns.plus % parts != 0 || heads < 1 || hidden % heads != 0)
		return node_error(
			node, diag, "%s is %s, which cannot be cut into %lld heads", ARG_TEXT(0), (long long)heads);
	if (hidden > DIM_MAX / 2)
		return node_error(node, diag, "%s is %s, which is too wide", ARG_TEXT(0));
	if (pack == PACK_NONE
		&& !(expect_heads(node, 1, 1, 1, hidden, diag) && expect_heads(node, 2, 1, 1, hidden, diag)))
		return false;
	if (pack == PACK_KV && !expect_heads(node, 1, 1, 2, hidden, diag))
		return false;
	if ((node->attr.has & A_bits) && node->attr.bits != 16 && node->attr.bits != 32)
		return node_error(node, diag, "bits is %lld, expected 16 or 32", (long long)node->attr.bits);
	if ((node->attr.has & A_scale) && !isfinite(node->attr.scale))
		return node_error(node, diag, "scale is %g, expected a finite number", node->attr.scale);
	if ((node->attr.has & A_SELECT) && (node->attr.has & A_bits) && node->attr.bits != 32)
		return node_error(node, diag,
			"bits=%lld together with keep, share or threshold would change which keys are selected",
			(long long)node->attr.bits);
	results[0] = floats_like(q);
	results[0].dim[q->rank - 1] = dim_number(hidden);
	return expect_selection(node, diag) && expect_biases(node, hidden / heads, diag);
}

bool infer_RECEIVED(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Pack pack = node->attr.pack;
	const int64_t heads = node->attr.heads, parts = pack == PACK_QKV ? 3 : 1;
	if ((pack != PACK_NONE && pack != PACK_QKV) || node->nargs < attention_parts(node))
		return node_error(node, diag, "%d arguments, expected q and k, or qkv", node->nargs);
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 2, 2, diag))
		return false;
	const Type *q = arg_type(node, 0);
	const int64_t hidden = dim_is_number(q->dim[1]) ? q->dim[1].plus / parts : 0;
	if (hidden < 1 || q->dim[1].plus % parts != 0 || heads < 1 || hidden % heads != 0 || hidden > DIM_MAX / 2)
		return node_error(
			node, diag, "%s is %s, which cannot be cut into %lld heads", ARG_TEXT(0), (long long)heads);
	if (pack == PACK_NONE && !expect_heads(node, 1, 0, 1, hidden, diag))
		return false;
	if ((node->attr.has & A_scale) && !isfinite(node->attr.scale))
		return node_error(node, diag, "scale is %g, expected a finite number", node->attr.scale);
	results[0] = type_make(DT_F32, 2, q->dim[0], dim_number(heads));
	return expect_selection(node, diag) && expect_biases(node, hidden / heads, diag);
}
