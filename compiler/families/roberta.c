/* families/roberta.c: RoBERTa (Liu et al. 2019), as transformers' Roberta* classes compute it: BERT without
 * segments; positions start after the padding id. Every token gets row 0 of a segment table. */
#include "families.h"

const Family family_roberta = {
	BERT_ENCODER("roberta", 50265),
	.size[SIZE_PADDING] = {"pad_token_id", NULL, 1},
	.skips_padding = true,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "first",
				.dense = "*.dense",
				.activation = "tanh",
				.out = "*.out_proj"},
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "lm_head",
				.dense = "*.dense",
				.activation = "gelu",
				.norm = "*.layer_norm",
				.out = "*.decoder",
				.bias = "*.bias"},
		},
};
