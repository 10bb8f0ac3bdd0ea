/* tile__neon.h: writes the tiles of the NEON linears of all number formats. */
#ifndef RT_TILE__NEON_H
#define RT_TILE__NEON_H
#include "math__neon.h"
#include "tile__scalar.h"

enum { TILE_NEON_VECTORS = 4, TILE_NEON_SUMS = 24 }; /* most vectors in a row of a tile, and in a tile */

/* out = act(tile[mr][vectors][4]), of which the first `width` outputs are written; rows of out have stride
 * N. */
RT_SHARED void tile_neon_activate(
	float *out, const float *tile, int vectors, int width, int N, int act, int mr)
{
	for (int i = 0; i < mr; i++)
		for (int j = 0; j < vectors; j++, tile += 4)
			math_neon_store(
				out + (size_t)i * (size_t)N + 4 * j, math_neon_act(vld1q_f32(tile), act), width - 4 * j);
}

/* out = act(sums) for mr rows of `vectors` sums in registers. */
RT_INLINE void tile_neon_store(
	float *out, float32x4_t (*sums)[TILE_NEON_VECTORS], int vectors, int width, int N, int act, int mr)
{
	float tile[4 * TILE_NEON_SUMS];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < vectors; j++)
		vst1q_f32(tile + 4 * (vectors * i + j), sums[i][j]);
	tile_neon_activate(out, tile, vectors, width, N, act, mr);
}

/* out = act(sums[mr][8] * (s[row] * ws) + bias). */
RT_SHARED void tile_neon_scale_floats(float *out, const int32_t *sums, const float *s, const float *ws,
	const float *bias, int width, int N, int act, int mr)
{
	const float32x4_t ws0 = vld1q_f32(ws), ws1 = vld1q_f32(ws + 4), b0 = vld1q_f32(bias),
					  b1 = vld1q_f32(bias + 4);
	for (int i = 0; i < mr; i++, sums += 8, out += N) {
		const float32x4_t y0 = vfmaq_f32(b0, vcvtq_f32_s32(vld1q_s32(sums)), vmulq_n_f32(ws0, s[i]));
		const float32x4_t y1 = vfmaq_f32(b1, vcvtq_f32_s32(vld1q_s32(sums + 4)), vmulq_n_f32(ws1, s[i]));
		math_neon_store(out, math_neon_act(y0, act), width);
		math_neon_store(out + 4, math_neon_act(y1, act), width - 4);
	}
}

/* The same as static codes (m, z). */
RT_SHARED void tile_neon_scale_codes(int8_t *out, const int32_t *sums, const float *s, const float *ws,
	const float *bias, const float *m, const float *z, int width, int N, int act, int mr)
{
	for (int i = 0; i < mr; i++) {
		float row[8];
		tile_neon_scale_floats(row, sums + 8 * i, s + i, ws, bias, 8, 8, act, 1);
		math_neon_code_row(out + (size_t)i * (size_t)N, row, m, z, rt_min(width, 8));
	}
}

/* Writes the outputs for the integer sums of int8 linears. */
RT_INLINE void tile_neon_scale(TileOut out, const int32_t *sums, const float *s, const float *ws,
	const float *bias, int width, int N, int act, int mr)
{
	if (out.codes)
		tile_neon_scale_codes((int8_t *)out.at, sums, s, ws, bias, out.m, out.z, width, N, act, mr);
	else
		tile_neon_scale_floats((float *)out.at, sums, s, ws, bias, width, N, act, mr);
}

/* The sums of the lanes of two registers. */
RT_INLINE int32x2_t tile_neon_sums(int32x4_t a, int32x4_t b)
{
	return vpadd_s32(
		vadd_s32(vget_low_s32(a), vget_high_s32(a)), vadd_s32(vget_low_s32(b), vget_high_s32(b)));
}

enum { TILE_NEON_ROWS = 48 }; /* rows that int8 linears bring into scratch at a time */

/* rows[i] = q[i] for count rows, 0 from K to the stride, so that kernels can read 16 codes at a time. */
RT_INLINE void tile_neon_bring(int8_t *rows, const int8_t *q, int count, int K)
{
	const int stride = (K + 63) & ~63;
	for (int i = 0; i < count; i++, rows += stride, q += K) {
		memcpy(rows, q, (size_t)K);
		memset(rows + K, 0, (size_t)(stride - K));
	}
}
#endif
