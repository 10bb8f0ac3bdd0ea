/* import/sentence_transformers.c: modules.json of sentence-transformers -> an embed head. The modules must be
 * Transformer, Pooling, any number of Dense, and optionally Normalize. Dropout is skipped: it does nothing at
 * inference. The builder reads the weights of a Dense. */
#include <string.h>
#include "compiler/support/json_file.h"
#include "import.h"
#include "compiler/support/files.h"

/* The last module read. Modules must come in this order. */
typedef enum Stage { STAGE_START, STAGE_ENCODER, STAGE_POOLING, STAGE_DENSE, STAGE_NORMALIZE } Stage;

typedef struct SbertReader {
	const char *root, *path; /* the directory, and the path of its modules.json */
	ModelDesc *desc;
	HeadDesc *head;
	const char *encoder; /* the Transformer's folder; NULL: root */
	Stage stage;
	Diag *diag;
} SbertReader;

static json_t *read_config(SbertReader *r, const char *folder, const char **path)
{
	*path = mem_printf(r->desc->mem, "%s/%s/config.json", r->root, folder);
	json_t *json = json_read(*path, JSON_CONFIG_BYTES_MAX, 0, r->diag);
	if (json && !json_is_object(json)) {
		diag_error_in(r->diag, EXIT_INPUT, *path, 0, "is not a JSON object");
		json_decref(json);
		return NULL;
	}
	return json;
}

/* Several modes are concatenated in this order, whatever the order of the keys. `word` is the value of
 * "pooling_mode" in newer files. */
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

/* Reads a size that the builder compares with the weights. */
static bool read_width(SbertReader *r, const json_t *json, const char *key, const char *path, int64_t *width)
{
	return json_member_int(json, key, 1, INT32_MAX, width, path, r->diag);
}

static bool read_pooling(SbertReader *r, const char *folder)
{
	const char *path, *word = NULL;
	json_t *json = read_config(r, folder, &path);
	bool good = json && json_member_text(json, "pooling_mode", &word, path, r->diag), matched = false;
	char *modes = mem_printf(r->desc->mem, "%s", "");
	for (size_t i = 0; good && i < sizeof pooling_keys / sizeof *pooling_keys; i++) {
		bool set = false;
		good = json_member_bool(json, pooling_keys[i].key, &set, path, r->diag);
		if (word && strcmp(word, pooling_keys[i].word) == 0) {
			set = true;
			matched = true;
		}
		if (good && set)
			modes = mem_printf(
				r->desc->mem, "%s%s%s", modes, *modes ? " " : "", pooling_words[pooling_keys[i].mode]);
	}
	if (good && word && !matched)
		good = diag_error_in(
			r->diag, EXIT_UNSUPPORTED, path, 0, "pooling_mode \"%s\" is not supported", word);
	else if (good && !*modes)
		good = diag_error_in(
			r->diag, EXIT_UNSUPPORTED, path, 0, "none of the known pooling_mode keys is true");
	good = good && read_width(r, json, "word_embedding_dimension", path, &r->head->pooled)
		&& read_width(r, json, "embedding_dimension", path, &r->head->pooled);
	r->head->pooling = modes;
	json_decref(json);
	return good;
}

/* "torch.nn.modules.activation.Tanh" -> "tanh". */
static const struct {
	const char *torch, *word;
} dense_activations[] = {
	{"Identity", "identity"},
	{"Tanh", "tanh"},
	{"ReLU", "relu"},
	{"GELU", "gelu"},
	{"SiLU", "silu"},
	{"Sigmoid", "sigmoid"},
};

static const char *last_part(const char *dotted)
{
	const char *dot = strrchr(dotted, '.');
	return dot ? dot + 1 : dotted;
}

static bool read_dense(SbertReader *r, const char *folder)
{
	const char *path, *input = NULL, *output = NULL,
					  *activation = "torch.nn.modules.activation.Tanh"; /* Dense's own default */
	json_t *json = read_config(r, folder, &path);
	struct DenseDesc dense = {.href = mem_string(r->desc->mem, folder, strlen(folder))};
	bool bias = true;
	bool good = json && read_width(r, json, "in_features", path, &dense.inputs)
		&& read_width(r, json, "out_features", path, &dense.outputs)
		&& json_member_bool(json, "bias", &bias, path, r->diag)
		&& json_member_text(json, "activation_function", &activation, path, r->diag)
		&& json_member_text(json, "module_input_name", &input, path, r->diag)
		&& json_member_text(json, "module_output_name", &output, path, r->diag);
	if (good
		&& ((input && strcmp(input, "sentence_embedding") != 0)
			|| (output && strcmp(output, "sentence_embedding") != 0)))
		good = diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"a Dense module is only supported from sentence_embedding to sentence_embedding");
	for (size_t i = 0; good && i < sizeof dense_activations / sizeof *dense_activations; i++)
		if (strcmp(last_part(activation), dense_activations[i].torch) == 0)
			dense.activation = dense_activations[i].word;
	if (good && !dense.activation)
		good = diag_error_in(
			r->diag, EXIT_UNSUPPORTED, path, 0, "activation_function \"%s\" is not supported", activation);
	if (good && json_is_boolean(json_object_get(json, "bias")))
		dense.bias = bias ? 1 : -1;
	json_decref(json);
	if (good && r->head->ndense == sizeof r->head->dense / sizeof *r->head->dense)
		good = diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0, "more than %zu Dense modules",
			sizeof r->head->dense / sizeof *r->head->dense);
	if (good)
		r->head->dense[r->head->ndense++] = dense;
	return good;
}

