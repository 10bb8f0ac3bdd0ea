/* library.c: the functions of the C API that give answers. Each is for one task; NAME.h documents them. They
 * need no memory beside the context's, and take as many texts as the caller has room for. */
#include "answering.h"

enum { LIBRARY_PAIRS = 32 }; /* of one call of rt_run_text */

/* The first text of a pair, which is the same for all; the second texts. */
typedef struct LibraryPairs {
	const char *text;
	size_t bytes;
	const char *const *pair;
	const size_t *pair_bytes;
} LibraryPairs;

/* Runs pairs [at, at + n): a number each. */
RT_FN int library_pairs(RtContext *c, const LibraryPairs *pairs, int32_t at, int32_t n, float *out)
{
	const char *text[LIBRARY_PAIRS];
	size_t bytes[LIBRARY_PAIRS];
	for (int32_t i = 0; i < n; i++) {
		text[i] = pairs->text;
		bytes[i] = pairs->bytes;
	}
	return rt_run_text(
		c, text, bytes, pairs->pair + at, pairs->pair_bytes + at, n, out, (size_t)n, NULL, NULL);
}

RT_FN int library_all_pairs(RtContext *c, const LibraryPairs *pairs, int32_t n, float *out)
{
	int status = !c || n < 0 || (n > 0 && (!pairs->pair || !pairs->pair_bytes || !out)) ? RT_E_ARGUMENT
																						: RT_OK;
	for (int32_t i = 0; status == RT_OK && i < n; i++)
		status = pairs->pair[i] ? RT_OK : RT_E_ARGUMENT;
	for (int32_t i = 0; status == RT_OK && i < n; i += LIBRARY_PAIRS)
		status = library_pairs(c, pairs, i, rt_min(n - i, LIBRARY_PAIRS), out + i);
	return status;
}

/* ---- classify, rank, choose ------------------------------------------------------------------ */

RT_API int rt_lib_classify(RtContext *c, const char *const *text, const size_t *bytes,
	const char *const *pair, const size_t *pair_bytes, int32_t ntext, float *scores, size_t nscores,
	int32_t *best)
{
	const int status = rt_run_text(c, text, bytes, pair, pair_bytes, ntext, scores, nscores, NULL, NULL);
	for (int32_t i = 0; status == RT_OK && i < ntext; i++) {
		const int32_t width = c->model->outputs->width;
		const int32_t label = rt_scores(c->model->heads, scores + (size_t)i * (size_t)width, width);
		if (best)
			best[i] = label;
	}
	return status;
}

RT_API int rt_lib_rank(RtContext *c, const char *query, size_t bytes, const char *const *document,
	const size_t *document_bytes, int32_t n, float *scores, int32_t *order)
{
	const LibraryPairs pairs = {query, bytes, document, document_bytes};
	const int status = library_all_pairs(c, &pairs, n, scores);
	if (status != RT_OK)
		return status;
	for (int32_t i = 0; i < n; i++)
		scores[i] = rt_rank(c->model->heads, scores + i, 1);
	for (int32_t i = 0; order && i < n; i++)
		order[i] = i;
	if (order)
		rt_sort(scores, order, n);
	return RT_OK;
}

RT_API int rt_lib_choose(RtContext *c, const char *text, size_t bytes, const char *const *choice,
	const size_t *choice_bytes, int32_t n, float *scores, int32_t *best)
{
	const LibraryPairs pairs = {text, bytes, choice, choice_bytes};
	const int status = library_all_pairs(c, &pairs, n, scores);
	if (status != RT_OK)
		return status;
	const int32_t first = rt_softmax(scores, n);
	if (best)
		*best = n > 0 ? first : -1;
	return RT_OK;
}

/* ---- spans ----------------------------------------------------------------------------------- */

typedef struct LibrarySpans {
	RtSpans spans;
	const char *text;
	size_t bytes;
	int32_t *start, *end, capacity;
	const char **label;
	float *score;
} LibrarySpans;

