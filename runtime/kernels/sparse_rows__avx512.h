/* sparse_rows__avx512.h: shared by the AVX-512 linears with sparse weights: up to 64 rows in lanes, 16 of 32
 * registers for the sums of a band's four outputs. Up to 8 rows use 256-bit registers. */
#ifndef RT_SPARSE_ROWS__AVX512_H
#define RT_SPARSE_ROWS__AVX512_H
#include "sparse_walk.h"
#include "tile__avx512.h"

/* Words k..k+15 of 16 rows of `bytes` bytes each, from row `first` on: r[c] holds word k + c of all of them.
 * Rows from `rows` on repeat the last, bytes past a row are zero. (A load from unmapped memory takes hundreds
 * of cycles, even with an empty mask.) */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_words(
	__m512 r[16], const void *from, int first, int rows, int k, int bytes)
{
	const int left = bytes - 4 * k;
	const uint8_t *row[16];
	RT_UNROLL_FULL for (int i = 0; i < 16; i++) row[i] = (const uint8_t *)from
		+ (size_t)rt_min(first + i, rows - 1) * (size_t)bytes + 4 * k;
	if (left >= 64)
		RT_UNROLL_FULL for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(row[i]);
	else
		RT_UNROLL_FULL for (int i = 0; i < 16; i++) r[i] = _mm512_castsi512_ps(
			_mm512_maskz_loadu_epi8(((__mmask64)1 << left) - 1, row[i]));
	math_avx512_transpose(r);
}

/* x[word][first..] = 16 lanes of a word, in a kernel's own form. */
typedef void SparseAvx512Put(void *x, int word, int first, int lanes, __m512i words);

/* Stores them unchanged. */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_put(void *x, int word, int first, int lanes, __m512i words)
{
	_mm512_mask_storeu_epi32(
		(int32_t *)x + (size_t)word * (size_t)lanes + first, math_avx512_first(lanes), words);
}

/* Brings all words of rows of `bytes` bytes each into lanes first .. first + 15. */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_bring_some(
	void *x, const void *from, int rows, int bytes, int first, int lanes, SparseAvx512Put *put)
{
	for (int k = 0; 4 * k < bytes; k += 16) {
		__m512 r[16];
		sparse_avx512_words(r, from, first, rows, k, bytes);
		RT_UNROLL_FULL for (int c = 0; c < 16; c++) put(x, k + c, first, lanes, _mm512_castps_si512(r[c]));
	}
}

RT_INLINE RT_TARGET_AVX512 void sparse_avx512_bring(
	void *x, const void *from, int rows, int bytes, int lanes, SparseAvx512Put *put)
{
	for (int first = 0; first < lanes; first += 16)
		sparse_avx512_bring_some(x, from, rows, bytes, first, lanes, put);
}

/* y[word][first / 16 % 2] = a word of 16 rows. */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_put_beside(
	void *y, int word, int first, int lanes, __m512i words)
{
	(void)lanes;
	_mm512_store_si512((__m512i *)y + 2 * word + first / 16 % 2, words);
}

/* Shuffles that copy byte 0, 1, 2 or 3 of each word to all four places; a mask then selects one. */
_Alignas(16) static const uint8_t sparse_avx512_bytes[4][16] = {
	{0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12},
	{1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13},
	{2, 2, 2, 2, 6, 6, 6, 6, 10, 10, 10, 10, 14, 14, 14, 14},
	{3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15},
};

