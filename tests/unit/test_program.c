/* test_program.c: the emitted program (program.c, tasks.c, report.c) as a user meets it: rt_main over hand-made models, in child
 * processes with their own standard input, output and error. Every task,
	option and error; the parts by themselves are in test_spans.c. */
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
#include <stdarg.h>
#include <sys/wait.h>

/* ---- running the program --------------------------------------------------------------------------------------------------- */

enum { OUT_BYTES = 1 << 16, ARGUMENTS = 32 };
static char out[OUT_BYTES], err[OUT_BYTES];   /* what the last run printed */
static size_t out_bytes;
static const char *out_path;                  /* where standard output goes instead; NULL: kept in `out` */

static size_t slurp(FILE *file, char *text)
{
	rewind(file);
	const size_t bytes = fread(text, 1, OUT_BYTES - 1, file);
	text[bytes] = '\0';
	return bytes;
}

/* Runs the program on a file (NULL: standard input is closed) with the arguments,
	up to a NULL. Returns its exit status; -1: a signal. */
static int run_file(const RtModel *model, FILE *input, va_list list)
{
	char *arguments[ARGUMENTS] = {(char *)(uintptr_t)model->name};
	int n = 1, status = -1;
	for (const char *word; (word = va_arg(list, const char *)) != NULL && n < ARGUMENTS - 1;)
		arguments[n++] = (char *)(uintptr_t)word;
	FILE *to = out_path ? fopen(out_path, "w") : tmpfile(), *messages = tmpfile();
	fflush(NULL);
	const pid_t child = fork();
	if (child == 0) {
		alarm(60);
		if (input)
			dup2(fileno(input), 0);
		else
			close(0);
		dup2(fileno(to), 1);
		dup2(fileno(messages), 2);
		exit(rt_main(model, n, arguments));
	}
	waitpid(child, &status, 0);
	out_bytes = out_path ? 0 : slurp(to, out);
	slurp(messages, err);
	fclose(to);
	fclose(messages);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run(const RtModel *model, const char *input, ...)
{
	va_list list;
	FILE *file = tmpfile();
	fputs(input, file);
	rewind(file);
	va_start(list, input);
	const int status = run_file(model, file, list);
	va_end(list);
	fclose(file);
	return status;
}

#define EXPECT(status, text, ...) /* the run exits so and prints exactly this */ \
	do { \
		CU_ASSERT_EQUAL(run(__VA_ARGS__, NULL), status); \
		CU_ASSERT_STRING_EQUAL(out, text); \
		if (strcmp(out, text) != 0) \
			fprintf(stderr, "line %d: got \"%s\", messages \"%s\"\n", __LINE__, out, err); \
	} while (0)
#define REFUSE(status, message, ...) /* the run exits so and says this on standard error */ \
	do { \
		CU_ASSERT_EQUAL(run(__VA_ARGS__, NULL), status); \
		CU_ASSERT_PTR_NOT_NULL(strstr(err, message)); \
		if (!strstr(err, message)) \
			fprintf(stderr, "line %d: got \"%s\", messages \"%s\"\n", __LINE__, out, err); \
	} while (0)

/* A number of the JSON object on the last run's output: path a.b.c, array elements by number. NAN: none. */
static double number_at(const char *path)
{
	json_t *root = json_loads(out, JSON_DECODE_ANY, NULL), *value = root;
	char words[128];
	snprintf(words, sizeof words, "%s", path);
	for (char *word = strtok(words, "."); word && value; word = strtok(NULL, "."))
		value = json_is_array(value) ? json_array_get(value, strtoul(word, NULL, 10)) : json_object_get(value, word);
	const double number = json_is_number(value) ? json_number_value(value) : NAN;
	json_decref(root);
	return number;
}

static int text_is(const char *path, const char *want)
{
	json_t *root = json_loads(out, JSON_DECODE_ANY, NULL), *value = root;
	char words[128];
	snprintf(words, sizeof words, "%s", path);
	for (char *word = strtok(words, "."); word && value; word = strtok(NULL, "."))
		value = json_is_array(value) ? json_array_get(value, strtoul(word, NULL, 10)) : json_object_get(value, word);
	const int same = json_is_string(value) && strcmp(json_string_value(value), want) == 0;
	json_decref(root);
	return same;
}

/* ---- models ---------------------------------------------------------------------------------------------------------------- */

enum { WIDTH_MAX = TINY_VOCAB };
static float table[TINY_VOCAB][WIDTH_MAX];    /* the row of a token, by its id; the row of a text is the sum of its tokens' */
static int unit_rows;                         /* rows of texts have length 1 */
static const RtOutput *table_outputs;

static void table_run(const RtCall *call, int32_t thread)
{
	for (int k = 0; thread == 0 && k < 2; k++) {
		const int32_t width = table_outputs[k].width;
		float *at = call->out[k];
		if (!at)
			continue;
		for (int32_t t = 0; t < call->ntexts; t++) {
			float sum[WIDTH_MAX] = {0}, length = 0;
			for (int32_t i = call->offsets[t]; i < call->offsets[t + 1]; i++)
				for (int32_t j = 0; j < width; j++) {
					sum[j] += table[call->ids[i]][j];
					if (table_outputs[k].per_token)
						at[i * width + j] = table[call->ids[i]][j];
				}
			for (int32_t j = 0; j < width; j++)
				length += sum[j] * sum[j];
			for (int32_t j = 0; j < width && !table_outputs[k].per_token; j++)
				at[t * width + j] = unit_rows ? sum[j] / sqrtf(length) : sum[j];
		}
	}
}

/* The tiny model with other heads and outputs, whose numbers come from the table, zeros at first. */
static RtVariant table_variant;

static RtModel table_model(const RtHead *heads, int32_t nheads, const RtOutput *outputs)
{
	RtModel model = tiny_model;
	model.heads = heads;
	model.nheads = nheads;
	model.outputs = table_outputs = outputs;
	table_variant = tiny_variants[0];
	table_variant.run = table_run;
	model.variants = &table_variant;
	memset(table, 0, sizeof table);
	unit_rows = 0;
	return model;
}

static const char words_20[] = "one one one one one one one one one one one one one one one one one one one one";

/* ---- classify -------------------------------------------------------------------------------------------------------------- */

static void test_classify(void)
{
	/* logits are [sum of ids, tokens]: "one" gives [5, 3], "" gives [1, 2], a pair "one" "red" [4 + 1 + 106 + 101, 5] */
	EXPECT(0, "low\t0.880797\n", &tiny_model, "one\n");
	/* CR, an empty line, no newline at the end */
	EXPECT(0, "low\t0.880797\nhigh\t0.731059\nlow\t1.000000\n", &tiny_model, "one\r\n\none\tred");
	EXPECT(0, "low\t0.880797\nhigh\t0.731059\n", &tiny_model, "not read\n", "one", "");
	EXPECT(0, "[5, 3]\n[212, 5]\n", &tiny_model, "", "--logits", "one", "one\tred");
	EXPECT(0, "", &tiny_model, "");
	CU_ASSERT_EQUAL(run(&tiny_model, "one\n", "--json", NULL), 0);
	CU_ASSERT(text_is("label", "low"));
	CU_ASSERT_DOUBLE_EQUAL(number_at("score"), 1 / (1 + exp(-2)), 1e-7);
	CU_ASSERT_DOUBLE_EQUAL(number_at("scores.low"), 1 / (1 + exp(-2)), 1e-7);
	CU_ASSERT_DOUBLE_EQUAL(number_at("scores.high"), 1 / (1 + exp(2)), 1e-7);
	CU_ASSERT(isnan(number_at("heads.classify.score")));
	EXPECT(0, "[5, 3]\n[10, 4]\n[1, 2]\n[7, 3]\n[8, 3]\n", &tiny_model, "one\none two\n\nred\nblue\n", "--logits", "--batch=2");
	EXPECT(0, "[5, 3]\n[10, 4]\n[1, 2]\n[7, 3]\n[8, 3]\n", &tiny_model, "one\none two\n\nred\nblue\n", "--logits",
		"--batch", "3", "--threads", "3");
}

static void test_labels(void)
{
	static const char *const labels[] = {"a", "b", "c"};
	static const RtOutput outputs[] = {{"logits", 3, 0}, {"hidden", 3, 1}};
	RtHead head = {"classify", RT_TASK_CLASSIFY, RT_MULTI, 0, 3, labels};
	RtModel model = table_model(&head, 1, outputs);
	memcpy(table[4], (float[]){2, -1, 0}, 3 * sizeof(float));
	EXPECT(0, "a\t0.880797\tc\t0.500000\n", &model, "one\n");
	EXPECT(0, "a\t0.880797\tb\t0.268941\tc\t0.500000\n", &model, "one\n", "--threshold=0.2");
	EXPECT(0, "\n", &model, "one\n", "--threshold=1");
	CU_ASSERT_EQUAL(run(&model, "one\n", "--json", NULL), 0);
	CU_ASSERT(text_is("label", "a") && text_is("labels.0", "a") && text_is("labels.1", "c") && !text_is("labels.1", "b"));
	CU_ASSERT_DOUBLE_EQUAL(number_at("scores.b"), 1 / (1 + exp(1)), 1e-7);
	head.problem = RT_REGRESSION;
	EXPECT(0, "a\t2.000000\tb\t-1.000000\tc\t0.000000\n", &model, "one\n");
	EXPECT(0, "{\"scores\": {\"a\": 2, \"b\": -1, \"c\": 0}}\n", &model, "one\n", "--json");
	head.nlabels = 2;
	EXPECT(0, "{\"scores\": {\"a\": 2, \"b\": -1, \"?\": 0}}\n", &model, "one\n", "--json");
	static const RtOutput single[] = {{"logits", 1, 0}, {"hidden", 3, 1}};
	model = table_model(&head, 1, single);
	table[4][0] = 2.5f;
	EXPECT(0, "2.500000\n5.000000\n", &model, "one\none one\n");
	EXPECT(0, "{\"score\": 2.5}\n", &model, "one\n", "--json");
	head.problem = RT_SINGLE;   /* one logit: a probability */
	EXPECT(0, "a\t0.924142\n", &model, "one\n");
}

/* ---- rank, several heads --------------------------------------------------------------------------------------------------- */

static void test_rank(void)
{
	static const char *const labels[] = {"no", "yes"};
	static const RtOutput outputs[] = {{"score", 1, 0}, {"quality", 2, 0}};
	const RtHead heads[] = {{"rank", RT_TASK_RANK, RT_REGRESSION, 0, 0, NULL}, {"quality", RT_TASK_CLASSIFY, RT_SINGLE,
		1, 2, labels},
		{"vector", RT_TASK_EMBED, RT_SINGLE, 1, 0, NULL}, {"chance", RT_TASK_RANK, RT_SINGLE, 1, 2, labels}};
	RtModel model = table_model(heads, 4, outputs);
	table[4][0] = 1.5f;
	table[4][1] = 3;
	EXPECT(0, "1.500000\n3.000000\n", &model, "one\ttwo\none\tone\n");
	EXPECT(0, "0.000000\n", &model, "\n");   /* an empty line is a pair of empty texts */
	REFUSE(1, "<stdin>:2: error: no tab: this model takes two texts with a tab between", &model, "one\ttwo\none\n");
	CU_ASSERT_STRING_EQUAL(out, "1.500000\n");
	CU_ASSERT_EQUAL(run(&model, "one\ttwo\n", "--json", NULL), 0);
	CU_ASSERT_EQUAL(number_at("score"), 1.5);
	CU_ASSERT_EQUAL(number_at("heads.rank"), 1.5);
	CU_ASSERT(text_is("heads.quality.label", "yes"));
	CU_ASSERT_DOUBLE_EQUAL(number_at("heads.quality.scores.no"), 1 / (1 + exp(1.5)), 1e-7);
	CU_ASSERT_EQUAL(number_at("heads.vector.0"), 1.5);
	CU_ASSERT_EQUAL(number_at("heads.vector.1"), 3);
	CU_ASSERT_DOUBLE_EQUAL(number_at("heads.chance"), 1 / (1 + exp(-1.5)), 1e-7);   /* the last label's probability */
	static const RtOutput rows[] = {{"score", 1, 0}, {"tags", 2, 1}};
	model = table_model(heads, 2, rows);   /* a head with a row a token has no place in the object */
	CU_ASSERT_EQUAL(run(&model, "one\ttwo\n", "--json", NULL), 0);
	CU_ASSERT_STRING_EQUAL(out, "{\"score\": 0, \"heads\": {\"rank\": 0}}\n");
}

/* ---- tag ------------------------------------------------------------------------------------------------------------------- */

static const char *const tags[] = {"B-NUM", "O", "I-NUM"};
static const RtOutput tag_outputs[] = {{"logits", 3, 1}, {"pooled", 2, 0}};
static const RtHead tag_heads[] = {{"tag", RT_TASK_TAG, RT_SINGLE, 0, 3, tags}};

/* one: B-NUM, two: I-NUM, an unknown word: B-NUM, the rest: O; each sure by 1 / (1 + 2 exp(-4)) = 0.964663. */
static RtModel tag_model(void)
{
	RtModel model = table_model(tag_heads, 1, tag_outputs);
	for (int id = 0; id < TINY_VOCAB; id++)
		table[id][id == 4 || id == 10 ? 0 : id == 5 ? 2 : 1] = 4;
	return model;
}

static void test_tag(void)
{
	const RtModel model = tag_model();
	EXPECT(0, "4\t11\tNUM\t0.964663\tone two\n16\t19\tNUM\t0.964663\tone\n\n\n", &model, "red one two the one.\nred\n");
	/* both pieces of a word, by the first one's label */
	EXPECT(0, "0\t6\tNUM\t0.964663\tpurple\n\n", &model, "", "purple red");
	EXPECT(0, "0\t7\tNUM\t0.964663\tone two\n\n", &model, "", "one\ntwo");    /* no line feed inside an output line */
	CU_ASSERT_EQUAL(run(&model, "red one two\n", "--json", NULL), 0);
	CU_ASSERT(text_is("spans.0.label", "NUM") && text_is("spans.0.text", "one two"));
	CU_ASSERT_EQUAL(number_at("spans.0.start"), 4);
	CU_ASSERT_EQUAL(number_at("spans.0.end"), 11);
	CU_ASSERT_DOUBLE_EQUAL(number_at("spans.0.score"), 1 / (1 + 2 * exp(-4)), 1e-6);
	EXPECT(0, "{\"spans\": []}\n", &model, "red\n", "--json");
	EXPECT(0, "red\tO\none\tB-NUM\ntwo.\tI-NUM\n\n", &model, " red one  two.\n", "--tokens");
	EXPECT(0, "{\"tokens\": [{\"text\": \"one\", \"label\": \"B-NUM\"}, {\"text\": \"red\", \"label\": \"O\"}]}\n",
		&model, "one red\n", "--tokens", "--json");
	EXPECT(0, "1\t3\tNUM\t0.964663\tone two\n\n", &model, "0 4 5 6 1\n", "--ids");   /* offsets count tokens */
	CU_ASSERT_EQUAL(run(&model, "0 4 1\n", "--ids", "--json", NULL), 0);
	CU_ASSERT(text_is("spans.0.text", "one"));
	EXPECT(0, "[[0, 4, 0], [4, 0, 0], [0, 4, 0]]\n", &model, "one\n", "--logits");
	REFUSE(1, "a tab, but this model takes one text", &model, "one\ttwo\n");
}

/* Beyond the limit of 16 tokens. */
static void test_tag_long(void)
{
	const RtModel model = tag_model();
	/* 13 words, then one of five pieces: two of them are left, the span still ends where the word does */
	EXPECT(0, "26\t39\tNUM\t0.964663\tpurplepurplex\n\n", &model, "", ". . . . . . . . . . . . . purplepurplex");
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "argument:1: note: 19 tokens, cut to 16"));
	EXPECT(0, ".\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\none\tO\n\n", &model,
		". . . . . . . . . . . . . . one\n", "--tokens");
	char text[400] = "", want[2000] = "";
	for (int i = 0; i < 50; i++) {   /* in windows every word has its label once, with offsets in the whole text */
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", i % 7 == 3 ? "one" : "red");
		if (i % 7 == 3)
			snprintf(want + strlen(want), sizeof want - strlen(want), "%d\t%d\tNUM\t0.964663\tone\n", 4 * i, 4 * i + 3);
	}
	strcat(want, "\n");
	EXPECT(0, want, &model, text, "--on-overflow=window");
	CU_ASSERT_STRING_EQUAL(err, "");
	CU_ASSERT_EQUAL(run(&model, text, "--on-overflow=window", "--json", NULL), 0);
	CU_ASSERT(number_at("windows") > 3);
	CU_ASSERT_EQUAL(number_at("spans.6.start"), 4 * 45);
	CU_ASSERT_EQUAL(run(&model, text, "--on-overflow=window", "--logits", NULL), 0);
	for (int i = 0; i < 52; i++) {   /* a row a token, those of [CLS] and [SEP] once */
		char path[16];
		snprintf(path, sizeof path, "%d.0", i);
		CU_ASSERT_EQUAL(number_at(path), i > 0 && i < 51 && (i - 1) % 7 == 3 ? 4 : 0);
	}
	CU_ASSERT(isnan(number_at("52.0")));
}

