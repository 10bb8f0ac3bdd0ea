/* test_spans.c: the parts of the emitted program that work on plain data: spans, answers, JSON, lines, thread counts. */
#include "tiny_model.h"
#include "runtime/json_out.c"
#include "runtime/lines.c"
#include "runtime/spans.c"
#include "runtime/answers.c"
#include "runtime/threads.c"
#include "runtime/tasks.c"
#include "runtime/program.c"
#include "runtime/report.c"
#include <CUnit/Basic.h>
#include <jansson.h>

static const char *const bio[] = {"O", "B-X", "I-X", "B-Y", "I-Y", "NAME"};
enum { O, BX, IX, BY, IY, NAME };

/* Words three bytes apart with the given labels; compares with "type:first-last" words of the spans. */
static void check_spans(const int *labels, int n, const char *want)
{
	RtWord words[16];
	RtSpan spans[16];
	char got[256] = "";
	for (int i = 0; i < n; i++)
		words[i] = (RtWord){3 * i, 3 * i + 2, labels[i], 0.5f + 0.1f * (float)i};
	const int32_t count = rt_spans(words, n, bio, spans);
	for (int32_t i = 0; i < count; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s:%d-%d ", spans[i].type, (int)spans[i].start / 3,
			(int)(spans[i].end - 2) / 3);
	CU_ASSERT_STRING_EQUAL(got, want);
	for (int32_t i = 0; i < count; i++) {
		const double first = spans[i].start / 3, last = (spans[i].end - 2) / 3;
		CU_ASSERT_DOUBLE_EQUAL(spans[i].score, 0.5 + 0.05 * (first + last), 1e-6);   /* the mean over its words */
	}
}

static void test_spans(void)
{
	check_spans((int[]){O, O}, 2, "");
	check_spans(NULL, 0, "");
	check_spans((int[]){BX, IX, IX, O, BX}, 5, "X:0-2 X:4-4 ");
	check_spans((int[]){BX, BX, IX}, 3, "X:0-0 X:1-2 ");
	check_spans((int[]){O, IX, IX}, 3, "X:1-2 ");
	check_spans((int[]){BX, IY, IY}, 3, "X:0-0 Y:1-2 ");
	check_spans((int[]){BX, O, IX}, 3, "X:0-0 X:2-2 ");
	check_spans((int[]){NAME, NAME, O, NAME}, 4, "NAME:0-0 NAME:1-1 NAME:3-3 ");
	check_spans((int[]){NAME, IX, BY, IX}, 4, "NAME:0-0 X:1-1 Y:2-2 X:3-3 ");
}

static void test_answers(void)
{
	double scratch[64];
	/* [CLS] question [SEP] a b c d [SEP]: tokens 3..6 are the context */
	float logits[8][2] = {{0, 0}, {9, 9}, {9, 9}, {1, 0}, {3, 0}, {0, 2}, {0, 3}, {9, 9}};
	RtAnswer a = rt_answer(&logits[0][0], 8, 3, 7, scratch);
	CU_ASSERT(a.first == 4 && a.last == 6);   /* never the question or a separator, however high */
	const double start = exp(3) / (1 + exp(1) + exp(3) + 2), end = exp(3) / (1 + 2 + exp(2) + exp(3));
	CU_ASSERT_DOUBLE_EQUAL(a.score, start * end, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(a.null_score, 1 / (1 + exp(1) + exp(3) + 2) / (1 + 2 + exp(2) + exp(3)), 1e-12);
	logits[6][0] = 9;   /* the best start lies behind the best end: spans never run backwards */
	logits[6][1] = -9;
	logits[3][1] = 9;
	a = rt_answer(&logits[0][0], 8, 3, 7, scratch);
	CU_ASSERT(a.first <= a.last);
	a = rt_answer(&logits[0][0], 8, 5, 5, scratch);
	CU_ASSERT_EQUAL(a.first, -1);
	CU_ASSERT_EQUAL(rt_answer(NULL, 0, 0, 0, scratch).first, -1);
	float far[30][2] = {{0}};   /* a start and an end further apart than an answer may be */
	far[2][0] = 5;
	far[2 + RT_ANSWER_TOKENS][1] = 5;
	a = rt_answer(&far[0][0], 30, 1, 29, scratch);
	CU_ASSERT(a.last - a.first < RT_ANSWER_TOKENS);
	far[1 + RT_ANSWER_TOKENS][1] = 5;
	a = rt_answer(&far[0][0], 30, 1, 29, scratch);
	CU_ASSERT(a.first == 2 && a.last == 1 + RT_ANSWER_TOKENS);
	float x[] = {1000, 1001, 999};
	CU_ASSERT_EQUAL(rt_softmax(x, 3), 1);
	CU_ASSERT_DOUBLE_EQUAL(x[0] + x[1] + x[2], 1, 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(x[0], 1 / (1 + exp(1) + exp(-1)), 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(rt_sigmoid(0), 0.5, 1e-9);
	CU_ASSERT_EQUAL(rt_sigmoid(-1000), 0);
}

static void test_json(void)
{
	static const char *const texts[] = {
		"plain", "q\"b\\s/\n\t\x01\x7f", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		"bad \xff\xc3 \xed\xa0\x80 \xc0\x80 \xf5 end\xe2\x82", ""};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *text = NULL;
		size_t bytes;
		FILE *out = open_memstream(&text, &bytes);
		rt_json_string(out, texts[i], strlen(texts[i]));
		fclose(out);
		json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);   /* valid UTF-8 and JSON, whatever went in */
		CU_ASSERT_PTR_NOT_NULL_FATAL(value);
		if (i != 3)
			CU_ASSERT_STRING_EQUAL(json_string_value(value), texts[i]);
		json_decref(value);
		free(text);
	}
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	const float row[] = {1, -0.1f, INFINITY, NAN, 1e-30f};
	rt_json_row(out, row, 5);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, "[1, -0.100000001, null, null, 1e-30]");
	free(text);
	static const char object[] = "{\"a\": {\"b\": \"inner\"}, \"s\": \"x,y\\\"z}\", \"b\": \"outer\", \"n\": -12, "
		"\"e\": {}, \"l\": [1, [2]]}";
	out = open_memstream(&text, &bytes);
	rt_json_indent(out, object);
	fclose(out);
	json_t *before = json_loads(object, 0, NULL), *after = json_loads(text, 0, NULL);
	CU_ASSERT(json_equal(before, after));
	CU_ASSERT(strstr(text, "\n    \"b\": \"inner\"") != NULL);
	json_decref(before);
	json_decref(after);
	free(text);
	char value[16];
	CU_ASSERT(rt_json_find(object, "b", value, sizeof value) && strcmp(value, "outer") == 0);
	CU_ASSERT(rt_json_find(object, "n", value, sizeof value) && strcmp(value, "-12") == 0);
	CU_ASSERT_FALSE(rt_json_find(object, "inner", value, sizeof value));
	CU_ASSERT_FALSE(rt_json_find(object, "b", value, 3));
}

