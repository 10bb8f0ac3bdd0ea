/* families/jina_embeddings_v3.c: jina-embeddings-v3 (Sturua et al. 2024) with the adapter of one task merged
 * in, as transformers' JinaEmbeddingsV3* classes compute it: RoBERTa with rotary positions instead of a
 * table. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.norm = "emb_ln",
};

static const LayerNames layer = {
	.attention = {.joint = "mixer.Wqkv", .out = "mixer.out_proj", .norm = "norm1"},
	.ffn = {.in = "mlp.fc1", .act = "mlp.activation_fn", .out = "mlp.fc2", .norm = "norm2"},
};

static Value *encoder(Builder *b)
{
	return block_post_norm_layers(b, &layer, block_embeddings(b, &embeddings));
}

const Family family_jina_embeddings_v3 = {
	.model_type = "jina_embeddings_v3",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 250002},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 1024},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 24},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 16},
		[SIZE_FFN] = {"intermediate_size", NULL, 4096},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 8194},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 1}},
	.refused = bert_refused,
	.prefixes = (const char *const[]){"roberta.", "", NULL},
	.words = "embeddings.word_embeddings",
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-5},
	.rotary = 20000,
	.read = rotary_read_config,
	.layers = "encoder.layers",
	.pooler = "pooler.dense",
	.encoder = encoder,
	.head = LM_HEADS,
};
