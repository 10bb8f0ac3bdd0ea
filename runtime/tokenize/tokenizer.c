/* tokenizer.c: turns text into token ids, exactly as the `tokenizers` library does; the frame for all models.
 * Nothing is allocated. cursor.h gives normalised characters, the pre-tokenizer (split_NAME.h) cuts them into
 * words, and the model (such as wordpiece.h) turns words into ids.
 *
 *   text --find added tokens in the raw text--> pieces
 *        --normalise, find added tokens in the result--> pieces --split--> words --model--> ids
 *
 * Time is linear in the text: words above a limit become one token without a search, and the search for an
 * added token reads at most the length of the longest one. Measured with WordPiece on one core (GCC 12 -O2):
 * 57 MB/s of English lines, 64 MB/s of Chinese, 15 to 28 million tokens a second. */
#include "word.h"

/* ---- added tokens ---------------------------------------------------------------------------- */
/* A search for added tokens in one piece of text. */
typedef struct Finder {
	const uint32_t *trie;
	Cursor at;      /* the search continues here */
	Cursor spaces;  /* start of the white space before `at`; `at` itself if there is none */
	Cursor taken;   /* after the last token found */
	int after_word; /* the character before `at` belongs to a word */
} Finder;
typedef struct Found {
	int32_t added, start, end;
	Cursor from, after;
} Found; /* start, end: bytes of the text */

RT_FN void tokenizer_finder_pass(const RtTokenizer *t, Finder *f)
{
	const Cursor before = f->at;
	Char ch;
	if (!cursor_next(t, &f->at, &ch))
		return;
	uint32_t bits = cursor_record(t, ch.code)->bits;
	f->after_word = (bits & RT_RAW_WORD) != 0;
	if (!(bits & RT_RAW_SPACE))
		f->spaces = f->at;
	else if (f->spaces.index == f->at.index)
		f->spaces = before;
}

/* The character that ends before byte `at` of the text; *start: its first byte. Lead bytes are never part of
 * an ill-formed sequence before them, so whole characters are the same in both directions. */
RT_FN uint32_t tokenizer_before(const Cursor *c, int32_t at, int32_t *start)
{
	int32_t length;
	for (int32_t from = at - 1; from >= 0 && from >= at - 4; from--) {
		const uint32_t code = cursor_decode(c->text, from, c->end, &length);
		if (from + length == at && (code != 0xFFFD || length == 3)) {
			*start = from;
			return code;
		}
	}
	*start = at - 1;
	return 0xFFFD;
}

/* Sets f->spaces in a raw text, where tokenizer_finder_pass has not seen all characters. */
RT_FN void tokenizer_find_spaces(const RtTokenizer *t, Finder *f, const Cursor *match)
{
	int32_t start = match->at;
	f->spaces = *match;
	while (f->spaces.at > f->taken.at
		&& cursor_record(t, tokenizer_before(match, f->spaces.at, &start))->bits & RT_RAW_SPACE) {
		f->spaces.at = start;
		f->spaces.index--;
	}
}

/* The longest added token that begins at the cursor; -1: none. Returns its index, and sets the cursor after
 * it and the end of its last character. */
