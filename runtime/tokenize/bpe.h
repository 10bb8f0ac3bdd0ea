/* bpe.h: the model BPE (Sennrich et al. 2016). The characters of a word are the first tokens. Repeatedly, the
 * neighbours with the lowest rank merge, the leftmost first, until no pair can merge.
 *
 * Short words are merged directly. A long word, which may be a whole text, is encoded in bounded memory. A
 * token does not depend on its surroundings as long as no merge crosses its ends. So the tokens of a prefix
 * of the word follow from those of shorter prefixes: exactly one token ends with the prefix and has no merge
 * across the boundary to the token before it. The rest of the word begins after one of several prefixes. The
 * tokens that all of these prefixes have in common are certain. */
#ifndef RT_BPE_H
#define RT_BPE_H
#include "word.h"

enum { BPE_VOCAB, BPE_MERGES, BPE_SLOTS, BPE_TOKENS, BPE_BYTES };      /* model_table */
enum { BPE_MASK, BPE_UNK, BPE_FUSE, BPE_IGNORE_MERGES, BPE_FALLBACK }; /* model_number */
enum { BPE_SHORT = 64, BPE_WINDOW = 4096, BPE_TOKEN_CHARS = 1024 };
enum { BPE_CHARACTER = -1, BPE_NEVER = -2 };
/* BPE_MERGES: by rank. BPE_SLOTS: a hash table of merges by bpe_hash with open addressing; a slot has the
 * number of a merge + 1, or 0: free. BPE_MASK: number of slots - 1. BPE_BYTES: by byte, its token, which no
 * merge uses; BPE_FALLBACK: these stand for unknown characters. */
typedef struct BpeMerge {
	int32_t left, right, id;
} BpeMerge;
/* BPE_TOKENS: by id. merge: the last merge that makes the token from its characters; BPE_CHARACTER: the token
 * is a character; BPE_NEVER: no merges make it. time: the highest rank of its merges; -1 for a character. Of
 * two neighbours, the one with the lower time is complete first. */
typedef struct BpeToken {
	int32_t merge, time;
} BpeToken;

RT_INLINE uint32_t bpe_hash(int32_t left, int32_t right)
{
	const uint32_t h = (uint32_t)left * 0x9E3779B1u ^ (uint32_t)right * 0x85EBCA6Bu;
	return h ^ h >> 15;
}

/* The rank of the merge of two tokens; INT32_MAX: they do not merge. */
RT_INLINE int32_t bpe_rank(const RtTokenizer *t, int32_t left, int32_t right)
{
	const BpeMerge *merges = t->model_table[BPE_MERGES];
	const uint32_t *slots = t->model_table[BPE_SLOTS], mask = (uint32_t)t->model_number[BPE_MASK];
	for (uint32_t at = bpe_hash(left, right) & mask; slots[at]; at = (at + 1) & mask) {
		const BpeMerge *merge = &merges[slots[at] - 1];
		if (merge->left == left && merge->right == right)
			return (int32_t)slots[at] - 1;
	}
	return INT32_MAX;
}

/* Whether no merge crosses the boundary between two tokens. When both are complete, only merges of a rank
 * below `limit` would cross. The walk goes back in time: it always undoes the later of the two merges at the
 * boundary. */
RT_FN int bpe_parted(const RtTokenizer *t, int32_t left, int32_t right, int32_t limit)
{
	const BpeMerge *merges = t->model_table[BPE_MERGES];
	const BpeToken *tokens = t->model_table[BPE_TOKENS];
	for (;;) {
		if (bpe_rank(t, left, right) < limit)
			return 0;
		const BpeToken undone = tokens[left].time > tokens[right].time ? tokens[left] : tokens[right];
		if (undone.merge < 0)
			return 1;
		/* The limit is the highest rank still to come when the part at the boundary was complete. Of equal
		 * ranks the leftmost merges first. */
		const BpeMerge *merge = &merges[undone.merge];
		const int32_t times[] = {tokens[merge->left].time, tokens[merge->right].time};
		if (tokens[left].time > tokens[right].time) {
			limit = times[0] > times[1] ? undone.time : undone.merge;
			left = merge->right;
		} else {
			limit = (times[1] >= times[0] ? undone.time : undone.merge) + 1;
			right = merge->left;
		}
	}
}

