/* test_memory.c: memory that grows; out of memory, the process ends with a message and leaves no files. */
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "ir/atomic_file.h"
#include "tests/unit/directory.h"

static void test_grow(void)
{
	int *items = NULL;
	size_t capacity = 0, moves = 0;
	for (int i = 0; i < 10000; i++) {
		const size_t before = capacity;
		items = checked_grow(items, &capacity, (size_t)i + 1, sizeof *items);
		CU_ASSERT(capacity > (size_t)i);
		CU_ASSERT(capacity == before || capacity >= 2 * before);
		moves += capacity != before;
		items[i] = i;
	}
	CU_ASSERT(moves < 12);
	for (int i = 0; i < 10000; i++)
		CU_ASSERT_EQUAL(items[i], i);
	void *same = checked_grow(items, &capacity, 1, sizeof *items);
	CU_ASSERT_PTR_EQUAL(same, items);
	free(items);
	capacity = 0;
	char *bytes = checked_grow(NULL, &capacity, 1000, 1); /* more than twice what there is */
	CU_ASSERT_EQUAL(capacity, 1000);
	memset(bytes, 1, capacity);
	free(bytes);
	CU_ASSERT_EQUAL(capacity_for(SIZE_MAX - 1, 2), SIZE_MAX);
}

static void test_grow_to_nothing(void)
{
	size_t capacity = 0;
	char *items = checked_grow(NULL, &capacity, 0, 8); /* memset may have it */
	CU_ASSERT_PTR_NOT_NULL(items);
	free(items);
}

static void test_grow_in_arena(void)
{
	MemArena *mem = mem_new();
	int *items = NULL, *first = NULL;
	size_t capacity = 0;
	for (int i = 0; i < 1000; i++) {
		items = mem_grow(mem, items, &capacity, (size_t)i + 1, sizeof *items);
		first = first ? first : items;
		items[i] = i;
	}
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(items[i], i);
	CU_ASSERT_EQUAL(first[0], 0); /* the old items stay */
	mem_free(mem);
}

static void test_texts(void)
{
	char *cut = checked_strndup("abcdef", 3), *whole = checked_strdup(cut), *text,
		 *empty = checked_strdup("");
	size_t bytes;
	CU_ASSERT_STRING_EQUAL(cut, "abc");
	CU_ASSERT_STRING_EQUAL(whole, "abc");
	CU_ASSERT_STRING_EQUAL(empty, "");
	char *number = checked_printf("%s=%d", whole, 7);
	CU_ASSERT_STRING_EQUAL(number, "abc=7");
	FILE *out = text_open(&text, &bytes);
	fputs(number, out);
	text_close(out);
	CU_ASSERT_STRING_EQUAL(text, "abc=7");
	CU_ASSERT_EQUAL(bytes, 5);
	void *const owned[] = {cut, whole, empty, number, text, checked_malloc(0), checked_calloc(0, 8)};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
		CU_ASSERT_PTR_NOT_NULL(owned[i]);
		free(owned[i]);
	}
}

static void too_many_items(void)
{
	volatile size_t count = SIZE_MAX / 4 + 2; /* times 4: 4, if nobody looks */
	free(checked_calloc(count, 4));
}

static void too_large_array(void)
{
	size_t capacity = 0;
	free(checked_grow(NULL, &capacity, SIZE_MAX / 8 + 2, 8));
}

static void too_large_in_arena(void)
{
	size_t capacity = 0;
	mem_grow(mem_new(), NULL, &capacity, SIZE_MAX / 8 + 2, 8);
}

static void no_memory(void) { out_of_memory(0); }

/* Runs in a child process, which ends with EXIT_RUN and one line. Its temporary files are removed; those of
 * its parent stay. */
static void check_end(void (*run_out)(void))
{
	AtomicFile mine, child;
	Diag diag;
	char said[256] = "";
	int messages[2], status = 0;
	diag_init(&diag, "test");
	CU_ASSERT_EQUAL_FATAL(pipe(messages), 0);
	CU_ASSERT_TRUE_FATAL(atomic_open(&mine, at("parent"), &diag));
	fflush(NULL);
	const pid_t process = fork();
	if (process == 0) {
		dup2(messages[1], STDERR_FILENO);
		out_of_memory_calls(temporaries_remove);
		if (atomic_open(&child, at("child"), &diag) && temporary_directory(&diag))
			run_out();
		_exit(EXIT_DONE);
	}
	close(messages[1]);
	CU_ASSERT_EQUAL(waitpid(process, &status, 0), process);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_RUN);
	CU_ASSERT(read(messages[0], said, sizeof said - 1) > 0);
	CU_ASSERT_PTR_EQUAL(strstr(said, "bertc: error: out of memory"), said);
	CU_ASSERT_EQUAL(strchr(said, '\n')[1], '\0');
	close(messages[0]);
	CU_ASSERT_EQUAL(access(mine.temporary, F_OK), 0);
	atomic_discard(&mine);
	CU_ASSERT_EQUAL(rmdir(directory), 0); /* empty: the child left nothing */
	CU_ASSERT_EQUAL(mkdir(directory, 0700), 0);
}

static void test_ends(void)
{
	setenv("TMPDIR", directory, 1);
	check_end(too_many_items);
	check_end(too_large_array);
	check_end(too_large_in_arena);
	check_end(no_memory);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"arrays grow", test_grow},
		{"an array of no items", test_grow_to_nothing},
		{"arrays grow in an arena", test_grow_in_arena},
		{"texts", test_texts},
		{"no more memory", test_ends},
	};
	return SUITE_RUN_IN_DIRECTORY("memory", tests, NULL);
}
