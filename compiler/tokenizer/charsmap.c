/* charsmap.c: reads precompiled_charsmap, the character map of SentencePiece: base64 of the bytes of a double
 * array (u32), the array (darts-clone's units), and replacements, each with a NUL at its end. The array maps
 * a key to the place of its replacement.
 *
 * Programs look up keys of fewer than 6 bytes only, and the shortest key that begins a text wins, as in the
 * library. So the array is walked to this depth, and keys that begin with another key are left out. Whatever
 * the array holds, the walk ends. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_import.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cursor.h"

enum { KEY_BYTES = 5, KEYS_MAX = 1 << 20, PARTS_MAX = 24 };
typedef struct Reader {
	TokenizerImport *import;
	const uint8_t *units, *texts;
	uint32_t nunits;
	size_t ntexts;
	List keys, lists; /* TrieKey, uint32_t */
	int32_t visited;
} Reader;

static bool fail(Reader *r, const char *why)
{
	return IMPORT_ERROR(r->import, EXIT_INPUT, "normalizer Precompiled: precompiled_charsmap %s", why);
}

/* ---- base64 ---------------------------------------------------------------------------------- */
static int32_t digit_of(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int32_t)(at - digits) : -1;
}

/* The bytes of a text in base64, in the arena. NULL: the text is not valid. */
static uint8_t *decode(MemArena *mem, const char *text, size_t length, size_t *bytes)
{
	uint8_t *out = mem_alloc(mem, length / 4 * 3 + 3);
	size_t end = length;
	*bytes = 0;
	while (end > 0 && length - end < 2 && text[end - 1] == '=')
		end--;
	if (length % 4 != 0)
		return NULL;
	for (size_t i = 0; i < end; i += 4) {
		uint32_t word = 0;
		const size_t count = end - i < 4 ? end - i : 4;
		for (size_t k = 0; k < 4; k++) {
			const int32_t digit = k < count ? digit_of(text[i + k]) : 0;
			if (digit < 0)
				return NULL;
			word = word << 6 | (uint32_t)digit;
		}
		if (count < 2 || (count < 4 && word << (8 + 8 * (count - 1)) != 0))
			return NULL;
		for (size_t k = 0; k + 1 < count; k++)
			out[(*bytes)++] = (uint8_t)(word >> (16 - 8 * k));
	}
	return out;
}

/* ---- the double array ------------------------------------------------------------------------ */
static uint32_t word_at(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t unit_at(const Reader *r, uint32_t i) { return word_at(r->units + 4 * (size_t)i); }

static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

/* Adds a key, whose replacement begins at `place`. */
static bool add_key(Reader *r, const char *key, int32_t depth, uint32_t place)
{
	if (place >= r->ntexts)
		return fail(r, "has a replacement outside its text");
	const uint8_t *text = r->texts + place;
	const uint8_t *end = memchr(text, 0, r->ntexts - place);
	const int32_t bytes = (int32_t)(end ? (size_t)(end - text) : r->ntexts - place);
	const uint32_t at = (uint32_t)r->lists.count;
	uint32_t count = 0;
	int32_t length;
	list_add(&r->lists, &count);
	for (int32_t i = 0; i < bytes && count <= PARTS_MAX; i += length, count++) {
		const uint32_t code = cursor_decode(text, i, bytes, &length);
		if (code == 0xFFFD && text[i] != 0xEF)
			return fail(r, "has a replacement that is not UTF-8");
		list_add(&r->lists, &code);
	}
	if (count > PARTS_MAX)
		return fail(r, "has a replacement of more than 24 characters");
	((uint32_t *)r->lists.items)[at] = count;
	/* char_tables.c takes code points of these planes for alike; plane 14 begins with F3 A0 */
	if ((uint8_t)key[0] >= 0xF1
		&& !((uint8_t)key[0] == 0xF3 && depth > 1 && ((uint8_t)key[1] & 0xF0) == 0xA0))
		return fail(r, "maps code points of a plane without characters");
	const char *copy = mem_string(r->import->mem, key, (size_t)depth);
	list_add(&r->keys, &(TrieKey){copy, depth, (int32_t)at});
	return r->keys.count <= KEYS_MAX && r->lists.count < TOKEN_IDS_MAX ? true : fail(r, "has too many keys");
}

/* Walks the children of the node whose base is `base`. */
static bool walk(Reader *r, uint32_t base, char key[KEY_BYTES], int32_t depth)
{
	if (base >= r->nunits)
		return fail(r, "has an offset outside its array");
	for (uint32_t label = 1; label < 256; label++) {
		const uint32_t at = base ^ label;
		if (at >= r->nunits || (unit_at(r, at) & 0x800000FF) != label)
			continue;
		const uint32_t unit = unit_at(r, at), next = at ^ offset_of(unit);
		key[depth] = (char)label;
		if (++r->visited > 4 * KEYS_MAX)
			return fail(r, "has too many nodes; does its array have a cycle?");
		if (unit >> 8 & 1) {
			if (next >= r->nunits)
				return fail(r, "has an offset outside its array");
			if (!add_key(r, key, depth + 1, unit_at(r, next) & 0x7FFFFFFF))
				return false;
		} else if (depth + 1 < KEY_BYTES && !walk(r, next, key, depth + 1)) {
			return false;
		}
	}
	return true;
}

static void *copied(MemArena *mem, const List *list)
{
	void *copy = mem_alloc(mem, (list->count + 1) * list->size);
	if (list->count > 0)
		memcpy(copy, list->items, list->count * list->size);
	return copy;
}

const Charsmap *import_charsmap_bytes(TokenizerImport *import, const uint8_t *bytes, size_t count)
{
	Reader r = {.import = import, .keys = list_new(sizeof(TrieKey)), .lists = list_new(sizeof(uint32_t))};
	Charsmap *map = mem_alloc(import->mem, sizeof *map);
	char key[KEY_BYTES];
	const size_t size = count >= 4 ? word_at(bytes) : 0;
	bool good = count >= 4 && size <= count - 4 && size % 4 == 0 && size > 0;
	if (!good)
		(void)fail(&r, "is cut off: its array does not fit");
	r.units = bytes + 4;
	r.nunits = (uint32_t)(size / 4);
	r.texts = bytes + 4 + size;
	r.ntexts = count - 4 - (good ? size : 0);
	good = good && walk(&r, offset_of(unit_at(&r, 0)), key, 0);
	*map = (Charsmap){.keys = copied(import->mem, &r.keys),
		.lists = copied(import->mem, &r.lists),
		.nkeys = (int32_t)r.keys.count,
		.nlists = (int32_t)r.lists.count};
	list_free(&r.keys);
	list_free(&r.lists);
	return good ? map : NULL;
}

const Charsmap *import_charsmap(TokenizerImport *import, const char *text)
{
	size_t bytes;
	const uint8_t *decoded = decode(import->mem, text, strlen(text), &bytes);
	if (decoded)
		return import_charsmap_bytes(import, decoded, bytes);
	IMPORT_ERROR(import, EXIT_INPUT, "normalizer Precompiled: precompiled_charsmap is not valid base64");
	return NULL;
}
