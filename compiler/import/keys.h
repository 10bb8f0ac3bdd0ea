/* keys.h: the keys of a JSON file that bertc knows, those of a family among them. Internal to import/. */
#ifndef BERTC_KEYS_H
#define BERTC_KEYS_H
#include "compiler/model/family.h"
#include "compiler/support/key_table.h"

/* Warns about keys of the object that are neither in the table nor, for config.json, in the family. Adds them
 * to desc->unknown_keys. */
void keys_check(KeyFile, const json_t *object, ModelDesc *desc, const char *path, Diag *);
#endif
