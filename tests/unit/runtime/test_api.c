/* test_api.c: the generic C API (runtime/api.c, text.c, window.c, cpu.c) over a hand-made model. Its threads
 * are in test_api_threads.c. */
#include "tests/unit/api_batch.h"
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const cpu_words[] = {
#define ISA(NAME, bit, target, brief, text) [bit] = text,
#include "runtime/isa.def"
#undef ISA
};

static void test_cpu(void)
{
	for (size_t i = 0; i < sizeof cpu_words / sizeof *cpu_words; i++) {
		CU_ASSERT_STRING_EQUAL(cpu_lacks(1u << i, 0), cpu_words[i]);
		CU_ASSERT_PTR_NULL(cpu_lacks(1u << i, 1u << i));
	}
	CU_ASSERT_PTR_NOT_NULL(cpu_lacks(1u << 30, 0));
	CU_ASSERT_PTR_NULL(rt_cpu_missing(0));
	CU_ASSERT_PTR_NULL(rt_cpu_missing(rt_cpu_isa()));
#if defined(__x86_64__)
	CU_ASSERT_EQUAL(
		(rt_cpu_isa() & CPU_AVX2) != 0, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
	CU_ASSERT_EQUAL((rt_cpu_isa() & CPU_AVX512) != 0,
		__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"));
	RtVariant arm = tiny_variants[0];
	RtModel other = tiny_model;
	arm.isa = CPU_NEON64;
	other.variants = &arm;
	CU_ASSERT_PTR_NULL(rt_new(&other, 1));
	CU_ASSERT_EQUAL(rt_workspace_bytes(&other, 4, 1, 4, 1), 0);
	CU_ASSERT_STRING_EQUAL(rt_why(&other), cpu_words[2]);
#endif
}

/* With code for several CPUs, the last one that the CPU supports is used, with its arena. */
static void test_variants(void)
{
	RtVariant variants[3] = {tiny_variants[0], tiny_variants[0], tiny_variants[0]};
	RtModel m = tiny_model;
	m.variants = variants;
	m.nvariants = 3;
	variants[1].isa = 1u << 3;
	variants[2].isa = 1u << 5;
	variants[1].per_token = 512;
	CU_ASSERT_PTR_EQUAL(rt_choose(&m, 0), &variants[0]);
	CU_ASSERT_PTR_EQUAL(rt_choose(&m, 1u << 2), &variants[0]);
	CU_ASSERT_PTR_EQUAL(rt_choose(&m, 1u << 3 | 1), &variants[1]);
	CU_ASSERT_PTR_EQUAL(rt_choose(&m, 1u << 5), &variants[2]);
	CU_ASSERT_PTR_EQUAL(rt_choose(&m, UINT32_MAX), &variants[2]);
	variants[2].isa = 1u << 3; /* equal needs: the last one is used */
	CU_ASSERT_PTR_EQUAL(rt_choose(&m, 1u << 3), &variants[2]);
	variants[0].isa = 1;
	CU_ASSERT_PTR_NULL(rt_choose(&m, 2));
	variants[1].isa = 0;
	variants[2].isa = 1u << 30;
	CU_ASSERT_EQUAL(
		rt_workspace_bytes(&m, 40, 1, 16, 1), rt_workspace_bytes(&tiny_model, 40, 1, 16, 1) + 40 * 512 - 512);
	RtContext *c = rt_new(&m, 1), *first = rt_new_variant(&m, &variants[0], 1);
	CU_ASSERT_PTR_EQUAL(c->variant, &variants[1]);
	CU_ASSERT_STRING_EQUAL(rt_cpu(c), "any");
	CU_ASSERT_PTR_NULL(rt_cpu(NULL));
	CU_ASSERT_PTR_EQUAL(first->variant, &variants[0]);
	CU_ASSERT_PTR_NULL(rt_new_variant(&m, NULL, 1));
	rt_free(c);
	rt_free(first);
}

static float batch_sum(const Batch *b, int32_t t, int typed)
{
	float sum = 0;
	for (int32_t i = b->offsets[t]; i < b->offsets[t + 1]; i++)
		sum += (float)(b->ids[i] + (typed ? 100 * b->types[i] : 0));
	return sum;
}

static void test_run_ids(void)
{
	static Batch b;
	float out[2 * 150];
	batch_make(&b, 150); /* many more than fit into one pass (8 texts, 40 tokens) */
	for (int threads = 1; threads <= 4; threads++) {
		RtContext *c = rt_new(&tiny_model, threads);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		for (int typed = 0; typed < 2; typed++) {
			memset(out, 0xff, sizeof out);
			CU_ASSERT_EQUAL(
				rt_run_ids(c, b.ids, typed ? b.types : NULL, b.offsets, b.texts, out, 2 * 150), RT_OK);
			for (int32_t t = 0; t < b.texts; t++) {
				CU_ASSERT_EQUAL(out[2 * t], batch_sum(&b, t, typed));
				CU_ASSERT_EQUAL(out[2 * t + 1], (float)(b.offsets[t + 1] - b.offsets[t]));
			}
		}
		CU_ASSERT_EQUAL(rt_run_ids(c, b.ids, NULL, b.offsets, 0, out, 0), RT_OK);
		int32_t ones[41]; /* texts of one token: the tokens would fit into one pass, but the texts do not */
		for (int32_t i = 0; i <= 40; i++)
			ones[i] = i;
		tiny_most_texts = 0;
		CU_ASSERT_EQUAL(rt_run_ids(c, b.ids, NULL, ones, 40, out, 80), RT_OK);
		CU_ASSERT_EQUAL(tiny_most_texts, tiny_model.batch_texts);
		CU_ASSERT_EQUAL(
			rt_run_ids(c, b.ids, NULL, b.offsets + 3, 5, out, 10), RT_OK); /* offsets need not begin at 0 */
		CU_ASSERT_EQUAL(out[0], batch_sum(&b, 3, 0));
		rt_free(c);
	}
	rt_free(NULL);
}

static void test_run_outputs(void)
{
	static Batch b;
	static float logits[2 * 100], rows[3 * 4096];
	float *const out[] = {logits, rows};
	batch_make(&b, 100);
	const size_t tokens = (size_t)b.offsets[100], sizes[] = {200, 3 * tokens};
	RtContext *c = rt_new(&tiny_model, 2);
	CU_ASSERT_EQUAL(rt_run_outputs(c, b.ids, b.types, b.offsets, b.texts, 3, out, sizes), RT_OK);
	for (int32_t t = 0; t < b.texts; t++) {
		CU_ASSERT_EQUAL(logits[2 * t], batch_sum(&b, t, 1));
		for (int32_t i = b.offsets[t]; i < b.offsets[t + 1]; i++) {
			CU_ASSERT_EQUAL(rows[3 * i], (float)(b.ids[i] + 100 * b.types[i]));
			CU_ASSERT_EQUAL(rows[3 * i + 1], (float)(i - b.offsets[t]));
		}
	}
	memset(logits, 0, sizeof logits);
	CU_ASSERT_EQUAL(rt_run_outputs(c, b.ids, b.types, b.offsets, b.texts, 2, out, sizes), RT_OK);
	CU_ASSERT_EQUAL(logits[0], 0); /* an output that is not requested is not written */
	CU_ASSERT_EQUAL(rt_run_outputs(c, b.ids, b.types, b.offsets, b.texts, 0, NULL, NULL), RT_OK);
	CU_ASSERT_EQUAL(rt_run_outputs(c, b.ids, b.types, b.offsets, b.texts, 4, out, sizes), RT_E_ARGUMENT);
	const size_t small[] = {200, 3 * tokens - 1};
	CU_ASSERT_EQUAL(rt_run_outputs(c, b.ids, b.types, b.offsets, b.texts, 2, out, small), RT_E_CAPACITY);
	CU_ASSERT_EQUAL(rt_run_outputs(c, b.ids, b.types, b.offsets, b.texts, 1, out, small), RT_OK);
	rt_free(c);
}

/* Every wrong argument gives its status and does not change `out`. */
static void test_refusals(void)
{
	RtContext *c = rt_new(&tiny_model, 1);
	int32_t ids[TINY_MAX + 1] = {1, 2, 3}, types[] = {0, 1, 0}, offsets[] = {0, 2, 3};
	float out[4] = {-7, -7, -7, -7};
	CU_ASSERT_EQUAL(rt_run_ids(NULL, ids, types, offsets, 2, out, 4), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_run_ids(c, NULL, types, offsets, 2, out, 4), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, NULL, 2, out, 4), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, offsets, -1, out, 4), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, offsets, 2, NULL, 4), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, offsets, 2, out, 3), RT_E_CAPACITY);
	const int32_t backwards[] = {0, 3, 2}, negative[] = {-1, 2, 3}, lengthy[] = {0, TINY_MAX + 1};
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, backwards, 2, out, 4), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, negative, 2, out, 4), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, NULL, lengthy, 1, out, 4), RT_E_LENGTH);
	const int32_t wrong[] = {-1, TINY_VOCAB, INT32_MIN, INT32_MAX};
	for (int i = 0; i < 4; i++) {
		ids[2] = wrong[i];
		CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, offsets, 2, out, 4), RT_E_ID);
	}
	ids[2] = 3;
	types[2] = 2;
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, offsets, 2, out, 4), RT_E_ID);
	types[2] = -1;
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, types, offsets, 2, out, 4), RT_E_ID);
	CU_ASSERT_EQUAL(rt_set(c, "overflow", 3), RT_E_OPTION);
	CU_ASSERT_EQUAL(rt_set(c, "overflow", 0.5), RT_E_OPTION);
	CU_ASSERT_EQUAL(rt_set(c, "strict", 2), RT_E_OPTION);
	CU_ASSERT_EQUAL(rt_set(c, "heat", 1), RT_E_OPTION);
	CU_ASSERT_EQUAL(rt_set(c, NULL, 1), RT_E_ARGUMENT);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(out[i], -7);
	for (int i = -1; i <= RT_STATUS_COUNT; i++)
		CU_ASSERT_PTR_NOT_NULL(rt_strerror(i));
	CU_ASSERT_STRING_EQUAL(rt_label(&tiny_model, 1), "high");
	CU_ASSERT_PTR_NULL(rt_label(&tiny_model, 2));
	CU_ASSERT_PTR_NULL(rt_label(&tiny_model, -1));
	CU_ASSERT_STRING_EQUAL(rt_output(&tiny_model, 1), "hidden");
	CU_ASSERT_PTR_NULL(rt_output(&tiny_model, 2));
	rt_free(c);
	CU_ASSERT_PTR_NULL(rt_new(&tiny_model, 0));
	CU_ASSERT_PTR_NULL(rt_new(&tiny_model, RT_THREADS_MAX + 1));
	CU_ASSERT_PTR_NOT_NULL(strstr(rt_why(&tiny_model), "threads"));
}

