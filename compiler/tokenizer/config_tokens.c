/* config_tokens.c: reads tokens and settings from tokenizer_config.json, special_tokens_map.json and
 * added_tokens.json, as transformers does. The last two are used only if the first has no
 * added_tokens_decoder. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_import.h"

/* ---- one token ------------------------------------------------------------------------------- */
/* Reads a token, given as a string or as an object with flags. Missing or null: *token does not change. */
static bool read_token(
	TokenizerImport *import, const json_t *value, const char *what, AddedToken *token, const char *path)
{
	if (!value || json_is_null(value))
		return true;
	if (json_is_string(value)) {
		token->text = json_string_value(value);
		return true;
	}
	if (!json_is_object(value))
		return diag_error_in(
			import->diag, EXIT_INPUT, path, 0, "%s is %s, expected a token", what, json_kind(value));
	return json_member_text(value, "content", &token->text, path, import->diag)
		&& json_member_bool(value, "single_word", &token->single_word, path, import->diag)
		&& json_member_bool(value, "lstrip", &token->lstrip, path, import->diag)
		&& json_member_bool(value, "rstrip", &token->rstrip, path, import->diag)
		&& json_member_bool(value, "normalized", &token->normalized, path, import->diag);
}

/* ---- roles ----------------------------------------------------------------------------------- */
typedef struct Role {
	const char *key;
	size_t id;
} Role;
enum { NO_ID = 0 }; /* no member of that kind begins there */
/* In the order of TokenizerModel.roles. */
static const Role roles[TOKENIZER_ROLES] = {
	{"unk_token", offsetof(TokenizerDesc, unk_id)},
	{"sep_token", offsetof(TokenizerDesc, sep_id)},
	{"pad_token", offsetof(TokenizerDesc, pad_id)},
	{"cls_token", offsetof(TokenizerDesc, cls_id)},
	{"mask_token", offsetof(TokenizerDesc, mask_id)},
	{"bos_token", NO_ID},
	{"eos_token", NO_ID},
};

/* The default tokens of the roles. */
static const char *const *default_roles(const TokenizerImport *import)
{
	return import->class ? import->class->roles : import->desc->model->roles;
}

/* True if only the class determines the flags of the mask token. */
static bool mask_is_plain(const TokenizerImport *import)
{
	return !json_is_object(json_object_get(import->config, "mask_token"))
		&& !json_is_object(json_object_get(import->special, "mask_token"));
}

/* The special token of a role ("mask_token"). special_tokens_map.json overrides tokenizer_config.json. Text
 * NULL: neither has one, and there is no `fallback`. */
static bool role_token(TokenizerImport *import, const char *role, const char *fallback, AddedToken *token)
{
	*token = (AddedToken){.text = fallback, .special = true};
	token->lstrip = import->mask_lstrip && strcmp(role, "mask_token") == 0 && mask_is_plain(import);
	return read_token(import, json_object_get(import->config, role), role, token, import->config_path)
		&& read_token(import, json_object_get(import->special, role), role, token, "special_tokens_map.json");
}

const char *import_role(TokenizerImport *import, const char *role)
{
	for (int32_t i = 0; i < TOKENIZER_ROLES; i++) {
		AddedToken token;
		if (strcmp(roles[i].key, role) == 0)
			return role_token(import, role, default_roles(import)[i], &token) ? token.text : NULL;
	}
	return NULL;
}

/* True if a token has a role. *named: a file gives the role, not only a default. */
static bool has_role(TokenizerImport *import, const char *text, bool *has, bool *named)
{
	*named = false;
	*has = false;
	for (int32_t i = 0; i < TOKENIZER_ROLES; i++) {
		const char *fallback = default_roles(import)[i];
		AddedToken token;
		if (!role_token(import, roles[i].key, NULL, &token))
			return false;
		*named |= token.text && strcmp(token.text, text) == 0;
		*has |= !token.text && fallback && strcmp(fallback, text) == 0;
	}
	*has |= *named;
	return true;
}

/* Finds the ids of the roles. Also adds their tokens, as transformers does: those in a file, and the defaults
 * of the class if the vocabulary has them. */
