/* answers.c: the span of the context that answers a question. Scores are as in the question-answering
 * pipeline of transformers: softmax over the starts, and over the ends, of [CLS] and the context's tokens;
 * score = p(start) * p(end). A span has start <= end and at most RT_ANSWER_TOKENS tokens. [CLS] is not a
 * span. */
#include "answering.h"
#include <math.h>

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

RT_API RtAnswer rt_answer(const float *logits, int32_t tokens, int32_t from, int32_t to, double *scratch)
{
	RtAnswer answer = {-1, -1, -1, 0};
	double *start = scratch, *end = scratch + tokens;
	if (tokens == 0)
		return answer;
	answer_softmax(logits, 0, tokens, from, to, start);
	answer_softmax(logits, 1, tokens, from, to, end);
	answer.null_score = start[0] * end[0];
	for (int32_t i = rt_max(from, 1); i < to; i++)
		for (int32_t j = i; j < to && j < i + RT_ANSWER_TOKENS; j++)
			if (start[i] * end[j] > answer.score)
				answer = (RtAnswer){i, j, start[i] * end[j], answer.null_score};
	return answer;
}

RT_API int rt_found_add(RtFound *found, const RtView *view, double *scratch)
{
	RtAnswer answer = rt_answer(view->rows, view->n, view->first, view->first + view->count, scratch);
	const double null_score = answer.null_score < found->best.null_score ? answer.null_score
																		 : found->best.null_score;
	const int better = answer.score > found->best.score;
	if (better)
		found->best = answer;
	found->best.null_score = null_score;
	if (!better || answer.first < 0 || !view->start)
		return better;
	int32_t first = answer.first, last = answer.last;
	while (first > view->first && view->word[first - 1] == view->word[first])
		first--;
	while (last + 1 < view->first + view->count && view->word[last + 1] == view->word[last])
		last++;
	found->start = view->start[first];
	found->end = view->end[last];
	return better;
}