/* Makes word `word` from the four inputs that order[0..3] lists, for 32 (or 16) rows at y. */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_order(
	void *x, int word, int first, int lanes, const __m512i *y, const uint16_t *order, SparseAvx512Put *put)
{
	__m512i quads[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
	RT_UNROLL_FULL for (int j = 0; j < 4; j++)
	{
		const __m512i *from = y + 2 * (order[j] >> 2);
		const __m512i which = _mm512_broadcast_i32x4(
			_mm_load_si128((const __m128i *)(const void *)sparse_avx512_bytes[order[j] & 3]));
		RT_UNROLL_FULL for (int i = 0; i < 2; i++) quads[i] = _mm512_mask_shuffle_epi8(
			quads[i], (__mmask64)0x1111111111111111u << j, _mm512_load_si512(from + i), which);
	}
	put(x, word, first, lanes, quads[0]);
	if (first + 16 < lanes)
		put(x, word, first + 16, lanes, quads[1]);
}

/* Brings codes into lanes; a word takes `bytes` bytes per lane. With another order of inputs, 32 rows at a
 * time go through a buffer in L1 (48 KiB for 1536 inputs). */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_bring_codes(void *x, const void *from, const uint16_t *order,
	int rows, int K, int lanes, int bytes, SparseAvx512Put *put)
{
	__m512i *y = sparse_walk_beside(x, K, lanes, bytes);
	if (!order) {
		sparse_avx512_bring(x, from, rows, K, lanes, put);
		return;
	}
	for (int first = 0; first < lanes; first += 32) {
		for (int i = first; i < rt_min(first + 32, lanes); i += 16)
			sparse_avx512_bring_some(y, from, rows, K, i, lanes, sparse_avx512_put_beside);
		for (int w = 0; w < (K + 3) / 4; w++)
			sparse_avx512_order(x, w, first, lanes, y, order + 4 * w, put);
	}
}

RT_INLINE RT_TARGET_AVX512 void sparse_avx512_begin(SparseSums *sum, int32_t start, int lanes)
{
	if (lanes == 8)
		sum->i8[0] = _mm256_set1_epi32(start);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) sum->i16[v] = _mm512_set1_epi32(start);
}

RT_INLINE RT_TARGET_AVX512 void sparse_avx512_resume(SparseSums *sum, const void *from, int lanes)
{
	if (lanes == 8)
		sum->i8[0] = _mm256_load_si256((const __m256i *)from);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) sum->i16[v] = _mm512_load_si512(
			(const __m512i *)from + v);
}

RT_INLINE RT_TARGET_AVX512 void sparse_avx512_end(void *to, const SparseSums *sum, int lanes)
{
	if (lanes == 8)
		_mm256_store_si256((__m256i *)to, sum->i8[0]);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			_mm512_store_si512((__m512i *)to + v, sum->i16[v]);
}

RT_INLINE RT_TARGET_AVX512 void sparse_avx512_join(SparseSums *sum, const SparseSums *own, int lanes)
{
	if (lanes == 8)
		sum->i8[0] = _mm256_add_epi32(sum->i8[0], own->i8[0]);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) sum->i16[v] = _mm512_add_epi32(
			sum->i16[v], own->i16[v]);
}

/* Broadcasts word j of four words, which are in every quarter of a register. */
RT_INLINE RT_TARGET_AVX512 __m512i sparse_avx512_word(__m512i words, int j)
{
	switch (j) {
	case 0: return _mm512_shuffle_epi32(words, 0x00);
	case 1: return _mm512_shuffle_epi32(words, 0x55);
	case 2: return _mm512_shuffle_epi32(words, 0xaa);
	default: return _mm512_shuffle_epi32(words, 0xff);
	}
}

/* sum += the product of w and the inputs of a word at x, for all lanes. */
typedef void SparseAvx512Add(SparseSums *sum, const void *x, __m512i w, int lanes);

/* A step of four outputs; the inputs of a word take `bytes` bytes per lane. Loads four words at once and
 * broadcasts them from the register, because loads are the bottleneck (Zen 4: 5.5 cycles per quad of 64 rows
 * with separate loads). */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_step(SparseSums *sum, uint64_t inputs, const uint8_t *words,
	const void *x, int lanes, int bytes, SparseAvx512Add *add)
{
	__m512i w = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)words));
	__asm__("" : "+v"(w)); /* keeps the compiler from making four loads of it */
	RT_UNROLL_FULL for (int j = 0; j < SPARSE_ROWS_BAND; j++)
		add(&sum[j], (const char *)x + (size_t)(inputs >> 8 * j & 255) * (size_t)(bytes * lanes),
			sparse_avx512_word(w, j), lanes);
}

