/* answers.c: the texts of the context that answer a question. Scores are as in the question-answering
 * pipeline of transformers 4.57: softmax over the starts, and over the ends, of [CLS] and the context's
 * tokens; score = p(start) * p(end). A span has start <= end and at most RT_ANSWER_TOKENS tokens. [CLS] is
 * not a span. The best spans become whole words, and the scores of equal texts add up. */
#include "answering.h"
#include <math.h>
#include <strings.h>

/* p[i] = exp(logit i - max) / sum over [CLS] and [from, to); 0 for all others. */
RT_FN void answer_softmax(
	const float *logits, int32_t column, int32_t tokens, int32_t from, int32_t to, double *p)
{
	double top = logits[column], sum = 0;
	for (int32_t i = from; i < to; i++)
		if (logits[2 * i + column] > top)
			top = logits[2 * i + column];
	for (int32_t i = 0; i < tokens; i++) {
		p[i] = i == 0 || (i >= from && i < to) ? exp((double)logits[2 * i + column] - top) : 0;
		sum += p[i];
	}
	for (int32_t i = 0; i < tokens; i++)
		p[i] /= sum;
}

RT_API int32_t rt_answers(const float *logits, int32_t tokens, int32_t from, int32_t to, double *scratch,
	RtAnswer *best, int32_t most, double *null_score)
{
	double *start = scratch, *end = scratch + tokens;
	int32_t count = 0;
	if (tokens == 0)
		return 0;
	answer_softmax(logits, 0, tokens, from, to, start);
	answer_softmax(logits, 1, tokens, from, to, end);
	*null_score = start[0] * end[0];
	for (int32_t i = rt_max(from, 1); i < to; i++)
		for (int32_t j = i; j < to && j < i + RT_ANSWER_TOKENS; j++) {
			const double score = start[i] * end[j];
			if (count == most && !(score > best[most - 1].score))
				continue;
			count = rt_min(count + 1, most);
			int32_t at = count - 1;
			for (; at > 0 && score > best[at - 1].score; at--)
				best[at] = best[at - 1];
			best[at] = (RtAnswer){i, j, score};
		}
	return count;
}

/* Whether two answers are the same text. Upper and lower case are the same (of ASCII only). */
RT_FN int found_is(const RtFound *found, const RtFoundText *a, const RtFoundText *b)
{
	return found->context && a->end - a->start == b->end - b->start
		&& strncasecmp(found->context + a->start, found->context + b->start, (size_t)(a->end - a->start))
		== 0;
}

/* Adds an answer to an equal one, or as a new one. */
RT_FN void found_put(RtFound *found, const RtFoundText *text)
{
	int32_t least = 0;
	for (int32_t i = 0; i < found->count; i++) {
		if (found_is(found, &found->list[i], text)) {
			found->list[i].score += text->score;
			return;
		}
		least = found->list[i].score < found->list[least].score ? i : least;
	}
	if (found->count < found->capacity)
		found->list[found->count++] = *text;
	else if (text->score > found->list[least].score)
		found->list[least] = *text;
}

RT_API void rt_found_add(RtFound *found, const RtView *view, RtAnswer *spans, double *scratch)
{
	double none = 1;
	const int32_t from = view->first, to = view->first + view->count,
				  count = rt_answers(
					  view->rows, view->n, from, to, scratch, spans, 2 * found->top + RT_FOUND_SPANS, &none);
	found->null_score = none < found->null_score || found->windows == 0 ? none : found->null_score;
	for (int32_t i = 0; i < count; i++) {
		int32_t first = spans[i].first, last = spans[i].last;
		RtFoundText text = {spans[i].score, first, last + 1, found->windows};
		if (found->context) {
			while (first > from && view->word[first - 1] == view->word[first])
				first--;
			while (last + 1 < to && view->word[last + 1] == view->word[last])
				last++;
			text.start = view->start[first];
			text.end = view->end[last];
		}
		found_put(found, &text);
	}
	found->windows++;
}

RT_API void rt_found_sort(RtFound *found)
{
	for (int32_t i = 1; i < found->count; i++) {
		const RtFoundText moved = found->list[i];
		int32_t at = i;
		for (; at > 0 && moved.score > found->list[at - 1].score; at--)
			found->list[at] = found->list[at - 1];
		found->list[at] = moved;
	}
}
