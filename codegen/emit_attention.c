/* emit_attention.c: wrappers of `attention` with score biases and of `received`. The work is divided into
 * (text, head) pairs. runtime/kernels/attention__scalar.c has the signatures of the kernels. */
#include "emit.h"
#include "ir/attention.h"

/* The loop over a thread's share of all (text, head) pairs. Each kernel call takes some heads of text i. */
static void print_heads(Body *b, const char *call, long long heads)
{
	b->whole = true;
	fprintf(b->code,
		"\tchar *scratch = call->scratch + (size_t)thread * call->scratch_bytes;\n"
		"\tconst int last = rt_part(call->ntexts * %lld, thread + 1, call->threads);\n"
		"\tfor (int at = rt_part(call->ntexts * %lld, thread, call->threads), heads; at < last; at += heads) "
		"{\n"
		"\t\tconst int i = at / %lld, head = at %% %lld;\n",
		heads, heads, heads, heads);
	body_text_rows(b, b->code);
	fprintf(b->code, "\t\theads = rt_min(%lld - head, last - at);\n%s\t}\n", heads, call);
}

/* ---- score biases ---------------------------------------------------------------------------- */

static bool dim_is_one(Dim dim) { return dim_equal(dim, dim_number(1)); }

/* Whether RtBias can point to the bias. */
static bool bias_fits(Body *b, const ScoreBias *bias)
{
	const Place place = value_place(bias->value);
	if (bias->axis)
		return (place == PLACE_CONST && bias->value->type.rank == 4)
			|| diag_error(b->e->diag, EXIT_UNSUPPORTED, b->node->line,
				"attention: expected a table of products that pack-weights packed; it must be a constant, "
				"which fold-const makes");
	if (bias->is_table && !bias->by_query ? place == PLACE_CONST || place == PLACE_TEXTS
										  : place == PLACE_TOKENS || place == PLACE_PAIRS)
		return true;
	return diag_error(b->e->diag, EXIT_UNSUPPORTED, b->node->line,
		"attention: expected a computed score bias, or a constant table by distance");
}

/* "{bias0 + begin * .., S * S, S, NULL, -1}": one bias of the kernel. */
static const char *bias_text(Body *b, const ScoreBias *bias, int32_t number)
{
	const Type *type = &bias->value->type;
	const char *keys = body_dim(b, type->dim[type->rank - 1]), *at, *places = "NULL";
	body_param(b, mem_printf(b->e->mem, "bias%d", (int)number), bias->value);
	at = body_pointer(b, b->nparams - 1);
	if (bias->places) {
		body_param(b, mem_printf(b->e->mem, "places%d", (int)number), bias->places);
		places = body_pointer(b, b->nparams - 1);
	}
	if (bias->by_query) {
		const long long columns = type->dim[1].plus, width = columns / b->node->attr.heads;
		return mem_printf(b->e->mem, "{%s, %lld, %lld, %s, %lld}", at, width, columns, places, width / 2);
	}
	if (bias->is_table)
		return mem_printf(b->e->mem, "{%s, %lld, 0, %s, %lld}", at,
			type->dim[0].plus == 1 ? 0LL : (long long)type->dim[1].plus, places,
			(long long)type->dim[1].plus / 2);
	const bool by_query = type->rank > 1 && !dim_is_one(type->dim[type->rank - 2]);
	const bool by_head = type->rank > 2 && !dim_is_one(type->dim[0]);
	const char *head = "0";
	if (by_head)
		head = by_query ? mem_printf(b->e->mem, "(size_t)%s * (size_t)%s", keys, keys) : keys;
	return mem_printf(b->e->mem, "{%s, %s, %s, NULL, -1}", at, head, by_query ? keys : "0");
}

/* "{dots0, index0, 16, 511, 1}": one table of products of the kernel. */
static const char *dots_text(Body *b, const ScoreBias *bias, int32_t number)
{
	body_param(b, mem_printf(b->e->mem, "dots%d", (int)number), bias->value);
	body_param(b, mem_printf(b->e->mem, "index%d", (int)number), bias->index);
	return mem_printf(b->e->mem, "{dots%d, index%d, %lld, %lld, %d}", (int)number, (int)number,
		(long long)bias->value->type.dim[1].plus, (long long)bias->index->type.dim[0].plus / 2,
		bias->axis == DOT_KEYS);
}

