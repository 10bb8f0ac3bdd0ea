/* tiny_encoder.h: the text of a small encoder as an importer makes it: post-LayerNorm layers of attention and
 * feed-forward network in primitive ops, with origins, and a head. Each weight is a random constant with its
 * own seed. With all fields 0, it is a classifier on [CLS] that also returns the hidden state. */
#ifndef TINY_ENCODER_H
#define TINY_ENCODER_H
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum TinyAct {
	TINY_GATE,
	TINY_GELU,
	TINY_GELU_TANH,
	TINY_RELU,
	TINY_TANH,
	TINY_SILU,
	TINY_ACTS
} TinyAct; /* GATE: x tanh(x) */
typedef enum TinyHead {
	TINY_CLASSIFY,
	TINY_MULTI,
	TINY_REGRESSION,
	TINY_RANK,
	TINY_TAG,
	TINY_EMBED,
	TINY_MASK,
	TINY_QA,
	TINY_HEADS
} TinyHead;
/* How embeddings and the classifier differ. DISTILBERT: no segments; the classifier's dense has ReLU.
 * ROBERTA: no segments either; positions begin behind the padding id and skip it. */
typedef enum TinyFamily { TINY_BERT, TINY_DISTILBERT, TINY_ROBERTA, TINY_FAMILIES } TinyFamily;
static const char *const tiny_families[TINY_FAMILIES] = {"bert", "distilbert", "roberta"};
/* Score biases. TABLE: one by distance for all layers, between tokens or, PLACED, between places. OWN: a
 * table of each layer. WINDOW: one for all heads that hides what is far, beside a table. DENSE: a matrix a
 * head. DOTS: products of queries and of keys with a table of each layer, made from one of all layers. */
typedef enum TinyBias {
	TINY_UNBIASED,
	TINY_TABLE,
	TINY_PLACED,
	TINY_OWN,
	TINY_WINDOW,
	TINY_DENSE,
	TINY_DOTS,
	TINY_BIASES
} TinyBias;
/* How the feed-forward network is gated: by a linear of its own, or by half of the first. */
typedef enum TinyGating { TINY_UNGATED, TINY_GATED, TINY_HALVES, TINY_GATINGS } TinyGating;

typedef struct TinyEncoder {
	TinyFamily family;
	int layers, heads, size, ffn, vocab, labels;
	TinyAct act;
	TinyHead head;
	int tasks; /* graphs of the module, 0 is 1; a second has other biases from its last layer on */
	bool types, positions, norm, pooler, alone; /* alone: the head's output is the only one */
	bool clutter; /* constants to fold, equal ones, and ops that nothing needs */
	TinyBias bias;
	TinyGating gating;
	int sharing;       /* so many neighbouring layers have the same weights; 0: none */
	bool shared_rows;  /* every layer adds the same rows to what its queries and keys are made of */
	const char *pool;  /* of an embedder: "mean" */
	const char *dtype; /* of matrices: "f32" */
} TinyEncoder;

enum { TINY_POSITIONS = 16, TINY_PADDING = 1, TINY_REACH = 3 }; /* REACH: of tables by distance */

static const char *tiny_dtype(const TinyEncoder *e) { return e->dtype ? e->dtype : "f32"; }

static void tiny_linear(FILE *out, const TinyEncoder *e, const char *name, const char *x, int outputs,
	int inputs, int seed, const char *origin)
{
	fprintf(out, "  %%%s.w = const rand(%d) : %s[%d,%d]  # %s\n  %%%s.b = const rand(%d) : f32[%d]  # %s\n",
		name, seed, tiny_dtype(e), outputs, inputs, origin, name, e->clutter ? 6 : seed + 1, outputs, origin);
	fprintf(out, "  %%%s = linear %%%s, %%%s.w, %%%s.b : f32[S,%d]  # %s\n", name, x, name, name, outputs,
		origin);
}

