/* tokenizer_import.c: reads a tokenizer's files into a TokenizerDesc. tokenizer.json is complete
 * (tokenizer_json.c). The file of the model (such as wordpiece.c) reads the older form, with
 * tokenizer_config.json and special_tokens_map.json beside it. The caller handles truncation and padding. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_import.h"

const TokenizerModel *const tokenizer_models[] = {
#define TOKENIZER(name, text) &name##_tokenizer,
#include "tokenizers.def"
#undef TOKENIZER
	NULL};
const Splitter *const tokenizer_splitters[] = {
#define SPLITTER(name) &name##_splitter,
#include "splitters.def"
#undef SPLITTER
	NULL};

/* ---- vocabulary and added tokens ------------------------------------------------------------- */
static bool vocab_size(TokenizerImport *import, int32_t *size)
{
	const char *token;
	json_t *value;
	*size = 0;
	json_object_foreach(import->vocab, token, value)
	{
		json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
		if (id < 0 || id >= TOKEN_IDS_MAX)
			return IMPORT_ERROR(import, EXIT_INPUT,
				"vocabulary entry \"%.64s\" has %s, expected an id from 0 to %d", token,
				json_is_integer(value) ? "an id out of range" : json_kind(value), TOKEN_IDS_MAX - 1);
		if (strlen(token) > TOKEN_BYTES_MAX)
			return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
				"vocabulary entry %d has %zu bytes, at most %d are supported", (int)id, strlen(token),
				TOKEN_BYTES_MAX);
		if (id >= *size)
			*size = (int32_t)id + 1;
	}
	size_t count = json_object_size(import->vocab);
	if (count == 0)
		return IMPORT_ERROR(import, EXIT_INPUT, "the vocabulary is empty");
	if ((size_t)*size > 16 * count + 65536) /* a few unused ids are normal */
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"the vocabulary has %zu entries with ids up to %d: too many unused ids", count, *size - 1);
	return true;
}

bool import_vocab(TokenizerImport *import)
{
	TokenizerDesc *desc = import->desc;
	const char *token;
	json_t *value;
	if (!vocab_size(import, &desc->nvocab))
		return false;
	desc->vocab = mem_alloc(import->mem, (size_t)desc->nvocab * sizeof *desc->vocab);
	json_object_foreach(import->vocab, token, value)
	{
		int32_t id = (int32_t)json_integer_value(value);
		if (desc->vocab[id])
			return IMPORT_ERROR(import, EXIT_INPUT,
				"vocabulary entries \"%.64s\" and \"%.64s\" have the same id %d", desc->vocab[id], token, id);
		if (*token)
			desc->vocab[id] = mem_string(
				import->mem, token, strlen(token)); /* "" is never part of a text: treat the id as unused */
	}
	import->next_id = (int32_t)json_object_size(
		import->vocab); /* the library counts entries, too, not the largest id */
	return true;
}

bool vocab_is_byte(const char *token)
{
	static const char digits[] = "0123456789ABCDEF";
	return token && strlen(token) == 6 && strncmp(token, "<0x", 3) == 0 && strchr(digits, token[3])
		&& strchr(digits, token[4]) && token[5] == '>';
}

int32_t vocab_bytes(const TokenizerDesc *desc, bool *used, int32_t rows)
{
	int32_t count = 0;
	for (int32_t id = 0; id < desc->nvocab; id++) {
		if (!vocab_is_byte(desc->vocab[id]))
			continue;
		count++;
		if (used && id < rows)
			used[id] = true;
	}
	return count;
}

int32_t import_token_id(const TokenizerImport *import, const char *token)
{
	json_t *id = json_object_get(import->added_ids, token);
	if (!id)
		id = json_object_get(import->vocab, token);
	return id ? (int32_t)json_integer_value(id) : -1;
}

