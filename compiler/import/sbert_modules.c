/* sbert_modules.c: the modules of sentence-transformers that follow a Transformer, from the config.json in
 * the folder of each. */
#include <string.h>
#include "sbert.h"
#include "compiler/support/files.h"

json_t *sbert_read_named(
	SbertReader *r, KeyFile keys, const char *folder, const char *name, const char **path)
{
	*path = mem_printf(r->desc->mem, "%s/%s/%s", r->root, folder, name);
	json_t *json = json_read(*path, JSON_WORDS_BYTES_MAX, 0, r->diag);
	if (json && !json_is_object(json)) {
		diag_error_in(r->diag, EXIT_INPUT, *path, 0, "is not a JSON object");
		json_decref(json);
		return NULL;
	}
	keys_check(keys, json, r->desc, *path, r->diag);
	return json;
}

json_t *sbert_read_config(SbertReader *r, KeyFile keys, const char *folder, const char **path)
{
	return sbert_read_named(r, keys, folder, "config.json", path);
}

/* ---- Pooling --------------------------------------------------------------------------------- */

/* The old keys count in this order. `word` is the value of "pooling_mode" in newer files. */
static const struct {
	const char *key, *word;
	Pool mode;
} pooling_keys[] = {
	{"pooling_mode_cls_token", "cls", POOL_FIRST},
	{"pooling_mode_max_tokens", "max", POOL_MAX},
	{"pooling_mode_mean_tokens", "mean", POOL_MEAN},
	{"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", POOL_MEAN_SQRT},
	{"pooling_mode_weightedmean_tokens", "weightedmean", POOL_MEAN_WEIGHTED},
	{"pooling_mode_lasttoken", "lasttoken", POOL_LAST},
};
enum { POOLING_KEYS = sizeof pooling_keys / sizeof *pooling_keys };

static void add_mode(SbertReader *r, Pool mode)
{
	const char *modes = r->head->pooling ? r->head->pooling : "";
	r->head->pooling = mem_printf(r->desc->mem, "%s%s%s", modes, *modes ? " " : "", pooling_words[mode]);
}

static bool read_mode(SbertReader *r, const json_t *item, const char *path)
{
	const char *word = json_string_value(item);
	if (!word)
		return diag_error_in(r->diag, EXIT_INPUT, path, 0,
			"pooling_mode is %s, expected a word or a list of words", json_kind(item));
	for (int i = 0; i < POOLING_KEYS; i++)
		if (strcmp(word, pooling_keys[i].word) == 0) {
			add_mode(r, pooling_keys[i].mode);
			return true;
		}
	return diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
		"pooling_mode \"%.80s\" is not supported; known: cls, max, mean, mean_sqrt_len_tokens, weightedmean, "
		"lasttoken",
		word);
}

static bool read_modes(SbertReader *r, const json_t *json, const char *path)
{
	const json_t *modes = json_object_get(json, "pooling_mode");
	if (!modes) { /* the old keys; none of them means the mean */
		for (int i = 0; i < POOLING_KEYS; i++) {
			bool set = false;
			if (!json_member_bool(json, pooling_keys[i].key, &set, path, r->diag))
				return false;
			if (set)
				add_mode(r, pooling_keys[i].mode);
		}
		if (!r->head->pooling)
			add_mode(r, POOL_MEAN);
		return true;
	}
	if (!json_is_array(modes))
		return read_mode(r, modes, path);
	if (json_array_size(modes) == 0 || json_array_size(modes) > POOLINGS_MAX)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"pooling_mode is a list of %zu words, expected 1 to %d", json_array_size(modes), POOLINGS_MAX);
	for (size_t i = 0; i < json_array_size(modes); i++)
		if (!read_mode(r, json_array_get(modes, i), path))
			return false;
	return true;
}

/* Without include_prompt, the tokens of a prompt do not count. */
static bool read_include(SbertReader *r, const json_t *json, const char *path)
{
	bool include = true;
	if (!json_member_bool(json, "include_prompt", &include, path, r->diag))
		return false;
	r->head->skips_prompt = !include && r->desc->nprompts > 0;
	return true;
}

/* Reads a size that the builder compares with the weights. */
static bool read_width(SbertReader *r, const json_t *json, const char *key, const char *path, int64_t *width)
{
	return json_member_int(json, key, 1, INT32_MAX, width, path, r->diag);
}

bool sbert_read_pooling(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_POOLING, folder, &path);
	const bool good = json && read_modes(r, json, path) && read_include(r, json, path)
		&& read_width(r, json, "word_embedding_dimension", path, &r->head->pooled)
		&& read_width(r, json, "embedding_dimension", path, &r->head->pooled);
	if (good)
		diag_decide(r->diag, "pooling", "%s, from %s of %s/config.json", r->head->pooling,
			json_object_get(json, "pooling_mode") ? "pooling_mode" : "pooling_mode_*_token", folder);
	json_decref(json);
	return good;
}

/* The mean of the layers' states. Without output_hidden_states in the encoder's config.json,
 * sentence-transformers passes the last state on. */
