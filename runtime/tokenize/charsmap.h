/* charsmap.h: the step Precompiled of a normaliser: the character map of SentencePiece. */
#ifndef RT_CHARSMAP_H
#define RT_CHARSMAP_H
#include "cursor.h"

enum { CHARSMAP_BYTES = 6 }; /* shorter grapheme clusters are looked up whole */

/* A table of a step. */
RT_INLINE const void *step_table(const RtTokenizer *t, uint32_t offset) { return t->step_data + offset; }

RT_INLINE uint32_t cluster_class(const RtTokenizer *t, uint32_t code)
{
	return cursor_record(t, code)->bits >> RT_CLUSTER_SHIFT & 3;
}

/* The end of the grapheme cluster at `from`. Rules that join only characters of three and more bytes (Hangul,
 * flags, emoji) are left out: such clusters are looked up character by character anyway. */
RT_FN int32_t cluster_end(const RtTokenizer *t, const NormalChar *in, int32_t n, int32_t from)
{
	uint32_t before = cluster_class(t, in[from].code);
	int32_t to = from + 1;
	if (in[from].code == '\r' && to < n && in[to].code == '\n')
		return to + 1;
	for (; to < n && before != RT_CLUSTER_CONTROL; to++) {
		const uint32_t next = cluster_class(t, in[to].code);
		if (next != RT_CLUSTER_EXTEND && (before != RT_CLUSTER_PREPEND || next == RT_CLUSTER_CONTROL))
			break;
		before = next;
	}
	return to;
}

/* The replacement of the shortest key that begins the characters [from, to), which have fewer than
 * CHARSMAP_BYTES bytes. NULL: none. Entry 0 of a replacement is its length. */
RT_FN const uint32_t *charsmap_find(
	const RtTokenizer *t, const RtNormalStep *s, const NormalChar *in, int32_t from, int32_t to)
{
	const uint32_t *trie = step_table(t, s->extra), *lists = step_table(t, s->lists);
	uint32_t unit = trie[0];
	int32_t bytes = 0;
	unsigned char text[4];
	for (int32_t i = from; i < to; i++) {
		const int32_t length = cursor_encode(in[i].code, text);
		bytes += length;
		if (bytes >= CHARSMAP_BYTES)
			return NULL;
	}
	for (int32_t i = from; i < to; i++) {
		const int32_t length = cursor_encode(in[i].code, text);
		for (int32_t k = 0; k < length; k++) {
			const uint32_t child = trie[(unit >> 9) ^ text[k]];
			if (text[k] == 0 || (child & 0xFF) != text[k])
				return NULL;
			unit = child;
			if (unit & 0x100)
				return lists + (trie[unit >> 9] >> 8);
		}
	}
	return NULL;
}

/* Writes the replacement of `old` characters; *skipped: removed characters before the first one written. */
RT_FN int32_t charsmap_replace(
	const uint32_t *list, const NormalChar *in, int32_t old, NormalChar *out, int32_t m, int32_t *skipped)
{
	const int32_t count = (int32_t)list[0];
	for (int32_t k = 0; k < count && m < SEGMENT_CHARS; k++) {
		out[m] = in[0];
		out[m].code = list[1 + k];
		out[m++].change = k >= old;
	}
	if (count < old && m > 0)
		out[m - 1].change += count - old;
	else if (count < old)
		*skipped += old - count;
	return m;
}

RT_FN int32_t step_charsmap(const RtTokenizer *t, const RtNormalStep *s, const NormalChar *in, int32_t n,
	NormalChar *out, int32_t *skipped)
{
	int32_t m = 0;
	for (int32_t i = 0, to; i < n; i = to) {
		to = cluster_end(t, in, n, i);
		const uint32_t *list = charsmap_find(t, s, in, i, to);
		if (list) {
			m = charsmap_replace(list, in + i, to - i, out, m, skipped);
			continue;
		}
		for (int32_t k = i; k < to; k++) {
			list = charsmap_find(t, s, in, k, k + 1);
			if (list) {
				m = charsmap_replace(list, in + k, 1, out, m, skipped);
			} else if (m < SEGMENT_CHARS) {
				out[m] = in[k];
				out[m++].change = 0;
			}
		}
	}
	return m;
}
#endif
