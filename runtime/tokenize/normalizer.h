/* normalizer.h: normalisers whose steps look at neighbours (NFC, a precompiled character map, the replacement
 * of a text). The text is cut into segments of neighbours that may depend on each other, most of them one
 * character long. Such a character has its whole normal form in its record. A longer segment runs through the
 * steps in a buffer. A copied cursor that returns to an earlier segment computes it again.
 *
 * As in the library, each step gives every character it writes the place of a character it read. Segments
 * have at most SEGMENT_SOURCE characters: a longer row, such as 64 combining marks, is cut there, but never
 * inside a text that is replaced. */
#ifndef RT_NORMALIZER_H
#define RT_NORMALIZER_H
#include "charsmap.h"

/* ---- steps ---------------------------------------------------------------------------------- */
RT_INLINE const RtRecord *step_record(const RtTokenizer *t, const RtNormalStep *s, uint32_t code)
{
	const uint16_t *blocks = step_table(t, s->blocks), *cells = step_table(t, s->cells);
	const RtRecord *records = step_table(t, s->records);
	const uint32_t cell = (uint32_t)blocks[code >> RT_BLOCK_BITS] << RT_BLOCK_BITS
		| (code & ((1u << RT_BLOCK_BITS) - 1));
	return &records[cells[cell]];
}

/* Maps single characters. Returns the number of characters written. */
RT_FN int32_t step_map(
	const RtTokenizer *t, const RtNormalStep *s, const NormalChar *in, int32_t n, NormalChar *out)
{
	const uint32_t *lists = step_table(t, s->lists);
	int32_t m = 0;
	for (int32_t i = 0; i < n; i++) {
		const RtRecord *r = step_record(t, s, in[i].code);
		const uint32_t syllable = in[i].code - 0xAC00;
		uint32_t made[3] = {(uint32_t)((int32_t)in[i].code + r->value)};
		const uint32_t *from = made;
		int32_t count = 1;
		if ((r->bits & RT_KIND) == RT_GONE)
			continue;
		if ((r->bits & RT_KIND) == RT_HANGUL) {
			made[0] = 0x1100 + syllable / 588;
			made[1] = 0x1161 + syllable % 588 / 28;
			made[2] = 0x11A7 + syllable % 28;
			count = syllable % 28 ? 3 : 2;
		} else if ((r->bits & RT_KIND) == RT_SPACED) {
			made[1] = made[0];
			made[0] = ' ';
			made[2] = ' ';
			count = 3;
		} else if ((r->bits & RT_KIND) == RT_LIST) {
			from = lists + r->value;
			count = (int32_t)(r->bits >> RT_COUNT_SHIFT & RT_COUNT_MASK);
		}
		for (int32_t k = 0; k < count && m < SEGMENT_CHARS; k++) {
			out[m] = in[i];
			out[m].code = from[k];
			out[m++].change = k > 0;
		}
	}
	return m;
}

/* Canonical ordering: a stable sort of each run of marks by combining class. */
RT_FN void step_order(NormalChar *chars, int32_t n)
{
	for (int32_t i = 1; i < n; i++) {
		const NormalChar mark = chars[i];
		int32_t at = i;
		if (mark.code >> 24 == 0)
			continue;
		for (; at > 0 && chars[at - 1].code >> 24 > mark.code >> 24; at--)
			chars[at] = chars[at - 1];
		chars[at] = mark;
	}
}

/* The character composed of two; 0: none. */
RT_FN uint32_t step_composite(const RtTokenizer *t, const RtNormalStep *s, uint32_t first, uint32_t second)
{
	const RtComposite *pairs = step_table(t, s->extra);
	int32_t low = 0, high = s->count;
	if (first - 0x1100 < 19 && second - 0x1161 < 21) /* Unicode, section 3.12 */
		return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28;
	if (first - 0xAC00 < 11172 && (first - 0xAC00) % 28 == 0 && second - 0x11A8 < 27)
		return first + second - 0x11A7;
	while (low < high) {
		const int32_t half = low + (high - low) / 2;
		const RtComposite *pair = &pairs[half];
		if (pair->first == first && pair->second == second)
			return pair->composite;
		if (pair->first < first || (pair->first == first && pair->second < second))
			low = half + 1;
		else
			high = half;
	}
	return 0;
}

