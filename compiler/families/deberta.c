/* families/deberta.c: DeBERTa (He, Liu, Gao, Chen 2021), as transformers' Deberta* classes compute it: the
 * first version. Queries, keys and values of a head lie together in one linear, keys have no bias, and every
 * distance up to a limit has a row of its own. */
#include "compiler/support/json_file.h"
#include "families.h"

static const LayerNames layer = {
	.attention = {.query = "attention.self.q_bias",
		.value = "attention.self.v_bias",
		.out = "attention.output.dense",
		.norm = "attention.output.LayerNorm",
		.far_key = "attention.self.pos_proj",
		.far_query = "attention.self.pos_q_proj",
		.far_key_plain = true,
		.joint = "attention.self.in_proj",
		.dealt = true},
	.ffn = {"intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "output.LayerNorm"},
};

static Value *encoder(Builder *b) { return deberta_encoder(b, layer); }

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	return deberta_read(desc, config, true, path, diag);
}

static const FamilyRefusal refused[] = {
	{"talking_head", "false", "heads that mix their scores are not supported"},
	{NULL, NULL, NULL},
};

const Family family_deberta = {
	.model_type = "deberta",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 50265},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_EMBEDDING] = {"embedding_size", NULL, 0},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512},
		[SIZE_REACH] = {"max_relative_positions", NULL, -1},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 0}},
	DEBERTA_PARTS,
	.traits = DEBERTA_TRAITS,
	.read = read,
	.refused = refused,
	.encoder = encoder,
};
