/* steps.h: the parts of the emitted run() besides kernels: places of values in the arena, a thread's share of
 * a step, chains of steps, and the end of a step. Every thread runs every step on its share (SPMD). Results
 * do not depend on the shares. Functions that a graph calls at each step are not inlined: the graph of a
 * model of 12 layers then compiles in a third of the time. */
#ifndef RT_STEPS_H
#define RT_STEPS_H
#include "model.h"
#include "team.h"

/* The start of a value that plan-memory placed at `offset` in a region (IR.md, Arena). */
RT_INLINE void *rt_tokens(const RtCall *call, size_t offset)
{
	return call->tokens + offset * (size_t)call->room_tokens;
}
RT_INLINE void *rt_texts(const RtCall *call, size_t offset)
{
	return call->texts + offset * (size_t)call->room_texts;
}
RT_INLINE void *rt_pairs(const RtCall *call, size_t offset)
{
	return call->pairs + offset * call->room_pairs;
}

/* rt_offsets: the first row of each text in values of S rows (symbol 0) or of Sk rows (symbol k), packed like
 * the tokens. rt_rows: their total number. Tables have room for all texts of the original call, although some
 * may have ended. */
RT_INLINE int32_t *rt_thinned(const RtCall *call, int symbol)
{
	return call->thinned + (size_t)(symbol - 1) * (size_t)(call->room_texts + 1);
}
RT_INLINE const int32_t *rt_offsets(const RtCall *call, int symbol)
{
	return symbol ? rt_thinned(call, symbol) : call->offsets;
}
RT_INLINE int rt_thinned_rows(const RtCall *call, int symbol)
{
	return rt_offsets(call, symbol)[call->ntexts];
}

/* Between the two halves of thin: the threads have written the number of rows of text i to offsets[i + 1];
 * this turns the numbers into offsets. */
RT_INLINE void rt_thin_meet(const RtCall *call, int32_t thread, int symbol)
{
	int32_t *offsets = rt_thinned(call, symbol);
	rt_team_barrier(call->team);
	if (thread == 0) {
		offsets[0] = 0;
		for (int32_t i = 0; i < call->ntexts; i++)
			offsets[i + 1] += offsets[i];
		call->kept[symbol - 1] = (RtKept){offsets[call->ntexts], call->ntexts};
	}
	rt_team_barrier(call->team);
}

/* Rows [r0, r1) and weight panels [p0, p1) of a thread. */
typedef struct RtShare {
	int r0, r1, p0, p1;
} RtShare;

RT_INLINE RtShare rt_share_rows(const RtCall *call, int32_t thread, int rows)
{
	return (RtShare){rt_part(rows, thread, call->threads), rt_part(rows, thread + 1, call->threads), 0, 0};
}

/* Whether there are too few rows to divide among the threads: 16 rows per thread fill a tile of 12 to 16
 * rows. */
RT_INLINE int rt_few_rows(const RtCall *call, int rows)
{
	return call->threads > 1 && rows < 16 * call->threads;
}

/* The share of a linear. Many rows are divided, and each thread reads all weights. Few rows are not divided:
 * each thread takes all of them and a part of the weights. */
RT_INLINE RtShare rt_share_linear(const RtCall *call, int32_t thread, int rows, int panels)
{
	const int32_t threads = call->threads;
	if (!rt_few_rows(call, rows))
		return (RtShare){rt_part(rows, thread, threads), rt_part(rows, thread + 1, threads), 0, panels};
	return (RtShare){0, rows, rt_part(panels, thread, threads), rt_part(panels, thread + 1, threads)};
}

/* A chain of row-wise steps over the rows of all texts. A thread takes its rows through all steps, in blocks
 * of at most `most` rows, and waits for the others only at the end. Few rows form one shared block: the
 * threads divide each step and meet after it. */
typedef struct RtChain {
	int first, rows;               /* of the block: rows [first, first + rows) of the call */
	int shared;                    /* all threads share the block */
	int begin, end, block, blocks; /* the thread's rows [begin, end), and its next block */
	char *inner;                   /* inner values of the chain: at inner + offset * rows */
} RtChain;