bool sbert_read_layer_pooling(SbertReader *r, const char *folder)
{
	const char *path = mem_printf(r->desc->mem, "%s/config.json", r->sbert->directory);
	bool states = false;
	json_t *json = json_read(path, JSON_CONFIG_BYTES_MAX, 0, r->diag);
	bool good = json && json_member_bool(json, "output_hidden_states", &states, path, r->diag);
	json_decref(json);
	if (!good || !states)
		return good;
	int64_t start = 4, layers = 12;
	json = sbert_read_config(r, KEYS_LAYERS, folder, &path);
	good = json && json_member_int(json, "layer_start", 0, INT32_MAX, &start, path, r->diag)
		&& json_member_int(json, "num_hidden_layers", 0, INT32_MAX, &layers, path, r->diag);
	json_decref(json);
	if (!good)
		return false;
	struct ModuleDesc *module = sbert_add_module(r, MODULE_LAYERS, folder);
	if (!module)
		return false;
	module->each = true;
	module->inputs = layers + 1;
	module->outputs = layers + 1 - start;
	diag_decide(r->diag, "module", "WeightedLayerPooling: output_hidden_states of config.json is true");
	return true;
}

/* ---- SpladePooling --------------------------------------------------------------------------- */

static bool read_splade_words(SbertReader *r, const json_t *json, const char *path)
{
	static const char *const strategies[] = {"max", "sum"}, *const functions[] = {"relu", log1p_relu};
	const char *strategy = strategies[0], *function = functions[0];
	if (!json_member_text(json, "pooling_strategy", &strategy, path, r->diag)
		|| !json_member_text(json, "activation_function", &function, path, r->diag))
		return false;
	const int pooling = word_index(strategy, strategies, 2), twice = word_index(function, functions, 2);
	if (pooling < 0)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"pooling_strategy \"%.80s\" is not supported; known: max, sum", strategy);
	if (twice < 0)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"activation_function \"%.80s\" is not supported; known: relu, log1p_relu", function);
	r->head->pooling = pooling_words[pooling ? POOL_SUM : POOL_MAX];
	r->head->activation = twice ? log1p_relu : NULL;
	return true;
}

bool sbert_read_splade(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_SPLADE, folder, &path);
	const bool good = json && read_splade_words(r, json, path);
	json_decref(json);
	if (good)
		diag_decide(r->diag, "weights of words",
			"the %s log(1 + score) over the tokens%s, from %s/config.json",
			strcmp(r->head->pooling, pooling_words[POOL_SUM]) == 0 ? "sum of" : "largest",
			r->head->activation ? ", of which the logarithm is taken once more" : "", folder);
	r->head->name = r->head->task = task_names[TASK_SPARSE];
	return good;
}

/* ---- modules that may act on each token ------------------------------------------------------- */

struct ModuleDesc *sbert_add_module(SbertReader *r, ModuleKind kind, const char *folder)
{
	HeadDesc *head = r->head;
	const bool unit = head->normalize;
	if (head->nmodules + unit >= MODULES_MAX) {
		diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"more than %d modules after the Transformer and the Pooling", MODULES_MAX);
		return NULL;
	}
	if (unit) /* this Normalize was not the last one */
		head->module[head->nmodules++] = (struct ModuleDesc){.kind = MODULE_NORMALIZE};
	head->normalize = false;
	head->module[head->nmodules++] = (struct ModuleDesc){
		.kind = kind, .href = mem_string(r->desc->mem, folder, strlen(folder))};
	return &head->module[head->nmodules - 1];
}

static const char embedding[] = "sentence_embedding", tokens[] = "token_embeddings";

/* Reads which values a module changes: those of each token, before the pooling, or the embedding after it.
 * input: the default of module_input_name. *scores: the output is that of a CrossEncoder. */
static bool read_values(
	SbertReader *r, const json_t *json, const char *path, const char *input, bool *each, bool *scores)
{
	const char *output = NULL;
	if (!json_member_text(json, "module_input_name", &input, path, r->diag)
		|| !json_member_text(json, "module_output_name", &output, path, r->diag))
		return false;
	*each = strcmp(input, tokens) == 0;
	*scores = output && r->sbert->scores && strcmp(output, "scores") == 0 && !*each;
	if (!*each && strcmp(input, embedding) != 0)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"module_input_name \"%.80s\" is not supported; known: %s, %s", input, embedding, tokens);
	if (output && strcmp(output, input) != 0 && !*scores)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"module_output_name \"%.80s\" is not supported; expected \"%s\", as module_input_name", output,
			input);
	return *each == (r->stage < STAGE_POOLING)
		|| diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0, "module_input_name %s %s the Pooling module",
			input, *each ? "has no effect after" : "does not exist before");
}