RT_INLINE RT_TARGET_AVX512 void sparse_avx512_steps(SparseSums *sum, SparseSums *own, uint64_t inputs,
	const uint8_t *words, const void *x, int lanes, int bytes, SparseAvx512Add *add)
{
	sparse_avx512_step(sum, inputs, words, x, lanes, bytes, add);
	sparse_avx512_step(own, inputs >> 32, words + 4 * SPARSE_ROWS_BAND, x, lanes, bytes, add);
}

/* r[i] = lane i of the sums acc[16][lanes]. */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_turn(__m512 r[16], const int32_t *acc, int lanes)
{
	const __mmask16 there = math_avx512_first(lanes);
	RT_UNROLL_FULL for (int o = 0; o < 16; o++) r[o] = _mm512_castsi512_ps(
		_mm512_maskz_loadu_epi32(there, acc + (size_t)(o * lanes)));
	math_avx512_transpose(r);
}

/* y = sum * (s * w) + b, as the dense kernels compute it. */
RT_INLINE RT_TARGET_AVX512 __m512 sparse_avx512_scale(__m512 sums, float s, __m512 w, __m512 b)
{
	return _mm512_fmadd_ps(
		_mm512_cvtepi32_ps(_mm512_castps_si512(sums)), _mm512_mul_ps(_mm512_set1_ps(s), w), b);
}

/* out = act of 16 rows, act none or low GELU, from registers. */
RT_INLINE RT_TARGET_AVX512 void sparse_avx512_leave_whole(
	float *out, const __m512 r[16], const float *s, __m512 w, __m512 b, __mmask16 some, int N, int act)
{
	RT_UNROLL_FULL for (int i = 0; i < 16; i++)
	{
		const __m512 y = sparse_avx512_scale(r[i], s[i], w, b);
		_mm512_mask_storeu_ps(
			out + (size_t)i * (size_t)N, some, act == RT_ACT_GELU ? math_avx512_gelu_low(y) : y);
	}
}

RT_INLINE RT_TARGET_AVX512 void sparse_avx512_leave_i8(
	TileOut out, const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	enum { NR = SPARSE_WALK_TILE };
	const int N = job->N, width = rt_min(NR, N - t * NR), act = job->act;
	const float *s = job->s + row;
	const __m512 w = _mm512_loadu_ps(job->ws + t * NR), b = _mm512_loadu_ps(job->bias + t * NR);
	const TileOut to = tile_out(out, row, t * NR, N);
	_Alignas(64) float tile[16 * 16];
	__m512 r[16];
	sparse_avx512_turn(r, acc, lanes);
	if (rows == 16 && !out.codes && act == RT_ACT_NONE) {
		sparse_avx512_leave_whole((float *)to.at, r, s, w, b, math_avx512_first(width), N, RT_ACT_NONE);
		return;
	}
	if (rows == 16 && !out.codes && act == RT_ACT_GELU) {
		sparse_avx512_leave_whole((float *)to.at, r, s, w, b, math_avx512_first(width), N, RT_ACT_GELU);
		return;
	}
	RT_UNROLL_FULL for (int i = 0; i < 16; i++)
		_mm512_store_ps(tile + 16 * i, sparse_avx512_scale(r[i], s[rt_min(i, rows - 1)], w, b));
	if (out.codes)
		tile_avx512_codes((int8_t *)to.at, tile, to.m, to.z, 1, width, N, act, rows);
	else
		tile_avx512_activate_low((float *)to.at, tile, 1, width, N, act, rows);
}

RT_SHARED RT_TARGET_AVX512 void sparse_avx512_leave_floats(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	sparse_avx512_leave_i8(tile_floats(job->out.at), job, acc, row, t, rows, lanes);
}

RT_SHARED RT_TARGET_AVX512 void sparse_avx512_leave_codes(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	sparse_avx512_leave_i8(tile_codes(job->out.at, job->out.m, job->out.z), job, acc, row, t, rows, lanes);
}
#define SPARSE_AVX512_PIECE(TARGET, kernel, lanes, flip, step, join) \
	SPARSE_WALK_PIECE(TARGET, kernel, lanes, 4, flip, sparse_avx512_begin, sparse_avx512_resume, step, \
		sparse_avx512_end, join)
#endif
