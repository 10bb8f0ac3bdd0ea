/* tiny_model.h: a hand-made RtModel with a hand-made tokenizer, so that the generic runtime is tested without
 * emitted code. The "network" of the model: row of token i = [id, position, tokens of its text]; logits of
 * the text = [sum of ids, tokens]. Every thread does its share, and steps end with
 * barriers, as in emitted code. A word is a token; its id is its index in the vocabulary. A word longer than
 * four letters is split into pieces of four letters, all with the id of "part". */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H
#include "runtime/rt.h"
#include "runtime/model.h"
#include "runtime/tokenize/tokenizer.h"
#include "runtime/team.c"
#include "runtime/cpu.c"
#include "runtime/window.c"
#include "runtime/cluster.c"
#include "runtime/resident.c"
#include "runtime/api.c"
#include "runtime/text.c"

enum { TINY_MAX = 16, TINY_VOCAB = 12, TINY_PART = 11 };
static const char *const tiny_vocab[TINY_VOCAB] = {
	"[CLS]",
	"[SEP]",
	"[MASK]",
	"zero",
	"one",
	"two",
	"red",
	"blue",
	".",
	"the",
	"[UNK]",
	"##part",
};

/* Splits at spaces and before '.'; no more than a test needs. */
static int32_t tiny_words(const char *text, size_t bytes, int32_t limit, int32_t *ids, int32_t *start,
	int32_t *end, int32_t *word, int32_t *total, size_t *next, int32_t *replaced)
{
	int32_t n = 0, number = 0;
	*total = 0;
	*next = bytes;
	for (size_t at = 0; at < bytes;) {
		if (text[at] == ' ') {
			at++;
			continue;
		}
		size_t stop = at + 1;
		if (text[at] != '.')
			while (stop < bytes && text[stop] != ' ' && text[stop] != '.')
				stop++;
		for (size_t from = at; from < stop;) {
			const int whole = stop - at <= 4 || text[at] == '[', first = from == at;
			const size_t to = whole || stop - from <= 4 ? stop : from + 4;
			int32_t id = first ? 10 : TINY_PART;
			for (int32_t v = 0; v < TINY_VOCAB && first; v++)
				if (strlen(tiny_vocab[v]) == stop - at && memcmp(tiny_vocab[v], text + at, stop - at) == 0)
					id = v;
			*replaced += (unsigned char)text[from] == 0xff;
			++*total;
			if (n < limit) {
				ids[n] = id;
				start[n] = (int32_t)from;
				end[n] = (int32_t)to;
				word[n] = number;
				n++;
			} else if (*next == bytes)
				*next = from;
			from = to;
		}
		number++;
		at = stop;
	}
	return n;
}

static void tiny_put(
	int32_t *n, int32_t id, int32_t type, int32_t start, int32_t end, int32_t word, int32_t *const columns[5])
{
	const int32_t values[5] = {id, type, start, end, word};
	for (int k = 0; k < 5; k++)
		if (columns[k])
			columns[k][*n] = values[k];
	++*n;
}

RT_FN int32_t rt_tokenize_one(const RtTokenizer *tokenizer, const char *text, size_t bytes, int32_t limit,
	int32_t *ids, int32_t *total, int32_t *replaced)
{
	static int32_t start[1024], end[1024], word[1024];
	size_t next;
	(void)tokenizer;
	*replaced = 0;
	*total = 0;
	return tiny_words(text, bytes, limit, ids, start, end, word, total, &next, replaced);
}

RT_FN int rt_tokenize(const RtTokenizer *tokenizer, const char *text, size_t bytes, const char *pair,
	size_t pair_bytes, int32_t max_tokens, int32_t *ids, int32_t *types, int32_t *byte_start,
	int32_t *byte_end, int32_t *word, RtEncoding *e)
{
	enum { ROOM = 1024 };
	static int32_t buffer[2][4][ROOM];
	int32_t *const columns[5] = {ids, types, byte_start, byte_end, word}, total[2] = {0, 0}, keep[2];
	const int32_t specials = pair ? 3 : 2;
	(void)tokenizer;
	memset(e, 0, sizeof *e);
	if (max_tokens < specials)
		return RT_E_LENGTH;
	const char *texts[2] = {text, pair};
	const size_t sizes[2] = {bytes, pair_bytes};
	size_t nexts[2] = {0, 0};
	for (int s = 0; s < 2; s++)
		keep[s] = texts[s] ? tiny_words(texts[s], sizes[s], ROOM, buffer[s][0], buffer[s][1], buffer[s][2],
								 buffer[s][3], (int32_t *)&total[s], &nexts[s], &e->replaced)
						   : 0;
	const int32_t whole[2] = {keep[0], keep[1]};
	while (keep[0] + keep[1] > max_tokens - specials)
		keep[keep[0] >= keep[1] ? 0 : 1]--;
	e->total = total[0] + total[1] + specials;
	e->text_next = keep[0] < whole[0] ? (size_t)buffer[0][1][keep[0]] : bytes;
	e->pair_next = keep[1] < whole[1] ? (size_t)buffer[1][1][keep[1]] : pair_bytes;
	tiny_put(&e->n, 0, 0, RT_SPECIAL, RT_SPECIAL, -1, columns);
	for (int s = 0; s < (pair ? 2 : 1); s++) {
		for (int32_t i = 0; i < keep[s]; i++)
			tiny_put(&e->n, buffer[s][0][i], s, buffer[s][1][i], buffer[s][2][i], buffer[s][3][i], columns);
		tiny_put(&e->n, 1, s, RT_SPECIAL, RT_SPECIAL, -1, columns);
	}
	e->text_tokens = keep[0];
	e->pair_tokens = keep[1];
	return RT_OK;
}

