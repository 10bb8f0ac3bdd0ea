/* linear_i8_sparse__dotprod.c: linear_i8_sparse__scalar.c with SDOT, tokens in lanes: a register holds two
 * quads of weights, and each is multiplied from its lane with the same four inputs of up to 32 rows. Both
 * factors are signed, so sums start at 0.
 *
 * CPUs with SMMLA use it, too. SMMLA would need quads of two rows and two outputs side by side.
 *
 *   scratch  int8_t x[K/4 rounded up][lanes][4], lanes: 8, 16, 24 or 32;
 *            then as many in the order of inputs */
#if defined(__aarch64__)
#include "sparse_rows__neon.h"

RT_INLINE RT_TARGET_DOTPROD void linear_i8_sparse_dotprod_add(
	SparseSums *sum, const void *x, uint8x8_t two, int which, int lanes)
{
	const int8x8_t w = vreinterpret_s8_u8(two);
	RT_UNROLL_FULL for (int v = 0; v < lanes / 4; v++)
	{
		const int8x16_t xv = vld1q_s8((const int8_t *)x + 16 * v);
		sum->i4[v] = which == 0 ? vdotq_lane_s32(sum->i4[v], xv, w, 0) : vdotq_lane_s32(sum->i4[v], xv, w, 1);
	}
}

RT_INLINE RT_TARGET_DOTPROD void linear_i8_sparse_dotprod_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	(void)own;
	sparse_neon_step(sum, inputs, words, x, lanes, linear_i8_sparse_dotprod_add);
}

SPARSE_NEON_PIECE(RT_TARGET_DOTPROD, linear_i8_sparse_dotprod, 8, 0, linear_i8_sparse_dotprod_step)
SPARSE_NEON_PIECE(RT_TARGET_DOTPROD, linear_i8_sparse_dotprod, 16, 0, linear_i8_sparse_dotprod_step)
SPARSE_NEON_PIECE(RT_TARGET_DOTPROD, linear_i8_sparse_dotprod, 24, 0, linear_i8_sparse_dotprod_step)
SPARSE_NEON_PIECE(RT_TARGET_DOTPROD, linear_i8_sparse_dotprod, 32, 0, linear_i8_sparse_dotprod_step)
static const SparseKernel linear_i8_sparse_dotprod = {.inputs = 4,
	.bytes = 4,
	.rows = SPARSE_NEON_ROWS,
	.width = 8,
	.turn = 4,
	.bring = sparse_neon_bring_codes,
	.piece = {linear_i8_sparse_dotprod_piece8, linear_i8_sparse_dotprod_piece16,
		linear_i8_sparse_dotprod_piece24, linear_i8_sparse_dotprod_piece32}};

SPARSE_WALK_I8(
	RT_TARGET_DOTPROD, dotprod, linear_i8_sparse_dotprod, sparse_neon_leave_floats, sparse_neon_leave_codes)
SPARSE_WALK_I8(
	RT_TARGET_I8MM, i8mm, linear_i8_sparse_dotprod, sparse_neon_leave_floats, sparse_neon_leave_codes)
#endif