/* ---- where tokens lie ------------------------------------------------------------------------ */
/* As in the library, the bytes of a token are counted in characters from the start of the word. So an unknown
 * character without a token shifts the tokens after it. */
typedef struct BpePlace {
	const Word *word;
	WordReader reader; /* for words that are too long for Word */
	int32_t char_at, upto,
		at; /* the current character, the bytes up to its end; the bytes before the token */
	Char ch;
} BpePlace;

RT_INLINE void bpe_place_next(const RtTokenizer *t, BpePlace *p)
{
	unsigned char bytes[4];
	const int32_t i = p->char_at++;
	if (p->word->chars <= RT_WORD_CHARS_MAX) {
		p->ch.start = p->word->starts[i];
		p->ch.end = p->word->ends[i];
		p->upto = p->word->last[i];
		return;
	}
	p->reader.next(t, &p->reader, &p->ch);
	p->upto += cursor_encode(p->ch.code, bytes);
}

RT_INLINE void bpe_write(const RtTokenizer *t, BpePlace *p, Writer *w, int32_t id, int32_t bytes)
{
	while (p->upto <= p->at)
		bpe_place_next(t, p);
	const int32_t start = p->ch.start;
	p->at += bytes;
	while (p->upto < p->at)
		bpe_place_next(t, p);
	tokenizer_write(w, id, start, p->ch.end);
	if (!t->trim || w->count - w->skip > w->limit)
		return;
	const char *text = t->texts + t->text_at[id];
	const int32_t length = (int32_t)(t->text_at[id + 1] - t->text_at[id]);
	int32_t before = 0, after = 0;
	while (before < length && text[before] == ' ')
		before++;
	while (after < length && text[length - 1 - after] == ' ')
		after++;
	if (before + after > 0)
		t->trim(t, w, before, after);
}

/* ---- short words ----------------------------------------------------------------------------- */
typedef struct BpeSymbol {
	int32_t id, bytes;
} BpeSymbol;

/* The token with this text; -1: none. */
RT_INLINE int32_t bpe_find(const RtTokenizer *t, const unsigned char *text, int32_t bytes)
{
	return trie_value(t->model_table[BPE_VOCAB], text, bytes);
}

enum { BPE_SYMBOLS = 4 * BPE_SHORT }; /* byte by byte */
typedef struct BpeSymbols {
	BpeSymbol at[BPE_SYMBOLS];
	int32_t n, open; /* open: the last symbol is unknown and absorbs unknown symbols after it */
} BpeSymbols;

RT_INLINE void bpe_add(
	const RtTokenizer *t, BpeSymbols *s, int32_t id, const unsigned char *text, int32_t bytes)
{
	const int32_t unk = t->model_number[BPE_UNK], known = id >= 0;
	if (!known && t->model_number[BPE_FALLBACK]) {
		const int32_t *tokens = t->model_table[BPE_BYTES];
		for (int32_t i = 0; i < bytes; i++)
			s->at[s->n++] = (BpeSymbol){tokens[text[i]], 1};
		return;
	}
	if (!known && unk < 0)
		return;
	if (!known && s->open) {
		s->at[s->n - 1].bytes += bytes;
		return;
	}
	s->at[s->n++] = (BpeSymbol){known ? id : unk, bytes};
	s->open = !known && t->model_number[BPE_FUSE];
}

RT_FN void bpe_merge(const RtTokenizer *t, const Word *word, Writer *w)
{
	const BpeMerge *merges = t->model_table[BPE_MERGES];
	BpeSymbols all = {.n = 0};
	BpeSymbol *symbols = all.at;
	int32_t ranks[BPE_SYMBOLS]; /* of the merge of symbols i and i + 1 */
	for (int32_t i = 0, at = 0; i < word->chars; at = word->last[i++]) {
		const int32_t bytes = word->last[i] - at;
		bpe_add(t, &all, bpe_find(t, word->text + at, bytes), word->text + at, bytes);
	}
	int32_t n = all.n;
	for (int32_t i = 0; i + 1 < n; i++)
		ranks[i] = bpe_rank(t, symbols[i].id, symbols[i + 1].id);
	for (;;) {
		int32_t best = 0;
		for (int32_t i = 1; i + 1 < n; i++)
			best = ranks[i] < ranks[best] ? i : best;
		if (n < 2 || ranks[best] == INT32_MAX)
			break;
		symbols[best].id = merges[ranks[best]].id;
		symbols[best].bytes += symbols[best + 1].bytes;
		n--;
		for (int32_t i = best + 1; i < n; i++) {
			symbols[i] = symbols[i + 1];
			ranks[i - 1] = ranks[i];
		}
		if (best + 1 < n)
			ranks[best] = bpe_rank(t, symbols[best].id, symbols[best + 1].id);
		if (best > 0)
			ranks[best - 1] = bpe_rank(t, symbols[best - 1].id, symbols[best].id);
	}
	BpePlace place = {.word = word};
	for (int32_t i = 0; i < n; i++)
		bpe_write(t, &place, w, symbols[i].id, symbols[i].bytes);
}

