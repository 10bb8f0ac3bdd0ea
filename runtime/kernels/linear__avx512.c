/* linear__avx512.c: out = act(x W^T + bias) with AVX-512; linear__scalar.c documents the arguments.
 *
 * A tile is up to 12 rows by one panel of 32 outputs: 24 accumulators, two weight vectors and one broadcast
 * of x fill 27 of the 32 registers. It runs over all of K, so each output is written once and never read
 * back. On Zen 4, tiles of 8 x 48 and 6 x 64 reach the same 88-91 % of FMA peak from 32 rows on, but are
 * slower at 8 and 16 rows. They are the same code with other literals: `vectors` of 16 outputs per row,
 * `most` rows. */
#if defined(__x86_64__)
#include "tile__avx512.h"

/* 16 weights as floats. */
RT_INLINE RT_TARGET_AVX512 __m512 linear_avx512_load(const char *w, int dtype)
{
	if (dtype == RT_STORED_F16)
		return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)w));
	if (dtype == RT_STORED_BF16)
		return _mm512_castsi512_ps(_mm512_slli_epi32(
			_mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)(const void *)w)), 16));
	return _mm512_load_ps(w);
}

/* Rows 0..mr-1 of x and out, one panel w[length][16 * vectors] of which the first `width` outputs are
 * written. The sums start with bias or, if it is NULL, with out. `ahead`: this tile's share of the following
 * weights; each step of k prefetches `step` bytes of it. alone: the panel has only this tile
 * (tile_avx512_fetch). */
RT_INLINE RT_TARGET_AVX512 void linear_avx512_tile(float *out, const float *x, const char *w,
	const float *bias, uintptr_t ahead, int step, int width, int length, int K, int N, int act, int dtype,
	int mr, int alone, int vectors)
{
	enum { MR = 12 };
	const int part = (dtype == RT_STORED_F32 ? 4 : 2) * 16; /* bytes of 16 weights */
	__m512 acc[MR][TILE_AVX512_VECTORS];
	RT_EACH_4(j, vectors, const __mmask16 m = math_avx512_first(width - 16 * j); RT_EACH_12(i, mr,
		acc[i][j] = bias ? _mm512_loadu_ps(bias + 16 * j)
						 : _mm512_maskz_loadu_ps(m, out + (size_t)i * (size_t)N + 16 * j)))
	RT_UNROLL_NONE for (int k = 0; k < length; k++, w += vectors * part, ahead += (uintptr_t)step)
	{
		__m512 wj[TILE_AVX512_VECTORS];
		tile_avx512_fetch((uintptr_t)w, ahead, vectors * part / 64, alone);
		RT_EACH_4(j, vectors, wj[j] = linear_avx512_load(w + j * part, dtype))
		RT_EACH_12(i, mr, const __m512 a = _mm512_set1_ps(x[(size_t)i * (size_t)K + (size_t)k]);
			RT_EACH_4(j, vectors, acc[i][j] = _mm512_fmadd_ps(a, wj[j], acc[i][j])))
	}
	tile_avx512_store(out, acc, vectors, width, N, act, 0, mr);
}

/* With literal `most` and `alone`, the compiler removes tiles that are too high for their width, or too
 * low. */
#define LINEAR_TILE(m) \
	case m: \
		if (m <= most && (alone || 2 * m >= most)) { \
			linear_avx512_tile( \
				y, row, panel, b, ahead, step, width, length, K, N, last, dtype, m, alone, vectors); \
		} \
		break;