/* Bytes through a pipe, in pieces, as lines. */
static void test_lines(void)
{
	int ends[2];
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	static const char bytes[] = "first\r\n\nzero\0inside\n\r\nlast\r";
	CU_ASSERT_EQUAL(write(ends[1], bytes, 9), 9);
	RtLines in = {.descriptor = ends[0]};
	const char *line;
	size_t n;
	CU_ASSERT(rt_lines_next(&in, &line, &n) == 1 && n == 5 && memcmp(line, "first", 5) == 0);   /* with no more in the pipe */
	CU_ASSERT(rt_lines_next(&in, &line, &n) == 1 && n == 0);
	CU_ASSERT_EQUAL(write(ends[1], bytes + 9, sizeof bytes - 1 - 9), (ssize_t)sizeof bytes - 1 - 9);
	close(ends[1]);
	CU_ASSERT(rt_lines_next(&in, &line, &n) == 1 && n == 11 && memcmp(line, "zero\0inside", 11) == 0);
	CU_ASSERT(rt_lines_next(&in, &line, &n) == 1 && n == 0);
	CU_ASSERT(rt_lines_next(&in, &line, &n) == 1 && n == 4);
	CU_ASSERT_EQUAL(rt_lines_next(&in, &line, &n), 0);
	CU_ASSERT_EQUAL(rt_lines_next(&in, &line, &n), 0);
	free(in.data);
	close(ends[0]);
	RtLines broken = {.descriptor = -1};
	CU_ASSERT_EQUAL(rt_lines_next(&broken, &line, &n), 0);
	CU_ASSERT(broken.failed);
	free(broken.data);
	/* a line beyond the limit is skipped, the next one is read */
	FILE *file = tmpfile();
	static char block[1 << 20];
	memset(block, 'x', sizeof block);
	for (int i = 0; i < RT_LINE_BYTES_MAX / (int)sizeof block + 2; i++)
		fwrite(block, 1, sizeof block, file);
	fputs("\nnext\n", file);
	rewind(file);
	RtLines large = {.descriptor = fileno(file)};
	CU_ASSERT_EQUAL(rt_lines_next(&large, &line, &n), -1);
	CU_ASSERT(rt_lines_next(&large, &line, &n) == 1 && n == 4);
	CU_ASSERT_EQUAL(rt_lines_next(&large, &line, &n), 0);
	free(large.data);
	fclose(file);
}

static void test_threads(void)
{
	CU_ASSERT_EQUAL(rt_threads_parse("1"), 1);
	CU_ASSERT_EQUAL(rt_threads_parse("256"), 256);
	CU_ASSERT(rt_threads_parse("0") >= 1 && rt_threads_parse("0") <= team_cpus());
	static const char *const bad[] = {"", "-1", "257", "two", "2x", " 2", "1e3", "99999999999999999999"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_EQUAL(rt_threads_parse(bad[i]), -1);
	char directory[] = "/tmp/bertc-test-XXXXXX", path[64];
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	static const struct { const char *file, *text; int32_t threads; } quotas[] = {
		{"cpu.max", "max 100000\n", 0}, {"cpu.max", "150000 100000\n", 2}, {"cpu.max", "100000 100000\n", 1},
		{"cpu.max", "20000 100000\n", 1}, {"cpu.max", "nonsense\n", 0},
	};
	snprintf(path, sizeof path, "%s/cpu.max", directory);
	CU_ASSERT_EQUAL(threads_quota(directory), 0);
	for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++) {
		FILE *file = fopen(path, "w");
		fputs(quotas[i].text, file);
		fclose(file);
		CU_ASSERT_EQUAL(threads_quota(directory), quotas[i].threads);
		CU_ASSERT_EQUAL(threads_least(4, directory), quotas[i].threads ? quotas[i].threads : 4);
	}
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("program parts", NULL, NULL);
	CU_add_test(suite, "spans", test_spans);
	CU_add_test(suite, "answers", test_answers);
	CU_add_test(suite, "json", test_json);
	CU_add_test(suite, "lines", test_lines);
	CU_add_test(suite, "threads", test_threads);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	const unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
