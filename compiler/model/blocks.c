/* blocks.c: see blocks.h. */
#include <math.h>
#include <string.h>
#include "blocks.h"

/* ---- embeddings ------------------------------------------------------------------------------ */

static Value *table(
	Builder *b, const char *stem, int32_t rows, int32_t columns, Size size, const char *origin)
{
	const char *name = builder_text(b, "%s%s.weight", b->prefix, stem);
	return build_tensor(b, name, NULL, rows, columns, size, origin);
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

Value *block_positions(Builder *b, const char *stem, int32_t columns)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "embeddings.position";
	Attrs attr = {.has = A_start | A_padding, .start = desc->padding + 1, .padding = desc->padding};
	const Attrs *skip = desc->family->skips_padding ? &attr : NULL;
	Value *places = build_op(b, OP_POSITION_IDS, &b->ids, 1, skip, origin);
	return build_embed(b, table(b, stem, desc->positions, columns, SIZE_POSITIONS, origin), places, origin);
}

Value *block_types(Builder *b, const char *stem, int32_t columns)
{
	const char *origin = "embeddings.type";
	Value *rows = build_hidden_type(b, table(b, stem, b->desc->types, columns, SIZE_TYPES, origin), origin);
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
	const int32_t columns = family_columns(desc);
	Value *sum = block_words(b);
	Value *types = names->types ? block_types(b, names->types, columns) : NULL, *positions = NULL;
	if (names->positions)
		positions = block_positions(b, names->positions, columns);
	if (positions && names->types
		&& !b->types) /* one row for all tokens: fold-const adds it to the table of positions */
		positions = build_binary(b, OP_ADD, positions, types, origin);
	else if (names->types)
		sum = build_binary(b, OP_ADD, sum, types, origin);
	if (names->positions)
		sum = build_binary(b, OP_ADD, sum, positions, origin);
	if (names->tasks && desc->tasks > 0) {
		const char *task = "embeddings.task";
		Value *row = first_row(b, table(b, names->tasks, desc->tasks, columns, SIZE_TASKS, task), task);
		sum = build_binary(b, OP_ADD, sum, row, origin);
	}
	const bool projects = columns != desc->hidden || names->projects_equal;
	if (names->norm && !names->norm_last)
		sum = build_layernorm(b, sum, builder_text(b, "%s%s", b->prefix, names->norm), "embeddings.norm");
	const char *stem = builder_text(b, "%s%s", b->prefix, names->project), *part = "embeddings.project";
	if (projects && names->norm_last)
		sum = build_linear_plain(b, sum, stem, desc->hidden, SIZE_HIDDEN, part);
	else if (projects)
		sum = build_linear(b, sum, stem, desc->hidden, SIZE_HIDDEN, part);
	if (names->norm_last)
		sum = build_layernorm(b, sum, builder_text(b, "%s%s", b->prefix, names->norm), "embeddings.norm");
	return sum;
}

/* ---- layers ---------------------------------------------------------------------------------- */

const char *block_stem(Builder *b, int32_t i, const char *part)
{
	const ModelDesc *desc = b->desc;
	const char *layers = desc->family->layers, *inner = desc->family->inner;
	if (!inner)
		return builder_text(b, "%s%s.%d.%s", b->prefix, layers, i, part);
	const int32_t group = family_group(i / desc->inner, desc->layers, desc->groups);
	return builder_text(b, "%s%s.%d.%s.%d.%s", b->prefix, layers, group, inner, i % desc->inner, part);
}

const char *block_origin(Builder *b, int32_t i, const char *part)
{
	return builder_text(b, "layer.%d.%s", i, part);
}

/* Query, key or value: a linear of its own, or a third of the rows of a joint one. */
static Value *attention_input(Builder *b, const LayerNames *names, Value *x, int32_t i, int32_t third,
	const char *stem, const char *part)
{
	const int32_t hidden = b->desc->hidden;
	const char *origin = block_origin(b, i, part);
	if (third > 0 && b->desc->kv_heads && b->desc->kv_heads != b->desc->heads)
		return build_linear_shared(b, BIAS_ATTENTION, x, block_stem(b, i, stem), SIZE_KV_HEADS, origin);
	if (names->attention.dealt)
		return build_linear_dealt(b, x, block_stem(b, i, names->attention.joint), third, 3,
			stem ? block_stem(b, i, stem) : NULL, origin);
	if (!names->attention.joint)
		return build_linear_of(b, BIAS_ATTENTION, x, block_stem(b, i, stem), hidden, SIZE_HIDDEN, origin);
	stem = block_stem(b, i, names->attention.joint);
	return build_linear_rows(b, BIAS_ATTENTION, x, stem, 3 * (int64_t)hidden, SIZE_HIDDEN, third, 3, origin);
}

/* The table of rows for distances: made by the linear STEM of the layer or, if that is the one that made
 * `like`, by its very weights. */
static Value *far_table(
	Builder *b, const char *stem, const char *own, bool plain, const Value *like, int32_t i)
{
	const char *origin = builder_text(b, "attention.positions.%d", i);
	if (!stem || !b->distances || b->failed)
		return NULL;
	if (!own || strcmp(stem, own) != 0)
		return (plain ? build_linear_plain : build_linear)(
			b, b->distances, block_stem(b, i, stem), b->desc->hidden, SIZE_HIDDEN, origin);
	Value *args[3] = {b->distances, like->node->args[1], like->node->nargs > 2 ? like->node->args[2] : NULL};
	return build_op(b, OP_LINEAR, args, like->node->nargs, NULL, origin);
}

