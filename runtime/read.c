/* read.c: from a line to tokens: a line of text (one text, a pair, or a text and its choices), or a line of
 * ids. Each text becomes one piece, or several windows. */
#include "program.h"

/* rt_grow for a column of int32: `capacity` elements exist, `want` are needed. */
RT_FN int32_t *program_column(int32_t *column, int32_t capacity, int32_t want)
{
	size_t have = (size_t)capacity * sizeof *column;
	return rt_grow(column, &have, (size_t)want * sizeof *column);
}

RT_FN void program_tokens(RtProgram *p, int32_t n)
{
	if (p->tokens_capacity - p->ntokens >= n)
		return;
	const int32_t want = p->ntokens + n;
	p->ids = program_column(p->ids, p->tokens_capacity, want);
	p->types = program_column(p->types, p->tokens_capacity, want);
	p->start = program_column(p->start, p->tokens_capacity, want);
	p->end = program_column(p->end, p->tokens_capacity, want);
	p->word = program_column(p->word, p->tokens_capacity, want);
	p->tokens_capacity = want;
}

RT_FN RtRun *program_piece(RtProgram *p, RtItem *item, int32_t n)
{
	size_t have = (size_t)p->pieces_capacity * sizeof *p->pieces;
	p->pieces = rt_grow(p->pieces, &have, (size_t)(p->npieces + 1) * sizeof *p->pieces);
	p->pieces_capacity = (int32_t)(have / sizeof *p->pieces);
	RtRun *piece = &p->pieces[p->npieces++];
	*piece = (RtRun){.at = p->ntokens, .n = n, .choice = item->choices, .high = SIZE_MAX};
	p->ntokens += n;
	item->npieces++;
	return piece;
}

/* Drops what was read of a line with an error. */
RT_FN void program_drop(RtProgram *p, RtItem *item)
{
	if (item->npieces > 0)
		p->ntokens = p->pieces[item->first_piece].at;
	p->npieces = item->first_piece;
	item->npieces = 0;
}

RT_FN int program_chooses(const RtModel *m) { return m->nheads > 0 && m->heads[0].task == RT_TASK_CHOICE; }

/* Reads the ids of a text: "101 2023\t2003 102". False after an error. */
RT_FN int program_read_id_list(RtProgram *p, RtItem *item, const char *at, const char *end)
{
	const RtModel *m = p->model;
	const int32_t limit = m->max_tokens;
	int32_t n = 0, segment = 0, second = 0;
	program_tokens(p, limit);
	while (at < end) {
		if (*at == ' ') {
			at++;
			continue;
		}
		if (*at == '\t') {
			if (++segment > rt_max(m->late ? m->late->type : 1, 1)) {
				rt_complain(p, item, "error", "more than two segments");
				return 0;
			}
			second = n;
			at++;
			continue;
		}
		int64_t id = 0;
		const char *word = at;
		while (at < end && *at >= '0' && *at <= '9' && id <= INT32_MAX)
			id = 10 * id + (*at++ - '0');
		if (at == word || (at < end && *at != ' ' && *at != '\t')) {
			rt_complain(p, item, "error", "\"%.*s\": expected token ids: numbers separated by spaces",
				(int)rt_min((int)strcspn(word, " \t"), (int)(end - word) < 40 ? (int)(end - word) : 40),
				word);
			return 0;
		}
		if (id >= m->vocab) {
			rt_complain(p, item, "error", "token id %lld: the vocabulary has ids 0 to %d", (long long)id,
				(int)m->vocab - 1);
			return 0;
		}
		if (n < limit) {
			p->ids[p->ntokens + n] = (int32_t)id;
			p->types[p->ntokens + n] = segment < m->type_vocab ? segment : 0;
		}
		n++;
	}
	item->total = rt_max(item->total, n);
	if (n > limit && p->options.overflow != RT_OVERFLOW_TRUNCATE) {
		rt_complain(p, item, "error", "%d tokens, at most %d%s", (int)n, (int)limit,
			p->options.overflow == RT_OVERFLOW_WINDOW ? "; windows need text" : "");
		return 0;
	}
	item->truncated |= n > limit;
	RtRun *piece = program_piece(p, item, rt_min(n, limit));
	piece->count = piece->n;
	if (m->nheads > 0
		&& m->heads[0].task == RT_TASK_QA) { /* the context: all of the second segment but its separator */
		piece->first = rt_min(segment ? second : 0, piece->n);
		piece->count = rt_max(piece->n - piece->first - 1, 0);
	}
	return 1;
}