RT_FN int32_t step_compose(const RtTokenizer *t, const RtNormalStep *s, NormalChar *chars, int32_t n)
{
	int32_t kept = 0, starter = -1, last = -1; /* last: class of the last mark after the starter; -1: none */
	for (int32_t i = 0; i < n; i++) {
		const int32_t class = (int32_t)(chars[i].code >> 24);
		const uint32_t code = chars[i].code & 0x1FFFFF;
		uint32_t composite = 0;
		if (starter >= 0 && last < class)
			composite = step_composite(t, s, chars[starter].code & 0x1FFFFF, code);
		if (composite) {
			chars[starter].code = composite;
			chars[starter].change += chars[i].change - 1;
			continue;
		}
		if (class == 0)
			starter = kept;
		last = class == 0 || starter < 0 ? -1 : class;
		chars[kept++] = chars[i];
	}
	return kept;
}

/* Gives the characters that a step wrote their places. `at`: the first character it read that counts. The
 * lag: characters that a character map removed at the start of a piece keep their places in the library, so
 * that later ones get the place of an earlier one. */
RT_FN void step_align(
	const Cursor *c, int32_t lag, const NormalChar *in, int32_t n, int32_t at, NormalChar *out, int32_t m)
{
	for (int32_t i = 0; i < m; i++) {
		const int32_t from = rt_min(out[i].change > 0 ? at - 1 : at, n - 1) - lag;
		Place place = {c->begin, c->begin};
		if (from >= 0)
			place = (Place){in[from].start, in[from].end};
		else if (lag > 0)
			place = c->behind[LAG_MAX + rt_max(from, -LAG_MAX)];
		out[i].start = place.start;
		out[i].end = place.end;
		out[i].code &= 0x1FFFFF;
		at += out[i].change > 0 ? 0 : 1 - out[i].change;
	}
}

/* Keeps the places of the last characters that a character map read. */
RT_FN void step_remember(const Cursor *c, const NormalChar *in, int32_t n, Segment *segment)
{
	for (int32_t i = 0; i < LAG_MAX; i++) {
		const int32_t from = n - LAG_MAX + i;
		segment->behind[i] = from >= 0 ? (Place){in[from].start, in[from].end} : c->behind[LAG_MAX + from];
	}
}

/* Replaces a text. As in the library, the new text lies where the last character of the old one lay. */
RT_FN int32_t step_literal(
	const RtTokenizer *t, const RtNormalStep *s, const NormalChar *in, int32_t n, NormalChar *out)
{
	const uint32_t *pattern = step_table(t, s->lists), *content = pattern + s->count;
	int32_t m = 0, matched;
	for (int32_t i = 0; i < n; i += rt_max(matched, 1)) {
		for (matched = 0; matched < s->count && i + matched < n; matched++)
			if (in[i + matched].code != pattern[matched])
				break;
		if (matched < s->count) {
			matched = 1;
			if (m < SEGMENT_CHARS)
				out[m++] = in[i];
			continue;
		}
		for (int32_t k = 0; k < (int32_t)s->extra && m < SEGMENT_CHARS; k++) {
			out[m] = in[i + matched - 1];
			out[m++].code = content[k];
		}
	}
	return m;
}

/* Puts a text before the first character of a piece. */
RT_FN int32_t step_prepend(
	const RtTokenizer *t, const RtNormalStep *s, const NormalChar *in, int32_t n, int first, NormalChar *out)
{
	const uint32_t *content = step_table(t, s->lists);
	int32_t m = 0;
	for (int32_t k = 0; first && n > 0 && k < s->count; k++) {
		out[m] = in[0];
		out[m++].code = content[k];
	}
	for (int32_t i = 0; i < n && m < SEGMENT_CHARS; i++)
		out[m++] = in[i];
	return m;
}

