/* linear_i8_sparse__dotprod.c: linear_i8_sparse__scalar.c with SDOT, tokens in lanes: a quad of weights multiplies the same four inputs of up to
 * 32 rows from its lane of a register that holds two. Codes have signs on both sides, so that sums start at 0.
 *
 * CPUs with SMMLA run it too: one that multiplies twice as many at once would need quads of two rows and two outputs side by side.
 *
 *   scratch  int8_t x[K/4 rounded up][lanes][4], lanes: 8, 16, 24 or 32 */
#if defined(__aarch64__)
#include "sparse_rows__neon.h"

/* a += x of a quad by word `which` of two. */
RT_INLINE RT_TARGET_DOTPROD void linear_i8_sparse_dotprod_add(int32x4_t *a, const int8_t *x, unsigned quad, int8x8_t two, int which, int vectors)
{
	const int8_t *from = x + (size_t)quad * (size_t)(16 * vectors);
	RT_UNROLL_FULL for (int v = 0; v < vectors; v++) {
		const int8x16_t xv = vld1q_s8(from + 16 * v);
		a[v] = which == 0 ? vdotq_lane_s32(a[v], xv, two, 0) : vdotq_lane_s32(a[v], xv, two, 1);
	}
}

/* a, b += a pair of outputs. */
RT_INLINE RT_TARGET_DOTPROD void linear_i8_sparse_dotprod_pair(int32x4_t *a, int32x4_t *b, const SparsePair *pair, const int8_t *x, int vectors)
{
	const uint8_t *words = pair->words;
	if (!pair->count)
		return;
	uint64_t at = sparse_rows_indices(pair->index);
	RT_UNROLL_NONE for (int n = 2; n <= pair->count; n += 2, words += 32) {
		const uint64_t next = sparse_rows_indices(pair->index + 4 * n);
		RT_UNROLL_FULL for (int step = 0; step < 2; step++, at >>= 32) {
			const int8x8_t two = vreinterpret_s8_u8(vld1_u8(words + 16 * step));
			linear_i8_sparse_dotprod_add(a, x, at & 255, two, 0, vectors);
			linear_i8_sparse_dotprod_add(b, x, at >> 8 & 255, two, 1, vectors);
		}
		at = next;
	}
}

/* acc[16][4 * vectors] of a panel += one block, or = the first. */
RT_INLINE RT_TARGET_DOTPROD void linear_i8_sparse_dotprod_piece(int32_t *acc, int begins, const int8_t *x, const uint8_t *at, int vectors)
{
	enum { MOST = SPARSE_NEON_ROWS / 4 };
	SparseBand band;
	for (int i = 0; i < SPARSE_ROWS_PANEL / 2; i++) {
		if (i % 2 == 0)
			band = sparse_rows_band(&at);
		const SparsePair pair = sparse_rows_pair(&band, i % 2);
		int32_t *to[2] = {acc + 4 * vectors * pair.output[0], acc + 4 * vectors * pair.output[1]};
		int32x4_t sum[2][MOST];
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				sum[j][v] = begins ? vdupq_n_s32(0) : vld1q_s32(to[j] + 4 * v);
		linear_i8_sparse_dotprod_pair(sum[0], sum[1], &pair, x, vectors);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				vst1q_s32(to[j] + 4 * v, sum[j][v]);
	}
}

/* A function of its own: four of them a program, whatever K is. */
#define LINEAR_I8_SPARSE_PIECE(vectors) \
RT_SHARED RT_TARGET_DOTPROD void linear_i8_sparse_dotprod_piece##vectors(int32_t *acc, int begins, const int8_t *x, const uint8_t *at) \
{ linear_i8_sparse_dotprod_piece(acc, begins, x, at, vectors); }
LINEAR_I8_SPARSE_PIECE(2)
LINEAR_I8_SPARSE_PIECE(4)
LINEAR_I8_SPARSE_PIECE(6)
LINEAR_I8_SPARSE_PIECE(8)
#undef LINEAR_I8_SPARSE_PIECE

RT_INLINE RT_TARGET_DOTPROD void linear_i8_sparse_dotprod(TileOut out, const int8_t *q, const float *s, const void *w, const float *ws,
                                                          const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K,
                                                          int N, int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = SPARSE_NEON_ROWS, CHUNK = SPARSE_NEON_CHUNK };
	static void (*const piece[])(int32_t *, int, const int8_t *, const uint8_t *) = {linear_i8_sparse_dotprod_piece2, linear_i8_sparse_dotprod_piece4,
		linear_i8_sparse_dotprod_piece6, linear_i8_sparse_dotprod_piece8};
	int32_t acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks((K + 3) / 4), most = blocks > 1 ? CHUNK : 1;
	(void)sums;
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int lanes = (rows + 7) / 8 * 8;
		sparse_neon_bring(scratch, q + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(most, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[lanes / 8 - 1](acc[c], b == 0, (const int8_t *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * 4 * (size_t)lanes,
						sparse_rows_piece(w, (p + c) * blocks + b));
			for (int i = 0; i < rows; i += 4)
				for (int c = 0; c < chunk; c++)
					sparse_neon_leave_sums(tile_out(out, first + i, (p + c) * NR, N), acc[c] + i, s + first + i, ws + (p + c) * NR,
						bias + (p + c) * NR, rt_min(4, rows - i), lanes, rt_min(NR, N - (p + c) * NR), N, act);
		}
	}
}

#define LINEAR_I8_SPARSE(TARGET, isa) \
RT_INLINE TARGET void linear_i8_sparse__##isa(float *out, const int8_t *q, const float *s, const void *w, const float *ws, const float *bias, \
                                              const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch) \
{ \
	linear_i8_sparse_dotprod(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch); \
} \
RT_INLINE TARGET void linear_i8_sparse_codes__##isa(int8_t *out, float *scales, const int8_t *q, const float *s, const void *w, \
                                                    const float *ws, const float *bias, const float *m, const float *z, const int32_t *sums, \
                                                    int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch) \
{ \
	tile_scales(scales, r0, r1, p0); \
	linear_i8_sparse_dotprod(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch); \
}
LINEAR_I8_SPARSE(RT_TARGET_DOTPROD, dotprod)
LINEAR_I8_SPARSE(RT_TARGET_I8MM, i8mm)
#undef LINEAR_I8_SPARSE
#endif
