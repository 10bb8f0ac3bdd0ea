/* families/squeezebert.c: SqueezeBERT (Iandola et al. 2020), as transformers' SqueezeBert* classes compute
 * it: BERT whose layers' linears are grouped. The epsilon of config.json counts outside of the layers only.
 */
#include "compiler/support/json_file.h"
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
};

static Value *grouped(
	Builder *b, Value *x, int32_t i, const char *stem, int64_t rows, Size groups, const char *part)
{
	return build_linear_grouped(b, x, block_stem(b, i, stem), rows, groups, block_origin(b, i, part));
}

/* norm(linear(x) + around) */
static Value *close(
	Builder *b, Value *x, Value *around, int32_t i, const char *stem, Size groups, const char *part)
{
	x = grouped(b, x, i, builder_text(b, "%s.conv1d", stem), b->desc->hidden, groups,
		builder_text(b, "%s.out", part));
	x = build_binary(b, OP_ADD, x, around, block_origin(b, i, builder_text(b, "%s.residual", part)));
	return build_layernorm_with(b, x, block_stem(b, i, builder_text(b, "%s.layernorm", stem)), 1e-12,
		block_origin(b, i, builder_text(b, "%s.norm", part)));
}

static Value *layer(Builder *b, Value *x, int32_t i)
{
	const int64_t hidden = b->desc->hidden;
	Value *q = grouped(b, x, i, "attention.query", hidden, SIZE_Q_GROUPS, "attention.query"),
		  *k = grouped(b, x, i, "attention.key", hidden, SIZE_K_GROUPS, "attention.key"),
		  *v = grouped(b, x, i, "attention.value", hidden, SIZE_V_GROUPS, "attention.value");
	Value *mixed = build_attention(b, q, k, v, block_origin(b, i, "attention"));
	x = close(b, mixed, x, i, "post_attention", SIZE_OUT_GROUPS, "attention");
	Value *inner = grouped(b, x, i, "intermediate.conv1d", b->desc->ffn, SIZE_FFN_IN_GROUPS, "ffn.in");
	inner = build_activation(b, b->desc->activation, inner, block_origin(b, i, "ffn.act"));
	return close(b, inner, x, i, "output", SIZE_FFN_OUT_GROUPS, "ffn");
}

static Value *encoder(Builder *b)
{
	Value *x = block_embeddings(b, &embeddings);
	for (int32_t i = 0; i < b->desc->layers && !b->failed; i++)
		x = layer(b, x, i);
	return x;
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	int64_t embedding = 768;
	if (!json_member_int(config, "embedding_size", 1, INT32_MAX, &embedding, path, diag))
		return false;
	return embedding == desc->hidden
		|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"embedding_size is %jd (default 768), but hidden_size is %d; transformers needs them to be equal",
			(intmax_t)embedding, desc->hidden);
}

const Family family_squeezebert = {
	.model_type = "squeezebert",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 30522},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_Q_GROUPS] = {"q_groups", NULL, 4},
		[SIZE_K_GROUPS] = {"k_groups", NULL, 4},
		[SIZE_V_GROUPS] = {"v_groups", NULL, 4},
		[SIZE_OUT_GROUPS] = {"post_attention_groups", NULL, 1},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_FFN_IN_GROUPS] = {"intermediate_groups", NULL, 4},
		[SIZE_FFN_OUT_GROUPS] = {"output_groups", NULL, 4},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}},
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-12},
	.read = read,
	.refused = bert_refused,
	.prefixes = (const char *const[]){"transformer.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layers",
	.pooler = "pooler.dense",
	.segments = true,
	.encoder = encoder,
	.head = BERT_HEADS,
};
