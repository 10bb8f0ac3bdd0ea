/* tasks.c: prints the answer of each task, as plain text or JSON, from the output rows of a text's pieces.
 * With windows, the best score wins. labels.c has the tasks with labels. */
#include "program.h"

enum { TASK_CANDIDATES = 5 }; /* fill-mask */

/* ---- fill-mask ------------------------------------------------------------------------------- */

/* The TASK_CANDIDATES best tokens of one row of logits, best first. */
RT_FN void task_print_candidates(RtProgram *p, const float *row, int32_t n, int first)
{
	int32_t best[TASK_CANDIDATES], count;
	const double sum = rt_candidates(row, n, TASK_CANDIDATES, best, &count);
	for (int32_t i = 0; i < count; i++) {
		size_t bytes = 0;
		const char *token = rt_token_text(p->model->tokenizer, best[i], &bytes);
		const double score = rt_candidate(row, best[i], best[0], sum);
		if (p->options.json) {
			fputs(i ? ", {\"token\": " : "{\"token\": ", p->out);
			rt_json_string(p->out, token ? token : "", bytes);
			fprintf(p->out, ", \"id\": %d, \"score\": ", (int)best[i]);
			rt_json_number(p->out, score);
			putc('}', p->out);
		} else {
			fputs(i || !first ? "\t" : "", p->out);
			task_print_text(p, token, bytes);
			fprintf(p->out, "\t%.6f", score);
		}
	}
}

RT_FN int task_is_mask(const RtModel *m, int32_t id)
{
	return m->tokenizer && id == rt_token_mask_id(m->tokenizer);
}

/* With several masks, prints the candidates of each in turn; in JSON a list of lists, as in transformers. */
RT_FN void task_print_masks(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const RtRun *piece = task_piece(p, item, 0);
	const int32_t vocab = p->model->outputs[head->output].width;
	const float *rows = rt_rows(p, head->output, piece);
	int masks = 0, done = 0;
	for (int32_t i = 0; i < piece->n; i++)
		masks += task_is_mask(p->model, p->ids[piece->at + i]);
	if (p->options.json)
		fputs(masks > 1 ? "{\"candidates\": [[" : "{\"candidates\": [", p->out);
	for (int32_t i = 0; i < piece->n; i++) {
		if (!task_is_mask(p->model, p->ids[piece->at + i]))
			continue;
		if (done && p->options.json)
			fputs("], [", p->out);
		task_print_candidates(p, rows + (size_t)i * (size_t)vocab, vocab, !done);
		done++;
	}
	if (p->options.json)
		fputs(masks > 1 ? "]]" : "]", p->out);
	else
		putc('\n', p->out);
}

/* ---- any ------------------------------------------------------------------------------------- */

RT_FN int32_t rt_layers_output(const RtModel *m)
{
	for (int32_t k = 0; k < m->noutputs && m->exits; k++)
		if (strcmp(m->outputs[k].name, "layers") == 0 && !m->outputs[k].per_token && m->outputs[k].width == 1)
			return k;
	return -1;
}

/* Ends a line of JSON: adds truncation, windows and layers of the text to the task's object. */
RT_FN void task_end_json(RtProgram *p, const RtItem *item)
{
	if (item->truncated)
		fprintf(p->out, ", \"truncated\": true, \"tokens\": %d", (int)item->total);
	const int32_t layers = rt_layers_output(p->model);
	if (layers >= 0) { /* the mean over the windows */
		double sum = 0;
		for (int32_t i = 0; i < item->npieces; i++)
			sum += (double)*rt_rows(p, layers, task_piece(p, item, i));
		fputs(", \"layers\": ", p->out);
		rt_json_number(p->out, sum / item->npieces);
	}
	if (item->npieces > rt_max(item->choices, 1))
		fprintf(p->out, ", \"windows\": %d", (int)item->npieces);
	fputs("}\n", p->out);
}

/* Prints several heads by name (JSON only). A head with one number prints it; others print as if alone. */
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
		if (head->task == RT_TASK_EMBED) {
			embedding_print_row(p, item, head);
			continue;
		}
		float *row = task_row(p, item, head);
		if (head->task == RT_TASK_SPARSE) {
			putc('{', p->out);
			sparse_print_weights(p, item, head);
			putc('}', p->out);
		} else if (head->task == RT_TASK_RANK || width == 1) {
			rt_json_number(p->out, rt_rank(head, row, width));
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
	case RT_TASK_QA: task_print_answers(p, item, head); break;
	case RT_TASK_FILL_MASK: task_print_masks(p, item, head); break;
	case RT_TASK_CHOICE: task_print_choices(p, item, head); break;
	case RT_TASK_MULTI_VECTOR: vectors_print(p, item, head); break;
	case RT_TASK_SPARSE: task_print_sparse(p, item, head); break;
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

/* Whether to print the row of token j in window i. Each token is printed once. */
RT_FN int task_row_counts(const RtProgram *p, const RtItem *item, int32_t i, int32_t j)
{
	const RtRun *piece = task_piece(p, item, i);
	const int inside = j >= piece->first && j < piece->first + piece->count && !p->options.ids;
	if (!inside)
		return j < piece->first ? i == 0 : i + 1 == item->npieces;
	const size_t start = (size_t)p->start[piece->at + j];
	return start >= piece->low && start < piece->high;
}

/* With windows: the mean of logits; one row for each token. */
RT_FN void task_print_numbers(RtProgram *p, const RtItem *item, int32_t output)
{
	const RtOutput *o = &p->model->outputs[output];
	if (!o->per_token) {
		const RtHead any = {
			.task = p->model->nheads ? p->model->heads[0].task : RT_TASK_EMBED, .output = output};
		rt_json_row(p->out, task_row(p, item, &any), o->width);
		return;
	}
	int some = 0;
	putc('[', p->out);
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtRun *piece = task_piece(p, item, i);
		const float *rows = rt_rows(p, output, piece);
		for (int32_t j = 0; j < piece->n; j++) {
			if (!task_row_counts(p, item, i, j))
				continue;
			fputs(some++ ? ", " : "", p->out);
			rt_json_row(p->out, rows + (size_t)j * (size_t)o->width, o->width);
		}
	}
	putc(']', p->out);
}

/* --logits, --hidden: one JSON value per line. Of choices: their logits, or a list with the value of each. */
RT_FN void rt_print_numbers(RtProgram *p, const RtItem *item, int32_t output)
{
	RtItem one = *item;
	one.npieces = 0;
	if (!item->choices) {
		task_print_numbers(p, item, output);
	} else if (output == p->model->heads[0].output) {
		rt_json_row(p->out, task_choices(p, item, &p->model->heads[0]), item->choices);
	} else {
		for (int32_t k = 0, last = item->first_piece + item->npieces; k < item->choices; k++) {
			one.first_piece += one.npieces;
			one.npieces = 0;
			while (one.first_piece + one.npieces < last && task_piece(p, &one, one.npieces)->choice == k)
				one.npieces++;
			fputs(k ? ", " : "[", p->out);
			task_print_numbers(p, &one, output);
		}
		putc(']', p->out);
	}
	putc('\n', p->out);
}
