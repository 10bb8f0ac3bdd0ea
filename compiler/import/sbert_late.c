/* sbert_late.c: what a MultiVectorEncoder of sentence-transformers says of queries and documents: their
 * limits and query_expansion in sentence_bert_config.json, and the module MultiVectorMask. */
#include <string.h>
#include "sbert.h"
#include "compiler/support/files.h"

/* ---- sentence_bert_config.json --------------------------------------------------------------- */

/* Numbers of this file are read as reals. *out keeps its value if there is none. */
static bool read_length(const json_t *json, const char *key, int32_t *out, const char *path, Diag *diag)
{
	enum { LENGTH_MAX = 1 << 30 };
	double value = *out;
	if (!json_member_real(json, key, &value, path, diag))
		return false;
	if (json_is_number(json_object_get(json, key))
		&& (value < 1 || value > LENGTH_MAX || value != (int32_t)value))
		return diag_error_in(
			diag, EXIT_INPUT, path, 0, "%s is %g, expected a whole number from 1", key, value);
	*out = (int32_t)value;
	return true;
}

static bool is_left(const json_t *object)
{
	const char *side = json_string_value(json_object_get(object, "padding_side"));
	return side && strcmp(side, "left") == 0;
}

static bool refuse_left(const char *path, Diag *diag)
{
	return diag_error_in(
		diag, EXIT_UNSUPPORTED, path, 0, "query_expansion is not supported where padding_side is \"left\"");
}

/* Queries are filled up on the right. Tokenizers that pad on the left would do it there. */
bool sbert_check_side(ModelDesc *desc, const char *directory, Diag *diag)
{
	const char *path = mem_printf(desc->mem, "%s/tokenizer_config.json", directory);
	if (!desc->late->fill || file_is_absent(path))
		return true;
	json_t *tokenizer = json_read(path, JSON_CONFIG_BYTES_MAX, JSON_DECODE_INT_AS_REAL, diag);
	const bool good = tokenizer && (!is_left(tokenizer) || refuse_left(path, diag));
	json_decref(tokenizer);
	return good;
}

static bool read_expansion(ModelDesc *desc, const json_t *object, bool *fixed, const char *path, Diag *diag)
{
	static const char *const known[] = {"strategy", "attend", "token", "length"};
	LateDesc *late = desc->late;
	const char *key, *strategy = "", *token = NULL;
	json_t *value;
	if (!json_is_object(object))
		return diag_error_in(
			diag, EXIT_INPUT, path, 0, "query_expansion is %s, expected an object", json_kind(object));
	json_object_foreach((json_t *)(uintptr_t)object, key,
		value) if (word_index(key, known, 4) < 0) return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
		"query_expansion has \"%.80s\", which is not supported; known: strategy, attend, token, length", key);
	if (!json_member_text(object, "strategy", &strategy, path, diag)
		|| !json_member_bool(object, "attend", &late->attends, path, diag)
		|| !json_member_text(object, "token", &token, path, diag)
		|| !read_length(object, "length", &late->fill, path, diag))
		return false;
	*fixed = strcmp(strategy, "fixed") == 0;
	if (!*fixed && strcmp(strategy, "min") != 0)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"strategy \"%.80s\" of query_expansion is not supported; known: fixed, min", strategy);
	if (!late->fill)
		return diag_error_in(diag, EXIT_INPUT, path, 0, "query_expansion has no length");
	late->fill_rule = mem_printf(desc->mem, "from query_expansion of %s", strrchr(path, '/') + 1);
	if (token)
		late->token = mem_string(desc->mem, token, strlen(token));
	return !token || text_is_clean(token)
		|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"token of query_expansion: expected 1 to %d bytes without control characters", NAME_BYTES_MAX);
}

