/* sparse_walk.h: how linears over weights of which most are zero go through rows, panels, blocks and bands, whatever their instructions. Rows
 * are brought into lanes, as many as an instruction set has registers for; the sums of a few panels stay in L1 while a block of inputs
 * of all lanes passes by each of them; then they are turned back into rows.
 *
 * An instruction set brings its own SparseKernel and, for its pieces, how sums begin, take the words of a step, and end. Those are arguments that
 * are literals where a piece is made, and inlined: nothing is called in a loop over words. */
#ifndef RT_SPARSE_WALK_H
#define RT_SPARSE_WALK_H
#include "sparse_rows.h"
#include "tile__scalar.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum { SPARSE_WALK_SUMS = 2048, SPARSE_WALK_LEAST = 8 };   /* 8 KiB: with a block of inputs in an L1 of 32 KiB; the fewest lanes */

/* Sums of one output, a lane a row. */
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

/* sum = what lies at `from`, or `start` everywhere where from is NULL. */
typedef void SparseBegin(SparseSums *sum, const void *from, int32_t start, int lanes);
/* sum[j] += inputs of all lanes by word j of each step, for a few outputs; bits 8j.. of `inputs` say which. own: where the second step's products
 * go, sum or sums apart. */
typedef void SparseStep(SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes);
/* to = sum. */
typedef void SparseEnd(void *to, const SparseSums *sum, int lanes);
/* sum += own; or NULL. */
typedef void SparseJoin(SparseSums *sum, const SparseSums *own, int lanes);

/* The words of `outputs` outputs of a band, from its output `first` on, two steps a turn. */
RT_INLINE void sparse_walk_band(SparseSums *sum, SparseSums *own, const SparseBand *band, int first, const void *x, int lanes, SparseStep *step)
{
	const uint8_t *words = band->words + 4 * first, *index = band->index + first;
	if (!band->count)
		return;
	uint64_t inputs = sparse_rows_indices(index);
	RT_UNROLL_NONE for (int left = band->count; left > 0; left -= 2, words += 8 * SPARSE_ROWS_BAND) {
		index += 2 * SPARSE_ROWS_BAND;
		const uint64_t next = sparse_rows_indices(index);
		step(sum, own, inputs, words, x, lanes);
		inputs = next;
	}
}

/* What follows a band is needed soon. */
RT_INLINE void sparse_walk_fetch(const uint8_t *from, const uint8_t *to)
{
#if defined(__x86_64__)
	for (; from < to; from += 64)
		_mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
#else
	(void)from, (void)to;
#endif
}

/* acc[16][lanes] of a panel += one block, `outputs` of them at a time: all four of a band or two; they begin at start[16] where that is given. */
RT_INLINE void sparse_walk_piece(int32_t *acc, const int32_t *start, const void *x, const uint8_t *at, int lanes, int outputs,
                                 SparseBegin *begin, SparseStep *step, SparseEnd *end, SparseJoin *join)
{
	SparseBand band;
	for (int i = 0; i < SPARSE_ROWS_PANEL; i += outputs) {
		const int first = i % SPARSE_ROWS_BAND;
		const uint8_t *from = at;
		if (first == 0)
			band = sparse_rows_band(&at);
		SparseSums sum[SPARSE_ROWS_BAND], own[SPARSE_ROWS_BAND];
		sparse_walk_fetch(from, at);
		RT_UNROLL_FULL for (int j = 0; j < outputs; j++) {
			const int o = band.output[first + j];
			begin(&sum[j], start ? NULL : acc + lanes * o, start ? start[o] : 0, lanes);
			if (join)
				begin(&own[j], NULL, 0, lanes);
		}
		sparse_walk_band(sum, join ? own : sum, &band, first, x, lanes, step);
		RT_UNROLL_FULL for (int j = 0; j < outputs; j++) {
			if (join)
				join(&sum[j], &own[j], lanes);
			end(acc + lanes * band.output[first + j], &sum[j], lanes);
		}
	}
}

/* A function of its own, once in a program whatever K is. */
typedef void SparsePiece(int32_t *acc, const int32_t *start, const void *x, const uint8_t *at);
#define SPARSE_WALK_PIECE(TARGET, kernel, lanes, outputs, begin, step, end, join) \
RT_SHARED TARGET void kernel##_piece##lanes(int32_t *acc, const int32_t *start, const void *x, const uint8_t *at) \
{ sparse_walk_piece(acc, start, x, at, lanes, outputs, begin, step, end, join); }

/* A linear: floats or codes x, weights w, and of the latter's outputs what linear__scalar.c and linear_i8__scalar.c say; the sums of codes
 * begin at `flip` times an output's sum of weights. */
typedef struct SparseJob {
	TileOut out;
	const void *x, *w;
	const float *s, *ws, *bias;
	const int32_t *sums;
	int flip, K, N, act;
} SparseJob;

/* out = what the sums at acc[16][lanes] come to, for up to `turn` rows from row `row` on and the outputs of panel p. */
typedef void SparseLeave(const SparseJob *, const int32_t *acc, int row, int p, int rows, int lanes);

