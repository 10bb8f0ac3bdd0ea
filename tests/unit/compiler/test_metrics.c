/* test_metrics.c: compares compiler/measure/metrics.c with numbers calculated by hand. */
#include "compiler/measure/metrics.h"
#include "tests/unit/suite.h"
#include <math.h>

static void test_closeness(void)
{
	const double reference[] = {1, -2, 0.5};
	const float same[] = {1, -2, 0.5f}, off[] = {1, -2.25f, 0.5f}, broken[] = {1, NAN, 0.5f},
				opposite[] = {-1, 2, -0.5f};
	Closeness c = metric_closeness(reference, same, 3);
	CU_ASSERT_EQUAL(c.max_abs, 0);
	CU_ASSERT_EQUAL(c.largest, 2);
	CU_ASSERT_DOUBLE_EQUAL(c.cosine, 1, 1e-15);
	c = metric_closeness(reference, off, 3);
	CU_ASSERT_DOUBLE_EQUAL(c.max_abs, 0.25, 1e-15);
	CU_ASSERT_DOUBLE_EQUAL(c.cosine, 5.75 / sqrt(5.25) / sqrt(6.3125), 1e-12);
	c = metric_closeness(reference, opposite, 3);
	CU_ASSERT_DOUBLE_EQUAL(c.cosine, -1, 1e-15);
	c = metric_closeness(reference, broken, 3);
	CU_ASSERT(isinf(c.max_abs));
	CU_ASSERT_EQUAL(c.cosine, 0);
	const double zeros[] = {0, 0, 0};
	const float none[] = {0, 0, 0};
	CU_ASSERT_EQUAL(metric_closeness(zeros, none, 3).cosine, 1);
	CU_ASSERT_EQUAL(metric_closeness(zeros, same, 3).cosine, 0);
}

static void test_spearman(void)
{
	const double a[] = {1, 2, 3, 4, 5}, cubes[] = {1, 8, 27, 64, 125}, down[] = {9, 7, 5, 3, 1},
				 flat[] = {2, 2, 2, 2, 2};
	CU_ASSERT_DOUBLE_EQUAL(metric_spearman(a, cubes, 5), 1, 1e-15);
	CU_ASSERT_DOUBLE_EQUAL(metric_spearman(a, down, 5), -1, 1e-15);
	CU_ASSERT(isnan(metric_spearman(a, flat, 5)));
	CU_ASSERT(isnan(metric_spearman(a, a, 1)));
	const double ties[] = {1, 2, 2, 3}, order[] = {1, 3, 2, 4}; /* ranks 1 2.5 2.5 4: 4.5 / sqrt(4.5 * 5) */
	CU_ASSERT_DOUBLE_EQUAL(metric_spearman(ties, order, 4), sqrt(0.9), 1e-12);
	const double broken[] = {1, NAN, 2, 3};
	CU_ASSERT(isnan(metric_spearman(ties, broken, 4)));
}

static void test_quantiles(void)
{
	double values[] = {5, 1, 4, 2, 3};
	metric_sort(values, 5);
	CU_ASSERT_EQUAL(values[0], 1);
	CU_ASSERT_EQUAL(values[4], 5);
	CU_ASSERT_EQUAL(metric_quantile(values, 5, 0.5), 3);
	CU_ASSERT_EQUAL(metric_quantile(values, 5, 0), 1);
	CU_ASSERT_EQUAL(metric_quantile(values, 5, 1), 5);
	CU_ASSERT_DOUBLE_EQUAL(metric_quantile(values, 5, 0.9), 4.6, 1e-12);
	CU_ASSERT_EQUAL(metric_quantile(values, 1, 0.99), 1);
	CU_ASSERT(isnan(metric_quantile(values, 0, 0.5)));
	CU_ASSERT_DOUBLE_EQUAL(metric_stddev(values, 5), sqrt(2.5), 1e-12);
	CU_ASSERT_EQUAL(metric_stddev(values, 1), 0);
}

typedef struct SpanCase {
	const char *gold[6], *predicted[6];
	int words, right, spurious, missed;
} SpanCase;

static void test_spans(void)
{
	static const SpanCase cases[] = {
		{{"B-X", "I-X", "O"}, {"B-X", "I-X", "O"}, 3, 1, 0, 0},
		{{"B-X", "I-X", "O"}, {"B-X", "O", "O"}, 3, 0, 1, 1},       /* too short: one spurious, one missed */
		{{"B-X", "I-X", "O"}, {"B-Y", "I-Y", "O"}, 3, 0, 1, 1},     /* another type */
		{{"B-X", "B-X", "O"}, {"B-X", "I-X", "O"}, 3, 0, 1, 2},     /* two spans side by side against one */
		{{"O", "I-X", "I-X"}, {"O", "B-X", "I-X"}, 3, 1, 0, 0},     /* an I- after O starts a span */
		{{"B-X", "I-Y", "O"}, {"B-X", "B-Y", "O"}, 3, 2, 0, 0},     /* an I- of another type starts one too */
		{{"NAME", "NAME", "O"}, {"NAME", "NAME", "O"}, 3, 1, 0, 0}, /* no prefix: neighbours are one span */
		{{"NAME", "PLACE", "O"}, {"NAME", "PLACE", "O"}, 3, 2, 0, 0},
		{{"O", "O"}, {"O", "O"}, 2, 0, 0, 0},
		{{"O", "B-X"}, {"B-X", "O"}, 2, 0, 1, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		SpanCounts counts = {0, 0, 0};
		metric_spans(cases[i].gold, cases[i].predicted, cases[i].words, RT_SCHEME_IOB2, &counts);
		CU_ASSERT_EQUAL(counts.right, cases[i].right);
		CU_ASSERT_EQUAL(counts.spurious, cases[i].spurious);
		CU_ASSERT_EQUAL(counts.missed, cases[i].missed);
	}
	const SpanCounts paper = {826, 209, 134}, nothing = {0, 3, 3};
	CU_ASSERT_DOUBLE_EQUAL(metric_f1(&paper), 0.8281, 5e-5);
	CU_ASSERT_EQUAL(metric_f1(&nothing), 0);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"closeness", test_closeness},
		{"spearman", test_spearman},
		{"quantiles", test_quantiles},
		{"spans", test_spans},
	};
	return SUITE_RUN("metrics", tests);
}
