/* split_byte_level.h: the pre-tokenizer ByteLevel (GPT-2): cuts the text by the regular expression
 *
 *   '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * or not at all. Each byte of UTF-8 becomes a visible character. The offsets of these characters are those of
 * the character that the byte came from. */
#ifndef RT_SPLIT_BYTE_LEVEL_H
#define RT_SPLIT_BYTE_LEVEL_H
#include "word.h"

enum { BYTE_LEVEL_PREFIX, BYTE_LEVEL_REGEX };                /* split_number: add_prefix_space, use_regex */
enum { RT_BYTE_LEVEL_LETTER = 2, RT_BYTE_LEVEL_NUMBER = 3 }; /* classes beside RT_OTHER and RT_SPACE */

/* The character of a byte: itself if it is visible, else one from U+0100 on. */
RT_INLINE uint32_t byte_level_code(uint32_t byte)
{
	if (byte <= ' ')
		return 0x100 + byte;
	if (byte < 0x7F || (byte > 0xA0 && byte != 0xAD))
		return byte;
	return byte == 0xAD ? 0x143 : 0x121 + byte - 0x7F;
}

/* A scan over the characters of a piece: ch is the next one, `at` the cursor before it. */
typedef struct ByteScan {
	Cursor *c, at;
	int32_t to;
	int has, prefix; /* prefix: ch is an added space that is not in the text; the first character follows */
	Char ch;
} ByteScan;

RT_INLINE void byte_scan_next(const RtTokenizer *t, ByteScan *s)
{
	cursor_copy(&s->at, s->c);
	s->has = s->c->index < s->to && cursor_next(t, s->c, &s->ch);
}

/* Skips ch. */
RT_INLINE void byte_scan_pass(const RtTokenizer *t, ByteScan *s)
{
	if (s->prefix)
		*s->c = s->at;
	s->prefix = 0;
	byte_scan_next(t, s);
}

RT_INLINE void byte_level_add(Word *word, const Char *ch)
{
	unsigned char bytes[4];
	const int32_t n = cursor_encode(ch->code, bytes);
	Char one = *ch;
	for (int32_t i = 0; i < n; i++) {
		one.code = byte_level_code(bytes[i]);
		word_add(word, &one);
	}
}

/* Adds ch to the word. */
RT_INLINE void byte_scan_take(const RtTokenizer *t, ByteScan *s, Word *word)
{
	if (word->chars == 0) {
		cursor_copy(&word->from.at, &s->at);
		word->from.prefix = s->prefix;
	}
	byte_level_add(word, &s->ch);
	byte_scan_pass(t, s);
}

RT_FN void byte_level_next(const RtTokenizer *t, WordReader *r, Char *ch)
{
	if (r->given == r->queued) {
		const Cursor before = r->at;
		(void)cursor_next(t, &r->at, &r->whole);
		if (r->prefix) {
			r->at = before;
			r->whole.code = ' ';
		}
		r->given = 0;
		r->prefix = 0;
		r->queued = cursor_encode(r->whole.code, r->queue);
	}
	*ch = r->whole;
	ch->code = byte_level_code(r->queue[r->given++]);
}

/* The length of the contraction that begins at ch, an apostrophe; 0: none. */
RT_FN int32_t byte_level_contraction(const RtTokenizer *t, const ByteScan *s)
{
	Cursor c = *s->c;
	uint32_t code[2] = {0, 0};
	Char ch;
	for (int i = 0; i < 2 && c.index < s->to && cursor_next(t, &c, &ch); i++)
		code[i] = ch.code;
	if (code[0] == 's' || code[0] == 'd' || code[0] == 'm' || code[0] == 't')
		return 2;
	if ((code[0] == 'l' && code[1] == 'l') || (code[1] == 'e' && (code[0] == 'v' || code[0] == 'r')))
		return 3;
	return 0;
}

/* How many white-space characters from ch on form a word: all of them at the end of the piece, else all
 * except the last, which joins the next word if it is a space. 0: there is only that last one. */
RT_FN int32_t byte_level_spaces(const RtTokenizer *t, const ByteScan *s)
{
	Cursor c = *s->c;
	ByteScan ahead = *s;
	int32_t n = 0;
	ahead.c = &c;
	for (; ahead.has && ahead.ch.class == RT_SPACE; n++)
		byte_scan_pass(t, &ahead);
	return ahead.has ? n - 1 : n;
}

/* Reads the next match of the regular expression, which begins at ch. */
RT_FN void byte_level_match(const RtTokenizer *t, ByteScan *s, Word *word)
{
	int32_t n = s->ch.code == '\'' ? byte_level_contraction(t, s) : 0;
	if (s->ch.class == RT_SPACE) {
		n = byte_level_spaces(t, s);
		if (n == 0 && s->ch.code != ' ')
			n = 1;
		else if (n == 0)
			byte_scan_take(t, s, word);
	}
	for (int32_t i = 0; i < n; i++)
		byte_scan_take(t, s, word);
	const int32_t class = s->ch.class;
	while (n == 0 && s->has && s->ch.class == class)
		byte_scan_take(t, s, word);
}

RT_API void split_byte_level(const RtTokenizer *t, Cursor *c, int32_t to, Writer *w)
{
	Word word;
	ByteScan s = {.c = c, .to = to};
	word.bytes = 0;
	word.chars = 0;
	word.from = (WordReader){.next = byte_level_next};
	byte_scan_next(t, &s);
	if (s.has && t->split_number[BYTE_LEVEL_PREFIX] && s.ch.code != ' ') {
		s.prefix = 1;
		s.ch.code = ' ';
		s.ch.class = RT_SPACE;
	}
	while (s.has) {
		if (t->split_number[BYTE_LEVEL_REGEX])
			byte_level_match(t, &s, &word);
		while (s.has && !t->split_number[BYTE_LEVEL_REGEX])
			byte_scan_take(t, &s, &word);
		word_end(t, &word, w);
	}
}
#endif