Value *block_attention(Builder *b, const LayerNames *names, Value *x, int32_t i)
{
	b->hid++;
	if (b->score_table) /* of x, only the number of rows counts */
		b->score_bias = build_binary(
			b, OP_BY_DISTANCE, b->score_table, x, block_origin(b, i, "attention.bias"));
	Value *q = attention_input(b, names, x, i, 0, names->attention.query, "attention.query");
	Value *k = attention_input(b, names, x, i, 1, names->attention.key, "attention.key");
	Value *v = attention_input(b, names, x, i, 2, names->attention.value, "attention.value");
	b->dots[0] = far_table(
		b, names->attention.far_key, names->attention.key, names->attention.far_key_plain, k, i);
	b->dots[1] = far_table(b, names->attention.far_query, names->attention.query, false, q, i);
	Value *mixed = build_attention(b, q, k, v, block_origin(b, i, "attention"));
	return build_linear_of(b, BIAS_ATTENTION, mixed, block_stem(b, i, names->attention.out), b->desc->hidden,
		SIZE_HIDDEN, block_origin(b, i, "attention.out"));
}

/* The activated values, and the gate that they are multiplied with; *gate NULL: none. */
static Value *ffn_inputs(Builder *b, const LayerNames *names, Value *x, int32_t i, Value **gate)
{
	const int64_t ffn = b->desc->ffn;
	const char *origin = block_origin(b, i, "ffn.in"), *stem = block_stem(b, i, names->ffn.in);
	*gate = NULL;
	if (names->ffn.gate)
		*gate = build_linear_of(
			b, BIAS_FFN, x, block_stem(b, i, names->ffn.gate), ffn, SIZE_FFN, block_origin(b, i, "ffn.gate"));
	if (!names->ffn.halves)
		return build_linear_of(b, BIAS_FFN, x, stem, ffn, SIZE_FFN, origin);
	Value *both = build_linear_of(b, BIAS_FFN, x, stem, 2 * ffn, SIZE_FFN, origin);
	const Attrs first = {.has = A_axis | A_start | A_end, .axis = 1, .end = ffn},
				second = {.has = A_axis | A_start | A_end, .axis = 1, .start = ffn, .end = 2 * ffn};
	*gate = build_op(b, OP_SLICE, &both, 1, &second, block_origin(b, i, "ffn.gate"));
	return build_op(b, OP_SLICE, &both, 1, &first, origin);
}

Value *block_ffn(Builder *b, const LayerNames *names, Value *x, int32_t i)
{
	const ModelDesc *desc = b->desc;
	Value *gate, *inner = ffn_inputs(b, names, x, i, &gate);
	inner = build_activation(b, desc->activation, inner, block_origin(b, i, "ffn.act"));
	if (gate)
		inner = build_binary(b, OP_MUL, inner, gate, block_origin(b, i, "ffn.act"));
	else
		builder_made_by(b, inner, block_stem(b, i, names->ffn.act));
	return build_linear_of(b, BIAS_FFN, inner, block_stem(b, i, names->ffn.out), desc->hidden, SIZE_HIDDEN,
		block_origin(b, i, "ffn.out"));
}

Value *block_after_attention(Builder *b, const LayerNames *names, Value *x, Value *mixed, int32_t i)
{
	x = build_binary(b, OP_ADD, mixed, x, block_origin(b, i, "attention.residual"));
	x = build_layernorm(b, x, block_stem(b, i, names->attention.norm), block_origin(b, i, "attention.norm"));
	Value *inner = block_ffn(b, names, x, i);
	x = build_binary(b, OP_ADD, inner, x, block_origin(b, i, "ffn.residual"));
	return build_layernorm(b, x, block_stem(b, i, names->ffn.norm), block_origin(b, i, "ffn.norm"));
}

static Value *layer_angles(Builder *b, const RotaryDesc *rotary)
{
	return build_angles(b, rotary, b->desc->hidden / b->desc->heads, "attention.angles");
}

Value *block_post_norm_layers(Builder *b, const LayerNames *names, Value *x)
{
	if (b->desc->family->rotary > 0)
		b->angles = layer_angles(b, &b->desc->rotary);
	b->states = mem_alloc(b->module->mem, ((size_t)family_depth(b->desc) + 1) * sizeof(Value *));
	b->states[b->nstates++] = x;
	for (int32_t i = 0; i < family_depth(b->desc) && !b->failed; i++) {
		x = block_after_attention(b, names, x, block_attention(b, names, x, i), i);
		b->states[b->nstates++] = x;
	}
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
			b, x, block_stem(b, i, names->attention.norm), block_origin(b, i, "attention.norm"));
	inner = block_attention(b, names, inner, i);
	x = build_binary(b, OP_ADD, inner, x, block_origin(b, i, "attention.residual"));
	inner = build_layernorm(b, x, block_stem(b, i, names->ffn.norm), block_origin(b, i, "ffn.norm"));
	inner = block_ffn(b, names, inner, i);
	return build_binary(b, OP_ADD, inner, x, block_origin(b, i, "ffn.residual"));
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
