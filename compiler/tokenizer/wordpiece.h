/* wordpiece.h: the data in a TokenizerDesc of the model WordPiece. */
#ifndef BERTC_WORDPIECE_H
#define BERTC_WORDPIECE_H
#include <stdint.h>

typedef struct WordPiece {
	const char *prefix; /* "##" */
	int32_t max_word_chars;
} WordPiece;
#endif
