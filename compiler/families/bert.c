/* families/bert.c: BERT (Devlin et al. 2018), as transformers' Bert* classes compute it: embeddings of words,
 * places and segments, then layers of self-attention and a feed-forward network, each followed by its
 * residual sum and a LayerNorm. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
};

static const LayerNames layer = {
	.query = "attention.self.query",
	.key = "attention.self.key",
	.value = "attention.self.value",
	.out = "attention.output.dense",
	.attention_norm = "attention.output.LayerNorm",
	.ffn_in = "intermediate.dense",
	.ffn_act = "intermediate.intermediate_act_fn",
	.ffn_out = "output.dense",
	.ffn_norm = "output.LayerNorm",
};

Value *bert_encoder(Builder *b)
{
	return block_post_norm_layers(b, &layer, block_embeddings(b, &embeddings));
}

const FamilyRefusal bert_refused[] = {
	{"is_decoder", "false", "a decoder with causal attention is not an encoder of texts"},
	{"add_cross_attention", "false", "there is no second sequence to attend to"},
	{"position_embedding_type", "\"absolute\"", "relative positions are not supported"},
	{NULL, NULL, NULL},
};

const Family family_bert = {
	.model_type = "bert",
	.size =
		{
			[SIZE_VOCAB] = {"vocab_size", NULL, 30522},
			[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
			[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
			[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
			[SIZE_FFN] = {"intermediate_size", NULL, 3072},
			[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
			[SIZE_TYPES] = {"type_vocab_size", NULL, 2},
		},
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-12},
	.refused = bert_refused,
	.prefixes = (const char *const[]){"bert.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.pooler = "pooler.dense",
	.next_sentence = "cls.seq_relationship",
	.segments = true,
	.encoder = bert_encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify, .tensors = "classifier", .pooling = "pooler", .out = "*"},
			[TASK_TAG] = {head_tokens, .tensors = "classifier", .out = "*"},
			[TASK_QA] = {head_tokens, .tensors = "qa_outputs", .out = "*"},
			[TASK_FILL_MASK] = {head_words,
				.tensors = "cls.predictions",
				.dense = "*.transform.dense",
				.norm = "*.transform.LayerNorm",
				.out = "*.decoder",
				.bias = "*.bias"},
		},
};