/* ---- long words ------------------------------------------------------------------------------ */
/* Positions count characters from the last certain token on. */
typedef struct BpeStart {       /* a position where a token may still begin */
	int32_t from, last, origin; /* last token of the prefix that ends here; position in the window from which
								   this prefix has grown */
	uint32_t unit;              /* unit of the trie after the characters since this position */
} BpeStart;
typedef struct BpeEnd {
	int32_t from, id,
		upto; /* start and id of the last token of the prefix that ends here; bytes up to here */
} BpeEnd;
typedef struct BpeLong {
	BpePlace place;
	WordReader certain;    /* reads the characters after the last certain token */
	int32_t last;          /* the last certain token; -1: none, or unknown */
	int32_t unknown;       /* bytes of unknown characters not yet written */
	unsigned char text[4]; /* of the unknown character that ended the window */
	int32_t n;
	BpeStart starts[BPE_TOKEN_CHARS + 1];
	BpeEnd ends[BPE_WINDOW + 1];
} BpeLong;

/* Reads the token and the bytes of the next character. 0: end of the word. id -1: unknown. Skips characters
 * that give no token. */
RT_FN int bpe_read(const RtTokenizer *t, WordReader *r, BpeSymbol *symbol, unsigned char text[4])
{
	Char ch;
	while (r->left > 0) {
		r->left--;
		r->next(t, r, &ch);
		symbol->bytes = cursor_encode(ch.code, text);
		symbol->id = bpe_find(t, text, symbol->bytes);
		if (symbol->id >= 0 || t->model_number[BPE_UNK] >= 0 || t->model_number[BPE_FALLBACK])
			return 1;
	}
	return 0;
}

/* Extends every start by a character and drops starts without a matching token. Sets *found to the start of
 * the last token of the prefix that ends here, and returns this token. -1: the prefix has no tokens, so no
 * token can begin after it. */
RT_FN int32_t bpe_step(
	const RtTokenizer *t, BpeLong *l, const BpeSymbol *symbol, const unsigned char *text, BpeStart *found)
{
	const uint32_t *trie = t->model_table[BPE_VOCAB];
	const BpeToken *tokens = t->model_table[BPE_TOKENS];
	int32_t kept = 0, id = -1;
	for (int32_t i = 0; i < l->n; i++) {
		BpeStart start = l->starts[i];
		for (int32_t k = 0; k < symbol->bytes && (k == 0 || start.unit > 0); k++)
			start.unit = trie_step(trie, start.unit, text[k]);
		if (start.unit == 0)
			continue;
		l->starts[kept++] = start;
		if (id >= 0 || !(start.unit & 0x100))
			continue;
		const int32_t token = (int32_t)(trie[start.unit >> 9] >> 8);
		if (tokens[token].merge == BPE_NEVER)
			continue;
		if (start.last >= 0 && !bpe_parted(t, start.last, token, INT32_MAX))
			continue;
		*found = start;
		id = token;
	}
	l->n = kept;
	return id;
}

/* Whether all prefixes from which tokens may continue have grown from position `origin`. */
RT_INLINE int bpe_is_certain(const BpeLong *l, int32_t origin)
{
	for (int32_t i = 0; i < l->n; i++)
		if (l->starts[i].origin != origin)
			return 0;
	return 1;
}

RT_INLINE void bpe_write_unknown(const RtTokenizer *t, BpeLong *l, Writer *w)
{
	if (l->unknown > 0)
		bpe_write(t, &l->place, w, t->model_number[BPE_UNK], l->unknown);
	l->unknown = 0;
}

