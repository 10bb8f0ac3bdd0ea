/* sparse_rows__avx2.h: shared by the AVX2 linears with sparse weights: up to 32 rows in lanes, 8 of 16
 * registers for the sums of two outputs. */
#ifndef RT_SPARSE_ROWS__AVX2_H
#define RT_SPARSE_ROWS__AVX2_H
#include "sparse_walk.h"
#include "tile__avx2.h"

/* Words k..k+7 of 8 rows of `bytes` bytes each, from row `first` on: r[c] holds word k + c of all of them.
 * Rows from `rows` on repeat the last, bytes past a row are zero. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_words(
	__m256 r[8], const void *from, int first, int rows, int k, int bytes)
{
	RT_UNROLL_FULL for (int i = 0; i < 8; i++)
	{
		const uint8_t *row = (const uint8_t *)from + (size_t)rt_min(first + i, rows - 1) * (size_t)bytes
			+ 4 * k;
		if (bytes - 4 * k >= 32) {
			r[i] = _mm256_loadu_ps((const float *)(const void *)row);
		} else {
			_Alignas(32) uint8_t some[32] = {0};
			memcpy(some, row, (size_t)(bytes - 4 * k));
			r[i] = _mm256_load_ps((const float *)(const void *)some);
		}
	}
	math_avx2_transpose(r);
}

/* x[word][first..] = 8 lanes of a word, in a kernel's own form. */
typedef void SparseAvx2Put(void *x, int word, int first, int lanes, __m256 words);

/* Stores them unchanged. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_put(void *x, int word, int first, int lanes, __m256 words)
{
	_mm256_store_ps((float *)x + (size_t)word * (size_t)lanes + first, words);
}

/* Brings all words of rows of `bytes` bytes each into lanes. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_bring(
	void *x, const void *from, int rows, int bytes, int lanes, SparseAvx2Put *put)
{
	for (int first = 0; first < lanes; first += 8)
		for (int k = 0; 4 * k < bytes; k += 8) {
			__m256 r[8];
			sparse_avx2_words(r, from, first, rows, k, bytes);
			RT_UNROLL_FULL for (int c = 0; c < 8; c++) put(x, k + c, first, lanes, r[c]);
		}
}

/* Makes words from the four inputs that order[word] lists, from rows in lanes at y. Byte order[j] & 3 of each
 * word goes to place j and zeros to the other places: byte indices with the highest bit set give zeros. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_order(
	void *x, const float *y, const uint16_t *order, int words, int lanes, SparseAvx2Put *put)
{
	const __m256i firsts = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
	for (int w = 0; w < words; w++, order += 4) {
		__m256i which[4];
		RT_UNROLL_FULL for (int j = 0; j < 4; j++) which[j] = _mm256_or_si256(
			_mm256_add_epi8(firsts, _mm256_set1_epi8((char)(order[j] & 3))),
			_mm256_set1_epi32((int)~(255u << 8 * j)));
		for (int first = 0; first < lanes; first += 8) {
			__m256i quads = _mm256_setzero_si256();
			RT_UNROLL_FULL for (int j = 0; j < 4; j++) quads = _mm256_or_si256(quads,
				_mm256_shuffle_epi8(
					_mm256_castps_si256(_mm256_load_ps(y + (size_t)(order[j] >> 2) * (size_t)lanes + first)),
					which[j]));
			put(x, w, first, lanes, _mm256_castsi256_ps(quads));
		}
	}
}

/* Brings codes into lanes; a word takes `bytes` bytes per lane. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_bring_codes(void *x, const void *from, const uint16_t *order,
	int rows, int K, int lanes, int bytes, SparseAvx2Put *put)
{
	float *y = sparse_walk_beside(x, K, lanes, bytes);
	if (!order) {
		sparse_avx2_bring(x, from, rows, K, lanes, put);
		return;
	}
	sparse_avx2_bring(y, from, rows, K, lanes, sparse_avx2_put);
	sparse_avx2_order(x, y, order, (K + 3) / 4, lanes, put);
}

RT_INLINE RT_TARGET_AVX2 void sparse_avx2_begin(SparseSums *sum, int32_t start, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++) sum->i8[v] = _mm256_set1_epi32(start);
}

RT_INLINE RT_TARGET_AVX2 void sparse_avx2_resume(SparseSums *sum, const void *from, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++) sum->i8[v] = _mm256_load_si256(
		(const __m256i *)from + v);
}

RT_INLINE RT_TARGET_AVX2 void sparse_avx2_end(void *to, const SparseSums *sum, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++) _mm256_store_si256((__m256i *)to + v, sum->i8[v]);
}

/* Two words, repeated; and one of them, broadcast. The compiler must not replace the broadcast by a load,
 * because loads are the bottleneck. */
RT_INLINE RT_TARGET_AVX2 __m256 sparse_avx2_two(const uint8_t *words)
{
	__m256d two = _mm256_broadcast_sd((const double *)(const void *)words);
	__asm__("" : "+x"(two));
	return _mm256_castpd_ps(two);
}

