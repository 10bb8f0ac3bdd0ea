/* tokenizer_class.c: the class of a tokenizer in transformers: tokenizer_class of tokenizer_config.json or of
 * config.json, else the class of the model_type. classes.def lists what a class adds to the files. */
#include <string.h>
#include <strings.h>
#include "tokenizer_import.h"

static const TokenizerClass classes[] = {
#define CLASS(NAME, KIND, MODEL, TYPES, SEGMENTS, ...) \
	{#NAME "Tokenizer", CLASS_##KIND, #MODEL, " " TYPES " ", SEGMENTS_##SEGMENTS, {__VA_ARGS__}},
#include "classes.def"
#undef CLASS
};
enum { CLASSES = sizeof classes / sizeof *classes };

/* Whether a name is that of the class, perhaps with "Fast" at the end. */
static bool is_class(const char *name, const char *class)
{
	const size_t length = strlen(class);
	return strncmp(name, class, length) == 0 && (name[length] == '\0' || strcmp(name + length, "Fast") == 0);
}

static const TokenizerClass *class_of_model(MemArena *mem, const char *type)
{
	const char *word = mem_printf(mem, " %s ", type);
	for (int32_t i = 0; i < CLASSES; i++)
		if (strstr(classes[i].model_types, word))
			return &classes[i];
	return NULL;
}

/* Whether the class reads everything from the files. */
static bool reads_file(const TokenizerImport *import)
{
	return !import->class_name || is_class(import->class_name, "PreTrainedTokenizer")
		|| strcmp(import->class_name, "TokenizersBackend") == 0;
}

/* own: the name in tokenizer_config.json. */
static void decide_class(TokenizerImport *import, const char *name, const char *type, const char *own)
{
	static const char about[] = "tokenizer class";
	if (name)
		diag_decide(import->diag, about, "%s, from tokenizer_class of %s", name,
			own ? "tokenizer_config.json" : "config.json");
	else if (import->class)
		diag_decide(import->diag, about, "%s, from model_type \"%s\" of config.json, as no file names one",
			import->class->name, type);
	else
		diag_decide(import->diag, about, "none, as no file names one");
}

bool import_class(TokenizerImport *import)
{
	if (import->alone)
		return true;
	const char *path, *name = json_string_value(json_object_get(import->config, "tokenizer_class"));
	json_t *model = name ? json_object() : import_beside(import, "config.json", &path);
	const char *type = json_string_value(json_object_get(model, "model_type"));
	name = name ? name : json_string_value(json_object_get(model, "tokenizer_class"));
	for (int32_t i = 0; name && i < CLASSES; i++)
		if (is_class(name, classes[i].name))
			import->class = &classes[i];
	if (!name && type)
		import->class = class_of_model(import->mem, type);
	import->mask_lstrip = !import->transformers5
		&& (import_is(import, CLASS_MPNET) || import_is(import, CLASS_ROBERTA)
			|| import_is(import, CLASS_ALBERT) || import_is(import, CLASS_FNET)
			|| import_is(import, CLASS_REMBERT) || import_is(import, CLASS_XLNET)
			|| import_is(import, CLASS_XLM_ROBERTA) || import_is(import, CLASS_CAMEMBERT));
	import->class_name = name ? mem_string(import->mem, name, strlen(name)) : NULL;
	decide_class(import, name, type, json_string_value(json_object_get(import->config, "tokenizer_class")));
	json_decref(model);
	const bool follows = import->class ? !import_is(import, CLASS_OTHER) && !import_is(import, CLASS_REMBERT)
									   : reads_file(import);
	if (import->transformers5 && !follows)
		return diag_error_in(import->diag, EXIT_UNSUPPORTED, import->config_path, 0,
			"--compat=transformers5 is not supported for tokenizer_class \"%.64s\"",
			import->class_name ? import->class_name : import->class->name);
	return model;
}

bool import_is(const TokenizerImport *import, ClassKind kind)
{
	return import->class && import->class->kind == kind;
}

bool import_class_reads(TokenizerImport *import, const TokenizerModel *model)
{
	const char *first = NULL;
	for (int32_t i = CLASSES - 1; i >= 0; i--)
		first = strcmp(classes[i].model, model->name) == 0 ? classes[i].name : first;
	const bool other = import->class && strcmp(import->class->model, model->name) != 0;
	if (other && !import->class_name)
		import->class = NULL; /* the model's own class does not count where it cannot read the file */
	if (import->class ? !other : reads_file(import))
		return true;
	return diag_error_in(import->diag, EXIT_UNSUPPORTED, import->config_path, 0,
		"tokenizer_class \"%.64s\" may read %s differently from %s; write tokenizer.json once with "
		"transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
		import->class_name, model->files[0], first);
}

/* ---- settings -------------------------------------------------------------------------------- */
static bool read_flag(TokenizerImport *import, const char *key, bool *flag)
{
	return json_member_bool(import->config, key, flag, import->config_path, import->diag);
}

bool import_config_flag(TokenizerImport *import, const char *key, bool fallback, bool *flag)
{
	if (import->transformers5) /* rebuilt.c has read it, or the class reads the file */
		return true;
	const bool known = import_is(import, CLASS_ROBERTA) || import_is(import, CLASS_DEBERTA);
	*flag = known ? fallback : *flag;
	if (!read_flag(import, key, flag))
		return false;
	const char *from = known ? "the default of the class" : "tokenizer.json";
	diag_decide(import->diag, key, "%s, from %s", *flag ? "true" : "false",
		json_object_get(import->config, key) ? "tokenizer_config.json" : from);
	return true;
}

bool import_bert_settings(TokenizerImport *import, BertSettings *settings)
{
	const bool known = import_is(import, CLASS_BERT) || import_is(import, CLASS_CONVBERT)
		|| import_is(import, CLASS_MPNET) || import_is(import, CLASS_FUNNEL);
	bool accents = false;
	if (known)
		*settings = (BertSettings){true, true, -1};
	if (!known && (import->class || import->class_name))
		return true;
	if (!read_flag(import, "do_lower_case", &settings->lowercase)
		|| !read_flag(import, "tokenize_chinese_chars", &settings->chinese)
		|| !read_flag(import, "strip_accents", &accents))
		return false;
	if (json_is_boolean(json_object_get(import->config, "strip_accents")))
		settings->accents = accents;
	const char *from = known ? "the default of the class" : "the normalizer of tokenizer.json";
	if (json_object_get(import->config, "do_lower_case"))
		from = "do_lower_case of tokenizer_config.json";
	diag_decide(
		import->diag, "letters", "%s, from %s", settings->lowercase ? "lower case" : "as they are", from);
	return true;
}

/* The side of a long text that is cut off; tokenizer_config.json overrides truncation.direction. */
bool import_truncation(TokenizerImport *import, const json_t *root)
{
	static const char *const keys[] = {"direction", "truncation_side"};
	const json_t *const from[] = {json_object_get(root, "truncation"), import->config};
	const char *const paths[] = {import->path, import->config_path};
	static const char *const rules[] = {
		"from truncation.direction of tokenizer.json", "from truncation_side of tokenizer_config.json"};
	const char *rule = "by default";
	for (int i = 0; i < 2; i++) {
		const char *side = NULL;
		if (!json_member_text(from[i], keys[i], &side, paths[i], import->diag))
			return false;
		if (side && strcasecmp(side, "left") != 0 && strcasecmp(side, "right") != 0)
			return diag_error_in(import->diag, EXIT_INPUT, paths[i], 0,
				"%s is \"%.64s\", expected left or right", keys[i], side);
		if (!side)
			continue;
		import->desc->cut_left = strcasecmp(side, "left") == 0;
		rule = rules[i];
	}
	diag_decide(
		import->diag, "long texts", "keep their %s, %s", import->desc->cut_left ? "end" : "start", rule);
	return true;
}

/* ---- segments -------------------------------------------------------------------------------- */
/* True if the tokenizer class returns token_type_ids by default. PreTrainedTokenizerFast does in transformers
 * 4, but not in 5. bertc follows version 4, because such models were trained with it. */
static bool class_has_segments(const TokenizerImport *import)
{
	if (import->class)
		return import->class->segments == SEGMENTS_BOTH
			|| (import->class->segments == SEGMENTS_OLDER && !import->transformers5);
	return !import->transformers5
		&& (!import->class_name || strcmp(import->class_name, "TokenizersBackend") != 0);
}

static const TemplateItem *without_segments(MemArena *mem, const TemplateItem *items, int32_t count)
{
	TemplateItem *copy = mem_alloc(mem, (size_t)(count + 1) * sizeof *copy);
	for (int32_t i = 0; i < count; i++)
		copy[i] = (TemplateItem){items[i].piece, items[i].id, 0};
	return copy;
}

static bool uses_segments(const TokenizerDesc *desc)
{
	bool uses = false;
	for (int32_t i = 0; i < desc->nsingle; i++)
		uses |= desc->single[i].type != 0;
	for (int32_t i = 0; i < desc->npair; i++)
		uses |= desc->pair[i].type != 0;
	return uses;
}

bool import_segments(TokenizerImport *import)
{
	TokenizerDesc *desc = import->desc;
	json_t *names = json_object_get(import->config, "model_input_names"), *name;
	bool has = false;
	const char *from = "model_input_names of tokenizer_config.json";
	size_t i;
	if (!names || json_is_null(names)) {
		has = class_has_segments(import);
		from = import->class ? "the class" : "the default of transformers";
		TokenizerImport five = *import;
		five.transformers5 = true;
		if (has && !class_has_segments(&five) && uses_segments(desc))
			diag_note(import->diag, 0,
				"%s: texts have segments (token_type_ids), as in transformers 4; transformers 5 makes them "
				"only "
				"if model_input_names of tokenizer_config.json has token_type_ids; --compat=transformers5 "
				"follows it",
				import->path);
	} else if (!json_is_array(names)) {
		return diag_error_in(import->diag, EXIT_INPUT, import->config_path, 0,
			"model_input_names is %s, expected an array", json_kind(names));
	}
	json_array_foreach(names, i, name)
	{
		if (!json_is_string(name))
			return diag_error_in(import->diag, EXIT_INPUT, import->config_path, 0,
				"model_input_names[%zu] is %s, expected a string", i, json_kind(name));
		has |= strcmp(json_string_value(name), "token_type_ids") == 0;
	}
	diag_decide(import->diag, "segments", "%s, from %s", has ? "yes" : "no", from);
	if (has)
		return true;
	desc->single = without_segments(import->mem, desc->single, desc->nsingle);
	desc->pair = without_segments(import->mem, desc->pair, desc->npair);
	return true;
}
