/* hf_sizes.c: the keys of config.json that describe the encoder: the family, its sizes, and keys that are
 * refused.
 */
#include <stdlib.h>
#include <string.h>
#include "compiler/support/json_file.h"
#include "hf.h"
#include "compiler/families/families.h"

/* ---- the family and its sizes ---------------------------------------------------------------- */

bool hf_read_family(HfReader *r)
{
	const char *type = NULL;
	if (!json_member_text(r->config, "model_type", &type, r->config_path, r->diag))
		return false;
	if (!type)
		return diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0,
			"has no model_type; if you know the architecture, add it, as in \"model_type\": \"bert\"");
	r->desc->family = family_find(type);
	diag_decide(r->diag, "family", "%s, from model_type of config.json", type);
	return r->desc->family
		|| diag_error_in(r->diag, EXIT_UNSUPPORTED, r->config_path, 0,
			"model_type \"%s\" is not supported; known: %s", type, family_list(r->desc->mem));
}

/* transformers reads null as None and cannot build the model. */
static bool is_null(HfReader *r, const char *key, const char *expected)
{
	const json_t *value = key ? json_object_get(r->config, key) : NULL;
	return value && json_is_null(value)
		&& !diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0,
			"%s is null, expected %s; leave the key out for the default of %s", key, expected,
			r->desc->family->model_type);
}

/* A size of fallback 0 may be null: the family then settles it in `read`.
 * If a file has both spellings, transformers uses the last one, so both must agree. */
static bool read_size(HfReader *r, Size which, int32_t least, int32_t most)
{
	const FamilySize *size = &r->desc->family->size[which];
	int64_t value = size->fallback, other;
	if ((size->fallback != 0 && is_null(r, size->key, "an integer")) || is_null(r, size->alias, "an integer"))
		return false;
	if (size->key && !json_member_int(r->config, size->key, least, most, &value, r->config_path, r->diag))
		return false;
	other = value;
	if (size->alias && !json_member_int(r->config, size->alias, least, most, &other, r->config_path, r->diag))
		return false;
	if (other != value && json_is_number(json_object_get(r->config, size->key)))
		return diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0,
			"%s is %jd and %s is %jd, but both name the same size", size->key, (intmax_t)value, size->alias,
			(intmax_t)other);
	r->desc->size[which] = (int32_t)other;
	return true;
}

static bool read_biases(HfReader *r)
{
	bool good = true;
	for (int i = 0; i < BIAS_COUNT; i++) {
		const char *key = r->desc->family->bias[i].key;
		bool biased = !r->desc->family->bias[i].none;
		if (key)
			good &= json_member_flag(r->config, key, &biased, r->config_path, r->diag);
		r->desc->unbiased[i] = !biased;
	}
	return good;
}

static bool read_head_activation(HfReader *r)
{
	const char *key = r->desc->family->head_activation.key, *word = r->desc->family->head_activation.fallback;
	if (!key)
		return true;
	if (is_null(r, key, "a string") || !json_member_text(r->config, key, &word, r->config_path, r->diag))
		return false;
	r->desc->head_activation = mem_string(r->desc->mem, word, strlen(word));
	return true;
}

/* The keys that only this family has. */
bool hf_read_more(HfReader *r)
{
	const Family *family = r->desc->family;
	return !family->read || family->read(r->desc, r->config, r->config_path, r->diag);
}

bool hf_read_sizes(HfReader *r)
{
	const Family *family = r->desc->family;
	const char *activation = family->activation.fallback;
	bool good = true, tied = !family->untied;
#define SIZE(NAME, field, least, most, about) good &= read_size(r, SIZE_##NAME, least, most);
#include "compiler/model/sizes.def"
#undef SIZE
	r->desc->eps = family->eps.fallback;
	if (family->eps.key)
		good &= !is_null(r, family->eps.key, "a number")
			&& json_member_real(r->config, family->eps.key, &r->desc->eps, r->config_path, r->diag);
	good &= !is_null(r, family->activation.key, "a string")
		&& json_member_text(r->config, family->activation.key, &activation, r->config_path, r->diag);
	good &= json_member_flag(r->config, "tie_word_embeddings", &tied, r->config_path, r->diag);
	r->desc->untied = !tied;
	good &= read_biases(r) && read_head_activation(r);
	r->desc->activation = mem_string(r->desc->mem, activation, strlen(activation));
	return good;
}

/* ---- keys that would change the answer and are not supported --------------------------------- */

/* Keys of transformers' PreTrainedConfig. */
static const FamilyRefusal refused_everywhere[] = {
	{"quantization_config", "{}", "give the float checkpoint that it was quantised from"},
	{"pruned_heads", "{}", "layers with fewer heads are not supported"},
	{NULL, NULL, NULL},
};

static bool refuse_key(HfReader *r, const FamilyRefusal *refusal)
{
	const json_t *value = json_object_get(r->config, refusal->key);
	if (!value || json_is_null(value))
		return true;
	json_t *fine = json_loads(refusal->fine, JSON_DECODE_ANY, NULL);
	const bool flags = json_is_boolean(fine) && json_is_boolean(value);
	const bool good = json_equal(value, fine);
	if (!good && !flags && json_typeof(fine) != json_typeof(value)) {
		diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0, "%s is %s, expected %s", refusal->key,
			json_kind(value), json_kind(fine));
	} else if (!good) {
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
		diag_error_in(r->diag, EXIT_UNSUPPORTED, r->config_path, 0, "%s %.80s is not supported: %s",
			refusal->key, text ? text : "", refusal->why);
		free(text);
	}
	json_decref(fine);
	return good;
}

bool hf_refuse_unsupported(HfReader *r)
{
	const FamilyRefusal *lists[] = {refused_everywhere, r->desc->family->refused};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const FamilyRefusal *refusal = lists[i]; refusal && refusal->key; refusal++)
			if (!refuse_key(r, refusal))
				return false;
	return true;
}