/* NAME<at> = op(x<at>, second<at>), or of the constant that second names with a %; second may be NULL.
 * Returns name. */
static const char *tiny_op(
	FILE *out, const char *op, const char *x, const char *second, const char *name, int at, int width)
{
	fprintf(out, "  %%%s%d = %s %%%s%d", name, at, op, x, at);
	if (second)
		fprintf(out, *second == '%' ? ", %s" : ", %%%s%d", second, at);
	fprintf(out, " : f32[S,%d]  # layer.%d.ffn.act\n", width, at);
	return name;
}

/* m = f / 2 (1 + v), the end of both forms of GELU. */
static void tiny_gelu_end(FILE *out, const char *v, int at, int width)
{
	tiny_op(out, "add", v, "%one", "w", at, width);
	tiny_op(out, "mul", "f", "%half", "y", at, width);
	tiny_op(out, "mul", "y", "w", "m", at, width);
}

/* m = act(f) of layer `at`, in the ops that people write it in. */
static void tiny_act(FILE *out, const TinyEncoder *e, int at)
{
	const int n = e->ffn;
	switch (e->act) {
	case TINY_RELU: tiny_op(out, "relu", "f", NULL, "m", at, n); break;
	case TINY_TANH: tiny_op(out, "tanh", "f", NULL, "m", at, n); break;
	case TINY_SILU:
		tiny_op(out, "mul", "f", tiny_op(out, "sigmoid", "f", NULL, "t", at, n), "m", at, n);
		break;
	case TINY_GELU: /* x (1 + erf(x sqrt(1/2))) / 2 */
		tiny_op(out, "mul", "f", "%root", "u", at, n);
		tiny_op(out, "erf", "u", NULL, "ve", at, n);
		tiny_gelu_end(out, "ve", at, n);
		break;
	case TINY_GELU_TANH: /* x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 */
		tiny_op(out, "mul", "f", "f", "sq", at, n);
		tiny_op(out, "mul", "sq", "f", "cu", at, n);
		tiny_op(out, "mul", "cu", "%cubic", "u", at, n);
		tiny_op(out, "add", "f", "u", "in", at, n);
		tiny_op(out, "mul", "in", "%slope", "z", at, n);
		tiny_op(out, "tanh", "z", NULL, "t", at, n);
		tiny_gelu_end(out, "t", at, n);
		break;
	default: tiny_op(out, "mul", "f", tiny_op(out, "tanh", "f", NULL, "t", at, n), "m", at, n);
	}
}

static void tiny_norm(
	FILE *out, const char *name, const char *a, const char *b, int width, int seed, const char *origin)
{
	fprintf(out, "  %%%s.s = add %%%s, %%%s : f32[S,%d]  # %s\n", name, a, b, width, origin);
	fprintf(out, "  %%%s.g = const rand(%d) : f32[%d]  # %s\n", name, seed, width, origin);
	fprintf(out, "  %%%s.c = const rand(%d) : f32[%d]  # %s\n", name, seed + 1, width, origin);
	fprintf(out, "  %%%s = layernorm %%%s.s, %%%s.g, %%%s.c {eps=1e-05} : f32[S,%d]  # %s\n", name, name,
		name, name, width, origin);
}

/* ---- score biases, and rows that all layers read --------------------------------------------- */

