/* test_search.c: the decisions of `bertc tune`, without any build: levels and pipelines, intervals, limits,
 * the front, the journal; and its chart. */
#include "tests/unit/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compiler/report/chart.h"
#include "compiler/search/search.h"
#include "tests/unit/module_text.h"

enum { ROWS = 900, SEARCHED = 600 };

static void give_rows(
	const Search *s, Candidate *c, int wrong_in_search, int wrong_held, double time, int64_t bytes)
{
	*c = (Candidate){.built = true, .cost = {time, bytes}, .rows = calloc(ROWS, sizeof(RowScore))};
	for (int i = 0; i < ROWS; i++)
		c->rows[i] = (RowScore){.right = i < SEARCHED ? i >= wrong_in_search : i >= SEARCHED + wrong_held,
			.loss = 0.25 * i,
			.labelled = 1};
	candidate_score(s, c);
}

/* A search with 600 + 300 rows and this many candidates. The first has all rows right. */
static void begin(Search *s, int candidates)
{
	*s = (Search){.metric = METRIC_ACCURACY,
		.data = {.nrows = ROWS},
		.data_path = "a/dev.tsv",
		.layer = {0, 1, 2},
		.nlayers = 3,
		.seed = 5,
		.nsearch = SEARCHED,
		.nheld = ROWS - SEARCHED,
		.max_drop = 1,
		.max_bytes = NAN,
		.max_ms = NAN,
		.winner = -1,
		.learnt = 250,
		.words = 30522};
	s->search_rows = calloc(ROWS, sizeof(int32_t));
	for (int i = 0; i < ROWS; i++)
		s->search_rows[i] = i;
	s->held_rows = s->search_rows + SEARCHED;
	s->done = calloc((size_t)candidates, sizeof *s->done);
	s->ndone = s->capacity = candidates;
	give_rows(s, &s->done[0], 0, 0, 100, 1000);
	search_make_moves(s);
}

static int32_t move_of(const Search *s, const char *name)
{
	for (int32_t m = 0; m < s->nmoves; m++)
		if (!strcmp(s->moves[m].name, name))
			return m;
	CU_FAIL_FATAL("no such move");
	return 0;
}

static void test_pipelines(void)
{
	Search s;
	begin(&s, 1);
	int8_t level[MOVES_MAX] = {0};
	char *text = search_pipeline(&s, level);
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
	CU_ASSERT_EQUAL(s.moves[move_of(&s, "blocks")].nlevels, 0);
	CU_ASSERT_EQUAL(s.moves[move_of(&s, "vocab")].nlevels, 3); /* no corpus: by the order of the vocabulary */
	CU_ASSERT_STRING_EQUAL(s.moves[move_of(&s, "vocab")].level[2], "keep=21300");
	CU_ASSERT_EQUAL(s.moves[move_of(&s, "tokens")].nlevels, 3 * 2); /* not behind the last layer */
	level[move_of(&s, "int8")] = 1;
	level[move_of(&s, "tokens")] = 2;
	level[move_of(&s, "neurons")] = 1;
	text = search_pipeline(&s, level);
	CU_ASSERT_STRING_EQUAL(text,
		"prune-ffn{by=reconstruction share=0.8 data=a/dev.tsv limit=250},prune-tokens{layer=1 "
		"keep=0.7},quantize-int8{scheme=dynamic}");
	Diag diag;
	diag_init(&diag, NULL);
	Pipeline *pipeline = pipeline_parse(text, &diag); /* in a legal order */
	CU_ASSERT_PTR_NOT_NULL(pipeline);
	pipeline_free(pipeline);
	free(text);
	for (int32_t m = 0; m < s.nmoves; m++)
		level[m] = s.moves[m].nlevels > 0;
	pipeline = pipeline_parse(text = search_pipeline(&s, level), &diag);
	CU_ASSERT_PTR_NOT_NULL(pipeline);
	pipeline_free(pipeline);
	free(text);
	diag_free(&diag);
	search_free(&s);
	begin(&s, 1);
	Search with = {.corpus = "c.txt",
		.calibration = "t.tsv",
		.data_path = "dev.tsv",
		.layer = {0, 1, 2},
		.nlayers = 3,
		.learnt = 500,
		.words = 30522};
	search_make_moves(&with);
	const Move *vocab = &with.moves[move_of(&with, "vocab")], *tokens = &with.moves[move_of(&with, "tokens")];
	CU_ASSERT_EQUAL(vocab->nlevels, 3);
	CU_ASSERT_STRING_EQUAL(vocab->level[1], "corpus=c.txt keep=18300");
	CU_ASSERT_STRING_EQUAL(vocab->level[3], "corpus=c.txt");
	CU_ASSERT_STRING_EQUAL(tokens->level[3], "layer=0,1 keep=0.7,0.6");
	CU_ASSERT_STRING_EQUAL(tokens->level[4], "layer=1,2 keep=0.7,0.6");
	/* what candidates share ends with the last move that learns, and reads --calibration */
	memset(level, 0, sizeof level);
	level[move_of(&with, "heads")] = level[move_of(&with, "vocab")] = 1;
	CU_ASSERT_EQUAL(search_shared(&with), move_of(&with, "neurons") + 1);
	level[move_of(&with, "stored")] = 1;
	text = search_part(&with, level, 0, search_shared(&with));
	CU_ASSERT_STRING_EQUAL(text, "prune-heads{by=reconstruction share=0.8 data=t.tsv limit=500}");
	free(text);
	text = search_part(&with, level, search_shared(&with), with.nmoves);
	CU_ASSERT_STRING_EQUAL(text, "prune-vocab{corpus=c.txt keep=18300},quantize-embeddings{to=int8}");
	free(text);
	search_free(&with);
	search_free(&s);
}

