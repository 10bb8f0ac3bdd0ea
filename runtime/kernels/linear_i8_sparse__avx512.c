/* linear_i8_sparse__avx512.c: linear_i8_sparse__avx2.c in 512-bit registers, for CPUs that have AVX-512 but
 * no VPDPBUSD: two products and two additions per quad of 16 rows. Up to 32 rows are in lanes: the inputs of
 * a quad take twice as much room as bytes, and a block of 32 rows has 24 KiB.
 *
 *   scratch  int16_t x[K/4 rounded up][2][lanes][2], lanes: 8, 16 or 32: inputs 0 and 2 of a
 *            quad, then 1 and 3;
 *            then int8_t y[K/4 rounded up][lanes][4], in the order of inputs */
#if defined(__x86_64__)
#include "sparse_rows__avx512.h"

/* Elements 0 and 2 of quads as 16 bits; and elements 1 and 3. */
RT_INLINE RT_TARGET_AVX512 __m512i linear_i8_sparse_avx512_half(__m512i quads, int odd)
{
	return _mm512_srai_epi16(odd ? quads : _mm512_slli_epi16(quads, 8), 8);
}

RT_INLINE RT_TARGET_AVX512 void linear_i8_sparse_avx512_put(
	void *x, int word, int first, int lanes, __m512i quads)
{
	RT_UNROLL_FULL for (int odd = 0; odd < 2; odd++)
		sparse_avx512_put(x, 2 * word + odd, first, lanes, linear_i8_sparse_avx512_half(quads, odd));
}

RT_SHARED RT_TARGET_AVX512 void linear_i8_sparse_avx512_bring(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	sparse_avx512_bring_codes(x, from, order, rows, K, lanes, 8, linear_i8_sparse_avx512_put);
}

RT_INLINE RT_TARGET_AVX512 void linear_i8_sparse_avx512_add(
	SparseSums *sum, const void *x, __m512i w, int lanes)
{
	RT_UNROLL_FULL for (int odd = 0; odd < 2; odd++)
	{
		const __m512i half = linear_i8_sparse_avx512_half(w, odd);
		const int32_t *at = (const int32_t *)x + odd * lanes;
		if (lanes == 8)
			sum->i8[0] = _mm256_add_epi32(sum->i8[0],
				_mm256_madd_epi16(
					_mm256_load_si256((const __m256i *)(const void *)at), _mm512_castsi512_si256(half)));
		else
			RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) sum->i16[v] = _mm512_add_epi32(
				sum->i16[v], _mm512_madd_epi16(_mm512_load_si512(at + 16 * v), half));
	}
}

RT_INLINE RT_TARGET_AVX512 void linear_i8_sparse_avx512_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	sparse_avx512_steps(sum, own, inputs, words, x, lanes, 8, linear_i8_sparse_avx512_add);
}

SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_i8_sparse_avx512, 8, 0, linear_i8_sparse_avx512_step, NULL)
SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_i8_sparse_avx512, 16, 0, linear_i8_sparse_avx512_step, NULL)
SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_i8_sparse_avx512, 32, 0, linear_i8_sparse_avx512_step, NULL)
static const SparseKernel linear_i8_sparse_avx512 = {.inputs = 4,
	.bytes = 8,
	.rows = 32,
	.width = 16,
	.turn = 16,
	.bring = linear_i8_sparse_avx512_bring,
	.piece = {linear_i8_sparse_avx512_piece8, linear_i8_sparse_avx512_piece16, NULL,
		linear_i8_sparse_avx512_piece32}};

SPARSE_WALK_I8(
	RT_TARGET_AVX512, avx512, linear_i8_sparse_avx512, sparse_avx512_leave_floats, sparse_avx512_leave_codes)
#endif