/* What all layers share, made outside of them. */
static void tiny_shared(FILE *out, const TinyEncoder *e)
{
	const int hidden = e->heads * e->size, first = e->family == TINY_ROBERTA ? TINY_PADDING + 1 : 0;
	const bool tables = e->bias == TINY_TABLE || e->bias == TINY_PLACED || e->bias == TINY_WINDOW;
	if (e->bias == TINY_PLACED || e->bias == TINY_DENSE || e->shared_rows) {
		fprintf(out, "  %%where = position_ids %%ids ");
		if (first)
			fprintf(out, "{start=%d padding=%d} ", first, TINY_PADDING);
		fprintf(out, ": i32[S]\n");
	}
	if (e->bias == TINY_DENSE || e->shared_rows)
		fprintf(out,
			"  %%spots = const rand(11) : f32[%d,%d]\n  %%spot = embed %%spots, %%where : f32[S,%d]\n",
			TINY_POSITIONS + first, hidden, hidden);
	if (tables)
		fprintf(out,
			"  %%distances = const rand(12) : f32[%d,%d]\n"
			"  %%bias = by_distance %%distances, %%%s : f32[%d,S,S]\n",
			e->heads, 2 * TINY_REACH + 1, e->bias == TINY_PLACED ? "where" : "x", e->heads);
	if (e->bias == TINY_WINDOW)
		fprintf(out,
			"  %%near = const [-inf, 0, 0, 0, 0, 0, -inf] : f32[1,7]\n"
			"  %%window = by_distance %%near, %%x : f32[1,S,S]\n");
	if (e->bias == TINY_DOTS)
		fprintf(out,
			"  %%far = const rand(12) : f32[5,%d]\n  %%rows = const [4, 4, 3, 2, 1, 0, 0] : i32[7]\n",
			hidden);
	if (e->bias == TINY_DENSE)
		fprintf(out,
			"  %%br = reshape %%spot {shape=[S,%d,%d]} : f32[S,%d,%d]\n"
			"  %%ba = transpose %%br {perm=[1,0,2]} : f32[%d,S,%d]\n"
			"  %%bb = transpose %%br {perm=[1,2,0]} : f32[%d,%d,S]\n"
			"  %%bias = matmul %%ba, %%bb : f32[%d,S,S]\n",
			e->heads, e->size, e->heads, e->size, e->heads, e->size, e->heads, e->size, e->heads);
}

/* NAME<at> = FROM<at> + bias, or bias + FROM<at>. */
static void tiny_add_bias(
	FILE *out, const TinyEncoder *e, int at, const char *bias, const char *from, const char *name)
{
	char scores[32];
	snprintf(scores, sizeof scores, "%s%d", from, at);
	fprintf(out, "  %%%s%d = add %%%s, %%%s : f32[%d,S,S]  # layer.%d.attention\n", name, at,
		at % 2 ? bias : scores, at % 2 ? scores : bias, e->heads, at);
}

/* dots<at>: products of the queries and keys of layer `at`. */
static void tiny_dots(FILE *out, const TinyEncoder *e, int at)
{
	static const char *const parts[] = {"q", "k"};
	const int hidden = e->heads * e->size;
	for (int p = 0; p < 2; p++) {
		fprintf(out, "  %%dw%s%d = const rand(%d) : f32[%d,%d]  # attention.positions\n", parts[p], at,
			920 + 2 * at + p, hidden, hidden);
		fprintf(out, "  %%df%s%d = linear %%far, %%dw%s%d : f32[5,%d]  # attention.positions\n", parts[p], at,
			parts[p], at, hidden);
		fprintf(out,
			"  %%dd%s%d = dot_by_distance %%%s%d, %%df%s%d, %%rows {heads=%d axis=%d} : f32[%d,S,S]  # "
			"layer.%d.attention\n",
			parts[p], at, parts[p], at, parts[p], at, e->heads, p + 1, e->heads, at);
	}
	fprintf(out, "  %%dots%d = add %%ddq%d, %%ddk%d : f32[%d,S,S]  # layer.%d.attention\n", at, at, at,
		e->heads, at);
}

/* Biases on the scores FROM<at>; returns the name of the sum. Layers of even and of odd number write them in
 * another order. */
