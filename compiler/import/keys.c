/* keys.c: warns about keys of a model's JSON files that bertc does not know, because they may change the
 * answer. keys.def and the families list those that it knows. */
#include <string.h>
#include "keys.h"

static const struct {
	KeyFile file;
	const char *key;
} known[] = {
#define KEY(FILE, key, status, what) {KEYS_##FILE, key},
#include "keys.def"
#undef KEY
};

static bool in_table(KeyFile file, const char *key)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].file == file && strcmp(known[i].key, key) == 0)
			return true;
	return false;
}

static bool is(const char *own, const char *key) { return own && strcmp(own, key) == 0; }

static bool in_family(const Family *family, const char *key)
{
	bool found = is(family->activation.key, key) || is(family->head_activation.key, key)
		|| is(family->eps.key, key);
	for (int i = 0; i < SIZE_COUNT; i++)
		found |= is(family->size[i].key, key) || is(family->size[i].alias, key);
	for (int i = 0; i < BIAS_COUNT; i++)
		found |= is(family->bias[i].key, key);
	for (const FamilyRefusal *refusal = family->refused; refusal && refusal->key; refusal++)
		found |= is(refusal->key, key);
	return found;
}

void keys_check(KeyFile file, const json_t *object, ModelDesc *desc, const char *path, Diag *diag)
{
	enum { SHOWN_BYTES = 200 };
	char list[2 * SHOWN_BYTES] = "";
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const size_t used = strlen(list);
		if (in_table(file, key) || (file == KEYS_CONFIG && in_family(desc->family, key)))
			continue;
		if (used < SHOWN_BYTES)
			snprintf(list + used, sizeof list - used, "%s%.80s", used ? ", " : "", key);
		else if (list[used - 1] != '.')
			snprintf(list + used, sizeof list - used, ", ...");
	}
	if (!*list)
		return;
	diag_warn(diag, 0, "%s has keys that bertc does not know; they have no effect: %s", path, list);
	const char *before = desc->unknown_keys, *name = strrchr(path, '/');
	desc->unknown_keys = mem_printf(
		desc->mem, "%s%s%s: %s", before ? before : "", before ? "; " : "", name ? name + 1 : path, list);
}