static bool add_roles(TokenizerImport *import, bool older)
{
	for (int32_t i = 0; i < TOKENIZER_ROLES; i++) {
		const char *fallback = default_roles(import)[i];
		AddedToken token;
		if (!role_token(import, roles[i].key, NULL, &token))
			return false;
		const bool named = token.text && (!older || !fallback || strcmp(token.text, fallback) != 0);
		token.text = token.text ? token.text : fallback;
		if (!token.text)
			continue;
		/* the older forms always have a class */
		const bool known = (older || import->class) && json_object_get(import->vocab, token.text);
		if (token.lstrip && older && !import->transformers5 && mask_is_plain(import)
			&& !json_object_get(import->added_ids, token.text))
			diag_note(import->diag, 0,
				"%s: the token \"%.64s\" includes the spaces before it, as in transformers 4; transformers 5 "
				"does so only if tokenizer_config.json has \"lstrip\": true; --compat=transformers5 follows "
				"it",
				import->path, token.text);
		if ((named || known) && !import_added(import, token, -1, import->config_path))
			return false;
		if (roles[i].id == NO_ID)
			continue;
		int32_t *id = (int32_t *)(void *)((char *)import->desc + roles[i].id);
		*id = import_token_id(import, token.text);
		if (roles[i].id == offsetof(TokenizerDesc, unk_id) && older)
			import->unk_token = mem_string(import->mem, token.text, strlen(token.text));
	}
	return true;
}

/* ---- lists of added tokens ------------------------------------------------------------------- */
typedef struct Listed {
	int64_t id;
	AddedToken token;
} Listed;

static int by_id(const void *left, const void *right)
{
	const Listed *a = left, *b = right;
	return (a->id > b->id) - (a->id < b->id);
}

/* Sorted by their ids in the file. */
static bool add_listed(TokenizerImport *import, List *list, const char *path)
{
	Listed *items = list->items;
	bool good = true, has, named;
	if (list->count > 0)
		qsort(items, list->count, sizeof *items, by_id);
	for (size_t i = 0; good && i < list->count; i++) {
		AddedToken *token = &items[i].token;
		good = has_role(import, token->text, &has, &named);
		token->special |= has;
		good = good && import_added(import, *token, items[i].id, path);
	}
	return good;
}

/* {"101": {"content": "[CLS]", ..}} */
static bool add_decoder(TokenizerImport *import)
{
	json_t *decoder = json_object_get(import->config, "added_tokens_decoder"), *value;
	const char *key;
	List list = list_new(sizeof(Listed));
	bool good = true;
	if (decoder && !json_is_object(decoder))
		return diag_error_in(import->diag, EXIT_INPUT, import->config_path, 0,
			"added_tokens_decoder is %s, expected an object", json_kind(decoder));
	json_object_foreach(decoder, key, value)
	{
		Listed item = {strtol(key, NULL, 10), {.text = ""}};
		good = good
			&& read_token(import, value, "an entry of added_tokens_decoder", &item.token, import->config_path)
			&& json_member_bool(value, "special", &item.token.special, import->config_path, import->diag);
		list_add(&list, &item);
	}
	good = good && add_listed(import, &list, import->config_path);
	list_free(&list);
	return good;
}

/* True if additional_special_tokens or extra_special_tokens of a file has the token. */
static bool is_additional(const json_t *object, const char *text)
{
	static const char *const keys[] = {"additional_special_tokens", "extra_special_tokens"};
	const json_t *item;
	size_t i;
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
		json_array_foreach(json_object_get(object, keys[k]), i, item)
		{
			const json_t *content = json_is_object(item) ? json_object_get(item, "content") : item;
			if (json_is_string(content) && strcmp(json_string_value(content), text) == 0)
				return true;
		}
	return false;
}

/* added_tokens.json: {"[CLS]": 101}. Tokens that no file marks as special match in the normalised text. */
static bool add_added_json(TokenizerImport *import)
{
	const char *text, *path = import->added_path;
	json_t *value;
	List list = list_new(sizeof(Listed));
	bool good = true, has = false, named = false;
	json_object_foreach(import->added_json, text, value)
	{
		const double number = json_is_number(value) ? json_number_value(value) : -1;
		if (good && !(number >= 0 && number < TOKEN_IDS_MAX))
			good = diag_error_in(import->diag, EXIT_INPUT, path, 0,
				"\"%.64s\" has %s, expected an id from 0 to %d", text,
				json_is_number(value) ? "an id out of range" : json_kind(value), TOKEN_IDS_MAX - 1);
		good = good && has_role(import, text, &has, &named);
		const bool special = named || is_additional(import->config, text)
			|| is_additional(import->special, text);
		Listed item = {(int64_t)number, {.text = text, .special = special, .normalized = !special}};
		list_add(&list, &item);
	}
	good = good && add_listed(import, &list, path);
	list_free(&list);
	return good;
}

static bool add_special(TokenizerImport *import, const json_t *value, const char *key, const char *path)
{
	AddedToken token = {.text = "", .special = true};
	const char *what = mem_printf(import->mem, "an entry of %s", key);
	return read_token(import, value, what, &token, path) && import_added(import, token, -1, path);
}

