/* tokenizer.h: a tokenizer's files as data. */
#ifndef BERTC_TOKENIZER_H
#define BERTC_TOKENIZER_H
#include "codegen/codegen.h"

/* tokenizer_import.c: tokenizer.json, or vocab.txt with tokenizer_config.json beside it, as data. The result
 * lives in mem. */
TokenizerDesc *tokenizer_import(
	const char *directory, const char *file, const char *const *search, MemArena *, Diag *);
#endif
