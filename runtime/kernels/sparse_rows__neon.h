/* sparse_rows__neon.h: rows into lanes and sums back into rows, for the AArch64 linears over weights of which most are zero. */
#ifndef RT_SPARSE_ROWS__NEON_H
#define RT_SPARSE_ROWS__NEON_H
#include "sparse_rows.h"
#include "tile__neon.h"

enum {
	SPARSE_NEON_ROWS = 32,   /* lanes at most: the sums of two outputs are half the registers */
	SPARSE_NEON_CHUNK = 4,   /* panels: 8 KiB of sums, while a block of inputs of 12 KiB stays in L1 */
};

/* 4 x 4 words: element j of row i becomes element i of row j. */
RT_INLINE void sparse_neon_transpose(float32x4_t r[4])
{
	const float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
	r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
	r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
	r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
	r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

/* x[k][i] = word k of row i, for rows of `bytes` bytes each; lanes from `rows` on repeat the last, bytes past a row are zero. */
RT_SHARED void sparse_neon_bring(void *x, const void *from, int rows, int bytes, int lanes)
{
	for (int first = 0; first < lanes; first += 4)
		for (int k = 0; 4 * k < bytes; k += 4) {
			float *to = (float *)x + (size_t)k * (size_t)lanes + first;
			float32x4_t r[4];
			RT_UNROLL_FULL for (int i = 0; i < 4; i++) {
				uint8_t some[16] = {0};
				const uint8_t *row = (const uint8_t *)from + (size_t)rt_min(first + i, rows - 1) * (size_t)bytes + 4 * k;
				if (bytes - 4 * k < 16)
					row = memcpy(some, row, (size_t)(bytes - 4 * k));
				r[i] = vreinterpretq_f32_u8(vld1q_u8(row));
			}
			sparse_neon_transpose(r);
			RT_UNROLL_FULL for (int c = 0; c < 4; c++)
				vst1q_f32(to + (size_t)c * (size_t)lanes, r[c]);
		}
}

/* tile[i][o] = acc[o][i] for four outputs of a panel and four lanes; rows of tile lie `stride` apart. */
RT_INLINE void sparse_neon_turn(void *tile, int stride, const void *acc, int lanes)
{
	float32x4_t r[4];
	RT_UNROLL_FULL for (int o = 0; o < 4; o++)
		r[o] = vld1q_f32((const float *)acc + o * lanes);
	sparse_neon_transpose(r);
	RT_UNROLL_FULL for (int i = 0; i < 4; i++)
		vst1q_f32((float *)tile + i * stride, r[i]);
}

/* out = act of four lanes of acc[16][lanes], for `rows` rows and the first `width` outputs. */
RT_SHARED void sparse_neon_leave_floats(float *out, const float *acc, int rows, int lanes, int width, int N, int act)
{
	float tile[4 * SPARSE_ROWS_PANEL];
	for (int o = 0; o < SPARSE_ROWS_PANEL; o += 4)
		sparse_neon_turn(tile + o, SPARSE_ROWS_PANEL, acc + o * lanes, lanes);
	tile_neon_activate(out, tile, SPARSE_ROWS_PANEL / 4, width, N, act, rows);
}

/* The same of act(acc * (s * ws) + bias), floats or codes. */
RT_SHARED void sparse_neon_leave_sums(TileOut out, const int32_t *acc, const float *s, const float *ws, const float *bias, int rows, int lanes,
                                      int width, int N, int act)
{
	for (int half = 0; half < width; half += 8) {
		int32_t tile[4 * 8];
		for (int o = 0; o < 8; o += 4)
			sparse_neon_turn(tile + o, 8, acc + (half + o) * lanes, lanes);
		tile_neon_scale(tile_out(out, 0, half, N), tile, s, ws + half, bias + half, width - half, N, act, rows);
	}
}
#endif
