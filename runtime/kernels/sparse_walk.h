/* sparse_walk.h: the loops of linears with sparse weights over rows, panels, blocks and bands, for all
 * instruction sets. Rows are brought into lanes, as many as the registers allow. The sums of a panel, at most
 * 16 KiB, accumulate over blocks of inputs of at most 24 KiB. Then they are turned back into rows.
 *
 * Each instruction set has its own SparseKernel and the functions that begin sums, add the words of a step,
 * and end sums. They are literal arguments where a piece is instantiated, so they are inlined: the loop over
 * words has no calls. */
#ifndef RT_SPARSE_WALK_H
#define RT_SPARSE_WALK_H
#include "sparse_rows.h"
#include "tile__scalar.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum {
	SPARSE_WALK_LEAST = 8,
	SPARSE_WALK_MOST = 64,
	SPARSE_WALK_TILE = 16
}; /* most lanes; outputs that are turned back at once */

/* Buffer for rows of K codes in lanes, as bytes, before the inputs are reordered. It follows x, where a word
 * takes `bytes` bytes per lane. Whole registers of 64 inputs are written. */
RT_INLINE void *sparse_walk_beside(void *x, int K, int lanes, int bytes)
{
	return (char *)x + (size_t)((K + 63) / 64 * 16) * (size_t)(lanes * bytes);
}

/* The sums of one output, one lane per row. */
typedef union SparseSums {
	int32_t lane[64];
#if defined(__x86_64__)
	__m256i i8[4];
	__m256 f8[4];
	__m512i i16[4];
	__m512 f16[4];
#elif defined(__ARM_NEON)
	int32x4_t i4[8];
	float32x4_t f4[8];
#endif
} SparseSums;

/* sum = `start` in all lanes, or the sums at `from`. */
typedef void SparseBegin(SparseSums *sum, int32_t start, int lanes);
typedef void SparseResume(SparseSums *sum, const void *from, int lanes);
/* sum[j] += word j of each step times its inputs, for all lanes and a few outputs; bits 8j.. of `inputs` are
 * the indices. own: the sums for the second step's products, which may be sum. */
typedef void SparseStep(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes);
/* to = sum. */
typedef void SparseEnd(void *to, const SparseSums *sum, int lanes);
/* sum += own; or NULL. */
typedef void SparseJoin(SparseSums *sum, const SparseSums *own, int lanes);

/* Prefetches words, which are read once from front to back. A separate loop that prefetched after each band
 * was 1.5 % slower. */
RT_INLINE void sparse_walk_fetch(const uint8_t *words)
{
#if defined(__x86_64__)
	_mm_prefetch((const char *)words + 2048, _MM_HINT_T0);
#else
	(void)words;
#endif
}

/* The words of a band's first outputs, two steps per turn. */
RT_INLINE void sparse_walk_band(
	SparseSums *sum, SparseSums *own, const SparseBand *band, const void *x, int lanes, SparseStep *step)
{
	const uint8_t *words = band->words, *index = band->index;
	if (band->count < 2)
		return;
	uint64_t inputs = sparse_rows_indices(index);
	RT_UNROLL_NONE for (int left = band->count; left > 0; left -= 2, words += 8 * SPARSE_ROWS_BAND)
	{
		index += 2 * SPARSE_ROWS_BAND;
		const uint64_t next = sparse_rows_indices(index);
		sparse_walk_fetch(words);
		step(sum, own, inputs, words, x, lanes);
		inputs = next;
	}
}

/* The start value of the sums of output o. */
RT_INLINE int32_t sparse_walk_start(const void *start, int o, int flip)
{
	int32_t word;
	memcpy(&word, (const char *)start + 4 * o, 4);
	return flip * word;
}

/* acc[SPARSE_ROWS_PANEL][lanes] += one block, with two or all four outputs of a band at a time. If start is
 * given, sums begin with `flip` times its words: flip is 1 for biases; for sums of codes it is -128 if 128
 * was added to the inputs to make them unsigned, else 0. */
