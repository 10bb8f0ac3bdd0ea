/* test_kernels.c: kernel_checks.h on this machine, one CUnit test a group, and what a table of kernels must
 * be. */
#include "tests/unit/kernel_checks.h"
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

static int group; /* the check that the next test runs: CUnit passes no argument */

static void test_group(void)
{
	int before = failures;
	kernel_checks[group++].run();
	CU_ASSERT_EQUAL(failures, before);
}

/* Every op has a scalar row, and it comes first, so that any target finds a kernel. */
static void test_table(void)
{
	static const char *const names[] = {
#define KERNEL(op, dtype, function, needs, panel, group, per_token, scratch, staged, file) \
	op "/" #dtype "/" #needs,
#include "runtime/kernels.def"
#undef KERNEL
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t key = (size_t)(strrchr(names[i], '/') - names[i]) + 1, first = 0;
		while (strncmp(names[first], names[i], key) != 0)
			first++;
		CU_ASSERT_STRING_EQUAL(names[first] + key, "0");
		CU_ASSERT(first == i || strcmp(names[i] + key, "0") != 0);
	}
}

int main(void)
{
	load_rows();
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("kernels", NULL, NULL);
	CU_add_test(suite, "table", test_table);
	for (int i = 0; i < KERNEL_CHECKS; i++)
		CU_add_test(suite, kernel_checks[i].name, test_group);
	CU_basic_run_tests();
	printf("%d rows ran on this CPU, %d comparisons\n", nrows, checks);
	int failed = (int)CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed != 0;
}
