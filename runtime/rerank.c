/* rerank.c: --query: scores the documents of the input, one per line, for one query: as pairs with it, or, in
 * models that encode them apart, by the similarity of embeddings or by the vectors of tokens
 * (answers/similarity.h). Such a model encodes the query once. --top keeps the best ones and prints them
 * sorted at the end, as CrossEncoder.rank of sentence-transformers does; equal scores keep the order of the
 * input. */
#include "program.h"

typedef struct RtRanked {
	double score;
	int64_t number; /* of the document, from 0 */
	char *text;     /* malloc'd */
	size_t bytes;
} RtRanked;

RT_FN int rerank_compares(const RtModel *m)
{
	return m->nheads > 0 && (m->heads[0].task == RT_TASK_EMBED || m->heads[0].task == RT_TASK_SPARSE);
}

RT_FN int rerank_encodes(const RtProgram *p)
{
	return p->options.query && (p->model->late || rerank_compares(p->model));
}

RT_FN int rerank_check(const RtProgram *p)
{
	const RtModel *m = p->model;
	const RtOptions *o = &p->options;
	const RtHead *head = m->nheads > 0 ? m->heads : NULL;
	if (!o->query)
		return o->top && !(head && (head->task == RT_TASK_QA || head->task == RT_TASK_SPARSE))
			? program_usage(p, "--top needs --query, or a model for question answering or sparse weights")
			: 0;
	const int scores = head && (head->task == RT_TASK_RANK || head->task == RT_TASK_CLASSIFY)
		&& m->outputs[head->output].width == 1;
	if (!rerank_encodes(p) && (!scores || !m->takes_pairs))
		return program_usage(p,
			"--query is only for models that give a pair of texts one score, or embeddings, sparse weights "
			"or "
			"a vector for each token");
	if (rerank_encodes(p) && (o->prompt || o->raw || o->precision || o->similarity))
		return program_usage(
			p, "--query excludes --prompt, --raw, --precision and --similarity with this model");
	if (o->ids)
		return program_usage(p, "--query and --ids exclude each other");
	return o->top && (o->logits || o->hidden || o->tokenize)
		? program_usage(p, "--top is not for --logits, --hidden or --tokenize")
		: 0;
}

/* Puts a document among the best, if it is one of them. A score that is not a number is the worst. */
RT_FN void rerank_keep(RtProgram *p, const RtItem *item, double score)
{
	int at = p->nranked;
	const int64_t number = item->number - 1;
	while (at > 0 && rt_ranks_before(score, p->ranked[at - 1].score))
		at--;
	if (at == p->options.top || (score != score && p->nranked == p->options.top))
		return;
	if (p->nranked == p->options.top)
		free(p->ranked[--p->nranked].text);
	size_t have = (size_t)p->ranked_capacity * sizeof *p->ranked;
	p->ranked = rt_grow(p->ranked, &have, (size_t)(p->nranked + 1) * sizeof *p->ranked);
	p->ranked_capacity = (int32_t)(have / sizeof *p->ranked);
	memmove(p->ranked + at + 1, p->ranked + at, (size_t)(p->nranked - at) * sizeof *p->ranked);
	RtRanked *kept = &p->ranked[at];
	const char *text = item->pair ? item->pair : item->text;
	const size_t bytes = item->pair ? item->pair_bytes : item->text_bytes;
	*kept = (RtRanked){score, number, rt_grow(NULL, &(size_t){0}, bytes + 1), bytes};
	memcpy(kept->text, text, bytes);
	p->nranked++;
}

RT_FN void rerank_print(RtProgram *p, const RtItem *item)
{
	const RtHead *head = p->model->heads;
	double score;
	if (p->model->late)
		score = vectors_score(p, item, head);
	else if (rerank_encodes(p))
		score = rt_similarity(
			p->model->similarity, p->query, task_row(p, item, head), embedding_width(p, head));
	else
		score = (double)rt_rank(head, task_row(p, item, head), 1);
	if (p->options.top) {
		rerank_keep(p, item, score);
	} else if (p->options.json) {
		fputs("{\"score\": ", p->out);
		rt_json_number(p->out, score);
		task_end_json(p, item);
	} else
		fprintf(p->out, "%.6f\n", score);
}

/* Keeps the row of the query, or its rows. */
RT_FN void rerank_keep_query(RtProgram *p, const RtItem *item)
{
	const RtHead *head = p->model->heads;
	const size_t bytes = (size_t)p->model->outputs[head->output].width * sizeof *p->query;
	if (p->model->late) {
		vectors_keep(p, item, head);
	} else {
		p->query = rt_grow(NULL, &(size_t){0}, bytes);
		memcpy(p->query, task_row(p, item, head), bytes);
	}
}

RT_FN int rerank_start(RtProgram *p)
{
	const char *source = p->source;
	RtItem item = {.number = 1, .text = p->options.query};
	const int scores = !p->options.tokenize && !p->options.hidden && !p->options.logits;
	if (!rerank_encodes(p)) {
		vectors_take(p, p->late);
		return 0;
	}
	item.text_bytes = strlen(item.text);
	p->source = "--query";
	vectors_take(p, RT_QUERY);
	const int refused = prompt_take(p);
	if (refused)
		return refused;
	program_read_prompted(p, &item);
	program_check_tokens(p, &item);
	const int status = item.npieces > 0 && scores ? program_run(p) : RT_OK;
	if (status != RT_OK)
		fprintf(stderr, "%s: error: %s\n", p->model->name, rt_strerror(status));
	if (item.truncated)
		rt_complain(p, &item, "note", "%d tokens, cut to %d", (int)item.total, (int)p->model->max_tokens);
	if (item.npieces == 0 || status != RT_OK)
		return RT_EXIT_RUN;
	if (scores)
		rerank_keep_query(p, &item);
	p->source = source;
	vectors_take(p, RT_DOCUMENT);
	return prompt_take(p);
}

RT_FN void rerank_end(RtProgram *p)
{
	for (int32_t i = 0; i < p->nranked; i++) {
		const RtRanked *r = &p->ranked[i];
		if (p->options.json) {
			fprintf(p->out, "{\"index\": %lld, \"score\": ", (long long)r->number);
			rt_json_number(p->out, r->score);
			fputs(", \"text\": ", p->out);
			rt_json_string(p->out, r->text, r->bytes);
			fputs("}\n", p->out);
		} else {
			fprintf(p->out, "%lld\t%.6f\t", (long long)r->number, r->score);
			task_print_text(p, r->text, r->bytes);
			putc('\n', p->out);
		}
		free(r->text);
	}
	free(p->ranked);
}
