/* aggregate.c: --aggregation: words and their labels as the pipeline token-classification of transformers
 * makes them. `simple` takes every token as a word. The others join the tokens of a word and label it by its
 * first token (first), by the mean of its tokens' probabilities (average), or by the token with the largest
 * probability (max).
 *
 * A token continues a word: with WordPiece, if its spelling ("##ing") and its text differ in length; else if
 * there is no space at its start or before it. An unknown token begins a word. */
#include "program.h"
#include <math.h>

RT_FN int32_t aggregate_characters(const char *text, size_t bytes)
{
	int32_t count = 0;
	for (size_t i = 0; i < bytes; i++)
		count += ((unsigned char)text[i] & 0xC0) != 0x80;
	return count;
}

RT_FN int aggregate_goes_on(const RtProgram *p, const RtItem *item, int32_t at)
{
	const RtTokenizer *t = p->model->tokenizer;
	const size_t start = (size_t)p->start[at], end = (size_t)p->end[at];
	if (p->ids[at] == t->unk_id)
		return 0;
	if (t->continues) {
		size_t bytes = 0;
		const char *token = rt_token_text(t, p->ids[at], &bytes);
		return aggregate_characters(token, token ? bytes : 0)
			!= aggregate_characters(item->text + start, end - start);
	}
	return start > 0 && item->text[start - 1] != ' '
		&& !(start < item->text_bytes && item->text[start] == ' ');
}

/* Adds the probabilities of a token to mean[n]. */
RT_FN void aggregate_add(double *mean, const float *logits, int32_t n)
{
	double sum = 0, top = (double)logits[0];
	for (int32_t i = 1; i < n; i++)
		top = (double)logits[i] > top ? (double)logits[i] : top;
	for (int32_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - top);
	for (int32_t i = 0; i < n; i++)
		mean[i] += exp((double)logits[i] - top) / sum;
}

RT_FN void aggregate_average(RtWord *word, const double *mean, int32_t n, int32_t tokens)
{
	word->label = 0;
	for (int32_t i = 1; i < n; i++)
		word->label = mean[i] > mean[word->label] ? i : word->label;
	word->score = (float)(mean[word->label] / tokens);
}

/* mean: room for a number for each label. */
RT_FN int32_t task_aggregate(
	RtProgram *p, const RtItem *item, const RtHead *head, RtWord *words, double *mean)
{
	const int how = p->options.aggregation;
	const int32_t labels = p->model->outputs[head->output].width;
	int32_t count = 0, tokens = 0;
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtRun *piece = task_piece(p, item, i);
		const float *row = rt_rows(p, head->output, piece) + (size_t)piece->first * (size_t)labels;
		for (int32_t j = piece->first; j < piece->first + piece->count; j++, row += labels) {
			const int32_t at = piece->at + j;
			if ((size_t)p->start[at] < piece->low || (size_t)p->start[at] >= piece->high)
				continue;
			RtWord token = rt_tag(head, row, labels, p->options.threshold);
			token.start = p->start[at];
			token.end = p->end[at];
			if (how == RT_AGGREGATE_SIMPLE || count == 0 || !aggregate_goes_on(p, item, at)) {
				words[count++] = token;
				tokens = 0;
				memset(mean, 0, (size_t)labels * sizeof *mean);
			} else {
				RtWord *word = &words[count - 1];
				word->end = token.end;
				if (how == RT_AGGREGATE_MAX && token.score > word->score) {
					word->score = token.score;
					word->label = token.label;
				}
			}
			if (how == RT_AGGREGATE_AVERAGE) {
				aggregate_add(mean, row, labels);
				aggregate_average(&words[count - 1], mean, labels, ++tokens);
			}
		}
	}
	return count;
}
