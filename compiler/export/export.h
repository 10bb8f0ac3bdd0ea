/* export.h: writes a loaded and changed model as files that other tools read. */
#ifndef BERTC_EXPORT_H
#define BERTC_EXPORT_H
#include <jansson.h>
#include "compiler/import/import.h"

/* emit_checkpoint.c: writes the model as the Hugging Face directory `out`. Reads it back with the same load
 * options and compares. */
bool checkpoint_emit(const Loaded *, const LoadOptions *, const char *out, Diag *);

/* tokenizer_write.c: copies a tokenizer's files from one directory to another, with new ids
 * (loaded->renumbered). */
bool tokenizer_write(const Loaded *, const char *from, const char *to, Diag *);
/* Renumbers the ids in config.json: pad_token_id, bos_token_id and so on. */
void tokenizer_renumber_roles(const Loaded *, json_t *config);
#endif
