/* linear_i8_sparse__avx512vnni.c: linear_i8_sparse__scalar.c with VPDPBUSD and tokens in lanes (as in FBGEMM
 * and SparseLib). A quad of weights is broadcast once and multiplied with the same four inputs of up to 64
 * rows, as unsigned bytes q + 128. Sums start with -128 * sums[n] as in linear_i8__avx512vnni.c. On a Zen 5 a
 * quad takes 2.6 cycles for 64 rows (the products alone take 2), plus 25 cycles per output.
 *
 *   scratch  uint8_t x[K/4 rounded up][lanes][4], lanes: 8, 16, 32, 48 or 64; a block of 64 rows is 24 KiB;
 *            then a buffer for 32 rows in the order of inputs, before they are reordered */
#if defined(__x86_64__)
#include "sparse_rows__avx512.h"

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_put(
	void *x, int word, int first, int lanes, __m512i quads)
{
	sparse_avx512_put(x, word, first, lanes, _mm512_xor_si512(quads, _mm512_set1_epi8((char)0x80)));
}

RT_SHARED RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_bring(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	sparse_avx512_bring_codes(x, from, order, rows, K, lanes, 4, linear_i8_sparse_avx512vnni_put);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_add(
	SparseSums *sum, const void *x, __m512i w, int lanes)
{
	if (lanes == 8)
		sum->i8[0] = _mm256_dpbusd_epi32(
			sum->i8[0], _mm256_load_si256((const __m256i *)x), _mm512_castsi512_si256(w));
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) sum->i16[v] = _mm512_dpbusd_epi32(
			sum->i16[v], _mm512_load_si512((const __m512i *)x + v), w);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	sparse_avx512_steps(sum, own, inputs, words, x, lanes, 4, linear_i8_sparse_avx512vnni_add);
}

/* With few lanes, every other word has separate sums, so that no product waits 4 cycles for the one
 * before. */
#define LINEAR_I8_SPARSE_PIECE(lanes, join) \
	SPARSE_AVX512_PIECE(RT_TARGET_AVX512VNNI, linear_i8_sparse_avx512vnni, lanes, -128, \
		linear_i8_sparse_avx512vnni_step, join)
LINEAR_I8_SPARSE_PIECE(8, sparse_avx512_join)
LINEAR_I8_SPARSE_PIECE(16, sparse_avx512_join)
LINEAR_I8_SPARSE_PIECE(32, NULL)
LINEAR_I8_SPARSE_PIECE(48, NULL)
LINEAR_I8_SPARSE_PIECE(64, NULL)
#undef LINEAR_I8_SPARSE_PIECE

static const SparseKernel linear_i8_sparse_avx512vnni = {.inputs = 4,
	.bytes = 4,
	.rows = 64,
	.width = 16,
	.turn = 16,
	.bring = linear_i8_sparse_avx512vnni_bring,
	.piece = {linear_i8_sparse_avx512vnni_piece8, linear_i8_sparse_avx512vnni_piece16, NULL,
		linear_i8_sparse_avx512vnni_piece32, NULL, linear_i8_sparse_avx512vnni_piece48, NULL,
		linear_i8_sparse_avx512vnni_piece64}};

SPARSE_WALK_I8(RT_TARGET_AVX512VNNI, avx512vnni, linear_i8_sparse_avx512vnni, sparse_avx512_leave_floats,
	sparse_avx512_leave_codes)
#endif
