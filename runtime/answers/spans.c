/* spans.c: the words of a tagger with their labels, and spans of them by the scheme of the labels
 * (schemes.h). A word has the label of its first token. Spans begin and end at words. Neighbours with the
 * same label without prefix are one span. */
#include "answering.h"
#include <math.h>

/* ---- words ----------------------------------------------------------------------------------- */

RT_API RtWord rt_tag(const RtHead *head, const float *logits, int32_t n, double threshold)
{
	RtWord word = {.label = 0};
	double sum = 0;
	for (int32_t i = 1; i < n; i++)
		if (logits[i] > logits[word.label])
			word.label = i;
	if (head->problem == RT_MULTI) {
		word.score = rt_sigmoid(logits[word.label]);
		word.label = word.score >= threshold ? word.label : RT_NO_LABEL;
		return word;
	}
	for (int32_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - (double)logits[word.label]);
	word.score = (float)(1 / sum);
	return word;
}

RT_API int32_t rt_words(
	const RtView *view, const RtHead *head, int32_t width, double threshold, RtWord *words)
{
	int32_t count = 0, number = -1;
	for (int32_t i = view->first; i < view->first + view->count; i++) {
		const int32_t start = view->start ? view->start[i] : i, end = view->start ? view->end[i] : i + 1;
		if (view->start && ((size_t)start < view->low || (size_t)start >= view->high))
			continue;
		if (view->start && view->word[i] == number) {
			words[count - 1].end = rt_max(words[count - 1].end, end);
		} else {
			words[count] = rt_tag(head, view->rows + (size_t)i * (size_t)width, width, threshold);
			words[count].start = start;
			words[count++].end = end;
			number = view->start ? view->word[i] : -1;
		}
	}
	return count;
}

RT_API int32_t rt_word_end(const RtTokenizer *t, const char *text, size_t bytes, int32_t start, int32_t end)
{
	enum { TOKENS = 512 };
	static const size_t reach = 4096; /* in bytes; a word of more than 100 characters is one unknown token */
	int32_t ids[TOKENS], starts[TOKENS], ends[TOKENS], numbers[TOKENS], number = -1;
	RtEncoding encoding;
	const size_t rest = bytes - (size_t)start;
	RtTokenizer tokenizer = *t;
	tokenizer.cut_left = 0;
	if (rt_tokenize(&tokenizer, text + start, rest < reach ? rest : reach, NULL, 0, TOKENS, ids, NULL, starts,
			ends, numbers, &encoding)
		!= RT_OK)
		return end;
	for (int32_t i = 0; i < encoding.n; i++) {
		if (starts[i] == RT_SPECIAL)
			continue;
		if (number == -1)
			number = numbers[i];
		if (numbers[i] == number && start + ends[i] > end)
			end = start + ends[i];
	}
	return end;
}

/* ---- spans ----------------------------------------------------------------------------------- */

RT_API int rt_spans_add(RtSpans *s, const RtWord *word)
{
	const char *label = word->label == RT_NO_LABEL ? "O" : s->labels[word->label], *type;
	if (rt_tag_kind(label, s->scheme, &type) == 'O') {
		s->before = NULL;
		return 0;
	}
	if (rt_tag_begins(s->before, label, s->scheme)) {
		s->open = (RtSpan){.start = word->start, .type = type};
		s->count++;
		s->length = 0;
		s->sum = 0;
	}
	s->length++;
	s->sum += word->score;
	s->open.end = word->end;
	s->open.score = (float)(s->sum / s->length);
	s->before = label;
	return 1;
}

RT_API int32_t rt_spans(const RtWord *words, int32_t n, const char *const *labels, int scheme, RtSpan *spans)
{
	RtSpans s = {.labels = labels, .scheme = scheme};
	for (int32_t i = 0; i < n; i++)
		if (rt_spans_add(&s, &words[i]))
			spans[s.count - 1] = s.open;
	return s.count;
}
