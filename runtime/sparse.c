/* sparse.c: the weights of a sparse encoder: TOKEN and WEIGHT of the elements that are not 0, the largest
 * weight first, as SparseEncoder.decode of sentence-transformers gives them. An element without a token is
 * named by its number. */
#include "program.h"

RT_FN void sparse_print_weight(RtProgram *p, int32_t id, float weight, int words, int some)
{
	char number[16];
	size_t bytes = 0;
	const char *token = words ? rt_token_text(p->model->tokenizer, id, &bytes) : NULL;
	if (!token) {
		bytes = (size_t)snprintf(number, sizeof number, "%d", (int)id);
		token = number;
	}
	if (!p->options.json) {
		fputs(some ? "\t" : "", p->out);
		task_print_text(p, token, bytes);
		fprintf(p->out, "\t%.6f", weight);
		return;
	}
	fputs(some ? ", " : "", p->out);
	rt_json_string(p->out, token, bytes);
	fputs(": ", p->out);
	rt_json_number(p->out, weight);
}

/* The largest weights of a text, at most --top: pairs, or the members of a JSON object. */
RT_FN void sparse_print_weights(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const int32_t width = p->model->outputs[head->output].width;
	const int words = p->model->tokenizer && width == p->model->vocab;
	rt_scratch(p, (size_t)width * (sizeof(float) + sizeof(int32_t))); /* the ids follow the row */
	const float *row = task_row(p, item, head);
	int32_t *ids = (int32_t *)(void *)((char *)p->scratch + (size_t)width * sizeof *row), active;
	const int32_t count = rt_largest(row, width, p->options.top ? p->options.top : width, ids, &active);
	for (int32_t i = 0; i < count; i++)
		sparse_print_weight(p, ids[i], row[ids[i]], words, i > 0);
}

RT_FN void task_print_sparse(RtProgram *p, const RtItem *item, const RtHead *head)
{
	if (p->options.raw) {
		const float *row = task_row(p, item, head);
		for (int32_t i = 0; i < p->model->outputs[head->output].width; i++)
			task_print_word(p, &row[i]);
		return;
	}
	fputs(p->options.json ? "{\"weights\": {" : "", p->out);
	sparse_print_weights(p, item, head);
	fputs(p->options.json ? "}" : "\n", p->out);
}
