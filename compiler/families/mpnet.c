/* families/mpnet.c: MPNet (Song et al. 2020), as transformers' MPNet* classes compute it: BERT without
 * segment types, with the positions of RoBERTa and, in all layers, one score bias for each distance between
 * tokens and each head. Distances are put into buckets as in T5 (Raffel et al. 2020). The id that has no
 * position is 1, whatever pad_token_id says. */
#include <math.h>
#include <stdlib.h>
#include "families.h"

static const EmbeddingNames embeddings = {
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
};

static const LayerNames layer = {
	.attention = {"attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o",
		"attention.LayerNorm"},
	.ffn = {"intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "output.LayerNorm"},
};

/* transformers computes with these numbers, whatever relative_attention_num_buckets says. */
enum { BUCKETS = 32, HALF = BUCKETS / 2, EXACT = HALF / 2, DISTANCE_MAX = 128 };

/* The bucket of key j for query i, distance = j - i: one bucket for each of the EXACT smallest distances,
 * then logarithmic ones. The second half is for keys to the right. In f32, as torch computes it; for
 * distances up to the first one of the last bucket, which has all that are larger. */
static int32_t bucket_of(int32_t distance)
{
	const int32_t n = abs(distance), side = distance > 0 ? HALF : 0;
	if (n < EXACT)
		return side + n;
	const float share = logf((float)n / EXACT) / (float)log((double)DISTANCE_MAX / EXACT);
	return side + EXACT + (int32_t)(share * (HALF - EXACT));
}

/* The bias by distance, [heads,2R+1]: beyond R the bucket stays the same. */
static Value *bias_table(Builder *b, const char *origin)
{
	const ModelDesc *desc = b->desc;
	if (b->failed)
		return NULL;
	if (desc->buckets < BUCKETS) {
		builder_fail(b, EXIT_UNSUPPORTED,
			"%s is %d, but MPNet computes with %d buckets, and at least as many rows",
			size_name(desc, SIZE_BUCKETS), desc->buckets, BUCKETS);
		return NULL;
	}
	const char *name = builder_text(b, "%sencoder.relative_attention_bias.weight", b->prefix);
	Value *rows = build_tensor(b, name, NULL, desc->buckets, desc->heads, SIZE_BUCKETS, origin);
	int32_t reach = EXACT;
	while (bucket_of(-reach) < HALF - 1)
		reach++;
	Tensor *buckets = tensor_new(b->module, NULL, type_make(DT_I32, 1, dim_number(2 * reach + 1)));
	for (int32_t i = 0; i <= 2 * reach; i++)
		tensor_set(buckets, i, bucket_of(i - reach));
	rows = build_embed(b, rows, graph_const(b->graph, NULL, buckets, origin), origin);
	const Attrs turn = {.has = A_perm, .perm = {2, {1, 0}}};
	return build_op(b, OP_TRANSPOSE, &rows, 1, &turn, origin);
}

static Value *encoder(Builder *b)
{
	Value *x = block_embeddings(b, &embeddings);
	b->score_table = bias_table(b, "attention.bias");
	return block_post_norm_layers(b, &layer, x);
}

static const FamilyRefusal refused[] = {
	{"is_decoder", "false", "a decoder with causal attention is not an encoder of texts"},
	{"add_cross_attention", "false", "there is no second sequence to attend to"},
	{NULL, NULL, NULL},
};

const Family family_mpnet = {
	.model_type = "mpnet",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 30527},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_BUCKETS] = {"relative_attention_num_buckets", NULL, BUCKETS},
		[SIZE_PADDING] = {NULL, NULL, 1}},
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-12},
	.refused = refused,
	.prefixes = (const char *const[]){"mpnet.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.pooler = "pooler.dense",
	.skips_padding = true,
	.encoder = encoder,
	.head = LM_HEADS,
	.head[TASK_CHOICE] = {BERT_CLASSIFIER},
};
