/* test_spans.c: the parts of the emitted program that work on plain data: spans, answers, JSON, lines, thread
 * counts. */
#include "tests/unit/tiny_model.h"
#include "runtime/json_out.c"
#include "runtime/lines.c"
#include "runtime/answers/scores.c"
#include "runtime/answers/spans.c"
#include "runtime/answers/answers.c"
#include "runtime/answers/entailment.c"
#include "runtime/answers/library.c"
#include "runtime/threads.c"
#include "runtime/labels.c"
#include "runtime/aggregate.c"
#include "runtime/tags.c"
#include "runtime/qa.c"
#include "runtime/embeddings.c"
#include "runtime/sparse.c"
#include "runtime/tasks.c"
#include "runtime/rerank.c"
#include "runtime/prompts.c"
#include "runtime/start.c"
#include "runtime/options.c"
#include "runtime/read.c"
#include "runtime/zero_shot.c"
#include "runtime/vectors.c"
#include "runtime/program.c"
#include "runtime/report.c"
#include "tests/unit/suite.h"
#include <ftw.h>
#include <jansson.h>
#include <sched.h>
#include <sys/stat.h>

static const char *const bio[] = {"O", "B-X", "I-X", "B-Y", "I-Y", "NAME"};
enum { O, BX, IX, BY, IY, NAME };

/* Words three bytes apart with the given labels; compares with "type:first-last" words of the spans. */
static void check_scheme(const char *const *names, int scheme, const int *labels, int n, const char *want)
{
	RtWord words[16];
	RtSpan spans[16];
	char got[256] = "";
	for (int i = 0; i < n; i++)
		words[i] = (RtWord){3 * i, 3 * i + 2, labels[i], 0.5f + 0.1f * (float)i};
	const int32_t count = rt_spans(words, n, names, scheme, spans);
	for (int32_t i = 0; i < count; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s:%d-%d ", spans[i].type,
			(int)spans[i].start / 3, (int)(spans[i].end - 2) / 3);
	CU_ASSERT_STRING_EQUAL(got, want);
	for (int32_t i = 0; i < count; i++) {
		const double first = spans[i].start / 3, last = (spans[i].end - 2) / 3;
		CU_ASSERT_DOUBLE_EQUAL(
			spans[i].score, 0.5 + 0.05 * (first + last), 1e-6); /* the mean over the words of the span */
	}
}

static void check_spans(const int *labels, int n, const char *want)
{
	check_scheme(bio, RT_SCHEME_IOB2, labels, n, want);
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
	check_spans((int[]){NAME, NAME, O, NAME}, 4, "NAME:0-1 NAME:3-3 ");
	check_spans((int[]){NAME, IX, BY, IX}, 4, "NAME:0-0 X:1-1 Y:2-2 X:3-3 ");
	check_scheme(bio, RT_SCHEME_IO, (int[]){BX, BX, IX, BY, O, BX}, 6, "X:0-2 Y:3-3 X:5-5 ");
}

static void test_schemes(void)
{
	static const char *const bioes[] = {"O", "B-X", "I-X", "E-X", "S-X", "S-Y"},
							 *const bilou[] = {"B-X", "I-X", "L-X", "U-X", "O"},
							 *const ioe[] = {"I-X", "E-X", "I-Y", "O"}, *const io[] = {"O", "I-X", "I-Y"},
							 *const words[] = {"O", "E-MAIL", "S-BAHN"}, *const plain[] = {"O", "Disease"};
	CU_ASSERT_EQUAL(rt_scheme_of(bio, 5), RT_SCHEME_IOB2);
	CU_ASSERT_EQUAL(rt_scheme_of(bio, 6), RT_SCHEME_IOB2);
	CU_ASSERT_EQUAL(rt_scheme_of(io, 3), RT_SCHEME_IOB2); /* which reads them as IO does */
	CU_ASSERT_EQUAL(rt_scheme_of(bioes, 6), RT_SCHEME_BIOES);
	CU_ASSERT_EQUAL(rt_scheme_of(bilou, 5), RT_SCHEME_BILOU);
	CU_ASSERT_EQUAL(rt_scheme_of(ioe, 4), RT_SCHEME_IOE2);
	CU_ASSERT_EQUAL(rt_scheme_of(words, 3), RT_SCHEME_IOB2);
	CU_ASSERT_EQUAL(rt_scheme_of(plain, 2), RT_SCHEME_IOB2);
	check_scheme(io, RT_SCHEME_IOB2, (int[]){1, 1, 2, 0, 2}, 5, "X:0-1 Y:2-2 Y:4-4 ");
	check_scheme(words, RT_SCHEME_IOB2, (int[]){1, 1, 2}, 3, "E-MAIL:0-1 S-BAHN:2-2 ");
	check_scheme(bioes, RT_SCHEME_BIOES, (int[]){1, 2, 3, 4, 4, 5, 1, 3, 2, 2}, 10,
		"X:0-2 X:3-3 X:4-4 Y:5-5 X:6-7 X:8-9 ");
	check_scheme(bilou, RT_SCHEME_BILOU, (int[]){0, 2, 3, 0, 1, 4, 2}, 7, "X:0-1 X:2-2 X:3-4 X:6-6 ");
	check_scheme(ioe, RT_SCHEME_IOE2, (int[]){0, 0, 1, 0, 1, 2, 3, 1}, 8, "X:0-2 X:3-4 Y:5-5 X:7-7 ");
}

