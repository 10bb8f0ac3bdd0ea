/* team.h: a fixed team of threads that run one function together (SPMD). The caller is thread 0; a team of
 * one starts no thread. The team is part of its context; only pthread_create allocates memory. */
#ifndef RT_TEAM_H
#define RT_TEAM_H
#include "rt.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum { RT_THREADS_MAX = 256 };

typedef void RtTeamFn(void *argument, int32_t thread);
typedef struct RtTeam RtTeam;
typedef struct RtWorker {
	RtTeam *team;
	int32_t thread;
	pthread_t handle;
} RtWorker;

struct RtTeam {
	int32_t size;  /* threads, including the caller */
	int32_t spins; /* checks of a flag before sleeping on it; 0 if there are more threads than CPUs */
	pid_t process; /* the process that made the workers; a child after fork() has none */
	RtTeamFn *function;
	void *argument;    /* of the current job; function NULL: the workers return */
	RtWorker *workers; /* size - 1 of them, in the context's memory */
	/* Each flag has its own cache line, because waiting threads read it constantly. */
	_Alignas(64) _Atomic uint32_t job;      /* incremented by every rt_team_run */
	_Alignas(64) _Atomic uint32_t phase;    /* incremented at every barrier */
	_Alignas(64) _Atomic uint32_t arrived;  /* threads waiting at the barrier */
	_Alignas(64) _Atomic uint32_t sleepers; /* threads that may sleep on job or phase */
};

/* CPUs that this process may use, as its affinity says. */
RT_API int32_t team_cpus(void);
/* Bytes of the workers' table; 0 for one thread. */
RT_API size_t rt_team_bytes(int32_t threads);
/* workers: rt_team_bytes(threads) bytes. Returns 0, or -1 when the threads could not be made. */
RT_API int rt_team_start(RtTeam *, int32_t threads, void *workers);
RT_API void rt_team_stop(RtTeam *);
/* Runs function(argument, t) for t = 0 .. size-1 at the same time and returns when all are through. In the
 * child of a fork() the workers are made anew first; where that fails, the team shrinks to the caller. */
RT_API void rt_team_run(RtTeam *, RtTeamFn *, void *argument);
/* The team's size as rt_team_run would find it now: remakes the workers in the child of a fork(). */
RT_API int32_t rt_team_ready(RtTeam *);
/* Inside the function: waits until every thread of the team has come here. Writes before it are seen by all
 * after it. */
RT_API void rt_team_barrier(RtTeam *);
/* Seconds of a clock that only goes forward. */
RT_API double rt_seconds(void);
#endif
