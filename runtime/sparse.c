/* sparse.c: the weights of a sparse encoder: TOKEN and WEIGHT of the elements that are not 0, the largest
 * weight first, as SparseEncoder.decode of sentence-transformers gives them. An element without a token is
 * named by its number. */
#include "program.h"

typedef struct RtWeight {
	float weight;
	int32_t id;
} RtWeight;

/* The larger weight first, then the lower id. Weights are not negative, so their bits are ordered as they
 * are, with NaN as the largest. */
RT_FN int sparse_order(const void *a, const void *b)
{
	const RtWeight *x = a, *y = b;
	uint32_t left, right;
	memcpy(&left, &x->weight, sizeof left);
	memcpy(&right, &y->weight, sizeof right);
	if (left != right)
		return left < right ? 1 : -1;
	return x->id < y->id ? -1 : x->id > y->id;
}

RT_FN void sparse_print_weight(RtProgram *p, const RtWeight *weight, int words, int some)
{
	char number[16];
	size_t bytes = 0;
	const char *token = words ? rt_token_text(p->model->tokenizer, weight->id, &bytes) : NULL;
	if (!token) {
		bytes = (size_t)snprintf(number, sizeof number, "%d", (int)weight->id);
		token = number;
	}
	if (!p->options.json) {
		fputs(some ? "\t" : "", p->out);
		task_print_text(p, token, bytes);
		fprintf(p->out, "\t%.6f", weight->weight);
		return;
	}
	fputs(some ? ", " : "", p->out);
	rt_json_string(p->out, token, bytes);
	fputs(": ", p->out);
	rt_json_number(p->out, weight->weight);
}

/* The largest weights of a text, at most --top: pairs, or the members of a JSON object. */
RT_FN void sparse_print_weights(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const int32_t width = p->model->outputs[head->output].width;
	const int words = p->model->tokenizer && width == p->model->vocab;
	rt_scratch(p, (size_t)width * (sizeof(float) + sizeof(RtWeight))); /* the weights follow the row */
	const float *row = task_row(p, item, head);
	RtWeight *weights = (RtWeight *)(void *)((char *)p->scratch + (size_t)width * sizeof *row);
	int32_t count = 0;
	for (int32_t i = 0; i < width; i++)
		if (row[i] != 0)
			weights[count++] = (RtWeight){row[i], i};
	qsort(weights, (size_t)count, sizeof *weights, sparse_order);
	if (p->options.top)
		count = rt_min(count, p->options.top);
	for (int32_t i = 0; i < count; i++)
		sparse_print_weight(p, &weights[i], words, i > 0);
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