/* Any number of rows. Widens weights while reading them. */
RT_INLINE RT_TARGET_AVX512 void linear_avx512(float *out, const float *x, const void *w, const float *bias,
	int r0, int r1, int p0, int p1, int K, int N, int act, int dtype, int vectors, int most)
{
	const int NR = 16 * vectors,
			  line = (dtype == RT_STORED_F32 ? 4 : 2) * NR; /* bytes of a panel for one k */
	const int length = K, last = act;
	int rows = r1 - r0, tiles = (rows + most - 1) / most; /* of equal height: 16 rows are 8 + 8, not 12 + 4 */
	if (rows <= 0)
		return;
	for (int p = p0; p < p1; p++) {
		const char *panel = (const char *)w + (size_t)p * (size_t)K * (size_t)line;
		int step = line / tiles, width = N % NR ? rt_min(NR, N - p * NR) : NR;
		uintptr_t ahead = (uintptr_t)panel + (uintptr_t)K * (uintptr_t)line;
		for (int t = 0; t < tiles; t++, ahead += (uintptr_t)step * (uintptr_t)K) {
			int first = r0 + rt_part(rows, t, tiles);
			float *y = out + (size_t)first * (size_t)N + (size_t)p * NR;
			const float *row = x + (size_t)first * (size_t)K, *b = bias + (size_t)p * NR;
			const int mr = r0 + rt_part(rows, t + 1, tiles) - first;
			if (tiles == 1) {
				enum { alone = 1 };
				switch (mr) {
					// clang-format off
					LINEAR_TILE(1) LINEAR_TILE(2) LINEAR_TILE(3)
					LINEAR_TILE(4) LINEAR_TILE(5) LINEAR_TILE(6)
					LINEAR_TILE(7) LINEAR_TILE(8) LINEAR_TILE(9)
					LINEAR_TILE(10) LINEAR_TILE(11) LINEAR_TILE(12)
					// clang-format on
				}
			} else {
				enum { alone = 0 };
				switch (mr) {
					// clang-format off
					LINEAR_TILE(3) LINEAR_TILE(4) LINEAR_TILE(5)
					LINEAR_TILE(6) LINEAR_TILE(7) LINEAR_TILE(8)
					LINEAR_TILE(9) LINEAR_TILE(10) LINEAR_TILE(11)
					LINEAR_TILE(12)
					// clang-format on
				}
			}
		}
	}
}

enum { LINEAR_AVX512_MANY = 37 }; /* in rows: at least four tiles of at least 9 rows */

/* For many rows and f16 or bf16 weights: widens 192 inputs (24 KB, which fit L1) at a time for all tiles.
 * Widening in each tile costs 4 of 24 cycles. Sums stay in out between blocks, which does not change their
 * bits. */
RT_INLINE RT_TARGET_AVX512 void linear_avx512_many(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act, int stored)
{
	enum { NR = 32, vectors = 2, most = 12, alone = 0, BLOCK = 192, line = 2 * NR };
	_Alignas(64) float wide[BLOCK * NR];
	const char *panel = (const char *)wide;
	const int dtype = RT_STORED_F32;
	int rows = r1 - r0, tiles = (rows + most - 1) / most, step = line / tiles;
	for (int p = p0; p < p1; p++)
		for (int k = 0; k < K; k += BLOCK) {
			const char *narrow = (const char *)w + ((size_t)p * (size_t)K + (size_t)k) * line;
			int length = rt_min(BLOCK, K - k), width = N % NR ? rt_min(NR, N - p * NR) : NR;
			int last = k + length == K ? act : RT_ACT_NONE;
			for (int i = 0; i < length * NR; i += 16)
				_mm512_store_ps(wide + i, linear_avx512_load(narrow + 2 * i, stored));
			uintptr_t ahead = (uintptr_t)narrow + (uintptr_t)length * line;
			for (int t = 0; t < tiles; t++, ahead += (uintptr_t)step * (uintptr_t)length) {
				int first = r0 + rt_part(rows, t, tiles);
				float *y = out + (size_t)first * (size_t)N + (size_t)p * NR;
				const float *row = x + (size_t)first * (size_t)K + k, *b = k ? NULL : bias + (size_t)p * NR;
				switch (r0 + rt_part(rows, t + 1, tiles) - first) {
					// clang-format off
					LINEAR_TILE(9) LINEAR_TILE(10) LINEAR_TILE(11)
					LINEAR_TILE(12)
					// clang-format on
				}
			}
		}
}
#undef LINEAR_TILE

RT_INLINE RT_TARGET_AVX512 void linear_f32__avx512(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act)
{
	linear_avx512(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32, 2, 12);
}

RT_INLINE RT_TARGET_AVX512 void linear_f32_8x48__avx512(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act)
{
	linear_avx512(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32, 3, 8);
}

RT_INLINE RT_TARGET_AVX512 void linear_f32_6x64__avx512(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act)
{
	linear_avx512(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32, 4, 6);
}

RT_INLINE RT_TARGET_AVX512 void linear_f16__avx512(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act)
{
	if (r1 - r0 >= LINEAR_AVX512_MANY)
		linear_avx512_many(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F16);
	else
		linear_avx512(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F16, 2, 12);
}

RT_INLINE RT_TARGET_AVX512 void linear_bf16__avx512(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act)
{
	if (r1 - r0 >= LINEAR_AVX512_MANY)
		linear_avx512_many(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_BF16);
	else
		linear_avx512(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_BF16, 2, 12);
}
#endif
