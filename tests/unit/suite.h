/* suite.h: the main of a unit program: its tests as a table, run as one suite of CUnit. */
#ifndef SUITE_H
#define SUITE_H
#include <CUnit/Basic.h>
#include <stdbool.h>

typedef struct SuiteTest {
	const char *name;
	void (*run)(void);
} SuiteTest;

/* Runs the tests in order. Returns the exit status: 0 when every test ran and no assertion failed. */
static inline int suite_run(const char *name, const SuiteTest *tests, size_t count)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	CU_pSuite suite = CU_add_suite(name, NULL, NULL);
	for (size_t i = 0; suite && i < count; i++)
		CU_add_test(suite, tests[i].name, tests[i].run);
	CU_basic_run_tests();
	const bool good = CU_get_number_of_failures() == 0 && CU_get_number_of_tests_run() == count;
	CU_cleanup_registry();
	return good ? 0 : 1;
}

#define SUITE_RUN(name, tests) suite_run(name, tests, sizeof(tests) / sizeof *(tests))
#endif
