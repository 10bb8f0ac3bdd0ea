/* split_bert.h: the pre-tokenizer BertPreTokenizer: white space separates words and is dropped; each
 * punctuation mark is a word. */
#ifndef RT_SPLIT_BERT_H
#define RT_SPLIT_BERT_H
#include "word.h"

enum { RT_BERT_PUNCTUATION = 2 }; /* its class of characters, beside RT_OTHER and RT_SPACE */

RT_FN void split_bert_next(const RtTokenizer *t, WordReader *r, Char *ch)
{
	(void)cursor_next(t, &r->at, ch);
}

RT_API void split_bert(const RtTokenizer *t, Cursor *c, int32_t to, Writer *w)
{
	Word word;
	Char ch;
	word.bytes = 0;
	word.chars = 0;
	word.from.next = split_bert_next;
	for (;;) {
		if (word.chars == 0)
			word.from.at = *c;
		if (c->index >= to || !cursor_next(t, c, &ch))
			break;
		if (ch.class != RT_OTHER) /* nobody reads a word of one character again */
			word_end(t, &word, w);
		if (ch.class == RT_SPACE)
			continue;
		word_add(&word, &ch);
		if (ch.class == RT_BERT_PUNCTUATION)
			word_end(t, &word, w);
	}
	word_end(t, &word, w);
}
#endif
