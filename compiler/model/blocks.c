/* blocks.c: see blocks.h. */
#include "blocks.h"

/* ---- embeddings ------------------------------------------------------------------------------ */

static Value *table(Builder *b, const char *stem, int32_t rows, Size size, const char *origin)
{
	const char *name = builder_text(b, "%s%s.weight", b->prefix, stem);
	return build_tensor(b, name, NULL, rows, family_columns(b->desc), size, origin);
}

/* The table of words. A tied masked language model may have it under the decoder's name only. */
static Value *word_table(Builder *b, const char *origin)
{
	const char *name = builder_text(b, "%s%s.weight", b->prefix, b->desc->family->words);
	return build_tensor(
		b, name, head_tied_table(b), b->desc->vocab, family_columns(b->desc), SIZE_VOCAB, origin);
}

/* Row 0 for every token: [1,columns]. */
static Value *first_row(Builder *b, Value *rows, const char *origin)
{
	if (b->failed)
		return NULL;
	const Tensor *zero = tensor_new(b->module, NULL, type_make(DT_I32, 1, dim_number(1)));
	return build_embed(b, rows, graph_const(b->graph, NULL, zero, origin), origin);
}

/* The position row of each token. In families that skip padding, positions start after the padding id. */
static Value *places_of(Builder *b, const char *stem)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "embeddings.position";
	Attrs attr = {.has = A_start | A_padding, .start = desc->padding + 1, .padding = desc->padding};
	const Attrs *skip = desc->family->skips_padding ? &attr : NULL;
	Value *places = build_op(b, OP_POSITION_IDS, &b->ids, 1, skip, origin);
	return build_embed(b, table(b, stem, desc->positions, SIZE_POSITIONS, origin), places, origin);
}

/* The row of each token's segment, or row 0 for all; NULL: the family has no such table. */
static Value *types_of(Builder *b, const char *stem)
{
	const char *origin = "embeddings.type";
	if (!stem)
		return NULL;
	Value *rows = table(b, stem, b->desc->types, SIZE_TYPES, origin);
	return b->types ? build_embed(b, rows, b->types, origin) : first_row(b, rows, origin);
}

Value *block_embeddings(Builder *b, const EmbeddingNames *names)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "embeddings";
	b->words = word_table(b, "embeddings.word");
	Value *sum = build_embed(b, b->words, b->ids, "embeddings.word");
	Value *types = types_of(b, names->types), *positions = places_of(b, names->positions);
	if (names->types && !b->types) /* one row for all tokens: fold-const adds it to the table of positions */
		positions = build_binary(b, OP_ADD, positions, types, origin);
	else if (names->types)
		sum = build_binary(b, OP_ADD, sum, types, origin);
	sum = build_binary(b, OP_ADD, sum, positions, origin);
	sum = build_layernorm(b, sum, builder_text(b, "%s%s", b->prefix, names->norm), "embeddings.norm");
	if (family_columns(desc) == desc->hidden && !names->projects_equal)
		return sum;
	const char *stem = builder_text(b, "%s%s", b->prefix, names->project);
	return build_linear(b, sum, stem, desc->hidden, SIZE_HIDDEN, "embeddings.project");
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* The stem of a part's tensors, and the origin of its nodes. */
static const char *stem_of(Builder *b, int32_t i, const char *part)
{
	const ModelDesc *desc = b->desc;
	const char *layers = desc->family->layers, *inner = desc->family->inner;
	if (!inner)
		return builder_text(b, "%s%s.%d.%s", b->prefix, layers, i, part);
	const int32_t group = family_group(i / desc->inner, desc->layers, desc->groups);
	return builder_text(b, "%s%s.%d.%s.%d.%s", b->prefix, layers, group, inner, i % desc->inner, part);
}

static const char *origin_of(Builder *b, int32_t i, const char *part)
{
	return builder_text(b, "layer.%d.%s", i, part);
}

Value *block_attention(Builder *b, const LayerNames *names, Value *x, int32_t i)
{
	const int32_t hidden = b->desc->hidden;
	Value *q = build_linear(
		b, x, stem_of(b, i, names->attention.query), hidden, SIZE_HIDDEN, origin_of(b, i, "attention.query"));
	Value *k = build_linear(
		b, x, stem_of(b, i, names->attention.key), hidden, SIZE_HIDDEN, origin_of(b, i, "attention.key"));
	Value *v = build_linear(
		b, x, stem_of(b, i, names->attention.value), hidden, SIZE_HIDDEN, origin_of(b, i, "attention.value"));
	Value *mixed = build_attention(b, q, k, v, origin_of(b, i, "attention"));
	return build_linear(
		b, mixed, stem_of(b, i, names->attention.out), hidden, SIZE_HIDDEN, origin_of(b, i, "attention.out"));
}

Value *block_ffn(Builder *b, const LayerNames *names, Value *x, int32_t i)
{
	const ModelDesc *desc = b->desc;
	Value *inner = build_linear(
		b, x, stem_of(b, i, names->ffn.in), desc->ffn, SIZE_FFN, origin_of(b, i, "ffn.in"));
	inner = build_activation(b, desc->activation, inner, origin_of(b, i, "ffn.act"));
	builder_made_by(b, inner, stem_of(b, i, names->ffn.act));
	return build_linear(
		b, inner, stem_of(b, i, names->ffn.out), desc->hidden, SIZE_HIDDEN, origin_of(b, i, "ffn.out"));
}

static Value *post_norm_layer(Builder *b, const LayerNames *names, Value *x, int32_t i)
{
	Value *mixed = block_attention(b, names, x, i);
	x = build_binary(b, OP_ADD, mixed, x, origin_of(b, i, "attention.residual"));
	x = build_layernorm(b, x, stem_of(b, i, names->attention.norm), origin_of(b, i, "attention.norm"));
	Value *inner = block_ffn(b, names, x, i);
	x = build_binary(b, OP_ADD, inner, x, origin_of(b, i, "ffn.residual"));
	return build_layernorm(b, x, stem_of(b, i, names->ffn.norm), origin_of(b, i, "ffn.norm"));
}

Value *block_post_norm_layers(Builder *b, const LayerNames *names, Value *x)
{
	for (int32_t i = 0; i < family_depth(b->desc) && !b->failed; i++)
		x = post_norm_layer(b, names, x, i);
	return x;
}