static bool no_module(SbertReader *r, const char *folder)
{
	(void)r;
	(void)folder;
	return true;
}

static bool read_encoder(SbertReader *r, const char *folder)
{
	if (*folder)
		r->encoder = mem_printf(r->desc->mem, "%s/%s", r->root, folder);
	return true;
}

static bool read_normalize(SbertReader *r, const char *folder)
{
	(void)folder;
	r->head->normalize = true;
	return true;
}

static const struct {
	const char *type;
	Stage from, to, stage;
	bool (*read)(SbertReader *, const char *);
} modules[] = {
	{"Transformer", STAGE_START, STAGE_START, STAGE_ENCODER, read_encoder},
	{"Pooling", STAGE_ENCODER, STAGE_ENCODER, STAGE_POOLING, read_pooling},
	{"Dense", STAGE_POOLING, STAGE_DENSE, STAGE_DENSE, read_dense},
	{"Dropout", STAGE_POOLING, STAGE_DENSE, STAGE_DENSE, no_module},
	{"Normalize", STAGE_POOLING, STAGE_NORMALIZE, STAGE_NORMALIZE, read_normalize},
};

static bool read_module(SbertReader *r, const json_t *item, size_t at)
{
	const char *type = NULL, *folder = "";
	if (!json_is_object(item))
		return diag_error_in(
			r->diag, EXIT_INPUT, r->path, 0, "module %zu is %s, expected an object", at, json_kind(item));
	if (!json_member_text(item, "type", &type, r->path, r->diag)
		|| !json_member_text(item, "path", &folder, r->path, r->diag))
		return false;
	if (!type)
		return diag_error_in(r->diag, EXIT_INPUT, r->path, 0, "module %zu has no type", at);
	if (strchr(folder, '/') || strcmp(folder, ".") == 0 || strcmp(folder, "..") == 0
		|| strlen(folder) > NAME_BYTES_MAX)
		return diag_error_in(r->diag, EXIT_INPUT, r->path, 0,
			"path \"%s\" of module %zu is not a plain folder name", folder, at);
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		if (strcmp(last_part(type), modules[i].type) == 0) {
			if (r->stage < modules[i].from || r->stage > modules[i].to)
				return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
					"module %zu, %s, is at an unsupported place; expected the order Transformer, Pooling, "
					"Dense, Normalize",
					at, modules[i].type);
			r->stage = modules[i].stage;
			return modules[i].read(r, folder);
		}
	return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
		"module type \"%s\" is not supported; known: Transformer, Pooling, Dense, Dropout, "
		"Normalize",
		type);
}

/* Warns about a default prompt. sentence-transformers puts it before every text; here the caller must do
 * so. */
static bool warn_of_prompt(SbertReader *r)
{
	const char *prompt = NULL;
	char *path = mem_printf(r->desc->mem, "%s/config_sentence_transformers.json", r->root);
	if (file_is_absent(path))
		return true;
	json_t *json = json_read(path, JSON_CONFIG_BYTES_MAX, 0, r->diag);
	bool good = json && json_member_text(json, "default_prompt_name", &prompt, path, r->diag);
	if (good && prompt)
		diag_warn(r->diag, 0,
			"%s: the program does not add the default prompt \"%s\"; put it before each text", path, prompt);
	json_decref(json);
	return good;
}

bool sbert_read(
	const char *directory, ModelDesc *desc, const char **encoder_directory, bool *found, Diag *diag)
{
	SbertReader reader = {
		directory, mem_printf(desc->mem, "%s/modules.json", directory), desc, NULL, NULL, STAGE_START, diag};
	*found = !file_is_absent(reader.path);
	if (!*found)
		return true;
	reader.head = description_add_head(desc, NULL, "embed", diag);
	json_t *json = json_read(reader.path, JSON_CONFIG_BYTES_MAX, 0, diag);
	bool good = reader.head && json;
	if (good && !json_is_array(json))
		good = diag_error_in(diag, EXIT_INPUT, reader.path, 0, "is not a JSON array");
	for (size_t i = 0; good && i < json_array_size(json); i++)
		good = read_module(&reader, json_array_get(json, i), i);
	if (good && reader.stage < STAGE_POOLING)
		good = diag_error_in(diag, EXIT_UNSUPPORTED, reader.path, 0, "has no %s module",
			reader.stage == STAGE_START ? "Transformer" : "Pooling");
	json_decref(json);
	if (good && reader.encoder)
		*encoder_directory = reader.encoder;
	return good && warn_of_prompt(&reader);
}
