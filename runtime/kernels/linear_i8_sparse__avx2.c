/* linear_i8_sparse__avx2.c: linear_i8_sparse__scalar.c with VPMADDWD, tokens in lanes: a quad of weights is
 * widened to 16 bits once and multiplies the same four inputs of up to 32 rows, exactly, as in
 * linear_i8__avx2.c.
 *
 * The inputs of a quad are stored as a pair of the even and a pair of the odd ones. So two shifts widen four
 * weights that were broadcast as a word.
 *
 *   scratch  int16_t x[K/4 rounded up][2][lanes][2], lanes: 8, 16, 24 or 32: inputs 0 and 2 of a
 *            quad, then 1 and 3; a block of 32 rows has 24 KiB;
 *            then int8_t y[K/4 rounded up][lanes][4], in the order of inputs */
#if defined(__x86_64__)
#include "sparse_rows__avx2.h"

/* Elements 0 and 2 of quads as 16 bits; and elements 1 and 3. */
RT_INLINE RT_TARGET_AVX2 __m256i linear_i8_sparse_avx2_even(__m256 quads)
{
	return _mm256_srai_epi16(_mm256_slli_epi16(_mm256_castps_si256(quads), 8), 8);
}
RT_INLINE RT_TARGET_AVX2 __m256i linear_i8_sparse_avx2_odd(__m256 quads)
{
	return _mm256_srai_epi16(_mm256_castps_si256(quads), 8);
}

RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2_put(void *x, int word, int first, int lanes, __m256 quads)
{
	int16_t *to = (int16_t *)x + (size_t)word * (size_t)(4 * lanes) + 2 * first;
	_mm256_store_si256((__m256i *)(void *)to, linear_i8_sparse_avx2_even(quads));
	_mm256_store_si256((__m256i *)(void *)(to + 2 * lanes), linear_i8_sparse_avx2_odd(quads));
}

RT_SHARED RT_TARGET_AVX2 void linear_i8_sparse_avx2_bring(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	sparse_avx2_bring_codes(x, from, order, rows, K, lanes, 8, linear_i8_sparse_avx2_put);
}

/* Loads the inputs of a quad again for each output, and handles one vector after another: the registers have
 * no room for halves of two weights, or for pending products, beside the sums. */
RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2_add(SparseSums *sum, const void *x, __m256 w, int lanes)
{
	RT_UNROLL_FULL for (int odd = 0; odd < 2; odd++)
	{
		const __m256i y = odd ? linear_i8_sparse_avx2_odd(w) : linear_i8_sparse_avx2_even(w);
		RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++)
		{
			const __m256i xv = _mm256_load_si256((const __m256i *)x + lanes / 8 * odd + v);
			sum->i8[v] = _mm256_add_epi32(sum->i8[v], _mm256_madd_epi16(xv, y));
			__asm__ volatile("" : "+x"(sum->i8[v]) : : "memory");
		}
	}
}

RT_INLINE RT_TARGET_AVX2 void linear_i8_sparse_avx2_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	(void)own;
	sparse_avx2_step(sum, inputs, words, x, lanes, 8, linear_i8_sparse_avx2_add);
}

SPARSE_AVX2_PIECES(RT_TARGET_AVX2, linear_i8_sparse_avx2, 0, linear_i8_sparse_avx2_step)
static const SparseKernel linear_i8_sparse_avx2 = {.inputs = 4,
	.bytes = 8,
	.rows = 32,
	.width = 8,
	.turn = 8,
	.bring = linear_i8_sparse_avx2_bring,
	.piece = {linear_i8_sparse_avx2_piece8, linear_i8_sparse_avx2_piece16, linear_i8_sparse_avx2_piece24,
		linear_i8_sparse_avx2_piece32}};

SPARSE_WALK_I8(RT_TARGET_AVX2, avx2, linear_i8_sparse_avx2, sparse_avx2_leave_floats, sparse_avx2_leave_codes)
#endif
