/* families/megatron_bert.c: Megatron's BERT (Shoeybi et al. 2019), as transformers' MegatronBert* classes
 * compute it: BERT with pre-norm blocks, and another LayerNorm after the last layer. */
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
};

static const LayerNames layer = {
	.attention = {"attention.self.query", "attention.self.key", "attention.self.value",
		"attention.output.dense", "attention.ln"},
	.ffn = {"intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "ln"},
};

static Value *encoder(Builder *b)
{
	Value *x = block_pre_norm_layers(b, &layer, block_embeddings(b, &embeddings), true);
	return build_layernorm(b, x, builder_text(b, "%sencoder.ln", b->prefix), "final.norm");
}

const Family family_megatron_bert = {
	.model_type = "megatron-bert",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 29056},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 1024},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 24},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 16},
		[SIZE_FFN] = {"intermediate_size", NULL, 4096},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}},
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-12},
	.refused = bert_refused,
	.prefixes = (const char *const[]){"bert.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.pooler = "pooler.dense",
	.pair = BERT_PAIR,
	.segments = true,
	.encoder = encoder,
	.head = BERT_HEADS,
};
