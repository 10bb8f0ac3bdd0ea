/* rebuilt.c: transformers 5 takes only vocabulary, merges, added tokens and character map of most classes
 * from tokenizer.json. It builds the rest from tokenizer_config.json and the class. With
 * --compat=transformers5, bertc makes the same members of tokenizer.json and reads those. Otherwise it names
 * what would differ. */
#include <string.h>
#include "tokenizer_import.h"
#include "runtime/tokenize/split_byte_level.h"

bool import_is_rebuilt(const TokenizerImport *import)
{
	static const ClassKind whole[] = {CLASS_CONVBERT, CLASS_FNET, CLASS_REMBERT, CLASS_OTHER};
	bool rebuilt = import->class != NULL;
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
		rebuilt &= !import_is(import, whole[i]);
	return rebuilt;
}

/* ---- settings -------------------------------------------------------------------------------- */
static bool read_flag(TokenizerImport *import, const char *key, bool *flag)
{
	return json_member_bool(import->config, key, flag, import->config_path, import->diag);
}

static bool read_unk_id(TokenizerImport *import, double *id)
{
	if (!json_member_real(import->config, "unk_id", id, import->config_path, import->diag))
		return false;
	return (*id >= 0 && *id < TOKEN_IDS_MAX)
		|| diag_error_in(import->diag, EXIT_INPUT, import->config_path, 0,
			"unk_id is %g, expected an id from 0 to %d", *id, TOKEN_IDS_MAX - 1);
}

/* ---- the normaliser -------------------------------------------------------------------------- */
static json_t *replace(const char *kind, const char *pattern, const char *content)
{
	return json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", kind, pattern, "content", content);
}

static json_t *typed(const char *type) { return json_pack("{s:s}", "type", type); }

static json_t *sequence(const char *items, json_t *list)
{
	return json_pack("{s:s, s:o}", "type", "Sequence", items, list);
}

/* The first Precompiled of the file's normaliser; NULL: none. */
static json_t *find_map(const json_t *root)
{
	json_t *value = json_object_get(root, "normalizer"), *list = json_object_get(value, "normalizers"), *item;
	size_t i;
	const char *type = json_string_value(json_object_get(value, "type"));
	if (type && strcmp(type, "Precompiled") == 0)
		return value;
	json_array_foreach(list, i, item)
	{
		type = json_string_value(json_object_get(item, "type"));
		if (type && strcmp(type, "Precompiled") == 0)
			return item;
	}
	return NULL;
}

static json_t *bert_normalizer(TokenizerImport *import)
{
	BertSettings settings = {true, true, -1};
	bool clean = true;
	if (!import_bert_settings(import, &settings)
		|| (import_is(import, CLASS_FUNNEL) && !read_flag(import, "clean_text", &clean)))
		return NULL;
	return json_pack("{s:s, s:b, s:b, s:o, s:b}", "type", "BertNormalizer", "clean_text", clean,
		"handle_chinese_chars", settings.chinese, "strip_accents",
		settings.accents < 0 ? json_null() : json_boolean(settings.accents), "lowercase", settings.lowercase);
}

static json_t *unigram_normalizer(TokenizerImport *import, const json_t *root)
{
	const bool albert = import_is(import, CLASS_ALBERT), xlnet = import_is(import, CLASS_XLNET);
	const bool deberta = import_is(import, CLASS_DEBERTA_V2);
	bool lowercase = albert, accents = false;
	json_t *list = json_array(), *map = find_map(root);
	if (!read_flag(import, "do_lower_case", &lowercase) || !read_flag(import, "keep_accents", &accents)) {
		json_decref(list);
		return NULL;
	}
	if (albert || xlnet) {
		json_array_append_new(list, replace("String", "``", "\""));
		json_array_append_new(list, replace("String", "''", "\""));
	}
	if (xlnet || (albert && !accents)) {
		json_array_append_new(list, typed("NFKD"));
		json_array_append_new(list, typed("StripAccents"));
	}
	if (lowercase && (albert || xlnet || deberta))
		json_array_append_new(list, typed("Lowercase"));
	if (deberta) {
		json_array_append_new(list, replace("Regex", "\\s{2,}|[\\n\\r\\t]", " "));
		json_array_append_new(list, typed("NFC"));
		json_array_append_new(
			list, json_pack("{s:s, s:b, s:b}", "type", "Strip", "strip_left", 0, "strip_right", 1));
	} else if (map) {
		json_array_append(list, map);
	}
	return sequence("normalizers", list);
}

