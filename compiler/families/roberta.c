/* families/roberta.c: RoBERTa (Liu et al. 2019), as transformers' Roberta* classes compute it: BERT whose
 * positions begin behind the padding id, without segments. Every token gets row 0 of a segment table. */
#include "families.h"

const Family family_roberta = {
	.model_type = "roberta",
	.size =
		{
			[SIZE_VOCAB] = {"vocab_size", NULL, 50265},
			[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
			[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
			[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
			[SIZE_FFN] = {"intermediate_size", NULL, 3072},
			[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
			[SIZE_TYPES] = {"type_vocab_size", NULL, 2},
			[SIZE_PADDING] = {"pad_token_id", NULL, 1},
		},
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-12},
	.refused = bert_refused,
	.prefixes = (const char *const[]){"roberta.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.pooler = "pooler.dense",
	.skips_padding = true,
	.encoder = bert_encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "first",
				.dense = "*.dense",
				.activation = "tanh",
				.out = "*.out_proj"},
			[TASK_TAG] = {head_tokens, .tensors = "classifier", .out = "*"},
			[TASK_QA] = {head_tokens, .tensors = "qa_outputs", .out = "*"},
			[TASK_FILL_MASK] = {head_words,
				.tensors = "lm_head",
				.dense = "*.dense",
				.activation = "gelu",
				.norm = "*.layer_norm",
				.out = "*.decoder",
				.bias = "*.bias"},
		},
};
