/* directory.h: a temporary directory for unit tests that write files. */
#ifndef DIRECTORY_H
#define DIRECTORY_H
#include "tests/unit/suite.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "compiler/support/files.h"

static char *directory; /* NULL before suite_run_in_directory */

/* The path of a file in the directory. It lives until the eighth call after this one. */
static inline char *at(const char *name)
{
	static char paths[8][4096];
	static int next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof *paths, "%s/%s", directory, name);
	return path;
}

static inline void write_file(const char *name, const char *text)
{
	FILE *out = fopen(at(name), "wb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
}

/* Runs the tests and removes the directory. Returns the exit status.
 * left: the files that tests may leave, up to a NULL; the exit status is 1 when there are others. Without a
 * list they may leave anything. */
static inline int suite_run_in_directory(
	const char *name, const SuiteTest *tests, size_t count, const char *const *left)
{
	Diag diag;
	diag_init(&diag, name);
	directory = temporary_directory(&diag);
	diag_print(&diag, stderr);
	diag_free(&diag);
	if (!directory)
		return 1;
	int status = suite_run(name, tests, count);
	for (const char *const *file = left; file && *file; file++)
		unlink(at(*file));
	if (left && rmdir(directory) != 0) {
		perror(directory);
		status = 1;
	}
	remove_tree(directory);
	free(directory);
	return status;
}

#define SUITE_RUN_IN_DIRECTORY(name, tests, left) \
	suite_run_in_directory(name, tests, sizeof(tests) / sizeof *(tests), left)
#endif
