/* families/xlnet.c: XLNet (Yang et al. 2019), as transformers' XLNet* classes compute it without memories
 * and permutations. Texts have no positions. The score of query i and key j is
 *
 *   ((q_i + w) k_j + (q_i + r) p_(i-j) + (q_i + s) e_same) / sqrt(d),   p_n = R sinusoids(n)
 *
 * as in Dai et al. 2019, "Transformer-XL", and e_same is one of two vectors: tokens i and j are of the same
 * segment or not. The bias of the query's linear is w, so that q stands for q + w, and (q_i + r) p_n is
 * q_i p_n + (r - w) p_n. The second term is a constant for each distance and head. transformers reads each
 * layer's own w, r and s, whatever untie_r says. Without segments it leaves their term out. */
#include <math.h>
#include <string.h>
#include "families.h"
#include "compiler/support/files.h"
#include "compiler/support/json_file.h"

static const LayerNames layer = {
	.attention = {.norm = "rel_attn.layer_norm"},
	.ffn = {"ff.layer_1", "ff.activation_function", "ff.layer_2", "ff.layer_norm"},
};

/* ---- positions ------------------------------------------------------------------------------- */

/* Constants that all layers read: row R + n is for keys n places to the right. */
typedef struct Distances {
	Value *sinusoids; /* f32[2R+1,H] */
	Value *rows;      /* 0, 1, .. 2R */
	Value *blocks;    /* f32[heads,H]: 1 where the column belongs to the head */
	Value *other;     /* f32[3*heads,H]: row 3h+1 is 0, the two beside it are row h of blocks */
} Distances;

/* The sinusoids of the distances -R..R, in f32 as torch computes them. */
static Tensor *sinusoid_table(Builder *b, int32_t reach)
{
	const int32_t hidden = b->desc->hidden, half = hidden / 2;
	Tensor *table = tensor_new(
		b->module, NULL, type_make(DT_F32, 2, dim_number(2 * (int64_t)reach + 1), dim_number(hidden)));
	float *row = (float *)(uintptr_t)table->data;
	for (int32_t n = -reach; n <= reach; n++, row += hidden)
		for (int32_t i = 0; i < half; i++) {
			const float exponent = (float)(2 * i) / (float)hidden;
			const float turn = 1.0f / (float)pow(10000, (double)exponent);
			const double angle = (double)((float)-n * turn);
			row[i] = (float)sin(angle);
			row[half + i] = (float)cos(angle);
		}
	return table;
}

static bool make_distances(Builder *b, Distances *all)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "attention.distances";
	int32_t reach = desc->max_tokens - 1;
	if (desc->reach > 0 && desc->reach < reach)
		reach = desc->reach;
	const int64_t count = 2 * (int64_t)reach + 1, size = desc->hidden / desc->heads;
	if (b->failed)
		return false;
	if (desc->hidden % 2 != 0)
		return builder_fail(b, EXIT_INPUT, "%s is %d, but an odd size has no sinusoids",
			size_name(desc, SIZE_HIDDEN), desc->hidden);
	if (!builder_has_room(b, count, desc->hidden, "sinusoids", "give a smaller --max-tokens", origin)
		|| !builder_has_room(b, 3 * (int64_t)desc->heads, desc->hidden, "heads", "use fewer of them", origin))
		return false;
	Tensor *rows = tensor_new(b->module, NULL, type_make(DT_I32, 1, dim_number(count)));
	for (int64_t i = 0; i < count; i++)
		tensor_set(rows, i, (double)i);
	Tensor *blocks = tensor_new(
			   b->module, NULL, type_make(DT_F32, 2, dim_number(desc->heads), dim_number(desc->hidden))),
		   *other = tensor_new(
			   b->module, NULL, type_make(DT_F32, 2, dim_number(3 * desc->heads), dim_number(desc->hidden)));
	for (int64_t i = 0; i < desc->hidden; i++) {
		tensor_set(blocks, i / size * desc->hidden + i, 1);
		tensor_set(other, i / size * 3 * desc->hidden + i, 1);
		tensor_set(other, (i / size * 3 + 2) * desc->hidden + i, 1);
	}
	all->other = graph_const(b->graph, NULL, other, origin);
	all->sinusoids = graph_const(b->graph, NULL, sinusoid_table(b, reach), origin);
	all->rows = graph_const(b->graph, NULL, rows, origin);
	all->blocks = graph_const(b->graph, NULL, blocks, origin);
	return true;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* A parameter of the attention of layer i. */
