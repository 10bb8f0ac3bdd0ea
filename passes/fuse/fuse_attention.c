/* fuse_attention.c: fuses the ten ops of multi-head attention into one op, and the linears of q, k and v into
 * one linear.
 *
 *   %qh = transpose(reshape %q {shape=[S,2,4]}) {perm=[1,0,2]}
 *   %kh = transpose(reshape %k {shape=[S,2,4]}) {perm=[1,2,0]}
 *   %vh = transpose(reshape %v {shape=[S,2,4]}) {perm=[1,0,2]}
 *   %a  = matmul(softmax(div(matmul %qh, %kh), 2), %vh)
 *   %c  = reshape(transpose %a {perm=[1,0,2]}) {shape=[S,8]}
 *                                 ->      %c = attention %q, %k, %v {heads=2 pack=none scale=0.5} : f32[S,8]
 *
 * The factor may stand on the scores, on q or on k, multiplied or divided, before or after the heads are
 * split. Score biases are added to the scores, before or after the factor, and subtracted too:
 *
 *   %b  = by_distance %table, %x
 *   softmax(add(mul(matmul %qh, %kh, 0.5), %b))
 *                                 ->      %c = attention %q, %k, %v, %table {heads=2 pack=none scale=0.5}
 *
 * A product of q or k with a table of rows by distance is a bias of its own kind (attribute dots):
 *
 *   %b  = dot_by_distance %k, %rows, %index {heads=2 axis=2}
 *                                 ->      %c = attention %q, %k, %v, %rows, %index {dots=[2] ..}
 *
 * After this, memory is linear in the number of tokens: no scores are kept. A bias that is a matrix is the
 * exception. */
#include "fuse.h"
#include <string.h>

static const int64_t heads_first[3] = {1, 0, 2}, keys_last[3] = {1, 2, 0};

/* Steps through multiplications and divisions by scalars. */
static Value *strip_factor(Value *v, double *factor)
{
	double scalar;
	while (value_is(v, OP_MUL) || value_is(v, OP_DIV)) {
		Node *node = v->node;
		int32_t side = value_is_scalar(node->args[1], &scalar) ? 1 : 0;
		if ((side == 0 && (node->op == OP_DIV || !value_is_scalar(node->args[0], &scalar)))
			|| !type_equal(&node->args[1 - side]->type, &v->type) || (node->op == OP_DIV && scalar == 0))
			break;
		*factor = node->op == OP_MUL ? *factor * scalar : *factor / scalar;
		v = node->args[1 - side];
	}
	return v;
}

/* Matches v against rows reshaped to [S, heads, size] with the axes in the order `want`. With factor NULL, no
 * scalar factor is allowed. */
static bool heads_of(Value *v, const int64_t want[3], double *factor, Heads *out)
{
	int64_t order[3] = {0, 1, 2}; /* axis i of the original v is axis order[i] of the current v */
	double none = 1;
	for (;;) {
		v = factor ? strip_factor(v, factor) : v;
		if (!value_is(v, OP_TRANSPOSE) || v->type.rank != 3)
			break;
		for (int i = 0; i < 3; i++)
			order[i] = v->node->attr.perm.at[order[i]];
		v = v->node->args[0];
	}
	if (!value_is(v, OP_RESHAPE) || memcmp(order, want, sizeof order))
		return false;
	const Type *from = &v->node->args[0]->type, *to = &v->type;
	if (!type_is_rows(from) || from->rank != 2 || to->rank != 3 || !dim_equal(from->dim[0], to->dim[0]))
		return false;
	*out = (Heads){strip_factor(v->node->args[0], factor ? factor : &none), to->dim[1].plus, to->dim[2].plus};
	if (!factor)
		out->rows = v->node->args[0];
	return dim_is_number(to->dim[1]) && dim_is_number(to->dim[2])
		&& out->heads * out->size == from->dim[1].plus;
}

/* The value in which the heads of v are joined back into rows: transpose [1,0,2], reshape [S,H]. NULL when v
 * has other uses. */
