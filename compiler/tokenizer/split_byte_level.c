/* split_byte_level.c: the pre-tokenizer ByteLevel. The library's regular expression engine, Oniguruma, uses
 * Unicode 16; utf8proc uses Unicode 15. */
#include <string.h>
#include <utf8proc.h>
#include "tokenizer_import.h"
#include "runtime/tokenize/split_byte_level.h"

typedef struct Range {
	int32_t first, last;
} Range;
/* Letters and numbers new in Unicode 16. tests/python/tokenizer/test_byte_level.py tests all code points. */
static const Range letters[] = {
	{0x1C89, 0x1C8A},
	{0xA7CB, 0xA7CD},
	{0xA7DA, 0xA7DC},
	{0x105C0, 0x105F3},
	{0x10D4A, 0x10D65},
	{0x10D6F, 0x10D85},
	{0x10EC2, 0x10EC4},
	{0x11380, 0x11389},
	{0x1138B, 0x1138B},
	{0x1138E, 0x1138E},
	{0x11390, 0x113B5},
	{0x113B7, 0x113B7},
	{0x113D1, 0x113D1},
	{0x113D3, 0x113D3},
	{0x11BC0, 0x11BE0},
	{0x13460, 0x143FA},
	{0x16100, 0x1611D},
	{0x16D40, 0x16D6C},
	{0x18CFF, 0x18CFF},
	{0x1E5D0, 0x1E5ED},
	{0x1E5F0, 0x1E5F0},
	{0x2EBF0, 0x2EE5D},
};
static const Range numbers[] = {
	{0x10D40, 0x10D49},
	{0x116D0, 0x116E3},
	{0x11BF0, 0x11BF9},
	{0x16130, 0x16139},
	{0x16D70, 0x16D79},
	{0x1CCF0, 0x1CCF9},
	{0x1E5F1, 0x1E5FA},
};

static bool is_in(const Range *ranges, size_t count, int32_t code)
{
	for (size_t i = 0; i < count; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

static uint32_t class_of(int32_t code)
{
	const utf8proc_category_t category = utf8proc_category(code);
	if (unicode_is_space(code))
		return RT_SPACE;
	if ((category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
		|| is_in(letters, sizeof letters / sizeof *letters, code))
		return RT_BYTE_LEVEL_LETTER;
	if ((category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
		|| is_in(numbers, sizeof numbers / sizeof *numbers, code))
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