RT_FN int32_t tokenizer_longest(
	const RtTokenizer *t, const uint32_t *trie, Cursor walk, Cursor *after, int32_t *end)
{
	int32_t best = -1;
	uint32_t unit = trie[0];
	Char ch;
	while (cursor_next(t, &walk, &ch)) {
		unsigned char bytes[4];
		int32_t n = cursor_encode(ch.code, bytes);
		for (int32_t i = 0; i < n && (i == 0 || unit > 0); i++)
			unit = trie_step(trie, unit, bytes[i]);
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

/* Finds the next added token from f->at on: the leftmost, and among these the longest. 0: none. As in the
 * library, a single-word token that is not a word of its own still hides tokens that overlap it. */
RT_FN int tokenizer_find(const RtTokenizer *t, Finder *f, Found *found)
{
	Char ch;
	while (f->at.at < f->at.end || f->at.next < f->at.queued || f->at.run.class > 0) {
		if (f->at.raw && t->skips) { /* skip to a byte with which a token can begin */
			int32_t from = f->at.at;
			while (f->at.at < f->at.end && !t->first_raw[f->at.text[f->at.at]])
				f->at.at++;
			f->at.index += f->at.at
				- from; /* counts bytes instead of characters, because indices are only compared */
			if (f->at.at == f->at.end)
				return 0;
			f->after_word = f->at.at > 0
				&& cursor_record(t, tokenizer_before(&f->at, f->at.at, &from))->bits & RT_RAW_WORD;
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
			if (match.raw && t->skips)
				tokenizer_find_spaces(t, f, &match);
			if (f->spaces.index < match.index)
				found->from = f->spaces;
			if (found->from.index < f->taken.index)
				found->from = f->taken;
		}
		while (f->at.index < found->after.index)
			tokenizer_finder_pass(t, f);
		peek = found->after;
		if (flags & RT_ADDED_NEVER)
			continue;
		if (flags & RT_ADDED_SINGLE_WORD
			&& (before_word || (cursor_next(t, &peek, &ch) && cursor_record(t, ch.code)->bits & RT_RAW_WORD)))
			continue;
		peek = found->after;
		while (flags & RT_ADDED_RSTRIP && cursor_next(t, &peek, &ch)
			&& cursor_record(t, ch.code)->bits & RT_RAW_SPACE) {
			found->after = peek;
			found->end = ch.end;
		}
		f->taken = found->after;
		peek = found->from;
		cursor_next(t, &peek, &ch);
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

/* ---- texts ----------------------------------------------------------------------------------- */
/* Trims white space at both ends of an added token, which may have absorbed some beside it. */
RT_FN void tokenizer_trim_added(const RtTokenizer *t, const Found *found, Writer *w)
{
	int32_t before = 0, after = 0, count = 0;
	Cursor c = found->from;
	Char ch;
	while (c.index < found->after.index && cursor_next(t, &c, &ch)) {
		const int space = ch.code == 0x120 || cursor_record(t, ch.code)->bits & RT_RAW_SPACE; /* U+0120: Ġ */
		before += space && before == count;
		after = space ? after + 1 : 0;
		count++;
	}
	t->trim(t, w, before, after);
}

RT_FN void tokenizer_added(const RtTokenizer *t, const Found *found, Writer *w)
{
	tokenizer_write(w, t->added[found->added].id, found->start, found->end);
	if (t->trim)
		tokenizer_trim_added(t, found, w);
	w->word++;
}

/* Normalises the bytes [from, to), searches them for added tokens, and splits them into words. */
RT_FN void tokenizer_piece(const RtTokenizer *t, const char *text, int32_t from, int32_t to, Writer *w)
{
	Segment segment;
	segment.from = -1;
	Cursor c = cursor_new(text, from, to, 0, &segment);
	if (t->nadded_clean > 0) {
		Finder f = tokenizer_finder(t->added_clean, c);
		Found found;
		while (tokenizer_find(t, &f, &found)) {
			t->split(t, &c, found.from.index, w);
			tokenizer_added(t, &found, w);
			c = found.after;
		}
	}
	t->split(t, &c, INT32_MAX, w);
}

/* Tokenises one whole text, without the template. */
RT_FN void tokenizer_text(const RtTokenizer *t, const char *text, int32_t bytes, Writer *w)
{
	int32_t done = 0;
	w->written_end = 0;
	w->word = 0;
	w->count = 0;
	w->next = -1;
	if (t->nadded_raw > 0) {
		Finder f = tokenizer_finder(t->added_raw, cursor_new(text, 0, bytes, 1, NULL));
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

/* ---- the whole ------------------------------------------------------------------------------- */
RT_FN int32_t tokenizer_ill_formed(const char *text, int32_t bytes)
{
	int32_t count = 0, length;
	for (int32_t at = 0; at < bytes; at += length) {
		uint32_t code = cursor_decode((const unsigned char *)text, at, bytes, &length);
		count += code == 0xFFFD
			&& !(length == 3 && (unsigned char)text[at] == 0xEF); /* U+FFFD itself is well-formed */
	}
	return count;
}

/* longest_first with room for `room` tokens: cuts the longer text down to the shorter. If both are too long,
 * each gets half; the longer one (the pair, if equal) gets the odd token. */
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
RT_API int rt_tokenize(const RtTokenizer *t, const char *text, size_t bytes, const char *pair,
	size_t pair_bytes, int32_t max_tokens, int32_t *ids, int32_t *types, int32_t *byte_start,
	int32_t *byte_end, int32_t *word, RtEncoding *encoding)
{
	const RtPiece *items = pair ? t->pair : t->single;
	int32_t nitems = pair ? t->npair : t->nsingle, special = 0, n = 0;
	const char *texts[2] = {text, pair};
	int32_t sizes[2] = {(int32_t)bytes, pair ? (int32_t)pair_bytes : 0}, limits[2], totals[2] = {0, 0},
			nexts[2] = {0, 0}, skips[2] = {0, 0};
	if ((pair && t->npair == 0) || !text)
		return RT_E_TEXT;
	if (bytes > INT32_MAX || (pair && pair_bytes > INT32_MAX))
		return RT_E_LENGTH;
	for (int32_t i = 0; i < nitems; i++)
		special += items[i].piece == RT_PIECE_TOKEN;
	if (max_tokens < special)
		return RT_E_LENGTH;
	limits[1] = max_tokens - special;
	limits[0] = max_tokens - special;
	if (pair || t->cut_left) { /* the cut depends on the lengths of the texts */
		for (int i = 0; i < 1 + (pair != NULL); i++) {
			Writer count = {0};
			tokenizer_text(t, texts[i], sizes[i], &count);
			skips[i] = count.count;
			limits[i] = count.count < limits[i] || pair ? count.count : limits[i];
		}
		if (pair)
			tokenizer_truncate(max_tokens - special, &limits[0], &limits[1]);
		for (int i = 0; i < 2; i++)
			skips[i] = t->cut_left ? skips[i] - limits[i] : 0;
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
			Writer w = {texts[which], ids + n, byte_start ? byte_start + n : NULL,
				byte_end ? byte_end + n : NULL, word ? word + n : NULL, limits[which], .skip = skips[which]};
			tokenizer_text(t, texts[which], sizes[which], &w);
			totals[which] = w.count;
			limits[which] = w.count - w.skip < w.limit ? w.count - w.skip : w.limit;
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
	encoding->replaced = tokenizer_ill_formed(text, sizes[0])
		+ (pair ? tokenizer_ill_formed(pair, sizes[1]) : 0);
	return RT_OK;
}

RT_API int32_t rt_tokenize_one(const RtTokenizer *t, const char *text, size_t bytes, int32_t limit,
	int32_t *ids, int32_t *total, int32_t *replaced)
{
	Writer w = {text, ids, NULL, NULL, NULL, limit, .skip = 0};
	if (t->cut_left) { /* the first one to keep depends on the length */
		Writer count = {0};
		tokenizer_text(t, text, (int32_t)bytes, &count);
		w.skip = count.count > limit ? count.count - limit : 0;
	}
	tokenizer_text(t, text, (int32_t)bytes, &w);
	*total = w.count;
	*replaced = tokenizer_ill_formed(text, (int32_t)bytes);
	return rt_min(w.count - w.skip, limit);
}

RT_API const char *rt_token_text(const RtTokenizer *t, int32_t id, size_t *bytes)
{
	if (id < 0 || id >= t->ids || t->text_at[id] == t->text_at[id + 1])
		return NULL;
	*bytes = t->text_at[id + 1] - t->text_at[id];
	return t->texts + t->text_at[id];
}

RT_API int32_t rt_token_mask_id(const RtTokenizer *t) { return t->mask_id; }
