/* cursor.h: reads the characters of a text, decoded and normalised, with the bytes that each came from. A
 * copy of a cursor saves its position; the text is never copied. The tables of tokenizer.h normalise single
 * code points. This file handles everything that depends on neighbours: ill-formed UTF-8 and the canonical
 * order of combining marks. */
#ifndef RT_CURSOR_H
#define RT_CURSOR_H
#include "tokenizer.h"

/* ---- characters ------------------------------------------------------------------------------ */
struct Char {
	uint32_t code;
	int32_t class, start, end; /* start, end: its bytes in the text */
};

/* A run of marks in canonical order: a stable sort by combining class. A run can be as long as the text, so
 * it is read again for every class that keeps a mark. rank counts the source characters whose first mark has
 * been passed in the new order. As in the library, the r-th such mark gets the place of the r-th source
 * character, even if marks have moved. */
typedef struct Run {
	int32_t class, from, to, at, entry, rank, place, place_rank;
} Run;

/* A normaliser whose steps look at neighbours (normalizer.h): characters [next, queued) of the segment that
 * begins at byte `from` are unread. */
enum { SEGMENT_SOURCE = 64, SEGMENT_CHARS = 64 * 24, LAG_MAX = 4 };
typedef struct Place {
	int32_t start, end;
} Place;
/* change: how the character was made, as in the library: 0 from one character, 1 in addition to the one
 * before, -n from one character with n removed after it. Between the parts of a step, bits 24-31 of code
 * have the canonical combining class. */
typedef struct NormalChar {
	uint32_t code;
	int32_t start, end, change;
} NormalChar;
typedef struct Segment {
	int32_t from, count, which;
	Place behind[LAG_MAX];              /* as in Cursor, for the next segment */
	NormalChar chars[2][SEGMENT_CHARS]; /* steps read one and write the other; `which` has the result */
} Segment;
typedef struct Flow {
	int32_t from, first; /* first: start + 1 of the first segment that is not empty; 0: not yet */
	int32_t ready, fast;
	int32_t begun, solid; /* Strip: a character was returned; white space before this index stays */
	int32_t lag;          /* characters by which places lag behind (normalizer.h) */
} Flow;

struct Cursor {
	const unsigned char *text;
	int32_t raw;            /* return code points unchanged */
	int32_t begin, at, end; /* start of the text; the unread bytes */
	int32_t index;          /* characters returned so far */
	int32_t head;           /* start of the last character with a starter, to which a run of marks belongs */
	int32_t start, stop;    /* bytes of the queued characters */
	int32_t queued, next;
	Segment *segment; /* computed last, by any copy of the cursor */
	Flow flow;
	Run run;               /* class 0: not in a run; then the rest, too, is idle (cursor_copy) */
	uint32_t queue[4];     /* code point in bits 0-20, class in 21-22, as entries of the lists */
	Place behind[LAG_MAX]; /* the last characters that the character map read before this segment */
};

/* *to = *from, for each character: the parts at the end, which most texts never use, only if they are in use.
 * A whole copy takes as long as reading a character. */
RT_INLINE void cursor_copy(Cursor *to, const Cursor *from)
{
	if (from->run.class > 0 || from->queued > from->next || from->flow.lag > 0
		|| (from->flow.ready && !from->flow.first))
		*to = *from;
	else
		memcpy(to, from, offsetof(Cursor, run) + sizeof from->run.class);
}

/* Decodes one character of text[at, end), U+FFFD for a maximal subpart of an ill-formed sequence, as in
 * Unicode and Python. Sets *length to its bytes, at least one. */