typedef struct SparseKernel {
	int inputs, bytes;        /* of a word; what they take in a lane */
	int rows, width, turn;    /* lanes at most; more than 8 come in multiples of `width`; lanes that are turned back into rows at a time */
	/* x[words][lanes] = rows of K numbers, whatever the instructions make of them; lanes beyond the rows repeat the last */
	void (*bring)(void *x, const void *from, int rows, int K, int lanes);
	SparsePiece *piece[8];    /* for 8, 16, .. lanes */
} SparseKernel;

/* The sums acc[panels][16][kernel->rows] of panels p.. */
RT_INLINE void sparse_walk_sum(const SparseKernel *kernel, const SparseJob *job, int32_t *acc, int p, int panels, int lanes, const char *x)
{
	enum { NR = SPARSE_ROWS_PANEL, LEAST_ROWS = 16 };
	int32_t start[SPARSE_WALK_SUMS / LEAST_ROWS];
	const int blocks = sparse_rows_blocks((job->K + kernel->inputs - 1) / kernel->inputs);
	SparsePiece *const piece = kernel->piece[lanes / SPARSE_WALK_LEAST - 1];
	if (job->sums)
		for (int o = 0; o < panels * NR; o++)
			start[o] = job->flip * job->sums[p * NR + o];
	else
		memcpy(start, job->bias + p * NR, (size_t)(panels * NR) * 4);
	for (int b = 0; b < blocks; b++, x += (size_t)SPARSE_ROWS_BLOCK * (size_t)(kernel->bytes * lanes))
		for (int c = 0; c < panels; c++)
			piece(acc + c * NR * kernel->rows, b ? NULL : start + c * NR, x, sparse_rows_piece(job->w, (p + c) * blocks + b));
}

/* Rows r0..r1 by panels p0..p1. Rows of out lie in as many pages and sets of the L1 as there are rows: `turn` of them at a time by all panels,
 * which took up to 5 % off int8 with AVX-512 VNNI on BERT-base's shapes at 97 % of zeros, and nothing on MiniLM's. */
RT_SHARED void sparse_walk(const SparseKernel *kernel, SparseLeave *leave, const SparseJob *job, int r0, int r1, int p0, int p1, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL };
	_Alignas(64) int32_t acc[SPARSE_WALK_SUMS];
	const int count = r1 - r0, parts = (count + kernel->rows - 1) / kernel->rows, most = SPARSE_WALK_SUMS / (NR * kernel->rows);
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int width = rows > SPARSE_WALK_LEAST ? kernel->width : SPARSE_WALK_LEAST, lanes = (rows + width - 1) / width * width;
		kernel->bring(scratch, (const char *)job->x + (size_t)first * (size_t)job->K * (size_t)(4 / kernel->inputs), rows, job->K, lanes);
		for (int p = p0, panels; p < p1; p += panels) {
			panels = rt_min(most, p1 - p);
			sparse_walk_sum(kernel, job, acc, p, panels, lanes, scratch);
			for (int i = 0; i < rows; i += kernel->turn)
				for (int c = 0; c < panels; c++)
					leave(job, acc + c * NR * kernel->rows + i, first + i, p + c, rt_min(kernel->turn, rows - i), lanes);
		}
	}
}

/* The signatures of kernels, which linear__scalar.c and linear_i8__scalar.c explain: `floats` and `codes` leave sums. */
#define SPARSE_WALK_F32(TARGET, function, kernel, floats) \
RT_INLINE TARGET void function(float *out, const float *x, const void *w, const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act, \
                               void *scratch) \
{ \
	const SparseJob job = {.out = tile_floats(out), .x = x, .w = w, .bias = bias, .K = K, .N = N, .act = act}; \
	sparse_walk(&kernel, floats, &job, r0, r1, p0, p1, scratch); \
}
#define SPARSE_WALK_I8(TARGET, isa, kernel, flipped, floats, code) \
RT_INLINE TARGET void linear_i8_sparse__##isa(float *out, const int8_t *q, const float *s, const void *w, const float *ws, const float *bias, \
                                              const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch) \
{ \
	const SparseJob job = {.out = tile_floats(out), .x = q, .w = w, .s = s, .ws = ws, .bias = bias, .sums = sums, .flip = flipped, .K = K, .N = N, \
		.act = act}; \
	sparse_walk(&kernel, floats, &job, r0, r1, p0, p1, scratch); \
} \
RT_INLINE TARGET void linear_i8_sparse_codes__##isa(int8_t *out, float *scales, const int8_t *q, const float *s, const void *w, const float *ws, \
                                                    const float *bias, const float *m, const float *z, const int32_t *sums, int r0, int r1, \
                                                    int p0, int p1, int K, int N, int act, void *scratch) \
{ \
	const SparseJob job = {.out = tile_codes(out, m, z), .x = q, .w = w, .s = s, .ws = ws, .bias = bias, .sums = sums, .flip = flipped, .K = K, .N = N, \
		.act = act}; \
	tile_scales(scales, r0, r1, p0); \
	sparse_walk(&kernel, code, &job, r0, r1, p0, p1, scratch); \
}
#endif
