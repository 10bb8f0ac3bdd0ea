/* families/nomic_bert.c: NomicBERT (Nussbaum et al. 2024), as transformers' NomicBert* classes compute it:
 * BERT with rotary positions instead of a table, gated feed-forward networks, and no biases in its layers'
 * linears. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.norm = "emb_ln",
};

static const LayerNames layer = {
	.attention = {.joint = "attn.Wqkv", .out = "attn.out_proj", .norm = "norm1"},
	.ffn = {.in = "mlp.fc12", .gate = "mlp.fc11", .out = "mlp.fc2", .norm = "norm2"},
};

static Value *encoder(Builder *b)
{
	return block_post_norm_layers(b, &layer, block_embeddings(b, &embeddings));
}

const Family family_nomic_bert = {
	.model_type = "nomic_bert",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 30528},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 2048},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}},
	.eps = {"layer_norm_eps", 1e-12},
	.refused = bert_refused,
	.prefixes = (const char *const[]){"nomic_bert.", "", NULL},
	.words = "embeddings.word_embeddings",
	.activation = {"hidden_act", "silu"},
	.bias = {[BIAS_ATTENTION] = {.none = true}, [BIAS_FFN] = {.none = true}},
	.rotary = 1000,
	.read = rotary_read_config,
	.layers = "encoder.layers",
	.pooler = "pooler.dense",
	.segments = true,
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {BERT_CLASSIFIER},
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "cls.predictions",
				.dense = "*.transform.dense",
				.norm = "*.transform.layer_norm",
				.out = "*.decoder",
				.bias = "*.bias"},
		},
};
