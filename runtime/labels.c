/* labels.c: labels of a text (classify, rank), and its choice. Combines the windows of a long text: the mean
 * of logits and embeddings. */
#include "program.h"

RT_FN const RtRun *task_piece(const RtProgram *p, const RtItem *item, int32_t i)
{
	return &p->pieces[item->first_piece + i];
}

RT_FN RtItem task_choice(const RtProgram *p, const RtItem *item, int32_t k)
{
	RtItem one = *item;
	const int32_t end = item->first_piece + item->npieces;
	while (p->pieces[one.first_piece].choice < k)
		one.first_piece++;
	for (one.npieces = 0; one.first_piece + one.npieces < end; one.npieces++)
		if (task_piece(p, &one, one.npieces)->choice > k)
			break;
	return one;
}

RT_FN void *rt_scratch(RtProgram *p, size_t bytes)
{
	return p->scratch = rt_grow(p->scratch, &p->scratch_bytes, bytes);
}

/* One row per text, in scratch memory: the row of its only piece, or the mean over its windows. Embeddings
 * are weighted by tokens and normalised again if those of all windows had length 1. Of sparse weights the
 * largest of all windows counts. */
RT_FN float *task_row(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const int32_t width = p->model->outputs[head->output].width;
	float *row = rt_scratch(p, (size_t)width * sizeof *row);
	int unit = head->task == RT_TASK_EMBED;
	double weights = 0;
	memcpy(row, rt_rows(p, head->output, task_piece(p, item, 0)), (size_t)width * sizeof *row);
	for (int32_t i = 1; i < item->npieces && head->task == RT_TASK_SPARSE; i++)
		text_max(row, rt_rows(p, head->output, task_piece(p, item, i)), width);
	if (item->npieces == 1 || head->task == RT_TASK_SPARSE)
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

RT_FN const char *task_label_text(const RtHead *head, int32_t i)
{
	return head->labels && i < head->nlabels ? head->labels[i] : "?";
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
		rt_json_number(out, rt_rank(head, row, n));
		return;
	}
	const int32_t best = rt_scores(head, row, n);
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
		fprintf(p->out, "%.6f\n", rt_rank(head, row, n));
		return;
	}
	const int32_t best = rt_scores(head, row, n);
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
		double windows = 0;
		logits[k] = 0;
		for (; i < item->npieces && task_piece(p, item, i)->choice == k; i++) {
			logits[k] += *rt_rows(p, head->output, task_piece(p, item, i));
			windows++;
		}
		text_scale(&logits[k], 1, 1 / windows);
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