RT_INLINE uint32_t cursor_decode(const unsigned char *text, int32_t at, int32_t end, int32_t *length)
{
	const unsigned char *s = text + at;
	int32_t left = end - at, more;
	uint32_t code = s[0];
	unsigned char low = 0x80, high = 0xBF; /* range of the second byte: excludes overlong forms, surrogates,
											  and code points above U+10FFFF */
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

RT_INLINE int32_t cursor_encode(uint32_t code, unsigned char bytes[4])
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

RT_INLINE const RtRecord *cursor_record(const RtTokenizer *t, uint32_t code)
{
	uint32_t cell = (uint32_t)t->blocks[code >> RT_BLOCK_BITS] << RT_BLOCK_BITS
		| (code & ((1u << RT_BLOCK_BITS) - 1));
	return &t->records[t->cells[cell]];
}

RT_FN Cursor cursor_new(const char *text, int32_t from, int32_t to, int32_t raw, Segment *segment)
{
	Cursor c = {.text = (const unsigned char *)text,
		.raw = raw,
		.begin = from,
		.at = from,
		.end = to,
		.head = -1,
		.segment = segment};
	return c;
}

/* ---- canonical ordering ---------------------------------------------------------------------- */
/* Sets *first to the entries of the source character at byte `at`, and returns their number. 0: none can be
 * in a run. *gone: the character is removed before marks are ordered. */
RT_FN int32_t cursor_marks(
	const RtTokenizer *t, const Cursor *c, int32_t at, const uint32_t **first, int32_t *length, int *gone)
{
	const RtRecord *r = cursor_record(t, cursor_decode(c->text, at, c->end, length));
	*gone = (r->bits & RT_KIND) == RT_GONE;
	if ((r->bits & RT_KIND) != RT_LIST)
		return 0;
	*first = t->lists + r->value;
	return (int32_t)(r->bits >> RT_COUNT_SHIFT & RT_COUNT_MASK);
}

/* Moves the run to its next class that keeps a mark, and sets rank to the marks before it. 0: there is
 * none. */
RT_FN int cursor_run_class(const RtTokenizer *t, Cursor *c)
{
	const uint32_t *entries = NULL;
	int32_t length, best = 256, rank = 0;
	int gone;
	for (int32_t at = c->run.from; at < c->run.to; at += length) {
		int32_t n = cursor_marks(t, c, at, &entries, &length, &gone);
		for (int32_t i = 0; i < n; i++) {
			int32_t class = (int32_t)(entries[i] >> 24);
			if (class > c->run.class && class < best && !(entries[i] & RT_REMOVED))
				best = class;
		}
	}
	if (best == 256)
		return 0;
	for (int32_t at = c->run.from; at < c->run.to; at += length)
		if (cursor_marks(t, c, at, &entries, &length, &gone) > 0)
			rank += entries[0] >> 24 > 0 && (int32_t)(entries[0] >> 24) < best;
	c->run.class = best;
	c->run.rank = rank;
	c->run.at = c->run.from;
	c->run.entry = 0;
	return 1;
}

/* Enters a run after reading a character whose list keeps a mark: all marks around it, [head, next
 * starter). */
RT_FN void cursor_run_enter(const RtTokenizer *t, Cursor *c)
{
	const uint32_t *entries = NULL;
	int32_t length;
	int gone;
	c->run.from = c->head >= 0 ? c->head : c->begin;
	while (c->at < c->end) {
		int32_t n = cursor_marks(t, c, c->at, &entries, &length, &gone);
		if (!gone && (n == 0 || entries[0] >> 24 == 0))
			break;
		c->at += length;
	}
	c->run.to = c->at;
	c->run.class = 0;
	c->run.place = c->run.from;
	cursor_marks(t, c, c->run.from, &entries, &length, &gone);
	c->run.place_rank = c->head < 0 && !gone; /* the head is rank 0; without one the first mark is rank 1 */
	(void)cursor_run_class(t, c);             /* never 0: there is the mark that was just read */
}

/* Finds the source character of this rank. Ranks only grow. */
RT_FN void cursor_run_place(const RtTokenizer *t, Cursor *c, Char *out)
{
	const uint32_t *entries;
	int32_t length;
	int gone;
	cursor_marks(t, c, c->run.place, &entries, &length, &gone);
	while ((gone || c->run.place_rank < c->run.rank) && c->run.place + length < c->run.to) {
		c->run.place += length;
		cursor_marks(t, c, c->run.place, &entries, &length, &gone);
		c->run.place_rank += !gone;
	}
	out->start = c->run.place;
	out->end = c->run.place + length;
}

/* The next mark of the run. 0: none; leaves the run. */
RT_FN int cursor_run_next(const RtTokenizer *t, Cursor *c, Char *out)
{
	const uint32_t *entries = NULL;
	int32_t length;
	int gone;
	do {
		while (c->run.at < c->run.to) {
			int32_t n = cursor_marks(t, c, c->run.at, &entries, &length, &gone);
			while (c->run.entry < n) {
				uint32_t entry = entries[c->run.entry++];
				if ((int32_t)(entry >> 24) != c->run.class)
					continue;
				c->run.rank += c->run.entry == 1;
				if (entry & RT_REMOVED)
					continue;
				out->code = entry & 0x1FFFFF;
				out->class = (int32_t)(entry >> 21 & 3);
				cursor_run_place(t, c, out);
				return 1;
			}
			c->run.at += length;
			c->run.entry = 0;
		}
	} while (cursor_run_class(t, c));
	c->run.class = 0;
	return 0;
}

/* ---- the normalised text, one character at a time -------------------------------------------- */
/* Reads a source character that does not map to a single character; its characters go to the queue. */
RT_FN void cursor_read(const RtTokenizer *t, Cursor *c, uint32_t code, const RtRecord *r)
{
	uint32_t one = ((uint32_t)((int32_t)code + r->value) & 0x1FFFFF) | (r->bits >> RT_CLASS_SHIFT & 3) << 21;
	const uint32_t space = ' ' | (uint32_t)RT_SPACE << 21;
	c->next = 0;
	c->queued = 0;
	switch (r->bits & RT_KIND) {
	case RT_SPACED:
		c->queue[c->queued++] = space;
		c->queue[c->queued++] = one;
		c->queue[c->queued++] = space;
		break;
	case RT_HANGUL: /* Unicode, section 3.12: leading consonant, vowel, optional trailing consonant */
		code -= 0xAC00;
		c->queue[c->queued++] = 0x1100 + code / 588;
		c->queue[c->queued++] = 0x1161 + code % 588 / 28;
		if (code % 28)
			c->queue[c->queued++] = 0x11A7 + code % 28;
		break;
	case RT_LIST:
		for (uint32_t i = 0; i < (r->bits >> RT_COUNT_SHIFT & RT_COUNT_MASK); i++) {
			uint32_t entry = t->lists[(uint32_t)r->value + i];
			if (entry >> 24 == 0 && i == 0)
				c->head = c->start;
			if (entry >> 24 == 0 && !(entry & RT_REMOVED))
				c->queue[c->queued++] = entry;
		}
		if (r->bits & RT_REORDERED)
			cursor_run_enter(t, c);
		return;
	default: return; /* RT_GONE: removed */
	}
	c->head = c->start;
}

/* Reads the next character; 0: end. */
RT_FN int cursor_next(const RtTokenizer *t, Cursor *c, Char *out)
{
	if (t->next && !c->raw)
		return t->next(t, c, out);
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
		if (c->run.class > 0 && cursor_run_next(t, c, out)) {
			c->index++;
			return 1;
		}
		if (c->at >= c->end)
			return 0;
		int32_t length;
		uint32_t code = cursor_decode(c->text, c->at, c->end, &length);
		const RtRecord *r = cursor_record(t, code);
		c->start = c->at;
		c->stop = c->at += length;
		if (c->raw || (r->bits & RT_KIND) == RT_ONE) {
			out->code = c->raw ? code : (uint32_t)((int32_t)code + r->value);
			out->class = (int32_t)(r->bits >> RT_CLASS_SHIFT & 3);
			c->head = c->start;
			out->start = c->head;
			out->end = c->stop;
			c->index++;
			return 1;
		}
		cursor_read(t, c, code, r);
	}
}
#endif
