/* tokenizer.h: a tokenizer's files as data. */
#ifndef BERTC_TOKENIZER_H
#define BERTC_TOKENIZER_H
#include "codegen/codegen.h"

/* tokenizer_import.c: a tokenizer's files as data: tokenizer.json, or the main file of an older form
 * ("vocab.txt") with tokenizer_config.json beside it. The result lives in mem. */
TokenizerDesc *tokenizer_import(
	const char *directory, const char *file, const char *const *search, MemArena *, Diag *);
/* The main file of the tokenizer in a directory, tokenizer.json before older forms; NULL: there is none. */
const char *tokenizer_file(const char *directory, MemArena *);
/* tokenizer_equal.c: true when two tokenizers give the same ids for every text: all data except max_length
 * must be equal. Two NULLs are equal. */
bool tokenizer_equal(const TokenizerDesc *, const TokenizerDesc *);
#endif
