/* test_program.c: answers of the emitted program: every task, as text, JSON and raw numbers.
 * test_program_options.c tests its limits, options and errors; test_spans.c tests its parts. */
#include "tests/unit/program_run.h"
#include "tests/unit/suite.h"

static int text_is(const char *path, const char *want)
{
	json_t *root = json_loads(out, JSON_DECODE_ANY, NULL);
	const json_t *value = value_at(root, path);
	const int same = json_is_string(value) && strcmp(json_string_value(value), want) == 0;
	json_decref(root);
	return same;
}

/* ---- models ---------------------------------------------------------------------------------- */

enum { WIDTH_MAX = TINY_VOCAB };
/* The row of each token, by its id. The row of a text is the sum of the rows of its tokens. */
static float table[TINY_VOCAB][WIDTH_MAX];
static int unit_rows; /* rows of texts have length 1 */
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

/* The tiny model with other heads and outputs. Their numbers come from the table, which is zero at first. */
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

/* ---- classify -------------------------------------------------------------------------------- */

static void test_classify(void)
{
	/* logits are [sum of ids, tokens]: "one" gives [5, 3], "" gives [1, 2], a pair "one" "red" [4 + 1 + 106 +
	 * 101, 5] */
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
	EXPECT(0, "[5, 3]\n[10, 4]\n[1, 2]\n[7, 3]\n[8, 3]\n", &tiny_model, "one\none two\n\nred\nblue\n",
		"--logits", "--batch=2");
	EXPECT(0, "[5, 3]\n[10, 4]\n[1, 2]\n[7, 3]\n[8, 3]\n", &tiny_model, "one\none two\n\nred\nblue\n",
		"--logits", "--batch", "3", "--threads", "3");
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
	CU_ASSERT(text_is("label", "a") && text_is("labels.0", "a") && text_is("labels.1", "c")
		&& !text_is("labels.1", "b"));
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
	head.problem = RT_SINGLE; /* one logit: a probability */
	EXPECT(0, "a\t0.924142\n", &model, "one\n");
}

/* ---- rank, several heads --------------------------------------------------------------------- */

static void test_rank(void)
{
	static const char *const labels[] = {"no", "yes"};
	static const RtOutput outputs[] = {{"score", 1, 0}, {"quality", 2, 0}};
	const RtHead heads[] = {{"rank", RT_TASK_RANK, RT_REGRESSION, 0, 0, NULL},
		{"quality", RT_TASK_CLASSIFY, RT_SINGLE, 1, 2, labels},
		{"vector", RT_TASK_EMBED, RT_SINGLE, 1, 0, NULL}, {"chance", RT_TASK_RANK, RT_SINGLE, 1, 2, labels}};
	RtModel model = table_model(heads, 4, outputs);
	table[4][0] = 1.5f;
	table[4][1] = 3;
	EXPECT(0, "1.500000\n3.000000\n", &model, "one\ttwo\none\tone\n");
	EXPECT(0, "0.000000\n", &model, "\n"); /* an empty line is a pair of empty texts */
	REFUSE(1, "<stdin>:2: error: the line has no tab; this model takes two texts separated by a tab", &model,
		"one\ttwo\none\n");
	CU_ASSERT_STRING_EQUAL(out, "1.500000\n");
	CU_ASSERT_EQUAL(run(&model, "one\ttwo\n", "--json", NULL), 0);
	CU_ASSERT_EQUAL(number_at("score"), 1.5);
	CU_ASSERT_EQUAL(number_at("heads.rank"), 1.5);
	CU_ASSERT(text_is("heads.quality.label", "yes"));
	CU_ASSERT_DOUBLE_EQUAL(number_at("heads.quality.scores.no"), 1 / (1 + exp(1.5)), 1e-7);
	CU_ASSERT_EQUAL(number_at("heads.vector.0"), 1.5);
	CU_ASSERT_EQUAL(number_at("heads.vector.1"), 3);
	CU_ASSERT_DOUBLE_EQUAL(
		number_at("heads.chance"), 1 / (1 + exp(-1.5)), 1e-7); /* the last label's probability */
	static const RtOutput rows[] = {{"score", 1, 0}, {"tags", 2, 1}};
	model = table_model(heads, 2, rows); /* the object does not include a head with one row per token */
	CU_ASSERT_EQUAL(run(&model, "one\ttwo\n", "--json", NULL), 0);
	CU_ASSERT_STRING_EQUAL(out, "{\"score\": 0, \"heads\": {\"rank\": 0}}\n");
}

