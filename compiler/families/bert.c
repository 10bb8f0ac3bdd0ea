/* families/bert.c: BERT (Devlin et al. 2018), as transformers' Bert* classes compute it: embeddings of words,
 * places and segments, then layers of self-attention and a feed-forward network, each followed by its
 * residual sum and a LayerNorm. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
};

const LayerNames bert_layer = {
	.attention = {"attention.self.query", "attention.self.key", "attention.self.value",
		"attention.output.dense", "attention.output.LayerNorm"},
	.ffn = {"intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "output.LayerNorm"},
};

Value *bert_encoder(Builder *b)
{
	return block_post_norm_layers(b, &bert_layer, block_embeddings(b, &embeddings));
}

const FamilyRefusal bert_refused[] = {
	{"is_decoder", "false", "a decoder with causal attention is not an encoder of texts"},
	{"add_cross_attention", "false", "there is no second sequence to attend to"},
	{"position_embedding_type", "\"absolute\"", "relative positions are not supported"},
	{NULL, NULL, NULL},
};

const Family family_bert = {
	BERT_ENCODER("bert", "bert", 30522),
	.pair = BERT_PAIR,
	.segments = true,
	.head = BERT_HEADS,
};
