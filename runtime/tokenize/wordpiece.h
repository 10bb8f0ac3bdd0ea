/* wordpiece.h: the model WordPiece (Wu et al. 2016; as in BERT): takes the longest piece in the vocabulary,
 * from left to right. In the vocabulary, pieces after the first have a prefix. A word that is too long, or of
 * which a part matches no piece, is one unknown token. */
#ifndef RT_WORDPIECE_H
#define RT_WORDPIECE_H
#include "word.h"

enum { WORDPIECE_VOCAB }; /* model_table: a trie, id */
enum {                    /* model_number: */
	WORDPIECE_UNK,        /* id of the unknown token */
	WORDPIECE_CHARS,      /* a longer word is unknown */
	WORDPIECE_INSIDE,     /* unit of the trie for pieces after the first; -1: there are none */
};

/* The longest piece that begins at character `from`; sets *to to the character after it. -1: none.
 */
RT_INLINE int32_t wordpiece_longest(
	const RtTokenizer *t, const Word *word, int32_t from, int32_t chars, int32_t *to)
{
	const uint32_t *vocab = t->model_table[WORDPIECE_VOCAB];
	uint32_t unit = vocab[from > 0 ? t->model_number[WORDPIECE_INSIDE] : 0];
	int32_t at = from > 0 ? word->last[from - 1] : 0, id = -1;
	for (int32_t i = from; i < chars; i++) {
		while (at < word->last[i] && (unit = trie_step(vocab, unit, word->text[at])) > 0)
			at++;
		if (at < word->last[i])
			break;
		if (unit & 0x100) {
			id = (int32_t)(vocab[unit >> 9] >> 8);
			*to = i + 1;
		}
	}
	return id;
}

RT_API void wordpiece_word(const RtTokenizer *t, const Word *word, Writer *w)
{
	int32_t ids[RT_WORD_CHARS_MAX], to[RT_WORD_CHARS_MAX]; /* of each piece; to: the character after it */
	int32_t pieces = 0, chars = word->chars <= t->model_number[WORDPIECE_CHARS] ? word->chars : 0;
	for (int32_t from = 0; from < chars; from = to[pieces - 1]) {
		if (from > 0 && t->model_number[WORDPIECE_INSIDE] < 0)
			break;
		ids[pieces] = wordpiece_longest(t, word, from, chars, &to[pieces]);
		if (ids[pieces] < 0)
			break;
		pieces++;
	}
	if (pieces == 0 || to[pieces - 1] < chars) {
		tokenizer_write(w, t->model_number[WORDPIECE_UNK], word->start, word->end);
		return;
	}
	for (int32_t i = 0, from = 0; i < pieces; from = to[i++])
		tokenizer_write(w, ids[i], word->starts[from], word->ends[to[i] - 1]);
}
#endif
