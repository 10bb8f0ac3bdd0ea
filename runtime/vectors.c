/* vectors.c: programs of models for late interaction: prints a vector for each token of a text, and scores a
 * document for the query of rerank.c. */
#include "program.h"

RT_FN void vectors_take(RtProgram *p, int late)
{
	p->late = late;
	if (!p->model->late)
		return;
	if (p->model != &p->limited)
		p->limited = *p->model;
	/* a query may be filled up to more tokens than it is cut to */
	p->limited.max_tokens = rt_max(late_limit(p->model, late), late == RT_QUERY ? p->model->late->fill : 0);
	p->model = &p->limited;
}

/* The rows of a text one after another, valid until the next call. */
RT_FN const float *vectors_rows(RtProgram *p, const RtItem *item, const RtHead *head, int32_t *count)
{
	const size_t width = (size_t)p->model->outputs[head->output].width;
	size_t most = 1;
	for (int32_t i = 0; i < item->npieces; i++)
		most += (size_t)p->pieces[item->first_piece + i].n;
	p->vectors = rt_grow(p->vectors, &p->vectors_bytes, most * width * sizeof *p->vectors);
	*count = 0;
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtRun *piece = &p->pieces[item->first_piece + i];
		const float *row = rt_rows(p, head->output, piece);
		for (int32_t j = 0; j < piece->n; j++, row += width)
			if (task_row_counts(p, item, i, j) && late_keeps(p->model, p->late, p->ids[piece->at + j]))
				memcpy(p->vectors + (size_t)(*count)++ * width, row, width * sizeof *row);
	}
	if (p->model->late->clusters[p->late])
		*count = cluster_rows(p->model->late, p->late, p->vectors, *count, (int32_t)width,
			rt_scratch(p, cluster_bytes(*count, (int32_t)width)));
	return p->vectors;
}

RT_FN void vectors_print(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const int32_t width = p->model->outputs[head->output].width;
	int32_t count;
	const float *rows = vectors_rows(p, item, head, &count);
	if (p->options.raw) { /* the number of rows, then the rows */
		task_print_word(p, &count);
		for (size_t i = 0; i < (size_t)count * (size_t)width; i++)
			task_print_word(p, &rows[i]);
		return;
	}
	fputs(p->options.json ? "{\"embeddings\": [" : "[", p->out);
	for (int32_t i = 0; i < count; i++) {
		fputs(i ? ", " : "", p->out);
		rt_json_row(p->out, rows + (size_t)i * (size_t)width, width);
	}
	fputs(p->options.json ? "]" : "]\n", p->out);
}

RT_FN double vectors_score(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const int32_t width = p->model->outputs[head->output].width;
	int32_t count;
	const float *rows = vectors_rows(p, item, head, &count);
	return rt_maxsim(p->query, p->nquery, rows, count, width, p->model->late->mean);
}

RT_FN void vectors_keep(RtProgram *p, const RtItem *item, const RtHead *head)
{
	(void)vectors_rows(p, item, head, &p->nquery);
	p->query = p->vectors;
	p->vectors = NULL;
	p->vectors_bytes = 0;
}
