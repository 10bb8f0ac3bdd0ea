/* families/convbert.c: ConvBERT (Jiang et al. 2020, "ConvBERT: Improving BERT with Span-based Dynamic
 * Convolution"), as transformers' ConvBert* classes compute it: ELECTRA, with half of the columns of
 * attention from a convolution. Its weights are a softmax over the taps: a linear of the token's query times
 * a separable convolution around the token. Linears of the feed-forward network may be grouped. */
#include "compiler/support/json_file.h"
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
	.project = "embeddings_project",
};

static Value *linear(Builder *b, Value *x, int32_t i, const char *stem, int64_t rows, const char *part)
{
	return build_linear(b, x, block_stem(b, i, stem), rows, SIZE_HIDDEN, block_origin(b, i, part));
}

/* ---- the convolution ------------------------------------------------------------------------- */

/* What lies around each token: a depthwise convolution, then a linear. */
static Value *surroundings(Builder *b, Value *x, int32_t i)
{
	const int64_t hidden = b->desc->hidden, width = family_attention(b->desc), taps = b->desc->conv;
	const int64_t depth[] = {hidden, 1, taps}, point[] = {width, hidden, 1}, shift[] = {width, 1};
	const char *origin = block_origin(b, i, "attention.around"),
			   *stem = block_stem(b, i, "attention.self.key_conv_attn_layer"),
			   *keys = builder_text(b, "%s, %s and %s", size_name(b->desc, SIZE_HIDDEN),
				   size_name(b->desc, SIZE_HEADS), size_name(b->desc, SIZE_CONV));
	Value *taken = build_folded(
		b, builder_text(b, "%s.depthwise.weight", stem), depth, 3, 2, true, keys, origin);
	Value *weight = build_folded(
		b, builder_text(b, "%s.pointwise.weight", stem), point, 3, 2, false, keys, origin);
	Value *bias = build_folded(b, builder_text(b, "%s.bias", stem), shift, 2, 1, false, keys, origin);
	x = build_op(b, OP_CONVOLVE, (Value *[]){x, taken}, 2, NULL, origin);
	return build_op(b, OP_LINEAR, (Value *[]){x, weight, bias}, 3, NULL, origin);
}

/* x[S,..] under another shape; columns 0: [S,rows], else [S,rows,columns]. */
static Value *shaped(Builder *b, Value *x, int64_t rows, int64_t columns, const char *origin)
{
	const Attrs attr = {
		.has = A_shape, .shape = {columns ? 3 : 2, {dim_symbol(1), dim_number(rows), dim_number(columns)}}};
	return build_op(b, OP_RESHAPE, &x, 1, &attr, origin);
}

static Value *convolution(Builder *b, Value *x, Value *q, int32_t i)
{
	const int64_t heads = b->desc->heads, taps = b->desc->conv;
	const char *origin = block_origin(b, i, "attention.taps");
	const Attrs attr = {.has = A_heads, .heads = heads};
	Value *weights = build_binary(b, OP_MUL, surroundings(b, x, i), q, origin);
	weights = linear(b, weights, i, "attention.self.conv_kernel_layer", heads * taps, "attention.taps");
	weights = shaped(b, weights, heads, taps, origin);
	weights = build_unary(b, OP_SOFTMAX, weights, origin);
	weights = shaped(b, weights, heads * taps, 0, origin);
	Value *values = linear(
		b, x, i, "attention.self.conv_out_layer", family_attention(b->desc), "attention.conv");
	return build_op(
		b, OP_CONVOLVE, (Value *[]){values, weights}, 2, &attr, block_origin(b, i, "attention.conv"));
}

/* ---- layers ---------------------------------------------------------------------------------- */

