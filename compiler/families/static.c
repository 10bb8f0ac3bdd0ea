/* families/static.c: StaticEmbedding of sentence-transformers: a row for each token, without an encoder. Its
 * config.json is made by import/static_embedding.c. Directories of model2vec (Tulkens, van Dongen:
 * "Model2Vec: Fast State-of-the-Art Static Embeddings", 2024) store rows, the row of each token, and a weight
 * of each token; they become one table here. */
#include "families.h"

/* The tensor NAME [vocab]; NULL: there is none, or it is another. */
static const Tensor *column(Builder *b, const char *name, bool floats, const char *origin)
{
	const Tensor *tensor = builder_find(b, name);
	char found[128];
	if (!tensor)
		return NULL;
	const bool kind = floats ? dtype_is_float(tensor->type.dtype) : tensor->type.dtype == DT_I32;
	if (kind && tensor->type.rank == 1 && tensor->type.dim[0].plus == b->desc->vocab)
		return tensor;
	builder_fail(b, EXIT_INPUT, "%s: %s is %s, expected %s[%d]", origin, name,
		type_print(&tensor->type, found), floats ? "f32" : "i32", b->desc->vocab);
	return NULL;
}

/* For each token the row that `mapping` names, times its weight. */
static Value *folded(Builder *b, const char *origin)
{
	const int32_t vocab = b->desc->vocab, hidden = b->desc->hidden;
	const Tensor *rows = builder_tensor(b, "embeddings", NULL, 0, hidden, SIZE_HIDDEN, origin),
				 *mapping = column(b, "mapping", false, origin),
				 *weights = column(b, "weights", true, origin);
	if (b->failed || !builder_has_room(b, vocab, hidden, "rows", "does mapping have so many tokens?", origin))
		return NULL;
	Tensor *table = tensor_new(b->module, NULL, type_make(DT_F32, 2, dim_number(vocab), dim_number(hidden)));
	for (int32_t id = 0; id < vocab; id++) {
		const int64_t row = mapping ? (int64_t)tensor_at(mapping, id) : id;
		const double weight = weights ? tensor_at(weights, id) : 1;
		if (row < 0 || row >= rows->type.dim[0].plus) {
			builder_fail(b, EXIT_INPUT, "%s: mapping of token %d is %jd, but embeddings has %jd rows", origin,
				id, (intmax_t)row, (intmax_t)rows->type.dim[0].plus);
			return NULL;
		}
		for (int32_t i = 0; i < hidden; i++)
			tensor_set(table, (int64_t)id * hidden + i, tensor_at(rows, row * hidden + i) * weight);
	}
	return graph_const(b->graph, NULL, table, origin);
}

static Value *encoder(Builder *b)
{
	const char *origin = "embeddings.word";
	if (builder_has(b, "embedding.weight"))
		return block_words(b);
	b->words = folded(b, origin);
	return build_embed(b, b->words, b->ids, origin);
}

const Family family_static = {
	WORD_TABLE("static"),
	.words = "embedding",
	.tokens = TOKENS_ALONE,
	.encoder = encoder,
};