/* ---- segments -------------------------------------------------------------------------------- */
RT_INLINE int normalizer_joins(const RtTokenizer *t, const Cursor *c, uint32_t bits, int32_t next)
{
	int32_t length;
	if (bits & RT_JOINS_NEXT)
		return next < c->end;
	if (next >= c->end)
		return 0;
	const uint32_t ahead = cursor_record(t, cursor_decode(c->text, next, c->end, &length))->bits;
	return (ahead & RT_JOINS_BEFORE) || (bits & RT_PAIR_NEXT && ahead & RT_PAIR_BEFORE);
}

/* Where the text is read on: of a run of spaces that become one, only the last is read. */
RT_INLINE int32_t normalizer_skip(const RtTokenizer *t, const Cursor *c, int32_t at)
{
	while (t->strips & RT_TRIM_RUNS && at + 1 < c->end && c->text[at] == ' ' && c->text[at + 1] == ' ')
		at++;
	return at;
}

/* Reads the characters of the segment that begins at *at, up to byte `stop`, and sets *at to its end. */
RT_FN int32_t segment_read(
	const RtTokenizer *t, const Cursor *c, int32_t *at, int32_t stop, NormalChar *chars)
{
	int32_t n = 0, length;
	for (;;) {
		*at = normalizer_skip(t, c, *at);
		const uint32_t code = cursor_decode(c->text, *at, c->end, &length);
		chars[n++] = (NormalChar){code, *at, *at + length, 0};
		*at += length;
		if (n == SEGMENT_SOURCE || *at >= stop || !normalizer_joins(t, c, cursor_record(t, code)->bits, *at))
			return n;
	}
}

/* Runs the steps [from, to) over chars[which]. first: no character of the piece has been written yet.
 * *skipped: characters that a character map removed before the first one it wrote. */
RT_FN int32_t segment_run(const RtTokenizer *t, const Cursor *c, Segment *segment, int32_t n, int32_t from,
	int32_t to, int first, int32_t *skipped)
{
	*skipped = 0;
	for (int32_t k = from; k < to; k++) {
		const RtNormalStep *s = (const RtNormalStep *)t->steps + k;
		const NormalChar *in = segment->chars[segment->which];
		NormalChar *out = segment->chars[!segment->which];
		int32_t m;
		segment->which = !segment->which;
		switch (s->kind) {
		case RT_STEP_LITERAL: n = step_literal(t, s, in, n, out); continue;
		case RT_STEP_PREPEND: n = step_prepend(t, s, in, n, first, out); continue;
		case RT_STEP_CHARSMAP:
			m = step_charsmap(t, s, in, n, out, skipped);
			step_align(c, first ? 0 : c->flow.lag, in, n, first ? 0 : *skipped, out, m);
			step_remember(c, in, n, segment);
			break;
		default:
			m = step_map(t, s, in, n, out);
			if (s->kind != RT_STEP_MAP)
				step_order(out, m);
			if (s->kind == RT_STEP_COMPOSE)
				m = step_compose(t, s, out, m);
			if (s->kind != RT_STEP_MAP)
				step_align(c, 0, in, n, 0, out, m);
			break;
		}
		n = m;
	}
	return n;
}

/* Marks the bytes, counted from `from`, at which a segment must not end: inside a text that the step
 * replaces, and after the beginning of one. */
RT_FN void segment_mark(const RtTokenizer *t, const RtNormalStep *s, const NormalChar *in, int32_t n,
	int32_t from, int32_t to, uint8_t *marked)
{
	const uint32_t *pattern = step_table(t, s->lists);
	for (int32_t i = 0, matched; i < n; i += matched == s->count ? matched : 1) {
		for (matched = 0; matched < s->count && i + matched < n; matched++)
			if (in[i + matched].code != pattern[matched])
				break;
		const int open = i + matched == n && matched < s->count;
		if (matched < s->count && !open)
			continue;
		const int32_t last = open ? to : in[i + matched - 1].start;
		for (int32_t at = rt_max(in[i].start, from) + 1; at <= last; at++)
			marked[at - from] = 1;
		if (open)
			return;
	}
}

/* Where a row of characters ends its segment, if it is longer than segments can be: not inside a text that a
 * step replaces. */
