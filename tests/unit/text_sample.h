/* text_sample.h: what the tests of the text form share: texts, where their files lie, and what is expected of
 * them. */
#ifndef TEXT_SAMPLE_H
#define TEXT_SAMPLE_H
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ir/text/text.h"

typedef struct Case {
	const char *text;
	int line;
	const char *message;
} Case;

#define BODY(line) "graph @main(%ids: i32[S]) {\n  " line "\n  return x=%ids\n}\n"

static char directory[4000];

static inline Module *parse(const char *text, Diag *diag)
{
	diag_init(diag, "t.bir");
	return module_parse(text, strlen(text), directory, NULL, diag);
}

static inline char *in_directory(const char *name)
{
	static char paths[4][4200];
	static int turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

/* A directory of the test's own; false: there is none. */
static inline bool directory_make(void)
{
	const char *temporary = getenv("TMPDIR");
	snprintf(directory, sizeof directory, "%s/text.XXXXXX", temporary ? temporary : P_tmpdir);
	return mkdtemp(directory) != NULL;
}

/* Runs the tests; the exit status, 1 too when they left other files than these. */
static inline int run_and_clean(const char *const *files, size_t count)
{
	CU_basic_run_tests();
	int failures = (int)CU_get_number_of_failures();
	CU_cleanup_registry();
	for (size_t i = 0; i < count; i++)
		unlink(in_directory(files[i]));
	if (rmdir(directory) != 0) {
		perror(directory);
		failures++;
	}
	return failures != 0;
}
#endif
