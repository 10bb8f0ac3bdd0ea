/* unigram.h: the model Unigram (Kudo 2018): of all ways to cut a word into pieces, the one with the largest
 * sum of scores. Viterbi's algorithm finds it from left to right. Sums are taken as in the library, so that
 * equal and nearly equal ways are ordered alike: of equal sums the longest last piece wins.
 *
 * Short words are cut in one pass. A long word, which may be a whole text, is cut in bounded memory: when all
 * ways that may still win have a common beginning, its pieces are certain. */
#ifndef RT_UNIGRAM_H
#define RT_UNIGRAM_H
#include "word.h"

/* model_table: a trie, id; scores of ids, after them that of an unknown character; ids of the tokens of
 * bytes */
enum { UNIGRAM_VOCAB, UNIGRAM_SCORES, UNIGRAM_BYTES };
/* model_number: UNIGRAM_PIECES: number of scores. UNIGRAM_FALLBACK: bytes stand for unknown characters */
enum { UNIGRAM_UNK, UNIGRAM_PIECES, UNIGRAM_FALLBACK };
enum {
	UNIGRAM_WINDOW = 8192,
	UNIGRAM_CHARS = 1024, /* of a piece */
	UNIGRAM_BYTES_MAX = 1024,
	UNIGRAM_ROW_MAX = 4 * RT_WORD_CHARS_MAX,
};

RT_INLINE double unigram_score(const RtTokenizer *t, int32_t id)
{
	const double *scores = t->model_table[UNIGRAM_SCORES];
	return scores[id < 0 ? t->model_number[UNIGRAM_PIECES] : id];
}

/* The piece with this text; -1: none. */
RT_FN int32_t unigram_find(const RtTokenizer *t, const unsigned char *text, int32_t bytes)
{
	return trie_value(t->model_table[UNIGRAM_VOCAB], text, bytes);
}

/* ---- unknown characters ---------------------------------------------------------------------- */
/* A row of unknown characters, which is one token, or one for each byte. */
typedef struct UnigramRow {
	WordReader from; /* at its first character, for rows that do not fit in `text` */
	int32_t chars, bytes, start, end;
	unsigned char text[UNIGRAM_ROW_MAX];
} UnigramRow;

RT_INLINE void unigram_row_add(
	UnigramRow *row, const unsigned char *text, int32_t bytes, int32_t start, int32_t end)
{
	if (row->chars++ == 0)
		row->start = start;
	row->end = end;
	for (int32_t i = 0; i < bytes && row->bytes + i < UNIGRAM_ROW_MAX; i++)
		row->text[row->bytes + i] = text[i];
	row->bytes += bytes;
}

/* Writes the tokens of the bytes. 0: one of them has no token, so that nothing is written. */
RT_FN int unigram_row_bytes(const RtTokenizer *t, const UnigramRow *row, Writer *w)
{
	const int32_t *ids = t->model_table[UNIGRAM_BYTES];
	for (int writes = 0; writes < 2; writes++) {
		WordReader r = row->from;
		unsigned char text[4];
		const unsigned char *at = row->text;
		int32_t left = row->bytes;
		while (left > 0) {
			Char ch;
			int32_t n = left; /* all bytes at once, where they are there */
			if (row->bytes > UNIGRAM_ROW_MAX) {
				r.next(t, &r, &ch);
				n = cursor_encode(ch.code, text);
				at = text;
			}
			left -= n;
			for (int32_t k = 0; k < n; k++) {
				if (ids[at[k]] < 0)
					return 0;
				if (writes)
					tokenizer_write(w, ids[at[k]], row->start, row->end);
			}
		}
	}
	return 1;
}

RT_FN void unigram_row_write(const RtTokenizer *t, UnigramRow *row, Writer *w)
{
	int32_t id = -1;
	if (row->chars == 0)
		return;
	if (row->bytes <= UNIGRAM_BYTES_MAX)
		id = unigram_find(t, row->text, row->bytes);
	if (id >= 0 || !t->model_number[UNIGRAM_FALLBACK] || !unigram_row_bytes(t, row, w))
		tokenizer_write(w, id >= 0 ? id : t->model_number[UNIGRAM_UNK], row->start, row->end);
	row->chars = 0;
	row->bytes = 0;
}