static Value *joined_heads(const Graph *graph, const Value *v)
{
	Node *transpose = value_only_user(graph, v);
	if (!transpose || transpose->op != OP_TRANSPOSE || transpose->attr.perm.count != 3
		|| transpose->attr.perm.at[0] != 1 || transpose->attr.perm.at[1] != 0)
		return NULL;
	Node *reshape = value_only_user(graph, transpose->results[0]);
	return reshape && reshape->op == OP_RESHAPE ? reshape->results[0] : NULL;
}

/* ---- scores --------------------------------------------------------------------------------- */

enum { ADDS_MAX = 8 }; /* nested adds to look through */

static bool is_sum(const Value *v) { return value_is(v, OP_ADD) || value_is(v, OP_SUB); }

/* Whether v is q k^T, times constant factors, perhaps with something added. */
static bool has_scores(Value *v, int depth)
{
	double factor = 1;
	Heads heads;
	v = strip_factor(v, &factor);
	if (is_sum(v) && depth > 0)
		return has_scores(v->node->args[0], depth - 1) || has_scores(v->node->args[1], depth - 1);
	return value_is(v, OP_MATMUL) && heads_of(v->node->args[0], heads_first, &factor, &heads)
		&& heads_of(v->node->args[1], keys_last, &factor, &heads);
}

/* True when v is a bias by distance, of numbers or of products, or a sum that contains one. Such a sum is
 * split into its terms. */
static bool has_table(Value *v, int depth)
{
	double factor = 1;
	v = strip_factor(v, &factor);
	if (is_sum(v) && depth > 0)
		return has_table(v->node->args[0], depth - 1) || has_table(v->node->args[1], depth - 1);
	return value_is(v, OP_BY_DISTANCE) || value_is(v, OP_DOT_BY_DISTANCE);
}

/* Adds a bias times factor to the match. False when there are too many biases. */
static bool take_bias(Value *v, double factor, AttentionMatch *m)
{
	v = strip_factor(v, &factor);
	if (is_sum(v) && has_table(v, ADDS_MAX))
		return take_bias(v->node->args[0], factor, m)
			&& take_bias(v->node->args[1], v->node->op == OP_SUB ? -factor : factor, m);
	if (m->nbiases == BIASES_MAX)
		return false;
	ScoreBias *bias = &m->bias[m->nbiases];
	m->factor[m->nbiases++] = factor;
	*bias = (ScoreBias){.value = v};
	if (value_is(v, OP_DOT_BY_DISTANCE)) {
		const Node *dot = v->node;
		m->dotted[m->nbiases - 1] = (Heads){
			strip_factor(dot->args[0], &m->factor[m->nbiases - 1]), dot->attr.heads, 0};
		*bias = (ScoreBias){.value = dot->args[1], .axis = (int32_t)dot->attr.axis, .index = dot->args[2]};
	}
	const bool by_query = value_is(v, OP_BY_DISTANCE) && (v->node->attr.has & A_heads);
	if (!value_is(v, OP_BY_DISTANCE) || (by_query && dim_is_number(v->node->args[0]->type.dim[0])))
		return true;
	Value *places = v->node->args[1];
	*bias = (ScoreBias){.value = v->node->args[0], .is_table = true, .by_query = by_query};
	if (places->type.dtype == DT_I32 && !places_are_plain(places))
		bias->places = places;
	return true;
}

/* NULL when the products of every bias are with q or k themselves, head by head; their factors join that of
 * the bias. Else the reason. */
static const char *match_dots(AttentionMatch *m)
{
	for (int32_t i = 0; i < m->nbiases; i++) {
		const int32_t axis = m->bias[i].axis;
		const Heads *with = axis == DOT_QUERIES ? &m->q : &m->k;
		if (axis && (m->dotted[i].heads != with->heads || m->dotted[i].rows != with->rows))
			return "a bias by distance multiplies other rows than q (axis 1) or k (axis 2)";
	}
	return NULL;
}