RT_FN const char *rt_token_text(const RtTokenizer *tokenizer, int32_t id, size_t *bytes)
{
	(void)tokenizer;
	if (id < 0 || id >= TINY_VOCAB)
		return NULL;
	*bytes = strlen(tiny_vocab[id]);
	return tiny_vocab[id];
}

RT_FN int32_t rt_token_mask_id(const RtTokenizer *tokenizer)
{
	(void)tokenizer;
	return 2;
}

static int32_t tiny_most_texts; /* of any pass so far */

/* Two steps with a barrier between: rows into the arena by shares of tokens, then sums by shares of texts,
 * then copies out. */
static void tiny_run(const RtCall *call, int32_t thread)
{
	float *rows = (float *)(void *)call->tokens, *sums = (float *)(void *)call->texts;
	const int begin = rt_part(call->ntokens, thread, call->threads),
			  end = rt_part(call->ntokens, thread + 1, call->threads);
	for (int t = 0, i = begin; i < end; i++) {
		while (call->offsets[t + 1] <= i)
			t++;
		rows[3 * i] = (float)(call->ids[i] + 100 * call->types[i]);
		rows[3 * i + 1] = (float)(i - call->offsets[t]);
		rows[3 * i + 2] = (float)(call->offsets[t + 1] - call->offsets[t]);
	}
	memset(call->scratch + (size_t)thread * call->scratch_bytes, thread, call->scratch_bytes);
	if (thread == 0) {
		memset(call->fixed, 0, 64);
		tiny_most_texts = rt_max(tiny_most_texts, call->ntexts);
	}
	rt_team_barrier(call->team);
	for (int t = rt_part(call->ntexts, thread, call->threads);
		t < rt_part(call->ntexts, thread + 1, call->threads); t++) {
		sums[2 * t] = 0;
		for (int i = call->offsets[t]; i < call->offsets[t + 1]; i++)
			sums[2 * t] += rows[3 * i];
		sums[2 * t + 1] = (float)(call->offsets[t + 1] - call->offsets[t]);
		for (int i = 0; i < call->longest; i++)
			((float *)(void *)call
					->pairs)[call->offsets[t] * call->longest + i * (call->offsets[t + 1] > call->offsets[t])]
				= 1;
	}
	rt_team_barrier(call->team);
	if (thread == 0) {
		if (call->out[0])
			memcpy(call->out[0], sums, (size_t)call->ntexts * 2 * sizeof(float));
		if (call->out[1])
			memcpy(call->out[1], rows, (size_t)call->ntokens * 3 * sizeof(float));
		if (call->step_seconds)
			call->step_seconds[0] = call->step_seconds[1] = 1e-6;
	}
	rt_team_barrier(call->team);
}

static const char *const tiny_labels[] = {"low", "high"};
static const RtOutput tiny_outputs[] = {{"logits", 2, 0}, {"hidden", 3, 1}};
static const RtHead tiny_heads[] = {{"classify", RT_TASK_CLASSIFY, RT_SINGLE, 0, 2, tiny_labels}};
static const RtStep tiny_steps[] = {
	{"embeddings", "rows__scalar", 6, 0, 0, 0}, {"pooler", "sums__scalar", 0, 2, 0, 0}};
static const RtTokenizer tiny_tokenizer;
static const RtVariant tiny_variants[] = {{
	.cpu = "any",
	.run = tiny_run,
	.steps = tiny_steps,
	.nsteps = 2,
	.per_token = 12,
	.per_text = 8,
	.per_pair = 4,
	.per_thread_token = 4,
	.per_thread = 60,
	.fixed = 64,
}};
static const RtModel tiny_model = {
	.name = "tiny",
	.about = "{\"name\": \"tiny\", \"bertc\": \"0.1\", \"sizes\": {\"hidden\": 3}, \"empty\": []}",
	.hidden = 3,
	.vocab = TINY_VOCAB,
	.type_vocab = 2,
	.max_tokens = TINY_MAX,
	.batch_tokens = 40,
	.batch_texts = 8,
	.takes_pairs = 1,
	.outputs = tiny_outputs,
	.noutputs = 2,
	.heads = tiny_heads,
	.nheads = 1,
	.tokenizer = &tiny_tokenizer,
	.variants = tiny_variants,
	.nvariants = 1,
};
/* The same with the rows as its first output, tagged by the largest of three numbers. */
static const char *const tiny_tags[] = {"B-Id", "O", "I-Id"};
#endif
