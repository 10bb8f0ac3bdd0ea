/* pre_tokenizers.c: reads the pre_tokenizer of tokenizer.json: a row of splitters.def, or cuts at matches of
 * an expression, or a Sequence of cuts with a row of splitters.def at its end. */
#include <string.h>
#include "regex.h"
#include "runtime/tokenize/split_metaspace.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cuts.h"

enum { DEPTH_MAX = 8 };

/* The behaviour of Split and Punctuation. */
static bool read_behavior(TokenizerImport *import, const json_t *value, Cut *cut)
{
	static const char *const names[] = {
		[CUT_REMOVED] = "Removed",
		[CUT_ISOLATED] = "Isolated",
		[CUT_PREVIOUS] = "MergedWithPrevious",
		[CUT_NEXT] = "MergedWithNext",
		[CUT_CONTIGUOUS] = "Contiguous",
	};
	const char *name = names[cut->behavior];
	if (!json_member_text(value, "behavior", &name, import->path, import->diag))
		return false;
	for (int32_t i = 0; i < (int32_t)(sizeof names / sizeof *names); i++)
		if (strcmp(name, names[i]) == 0) {
			cut->behavior = i;
			return true;
		}
	return IMPORT_ERROR(import, EXIT_INPUT, "pre_tokenizer: behavior is \"%.64s\"", name);
}

static bool read_split(TokenizerImport *import, const json_t *value, Cut *cut)
{
	const json_t *pattern = json_object_get(value, "pattern");
	const char *text = NULL, *regex = NULL;
	cut->behavior = CUT_ISOLATED;
	if (!json_member_text(pattern, "String", &text, import->path, import->diag)
		|| !json_member_text(pattern, "Regex", &regex, import->path, import->diag)
		|| !json_member_bool(value, "invert", &cut->invert, import->path, import->diag)
		|| !read_behavior(import, value, cut))
		return false;
	if (!text && !regex)
		return IMPORT_ERROR(import, EXIT_INPUT, "pre_tokenizer Split has no pattern");
	return text ? regex_literal(import, "pre_tokenizer Split", text, cut)
				: regex_compile(import, "pre_tokenizer Split", regex, cut);
}

static bool read_whitespace_split(TokenizerImport *import, const json_t *value, Cut *cut)
{
	(void)value;
	return regex_property(import, "pre_tokenizer WhitespaceSplit", unicode_is_space, cut);
}

static bool read_whitespace(TokenizerImport *import, const json_t *value, Cut *cut)
{
	(void)value;
	cut->invert = true;
	return regex_words(import, cut);
}

/* Rust's char::is_numeric, in Unicode 17. */
static bool is_numeric(int32_t code)
{
	return unicode_is_number(code) || (code >= 0x11DE0 && code <= 0x11DE9)
		|| (code >= 0x16FF4 && code <= 0x16FF6);
}

static bool read_digits(TokenizerImport *import, const json_t *value, Cut *cut)
{
	bool individual = false;
	if (!json_member_bool(value, "individual_digits", &individual, import->path, import->diag))
		return false;
	cut->behavior = individual ? CUT_ISOLATED : CUT_CONTIGUOUS;
	return regex_property(import, "pre_tokenizer Digits", is_numeric, cut);
}

static bool read_punctuation(TokenizerImport *import, const json_t *value, Cut *cut)
{
	cut->behavior = CUT_ISOLATED;
	return read_behavior(import, value, cut)
		&& regex_property(import, "pre_tokenizer Punctuation", unicode_is_punctuation, cut);
}

static bool read_delimiter(TokenizerImport *import, const json_t *value, Cut *cut)
{
	const char *text = "";
	int32_t count;
	if (!json_member_text(value, "delimiter", &text, import->path, import->diag))
		return false;
	(void)import_codes(import, text, &count);
	if (count != 1)
		return IMPORT_ERROR(import, EXIT_INPUT,
			"pre_tokenizer CharDelimiterSplit: delimiter is \"%.64s\", expected one character", text);
	return regex_literal(import, "pre_tokenizer CharDelimiterSplit", text, cut);
}