RT_INLINE void sparse_walk_piece(int32_t *acc, const void *start, const void *x, const uint8_t *at, int lanes,
	int outputs, int flip, SparseBegin *begin, SparseResume *resume, SparseStep *step, SparseEnd *end,
	SparseJoin *join)
{
	SparseBand band = {{0}, 0, NULL, NULL};
	for (int i = 0; i < SPARSE_ROWS_PANEL; i += outputs) {
		band = i % SPARSE_ROWS_BAND == 0 ? sparse_rows_band(&at) : sparse_rows_rest(band, outputs);
		SparseSums sum[SPARSE_ROWS_BAND], own[SPARSE_ROWS_BAND];
		if (start)
			RT_UNROLL_FULL for (int j = 0; j < outputs; j++)
				begin(&sum[j], sparse_walk_start(start, band.output[j], flip), lanes);
		else
			RT_UNROLL_FULL for (int j = 0; j < outputs; j++)
				resume(&sum[j], acc + lanes * band.output[j], lanes);
		if (join)
			RT_UNROLL_FULL for (int j = 0; j < outputs; j++) begin(&own[j], 0, lanes);
		sparse_walk_band(sum, join ? own : sum, &band, x, lanes, step);
		if (join)
			RT_UNROLL_FULL for (int j = 0; j < outputs; j++) join(&sum[j], &own[j], lanes);
		RT_UNROLL_FULL for (int j = 0; j < outputs; j++) end(acc + lanes * band.output[j], &sum[j], lanes);
	}
}

/* A separate function, once per program for all K. */
typedef void SparsePiece(int32_t *acc, const void *start, const void *x, const uint8_t *at);
#define SPARSE_WALK_PIECE(TARGET, kernel, lanes, outputs, flip, begin, resume, step, end, join) \
	RT_SHARED TARGET void kernel##_piece##lanes( \
		int32_t *acc, const void *start, const void *x, const uint8_t *at) \
	{ \
		sparse_walk_piece(acc, start, x, at, lanes, outputs, flip, begin, resume, step, end, join); \
	}

/* The arguments of a linear, as in linear__scalar.c and linear_i8__scalar.c. */
typedef struct SparseJob {
	TileOut out;
	const void *x, *w;
	const float *s, *ws, *bias;
	const int32_t *sums;
	int K, N, act;
} SparseJob;

/* Writes the outputs for the sums acc[SPARSE_WALK_TILE][lanes]: up to `turn` rows from row `row` on, and
 * outputs from t * SPARSE_WALK_TILE on. */
typedef void SparseLeave(const SparseJob *, const int32_t *acc, int row, int t, int rows, int lanes);

typedef struct SparseKernel {
	int inputs, bytes; /* inputs per word; bytes of a word per lane */
	int rows;          /* most lanes */
	int width;         /* above 8 lanes, a multiple of it */
	int turn;          /* lanes turned back into rows at a time */
	/* x[words][lanes] = rows of K numbers in the kernel's form; lanes past the rows repeat the last. order:
	 * order of the inputs, or NULL (sparse_rows_order) */
	void (*bring)(void *x, const void *from, const uint16_t *order, int rows, int K, int lanes);
	SparsePiece *piece[8]; /* for 8, 16, .. lanes */
} SparseKernel;

/* Computes the sums acc[SPARSE_ROWS_PANEL][lanes] of panel p over `blocks` blocks of `step` bytes each. */
RT_INLINE void sparse_walk_sum(
	SparsePiece *piece, const SparseJob *job, int32_t *acc, int p, const char *x, int blocks, size_t step)
{
	const char *start = (const char *)(job->sums ? (const void *)job->sums : job->bias)
		+ 4 * p * SPARSE_ROWS_PANEL;
	for (int b = 0; b < blocks; b++, x += step)
		piece(acc, b ? NULL : start, x, sparse_rows_piece(job->w, p * blocks + b));
}

/* Writes `turn` rows at a time for all outputs of the panel, because each row of out is in another page and
 * set of L1. */
