/* linear_sparse__avx512.c: linear_sparse__scalar.c with AVX-512, tokens in lanes as in
 * linear_i8_sparse__avx512vnni.c: a weight is broadcast once and multiplied with the same input of up to 64
 * rows. Every sum is one chain of multiply-adds for any number of lanes, so its bits do not depend on the
 * division of rows.
 *
 *   scratch  float x[K rounded up to 64][lanes], lanes: 8, 16, 32, 48 or 64; a block of 64 rows is 24 KiB */
#if defined(__x86_64__)
#include "sparse_rows__avx512.h"

RT_SHARED RT_TARGET_AVX512 void linear_sparse_avx512_bring(
	void *x, const void *from, const uint16_t *order, int rows, int K, int lanes)
{
	(void)order;
	sparse_avx512_bring(x, from, rows, 4 * K, lanes, sparse_avx512_put);
}

RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_add(SparseSums *sum, const void *x, __m512i w, int lanes)
{
	const __m512 word = _mm512_castsi512_ps(w);
	if (lanes == 8)
		sum->f8[0] = _mm256_fmadd_ps(
			_mm256_load_ps((const float *)x), _mm512_castps512_ps256(word), sum->f8[0]);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) sum->f16[v] = _mm512_fmadd_ps(
			_mm512_load_ps((const float *)x + 16 * v), word, sum->f16[v]);
}

RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	sparse_avx512_steps(sum, own, inputs, words, x, lanes, 4, linear_sparse_avx512_add);
}

SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_sparse_avx512, 8, 1, linear_sparse_avx512_step, NULL)
SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_sparse_avx512, 16, 1, linear_sparse_avx512_step, NULL)
SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_sparse_avx512, 32, 1, linear_sparse_avx512_step, NULL)
SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_sparse_avx512, 48, 1, linear_sparse_avx512_step, NULL)
SPARSE_AVX512_PIECE(RT_TARGET_AVX512, linear_sparse_avx512, 64, 1, linear_sparse_avx512_step, NULL)

RT_SHARED RT_TARGET_AVX512 void linear_sparse_avx512_leave(
	const SparseJob *job, const int32_t *acc, int row, int t, int rows, int lanes)
{
	enum { NR = SPARSE_WALK_TILE };
	const int N = job->N, width = rt_min(NR, N - t * NR);
	const __mmask16 some = math_avx512_first(width);
	float *out = (float *)job->out.at + (size_t)row * (size_t)N + (size_t)(t * NR);
	_Alignas(64) float tile[16 * 16];
	__m512 r[16];
	sparse_avx512_turn(r, acc, lanes);
	if (rows == 16 && job->act == RT_ACT_NONE) {
		RT_UNROLL_FULL for (int i = 0; i < 16; i++)
			_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N, some, r[i]);
		return;
	}
	RT_UNROLL_FULL for (int i = 0; i < 16; i++) _mm512_store_ps(tile + 16 * i, r[i]);
	tile_avx512_activate(out, tile, 1, width, N, job->act, rows);
}

static const SparseKernel linear_sparse_avx512 = {.inputs = 1,
	.bytes = 4,
	.rows = 64,
	.width = 16,
	.turn = 16,
	.bring = linear_sparse_avx512_bring,
	.piece = {linear_sparse_avx512_piece8, linear_sparse_avx512_piece16, NULL, linear_sparse_avx512_piece32,
		NULL, linear_sparse_avx512_piece48, NULL, linear_sparse_avx512_piece64}};

SPARSE_WALK_F32(RT_TARGET_AVX512, linear_f32_sparse__avx512, linear_sparse_avx512, linear_sparse_avx512_leave)
#endif
