/* key_table.c: warns about keys of a model's JSON files that bertc does not know, because they may change the
 * answer. keys.def lists those that it knows. */
#include <string.h>
#include "key_table.h"

enum { KEY_SHOWN = 80 }; /* bytes */

enum { OBEYED, IDLE, REFUSED };
static const struct {
	KeyFile file;
	const char *key;
	int status;
} known[] = {
#define KEY(FILE, key, status, what) {KEYS_##FILE, key, status},
#include "keys.def"
#undef KEY
};

/* "*_token" is any key with that end. */
static bool is_key(const char *row, const char *key)
{
	const size_t length = strlen(key), end = strlen(row) - 1;
	if (*row != '*')
		return strcmp(row, key) == 0;
	return length >= end && strcmp(key + length - end, row + 1) == 0;
}

bool keys_know(KeyFile file, const char *key)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].file == file && is_key(known[i].key, key))
			return true;
	return false;
}

bool keys_obeys(KeyFile file, const char *key)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].file == file && known[i].status == OBEYED && is_key(known[i].key, key))
			return true;
	return false;
}

/* Whether "a, b" has the key, which is not empty. */
static bool has(const char *list, const char *key, size_t length)
{
	for (const char *at = list; *at; at++)
		if (strncmp(at, key, length) == 0 && (at == list || at[-1] == ' ')
			&& (at[length] == ',' || at[length] == '\0'))
			return true;
	return false;
}

void unknown_add(UnknownKeys *unknown, const char *key)
{
	enum { SHOWN_BYTES = UNKNOWN_BYTES / 2 };
	char *list = unknown->list;
	const size_t used = strlen(list);
	key = *key ? key : "\"\"";
	int shown = (int)strnlen(key, KEY_SHOWN);
	while (shown > 0 && ((unsigned char)key[shown] & 0xC0) == 0x80) /* within a character */
		shown--;
	if (has(list, key, (size_t)shown))
		return;
	if (used >= SHOWN_BYTES) {
		if (list[used - 1] != '.')
			snprintf(list + used, UNKNOWN_BYTES - used, ", ...");
		return;
	}
	snprintf(list + used, UNKNOWN_BYTES - used, "%s%.*s", used ? ", " : "", shown, key);
}

const char *unknown_warn(
	const UnknownKeys *unknown, const char *path, const char *before, MemArena *mem, Diag *diag)
{
	const char *slash = strrchr(path, '/');
	if (!*unknown->list)
		return before;
	diag_warn(diag, 0, "%s has keys that bertc does not know; they have no effect: %s", path, unknown->list);
	return mem_printf(
		mem, "%s%s%s: %s", before ? before : "", before ? "; " : "", slash ? slash + 1 : path, unknown->list);
}