RT_FN int32_t segment_stop(const RtTokenizer *t, const Cursor *c, int32_t n, int first, int32_t to)
{
	Segment *segment = c->segment;
	const int32_t from = c->flow.from;
	uint8_t marked[4 * SEGMENT_SOURCE + 1] = {0};
	int32_t skipped, at = to;
	segment->which = 0;
	for (int32_t k = 0; k < t->nsteps; k++) {
		const RtNormalStep *s = (const RtNormalStep *)t->steps + k;
		if (s->kind == RT_STEP_LITERAL && s->count > 1)
			segment_mark(t, s, segment->chars[segment->which], n, from, to, marked);
		else
			n = segment_run(t, c, segment, n, k, k + 1, first, &skipped);
	}
	while (at > from && (marked[at - from] || (at < to && (c->text[at] & 0xC0) == 0x80)))
		at--;
	return at > from ? at : to;
}

/* Computes the segment of the cursor. Returns its characters, and sets *to to its end. */
RT_FN int32_t segment_fill(const RtTokenizer *t, const Cursor *c, int32_t *to, int32_t *skipped)
{
	Segment *segment = c->segment;
	const int first = c->flow.first == 0 || c->flow.first == c->flow.from + 1;
	*to = c->flow.from;
	int32_t n = segment_read(t, c, to, c->end, segment->chars[0]);
	if (n == SEGMENT_SOURCE && *to < c->end) {
		const int32_t stop = segment_stop(t, c, n, first, *to);
		*to = c->flow.from;
		n = segment_read(t, c, to, stop, segment->chars[0]);
	}
	segment->which = 0;
	segment->count = segment_run(t, c, segment, n, 0, t->nsteps, first, skipped);
	segment->from = c->flow.from;
	return segment->count;
}

/* Excludes white space at the ends of the piece, where Strip comes before all other steps. */
RT_FN void normalizer_trim(const RtTokenizer *t, Cursor *c)
{
	int32_t length;
	c->flow.ready = 1;
	while (t->strips & RT_TRIM_LEFT && c->at < c->end) {
		const uint32_t code = cursor_decode(c->text, c->at, c->end, &length);
		if (!(cursor_record(t, code)->bits & RT_RAW_SPACE))
			break;
		c->at += length;
	}
	while (t->strips & RT_TRIM_RIGHT && c->at < c->end) {
		int32_t at = c->end - 1;
		while (at > c->at && c->end - at < 4 && (c->text[at] & 0xC0) == 0x80)
			at--;
		const uint32_t code = cursor_decode(c->text, at, c->end, &length);
		if (at + length != c->end || !(cursor_record(t, code)->bits & RT_RAW_SPACE))
			break;
		c->end = at;
	}
}

/* Enters the segment at c->at. */
RT_FN void normalizer_enter(const RtTokenizer *t, Cursor *c)
{
	int32_t skipped, to;
	if (c->flow.lag > 0 && c->segment->from != c->flow.from)
		(void)segment_fill(t, c, &to, &skipped);
	if (c->flow.lag > 0)
		memcpy(c->behind, c->segment->behind, sizeof c->behind);
	c->flow.from = c->at;
	c->queued = segment_fill(t, c, &c->at, &skipped);
	c->next = 0;
	if (c->flow.first == 0) {
		c->flow.lag = rt_min(c->flow.lag + skipped, LAG_MAX);
		c->flow.first = c->queued > 0 ? c->flow.from + 1 : 0;
		c->flow.fast = c->queued > 0 && c->flow.lag == 0;
	}
}