/* ---- embed ----------------------------------------------------------------------------------------------------------------- */

static const RtOutput embed_outputs[] = {{"embedding", 2, 0}, {"hidden", 2, 1}};
static const RtHead embed_heads[] = {{"embed", RT_TASK_EMBED, RT_SINGLE, 0, 0, NULL}};

static void test_embed(void)
{
	RtModel model = table_model(embed_heads, 1, embed_outputs);
	memcpy(table[4], (float[]){3, 0.5f}, 2 * sizeof(float));
	memcpy(table[5], (float[]){0, 1}, 2 * sizeof(float));
	EXPECT(0, "[3, 0.5]\n[3, 1.5]\n", &model, "one\none two\n");
	EXPECT(0, "{\"embedding\": [3, 0.5]}\n", &model, "one\n", "--json");
	EXPECT(0, "[3, 0.5]\n", &model, "one\n", "--logits");
	CU_ASSERT_EQUAL(run(&model, "one\n", "--raw", NULL), 0);
	CU_ASSERT_EQUAL(out_bytes, 8);
	CU_ASSERT_EQUAL(memcmp(out, "\x00\x00\x40\x40\x00\x00\x00\x3f", 8), 0);
	REFUSE(2, "--raw is for embeddings", &model, "", "--raw", "--json");
	REFUSE(1, "a tab, but this model takes one text", &model, "one\ttwo\n");
	/* 20 words in windows of 14 and 6: 16 and 8 tokens, weighted so */
	EXPECT(0, "[34, 5.66666651]\n", &model, words_20, "--on-overflow=window");
	/* vectors of length 1 stay so */
	unit_rows = 1;
	CU_ASSERT_EQUAL(run(&model, words_20, "--on-overflow=window", NULL), 0);
	CU_ASSERT_DOUBLE_EQUAL(number_at("0"), 6 / sqrt(37), 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(number_at("1"), 1 / sqrt(37), 1e-6);
	unit_rows = 0;
	model.nheads = 0;   /* no head at all: the first output */
	EXPECT(0, "[3, 0.5]\n", &model, "one\n");
}

static void test_hidden(void)
{
	RtModel model = table_model(embed_heads, 1, embed_outputs);
	for (int id = 0; id < TINY_VOCAB; id++)
		table[id][0] = (float)id, table[id][1] = -1;
	EXPECT(0, "[[0, -1], [4, -1], [5, -1], [1, -1]]\n", &model, "one two\n", "--hidden");
	EXPECT(0, "[[0, -1], [4, -1], [1, -1]]\n", &model, "0 4 1\n", "--hidden", "--ids");
	CU_ASSERT_EQUAL(run(&model, "two red one one one one one one one one one one one one one one one one one blue\n",
		"--hidden", "--on-overflow=window", NULL), 0);
	CU_ASSERT_EQUAL(number_at("1.0"), 5);
	CU_ASSERT_EQUAL(number_at("20.0"), 7);
	CU_ASSERT_EQUAL(number_at("21.0"), 1);
	CU_ASSERT(isnan(number_at("22.0")));
	static const RtOutput pooled[] = {{"embedding", 2, 0}, {"other", 2, 1}};
	model.outputs = table_outputs = pooled;
	REFUSE(4, "build it with --outputs=hidden", &model, "one\n", "--hidden");
}

/* ---- qa -------------------------------------------------------------------------------------------------------------------- */

static void test_answer(void)
{
	static const RtOutput outputs[] = {{"logits", 2, 1}, {"pooled", 2, 0}};
	static const RtHead heads[] = {{"qa", RT_TASK_QA, RT_SINGLE, 0, 0, NULL}};
	RtModel model = table_model(heads, 1, outputs);
	table[4][0] = 5;    /* one: where answers start */
	table[5][1] = 5;    /* two: where they end */
	const double p = exp(5) / (exp(5) + 4);   /* softmax over [CLS] and four tokens */
	char want[128];
	snprintf(want, sizeof want, "4\t11\t%.6f\tone two\n", p * p);
	EXPECT(0, want, &model, "blue\tred one two red\n");
	EXPECT(0, want, &model, "one two one two\tred one two red\n");   /* never the question */
	CU_ASSERT_EQUAL(run(&model, "blue\tred one two red\n", "--json", NULL), 0);
	CU_ASSERT(text_is("answer", "one two"));
	CU_ASSERT_EQUAL(number_at("start"), 4);
	CU_ASSERT_EQUAL(number_at("end"), 11);
	CU_ASSERT_DOUBLE_EQUAL(number_at("score"), p * p, 1e-8);
	snprintf(want, sizeof want, "4\t6\t%.6f\tone two\n", p * p);
	EXPECT(0, want, &model, "0 7 1\t6 4 5 6 1\n", "--ids");   /* in tokens */
	REFUSE(1, "no tab", &model, "blue\n");
	/* an answer that begins within a word is that whole word */
	table[4][0] = 0, table[5][1] = 0;
	table[TINY_PART][0] = table[TINY_PART][1] = 6;
	CU_ASSERT_EQUAL(run(&model, "blue\tred purplepur one\n", NULL), 0);
	CU_ASSERT_EQUAL(strncmp(out, "4\t13\t", 5), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\tpurplepur\n"));
	/* a context of nothing, and a model that is sure of nothing */
	EXPECT(0, "-1\t-1\t1.000000\t\n", &model, "blue\t\n");
	table[0][0] = table[0][1] = 9;
	CU_ASSERT_EQUAL(run(&model, "blue\tred one\n", "--allow-no-answer", NULL), 0);
	CU_ASSERT_EQUAL(strncmp(out, "-1\t-1\t0.99", 10), 0);
	CU_ASSERT_EQUAL(run(&model, "blue\tred one\n", NULL), 0);   /* without the option the best span, however unsure */
	CU_ASSERT_EQUAL(strncmp(out, "0\t3\t0.00", 8), 0);
	/* in windows: the best of all, with offsets in the whole context */
	memset(table, 0, sizeof table);
	table[4][0] = table[4][1] = 5;
	CU_ASSERT_EQUAL(run(&model,
		"blue\tred red red red red red red red red red red red red red red red red one red red\n",
		"--on-overflow=window", "--json", NULL), 0);
	CU_ASSERT(text_is("answer", "one"));
	CU_ASSERT_EQUAL(number_at("start"), 68);
	CU_ASSERT(number_at("windows") >= 2);
}

/* ---- fill-mask ------------------------------------------------------------------------------------------------------------- */

static void test_masks(void)
{
	static const RtOutput outputs[] = {{"logits", TINY_VOCAB, 1}, {"pooled", 2, 0}};
	static const RtHead heads[] = {{"fill-mask", RT_TASK_FILL_MASK, RT_SINGLE, 0, 0, NULL}};
	RtModel model = table_model(heads, 1, outputs);
	double sum = 0;
	char want[400] = "", all[900];
	for (int id = 0; id < TINY_VOCAB; id++) {
		table[2][id] = (float)((id * 5) % TINY_VOCAB);   /* a permutation: best 7 (11), 2 (10), 9 (9), 4 (8), 11 (7) */
		sum += exp(id - 11.0);
	}
	static const int best[] = {7, 2, 9, 4, 11};
	for (int i = 0; i < 5; i++)
		snprintf(want + strlen(want), sizeof want - strlen(want), "%s%s\t%.6f", i ? "\t" : "", tiny_vocab[best[i]],
			exp(-i) / sum);
	snprintf(all, sizeof all, "%s\n", want);
	EXPECT(0, all, &model, "one [MASK]\n");
	snprintf(all, sizeof all, "%s\t%s\n", want, want);
	EXPECT(0, all, &model, "[MASK] one [MASK]\n");
	CU_ASSERT_EQUAL(run(&model, "[MASK]\n", "--json", NULL), 0);
	CU_ASSERT(text_is("candidates.0.token", "blue") && text_is("candidates.4.token", "##part"));
	CU_ASSERT_EQUAL(number_at("candidates.0.id"), 7);
	CU_ASSERT_DOUBLE_EQUAL(number_at("candidates.1.score"), exp(-1) / sum, 1e-8);
	CU_ASSERT(isnan(number_at("candidates.5.id")));
	CU_ASSERT_EQUAL(run(&model, "[MASK] [MASK]\n", "--json", NULL), 0);
	CU_ASSERT_EQUAL(number_at("candidates.1.0.id"), 7);
	REFUSE(1, "<stdin>:1: error: no mask in the text", &model, "one\n[MASK]\n");
	snprintf(all, sizeof all, "%s\n", want);
	CU_ASSERT_STRING_EQUAL(out, all);
	char text[200];
	snprintf(text, sizeof text, "%s [MASK]\n", words_20);
	REFUSE(1, "no mask within the limit", &model, text);
	CU_ASSERT_EQUAL(run(&model, "one\n", "--logits", NULL), 0);   /* raw numbers need no mask */
	CU_ASSERT_EQUAL(number_at("1.3"), 0);
}

/* ---- limits, ids, tokens --------------------------------------------------------------------------------------------------- */

static void test_overflow(void)
{
	REFUSE(0, "<stdin>:1: note: 22 tokens, cut to 16", &tiny_model, words_20);
	CU_ASSERT_EQUAL(run(&tiny_model, words_20, "--json", NULL), 0);
	CU_ASSERT_EQUAL(number_at("tokens"), 22);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\"truncated\": true"));
	REFUSE(1, "<stdin>:1: error: 22 tokens, at most 16", &tiny_model, words_20, "--on-overflow", "error");
	REFUSE(1, "22 tokens, at most 16", &tiny_model, words_20, "--set", "overflow=0");
	EXPECT(0, "[41, 12]\n", &tiny_model, words_20, "--on-overflow=window", "--logits");   /* the mean of [57, 16] and [25, 8] */
	EXPECT(0, "[41, 12]\n", &tiny_model, words_20, "--set=overflow=2", "--logits");
	CU_ASSERT_EQUAL(run(&tiny_model, words_20, "--on-overflow=window", "--json", NULL), 0);
	CU_ASSERT_EQUAL(number_at("windows"), 2);
	REFUSE(1, "<stdin>:2: error: invalid UTF-8 (1 sequences)", &tiny_model, "one\none \xff\n", "--strict");
	REFUSE(1, "invalid UTF-8", &tiny_model, "\xff\n", "--set=strict=1");
	CU_ASSERT_EQUAL(run(&tiny_model, "one \xff\n", NULL), 0);
	REFUSE(1, "<stdin>:1: error: more than one tab", &tiny_model, "a\tb\tc\n");
	RtModel other = tiny_model;
	other.takes_pairs = 0;
	REFUSE(1, "argument:2: error: a tab, but this model takes one text", &other, "", "one", "one\ttwo");
	CU_ASSERT_STRING_EQUAL(out, "low\t0.880797\n");
	other.max_tokens = 1;   /* no room for [CLS] and [SEP] */
	REFUSE(1, "longer than the model takes", &other, "one\n");
}

