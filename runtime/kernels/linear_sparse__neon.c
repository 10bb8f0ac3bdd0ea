/* linear_sparse__neon.c: linear_sparse__avx512.c in registers of four floats, AArch64 and ARMv7: a register
 * holds two weights, and each is multiplied from its lane.
 *
 *   scratch  float x[K rounded up to 64][lanes], lanes: 8, 16, 24 or 32; ARMv7: 8 or 16 */
#if defined(__ARM_NEON)
#include "sparse_rows__neon.h"

RT_SHARED void linear_sparse_neon_bring(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	(void)order;
	sparse_neon_bring(x, from, rows, 4 * K, lanes);
}

RT_INLINE void linear_sparse_neon_add(SparseSums *sum, const void *x, uint8x8_t two, int which, int lanes)
{
	const float32x2_t w = vreinterpret_f32_u8(two);
	RT_UNROLL_FULL for (int v = 0; v < lanes / 4; v++)
	{
		const float32x4_t xv = vld1q_f32((const float *)x + 4 * v);
#if defined(__aarch64__)
		sum->f4[v] = which == 0 ? vfmaq_lane_f32(sum->f4[v], xv, w, 0) : vfmaq_lane_f32(sum->f4[v], xv, w, 1);
#else
		sum->f4[v] = which == 0 ? vmlaq_lane_f32(sum->f4[v], xv, w, 0) : vmlaq_lane_f32(sum->f4[v], xv, w, 1);
#endif
	}
}

RT_INLINE void linear_sparse_neon_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	(void)own;
	sparse_neon_step(sum, inputs, words, x, lanes, linear_sparse_neon_add);
}

SPARSE_NEON_PIECE(RT_TARGET_NONE, linear_sparse_neon, 8, 1, linear_sparse_neon_step)
SPARSE_NEON_PIECE(RT_TARGET_NONE, linear_sparse_neon, 16, 1, linear_sparse_neon_step)
#if defined(__aarch64__)
SPARSE_NEON_PIECE(RT_TARGET_NONE, linear_sparse_neon, 24, 1, linear_sparse_neon_step)
SPARSE_NEON_PIECE(RT_TARGET_NONE, linear_sparse_neon, 32, 1, linear_sparse_neon_step)
#endif
static const SparseKernel linear_sparse_neon = {.inputs = 1,
	.bytes = 4,
	.rows = SPARSE_NEON_ROWS,
	.width = 8,
	.turn = 4,
	.bring = linear_sparse_neon_bring,
	.piece = {
		linear_sparse_neon_piece8,
		linear_sparse_neon_piece16,
#if defined(__aarch64__)
		linear_sparse_neon_piece24,
		linear_sparse_neon_piece32,
#endif
	}};

SPARSE_WALK_F32(RT_TARGET_NONE, RT_NEON(linear_f32_sparse), linear_sparse_neon, sparse_neon_leave_f32)
#endif
