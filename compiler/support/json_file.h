/* json_file.h: JSON files of strangers, through jansson, with the type of every value checked before use. */
#ifndef JSON_FILE_H
#define JSON_FILE_H
#include <jansson.h>
#include "files.h"

enum { JSON_DEPTH_MAX = 64, JSON_CONFIG_BYTES_MAX = 16 << 20 };

/* A JSON object or array from a file of at most `limit` bytes nested at most JSON_DEPTH_MAX deep, without
 * duplicate keys. flags: those of json_loadb, e.g. JSON_DECODE_INT_AS_REAL. NULL and a message on error;
 * json_decref frees it. */
json_t *json_read(const char *path, size_t limit, size_t flags, Diag *);

/* A member of an object whose type must fit. Missing and null leave *out as it is and return true; another
 * type, or a number outside least..most, is an error that names file and key. `path` is only for messages. */
bool json_member_int(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out,
	const char *path, Diag *);
bool json_member_real(const json_t *object, const char *key, double *out, const char *path, Diag *);
bool json_member_bool(const json_t *object, const char *key, bool *out, const char *path, Diag *);
/* The string stays jansson's. */
bool json_member_text(const json_t *object, const char *key, const char **out, const char *path, Diag *);
/* Writes it, indented, by rename. Reals have 15 digits, so that 1e-12 stays 1e-12. */
bool json_write(const json_t *, const char *path, Diag *);
/* Prints it, and a line end. flags: how, as jansson has them. */
void json_print(const json_t *, size_t flags);
/* "a string", "true", "the number 3": for messages. */
const char *json_kind(const json_t *);
#endif