/* ---- tag ------------------------------------------------------------------------------------- */

static const char *const tags[] = {"B-NUM", "O", "I-NUM"};
static const RtOutput tag_outputs[] = {{"logits", 3, 1}, {"pooled", 2, 0}};
static const RtHead tag_heads[] = {{"tag", RT_TASK_TAG, RT_SINGLE, 0, 3, tags}};

/* one: B-NUM, two: I-NUM, an unknown word: B-NUM, the rest: O;
 * each sure by 1 / (1 + 2 exp(-4)) = 0.964663. */
static RtModel tag_model(void)
{
	RtModel model = table_model(tag_heads, 1, tag_outputs);
	for (int id = 0; id < TINY_VOCAB; id++) {
		const int tag = id == 5 ? 2 : 1;
		table[id][id == 4 || id == 10 ? 0 : tag] = 4;
	}
	return model;
}

static void test_tag(void)
{
	const RtModel model = tag_model();
	EXPECT(0, "4\t11\tNUM\t0.964663\tone two\n16\t19\tNUM\t0.964663\tone\n\n\n", &model,
		"red one two the one.\nred\n");
	/* both pieces of a word, by the first one's label */
	EXPECT(0, "0\t6\tNUM\t0.964663\tpurple\n\n", &model, "", "purple red");
	EXPECT(0, "0\t7\tNUM\t0.964663\tone two\n\n", &model, "",
		"one\ntwo"); /* no line feed inside an output line */
	CU_ASSERT_EQUAL(run(&model, "red one two\n", "--json", NULL), 0);
	CU_ASSERT(text_is("spans.0.label", "NUM") && text_is("spans.0.text", "one two"));
	CU_ASSERT_EQUAL(number_at("spans.0.start"), 4);
	CU_ASSERT_EQUAL(number_at("spans.0.end"), 11);
	CU_ASSERT_DOUBLE_EQUAL(number_at("spans.0.score"), 1 / (1 + 2 * exp(-4)), 1e-6);
	EXPECT(0, "{\"spans\": []}\n", &model, "red\n", "--json");
	EXPECT(0, "red\tO\none\tB-NUM\ntwo.\tI-NUM\n\n", &model, " red one  two.\n", "--tokens");
	EXPECT(0,
		"{\"tokens\": [{\"text\": \"one\", \"label\": \"B-NUM\"}, {\"text\": \"red\", \"label\": \"O\"}]}\n",
		&model, "one red\n", "--tokens", "--json");
	EXPECT(0, "1\t3\tNUM\t0.964663\tone two\n\n", &model, "0 4 5 6 1\n", "--ids"); /* offsets count tokens */
	CU_ASSERT_EQUAL(run(&model, "0 4 1\n", "--ids", "--json", NULL), 0);
	CU_ASSERT(text_is("spans.0.text", "one"));
	EXPECT(0, "[[0, 4, 0], [4, 0, 0], [0, 4, 0]]\n", &model, "one\n", "--logits");
	REFUSE(1, "the line has a tab, but this model takes one text", &model, "one\ttwo\n");
}

/* A multi-label head: words below the threshold have no label. */
static void test_tag_multi(void)
{
	static const char *const labels[] = {"new"};
	static const RtOutput outputs[] = {{"logits", 1, 1}, {"pooled", 2, 0}};
	static const RtHead heads[] = {{"tag", RT_TASK_TAG, RT_MULTI, 0, 1, labels}};
	const RtModel model = table_model(heads, 1, outputs);
	for (int id = 0; id < TINY_VOCAB; id++)
		table[id][0] = id == 4 ? 2 : -1;
	EXPECT(0, "4\t7\tnew\t0.880797\tone\n\n", &model, "red one two\n");
	EXPECT(0, "0\t7\tnew\t0.574869\tone two\n\n", &model, "one two\n", "--threshold=0.2");
	REFUSE(2, "bilou", &model, "one\n", "--scheme=bio");
	EXPECT(0, "red\tO\none\tnew\ntwo\tO\n\n", &model, "red one two\n", "--tokens");
	EXPECT(0, "\n", &model, "red one two\n", "--threshold=0.9");
	EXPECT(0, "[[-1], [2], [-1]]\n", &model, "one\n", "--logits");
}