/* ---- the pre-tokenizer ----------------------------------------------------------------------- */
static json_t *unigram_pre_tokenizer(TokenizerImport *import)
{
	const bool deberta = import_is(import, CLASS_DEBERTA_V2);
	bool punctuation = false, prefix = true;
	json_t *list = json_array();
	if ((!import_is(import, CLASS_XLNET) && !read_flag(import, "add_prefix_space", &prefix))
		|| (deberta && !read_flag(import, "split_by_punct", &punctuation))) {
		json_decref(list);
		return NULL;
	}
	const char *without = deberta ? "first" : "never";
	if (!deberta)
		json_array_append_new(list, typed("WhitespaceSplit"));
	if (punctuation)
		json_array_append_new(list, typed("Punctuation"));
	json_array_append_new(list,
		json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", "\xE2\x96\x81",
			"prepend_scheme", prefix ? "always" : without, "split", 1));
	return sequence("pretokenizers", list);
}

static json_t *byte_level(TokenizerImport *import)
{
	bool prefix = false;
	if (!read_flag(import, "add_prefix_space", &prefix))
		return NULL;
	return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", prefix, "trim_offsets",
		1, "use_regex", 1);
}

/* ---- the model ------------------------------------------------------------------------------- */
/* The unknown piece, which the classes find in different ways. */
static bool find_unk_id(TokenizerImport *import, const json_t *vocab, double *id)
{
	const char *unk = import_role(import, "unk_token");
	const bool deberta = import_is(import, CLASS_DEBERTA_V2);
	const json_t *item;
	size_t i;
	*id = import_is(import, CLASS_XLM_ROBERTA) ? 3 : import_is(import, CLASS_ALBERT) || deberta;
	if ((deberta || import_is(import, CLASS_XLNET)) && !read_unk_id(import, id))
		return false;
	json_array_foreach(vocab, i, item)
	{
		const char *text = json_string_value(json_array_get(item, 0));
		if (!unk || !text || strcmp(unk, text) != 0)
			continue;
		if (import_is(import, CLASS_CAMEMBERT)
			|| (deberta && json_number_value(json_array_get(item, 1)) == 0)) {
			*id = (double)i;
			break;
		}
	}
	return true;
}

/* The model's settings, with the file's vocabulary and merges. NULL and a message if the file has another
 * model than the class. */
static json_t *rebuilt_model(TokenizerImport *import, json_t *old)
{
	const char *type = json_string_value(json_object_get(old, "type"));
	const TokenizerModel *model = &unigram_tokenizer;
	json_t *vocab = json_object_get(old, "vocab"), *merges = json_object_get(old, "merges");
	double unk_id = 0;
	if (import->class->kind <= CLASS_FUNNEL)
		model = &wordpiece_tokenizer;
	else if (import->class->kind <= CLASS_DEBERTA)
		model = &bpe_tokenizer;
	if (!vocab || (type && strcmp(type, model->type) != 0)) {
		IMPORT_ERROR(import, EXIT_UNSUPPORTED, "%s of transformers 5 reads this file as %s, but it has %s",
			import->class->name, model->type, type ? type : "a model without a vocabulary");
		return NULL;
	}
	if (model == &wordpiece_tokenizer)
		return json_pack("{s:s, s:s, s:s, s:i, s:O}", "type", "WordPiece", "unk_token",
			import_role(import, "unk_token"), "continuing_subword_prefix", "##", "max_input_chars_per_word",
			100, "vocab", vocab);
	if (model == &bpe_tokenizer)
		return json_pack("{s:s, s:O, s:O?}", "type", "BPE", "vocab", vocab, "merges", merges);
	if (!find_unk_id(import, vocab, &unk_id))
		return NULL;
	return json_pack("{s:s, s:I, s:O}", "type", "Unigram", "unk_id", (json_int_t)unk_id, "vocab", vocab);
}