bool import_added(TokenizerImport *import, AddedToken token, int64_t given_id, const char *path)
{
	json_t *known = json_object_get(import->vocab, token.text);
	size_t bytes = strlen(token.text);
	if (bytes == 0 || json_object_get(import->added_ids, token.text))
		return true;
	if (bytes > TOKEN_BYTES_MAX)
		return diag_error_in(import->diag, EXIT_UNSUPPORTED, path, 0,
			"an added token has %zu bytes, at most %d are supported", bytes, TOKEN_BYTES_MAX);
	token.id = known ? (int32_t)json_integer_value(known) : import->next_id++;
	if (token.id >= TOKEN_IDS_MAX)
		return diag_error_in(import->diag, EXIT_UNSUPPORTED, path, 0,
			"added token \"%.64s\" has no free id below %d", token.text, TOKEN_IDS_MAX);
	if (given_id >= 0 && given_id != token.id)
		diag_warn(import->diag, 0,
			"%s: added token \"%.64s\" has id %lld in the file, but gets id %d, as in the tokenizers library",
			path, token.text, (long long)given_id, token.id);
	json_object_set_new(import->added_ids, token.text, json_integer(token.id));
	token.text = mem_string(import->mem, token.text, bytes);
	token.bytes = (int32_t)bytes;
	import->added = mem_grow(
		import->mem, import->added, &import->capacity, (size_t)import->nadded + 1, sizeof *import->added);
	import->added[import->nadded++] = token;
	return true;
}

static void set_template(TokenizerImport *import, const TemplateItem *single, int32_t nsingle,
	const TemplateItem *pair, int32_t npair)
{
	TemplateItem *copy = mem_alloc(import->mem, (size_t)(nsingle + npair) * sizeof *copy);
	memcpy(copy, single, (size_t)nsingle * sizeof *copy);
	memcpy(copy + nsingle, pair, (size_t)npair * sizeof *copy);
	import->desc->single = copy;
	import->desc->pair = copy + nsingle;
	import->desc->nsingle = nsingle;
	import->desc->npair = npair;
}

void import_plain_template(TokenizerImport *import)
{
	const TemplateItem item = {PIECE_A, 0, 0};
	set_template(import, &item, 1, &item, 0);
}

void import_bert_template(TokenizerImport *import, int32_t cls, int32_t sep)
{
	const TemplateItem items[] = {{PIECE_TOKEN, cls, 0}, {PIECE_A, 0, 0}, {PIECE_TOKEN, sep, 0},
		{PIECE_B, 0, 1}, {PIECE_TOKEN, sep, 1}};
	set_template(import, items, 3, items, 5);
}

void import_funnel_template(TokenizerImport *import, int32_t cls, int32_t sep)
{
	const TemplateItem items[] = {{PIECE_TOKEN, cls, 2}, {PIECE_A, 0, 0}, {PIECE_TOKEN, sep, 0},
		{PIECE_B, 0, 1}, {PIECE_TOKEN, sep, 1}};
	set_template(import, items, 3, items, 5);
}

void import_xlnet_template(TokenizerImport *import, int32_t cls, int32_t sep)
{
	const TemplateItem single[] = {{PIECE_A, 0, 0}, {PIECE_TOKEN, sep, 0}, {PIECE_TOKEN, cls, 2}};
	const TemplateItem pair[] = {{PIECE_A, 0, 0}, {PIECE_TOKEN, sep, 0}, {PIECE_B, 0, 1},
		{PIECE_TOKEN, sep, 1}, {PIECE_TOKEN, cls, 2}};
	set_template(import, single, 3, pair, 5);
}

void import_roberta_template(TokenizerImport *import, int32_t cls, int32_t sep)
{
	const TemplateItem items[] = {{PIECE_TOKEN, cls, 0}, {PIECE_A, 0, 0}, {PIECE_TOKEN, sep, 0},
		{PIECE_TOKEN, sep, 0}, {PIECE_B, 0, 0}, {PIECE_TOKEN, sep, 0}};
	set_template(import, items, 3, items, 6);
}

bool model_never(const TokenizerDesc *desc, int32_t id)
{
	(void)desc, (void)id;
	return false;
}

const void *model_keeps(const TokenizerDesc *desc, const int32_t *to, int32_t rows, MemArena *mem)
{
	(void)to, (void)rows, (void)mem;
	return desc->data;
}

