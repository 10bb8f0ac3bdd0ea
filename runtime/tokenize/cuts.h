/* cuts.h: pre-tokenizers before the last one of a Sequence. Each cuts a text at the matches of a regular
 * expression, which is a deterministic automaton over classes of characters. The pieces go to the next one.
 *
 * Matches are those of a backtracking engine: the leftmost, and of several the one that comes first in the
 * order of the alternatives. An entry of the automaton tells whether the text before a character matches. */
#ifndef RT_CUTS_H
#define RT_CUTS_H
#include "word.h"

enum { CUT_MATCHES = 0x8000, CUT_DEAD = 0x7FFF };
enum { CUT_REMOVED, CUT_ISOLATED, CUT_PREVIOUS, CUT_NEXT, CUT_CONTIGUOUS }; /* what happens to matches */

/* A part of the text: a match, or what lies between two. */
typedef struct CutPart {
	Cursor from;
	int32_t to; /* index of the cursor after it */
	int match;
} CutPart;
typedef struct CutScan {
	const RtCut *cut;
	Cursor at, found; /* found: after the match that begins at `at` */
	int32_t to;
	int has_match;
} CutScan;

RT_INLINE uint32_t cut_class(const RtTokenizer *t, const RtCut *cut, uint32_t code)
{
	const uint16_t *blocks = (const uint16_t *)(const void *)(t->cut_data + cut->blocks);
	return t->cut_data[cut->cells + ((uint32_t)blocks[code >> RT_BLOCK_BITS] << RT_BLOCK_BITS)
		+ (code & ((1u << RT_BLOCK_BITS) - 1))];
}

/* Whether the expression matches at the cursor; *end: after the match. */
RT_FN int cut_match(const RtTokenizer *t, const CutScan *s, Cursor *end)
{
	const uint16_t *table = (const uint16_t *)(const void *)(t->cut_data + s->cut->states);
	const uint32_t width = (uint32_t)s->cut->classes + 1;
	uint32_t state = 0;
	Cursor c = s->at, before = c;
	int matches = 0;
	for (;;) {
		cursor_copy(&before, &c);
		Char ch;
		const int has = c.index < s->to && cursor_next(t, &c, &ch);
		const uint32_t entry = table[state * width + (has ? cut_class(t, s->cut, ch.code) : width - 1)];
		if (entry & CUT_MATCHES) {
			*end = before;
			matches = 1;
		}
		state = entry & CUT_DEAD;
		if (!has || state == CUT_DEAD)
			return matches;
	}
}

/* Reads the next part. 0: end. */
RT_FN int cut_next(const RtTokenizer *t, CutScan *s, CutPart *part)
{
	Cursor c;
	Char ch;
	part->from = s->at;
	while (!s->has_match) {
		s->has_match = cut_match(t, s, &s->found);
		if (s->has_match)
			break;
		c = s->at;
		if (c.index >= s->to || !cursor_next(t, &c, &ch))
			break;
		s->at = c;
	}
	part->match = part->from.index == s->at.index;
	if (part->match && !s->has_match)
		return 0;
	if (part->match) {
		s->at = s->found;
		s->has_match = 0;
	}
	part->to = s->at.index;
	part->match ^= s->cut->invert;
	return 1;
}

RT_FN void cut_text(const RtTokenizer *t, int32_t level, Cursor *c, int32_t to, Writer *w);

RT_FN void cut_piece(const RtTokenizer *t, int32_t level, const CutPart *part, Writer *w)
{
	Cursor c = part->from;
	cut_text(t, level + 1, &c, part->to, w);
}

/* Whether a part joins the piece before it. */
RT_INLINE int cut_joins(int32_t behavior, int before, int match)
{
	if (behavior == CUT_CONTIGUOUS)
		return match == before;
	if (behavior == CUT_PREVIOUS)
		return match && !before;
	return behavior == CUT_NEXT && before && !match;
}

/* Cuts the characters up to index `to`, at the cut `level`. */
RT_FN void cut_text(const RtTokenizer *t, int32_t level, Cursor *c, int32_t to, Writer *w)
{
	if (level == t->ncuts) {
		t->last(t, c, to, w);
		return;
	}
	CutScan s = {.cut = &t->cuts[level], .at = *c, .to = to};
	CutPart piece = {.from = *c, .to = to}, part;
	int has = 0, before = 0;
	while (cut_next(t, &s, &part)) {
		if (s.cut->behavior == CUT_REMOVED && part.match)
			continue;
		if (has && cut_joins(s.cut->behavior, before, part.match)) {
			piece.to = part.to;
		} else {
			if (has)
				cut_piece(t, level, &piece, w);
			piece = part;
			has = 1;
		}
		before = part.match;
	}
	if (has)
		cut_piece(t, level, &piece, w);
	*c = s.at;
}

RT_API void split_cuts(const RtTokenizer *t, Cursor *c, int32_t to, Writer *w) { cut_text(t, 0, c, to, w); }
#endif