/* The declaration of an array of n elements, or "" without any; and the kernel's arguments for it. */
static const char *array_text(
	Body *b, const char *type, const char *name, const char *elements, int n, const char **arguments)
{
	*arguments = n ? mem_printf(b->e->mem, ", %s, %d", name, n) : ", NULL, 0";
	return n ? mem_printf(b->e->mem, "\t\tconst %s %s[] = {%s};\n", type, name, elements) : "";
}

/* The declarations of the arrays of biases, and the kernel's arguments for them. Both are "" without biases.
 */
static const char *bias_arrays(Body *b, const char **arguments)
{
	ScoreBias biases[BIASES_MAX];
	const int32_t count = attention_biases(b->node, biases);
	const char *text[2] = {"", ""}, *own[2];
	int32_t n[2] = {0, 0};
	*arguments = "";
	for (int32_t i = 0; i < count; i++) {
		const int dots = biases[i].axis != 0;
		if (!bias_fits(b, &biases[i]))
			return NULL;
		text[dots] = mem_printf(b->e->mem, "%s%s%s", text[dots], n[dots] ? ", " : "",
			dots ? dots_text(b, &biases[i], i) : bias_text(b, &biases[i], i));
		n[dots]++;
	}
	if (!count)
		return "";
	text[0] = array_text(b, "RtBias", "bias", text[0], n[0], &own[0]);
	text[1] = array_text(b, "RtRelative", "relative", text[1], n[1], &own[1]);
	*arguments = mem_printf(b->e->mem, "%s%s", own[0], n[1] ? own[1] : "");
	return mem_printf(b->e->mem, "%s%s", text[0], text[1]);
}

bool body_received(Body *b)
{
	const Node *node = b->node;
	const Type *q = &node->args[0]->type;
	const bool joined = node->attr.pack == PACK_QKV;
	const long long columns = q->dim[1].plus, hidden = joined ? columns / 3 : columns,
					heads = node->attr.heads;
	for (int32_t i = 0; i < attention_parts(node); i++) {
		if (value_is_const(node->args[i]) || !type_is_rows(&node->args[i]->type))
			return diag_error(b->e->diag, EXIT_UNSUPPORTED, node->line,
				"received: %s must have one row per token", i ? "k" : "q");
		const char *part = i ? "k" : "q";
		body_param(b, joined ? "qkv" : part, node->args[i]);
	}
	const char *keys = joined ? mem_printf(b->e->mem, "%s + %lld", body_pointer(b, 1), hidden)
							  : body_pointer(b, 2);
	const char *bias, *array = bias_arrays(b, &bias);
	if (!array)
		return false;
	const char *rows = body_dim(b, q->dim[0]),
			   *scale = body_real(b, node->attr.has & A_scale ? node->attr.scale : 1);
	b->name = mem_printf(b->e->mem, "%s_%lld_%lld", body_op_name(b), heads, hidden / heads);
	print_heads(b,
		mem_printf(b->e->mem,
			"%s\t\t%s(%s, %s, %s, %s, %lld, %lld, %lld, %lld, head, head + heads, %s%s%s, scratch);\n", array,
			b->kernel->function, body_pointer(b, 0), body_pointer(b, 1), keys, rows, heads, hidden / heads,
			columns, columns, scale, body_selection(b, rows), bias),
		heads);
	b->per_pair = 2.0 * (double)hidden;
	return true;
}

bool body_by_distance(Body *b)
{
	const Node *node = b->node;
	const Type *table = &node->args[0]->type, *type = &node->results[0]->type;
	const bool placed = node->args[1]->type.dtype == DT_I32 && !places_are_plain(node->args[1]);
	const bool by_query = node->attr.has & A_heads;
	const long long heads = type->dim[0].plus, width = table->dim[1].plus / (by_query ? heads : 1);
	body_param(b, "table", node->args[0]);
	if (placed)
		body_param(b, "places", node->args[1]);
	b->name = mem_printf(b->e->mem, "by_%s_%lld_%lld", by_query ? "query" : "distance", heads, width);
	fprintf(b->code, "\t\t%s(%s, %s, %s, %lld, %s, %lld, %d);\n", b->kernel->function, body_pointer(b, 0),
		body_pointer(b, 1), placed ? body_pointer(b, 2) : "NULL", heads, body_dim(b, type->dim[1]), width / 2,
		by_query);
	return true;
}

