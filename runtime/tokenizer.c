/* tokenizer.c: text to token ids, exactly as the `tokenizers` library does it for WordPiece with BertNormalizer and
 * BertPreTokenizer. Nothing is allocated and no copy of the text is made: a Cursor gives the text's characters one by one,
 * normalised, with the bytes each came from, and a copy of a cursor is a place to come back to.
 *
 *   text --added tokens found in it as it is--> pieces --normalised; added tokens found in that--> pieces --> words --> ids
 *
 * What becomes of each code point was worked out by codegen/unicode_tables.c; the templates of special tokens come from the
 * tokenizer's files. Time is linear in the text: a word longer than word_chars is one token without a search, and a search
 * for an added token reads at most as far as the longest one. Invalid UTF-8 counts as U+FFFD. */
#include "tokenizer.h"

/* ---- characters ------------------------------------------------------------------------------------------------------- */
typedef struct Char { uint32_t code; int32_t class, start, end; } Char;   /* start, end: bytes of the text it came from */

/* A run of marks in canonical order: sorted by combining class, stable. The run can be as long as the text, so it is read
 * anew for every class that keeps a mark. rank counts the source characters whose own first mark was already passed in
 * the new order: the library gives the r-th such mark the place of the r-th source, whatever moved where. */
typedef struct Run { int32_t from, to, class, at, entry, rank, place, place_rank; } Run;

typedef struct Cursor {
	const unsigned char *text;
	int32_t raw;              /* give code points as they are */
	int32_t begin, at, end;   /* where it began; bytes still to be read */
	int32_t index;            /* characters given so far */
	int32_t head;             /* where the last character with a starter began: a run hangs on it */
	int32_t start, stop;      /* bytes of the queued characters */
	int32_t queued, next;
	uint32_t queue[4];        /* code point in bits 0-20, class in 21-22, as entries of the lists */
	Run run;                  /* class 0: not in a run */
} Cursor;

/* Decodes one character of text[at, end), U+FFFD for a maximal subpart of an ill-formed sequence as Unicode and Python
 * have it; *length receives its bytes, at least one. */
RT_INLINE uint32_t tokenizer_decode(const unsigned char *text, int32_t at, int32_t end, int32_t *length)
{
	const unsigned char *s = text + at;
	int32_t left = end - at, more;
	uint32_t code = s[0];
	unsigned char low = 0x80, high = 0xBF;   /* bounds of the second byte: no overlong forms, no surrogates, nothing past U+10FFFF */
	*length = 1;
	if (code < 0x80)
		return code;
	if (code >= 0xC2 && code <= 0xDF) {
		more = 1;
		code &= 0x1F;
	} else if (code >= 0xE0 && code <= 0xEF) {
		more = 2;
		low = code == 0xE0 ? 0xA0 : low;
		high = code == 0xED ? 0x9F : high;
		code &= 0x0F;
	} else if (code >= 0xF0 && code <= 0xF4) {
		more = 3;
		low = code == 0xF0 ? 0x90 : low;
		high = code == 0xF4 ? 0x8F : high;
		code &= 0x07;
	} else {
		return 0xFFFD;
	}
	for (int32_t i = 1; i <= more; i++) {
		if (i >= left || s[i] < low || s[i] > high)
			return 0xFFFD;
		code = code << 6 | (s[i] & 0x3F);
		*length = i + 1;
		low = 0x80;
		high = 0xBF;
	}
	return code;
}