static const char *tiny_biased(FILE *out, const TinyEncoder *e, int at, const char *from)
{
	char own[32];
	switch (e->bias) {
	case TINY_UNBIASED: return from;
	case TINY_OWN:
		fprintf(out, "  %%dt%d = const rand(%d) : f32[%d,%d]  # layer.%d.attention\n", at, 900 + at, e->heads,
			2 * TINY_REACH + 1, at);
		fprintf(out, "  %%db%d = by_distance %%dt%d, %%x : f32[%d,S,S]  # layer.%d.attention\n", at, at,
			e->heads, at);
		snprintf(own, sizeof own, "db%d", at);
		tiny_add_bias(out, e, at, own, from, "sb");
		return "sb";
	case TINY_WINDOW:
		tiny_add_bias(out, e, at, at % 2 ? "window" : "bias", from, "sw");
		tiny_add_bias(out, e, at, at % 2 ? "bias" : "window", "sw", "sb");
		return "sb";
	case TINY_DOTS:
		tiny_dots(out, e, at);
		snprintf(own, sizeof own, "dots%d", at);
		tiny_add_bias(out, e, at, own, from, "sb");
		return "sb";
	default: tiny_add_bias(out, e, at, "bias", from, "sb"); return "sb";
	}
}

/* ---- a layer --------------------------------------------------------------------------------- */

/* sc = q k^T / 2, with biases in front of or behind the factor; returns the name of what softmax reads. */
static const char *tiny_scores(FILE *out, const TinyEncoder *e, int i)
{
	fprintf(
		out, "  %%sc%d = matmul %%qt%d, %%kt%d : f32[%d,S,S]  # layer.%d.attention\n", i, i, i, e->heads, i);
	const char *scores = i % 3 == 2 ? tiny_biased(out, e, i, "sc") : "sc";
	fprintf(
		out, "  %%sd%d = div %%%s%d, %%two : f32[%d,S,S]  # layer.%d.attention\n", i, scores, i, e->heads, i);
	return i % 3 == 2 ? "sd" : tiny_biased(out, e, i, "sd");
}

/* o<i>, from x; without what goes around it. */
static void tiny_attention(FILE *out, const TinyEncoder *e, int i, const char *x, int seed)
{
	const int hidden = e->heads * e->size;
	static const char *const parts[] = {"q", "k", "v"}, *const words[] = {"query", "key", "value"};
	char name[48], origin[64], placed[32];
	snprintf(placed, sizeof placed, "%s", x);
	if (e->shared_rows) {
		snprintf(placed, sizeof placed, "xp%d", i);
		fprintf(out, "  %%%s = add %%%s, %%spot : f32[S,%d]  # layer.%d.attention\n", placed, x, hidden, i);
	}
	for (int p = 0; p < 3; p++) {
		snprintf(origin, sizeof origin, "layer.%d.attention.%s", i, words[p]);
		snprintf(name, sizeof name, "%s%d", parts[p], i);
		tiny_linear(out, e, name, p == 2 ? x : placed, hidden, hidden, seed + 10 * p, origin);
		fprintf(out, "  %%%sr%d = reshape %%%s%d {shape=[S,%d,%d]} : f32[S,%d,%d]  # layer.%d.attention\n",
			parts[p], i, parts[p], i, e->heads, e->size, e->heads, e->size, i);
		if (p == 1)
			fprintf(out, "  %%kt%d = transpose %%kr%d {perm=[1,2,0]} : f32[%d,%d,S]  # layer.%d.attention\n",
				i, i, e->heads, e->size, i);
		else
			fprintf(out,
				"  %%%st%d = transpose %%%sr%d {perm=[1,0,2]} : f32[%d,S,%d]  # layer.%d.attention\n",
				parts[p], i, parts[p], i, e->heads, e->size, i);
	}
	fprintf(out, "  %%p%d = softmax %%%s%d : f32[%d,S,S]  # layer.%d.attention\n", i, tiny_scores(out, e, i),
		i, e->heads, i);
	fprintf(out, "  %%c%d = matmul %%p%d, %%vt%d : f32[%d,S,%d]  # layer.%d.attention\n", i, i, i, e->heads,
		e->size, i);
	fprintf(out, "  %%ct%d = transpose %%c%d {perm=[1,0,2]} : f32[S,%d,%d]  # layer.%d.attention\n", i, i,
		e->heads, e->size, i);
	fprintf(out, "  %%cj%d = reshape %%ct%d {shape=[S,%d]} : f32[S,%d]  # layer.%d.attention\n", i, i, hidden,
		hidden, i);
	snprintf(placed, sizeof placed, "cj%d", i);
	snprintf(name, sizeof name, "o%d", i);
	snprintf(origin, sizeof origin, "layer.%d.attention.out", i);
	tiny_linear(out, e, name, placed, hidden, hidden, seed + 100, origin);
}

