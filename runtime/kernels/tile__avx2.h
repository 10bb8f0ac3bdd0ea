/* tile__avx2.h: writes the tiles of the AVX2 linears of all number formats. */
#ifndef RT_TILE__AVX2_H
#define RT_TILE__AVX2_H
#include "math__avx2.h"
#include "tile__scalar.h"

enum { TILE_AVX2_VECTORS = 3, TILE_AVX2_SUMS = 12 }; /* most vectors in a row of a tile, and in a tile */

/* out = act(tile[mr][vectors][8]), of which the first `width` outputs are written; rows of out have stride
 * N. */
RT_SHARED RT_TARGET_AVX2 void tile_avx2_activate(
	float *out, const float *tile, int vectors, int width, int N, int act, int mr)
{
	for (int i = 0; i < mr; i++)
		for (int j = 0; j < vectors; j++, tile += 8)
			math_avx2_store(
				out + (size_t)i * (size_t)N + 8 * j, math_avx2_act(_mm256_load_ps(tile), act), width - 8 * j);
}

/* out = act(sums) for mr rows of `vectors` sums in registers. */
RT_INLINE RT_TARGET_AVX2 void tile_avx2_store(
	float *out, __m256 (*sums)[TILE_AVX2_VECTORS], int vectors, int width, int N, int act, int mr)
{
	_Alignas(32) float tile[8 * TILE_AVX2_SUMS];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < vectors; j++)
		_mm256_store_ps(tile + 8 * (vectors * i + j), sums[i][j]);
	tile_avx2_activate(out, tile, vectors, width, N, act, mr);
}

/* Static codes (m, z) of act(tile[mr][2][8]). */
RT_SHARED RT_TARGET_AVX2 void tile_avx2_codes(
	int8_t *out, float *tile, const float *m, const float *z, int width, int N, int act, int mr)
{
	tile_avx2_activate(tile, tile, 2, 16, 16, act, mr);
	for (int i = 0; i < mr; i++)
		math_avx2_code_row(out + (size_t)i * (size_t)N, tile + 16 * i, m, z, rt_min(width, 16));
}

/* out = act(sums * (s[row] * ws) + bias), or its codes, for the integer sums of int8 linears. */
RT_INLINE RT_TARGET_AVX2 void tile_avx2_scale(TileOut out, __m256i (*sums)[2], const float *s,
	const float *ws, const float *bias, int width, int N, int act, int mr)
{
	__m256 y[6][TILE_AVX2_VECTORS];
	const __m256 ws0 = _mm256_loadu_ps(ws), ws1 = _mm256_loadu_ps(ws + 8), b0 = _mm256_loadu_ps(bias),
				 b1 = _mm256_loadu_ps(bias + 8);
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
	{
		const __m256 scale = _mm256_broadcast_ss(s + i);
		y[i][0] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i][0]), _mm256_mul_ps(scale, ws0), b0);
		y[i][1] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i][1]), _mm256_mul_ps(scale, ws1), b1);
	}
	if (!out.codes) {
		tile_avx2_store((float *)out.at, y, 2, width, N, act, mr);
		return;
	}
	_Alignas(32) float tile[16 * 6];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
	{
		_mm256_store_ps(tile + 16 * i, y[i][0]);
		_mm256_store_ps(tile + 16 * i + 8, y[i][1]);
	}
	tile_avx2_codes((int8_t *)out.at, tile, out.m, out.z, width, N, act, mr);
}
#endif