/* ---- short words ----------------------------------------------------------------------------- */
typedef struct UnigramNodes { /* by the number of characters before it */
	double sums[RT_WORD_CHARS_MAX + 1];
	int32_t froms[RT_WORD_CHARS_MAX + 1], ids[RT_WORD_CHARS_MAX + 1]; /* start and id of the last piece */
} UnigramNodes;

RT_INLINE void unigram_offer(UnigramNodes *nodes, int32_t to, int32_t from, int32_t id, double sum)
{
	if (nodes->froms[to] >= 0 && !(sum > nodes->sums[to]))
		return;
	nodes->sums[to] = sum;
	nodes->froms[to] = from;
	nodes->ids[to] = id;
}

/* Offers all pieces that begin at character `from`. */
RT_INLINE void unigram_expand(const RtTokenizer *t, const Word *word, UnigramNodes *nodes, int32_t from)
{
	const uint32_t *trie = t->model_table[UNIGRAM_VOCAB];
	const double *scores = t->model_table[UNIGRAM_SCORES];
	const double before = nodes->sums[from];
	uint32_t unit = trie[0];
	int32_t at = from > 0 ? word->last[from - 1] : 0;
	int single = 0;
	for (int32_t i = from; i < word->chars; i++) {
		while (at < word->last[i] && (unit = trie_step(trie, unit, word->text[at])) > 0)
			at++;
		if (at < word->last[i])
			break;
		if (unit & 0x100) {
			const int32_t id = (int32_t)(trie[unit >> 9] >> 8);
			unigram_offer(nodes, i + 1, from, id, scores[id] + before);
			single |= i == from;
		}
	}
	if (!single)
		unigram_offer(nodes, from + 1, from, t->model_number[UNIGRAM_UNK], unigram_score(t, -1) + before);
}

RT_FN void unigram_short(const RtTokenizer *t, const Word *word, Writer *w)
{
	UnigramNodes nodes;
	UnigramRow row;
	row.chars = 0;
	row.bytes = 0;
	nodes.sums[0] = 0;
	for (int32_t i = 1; i <= word->chars; i++)
		nodes.froms[i] = -1;
	for (int32_t i = 0; i < word->chars; i++)
		unigram_expand(t, word, &nodes, i);
	int32_t next = 0;
	for (int32_t at = word->chars, from; at > 0; at = from) { /* reverses the chain */
		from = nodes.froms[at];
		nodes.froms[at] = next;
		next = at;
	}
	for (int32_t from = 0, to = next; to > 0; from = to, to = nodes.froms[to]) {
		const int32_t start = from > 0 ? word->last[from - 1] : 0;
		if (nodes.ids[to] == t->model_number[UNIGRAM_UNK]) {
			unigram_row_add(
				&row, word->text + start, word->last[to - 1] - start, word->starts[from], word->ends[to - 1]);
			continue;
		}
		unigram_row_write(t, &row, w);
		tokenizer_write(w, nodes.ids[to], word->starts[from], word->ends[to - 1]);
	}
	unigram_row_write(t, &row, w);
}

/* ---- long words ------------------------------------------------------------------------------ */
/* Positions count characters from the last certain piece on. */
typedef struct UnigramStart { /* a position where a piece may still begin */
	double sum;
	int32_t from, origin; /* origin: the position in the window from which the way to it has grown */
	uint32_t unit;        /* of the trie after the characters since this position */
} UnigramStart;
typedef struct UnigramLong {
	WordReader certain; /* reads the characters after the last certain piece */
	double sum;         /* of the certain pieces */
	int32_t n;
	UnigramStart starts[UNIGRAM_CHARS + 1];
	uint16_t lengths[UNIGRAM_WINDOW + 1]; /* of the last piece of the best way to each position */
	UnigramRow row;
} UnigramLong;

/* Extends every start by a character, and drops those that no piece continues. Returns the best way to the
 * position after it. */