RT_INLINE void sparse_walk_leave(SparseLeave *leave, const SparseJob *job, const int32_t *acc, int row, int p,
	int rows, int lanes, int turn)
{
	enum { TILES = SPARSE_ROWS_PANEL / SPARSE_WALK_TILE };
	const int tiles = rt_min(
		TILES, (job->N - p * SPARSE_ROWS_PANEL + SPARSE_WALK_TILE - 1) / SPARSE_WALK_TILE);
	for (int i = 0; i < rows; i += turn)
		for (int t = 0; t < tiles; t++)
			leave(job, acc + t * SPARSE_WALK_TILE * lanes + i, row + i, p * TILES + t, rt_min(turn, rows - i),
				lanes);
}

/* Computes rows r0..r1-1 and panels p0..p1-1. */
RT_SHARED void sparse_walk(const SparseKernel *kernel, SparseLeave *leave, const SparseJob *job, int r0,
	int r1, int p0, int p1, void *scratch)
{
	_Alignas(64) int32_t acc[SPARSE_ROWS_PANEL * SPARSE_WALK_MOST];
	const int count = r1 - r0, parts = (count + kernel->rows - 1) / kernel->rows;
	const int blocks = sparse_rows_blocks((job->K + kernel->inputs - 1) / kernel->inputs);
	const uint16_t *order = sparse_rows_order(
		job->w, (job->N + SPARSE_ROWS_PANEL - 1) / SPARSE_ROWS_PANEL * blocks);
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts),
				  rows = r0 + rt_part(count, part + 1, parts) - first;
		const int width = rows > SPARSE_WALK_LEAST ? kernel->width : SPARSE_WALK_LEAST,
				  lanes = (rows + width - 1) / width * width;
		SparsePiece *const piece = kernel->piece[lanes / SPARSE_WALK_LEAST - 1];
		kernel->bring(scratch,
			(const char *)job->x + (size_t)first * (size_t)job->K * (size_t)(4 / kernel->inputs), order, rows,
			job->K, lanes);
		for (int p = p0; p < p1; p++) {
			sparse_walk_sum(
				piece, job, acc, p, scratch, blocks, (size_t)(SPARSE_ROWS_BLOCK * kernel->bytes * lanes));
			sparse_walk_leave(leave, job, acc, first, p, rows, lanes, kernel->turn);
		}
	}
}

/* Kernels with the signatures of linear__scalar.c and linear_i8__scalar.c. `floats` and `codes` write the
 * outputs. */
#define SPARSE_WALK_F32(TARGET, function, kernel, floats) \
	RT_INLINE TARGET void function(float *out, const float *x, const void *w, const float *bias, int r0, \
		int r1, int p0, int p1, int K, int N, int act, void *scratch) \
	{ \
		const SparseJob job = { \
			.out = tile_floats(out), .x = x, .w = w, .bias = bias, .K = K, .N = N, .act = act}; \
		sparse_walk(&kernel, floats, &job, r0, r1, p0, p1, scratch); \
	}
#define SPARSE_WALK_I8(TARGET, isa, kernel, floats, code) \
	RT_INLINE TARGET void linear_i8_sparse__##isa(float *out, const int8_t *q, const float *s, \
		const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, \
		int p1, int K, int N, int act, void *scratch) \
	{ \
		const SparseJob job = {.out = tile_floats(out), \
			.x = q, \
			.w = w, \
			.s = s, \
			.ws = ws, \
			.bias = bias, \
			.sums = sums, \
			.K = K, \
			.N = N, \
			.act = act}; \
		sparse_walk(&kernel, floats, &job, r0, r1, p0, p1, scratch); \
	} \
	RT_INLINE TARGET void linear_i8_sparse_codes__##isa(int8_t *out, float *scales, const int8_t *q, \
		const float *s, const void *w, const float *ws, const float *bias, const float *m, const float *z, \
		const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch) \
	{ \
		const SparseJob job = {.out = tile_codes(out, m, z), \
			.x = q, \
			.w = w, \
			.s = s, \
			.ws = ws, \
			.bias = bias, \
			.sums = sums, \
			.K = K, \
			.N = N, \
			.act = act}; \
		tile_scales(scales, r0, r1, p0); \
		sparse_walk(&kernel, code, &job, r0, r1, p0, p1, scratch); \
	}
#endif