static void test_interval(void)
{
	Search s;
	begin(&s, 3);
	give_rows(
		&s, &s.done[1], 36, 18, 50, 900); /* 54 of 900 wrong: 6 points; a binomial's standard error is 0.79 */
	give_rows(&s, &s.done[2], 0, 0, 50, 900);
	candidate_compare(&s, &s.done[1]);
	candidate_compare(&s, &s.done[2]);
	CU_ASSERT_DOUBLE_EQUAL(s.done[1].error, 0.79, 0.07);
	CU_ASSERT_DOUBLE_EQUAL(s.done[1].low, 6 - 1.96 * 0.79, 0.3);
	CU_ASSERT_DOUBLE_EQUAL(s.done[1].high, 6 + 1.96 * 0.79, 0.3);
	CU_ASSERT_EQUAL(s.done[2].error, 0);
	const double before = s.done[1].low;
	candidate_compare(&s, &s.done[1]);
	CU_ASSERT_EQUAL(s.done[1].low, before);
	search_free(&s);
}

/* A candidate that differs from the plain build in `lost` rows of a share that become wrong and `won` rows
 * that become right. */
static void change_rows(const Search *s, Candidate *c, int first, int lost, int won)
{
	for (int i = first; i < ROWS && (lost > 0 || won > 0); i++) {
		const bool was = s->done[0].rows[i].right;
		if (was && lost > 0) {
			c->rows[i].right = false;
			lost--;
		} else if (!was && won > 0) {
			c->rows[i].right = true;
			won--;
		}
	}
	candidate_score(s, c);
}