bool body_dot_by_distance(Body *b)
{
	const Node *node = b->node;
	const Type *type = &node->results[0]->type, *x = &node->args[0]->type;
	const long long heads = node->attr.heads, d = x->dim[1].plus / heads,
					reach = node->args[2]->type.dim[0].plus / 2;
	static const char *const names[] = {"x", "table", "index"};
	for (int32_t i = 0; i < 3; i++)
		body_param(b, names[i], node->args[i]);
	b->name = mem_printf(b->e->mem, "dot_by_distance_%lld_%lld_%lld", heads, d, reach);
	fprintf(b->code, "\t\t%s(%s, %s, %s, %s, %lld, %s, %lld, %lld, %d);\n", b->kernel->function,
		body_pointer(b, 0), body_pointer(b, 1), body_pointer(b, 2), body_pointer(b, 3), heads,
		body_dim(b, type->dim[1]), d, reach, node->attr.axis == DOT_KEYS);
	return true;
}

/* ---- attention ------------------------------------------------------------------------------- */

bool body_attention(Body *b)
{
	const Node *node = b->node;
	const Type *type = &node->results[0]->type;
	const Value *q = node->args[0];
	long long hidden = type->dim[type->rank - 1].plus, heads = node->attr.heads;
	bool one_query = value_place(q) == PLACE_TEXTS;
	static const char *const names[] = {"q", "k", "v"};
	const int32_t parts = attention_parts(node);
	for (int32_t i = 0; i < parts; i++) {
		if (value_is_const(node->args[i]) || (i && !type_is_rows(&node->args[i]->type))
			|| value_place(node->args[i]) == PLACE_PAIRS)
			return diag_error(b->e->diag, EXIT_UNSUPPORTED, node->line,
				"attention: %s must have one row per token", names[i]);
		const char *part = i == 1 && node->attr.pack == PACK_KV ? "kv" : names[i];
		body_param(b, node->attr.pack == PACK_QKV ? "qkv" : part, node->args[i]);
	}
	const char *bias, *array = bias_arrays(b, &bias);
	if (!array)
		return false;
	const bool selects = node->attr.has & A_SELECT;
	b->name = mem_printf(
		b->e->mem, "%s%s_%lld_%lld", body_op_name(b), one_query ? "_first" : "", heads, hidden / heads);
	const char *keys = "", *values = "";
	long long q_stride = hidden, k_stride = hidden, v_stride = hidden;
	if (node->attr.pack == PACK_QKV) {
		keys = mem_printf(b->e->mem, "%s + %lld", body_pointer(b, 1), hidden);
		values = mem_printf(b->e->mem, "%s + %lld", body_pointer(b, 1), 2 * hidden);
		v_stride = 3 * hidden;
		k_stride = 3 * hidden;
		q_stride = 3 * hidden;
	} else if (node->attr.pack == PACK_KV) {
		keys = body_pointer(b, 2);
		values = mem_printf(b->e->mem, "%s + %lld", body_pointer(b, 2), hidden);
		v_stride = 2 * hidden;
		k_stride = 2 * hidden;
	} else {
		keys = body_pointer(b, 2);
		values = body_pointer(b, 3);
	}
	const char *nkeys = body_dim(b, node->args[parts - 1]->type.dim[0]);
	const char *text = mem_printf(b->e->mem,
		"%s\t\t%s(%s, %s, %s,\n"
		"\t\t\t%s, %s, %s, %lld, %lld, %lld, %lld, %lld, head, head + heads, %s%s%s, scratch);\n",
		array, b->kernel->function, body_pointer(b, 0), body_pointer(b, 1), keys, values,
		one_query ? "1" : body_dim(b, q->type.dim[0]), nkeys, heads, hidden / heads, q_stride, k_stride,
		v_stride, body_real(b, node->attr.has & A_scale ? node->attr.scale : 1),
		selects || *bias ? body_selection(b, nkeys) : "", bias);
	print_heads(b, text, heads);
	const double products = 2 + attention_dots(node);
	*(one_query ? &b->per_token : &b->per_pair) = 2 * products * (double)hidden;
	return true;
}
