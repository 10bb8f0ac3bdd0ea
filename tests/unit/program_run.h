/* program_run.h: common code of test_program.c and test_program_options.c: runs rt_main of the emitted
 * program (program.c, tasks.c, report.c) with hand-made models, in child processes with their own standard
 * input, output and error. */
#ifndef PROGRAM_RUN_H
#define PROGRAM_RUN_H
#include "tiny_model.h"
#include "runtime/json_out.c"
#include "runtime/lines.c"
#include "runtime/answers/scores.c"
#include "runtime/answers/spans.c"
#include "runtime/answers/answers.c"
#include "runtime/answers/entailment.c"
#include "runtime/answers/library.c"
#include "runtime/threads.c"
#include "runtime/labels.c"
#include "runtime/aggregate.c"
#include "runtime/tags.c"
#include "runtime/qa.c"
#include "runtime/embeddings.c"
#include "runtime/sparse.c"
#include "runtime/tasks.c"
#include "runtime/rerank.c"
#include "runtime/prompts.c"
#include "runtime/start.c"
#include "runtime/options.c"
#include "runtime/read.c"
#include "runtime/zero_shot.c"
#include "runtime/vectors.c"
#include "runtime/program.c"
#include "runtime/report.c"
#include <CUnit/Basic.h>
#include <jansson.h>
#include <stdarg.h>
#include <sys/wait.h>

/* ---- running the program --------------------------------------------------------------------- */

enum { OUT_BYTES = 1 << 16, ARGUMENTS = 32 };
static char out[OUT_BYTES], err[OUT_BYTES]; /* what the last run printed */
static size_t out_bytes;
static const char *out_path; /* where standard output goes instead; NULL: kept in `out` */

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

#define EXPECT(status, text, ...) /* expects this exit status and exactly this output */ \
	do { \
		CU_ASSERT_EQUAL(run(__VA_ARGS__, NULL), status); \
		CU_ASSERT_STRING_EQUAL(out, text); \
		if (strcmp(out, text) != 0) \
			fprintf(stderr, "line %d: got \"%s\", messages \"%s\"\n", __LINE__, out, err); \
	} while (0)
#define REFUSE(status, message, ...) /* expects this exit status and this text on standard error */ \
	do { \
		CU_ASSERT_EQUAL(run(__VA_ARGS__, NULL), status); \
		CU_ASSERT_PTR_NOT_NULL(strstr(err, message)); \
		if (!strstr(err, message)) \
			fprintf(stderr, "line %d: got \"%s\", messages \"%s\"\n", __LINE__, out, err); \
	} while (0)

/* Of the JSON on the last run's output: path a.b.c, array elements by number. NULL: there is none. */
static const json_t *value_at(const json_t *root, const char *path)
{
	char words[128];
	snprintf(words, sizeof words, "%s", path);
	for (char *word = strtok(words, "."); word && root; word = strtok(NULL, "."))
		root = json_is_array(root) ? json_array_get(root, strtoul(word, NULL, 10))
								   : json_object_get(root, word);
	return root;
}

/* NAN: no number is there. */
static double number_at(const char *path)
{
	json_t *root = json_loads(out, JSON_DECODE_ANY, NULL);
	const json_t *value = value_at(root, path);
	const double number = json_is_number(value) ? json_number_value(value) : NAN;
	json_decref(root);
	return number;
}

static const char words_20[] = "one one one one one one one one one one one one one one one one one one one "
							   "one";
#endif