bool sbert_read_late(ModelDesc *desc, const json_t *json, const char *path, bool limited, Diag *diag)
{
	LateDesc *late = desc->late;
	int32_t query = late->limit[LATE_QUERY], document = late->limit[LATE_DOCUMENT];
	bool fixed = late->fill && late->fill == query;
	const json_t *expansion = json_object_get(json, "query_expansion");
	if (!read_length(json, "query_length", &query, path, diag)
		|| !read_length(json, "document_length", &document, path, diag))
		return false;
	if (expansion) { /* all of it counts, and nothing of PyLate's */
		late->fill = 0;
		late->attends = false;
		late->token = NULL;
	}
	if (expansion && !json_is_null(expansion) && !read_expansion(desc, expansion, &fixed, path, diag))
		return false;
	if (late->fill
		&& (is_left(json_object_get(json, "processor_kwargs"))
			|| is_left(json_object_get(json, "tokenizer_args"))))
		return refuse_left(path, diag);
	if (query && query < late->fill)
		return diag_error_in(diag, EXIT_INPUT, path, 0,
			"query_length is %d, expected at least %d, the length of query_expansion", query, late->fill);
	/* processing_kwargs.text.max_length wins over both, but not over a fixed length */
	late->limit[LATE_DOCUMENT] = limited ? 0 : document;
	late->limit[LATE_QUERY] = limited ? 0 : query;
	if (fixed && late->fill)
		late->limit[LATE_QUERY] = late->fill;
	return true;
}

/* ---- MultiVectorMask ------------------------------------------------------------------------- */

static bool read_words(SbertReader *r, const json_t *json, const char *path)
{
	const json_t *words = json_object_get(json, "skiplist_words");
	if (!words || json_is_null(words))
		return true;
	if (!json_is_array(words))
		return diag_error_in(
			r->diag, EXIT_INPUT, path, 0, "skiplist_words is %s, expected an array", json_kind(words));
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *word = json_string_value(json_array_get(words, i));
		if (!word)
			return diag_error_in(r->diag, EXIT_INPUT, path, 0, "skiplist_words has %s, expected strings",
				json_kind(json_array_get(words, i)));
		if (!description_add_skip(r->desc, word, r->diag))
			return false;
	}
	return true;
}

/* One word, or an array of words; missing: documents. Without a task, a text counts as a document. */
static bool read_tasks(SbertReader *r, const json_t *json, const char *key, const char *path, bool *is)
{
	const json_t *tasks = json_object_get(json, key);
	const bool none = !tasks || json_is_null(tasks), one = json_is_string(tasks);
	if (!none && !one && !json_is_array(tasks))
		return diag_error_in(r->diag, EXIT_INPUT, path, 0, "%s is %s, expected a word or an array of words",
			key, json_kind(tasks));
	is[LATE_DOCUMENT] = none;
	for (size_t i = 0; one ? i < 1 : i < json_array_size(tasks); i++) {
		const char *task = json_string_value(one ? tasks : json_array_get(tasks, i));
		is[LATE_QUERY] |= task && strcmp(task, "query") == 0;
		is[LATE_DOCUMENT] |= task && strcmp(task, "document") == 0;
	}
	is[LATE_PLAIN] = is[LATE_DOCUMENT];
	return true;
}

bool sbert_read_mask(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_MASK, folder, &path);
	const json_t *keep = json_object_get(json, "keep_only_token_ids");
	bool good = json && read_words(r, json, path)
		&& read_tasks(r, json, "skiplist_tasks", path, r->desc->late->skips);
	if (good && keep && !json_is_null(keep) && (!json_is_array(keep) || json_array_size(keep) > 0))
		good = diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"keep_only_token_ids is not supported; it is for documents that are images");
	json_decref(json);
	r->masked = true;
	if (good && r->desc->late->nskip)
		diag_decide(r->diag, "skipped words", "%d, from skiplist_words of %s/config.json",
			r->desc->late->nskip, folder);
	return good;
}

/* ---- HierarchicalTokenPooling ---------------------------------------------------------------- */

bool sbert_read_clusters(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_CLUSTERS, folder, &path);
	LateDesc *late = r->desc->late;
	int64_t protect = 1;
	late->factor = 1;
	bool good = json && json_member_real(json, "pool_factor", &late->factor, path, r->diag)
		&& json_member_int(json, "num_protected_tokens", 0, INT32_MAX, &protect, path, r->diag)
		&& json_member_bool(json, "normalize_embeddings", &late->unit, path, r->diag)
		&& read_tasks(r, json, "tasks", path, late->clusters);
	late->protect = (int32_t)protect;
	if (good && !(late->factor >= 1 && late->factor < 1e9))
		good = diag_error_in(
			r->diag, EXIT_INPUT, path, 0, "pool_factor is %g, expected a number from 1", late->factor);
	json_decref(json);
	r->stage = STAGE_CLUSTERS;
	if (good)
		diag_decide(
			r->diag, "clusters", "%g rows to one, from pool_factor of %s/config.json", late->factor, folder);
	return good;
}