static void test_ids(void)
{
	EXPECT(0, "[10, 4]\n", &tiny_model, "0 4 5 1\n", "--ids", "--logits");
	EXPECT(0, "[212, 5]\n", &tiny_model, " 0  4 1\t6 1 \n", "--ids", "--logits");   /* the second segment's types are 1 */
	EXPECT(0, "[0, 0]\n", &tiny_model, "\n", "--ids", "--logits");
	RtModel other = tiny_model;
	other.type_vocab = 1;
	EXPECT(0, "[12, 5]\n", &other, "0 4 1\t6 1\n", "--ids", "--logits");
	REFUSE(1, "<stdin>:1: error: token id 12: the vocabulary has ids 0 to 11", &tiny_model, "1 12\n", "--ids");
	REFUSE(1, "token id 2147483648", &tiny_model, "2147483648\n", "--ids");
	REFUSE(1, "expected token ids", &tiny_model, "99999999999999999999\n", "--ids");
	REFUSE(1, "\"-1\": expected token ids, numbers with spaces between", &tiny_model, "1 -1 2\n", "--ids");
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
		"{\"ids\": [0, 4, 6, 1], \"types\": [0, 0, 0, 0], \"starts\": [-1, 0, 4, -1], \"ends\": [-1, 3, 7, -1], "
		"\"tokens\": [\"[CLS]\", \"one\", \"red\", \"[SEP]\"]}\n");
	CU_ASSERT_EQUAL(run(&tiny_model, words_20, "--tokenize", "--json", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "], \"truncated\": true}"));
	RtVariant future = tiny_variants[0];
	RtModel other = tiny_model;
	other.variants = &future;
	future.isa = 1u << 30;   /* the tokenizer runs on any CPU */
	EXPECT(0, "0 4 1\n", &other, "one\n", "--tokenize");
	REFUSE(2, "exclude each other", &tiny_model, "", "--tokenize", "--ids");
}