static bool read_scripts(TokenizerImport *import, const json_t *value, Cut *cut)
{
	(void)value;
	scripts_cut(import, cut);
	return true;
}

static const struct {
	const char *type;
	bool (*read)(TokenizerImport *, const json_t *, Cut *);
} cuts[] = {
	{"CharDelimiterSplit", read_delimiter},
	{"Digits", read_digits},
	{"Punctuation", read_punctuation},
	{"Split", read_split},
	{"UnicodeScripts", read_scripts},
	{"Whitespace", read_whitespace},
	{"WhitespaceSplit", read_whitespace_split},
};
enum { CUTS = sizeof cuts / sizeof *cuts };

static bool refuse(TokenizerImport *import, const char *type)
{
	const char *names = tokenizer_splitters[0]->type;
	for (int32_t i = 1; tokenizer_splitters[i]; i++)
		names = mem_printf(import->mem, "%s, %s", names, tokenizer_splitters[i]->type);
	for (size_t i = 0; i < CUTS; i++)
		names = mem_printf(import->mem, "%s, %s", names, cuts[i].type);
	return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
		"pre_tokenizer \"%.64s\" is not supported; supported: %s, a Sequence of them",
		*type ? type : "(no type)", names);
}

/* Reads what is not a Sequence. */
static bool read_item(TokenizerImport *import, const json_t *value, const char *type)
{
	TokenizerDesc *desc = import->desc;
	if (desc->split)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED, "pre_tokenizer \"%.64s\" after %s is not supported",
			type, desc->split->type);
	for (size_t i = 0; i < CUTS; i++) {
		if (strcmp(type, cuts[i].type) != 0)
			continue;
		if (desc->ncuts == TOKENIZER_CUTS_MAX)
			return IMPORT_ERROR(
				import, EXIT_UNSUPPORTED, "the pre_tokenizer has more than %d items", TOKENIZER_CUTS_MAX);
		return cuts[i].read(import, value, &desc->cuts[desc->ncuts++]);
	}
	for (int32_t i = 0; tokenizer_splitters[i]; i++) {
		const Splitter *splitter = tokenizer_splitters[i];
		if (strcmp(type, splitter->type) != 0 || splitter == &plain_splitter)
			continue;
		desc->split = splitter;
		return !splitter->read || splitter->read(import, value);
	}
	return refuse(import, type);
}

/* Reads a pre-tokenizer, or the items of a Sequence. *cut: the type of the last cut. */
static bool read_one(TokenizerImport *import, const json_t *value, int32_t depth, const char **cut)
{
	const char *type = "";
	const json_t *item;
	size_t i;
	if (!json_is_object(value))
		return IMPORT_ERROR(import, EXIT_INPUT, "pre_tokenizer is %s, expected an object", json_kind(value));
	if (!json_member_text(value, "type", &type, import->path, import->diag))
		return false;
	if (strcmp(type, "Sequence") != 0 || depth == DEPTH_MAX) {
		const int32_t before = import->desc->ncuts;
		const bool good = read_item(import, value, type);
		*cut = import->desc->ncuts > before ? type : *cut;
		return good;
	}
	const json_t *list = json_object_get(value, "pretokenizers");
	if (!json_is_array(list))
		return IMPORT_ERROR(import, EXIT_INPUT, "pre_tokenizer Sequence has no array pretokenizers");
	json_array_foreach(list, i, item) if (!read_one(import, item, depth + 1, cut)) return false;
	return true;
}

bool import_pre_tokenizer(TokenizerImport *import, const json_t *value)
{
	TokenizerDesc *desc = import->desc;
	const char *cut = "";
	if (value && !json_is_null(value) && !read_one(import, value, 0, &cut))
		return false;
	if (desc->split == &metaspace_splitter && desc->ncuts == 1 && strcmp(cut, "WhitespaceSplit") == 0) {
		desc->ncuts = 0; /* Metaspace drops white space itself, which is faster */
		desc->split_number[METASPACE_DROP] = 1;
	}
	desc->split = desc->split ? desc->split : &plain_splitter;
	return true;
}