/* q, k, their factor and the biases, from the scores that softmax reads. */
static const char *match_scores(Value *scores, AttentionMatch *m)
{
	double factor = 1;
	for (int adds = 0;; adds++) {
		scores = strip_factor(scores, &factor);
		if (!is_sum(scores))
			break;
		const Node *sum = scores->node;
		const int side = adds < ADDS_MAX && has_scores(sum->args[0], ADDS_MAX - adds) ? 0 : 1;
		const double sign = sum->op == OP_SUB ? -1 : 1;
		if (adds == ADDS_MAX || !has_scores(sum->args[side], ADDS_MAX - adds))
			break;
		if (!take_bias(sum->args[1 - side], side == 0 ? sign * factor : factor, m))
			return "the scores have more biases than attention takes";
		factor = side == 0 ? factor : sign * factor;
		scores = sum->args[side];
	}
	m->scale = factor;
	if (!value_is(scores, OP_MATMUL))
		return scores->type.rank == 3 ? "the scores are not a matmul times a constant factor" : "";
	if (!heads_of(scores->node->args[0], heads_first, &m->scale, &m->q))
		return "the left side of the scores is not q[S,H] split into heads";
	if (!heads_of(scores->node->args[1], keys_last, &m->scale, &m->k))
		return "the right side of the scores is not k[S,H] split into heads and transposed";
	const Dim rows = m->k.rows->type.dim[0];
	for (int32_t i = 0; i < m->nbiases; i++)
		if (!score_bias_fits(&m->bias[i], m->q.heads, m->q.size, rows, rows))
			return "a score bias does not have one number per key, or does not fit the heads";
	return match_dots(m);
}

const char *attention_match(const Graph *graph, const Node *softmax, AttentionMatch *m)
{
	*m = (AttentionMatch){.selects = softmax->attr};
	m->selects.has &= A_SELECT;
	const char *why = match_scores(softmax->args[0], m);
	if (why)
		return why;
	Node *context = value_only_user(graph, softmax->results[0]);
	if (!context)
		return "the probabilities have other uses";
	if (context->op != OP_MATMUL || context->args[0] != softmax->results[0])
		return "the probabilities are not multiplied with v directly";
	if (!heads_of(context->args[1], heads_first, NULL, &m->v))
		return "the second factor of the probabilities is not v[S,H] split into heads";
	if (m->q.heads != m->k.heads || m->q.heads != m->v.heads || m->q.size != m->v.size
		|| m->q.size != m->k.size)
		return "q, k and v differ in the size of their heads";
	m->result = joined_heads(graph, context->results[0]);
	if (!m->result || !type_equal(&m->result->type, &m->q.rows->type))
		return "the heads are not joined to rows [S,H] afterwards";
	return NULL;
}

/* The bias times its factor. Constants are multiplied now, computed biases by a new op. NULL after an error.
 */
static Value *bias_value(Graph *graph, Node *before, const ScoreBias *bias, double factor, Diag *diag)
{
	const char *origin = bias->value->node ? bias->value->node->origin : NULL;
	const Tensor *table = value_tensor(bias->value), unnamed = {.name = "bias"};
	if (factor == 1)
		return bias->value;
	if (table)
		return graph_const(graph, before, tensor_scaled(graph, tensor_widened(graph, table), factor), origin);
	Tensor *number = tensor_derived(graph, &unnamed, "factor", type_make(DT_F32, 0));
	tensor_set(number, 0, factor);
	Value *args[] = {bias->value, graph_const(graph, before, number, origin)};
	return graph_emit(graph, before, OP_MUL, args, 2, NULL, origin, diag);
}

Attrs attention_attrs(const AttentionMatch *m)
{
	Attrs attr = m->selects;
	attr.has |= A_heads | A_pack | (m->scale != 1 ? A_scale : 0);
	attr.heads = m->q.heads;
	attr.pack = PACK_NONE;
	attr.scale = m->scale;
	attr.dots.count = m->nbiases;
	for (int32_t i = 0; i < m->nbiases; i++) {
		attr.dots.at[i] = m->bias[i].axis;
		attr.has |= m->bias[i].axis ? A_dots : 0;
	}
	return attr;
}

bool attention_emit_biases(
	Graph *graph, Node *before, const AttentionMatch *m, Value **args, int32_t *nargs, Diag *diag)
{
	for (int32_t i = 0; i < m->nbiases; i++) {
		args[*nargs] = bias_value(graph, before, &m->bias[i], m->factor[i], diag);
		if (!args[(*nargs)++])
			return false;
		if (score_bias_args(&m->bias[i]) == 2)
			args[(*nargs)++] = m->bias[i].places ? m->bias[i].places : m->bias[i].index;
	}
	return true;
}

