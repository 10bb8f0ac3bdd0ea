/* split_plain.h: no pre-tokenizer: the whole text is one word. After cuts (cuts.h), each piece is one word.
 */
#ifndef RT_SPLIT_PLAIN_H
#define RT_SPLIT_PLAIN_H
#include "word.h"

RT_FN void plain_next(const RtTokenizer *t, WordReader *r, Char *ch) { (void)cursor_next(t, &r->at, ch); }

RT_API void split_plain(const RtTokenizer *t, Cursor *c, int32_t to, Writer *w)
{
	Word word;
	Char ch;
	word.bytes = 0;
	word.chars = 0;
	word.from = (WordReader){.next = plain_next, .at = *c};
	while (c->index < to && cursor_next(t, c, &ch))
		word_add(&word, &ch);
	word_end(t, &word, w);
}
#endif