/* Memory of any size and alignment: the size of workspace_bytes works, less memory is refused or limits the
 * texts, and no byte outside is written. */
static void test_workspace(void)
{
	static const struct {
		int tokens, texts, longest, threads;
	} sizes[] = {
		{1, 1, 1, 1},
		{16, 1, 16, 1},
		{16, 4, 4, 1},
		{40, 8, 16, 3},
		{0, 0, 0, 1},
		{1000, 1000, 1000, 2},
		{7, 7, 1, 1},
		{40, 40, 1, 2},
	};
	static int32_t ids[1000];
	int32_t offsets[1001];
	static float out[2 * 1000];
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		const size_t bytes = rt_workspace_bytes(
			&tiny_model, sizes[s].tokens, sizes[s].texts, sizes[s].longest, sizes[s].threads);
		CU_ASSERT(bytes > 0);
		for (size_t shift = 0; shift < 64; shift += 21) {
			unsigned char *block = malloc(bytes + 128);
			memset(block, 0xa5, bytes + 128);
			RtContext *c = rt_init(&tiny_model, block + shift, bytes, sizes[s].threads);
			CU_ASSERT_PTR_NOT_NULL_FATAL(c);
			const int each = sizes[s].longest < TINY_MAX ? sizes[s].longest : TINY_MAX;
			int texts = 0, used = 0;
			for (; texts < sizes[s].texts && used + each <= sizes[s].tokens; texts++, used += each)
				offsets[texts] = used;
			offsets[texts] = used;
			CU_ASSERT_EQUAL(rt_run_ids(c, ids, NULL, offsets, texts, out, 2 * 1000), RT_OK);
			rt_free(c);
			int touched = 0;
			for (size_t i = 0; i < shift; i++)
				touched += block[i] != 0xa5;
			for (size_t i = shift + bytes; i < bytes + 128; i++)
				touched += block[i] != 0xa5;
			CU_ASSERT_EQUAL(touched, 0);
			free(block);
		}
	}
	CU_ASSERT_EQUAL(rt_workspace_bytes(&tiny_model, -1, 1, 1, 1), 0);
	CU_ASSERT_EQUAL(rt_workspace_bytes(&tiny_model, 1, 1, 1, 0), 0);
	CU_ASSERT_PTR_NULL(rt_init(&tiny_model, NULL, 1 << 20, 1));
	char small[256];
	CU_ASSERT_PTR_NULL(rt_init(&tiny_model, small, sizeof small, 1));
	/* Room for texts of 4 tokens only: one of 16 is refused, and texts of 4 still run. */
	const size_t bytes = rt_workspace_bytes(&tiny_model, 4, 1, 4, 1);
	char *block = aligned_alloc(64, (bytes + 63) / 64 * 64);
	RtContext *c = rt_init(&tiny_model, block, bytes, 1);
	const int32_t mixed[] = {0, 4, 20}, fours[] = {0, 4, 8, 12, 16};
	out[0] = -7;
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, NULL, mixed, 2, out, 4), RT_E_CAPACITY);
	CU_ASSERT_EQUAL(out[0], -7);
	CU_ASSERT_EQUAL(rt_run_ids(c, ids, NULL, fours, 4, out, 8), RT_OK);
	rt_free(c);
	free(block);
	RtVariant large = tiny_variants[0];
	RtModel huge = tiny_model;
	huge.variants = &large;
	large.per_token = INT64_MAX / 10;
	CU_ASSERT_EQUAL(rt_workspace_bytes(&huge, 40, 1, 16, 1), 0);
	CU_ASSERT_PTR_NULL(rt_new(&huge, 1));
}