/* Beyond the limit of 16 tokens. */
static void test_tag_long(void)
{
	const RtModel model = tag_model();
	/* 13 words, then one of five pieces: two of them are left, the span still ends where the word does */
	EXPECT(
		0, "26\t39\tNUM\t0.964663\tpurplepurplex\n\n", &model, "", ". . . . . . . . . . . . . purplepurplex");
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "argument:1: note: 19 tokens, cut to 16"));
	EXPECT(0,
		".\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\n.\tO\none\tO\n\n",
		&model, ". . . . . . . . . . . . . . one\n", "--tokens");
	char text[400] = "", want[2000] = "";
	for (int i = 0; i < 50;
		i++) { /* in windows every word has its label once, with offsets in the whole text */
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", i % 7 == 3 ? "one" : "red");
		if (i % 7 == 3)
			snprintf(want + strlen(want), sizeof want - strlen(want), "%d\t%d\tNUM\t0.964663\tone\n", 4 * i,
				4 * i + 3);
	}
	strcat(want, "\n");
	EXPECT(0, want, &model, text, "--on-overflow=window");
	CU_ASSERT_STRING_EQUAL(err, "");
	CU_ASSERT_EQUAL(run(&model, text, "--on-overflow=window", "--json", NULL), 0);
	CU_ASSERT(number_at("windows") > 3);
	CU_ASSERT_EQUAL(number_at("spans.6.start"), 4 * 45);
	CU_ASSERT_EQUAL(run(&model, text, "--on-overflow=window", "--logits", NULL), 0);
	for (int i = 0; i < 52; i++) { /* one row per token; [CLS] and [SEP] appear once */
		char path[16];
		snprintf(path, sizeof path, "%d.0", i);
		CU_ASSERT_EQUAL(number_at(path), i > 0 && i < 51 && (i - 1) % 7 == 3 ? 4 : 0);
	}
	CU_ASSERT(isnan(number_at("52.0")));
}

/* ---- embed ----------------------------------------------------------------------------------- */

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
	REFUSE(2, "--raw is only for embeddings", &model, "", "--raw", "--json");
	REFUSE(1, "the line has a tab, but this model takes one text", &model, "one\ttwo\n");
	/* 20 words in windows of 14 and 6: 16 and 8 tokens, weighted so */
	EXPECT(0, "[34, 5.66666651]\n", &model, words_20, "--on-overflow=window");
	/* vectors of length 1 stay so */
	unit_rows = 1;
	CU_ASSERT_EQUAL(run(&model, words_20, "--on-overflow=window", NULL), 0);
	CU_ASSERT_DOUBLE_EQUAL(number_at("0"), 6 / sqrt(37), 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(number_at("1"), 1 / sqrt(37), 1e-6);
	unit_rows = 0;
	model.nheads = 0; /* no head at all: the first output */
	EXPECT(0, "[3, 0.5]\n", &model, "one\n");
}

static void test_hidden(void)
{
	RtModel model = table_model(embed_heads, 1, embed_outputs);
	for (int id = 0; id < TINY_VOCAB; id++) {
		table[id][0] = (float)id;
		table[id][1] = -1;
	}
	EXPECT(0, "[[0, -1], [4, -1], [5, -1], [1, -1]]\n", &model, "one two\n", "--hidden");
	EXPECT(0, "[[0, -1], [4, -1], [1, -1]]\n", &model, "0 4 1\n", "--hidden", "--ids");
	CU_ASSERT_EQUAL(
		run(&model, "two red one one one one one one one one one one one one one one one one one blue\n",
			"--hidden", "--on-overflow=window", NULL),
		0);
	CU_ASSERT_EQUAL(number_at("1.0"), 5);
	CU_ASSERT_EQUAL(number_at("20.0"), 7);
	CU_ASSERT_EQUAL(number_at("21.0"), 1);
	CU_ASSERT(isnan(number_at("22.0")));
	static const RtOutput pooled[] = {{"embedding", 2, 0}, {"other", 2, 1}};
	model.outputs = table_outputs = pooled;
	REFUSE(4, "build it with --outputs=hidden", &model, "one\n", "--hidden");
}

/* ---- qa -------------------------------------------------------------------------------------- */

