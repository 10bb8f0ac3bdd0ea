/* api.c: the C API for any model: contexts, the memory of a call, splitting calls between texts, checks,
 * windows. It calls the emitted run(), which does all computation.
 *
 * A context is one block: the struct, the team's workers, then the room. Every pass over some texts lays out
 * the room anew: staging (ids, types, offsets; for texts also byte offsets and words), then the arena's
 * regions, with the sizes of the plan's polynomial. A call touches only the pages that it needs, so a short
 * text costs little memory. */
#include "api.h"
#include <sys/mman.h>

enum { API_ALIGN = 64 };

RT_INLINE uint64_t api_up(uint64_t bytes) { return (bytes + API_ALIGN - 1) / API_ALIGN * API_ALIGN; }

/* ---- whose code ------------------------------------------------------------------------------ */

RT_API const RtVariant *rt_choose(const RtModel *m, uint32_t isa)
{
	for (int32_t i = m->nvariants; i-- > 0;)
		if (!(m->variants[i].isa & ~isa))
			return &m->variants[i];
	return NULL;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* The plan's polynomial: bytes of the arena for one pass. No term can overflow: a dimension is an int32, a
 * coefficient is below 2^28 in any model that fits an address space, and the caller's memory limits the
 * products that are used. */
RT_FN uint64_t api_arena_bytes(
	const RtVariant *v, int64_t tokens, int64_t texts, int64_t longest, int64_t threads)
{
	double estimate = (double)tokens * (double)v->per_token + (double)texts * (double)v->per_text
		+ (double)v->fixed + (double)tokens * (double)longest * (double)v->per_pair
		+ (double)threads
			* ((double)longest * (double)v->per_thread_token + (double)v->per_thread + (double)v->per_block);
	if (estimate > 4e18)
		return UINT64_MAX / 2;
	return api_up((uint64_t)(tokens * v->per_token)) + api_up((uint64_t)(texts * v->per_text))
		+ api_up((uint64_t)(tokens * longest * v->per_pair)) + api_up((uint64_t)v->fixed)
		+ (uint64_t)threads
		* (api_up((uint64_t)(longest * v->per_thread_token + v->per_thread))
			+ api_up((uint64_t)v->per_block));
}

/* Bytes for the rows of one window of the first output, before they are merged (rt_run_text), and for their
 * answer (RtView.scratch). */
RT_FN uint64_t api_window_bytes(const RtModel *m, int64_t longest)
{
	const RtOutput *first = m->outputs;
	const uint64_t rows = first->per_token ? (uint64_t)longest : 1;
	return m->tokenizer ? api_up((uint64_t)first->width * rows * 4) + rt_scratch_bytes(m, longest) : 0;
}

/* Bytes for the offsets of thinned texts. If texts may end early, there are two of each (exit.h). */
RT_INLINE uint64_t api_thinned_bytes(const RtModel *m, int64_t texts)
{
	return (m->exits ? 2 : 1) * api_up((uint64_t)(texts + 1) * 4 * (uint64_t)m->nthinned);
}

/* Bytes of staging for a pass with up to `tokens` tokens and `texts` texts of up to `longest` tokens. */
RT_FN uint64_t api_stage_bytes(const RtModel *m, int64_t tokens, int64_t texts, int64_t longest)
{
	uint64_t bytes = 2 * api_up((uint64_t)tokens * 4) + api_up((uint64_t)(texts + 1) * 4)
		+ api_thinned_bytes(m, texts) + (m->exits ? 2 * api_up(rt_exit_ints(texts) * 4) : 0);
	if (m->tokenizer)
		bytes += 5 * api_up((uint64_t)m->max_tokens * 4) + api_window_bytes(m, longest);
	return bytes;
}

RT_FN uint64_t api_head_bytes(int64_t threads)
{
	return API_ALIGN + api_up(sizeof(RtContext)) + api_up(rt_team_bytes((int32_t)threads));
}

/* How many texts staging has room for, besides `tokens` tokens. */
RT_FN int64_t api_texts(const RtModel *m, int64_t tokens)
{
	return tokens < m->batch_texts ? tokens + 1 : m->batch_texts;
}

RT_FN size_t api_workspace(
	const RtModel *m, const RtVariant *v, int max_tokens, int max_texts, int longest, int threads)
{
	if (!v || max_tokens < 0 || max_texts < 0 || longest < 0 || threads < 1 || threads > RT_THREADS_MAX)
		return 0;
	int64_t tokens = max_tokens < m->batch_tokens ? max_tokens : m->batch_tokens;
	int64_t text = longest < max_tokens ? longest : max_tokens;
	if (text > m->max_tokens)
		text = m->max_tokens;
	if (tokens < text)
		tokens = text;
	int64_t texts = max_texts < m->batch_texts ? max_texts : m->batch_texts;
	uint64_t bytes = api_head_bytes(threads) + api_stage_bytes(m, tokens, api_texts(m, tokens), text)
		+ api_arena_bytes(v, tokens, texts > 0 ? texts : 1, text, threads);
	return bytes > SIZE_MAX / 2 ? 0 : (size_t)bytes;
}

RT_API size_t rt_workspace_bytes(const RtModel *m, int max_tokens, int max_texts, int longest, int threads)
{
	return api_workspace(m, rt_choose(m, rt_cpu_isa()), max_tokens, max_texts, longest, threads);
}

/* ---- contexts -------------------------------------------------------------------------------- */

/* Bytes of room for one text of `tokens` tokens. */
RT_FN uint64_t api_one_text(const RtModel *m, const RtVariant *v, int64_t tokens, int32_t threads)
{
	int64_t longest = tokens < m->max_tokens ? tokens : m->max_tokens;
	return api_stage_bytes(m, tokens, api_texts(m, tokens), longest)
		+ api_arena_bytes(v, tokens, 1, longest, threads);
}

/* Lays out the staging for as many tokens per pass as fit the room. */
RT_FN void api_lay_out(RtContext *c)
{
	const RtModel *m = c->model;
	int64_t low = 0, high = m->batch_tokens > m->max_tokens ? m->batch_tokens : m->max_tokens;
	while (low < high) {
		int64_t middle = (low + high + 1) / 2;
		if (api_one_text(m, c->variant, middle, c->team.size) <= c->room_bytes)
			low = middle;
		else
			high = middle - 1;
	}
	c->stage_tokens = (int32_t)low;
	c->stage_texts = (int32_t)api_texts(m, low);
	char *at = c->room;
	c->ids = (int32_t *)(void *)at;
	at += api_up((uint64_t)low * 4);
	c->types = (int32_t *)(void *)at;
	at += api_up((uint64_t)low * 4);
	c->offsets = (int32_t *)(void *)at;
	at += api_up((uint64_t)(c->stage_texts + 1) * 4);
	c->thinned = (int32_t *)(void *)at;
	at += api_thinned_bytes(m, c->stage_texts);
	c->exits = m->exits ? (int32_t *)(void *)at : NULL;
	if (m->exits)
		at += 2 * api_up(rt_exit_ints(c->stage_texts) * 4);
	if (m->tokenizer) {
		const uint64_t column = api_up((uint64_t)m->max_tokens * 4);
		int32_t **const columns[] = {&c->text_ids, &c->text_types, &c->start, &c->end, &c->word};
		for (int i = 0; i < 5; i++, at += column)
			*columns[i] = (int32_t *)(void *)at;
	}
	c->arena = at;
	c->arena_bytes = c->room_bytes - (size_t)(c->arena - c->room);
}

RT_FN RtContext *api_start(const RtModel *m, const RtVariant *v, void *memory, size_t bytes, int threads)
{
	if (!v || !memory || threads < 1 || threads > RT_THREADS_MAX)
		return NULL;
	const size_t slack = (size_t)(-(uintptr_t)memory % API_ALIGN);
	const uint64_t head = api_head_bytes(threads) - API_ALIGN;
	if (m->unpack && m->unpack() != RT_OK)
		return NULL;
	if (bytes < slack || bytes - slack < head || bytes - slack - head < api_one_text(m, v, 0, threads))
		return NULL;
	char *base = (char *)memory + slack;
	RtContext *c = (RtContext *)(void *)base;
	memset(c, 0, sizeof *c);
	c->model = m;
	c->variant = v;
	c->overflow = RT_OVERFLOW_TRUNCATE;
	for (int32_t i = 0; i < m->noptions; i++)
		c->options[i] = m->options[i].value;
	c->room = base + head;
	c->room_bytes = bytes - slack - (size_t)head;
	if (rt_team_start(&c->team, threads, base + api_up(sizeof(RtContext))) != 0)
		return NULL;
	api_lay_out(c);
	return c;
}

RT_API RtContext *rt_init(const RtModel *m, void *memory, size_t bytes, int threads)
{
	return api_start(m, rt_choose(m, rt_cpu_isa()), memory, bytes, threads);
}

RT_API RtContext *rt_new_variant(const RtModel *m, const RtVariant *v, int threads)
{
	const size_t bytes = api_workspace(m, v, m->batch_tokens, m->batch_texts, m->max_tokens, threads);
	if (bytes == 0)
		return NULL;
	void *memory = mmap(
		NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	RtContext *c = api_start(m, v, memory, bytes, threads);
	if (c)
		c->mapped_bytes = bytes;
	else
		munmap(memory, bytes);
	return c;
}

RT_API RtContext *rt_new(const RtModel *m, int threads)
{
	return rt_new_variant(m, rt_choose(m, rt_cpu_isa()), threads);
}

RT_API void rt_free(RtContext *c)
{
	if (!c)
		return;
	rt_team_stop(&c->team);
	if (c->mapped_bytes)
		munmap(c, c->mapped_bytes); /* a mapping is aligned, so it begins with the struct */
}

/* ---- running ids ----------------------------------------------------------------------------- */

typedef struct ApiRun {
	const RtVariant *variant;
	RtCall call;
} ApiRun;

RT_FN void api_run_thread(void *argument, int32_t thread)
{
	const ApiRun *run = argument;
	run->variant->run(&run->call, thread);
}

RT_API void rt_pass(RtContext *c, const int32_t *ids, const int32_t *types, const int32_t *offsets,
	int32_t ntexts, int32_t longest, float *const *out)
{
	const RtVariant *v = c->variant;
	const int32_t threads = rt_team_ready(&c->team), tokens = offsets[ntexts];
	ApiRun run = {v,
		{.ids = ids,
			.types = types,
			.offsets = offsets,
			.ntokens = tokens,
			.ntexts = ntexts,
			.longest = longest,
			.thinned = c->thinned,
			.thinned_rest = c->thinned + (size_t)(ntexts + 1) * (size_t)c->model->nthinned,
			.kept = c->kept,
			.threads = threads,
			.out = out,
			.step_seconds = c->step_seconds,
			.team = &c->team,
			.room_tokens = tokens,
			.room_texts = ntexts,
			.room_pairs = (size_t)tokens * (size_t)longest,
			.options = c->options,
			.exits = c->exits,
			.began = offsets}};
	RtCall *call = &run.call;
	for (int32_t k = 0; k < c->model->noutputs; k++)
		call->want |= out[k] ? 1u << k : 0;
	if (c->step_seconds || !call->want)
		call->want = UINT32_MAX;
	call->tokens = c->arena;
	call->texts = call->tokens + api_up((uint64_t)tokens * (uint64_t)v->per_token);
	call->pairs = call->texts + api_up((uint64_t)ntexts * (uint64_t)v->per_text);
	call->fixed = call->pairs + api_up((uint64_t)tokens * (uint64_t)longest * (uint64_t)v->per_pair);
	call->scratch = call->fixed + api_up((uint64_t)v->fixed);
	call->scratch_bytes = (size_t)api_up(
		(uint64_t)longest * (uint64_t)v->per_thread_token + (uint64_t)v->per_thread);
	call->blocks = call->scratch + (size_t)threads * call->scratch_bytes;
	call->block_bytes = (size_t)api_up((uint64_t)v->per_block);
	rt_team_run(&c->team, api_run_thread, &run);
}

RT_API int rt_pass_fits(const RtContext *c, int64_t tokens, int64_t texts, int64_t longest)
{
	return tokens <= c->stage_tokens && texts <= c->stage_texts
		&& api_arena_bytes(c->variant, tokens, texts, longest, c->team.size)
			+ api_window_bytes(c->model, longest)
		<= c->arena_bytes;
}

RT_FN int api_check_ids(
	const RtModel *m, const int32_t *ids, const int32_t *types, const int32_t *offsets, int32_t ntext)
{
	if (ntext < 0 || !offsets || offsets[0] < 0)
		return RT_E_ARGUMENT;
	for (int32_t i = 0; i < ntext; i++)
		if (offsets[i + 1] < offsets[i])
			return RT_E_ARGUMENT;
	if (offsets[ntext] > offsets[0] && !ids)
		return RT_E_ARGUMENT;
	for (int32_t i = 0; i < ntext; i++)
		if (offsets[i + 1] - offsets[i] > m->max_tokens)
			return RT_E_LENGTH;
	const int32_t kinds = m->type_vocab > 1 ? m->type_vocab : 1;
	for (int32_t i = offsets[0]; i < offsets[ntext]; i++)
		if (ids[i] < 0 || ids[i] >= m->vocab || (types && (types[i] < 0 || types[i] >= kinds)))
			return RT_E_ID;
	return RT_OK;
}

RT_INLINE size_t api_output_floats(const RtOutput *output, int64_t tokens, int64_t texts)
{
	return (size_t)output->width * (size_t)(output->per_token ? tokens : texts);
}

RT_API int rt_run_outputs(RtContext *c, const int32_t *ids, const int32_t *types, const int32_t *offsets,
	int32_t ntext, uint32_t mask, float *const *out, const size_t *out_floats)
{
	if (!c)
		return RT_E_ARGUMENT;
	const RtModel *m = c->model;
	const int status = api_check_ids(m, ids, types, offsets, ntext);
	if (status != RT_OK)
		return status;
	if ((m->noutputs < RT_OUTPUTS_MAX && mask >> m->noutputs) || (mask && (!out || !out_floats)))
		return RT_E_ARGUMENT;
	float *at[RT_OUTPUTS_MAX] = {NULL};
	for (int32_t k = 0; k < m->noutputs; k++) {
		if (!(mask >> k & 1))
			continue;
		const size_t floats = api_output_floats(&m->outputs[k], offsets[ntext] - offsets[0], ntext);
		if (floats > 0 && !out[k])
			return RT_E_ARGUMENT;
		if (out_floats[k] < floats)
			return RT_E_CAPACITY;
		at[k] = out[k];
	}
	rt_team_ready(&c->team);
	for (int32_t i = 0; i < ntext; i++) /* first check that every text fits alone, before writing anything */
		if (!rt_pass_fits(c, offsets[i + 1] - offsets[i], 1, offsets[i + 1] - offsets[i]))
			return RT_E_CAPACITY;
	for (int32_t i = 0, end; i < ntext; i = end) {
		int32_t longest = 0;
		for (end = i; end < ntext; end++) {
			const int32_t size = offsets[end + 1] - offsets[end], most = rt_max(longest, size);
			if (!rt_pass_fits(c, offsets[end + 1] - offsets[i], end + 1 - i, most))
				break;
			longest = most;
			c->offsets[end - i] = offsets[end] - offsets[i];
		}
		const int32_t tokens = offsets[end] - offsets[i];
		c->offsets[end - i] = tokens;
		if (!types)
			memset(c->types, 0, (size_t)tokens * sizeof *c->types);
		rt_pass(c, ids + offsets[i], types ? types + offsets[i] : c->types, c->offsets, end - i, longest, at);
		for (int32_t k = 0; k < m->noutputs; k++)
			if (at[k])
				at[k] += api_output_floats(&m->outputs[k], tokens, end - i);
	}
	return RT_OK;
}

RT_API int rt_run_ids(RtContext *c, const int32_t *ids, const int32_t *types, const int32_t *offsets,
	int32_t ntext, float *out, size_t out_floats)
{
	if (!c)
		return RT_E_ARGUMENT;
	float *outs[RT_OUTPUTS_MAX] = {out};
	size_t floats[RT_OUTPUTS_MAX] = {out_floats};
	return rt_run_outputs(c, ids, types, offsets, ntext, 1, outs, floats);
}

/* ---- small things ---------------------------------------------------------------------------- */

RT_API int32_t rt_option(const RtModel *m, const char *name)
{
	for (int32_t i = 0; i < m->noptions; i++)
		if (strcmp(m->options[i].name, name) == 0)
			return i;
	return -1;
}

RT_API int rt_set(RtContext *c, const char *option, double value)
{
	if (!c || !option)
		return RT_E_ARGUMENT;
	if (strcmp(option, "overflow") == 0
		&& (value == RT_OVERFLOW_ERROR || value == RT_OVERFLOW_TRUNCATE || value == RT_OVERFLOW_WINDOW))
		c->overflow = (int32_t)value;
	else if (strcmp(option, "strict") == 0 && (value == 0 || value == 1))
		c->strict = (int32_t)value;
	else if (strcmp(option, "task") == 0 && c->model && c->model->late
		&& (value == RT_PLAIN || value == RT_QUERY || value == RT_DOCUMENT))
		c->task = (int32_t)value;
	else if (strcmp(option, "prefault") == 0 && value == 1)
		return c->model ? rt_prefault(c->model) : RT_OK;
	else if (strcmp(option, "huge_pages") == 0 && value == 1)
		return c->model ? rt_huge_pages(c->model) : RT_OK;
	else {
		const int32_t own = c->model ? rt_option(c->model, option) : -1;
		if (own < 0 || !rt_option_takes(value))
			return RT_E_OPTION;
		c->options[own] = value;
	}
	return RT_OK;
}

RT_API const char *rt_label(const RtModel *m, int i)
{
	return m->nheads > 0 && m->heads[0].labels && i >= 0 && i < m->heads[0].nlabels ? m->heads[0].labels[i]
																					: NULL;
}

RT_API const char *rt_output(const RtModel *m, int i)
{
	return i >= 0 && i < m->noutputs ? m->outputs[i].name : NULL;
}

RT_API const char *rt_cpu(const RtContext *c) { return c ? c->variant->cpu : NULL; }

RT_API const char *rt_strerror(int status)
{
	static const char *const texts[RT_STATUS_COUNT] = {
		[RT_OK] = "done",
		[RT_E_ARGUMENT] = "bad argument: a null pointer, a negative count, or offsets that decrease",
		[RT_E_ID] = "a token id or type id is outside the model's tables",
		[RT_E_LENGTH] = "a text is longer than the model's limit",
		[RT_E_CAPACITY] = "an output buffer or the workspace is too small",
		[RT_E_OPTION] = "no such option, or its value is out of range",
		[RT_E_WEIGHTS] = "the weights in the program are damaged",
		[RT_E_TEXT] = ("the model has no tokenizer or takes no pairs, or the text is not valid UTF-8"),
	};
	return status >= 0 && status < RT_STATUS_COUNT ? texts[status] : "unknown status";
}

RT_API const char *rt_why(const RtModel *m)
{
	const char *missing = rt_choose(m, rt_cpu_isa()) ? NULL : rt_cpu_missing(m->variants[0].isa);
	if (!missing && m->unpacked && m->unpacked->status != RT_OK)
		return rt_strerror(m->unpacked->status);
	return missing ? missing : "out of memory, not 1 to 256 threads, or threads could not be started";
}
