/* tokenizer.h: reads a tokenizer's files. */
#ifndef BERTC_TOKENIZER_H
#define BERTC_TOKENIZER_H
#include "codegen/codegen.h"
#include "compiler/support/json_file.h"

/* How the files of a tokenizer are read: as transformers 4.57 and the tokenizers library do; as transformers
 * 5.24 does; or tokenizer.json alone, without special tokens around texts, as StaticEmbedding does; or as the
 * first, without special tokens. */
typedef enum TokenizerReading {
	TOKENIZER_FILES,
	TOKENIZER_FIVE,
	TOKENIZER_ALONE,
	TOKENIZER_PLAIN
} TokenizerReading;
/* tokenizer_import.c: reads a tokenizer from tokenizer.json, or from the main file of an older form
 * ("vocab.txt") with tokenizer_config.json beside it. The result lives in mem. */
TokenizerDesc *tokenizer_import(
	const char *directory, const char *file, const char *const *search, TokenizerReading, MemArena *, Diag *);
/* normalizers.c: lowers texts before all other steps, if the tokenizer does not lower them itself. False: it
 * has too many steps already. */
bool tokenizer_lower(TokenizerDesc *);
/* config_tokens.c: makes the text, or else its first word, one token wherever it stands, if the vocabulary
 * has it. As sentence-transformers does for prefixes that a model saw as single tokens. */
void tokenizer_mark(TokenizerDesc *, const char *text, MemArena *);
/* The main file of the tokenizer in a directory: tokenizer.json, else that of an older form; NULL: none. */
const char *tokenizer_file(const char *directory, MemArena *);
/* The key of tokenizer_config.json that limits the tokens of a text: model_max_length or, without it, its
 * older name. */
const char *import_limit_key(const json_t *config);
/* words.c: str.lower() of Python. */
typedef struct LowerCase LowerCase;
LowerCase *lower_new(MemArena *);
char *lower_text(const LowerCase *, const char *text, MemArena *);
/* tokenizer_equal.c: true if two tokenizers give the same ids for every text: all data except max_length must
 * be equal. Two NULLs are equal. */
bool tokenizer_equal(const TokenizerDesc *, const TokenizerDesc *);
#endif
