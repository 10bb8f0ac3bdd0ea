/* families/rembert.c: RemBERT (Chung et al. 2021), as transformers' RemBert* classes compute it: BERT with
 * narrow embeddings, whose linear to the hidden size exists even if the sizes are equal. The decoder of
 * masked words has a matrix of its own, of another width. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
	.project = "encoder.embedding_hidden_mapping_in",
	.projects_equal = true,
};

static Value *encoder(Builder *b)
{
	return block_post_norm_layers(b, &bert_layer, block_embeddings(b, &embeddings));
}

static const FamilyRefusal refused[] = {
	{"is_decoder", "false", "a decoder with causal attention is not an encoder of texts"},
	{"add_cross_attention", "false", "there is no second sequence to attend to"},
	{"tie_word_embeddings", "false",
		"transformers 5 does not tie the decoder of RemBERT; transformers 4.57 would"},
	{NULL, NULL, NULL},
};

const Family family_rembert = {
	.model_type = "rembert",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 250300},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 1152},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 32},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 18},
		[SIZE_EMBEDDING] = {"input_embedding_size", NULL, 256},
		[SIZE_OUTPUT] = {"output_embedding_size", NULL, 1664},
		[SIZE_FFN] = {"intermediate_size", NULL, 4608},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}},
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-12},
	.untied = true,
	.refused = refused,
	.prefixes = (const char *const[]){"rembert.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.pooler = "pooler.dense",
	.segments = true,
	.encoder = encoder,
	.head =
		{
			POOLED_HEADS,
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "cls.predictions",
				.dense = "*.dense",
				.norm = "*.LayerNorm",
				.out = "*.decoder"},
		},
};