static void test_apart(void)
{
	Search s;
	begin(&s, 2);
	free(s.done[0].rows);
	give_rows(&s, &s.done[0], 60, 30, 100, 1000);
	give_rows(&s, &s.done[1], 60, 30, 50, 900);
	change_rows(&s, &s.done[1], 0, 20, 16);
	change_rows(&s, &s.done[1], SEARCHED, 5, 7);
	candidate_compare(&s, &s.done[1]);
	CU_ASSERT_DOUBLE_EQUAL(s.done[1].apart[SHARE_SEARCH], 36.0 / SEARCHED, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(s.done[1].apart[SHARE_HELD], 12.0 / (ROWS - SEARCHED), 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(s.done[1].apart[SHARE_ALL], 48.0 / ROWS, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(search_drop(&s, &s.done[1], SHARE_ALL), 100 * 2.0 / ROWS, 1e-9);
	search_free(&s);
	/* spans: one of ten lost and one too many; numbers: each a tenth of their spread away */
	RowScore a[2] = {{.spans = {6, 1, 1}}, {.spans = {2, 0, 1}}},
			 b[2] = {{.spans = {5, 2, 2}}, {.spans = {2, 0, 1}}};
	const int32_t rows[] = {0, 1};
	CU_ASSERT_DOUBLE_EQUAL(search_apart(METRIC_F1, a, b, rows, 2), 0.15, 1e-12);
	CU_ASSERT_EQUAL(search_apart(METRIC_F1, a, a, rows, 2), 0);
	RowScore x[2] = {{.predicted = 3}, {.predicted = 5}}, y[2] = {{.predicted = 3.1}, {.predicted = 4.9}};
	CU_ASSERT_DOUBLE_EQUAL(search_apart(METRIC_SPEARMAN, x, y, rows, 2), 0.1, 1e-12);
	CU_ASSERT_EQUAL(search_apart(METRIC_SPEARMAN, x, x, rows, 2), 0);
}

/* Candidates whose counted losses scatter around 4 * apart^2: the factor is found, and an estimate lies
 * between curve and count. */
static void test_estimate(void)
{
	enum { CHANGED = 9 };
	Search s;
	begin(&s, 1 + CHANGED);
	free(s.done[0].rows);
	give_rows(&s, &s.done[0], 120, 60, 100, 1000);
	for (int i = 1; i <= CHANGED; i++) {
		const int differ = 10 * i, net = (int)lround(4.0 * differ * differ / SEARCHED) + 2 * (i % 3 - 1),
				  lost = (differ + net) / 2;
		give_rows(&s, &s.done[i], 120, 60, 50, 500);
		change_rows(&s, &s.done[i], 0, lost, differ - lost);
		candidate_compare(&s, &s.done[i]);
	}
	search_fit(&s);
	CU_ASSERT_DOUBLE_EQUAL(s.steepness, 4, 0.4);
	CU_ASSERT_DOUBLE_EQUAL(search_curve(&s, 0.1), s.steepness, 1e-9);
	for (int i = 1; i <= CHANGED; i++) {
		const Candidate *c = &s.done[i];
		const Estimate e = search_estimate(&s, c, SHARE_SEARCH);
		const double curve = search_curve(&s, c->apart[SHARE_SEARCH]),
					 counted = search_drop(&s, c, SHARE_SEARCH);
		CU_ASSERT(e.points >= fmin(curve, counted) - 1e-9 && e.points <= fmax(curve, counted) + 1e-9);
		CU_ASSERT(e.error > 0 && e.error < curve / 2 && e.error < c->error * sqrt((double)ROWS / SEARCHED));
	}
	search_free(&s);
}

static void test_decision(void)
{
	Search s;
	begin(&s, 7);
	free(s.done[0].rows);
	give_rows(&s, &s.done[0], 60, 30, 100, 1000);
	static const struct {
		int lost, won, held_lost, held_won;
		double time;
		int64_t bytes;
		bool allowed;
	} cases[] = {
		{40, 30, 0, 0, 10, 100,
			false}, /* where it is searched 70 answers change: too many, though only 1.7 points are lost */
		{6, 4, 20, 15, 20, 200, false}, /* where it is held back 35 change */
		{34, 10, 4, 3, 30, 300, false}, /* of all rows the estimate is too large */
		{1, 0, 0, 0, 60, 50, true}, {0, 0, 0, 0, 50, 700, true},
		{9, 0, 5, 0, 15, 100,
			false}, /* few change, but all to the worse: the points themselves are too many */
	};
	for (int i = 0; i < 6; i++) {
		Candidate *c = &s.done[i + 1];
		give_rows(&s, c, 60, 30, cases[i].time, cases[i].bytes);
		change_rows(&s, c, 0, cases[i].lost, cases[i].won);
		change_rows(&s, c, SEARCHED, cases[i].held_lost, cases[i].held_won);
	}
	for (int i = 0; i < 7; i++)
		candidate_compare(&s, &s.done[i]);
	s.steepness = 3.5;
	CU_ASSERT(search_allows(&s, &s.done[0]));
	for (int i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(search_allows(&s, &s.done[i + 1]), cases[i].allowed);
	CU_ASSERT(!search_hopeful(&s, &s.done[1]) && search_hopeful(&s, &s.done[2]));
	CU_ASSERT(search_estimate(&s, &s.done[2], SHARE_HELD).points > 1);
	const Estimate third = search_estimate(&s, &s.done[3], SHARE_ALL);
	CU_ASSERT(third.points > 1 && search_estimate(&s, &s.done[3], SHARE_HELD).points < 1);
	CU_ASSERT(search_drop(&s, &s.done[6], SHARE_ALL) > 1);
	search_decide(&s);
	CU_ASSERT_EQUAL(s.winner, 4); /* 0.6 * 0.05 against 0.5 * 0.7 */
	s.prefer = PREFER_SPEED;
	search_decide(&s);
	CU_ASSERT_EQUAL(s.winner, 5);
	s.prefer = PREFER_SIZE;
	search_decide(&s);
	CU_ASSERT_EQUAL(s.winner, 4);
	s.prefer = PREFER_BOTH;
	s.max_bytes = 40;
	search_decide(&s);
	CU_ASSERT_EQUAL(s.winner, -1);
	s.max_bytes = 400;
	s.max_drop = NAN; /* the most accurate that is small enough */
	search_decide(&s);
	CU_ASSERT_EQUAL(s.winner, 4);
	s.max_bytes = 1000; /* two are right as often: the smaller and faster */
	search_decide(&s);
	CU_ASSERT_EQUAL(s.winner, 5);
	int32_t front[7];
	CU_ASSERT_EQUAL(search_front(&s, front),
		5); /* the plain build is slower than number 5, which is as good; 3 is as good as 1 and slower */
	CU_ASSERT(front[0] == 5 && front[1] == 4 && front[2] == 2 && front[3] == 6 && front[4] == 1);
	search_free(&s);
}

/* A move that is only smaller may lose almost nothing if speed is preferred, and the reverse. */
static void test_pays(void)
{
	Search s;
	begin(&s, 4);
	free(s.done[0].rows);
	give_rows(&s, &s.done[0], 60, 30, 100, 1000);
	static const struct {
		int lost;
		double time;
		int64_t bytes;
		bool pays[3];
	} cases[] = {
		{10, 100, 500, {true, false, true}},
		{10, 30, 1000, {true, true, false}},
		{1, 100, 500, {true, true, true}},
	};
	for (int i = 0; i < 3; i++) {
		give_rows(&s, &s.done[i + 1], 60, 30, cases[i].time, cases[i].bytes);
		change_rows(&s, &s.done[i + 1], 0, cases[i].lost, cases[i].lost - 1);
	}
	for (int i = 0; i < 4; i++)
		candidate_compare(&s, &s.done[i]);
	s.steepness = 3.5;
	for (int i = 0; i < 3; i++)
		for (int prefer = PREFER_BOTH; prefer <= PREFER_SIZE; prefer++) {
			s.prefer = (Prefer)prefer;
			CU_ASSERT_EQUAL(search_pays(&s, &s.done[i + 1]), cases[i].pays[prefer]);
		}
	s.prefer = PREFER_SPEED;
	s.max_drop = NAN; /* no points to save */
	CU_ASSERT(search_pays(&s, &s.done[1]));
	search_free(&s);
}

static double time_of(const char *text, CostText length)
{
	Module *module = module_of_text(text);
	const double time = cost_model(module, length).time;
	module_free(module);
	return time;
}

/* In a tagger, thin keeps all tokens that begin a word, even if that is more than its limit: half of 40
 * tokens is 20, but 30 begin a word. */
static void test_cost(void)
{
	static const char *const parts[] = {"graph @main(%ids: i32[S]) level=graph {\n"
										"  %t = const rand(1) : f32[9,1]\n  %w = const rand(2) : f32[512,1]\n"
										"  %x = embed %t, %ids : f32[S,1]\n",
		"  %p = thin %x {share=0.5 symbol=1} : i32[S1]\n",
		"  %p = thin %x, %x {share=0.5 symbol=1} : i32[S1]\n",
		"  %y = gather %x, %p : f32[S1,1]\n  %z = linear %y, %w : f32[S1,512]\n  return z=%z\n}\n"};
	char plain[1024], tagger[1024];
	snprintf(plain, sizeof plain, "%s%s%s", parts[0], parts[1], parts[3]);
	snprintf(tagger, sizeof tagger, "%s%s%s", parts[0], parts[2], parts[3]);
	const double half = time_of(plain, (CostText){40, 30}), begin = time_of(tagger, (CostText){40, 30});
	CU_ASSERT(begin > half);
	CU_ASSERT_EQUAL(time_of(tagger, (CostText){40, 10}), half);
	CU_ASSERT_EQUAL(time_of(tagger, (CostText){40, 99}), time_of(tagger, (CostText){40, 40}));
}

static void test_journal(void)
{
	char path[] = "/tmp/test_search-XXXXXX";
	close(mkstemp(path));
	unlink(path);
	Search s;
	Diag diag;
	diag_init(&diag, NULL);
	begin(&s, 1);
	s.key = journal_key(0, "x");
	CU_ASSERT_TRUE_FATAL(journal_open(&s, path, &diag));
	Candidate c, again;
	for (int i = 1; i <= 2; i++) {
		give_rows(&s, &c, 7 * i, 3, 12.5, 77);
		c.level[move_of(&s, "int8")] = (int8_t)(i == 1);
		c.level[move_of(&s, "stored")] = (int8_t)(i == 2);
		journal_add(&s, &c);
		free(c.rows);
	}
	search_free(&s);
	FILE *file = fopen(path, "r+"); /* the last line loses its end */
	fseek(file, 0, SEEK_END);
	CU_ASSERT_EQUAL(ftruncate(fileno(file), ftell(file) - 9), 0);
	fclose(file);
	for (int turn = 0; turn < 2; turn++) {
		begin(&s, 1);
		s.key = journal_key(0, "x");
		CU_ASSERT_TRUE_FATAL(journal_open(&s, path, &diag));
		again = (Candidate){0};
		again.level[move_of(&s, "int8")] = 1;
		CU_ASSERT_TRUE(journal_find(&s, &again));
		CU_ASSERT(again.built && again.cost.time == 12.5 && again.cost.bytes == 77);
		CU_ASSERT(again.score[SHARE_SEARCH].right == SEARCHED - 7
			&& again.score[SHARE_HELD].right == ROWS - SEARCHED - 3);
		CU_ASSERT_DOUBLE_EQUAL(again.score[SHARE_SEARCH].loss, 0.25 * (SEARCHED - 1) / 2, 1e-6);
		free(again.rows);
		again = (Candidate){0};
		again.level[move_of(&s, "stored")] = 1;
		CU_ASSERT_EQUAL(journal_find(&s, &again), turn == 1);
		free(again.rows);
		if (turn == 0) { /* the truncated candidate is measured again and gets a new line */
			give_rows(&s, &c, 14, 3, 12.5, 77);
			c.level[move_of(&s, "stored")] = 1;
			journal_add(&s, &c);
			free(c.rows);
		}
		search_free(&s);
	}
	begin(&s, 1);
	s.key = journal_key(0, "y");
	CU_ASSERT_FALSE(journal_open(&s, path, &diag));
	CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	search_free(&s);
	diag_free(&diag);
	unlink(path);
}

static void test_chart(void)
{
	CU_ASSERT_DOUBLE_EQUAL(chart_step(10, 5), 2, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(chart_step(0.07, 6), 0.02, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(chart_step(7e5, 6), 2e5, 1e-6);
	CU_ASSERT_EQUAL(chart_step(0, 6), 1);
	CU_ASSERT_EQUAL(chart_step(INFINITY, 6), 1);
	const ChartPoint points[] = {
		{1, 2, "a<b>&\"'\x01", CHART_PLAIN}, {NAN, 2, "gone", CHART_FRONT}, {3, 4, NULL, CHART_CHOSEN}};
	const Chart chart = {.title = "</svg>", .x_name = "x", .y_name = "y", .points = points, .count = 3};
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	chart_scatter(&chart, out);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<title>a&lt;b&gt;&amp;&quot;&#39;</title>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "&lt;/svg&gt;"));
	CU_ASSERT_PTR_NULL(strstr(text, "gone"));
	CU_ASSERT_PTR_NULL(strstr(text, "nan"));
	CU_ASSERT_PTR_EQUAL(strstr(text, "</svg>"), text + bytes - 7);
	free(text);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"pipelines", test_pipelines},
		{"interval", test_interval},
		{"apart", test_apart},
		{"estimate", test_estimate},
		{"decision", test_decision},
		{"pays", test_pays},
		{"cost", test_cost},
		{"journal", test_journal},
		{"chart", test_chart},
	};
	return SUITE_RUN("search", tests);
}