bool import_same_settings(const json_t *model, const json_t *other)
{
	static const struct {
		const char *key, *fallback;
	} keys[] = {{"continuing_subword_prefix", "##"}, {"unk_token", "[UNK]"}};
	static const char *const flags[] = {"fuse_unk", "byte_fallback", "ignore_merges"};
	const json_t *models[] = {model, other};
	double numbers[2][2];
	const bool words = json_is_string(json_object_get(other, "continuing_subword_prefix"));
	for (int i = 0; i < 2; i++) {
		const json_t *chars = json_object_get(models[i], "max_input_chars_per_word");
		numbers[i][0] = chars ? json_number_value(chars) : 100;
		numbers[i][1] = json_number_value(json_object_get(models[i], "unk_id"));
	}
	bool same = numbers[0][0] == numbers[1][0] && numbers[0][1] == numbers[1][1];
	for (size_t k = 0; words && k < sizeof keys / sizeof *keys; k++) {
		const char *a = json_string_value(json_object_get(model, keys[k].key)),
				   *b = json_string_value(json_object_get(other, keys[k].key));
		same &= strcmp(a ? a : keys[k].fallback, b ? b : keys[k].fallback) == 0;
	}
	for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
		same &= json_is_true(json_object_get(model, flags[k]))
			== json_is_true(json_object_get(other, flags[k]));
	return same;
}

/* ---- all ------------------------------------------------------------------------------------- */
static bool set(json_t *root, const char *key, json_t *value)
{
	return value && json_object_set_new(root, key, value) == 0;
}

json_t *import_rebuild(TokenizerImport *import, json_t *root)
{
	json_t *made = json_copy(root), *old = json_object_get(root, "post_processor");
	const ClassKind kind = import->class->kind;
	bool good = json_is_object(root)
		&& set(made, "model", rebuilt_model(import, json_object_get(root, "model")));
	if (good && kind <= CLASS_FUNNEL)
		good = set(made, "normalizer", bert_normalizer(import))
			&& set(made, "pre_tokenizer", typed("BertPreTokenizer"));
	else if (good && kind <= CLASS_DEBERTA)
		good = set(made, "normalizer", json_null()) && set(made, "pre_tokenizer", byte_level(import));
	else if (good)
		good = set(made, "normalizer", unigram_normalizer(import, root))
			&& set(made, "pre_tokenizer", unigram_pre_tokenizer(import));
	if (good && (kind != CLASS_ALBERT || !old))
		json_object_set_new(made, "post_processor", json_null());
	/* then those of tokenizer.json do not count */
	if (good && json_object_get(import->config, "added_tokens_decoder"))
		json_object_del(made, "added_tokens");
	import->mask_lstrip = kind == CLASS_MPNET || kind == CLASS_XLNET || kind == CLASS_CAMEMBERT;
	if (good)
		return made;
	json_decref(made);
	return NULL;
}

bool import_rebuild_template(TokenizerImport *import)
{
	TokenizerDesc *desc = import->desc;
	const ClassKind kind = import->class->kind;
	const bool ends = kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT;
	const char *first = import_role(import, ends ? "bos_token" : "cls_token"),
			   *last = import_role(import, ends ? "eos_token" : "sep_token");
	if (!first || !last)
		return false;
	const int32_t cls = import_token_id(import, first), sep = import_token_id(import, last);
	if (kind == CLASS_ALBERT && desc->nsingle > 1)
		return true;
	if (cls < 0 || sep < 0)
		return IMPORT_ERROR(import, EXIT_INPUT, "the vocabulary has no token \"%.64s\", which begins a text",
			cls < 0 ? first : last);
	if (kind == CLASS_BERT || kind == CLASS_DEBERTA_V2 || kind == CLASS_ALBERT)
		import_bert_template(import, cls, sep);
	else if (kind == CLASS_FUNNEL)
		import_funnel_template(import, cls, sep);
	else if (kind == CLASS_XLNET)
		import_xlnet_template(import, cls, sep);
	else
		import_roberta_template(import, cls, sep);
	desc->trim_offsets = kind == CLASS_MPNET || kind == CLASS_ROBERTA;
	desc->trim_prefix = kind == CLASS_ROBERTA && desc->split_number[BYTE_LEVEL_PREFIX];
	return (kind != CLASS_ROBERTA || read_flag(import, "trim_offsets", &desc->trim_offsets))
		&& import_check_trim(import);
}
