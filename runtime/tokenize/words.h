/* words.h: the model of sentence-transformers' WhitespaceTokenizer: a word is looked up as it is, then
 * without punctuation at its ends, then in lower case too. A word that is not found then, or is a stop word,
 * gives no token. */
#ifndef RT_WORDS_H
#define RT_WORDS_H
#include "word.h"

enum { WORDS_VOCAB, WORDS_PAIRS }; /* model_table: a trie, id + 1, or 0 for a stop word; lower case */
enum {
	WORDS_NPAIRS,
	WORDS_LOWER
}; /* model_number: pairs of a code point and its lower case, sorted;
	* whether texts are lowered first */
enum { WORDS_BYTES = 6 * RT_WORD_CHARS_MAX }; /* lower case takes at most 3 bytes for 2 */

/* The lower case of a code point; 0: it has none. */
RT_INLINE uint32_t words_pair(const RtTokenizer *t, uint32_t code)
{
	const uint32_t *pairs = t->model_table[WORDS_PAIRS];
	int32_t low = 0, high = t->model_number[WORDS_NPAIRS];
	while (low < high) {
		const int32_t middle = low + (high - low) / 2;
		if (pairs[2 * middle] < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->model_number[WORDS_NPAIRS] && pairs[2 * low] == code ? pairs[2 * low + 1] : 0;
}

RT_INLINE int words_cased(const RtTokenizer *t, uint32_t code)
{
	const uint32_t *pairs = t->model_table[WORDS_PAIRS];
	int cased = words_pair(t, code) > 0;
	for (int32_t i = 0; i < t->model_number[WORDS_NPAIRS] && !cased; i++)
		cased = pairs[2 * i + 1] == code;
	return cased;
}

/* Whether a cased character comes next, after any that Unicode calls case-ignorable (of these: ASCII,
 * Latin-1, quotation marks, modifier letters and combining marks of Latin and Greek). step: 1 or -1
 * character. */
RT_INLINE int words_meets_cased(
	const RtTokenizer *t, const unsigned char *text, int32_t bytes, int32_t at, int32_t step)
{
	int32_t length;
	while (at >= 0 && at < bytes) {
		while (at > 0 && (text[at] & 0xC0) == 0x80)
			at--;
		const uint32_t code = cursor_decode(text, at, bytes, &length);
		if (words_cased(t, code))
			return 1;
		const int ignored = code == '\'' || code == '.' || code == ':' || code == '^' || code == '`'
			|| code == 0xA8 || code == 0xAD || code == 0xAF || code == 0xB4 || code == 0xB7 || code == 0xB8
			|| code == 0x2018 || code == 0x2019 || (code >= 0x2B0 && code <= 0x36F);
		if (!ignored)
			return 0;
		at = step > 0 ? at + length : at - 1;
	}
	return 0;
}

/* str.lower() of Python: U+0130 has two characters, a sigma at the end of a word is U+03C2. Returns the
 * bytes of `to`. */
RT_INLINE int32_t words_lower(
	const RtTokenizer *t, const unsigned char *from, int32_t bytes, unsigned char to[WORDS_BYTES])
{
	int32_t length, n = 0;
	for (int32_t at = 0; at < bytes; at += length) {
		uint32_t code = cursor_decode(from, at, bytes, &length);
		const uint32_t lower = words_pair(t, code);
		const int final = code == 0x3A3 && words_meets_cased(t, from, bytes, at - 1, -1)
			&& !words_meets_cased(t, from, bytes, at + length, 1);
		if (final)
			code = 0x3C2;
		else
			code = lower ? lower : code;
		n += cursor_encode(code, to + n);
		if (lower == 'i' && length == 2)
			n += cursor_encode(0x307, to + n);
	}
	return n;
}

RT_INLINE int words_is_punctuation(unsigned char c)
{
	return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`')
		|| (c >= '{' && c <= '~');
}

/* Whether the text is known; writes its token, if it has one. */
RT_INLINE int words_find(
	const RtTokenizer *t, const Word *word, const unsigned char *text, int32_t bytes, Writer *w)
{
	const int32_t value = trie_value(t->model_table[WORDS_VOCAB], text, bytes);
	if (value > 0)
		tokenizer_write(w, value - 1, word->start, word->end);
	return value >= 0;
}

RT_API void words_word(const RtTokenizer *t, const Word *word, Writer *w)
{
	unsigned char lower[WORDS_BYTES];
	const unsigned char *text = word->text;
	int32_t bytes = word->bytes;
	if (word->chars > RT_WORD_CHARS_MAX)
		return;
	if (t->model_number[WORDS_LOWER]) {
		bytes = words_lower(t, text, bytes, lower);
		text = lower;
	}
	if (words_find(t, word, text, bytes, w))
		return;
	for (; bytes > 0 && words_is_punctuation(*text); bytes--)
		text++;
	while (bytes > 0 && words_is_punctuation(text[bytes - 1]))
		bytes--;
	if (words_find(t, word, text, bytes, w) || t->model_number[WORDS_LOWER])
		return;
	bytes = words_lower(t, text, bytes, lower);
	(void)words_find(t, word, lower, bytes, w);
}
#endif
