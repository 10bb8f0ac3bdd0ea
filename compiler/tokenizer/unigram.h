/* unigram.h: the data in a TokenizerDesc of the model Unigram. */
#ifndef BERTC_UNIGRAM_H
#define BERTC_UNIGRAM_H
#include "tokenizer_import.h"

typedef struct Unigram {
	double *scores; /* by id, as the file gives them */
	bool text;      /* they come from JSON, whose numbers the library reads with an error of its own */
	bool fallback;
	int32_t unk_id;
} Unigram;
/* Sets the data from pieces and scores (count), in the order of their ids; the last of equal pieces wins. */
bool unigram_set(TokenizerImport *, const char *const *pieces, const double *scores, int32_t count,
	int64_t unk_id, bool fallback, bool text);
#endif
