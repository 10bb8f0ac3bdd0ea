/* families/modernbert.c: ModernBERT (Warner et al. 2024), as transformers' ModernBert* classes compute it:
 * pre-norm layers with rotary positions, gated feed-forward networks and no biases. Most layers attend only
 * to the tokens around; every third attends to all. */
#include <string.h>
#include "compiler/support/json_file.h"
#include "families.h"

static const LayerNames layer = {
	.attention = {.joint = "attn.Wqkv", .out = "attn.Wo", .norm = "attn_norm"},
	.ffn = {.in = "mlp.Wi", .halves = true, .out = "mlp.Wo", .norm = "mlp_norm"},
};

static Value *encoder(Builder *b)
{
	const char *stem = builder_text(b, "%sembeddings.norm", b->prefix);
	Value *x = build_layernorm(b, block_words(b), stem, "embeddings.norm");
	x = block_pre_norm_layers(b, &layer, x, false);
	return build_layernorm(b, x, builder_text(b, "%sfinal_norm", b->prefix), "final.norm");
}

/* ---- config.json ----------------------------------------------------------------------------- */

typedef struct ConfigReader {
	ModelDesc *desc;
	const json_t *config;
	const char *path;
	Diag *diag;
} ConfigReader;

static const char full[] = "full_attention", sliding[] = "sliding_attention";

/* layer_types, or every n-th layer from layer 0 attends to all tokens. */
static bool read_layer_types(ConfigReader *r)
{
	const json_t *types = json_object_get(r->config, "layer_types");
	const int32_t layers = r->desc->layers;
	int64_t every = 3;
	bool *local = mem_alloc(r->desc->mem, (size_t)layers * sizeof *local), any = false;
	if (!types || json_is_null(types)) {
		if (!json_member_int(r->config, "global_attn_every_n_layers", 1, INT32_MAX, &every, r->path, r->diag))
			return false;
	} else if (!json_is_array(types) || json_array_size(types) != (size_t)layers) {
		return diag_error_in(r->diag, EXIT_INPUT, r->path, 0,
			"layer_types has not one entry for each of the %d layers (num_hidden_layers)", layers);
	}
	for (int32_t i = 0; i < layers; i++) {
		const json_t *type = json_is_array(types) ? json_array_get(types, (size_t)i) : NULL;
		const char *word = i % every ? sliding : full;
		if (type)
			word = json_string_value(type);
		if (!word || (strcmp(word, full) != 0 && strcmp(word, sliding) != 0))
			return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
				"layer_types[%d] is %s, expected \"%s\" or \"%s\"", i, word ? word : json_kind(type), full,
				sliding);
		local[i] = strcmp(word, sliding) == 0;
		any |= local[i];
	}
	r->desc->local = any ? local : NULL;
	return true;
}

/* rope_parameters of a kind of layers, changed by the members of rope_scaling. Where the file has no
 * rope_parameters, transformers begins with the rope_type "default", which the older key `type` does not
 * change.
 */
static json_t *rope_members(ConfigReader *r, const char *kind)
{
	json_t *all = json_object_get(r->config, "rope_parameters"), *own = json_object_get(all, kind),
		   *scaling = json_object_get(r->config, "rope_scaling"), *members = json_object();
	json_t *const objects[] = {json_is_null(all) ? NULL : all, json_is_null(own) ? NULL : own,
		json_is_null(scaling) ? NULL : scaling};
	for (int i = 0; i < 3; i++)
		if (objects[i] && !json_is_object(objects[i])) {
			diag_error_in(r->diag, EXIT_INPUT, r->path, 0, "%s has %s, expected an object",
				i < 2 ? "rope_parameters" : "rope_scaling", json_kind(objects[i]));
			json_decref(members);
			return NULL;
		}
	if (!objects[1])
		json_object_set_new(members, "rope_type", json_string("default"));
	for (int i = 1; i < 3; i++)
		if (objects[i])
			json_object_update(members, objects[i]);
	return members;
}

static bool read_rotary(ConfigReader *r, const char *kind, const char *key, double theta, RotaryDesc *out)
{
	json_t *members = rope_members(r, kind);
	*out = (RotaryDesc){theta, 1};
	const bool good = members && json_member_real(r->config, key, &out->theta, r->path, r->diag)
		&& rotary_read(out, members, "rope_parameters", r->path, r->diag);
	json_decref(members);
	return good;
}

/* transformers sets local_attention by it. */
static bool check_sliding_window(ConfigReader *r)
{
	const int64_t half = r->desc->window / 2;
	int64_t given = half;
	return json_member_int(r->config, "sliding_window", 0, INT32_MAX, &given, r->path, r->diag)
		&& (given == half
			|| diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
				"sliding_window is %jd, but half of local_attention is %jd; leave one of them out",
				(intmax_t)given, (intmax_t)half));
}

static bool read_pooling(ConfigReader *r)
{
	const char *word = "cls";
	if (!json_member_text(r->config, "classifier_pooling", &word, r->path, r->diag))
		return false;
	const bool mean = strcmp(word, "mean") == 0;
	if (!mean && strcmp(word, "cls") != 0)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"classifier_pooling is \"%s\", expected \"cls\" or \"mean\"", word);
	description_set_pooling(r->desc, mean ? "mean" : "first");
	return true;
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	ConfigReader r = {desc, config, path, diag};
	return rotary_head_fits(desc, config, path, diag) && check_sliding_window(&r) && read_layer_types(&r)
		&& read_rotary(&r, full, "global_rope_theta", desc->family->rotary, &desc->rotary)
		&& read_rotary(&r, sliding, "local_rope_theta", 10000, &desc->local_rotary) && read_pooling(&r);
}

#define MODERN_HEAD .tensors = "classifier", .dense = "head.dense", .norm = "head.norm", .out = "*"

const Family family_modernbert = {
	.model_type = "modernbert",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 50368},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 22},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_FFN] = {"intermediate_size", NULL, 1152},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 8192},
		[SIZE_WINDOW] = {"local_attention", NULL, 128}},
	.activation = {"hidden_activation", "gelu"},
	.head_activation = {"classifier_activation", "gelu"},
	.eps = {"norm_eps", 1e-5},
	.bias = {[BIAS_ATTENTION] = {"attention_bias", true},
		[BIAS_FFN] = {"mlp_bias", true},
		[BIAS_NORM] = {"norm_bias", true},
		[BIAS_HEAD] = {"classifier_bias", true},
		[BIAS_DECODER] = {"decoder_bias", false}},
	.rotary = 160000,
	.read = read,
	.prefixes = (const char *const[]){"model.", "", NULL},
	.words = "embeddings.tok_embeddings",
	.layers = "layers",
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify, MODERN_HEAD, .pooling = "first"},
			[TASK_CHOICE] = {head_classify, MODERN_HEAD, .pooling = "first"},
			[TASK_TAG] = {head_tokens, MODERN_HEAD},
			[TASK_QA] = {head_tokens, MODERN_HEAD},
			[TASK_FILL_MASK] = {head_words,
				.tensors = "decoder",
				.dense = "head.dense",
				.norm = "head.norm",
				.out = "*"},
		},
};
