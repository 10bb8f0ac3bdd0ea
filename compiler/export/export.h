/* export.h: a loaded and changed model as files that other tools read. */
#ifndef BERTC_EXPORT_H
#define BERTC_EXPORT_H
#include <jansson.h>
#include "compiler/import/import.h"

/* emit_checkpoint.c: the model as a Hugging Face directory again, out. It is read back with the same options.
 */
bool checkpoint_emit(const Loaded *, const LoadOptions *, const char *out, Diag *);

/* tokenizer_write.c: the files of a tokenizer with new ids (loaded->renumbered), from one directory to
 * another. */
bool tokenizer_write(const Loaded *, const char *from, const char *to, Diag *);
/* The ids that config.json holds: pad_token_id and its like. */
void tokenizer_renumber_roles(const Loaded *, json_t *config);
#endif