static int text_run(RtContext *c, const char *text, const char *pair, float *out, size_t floats,
	int32_t *rows, uint8_t *flags)
{
	const size_t bytes = strlen(text), pair_bytes = pair ? strlen(pair) : 0;
	return rt_run_text(
		c, &text, &bytes, pair ? &pair : NULL, pair ? &pair_bytes : NULL, 1, out, floats, rows, flags);
}

static void test_run_text(void)
{
	RtContext *c = rt_new(&tiny_model, 2);
	float out[8];
	uint8_t flag[4];
	CU_ASSERT_EQUAL(text_run(c, "one two", NULL, out, 2, NULL, flag), RT_OK);
	CU_ASSERT_EQUAL(out[0], 0 + 4 + 5 + 1);
	CU_ASSERT_EQUAL(out[1], 4);
	CU_ASSERT_EQUAL(flag[0], 0);
	CU_ASSERT_EQUAL(text_run(c, "one", "red", out, 2, NULL, NULL), RT_OK);
	CU_ASSERT_EQUAL(out[0], 0 + 4 + 1 + 106 + 101);
	CU_ASSERT_EQUAL(text_run(c, "", NULL, out, 2, NULL, NULL), RT_OK);
	CU_ASSERT_EQUAL(out[1], 2);
	/* as "" */
	CU_ASSERT_EQUAL(
		rt_run_text(c, (const char *[]){NULL}, (size_t[]){0}, NULL, NULL, 1, out, 2, NULL, NULL), RT_OK);
	CU_ASSERT_EQUAL(out[1], 2);
	const char *long_text
		= "one one one one one one one one one one one one one one one one one one one one"; /* 20 words */
	CU_ASSERT_EQUAL(text_run(c, long_text, NULL, out, 2, NULL, flag), RT_OK);
	CU_ASSERT_EQUAL(flag[0], RT_FLAG_TRUNCATED);
	CU_ASSERT_EQUAL(out[1], TINY_MAX);
	CU_ASSERT_EQUAL(rt_set(c, "overflow", RT_OVERFLOW_ERROR), RT_OK);
	out[0] = -7;
	CU_ASSERT_EQUAL(text_run(c, long_text, NULL, out, 2, NULL, flag), RT_E_LENGTH);
	CU_ASSERT_EQUAL(out[0], -7);
	CU_ASSERT_EQUAL(rt_set(c, "overflow", RT_OVERFLOW_WINDOW), RT_OK);
	CU_ASSERT_EQUAL(text_run(c, long_text, NULL, out, 2, NULL, flag), RT_OK);
	CU_ASSERT_EQUAL(flag[0], RT_FLAG_WINDOWED);
	CU_ASSERT_EQUAL(out[0], (14 * 4 + 1 + 6 * 4 + 1) / 2.0f); /* the mean of windows of 14 and 6 words */
	/* the second of a pair is windowed: 12 and 8 words */
	CU_ASSERT_EQUAL(text_run(c, "one", long_text, out, 2, NULL, flag), RT_OK);
	CU_ASSERT_EQUAL(out[1], (16 + 12) / 2.0f);
	CU_ASSERT_EQUAL(rt_set(c, "strict", 1), RT_OK);
	CU_ASSERT_EQUAL(text_run(c, "one \xff", NULL, out, 2, NULL, NULL), RT_E_TEXT);
	CU_ASSERT_EQUAL(text_run(c, "one", NULL, out, 1, NULL, NULL), RT_E_CAPACITY);
	/* many texts: cut into passes, in order */
	static const char *texts[50];
	static size_t sizes[50];
	static float many[100];
	for (int i = 0; i < 50; i++) {
		texts[i] = long_text;
		sizes[i] = i % 20 == 0 ? 0 : (size_t)(4 * (i % 20) - 1);
	}
	CU_ASSERT_EQUAL(rt_run_text(c, texts, sizes, NULL, NULL, 50, many, 100, NULL, NULL), RT_OK);
	for (int i = 0; i < 50; i++)
		if (i % 20 <= 14)
			CU_ASSERT_EQUAL(many[2 * i + 1], (float)(i % 20 + 2));
	rt_free(c);
	/* embeddings: the mean of windows of 16 and 8 tokens, weighted so */
	static const RtHead embed[] = {{"embed", RT_TASK_EMBED, RT_SINGLE, 0, 0, NULL}};
	RtModel other = tiny_model;
	other.heads = embed;
	c = rt_new(&other, 1);
	CU_ASSERT_EQUAL(rt_set(c, "overflow", RT_OVERFLOW_WINDOW), RT_OK);
	CU_ASSERT_EQUAL(text_run(c, long_text, NULL, out, 2, NULL, NULL), RT_OK);
	CU_ASSERT_DOUBLE_EQUAL(out[0], (57 * 16 + 25 * 8) / 24.0, 1e-5);
	CU_ASSERT_DOUBLE_EQUAL(out[1], (16 * 16 + 8 * 8) / 24.0, 1e-5);
	rt_free(c);
	other = tiny_model;
	other.takes_pairs = 0;
	c = rt_new(&other, 1);
	CU_ASSERT_EQUAL(text_run(c, "one", "two", out, 2, NULL, NULL), RT_E_TEXT);
	rt_free(c);
	other.tokenizer = NULL;
	c = rt_new(&other, 1);
	CU_ASSERT_EQUAL(text_run(c, "one", NULL, out, 2, NULL, NULL), RT_E_TEXT);
	rt_free(c);
}

