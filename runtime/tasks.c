/* tasks.c: one answer of each task, as plain text or JSON, from the rows that a text's pieces gave. A text in
 * windows is put together here: logits and embeddings by their mean, tags by the window where a word lies
 * nearest the middle, answers by the best score. */
#include "program.h"
#include <math.h>

enum { TASK_CANDIDATES = 5 }; /* fill-mask */

RT_FN const RtRun *task_piece(const RtProgram *p, const RtItem *item, int32_t i)
{
	return &p->pieces[item->first_piece + i];
}

RT_FN void *rt_scratch(RtProgram *p, size_t bytes)
{
	return p->scratch = rt_grow(p->scratch, &p->scratch_bytes, bytes);
}

/* One row a text, in scratch memory: that of its only piece, or the mean over its windows (of an embedding,
 * by tokens, and of length 1 again where all windows had it). */
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

/* Logits to what is printed as scores, in place. Returns the best label. */
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

/* The one number of a ranker: of several labels, the probability of the last ("relevant", "entailed" by
 * convention). */
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

/* ---- tag ------------------------------------------------------------------------------------- */

/* Label and probability of one token. */
RT_FN RtWord task_tag(const float *logits, int32_t n)
{
	RtWord word = {.label = 0};
	double sum = 0;
	for (int32_t i = 1; i < n; i++)
		if (logits[i] > logits[word.label])
			word.label = i;
	for (int32_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - (double)logits[word.label]);
	word.score = (float)(1 / sum);
	return word;
}