/* ---- the whole ------------------------------------------------------------------------------- */
json_t *import_beside(TokenizerImport *import, const char *name, const char **path)
{
	const char *slash = strrchr(import->path, '/');
	*path = slash ? mem_printf(import->mem, "%.*s/%s", (int)(slash - import->path), import->path, name)
				  : name;
	if (file_is_absent(*path))
		return json_object();
	/* model_max_length can be 10^30, too large for C integers */
	json_t *json = json_read(*path, JSON_CONFIG_BYTES_MAX, JSON_DECODE_INT_AS_REAL, import->diag);
	if (json && !json_is_object(json)) {
		diag_error_in(import->diag, EXIT_INPUT, *path, 0, "is %s, expected an object", json_kind(json));
		json_decref(json);
		json = NULL;
	}
	return json;
}

/* Reads a file that transformers ignores if tokenizer_config.json has an added_tokens_decoder. */
static json_t *read_legacy(TokenizerImport *import, const char *name, const char **path)
{
	*path = name;
	const bool none = import->alone || json_object_get(import->config, "added_tokens_decoder");
	return none ? json_object() : import_beside(import, name, path);
}

/* Special tokens first: the library prefers them if two added tokens match the same text. */
static void order_added(TokenizerImport *import)
{
	AddedToken *ordered = mem_alloc(import->mem, (size_t)(import->nadded + 1) * sizeof *ordered);
	int32_t n = 0;
	for (int special = 1; special >= 0; special--)
		for (int32_t i = 0; i < import->nadded; i++)
			if (import->added[i].special == special)
				ordered[n++] = import->added[i];
	import->desc->added = ordered;
	import->desc->nadded = n;
}

/* The k-th name of the main file of a model's older form; NULL: there are no more. */
static const char *main_file(const TokenizerModel *model, int32_t k)
{
	return k == 0 || !model->files[0] ? model->files[0] : model->other_files[k - 1];
}

/* The model with this main file in its older form; NULL: the file is tokenizer.json. Any other file without
 * the suffix .json is a list of tokens like vocab.txt. */
static const TokenizerModel *older_form(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const size_t length = strlen(name);
	if (strcmp(name, "config.json") == 0) /* of BoW, which also lists its words */
		return &words_tokenizer;
	for (int32_t i = 0; tokenizer_models[i]; i++)
		for (int32_t k = 0; main_file(tokenizer_models[i], k); k++)
			if (strcmp(name, main_file(tokenizer_models[i], k)) == 0)
				return tokenizer_models[i];
	return length > 5 && strcmp(name + length - 5, ".json") == 0 ? NULL : &wordpiece_tokenizer;
}

/* Reads tokenizer.json after its model. */
static bool read_rest(TokenizerImport *import, const json_t *root)
{
	const bool good = import_json_rest(import, root) && import_config_tokens(import, false)
		&& (!import->transformers5 || !import_is_rebuilt(import) || import_rebuild_template(import));
	order_added(import);
	return good;
}

/* Reads the rest once more as transformers 5 does, and notes what differs. */
static void note_differences(TokenizerImport *import, TokenizerImport five, json_t *root)
{
	Diag silent;
	if (import_is(import, CLASS_REMBERT)) {
		diag_note(import->diag, 0,
			"%s: RemBertTokenizer of transformers 5 takes the token 2 for unknown pieces, whatever the file "
			"says; "
			"here it is read as in transformers 4 and the tokenizers library",
			import->path);
		return;
	}
	diag_init(&silent, import->path);
	five.diag = &silent;
	five.transformers5 = true;
	five.added_ids = json_object();
	json_t *made = import_is_rebuilt(&five) ? import_rebuild(&five, root) : json_incref(root);
	if (made && read_rest(&five, made))
		import_note_differences(import, five.desc,
			!import_same_settings(json_object_get(root, "model"), json_object_get(made, "model")));
	json_decref(made);
	json_decref(five.added_ids);
	diag_free(&silent);
}

