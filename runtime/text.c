/* text.c: the functions of the C API that take text: encode and run, with truncation and windows.
 *
 * Windows. For outputs per text, windows do not overlap. Logits are averaged. Embeddings are averaged with
 * their tokens as weights, and normalised again if those of all windows had length 1. Of sparse weights the
 * largest of all windows counts. For outputs per token,
 * windows overlap by half. Each token's row comes from the window in which the token is nearer to the middle,
 * so every token has one row.
 *
 * Late interaction (ColBERT): a text is a query, a document or neither, each with its own limit of tokens. A
 * query may be filled up to a number of tokens (query expansion), and is never cut into windows. Some tokens,
 * such as punctuation, have no row. */
#include "api.h"

/* ---- late interaction: queries, documents, or neither ----------------------------------------- */

RT_API int late_tokenize(const RtModel *m, int task, const char *text, size_t bytes, const char *pair,
	size_t pair_bytes, int32_t *ids, int32_t *types, int32_t *start, int32_t *end, int32_t *word,
	RtEncoding *e)
{
	const RtLate *late = m->late;
	const int status = rt_tokenize(
		m->tokenizer, text, bytes, pair, pair_bytes, late_limit(m, task), ids, types, start, end, word, e);
	if (status != RT_OK || !late || task != RT_QUERY)
		return status;
	for (; e->n < late->fill; e->n++, e->total++) { /* also where the text was cut to fewer tokens */
		ids[e->n] = late->token;
		if (types)
			types[e->n] = late->type;
		if (start)
			start[e->n] = RT_SPECIAL;
		if (end)
			end[e->n] = RT_SPECIAL;
		if (word)
			word[e->n] = -1;
	}
	return RT_OK;
}

RT_API int late_keeps(const RtModel *m, int task, int32_t id)
{
	const RtLate *late = m->late;
	for (int32_t i = 0; late && late->skips[task] && i < late->nskip; i++)
		if (late->skip[i] == id)
			return 0;
	return 1;
}

/* ---- one text -------------------------------------------------------------------------------- */

typedef struct TextInput {
	const char *text, *pair;
	size_t bytes, pair_bytes;
} TextInput;

RT_FN int text_encode(
	const RtContext *c, const TextInput *in, size_t from, int overlap, RtEncoding *encoding, size_t *next)
{
	RtModel limited = *c->model;
	limited.max_tokens = late_limit(c->model, c->task);
	return rt_window(&limited, in->text, in->bytes, in->pair, in->pair_bytes, from, overlap, c->text_ids,
		c->text_types, c->start, c->end, c->word, encoding, next);
}

RT_FN int text_has_windows(const RtContext *c)
{
	return c->overflow == RT_OVERFLOW_WINDOW && late_has_windows(c->model, c->task);
}

/* Whether the model has a row for every id; a tokenizer may have more tokens. */
RT_FN int text_ids_fit(const RtContext *c, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if (c->text_ids[i] >= c->model->vocab)
			return 0;
	return 1;
}

RT_FN int text_check(const RtContext *c, const TextInput *in)
{
	if (!c->model->tokenizer || (in->pair && !c->model->takes_pairs))
		return RT_E_TEXT;
	if ((!in->text && in->bytes) || (!in->pair && in->pair_bytes))
		return RT_E_ARGUMENT;
	return in->bytes > INT32_MAX || in->pair_bytes > INT32_MAX ? RT_E_LENGTH : RT_OK;
}

RT_API int text_is_unit(const float *x, int32_t width)
{
	double sum = 0;
	for (int32_t j = 0; j < width; j++)
		sum += (double)x[j] * (double)x[j];
	return sum > 0.999 && sum < 1.001;
}

RT_API void text_max(float *x, const float *y, int32_t width)
{
	for (int32_t j = 0; j < width; j++)
		x[j] = y[j] > x[j] ? y[j] : x[j];
}

RT_API void text_scale(float *x, int32_t width, double by)
{
	for (int32_t j = 0; j < width; j++)
		x[j] = (float)(x[j] * by);
}

RT_API double text_norm(const float *x, int32_t width)
{
	double sum = 0, root = 1;
	for (int32_t j = 0; j < width; j++)
		sum += (double)x[j] * (double)x[j];
	for (int i = 0; i < 60; i++) /* Newton: avoids libm */
		root = 0.5 * (root + sum / root);
	return root;
}

