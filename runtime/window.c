/* window.c: cuts a text that is longer than the model's limit into windows. This file only places the
 * windows; text.c and labels.c combine their results. */
#include "api.h"

enum {
	WINDOW_BYTES_A_TOKEN = 64
}; /* first guess at the text that fills a window; doubled until it is enough */

/* The end of a slice of at least `want` bytes: it ends at an ASCII space or at the text's end, so no word is
 * cut. */
RT_FN size_t window_slice(const char *text, size_t bytes, size_t from, size_t want)
{
	size_t end = bytes - from <= want ? bytes : from + want;
	while (end < bytes && text[end] != ' ')
		end++;
	return end;
}

RT_API int32_t rt_window_tokens(const RtEncoding *encoding, int paired, const int32_t *start, int32_t *first)
{
	int32_t skip = paired ? encoding->text_tokens : 0,
			count = paired ? encoding->pair_tokens : encoding->text_tokens, i = 0;
	for (; i < encoding->n && count > 0; i++)
		if (start[i] != RT_SPECIAL && skip-- == 0)
			break;
	*first = i;
	return count;
}

/* The first token of the word that contains token `at`; `at` itself if that word begins at token `first` or
 * earlier. */
RT_FN int32_t window_word(const int32_t *word, int32_t first, int32_t at)
{
	int32_t i = at;
	while (i > first && word[i - 1] == word[at])
		i--;
	return i > first ? i : at;
}

RT_API int rt_window(const RtModel *model, const char *text, size_t bytes, const char *pair,
	size_t pair_bytes, size_t from, int overlap, int32_t *ids, int32_t *types, int32_t *start, int32_t *end,
	int32_t *word, RtEncoding *encoding, size_t *next)
{
	RtTokenizer tokenizer = *model->tokenizer;
	tokenizer.cut_left = 0; /* the next window begins where this one ends */
	const int paired = pair != NULL;
	const char *long_text = paired ? pair : text;
	const size_t long_bytes = paired ? pair_bytes : bytes;
	size_t want = (size_t)model->max_tokens * WINDOW_BYTES_A_TOKEN, stop;
	int32_t first, count;
	for (;; want *= 2) {
		stop = window_slice(long_text, long_bytes, from, want);
		int status = paired ? rt_tokenize(&tokenizer, text, bytes, pair + from, stop - from,
								  model->max_tokens, ids, types, start, end, word, encoding)
							: rt_tokenize(&tokenizer, text + from, stop - from, NULL, 0, model->max_tokens,
								  ids, types, start, end, word, encoding);
		if (status != RT_OK)
			return status;
		count = rt_window_tokens(encoding, paired, start, &first);
		const size_t reached = paired ? encoding->pair_next : encoding->text_next;
		if (stop == long_bytes || reached < stop - from)
			break;
	}
	const size_t reached = from + (paired ? encoding->pair_next : encoding->text_next);
	for (int32_t i = first; i < first + count; i++) {
		start[i] += (int32_t)from;
		end[i] += (int32_t)from;
	}
	*next = SIZE_MAX;
	if (reached >= long_bytes || count == 0)
		return RT_OK;
	const int32_t last = first + count - 1;
	if (overlap && count > 1)
		*next = (size_t)start[window_word(word, first, first + count / 2)];
	else if (count > 1 && (size_t)end[last] == reached && long_text[reached] != ' ')
		/* may be inside a word; the next window then repeats its start */
		*next = (size_t)start[window_word(word, first, last)];
	else
		*next = reached;
	if (model->tokenizer->trim && *next < SIZE_MAX && *next > from && long_text[*next - 1] == ' ')
		--*next;       /* the space before a word belongs to it, although its offsets exclude it */
	if (*next <= from) /* several tokens of the same byte: continue after them */
		*next = reached > from ? reached : SIZE_MAX;
	return RT_OK;
}

RT_API size_t rt_window_boundary(
	const RtEncoding *encoding, int paired, const int32_t *start, const int32_t *word, size_t next)
{
	int32_t first, count = rt_window_tokens(encoding, paired, start, &first), end = first + count;
	while (first < end && (size_t)start[first] < next)
		first++;
	return first < end ? (size_t)start[window_word(word, first, first + (end - first) / 2)] : next;
}
