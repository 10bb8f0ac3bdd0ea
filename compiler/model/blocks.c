/* blocks.c: see blocks.h. */
#include <math.h>
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

Value *block_words(Builder *b)
{
	const char *origin = "embeddings.word";
	b->words = word_table(b, origin);
	return build_embed(b, b->words, b->ids, origin);
}

Value *block_embeddings(Builder *b, const EmbeddingNames *names)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "embeddings";
	Value *sum = block_words(b);
	Value *types = types_of(b, names->types), *positions = NULL;
	if (names->positions)
		positions = places_of(b, names->positions);
	if (positions && names->types
		&& !b->types) /* one row for all tokens: fold-const adds it to the table of positions */
		positions = build_binary(b, OP_ADD, positions, types, origin);
	else if (names->types)
		sum = build_binary(b, OP_ADD, sum, types, origin);
	if (names->positions)
		sum = build_binary(b, OP_ADD, sum, positions, origin);
	if (names->tasks && desc->tasks > 0) {
		const char *task = "embeddings.task";
		Value *row = first_row(b, table(b, names->tasks, desc->tasks, SIZE_TASKS, task), task);
		sum = build_binary(b, OP_ADD, sum, row, origin);
	}
	if (names->norm)
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

/* Query, key or value: a linear of its own, or a third of the rows of a joint one. */
static Value *attention_input(Builder *b, const LayerNames *names, Value *x, int32_t i, int32_t third,
	const char *stem, const char *part)
{
	const int32_t hidden = b->desc->hidden;
	const char *origin = origin_of(b, i, part);
	if (third > 0 && b->desc->kv_heads && b->desc->kv_heads != b->desc->heads)
		return build_linear_shared(b, BIAS_ATTENTION, x, stem_of(b, i, stem), SIZE_KV_HEADS, origin);
	if (!names->attention.joint)
		return build_linear_of(b, BIAS_ATTENTION, x, stem_of(b, i, stem), hidden, SIZE_HIDDEN, origin);
	stem = stem_of(b, i, names->attention.joint);
	return build_linear_rows(b, BIAS_ATTENTION, x, stem, 3 * (int64_t)hidden, SIZE_HIDDEN, third, 3, origin);
}

Value *block_attention(Builder *b, const LayerNames *names, Value *x, int32_t i)
{
	if (b->score_table) /* of x, only the number of rows counts */
		b->score_bias = build_binary(b, OP_BY_DISTANCE, b->score_table, x, origin_of(b, i, "attention.bias"));
	Value *q = attention_input(b, names, x, i, 0, names->attention.query, "attention.query");
	Value *k = attention_input(b, names, x, i, 1, names->attention.key, "attention.key");
	Value *v = attention_input(b, names, x, i, 2, names->attention.value, "attention.value");
	Value *mixed = build_attention(b, q, k, v, origin_of(b, i, "attention"));
	return build_linear_of(b, BIAS_ATTENTION, mixed, stem_of(b, i, names->attention.out), b->desc->hidden,
		SIZE_HIDDEN, origin_of(b, i, "attention.out"));
}

/* The activated values, and the gate that they are multiplied with; *gate NULL: none. */
static Value *ffn_inputs(Builder *b, const LayerNames *names, Value *x, int32_t i, Value **gate)
{
	const int64_t ffn = b->desc->ffn;
	const char *origin = origin_of(b, i, "ffn.in"), *stem = stem_of(b, i, names->ffn.in);
	*gate = NULL;
	if (names->ffn.gate)
		*gate = build_linear_of(
			b, BIAS_FFN, x, stem_of(b, i, names->ffn.gate), ffn, SIZE_FFN, origin_of(b, i, "ffn.gate"));
	if (!names->ffn.halves)
		return build_linear_of(b, BIAS_FFN, x, stem, ffn, SIZE_FFN, origin);
	Value *both = build_linear_of(b, BIAS_FFN, x, stem, 2 * ffn, SIZE_FFN, origin);
	const Attrs first = {.has = A_axis | A_start | A_end, .axis = 1, .end = ffn},
				second = {.has = A_axis | A_start | A_end, .axis = 1, .start = ffn, .end = 2 * ffn};
	*gate = build_op(b, OP_SLICE, &both, 1, &second, origin_of(b, i, "ffn.gate"));
	return build_op(b, OP_SLICE, &both, 1, &first, origin);
}