RT_INLINE int32_t tokenizer_encode(uint32_t code, unsigned char bytes[4])
{
	if (code < 0x80) {
		bytes[0] = (unsigned char)code;
		return 1;
	}
	if (code < 0x800) {
		bytes[0] = (unsigned char)(0xC0 | code >> 6);
		bytes[1] = (unsigned char)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		bytes[0] = (unsigned char)(0xE0 | code >> 12);
		bytes[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
		bytes[2] = (unsigned char)(0x80 | (code & 0x3F));
		return 3;
	}
	bytes[0] = (unsigned char)(0xF0 | code >> 18);
	bytes[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
	bytes[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
	bytes[3] = (unsigned char)(0x80 | (code & 0x3F));
	return 4;
}

RT_INLINE const RtRecord *tokenizer_record(const RtTokenizer *t, uint32_t code)
{
	uint32_t cell = (uint32_t)t->blocks[code >> RT_BLOCK_BITS] << RT_BLOCK_BITS | (code & ((1u << RT_BLOCK_BITS) - 1));
	return &t->records[t->cells[cell]];
}

RT_FN Cursor tokenizer_cursor(const char *text, int32_t from, int32_t to, int32_t raw)
{
	Cursor c = {.text = (const unsigned char *)text, .raw = raw, .begin = from, .at = from, .end = to, .head = -1};
	return c;
}

/* ---- canonical ordering ------------------------------------------------------------------------------------------------- */
/* Entries of the source character at byte `at`: their number; *first receives the first. 0: it has none that could be in a run. */
RT_FN int32_t tokenizer_marks(const RtTokenizer *t, const Cursor *c, int32_t at, const uint32_t **first, int32_t *length, int *gone)
{
	const RtRecord *r = tokenizer_record(t, tokenizer_decode(c->text, at, c->end, length));
	*gone = (r->bits & RT_KIND) == RT_GONE;
	if ((r->bits & RT_KIND) != RT_LIST)
		return 0;
	*first = t->lists + r->value;
	return (int32_t)(r->bits >> RT_COUNT_SHIFT);
}

/* Puts the run on its next class that keeps a mark, and rank on the marks before it; 0: there is none. */
RT_FN int tokenizer_run_class(const RtTokenizer *t, Cursor *c)
{
	const uint32_t *entries = NULL;
	int32_t length, best = 256, rank = 0;
	int gone;
	for (int32_t at = c->run.from; at < c->run.to; at += length) {
		int32_t n = tokenizer_marks(t, c, at, &entries, &length, &gone);
		for (int32_t i = 0; i < n; i++) {
			int32_t class = (int32_t)(entries[i] >> 24);
			if (class > c->run.class && class < best && !(entries[i] & RT_REMOVED))
				best = class;
		}
	}
	if (best == 256)
		return 0;
	for (int32_t at = c->run.from; at < c->run.to; at += length)
		if (tokenizer_marks(t, c, at, &entries, &length, &gone) > 0)
			rank += entries[0] >> 24 > 0 && (int32_t)(entries[0] >> 24) < best;
	c->run.class = best;
	c->run.rank = rank;
	c->run.at = c->run.from;
	c->run.entry = 0;
	return 1;
}

/* The cursor has just read a character whose list keeps a mark: all marks around it form the run [head, first starter). */
RT_FN void tokenizer_run_enter(const RtTokenizer *t, Cursor *c)
{
	const uint32_t *entries = NULL;
	int32_t length;
	int gone;
	c->run.from = c->head >= 0 ? c->head : c->begin;
	while (c->at < c->end) {
		int32_t n = tokenizer_marks(t, c, c->at, &entries, &length, &gone);
		if (!gone && (n == 0 || entries[0] >> 24 == 0))
			break;
		c->at += length;
	}
	c->run.to = c->at;
	c->run.class = 0;
	c->run.place = c->run.from;
	tokenizer_marks(t, c, c->run.from, &entries, &length, &gone);
	c->run.place_rank = c->head < 0 && !gone;   /* the head is rank 0; without one the first mark is rank 1 */
	(void)tokenizer_run_class(t, c);            /* there is one: the mark that brought us here */
}

/* Where the source of this rank lies: ranks only grow. */
RT_FN void tokenizer_run_place(const RtTokenizer *t, Cursor *c, Char *out)
{
	const uint32_t *entries;
	int32_t length;
	int gone;
	tokenizer_marks(t, c, c->run.place, &entries, &length, &gone);
	while ((gone || c->run.place_rank < c->run.rank) && c->run.place + length < c->run.to) {
		c->run.place += length;
		tokenizer_marks(t, c, c->run.place, &entries, &length, &gone);
		c->run.place_rank += !gone;
	}
	out->start = c->run.place;
	out->end = c->run.place + length;
}

/* The next mark of the run; 0 and out of the run when there is none. */
RT_FN int tokenizer_run_next(const RtTokenizer *t, Cursor *c, Char *out)
{
	const uint32_t *entries = NULL;
	int32_t length;
	int gone;
	do {
		while (c->run.at < c->run.to) {
			int32_t n = tokenizer_marks(t, c, c->run.at, &entries, &length, &gone);
			while (c->run.entry < n) {
				uint32_t entry = entries[c->run.entry++];
				if ((int32_t)(entry >> 24) != c->run.class)
					continue;
				c->run.rank += c->run.entry == 1;
				if (entry & RT_REMOVED)
					continue;
				out->code = entry & 0x1FFFFF;
				out->class = (int32_t)(entry >> 21 & 3);
				tokenizer_run_place(t, c, out);
				return 1;
			}
			c->run.at += length;
			c->run.entry = 0;
		}
	} while (tokenizer_run_class(t, c));
	c->run.class = 0;
	return 0;
}

/* ---- the normalised text, one character at a time -------------------------------------------------------------------------- */
/* Reads one source character that is not simply another one: its characters go to the queue. */
RT_FN void tokenizer_read(const RtTokenizer *t, Cursor *c, uint32_t code, const RtRecord *r)
{
	uint32_t one = ((uint32_t)((int32_t)code + r->value) & 0x1FFFFF) | (r->bits >> RT_CLASS_SHIFT & 3) << 21;
	const uint32_t space = ' ' | (uint32_t)RT_SPACE << 21;
	c->queued = c->next = 0;
	switch (r->bits & RT_KIND) {
	case RT_SPACED:
		c->queue[c->queued++] = space;
		c->queue[c->queued++] = one;
		c->queue[c->queued++] = space;
		break;
	case RT_HANGUL:   /* Unicode, section 3.12: leading consonant, vowel, perhaps a trailing consonant */
		code -= 0xAC00;
		c->queue[c->queued++] = 0x1100 + code / 588;
		c->queue[c->queued++] = 0x1161 + code % 588 / 28;
		if (code % 28)
			c->queue[c->queued++] = 0x11A7 + code % 28;
		break;
	case RT_LIST:
		for (uint32_t i = 0; i < r->bits >> RT_COUNT_SHIFT; i++) {
			uint32_t entry = t->lists[(uint32_t)r->value + i];
			if (entry >> 24 == 0 && i == 0)
				c->head = c->start;
			if (entry >> 24 == 0 && !(entry & RT_REMOVED))
				c->queue[c->queued++] = entry;
		}
		if (r->bits & RT_REORDERED)
			tokenizer_run_enter(t, c);
		return;
	default:
		return;   /* RT_GONE: as if it had not been there */
	}
	c->head = c->start;
}

/* The next character; 0 at the end. */
RT_FN int tokenizer_next(const RtTokenizer *t, Cursor *c, Char *out)
{
	for (;;) {
		if (c->next < c->queued) {
			uint32_t entry = c->queue[c->next++];
			out->code = entry & 0x1FFFFF;
			out->class = (int32_t)(entry >> 21 & 3);
			out->start = c->start;
			out->end = c->stop;
			c->index++;
			return 1;
		}
		if (c->run.class > 0 && tokenizer_run_next(t, c, out)) {
			c->index++;
			return 1;
		}
		if (c->at >= c->end)
			return 0;
		int32_t length;
		uint32_t code = tokenizer_decode(c->text, c->at, c->end, &length);
		const RtRecord *r = tokenizer_record(t, code);
		c->start = c->at;
		c->stop = c->at += length;
		if (c->raw || (r->bits & RT_KIND) == RT_ONE) {
			out->code = c->raw ? code : (uint32_t)((int32_t)code + r->value);
			out->class = (int32_t)(r->bits >> RT_CLASS_SHIFT & 3);
			out->start = c->head = c->start;
			out->end = c->stop;
			c->index++;
			return 1;
		}
		tokenizer_read(t, c, code, r);
	}
}

/* ---- added tokens ----------------------------------------------------------------------------------------------------------- */
RT_INLINE uint32_t tokenizer_step(const uint32_t *trie, uint32_t unit, uint32_t byte)
{
	uint32_t child = trie[(unit >> 9) ^ byte];
	return byte > 0 && (child & 0xFF) == byte ? child : 0;
}

/* A search for added tokens through one piece of text. */
typedef struct Finder {
	const uint32_t *trie;
	Cursor at;                /* the search goes on here */
	Cursor spaces;            /* where the white space right before `at` begins; `at` itself when there is none */
	Cursor taken;             /* behind the last token found */
	int after_word;           /* the character before `at` is one of a word */
} Finder;
typedef struct Found { int32_t added, start, end; Cursor from, after; } Found;   /* start, end: bytes of the text */

RT_FN void tokenizer_finder_pass(const RtTokenizer *t, Finder *f)
{
	Cursor before = f->at;
	Char ch;
	if (!tokenizer_next(t, &f->at, &ch))
		return;
	uint32_t bits = tokenizer_record(t, ch.code)->bits;
	f->after_word = (bits & RT_RAW_WORD) != 0;
	if (!(bits & RT_RAW_SPACE))
		f->spaces = f->at;
	else if (f->spaces.index == f->at.index)
		f->spaces = before;
}

/* The longest added token that begins at the cursor: its index, the cursor behind it and where its last character ends; or -1. */
RT_FN int32_t tokenizer_longest(const RtTokenizer *t, const uint32_t *trie, Cursor walk, Cursor *after, int32_t *end)
{
	int32_t best = -1;
	uint32_t unit = trie[0];
	Char ch;
	while (tokenizer_next(t, &walk, &ch)) {
		unsigned char bytes[4];
		int32_t n = tokenizer_encode(ch.code, bytes);
		for (int32_t i = 0; i < n && (i == 0 || unit > 0); i++)
			unit = tokenizer_step(trie, unit, bytes[i]);
		if (unit == 0)
			break;
		if (unit & 0x100) {
			best = (int32_t)(trie[unit >> 9] >> 8);
			*after = walk;
			*end = ch.end;
		}
	}
	return best;
}

/* The next added token from f->at on, leftmost first and longest of those; 0: none. A token that must be a word of its own
 * but is not hides others that overlap it, as in the library. */
RT_FN int tokenizer_find(const RtTokenizer *t, Finder *f, Found *found)
{
	Char ch;
	while (f->at.at < f->at.end || f->at.next < f->at.queued || f->at.run.class > 0) {
		if (f->at.raw && t->skips) {   /* straight to a byte that a token can begin with */
			int32_t from = f->at.at;
			while (f->at.at < f->at.end && !t->first_raw[f->at.text[f->at.at]])
				f->at.at++;
			f->at.index += f->at.at - from;   /* bytes, not characters: indices are only compared */
		}
		Cursor match = f->at, peek;
		int before_word = f->after_word;
		found->added = tokenizer_longest(t, f->trie, match, &found->after, &found->end);
		if (found->added < 0) {
			tokenizer_finder_pass(t, f);
			continue;
		}
		uint32_t flags = t->added[found->added].flags;
		found->from = match;
		if (flags & RT_ADDED_LSTRIP) {
			if (f->spaces.index < match.index)
				found->from = f->spaces;
			if (found->from.index < f->taken.index)
				found->from = f->taken;
		}
		while (f->at.index < found->after.index)
			tokenizer_finder_pass(t, f);
		peek = found->after;
		if (flags & RT_ADDED_SINGLE_WORD &&
		    (before_word || (tokenizer_next(t, &peek, &ch) && tokenizer_record(t, ch.code)->bits & RT_RAW_WORD)))
			continue;
		peek = found->after;
		while (flags & RT_ADDED_RSTRIP && tokenizer_next(t, &peek, &ch) && tokenizer_record(t, ch.code)->bits & RT_RAW_SPACE) {
			found->after = peek;
			found->end = ch.end;
		}
		f->taken = found->after;
		peek = found->from;
		tokenizer_next(t, &peek, &ch);
		found->start = ch.start;
		return 1;
	}
	return 0;
}

RT_FN Finder tokenizer_finder(const uint32_t *trie, Cursor at)
{
	Finder f = {trie, at, at, at, 0};
	return f;
}

/* ---- words and their pieces ---------------------------------------------------------------------------------------------------- */
/* Where tokens go: the first `limit` are written (ids NULL: none), all are counted. */
typedef struct Writer {
	int32_t *ids, *starts, *ends, *words;
	int32_t limit, count, word;
	int32_t written_end;      /* where the last token written ends */
	int32_t next;             /* where the first token left out begins, at or after written_end; -1: all were written */
} Writer;

/* The word being collected: its first characters, normalised, and where each lies. */
typedef struct Word {
	int32_t chars, bytes, start, end;
	int32_t starts[RT_WORD_CHARS_MAX], ends[RT_WORD_CHARS_MAX], last[RT_WORD_CHARS_MAX];   /* last: bytes up to and with this character */
	unsigned char text[4 * RT_WORD_CHARS_MAX];
} Word;

RT_INLINE void tokenizer_write(Writer *w, int32_t id, int32_t start, int32_t end)
{
	if (w->count < w->limit) {
		if (w->ids)
			w->ids[w->count] = id;
		if (w->starts)
			w->starts[w->count] = start;
		if (w->ends)
			w->ends[w->count] = end;
		if (w->words)
			w->words[w->count] = w->word;
		w->written_end = end;
	} else if (w->next < 0) {
		w->next = start > w->written_end ? start : w->written_end;
	}
	w->count++;
}

RT_INLINE void tokenizer_word_add(const RtTokenizer *t, Word *word, const Char *ch)
{
	if (word->chars == 0)
		word->start = ch->start;
	word->end = ch->end;
	if (word->chars++ >= t->word_chars)
		return;
	word->bytes += tokenizer_encode(ch->code, word->text + word->bytes);
	word->starts[word->chars - 1] = ch->start;
	word->ends[word->chars - 1] = ch->end;
	word->last[word->chars - 1] = word->bytes;
}

/* Ends the word: its pieces, longest first, or unk when a part of it is none or it is too long. */
RT_FN void tokenizer_word_end(const RtTokenizer *t, Word *word, Writer *w)
{
	int32_t ids[RT_WORD_CHARS_MAX], to[RT_WORD_CHARS_MAX];   /* of each piece; to: the character behind it */
	int32_t pieces = 0, chars = word->chars <= t->word_chars ? word->chars : 0;
	for (int32_t from = 0; from < chars; from = to[pieces - 1]) {
		if (from > 0 && t->inside < 0)
			break;
		uint32_t unit = t->vocab[from > 0 ? t->inside : 0];
		int32_t at = from > 0 ? word->last[from - 1] : 0, id = -1;
		for (int32_t i = from; i < chars; i++) {
			while (at < word->last[i] && (unit = tokenizer_step(t->vocab, unit, word->text[at])) > 0)
				at++;
			if (at < word->last[i])
				break;
			if (unit & 0x100) {
				id = (int32_t)(t->vocab[unit >> 9] >> 8);
				to[pieces] = i + 1;
			}
		}
		if (id < 0)
			break;
		ids[pieces++] = id;
	}
	if (word->chars > 0 && (pieces == 0 || to[pieces - 1] < chars)) {
		tokenizer_write(w, t->unk_id, word->start, word->end);
	} else {
		for (int32_t i = 0, from = 0; i < pieces; from = to[i++])
			tokenizer_write(w, ids[i], word->starts[from], word->ends[to[i] - 1]);
	}
	w->word += word->chars > 0;
	word->chars = word->bytes = 0;
}

/* The tokens of the characters up to index `to`, which hold no added token. */
RT_FN void tokenizer_words(const RtTokenizer *t, Cursor *c, int32_t to, Writer *w)
{
	Word word;
	Char ch;
	word.chars = word.bytes = 0;
	while (c->index < to && tokenizer_next(t, c, &ch)) {
		if (ch.class != RT_OTHER)
			tokenizer_word_end(t, &word, w);
		if (ch.class == RT_SPACE)
			continue;
		tokenizer_word_add(t, &word, &ch);
		if (ch.class == RT_PUNCTUATION)
			tokenizer_word_end(t, &word, w);
	}
	tokenizer_word_end(t, &word, w);
}

RT_FN void tokenizer_added(const RtTokenizer *t, const Found *found, Writer *w)
{
	tokenizer_write(w, t->added[found->added].id, found->start, found->end);
	w->word++;
}

/* The bytes [from, to): normalised, searched for added tokens, split into words. */
RT_FN void tokenizer_piece(const RtTokenizer *t, const char *text, int32_t from, int32_t to, Writer *w)
{
	Cursor c = tokenizer_cursor(text, from, to, 0);
	if (t->nadded_clean > 0) {
		Finder f = tokenizer_finder(t->added_clean, c);
		Found found;
		while (tokenizer_find(t, &f, &found)) {
			tokenizer_words(t, &c, found.from.index, w);
			tokenizer_added(t, &found, w);
			c = found.after;
		}
	}
	tokenizer_words(t, &c, INT32_MAX, w);
}

/* One whole text without the template. */
RT_FN void tokenizer_text(const RtTokenizer *t, const char *text, int32_t bytes, Writer *w)
{
	int32_t done = 0;
	w->count = w->word = w->written_end = 0;
	w->next = -1;
	if (t->nadded_raw > 0) {
		Finder f = tokenizer_finder(t->added_raw, tokenizer_cursor(text, 0, bytes, 1));
		Found found;
		while (tokenizer_find(t, &f, &found)) {
			if (done < found.from.at)
				tokenizer_piece(t, text, done, found.from.at, w);
			tokenizer_added(t, &found, w);
			done = found.after.at;
		}
	}
	tokenizer_piece(t, text, done, bytes, w);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------------- */
RT_FN int32_t tokenizer_ill_formed(const char *text, int32_t bytes)
{
	int32_t count = 0, length;
	for (int32_t at = 0; at < bytes; at += length) {
		uint32_t code = tokenizer_decode((const unsigned char *)text, at, bytes, &length);
		count += code == 0xFFFD && !(length == 3 && (unsigned char)text[at] == 0xEF);   /* U+FFFD itself is well-formed */
	}
	return count;
}

/* longest_first with room for `room` tokens: the longer of the two is cut down to the shorter; when both are too long
 * each gets half, the one that was longer (the pair, when equal) the odd token. */
RT_FN void tokenizer_truncate(int32_t room, int32_t *a, int32_t *b)
{
	int32_t *shorter = *a > *b ? b : a, *longer = *a > *b ? a : b;
	if ((int64_t)*a + *b <= room)
		return;
	if (*shorter <= room - *shorter) {
		*longer = room - *shorter;
	} else {
		*shorter = room / 2;
		*longer = room - *shorter;
	}
}

/* See tokenizer.h. */
RT_FN int rt_tokenize(const RtTokenizer *t, const char *text, size_t bytes, const char *pair, size_t pair_bytes, int32_t max_tokens,
                      int32_t *ids, int32_t *types, int32_t *byte_start, int32_t *byte_end, int32_t *word, RtEncoding *encoding)
{
	const RtPiece *items = pair ? t->pair : t->single;
	int32_t nitems = pair ? t->npair : t->nsingle, special = 0, n = 0;
	const char *texts[2] = {text, pair};
	int32_t sizes[2] = {(int32_t)bytes, pair ? (int32_t)pair_bytes : 0}, limits[2], totals[2] = {0, 0}, nexts[2] = {0, 0};
	if ((pair && t->npair == 0) || !text)
		return RT_E_TEXT;
	if (bytes > INT32_MAX || (pair && pair_bytes > INT32_MAX))
		return RT_E_LENGTH;
	for (int32_t i = 0; i < nitems; i++)
		special += items[i].piece == RT_PIECE_TOKEN;
	if (max_tokens < special)
		return RT_E_LENGTH;
	limits[0] = limits[1] = max_tokens - special;
	if (pair) {   /* how many of each stay depends on both */
		for (int i = 0; i < 2; i++) {
			Writer count = {NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0};
			tokenizer_text(t, texts[i], sizes[i], &count);
			limits[i] = count.count;
		}
		tokenizer_truncate(max_tokens - special, &limits[0], &limits[1]);
	}
	for (int32_t i = 0; i < nitems; i++) {
		int32_t from = n;
		if (items[i].piece == RT_PIECE_TOKEN) {
			ids[n] = items[i].id;
			if (byte_start)
				byte_start[n] = RT_SPECIAL;
			if (byte_end)
				byte_end[n] = RT_SPECIAL;
			if (word)
				word[n] = -1;
			n++;
		} else {
			int which = items[i].piece == RT_PIECE_B;
			Writer w = {ids + n, byte_start ? byte_start + n : NULL, byte_end ? byte_end + n : NULL, word ? word + n : NULL,
			            limits[which], 0, 0, 0, 0};
			tokenizer_text(t, texts[which], sizes[which], &w);
			totals[which] = w.count;
			limits[which] = w.count < w.limit ? w.count : w.limit;
			nexts[which] = w.next < 0 ? sizes[which] : w.next;
			n += limits[which];
		}
		for (int32_t j = from; types && j < n; j++)
			types[j] = items[i].type;
	}
	encoding->n = n;
	encoding->total = special + totals[0] + totals[1];
	encoding->text_tokens = limits[0];
	encoding->pair_tokens = pair ? limits[1] : 0;
	encoding->text_next = (size_t)nexts[0];
	encoding->pair_next = (size_t)nexts[1];
	encoding->replaced = tokenizer_ill_formed(text, sizes[0]) + (pair ? tokenizer_ill_formed(pair, sizes[1]) : 0);
	return RT_OK;
}

RT_FN const char *rt_token_text(const RtTokenizer *t, int32_t id, size_t *bytes)
{
	if (id < 0 || id >= t->ids || t->text_at[id] == t->text_at[id + 1])
		return NULL;
	*bytes = t->text_at[id + 1] - t->text_at[id];
	return t->texts + t->text_at[id];
}

RT_FN int32_t rt_token_mask_id(const RtTokenizer *t)
{
	return t->mask_id;
}