static const LayerNames names = {
	.attention = {.norm = "attention.output.LayerNorm"},
	.ffn = {"intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "output.LayerNorm"},
};

static Value *attention(Builder *b, Value *x, int32_t i)
{
	const int64_t width = family_attention(b->desc);
	const Attrs columns = {.has = A_axis, .axis = 1};
	Value *q = linear(b, x, i, "attention.self.query", width, "attention.query");
	Value *k = linear(b, x, i, "attention.self.key", width, "attention.key");
	Value *v = linear(b, x, i, "attention.self.value", width, "attention.value");
	Value *both[] = {build_attention(b, q, k, v, block_origin(b, i, "attention")), convolution(b, x, q, i)};
	Value *mixed = build_op(b, OP_CONCAT, both, 2, &columns, block_origin(b, i, "attention"));
	return linear(b, mixed, i, "attention.output.dense", b->desc->hidden, "attention.out");
}

/* A grouped linear of the feed-forward network. */
static Value *grouped(Builder *b, Value *x, int32_t i, const char *stem, int64_t rows, const char *part)
{
	return build_linear_blocks(
		b, x, block_stem(b, i, stem), rows, SIZE_FFN_IN_GROUPS, block_origin(b, i, part));
}

static Value *grouped_layer(Builder *b, Value *x, Value *mixed, int32_t i)
{
	x = build_binary(b, OP_ADD, mixed, x, block_origin(b, i, "attention.residual"));
	x = build_layernorm(b, x, block_stem(b, i, names.attention.norm), block_origin(b, i, "attention.norm"));
	Value *inner = grouped(b, x, i, names.ffn.in, b->desc->ffn, "ffn.in");
	inner = build_activation(b, b->desc->activation, inner, block_origin(b, i, "ffn.act"));
	inner = grouped(b, inner, i, names.ffn.out, b->desc->hidden, "ffn.out");
	x = build_binary(b, OP_ADD, inner, x, block_origin(b, i, "ffn.residual"));
	return build_layernorm(b, x, block_stem(b, i, names.ffn.norm), block_origin(b, i, "ffn.norm"));
}

static Value *encoder(Builder *b)
{
	Value *x = block_embeddings(b, &embeddings);
	const ModelDesc *desc = b->desc;
	if (desc->conv % 2 == 0 || 2 * family_attention(desc) != desc->hidden)
		builder_fail(b, EXIT_UNSUPPORTED,
			"%s is %d, expected an odd number; %s is %d, expected twice a multiple of the %d heads",
			size_name(desc, SIZE_CONV), desc->conv, size_name(desc, SIZE_HIDDEN), desc->hidden, desc->heads);
	for (int32_t i = 0; i < desc->layers && !b->failed; i++) {
		Value *mixed = attention(b, x, i);
		x = desc->ffn_in_groups > 1 ? grouped_layer(b, x, mixed, i)
									: block_after_attention(b, &names, x, mixed, i);
	}
	return x;
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* A part of num_attention_heads is left, at least one. The convolution has no activation. */
static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	int64_t ratio = 2;
	if (!json_member_int(config, "head_ratio", 1, INT32_MAX, &ratio, path, diag))
		return false;
	desc->heads = ratio < desc->heads ? desc->heads / (int32_t)ratio : 1;
	desc->conv_activation = "identity";
	return summary_read_choice(desc, config, "last", false, path, diag);
}

const Family family_convbert = {
	BERT_CONFIG("convbert", "convbert", 30522, 768, 12, 3072),
	.size[SIZE_EMBEDDING] = {"embedding_size", NULL, 768},
	.size[SIZE_CONV] = {"conv_kernel_size", NULL, 9},
	.size[SIZE_FFN_IN_GROUPS] = {"num_groups", NULL, 1},
	.head_activation = {"summary_activation", "identity"},
	.traits = 1u << TRAIT_BARE_HEAD,
	.read = read,
	.segments = true,
	.attends = ATTENDS_HALF,
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "first",
				.dense = "*.dense",
				.encoder_act = true,
				.out = "*.out_proj"},
			[TASK_CHOICE] = {SUMMARY_CLASSIFIER("last", "classifier")},
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "generator",
				.dense = "*_predictions.dense",
				.activation = "gelu",
				.norm = "*_predictions.LayerNorm",
				.out = "*_lm_head"},
		},
};
