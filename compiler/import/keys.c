/* keys.c: the keys of a JSON file against keys.def and, for config.json, against the model's family. */
#include <stdlib.h>
#include <string.h>
#include "keys.h"

static bool is(const char *own, const char *key) { return own && strcmp(own, key) == 0; }

static bool in_family(const Family *family, const char *key, bool sizes)
{
	bool found = is(family->activation.key, key) || is(family->head_activation.key, key)
		|| is(family->eps.key, key);
	for (int i = 0; i < SIZE_COUNT && sizes; i++)
		found |= is(family->size[i].key, key) || is(family->size[i].alias, key);
	for (int i = 0; i < BIAS_COUNT; i++)
		found |= is(family->bias[i].key, key);
	for (const FamilyRefusal *refusal = family->refused; refusal && refusal->key; refusal++)
		found |= is(refusal->key, key);
	return found;
}

/* Keys that other decisions tell of. */
static bool is_told(const char *key)
{
	static const char *const told[] = {
		"model_type", "architectures", "id2label", "num_labels", "problem_type", "max_position_embeddings"};
	return word_index(key, told, sizeof told / sizeof *told) >= 0;
}

/* The other numbers and words of config.json that count, besides the sizes, which are in the description. */
static void decide_rest(const json_t *config, ModelDesc *desc, Diag *diag)
{
	const char *key, *list = "";
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)config, key, value)
	{
		const bool counts = keys_obeys(KEYS_CONFIG, key) || in_family(desc->family, key, false);
		char *text = counts && !is_told(key)
			? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6))
			: NULL;
		if (text && !json_is_null(value) && strlen(text) < 60 && strlen(list) < 600)
			list = mem_printf(desc->mem, "%s%s%s %s", list, *list ? ", " : "", key, text);
		free(text);
	}
	if (*list)
		diag_decide(diag, "other keys", "%s, from config.json", list);
}

void keys_check(KeyFile file, const json_t *object, ModelDesc *desc, const char *path, Diag *diag)
{
	UnknownKeys unknown = {""};
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value) if (!keys_know(file, key)
		&& !(file == KEYS_CONFIG && in_family(desc->family, key, true))) unknown_add(&unknown, key);
	if (file == KEYS_CONFIG)
		decide_rest(object, desc, diag);
	desc->unknown_keys = unknown_warn(&unknown, path, desc->unknown_keys, desc->mem, diag);
}