/* Reads a line of ids. The ids of choices are separated by '|'. */
RT_FN void program_read_ids(RtProgram *p, RtItem *item)
{
	const char *at = p->bytes + item->at, *end = at + item->bytes, *bar;
	const int chooses = program_chooses(p->model);
	int good;
	do {
		bar = chooses ? memchr(at, '|', (size_t)(end - at)) : NULL;
		good = program_read_id_list(p, item, at, bar ? bar : end);
		item->choices += chooses;
		at = bar ? bar + 1 : end;
	} while (good && bar);
	if (!good)
		program_drop(p, item);
}

/* Checks the tokens of a text: the model must have all ids (its tokenizer may have more), and fill-mask needs
 * a mask. */
RT_FN void program_check_tokens(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	const int to_fill = m->nheads > 0 && m->heads[0].task == RT_TASK_FILL_MASK && !p->options.logits
		&& !p->options.hidden;
	if (p->options.tokenize || item->npieces == 0)
		return;
	const RtRun *first = &p->pieces[item->first_piece];
	int32_t masks = 0, unknown = -1;
	for (int32_t i = first->at; i < p->ntokens; i++) {
		unknown = p->ids[i] >= m->vocab ? p->ids[i] : unknown;
		masks += task_is_mask(m, p->ids[i]);
	}
	if (unknown >= 0)
		rt_complain(p, item, "error", "token id %d from the tokenizer: the model has ids 0 to %d",
			(int)unknown, (int)m->vocab - 1);
	else if (to_fill && masks == 0 && !m->tokenizer)
		rt_complain(p, item, "error",
			"without a tokenizer the mask is unknown; --logits prints every token's scores");
	else if (to_fill && masks == 0)
		rt_complain(p, item, "error", "no mask %s", item->truncated ? "within the limit" : "in the text");
	else
		return;
	program_drop(p, item);
}

/* An error if the line has one text but the first head needs a pair, or the reverse; NULL: none. */
RT_FN const char *program_pairing(const RtProgram *p, RtItem *item, const char *tab)
{
	const RtModel *m = p->model;
	const int task = m->nheads > 0 ? m->heads[0].task : RT_TASK_EMBED;
	const int chooses = task == RT_TASK_CHOICE,
			  needs = task == RT_TASK_QA || task == RT_TASK_RANK || chooses || p->options.similarity,
			  refuses = task == RT_TASK_TAG || task == RT_TASK_EMBED || task == RT_TASK_SPARSE || m->late
		|| !m->takes_pairs;
	if (rerank_encodes(p))
		return tab ? "the line has a tab; with --query it is one document" : NULL;
	if (p->options.query) {
		item->pair = item->text;
		item->pair_bytes = item->text_bytes;
		item->text = p->options.query;
		item->text_bytes = strlen(p->options.query);
		return tab ? "the line has a tab; with --query it is one document" : NULL;
	}
	if (p->zero_shot)
		return tab ? "the line has a tab; with --labels it is one text" : NULL;
	if (tab && refuses && !needs)
		return "the line has a tab, but this model takes one text";
	if (!tab && chooses && item->text_bytes > 0)
		return "the line has no tab; this model takes a text and its choices, separated by tabs";
	if (!tab && needs && item->text_bytes > 0)
		return "the line has no tab; this model takes two texts separated by a tab";
	if (tab && !chooses && memchr(tab + 1, '\t', item->text_bytes - (size_t)(tab + 1 - item->text)))
		return "more than one tab";
	if (!tab) {
		item->pair = needs ? item->text : NULL;
		item->pair_bytes = 0;
		return NULL;
	}
	item->pair = tab + 1;
	item->pair_bytes = item->text_bytes - (size_t)(tab + 1 - item->text);
	item->text_bytes = (size_t)(tab - item->text);
	return NULL;
}

