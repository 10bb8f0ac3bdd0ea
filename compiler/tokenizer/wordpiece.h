/* wordpiece.h: what a TokenizerDesc of the model WordPiece has for data. */
#ifndef BERTC_WORDPIECE_H
#define BERTC_WORDPIECE_H
#include <stdint.h>

typedef struct WordPiece {
	const char *prefix; /* "##" */
	int32_t max_word_chars;
} WordPiece;
#endif
