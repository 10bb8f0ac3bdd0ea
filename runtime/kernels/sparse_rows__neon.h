/* sparse_rows__neon.h: shared by the NEON linears with sparse weights, AArch64 and ARMv7: brings rows into
 * lanes, holds the sums of two outputs in 16 of 32 registers (ARMv7: 8 of 16), and turns sums back into
 * rows. */
#ifndef RT_SPARSE_ROWS__NEON_H
#define RT_SPARSE_ROWS__NEON_H
#include "sparse_walk.h"
#include "tile__neon.h"

#if defined(__aarch64__)
enum { SPARSE_NEON_ROWS = 32 }; /* most lanes */
#else
enum { SPARSE_NEON_ROWS = 16 };
#endif

/* 4 x 4 words: element j of row i becomes element i of row j. */
RT_INLINE void sparse_neon_transpose(float32x4_t r[4])
{
	const float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
	r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
	r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
	r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
	r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

/* x[k][i] = word k of row i, for rows of `bytes` bytes each; lanes from `rows` on repeat the last, bytes past
 * a row are zero. */
RT_SHARED void sparse_neon_bring(void *x, const void *from, int rows, int bytes, int lanes)
{
	for (int first = 0; first < lanes; first += 4)
		for (int k = 0; 4 * k < bytes; k += 4) {
			float *to = (float *)x + (size_t)k * (size_t)lanes + first;
			float32x4_t r[4];
			RT_UNROLL_FULL for (int i = 0; i < 4; i++)
			{
				uint8_t some[16] = {0};
				const uint8_t *row = (const uint8_t *)from
					+ (size_t)rt_min(first + i, rows - 1) * (size_t)bytes + 4 * k;
				if (bytes - 4 * k < 16)
					row = memcpy(some, row, (size_t)(bytes - 4 * k));
				r[i] = vreinterpretq_f32_u8(vld1q_u8(row));
			}
			sparse_neon_transpose(r);
			RT_UNROLL_FULL for (int c = 0; c < 4; c++) vst1q_f32(to + (size_t)c * (size_t)lanes, r[c]);
		}
}

/* x[word] = the four inputs that order[word] lists, from rows in lanes at y: byte order[j] & 3 of each word,
 * shifted to place j. */
RT_INLINE void sparse_neon_order(int32_t *x, const int32_t *y, const uint16_t *order, int words, int lanes)
{
	for (int w = 0; w < words; w++, order += 4)
		for (int first = 0; first < lanes; first += 4, x += 4) {
			uint32x4_t quads = vdupq_n_u32(0);
			RT_UNROLL_FULL for (int j = 0; j < 4; j++)
			{
				const uint32x4_t from = vreinterpretq_u32_s32(
					vld1q_s32(y + (size_t)(order[j] >> 2) * (size_t)lanes + first));
				quads = vbslq_u32(vdupq_n_u32(255u << 8 * j),
					vshlq_u32(from, vdupq_n_s32(8 * (j - (order[j] & 3)))), quads);
			}
			vst1q_s32(x, vreinterpretq_s32_u32(quads));
		}
}

/* Brings codes into lanes; a word takes four bytes per lane. */
RT_SHARED void sparse_neon_bring_codes(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	int32_t *y = sparse_walk_beside(x, K, lanes, 4);
	sparse_neon_bring(order ? y : x, from, rows, K, lanes);
	if (order)
		sparse_neon_order(x, y, order, (K + 3) / 4, lanes);
}

/* tile[i][o] = acc[o][i] for four outputs of a panel and four lanes; `stride` is that of tile's rows. */
RT_INLINE void sparse_neon_turn(void *tile, int stride, const void *acc, int lanes)
{
	float32x4_t r[4];
	RT_UNROLL_FULL for (int o = 0; o < 4; o++) r[o] = vld1q_f32((const float *)acc + o * lanes);
	sparse_neon_transpose(r);
	RT_UNROLL_FULL for (int i = 0; i < 4; i++) vst1q_f32((float *)tile + i * stride, r[i]);
}

RT_SHARED void sparse_neon_leave_f32(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	enum { NR = SPARSE_WALK_TILE };
	float tile[4 * NR];
	for (int o = 0; o < NR; o += 4)
		sparse_neon_turn(tile + o, NR, acc + o * lanes, lanes);
	tile_neon_activate((float *)job->out.at + (size_t)row * (size_t)job->N + (size_t)(t * NR), tile, NR / 4,
		rt_min(NR, job->N - t * NR), job->N, job->act, rows);
}

/* act(acc * (s * ws) + bias), floats or codes. */
RT_INLINE void sparse_neon_leave_i8(
	TileOut out, const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	const int end = rt_min(SPARSE_WALK_TILE, job->N - t * SPARSE_WALK_TILE);
	for (int half = 0; half < end; half += 8) {
		const int n = t * SPARSE_WALK_TILE + half;
		int32_t tile[4 * 8];
		for (int o = 0; o < 8; o += 4)
			sparse_neon_turn(tile + o, 8, acc + (half + o) * lanes, lanes);
		tile_neon_scale(tile_out(out, row, n, job->N), tile, job->s + row, job->ws + n, job->bias + n,
			end - half, job->N, job->act, rows);
	}
}

RT_SHARED void sparse_neon_leave_floats(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	sparse_neon_leave_i8(tile_floats(job->out.at), job, acc, row, t, rows, lanes);
}

RT_SHARED void sparse_neon_leave_codes(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	sparse_neon_leave_i8(tile_codes(job->out.at, job->out.m, job->out.z), job, acc, row, t, rows, lanes);
}

RT_INLINE void sparse_neon_begin(SparseSums *sum, int32_t start, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 4; v++) sum->i4[v] = vdupq_n_s32(start);
}

RT_INLINE void sparse_neon_resume(SparseSums *sum, const void *from, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 4; v++) sum->i4[v] = vld1q_s32((const int32_t *)from + 4 * v);
}

RT_INLINE void sparse_neon_end(void *to, const SparseSums *sum, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 4; v++) vst1q_s32((int32_t *)to + 4 * v, sum->i4[v]);
}

/* sum += the product of word `which` of two and the inputs of a word at x, for all lanes. */
typedef void SparseNeonAdd(SparseSums *sum, const void *x, uint8x8_t two, int which, int lanes);

/* Two steps of two outputs. */
RT_INLINE void sparse_neon_step(
	SparseSums *sum, uint64_t inputs, const uint8_t *words, const void *x, int lanes, SparseNeonAdd *add)
{
	RT_UNROLL_FULL for (int step = 0; step < 2; step++, inputs >>= 32)
	{
		const uint8x8_t two = vld1_u8(words + 4 * SPARSE_ROWS_BAND * step);
		add(&sum[0], (const char *)x + (size_t)(inputs & 255) * (size_t)(4 * lanes), two, 0, lanes);
		add(&sum[1], (const char *)x + (size_t)(inputs >> 8 & 255) * (size_t)(4 * lanes), two, 1, lanes);
	}
}

#define SPARSE_NEON_PIECE(TARGET, kernel, lanes, flip, step) \
	SPARSE_WALK_PIECE( \
		TARGET, kernel, lanes, 2, flip, sparse_neon_begin, sparse_neon_resume, step, sparse_neon_end, NULL)
#endif
