/* json_file.c: see json_file.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "json_file.h"

/* False for JSON nested too deep, before jansson recurses over it. Counts brackets outside strings. */
static bool depth_is_sane(const char *text, size_t bytes)
{
	int depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < bytes; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return false;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return true;
}

json_t *json_read(const char *path, size_t limit, size_t flags, Diag *diag)
{
	size_t bytes;
	char *text = file_read(path, limit, &bytes, diag);
	if (!text)
		return NULL;
	json_error_t error;
	json_t *json = NULL;
	if (!depth_is_sane(text, bytes))
		diag_error_in(diag, EXIT_INPUT, path, 0, "is nested more than %d levels deep", JSON_DEPTH_MAX);
	else if (!(json = json_loadb(text, bytes, flags | JSON_REJECT_DUPLICATES, &error)))
		diag_error_in(diag, EXIT_INPUT, path, error.line > 0 ? error.line : 0, "is not JSON: %s", error.text);
	free(text);
	return json;
}

const char *json_kind(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a string";
	case JSON_INTEGER: return "an integer";
	case JSON_REAL: return "a number with a fraction";
	case JSON_TRUE: return "true";
	case JSON_FALSE: return "false";
	default: return "null";
	}
}

/* The member; NULL if it is missing or null (transformers writes null for "not set"). */
static const json_t *member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return value && !json_is_null(value) ? value : NULL;
}

static bool wrong_kind(
	const json_t *value, const char *key, const char *expected, const char *path, Diag *diag)
{
	return diag_error_in(diag, EXIT_INPUT, path, 0, "%s is %s, expected %s", key, json_kind(value), expected);
}

bool json_member_int(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out,
	const char *path, Diag *diag)
{
	const json_t *value = member(object, key);
	if (!value)
		return true;
	double real = json_number_value(value);
	bool whole = json_is_integer(value)
		|| (json_is_real(value) && real == floor(real) && fabs(real) < 0x1p53);
	if (!whole)
		return wrong_kind(value, key, "an integer", path, diag);
	int64_t found = json_is_integer(value) ? json_integer_value(value) : (int64_t)real;
	if (found < least || found > most)
		return diag_error_in(diag, EXIT_INPUT, path, 0, "%s is %jd, expected %jd to %jd", key,
			(intmax_t)found, (intmax_t)least, (intmax_t)most);
	*out = found;
	return true;
}

bool json_member_real(const json_t *object, const char *key, double *out, const char *path, Diag *diag)
{
	const json_t *value = member(object, key);
	if (value && !json_is_number(value))
		return wrong_kind(value, key, "a number", path, diag);
	if (value)
		*out = json_number_value(value);
	return true;
}

bool json_member_bool(const json_t *object, const char *key, bool *out, const char *path, Diag *diag)
{
	const json_t *value = member(object, key);
	if (value && !json_is_boolean(value))
		return wrong_kind(value, key, "true or false", path, diag);
	if (value)
		*out = json_is_true(value);
	return true;
}

bool json_member_flag(const json_t *object, const char *key, bool *out, const char *path, Diag *diag)
{
	const json_t *value = json_object_get(object, key);
	if (value && json_is_null(value))
		return diag_error_in(diag, EXIT_INPUT, path, 0,
			"%s is null, expected true or false; leave the key out for the default", key);
	return json_member_bool(object, key, out, path, diag);
}

bool json_member_text(const json_t *object, const char *key, const char **out, const char *path, Diag *diag)
{
	const json_t *value = member(object, key);
	if (value && !json_is_string(value))
		return wrong_kind(value, key, "a string", path, diag);
	if (value)
		*out = json_string_value(value);
	return true;
}

void json_print(const json_t *json, size_t flags)
{
	if (json_dumpf(json, stdout, flags) != 0)
		fputs("{}", stdout); /* jansson failed: a name is not UTF-8 */
	putchar('\n');
}

bool json_write(const json_t *json, size_t digits, const char *path, Diag *diag)
{
	AtomicFile file;
	char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(digits));
	bool good = atomic_open(&file, path, diag);
	if (good) {
		fprintf(file.stream, "%s\n", text);
		good = atomic_commit(&file, diag);
	}
	free(text);
	return good;
}