RT_FN UnigramStart unigram_step(
	const RtTokenizer *t, UnigramLong *l, int32_t at, const unsigned char *text, int32_t bytes)
{
	const uint32_t *trie = t->model_table[UNIGRAM_VOCAB];
	const UnigramStart last = l->starts[l->n - 1];
	UnigramStart best = {0, -1, 0, 0};
	int32_t kept = 0;
	int single = 0;
	for (int32_t i = 0; i < l->n; i++) {
		UnigramStart start = l->starts[i];
		for (int32_t k = 0; k < bytes && start.unit > 0; k++)
			start.unit = trie_step(trie, start.unit, text[k]);
		if (start.unit == 0)
			continue;
		l->starts[kept++] = start;
		if (!(start.unit & 0x100))
			continue;
		const double sum = unigram_score(t, (int32_t)(trie[start.unit >> 9] >> 8)) + start.sum;
		single |= start.from == at;
		if (best.from < 0 || sum > best.sum)
			best = (UnigramStart){sum, start.from, start.origin, 0};
	}
	l->n = kept;
	const double sum = unigram_score(t, -1) + last.sum;
	if (!single && (best.from < 0 || sum > best.sum))
		best = (UnigramStart){sum, at, last.origin, 0};
	return best;
}

/* Writes one piece of the certain way, which has `chars` characters. */
RT_FN void unigram_commit_piece(const RtTokenizer *t, UnigramLong *l, Writer *w, int32_t chars)
{
	const WordReader before = l->certain;
	unsigned char text[UNIGRAM_BYTES_MAX + 4];
	int32_t bytes = 0, start = 0;
	Char ch = {0};
	for (int32_t i = 0; i < chars; i++) {
		l->certain.next(t, &l->certain, &ch);
		start = i == 0 ? ch.start : start;
		bytes += cursor_encode(ch.code, text + bytes);
	}
	const int32_t id = unigram_find(t, text, bytes);
	l->sum = unigram_score(t, id) + l->sum;
	if (id < 0 || id == t->model_number[UNIGRAM_UNK]) {
		if (l->row.chars == 0)
			l->row.from = before;
		unigram_row_add(&l->row, text, bytes, start, ch.end);
		return;
	}
	unigram_row_write(t, &l->row, w);
	tokenizer_write(w, id, start, ch.end);
}

/* Writes the pieces up to a position; the window restarts there. */
RT_FN void unigram_commit(const RtTokenizer *t, UnigramLong *l, Writer *w, int32_t to)
{
	int32_t next = 0;
	for (int32_t at = to, length; at > 0; at -= length) { /* reverses the chain */
		length = l->lengths[at];
		l->lengths[at] = (uint16_t)next;
		next = length;
	}
	for (int32_t at = 0, length = next; length > 0; length = l->lengths[at]) {
		at += length;
		unigram_commit_piece(t, l, w, length);
	}
	l->certain.left -= to;
}

RT_INLINE int unigram_is_certain(const UnigramLong *l, int32_t origin)
{
	for (int32_t i = 0; i < l->n; i++)
		if (l->starts[i].origin != origin)
			return 0;
	return 1;
}

/* Reads on from the last certain piece until more pieces are certain, and writes them. */
RT_FN void unigram_window(const RtTokenizer *t, UnigramLong *l, Writer *w)
{
	WordReader r = l->certain;
	const int32_t left = l->certain.left;
	UnigramStart next = {l->sum, 0, 0, *(const uint32_t *)t->model_table[UNIGRAM_VOCAB]};
	const uint32_t root = next.unit;
	unsigned char text[4];
	Char ch;
	l->n = 0;
	for (int32_t at = 0; at < left; at++) {
		r.next(t, &r, &ch);
		const int32_t bytes = cursor_encode(ch.code, text);
		l->starts[l->n++] = next;
		const UnigramStart best = unigram_step(t, l, at, text, bytes);
		const int32_t to = at + 1;
		if (to <= UNIGRAM_WINDOW)
			l->lengths[to] = (uint16_t)(to - best.from);
		next = (UnigramStart){best.sum, to, to <= UNIGRAM_WINDOW ? to : best.origin, root};
		if (to > UNIGRAM_WINDOW && unigram_is_certain(l, next.origin))
			break;
	}
	unigram_commit(t, l, w, next.origin);
}

RT_FN void unigram_long(const RtTokenizer *t, const Word *word, Writer *w)
{
	UnigramLong l;
	l.certain = word->from;
	l.certain.left = word->chars;
	l.sum = 0;
	l.row.chars = 0;
	l.row.bytes = 0;
	while (l.certain.left > 0)
		unigram_window(t, &l, w);
	unigram_row_write(t, &l.row, w);
}

RT_API void unigram_word(const RtTokenizer *t, const Word *word, Writer *w)
{
	if (word->chars <= RT_WORD_CHARS_MAX)
		unigram_short(t, word, w);
	else
		unigram_long(t, word, w);
}
#endif
