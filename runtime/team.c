/* team.c: threads that start together, meet at barriers and sleep between calls. To wait, a thread first
 * spins, because a step of a small model takes only tens of microseconds, as long as a sleep and wake-up.
 * Then it sleeps on a futex. Linux only, like all emitted code. The caller divides the work. */
#include "team.h"
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	RT_TEAM_SPINS = 4000,          /* pauses of 50-100 us in total */
	RT_TEAM_STACK_BYTES = 1 << 20, /* kernels keep their tiles in registers and a few KB of stack */
};

RT_API double rt_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

RT_INLINE void team_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
	__asm__ volatile("yield");
#endif
}

/* Waits until *flag differs from `seen`. A thread adds itself to the sleepers before its last look at the
 * flag, and a thread that changes the flag checks the sleepers afterwards. So no wake-up is lost. */
RT_FN void team_wait(RtTeam *team, _Atomic uint32_t *flag, uint32_t seen)
{
	for (int32_t i = 0; i < team->spins; i++) {
		if (atomic_load_explicit(flag, memory_order_acquire) != seen)
			return;
		team_pause();
	}
	atomic_fetch_add(&team->sleepers, 1);
	while (atomic_load(flag) == seen)
		syscall(SYS_futex, flag, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	atomic_fetch_sub(&team->sleepers, 1);
}

RT_FN void team_wake(RtTeam *team, _Atomic uint32_t *flag)
{
	atomic_fetch_add(flag, 1);
	if (atomic_load(&team->sleepers) > 0)
		syscall(SYS_futex, flag, FUTEX_WAKE_PRIVATE, RT_THREADS_MAX, NULL, NULL, 0);
}

RT_API void rt_team_barrier(RtTeam *team)
{
	if (team->size == 1)
		return;
	uint32_t phase = atomic_load_explicit(&team->phase, memory_order_relaxed);
	if (atomic_fetch_add(&team->arrived, 1) + 1 < (uint32_t)team->size) {
		team_wait(team, &team->phase, phase);
		return;
	}
	atomic_store_explicit(&team->arrived, 0, memory_order_relaxed); /* the wake-up publishes it */
	team_wake(team, &team->phase);
}

/* A worker waits for a job, runs it, meets the others at a barrier, and repeats. Jobs are numbered from the
 * team's start, so a worker that starts late still finds the first job. */
RT_FN void *team_worker(void *argument)
{
	const RtWorker *worker = argument;
	RtTeam *team = worker->team;
	for (uint32_t job = 0;; job++) {
		team_wait(team, &team->job, job);
		if (!team->function)
			return NULL;
		team->function(team->argument, worker->thread);
		rt_team_barrier(team);
	}
}

RT_API int32_t team_cpus(void)
{
	cpu_set_t sets[8]; /* 8192 CPUs, the most that Linux supports; with less room the call fails */
	memset(sets, 0, sizeof sets);
	int count = sched_getaffinity(0, sizeof sets, sets) == 0 ? CPU_COUNT_S(sizeof sets, sets) : 0;
	return count > 0 ? count : 1;
}

/* Makes the workers. They block all signals, which the threads of the host program should handle. */
RT_FN int team_make(RtTeam *team, int32_t threads)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int32_t made = 0;
	team->size = threads;
	team->process = getpid();
	team->function = NULL;
	team->spins = threads > team_cpus() ? 0 : RT_TEAM_SPINS;
	atomic_store(&team->job, 0);
	atomic_store(&team->phase, 0);
	atomic_store(&team->arrived, 0);
	atomic_store(&team->sleepers, 0);
	if (threads == 1)
		return 0;
	if (pthread_attr_init(&attributes) != 0)
		return -1;
	pthread_attr_setstacksize(&attributes, RT_TEAM_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; made < threads - 1; made++) {
		RtWorker *worker = &team->workers[made];
		*worker = (RtWorker){.team = team, .thread = made + 1};
		if (pthread_create(&worker->handle, &attributes, team_worker, worker) != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (made == threads - 1)
		return 0;
	/* Some threads failed to start: the others return without a barrier. */
	team->size = made + 1;
	rt_team_stop(team);
	return -1;
}

RT_API size_t rt_team_bytes(int32_t threads) { return (size_t)(threads - 1) * sizeof(RtWorker); }

RT_API int rt_team_start(RtTeam *team, int32_t threads, void *workers)
{
	team->workers = workers;
	return team_make(team, threads);
}

RT_API void rt_team_stop(RtTeam *team)
{
	if (team->size > 1 && team->process == getpid()) {
		team->function = NULL;
		team_wake(team, &team->job);
		for (int32_t i = 0; i < team->size - 1; i++)
			pthread_join(team->workers[i].handle, NULL);
	}
	team->size = 1;
}

RT_API int32_t rt_team_ready(RtTeam *team)
{
	if (team->size > 1 && team->process != getpid())
		(void)team_make(team, team->size); /* on failure the size becomes 1 */
	return team->size;
}

RT_API void rt_team_run(RtTeam *team, RtTeamFn *function, void *argument)
{
	if (rt_team_ready(team) > 1) {
		team->function = function;
		team->argument = argument;
		team_wake(team, &team->job);
	}
	function(argument, 0);
	rt_team_barrier(team);
}
