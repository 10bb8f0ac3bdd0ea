/* test_kernels.c: runs kernel_checks.h on this machine, one CUnit test per group, and checks the table of
 * kernels. */
#include "tests/unit/kernel_checks.h"
#include "tests/unit/suite.h"

static int group; /* the check of the next test, because CUnit passes no argument */

static void test_group(void)
{
	int before = failures;
	kernel_checks[group++].run();
	CU_ASSERT_EQUAL(failures, before);
}

static const Row all[] = {
#define KERNEL(OP, DTYPE, function, isa, ...) \
	{.op = OP_##OP, .dtype = RT_STORED_##DTYPE, .name = #function, .needs = isa, .file = __VA_ARGS__},
#include "runtime/kernels.def"
};
enum { ALL = sizeof all / sizeof *all };

static bool same_form(const Row *a, const Row *b)
{
	return a->op == b->op && a->variant == b->variant && a->dtype == b->dtype;
}

/* Every form of an op has a scalar row, and it comes first, so that any target finds a kernel. */
static void test_scalar_rows(void)
{
	for (int i = 0; i < ALL; i++) {
		int first = 0;
		while (!same_form(&all[first], &all[i]))
			first++;
		CU_ASSERT_EQUAL(all[first].needs, 0);
		CU_ASSERT(first == i || all[i].needs != 0);
	}
}

/* A row that only tuning chooses has its tile, for the cost model, and so has the row that it replaces. Only
 * sparse rows have the column `pays`. */
static void test_columns(void)
{
	for (int i = 0; i < ALL; i++) {
		const Row *row = &all[i];
		const bool sparse = row->variant & KERNEL_SPARSE;
		CU_ASSERT(!row->alternative || row->tile.rows);
		CU_ASSERT_EQUAL(row->tile.rows != 0, row->tile.vectors != 0);
		CU_ASSERT_EQUAL(sparse, row->pays.tokens > 1);
		CU_ASSERT(
			!sparse || (row->pays.one > 0 && row->pays.one <= row->pays.percent && row->pays.percent < 100));
		CU_ASSERT(row->group ? row->panel : !row->panel || row->op == OP_LSTM || row->op == OP_GRU);
		for (int j = 0; j < i && row->alternative; j++)
			if (same_form(&all[j], row) && all[j].needs == row->needs)
				CU_ASSERT(all[j].tile.rows);
	}
}

int main(void)
{
	SuiteTest tests[2 + KERNEL_CHECKS] = {{"scalar_rows", test_scalar_rows}, {"columns", test_columns}};
	for (int i = 0; i < KERNEL_CHECKS; i++)
		tests[2 + i] = (SuiteTest){kernel_checks[i].name, test_group};
	load_rows();
	const int status = SUITE_RUN("kernels", tests);
	printf("%d rows ran on this CPU, %d comparisons\n", nrows, checks);
	return status;
}
