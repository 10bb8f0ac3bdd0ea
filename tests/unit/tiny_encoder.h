/* tiny_encoder.h: the text of a small encoder as the importer writes one: layers of post-LayerNorm attention and feed-forward
 * network in primitive ops, with origins, and a classifier on [CLS]. Weights are random constants of one seed each. */
#ifndef TINY_ENCODER_H
#define TINY_ENCODER_H
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct TinyEncoder { int layers, heads, size, ffn, vocab, labels; } TinyEncoder;

static void tiny_linear(FILE *out, const char *name, const char *x, int outputs, int inputs, int seed, const char *origin)
{
	fprintf(out, "  %%%s.w = const rand(%d) : f32[%d,%d]  # %s\n  %%%s.b = const rand(%d) : f32[%d]  # %s\n", name, seed, outputs,
		inputs, origin, name, seed + 1, outputs, origin);
	fprintf(out, "  %%%s = linear %%%s, %%%s.w, %%%s.b : f32[S,%d]  # %s\n", name, x, name, name, outputs, origin);
}

static void tiny_norm(FILE *out, const char *name, const char *a, const char *b, int width, int seed, const char *origin)
{
	fprintf(out, "  %%%s.s = add %%%s, %%%s : f32[S,%d]  # %s\n", name, a, b, width, origin);
	fprintf(out, "  %%%s.g = const rand(%d) : f32[%d]  # %s\n", name, seed, width, origin);
	fprintf(out, "  %%%s.c = const rand(%d) : f32[%d]  # %s\n", name, seed + 1, width, origin);
	fprintf(out, "  %%%s = layernorm %%%s.s, %%%s.g, %%%s.c {eps=1e-05} : f32[S,%d]  # %s\n", name, name, name, name, width,
		origin);
}

static void tiny_layer(FILE *out, const TinyEncoder *e, int i, const char *x)
{
	const int hidden = e->heads * e->size;
	static const char *const parts[] = {"q", "k", "v"}, *const words[] = {"query", "key", "value"};
	char name[48], origin[64], in[32], at[16];
	snprintf(at, sizeof at, "%d", i);
#define NAME(what) (snprintf(name, sizeof name, "%s%s", what, at), name)
#define ORIGIN(what) (snprintf(origin, sizeof origin, "layer.%s.%s", at, what), origin)
	for (int p = 0; p < 3; p++) {
		snprintf(origin, sizeof origin, "layer.%s.attention.%s", at, words[p]);
		tiny_linear(out, NAME(parts[p]), x, hidden, hidden, 1000 * (i + 1) + 10 * p, origin);
		fprintf(out, "  %%%sr%d = reshape %%%s%d {shape=[S,%d,%d]} : f32[S,%d,%d]  # layer.%d.attention\n", parts[p], i,
			parts[p], i, e->heads, e->size, e->heads, e->size, i);
		if (p == 1)
			fprintf(out, "  %%kt%d = transpose %%kr%d {perm=[1,2,0]} : f32[%d,%d,S]  # layer.%d.attention\n", i, i, e->heads,
				e->size, i);
		else
			fprintf(out, "  %%%st%d = transpose %%%sr%d {perm=[1,0,2]} : f32[%d,S,%d]  # layer.%d.attention\n", parts[p], i,
				parts[p], i, e->heads, e->size, i);
	}
	fprintf(out, "  %%sc%d = matmul %%qt%d, %%kt%d : f32[%d,S,S]  # layer.%d.attention\n", i, i, i, e->heads, i);
	fprintf(out, "  %%sd%d = div %%sc%d, %%two : f32[%d,S,S]  # layer.%d.attention\n", i, i, e->heads, i);
	fprintf(out, "  %%p%d = softmax %%sd%d : f32[%d,S,S]  # layer.%d.attention\n", i, i, e->heads, i);
	fprintf(out, "  %%c%d = matmul %%p%d, %%vt%d : f32[%d,S,%d]  # layer.%d.attention\n", i, i, i, e->heads, e->size, i);
	fprintf(out, "  %%ct%d = transpose %%c%d {perm=[1,0,2]} : f32[S,%d,%d]  # layer.%d.attention\n", i, i, e->heads, e->size, i);
	fprintf(out, "  %%cj%d = reshape %%ct%d {shape=[S,%d]} : f32[S,%d]  # layer.%d.attention\n", i, i, hidden, hidden, i);
	snprintf(in, sizeof in, "cj%d", i);
	tiny_linear(out, NAME("o"), in, hidden, hidden, 1000 * (i + 1) + 100, ORIGIN("attention.out"));
	snprintf(in, sizeof in, "o%d", i);
	tiny_norm(out, NAME("a"), in, x, hidden, 1000 * (i + 1) + 110, ORIGIN("attention.norm"));
	snprintf(in, sizeof in, "a%d", i);
	tiny_linear(out, NAME("f"), in, e->ffn, hidden, 1000 * (i + 1) + 120, ORIGIN("ffn.in"));
	fprintf(out, "  %%t%d = tanh %%f%d : f32[S,%d]  # layer.%d.ffn.act\n", i, i, e->ffn, i);
	fprintf(out, "  %%m%d = mul %%f%d, %%t%d : f32[S,%d]  # layer.%d.ffn.act\n", i, i, i, e->ffn, i);
	snprintf(in, sizeof in, "m%d", i);
	tiny_linear(out, NAME("g"), in, hidden, e->ffn, 1000 * (i + 1) + 130, ORIGIN("ffn.out"));
	char sum[32];
	snprintf(in, sizeof in, "g%d", i);
	snprintf(sum, sizeof sum, "a%d", i);
	tiny_norm(out, NAME("h"), in, sum, hidden, 1000 * (i + 1) + 140, ORIGIN("ffn.norm"));
#undef NAME
#undef ORIGIN
}

/* malloc'd. Outputs: logits of the first token, hidden. */
static char *tiny_encoder_text(const TinyEncoder *e)
{
	char *text = NULL, x[32] = "x";
	size_t bytes;
	const int hidden = e->heads * e->size;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		abort();
	fprintf(out, "module @tiny max_tokens 16\nhead @classify classify single output=logits labels=[");
	for (int i = 0; i < e->labels; i++)
		fprintf(out, "%s\"l%d\"", i ? ", " : "", i);
	fprintf(out, "]\ngraph @main(%%ids: i32[S]) level=graph {\n  %%two = const splat(2) : f32[]\n");
	fprintf(out, "  %%words = const rand(1) : f32[%d,%d]  # embeddings.word\n", e->vocab, hidden);
	fprintf(out, "  %%x = embed %%words, %%ids : f32[S,%d]  # embeddings.word\n", hidden);
	for (int i = 0; i < e->layers; i++) {
		tiny_layer(out, e, i, x);
		snprintf(x, sizeof x, "h%d", i);
	}
	fprintf(out, "  %%cls = pool %%%s {mode=first} : f32[%d]  # head.classify\n", x, hidden);
	fprintf(out, "  %%cw = const rand(7) : f32[%d,%d]  # head.classify\n", e->labels, hidden);
	fprintf(out, "  %%logits = linear %%cls, %%cw : f32[%d]  # head.classify\n", e->labels);
	fprintf(out, "  return logits=%%logits, hidden=%%%s\n}\n", x);
	fclose(out);
	return text;
}
#endif
