/* test_api_threads.c: the threads of a context (runtime/team.c): their number, barriers that lose no thread,
 * and fork. */
#include "tests/unit/api_batch.h"
#include "tests/unit/suite.h"
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

/* Threads of this process. */
static int tasks(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;
	for (const struct dirent *entry; directory && (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	if (directory)
		closedir(directory);
	return count;
}

/* With one thread, only the caller runs; no thread is created. With n threads, n - 1 are created once and end
 * with the context. */
static void test_tasks(void)
{
	static Batch b;
	static float out[2 * 60];
	const int before = tasks();
	batch_make(&b, 60);
	for (int threads = 1; threads <= 4; threads++) {
		RtContext *c = rt_new(&tiny_model, threads);
		CU_ASSERT_EQUAL(tasks(), before + threads - 1);
		for (int i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(rt_run_ids(c, b.ids, b.types, b.offsets, b.texts, out, 120), RT_OK);
		CU_ASSERT_EQUAL(tasks(), before + threads - 1);
		rt_free(c);
		for (int wait = 0; wait < 1000 && tasks() != before;
			wait++) /* the kernel removes a joined thread from its list a little later */
			usleep(1000);
		CU_ASSERT_EQUAL(tasks(), before);
	}
}

/* ---- forks ----------------------------------------------------------------------------------- */

enum { FORKED_TEXTS = 60, FORKED_FLOATS = 2 * FORKED_TEXTS };
static Batch forked_batch;
static float forked_want[FORKED_FLOATS]; /* the answer to that call */

/* A context of three threads that has answered once. */
static RtContext *forked_context(void)
{
	const Batch *b = &forked_batch;
	batch_make(&forked_batch, FORKED_TEXTS);
	RtContext *c = rt_new(&tiny_model, 3);
	CU_ASSERT_EQUAL(rt_run_ids(c, b->ids, b->types, b->offsets, b->texts, forked_want, FORKED_FLOATS), RT_OK);
	return c;
}

/* Whether it gives the same answer again. */
static int answers(RtContext *c)
{
	static float out[FORKED_FLOATS];
	const Batch *b = &forked_batch;
	memset(out, 0, sizeof out);
	return rt_run_ids(c, b->ids, b->types, b->offsets, b->texts, out, FORKED_FLOATS) == RT_OK
		&& memcmp(forked_want, out, sizeof out) == 0;
}

/* Whether a child ends with 0. */
static int ends_well(pid_t child)
{
	int status = -1;
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Children of children: each makes the workers anew when it first calls. */
static int forked(RtContext *c, int depth)
{
	const pid_t child = fork();
	if (child == 0) {
		alarm(20); /* a lost wake-up must fail, not hang */
		const int alone = tasks() == 1;
		const int same = answers(c) && tasks() == c->team.size;
		const int below = depth == 0 || forked(c, depth - 1);
		rt_free(c);
		_exit(alone && same && below ? 0 : 1);
	}
	return ends_well(child);
}

static void test_fork_deep(void)
{
	RtContext *c = forked_context();
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_FATAL(forked(c, 2));
		CU_ASSERT(answers(c));
		if (i % 5 == 0)
			usleep(2000); /* the workers fall asleep */
	}
	rt_free(c);
}

static void test_fork(void)
{
	RtContext *c = forked_context();
	const pid_t child = fork();
	if (child == 0) {
		alarm(20); /* a lost wake-up must fail, not hang */
		const int same = answers(c) && c->team.size == 3;
		rt_free(c);
		_exit(same ? 0 : 1);
	}
	CU_ASSERT(ends_well(child));
	CU_ASSERT(answers(c));
	const pid_t idle = fork(); /* a child that only frees the context: it has no workers to join */
	if (idle == 0) {
		alarm(20);
		rt_free(c);
		_exit(0);
	}
	CU_ASSERT(ends_well(idle));
	rt_free(c);
}

/* Many short runs, with and without sleeping: no barrier may lose a thread. */
typedef struct Count {
	RtTeam *team;
	_Atomic int sum;
	int wrong;
} Count;

static void count_in(void *argument, int32_t thread)
{
	Count *count = argument;
	for (int round = 1; round <= 3; round++) {
		atomic_fetch_add(&count->sum, thread + 1);
		rt_team_barrier(count->team);
		if (atomic_load(&count->sum) != round * count->team->size * (count->team->size + 1) / 2)
			count->wrong = 1;
		rt_team_barrier(count->team);
	}
}

static void test_team(void)
{
	RtTeam team;
	RtWorker workers[8];
	for (int threads = 1; threads <= 5; threads += 2) {
		CU_ASSERT_EQUAL(rt_team_start(&team, threads, workers), 0);
		for (int i = 0; i < 300; i++) {
			Count count = {.team = &team};
			team.spins = i % 3 * 20;
			if (i % 50 == 0)
				usleep(1000); /* let the workers fall asleep */
			rt_team_run(&team, count_in, &count);
			CU_ASSERT_EQUAL(count.wrong, 0);
			CU_ASSERT_EQUAL(count.sum, 3 * threads * (threads + 1) / 2);
		}
		rt_team_stop(&team);
		rt_team_stop(&team);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"team", test_team},
		{"fork", test_fork},
		{"threads that are made", test_tasks},
		{"children of children", test_fork_deep},
	};
	return SUITE_RUN("api threads", tests);
}
