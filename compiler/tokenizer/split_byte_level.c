/* split_byte_level.c: the pre-tokenizer ByteLevel. */
#include <string.h>
#include "tokenizer_import.h"
#include "runtime/tokenize/split_byte_level.h"

static uint32_t class_of(int32_t code)
{
	if (unicode_is_space(code))
		return RT_SPACE;
	if (unicode_is_letter(code))
		return RT_BYTE_LEVEL_LETTER;
	if (unicode_is_number(code))
		return RT_BYTE_LEVEL_NUMBER;
	return RT_OTHER;
}

static bool read_settings(TokenizerImport *import, const json_t *pre_tokenizer)
{
	bool said = true, regex = true;
	if (!json_member_bool(pre_tokenizer, "add_prefix_space", &said, import->path, import->diag)
		|| !json_member_bool(pre_tokenizer, "use_regex", &regex, import->path, import->diag))
		return false;
	bool prefix = said;
	if (!import_config_flag(import, "add_prefix_space", false, &prefix))
		return false;
	if (prefix != said)
		diag_warn(import->diag, 0,
			"%s has add_prefix_space %s, but tokenizer_config.json or its class has %s; the latter applies, "
			"as in transformers; make the files agree",
			import->path, said ? "true" : "false", prefix ? "true" : "false");
	import->desc->split_number[BYTE_LEVEL_PREFIX] = prefix;
	import->desc->split_number[BYTE_LEVEL_REGEX] = regex;
	return true;
}

/* The byte that a character represents; -1: none. */
static int32_t byte_of(int32_t code)
{
	for (int32_t byte = 0; byte < 256; byte++)
		if ((int32_t)byte_level_code((uint32_t)byte) == code)
			return byte;
	return -1;
}

/* Replaces each part of ill-formed UTF-8 by U+FFFD, as decoders do for tokens that end within a character. */
static void add_well_formed(const List *bytes, List *text)
{
	const unsigned char *from = bytes->items;
	int32_t length;
	for (int32_t at = 0; at < (int32_t)bytes->count; at += length) {
		unsigned char utf8[4];
		const int32_t n = cursor_encode(cursor_decode(from, at, (int32_t)bytes->count, &length), utf8);
		for (int32_t i = 0; i < n; i++)
			list_add(text, &utf8[i]);
	}
}

/* A token with a character that does not represent a byte is used unchanged. */
static void text_of(const TokenizerDesc *desc, const char *token, List *text)
{
	(void)desc;
	const unsigned char *at = (const unsigned char *)token;
	const int32_t end = (int32_t)strlen(token);
	List bytes = list_new(1);
	bool all = true;
	int32_t length;
	for (int32_t i = 0; i < end && all; i += length) {
		const int32_t byte = byte_of((int32_t)cursor_decode(at, i, end, &length));
		all = byte >= 0;
		list_add(&bytes, &(uint8_t){(uint8_t)byte});
	}
	if (!all)
		bytes.count = 0;
	for (int32_t i = 0; i < end && !all; i++)
		list_add(&bytes, &token[i]);
	add_well_formed(&bytes, text);
	list_free(&bytes);
}

const Splitter byte_level_splitter = {
	.name = "byte_level",
	.type = "ByteLevel",
	.split = split_byte_level,
	.class_of = class_of,
	.read = read_settings,
	.text_of = text_of,
};
