/* linear_i8_sparse__avxvnni.c: linear_i8_sparse__avx512vnni.c in 256-bit registers, for CPUs that have VPDPBUSD but no AVX-512: up to 32 rows
 * in lanes, 8 of 16 registers for the sums of two outputs, which start at -128 * sums[n].
 *
 *   scratch  uint8_t x[K/4 rounded up][lanes][4], q + 128, lanes: 8, 16, 24 or 32 */
#if defined(__x86_64__)
#include "sparse_rows__avx2.h"

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_bring(uint8_t *x, const int8_t *q, int rows, int K, int lanes)
{
	const __m256i flip = _mm256_set1_epi8((char)0x80);
	for (int first = 0; first < lanes; first += 8)
		for (int k = 0; 4 * k < K; k += 8) {
			__m256 r[8];
			sparse_avx2_words(r, q, first, rows, k, K);
			RT_UNROLL_FULL for (int c = 0; c < 8; c++)
				_mm256_store_si256((__m256i *)(void *)(x + 4 * ((size_t)(k + c) * (size_t)lanes + (size_t)first)),
					_mm256_xor_si256(_mm256_castps_si256(r[c]), flip));
		}
}

/* a += x of a quad by word w. */
RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_add(__m256i *a, const uint8_t *x, unsigned quad, __m256 w, int vectors)
{
	const uint8_t *at = x + (size_t)quad * (size_t)(32 * vectors);
	RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
		a[v] = _mm256_dpbusd_avx_epi32(a[v], _mm256_load_si256((const __m256i *)(const void *)(at + 32 * v)), _mm256_castps_si256(w));
}

/* a, b += a pair of outputs. */
RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_pair(__m256i *a, __m256i *b, const SparsePair *pair, const uint8_t *x, int vectors)
{
	const uint8_t *words = pair->words;
	if (!pair->count)
		return;
	uint64_t at = sparse_rows_indices(pair->index);
	RT_UNROLL_NONE for (int n = 2; n <= pair->count; n += 2, words += 32) {
		const uint64_t next = sparse_rows_indices(pair->index + 4 * n);
		RT_UNROLL_FULL for (int step = 0; step < 2; step++, at >>= 32) {
			const __m256 w = sparse_avx2_two(words + 16 * step);
			linear_i8_sparse_avxvnni_add(a, x, at & 255, sparse_avx2_one(w, 0), vectors);
			linear_i8_sparse_avxvnni_add(b, x, at >> 8 & 255, sparse_avx2_one(w, 1), vectors);
		}
		at = next;
	}
}

/* acc[16][8 * vectors] of a panel += one block; they begin at the outputs' sums where those are given. */
RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_piece(int32_t *acc, const int32_t *sums, const uint8_t *x, const uint8_t *at, int vectors)
{
	enum { MOST = SPARSE_AVX2_ROWS / 8 };
	SparseBand band;
	for (int i = 0; i < SPARSE_ROWS_PANEL / 2; i++) {
		const uint8_t *from = at;
		if (i % 2 == 0)
			band = sparse_rows_band(&at);
		const SparsePair pair = sparse_rows_pair(&band, i % 2);
		__m256i *to[2] = {(__m256i *)(void *)acc + vectors * pair.output[0], (__m256i *)(void *)acc + vectors * pair.output[1]};
		__m256i sum[2][MOST];
		for (; from < at; from += 64)
			_mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				sum[j][v] = sums ? _mm256_set1_epi32(-128 * sums[pair.output[j]]) : _mm256_load_si256(to[j] + v);
		linear_i8_sparse_avxvnni_pair(sum[0], sum[1], &pair, x, vectors);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				_mm256_store_si256(to[j] + v, sum[j][v]);
	}
}

/* A function of its own: four of them a program, whatever K is. */
#define LINEAR_I8_SPARSE_PIECE(vectors) \
RT_SHARED RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_piece##vectors(int32_t *acc, const int32_t *sums, const uint8_t *x, const uint8_t *at) \
{ linear_i8_sparse_avxvnni_piece(acc, sums, x, at, vectors); }
LINEAR_I8_SPARSE_PIECE(1)
LINEAR_I8_SPARSE_PIECE(2)
LINEAR_I8_SPARSE_PIECE(3)
LINEAR_I8_SPARSE_PIECE(4)
#undef LINEAR_I8_SPARSE_PIECE

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni(TileOut out, const int8_t *q, const float *s, const void *w, const float *ws,
                                                    const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
                                                    int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = SPARSE_AVX2_ROWS, CHUNK = SPARSE_AVX2_CHUNK };
	static void (*const piece[])(int32_t *, const int32_t *, const uint8_t *, const uint8_t *) = {linear_i8_sparse_avxvnni_piece1, linear_i8_sparse_avxvnni_piece2,
		linear_i8_sparse_avxvnni_piece3, linear_i8_sparse_avxvnni_piece4};
	_Alignas(32) int32_t acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks((K + 3) / 4), most = blocks > 1 ? CHUNK : 1;
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int vectors = (rows + 7) / 8, lanes = 8 * vectors;
		linear_i8_sparse_avxvnni_bring(scratch, q + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(most, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[vectors - 1](acc[c], b ? NULL : sums + (p + c) * NR, (const uint8_t *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * 4 * (size_t)lanes,
						sparse_rows_piece(w, (p + c) * blocks + b));
			for (int i = 0; i < rows; i += 8)
				for (int c = 0; c < chunk; c++)
					sparse_avx2_leave_sums(tile_out(out, first + i, (p + c) * NR, N), acc[c] + i, s + first + i, ws + (p + c) * NR,
						bias + (p + c) * NR, rt_min(8, rows - i), lanes, rt_min(NR, N - (p + c) * NR), N, act);
		}
	}
}

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse__avxvnni(float *out, const int8_t *q, const float *s, const void *w, const float *ws,
                                                     const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
                                                     int act, void *scratch)
{
	linear_i8_sparse_avxvnni(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_codes__avxvnni(int8_t *out, float *scales, const int8_t *q, const float *s, const void *w,
                                                           const float *ws, const float *bias, const float *m, const float *z,
                                                           const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act,
                                                           void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_sparse_avxvnni(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
#endif
