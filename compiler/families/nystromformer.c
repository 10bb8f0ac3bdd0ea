/* families/nystromformer.c: Nystromformer (Xiong et al. 2021), as transformers' Nystromformer* classes
 * compute it if each token is a landmark (num_landmarks = segment_means_seq_len, the defaults of its
 * config): BERT without a pooler, with a convolution of the values of each head beside attention.
 * Positions start at 2. With fewer landmarks transformers reads texts of segment_means_seq_len tokens only,
 * whose padding counts. */
#include "compiler/support/json_file.h"
#include "families.h"

/* ---- embeddings ------------------------------------------------------------------------------ */

enum { FIRST_POSITION = 2 };

static Value *positions(Builder *b)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "embeddings.position",
			   *name = builder_text(b, "%sembeddings.position_embeddings.weight", b->prefix);
	const Attrs attr = {.has = A_start, .start = FIRST_POSITION};
	Value *table = build_tensor(
		b, name, NULL, desc->positions + FIRST_POSITION, desc->hidden, SIZE_POSITIONS, origin);
	return build_embed(b, table, build_op(b, OP_POSITION_IDS, &b->ids, 1, &attr, origin), origin);
}

static Value *embeddings(Builder *b)
{
	Value *x = block_words(b), *types = block_types(b, "embeddings.token_type_embeddings", b->desc->hidden),
		  *places = positions(b);
	x = build_binary(b, OP_ADD, x, types, "embeddings");
	x = build_binary(b, OP_ADD, x, places, "embeddings");
	return build_layernorm(b, x, builder_text(b, "%sembeddings.LayerNorm", b->prefix), "embeddings.norm");
}

/* ---- layers ---------------------------------------------------------------------------------- */

static Value *linear(Builder *b, Value *x, int32_t i, const char *stem, const char *part)
{
	return build_linear(b, x, block_stem(b, i, stem), b->desc->hidden, SIZE_HIDDEN, block_origin(b, i, part));
}

/* All columns of a head have the same weights. */
static Value *convolution(Builder *b, Value *v, int32_t i)
{
	const ModelDesc *desc = b->desc;
	const int64_t shape[] = {desc->heads, 1, desc->conv, 1};
	const Attrs attr = {.has = A_heads, .heads = desc->heads};
	const char *origin = block_origin(b, i, "attention.conv"),
			   *keys = builder_text(b, "%s and %s", size_name(desc, SIZE_HEADS), size_name(desc, SIZE_CONV));
	Value *weights = build_folded(
		b, block_stem(b, i, "attention.self.conv.weight"), shape, 4, 1, false, keys, origin);
	return build_op(b, OP_CONVOLVE, (Value *[]){v, weights}, 2, &attr, origin);
}

static Value *attention(Builder *b, Value *x, int32_t i)
{
	Value *q = linear(b, x, i, "attention.self.query", "attention.query");
	Value *k = linear(b, x, i, "attention.self.key", "attention.key");
	Value *v = linear(b, x, i, "attention.self.value", "attention.value");
	Value *mixed = build_attention(b, q, k, v, block_origin(b, i, "attention"));
	mixed = build_binary(b, OP_ADD, mixed, convolution(b, v, i), block_origin(b, i, "attention.conv"));
	return linear(b, mixed, i, "attention.output.dense", "attention.out");
}

static Value *encoder(Builder *b)
{
	const ModelDesc *desc = b->desc;
	Value *x = embeddings(b);
	if (desc->conv % 2 == 0)
		builder_fail(
			b, EXIT_UNSUPPORTED, "%s is %d, expected an odd number", size_name(desc, SIZE_CONV), desc->conv);
	for (int32_t i = 0; i < desc->layers && !b->failed; i++)
		x = block_after_attention(b, &bert_layer, x, attention(b, x, i), i);
	return x;
}

/* ---- config.json ----------------------------------------------------------------------------- */

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	int64_t landmarks = 64, length = 64;
	if (!json_member_int(config, "num_landmarks", 1, INT32_MAX, &landmarks, path, diag)
		|| !json_member_int(config, "segment_means_seq_len", 1, INT32_MAX, &length, path, diag))
		return false;
	desc->conv_activation = "identity";
	return landmarks == length
		|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"num_landmarks is %jd, but segment_means_seq_len is %jd, expected the same number: with fewer "
			"landmarks transformers reads texts of %jd tokens only, and padding counts",
			(intmax_t)landmarks, (intmax_t)length, (intmax_t)length);
}

static const FamilyRefusal refused[] = {
	{"is_decoder", "false", "a decoder with causal attention is not an encoder of texts"},
	{"add_cross_attention", "false", "there is no second sequence to attend to"},
	{NULL, NULL, NULL},
};

const Family family_nystromformer = {
	.model_type = "nystromformer",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 30000},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 510},
		[SIZE_CONV] = {"conv_kernel_size", NULL, 65},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}},
	.activation = {"hidden_act", "gelu_new"},
	.eps = {"layer_norm_eps", 1e-5},
	.read = read,
	.refused = refused,
	.prefixes = (const char *const[]){"nystromformer.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.segments = true,
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "first",
				.dense = "*.dense",
				.out = "*.out_proj"},
			[TASK_CHOICE] = {head_classify,
				.tensors = "classifier",
				.pooling = "first",
				.dense = "pre_*",
				.activation = "relu",
				.out = "*"},
			ROW_HEADS,
			[TASK_FILL_MASK] = {BERT_WORDS},
		},
};
