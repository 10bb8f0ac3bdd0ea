/* families/mobilebert.c: MobileBERT (Sun et al. 2020), as transformers' MobileBert* classes compute it:
 * narrow BERT layers with several feed-forward networks, between linears from and to a wide hidden state
 * (bottlenecks). Its norms are a scale and a shift, or LayerNorms. The word table is narrow: a linear widens
 * the embeddings of three neighbouring tokens, and the decoder of masked words has a second matrix for the
 * other columns. */
#include <string.h>
#include "compiler/support/json_file.h"
#include "families.h"

/* LayerNorms to which transformers gives no epsilon have torch's. */
static const double torch_eps = 1e-5;

static Value *norm(Builder *b, Value *x, const char *stem, double eps, const char *origin)
{
	return b->desc->trait[TRAIT_SCALE_NORM] ? build_scale(b, x, stem, origin)
											: build_layernorm_with(b, x, stem, eps, origin);
}

/* ---- embeddings ------------------------------------------------------------------------------ */

static Value *shifted(Builder *b, Value *x, int64_t start, const char *origin)
{
	const Attrs attr = {.has = A_start, .start = start};
	return build_op(b, OP_SHIFT, &x, 1, &attr, origin);
}

static Value *embeddings(Builder *b)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "embeddings", *trigram = "embeddings.trigram";
	Value *x = block_words(b);
	if (desc->trait[TRAIT_TRIGRAM]) {
		Value *three[] = {shifted(b, x, 1, trigram), x, shifted(b, x, -1, trigram)};
		const Attrs columns = {.has = A_axis, .axis = 1};
		x = build_op(b, OP_CONCAT, three, 3, &columns, trigram);
	}
	if (desc->trait[TRAIT_TRIGRAM] || desc->embedding != desc->hidden) {
		const char *stem = builder_text(b, "%sembeddings.embedding_transformation", b->prefix);
		x = build_linear(b, x, stem, desc->hidden, SIZE_HIDDEN, "embeddings.project");
	}
	Value *positions = block_positions(b, "embeddings.position_embeddings", desc->hidden),
		  *types = block_types(b, "embeddings.token_type_embeddings", desc->hidden);
	x = build_binary(b, OP_ADD, x, positions, origin);
	x = build_binary(b, OP_ADD, x, types, origin);
	return norm(b, x, builder_text(b, "%sembeddings.LayerNorm", b->prefix), torch_eps, "embeddings.norm");
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Part `part` of layer i: norm(dense(x) + around); around NULL: norm(dense(x)). */
static Value *dense_norm(Builder *b, Value *x, Value *around, int32_t i, const char *stem, const char *part,
	int64_t width, Size size, double eps)
{
	const char *dense = block_stem(b, i, builder_text(b, "%s.dense", stem)),
			   *after = block_stem(b, i, builder_text(b, "%s.LayerNorm", stem));
	x = build_linear(b, x, dense, width, size, block_origin(b, i, builder_text(b, "%s.out", part)));
	if (around)
		x = build_binary(b, OP_ADD, x, around, block_origin(b, i, builder_text(b, "%s.residual", part)));
	return norm(b, x, after, eps, block_origin(b, i, builder_text(b, "%s.norm", part)));
}

/* A feed-forward network with its norm: the layer's last one, or one before it. */
static Value *network(Builder *b, Value *x, int32_t i, const char *stem, const char *part, double eps)
{
	const ModelDesc *desc = b->desc;
	const char *in = block_stem(b, i, builder_text(b, "%sintermediate.dense", stem)),
			   *act = block_stem(b, i, builder_text(b, "%sintermediate.intermediate_act_fn", stem));
	Value *inner = build_linear(
		b, x, in, desc->ffn, SIZE_FFN, block_origin(b, i, builder_text(b, "%s.in", part)));
	inner = build_activation(b, desc->activation, inner, block_origin(b, i, builder_text(b, "%s.act", part)));
	builder_made_by(b, inner, act);
	return dense_norm(b, inner, x, i, builder_text(b, "%soutput", stem), part, family_width(desc),
		desc->bottleneck ? SIZE_BOTTLENECK : SIZE_HIDDEN, eps);
}

/* Queries and keys read one value, values another; `around` goes around the block. */
static Value *attention(Builder *b, Value *query, Value *value, Value *around, int32_t i)
{
	const int64_t width = family_width(b->desc);
	const Size size = b->desc->bottleneck ? SIZE_BOTTLENECK : SIZE_HIDDEN;
	static const char *const stems[] = {"attention.self.query", "attention.self.key", "attention.self.value"},
							 *const parts[] = {"attention.query", "attention.key", "attention.value"};
	Value *qkv[3];
	for (int k = 0; k < 3; k++)
		qkv[k] = build_linear(
			b, k < 2 ? query : value, block_stem(b, i, stems[k]), width, size, block_origin(b, i, parts[k]));
	Value *mixed = build_attention(b, qkv[0], qkv[1], qkv[2], block_origin(b, i, "attention"));
	return dense_norm(b, mixed, around, i, "attention.output", "attention", width, size, b->desc->eps);
}

