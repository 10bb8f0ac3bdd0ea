/* steps.h: what the emitted run() is made of besides kernels: where values lie in a call's arena, which share of a step is a
 * thread's, and the end of a step. Every thread runs every step on its share (SPMD); no result depends on the shares. */
#ifndef RT_STEPS_H
#define RT_STEPS_H
#include "model.h"
#include "team.h"

/* Where a value begins that plan-memory put at `offset` of a region (IR.md, Arena). */
RT_INLINE void *rt_tokens(const RtCall *call, size_t offset) { return call->tokens + offset * (size_t)call->ntokens; }
RT_INLINE void *rt_texts(const RtCall *call, size_t offset) { return call->texts + offset * (size_t)call->ntexts; }
RT_INLINE void *rt_pairs(const RtCall *call,
	size_t offset) { return call->pairs + offset * (size_t)call->ntokens * (size_t)call->longest; }

/* Rows [r0, r1) and weight panels [p0, p1) of a thread. */
typedef struct RtShare { int r0, r1, p0, p1; } RtShare;

RT_INLINE RtShare rt_share_rows(const RtCall *call, int32_t thread, int rows)
{
	return (RtShare){rt_part(rows, thread, call->threads), rt_part(rows, thread + 1, call->threads), 0, 0};
}

/* A linear: many rows are divided, each thread reading all weights; of few rows every thread takes all, and a part of the
 * weights. 16 rows a thread keep a tile of 12 to 16 rows full. */
RT_INLINE RtShare rt_share_linear(const RtCall *call, int32_t thread, int rows, int panels)
{
	const int32_t threads = call->threads;
	if (rows >= 16 * threads)
		return (RtShare){rt_part(rows, thread, threads), rt_part(rows, thread + 1, threads), 0, panels};
	return (RtShare){0, rows, rt_part(panels, thread, threads), rt_part(panels, thread + 1, threads)};
}

/* Copies a thread's share of an output, `width` floats a row, to where the caller wants it. */
RT_INLINE void rt_copy_out(const RtCall *call, int32_t thread, int output, const void *from, int rows, size_t width)
{
	if (!call->out[output])
		return;
	const size_t begin = (size_t)rt_part(rows, thread, call->threads) * width, end = (size_t)rt_part(rows, thread + 1,
		call->threads) * width;
	if (begin < end)
		memcpy(call->out[output] + begin, (const float *)from + begin, (end - begin) * sizeof(float));
}

/* When the first step begins; 0 when nobody asks. */
RT_INLINE double rt_steps_begin(const RtCall *call, int32_t thread)
{
	return call->step_seconds && thread == 0 ? rt_seconds() : 0;
}

/* Ends a step: all threads wait for each other. Adds its time since `began` to step_seconds and returns when the next begins. */
RT_INLINE double rt_step_end(const RtCall *call, int32_t thread, int step, double began)
{
	rt_team_barrier(call->team);
	if (!call->step_seconds || thread != 0)
		return 0;
	const double now = rt_seconds();
	call->step_seconds[step] += now - began;
	return now;
}
#endif