static void test_answer(void)
{
	static const RtOutput outputs[] = {{"logits", 2, 1}, {"pooled", 2, 0}};
	static const RtHead heads[] = {{"qa", RT_TASK_QA, RT_SINGLE, 0, 0, NULL}};
	RtModel model = table_model(heads, 1, outputs);
	table[4][0] = 5;                        /* one: where answers start */
	table[5][1] = 5;                        /* two: where they end */
	const double p = exp(5) / (exp(5) + 4); /* softmax over [CLS] and four tokens */
	char want[128];
	snprintf(want, sizeof want, "4\t11\t%.6f\tone two\n", p * p);
	EXPECT(0, want, &model, "blue\tred one two red\n");
	EXPECT(0, want, &model, "one two one two\tred one two red\n"); /* the question is excluded */
	CU_ASSERT_EQUAL(run(&model, "blue\tred one two red\n", "--json", NULL), 0);
	CU_ASSERT(text_is("answer", "one two"));
	CU_ASSERT_EQUAL(number_at("start"), 4);
	CU_ASSERT_EQUAL(number_at("end"), 11);
	CU_ASSERT_DOUBLE_EQUAL(number_at("score"), p * p, 1e-8);
	snprintf(want, sizeof want, "4\t6\t%.6f\tone two\n", p * p);
	EXPECT(0, want, &model, "0 7 1\t6 4 5 6 1\n", "--ids"); /* in tokens */
	REFUSE(1, "no tab", &model, "blue\n");
	/* an answer that begins within a word is that whole word */
	table[4][0] = 0;
	table[5][1] = 0;
	table[TINY_PART][0] = table[TINY_PART][1] = 6;
	CU_ASSERT_EQUAL(run(&model, "blue\tred purplepur one\n", NULL), 0);
	CU_ASSERT_EQUAL(strncmp(out, "4\t13\t", 5), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\tpurplepur\n"));
	/* an empty context, and a model without preference */
	EXPECT(0, "-1\t-1\t1.000000\t\n", &model, "blue\t\n");
	table[0][0] = table[0][1] = 9;
	CU_ASSERT_EQUAL(run(&model, "blue\tred one\n", "--allow-no-answer", NULL), 0);
	CU_ASSERT_EQUAL(strncmp(out, "-1\t-1\t0.99", 10), 0);
	CU_ASSERT_EQUAL(
		run(&model, "blue\tred one\n", NULL), 0); /* without the option: the best span, whatever its score */
	CU_ASSERT_EQUAL(strncmp(out, "0\t3\t0.00", 8), 0);
	/* in windows: the best of all, with offsets in the whole context */
	memset(table, 0, sizeof table);
	table[4][0] = table[4][1] = 5;
	CU_ASSERT_EQUAL(
		run(&model, "blue\tred red red red red red red red red red red red red red red red red one red red\n",
			"--on-overflow=window", "--json", NULL),
		0);
	CU_ASSERT(text_is("answer", "one"));
	CU_ASSERT_EQUAL(number_at("start"), 68);
	CU_ASSERT(number_at("windows") >= 2);
}

/* ---- fill-mask ------------------------------------------------------------------------------- */

static void test_masks(void)
{
	static const RtOutput outputs[] = {{"logits", TINY_VOCAB, 1}, {"pooled", 2, 0}};
	static const RtHead heads[] = {{"fill-mask", RT_TASK_FILL_MASK, RT_SINGLE, 0, 0, NULL}};
	RtModel model = table_model(heads, 1, outputs);
	double sum = 0;
	char want[400] = "", all[900];
	for (int id = 0; id < TINY_VOCAB; id++) {
		table[2][id] = (float)((id * 5)
			% TINY_VOCAB); /* a permutation: best 7 (11), 2 (10), 9 (9), 4 (8), 11 (7) */
		sum += exp(id - 11.0);
	}
	static const int best[] = {7, 2, 9, 4, 11};
	for (int i = 0; i < 5; i++)
		snprintf(want + strlen(want), sizeof want - strlen(want), "%s%s\t%.6f", i ? "\t" : "",
			tiny_vocab[best[i]], exp(-i) / sum);
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
	CU_ASSERT_EQUAL(run(&model, "one\n", "--logits", NULL), 0); /* raw numbers need no mask */
	CU_ASSERT_EQUAL(number_at("1.3"), 0);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"classify", test_classify},
		{"labels", test_labels},
		{"rank", test_rank},
		{"tag", test_tag},
		{"tags of a multi-label head", test_tag_multi},
		{"tag, long texts", test_tag_long},
		{"embed", test_embed},
		{"hidden", test_hidden},
		{"answer", test_answer},
		{"masks", test_masks},
	};
	return SUITE_RUN("program", tests);
}
