/* word.h: shared by the frame, the pre-tokenizers and the models: the word that a pre-tokenizer collects for
 * the model, the writer of tokens, and a step in a trie. */
#ifndef RT_WORD_H
#define RT_WORD_H
#include "cursor.h"

enum { RT_WORD_CHARS_MAX = 1024 };

/* Leaves out the first `skip` tokens, writes the next `limit` (ids NULL: none) and counts all. */
struct Writer {
	const char *text;
	int32_t *ids, *starts, *ends, *words;
	int32_t limit, count, word, skip;
	int32_t written_end; /* end of the last written token */
	int32_t
		next; /* start of the first token that was cut off, at or after written_end; -1: all were written */
};

/* Reads the characters of a word again, as the pre-tokenizer made them. */
typedef struct WordReader WordReader;
typedef void WordNextFn(const RtTokenizer *, WordReader *, Char *);
struct WordReader {
	WordNextFn *next;
	Cursor at;
	int32_t left; /* unread characters */
	/* for the pre-tokenizer: */
	int32_t prefix, queued, given;
	unsigned char queue[4];
	Char whole;
};

/* A word: its first RT_WORD_CHARS_MAX characters, normalised, with their places in the text. */
struct Word {
	int32_t chars; /* number of all its characters */
	int32_t bytes, start, end;
	int32_t starts[RT_WORD_CHARS_MAX],
		ends[RT_WORD_CHARS_MAX];     /* bytes in the text that each character came from */
	int32_t last[RT_WORD_CHARS_MAX]; /* bytes of `text` up to the end of each character */
	unsigned char text[4 * RT_WORD_CHARS_MAX];
	WordReader from; /* at the first character; left is not set */
};

/* The unit that a byte leads to; 0: none. */
RT_INLINE uint32_t trie_step(const uint32_t *trie, uint32_t unit, uint32_t byte)
{
	uint32_t child = trie[(unit >> 9) ^ byte];
	return byte > 0 && (child & 0xFF) == byte ? child : 0;
}

/* The value of a text; -1: it is not in the trie. */
RT_INLINE int32_t trie_value(const uint32_t *trie, const unsigned char *text, int32_t bytes)
{
	uint32_t unit = trie[0];
	for (int32_t i = 0; i < bytes; i++)
		if ((unit = trie_step(trie, unit, text[i])) == 0)
			return -1;
	return unit & 0x100 ? (int32_t)(trie[unit >> 9] >> 8) : -1;
}

RT_INLINE void tokenizer_write(Writer *w, int32_t id, int32_t start, int32_t end)
{
	const int32_t at = w->count - w->skip;
	if (at >= 0 && at < w->limit) {
		if (w->ids)
			w->ids[at] = id;
		if (w->starts)
			w->starts[at] = start;
		if (w->ends)
			w->ends[at] = end;
		if (w->words)
			w->words[at] = w->word;
		w->written_end = end;
	} else if (at >= 0 && w->next < 0) {
		w->next = start > w->written_end ? start : w->written_end;
	}
	w->count++;
}

RT_INLINE void word_add(Word *word, const Char *ch)
{
	if (word->chars == 0)
		word->start = ch->start;
	word->end = ch->end;
	if (word->chars++ >= RT_WORD_CHARS_MAX)
		return;
	word->bytes += cursor_encode(ch->code, word->text + word->bytes);
	word->starts[word->chars - 1] = ch->start;
	word->ends[word->chars - 1] = ch->end;
	word->last[word->chars - 1] = word->bytes;
}

/* Ends the word: writes its tokens and begins the next word. */
RT_INLINE void word_end(const RtTokenizer *t, Word *word, Writer *w)
{
	if (word->chars > 0) {
		t->word(t, word, w);
		w->word++;
	}
	word->bytes = 0;
	word->chars = 0;
}
#endif
