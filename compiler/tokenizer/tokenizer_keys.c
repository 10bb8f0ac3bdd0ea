/* tokenizer_keys.c: keys of a tokenizer's files that bertc does not know (keys.def), and those that it
 * refuses whatever the tokenizer is. */
#include <string.h>
#include "compiler/support/key_table.h"
#include "tokenizer_import.h"

/* ---- tokenizer.json -------------------------------------------------------------------------- */

/* The keys of a part ("BertNormalizer.lowercase"), and of the parts in it. type: where the part has none. */
static void add_part(UnknownKeys *unknown, const json_t *part, const char *type, int depth)
{
	char name[512]; /* more than is shown */
	const char *key, *own = json_string_value(json_object_get(part, "type"));
	json_t *value, *item;
	size_t i;
	type = own ? own : type;
	json_object_foreach((json_t *)(uintptr_t)part, key, value)
	{
		snprintf(name, sizeof name, "%s.%s", type, key);
		if (strcmp(key, "type") != 0 && !keys_know(KEYS_TOKENIZER, name))
			unknown_add(unknown, name);
		if (depth > 0 && strcmp(type, "Sequence") == 0)
			json_array_foreach(value, i, item) add_part(unknown, item, "", depth - 1);
	}
}

static void add_keys(UnknownKeys *unknown, KeyFile file, const json_t *object)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value) if (!keys_know(file, key))
		unknown_add(unknown, key);
}

static void check_root(TokenizerImport *import, const json_t *root)
{
	static const char *const parts[] = {
		"truncation", "normalizer", "pre_tokenizer", "post_processor", "model"};
	TokenizerDesc *desc = import->desc;
	UnknownKeys unknown = {""};
	json_t *token;
	size_t i;
	add_keys(&unknown, KEYS_TOKENIZER, root);
	for (i = 0; i < sizeof parts / sizeof *parts; i++) {
		const char *type = strcmp(parts[i], "model") == 0 ? desc->model->type : parts[i];
		add_part(&unknown, json_object_get(root, parts[i]), type, JSON_DEPTH_MAX);
	}
	json_array_foreach(json_object_get(root, "added_tokens"), i, token) add_keys(&unknown, KEYS_TOKEN, token);
	desc->unknown_keys = unknown_warn(&unknown, import->path, desc->unknown_keys, import->mem, import->diag);
}

/* ---- the files beside it --------------------------------------------------------------------- */

/* The keys of a file, and of the tokens in it: of roles, or of its added_tokens_decoder. */
static void check_beside(TokenizerImport *import, KeyFile file, const json_t *object, const char *path)
{
	UnknownKeys unknown = {""};
	const char *key;
	json_t *value, *token;
	add_keys(&unknown, file, object);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const size_t length = strlen(key);
		if (length > 6 && strcmp(key + length - 6, "_token") == 0)
			add_keys(&unknown, KEYS_TOKEN, value);
	}
	json_object_foreach(json_object_get(object, "added_tokens_decoder"), key, token)
		add_keys(&unknown, KEYS_TOKEN, token);
	import->desc->unknown_keys = unknown_warn(
		&unknown, path, import->desc->unknown_keys, import->mem, import->diag);
}

/* In transformers 5 these add tokens to texts where there is no tokenizer.json; in transformers 4 they do
 * nothing. */
static bool refuse_ends(TokenizerImport *import)
{
	static const char *const keys[] = {"add_bos_token", "add_eos_token"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (json_object_get(import->config, keys[i]))
			return diag_error_in(import->diag, EXIT_UNSUPPORTED, import->config_path, 0,
				"%s is supported only beside tokenizer.json, whose template decides; write it once with "
				"transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
				keys[i]);
	return true;
}

bool import_check_keys(TokenizerImport *import, const json_t *root)
{
	static const char releases[] = "fast_tokenizer_files";
	check_beside(import, KEYS_TOKENIZER_CONFIG, import->config, import->config_path);
	check_beside(import, KEYS_SPECIAL, import->special, "special_tokens_map.json");
	if (root)
		check_root(import, root);
	if (json_array_size(json_object_get(import->config, releases)) > 0)
		return diag_error_in(import->diag, EXIT_UNSUPPORTED, import->config_path, 0,
			"%s names a tokenizer for each release of transformers, which is not supported; keep the one "
			"file "
			"tokenizer.json",
			releases);
	return root || refuse_ends(import);
}
