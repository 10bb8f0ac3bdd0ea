/* tokenizer_json.c: reads tokenizer.json of the `tokenizers` library: a model of tokenizers.def, a
 * pre_tokenizer of splitters.def, a normalizer and a post_processor. Refuses other types by name. Ignores
 * decoder, truncation and padding, which do not change ids. */
#include <string.h>
#include <utf8proc.h>
#include "tokenizer_import.h"

/* ---- members --------------------------------------------------------------------------------- */
/* A member of the root that is an object with a type. NULL if it is null or missing; *wrong if it is not an
 * object. A Sequence with one item is replaced by the item. */
static const json_t *part(TokenizerImport *import, const json_t *root, const char *key, const char *items,
	const char **type, bool *wrong)
{
	const json_t *value = json_object_get(root, key);
	*type = "";
	if (!value || json_is_null(value))
		return NULL;
	for (int depth = 0; depth < 2; depth++) {
		if (!json_is_object(value)) {
			*wrong = !IMPORT_ERROR(import, EXIT_INPUT, "%s is %s, expected an object", key, json_kind(value));
			return NULL;
		}
		if (!json_member_text(value, "type", type, import->path, import->diag)) {
			*wrong = true;
			return NULL;
		}
		const json_t *list = json_object_get(value, items);
		if (strcmp(*type, "Sequence") != 0 || json_array_size(list) != 1)
			break;
		value = json_array_get(list, 0);
	}
	return value;
}

static bool refuse(TokenizerImport *import, const char *key, const char *type, const char *supported)
{
	return IMPORT_ERROR(import, EXIT_UNSUPPORTED, "%s \"%.64s\" is not supported; supported: %s", key,
		*type ? type : "(no type)", supported);
}

/* ---- model ----------------------------------------------------------------------------------- */
bool import_model_vocab(TokenizerImport *import, const json_t *model)
{
	json_t *vocab = json_object_get(model, "vocab");
	if (!json_is_object(vocab))
		return IMPORT_ERROR(import, EXIT_INPUT, "model.vocab is %s, expected an object of tokens and ids",
			vocab ? json_kind(vocab) : "missing");
	json_decref(import->vocab);
	import->vocab = json_incref(vocab);
	return import_vocab(import);
}

static const TokenizerModel *find_model(const char *type, const json_t *object)
{
	for (int32_t i = 0; tokenizer_models[i]; i++) {
		const TokenizerModel *model = tokenizer_models[i];
		const bool untyped = *type == '\0' && model->is_untyped && model->is_untyped(object);
		if (model->read && (untyped || strcmp(model->type, type) == 0))
			return model;
	}
	return NULL;
}

/* "WordPiece, BPE": the supported types, for messages. */
static const char *model_names(TokenizerImport *import)
{
	const char *names = tokenizer_models[0]->type;
	for (int32_t i = 1; tokenizer_models[i]; i++)
		if (tokenizer_models[i]->read)
			names = mem_printf(import->mem, "%s, %s", names, tokenizer_models[i]->type);
	return names;
}

bool import_json_model(TokenizerImport *import, const json_t *root)
{
	if (!json_is_object(root))
		return IMPORT_ERROR(import, EXIT_INPUT, "is %s, expected an object", json_kind(root));
	bool wrong = false;
	const char *type;
	const json_t *object = part(import, root, "model", "", &type, &wrong);
	if (wrong)
		return false;
	if (!object)
		return IMPORT_ERROR(import, EXIT_INPUT, "has no model");
	const TokenizerModel *model = find_model(type, object);
	if (!model)
		return refuse(import, "model", type, model_names(import));
	import->desc->model = model;
	return model->read(import, object);
}

static bool read_added(TokenizerImport *import, const json_t *root)
{
	json_t *list = json_object_get(root, "added_tokens"), *value;
	size_t i;
	if (list && !json_is_null(list) && !json_is_array(list))
		return IMPORT_ERROR(import, EXIT_INPUT, "added_tokens is %s, expected an array", json_kind(list));
	json_array_foreach(list, i, value)
	{
		AddedToken token = {.text = NULL};
		int64_t id = -1;
		if (!json_is_object(value))
			return IMPORT_ERROR(
				import, EXIT_INPUT, "added_tokens[%zu] is %s, expected an object", i, json_kind(value));
		if (!json_member_text(value, "content", &token.text, import->path, import->diag)
			|| !json_member_int(value, "id", 0, TOKEN_IDS_MAX - 1, &id, import->path, import->diag)
			|| !json_member_bool(value, "special", &token.special, import->path, import->diag)
			|| !json_member_bool(value, "single_word", &token.single_word, import->path, import->diag)
			|| !json_member_bool(value, "lstrip", &token.lstrip, import->path, import->diag)
			|| !json_member_bool(value, "rstrip", &token.rstrip, import->path, import->diag)
			|| !json_member_bool(value, "normalized", &token.normalized, import->path, import->diag))
			return false;
		if (!token.text)
			return IMPORT_ERROR(import, EXIT_INPUT, "added_tokens[%zu] has no content", i);
		if (!import_added(import, token, id, import->path))
			return false;
	}
	return true;
}

