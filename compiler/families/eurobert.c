/* families/eurobert.c: EuroBERT (Boizard et al. 2025), as transformers' EuroBert* classes compute it: the
 * layers of Llama with attention in both directions: RMSNorm before each block, rotary positions, gated
 * feed-forward networks, heads that may share keys and values. Its classifier pools its hidden states late.
 */
#include <string.h>
#include "compiler/support/json_file.h"
#include "families.h"

static const LayerNames layer = {
	.attention = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
		"input_layernorm"},
	.ffn = {.in = "mlp.gate_proj",
		.gate = "mlp.up_proj",
		.out = "mlp.down_proj",
		.norm = "post_attention_layernorm"},
};

static Value *encoder(Builder *b)
{
	Value *x = block_pre_norm_layers(b, &layer, block_words(b), true);
	return build_layernorm(b, x, builder_text(b, "%snorm", b->prefix), "final.norm");
}

/* classifier_pooling as pooling of the description. */
static bool read_pooling(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	static const char *const words[][2] = {{"late", "late"}, {"bos", "first"}, {"mean", "mean"}};
	const char *word = words[0][0], *pooling = NULL;
	if (!json_member_text(config, "classifier_pooling", &word, path, diag))
		return false;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i][0]) == 0)
			pooling = words[i][1];
	if (!pooling)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"classifier_pooling is \"%s\", expected \"late\", \"bos\" or \"mean\"", word);
	description_set_pooling(desc, pooling);
	return true;
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	if (!desc->kv_heads)
		desc->kv_heads = desc->heads;
	return rotary_read_config(desc, config, path, diag) && read_pooling(desc, config, path, diag);
}

const Family family_eurobert = {
	.model_type = "eurobert",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 128256},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_KV_HEADS] = {"num_key_value_heads", NULL, 0},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 8192}},
	.activation = {"hidden_act", "silu"},
	.eps = {"rms_norm_eps", 1e-5},
	.bias = {[BIAS_ATTENTION] = {"attention_bias", true},
		[BIAS_FFN] = {"mlp_bias", true},
		[BIAS_DECODER] = {"mlp_bias", true}},
	.rotary = 10000,
	.rms = true,
	.untied = true,
	.read = read,
	.prefixes = (const char *const[]){"model.", "", NULL},
	.words = "embed_tokens",
	.layers = "layers",
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "late",
				.dense = "dense",
				.activation = "gelu",
				.out = "*"},
			[TASK_TAG] = {head_tokens, .tensors = "classifier", .out = "*"},
			[TASK_FILL_MASK] = {head_words, .tensors = "lm_head", .out = "*"},
		},
};