/* g<i> = out(act(in(a<i>))), with a gate or without. */
static void tiny_ffn(FILE *out, const TinyEncoder *e, int i, int seed)
{
	const int hidden = e->heads * e->size, n = e->ffn;
	char x[16], name[16], origin[64];
	snprintf(x, sizeof x, "a%d", i);
	snprintf(origin, sizeof origin, "layer.%d.ffn.in", i);
	snprintf(name, sizeof name, "%s%d", e->gating == TINY_HALVES ? "fw" : "f", i);
	tiny_linear(out, e, name, x, e->gating == TINY_HALVES ? 2 * n : n, hidden, seed + 120, origin);
	if (e->gating == TINY_GATED) {
		snprintf(origin, sizeof origin, "layer.%d.ffn.gate", i);
		snprintf(name, sizeof name, "gu%d", i);
		tiny_linear(out, e, name, x, n, hidden, seed + 125, origin);
	}
	for (int half = 0; half < 2 && e->gating == TINY_HALVES; half++)
		fprintf(out, "  %%%s%d = slice %%fw%d {axis=1 start=%d end=%d} : f32[S,%d]  # layer.%d.ffn.act\n",
			half ? "gu" : "f", i, i, half * n, (half + 1) * n, n, i);
	tiny_act(out, e, i);
	if (e->gating)
		tiny_op(out, "mul", "m", "gu", "mg", i, n);
	snprintf(x, sizeof x, "%s%d", e->gating ? "mg" : "m", i);
	snprintf(name, sizeof name, "g%d", i);
	snprintf(origin, sizeof origin, "layer.%d.ffn.out", i);
	tiny_linear(out, e, name, x, hidden, n, seed + 130, origin);
}

/* h<i>, from x. */
static void tiny_layer(FILE *out, const TinyEncoder *e, int i, const char *x, int shift)
{
	const int hidden = e->heads * e->size, group = e->sharing ? i / e->sharing : i,
			  seed = 1000 * (group + 1) + shift;
	char name[16], in[32], origin[64], around[32];
	tiny_attention(out, e, i, x, seed);
	snprintf(name, sizeof name, "a%d", i);
	snprintf(in, sizeof in, "o%d", i);
	snprintf(origin, sizeof origin, "layer.%d.attention.norm", i);
	tiny_norm(out, name, in, x, hidden, seed + 110, origin);
	tiny_ffn(out, e, i, seed);
	snprintf(name, sizeof name, "h%d", i);
	snprintf(in, sizeof in, "g%d", i);
	snprintf(around, sizeof around, "a%d", i);
	snprintf(origin, sizeof origin, "layer.%d.ffn.norm", i);
	tiny_norm(out, name, in, around, hidden, seed + 140, origin);
}

