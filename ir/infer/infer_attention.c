/* infer_attention.c: types of `attention` and `received`, and of score biases.
 *
 * A score bias is an argument of attention after q, k and v. Its type decides between two forms:
 *
 *   by distance  a table f32[heads or 1, 2R+1], all numbers: query i adds a[h, R + clamp(j - i, -R, R)]
 *                to its score with key j. An i32[S] after the table gives the positions of the tokens;
 *                without it, token i has position i
 *   dense        any other type that broadcasts to the scores [heads, S, S] and has one number per key
 *
 * A matrix of plain numbers counts as a table. A leading axis of 1 makes it dense. */
#include "ir/attention.h"
#include "infer.h"

bool by_distance_table(const Type *type)
{
	return dtype_is_float(type->dtype) && type->rank == 2 && type_is_number(type)
		&& type->dim[1].plus % 2 == 1;
}

bool places_are_plain(const Value *places)
{
	const Node *node = places->node;
	return node && node->op == OP_POSITION_IDS && node->nargs == 1
		&& !(node->attr.has & ~(uint32_t)(A_start | A_kernel | A_offset));
}

bool infer_BY_DISTANCE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const Type *b = arg_type(node, 1);
	if (!by_distance_table(arg_type(node, 0)))
		return node_error(node, diag, "%s is %s, expected a table f32[heads,2R+1]", ARG_TEXT(0));
	if (b->dtype == DT_I32 ? b->rank != 1 : b->rank < 1)
		return node_error(node, diag, "%s is %s, expected positions i32[S], or rows", ARG_TEXT(1));
	results[0] = type_make(DT_F32, 3, arg_type(node, 0)->dim[0], b->dim[0], b->dim[0]);
	return true;
}

int32_t attention_parts(const Node *node)
{
	if (node->attr.pack == PACK_QKV)
		return 1;
	return node->op == OP_RECEIVED || node->attr.pack == PACK_KV ? 2 : 3;
}

int32_t attention_biases(const Node *node, ScoreBias at[BIASES_MAX])
{
	int32_t count = 0;
	for (int32_t i = attention_parts(node); node->op == OP_ATTENTION && i < node->nargs && count < BIASES_MAX;
		i++) {
		ScoreBias *bias = &at[count++];
		const Type *type = arg_type(node, i), *next = i + 1 < node->nargs ? arg_type(node, i + 1) : NULL;
		*bias = (ScoreBias){.value = node->args[i], .is_table = type->rank == 2 && type_is_number(type)};
		if (next && next->dtype == DT_I32)
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

bool score_bias_fits(const ScoreBias *bias, int64_t heads, Dim queries, Dim keys)
{
	const Type *type = &bias->value->type;
	const Dim one = dim_number(1), want[3] = {dim_number(heads), queries, keys};
	if (!dtype_is_float(type->dtype))
		return false;
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

static bool expect_bias(const Node *node, const ScoreBias *bias, Diag *diag)
{
	const Dim keys = arg_type(node, attention_parts(node) - 1)->dim[0];
	const Value *places = bias->places;
	if (!score_bias_fits(bias, node->attr.heads, query_rows(node), keys))
		return node_error(node, diag,
			"%s is %s, expected a score bias: [heads,queries,keys] (heads and queries may be 1 or left out), "
			"or, with as many queries as keys, a table by distance [heads,2R+1] or [1,2R+1]",
			VALUE_TEXT(bias->value));
	const bool placed = !places
		|| (bias->is_table && places->type.rank == 1 && dim_equal(places->type.dim[0], keys));
	return placed
		|| node_error(node, diag, "%s is %s, expected one position per key, after a table by distance",
			VALUE_TEXT(places));
}

static bool expect_biases(const Node *node, Diag *diag)
{
	ScoreBias biases[BIASES_MAX];
	const int32_t count = attention_biases(node, biases);
	int32_t taken = attention_parts(node);
	for (int32_t i = 0; i < count; i++) {
		if (!expect_bias(node, &biases[i], diag))
			return false;
		taken += biases[i].places ? 2 : 1;
	}
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
	return expect_selection(node, diag) && expect_biases(node, diag);
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
		return node_error(
			node, diag, "%s is %s, which cannot be cut into %lld heads", ARG_TEXT(0), (long long)heads);
	if (pack == PACK_NONE && !expect_heads(node, 1, 0, 1, hidden, diag))
		return false;
	if ((node->attr.has & A_scale) && !isfinite(node->attr.scale))
		return node_error(node, diag, "scale is %g, expected a finite number", node->attr.scale);
	results[0] = type_make(DT_F32, 2, q->dim[0], dim_number(heads));
	return expect_selection(node, diag);
}