/* ---- PyLate ---------------------------------------------------------------------------------- */

/* The prompt NAME behind the prefix that PyLate puts before texts, which it repeats or not. */
const char *sbert_prefixed(SbertReader *r, const char *name, const char *text)
{
	const int task = strcmp(name, "query") == 0 ? LATE_QUERY : LATE_DOCUMENT;
	const char *prefix = r->desc->late ? r->desc->late->prefix[task] : NULL;
	if (!prefix || (task == LATE_DOCUMENT && strcmp(name, "document") != 0))
		return text;
	const size_t bytes = strlen(prefix);
	return mem_printf(r->desc->mem, "%s%s", prefix, strncmp(text, prefix, bytes) == 0 ? text + bytes : text);
}

/* Adds the prompts of prefixes that have no prompt yet. */
bool sbert_add_prefixes(SbertReader *r)
{
	static const char *const names[] = {[LATE_QUERY] = "query", [LATE_DOCUMENT] = "document"};
	ModelDesc *desc = r->desc;
	for (int task = LATE_QUERY; desc->late && task <= LATE_DOCUMENT; task++) {
		bool known = !desc->late->prefix[task];
		for (int32_t i = 0; i < desc->nprompts; i++)
			known |= strcmp(desc->prompt[i].name, names[task]) == 0;
		if (!known && !description_add_prompt(desc, names[task], desc->late->prefix[task], r->diag))
			return false;
	}
	return true;
}

static bool read_prefix(
	SbertReader *r, const json_t *json, const char *key, const char *path, const char **prefix)
{
	const char *text = NULL;
	if (!json_member_text(json, key, &text, path, r->diag))
		return false;
	*prefix = text && *text ? mem_string(r->desc->mem, text, strlen(text)) : NULL;
	return !*prefix || text_is_clean(*prefix)
		|| diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
			"%s: expected 1 to %d bytes without control characters", key, NAME_BYTES_MAX);
}

/* What PyLate skips if it has no list; an empty list skips nothing. */
static bool skip_points(SbertReader *r)
{
	for (const char *at = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"; *at; at++)
		if (!description_add_skip(r->desc, (char[2]){*at}, r->diag))
			return false;
	return true;
}

bool sbert_read_pylate(SbertReader *r, const json_t *json, const char *path)
{
	LateDesc *late = r->desc->late;
	int64_t query = 0, document = 0;
	bool expands = true;
	late->pylate = true;
	if (!read_prefix(r, json, "query_prefix", path, &late->prefix[LATE_QUERY])
		|| !read_prefix(r, json, "document_prefix", path, &late->prefix[LATE_DOCUMENT])
		|| !json_member_int(json, "query_length", 1, 1 << 30, &query, path, r->diag)
		|| !json_member_int(json, "document_length", 1, 1 << 30, &document, path, r->diag)
		|| !json_member_bool(json, "do_query_expansion", &expands, path, r->diag)
		|| !json_member_bool(json, "attend_to_mask_tokens", &late->attends, path, r->diag)
		|| !json_member_bool(json, "attend_to_expansion_tokens", &late->attends, path, r->diag))
		return false;
	const json_t *expansion = json_object_get(json, "query_expansion");
	bool fixed = expands && !expansion;
	if (fixed) {
		late->fill = query ? (int32_t)query : 32;
		late->fill_rule = query ? "from query_length of config_sentence_transformers.json" : "by default";
	}
	if (expansion) /* the other keys do not count then */
		late->attends = false;
	if (expansion && !json_is_null(expansion) && !read_expansion(r->desc, expansion, &fixed, path, r->diag))
		return false;
	late->limit[LATE_QUERY] = fixed ? late->fill : (int32_t)query;
	late->limit[LATE_DOCUMENT] = (int32_t)document;
	return read_words(r, json, path)
		&& (json_is_array(json_object_get(json, "skiplist_words")) || skip_points(r));
}

/* PyLate masks and normalises outside of its modules. */
bool sbert_end_pylate(SbertReader *r)
{
	LateDesc *late = r->desc->late;
	if (r->masked)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"a model of PyLate with a MultiVectorMask is not supported");
	late->skips[LATE_PLAIN] = true;
	late->skips[LATE_DOCUMENT] = true;
	r->masked = true;
	return sbert_add_unit(r);
}