/* ---- options and what it says about itself --------------------------------------------------------------------------------- */

static void test_usage(void)
{
	REFUSE(2, "--logits, --hidden, --tokenize, --about, --bench and --profile exclude each other", &tiny_model, "",
		"--logits", "--bench");
	REFUSE(2, "--threshold=1.5: expected 0 to 1", &tiny_model, "", "--threshold=1.5");
	REFUSE(2, "--threshold=: expected", &tiny_model, "", "--threshold=");
	REFUSE(2, "--on-overflow=split: expected error, truncate or window", &tiny_model, "", "--on-overflow=split");
	REFUSE(2, "--threads=257: expected 0 to 256", &tiny_model, "", "--threads=257");
	REFUSE(2, "--batch=0: expected 1 to 65536", &tiny_model, "", "--batch=0");
	REFUSE(2, "--batch=x: expected", &tiny_model, "", "--batch=x");
	REFUSE(2, "--repeat=0: expected 1 to 1000000", &tiny_model, "", "--repeat=0");
	static const char *const sets[] = {"overflow", "overflow=", "overflow=3", "overflow=1x", "heat=1",
		"a-name-of-more-than-32-characters-in-all=1"};
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		REFUSE(2, "no such option, or its value is out of range", &tiny_model, "", "--set", sets[i]);
	REFUSE(2, "unrecognized option", &tiny_model, "", "--nothing");
	REFUSE(2, "--raw is for embeddings", &tiny_model, "", "--raw");
	REFUSE(2, "--tokens is for taggers", &tiny_model, "", "--tokens");
	RtModel other = tiny_model;
	other.tokenizer = NULL;
	REFUSE(2, "this program has no tokenizer: give it --ids", &other, "", "one");
	EXPECT(0, "[5, 3]\n", &other, "0 4 1\n", "--ids", "--logits");
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--help", NULL), 0);
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
		REFUSE(4, "BERTC_CPU lacks AVX2, FMA and F16C, which this program was compiled for (any); build it with --cpu=baseline\n",
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
	setenv("BERTC_CPU", "future", 1);   /* by name: that one or none */
	REFUSE(4, "this CPU lacks instructions unknown to this program, which this program was compiled for (old, new, future); "
		"build it with --cpu=baseline among others\n", &m, "one\n");
	EXPECT(0, "0 4 1\n", &m, "one\n", "--tokenize");
	setenv("BERTC_CPU", "older", 1);
	REFUSE(2, "or what this program was built for: old, new, future", &m, "one\n");
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
	FILE *large = tmpfile();   /* a line beyond the limit, then one that is not */
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
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--bench", "--json", "--seq=4,16", "--repeat=3", "--batch=2", NULL), 0);
	char *second = strchr(out, '\n');
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	json_t *row = json_loads(second + 1, 0, NULL);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "tokens")), 16);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "texts")), 2);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "runs")), 3);
	CU_ASSERT(json_number_value(json_object_get(row, "min_ms")) <= json_number_value(json_object_get(row, "median_ms")));
	CU_ASSERT(json_number_value(json_object_get(row, "median_ms")) <= json_number_value(json_object_get(row, "p99_ms")));
	json_decref(row);
	/* the usual lengths that the model takes: 8 and 16 */
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--bench", "--repeat=2", "--threads=2", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tiny for any, 2 threads, median of 2 runs, without the tokenizer\n"));
	int lines = 0;
	for (const char *at = out; *at; at++)
		lines += *at == '\n';
	CU_ASSERT_EQUAL(lines, 4);
	/* every step takes 1 microsecond and does 6 operations a token, 2 a text */
	CU_ASSERT_EQUAL(run(&tiny_model, "", "--profile", "--repeat=2", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tiny for any, 1 text of 16 tokens, 1 thread, mean of 2 runs: 0.002 ms"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "       1.0   50.0       0.1  rows__scalar                 embeddings\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "by kernel\n       1.0   50.0       0.1  rows__scalar                 x1\n"));
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
		"{\"cpu\": \"any\", \"tokens\": 4, \"texts\": 1, \"step\": 1, \"origin\": \"\", \"kernel\": \"same__scalar\", \"us\": 1.00}\n"), 0);
	static const char *const lengths[] = {"0", "17", "4,", "4,x", "x", "", "4;5"};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		REFUSE(2, "expected lengths from 1 to 16", &tiny_model, "", "--bench", "--seq", lengths[i]);
		REFUSE(2, "expected lengths from 1 to 16", &tiny_model, "", "--profile", "--seq", lengths[i]);
	}
	other.max_tokens = 4;   /* shorter than all usual lengths */
	CU_ASSERT_EQUAL(run(&other, "", "--bench", "--json", "--repeat=1", NULL), 0);
	CU_ASSERT_EQUAL(number_at("tokens"), 4);
}

int main(void)
{
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("program", NULL, NULL);
	CU_add_test(suite, "classify", test_classify);
	CU_add_test(suite, "labels", test_labels);
	CU_add_test(suite, "rank", test_rank);
	CU_add_test(suite, "tag", test_tag);
	CU_add_test(suite, "tag, long texts", test_tag_long);
	CU_add_test(suite, "embed", test_embed);
	CU_add_test(suite, "hidden", test_hidden);
	CU_add_test(suite, "answer", test_answer);
	CU_add_test(suite, "masks", test_masks);
	CU_add_test(suite, "overflow", test_overflow);
	CU_add_test(suite, "ids", test_ids);
	CU_add_test(suite, "tokenize", test_tokenize);
	CU_add_test(suite, "usage", test_usage);
	CU_add_test(suite, "environment", test_environment);
	CU_add_test(suite, "variants", test_variants);
	CU_add_test(suite, "files", test_files);
	CU_add_test(suite, "reports", test_reports);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	const unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