/* Where the word that starts at byte `start` ends, however many tokens it has: the limit may have cut it. */
RT_FN int32_t task_word_end(RtProgram *p, const RtItem *item, int32_t start, int32_t end)
{
	enum { TOKENS = 512 };
	static const size_t reach = 4096; /* bytes; a word of more than 100 characters is one unknown token anyway
									   */
	int32_t ids[TOKENS], starts[TOKENS], ends[TOKENS], numbers[TOKENS], number = -1;
	RtEncoding encoding;
	const size_t rest = item->text_bytes - (size_t)start;
	if (rt_tokenize(p->model->tokenizer, item->text + start, rest < reach ? rest : reach, NULL, 0, TOKENS,
			ids, NULL, starts, ends, numbers, &encoding)
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

/* The words of a text with the label of each one's first token. Of ids, every token is a word and offsets
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
				words[count] = task_tag(rows + (size_t)j * (size_t)labels, labels);
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

/* --tokens: a label for each white-space-separated word, its first token's; O where none was left by the
 * limit. */
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
		const int found = next < n && (size_t)words[next].start < end;
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

/* Spelling of tokens [first, end) of a piece, with spaces between; ids where there is no vocabulary. */
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
	const int32_t n = rt_spans(words, nwords, head->labels, spans);
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

/* ---- qa -------------------------------------------------------------------------------------- */

RT_FN void task_print_answer(RtProgram *p, const RtItem *item, const RtHead *head)
{
	RtAnswer best = {-1, -1, -1, 2};
	const RtRun *in = NULL;
	char spelling[1024];
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtRun *piece = task_piece(p, item, i);
		double *scratch = rt_scratch(p, 2 * (size_t)rt_max(piece->n, 1) * sizeof(double));
		RtAnswer answer = rt_answer(
			rt_rows(p, head->output, piece), piece->n, piece->first, piece->first + piece->count, scratch);
		const double null_score = answer.null_score < best.null_score ? answer.null_score : best.null_score;
		if (answer.score > best.score) {
			best = answer;
			in = piece;
		}
		best.null_score = null_score;
	}
	long start = -1, end = -1;
	const char *text = "";
	double score = best.null_score;
	size_t bytes = 0;
	if (in && best.first >= 0 && !(p->options.allow_no_answer && best.null_score > best.score)) {
		int32_t first = in->at + best.first, last = in->at + best.last;
		score = best.score;
		if (p->options.ids) {
			start = best.first;
			end = best.last + 1;
			text = spelling;
			bytes = task_spelling(p, in, best.first, best.last + 1, spelling, sizeof spelling);
		} else { /* whole words, as transformers aligns answers */
			while (first > in->at + in->first && p->word[first - 1] == p->word[first])
				first--;
			while (last + 1 < in->at + in->first + in->count && p->word[last + 1] == p->word[last])
				last++;
			start = p->start[first];
			end = p->end[last];
			text = item->pair + start;
			bytes = (size_t)(end - start);
		}
	}
	if (p->options.json) {
		fputs("{\"answer\": ", p->out);
		rt_json_string(p->out, text, bytes);
		fprintf(p->out, ", \"start\": %ld, \"end\": %ld, \"score\": ", start, end);
		rt_json_number(p->out, score);
	} else {
		fprintf(p->out, "%ld\t%ld\t%.6f\t", start, end, score);
		task_print_text(p, text, bytes);
		putc('\n', p->out);
	}
}

/* ---- fill-mask ------------------------------------------------------------------------------- */

/* The TASK_CANDIDATES best tokens of one row of logits, best first. */
RT_FN void task_print_candidates(RtProgram *p, const float *row, int32_t n, int first)
{
	int32_t best[TASK_CANDIDATES];
	int32_t count = 0;
	double sum = 0;
	for (int32_t i = 0; i < n; i++) {
		int32_t at = count;
		while (at > 0 && row[i] > row[best[at - 1]])
			at--;
		if (at == TASK_CANDIDATES)
			continue;
		count = rt_min(count + 1, TASK_CANDIDATES);
		memmove(best + at + 1, best + at, (size_t)(count - at - 1) * sizeof *best);
		best[at] = i;
	}
	for (int32_t i = 0; i < n; i++)
		sum += exp((double)row[i] - (double)row[best[0]]);
	for (int32_t i = 0; i < count; i++) {
		size_t bytes = 0;
		const char *token = rt_token_text(p->model->tokenizer, best[i], &bytes);
		const double score = exp((double)row[best[i]] - (double)row[best[0]]) / sum;
		if (p->options.json) {
			fputs(i ? ", {\"token\": " : "{\"token\": ", p->out);
			rt_json_string(p->out, token ? token : "", bytes);
			fprintf(p->out, ", \"id\": %d, \"score\": ", (int)best[i]);
			rt_json_number(p->out, score);
			putc('}', p->out);
		} else {
			fputs(i || !first ? "\t" : "", p->out);
			fwrite(token ? token : "", 1, bytes, p->out);
			fprintf(p->out, "\t%.6f", score);
		}
	}
}

RT_FN int task_is_mask(const RtModel *m, int32_t id)
{
	return m->tokenizer && id == rt_token_mask_id(m->tokenizer);
}

/* Several masks: their candidates one after another; in JSON a list of lists, as in transformers. */
RT_FN void task_print_masks(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const RtRun *piece = task_piece(p, item, 0);
	const int32_t vocab = p->model->outputs[head->output].width;
	const float *rows = rt_rows(p, head->output, piece);
	int masks = 0, done = 0;
	for (int32_t i = 0; i < piece->n; i++)
		masks += task_is_mask(p->model, p->ids[piece->at + i]);
	fputs(p->options.json ? masks > 1 ? "{\"candidates\": [[" : "{\"candidates\": [" : "", p->out);
	for (int32_t i = 0; i < piece->n; i++) {
		if (!task_is_mask(p->model, p->ids[piece->at + i]))
			continue;
		if (done && p->options.json)
			fputs("], [", p->out);
		task_print_candidates(p, rows + (size_t)i * (size_t)vocab, vocab, !done);
		done++;
	}
	fputs(p->options.json ? masks > 1 ? "]]" : "]" : "\n", p->out);
}

/* ---- any ------------------------------------------------------------------------------------- */

RT_FN void task_print_embedding(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const float *row = task_row(p, item, head);
	const int32_t width = p->model->outputs[head->output].width;
	if (p->options.raw) {
		for (int32_t i = 0; i < width; i++) { /* little-endian whatever this machine is */
			uint32_t bits;
			memcpy(&bits, &row[i], sizeof bits);
			for (int shift = 0; shift < 32; shift += 8)
				putc((int)(bits >> shift & 255), p->out);
		}
		return;
	}
	fputs(p->options.json ? "{\"embedding\": " : "", p->out);
	rt_json_row(p->out, row, width);
	fputs(p->options.json ? "" : "\n", p->out);
}

RT_FN int32_t rt_layers_output(const RtModel *m)
{
	for (int32_t k = 0; k < m->noutputs && m->exits; k++)
		if (strcmp(m->outputs[k].name, "layers") == 0 && !m->outputs[k].per_token && m->outputs[k].width == 1)
			return k;
	return -1;
}

/* One line of JSON: the object that the task has begun gets what befell the text, and ends. */
RT_FN void task_end_json(RtProgram *p, const RtItem *item)
{
	if (item->truncated)
		fprintf(p->out, ", \"truncated\": true, \"tokens\": %d", (int)item->total);
	const int32_t layers = rt_layers_output(p->model);
	if (layers >= 0) { /* of a text in windows, what they went through on the average */
		double sum = 0;
		for (int32_t i = 0; i < item->npieces; i++)
			sum += (double)*rt_rows(p, layers, task_piece(p, item, i));
		fputs(", \"layers\": ", p->out);
		rt_json_number(p->out, sum / item->npieces);
	}
	if (item->npieces > 1)
		fprintf(p->out, ", \"windows\": %d", (int)item->npieces);
	fputs("}\n", p->out);
}

/* Several heads: each by its name (JSON only). A head with one number gives that, others what they would give
 * alone. */
RT_FN void task_print_heads(RtProgram *p, const RtItem *item)
{
	const RtModel *m = p->model;
	if (m->nheads < 2)
		return;
	fputs(", \"heads\": {", p->out);
	for (int32_t h = 0, some = 0; h < m->nheads; h++) {
		const RtHead *head = &m->heads[h];
		const int32_t width = m->outputs[head->output].width;
		if (m->outputs[head->output].per_token)
			continue;
		fputs(some++ ? ", " : "", p->out);
		rt_json_string(p->out, head->name, strlen(head->name));
		fputs(": ", p->out);
		float *row = task_row(p, item, head);
		if (head->task == RT_TASK_EMBED) {
			rt_json_row(p->out, row, width);
		} else if (head->task == RT_TASK_RANK || width == 1) {
			rt_json_number(p->out, task_rank(head, row, width));
		} else {
			putc('{', p->out);
			task_json_classify(p, head, row, width);
			putc('}', p->out);
		}
	}
	putc('}', p->out);
}

RT_FN void rt_task_print(RtProgram *p, const RtItem *item)
{
	const RtHead *head = p->model->heads;
	const int32_t width = p->model->outputs[head->output].width;
	switch (head->task) {
	case RT_TASK_TAG: task_print_tags(p, item, head); break;
	case RT_TASK_EMBED: task_print_embedding(p, item, head); break;
	case RT_TASK_QA: task_print_answer(p, item, head); break;
	case RT_TASK_FILL_MASK: task_print_masks(p, item, head); break;
	default:
		if (p->options.json) {
			putc('{', p->out);
			task_json_classify(p, head, task_row(p, item, head), width);
		} else
			task_plain_classify(p, head, task_row(p, item, head), width);
	}
	if (p->options.json) {
		task_print_heads(p, item);
		task_end_json(p, item);
	} else if (head->task == RT_TASK_TAG)
		putc('\n', p->out);
}

/* --logits, --hidden: one JSON value a line. A text in windows: [labels] is the mean; of rows a token, each
 * token's row once. */
RT_FN void rt_print_numbers(RtProgram *p, const RtItem *item, int32_t output)
{
	const RtOutput *o = &p->model->outputs[output];
	if (!o->per_token) {
		const RtHead any = {
			.task = p->model->nheads ? p->model->heads[0].task : RT_TASK_EMBED, .output = output};
		rt_json_row(p->out, task_row(p, item, &any), o->width);
		putc('\n', p->out);
		return;
	}
	int some = 0;
	putc('[', p->out);
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtRun *piece = task_piece(p, item, i);
		const float *rows = rt_rows(p, output, piece);
		for (int32_t j = 0; j < piece->n; j++) {
			const size_t start = p->options.ids ? 0 : (size_t)p->start[piece->at + j];
			const int inside = j >= piece->first && j < piece->first + piece->count && !p->options.ids;
			if (inside                 ? start < piece->low || start >= piece->high
					: j < piece->first ? i > 0
									   : i + 1 < item->npieces)
				continue;
			fputs(some++ ? ", " : "", p->out);
			rt_json_row(p->out, rows + (size_t)j * (size_t)o->width, o->width);
		}
	}
	fputs("]\n", p->out);
}