/* ---- post_processor -------------------------------------------------------------------------- */
typedef struct Template {
	TemplateItem items[TEMPLATE_ITEMS_MAX];
	int32_t count;
} Template;

static bool template_add(
	TokenizerImport *import, Template *template, TemplatePiece piece, int64_t id, int64_t type)
{
	if (template->count == TEMPLATE_ITEMS_MAX)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED, "a template of more than %d items", TEMPLATE_ITEMS_MAX);
	template->items[template->count++] = (TemplateItem){piece, (int32_t)id, (int32_t)type};
	return true;
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}} or {"Sequence": {"id": "A", "type_id": 0}} */
static bool read_template_item(
	TokenizerImport *import, const json_t *processor, const json_t *item, Template *template)
{
	const json_t *special = json_object_get(item, "SpecialToken"), *ids = NULL, *id;
	const json_t *body = special ? special : json_object_get(item, "Sequence");
	const char *name = NULL;
	int64_t type = 0;
	size_t i;
	if (!json_is_object(body))
		return IMPORT_ERROR(
			import, EXIT_INPUT, "an item of the template is neither a SpecialToken nor a Sequence");
	if (!json_member_text(body, "id", &name, import->path, import->diag)
		|| !json_member_int(body, "type_id", 0, TOKEN_IDS_MAX, &type, import->path, import->diag))
		return false;
	if (!special && name && (strcmp(name, "A") == 0 || strcmp(name, "B") == 0))
		return template_add(import, template, *name == 'A' ? PIECE_A : PIECE_B, 0, type);
	if (special && name)
		ids = json_object_get(json_object_get(json_object_get(processor, "special_tokens"), name), "ids");
	if (json_array_size(ids) == 0)
		return IMPORT_ERROR(import, EXIT_INPUT, "the template uses \"%.64s\", which %s", name ? name : "",
			special ? "has no ids in special_tokens" : "is neither A nor B");
	json_array_foreach(ids, i, id)
	{
		if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= TOKEN_IDS_MAX)
			return IMPORT_ERROR(import, EXIT_INPUT,
				"special token \"%.64s\" of the template has %s as its id", name,
				json_is_integer(id) ? "a number out of range" : json_kind(id));
		if (!template_add(import, template, PIECE_TOKEN, json_integer_value(id), type))
			return false;
	}
	return true;
}

static bool read_template(TokenizerImport *import, const json_t *processor, const char *key,
	const TemplateItem **items, int32_t *count)
{
	Template template = {.count = 0};
	const json_t *list = json_object_get(processor, key), *item;
	int32_t pieces[3] = {0};
	size_t i;
	if (!json_is_array(list))
		return IMPORT_ERROR(import, EXIT_INPUT, "post_processor.%s is %s, expected an array", key,
			list ? json_kind(list) : "missing");
	json_array_foreach(
		list, i, item) if (!read_template_item(import, processor, item, &template)) return false;
	for (int32_t k = 0; k < template.count; k++)
		pieces[template.items[k].piece]++;
	if (pieces[PIECE_A] != 1 || pieces[PIECE_B] != (strcmp(key, "pair") == 0))
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"post_processor.%s uses A %d times and B %d times; each text can be used once", key,
			pieces[PIECE_A], pieces[PIECE_B]);
	TemplateItem *copy = mem_alloc(import->mem, (size_t)template.count * sizeof *copy);
	memcpy(copy, template.items, (size_t)template.count * sizeof *copy);
	*items = copy;
	*count = template.count;
	return true;
}

/* BertProcessing's "sep" and "cls": ["[SEP]", 102]. */
static bool read_bert_token(TokenizerImport *import, const json_t *processor, const char *key, int32_t *id)
{
	const json_t *number = json_array_get(json_object_get(processor, key), 1);
	if (!json_is_integer(number) || json_integer_value(number) < 0
		|| json_integer_value(number) >= TOKEN_IDS_MAX)
		return IMPORT_ERROR(import, EXIT_INPUT, "post_processor.%s: expected a token and its id", key);
	*id = (int32_t)json_integer_value(number);
	return true;
}

static bool read_template_processing(TokenizerImport *import, const json_t *processor)
{
	TokenizerDesc *desc = import->desc;
	return read_template(import, processor, "single", &desc->single, &desc->nsingle)
		&& read_template(import, processor, "pair", &desc->pair, &desc->npair);
}

static bool read_bert_processing(TokenizerImport *import, const json_t *processor)
{
	int32_t cls = -1, sep = -1;
	if (!read_bert_token(import, processor, "cls", &cls) || !read_bert_token(import, processor, "sep", &sep))
		return false;
	import_bert_template(import, cls, sep);
	return true;
}

/* Reads trim_offsets and add_prefix_space (default: true). In a Sequence, those of the item that trims
 * apply. */