static Value *parameter(
	Builder *b, int32_t i, const char *name, int64_t rows, bool turned, const char *origin)
{
	return build_headed(
		b, builder_text(b, "%slayer.%d.rel_attn.%s", b->prefix, i, name), rows, turned, origin);
}

/* x times the parameter, plus the parameter `bias` or NULL. */
static Value *projected(
	Builder *b, Value *x, int32_t i, const char *name, bool turned, const char *bias, const char *part)
{
	const char *origin = builder_text(b, "layer.%d.attention.%s", i, part);
	Value *weight = parameter(b, i, name, b->desc->hidden, turned, origin);
	Value *shift = bias ? parameter(b, i, bias, 0, false, origin) : NULL;
	return build_op(b, OP_LINEAR, (Value *[]){x, weight, shift}, bias ? 3 : 2, NULL, origin);
}

static Value *transposed(Builder *b, Value *x, const char *origin)
{
	const Attrs turn = {.has = A_perm, .perm = {2, {1, 0}}};
	return build_op(b, OP_TRANSPOSE, &x, 1, &turn, origin);
}

/* q_i p_(i-j) + (r - w) p_(i-j), for q with the bias w: f32[heads,S,S]. */
static Value *distance_scores(Builder *b, const Distances *all, Value *x, Value *q, int32_t i)
{
	const Attrs attr = {.has = A_heads | A_axis, .heads = b->desc->heads, .axis = 1};
	const char *origin = builder_text(b, "layer.%d.attention.distance", i);
	Value *places = projected(b, all->sinusoids, i, "r", true, NULL, "distance");
	Value *scores = build_op(b, OP_DOT_BY_DISTANCE, (Value *[]){q, places, all->rows}, 3, &attr, origin);
	Value *w = parameter(b, i, "r_w_bias", 0, false, origin);
	Value *r = parameter(b, i, "r_r_bias", 0, false, origin);
	Value *more = build_binary(b, OP_MUL, all->blocks, build_binary(b, OP_SUB, r, w, origin), origin);
	Value *table = build_binary(b, OP_MATMUL, more, transposed(b, places, origin), origin);
	return build_binary(b, OP_ADD, scores, build_binary(b, OP_BY_DISTANCE, table, x, origin), origin);
}

/* Row n of a table. */
static Value *row_of(Builder *b, Value *table, int64_t n, const char *origin)
{
	const Attrs row = {.has = A_axis | A_start | A_end, .axis = 0, .start = n, .end = n + 1};
	return build_op(b, OP_SLICE, &table, 1, &row, origin);
}

/* (q_i + s) (e_other - e_same) where i and j are of different segments, else 0: f32[heads,S,S]. The rest,
 * (q_i + s) e_same, is the same for all keys, so that softmax cancels it. Segments count as positions: a
 * table for each query has a number for the distance 0 and one for all others. It is a linear of x: with the
 * rows m of other * (e_other - e_same), m (Q x + s) is (m Q) x + m s. */
static Value *segment_scores(Builder *b, const Distances *all, Value *x, const Value *q, int32_t i)
{
	const int64_t hidden = b->desc->hidden, heads = b->desc->heads;
	const char *origin = builder_text(b, "layer.%d.attention.segment", i);
	const Attrs column = {.has = A_shape, .shape = {2, {dim_number(hidden), dim_number(1)}}},
				flat = {.has = A_shape, .shape = {1, {dim_number(3 * heads)}}},
				attr = {.has = A_heads, .heads = heads};
	Value *pair = parameter(b, i, "seg_embed", 2, false, origin);
	Value *same = row_of(b, pair, 0, origin);
	Value *rows = build_binary(b, OP_SUB, row_of(b, pair, 1, origin), same, origin);
	rows = build_binary(b, OP_MUL, all->other, rows, origin);
	Value *s = parameter(b, i, "r_s_bias", 0, false, origin);
	Value *weight = build_binary(b, OP_MATMUL, rows, q ? q->node->args[1] : NULL, origin);
	s = build_op(b, OP_RESHAPE, &s, 1, &column, origin);
	s = build_binary(b, OP_MATMUL, rows, s, origin);
	s = build_op(b, OP_RESHAPE, &s, 1, &flat, origin);
	Value *table = build_op(b, OP_LINEAR, (Value *[]){x, weight, s}, 3, NULL, origin);
	return build_op(b, OP_BY_DISTANCE, (Value *[]){table, b->types}, 2, &attr, origin);
}