/* The attention op in the place of the match. NULL after an error. */
static Value *attention_emit(Graph *graph, const AttentionMatch *m, PassRun *run)
{
	Value *args[ARGS_MAX] = {m->q.rows, m->k.rows, m->v.rows};
	int32_t nargs = 3;
	const Attrs attr = attention_attrs(m);
	if (!attention_emit_biases(graph, m->result->node, m, args, &nargs, run->diag))
		return NULL;
	return rewrite_value(graph, m->result, OP_ATTENTION, args, nargs, &attr, run);
}

bool fuse_attention(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		AttentionMatch m;
		if (node->op != OP_SOFTMAX)
			continue;
		const char *why = attention_match(graph, node, &m);
		if (why) {
			if (*why)
				pass_note(run, node, "attention: %s", why);
			continue;
		}
		Node *dead = m.result->node;
		Value *by = attention_emit(graph, &m, run);
		if (!by)
			return false;
		rewrite_erase(graph, dead);
		next = by->node->next;
		run->changes++;
	}
	return true;
}

/* ---- q, k and v in one linear --------------------------------------------------------------- */

/* Concatenates several weights along the rows: count * [N_i, K] -> [sum N_i, K]. */
static Tensor *stack_weights(Graph *graph, Node *const *linears, int32_t count, const char *what)
{
	const Tensor *first = value_tensor(linears[0]->args[1]);
	int64_t outputs = 0;
	for (int32_t i = 0; i < count; i++)
		outputs += value_tensor(linears[i]->args[1])->type.dim[0].plus;
	Type type = type_numbers(first->type.dtype, 2, (int64_t[]){outputs, first->type.dim[1].plus});
	Tensor *to = tensor_derived(graph, first, what, type);
	uint8_t *target = (uint8_t *)(uintptr_t)to->data;
	for (int32_t i = 0; i < count; i++) {
		const Tensor *from = value_tensor(linears[i]->args[1]);
		memcpy(target, from->data, (size_t)from->bytes);
		target += from->bytes;
	}
	return to;
}

/* Concatenates their biases, as f32, with zeros for a missing bias. NULL when no linear has a bias. */
static Tensor *stack_biases(
	Graph *graph, Node *const *linears, int32_t count, const char *what, int64_t outputs)
{
	const Tensor *named = NULL;
	for (int32_t i = 0; i < count && !named; i++)
		named = linear_bias(linears[i]);
	if (!named)
		return NULL;
	Tensor *to = tensor_derived(graph, named, what, type_numbers(DT_F32, 1, &outputs));
	float *target = (float *)(uintptr_t)to->data;
	for (int32_t i = 0; i < count; i++) {
		const Tensor *bias = linear_bias(linears[i]);
		int64_t n = value_tensor(linears[i]->args[1])->type.dim[0].plus;
		if (bias)
			tensor_floats(bias, 0, n, target);
		target += n;
	}
	return to;
}

/* The rotary that computes attention's argument i, if only the attention reads it. */
static Node *rotary_of(const Graph *graph, const Node *attention, int32_t i)
{
	Value *v = attention->args[i];
	return value_is(v, OP_ROTARY) && value_only_user(graph, v) == attention ? v->node : NULL;
}

/* q and k of a joined linear are rotated by the same angles, all heads of both, or not at all. */
static bool rotate_alike(const Graph *graph, const Node *attention, int32_t from)
{
	const Node *q = rotary_of(graph, attention, from), *k = rotary_of(graph, attention, 1);
	if (!q && !k)
		return true;
	return q && k && q->args[1] == k->args[1] && !((q->attr.has ^ k->attr.has) & A_apart)
		&& q->attr.heads == attention->attr.heads && k->attr.heads == attention->attr.heads
		&& !((q->attr.has | k->attr.has) & A_end);
}

/* Finds the linears that compute attention's arguments from..2. NULL when they can be joined, else the reason
 * why not. */