static Value *layer(Builder *b, Value *x, int32_t i)
{
	const ModelDesc *desc = b->desc;
	const bool *has = desc->trait;
	Value *narrow = x, *query = x, *value = x;
	if (desc->bottleneck)
		narrow = dense_norm(
			b, x, NULL, i, "bottleneck.input", "bottleneck.in", desc->bottleneck, SIZE_BOTTLENECK, desc->eps);
	if (has[TRAIT_NARROW_ATTENTION]) {
		query = narrow;
		value = narrow;
	} else if (has[TRAIT_NARROW_QUERY]) {
		query = dense_norm(b, x, NULL, i, "bottleneck.attention", "bottleneck.attention", desc->bottleneck,
			SIZE_BOTTLENECK, desc->eps);
	}
	Value *y = attention(b, query, value, narrow, i);
	for (int32_t k = 0; k < desc->networks - 1; k++)
		y = network(b, y, i, builder_text(b, "ffn.%d.", k), builder_text(b, "ffn.%d", k), desc->eps);
	y = network(b, y, i, "", "ffn", torch_eps);
	return desc->bottleneck
		? dense_norm(b, y, x, i, "output.bottleneck", "bottleneck", desc->hidden, SIZE_HIDDEN, desc->eps)
		: y;
}

static Value *encoder(Builder *b)
{
	Value *x = embeddings(b);
	for (int32_t i = 0; i < b->desc->layers && !b->failed; i++)
		x = layer(b, x, i);
	return x;
}

/* ---- config.json ----------------------------------------------------------------------------- */

static bool read_norm(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	const char *word = "no_norm";
	if (!json_member_text(config, "normalization_type", &word, path, diag))
		return false;
	desc->trait[TRAIT_SCALE_NORM] = strcmp(word, "no_norm") == 0;
	return desc->trait[TRAIT_SCALE_NORM] || strcmp(word, "layer_norm") == 0
		|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"normalization_type is \"%s\", expected \"no_norm\" or \"layer_norm\"", word);
}

/* transformers' classes take the width of attention from this key, which they write but do not need. */
static bool check_width(const ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	int64_t width = family_width(desc);
	if (!json_member_int(config, "true_hidden_size", 1, INT32_MAX, &width, path, diag))
		return false;
	return width == family_width(desc)
		|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"true_hidden_size is %jd, but %s is %d; leave true_hidden_size out", (intmax_t)width,
			desc->bottleneck ? "intra_bottleneck_size" : "hidden_size", family_width(desc));
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	bool trigram = true, bottleneck = true, attention = false, query = true, activated = true;
	if (!json_member_flag(config, "trigram_input", &trigram, path, diag)
		|| !json_member_flag(config, "use_bottleneck", &bottleneck, path, diag)
		|| !json_member_flag(config, "use_bottleneck_attention", &attention, path, diag)
		|| !json_member_flag(config, "key_query_shared_bottleneck", &query, path, diag)
		|| !json_member_flag(config, "classifier_activation", &activated, path, diag)
		|| !read_norm(desc, config, path, diag))
		return false;
	if (bottleneck && !desc->bottleneck)
		return diag_error_in(
			diag, EXIT_INPUT, path, 0, "intra_bottleneck_size is 0, but use_bottleneck is true");
	if (bottleneck && !attention && !query && desc->bottleneck != desc->hidden)
		return diag_error_in(diag, EXIT_INPUT, path, 0,
			"key_query_shared_bottleneck is false, so queries read the %d columns of hidden_size, but "
			"intra_bottleneck_size is %d",
			desc->hidden, desc->bottleneck);
	if (!bottleneck)
		desc->bottleneck = 0;
	desc->trait[TRAIT_TRIGRAM] = trigram;
	desc->trait[TRAIT_NARROW_ATTENTION] = bottleneck && attention;
	desc->trait[TRAIT_NARROW_QUERY] = bottleneck && !attention && query;
	desc->trait[TRAIT_PLAIN_POOLER] = !activated;
	return check_width(desc, config, path, diag);
}

const Family family_mobilebert = {
	.model_type = "mobilebert",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 30522},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 512},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 24},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 4},
		[SIZE_EMBEDDING] = {"embedding_size", NULL, 128},
		[SIZE_BOTTLENECK] = {"intra_bottleneck_size", NULL, 128},
		[SIZE_FFN] = {"intermediate_size", NULL, 512},
		[SIZE_NETWORKS] = {"num_feedforward_networks", NULL, 4},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}},
	.eps = {"layer_norm_eps", 1e-12},
	.refused = bert_refused,
	.prefixes = (const char *const[]){"mobilebert.", "", NULL},
	.words = "embeddings.word_embeddings",
	.traits = 1u << TRAIT_TRIGRAM | 1u << TRAIT_SCALE_NORM | 1u << TRAIT_NARROW_ATTENTION
		| 1u << TRAIT_NARROW_QUERY | 1u << TRAIT_PLAIN_POOLER,
	.read = read,
	.activation = {"hidden_act", "relu"},
	.layers = "encoder.layer",
	.pooler = "pooler.dense",
	.pair = BERT_PAIR,
	.segments = true,
	.encoder = encoder,
	.head =
		{
			POOLED_HEADS,
			ROW_HEADS,
			[TASK_FILL_MASK] = {BERT_WORDS, .rest = "*.dense"},
		},
};
