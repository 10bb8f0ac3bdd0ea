/* families/fnet.c: FNet (Lee-Thorp et al. 2021, "FNet: Mixing Tokens with Fourier Transforms"), as
 * transformers' FNet* classes compute it: BERT without attention. The real part of the discrete Fourier
 * transform over tokens and columns takes its place. The transform over the columns is a linear whose weights
 * are known; that over the tokens is the op fourier. */
#include <math.h>
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
	.project = "embeddings.projection",
	.projects_equal = true,
};

static const LayerNames names = {
	.attention = {.norm = "fourier.output.LayerNorm"},
	.ffn = {"intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "output.LayerNorm"},
};

/* Cosines, then sines, of c h / H turns for the columns c, h < H: [2H,H]. */
static Value *column_turns(Builder *b)
{
	static const double turn = 6.28318530717958647693;
	const int64_t hidden = b->desc->hidden;
	const char *origin = "fourier.columns";
	if (!builder_has_room(
			b, 2 * hidden, hidden, "a Fourier transform's weights", "use a smaller hidden size", origin))
		return NULL;
	Tensor *table = tensor_new(
		b->module, origin, type_make(DT_F32, 2, dim_number(2 * hidden), dim_number(hidden)));
	for (int64_t c = 0; c < hidden; c++)
		for (int64_t h = 0; h < hidden; h++) {
			const double angle = turn * (double)(c * h % hidden) / (double)hidden;
			tensor_set(table, c * hidden + h, cos(angle));
			tensor_set(table, (hidden + c) * hidden + h, sin(angle));
		}
	return graph_const(b->graph, NULL, table, origin);
}

static Value *encoder(Builder *b)
{
	Value *x = block_embeddings(b, &embeddings), *turns = b->failed ? NULL : column_turns(b);
	for (int32_t i = 0; i < b->desc->layers && !b->failed; i++) {
		const char *origin = block_origin(b, i, "fourier");
		Value *columns = build_op(b, OP_LINEAR, (Value *[]){x, turns}, 2, NULL, origin);
		x = block_after_attention(b, &names, x, build_unary(b, OP_FOURIER, columns, origin), i);
	}
	return x;
}

static const FamilyRefusal refused[] = {
	{"use_tpu_fourier_optimizations", "false", "it takes texts of tpu_short_seq_length tokens only"},
	{NULL, NULL, NULL},
};

const Family family_fnet = {
	.model_type = "fnet",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 32000},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {NULL, NULL, 1},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 4}},
	.activation = {"hidden_act", "gelu_new"},
	.eps = {"layer_norm_eps", 1e-12},
	.refused = refused,
	.prefixes = (const char *const[]){"fnet.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.pooler = "pooler.dense",
	.pair = BERT_PAIR,
	.segments = true,
	.attends = ATTENDS_NONE,
	.encoder = encoder,
	.head =
		{
			POOLED_HEADS,
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "cls.predictions",
				.dense = "*.transform.dense",
				.norm = "*.transform.LayerNorm",
				.out = "*.decoder",
				.bias = "*.bias"},
		},
};
