/* families/electra.c: ELECTRA (Clark et al. 2020), as transformers' Electra* classes compute it: BERT without
 * a pooler. The embeddings may be narrower than the layers, and a linear then connects them. The head of the
 * generator narrows the hidden state again, so that it can share the word table. */
#include "compiler/support/json_file.h"
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
	.project = "embeddings_project",
};

static Value *encoder(Builder *b)
{
	return block_post_norm_layers(b, &bert_layer, block_embeddings(b, &embeddings));
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	return summary_read_choice(desc, config, "first", true, path, diag);
}

const Family family_electra = {
	BERT_CONFIG("electra", "electra", 30522, 256, 4, 1024),
	.size[SIZE_EMBEDDING] = {"embedding_size", NULL, 128},
	.segments = true,
	.head_activation = {"summary_activation", "gelu"},
	.traits = 1u << TRAIT_BARE_HEAD,
	.read = read,
	.encoder = encoder,
	.replaced = {head_tokens,
		.tensors = "discriminator_predictions",
		.dense = "*.dense",
		.encoder_act = true,
		.out = "*.dense_prediction"},
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "first",
				.dense = "*.dense",
				.activation = "gelu",
				.out = "*.out_proj"},
			[TASK_CHOICE] = {SUMMARY_CLASSIFIER("first", "classifier")},
			ROW_HEADS,
			[TASK_FILL_MASK] = {head_words,
				.tensors = "generator",
				.dense = "*_predictions.dense",
				.activation = "gelu",
				.norm = "*_predictions.LayerNorm",
				.out = "*_lm_head"},
		},
};