/* Other classes than those of torch are not loaded, and Dense then takes its own default. */
static bool read_dense_activation(SbertReader *r, const json_t *json, const char *path, const char **word)
{
	const char *activation = NULL;
	if (!json_member_text(json, "activation_function", &activation, path, r->diag))
		return false;
	*word = "tanh";
	if (activation && strncmp(activation, "torch.", strlen("torch.")) != 0) {
		diag_warn(r->diag, 0,
			"%s: activation_function \"%.80s\" is not a class of torch; tanh applies, as in "
			"sentence-transformers",
			path, activation);
		return true;
	}
	if (activation)
		*word = sbert_torch_activation(activation);
	return *word
		|| diag_error_in(
			r->diag, EXIT_UNSUPPORTED, path, 0, "activation_function \"%.80s\" is not supported", activation);
}

/* The scores of a CrossEncoder: one, or one for each label. */
static bool make_scores(SbertReader *r, const struct ModuleDesc *dense, const char *path)
{
	if (dense->outputs < 1 || dense->outputs > LABELS_MAX)
		return diag_error_in(r->diag, EXIT_INPUT, path, 0, "has no out_features from 1 to %d", LABELS_MAX);
	r->head->task = task_names[dense->outputs == 1 ? TASK_RANK : TASK_CLASSIFY];
	r->head->name = r->head->task;
	r->head->nlabels = (int32_t)dense->outputs;
	r->head->labels = labels_numbered(r->desc->mem, r->head->nlabels);
	r->stage = STAGE_SCORES;
	return true;
}

bool sbert_read_dense(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_DENSE, folder, &path);
	bool bias = true, scores = false;
	struct ModuleDesc dense = {.kind = MODULE_DENSE};
	bool good = json && read_width(r, json, "in_features", path, &dense.inputs)
		&& read_width(r, json, "out_features", path, &dense.outputs)
		&& json_member_bool(json, "bias", &bias, path, r->diag)
		&& json_member_bool(json, "use_residual", &dense.residual, path, r->diag)
		&& read_dense_activation(r, json, path, &dense.activation)
		&& read_values(r, json, path, r->sbert->rows ? tokens : embedding, &dense.each, &scores);
	if (good && json_is_boolean(json_object_get(json, "bias")))
		dense.bias = bias ? 1 : -1;
	json_decref(json);
	/* without a dim, torch takes the softmax of rows f32[B,S,H] over the texts of a batch */
	if (good && dense.each && strncmp(dense.activation, "softm", strlen("softm")) == 0)
		good = diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"activation_function %s, of each token, is not supported: it depends on the other texts of a "
			"call",
			dense.activation);
	struct ModuleDesc *module = good ? sbert_add_module(r, MODULE_DENSE, folder) : NULL;
	if (!module)
		return false;
	diag_decide(r->diag, "module", "Dense%s with activation %s, from %s/config.json",
		dense.each ? " of each token" : "", dense.activation, folder);
	dense.href = module->href;
	*module = dense;
	return !scores || make_scores(r, &dense, path);
}

bool sbert_read_layernorm(SbertReader *r, const char *folder)
{
	diag_decide(r->diag, "module", "LayerNorm, from modules.json");
	return sbert_add_module(r, MODULE_LAYERNORM, folder) != NULL;
}

/* Older versions write no folder. */
bool sbert_read_normalize(SbertReader *r, const char *folder)
{
	const char *path = mem_printf(r->desc->mem, "%s/%s/config.json", r->root, folder);
	bool each = false, scores = false;
	json_t *json = !*folder || file_is_absent(path) ? json_object()
													: sbert_read_config(r, KEYS_UNIT, folder, &path);
	const bool good = json && read_values(r, json, path, embedding, &each, &scores);
	json_decref(json);
	if (!good)
		return false;
	diag_decide(r->diag, "module", "Normalize%s, from modules.json", each ? " of each token" : "");
	if (!each) {
		r->head->normalize = true;
		return true;
	}
	return sbert_add_unit(r);
}

bool sbert_add_unit(SbertReader *r)
{
	struct ModuleDesc *module = sbert_add_module(r, MODULE_NORMALIZE, "");
	if (module)
		*module = (struct ModuleDesc){.kind = MODULE_NORMALIZE, .each = true};
	return module != NULL;
}

/* ---- SparseAutoEncoder ----------------------------------------------------------------------- */

/* The largest k latents count, or max_active_dims of them. */
bool sbert_read_autoencoder(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_AUTOENCODER, folder, &path);
	struct ModuleDesc coder = {.kind = MODULE_AUTOENCODER};
	int64_t k = 8; /* the default of the class */
	const bool good = json && read_width(r, json, "input_dim", path, &coder.inputs)
		&& read_width(r, json, "hidden_dim", path, &coder.outputs)
		&& json_member_int(json, "k", 1, INT32_MAX, &k, path, r->diag)
		&& json_member_bool(json, "normalize", &coder.standard, path, r->diag);
	json_decref(json);
	struct ModuleDesc *module = good ? sbert_add_module(r, MODULE_AUTOENCODER, folder) : NULL;
	if (!module)
		return false;
	coder.href = module->href;
	*module = coder;
	if (r->head->top == 0)
		r->head->top = (int32_t)k;
	diag_decide(r->diag, "module", "SparseAutoEncoder: the %d largest latents count, from %s/config.json",
		(int)r->head->top, folder);
	r->head->name = r->head->task = task_names[TASK_SPARSE];
	return true;
}
