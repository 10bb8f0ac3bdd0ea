/* families/deberta_v2.c: DeBERTa-v2 and v3 (He, Liu, Gao, Chen 2021; He, Gao, Chen 2021), as transformers'
 * DebertaV2* classes compute it: BERT whose scores have two more products: of queries with a row for the
 * distance of the key (content to position), and of keys with a row for that of the query (position to
 * content). Far distances share rows in logarithmic buckets. A convolution over the tokens may follow the
 * first layer. The decoder of masked words has two forms (`legacy`); a classifier has a pooler of its own. */
#include <math.h>
#include <string.h>
#include "compiler/support/json_file.h"
#include "families.h"

static const LayerNames layer = {
	.attention = {"attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj",
		"attention.output.dense", "attention.output.LayerNorm", "attention.self.pos_key_proj",
		"attention.self.pos_query_proj"},
	.ffn = {"intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "output.LayerNorm"},
};

/* ---- distances ------------------------------------------------------------------------------- */

/* How many rows each side has: for distances, or for buckets of them. */
static int32_t rows_of_side(const ModelDesc *desc) { return desc->buckets ? desc->buckets : desc->reach; }

/* The bucket of a distance n >= 0: n itself up to the middle, then logarithmic ones, of which the last begins
 * at desc->reach. In f32, as torch computes it. */
static int32_t bucket_of(const ModelDesc *desc, int32_t n)
{
	const int32_t middle = desc->buckets / 2;
	if (!desc->buckets || n <= middle)
		return n;
	const float share = logf((float)n / (float)middle) / logf((float)((double)(desc->reach - 1) / middle));
	return (int32_t)(ceilf(share * (float)(middle - 1)) + (float)middle);
}

/* The row for each distance key - query. Row `side` is that of distance 0, rows for keys to the left follow;
 * both ends are for all that is further, or as far as texts are long. */
static Value *row_index(Builder *b)
{
	const ModelDesc *desc = b->desc;
	const int32_t side = rows_of_side(desc);
	int32_t reach = 1;
	const int32_t longest = desc->max_tokens > desc->positions ? desc->max_tokens : desc->positions;
	if (desc->reach < 1 || (desc->buckets && (desc->buckets < 4 || desc->reach - 1 <= desc->buckets / 2)))
		builder_fail(b, EXIT_UNSUPPORTED,
			"%s is %d and %s %d; expected no buckets or at least 4, and a reach that is more "
			"than half of them plus 1",
			size_name(desc, SIZE_BUCKETS), desc->buckets, size_name(desc, SIZE_REACH), desc->reach);
	if (b->failed)
		return NULL;
	while (reach < longest && bucket_of(desc, reach) < side)
		reach++;
	Tensor *rows = tensor_new(b->module, NULL, type_make(DT_I32, 1, dim_number(2 * (int64_t)reach + 1)));
	for (int32_t n = 0; n <= reach; n++) {
		const int32_t bucket = bucket_of(desc, n), last = side - 1;
		tensor_set(rows, reach - n, side + (bucket < last ? bucket : last));
		tensor_set(rows, reach + n, side - (bucket < side ? bucket : side));
	}
	return graph_const(b->graph, NULL, rows, "attention.positions");
}

/* b->distances and b->rows, and what the scores are divided by. Leaves in names what the model has. */
static void set_distances(Builder *b, LayerNames *names)
{
	const bool *has = b->desc->trait, shared = has[TRAIT_SHARED_PLACES];
	const char *origin = "attention.positions", *far_key = names->attention.far_key,
			   *far_query = names->attention.far_query;
	b->score_parts = 1 + has[TRAIT_TO_PLACE] + has[TRAIT_FROM_PLACE];
	names->attention.far_query = NULL;
	names->attention.far_key = NULL;
	if (!has[TRAIT_RELATIVE] || b->score_parts == 1)
		return;
	b->rows = row_index(b);
	b->distances = build_tensor(b, builder_text(b, "%sencoder.rel_embeddings.weight", b->prefix), NULL,
		2 * (int64_t)rows_of_side(b->desc), b->desc->hidden, b->desc->buckets ? SIZE_BUCKETS : SIZE_REACH,
		origin);
	if (has[TRAIT_NORMED_PLACES])
		b->distances = build_layernorm(
			b, b->distances, builder_text(b, "%sencoder.LayerNorm", b->prefix), origin);
	if (has[TRAIT_TO_PLACE])
		names->attention.far_key = shared ? names->attention.key : far_key;
	if (has[TRAIT_FROM_PLACE])
		names->attention.far_query = shared ? names->attention.query : far_query;
}

/* ---- the convolution ------------------------------------------------------------------------- */

/* norm(y + act(conv(x))): what follows the first layer, of which x is the input and y the output. It counts
 * as a part of that layer. */
static Value *convolution(Builder *b, Value *x, Value *y)
{
	const ModelDesc *desc = b->desc;
	const char *origin = block_origin(b, 0, "conv"),
			   *stem = builder_text(b, "%sencoder.conv.conv", b->prefix),
			   *norm = builder_text(b, "%sencoder.conv.LayerNorm", b->prefix);
	if (desc->conv % 2 == 0 || desc->conv > CONV_TAPS_MOST || desc->hidden % desc->conv_groups != 0)
		builder_fail(b, EXIT_UNSUPPORTED,
			"%s is %d and %s %d; expected an odd number up to %d, and a divisor of %s %d",
			size_name(desc, SIZE_CONV), desc->conv, size_name(desc, SIZE_CONV_GROUPS), desc->conv_groups,
			CONV_TAPS_MOST, size_name(desc, SIZE_HIDDEN), desc->hidden);
	Value *around = build_conv(b, x, stem, desc->hidden, desc->conv, desc->conv_groups, origin);
	around = build_activation(b, desc->conv_activation, around, origin);
	return build_layernorm(
		b, build_binary(b, OP_ADD, y, around, origin), norm, block_origin(b, 0, "conv.norm"));
}

/* ---- the encoder ----------------------------------------------------------------------------- */

Value *deberta_encoder(Builder *b, LayerNames names)
{
	const ModelDesc *desc = b->desc;
	const EmbeddingNames embeddings = {
		.types = desc->types ? "embeddings.token_type_embeddings" : NULL,
		.positions = desc->trait[TRAIT_PLACED] ? "embeddings.position_embeddings" : NULL,
		.norm = "embeddings.LayerNorm",
		.project = "embeddings.embed_proj",
		.norm_last = true,
	};
	Value *x = block_embeddings(b, &embeddings);
	set_distances(b, &names);
	for (int32_t i = 0; i < desc->layers && !b->failed; i++) {
		Value *y = block_after_attention(b, &names, x, block_attention(b, &names, x, i), i);
		x = i == 0 && desc->conv ? convolution(b, x, y) : y;
	}
	return x;
}

static Value *encoder(Builder *b) { return deberta_encoder(b, layer); }

/* ---- config.json ----------------------------------------------------------------------------- */

/* A word of a list "c2p|p2c", any case, blanks around it. */
static bool is_word(const char *at, size_t bytes, const char *word)
{
	while (bytes && (*at == ' ' || *at == '\t'))
		at++, bytes--;
	while (bytes && (at[bytes - 1] == ' ' || at[bytes - 1] == '\t'))
		bytes--;
	return bytes == strlen(word) && strncasecmp(at, word, bytes) == 0;
}

static bool has_word(const char *list, const char *word)
{
	for (const char *at = list; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (is_word(at, strcspn(at, "|"), word))
			return true;
	return false;
}

/* Notes a kind of products; false: there is no such kind, or it was noted before. */
static bool note_kind(ModelDesc *desc, const char *word, size_t bytes)
{
	static const char *const words[] = {"c2p", "p2c"};
	for (int i = 0; i < 2; i++) {
		bool *has = &desc->trait[i ? TRAIT_FROM_PLACE : TRAIT_TO_PLACE], before = *has;
		*has |= is_word(word, bytes, words[i]);
		if (*has != before)
			return true;
	}
	return false;
}

/* The kinds of products, a list of strings or "c2p|p2c". strict: each counts in the scale, so there may be no
 * other; else transformers passes others over. In a list, words are as they are. */
static bool read_kinds(ModelDesc *desc, const json_t *config, bool strict, const char *path, Diag *diag)
{
	const json_t *kinds = json_object_get(config, "pos_att_type");
	const char *text = json_string_value(kinds);
	bool known = true;
	for (const char *at = text; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		known &= note_kind(desc, at, strcspn(at, "|"));
	if (kinds && !json_is_null(kinds) && !text && !json_is_array(kinds))
		return diag_error_in(
			diag, EXIT_INPUT, path, 0, "pos_att_type is %s, expected a list of strings", json_kind(kinds));
	for (size_t i = 0; i < json_array_size(kinds); i++) {
		const char *word = json_string_value(json_array_get(kinds, i));
		if (!word)
			return diag_error_in(diag, EXIT_INPUT, path, 0, "pos_att_type[%zu] is %s, expected a string", i,
				json_kind(json_array_get(kinds, i)));
		known &= (!strcmp(word, "c2p") || !strcmp(word, "p2c")) && note_kind(desc, word, strlen(word));
	}
	return known || !strict
		|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"pos_att_type has a kind other than c2p and p2c, or one of them twice");
}

/* Keys that must agree with hidden_size, or be left out. */
static bool check_width(
	const ModelDesc *desc, const json_t *config, const char *key, int64_t width, const char *path, Diag *diag)
{
	int64_t given = width;
	return json_member_int(config, key, 1, INT32_MAX, &given, path, diag)
		&& (given == width
			|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
				"%s is %jd, expected %jd for the hidden_size %d and %d heads; leave it out", key,
				(intmax_t)given, (intmax_t)width, desc->hidden, desc->heads));
}

/* The decoder of masked words without `legacy`: the word table itself. */
static bool set_decoder(ModelDesc *desc, bool legacy, const char *path, Diag *diag)
{
	for (int32_t i = 0; i < desc->nheads && !legacy; i++) {
		if (!head_scores_words(&desc->head[i]))
			continue;
		desc->head[i].tensors = desc->family->tabled.tensors;
		if (desc->embedding != desc->hidden)
			return diag_error_in(diag, EXIT_INPUT, path, 0,
				"legacy is false, so the decoder of masked words is the word table, but embedding_size %d "
				"differs from hidden_size %d",
				desc->embedding, desc->hidden);
	}
	return true;
}

bool deberta_read(ModelDesc *desc, const json_t *config, bool strict, const char *path, Diag *diag)
{
	bool *has = desc->trait, legacy = true;
	has[TRAIT_PLACED] = true;
	if (!json_member_flag(config, "relative_attention", &has[TRAIT_RELATIVE], path, diag)
		|| !json_member_flag(config, "position_biased_input", &has[TRAIT_PLACED], path, diag)
		|| !json_member_flag(config, "legacy", &legacy, path, diag)
		|| !read_kinds(desc, config, strict, path, diag))
		return false;
	desc->embedding = desc->embedding ? desc->embedding : desc->hidden;
	desc->buckets = desc->buckets > 0 ? desc->buckets : 0;
	desc->reach = desc->reach > 0 ? desc->reach : desc->positions;
	return check_width(desc, config, "pooler_hidden_size", desc->hidden, path, diag)
		&& set_decoder(desc, legacy, path, diag);
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	const char *norm = "none", *act = "tanh";
	if (!deberta_read(desc, config, false, path, diag)
		|| !json_member_bool(config, "share_att_key", &desc->trait[TRAIT_SHARED_PLACES], path, diag)
		|| !json_member_text(config, "norm_rel_ebd", &norm, path, diag)
		|| !json_member_text(config, "conv_act", &act, path, diag))
		return false;
	if (desc->conv > 0)
		desc->conv_activation = mem_string(desc->mem, act, strlen(act));
	desc->trait[TRAIT_NORMED_PLACES] = has_word(norm, "layer_norm");
	return check_width(desc, config, "attention_head_size", desc->hidden / desc->heads, path, diag);
}

const Family family_deberta_v2 = {
	.model_type = "deberta-v2",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 128100},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 1536},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 24},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 24},
		[SIZE_EMBEDDING] = {"embedding_size", NULL, 0},
		[SIZE_FFN] = {"intermediate_size", NULL, 6144},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_BUCKETS] = {"position_buckets", NULL, -1},
		[SIZE_REACH] = {"max_relative_positions", NULL, -1},
		[SIZE_CONV] = {"conv_kernel_size", NULL, 0},
		[SIZE_CONV_GROUPS] = {"conv_groups", NULL, 1},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 0}},
	DEBERTA_PARTS,
	.head[TASK_CHOICE] = {DEBERTA_CLASSIFIER},
	.traits = DEBERTA_TRAITS | 1u << TRAIT_SHARED_PLACES | 1u << TRAIT_NORMED_PLACES,
	.read = read,
	.encoder = encoder,
};
