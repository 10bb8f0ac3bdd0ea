/* linear_i8_sparse__avx2.c: linear_i8_sparse__scalar.c with VPMADDWD, tokens in lanes: a quad of weights is widened to 16 bits once and multiplies
 * the same four inputs of up to 32 rows, exactly, as in linear_i8__avx2.c.
 *
 * A quad's inputs lie as the pairs of its even and of its odd ones, so that two shifts widen four weights that were broadcast as a word.
 *
 *   scratch  int16_t x[K/4 rounded up][2][lanes][2], lanes: 8, 16, 24 or 32: inputs 0 and 2 of a quad, 1 and 3; a block of 32 rows is 24 KiB */
#if defined(__x86_64__)
#include "sparse_rows__avx2.h"

/* Numbers 0 and 2 of quads as 16 bits, and 1 and 3. */
RT_INLINE RT_TARGET_AVX2 __m256i linear_i8_sparse_avx2_even(__m256 quads)
{
	return _mm256_srai_epi16(_mm256_slli_epi16(_mm256_castps_si256(quads), 8), 8);
}
RT_INLINE RT_TARGET_AVX2 __m256i linear_i8_sparse_avx2_odd(__m256 quads) { return _mm256_srai_epi16(_mm256_castps_si256(quads), 8); }

RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2_bring(int16_t *x, const int8_t *q, int rows, int K, int lanes)
{
	for (int first = 0; first < lanes; first += 8)
		for (int k = 0; 4 * k < K; k += 8) {
			__m256 r[8];
			sparse_avx2_words(r, q, first, rows, k, K);
			RT_UNROLL_FULL for (int c = 0; c < 8; c++) {
				int16_t *to = x + (size_t)(k + c) * (size_t)(4 * lanes) + 2 * first;
				_mm256_store_si256((__m256i *)(void *)to, linear_i8_sparse_avx2_even(r[c]));
				_mm256_store_si256((__m256i *)(void *)(to + 2 * lanes), linear_i8_sparse_avx2_odd(r[c]));
			}
		}
}

/* a += x of a quad by word w. Outputs that share a quad load its inputs twice, and vectors come one after the other: halves of two weights, or
 * products that wait for their sums, would not fit into the registers beside the sums. */
RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2_add(__m256i *a, const int16_t *x, unsigned quad, __m256 w, int vectors)
{
	const int16_t *at = x + (size_t)quad * (size_t)(32 * vectors);
	RT_UNROLL_FULL for (int odd = 0; odd < 2; odd++) {
		const __m256i y = odd ? linear_i8_sparse_avx2_odd(w) : linear_i8_sparse_avx2_even(w);
		RT_UNROLL_FULL for (int v = 0; v < vectors; v++) {
			const __m256i xv = _mm256_load_si256((const __m256i *)(const void *)(at + 16 * (vectors * odd + v)));
			a[v] = _mm256_add_epi32(a[v], _mm256_madd_epi16(xv, y));
			__asm__ volatile("" : "+x"(a[v]) : : "memory");
		}
	}
}

/* a, b += a pair of outputs. */
RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2_pair(__m256i *a, __m256i *b, const SparsePair *pair, const int16_t *x, int vectors)
{
	const uint8_t *words = pair->words;
	if (!pair->count)
		return;
	uint64_t at = sparse_rows_indices(pair->index);
	RT_UNROLL_NONE for (int n = 2; n <= pair->count; n += 2, words += 32) {
		const uint64_t next = sparse_rows_indices(pair->index + 4 * n);
		RT_UNROLL_FULL for (int step = 0; step < 2; step++, at >>= 32) {
			const __m256 w = sparse_avx2_two(words + 16 * step);
			linear_i8_sparse_avx2_add(a, x, at & 255, sparse_avx2_one(w, 0), vectors);
			linear_i8_sparse_avx2_add(b, x, at >> 8 & 255, sparse_avx2_one(w, 1), vectors);
		}
		at = next;
	}
}

/* acc[16][8 * vectors] of a panel += one block, or = the first. */
RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2_piece(int32_t *acc, int begins, const int16_t *x, const uint8_t *at, int vectors)
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
				sum[j][v] = begins ? _mm256_setzero_si256() : _mm256_load_si256(to[j] + v);
		linear_i8_sparse_avx2_pair(sum[0], sum[1], &pair, x, vectors);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			RT_UNROLL_FULL for (int v = 0; v < vectors; v++)
				_mm256_store_si256(to[j] + v, sum[j][v]);
	}
}

/* A function of its own: four of them a program, whatever K is. */
#define LINEAR_I8_SPARSE_PIECE(vectors) \
RT_SHARED RT_TARGET_AVX2 void linear_i8_sparse_avx2_piece##vectors(int32_t *acc, int begins, const int16_t *x, const uint8_t *at) \
{ linear_i8_sparse_avx2_piece(acc, begins, x, at, vectors); }
LINEAR_I8_SPARSE_PIECE(1)
LINEAR_I8_SPARSE_PIECE(2)
LINEAR_I8_SPARSE_PIECE(3)
LINEAR_I8_SPARSE_PIECE(4)
#undef LINEAR_I8_SPARSE_PIECE

RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2(TileOut out, const int8_t *q, const float *s, const void *w, const float *ws,
                                                    const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
                                                    int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = SPARSE_AVX2_ROWS, CHUNK = SPARSE_AVX2_CHUNK };
	static void (*const piece[])(int32_t *, int, const int16_t *, const uint8_t *) = {linear_i8_sparse_avx2_piece1, linear_i8_sparse_avx2_piece2,
		linear_i8_sparse_avx2_piece3, linear_i8_sparse_avx2_piece4};
	_Alignas(32) int32_t acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks((K + 3) / 4), most = blocks > 1 ? CHUNK : 1;
	(void)sums;
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int vectors = (rows + 7) / 8, lanes = 8 * vectors;
		linear_i8_sparse_avx2_bring(scratch, q + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(most, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[vectors - 1](acc[c], b == 0, (const int16_t *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * 4 * (size_t)lanes,
						sparse_rows_piece(w, (p + c) * blocks + b));
			for (int i = 0; i < rows; i += 8)
				for (int c = 0; c < chunk; c++)
					sparse_avx2_leave_sums(tile_out(out, first + i, (p + c) * NR, N), acc[c] + i, s + first + i, ws + (p + c) * NR,
						bias + (p + c) * NR, rt_min(8, rows - i), lanes, rt_min(NR, N - (p + c) * NR), N, act);
		}
	}
}

RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse__avx2(float *out, const int8_t *q, const float *s, const void *w, const float *ws,
                                                     const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
                                                     int act, void *scratch)
{
	linear_i8_sparse_avx2(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_codes__avx2(int8_t *out, float *scales, const int8_t *q, const float *s, const void *w,
                                                           const float *ws, const float *bias, const float *m, const float *z,
                                                           const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act,
                                                           void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_sparse_avx2(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
#endif
