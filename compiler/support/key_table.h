/* key_table.h: which keys of a model's JSON files bertc knows (keys.def), and what it says about others. */
#ifndef BERTC_KEY_TABLE_H
#define BERTC_KEY_TABLE_H
#include "json_file.h"

typedef enum KeyFile {
	KEYS_CONFIG,
	KEYS_MODULES,
	KEYS_SETTINGS,
	KEYS_ENCODER,
	KEYS_POOLING,
	KEYS_LAYERS,
	KEYS_DENSE,
	KEYS_NORM,
	KEYS_UNIT,
	KEYS_DROPOUT,
	KEYS_MASK,
	KEYS_CLUSTERS,
	KEYS_ROUTER,
	KEYS_ROUTES,
	KEYS_SPLADE,
	KEYS_AUTOENCODER,
	KEYS_WORDS,
	KEYS_OTHER,
	KEYS_TOKENIZER,
	KEYS_TOKENIZER_CONFIG,
	KEYS_SPECIAL,
	KEYS_TOKEN
} KeyFile;

/* Keys of one file that are not in the table, as "a, b, ...". */
enum { UNKNOWN_BYTES = 400 };
typedef struct UnknownKeys {
	char list[UNKNOWN_BYTES];
} UnknownKeys;

bool keys_know(KeyFile, const char *key);
/* Whether it changes the program. */
bool keys_obeys(KeyFile, const char *key);
/* Adds a key, once. Its name comes from a file: at most 80 bytes of it are kept. */
void unknown_add(UnknownKeys *, const char *key);
/* Warns about them, if there are any. Returns the texts "FILE: a, b" of all files for --about: `before`
 * (NULL: none yet) and this one. */
const char *unknown_warn(const UnknownKeys *, const char *path, const char *before, MemArena *, Diag *);
#endif