static const char *match_stack(const Graph *graph, const Node *attention, int32_t from, Node *linears[3])
{
	if (!rotate_alike(graph, attention, from))
		return "they are not rotated by the same angles";
	for (int32_t i = from; i < 3; i++) {
		Node *rotary = i < 2 ? rotary_of(graph, attention, i) : NULL; /* a rotated v stays apart */
		Node *linear = rotary ? linear_of(graph, rotary->args[0], rotary)
							  : linear_of(graph, attention->args[i], attention);
		if (!linear)
			return "one of them is not a linear with constant weights, or has other uses";
		linears[i - from] = linear;
		if (linear->args[0] != linears[0]->args[0])
			return "they read different values";
		if (linear->attr.has)
			return "one of them has an activation";
		if (linear->args[1]->type.dtype != linears[0]->args[1]->type.dtype)
			return "their weights differ in element type";
	}
	return NULL;
}

/* The joined linear's q and k, or k alone, rotated as they were; v is copied. */
static Value *stack_rotary(Graph *graph, Node *attention, int32_t from, Value *stacked, PassRun *run)
{
	const Node *rotary = rotary_of(graph, attention, 1);
	if (!rotary)
		return stacked;
	const int32_t parts = 3 - from;
	const Attrs attr = {.has = A_heads | A_end | (rotary->attr.has & A_apart),
		.apart = rotary->attr.apart,
		.heads = parts * attention->attr.heads,
		.end = (parts - 1) * attention->attr.heads};
	Value *args[] = {stacked, rotary->args[1]};
	return graph_emit(graph, attention, OP_ROTARY, args, 2, &attr, rotary->origin, run->diag);
}

/* attention q, k, v -> attention qkv (from = 0) or q, kv (from = 1). */
static Node *stack_arguments(
	Graph *graph, Node *attention, int32_t from, Node *const linears[3], PassRun *run)
{
	int32_t count = 3 - from;
	const char *what = from ? "kv" : "qkv";
	Node *last = linears[0]; /* the new linear goes before attention, after everything it reads */
	Tensor *weight = stack_weights(graph, linears, count, what);
	Tensor *bias = stack_biases(graph, linears, count, what, weight->type.dim[0].plus);
	Value *args[3] = {last->args[0], graph_const(graph, attention, weight, last->origin)};
	if (bias)
		args[2] = graph_const(graph, attention, bias, last->origin);
	Value *stacked = graph_emit(
		graph, attention, OP_LINEAR, args, bias ? 3 : 2, NULL, last->origin, run->diag);
	stacked = stacked ? stack_rotary(graph, attention, from, stacked, run) : NULL;
	if (!stacked)
		return NULL;
	Attrs attr = attention->attr;
	attr.pack = from ? PACK_KV : PACK_QKV;
	Node *received = received_of(graph, attention);
	if (received) { /* only of all three: match_stack */
		Value *args_of[ARGS_MAX] = {stacked};
		Attrs own = received->attr;
		own.pack = PACK_QKV;
		for (int32_t i = 2; i < received->nargs; i++) /* score biases */
			args_of[i - 1] = received->args[i];
		if (!rewrite_value(graph, received->results[0], OP_RECEIVED, args_of, received->nargs - 1, &own, run))
			return NULL;
		rewrite_erase(graph, received);
	}
	Value *all[ARGS_MAX] = {attention->args[0]};
	int32_t nargs = from;
	all[nargs++] = stacked;
	for (int32_t i = 3; i < attention->nargs; i++) /* score biases */
		all[nargs++] = attention->args[i];
	Value *by = rewrite_value(graph, attention->results[0], OP_ATTENTION, all, nargs, &attr, run);
	if (!by)
		return NULL;
	rewrite_erase(graph, attention);
	run->changes++;
	return by->node;
}

bool fuse_qkv(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_ATTENTION || node->attr.pack != PACK_NONE)
			continue;
		Node *linears[3];
		int32_t from = 0;
		const char *why_all = match_stack(graph, node, 0, linears), *why = why_all;
		if (why_all && !received_of(graph, node)) {
			from = 1;
			why = match_stack(graph, node, from, linears);
		}
		if (why_all)
			pass_note(run, node, "qkv: q, k and v stay separate: %s", why_all);
		if (why)
			pass_note(run, node, "qkv: k and v stay separate: %s", why);
		else if (!(node = stack_arguments(graph, node, from, linears, run)))
			return false;
	}
	return true;
}
