/* families/bert.c: model_type "bert": word, position and segment embeddings, then layers of self-attention
 * and a feed-forward network, each followed by residual and LayerNorm (Devlin et al. 2018, as transformers'
 * BertModel computes it). */
#include <string.h>
#include "compiler/model/builder.h"

/* "bert." when the checkpoint was saved with a head, nothing for a bare encoder. */
static void find_prefix(Builder *b)
{
	static const char *const prefixes[] = {"bert.", ""};
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (builder_has(b, builder_text(b, "%sembeddings.word_embeddings.weight", prefixes[i]))) {
			b->prefix = prefixes[i];
			return;
		}
	builder_fail(b, EXIT_INPUT,
		"embeddings.word: %s holds neither bert.embeddings.word_embeddings.weight nor "
		"embeddings.word_embeddings.weight; "
		"is it a BERT?",
		b->desc->weights);
}

static Value *table(Builder *b, const char *name, int32_t rows, const SizeName *size, const char *origin)
{
	return build_tensor(b, builder_text(b, "%sembeddings.%s.weight", b->prefix, name), NULL, rows,
		b->desc->hidden, size, origin);
}

static Value *embeddings(Builder *b)
{
	const ModelDesc *desc = b->desc;
	b->words = table(b, "word_embeddings", desc->vocab, &size_vocab, "embeddings.word");
	Value *words = build_embed(b, b->words, b->ids, "embeddings.word");
	Value *types = build_embed(b,
		table(b, "token_type_embeddings", desc->types, &size_types, "embeddings.type"), b->types,
		"embeddings.type");
	Value *places = build_unary(b, OP_POSITION_IDS, b->ids, "embeddings.position");
	Value *positions = build_embed(b,
		table(b, "position_embeddings", desc->positions, &size_positions, "embeddings.position"), places,
		"embeddings.position");
	Value *sum = build_binary(
		b, OP_ADD, build_binary(b, OP_ADD, words, types, "embeddings"), positions, "embeddings");
	return build_layernorm(b, sum, builder_text(b, "%sembeddings.LayerNorm", b->prefix), "embeddings.norm");
}

static Value *layer(Builder *b, Value *x, int32_t i)
{
	const int64_t hidden = b->desc->hidden, ffn = b->desc->ffn;
/* The tensor's stem and the origin, which is what people call the part. */
#define STEM(text) builder_text(b, "%sencoder.layer.%d." text, b->prefix, i)
#define ORIGIN(text) builder_text(b, "layer.%d." text, i)
	Value *q = build_linear(
		b, x, STEM("attention.self.query"), hidden, &size_hidden, ORIGIN("attention.query"));
	Value *k = build_linear(b, x, STEM("attention.self.key"), hidden, &size_hidden, ORIGIN("attention.key"));
	Value *v = build_linear(
		b, x, STEM("attention.self.value"), hidden, &size_hidden, ORIGIN("attention.value"));
	Value *mixed = build_attention(b, q, k, v, ORIGIN("attention"));
	mixed = build_linear(
		b, mixed, STEM("attention.output.dense"), hidden, &size_hidden, ORIGIN("attention.out"));
	x = build_layernorm(b, build_binary(b, OP_ADD, mixed, x, ORIGIN("attention.residual")),
		STEM("attention.output.LayerNorm"), ORIGIN("attention.norm"));
	Value *inner = build_linear(b, x, STEM("intermediate.dense"), ffn, &size_ffn, ORIGIN("ffn.in"));
	inner = build_activation(b, b->desc->activation, inner, ORIGIN("ffn.act"));
	builder_made_by(b, inner, STEM("intermediate.intermediate_act_fn"));
	inner = build_linear(b, inner, STEM("output.dense"), hidden, &size_hidden, ORIGIN("ffn.out"));
	return build_layernorm(b, build_binary(b, OP_ADD, inner, x, ORIGIN("ffn.residual")),
		STEM("output.LayerNorm"), ORIGIN("ffn.norm"));
#undef STEM
#undef ORIGIN
}

/* A checkpoint with more layers than its own config.json says is some other model's; an edited description
 * may take fewer. */
static void check_layers(Builder *b)
{
	char *next = builder_text(
		b, "%sencoder.layer.%d.attention.self.query.weight", b->prefix, b->desc->layers);
	if (!b->failed && b->desc->from_config && builder_has(b, next))
		builder_fail(b, EXIT_INPUT,
			"%s holds %s, but num_hidden_layers of config.json is %d; to use the first layers only, write a "
			"description "
			"(bertc describe) with fewer",
			b->desc->weights, next, b->desc->layers);
}

Module *family_bert(
	const ModelDesc *desc, TensorFile *const *files, int32_t nfiles, const LoadOptions *options, Diag *diag)
{
	Builder b;
	builder_start(&b, desc, files, nfiles, options, diag);
	b.pooler = "pooler.dense";
	find_prefix(&b);
	check_layers(&b);
	Value *x = b.failed ? NULL : embeddings(&b);
	for (int32_t i = 0; i < desc->layers && !b.failed; i++)
		x = layer(&b, x, i);
	build_heads(&b, x);
	return builder_finish(&b);
}
