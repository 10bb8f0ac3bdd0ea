/* keys.c: the keys of a JSON file against keys.def and, for config.json, against the model's family. */
#include <string.h>
#include "keys.h"

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
	UnknownKeys unknown = {""};
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value) if (!keys_know(file, key)
		&& !(file == KEYS_CONFIG && in_family(desc->family, key))) unknown_add(&unknown, key);
	desc->unknown_keys = unknown_warn(&unknown, path, desc->unknown_keys, desc->mem, diag);
}