RT_FN void library_add_spans(void *state, const RtContext *c, const RtView *view)
{
	LibrarySpans *s = state;
	RtWord *words = view->scratch;
	const double threshold = 0.5; /* as programs have it */
	const int32_t n = rt_words(view, c->model->heads, c->model->outputs->width, threshold, words);
	if (view->truncated && n > 0)
		words[n - 1].end = rt_word_end(
			c->model->tokenizer, s->text, s->bytes, words[n - 1].start, words[n - 1].end);
	for (int32_t i = 0; i < n; i++) {
		const int32_t at = rt_spans_add(&s->spans, &words[i]) ? s->spans.count - 1 : s->capacity;
		if (at >= s->capacity)
			continue;
		s->start[at] = s->spans.open.start;
		s->end[at] = s->spans.open.end;
		s->label[at] = s->spans.open.type;
		s->score[at] = s->spans.open.score;
	}
}

RT_API int rt_lib_spans(RtContext *c, const char *text, size_t bytes, int32_t *byte_start, int32_t *byte_end,
	const char **label, float *score, int32_t capacity, int32_t *n)
{
	if (!c || !n || capacity < 0 || (capacity > 0 && (!byte_start || !byte_end || !label || !score)))
		return RT_E_ARGUMENT;
	const RtHead *head = c->model->heads;
	LibrarySpans s = {{.labels = head->labels, .scheme = rt_scheme_of(head->labels, head->nlabels)}, text,
		bytes, byte_start, byte_end, capacity, label, score};
	const int status = rt_each_window(c, text, bytes, NULL, 0, 1, library_add_spans, &s);
	*n = status == RT_OK ? s.spans.count : 0;
	return status == RT_OK && *n > capacity ? RT_E_CAPACITY : status;
}

/* ---- answer ---------------------------------------------------------------------------------- */

enum { LIBRARY_ANSWERS = 256 }; /* enough for 21 windows; of more, the answers with the least scores go */

RT_FN void library_add_answer(void *state, const RtContext *c, const RtView *view)
{
	(void)c;
	RtAnswer spans[2 + RT_FOUND_SPANS];
	rt_found_add(state, view, spans, view->scratch);
}

RT_API int rt_lib_answer(RtContext *c, const char *question, size_t bytes, const char *context,
	size_t context_bytes, int32_t *byte_start, int32_t *byte_end, float *score, float *null_score)
{
	RtFoundText list[LIBRARY_ANSWERS];
	RtFound found = {.context = context, .list = list, .capacity = LIBRARY_ANSWERS, .top = 1};
	if (!c || !context || !byte_start || !byte_end)
		return RT_E_ARGUMENT;
	const int status = rt_each_window(
		c, question, bytes, context, context_bytes, 1, library_add_answer, &found);
	if (status != RT_OK)
		return status;
	rt_found_sort(&found);
	const RtFoundText best = found.count > 0 ? list[0] : (RtFoundText){0, -1, -1, 0};
	*byte_start = best.start;
	*byte_end = best.end;
	if (score)
		*score = (float)best.score;
	if (null_score)
		*null_score = (float)found.null_score;
	return RT_OK;
}

/* ---- fill-mask ------------------------------------------------------------------------------- */

typedef struct LibraryMasks {
	int32_t top, *ids, capacity, count;
	float *scores;
} LibraryMasks;

RT_FN void library_fill(void *state, const RtContext *c, const RtView *view)
{
	LibraryMasks *s = state;
	const int32_t vocab = c->model->outputs->width;
	for (int32_t i = 0; i < view->n; i++) {
		if (view->ids[i] != rt_token_mask_id(c->model->tokenizer) || s->count++ >= s->capacity)
			continue;
		const float *row = view->rows + (size_t)i * (size_t)vocab;
		const size_t at = (size_t)(s->count - 1) * (size_t)s->top;
		int32_t found;
		const double sum = rt_candidates(row, vocab, s->top, s->ids + at, &found);
		for (int32_t k = 0; k < s->top; k++) {
			const int32_t id = k < found ? s->ids[at + (size_t)k] : -1;
			s->ids[at + (size_t)k] = id;
			s->scores[at + (size_t)k] = id < 0 ? 0 : (float)rt_candidate(row, id, s->ids[at], sum);
		}
	}
}

