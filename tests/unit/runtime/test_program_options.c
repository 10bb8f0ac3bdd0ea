/* test_program_options.c: limits, options, environment and reports of the emitted program, and what it
 * refuses. */
#include "tests/unit/program_run.h"
#include "tests/unit/suite.h"

/* ---- limits, ids, tokens --------------------------------------------------------------------- */

static void test_overflow(void)
{
	REFUSE(0, "<stdin>:1: note: 22 tokens, cut to 16", &tiny_model, words_20);
	CU_ASSERT_EQUAL(run(&tiny_model, words_20, "--json", NULL), 0);
	CU_ASSERT_EQUAL(number_at("tokens"), 22);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\"truncated\": true"));
	REFUSE(1, "<stdin>:1: error: 22 tokens, at most 16", &tiny_model, words_20, "--on-overflow", "error");
	REFUSE(1, "22 tokens, at most 16", &tiny_model, words_20, "--set", "overflow=0");
	EXPECT(0, "[41, 12]\n", &tiny_model, words_20, "--on-overflow=window",
		"--logits"); /* the mean of [57, 16] and [25, 8] */
	EXPECT(0, "[41, 12]\n", &tiny_model, words_20, "--set=overflow=2", "--logits");
	CU_ASSERT_EQUAL(run(&tiny_model, words_20, "--on-overflow=window", "--json", NULL), 0);
	CU_ASSERT_EQUAL(number_at("windows"), 2);
	REFUSE(1, "<stdin>:2: error: invalid UTF-8 (1 sequences)", &tiny_model, "one\none \xff\n", "--strict");
	REFUSE(1, "invalid UTF-8", &tiny_model, "\xff\n", "--set=strict=1");
	CU_ASSERT_EQUAL(run(&tiny_model, "one \xff\n", NULL), 0);
	REFUSE(1, "<stdin>:1: error: more than one tab", &tiny_model, "a\tb\tc\n");
	RtModel other = tiny_model;
	other.takes_pairs = 0;
	REFUSE(1, "argument:2: error: the line has a tab, but this model takes one text", &other, "", "one",
		"one\ttwo");
	CU_ASSERT_STRING_EQUAL(out, "low\t0.880797\n");
	other.max_tokens = 1; /* no room for [CLS] and [SEP] */
	REFUSE(1, "longer than the model's limit", &other, "one\n");
}

static void test_ids(void)
{
	EXPECT(0, "[10, 4]\n", &tiny_model, "0 4 5 1\n", "--ids", "--logits");
	EXPECT(0, "[212, 5]\n", &tiny_model, " 0  4 1\t6 1 \n", "--ids",
		"--logits"); /* the second segment's types are 1 */
	EXPECT(0, "[0, 0]\n", &tiny_model, "\n", "--ids", "--logits");
	RtModel other = tiny_model;
	other.type_vocab = 1;
	EXPECT(0, "[12, 5]\n", &other, "0 4 1\t6 1\n", "--ids", "--logits");
	REFUSE(
		1, "<stdin>:1: error: token id 12: the vocabulary has ids 0 to 11", &tiny_model, "1 12\n", "--ids");
	REFUSE(1, "token id 2147483648", &tiny_model, "2147483648\n", "--ids");
	REFUSE(1, "expected token ids", &tiny_model, "99999999999999999999\n", "--ids");
	REFUSE(1, "\"-1\": expected token ids: numbers separated by spaces", &tiny_model, "1 -1 2\n", "--ids");
	REFUSE(1, "\"4x\": expected token ids", &tiny_model, "4x\n", "--ids");
	REFUSE(1, "more than two segments", &tiny_model, "1\t2\t3\n", "--ids");
	const char *seventeen = "4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 5\n";
	EXPECT(0, "[64, 16]\n", &tiny_model, seventeen, "--ids", "--logits");
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "note: 17 tokens, cut to 16"));
	REFUSE(1, "error: 17 tokens, at most 16\n", &tiny_model, seventeen, "--ids", "--on-overflow=error");
	REFUSE(1, "windows need text", &tiny_model, seventeen, "--ids", "--on-overflow=window");
}