/* Reads a text, or a pair, as one piece or as windows. False after an error. */
RT_FN int program_read_windows(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	const int task = m->nheads > 0 ? m->heads[0].task : RT_TASK_EMBED;
	const int overlap = p->options.hidden || task == RT_TASK_QA
		|| m->outputs[m->nheads > 0 ? m->heads[0].output : 0].per_token;
	const int windows = p->options.overflow == RT_OVERFLOW_WINDOW && task != RT_TASK_FILL_MASK
		&& !p->options.tokenize && late_has_windows(m, p->late);
	for (size_t from = 0, low = 0, next; from != SIZE_MAX; from = next) {
		RtEncoding e;
		program_tokens(p, m->max_tokens);
		const int32_t at = p->ntokens;
		int status;
		if (windows) {
			status = rt_window(m, item->text, item->text_bytes, item->pair, item->pair_bytes, from, overlap,
				p->ids + at, p->types + at, p->start + at, p->end + at, p->word + at, &e, &next);
		} else {
			status = late_tokenize(m, p->late, item->text, item->text_bytes, item->pair, item->pair_bytes,
				p->ids + at, p->types + at, p->start + at, p->end + at, p->word + at, &e);
			next = SIZE_MAX;
		}
		const int cut = status == RT_OK && e.total > e.n && !(windows && next != SIZE_MAX);
		if (status != RT_OK)
			rt_complain(p, item, "error", "%s", rt_strerror(status));
		else if (p->options.strict && e.replaced)
			rt_complain(p, item, "error", "invalid UTF-8 (%d sequences)", (int)e.replaced);
		else if (cut && p->options.overflow == RT_OVERFLOW_ERROR)
			rt_complain(p, item, "error", "%d tokens, at most %d", (int)e.total, (int)m->max_tokens);
		else {
			RtRun *piece = program_piece(p, item, e.n);
			piece->count = rt_window_tokens(&e, item->pair != NULL, p->start + at, &piece->first);
			piece->low = low;
			if (next != SIZE_MAX && overlap) {
				low = rt_window_boundary(&e, item->pair != NULL, p->start + at, p->word + at, next);
				piece->high = low;
			}
			item->truncated |= cut;
			item->total = rt_max(item->total, e.total);
			continue;
		}
		return 0;
	}
	return 1;
}

/* Reads each choice of a line as a pair with the line's first text. False after an error. */
RT_FN int program_read_choices(RtProgram *p, RtItem *item)
{
	const char *at = item->pair, *end = at + item->pair_bytes, *tab;
	int good;
	do {
		tab = memchr(at, '\t', (size_t)(end - at));
		item->pair = at;
		item->pair_bytes = (size_t)((tab ? tab : end) - at);
		good = program_read_windows(p, item);
		item->choices++;
		at = tab ? tab + 1 : end;
	} while (good && tab);
	return good;
}

/* Reads the two texts of a line for themselves, each with the prompt. False after an error. */
RT_FN int program_read_two(RtProgram *p, RtItem *item)
{
	const char *const texts[] = {item->text, item->pair};
	const size_t bytes[] = {item->text_bytes, item->pair_bytes};
	int good = 1;
	item->pair = NULL;
	for (item->choices = 0; good && item->choices < 2; item->choices++) {
		item->text_bytes = bytes[item->choices];
		item->text = prompt_text(p, texts[item->choices], &item->text_bytes);
		good = program_read_windows(p, item);
	}
	return good;
}

/* Makes tokens of the prompt and item->text. */
RT_FN void program_read_prompted(RtProgram *p, RtItem *item)
{
	const RtItem plain = *item;
	int good;
	if (p->options.similarity) {
		good = program_read_two(p, item);
	} else {
		item->text = prompt_text(p, item->text, &item->text_bytes);
		if (p->zero_shot)
			good = zero_shot_read(p, item);
		else if (program_chooses(p->model))
			good = program_read_choices(p, item);
		else
			good = program_read_windows(p, item);
	}
	if (!good)
		program_drop(p, item);
	item->text = plain.text;
	item->text_bytes = plain.text_bytes;
}

RT_FN void program_read_text(RtProgram *p, RtItem *item)
{
	item->text = p->bytes + item->at;
	item->text_bytes = item->bytes;
	const char *wrong = item->bytes > INT32_MAX
		? "the line is too long"
		: program_pairing(p, item, memchr(item->text, '\t', item->bytes));
	if (wrong)
		rt_complain(p, item, "error", "%s", wrong);
	else
		program_read_prompted(p, item);
}

RT_FN void program_read(RtProgram *p, RtItem *item)
{
	if (p->options.ids)
		program_read_ids(p, item);
	else
		program_read_text(p, item);
	program_check_tokens(p, item);
}