RT_API int rt_lib_fill(RtContext *c, const char *text, size_t bytes, int32_t top, int32_t *ids, float *scores,
	int32_t capacity, int32_t *nmasks)
{
	LibraryMasks s = {top, ids, capacity, 0, scores};
	if (!c || !nmasks || top < 1 || capacity < 0 || (capacity > 0 && (!ids || !scores)))
		return RT_E_ARGUMENT;
	const int status = rt_each_window(c, text, bytes, NULL, 0, 0, library_fill, &s);
	*nmasks = status == RT_OK ? s.count : 0;
	return status == RT_OK && s.count > capacity ? RT_E_CAPACITY : status;
}

/* ---- zero-shot ------------------------------------------------------------------------------- */

/* The logits of the text, in start[held], with a hypothesis. The columns of offsets serve as room. */
RT_FN int library_hypothesis(
	RtContext *c, int32_t held, const char *hypothesis, size_t bytes, const float **logits)
{
	const RtModel *m = c->model;
	const int32_t limit = m->max_tokens, room = limit - rt_pair_specials(m->tokenizer);
	int32_t total, replaced;
	void *scratch;
	const int32_t count = rt_tokenize_one(m->tokenizer, hypothesis, bytes, limit, c->end, &total, &replaced);
	if (c->strict && replaced)
		return RT_E_TEXT;
	if (total > room || (c->overflow == RT_OVERFLOW_ERROR && held > room - count))
		return RT_E_LENGTH;
	const int32_t n = rt_join(m->tokenizer, c->start, held, c->end, count, limit, c->text_ids, c->text_types);
	const int status = rt_window_check(c, n);
	if (status == RT_OK)
		*logits = rt_window_run(c, n, &scratch);
	return status;
}

RT_API int rt_lib_zero_shot(RtContext *c, const char *text, size_t bytes, const char *const *hypothesis,
	const size_t *hypothesis_bytes, int32_t n, int multi_label, float *scores, int32_t *best)
{
	if (!c || (!text && bytes) || n < 1 || !hypothesis || !hypothesis_bytes || !scores)
		return RT_E_ARGUMENT;
	const RtModel *m = c->model;
	const RtHead head = rt_hypotheses(m->heads, n, multi_label);
	const int32_t entailment = rt_entailment(m->heads);
	int32_t total, replaced;
	if (bytes > INT32_MAX)
		return RT_E_LENGTH;
	rt_team_ready(&c->team);
	const int32_t held = rt_tokenize_one(
		m->tokenizer, text ? text : "", bytes, m->max_tokens, c->start, &total, &replaced);
	if (c->strict && replaced)
		return RT_E_TEXT;
	for (int32_t k = 0; k < n; k++) {
		const float *logits = NULL;
		if (!hypothesis[k])
			return RT_E_ARGUMENT;
		if (hypothesis_bytes[k] > INT32_MAX)
			return RT_E_LENGTH;
		const int status = library_hypothesis(c, held, hypothesis[k], hypothesis_bytes[k], &logits);
		if (status != RT_OK)
			return status;
		scores[k] = rt_entails(m->heads, logits, entailment, head.problem == RT_MULTI);
	}
	const int32_t label = rt_scores(&head, scores, n);
	if (best)
		*best = label;
	return RT_OK;
}

/* ---- sparse weights -------------------------------------------------------------------------- */

/* Windows: the largest of all counts, as in rt_run_text. */
RT_FN void library_largest(void *state, const RtContext *c, const RtView *view)
{
	float **row = state;
	const int32_t width = c->model->outputs->width;
	if (*row)
		text_max(*row, view->rows, width);
	else {
		*row = view->scratch;
		memcpy(*row, view->rows, (size_t)width * sizeof **row);
	}
}

RT_API int rt_lib_sparse(
	RtContext *c, const char *text, size_t bytes, int32_t *ids, float *weights, int32_t capacity, int32_t *n)
{
	float *row = NULL;
	if (!c || !n || capacity < 0 || (capacity > 0 && (!ids || !weights)))
		return RT_E_ARGUMENT;
	const int status = rt_each_window(c, text, bytes, NULL, 0, 1, library_largest, &row);
	*n = 0;
	if (status != RT_OK)
		return status;
	const int32_t held = rt_largest(row, c->model->outputs->width, capacity, ids, n);
	for (int32_t i = 0; i < held; i++)
		weights[i] = row[ids[i]];
	return RT_OK;
}
