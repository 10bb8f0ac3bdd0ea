/* split_metaspace.c: the pre-tokenizer Metaspace, by itself or after WhitespaceSplit in a Sequence. */
#include <string.h>
#include "tokenizer_import.h"
#include "runtime/tokenize/split_metaspace.h"

static uint32_t class_of(int32_t code) { return unicode_is_space(code) ? RT_SPACE : RT_OTHER; }

static bool read_scheme(TokenizerImport *import, const json_t *value, int32_t *scheme)
{
	static const char *const names[] = {"always", "first", "never"};
	const char *name = NULL;
	bool prefix = true;
	*scheme = METASPACE_ALWAYS;
	if (!json_member_text(value, "prepend_scheme", &name, import->path, import->diag)
		|| !json_member_bool(value, "add_prefix_space", &prefix, import->path, import->diag))
		return false;
	for (int32_t i = 0; name && i < 3; i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		*scheme = i;
		name = NULL;
	}
	if (name)
		return IMPORT_ERROR(import, EXIT_INPUT,
			"pre_tokenizer Metaspace: prepend_scheme is \"%.64s\", expected always, first or never", name);
	if (!prefix && json_object_get(value, "prepend_scheme") && *scheme != METASPACE_NEVER)
		return IMPORT_ERROR(import, EXIT_INPUT,
			"pre_tokenizer Metaspace: add_prefix_space is false, but prepend_scheme is not never");
	if (!prefix)
		*scheme = METASPACE_NEVER;
	return true;
}

static bool read_settings(TokenizerImport *import, const json_t *value)
{
	const char *replacement = "\xE2\x96\x81";
	bool split = true;
	int32_t count, *number = import->desc->split_number;
	if (!json_member_text(value, "replacement", &replacement, import->path, import->diag)
		|| !json_member_bool(value, "split", &split, import->path, import->diag)
		|| !read_scheme(import, value, &number[METASPACE_SCHEME]))
		return false;
	const uint32_t *codes = import_codes(import, replacement, &count);
	if (count != 1)
		return IMPORT_ERROR(import, EXIT_INPUT,
			"pre_tokenizer Metaspace: replacement is \"%.64s\", expected one character", replacement);
	number[METASPACE_CODE] = (int32_t)codes[0];
	number[METASPACE_SPLIT] = split;
	return true;
}

/* As the library decodes one token: the mark is a space, but not at the start if the scheme puts it there. A
 * lone mark stays, for a token without text has no name. */
static void text_of(const TokenizerDesc *desc, const char *token, List *text)
{
	const unsigned char *at = (const unsigned char *)token;
	const int32_t end = (int32_t)strlen(token), *number = desc->split_number;
	int32_t length;
	for (int32_t i = 0; i < end; i += length) {
		const bool mark = (int32_t)cursor_decode(at, i, end, &length) == number[METASPACE_CODE];
		if (mark && length < end && i == 0 && number[METASPACE_SCHEME] != METASPACE_NEVER)
			continue;
		if (mark && length < end)
			list_add(text, " ");
		for (int32_t k = 0; k < length && (!mark || length == end); k++)
			list_add(text, &token[i + k]);
	}
}

const Splitter metaspace_splitter = {
	.name = "metaspace",
	.type = "Metaspace",
	.split = split_metaspace,
	.class_of = class_of,
	.read = read_settings,
	.text_of = text_of,
};