/* x: what the first layer reads. */
static void tiny_embeddings(FILE *out, const TinyEncoder *e)
{
	const int hidden = e->heads * e->size;
	const bool more = e->positions || e->types || e->norm;
	const char *last = "e";
	fprintf(
		out, "  %%words = const rand(1) : %s[%d,%d]  # embeddings.word\n", tiny_dtype(e), e->vocab, hidden);
	fprintf(out, "  %%%s = embed %%words, %%ids : f32[S,%d]  # embeddings.word\n", more ? "e" : "x", hidden);
	if (e->positions) {
		const int first = e->family == TINY_ROBERTA ? TINY_PADDING + 1 : 0;
		fprintf(out, "  %%places = const rand(2) : f32[%d,%d]  # embeddings.position\n",
			TINY_POSITIONS + first, hidden);
		fprintf(out, "  %%at = position_ids %%ids ");
		if (first)
			fprintf(out, "{start=%d padding=%d} ", first, TINY_PADDING);
		fprintf(out,
			": i32[S]\n  %%ep = embed %%places, %%at : f32[S,%d]  # "
			"embeddings.position\n",
			hidden);
		fprintf(out, "  %%%s = add %%e, %%ep : f32[S,%d]  # embeddings\n", e->types || e->norm ? "es" : "x",
			hidden);
		last = "es";
	}
	if (e->types) {
		fprintf(out, "  %%kinds = const rand(3) : f32[2,%d]  # embeddings.type\n", hidden);
		fprintf(out, "  %%et = embed %%kinds, %%types : f32[S,%d]  # embeddings.type\n", hidden);
		fprintf(
			out, "  %%%s = add %%%s, %%et : f32[S,%d]  # embeddings\n", e->norm ? "est" : "x", last, hidden);
		last = "est";
	}
	if (e->norm) {
		fprintf(out,
			"  %%eg = const rand(4) : f32[%d]  # embeddings.norm\n  %%ec = const rand(5) : f32[%d]  # "
			"embeddings.norm\n",
			hidden, hidden);
		fprintf(out, "  %%x = layernorm %%%s, %%eg, %%ec {eps=1e-05} : f32[S,%d]  # embeddings.norm\n", last,
			hidden);
	}
}

/* A linear of labels on a row (what = "cls") or on all rows. */
static void tiny_labels(FILE *out, const TinyEncoder *e, const char *what, int labels, const char *of)
{
	const int hidden = e->heads * e->size;
	fprintf(
		out, "  %%%s = const rand(7) : f32[%d,%d]  # %s\n", e->clutter ? "cw0" : "cw", labels, hidden, of);
	if (e->clutter)
		fprintf(out, "  %%cw = tanh %%cw0 : f32[%d,%d]  # %s\n", labels, hidden, of);
	fprintf(out, "  %%logits = linear %%%s, %%cw : f32[%s%d]  # %s\n", what,
		strcmp(what, "cls") && strcmp(what, "pooled") ? "S," : "", labels, of);
}

/* logits: the head's output, from the last layer's rows x. */
static void tiny_head(FILE *out, const TinyEncoder *e, const char *x)
{
	const int hidden = e->heads * e->size;
	switch (e->head) {
	case TINY_TAG: tiny_labels(out, e, x, e->labels, "head.tag"); return;
	case TINY_QA: tiny_labels(out, e, x, 2, "head.qa"); return;
	case TINY_MASK: /* the decoder is the table */
		fprintf(out, "  %%cb = const rand(8) : f32[%d]  # head.mask\n", e->vocab);
		fprintf(out, "  %%logits = linear %%%s, %%words, %%cb : f32[S,%d]  # head.mask\n", x, e->vocab);
		return;
	case TINY_EMBED:
		fprintf(out, "  %%cls = pool %%%s {mode=%s} : f32[%d]  # head.embed\n", x, e->pool ? e->pool : "mean",
			hidden);
		fprintf(out, "  %%logits = normalize %%cls {eps=1e-12} : f32[%d]  # head.embed\n", hidden);
		return;
	default: break;
	}
	fprintf(out, "  %%cls = pool %%%s {mode=first} : f32[%d]  # head.classify\n", x, hidden);
	if (e->pooler) {
		fprintf(out,
			"  %%pw = const rand(9) : %s[%d,%d]  # pooler\n  %%dense = linear %%cls, %%pw : f32[%d]  # "
			"pooler\n",
			tiny_dtype(e), hidden, hidden, hidden);
		fprintf(out, "  %%pooled = %s %%dense : f32[%d]  # pooler\n",
			e->family == TINY_DISTILBERT ? "relu" : "tanh", hidden);
	}
	tiny_labels(out, e, e->pooler ? "pooled" : "cls",
		e->head == TINY_REGRESSION || e->head == TINY_RANK ? 1 : e->labels, "head.classify");
}

