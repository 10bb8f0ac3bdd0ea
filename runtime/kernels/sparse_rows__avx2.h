/* sparse_rows__avx2.h: rows into lanes and sums back into rows, for the AVX2 linears over weights of which most are zero. */
#ifndef RT_SPARSE_ROWS__AVX2_H
#define RT_SPARSE_ROWS__AVX2_H
#include "sparse_rows.h"
#include "tile__avx2.h"

enum {
	SPARSE_AVX2_ROWS = 32,   /* lanes at most: the sums of two outputs are half the registers */
	SPARSE_AVX2_CHUNK = 4,   /* panels: 8 KiB of sums, while a block of inputs stays in L1 */
};

/* Words k..k+7 of 8 rows of `bytes` bytes each, from row `first` on: r[c] holds word k + c of all of them. Rows from `rows` on repeat the last,
 * bytes past a row are zero. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_words(__m256 r[8], const void *from, int first, int rows, int k, int bytes)
{
	RT_UNROLL_FULL for (int i = 0; i < 8; i++) {
		const uint8_t *row = (const uint8_t *)from + (size_t)rt_min(first + i, rows - 1) * (size_t)bytes + 4 * k;
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

/* Two words, again and again, and one of them everywhere. The compiler must not see that the one is a load by itself: loads bound it. */
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

/* act of 8 lanes of the floats acc[16][lanes] of a panel, or of act(acc * (s * ws) + bias) where there is an s and they are integers: floats or
 * codes, of `rows` rows and the first `width` outputs. */
RT_INLINE RT_TARGET_AVX2 void sparse_avx2_leave(TileOut out, const void *acc, const float *s, const float *ws, const float *bias, int rows,
                                                int lanes, int width, int N, int act)
{
	_Alignas(32) float tile[8 * SPARSE_ROWS_PANEL];
	const __m256 scale = s ? math_avx2_load(s, rows) : _mm256_setzero_ps();
	for (int half = 0; half < SPARSE_ROWS_PANEL; half += 8) {
		__m256 r[8];
		RT_UNROLL_FULL for (int o = 0; o < 8; o++) {
			r[o] = _mm256_load_ps((const float *)acc + (half + o) * lanes);
			if (s)
				r[o] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_castps_si256(r[o])),
					_mm256_mul_ps(scale, _mm256_broadcast_ss(ws + half + o)), _mm256_broadcast_ss(bias + half + o));
		}
		math_avx2_transpose(r);
		RT_UNROLL_FULL for (int i = 0; i < 8; i++)
			_mm256_store_ps(tile + SPARSE_ROWS_PANEL * i + half, r[i]);
	}
	if (out.codes)
		tile_avx2_codes((int8_t *)out.at, tile, out.m, out.z, width, N, act, rows);
	else
		tile_avx2_activate((float *)out.at, tile, 2, width, N, act, rows);
}

/* Functions of their own, at most two of them a program: what follows a loop over K need not know K. */
RT_SHARED RT_TARGET_AVX2 void sparse_avx2_leave_floats(TileOut out, const float *acc, int rows, int lanes, int width, int N, int act)
{
	sparse_avx2_leave(tile_floats(out.at), acc, NULL, NULL, NULL, rows, lanes, width, N, act);
}

RT_SHARED RT_TARGET_AVX2 void sparse_avx2_leave_sums(TileOut out, const int32_t *acc, const float *s, const float *ws, const float *bias, int rows,
                                                     int lanes, int width, int N, int act)
{
	if (out.codes)
		sparse_avx2_leave(tile_codes(out.at, out.m, out.z), acc, s, ws, bias, rows, lanes, width, N, act);
	else
		sparse_avx2_leave(tile_floats(out.at), acc, s, ws, bias, rows, lanes, width, N, act);
}
#endif
