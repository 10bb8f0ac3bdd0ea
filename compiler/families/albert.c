/* families/albert.c: ALBERT (Lan et al. 2020), as transformers' Albert* classes compute it: BERT with narrow
 * embeddings, whose linear to the hidden size exists even if the sizes are equal, and with layers that share
 * their weights. num_hidden_layers counts how often groups run, and each run goes through all inner layers of
 * a group. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
	.project = "encoder.embedding_hidden_mapping_in",
	.projects_equal = true,
};

static const LayerNames layer = {
	.attention = {"attention.query", "attention.key", "attention.value", "attention.dense",
		"attention.LayerNorm"},
	.ffn = {"ffn", "activation", "ffn_output", "full_layer_layer_norm"},
};

static Value *encoder(Builder *b)
{
	return block_post_norm_layers(b, &layer, block_embeddings(b, &embeddings));
}

const Family family_albert = {
	BERT_KEYS("albert", "albert", 30000, 4096, 64, 16384),
	.size[SIZE_EMBEDDING] = {"embedding_size", NULL, 128},
	.size[SIZE_GROUPS] = {"num_hidden_groups", NULL, 1},
	.size[SIZE_INNER] = {"inner_group_num", NULL, 1},
	.activation = {"hidden_act", "gelu_new"},
	.layers = "encoder.albert_layer_groups",
	.inner = "albert_layers",
	.pooler = "pooler",
	.segments = true,
	.encoder = encoder,
	.pair = {"sop_classifier.classifier", "sentence-order", {"in_order", "swapped"}, true},
	.head =
		{
			POOLED_HEADS,
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "predictions",
				.dense = "*.dense",
				.norm = "*.LayerNorm",
				.out = "*.decoder",
				.bias = "*.bias"},
		},
};