RT_INLINE RT_TARGET_AVX2 __m256 sparse_avx2_one(__m256 two, int i)
{
	return i == 0 ? _mm256_permute_ps(two, 0x00) : _mm256_permute_ps(two, 0x55);
}

/* sum += the product of w and the inputs of a word at x, for all lanes. */
typedef void SparseAvx2Add(SparseSums *sum, const void *x, __m256 w, int lanes);

/* Two steps of two outputs; the inputs of a word take `bytes` bytes per lane. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_step(SparseSums *sum, uint64_t inputs, const uint8_t *words,
	const void *x, int lanes, int bytes, SparseAvx2Add *add)
{
	RT_UNROLL_FULL for (int step = 0; step < 2; step++, inputs >>= 32)
	{
		const __m256 w = sparse_avx2_two(words + 4 * SPARSE_ROWS_BAND * step);
		add(&sum[0], (const char *)x + (size_t)(inputs & 255) * (size_t)(bytes * lanes),
			sparse_avx2_one(w, 0), lanes);
		add(&sum[1], (const char *)x + (size_t)(inputs >> 8 & 255) * (size_t)(bytes * lanes),
			sparse_avx2_one(w, 1), lanes);
	}
}

/* Writes act(acc) for 8 lanes of float sums acc[16][lanes], or act(acc * (s * ws) + bias) for integer sums (s
 * not NULL), as floats or codes, for `rows` rows and the first `width` outputs. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_leave(TileOut out, const void *acc, const float *s, const float *ws,
	const float *bias, int rows, int lanes, int width, int N, int act)
{
	_Alignas(32) float tile[8 * SPARSE_WALK_TILE];
	const __m256 scale = s ? math_avx2_load(s, rows) : _mm256_setzero_ps();
	for (int half = 0; half < SPARSE_WALK_TILE; half += 8) {
		__m256 r[8];
		RT_UNROLL_FULL for (int o = 0; o < 8; o++)
		{
			r[o] = _mm256_load_ps((const float *)acc + (half + o) * lanes);
			if (s)
				r[o] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_castps_si256(r[o])),
					_mm256_mul_ps(scale, _mm256_broadcast_ss(ws + half + o)),
					_mm256_broadcast_ss(bias + half + o));
		}
		math_avx2_transpose(r);
		RT_UNROLL_FULL for (int i = 0; i < 8; i++) _mm256_store_ps(tile + SPARSE_WALK_TILE * i + half, r[i]);
	}
	if (out.codes)
		tile_avx2_codes((int8_t *)out.at, tile, out.m, out.z, width, N, act, rows);
	else
		tile_avx2_activate((float *)out.at, tile, 2, width, N, act, rows);
}

RT_SHARED RT_TARGET_AVX2 void sparse_avx2_leave_f32(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	enum { NR = SPARSE_WALK_TILE };
	const TileOut out = tile_floats(job->out.at);
	sparse_avx2_leave(tile_out(out, row, t * NR, job->N), acc, NULL, NULL, NULL, rows, lanes,
		rt_min(NR, job->N - t * NR), job->N, job->act);
}

RT_INLINE RT_TARGET_AVX2 void sparse_avx2_leave_i8(
	TileOut out, const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	enum { NR = SPARSE_WALK_TILE };
	sparse_avx2_leave(tile_out(out, row, t * NR, job->N), acc, job->s + row, job->ws + t * NR,
		job->bias + t * NR, rows, lanes, rt_min(NR, job->N - t * NR), job->N, job->act);
}

RT_SHARED RT_TARGET_AVX2 void sparse_avx2_leave_floats(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	sparse_avx2_leave_i8(tile_floats(job->out.at), job, acc, row, t, rows, lanes);
}

RT_SHARED RT_TARGET_AVX2 void sparse_avx2_leave_codes(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	sparse_avx2_leave_i8(tile_codes(job->out.at, job->out.m, job->out.z), job, acc, row, t, rows, lanes);
}

#define SPARSE_AVX2_PIECES(TARGET, kernel, flip, step) \
	SPARSE_WALK_PIECE( \
		TARGET, kernel, 8, 2, flip, sparse_avx2_begin, sparse_avx2_resume, step, sparse_avx2_end, NULL) \
	SPARSE_WALK_PIECE( \
		TARGET, kernel, 16, 2, flip, sparse_avx2_begin, sparse_avx2_resume, step, sparse_avx2_end, NULL) \
	SPARSE_WALK_PIECE( \
		TARGET, kernel, 24, 2, flip, sparse_avx2_begin, sparse_avx2_resume, step, sparse_avx2_end, NULL) \
	SPARSE_WALK_PIECE( \
		TARGET, kernel, 32, 2, flip, sparse_avx2_begin, sparse_avx2_resume, step, sparse_avx2_end, NULL)
#endif
