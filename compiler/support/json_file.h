/* json_file.h: reads untrusted JSON files with jansson. Checks the type of every value before use. */
#ifndef JSON_FILE_H
#define JSON_FILE_H
#include <jansson.h>
#include "files.h"

enum { JSON_DEPTH_MAX = 64, JSON_CONFIG_BYTES_MAX = 16 << 20, JSON_WORDS_BYTES_MAX = 64 << 20 };

/* Reads a JSON object or array from a file of at most `limit` bytes, nested at most JSON_DEPTH_MAX deep,
 * without duplicate keys. flags: of json_loadb, such as JSON_DECODE_INT_AS_REAL. Free it with json_decref.
 * NULL and a message on error. */
json_t *json_read(const char *path, size_t limit, size_t flags, Diag *);

/* Read a member of an object. If it is missing or null, *out keeps its value. Another type, or a number
 * outside least..most, is an error; its message names the file `path` and the key. */
bool json_member_int(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out,
	const char *path, Diag *);
bool json_member_real(const json_t *object, const char *key, double *out, const char *path, Diag *);
bool json_member_bool(const json_t *object, const char *key, bool *out, const char *path, Diag *);
/* The same, but null is an error: transformers 4 takes it for false, whatever the default is, and
 * transformers 5 refuses it. */
bool json_member_flag(const json_t *object, const char *key, bool *out, const char *path, Diag *);
/* The object keeps ownership of the string. */
bool json_member_text(const json_t *object, const char *key, const char **out, const char *path, Diag *);
/* Writes it, indented; the file appears whole. Reals have `digits` digits: with 15, 1e-12 stays
 * 1e-12; with 17, every number stays the same. */
bool json_write(const json_t *, size_t digits, const char *path, Diag *);
/* Prints it and a newline. flags: of json_dumpf. */
void json_print(const json_t *, size_t flags);
/* "a string", "an integer", "true": for messages. */
const char *json_kind(const json_t *);
#endif
