/* labels.c: labels of a text (classify, rank) and of its words (tag), and its choice. Combines the windows of
 * a long text: the mean of logits and embeddings; for tags the window in which the word is nearest to the
 * middle. */
#include "program.h"
#include <math.h>

RT_FN const RtRun *task_piece(const RtProgram *p, const RtItem *item, int32_t i)
{
	return &p->pieces[item->first_piece + i];
}

RT_FN void *rt_scratch(RtProgram *p, size_t bytes)
{
	return p->scratch = rt_grow(p->scratch, &p->scratch_bytes, bytes);
}

/* One row per text, in scratch memory: the row of its only piece, or the mean over its windows. Embeddings
 * are weighted by tokens and normalised again if those of all windows had length 1. */
RT_FN float *task_row(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const int32_t width = p->model->outputs[head->output].width;
	float *row = rt_scratch(p, (size_t)width * sizeof *row);
	int unit = head->task == RT_TASK_EMBED;
	double weights = 0;
	memcpy(row, rt_rows(p, head->output, task_piece(p, item, 0)), (size_t)width * sizeof *row);
	if (item->npieces == 1)
		return row;
	memset(row, 0, (size_t)width * sizeof *row);
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtRun *piece = task_piece(p, item, i);
		const float *other = rt_rows(p, head->output, piece);
		const double weight = head->task == RT_TASK_EMBED ? piece->n : 1;
		unit = unit && text_is_unit(other, width);
		weights += weight;
		for (int32_t j = 0; j < width; j++)
			row[j] = (float)(row[j] + weight * other[j]);
	}
	text_scale(row, width, 1 / (unit ? text_norm(row, width) : weights));
	return row;
}

/* ---- classify, rank -------------------------------------------------------------------------- */

/* Turns logits into the printed scores, in place. Returns the best label. */
RT_FN int32_t task_scores(const RtHead *head, float *row, int32_t n)
{
	int32_t best = 0;
	if (head->problem == RT_SINGLE && n > 1)
		return rt_softmax(row, n);
	for (int32_t i = 0; i < n; i++) {
		if (head->problem != RT_REGRESSION)
			row[i] = rt_sigmoid(row[i]);
		if (row[i] > row[best])
			best = i;
	}
	return best;
}

RT_FN const char *task_label_text(const RtHead *head, int32_t i)
{
	return head->labels && i < head->nlabels ? head->labels[i] : "?";
}

/* The score of a ranker. With several labels it is the probability of the last one, by convention "relevant"
 * or "entailed". */
RT_FN float task_rank(const RtHead *head, float *row, int32_t n)
{
	task_scores(head, row, n);
	return row[n - 1];
}

RT_FN void task_json_scores(FILE *out, const RtHead *head, const float *row, int32_t n)
{
	fputs("\"scores\": {", out);
	for (int32_t i = 0; i < n; i++) {
		const char *label = task_label_text(head, i);
		fputs(i ? ", " : "", out);
		rt_json_string(out, label, strlen(label));
		fputs(": ", out);
		rt_json_number(out, row[i]);
	}
	putc('}', out);
}

/* The members of a head's JSON object, without braces. */
RT_FN void task_json_classify(RtProgram *p, const RtHead *head, float *row, int32_t n)
{
	FILE *out = p->out;
	if (head->task == RT_TASK_RANK || (head->problem == RT_REGRESSION && n == 1)) {
		fputs("\"score\": ", out);
		rt_json_number(out, task_rank(head, row, n));
		return;
	}
	const int32_t best = task_scores(head, row, n);
	if (head->problem != RT_REGRESSION) {
		fputs("\"label\": ", out);
		rt_json_string(out, task_label_text(head, best), strlen(task_label_text(head, best)));
		fputs(", \"score\": ", out);
		rt_json_number(out, row[best]);
		fputs(", ", out);
	}
	if (head->problem == RT_MULTI) {
		int some = 0;
		fputs("\"labels\": [", out);
		for (int32_t i = 0; i < n; i++)
			if (row[i] >= p->options.threshold) {
				fputs(some++ ? ", " : "", out);
				rt_json_string(out, task_label_text(head, i), strlen(task_label_text(head, i)));
			}
		fputs("], ", out);
	}
	task_json_scores(out, head, row, n);
}