/* Outputs per token: with windows there is one row for each token of the whole text, in order. */
static const RtOutput row_outputs[] = {{"logits", 3, 1}, {"pooled", 2, 0}};
static void row_run(const RtCall *call, int32_t thread)
{
	float *const out[2] = {call->out[1], call->out[0]};
	RtCall swapped = *call;
	swapped.out = out;
	tiny_run(&swapped, thread);
}

static void test_token_rows(void)
{
	RtVariant rows_variant = tiny_variants[0];
	RtModel rows_model = tiny_model;
	rows_model.variants = &rows_variant;
	rows_model.outputs = row_outputs;
	rows_variant.run = row_run;
	rows_model.nheads = 0;
	RtContext *c = rt_new(&rows_model, 1);
	char text[4000] = "";
	float out[3 * 400];
	int32_t rows[3];
	uint8_t flag;
	static const char *const words[] = {"zero", "one", "two", "red", "blue", "the", "."};
	int32_t want[400], n = 0;
	want[n++] = 0;
	for (int i = 0; i < 200; i++) {
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", words[(i * i + i / 3) % 7]);
		for (int32_t v = 0; v < TINY_VOCAB; v++)
			if (strcmp(tiny_vocab[v], words[(i * i + i / 3) % 7]) == 0)
				want[n++] = v;
	}
	want[n++] = 1;
	CU_ASSERT_EQUAL(text_run(c, text, NULL, out, 3 * 400, NULL, &flag), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(text_run(c, text, NULL, out, 3 * 400, rows, &flag), RT_OK);
	CU_ASSERT_EQUAL(rows[1], TINY_MAX);
	rt_set(c, "overflow", RT_OVERFLOW_WINDOW);
	CU_ASSERT_EQUAL(text_run(c, text, NULL, out, 3 * 100, rows, &flag), RT_E_CAPACITY);
	CU_ASSERT_EQUAL(rows[1], n); /* gives the required room */
	CU_ASSERT_EQUAL(text_run(c, text, NULL, out, 3 * 400, rows, &flag), RT_OK);
	CU_ASSERT_EQUAL_FATAL(rows[1], n);
	CU_ASSERT_EQUAL(flag, RT_FLAG_WINDOWED);
	for (int32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(out[3 * i], (float)want[i]);
	for (int32_t i = 20; i < n - 20; i++) /* every word comes from a window where it is not at the edge */
		CU_ASSERT(out[3 * i + 1] >= 4 && out[3 * i + 1] <= 12);
	/* a word with more pieces than fit into a window: windows still advance and end */
	memset(text, 'x', 300);
	text[300] = '\0';
	CU_ASSERT_EQUAL(text_run(c, text, NULL, out, 3 * 400, rows, &flag), RT_OK);
	CU_ASSERT_EQUAL(rows[1], 75 + 2);
	rt_free(c);
}

static void test_encode(void)
{
	RtContext *c = rt_new(&tiny_model, 1);
	int32_t ids[TINY_MAX], types[TINY_MAX], start[TINY_MAX], end[TINY_MAX], n = 0;
	CU_ASSERT_EQUAL(rt_encode(c, "one  red", 8, "blue", 4, ids, types, start, end, TINY_MAX, &n), RT_OK);
	CU_ASSERT_EQUAL(n, 6);
	CU_ASSERT(ids[2] == 6 && start[2] == 5 && end[2] == 8 && types[2] == 0);
	CU_ASSERT(ids[4] == 7 && start[4] == 0 && types[4] == 1 && start[0] == RT_SPECIAL);
	CU_ASSERT_EQUAL(rt_encode(c, "one", 3, NULL, 0, ids, NULL, NULL, NULL, 3, &n), RT_OK);
	CU_ASSERT_EQUAL(rt_encode(c, "one", 3, NULL, 0, ids, NULL, NULL, NULL, 2, &n), RT_E_CAPACITY);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(rt_encode(c, NULL, 3, NULL, 0, ids, NULL, NULL, NULL, 2, &n), RT_E_ARGUMENT);
	CU_ASSERT_EQUAL(rt_encode(c, "one", 3, NULL, 0, NULL, NULL, NULL, NULL, 2, &n), RT_E_ARGUMENT);
	rt_free(c);
}

/* Weights that begin and end in the midst of pages are the same bytes, at the same place, after they have
 * moved. */
static void test_resident(void)
{
	enum { BYTES = 5 << 20, FROM = 100, TO = BYTES - 5000 };
	unsigned char *file = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(file != MAP_FAILED);
	for (int i = 0; i < BYTES; i++)
		file[i] = (unsigned char)(i * 2654435761u >> 24);
	mprotect(file, BYTES, PROT_READ);
	RtModel model = tiny_model;
	model.weights = file + FROM;
	model.weights_bytes = TO - FROM;
	RtContext *c = rt_new(&model, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(rt_set(c, "prefault", 1), RT_OK);
	CU_ASSERT_EQUAL(rt_set(c, "huge_pages", 1), RT_OK);
	CU_ASSERT_EQUAL(rt_set(c, "prefault", 1), RT_OK);
	CU_ASSERT_EQUAL(rt_set(c, "prefault", 0), RT_E_OPTION);
	CU_ASSERT_EQUAL(rt_set(c, "huge_pages", 2), RT_E_OPTION);
	int wrong = 0;
	for (int i = 0; i < BYTES; i++)
		wrong += file[i] != (unsigned char)(i * 2654435761u >> 24);
	CU_ASSERT_EQUAL(wrong, 0);
	rt_free(c);
	munmap(file, BYTES);
	RtModel bare = tiny_model; /* no weights: nothing to do */
	CU_ASSERT_EQUAL(rt_huge_pages(&bare), RT_OK);
	CU_ASSERT_EQUAL(rt_prefault(&bare), RT_OK);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"cpu", test_cpu},
		{"resident", test_resident},
		{"variants", test_variants},
		{"run_ids", test_run_ids},
		{"run_outputs", test_run_outputs},
		{"refusals", test_refusals},
		{"workspace", test_workspace},
		{"run_text", test_run_text},
		{"token rows", test_token_rows},
		{"encode", test_encode},
	};
	return SUITE_RUN("api", tests);
}
