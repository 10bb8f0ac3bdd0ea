/* split_metaspace.h: the pre-tokenizer Metaspace: a visible character stands for a space, and begins each
 * word. Optionally WhitespaceSplit before it: white space separates words and is dropped. */
#ifndef RT_SPLIT_METASPACE_H
#define RT_SPLIT_METASPACE_H
#include "word.h"

enum {
	METASPACE_CODE,
	METASPACE_SCHEME,
	METASPACE_SPLIT,
	METASPACE_DROP
}; /* split_number; DROP: WhitespaceSplit */
enum { METASPACE_ALWAYS, METASPACE_FIRST, METASPACE_NEVER };

RT_FN void metaspace_next(const RtTokenizer *t, WordReader *r, Char *ch)
{
	if (r->prefix) { /* lies where the next character lies */
		Cursor ahead = r->at;
		(void)cursor_next(t, &ahead, ch);
		ch->code = (uint32_t)t->split_number[METASPACE_CODE];
		r->prefix = 0;
		return;
	}
	(void)cursor_next(t, &r->at, ch);
	if (ch->code == ' ')
		ch->code = (uint32_t)t->split_number[METASPACE_CODE];
}

/* Whether the first word of a piece, which begins with ch, gets the visible character. */
RT_INLINE int metaspace_prepends(const RtTokenizer *t, const Char *ch)
{
	const int32_t scheme = t->split_number[METASPACE_SCHEME];
	return ch->code != (uint32_t)t->split_number[METASPACE_CODE]
		&& (scheme == METASPACE_ALWAYS || (scheme == METASPACE_FIRST && ch->start == 0));
}

RT_API void split_metaspace(const RtTokenizer *t, Cursor *c, int32_t to, Writer *w)
{
	const uint32_t space = (uint32_t)t->split_number[METASPACE_CODE];
	const int drops = t->split_number[METASPACE_DROP], splits = t->split_number[METASPACE_SPLIT];
	int fresh = 1;
	Cursor before = *c;
	Word word;
	Char ch;
	word.bytes = 0;
	word.chars = 0;
	word.from = (WordReader){.next = metaspace_next};
	while (c->index < to) {
		cursor_copy(&before, c);
		if (!cursor_next(t, c, &ch))
			break;
		if (drops && ch.class == RT_SPACE) {
			word_end(t, &word, w);
			fresh = 1;
			continue;
		}
		ch.code = ch.code == ' ' ? space : ch.code;
		if (splits && ch.code == space)
			word_end(t, &word, w);
		if (word.chars == 0) {
			cursor_copy(&word.from.at, &before);
			word.from.prefix = fresh && metaspace_prepends(t, &ch);
		}
		if (word.chars == 0 && word.from.prefix) {
			const Char prefix = {space, 0, ch.start, ch.end};
			word_add(&word, &prefix);
		}
		fresh = 0;
		word_add(&word, &ch);
	}
	word_end(t, &word, w);
}
#endif
