/* families/bilstm.c: recurrent students (Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into
 * Simple Neural Networks"): word vectors, layers of LSTM or GRU in one direction or both, a classifier of the
 * last states, or of all tokens. transformers has no such class: docs/students.md specifies config.json, and
 * the tensors have the names of torch.nn.Embedding, LSTM and GRU. hidden_size counts both directions. */
#include "compiler/support/json_file.h"
#include "families.h"

static Value *direction(Builder *b, Value *x, int32_t layer, int32_t width, bool back)
{
	const Recurrence r = {
		.stem = "rnn", .layer = layer, .width = width, .back = back, .gru = b->desc->trait[TRAIT_GRU]};
	return build_recurrence(b, x, &r, builder_text(b, "layer.%d.%s", layer, back ? "backward" : "forward"));
}

static Value *row_of(Builder *b, Value *rows, Pool mode)
{
	const Attrs attr = {.has = A_mode, .mode = mode};
	return build_op(b, OP_POOL, &rows, 1, &attr, "pooler");
}

static Value *encoder(Builder *b)
{
	const ModelDesc *desc = b->desc;
	const bool both = !desc->trait[TRAIT_ONE_WAY];
	const int32_t width = desc->hidden / (both ? 2 : 1);
	const Attrs columns = {.has = A_axis, .axis = 1}, joined = {.has = A_axis, .axis = 0};
	if (both && desc->hidden % 2 != 0)
		builder_fail(b, EXIT_INPUT, "%s is %d, expected an even number: half of it for each direction",
			size_name(desc, SIZE_HIDDEN), desc->hidden);
	Value *x = b->failed ? NULL : block_words(b), *way[2] = {NULL, NULL};
	for (int32_t i = 0; i < desc->layers && !b->failed; i++) {
		way[0] = direction(b, x, i, width, false);
		way[1] = both ? direction(b, x, i, width, true) : NULL;
		x = both ? build_op(b, OP_CONCAT, way, 2, &columns, builder_text(b, "layer.%d", i)) : way[0];
	}
	if (b->failed)
		return NULL;
	/* the state after the last token that each direction has read */
	Value *last[2] = {row_of(b, way[0], POOL_LAST), both ? row_of(b, way[1], POOL_FIRST) : NULL};
	b->pooled = both ? build_op(b, OP_CONCAT, last, 2, &joined, "pooler") : last[0];
	return x;
}

/* ---- config.json ----------------------------------------------------------------------------- */

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	static const char *const kinds[] = {"lstm", "gru"}, *const poolings[] = {"last", "max", "mean"};
	const char *kind = kinds[0], *pooling = poolings[0];
	bool both = true;
	if (!json_member_text(config, "rnn_type", &kind, path, diag)
		|| !json_member_text(config, "classifier_pooling", &pooling, path, diag)
		|| !json_member_flag(config, "bidirectional", &both, path, diag))
		return false;
	const int at = word_index(kind, kinds, 2), way = word_index(pooling, poolings, 3);
	if (at < 0)
		return diag_error_in(
			diag, EXIT_UNSUPPORTED, path, 0, "rnn_type \"%.80s\" is not supported; known: lstm, gru", kind);
	if (way < 0)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"classifier_pooling \"%.80s\" is not supported; known: last, max, mean", pooling);
	desc->trait[TRAIT_GRU] = at == 1;
	desc->trait[TRAIT_ONE_WAY] = !both;
	description_set_pooling(desc, way == 0 ? pooling_words[POOLING_POOLER] : poolings[way]);
	return true;
}

const Family family_bilstm = {
	.model_type = "bilstm",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 30522},
		[SIZE_EMBEDDING] = {"embedding_size", NULL, 300},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 300},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 1},
		[SIZE_HEADS] = {NULL, NULL, 1},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512}},
	.activation = {"hidden_act", "relu"},
	.eps = {NULL, 1e-12},
	.traits = 1u << TRAIT_GRU | 1u << TRAIT_ONE_WAY,
	.read = read,
	.prefixes = (const char *const[]){"", NULL},
	.words = "embeddings",
	.pooler = "rnn",
	.attends = ATTENDS_NONE,
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "pooler",
				.dense = "hidden",
				.spare = true,
				.out = "*"},
			[TASK_TAG] = {head_tokens, .tensors = "classifier", .out = "*"},
		},
};