static void test_answers(void)
{
	double scratch[64], none = 0;
	RtAnswer a, best[4];
	/* [CLS] question [SEP] a b c d [SEP]: tokens 3..6 are the context */
	float logits[8][2] = {{0, 0}, {9, 9}, {9, 9}, {1, 0}, {3, 0}, {0, 2}, {0, 3}, {9, 9}};
	CU_ASSERT_EQUAL(rt_answers(&logits[0][0], 8, 3, 7, scratch, best, 4, &none), 4);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(best[i].score >= best[i + 1].score);
	CU_ASSERT(best[1].first == 4 && best[1].last == 5);
	a = best[0];
	CU_ASSERT(a.first == 4 && a.last == 6); /* question and separators are excluded, even with high logits */
	const double start = exp(3) / (1 + exp(1) + exp(3) + 2), end = exp(3) / (1 + 2 + exp(2) + exp(3));
	CU_ASSERT_DOUBLE_EQUAL(a.score, start * end, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(none, 1 / (1 + exp(1) + exp(3) + 2) / (1 + 2 + exp(2) + exp(3)), 1e-12);
	logits[6][0] = 9; /* the best start is after the best end, but a span may not end before it starts */
	logits[6][1] = -9;
	logits[3][1] = 9;
	rt_answers(&logits[0][0], 8, 3, 7, scratch, &a, 1, &none);
	CU_ASSERT(a.first <= a.last);
	CU_ASSERT_EQUAL(rt_answers(&logits[0][0], 8, 5, 5, scratch, &a, 1, &none), 0);
	CU_ASSERT_EQUAL(rt_answers(NULL, 0, 0, 0, scratch, &a, 1, &none), 0);
	float far[30][2] = {{0}}; /* the distance from start to end is longer than an answer may be */
	far[2][0] = 5;
	far[2 + RT_ANSWER_TOKENS][1] = 5;
	rt_answers(&far[0][0], 30, 1, 29, scratch, &a, 1, &none);
	CU_ASSERT(a.last - a.first < RT_ANSWER_TOKENS);
	far[1 + RT_ANSWER_TOKENS][1] = 5;
	rt_answers(&far[0][0], 30, 1, 29, scratch, &a, 1, &none);
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
	static const char *const texts[] = {"plain", "q\"b\\s/\n\t\x01\x7f",
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "bad \xff\xc3 \xed\xa0\x80 \xc0\x80 \xf5 end\xe2\x82", ""};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *text = NULL;
		size_t bytes;
		FILE *out = open_memstream(&text, &bytes);
		rt_json_string(out, texts[i], strlen(texts[i]));
		fclose(out);
		json_t *value = json_loads(text, JSON_DECODE_ANY, NULL); /* any input gives valid UTF-8 and JSON */
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
	static const char object[] = "{\"a\": {\"b\": \"inner\"}, \"s\": \"x,y\\\"z}\", \"b\": \"outer\", \"n\": "
								 "-12, "
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
	CU_ASSERT(rt_lines_next(&in, &line, &n) == 1 && n == 5
		&& memcmp(line, "first", 5) == 0); /* while the pipe holds no further line */
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
}

/* A file of a made-up machine under root, its folders made as needed. */
static void put(const char *root, const char *file, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s%s", root, file);
	for (char *slash = path + strlen(root); (slash = strchr(slash + 1, '/')); *slash = '/') {
		*slash = '\0';
		mkdir(path, 0777);
	}
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
}

static int take_away(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st, (void)kind, (void)walk;
	return remove(path);
}

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT(top) \
	"29 23 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n" \
	"31 29 0:27 " top " /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" \
	"32 29 0:28 " top " /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n"

/* How many CPUs a made-up machine grants, of `most`: quotas of both cgroup versions, in the group and above
 * it. */
static void test_cgroups(void)
{
	enum { MOST = 64 };
	static const struct Machine {
		const char *mountinfo, *cgroup, *files[8];
		int32_t threads;
	} machines[] = {
		{"", "", {NULL}, MOST},
		{V2_MOUNT, "0::/user.slice\n", {"/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n"}, MOST},
		{V2_MOUNT, "0::/user.slice\n", {"/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"}, 2},
		{V2_MOUNT, "0::/user.slice\n", {"/sys/fs/cgroup/user.slice/cpu.max", "20000 100000\n"}, 1},
		{V2_MOUNT, "0::/a/b/c\n",
			{"/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n", "/sys/fs/cgroup/a/cpu.max",
				"300000 100000\n"},
			3},
		{V2_MOUNT, "0::/a/b\n",
			{"/sys/fs/cgroup/a/b/cpu.max", "200000 100000\n", "/sys/fs/cgroup/a/cpu.max", "300000 100000\n"},
			2},
		{V2_MOUNT, "0::/a\n", {"/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n"},
			MOST},                                                              /* below us: not ours */
		{V2_MOUNT, "0::/\n", {"/sys/fs/cgroup/cpu.max", "400000 100000\n"}, 4}, /* a container's own */
		{V2_MOUNT, "0::/a\n", {"/sys/fs/cgroup/cpu.max", "500000 100000\n"}, 5},
		{V2_MOUNT, "0::/a\n", {"/sys/fs/cgroup/a/cpu.max", "nonsense\n"}, MOST},
		{V2_MOUNT, "0::/a\n", {"/sys/fs/cgroup/a/cpu.max", "100000 0\n"}, MOST},
		{V2_MOUNT, "0::/a\n", {"/sys/fs/cgroup/a/cpu.max", "-5 100000\n"}, MOST},
		{V2_MOUNT, "0::/a\n", {"/sys/fs/cgroup/a/cpu.max", "9000000000000000000 3\n"}, MOST},
		{V2_MOUNT, "no colon\n0:\n", {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}, MOST},
		{"a line\n1 2 3 - cgroup2\n", "0::/a\n", {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}, MOST},
		{V1_MOUNT("/"), "5:cpuset:/x\n4:cpu,cpuacct:/a/b\n",
			{"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "250000\n",
				"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"},
			3},
		{V1_MOUNT("/"), "4:cpuacct,cpu:/a/b\n",
			{"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "100000\n",
				"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n"},
			2},
		{V1_MOUNT("/"), "4:cpu,cpuacct:/a\n",
			{"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n",
				"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"},
			MOST},
		{V1_MOUNT("/"), "4:cpu,cpuacct:/a\n", {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "100000\n"},
			MOST},
		{V1_MOUNT("/"), "5:cpuset:/a\n", {"/sys/fs/cgroup/cpuset/a/cpu.max", "100000 100000\n"}, MOST},
		/* a container sees its group mounted, under a name of the host */
		{V1_MOUNT("/docker/f00"), "4:cpu,cpuacct:/docker/f00\n",
			{"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n",
				"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
			2},
		{V1_MOUNT("/docker/f00"), "4:cpu,cpuacct:/docker/f00/in\n",
			{"/sys/fs/cgroup/cpu,cpuacct/in/cpu.cfs_quota_us", "300000\n",
				"/sys/fs/cgroup/cpu,cpuacct/in/cpu.cfs_period_us", "100000\n"},
			3},
		{V1_MOUNT("/docker/f0"), "4:cpu,cpuacct:/docker/f00\n",
			{"/sys/fs/cgroup/cpu,cpuacct/0/cpu.cfs_quota_us", "300000\n",
				"/sys/fs/cgroup/cpu,cpuacct/0/cpu.cfs_period_us", "100000\n"},
			MOST},
		{"30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n", "0::/a\n",
			{"/my groups/a/cpu.max", "700000 100000\n"}, 7},
		/* both versions, v2 without CPU time */
		{V1_MOUNT("/") "41 29 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"4:cpu,cpuacct:/\n0::/\n",
			{"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "600000\n",
				"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
			6},
	};
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
		const struct Machine *m = &machines[i];
		char root[] = "/tmp/bertc-test-XXXXXX";
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
		put(root, "/proc/self/mountinfo", m->mountinfo);
		put(root, "/proc/self/cgroup", m->cgroup);
		for (int f = 0; f < 8 && m->files[f]; f += 2)
			put(root, m->files[f], m->files[f + 1]);
		const int32_t threads = threads_cgroups(MOST, root);
		CU_ASSERT_EQUAL(threads, m->threads);
		if (threads != m->threads)
			fprintf(stderr, "machine %zu: %d threads, expected %d\n", i, (int)threads, (int)m->threads);
		nftw(root, take_away, 8, FTW_DEPTH | FTW_PHYS);
	}
	CU_ASSERT_EQUAL(threads_cgroups(MOST, "/nowhere/at/all"), MOST);
}

/* Affinity: the CPUs that the mask allows. */
static void test_affinity(void)
{
	cpu_set_t before, one;
	CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof before, &before), 0);
	CU_ASSERT_EQUAL(team_cpus(), CPU_COUNT(&before));
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
		if (CPU_ISSET(cpu, &before))
			CPU_SET(cpu, &one);
	CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
	CU_ASSERT_EQUAL(team_cpus(), 1);
	CU_ASSERT_EQUAL(rt_threads_parse("0"), 1);
	sched_setaffinity(0, sizeof before, &before);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"spans", test_spans},
		{"schemes", test_schemes},
		{"answers", test_answers},
		{"json", test_json},
		{"lines", test_lines},
		{"threads", test_threads},
		{"cgroups", test_cgroups},
		{"affinity", test_affinity},
	};
	return SUITE_RUN("program parts", tests);
}
