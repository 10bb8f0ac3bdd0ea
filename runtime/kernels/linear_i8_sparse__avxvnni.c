/* linear_i8_sparse__avxvnni.c: linear_i8_sparse__avx512vnni.c in 256-bit registers, for CPUs that have
 * VPDPBUSD but no AVX-512. Sums start at -128 * sums[n].
 *
 *   scratch  uint8_t x[K/4 rounded up][lanes][4], q + 128, lanes: 8, 16, 24 or 32;
 *            then as many in the order of inputs */
#if defined(__x86_64__)
#include "sparse_rows__avx2.h"

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_put(
	void *x, int word, int first, int lanes, __m256 quads)
{
	sparse_avx2_put(
		x, word, first, lanes, _mm256_xor_ps(quads, _mm256_castsi256_ps(_mm256_set1_epi8((char)0x80))));
}

RT_SHARED RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_bring(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	sparse_avx2_bring_codes(x, from, order, rows, K, lanes, 4, linear_i8_sparse_avxvnni_put);
}

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_add(
	SparseSums *sum, const void *x, __m256 w, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++) sum->i8[v] = _mm256_dpbusd_avx_epi32(
		sum->i8[v], _mm256_load_si256((const __m256i *)x + v), _mm256_castps_si256(w));
}

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_sparse_avxvnni_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	(void)own;
	sparse_avx2_step(sum, inputs, words, x, lanes, 4, linear_i8_sparse_avxvnni_add);
}

SPARSE_AVX2_PIECES(RT_TARGET_AVXVNNI, linear_i8_sparse_avxvnni, -128, linear_i8_sparse_avxvnni_step)
static const SparseKernel linear_i8_sparse_avxvnni = {.inputs = 4,
	.bytes = 4,
	.rows = 32,
	.width = 8,
	.turn = 8,
	.bring = linear_i8_sparse_avxvnni_bring,
	.piece = {linear_i8_sparse_avxvnni_piece8, linear_i8_sparse_avxvnni_piece16,
		linear_i8_sparse_avxvnni_piece24, linear_i8_sparse_avxvnni_piece32}};

SPARSE_WALK_I8(
	RT_TARGET_AVXVNNI, avxvnni, linear_i8_sparse_avxvnni, sparse_avx2_leave_floats, sparse_avx2_leave_codes)
#endif