static Value *attention(Builder *b, const Distances *all, Value *x, int32_t i)
{
	const char *origin = builder_text(b, "layer.%d.attention", i);
	const double size = b->desc->hidden / b->desc->heads;
	Value *q = projected(b, x, i, "q", true, "r_w_bias", "query");
	Value *k = projected(b, x, i, "k", true, NULL, "key");
	Value *v = projected(b, x, i, "v", true, NULL, "value");
	Value *scores = distance_scores(b, all, x, q, i);
	if (b->types)
		scores = build_binary(b, OP_ADD, scores, segment_scores(b, all, x, q, i), origin);
	b->score_bias = build_binary(b, OP_DIV, scores, build_scalar(b, sqrt(size)), origin);
	return projected(b, build_attention(b, q, k, v, origin), i, "o", false, NULL, "out");
}

static Value *encoder(Builder *b)
{
	Distances all;
	Value *x = block_words(b);
	if (!make_distances(b, &all))
		return NULL;
	for (int32_t i = 0; i < b->desc->layers && !b->failed; i++)
		x = block_after_attention(b, &layer, x, attention(b, &all, x, i), i);
	return x;
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* The class with a beam predicts the end of an answer from its start. */
static bool check_answers(const ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	const char *class = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
	const bool beam = class && strcmp(class, "XLNetForQuestionAnswering") == 0;
	for (int32_t i = 0; beam && i < desc->nheads; i++)
		if (strcmp(desc->head[i].task, "qa") == 0)
			return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
				"%s searches for answers with a beam (start_n_top, end_n_top), which is not supported; "
				"train XLNetForQuestionAnsweringSimple",
				class);
	return true;
}

/* The model gets segments from a tokenizer unless model_input_names of tokenizer_config.json lacks them. In
 * transformers 5, that must have them. There are three: of the two texts, and of <cls>. */
static bool read_segments(ModelDesc *desc, Diag *diag)
{
	const char *path = mem_printf(desc->mem, "%s/tokenizer_config.json", desc->directory);
	desc->types = 1;
	if (file_is_absent(path))
		return true;
	json_t *config = json_read(path, JSON_CONFIG_BYTES_MAX, JSON_DECODE_INT_AS_REAL, diag);
	json_t *names = json_object_get(config, "model_input_names"), *name;
	size_t i;
	if (!desc->transformers5 && !json_is_array(names))
		desc->types = 3;
	json_array_foreach(names, i, name)
	{
		const char *text = json_string_value(name);
		if (text && strcmp(text, "token_type_ids") == 0)
			desc->types = 3;
	}
	json_decref(config);
	return config != NULL;
}

static bool read_config(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	const int64_t size = desc->hidden / desc->heads;
	int64_t given = 0;
	if (!json_member_int(config, "d_head", 0, INT32_MAX, &given, path, diag))
		return false;
	if (given && (given != size || desc->hidden % desc->heads != 0))
		return diag_error_in(diag, EXIT_INPUT, path, 0, "d_head is %jd, expected d_model / n_head, %d / %d",
			(intmax_t)given, desc->hidden, desc->heads);
	return summary_read(desc, config, "last", true, path, diag) && check_answers(desc, config, path, diag)
		&& read_segments(desc, diag);
}

static const FamilyRefusal refused[] = {
	{"attn_type", "\"bi\"", "a decoder with causal attention is not an encoder of texts"},
	{"bi_data", "false", "it reads a batch in halves, one of them backwards"},
	{NULL, NULL, NULL},
};

const Family family_xlnet = {
	.model_type = "xlnet",
	.size = {[SIZE_VOCAB] = {"vocab_size", "n_token", 32000},
		[SIZE_HIDDEN] = {"d_model", "hidden_size", 1024},
		[SIZE_LAYERS] = {"n_layer", "num_hidden_layers", 24},
		[SIZE_HEADS] = {"n_head", "num_attention_heads", 16},
		[SIZE_FFN] = {"d_inner", NULL, 4096},
		[SIZE_REACH] = {"clamp_len", NULL, -1},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 1}}, /* no key of XLNet: read_segments settles it */
	.activation = {"ff_activation", "gelu"},
	.head_activation = {"summary_activation", "tanh"},
	.traits = 1u << TRAIT_BARE_HEAD,
	.eps = {"layer_norm_eps", 1e-12},
	.read = read_config,
	.refused = refused,
	.prefixes = (const char *const[]){"transformer.", "", NULL},
	.words = "word_embedding",
	.layers = "layer",
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {SUMMARY_CLASSIFIER("last", "logits_proj")},
			[TASK_CHOICE] = {SUMMARY_CLASSIFIER("last", "logits_proj")},
			ROW_HEADS,
		},
};