RT_SHARED RtChain rt_chain_begin(const RtCall *call, int32_t thread, int rows, int most)
{
	RtChain c = {
		.shared = rt_few_rows(call, rows), .begin = 0, .end = rows, .blocks = 1, .inner = call->blocks};
	if (!c.shared) {
		c.begin = rt_part(rows, thread, call->threads);
		c.end = rt_part(rows, thread + 1, call->threads);
		c.blocks = (c.end - c.begin + most - 1) / most;
		c.inner += (size_t)thread * call->block_bytes;
	}
	return c;
}

/* Goes to the next block; 0: there is none. */
RT_SHARED int rt_chain_next(RtChain *c)
{
	if (c->block == c->blocks)
		return 0;
	c->first = c->begin + rt_part(c->end - c->begin, c->block, c->blocks);
	c->block++;
	c->rows = c->begin + rt_part(c->end - c->begin, c->block, c->blocks) - c->first;
	return 1;
}

/* The block's rows of a value in the arena, with `unit` bytes per token, and of an inner value. */
RT_INLINE void *rt_chain_tokens(const RtCall *call, const RtChain *c, size_t offset, size_t unit)
{
	return call->tokens + offset * (size_t)call->room_tokens + (size_t)c->first * unit;
}
RT_INLINE void *rt_chain_inner(const RtChain *c, size_t offset)
{
	return c->inner + offset * (size_t)c->rows;
}

/* The thread's rows and panels of a step, rows counted from the block's first. */
RT_INLINE RtShare rt_chain_rows(const RtCall *call, const RtChain *c, int32_t thread)
{
	return c->shared ? rt_share_rows(call, thread, c->rows) : (RtShare){0, c->rows, 0, 0};
}
RT_INLINE RtShare rt_chain_linear(const RtCall *call, const RtChain *c, int32_t thread, int panels)
{
	return c->shared ? (RtShare){0, c->rows, rt_part(panels, thread, call->threads),
						   rt_part(panels, thread + 1, call->threads)}
					 : (RtShare){0, c->rows, 0, panels};
}

/* The largest of each column over the rows of a text, begun without rows, and then with some more. A text
 * without tokens gives zeros. */
RT_INLINE void rt_pool_begin(float *to, int columns, int rows)
{
	for (int j = 0; j < columns; j++)
		to[j] = rows ? -__builtin_inff() : 0;
}
RT_INLINE void rt_pool_max(float *to, const float *x, int rows, int columns)
{
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < columns; j++)
			to[j] = x[(size_t)i * (size_t)columns + (size_t)j] > to[j]
				? x[(size_t)i * (size_t)columns + (size_t)j]
				: to[j];
}

/* Copies a thread's share of an output, `width` floats a row, to the caller's buffer. */
RT_INLINE void rt_copy_out(
	const RtCall *call, int32_t thread, int output, const void *from, int rows, size_t width)
{
	if (!call->out[output])
		return;
	const size_t begin = (size_t)rt_part(rows, thread, call->threads) * width,
				 end = (size_t)rt_part(rows, thread + 1, call->threads) * width;
	if (begin < end)
		memcpy(call->out[output] + begin, (const float *)from + begin, (end - begin) * sizeof(float));
}

/* The start time of the first step; 0 without --profile. */
RT_INLINE double rt_steps_begin(const RtCall *call, int32_t thread)
{
	return call->step_seconds && thread == 0 ? rt_seconds() : 0;
}

/* Adds the time since `began` to the step. Returns the start time of the next. */
RT_INLINE double rt_step_time(const RtCall *call, int32_t thread, int step, double began)
{
	if (!call->step_seconds || thread != 0)
		return 0;
	const double now = rt_seconds();
	call->step_seconds[step] += now - began;
	return now;
}

/* Ends a step: all threads wait for each other. */
RT_SHARED double rt_step_end(const RtCall *call, int32_t thread, int step, double began)
{
	rt_team_barrier(call->team);
	return rt_step_time(call, thread, step, began);
}

/* Ends a step of a chain, and the end of a chain. */
RT_SHARED double rt_chain_step(const RtCall *call, const RtChain *c, int32_t thread, int step, double began)
{
	if (c->shared)
		rt_team_barrier(call->team);
	return rt_step_time(call, thread, step, began);
}
RT_SHARED double rt_chain_end(const RtCall *call, const RtChain *c, int32_t thread, int step, double began)
{
	if (!c->shared)
		rt_team_barrier(call->team);
	return rt_step_time(call, thread, step, began);
}
#endif