static void test_tokenize(void)
{
	EXPECT(0, "0 4 5 1\n0 4 1\t6 1\n", &tiny_model, "one two\none\tred\n", "--tokenize");
	CU_ASSERT_EQUAL(run(&tiny_model, "one red\n", "--tokenize", "--json", NULL), 0);
	CU_ASSERT_STRING_EQUAL(out,
		"{\"ids\": [0, 4, 6, 1], \"types\": [0, 0, 0, 0], \"starts\": [-1, 0, 4, -1], \"ends\": [-1, 3, 7, "
		"-1], "
		"\"tokens\": [\"[CLS]\", \"one\", \"red\", \"[SEP]\"]}\n");
	CU_ASSERT_EQUAL(run(&tiny_model, words_20, "--tokenize", "--json", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "], \"truncated\": true}"));
	RtVariant future = tiny_variants[0];
	RtModel other = tiny_model;
	other.variants = &future;
	future.isa = 1u << 30; /* the tokenizer runs on any CPU */
	EXPECT(0, "0 4 1\n", &other, "one\n", "--tokenize");
	REFUSE(2, "exclude each other", &tiny_model, "", "--tokenize", "--ids");
}

/* ---- options and what it says about itself --------------------------------------------------- */

/* Replaces line ends and the spaces behind them by one space. */
static void squeeze(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		const bool space = *from == '\n' || *from == ' ';
		if (!space)
			*to++ = *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	*to = 0;
}

static void test_usage(void)
{
	static const struct {
		const char *option, *message;
	} refused[] = {
		{"--threshold=1.5", "--threshold=1.5: expected 0 to 1"},
		{"--threshold=", "--threshold=: expected"},
		{"--on-overflow=split", "--on-overflow=split: expected error, truncate or window"},
		{"--threads=257", "--threads=257: expected 0 to 256"},
		{"--batch=0", "--batch=0: expected 1 to 65536"},
		{"--batch=x", "--batch=x: expected"},
		{"--repeat=0", "--repeat=0: expected 1 to 1000000"},
		{"--nothing", "unrecognized option"},
		{"--raw", "--raw is only for embeddings"},
		{"--tokens", "--tokens is only for taggers"},
	};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		REFUSE(2, refused[i].message, &tiny_model, "", refused[i].option);
	REFUSE(2, "--logits, --hidden, --tokenize, --about, --bench and --profile exclude each other",
		&tiny_model, "", "--logits", "--bench");
	static const char *const sets[] = {"overflow", "overflow=", "overflow=3", "overflow=1x", "heat=1",
		"a-name-of-more-than-32-characters-in-all=1"};
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		REFUSE(2, "no such option, or its value is out of range", &tiny_model, "", "--set", sets[i]);
	RtModel other = tiny_model;
	other.tokenizer = NULL;
	REFUSE(2, "this program has no tokenizer; use --ids", &other, "", "one");
	EXPECT(0, "[5, 3]\n", &other, "0 4 1\n", "--ids", "--logits");
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--help", NULL), 0);
	squeeze(out);
	for (int i = 0; i < PROGRAM_OPTIONS; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(out, program_options[i].help));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "a text of more than 16 tokens"));
	EXPECT(0, "tiny, made by bertc 0.1\n", &tiny_model, "", "--version");
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--about", NULL), 0);
	CU_ASSERT_EQUAL(number_at("sizes.hidden"), 3);
}