static bool read_json(TokenizerImport *import)
{
	json_t *root = json_read(import->path, TOKENIZER_BYTES_MAX, 0, import->diag);
	if (root && import->transformers5 && import_is_rebuilt(import)) {
		json_t *made = import_rebuild(import, root);
		json_decref(root);
		root = made;
	}
	bool good = root && import_json_model(import, root) && import_check_keys(import, root);
	TokenizerDesc desc = *import->desc;
	TokenizerImport five = *import;
	five.desc = &desc;
	good = good && read_rest(import, root);
	if (good && !import->transformers5 && !import->alone)
		note_differences(import, five, root);
	good = good && import_truncation(import, root);
	json_decref(root);
	return good;
}

static bool read_older(TokenizerImport *import, const TokenizerModel *model)
{
	import->desc->model = model;
	const bool good = import_class_reads(import, model) && import_check_keys(import, NULL)
		&& model->read_files(import) && import_truncation(import, NULL);
	order_added(import);
	return good;
}

const char *import_limit_key(const json_t *config)
{
	return json_object_get(config, "model_max_length") ? "model_max_length" : "max_len";
}

static bool import_all(TokenizerImport *import)
{
	TokenizerDesc *desc = import->desc;
	const TokenizerModel *older = older_form(import->path);
	const char *slash = strrchr(import->path, '/');
	double limit = 0;
	diag_decide(import->diag, "tokenizer", "%s, read as %s does", slash ? slash + 1 : import->path,
		import->transformers5 ? "transformers 5 (--compat=transformers5)" : "transformers 4");
	if (!import_class(import)
		|| !json_member_bool(
			import->config, "split_special_tokens", &desc->splits_special, import->config_path, import->diag)
		|| !(older ? read_older(import, older) : read_json(import)))
		return false;
	if (import->unk_token)
		desc->unk_id = import_token_id(import, import->unk_token);
	if (import->unk_token && desc->unk_id < 0)
		return IMPORT_ERROR(import, EXIT_INPUT,
			"the vocabulary does not have its own unknown token \"%.64s\"", import->unk_token);
	if (!json_member_real(
			import->config, import_limit_key(import->config), &limit, import->config_path, import->diag))
		return false;
	if (desc->splits_special)
		diag_decide(import->diag, "special tokens",
			"read as text, from split_special_tokens of tokenizer_config.json");
	desc->max_length = limit >= 1 && limit < 1e6 ? (int32_t)limit : 0;
	if (import->alone)
		import_plain_template(import);
	return import_segments(import);
}

const char *tokenizer_file(const char *directory, MemArena *mem)
{
	const char *json = "tokenizer.json";
	if (!file_is_absent(mem_printf(mem, "%s/%s", directory, json)))
		return json;
	for (int32_t i = 0; tokenizer_models[i]; i++) {
		for (int32_t k = 0; main_file(tokenizer_models[i], k); k++)
			if (!file_is_absent(mem_printf(mem, "%s/%s", directory, main_file(tokenizer_models[i], k))))
				return main_file(tokenizer_models[i], k);
	}
	return NULL;
}

TokenizerDesc *tokenizer_import(const char *directory, const char *file, const char *const *search,
	TokenizerReading reading, MemArena *mem, Diag *diag)
{
	const bool alone = reading == TOKENIZER_ALONE;
	TokenizerImport import = {.mem = mem,
		.diag = diag,
		.transformers5 = reading == TOKENIZER_FIVE,
		.alone = alone,
		.config_path = "tokenizer_config.json", /* until it is found */
		.desc = mem_alloc(mem, sizeof(TokenizerDesc)),
		.vocab = json_object(),
		.added_ids = json_object()};
	const char *special_path;
	import.path = file_find(directory, file, search, mem, diag);
	if (import.path)
		import.config = alone ? json_object()
							  : import_beside(&import, "tokenizer_config.json", &import.config_path);
	import.special = import.config ? read_legacy(&import, "special_tokens_map.json", &special_path) : NULL;
	import.added_json = import.special ? read_legacy(&import, "added_tokens.json", &import.added_path) : NULL;
	bool fine = import.added_json && import_all(&import);
	if (fine && reading == TOKENIZER_PLAIN)
		import_plain_template(&import);
	json_decref(import.special);
	json_decref(import.added_json);
	json_decref(import.config);
	json_decref(import.vocab);
	json_decref(import.added_ids);
	return fine ? import.desc : NULL;
}