RT_FN void task_plain_classify(RtProgram *p, const RtHead *head, float *row, int32_t n)
{
	if (head->task == RT_TASK_RANK || (head->problem == RT_REGRESSION && n == 1)) {
		fprintf(p->out, "%.6f\n", task_rank(head, row, n));
		return;
	}
	const int32_t best = task_scores(head, row, n);
	if (head->problem == RT_SINGLE) {
		fprintf(p->out, "%s\t%.6f\n", task_label_text(head, best), row[best]);
		return;
	}
	const char *separator = "";
	for (int32_t i = 0; i < n; i++)
		if (head->problem == RT_REGRESSION || row[i] >= p->options.threshold) {
			fprintf(p->out, "%s%s\t%.6f", separator, task_label_text(head, i), row[i]);
			separator = "\t";
		}
	putc('\n', p->out);
}

/* ---- choice ---------------------------------------------------------------------------------- */

/* The logits of a line's choices, in scratch memory: for each the mean over its windows. */
RT_FN float *task_choices(RtProgram *p, const RtItem *item, const RtHead *head)
{
	float *logits = rt_scratch(p, (size_t)item->choices * sizeof *logits);
	int32_t i = 0;
	for (int32_t k = 0; k < item->choices; k++) {
		double sum = 0;
		int32_t windows = 0;
		for (; i < item->npieces && task_piece(p, item, i)->choice == k; i++) {
			sum += (double)*rt_rows(p, head->output, task_piece(p, item, i));
			windows++;
		}
		logits[k] = (float)(sum / windows);
	}
	return logits;
}

RT_FN void task_print_choices(RtProgram *p, const RtItem *item, const RtHead *head)
{
	float *scores = task_choices(p, item, head);
	const int32_t best = rt_softmax(scores, item->choices);
	if (p->options.json) {
		fprintf(p->out, "{\"choice\": %d, \"score\": ", (int)best);
		rt_json_number(p->out, scores[best]);
		fputs(", \"scores\": ", p->out);
		rt_json_row(p->out, scores, item->choices);
		return;
	}
	fprintf(p->out, "%d", (int)best);
	for (int32_t k = 0; k < item->choices; k++)
		fprintf(p->out, "\t%.6f", scores[k]);
	putc('\n', p->out);
}

/* ---- tag ------------------------------------------------------------------------------------- */

/* Label and probability of one token. Each label of a multi-label head has a probability of its own; a token
 * below the threshold has no label. */
RT_FN RtWord task_tag(const RtHead *head, const float *logits, int32_t n, double threshold)
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