static bool read_byte_level(TokenizerImport *import, const json_t *processor)
{
	TokenizerDesc *desc = import->desc;
	bool trim = true, prefix = true;
	if (!json_member_bool(processor, "trim_offsets", &trim, import->path, import->diag)
		|| !json_member_bool(processor, "add_prefix_space", &prefix, import->path, import->diag))
		return false;
	if (import_is(import, CLASS_ROBERTA)
		&& (!import_config_flag(import, "trim_offsets", true, &trim)
			|| !import_config_flag(import, "add_prefix_space", false, &prefix)))
		return false;
	if (trim && desc->trim_offsets)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"post_processor has trim_offsets true in two items, so offsets are trimmed twice; set it to "
			"false "
			"in one");
	if (trim || !desc->trim_offsets)
		desc->trim_prefix = prefix;
	desc->trim_offsets |= trim;
	return true;
}

static bool read_roberta_processing(TokenizerImport *import, const json_t *processor)
{
	static const char *const keys[] = {"trim_offsets", "add_prefix_space"};
	int32_t cls = -1, sep = -1;
	if (!read_bert_token(import, processor, "cls", &cls) || !read_bert_token(import, processor, "sep", &sep))
		return false;
	/* without these keys the library reads it as BertProcessing, whose template for pairs differs */
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!json_object_get(processor, keys[i]))
			return IMPORT_ERROR(import, EXIT_INPUT, "post_processor RobertaProcessing has no %s", keys[i]);
	import_roberta_template(import, cls, sep);
	return read_byte_level(import, processor);
}

static const struct {
	const char *type;
	bool (*read)(TokenizerImport *, const json_t *);
} processors[] = {
	{"TemplateProcessing", read_template_processing},
	{"BertProcessing", read_bert_processing},
	{"RobertaProcessing", read_roberta_processing},
	{"ByteLevel", read_byte_level},
};

static bool read_processor(TokenizerImport *import, const json_t *processor)
{
	const int32_t templates = import->desc->nsingle;
	const char *type = "";
	if (!json_is_object(processor))
		return IMPORT_ERROR(
			import, EXIT_INPUT, "post_processor is %s, expected an object", json_kind(processor));
	if (!json_member_text(processor, "type", &type, import->path, import->diag))
		return false;
	for (size_t i = 0; i < sizeof processors / sizeof *processors; i++) {
		if (strcmp(type, processors[i].type) != 0)
			continue;
		if (templates > 0 && strcmp(type, "ByteLevel") != 0)
			return IMPORT_ERROR(import, EXIT_UNSUPPORTED, "post_processor has two templates");
		return processors[i].read(import, processor);
	}
	return refuse(import, "post_processor", type,
		"TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, a Sequence of them, null");
}

/* A character that trim_offsets cuts from the ends of a token: white space, or Ġ, which stands for a blank.
 */
static bool is_cut(utf8proc_int32_t c)
{
	const utf8proc_category_t category = utf8proc_category(c);
	return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL
		|| category == UTF8PROC_CATEGORY_ZP || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x120;
}

/* True if trim_offsets changes added tokens only, because no other begins or ends with what it cuts. */
static bool has_nothing_to_trim(const TokenizerDesc *desc)
{
	for (int32_t id = 0; id < desc->nvocab; id++) {
		const char *token = desc->vocab[id] ? desc->vocab[id] : "", *last = strchr(token, '\0');
		utf8proc_int32_t first_code, last_code;
		if (!*token)
			continue;
		do
			last--;
		while (last > token && (*last & 0xc0) == 0x80);
		utf8proc_iterate((const utf8proc_uint8_t *)token, -1, &first_code);
		utf8proc_iterate((const utf8proc_uint8_t *)last, -1, &last_code);
		if (is_cut(first_code) || is_cut(last_code))
			return false;
	}
	return true;
}

bool import_check_trim(TokenizerImport *import)
{
	const TokenizerDesc *desc = import->desc;
	return !desc->trim_offsets || desc->split == &byte_level_splitter
		|| (desc->split == &bert_splitter && has_nothing_to_trim(desc))
		|| IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"post_processor has trim_offsets, which is supported only with the pre_tokenizer ByteLevel");
}

/* Reads one post-processor, or the items of a Sequence. */
static bool read_post_processor(TokenizerImport *import, const json_t *root)
{
	static const TemplateItem bare[] = {{PIECE_A, 0, 0}, {PIECE_B, 0, 1}};
	TokenizerDesc *desc = import->desc;
	const json_t *value = json_object_get(root, "post_processor"), *item;
	const char *type = json_string_value(json_object_get(value, "type"));
	bool good = true;
	size_t i;
	if (type && strcmp(type, "Sequence") == 0 && json_is_array(json_object_get(value, "processors")))
		json_array_foreach(json_object_get(value, "processors"), i, item) good = good
			&& read_processor(import, item);
	else if (value && !json_is_null(value))
		good = read_processor(import, value);
	if (good && desc->nsingle == 0) {
		desc->single = bare;
		desc->pair = bare;
		desc->nsingle = 1;
		desc->npair = 2;
	}
	return good && import_check_trim(import);
}

bool import_json_rest(TokenizerImport *import, const json_t *root)
{
	return read_added(import, root) && import_normalizer(import, json_object_get(root, "normalizer"))
		&& import_pre_tokenizer(import, json_object_get(root, "pre_tokenizer"))
		&& read_post_processor(import, root);
}
