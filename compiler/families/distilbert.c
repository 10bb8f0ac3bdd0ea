/* families/distilbert.c: DistilBERT (Sanh et al. 2019), as transformers' DistilBert* classes compute it: BERT
 * without segment types and without a pooler. config.json uses other key names and cannot set the epsilon of
 * LayerNorm. `sinusoidal_pos_embds` only selects how the position table was initialised, so both values are
 * accepted. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
};

static const LayerNames layer = {
	.attention = {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
		"sa_layer_norm"},
	.ffn = {"ffn.lin1", "ffn.activation", "ffn.lin2", "output_layer_norm"},
};

static Value *encoder(Builder *b)
{
	return block_post_norm_layers(b, &layer, block_embeddings(b, &embeddings));
}

#define CLASSIFIER \
	head_classify, .tensors = "classifier", .pooling = "first", .dense = "pre_*", .activation = "relu", \
		.out = "*"

const Family family_distilbert = {
	.model_type = "distilbert",
	.size =
		{
			[SIZE_VOCAB] = {"vocab_size", NULL, 30522},
			[SIZE_HIDDEN] = {"dim", "hidden_size", 768},
			[SIZE_LAYERS] = {"n_layers", "num_hidden_layers", 6},
			[SIZE_HEADS] = {"n_heads", "num_attention_heads", 12},
			[SIZE_FFN] = {"hidden_dim", NULL, 3072},
			[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		},
	.activation = {"activation", "gelu"},
	.eps = {NULL, 1e-12},
	.prefixes = (const char *const[]){"distilbert.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "transformer.layer",
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {CLASSIFIER},
			[TASK_CHOICE] = {CLASSIFIER},
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "vocab",
				.dense = "*_transform",
				.norm = "*_layer_norm",
				.out = "*_projector"},
		},
};