/* A list of strings or objects, or an object of names and tokens. */
static bool add_list(TokenizerImport *import, json_t *list, const char *key, const char *path)
{
	const char *name;
	json_t *value;
	size_t i;
	if (list && !json_is_null(list) && !json_is_array(list) && !json_is_object(list))
		return diag_error_in(
			import->diag, EXIT_INPUT, path, 0, "%s is %s, expected an array of tokens", key, json_kind(list));
	json_array_foreach(list, i, value) if (!add_special(import, value, key, path)) return false;
	json_object_foreach(list, name, value) if (!add_special(import, value, key, path)) return false;
	return true;
}

static const char additional_key[] = "additional_special_tokens", extra_key[] = "extra_special_tokens",
				  own_key[] = "model_specific_special_tokens";

static bool add_additional(TokenizerImport *import, json_t *object, const char *path)
{
	return add_list(import, json_object_get(object, additional_key), additional_key, path)
		&& add_list(import, json_object_get(object, extra_key), extra_key, path);
}

/* transformers 5 also adds the tokens of roles that a model defines itself: "image_token". */
static bool add_own_roles(TokenizerImport *import, json_t *object, const char *path)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		const size_t length = strlen(key);
		const bool token = length > 6 && strcmp(key + length - 6, "_token") == 0
			&& (json_is_string(value) || json_is_object(value));
		if (token && !add_special(import, value, key, path))
			return false;
	}
	return true;
}

/* In transformers 5, additional_special_tokens is an older name of extra_special_tokens, which counts only
 * where that is missing. */
static bool add_extra(TokenizerImport *import)
{
	static const char special_path[] = "special_tokens_map.json";
	json_t *extra = json_object_get(import->config, extra_key),
		   *additional = json_object_get(import->config, additional_key),
		   *more = json_object_get(import->special, extra_key);
	const bool listed = json_is_array(extra) || additional || json_is_array(more);
	return add_own_roles(import, import->config, import->config_path)
		&& add_own_roles(import, import->special, special_path)
		&& add_list(import, json_object_get(import->config, own_key), own_key, import->config_path)
		&& add_list(import, extra, extra_key, import->config_path)
		&& (json_array_size(extra) > 0 || add_list(import, additional, additional_key, import->config_path))
		&& add_list(import, more, extra_key, special_path)
		&& (listed
			|| add_list(
				import, json_object_get(import->special, additional_key), additional_key, special_path));
}

bool import_config_tokens(TokenizerImport *import, bool older)
{
	if (!add_decoder(import) || !add_added_json(import) || !add_roles(import, older))
		return false;
	return import->transformers5 ? add_extra(import)
								 : add_additional(import, import->config, import->config_path)
			&& add_additional(import, import->special, "special_tokens_map.json");
}

/* Whether a pre-tokenizer may cut the text. */
static bool is_cut(const char *text, int32_t bytes)
{
	for (int32_t i = 0; i < bytes; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9')))
			return true;
	return false;
}

/* False: the vocabulary has no such token. */
static bool mark(TokenizerDesc *desc, const char *text, int32_t bytes, MemArena *mem)
{
	int32_t at = 0, id = 0;
	while (at < desc->nadded
		&& (desc->added[at].bytes != bytes || memcmp(desc->added[at].text, text, (size_t)bytes) != 0))
		at++;
	while (at == desc->nadded && id < desc->nvocab
		&& (!desc->vocab[id] || strlen(desc->vocab[id]) != (size_t)bytes
			|| memcmp(desc->vocab[id], text, (size_t)bytes) != 0))
		id++;
	if (at == desc->nadded && (id == desc->nvocab || !is_cut(text, bytes)))
		return id < desc->nvocab;
	AddedToken *added = mem_alloc(mem, ((size_t)desc->nadded + 1) * sizeof *added);
	if (desc->nadded)
		memcpy(added, desc->added, (size_t)desc->nadded * sizeof *added);
	if (at == desc->nadded) {
		added[at] = (AddedToken){.text = mem_string(mem, text, (size_t)bytes), .bytes = bytes, .id = id};
		desc->nadded++;
	}
	added[at].special = true;
	added[at].normalized = false;
	desc->added = added;
	return true;
}

void tokenizer_mark(TokenizerDesc *desc, const char *text, MemArena *mem)
{
	const char *word = text + strspn(text, " \t");
	const size_t bytes = strcspn(word, " \t");
	if (bytes > 0 && !mark(desc, text, (int32_t)strlen(text), mem))
		(void)mark(desc, word, (int32_t)bytes, mem);
}