RT_FN int text_task(const RtModel *m)
{
	for (int32_t h = 0; h < m->nheads; h++)
		if (m->heads[h].output == 0)
			return m->heads[h].task;
	return m->outputs[0].per_token ? RT_TASK_TAG : RT_TASK_EMBED;
}

RT_API float *rt_window_run(RtContext *c, int32_t tokens, void **scratch)
{
	const RtOutput *output = c->model->outputs;
	const size_t bytes = (size_t)output->width * (size_t)(output->per_token ? tokens : 1) * sizeof(float),
				 more = rt_scratch_bytes(c->model, tokens);
	char *at = c->arena + (c->arena_bytes - (bytes + 63) / 64 * 64 - more) / 64 * 64;
	float *rows = (float *)(void *)(at + more), *out[RT_OUTPUTS_MAX] = {rows};
	const int32_t offsets[2] = {0, tokens};
	rt_pass(c, c->text_ids, c->text_types, offsets, 1, tokens, out);
	*scratch = at;
	return rows;
}

RT_API int rt_window_check(const RtContext *c, int32_t tokens)
{
	if (!text_ids_fit(c, tokens))
		return RT_E_ID;
	return rt_pass_fits(c, tokens, 1, tokens) ? RT_OK : RT_E_CAPACITY;
}

/* Runs a text in windows. out NULL: only checks and counts. Sets *rows to the number of rows of the first
 * output. */
RT_FN int text_windows(RtContext *c, const TextInput *in, float *out, int32_t *rows, uint8_t *flags)
{
	const RtOutput *output = c->model->outputs;
	const int32_t width = output->width;
	const int task = text_task(c->model), by_tokens = task == RT_TASK_EMBED, paired = in->pair != NULL;
	size_t from = 0, next, low = 0, high;
	double weights = 0;
	int unit = by_tokens, windows = 0;
	void *scratch;
	RtEncoding encoding;
	*rows = output->per_token ? 0 : 1;
	for (;; from = next, low = high) {
		const int status = text_encode(c, in, from, output->per_token, &encoding, &next);
		if (status != RT_OK)
			return status;
		if (c->strict && encoding.replaced)
			return RT_E_TEXT;
		const int fits = rt_window_check(c, encoding.n);
		if (fits != RT_OK)
			return fits;
		const float *row = out ? rt_window_run(c, encoding.n, &scratch) : NULL;
		if (output->per_token) {
			int32_t first, count = rt_window_tokens(&encoding, paired, c->start, &first);
			high = next == SIZE_MAX ? SIZE_MAX
									: rt_window_boundary(&encoding, paired, c->start, c->word, next);
			for (int32_t i = 0; i < encoding.n; i++) {
				int keep = from == 0;
				if (i >= first + count)
					keep = next == SIZE_MAX;
				else if (i >= first)
					keep = (size_t)c->start[i] >= low && (size_t)c->start[i] < high;
				keep = keep && late_keeps(c->model, c->task, c->text_ids[i]);
				if (keep && out)
					memcpy(out + (size_t)*rows * (size_t)width, row + (size_t)i * (size_t)width,
						(size_t)width * sizeof *out);
				*rows += keep;
			}
		} else if (out && task == RT_TASK_SPARSE && windows) {
			text_max(out, row, width);
			high = 0;
		} else if (out) {
			const double weight = by_tokens ? encoding.n : 1;
			for (int32_t j = 0; j < width; j++)
				out[j] = (float)((windows ? out[j] : 0) + weight * row[j]);
			unit = unit && text_is_unit(row, width);
			weights += weight;
			high = 0;
		} else
			high = 0;
		windows++;
		if (next == SIZE_MAX)
			break;
	}
	if (out && !output->per_token && windows > 1)
		text_scale(out, width, 1 / (unit ? text_norm(out, width) : weights));
	if (out && !output->per_token && windows == 1)
		text_scale(out, width, 1 / weights);
	*flags = (uint8_t)((windows > 1 ? RT_FLAG_WINDOWED : 0)
		| ((paired && encoding.text_next < in->bytes)
					|| (from == 0 && next == SIZE_MAX && encoding.total > encoding.n)
				? RT_FLAG_TRUNCATED
				: 0));
	return RT_OK;
}