static void tiny_graph(FILE *out, const TinyEncoder *e, int task)
{
	char x[32] = "x";
	fprintf(out, "graph @%s(%%ids: i32[S]%s) level=graph {\n", task ? "second" : "main",
		e->types ? ", %types: i32[S]" : "");
	fprintf(out, "  %%two = const splat(2) : f32[]\n");
	if (e->act == TINY_GELU || e->act == TINY_GELU_TANH)
		fprintf(out, "  %%one = const splat(1) : f32[]\n  %%half = const splat(0.5) : f32[]\n");
	if (e->act == TINY_GELU)
		fprintf(out, "  %%root = const splat(0.70710677) : f32[]\n");
	if (e->act == TINY_GELU_TANH)
		fprintf(
			out, "  %%cubic = const splat(0.044715) : f32[]\n  %%slope = const splat(0.7978846) : f32[]\n");
	tiny_embeddings(out, e);
	if (e->clutter)
		fprintf(out,
			"  %%unused = embed %%words, %%ids : f32[S,%d]\n  %%unused2 = tanh %%unused : f32[S,%d]\n",
			e->heads * e->size, e->heads * e->size);
	tiny_shared(out, e);
	for (int i = 0; i < e->layers; i++) {
		tiny_layer(out, e, i, x, task && i == e->layers - 1 ? 500 : 0);
		snprintf(x, sizeof x, "h%d", i);
	}
	tiny_head(out, e, x);
	fprintf(out, "  return logits%s=%%logits", task ? "_second" : "");
	if (!e->alone)
		fprintf(out, ", hidden%s=%%%s", task ? "_second" : "", x);
	fprintf(out, "\n}\n");
}

static void tiny_head_line(FILE *out, const TinyEncoder *e, int task)
{
	static const char *const lines[TINY_HEADS] = {
		[TINY_CLASSIFY] = "head @classify%s classify single",
		[TINY_MULTI] = "head @classify%s classify multi",
		[TINY_REGRESSION] = "head @classify%s classify regression",
		[TINY_RANK] = "head @rank%s rank regression",
		[TINY_TAG] = "head @tag%s tag single",
		[TINY_EMBED] = "head @embed%s embed single",
		[TINY_MASK] = "head @mask%s fill-mask single",
		[TINY_QA] = "head @qa%s qa single",
	};
	fprintf(out, lines[e->head], task ? "_second" : "");
	fprintf(out, " output=logits%s", task ? "_second" : "");
	if (e->head == TINY_CLASSIFY || e->head == TINY_MULTI || e->head == TINY_TAG) {
		fprintf(out, " labels=[");
		for (int i = 0; i < e->labels; i++)
			fprintf(out, "%s\"l%d\"", i ? ", " : "", i);
		fprintf(out, "]");
	}
	fprintf(out, "\n");
}

/* malloc'd. Outputs: logits, and hidden unless alone; those of a second task have "_second" behind their
 * names. */
static char *tiny_encoder_text(const TinyEncoder *e)
{
	char *text = NULL;
	size_t bytes;
	const int tasks = e->tasks ? e->tasks : 1;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		abort();
	fprintf(out, "module @tiny max_tokens %d\n", TINY_POSITIONS);
	for (int task = 0; task < tasks; task++)
		tiny_head_line(out, e, task);
	for (int task = 0; task < tasks; task++)
		tiny_graph(out, e, task);
	fclose(out);
	return text;
}
#endif
