/* families/roberta.c: RoBERTa (Liu et al. 2019), as transformers' Roberta* classes compute it: BERT whose
 * positions start behind the padding id. Almost all checkpoints have one segment type (type_vocab_size 1),
 * and every token gets its row. With more types the graph has the input %types, as for BERT. */
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