/* The next character, before Strip and the replacement of runs of spaces. 0: end. */
RT_INLINE int normalizer_step(const RtTokenizer *t, Cursor *c, Char *out)
{
	int32_t length, skipped;
	if (!c->flow.ready)
		normalizer_trim(t, c);
	while (c->next == c->queued) {
		if (c->at >= c->end)
			return 0;
		c->at = normalizer_skip(t, c, c->at);
		const uint32_t code = cursor_decode(c->text, c->at, c->end, &length);
		const RtRecord *r = cursor_record(t, code);
		if ((r->bits & RT_KIND) == RT_ONE && c->flow.fast
			&& !normalizer_joins(t, c, r->bits, c->at + length)) {
			out->code = (uint32_t)((int32_t)code + r->value);
			out->class = (int32_t)(r->bits >> RT_CLASS_SHIFT & 3);
			out->start = c->at;
			out->end = c->at += length;
			c->index++;
			return 1;
		}
		normalizer_enter(t, c);
	}
	if (c->segment->from != c->flow.from) {
		int32_t to;
		(void)segment_fill(t, c, &to, &skipped);
	}
	const NormalChar *ch = &c->segment->chars[c->segment->which][c->next++];
	out->code = ch->code;
	out->class = (int32_t)(cursor_record(t, ch->code)->bits >> RT_RAW_CLASS_SHIFT & 3);
	out->start = ch->start;
	out->end = ch->end;
	c->index++;
	return 1;
}

/* ---- runs of spaces -------------------------------------------------------------------------- */
RT_INLINE int normalizer_in_run(const RtTokenizer *t, const Char *ch)
{
	return ch->code == ' ' || (t->run_set == RT_RUN_WHITE && cursor_record(t, ch->code)->bits & RT_RAW_SPACE);
}

/* Whether the next character may be a space. */
RT_INLINE int normalizer_space_ahead(const RtTokenizer *t, const Cursor *c)
{
	int32_t length;
	if (c->next < c->queued || c->at >= c->end)
		return c->next < c->queued;
	const uint32_t bits = cursor_record(t, cursor_decode(c->text, c->at, c->end, &length))->bits;
	return (bits & RT_KIND) != RT_ONE || (bits >> RT_CLASS_SHIFT & 3) == RT_SPACE;
}

/* Whether only white space is left. */
RT_FN int normalizer_is_trailing(const RtTokenizer *t, Cursor *c)
{
	Cursor ahead = *c;
	Char more;
	if (c->index <= c->flow.solid || (!normalizer_space_ahead(t, c) && c->at < c->end))
		return 0;
	while (normalizer_step(t, &ahead, &more))
		if (!(cursor_record(t, more.code)->bits & RT_RAW_SPACE)) {
			c->flow.solid = ahead.index;
			return 0;
		}
	return 1;
}

/* The next character that Strip keeps. */
RT_INLINE int normalizer_strip(const RtTokenizer *t, Cursor *c, Char *out)
{
	while (normalizer_step(t, c, out)) {
		if (!(t->strips & (RT_STRIP_LEFT | RT_STRIP_RIGHT))
			|| !(cursor_record(t, out->code)->bits & RT_RAW_SPACE)) {
			c->flow.begun = 1;
			return 1;
		}
		if (t->strips & RT_STRIP_RIGHT && normalizer_is_trailing(t, c))
			break;
		if (c->flow.begun || !(t->strips & RT_STRIP_LEFT)) {
			c->flow.begun = 1;
			return 1;
		}
		c->index--;
		c->flow.solid--;
	}
	c->at = c->end;
	c->next = c->queued;
	return 0;
}

RT_API int normalizer_next(const RtTokenizer *t, Cursor *c, Char *out)
{
	int32_t n = 1;
	if (!normalizer_strip(t, c, out))
		return 0;
	if (t->run_set == 0 || !normalizer_in_run(t, out))
		return 1;
	const int32_t index = c->index;
	const int single = t->run_set == RT_RUN_WHITE
		&& (out->code == '\n' || out->code == '\r' || out->code == '\t');
	while (normalizer_space_ahead(t, c)) {
		Cursor ahead = *c;
		Char more;
		if (!normalizer_strip(t, &ahead, &more) || !normalizer_in_run(t, &more))
			break;
		*c = ahead;
		*out = more;
		n++;
	}
	c->flow.solid -= c->index - index;
	c->index = index;
	if (n >= t->run_least || (single && t->run_singles)) {
		out->code = (uint32_t)t->run_content;
		out->class = (int32_t)(cursor_record(t, out->code)->bits >> RT_RAW_CLASS_SHIFT & 3);
	}
	return 1;
}
#endif