Value *block_ffn(Builder *b, const LayerNames *names, Value *x, int32_t i)
{
	const ModelDesc *desc = b->desc;
	Value *gate, *inner = ffn_inputs(b, names, x, i, &gate);
	inner = build_activation(b, desc->activation, inner, origin_of(b, i, "ffn.act"));
	if (gate)
		inner = build_binary(b, OP_MUL, inner, gate, origin_of(b, i, "ffn.act"));
	else
		builder_made_by(b, inner, stem_of(b, i, names->ffn.act));
	return build_linear_of(b, BIAS_FFN, inner, stem_of(b, i, names->ffn.out), desc->hidden, SIZE_HIDDEN,
		origin_of(b, i, "ffn.out"));
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

static Value *layer_angles(Builder *b, const RotaryDesc *rotary)
{
	return build_angles(b, rotary, b->desc->hidden / b->desc->heads, "attention.angles");
}

Value *block_post_norm_layers(Builder *b, const LayerNames *names, Value *x)
{
	if (b->desc->family->rotary > 0)
		b->angles = layer_angles(b, &b->desc->rotary);
	for (int32_t i = 0; i < family_depth(b->desc) && !b->failed; i++)
		x = post_norm_layer(b, names, x, i);
	return x;
}

/* ---- pre-norm layers ------------------------------------------------------------------------- */

/* A bias by distance that hides all tokens but `window`, half of them on each side: f32[1,S,S]. */
static Value *window_bias(Builder *b, Value *x)
{
	const char *origin = "attention.window";
	const int64_t half = b->desc->window / 2, reach = half + 1;
	if (b->failed)
		return NULL;
	const Type type = type_make(DT_F32, 2, dim_number(1), dim_number(2 * reach + 1));
	Tensor *table = tensor_new(b->module, NULL, type);
	tensor_set(table, 0, -INFINITY);
	tensor_set(table, 2 * reach, -INFINITY);
	Value *args[] = {graph_const(b->graph, NULL, table, origin), x};
	return build_op(b, OP_BY_DISTANCE, args, 2, NULL, origin);
}

static Value *pre_norm_layer(Builder *b, const LayerNames *names, Value *x, int32_t i, bool first_norm)
{
	Value *inner = x;
	if (i > 0 || first_norm)
		inner = build_layernorm(
			b, x, stem_of(b, i, names->attention.norm), origin_of(b, i, "attention.norm"));
	inner = block_attention(b, names, inner, i);
	x = build_binary(b, OP_ADD, inner, x, origin_of(b, i, "attention.residual"));
	inner = build_layernorm(b, x, stem_of(b, i, names->ffn.norm), origin_of(b, i, "ffn.norm"));
	inner = block_ffn(b, names, inner, i);
	return build_binary(b, OP_ADD, inner, x, origin_of(b, i, "ffn.residual"));
}

Value *block_pre_norm_layers(Builder *b, const LayerNames *names, Value *x, bool first_norm)
{
	const ModelDesc *desc = b->desc;
	const bool rotary = desc->family->rotary > 0;
	Value *far = rotary ? layer_angles(b, &desc->rotary) : NULL, *near = far,
		  *window = desc->local ? window_bias(b, x) : NULL;
	if (rotary && desc->local)
		near = layer_angles(b, &desc->local_rotary);
	for (int32_t i = 0; i < desc->layers && !b->failed; i++) {
		const bool local = desc->local && desc->local[i];
		b->angles = local ? near : far;
		b->score_bias = local ? window : NULL;
		x = pre_norm_layer(b, names, x, i, first_norm);
	}
	return x;
}