/* Writes the tokens up to a position; the window restarts there. */
RT_FN void bpe_commit(const RtTokenizer *t, BpeLong *l, Writer *w, int32_t to)
{
	BpeSymbol symbol;
	unsigned char text[4];
	int32_t next = 0, upto = 0;
	if (to > 0)
		bpe_write_unknown(t, l, w);
	for (int32_t at = to, from; at > 0; at = from) { /* reverses the chain */
		from = l->ends[at].from;
		l->ends[at].from = next;
		next = at;
	}
	for (int32_t at = next; at > 0; at = l->ends[at].from) {
		bpe_write(t, &l->place, w, l->ends[at].id, l->ends[at].upto - upto);
		upto = l->ends[at].upto;
	}
	if (to > 0)
		l->last = l->ends[to].id;
	for (int32_t i = 0; i < to; i++)
		(void)bpe_read(t, &l->certain, &symbol, text);
}

/* Encodes known characters up to the end of the word or up to an unknown character. Returns the bytes of the
 * unknown character; 0: end. *done: all tokens are written. */
RT_FN int32_t bpe_window(const RtTokenizer *t, BpeLong *l, Writer *w, int *done)
{
	WordReader r = l->certain;
	BpeSymbol symbol = {-1, 0};
	unsigned char text[4];
	BpeStart next = {0, l->last, 0, *(const uint32_t *)t->model_table[BPE_VOCAB]}, found = next;
	int32_t at = 0, id = 0, upto = 0, more;
	l->n = 0;
	*done = 0;
	while ((more = bpe_read(t, &r, &symbol, text)) && symbol.id >= 0) {
		if (id >= 0)
			l->starts[l->n++] = next;
		id = bpe_step(t, l, &symbol, text, &found);
		at++;
		upto += symbol.bytes;
		next.from = at;
		next.last = id;
		next.origin = at <= BPE_WINDOW ? at : found.origin;
		if (at <= BPE_WINDOW) {
			l->ends[at] = (BpeEnd){found.from, id, upto};
			continue;
		}
		const int32_t origin = id >= 0 || l->n == 0 ? next.origin : l->starts[0].origin;
		if (bpe_is_certain(l, origin)) {
			bpe_commit(t, l, w, origin);
			return 0;
		}
	}
	bpe_commit(t, l, w, next.origin);
	*done = next.origin == at;
	if (*done)
		l->certain = r;
	memcpy(l->text, text, sizeof l->text);
	return more ? symbol.bytes : 0;
}

RT_FN void bpe_long(const RtTokenizer *t, const Word *word, Writer *w)
{
	BpeLong l;
	int done;
	l.certain = word->from;
	l.certain.left = word->chars;
	l.place = (BpePlace){.word = word, .reader = word->from};
	l.last = -1;
	l.unknown = 0;
	for (;;) {
		const int32_t unknown = bpe_window(t, &l, w, &done);
		if (!done)
			continue;
		if (unknown == 0)
			break;
		l.last = -1;
		for (int32_t i = 0; t->model_number[BPE_FALLBACK] && i < unknown; i++)
			bpe_write(t, &l.place, w, ((const int32_t *)t->model_table[BPE_BYTES])[l.text[i]], 1);
		if (t->model_number[BPE_FALLBACK])
			continue;
		if (!t->model_number[BPE_FUSE])
			bpe_write_unknown(t, &l, w);
		l.unknown += unknown;
	}
	bpe_write_unknown(t, &l, w);
}

RT_API void bpe_word(const RtTokenizer *t, const Word *word, Writer *w)
{
	const BpeToken *tokens = t->model_table[BPE_TOKENS];
	const int32_t whole = word->chars <= RT_WORD_CHARS_MAX ? bpe_find(t, word->text, word->bytes) : -1;
	if (whole >= 0 && (t->model_number[BPE_IGNORE_MERGES] || tokens[whole].merge != BPE_NEVER)) {
		BpePlace place = {.word = word};
		bpe_write(t, &place, w, whole, word->bytes);
	} else if (word->chars <= BPE_SHORT) {
		bpe_merge(t, word, w);
	} else {
		bpe_long(t, word, w);
	}
}
#endif