/* Encodes one text, cut at the limit. */
RT_FN int text_cut(RtContext *c, const TextInput *in, int32_t *tokens, uint8_t *flags)
{
	RtEncoding encoding;
	const int status = late_tokenize(c->model, c->task, in->text, in->bytes, in->pair, in->pair_bytes,
		c->text_ids, c->text_types, NULL, NULL, NULL, &encoding);
	if (status != RT_OK)
		return status;
	*tokens = encoding.n;
	*flags = encoding.total > encoding.n ? RT_FLAG_TRUNCATED : 0;
	if (c->strict && encoding.replaced)
		return RT_E_TEXT;
	if (*flags && c->overflow == RT_OVERFLOW_ERROR)
		return RT_E_LENGTH;
	return rt_window_check(c, encoding.n);
}

RT_API int rt_each_window(RtContext *c, const char *text, size_t bytes, const char *pair, size_t pair_bytes,
	int windows, RtViewFn *use, void *state)
{
	const TextInput in = {text || bytes ? text : "", pair, bytes, pair ? pair_bytes : 0};
	int status = text_check(c, &in);
	rt_team_ready(&c->team);
	windows = windows && c->overflow == RT_OVERFLOW_WINDOW;
	for (size_t from = 0, next = 0, low = 0; status == RT_OK && next != SIZE_MAX; from = next) {
		RtEncoding encoding;
		next = SIZE_MAX;
		status = windows
			? text_encode(c, &in, from, c->model->outputs->per_token, &encoding, &next)
			: rt_tokenize(c->model->tokenizer, in.text, in.bytes, in.pair, in.pair_bytes,
				  c->model->max_tokens, c->text_ids, c->text_types, c->start, c->end, c->word, &encoding);
		if (status != RT_OK)
			return status;
		const int cut = encoding.total > encoding.n && next == SIZE_MAX;
		if (c->strict && encoding.replaced)
			return RT_E_TEXT;
		if (cut && c->overflow == RT_OVERFLOW_ERROR)
			return RT_E_LENGTH;
		status = rt_window_check(c, encoding.n);
		if (status != RT_OK)
			return status;
		RtView view = {.ids = c->text_ids,
			.start = c->start,
			.end = c->end,
			.word = c->word,
			.n = encoding.n,
			.low = low,
			.high = SIZE_MAX,
			.truncated = cut};
		view.rows = rt_window_run(c, encoding.n, &view.scratch);
		view.count = rt_window_tokens(&encoding, in.pair != NULL, c->start, &view.first);
		if (next != SIZE_MAX && c->model->outputs->per_token)
			view.high = rt_window_boundary(&encoding, in.pair != NULL, c->start, c->word, next);
		low = view.high;
		use(state, c, &view);
	}
	return status;
}

/* The number of encoded tokens that have a row, or the most clusters of these. */
RT_FN int32_t text_most(const RtContext *c, int32_t tokens)
{
	int32_t kept = 0;
	for (int32_t i = 0; i < tokens; i++)
		kept += late_keeps(c->model, c->task, c->text_ids[i]);
	return cluster_most(c->model->late, c->task, kept);
}

/* Writes the rows of the encoded text, and returns how many. */
RT_FN int32_t text_rows(RtContext *c, int32_t tokens, float *out)
{
	const size_t width = (size_t)c->model->outputs->width;
	void *scratch;
	float *rows = rt_window_run(c, tokens, &scratch);
	int32_t kept = 0;
	for (int32_t i = 0; i < tokens; i++)
		if (late_keeps(c->model, c->task, c->text_ids[i]))
			memmove(rows + (size_t)kept++ * width, rows + (size_t)i * width, width * sizeof *rows);
	kept = cluster_rows(c->model->late, c->task, rows, kept, (int32_t)width, scratch);
	if (kept > 0)
		memcpy(out, rows, (size_t)kept * width * sizeof *rows);
	return kept;
}

/* Texts staged for the next pass. */
typedef struct TextStage {
	int32_t texts, tokens, longest;
} TextStage;

/* Runs the staged texts. Returns the end of the written rows. */
RT_FN float *text_flush(RtContext *c, TextStage *stage, float *out)
{
	const RtOutput *output = c->model->outputs;
	if (stage->texts == 0)
		return out;
	float *outs[RT_OUTPUTS_MAX] = {out};
	c->offsets[stage->texts] = stage->tokens;
	rt_pass(c, c->ids, c->types, c->offsets, stage->texts, stage->longest, outs);
	out += (size_t)output->width * (size_t)(output->per_token ? stage->tokens : stage->texts);
	*stage = (TextStage){0, 0, 0};
	return out;
}

