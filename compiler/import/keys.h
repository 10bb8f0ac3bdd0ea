/* keys.h: which keys of a JSON file bertc knows (keys.def). Internal to import/. */
#ifndef BERTC_KEYS_H
#define BERTC_KEYS_H
#include "compiler/model/family.h"
#include "compiler/support/json_file.h"

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
	KEYS_DROPOUT
} KeyFile;

/* Warns about keys of the object that are neither in the table nor, for config.json, in the family. Adds them
 * to desc->unknown_keys. */
void keys_check(KeyFile, const json_t *object, ModelDesc *desc, const char *path, Diag *);
#endif
