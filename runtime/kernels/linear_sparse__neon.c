/* linear_sparse__neon.c: linear_sparse__avx512.c in AArch64's 32 registers of four floats: up to 32 rows in lanes, 16 registers for the sums of
 * two outputs; two weights are loaded at once and multiply from their lanes of one register.
 *
 *   scratch  float x[K rounded up to 64][lanes], lanes: 8, 16, 24 or 32 */
#if defined(__aarch64__)
#include "sparse_rows__neon.h"

/* a += x of input k by word `which` of two. */
RT_INLINE void linear_sparse_neon_add(float32x4_t *a, const float *x, unsigned k, float32x2_t two, int which, int vectors)
{
	const float *from = x + (size_t)k * (size_t)(4 * vectors);
	RT_UNROLL_FULL for (int v = 0; v < vectors; v++) {
		const float32x4_t xv = vld1q_f32(from + 4 * v);
		a[v] = which == 0 ? vfmaq_lane_f32(a[v], xv, two, 0) : vfmaq_lane_f32(a[v], xv, two, 1);
	}
}

/* a, b += a pair of outputs. */
RT_INLINE void linear_sparse_neon_pair(float32x4_t *a, float32x4_t *b, const SparsePair *pair, const float *x, int vectors)
{
	const uint8_t *words = pair->words;
	if (!pair->count)
		return;
	uint64_t at = sparse_rows_indices(pair->index);
	RT_UNROLL_NONE for (int n = 2; n <= pair->count; n += 2, words += 32) {
		const uint64_t next = sparse_rows_indices(pair->index + 4 * n);
		RT_UNROLL_FULL for (int step = 0; step < 2; step++, at >>= 32) {
			const float32x2_t two = vreinterpret_f32_u8(vld1_u8(words + 16 * step));
			linear_sparse_neon_add(a, x, at & 255, two, 0, vectors);
			linear_sparse_neon_add(b, x, at >> 8 & 255, two, 1, vectors);
		}
		at = next;
	}
}

/* acc[16][4 * vectors] of a panel += one block; they begin at the outputs' biases where those are given. */
RT_INLINE void linear_sparse_neon_piece(float *acc, const float *bias, const float *x, const uint8_t *at, int vectors)
{
	enum { MOST = SPARSE_NEON_ROWS / 4 };
	SparseBand band;
	for (int i = 0; i < SPARSE_ROWS_PANEL / 2; i++) {
		if (i % 2 == 0)
			band = sparse_rows_band(&at);
		const SparsePair pair = sparse_rows_pair(&band, i % 2);
		float *to[2] = {acc + 4 * vectors * pair.output[0], acc + 4 * vectors * pair.output[1]};
		float32x4_t sum[2][MOST];
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				sum[j][v] = bias ? vdupq_n_f32(bias[pair.output[j]]) : vld1q_f32(to[j] + 4 * v);
		linear_sparse_neon_pair(sum[0], sum[1], &pair, x, vectors);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				vst1q_f32(to[j] + 4 * v, sum[j][v]);
	}
}

/* A function of its own: four of them a program, whatever K is. */
#define LINEAR_SPARSE_PIECE(vectors) \
RT_SHARED void linear_sparse_neon_piece##vectors(float *acc, const float *bias, const float *x, const uint8_t *at) \
{ linear_sparse_neon_piece(acc, bias, x, at, vectors); }
LINEAR_SPARSE_PIECE(2)
LINEAR_SPARSE_PIECE(4)
LINEAR_SPARSE_PIECE(6)
LINEAR_SPARSE_PIECE(8)
#undef LINEAR_SPARSE_PIECE

RT_INLINE void linear_f32_sparse__neon64(float *out, const float *x, const void *w, const float *bias, int r0, int r1, int p0, int p1, int K,
                                         int N, int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = SPARSE_NEON_ROWS, CHUNK = SPARSE_NEON_CHUNK };
	static void (*const piece[])(float *, const float *, const float *, const uint8_t *) = {linear_sparse_neon_piece2, linear_sparse_neon_piece4,
		linear_sparse_neon_piece6, linear_sparse_neon_piece8};
	float acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks(K), most = blocks > 1 ? CHUNK : 1;
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int lanes = (rows + 7) / 8 * 8;
		sparse_neon_bring(scratch, x + (size_t)first * (size_t)K, rows, 4 * K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(most, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[lanes / 8 - 1](acc[c], b ? NULL : bias + (p + c) * NR,
						(const float *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * (size_t)lanes, sparse_rows_piece(w, (p + c) * blocks + b));
			for (int i = 0; i < rows; i += 4)
				for (int c = 0; c < chunk; c++)
					sparse_neon_leave_floats(out + (size_t)(first + i) * (size_t)N + (size_t)(p + c) * NR, acc[c] + i, rt_min(4, rows - i), lanes,
						rt_min(NR, N - (p + c) * NR), N, act);
		}
	}
}
#endif