/* The end of the word that starts at byte `start`, even if the limit cut some of its tokens. */
RT_FN int32_t task_word_end(RtProgram *p, const RtItem *item, int32_t start, int32_t end)
{
	enum { TOKENS = 512 };
	static const size_t reach = 4096; /* in bytes; a word of more than 100 characters is one unknown token */
	int32_t ids[TOKENS], starts[TOKENS], ends[TOKENS], numbers[TOKENS], number = -1;
	RtEncoding encoding;
	const size_t rest = item->text_bytes - (size_t)start;
	RtTokenizer tokenizer = *p->model->tokenizer;
	tokenizer.cut_left = 0;
	if (rt_tokenize(&tokenizer, item->text + start, rest < reach ? rest : reach, NULL, 0, TOKENS, ids, NULL,
			starts, ends, numbers, &encoding)
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

/* The words of a text, each with the label of its first token. With --ids every token is a word, and offsets
 * count tokens. */
RT_FN int32_t task_words(RtProgram *p, const RtItem *item, const RtHead *head, RtWord *words)
{
	const int32_t labels = p->model->outputs[head->output].width;
	int32_t count = 0;
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtRun *piece = task_piece(p, item, i);
		const float *rows = rt_rows(p, head->output, piece);
		int32_t number = -1, last = -1;
		for (int32_t j = piece->first; j < piece->first + piece->count; j++) {
			const int32_t at = piece->at + j;
			const int32_t start = p->options.ids ? j : p->start[at],
						  end = p->options.ids ? j + 1 : p->end[at];
			if (!p->options.ids && ((size_t)start < piece->low || (size_t)start >= piece->high))
				continue;
			if (!p->options.ids && p->word[at] == number) {
				words[count - 1].end = rt_max(words[count - 1].end, end);
			} else {
				const float *row = rows + (size_t)j * (size_t)labels;
				words[count] = task_tag(head, row, labels, p->options.threshold);
				words[count].start = start;
				words[count++].end = end;
				number = p->options.ids ? -1 : p->word[at];
			}
			last = j;
		}
		if (item->truncated && last >= 0 && !p->options.ids)
			words[count - 1].end = task_word_end(p, item, words[count - 1].start, words[count - 1].end);
	}
	return count;
}

/* --tokens: the label of the first token of each white-space-separated word; O for words that the limit cut
 * off. */
RT_FN void task_print_tokens(
	RtProgram *p, const RtItem *item, const RtHead *head, const RtWord *words, int32_t n)
{
	int some = 0;
	int32_t next = 0;
	if (p->options.json)
		fputs("{\"tokens\": [", p->out);
	for (size_t at = 0; at < item->text_bytes;) {
		size_t end = at;
		while (end < item->text_bytes && !strchr(" \t\n\r\f\v", item->text[end] ? item->text[end] : 'x'))
			end++;
		if (end == at) {
			at++;
			continue;
		}
		while (next < n && (size_t)words[next].start < at)
			next++;
		const int found = next < n && (size_t)words[next].start < end && words[next].label != RT_NO_LABEL;
		const char *label = found ? task_label_text(head, words[next].label) : "O";
		if (p->options.json) {
			fputs(some++ ? ", {\"text\": " : "{\"text\": ", p->out);
			rt_json_string(p->out, item->text + at, end - at);
			fputs(", \"label\": ", p->out);
			rt_json_string(p->out, label, strlen(label));
			putc('}', p->out);
		} else {
			fwrite(item->text + at, 1, end - at, p->out);
			fprintf(p->out, "\t%s\n", label);
		}
		at = end;
	}
	if (p->options.json)
		putc(']', p->out);
}

/* The text of a span, on one line. */
RT_FN void task_print_text(RtProgram *p, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		putc(text[i] == '\n' || text[i] == '\t' || text[i] == '\r' ? ' ' : text[i], p->out);
}

/* The tokens [first, end) of a piece as text, separated by spaces; ids if there is no vocabulary. */
RT_FN size_t task_spelling(
	RtProgram *p, const RtRun *piece, int32_t first, int32_t end, char *text, size_t capacity)
{
	size_t used = 0;
	for (int32_t i = first; i < end; i++) {
		size_t bytes = 0;
		const char *token = p->model->tokenizer
			? rt_token_text(p->model->tokenizer, p->ids[piece->at + i], &bytes)
			: NULL;
		if (!token || used + bytes + 1 >= capacity)
			continue;
		if (used)
			text[used++] = ' ';
		memcpy(text + used, token, bytes);
		used += bytes;
	}
	return used;
}

RT_FN void task_print_tags(RtProgram *p, const RtItem *item, const RtHead *head)
{
	enum { SPELLING_BYTES = 4096 };
	int32_t most = 0;
	for (int32_t i = 0; i < item->npieces; i++)
		most += task_piece(p, item, i)->count;
	RtWord *words = rt_scratch(
		p, (size_t)(most + 1) * (sizeof(RtWord) + sizeof(RtSpan)) + SPELLING_BYTES + 64);
	RtSpan *spans = (RtSpan *)(void *)((char *)words + ((size_t)(most + 1) * sizeof(RtWord) + 15) / 16 * 16);
	char *spelling = (char *)(spans + most + 1);
	const int32_t nwords = task_words(p, item, head, words);
	if (p->options.tokens) {
		task_print_tokens(p, item, head, words, nwords);
		return;
	}
	const int scheme = p->options.scheme ? p->options.scheme - 1 : rt_scheme_of(head->labels, head->nlabels);
	const int32_t n = rt_spans(words, nwords, head->labels, scheme, spans);
	if (p->options.json)
		fputs("{\"spans\": [", p->out);
	for (int32_t i = 0; i < n; i++) {
		const RtSpan *span = &spans[i];
		const char *text = p->options.ids ? spelling : item->text + span->start;
		const size_t bytes = p->options.ids
			? task_spelling(p, task_piece(p, item, 0), span->start, span->end, spelling, SPELLING_BYTES)
			: (size_t)(span->end - span->start);
		if (p->options.json) {
			fprintf(p->out, "%s{\"start\": %d, \"end\": %d, \"label\": ", i ? ", " : "", (int)span->start,
				(int)span->end);
			rt_json_string(p->out, span->type, strlen(span->type));
			fputs(", \"score\": ", p->out);
			rt_json_number(p->out, span->score);
			fputs(", \"text\": ", p->out);
			rt_json_string(p->out, text, bytes);
			putc('}', p->out);
		} else {
			fprintf(p->out, "%d\t%d\t%s\t%.6f\t", (int)span->start, (int)span->end, span->type, span->score);
			task_print_text(p, text, bytes);
			putc('\n', p->out);
		}
	}
	if (p->options.json)
		putc(']', p->out);
}