RT_API int rt_run_text(RtContext *c, const char *const *text, const size_t *bytes, const char *const *pair,
	const size_t *pair_bytes, int32_t ntext, float *out, size_t out_floats, int32_t *row_offsets,
	uint8_t *flags)
{
	if (!c || ntext < 0 || (ntext > 0 && (!text || !bytes || (pair && !pair_bytes))))
		return RT_E_ARGUMENT;
	const RtOutput *output = c->model->outputs;
	if (output->per_token && !row_offsets)
		return RT_E_ARGUMENT;
	rt_team_ready(&c->team);
	int64_t rows = 0;
	int32_t n;
	uint8_t flag;
	for (int32_t i = 0; i < ntext; i++) { /* all checks, before anything is written to out */
		const TextInput in = {text[i] || bytes[i] ? text[i] : "", pair ? pair[i] : NULL, bytes[i],
			pair && pair[i] ? pair_bytes[i] : 0};
		int status = text_check(c, &in);
		if (status == RT_OK)
			status = text_has_windows(c) ? text_windows(c, &in, NULL, &n, &flag)
										 : text_cut(c, &in, &n, &flag);
		if (status != RT_OK)
			return status;
		if (c->model->late && !text_has_windows(c))
			n = text_most(c, n);
		if (row_offsets)
			row_offsets[i] = (int32_t)rows;
		if (flags)
			flags[i] = flag;
		rows += output->per_token ? n : 1;
		if (rows > INT32_MAX)
			return RT_E_CAPACITY;
	}
	if (row_offsets)
		row_offsets[ntext] = (int32_t)rows;
	if (out_floats / (size_t)output->width < (size_t)rows || (rows > 0 && !out))
		return RT_E_CAPACITY;
	TextStage stage = {0, 0, 0};
	for (int32_t i = 0; i < ntext; i++) {
		const TextInput in = {text[i] || bytes[i] ? text[i] : "", pair ? pair[i] : NULL, bytes[i],
			pair && pair[i] ? pair_bytes[i] : 0};
		(void)text_cut(c, &in, &n, &flag); /* the first loop checked its status */
		if (flag && text_has_windows(c)) {
			out = text_flush(c, &stage, out);
			(void)text_windows(c, &in, out, &n, &flag);
			out += (size_t)n * (size_t)output->width;
			continue;
		}
		if (c->model->late) { /* rows may be left out, so a text is a pass of its own */
			n = text_rows(c, n, out);
			out += (size_t)n * (size_t)output->width;
			row_offsets[i + 1] = row_offsets[i] + n;
			continue;
		}
		if (!rt_pass_fits(c, (int64_t)stage.tokens + n, stage.texts + 1, rt_max(stage.longest, n)))
			out = text_flush(c, &stage, out);
		memcpy(c->ids + stage.tokens, c->text_ids, (size_t)n * sizeof *c->ids);
		memcpy(c->types + stage.tokens, c->text_types, (size_t)n * sizeof *c->types);
		c->offsets[stage.texts++] = stage.tokens;
		stage.tokens += n;
		stage.longest = rt_max(stage.longest, n);
	}
	text_flush(c, &stage, out);
	return RT_OK;
}

RT_API int rt_encode(RtContext *c, const char *text, size_t bytes, const char *pair, size_t pair_bytes,
	int32_t *ids, int32_t *types, int32_t *byte_start, int32_t *byte_end, int32_t capacity, int32_t *n)
{
	if (!c || !ids || !n)
		return RT_E_ARGUMENT;
	const TextInput in = {text || bytes ? text : "", pair, bytes, pair ? pair_bytes : 0};
	RtEncoding encoding;
	int status = text_check(c, &in);
	if (status != RT_OK)
		return status;
	status = late_tokenize(c->model, c->task, text, bytes, pair, in.pair_bytes, c->text_ids, c->text_types,
		c->start, c->end, NULL, &encoding);
	if (status != RT_OK)
		return status;
	if (c->strict && encoding.replaced)
		return RT_E_TEXT;
	*n = encoding.n;
	if (encoding.n > capacity)
		return RT_E_CAPACITY;
	const size_t size = (size_t)encoding.n * sizeof *ids;
	const int32_t *const from[] = {c->text_ids, c->text_types, c->start, c->end};
	int32_t *const to[] = {ids, types, byte_start, byte_end};
	for (int i = 0; i < 4; i++)
		if (to[i])
			memcpy(to[i], from[i], size);
	return RT_OK;
}
