/* wordlevel.h: the model WordLevel: each word is one token, or unknown. */
#ifndef RT_WORDLEVEL_H
#define RT_WORDLEVEL_H
#include "word.h"

enum { WORDLEVEL_VOCAB }; /* model_table: a trie, id */
enum { WORDLEVEL_UNK };   /* model_number */

RT_API void wordlevel_word(const RtTokenizer *t, const Word *word, Writer *w)
{
	const int32_t id = word->chars > RT_WORD_CHARS_MAX
		? -1
		: trie_value(t->model_table[WORDLEVEL_VOCAB], word->text, word->bytes);
	tokenizer_write(w, id >= 0 ? id : t->model_number[WORDLEVEL_UNK], word->start, word->end);
}
#endif