static void test_environment(void)
{
	setenv("BERTC_NUM_THREADS", "2", 1);
	EXPECT(0, "low\t0.880797\n", &tiny_model, "one\n");
	setenv("BERTC_NUM_THREADS", "none", 1);
	REFUSE(2, "BERTC_NUM_THREADS=none: expected 0 to 256", &tiny_model, "one\n");
	unsetenv("BERTC_NUM_THREADS");
	setenv("BERTC_CPU", "pentium", 1);
	REFUSE(2, "BERTC_CPU=pentium: expected native", &tiny_model, "one\n");
	setenv("BERTC_CPU", "baseline", 1);
	EXPECT(0, "low\t0.880797\n", &tiny_model, "one\n");
	RtVariant codes[2] = {tiny_variants[0], tiny_variants[0]};
	RtModel other = tiny_model;
	other.variants = codes;
	codes[0].isa = CPU_AVX2;
	if (rt_cpu_isa() & CPU_AVX2) {
		REFUSE(4,
			"BERTC_CPU lacks AVX2, FMA and F16C, which this program was compiled for (any); build it with "
			"--cpu=baseline\n",
			&other, "one\n");
		setenv("BERTC_CPU", "x86-64-v3", 1);
		EXPECT(0, "low\t0.880797\n", &other, "one\n");
	}
	unsetenv("BERTC_CPU");
	codes[0].isa = 1u << 30;
	REFUSE(4, "this CPU lacks", &other, "one\n");
	codes[0].isa = 0;
	codes[0].per_token = INT64_MAX / 10;
	REFUSE(1, "out of memory", &other, "one\n");
}

