/* linear_sparse__avx2.c: linear_sparse__avx512.c in 256-bit registers: up to 32 rows in lanes, 8 of 16 registers for the sums of two outputs.
 *
 *   scratch  float x[K rounded up to 64][lanes], lanes: 8, 16, 24 or 32 */
#if defined(__x86_64__)
#include "sparse_rows__avx2.h"

/* x[k][i] = rows[i][k] for `rows` rows; lanes beyond them repeat the last. */
RT_INLINE RT_TARGET_AVX2 void linear_sparse_avx2_bring(float *x, const float *from, int rows, int K, int lanes)
{
	for (int first = 0; first < lanes; first += 8)
		for (int k = 0; k < K; k += 8) {
			__m256 r[8];
			sparse_avx2_words(r, from, first, rows, k, 4 * K);
			RT_UNROLL_FULL for (int c = 0; c < 8; c++)
				_mm256_store_ps(x + (size_t)(k + c) * (size_t)lanes + first, r[c]);
		}
}

/* a += x of input k by word w. */
RT_INLINE RT_TARGET_AVX2 void linear_sparse_avx2_add(__m256 *a, const float *x, unsigned k, __m256 w, int vectors)
{
	const float *at = x + (size_t)k * (size_t)(8 * vectors);
	RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
		a[v] = _mm256_fmadd_ps(_mm256_load_ps(at + 8 * v), w, a[v]);
}

/* a, b += a pair of outputs. */
RT_INLINE RT_TARGET_AVX2 void linear_sparse_avx2_pair(__m256 *a, __m256 *b, const SparsePair *pair, const float *x, int vectors)
{
	const uint8_t *words = pair->words;
	if (!pair->count)
		return;
	uint64_t at = sparse_rows_indices(pair->index);
	RT_UNROLL_NONE for (int n = 2; n <= pair->count; n += 2, words += 32) {
		const uint64_t next = sparse_rows_indices(pair->index + 4 * n);
		RT_UNROLL_FULL for (int step = 0; step < 2; step++, at >>= 32) {
			const __m256 w = sparse_avx2_two(words + 16 * step);
			linear_sparse_avx2_add(a, x, at & 255, sparse_avx2_one(w, 0), vectors);
			linear_sparse_avx2_add(b, x, at >> 8 & 255, sparse_avx2_one(w, 1), vectors);
		}
		at = next;
	}
}

/* acc[16][8 * vectors] of a panel += one block; they begin at the outputs' biases where those are given. */
RT_INLINE RT_TARGET_AVX2 void linear_sparse_avx2_piece(float *acc, const float *bias, const float *x, const uint8_t *at, int vectors)
{
	enum { MOST = SPARSE_AVX2_ROWS / 8 };
	SparseBand band;
	for (int i = 0; i < SPARSE_ROWS_PANEL / 2; i++) {
		const uint8_t *from = at;
		if (i % 2 == 0)
			band = sparse_rows_band(&at);
		const SparsePair pair = sparse_rows_pair(&band, i % 2);
		float *to[2] = {acc + 8 * vectors * pair.output[0], acc + 8 * vectors * pair.output[1]};
		__m256 sum[2][MOST];
		for (; from < at; from += 64)
			_mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				sum[j][v] = bias ? _mm256_broadcast_ss(bias + pair.output[j]) : _mm256_load_ps(to[j] + 8 * v);
		linear_sparse_avx2_pair(sum[0], sum[1], &pair, x, vectors);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				_mm256_store_ps(to[j] + 8 * v, sum[j][v]);
	}
}

/* A function of its own: four of them a program, whatever K is. */
#define LINEAR_SPARSE_PIECE(vectors) \
RT_SHARED RT_TARGET_AVX2 void linear_sparse_avx2_piece##vectors(float *acc, const float *bias, const float *x, const uint8_t *at) \
{ linear_sparse_avx2_piece(acc, bias, x, at, vectors); }
LINEAR_SPARSE_PIECE(1)
LINEAR_SPARSE_PIECE(2)
LINEAR_SPARSE_PIECE(3)
LINEAR_SPARSE_PIECE(4)
#undef LINEAR_SPARSE_PIECE

RT_INLINE RT_TARGET_AVX2 void linear_f32_sparse__avx2(float *out, const float *x, const void *w, const float *bias, int r0, int r1, int p0,
                                                      int p1, int K, int N, int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = SPARSE_AVX2_ROWS, CHUNK = SPARSE_AVX2_CHUNK };
	static void (*const piece[])(float *, const float *, const float *, const uint8_t *) = {linear_sparse_avx2_piece1, linear_sparse_avx2_piece2,
		linear_sparse_avx2_piece3, linear_sparse_avx2_piece4};
	_Alignas(32) float acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks(K), most = blocks > 1 ? CHUNK : 1;
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int vectors = (rows + 7) / 8, lanes = 8 * vectors;
		linear_sparse_avx2_bring(scratch, x + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(most, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[vectors - 1](acc[c], b ? NULL : bias + (p + c) * NR,
						(const float *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * (size_t)lanes, sparse_rows_piece(w, (p + c) * blocks + b));
			for (int i = 0; i < rows; i += 8)
				for (int c = 0; c < chunk; c++)
					sparse_avx2_leave_floats(tile_out(tile_floats(out), first + i, (p + c) * NR, N), acc[c] + i, rt_min(8, rows - i), lanes,
						rt_min(NR, N - (p + c) * NR), N, act);
		}
	}
}
#endif
