/* linear_sparse__avx2.c: linear_sparse__avx512.c in 256-bit registers.
 *
 *   scratch  float x[K rounded up to 64][lanes], lanes: 8, 16, 24 or 32 */
#if defined(__x86_64__)
#include "sparse_rows__avx2.h"

RT_SHARED RT_TARGET_AVX2 void linear_sparse_avx2_bring(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	(void)order;
	sparse_avx2_bring(x, from, rows, 4 * K, lanes, sparse_avx2_put);
}

RT_INLINE RT_TARGET_AVX2 void linear_sparse_avx2_add(SparseSums *sum, const void *x, __m256 w, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++) sum->f8[v] = _mm256_fmadd_ps(
		_mm256_load_ps((const float *)x + 8 * v), w, sum->f8[v]);
}

RT_INLINE RT_TARGET_AVX2 void linear_sparse_avx2_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	(void)own;
	sparse_avx2_step(sum, inputs, words, x, lanes, 4, linear_sparse_avx2_add);
}

SPARSE_AVX2_PIECES(RT_TARGET_AVX2, linear_sparse_avx2, 1, linear_sparse_avx2_step)
static const SparseKernel linear_sparse_avx2 = {.inputs = 1,
	.bytes = 4,
	.rows = 32,
	.width = 8,
	.turn = 8,
	.bring = linear_sparse_avx2_bring,
	.piece = {linear_sparse_avx2_piece8, linear_sparse_avx2_piece16, linear_sparse_avx2_piece24,
		linear_sparse_avx2_piece32}};

SPARSE_WALK_F32(RT_TARGET_AVX2, linear_f32_sparse__avx2, linear_sparse_avx2, sparse_avx2_leave_f32)
#endif