/* A program for several CPUs: BERTC_CPU names one of them, or a level. */
static void test_variants(void)
{
	RtVariant codes[3] = {tiny_variants[0], tiny_variants[0], tiny_variants[0]};
	RtModel m = tiny_model;
	static const char *const names[] = {"old", "new", "future"};
	for (int i = 0; i < 3; i++)
		codes[i].cpu = names[i];
	m.variants = codes;
	m.nvariants = 3;
	codes[2].isa = 1u << 30;
	CU_ASSERT_EQUAL(run(&m, "", "--bench", "--seq=2", "--repeat=1", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tiny for new, 1 thread"));
	CU_ASSERT_EQUAL(run(&m, "", "--profile", "--seq=2", "--repeat=1", "--json", NULL), 0);
	CU_ASSERT_EQUAL(strncmp(out, "{\"cpu\": \"new\", \"tokens\": 2", 26), 0);
	setenv("BERTC_CPU", "old", 1);
	CU_ASSERT_EQUAL(run(&m, "", "--bench", "--seq=2", "--repeat=1", "--json", NULL), 0);
	CU_ASSERT_EQUAL(strncmp(out, "{\"cpu\": \"old\", \"tokens\": 2", 26), 0);
	setenv("BERTC_CPU", "native", 1);
	CU_ASSERT_EQUAL(run(&m, "", "--profile", "--seq=2", "--repeat=1", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tiny for new, 1 text of 2 tokens"));
	setenv("BERTC_CPU", "future", 1); /* a CPU chosen by name is used or refused */
	REFUSE(4,
		"this CPU lacks instructions unknown to this program, which this program was compiled for (old, new, "
		"future); "
		"build it with --cpu=baseline among others\n",
		&m, "one\n");
	EXPECT(0, "0 4 1\n", &m, "one\n", "--tokenize");
	setenv("BERTC_CPU", "older", 1);
	REFUSE(2, "or a CPU of this program: old, new, future", &m, "one\n");
	unsetenv("BERTC_CPU");
}

static int run_on(const RtModel *model, FILE *input, ...)
{
	va_list list;
	va_start(list, input);
	const int status = run_file(model, input, list);
	va_end(list);
	return status;
}

static void test_files(void)
{
	CU_ASSERT_EQUAL(run_on(&tiny_model, NULL, NULL), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "cannot read standard input"));
	FILE *large = tmpfile(); /* a line longer than the limit, then a short line */
	CU_ASSERT_EQUAL(ftruncate(fileno(large), RT_LINE_BYTES_MAX + (1 << 20)), 0);
	fseek(large, 0, SEEK_END);
	fputs("\none\n", large);
	rewind(large);
	CU_ASSERT_EQUAL(run_on(&tiny_model, large, NULL), 1);
	CU_ASSERT_STRING_EQUAL(out, "low\t0.880797\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "<stdin>:1: error: a line of more than 67108864 bytes"));
	fclose(large);
	if (access("/dev/full", W_OK) == 0) {
		out_path = "/dev/full";
		REFUSE(1, "cannot write: No space left on device", &tiny_model, "one\n");
		CU_ASSERT_EQUAL(run(&tiny_model, "", "--version", NULL), 1);
		out_path = NULL;
	}
}

static void test_reports(void)
{
	CU_ASSERT_EQUAL(
		run(&tiny_model, "", "--bench", "--json", "--seq=4,16", "--repeat=3", "--batch=2", NULL), 0);
	char *second = strchr(out, '\n');
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	json_t *row = json_loads(second + 1, 0, NULL);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "tokens")), 16);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "texts")), 2);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "runs")), 3);
	CU_ASSERT(json_number_value(json_object_get(row, "min_ms"))
		<= json_number_value(json_object_get(row, "median_ms")));
	CU_ASSERT(json_number_value(json_object_get(row, "median_ms"))
		<= json_number_value(json_object_get(row, "p99_ms")));
	json_decref(row);
	/* default lengths up to the limit of the model: 8 and 16 */
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--bench", "--repeat=2", "--threads=2", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tiny for any, 2 threads, median of 2 runs, without the tokenizer\n"));
	int lines = 0;
	for (const char *at = out; *at; at++)
		lines += *at == '\n';
	CU_ASSERT_EQUAL(lines, 4);
	/* every step takes 1 microsecond, with 6 operations per token and 2 per text */
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--profile", "--repeat=2", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, "tiny for any, 1 text of 16 tokens, 1 thread, mean of 2 runs: 0.002 ms"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, "       1.0   50.0       0.1  rows__scalar                 embeddings\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, "by kernel\n       1.0   50.0       0.1  rows__scalar                 x1\n"));
	RtVariant twice = tiny_variants[0];
	RtModel other = tiny_model;
	const RtStep steps[] = {{"a", "same__scalar", 1, 1, 1, 0}, {NULL, "same__scalar", 1, 1, 1, 0}};
	twice.steps = steps;
	other.variants = &twice;
	CU_ASSERT_EQUAL(run(&other, "", "--profile", "--seq=4", "--repeat=1", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "       2.0  100.0       0.0  same__scalar                 x2\n"));
	CU_ASSERT_EQUAL(run(&other, "", "--profile", "--seq=4", "--repeat=1", "--json", NULL), 0);
	second = strchr(out, '\n');
	CU_ASSERT_EQUAL(strcmp(second + 1,
						"{\"cpu\": \"any\", \"tokens\": 4, \"texts\": 1, \"step\": 1, \"origin\": \"\", "
						"\"kernel\": \"same__scalar\", \"us\": 1.00}\n"),
		0);
	static const char *const lengths[] = {"0", "17", "4,", "4,x", "x", "", "4;5"};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		REFUSE(2, "expected lengths from 1 to 16", &tiny_model, "", "--bench", "--seq", lengths[i]);
		REFUSE(2, "expected lengths from 1 to 16", &tiny_model, "", "--profile", "--seq", lengths[i]);
	}
	other.max_tokens = 4; /* shorter than all default lengths */
	CU_ASSERT_EQUAL(run(&other, "", "--bench", "--json", "--repeat=1", NULL), 0);
	CU_ASSERT_EQUAL(number_at("tokens"), 4);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"overflow", test_overflow},
		{"ids", test_ids},
		{"tokenize", test_tokenize},
		{"usage", test_usage},
		{"environment", test_environment},
		{"variants", test_variants},
		{"files", test_files},
		{"reports", test_reports},
	};
	return SUITE_RUN("program options", tests);
}
