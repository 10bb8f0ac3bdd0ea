/* linear_sparse__avx512.c: linear_sparse__scalar.c with AVX-512, tokens in lanes as in linear_i8_sparse__avx512vnni.c: a weight is broadcast
 * once and multiplies the same input of up to 64 rows.
 *
 * A block of inputs of 64 rows is 24 KiB and stays in L1 while the weights of CHUNK panels pass. Every sum is one chain of multiply-adds, however
 * many lanes there are: the same bits for every division into rows.
 *
 *   scratch  float x[K rounded up to 64][lanes], lanes: 8, 16, 32, 48 or 64 */
#if defined(__x86_64__)
#include "sparse_rows.h"
#include "tile__avx512.h"

enum {
	LINEAR_SPARSE_AVX512_ROWS = 64,
	LINEAR_SPARSE_AVX512_CHUNK = 2,   /* panels: 8 KiB of sums, which share the L1 with a block of rows */
};

/* x[k][i] = rows[i][k] for `rows` rows; lanes beyond them repeat the last. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_bring(float *x, const float *from, int rows, int K, int lanes)
{
	const __mmask16 stored = math_avx512_first(lanes);
	for (int first = 0; first < lanes; first += 16)
		for (int k = 0; k < K; k += 16) {
			const __mmask16 some = math_avx512_first(K - k);
			__m512 r[16];
			RT_UNROLL_FULL for (int i = 0; i < 16; i++)
				r[i] = _mm512_maskz_loadu_ps(some, from + (size_t)rt_min(first + i, rows - 1) * (size_t)K + k);
			math_avx512_transpose(r);
			RT_UNROLL_FULL for (int c = 0; c < 16; c++)
				_mm512_mask_storeu_ps(x + (size_t)(k + c) * (size_t)lanes + first, stored, r[c]);
		}
}

/* Sums of one output for 8 rows in y, for more in z. */
typedef union LinearSparseSums { __m256 y; __m512 z[4]; } LinearSparseSums;

/* The j-th of four words that lie in every quarter of a register, everywhere. */
RT_INLINE RT_TARGET_AVX512 __m512 linear_sparse_avx512_word(__m512 words, int j)
{
	return j == 0 ? _mm512_permute_ps(words, 0x00) : j == 1 ? _mm512_permute_ps(words, 0x55)
		: j == 2 ? _mm512_permute_ps(words, 0xaa) : _mm512_permute_ps(words, 0xff);
}

/* sum[j] += x of an input by a word, for a band's four outputs; `inputs` holds their indices. Four words are loaded at once and broadcast from
 * the register, which the compiler must not undo: loads bound it. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_step(LinearSparseSums sum[SPARSE_ROWS_BAND], uint32_t inputs, const uint8_t *words,
                                                          const float *x, int lanes)
{
	__m512 w = _mm512_broadcast_f32x4(_mm_loadu_ps((const float *)(const void *)words));
	__asm__("" : "+v"(w));
	RT_UNROLL_FULL for (int j = 0; j < SPARSE_ROWS_BAND; j++) {
		const float *at = x + (size_t)(inputs >> 8 * j & 255) * (size_t)lanes;
		const __m512 word = linear_sparse_avx512_word(w, j);
		if (lanes == 8)
			sum[j].y = _mm256_fmadd_ps(_mm256_load_ps(at), _mm512_castps512_ps256(word), sum[j].y);
		else
			RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
				sum[j].z[v] = _mm512_fmadd_ps(_mm512_load_ps(at + 16 * v), word, sum[j].z[v]);
	}
}

/* sum = start everywhere, or what lies at `from`. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_begin(LinearSparseSums *sum, const float *from, const float *start, int lanes)
{
	if (lanes == 8)
		sum->y = start ? _mm256_broadcast_ss(start) : _mm256_load_ps(from);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			sum->z[v] = start ? _mm512_set1_ps(*start) : _mm512_load_ps(from + 16 * v);
}

RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_end(float *to, const LinearSparseSums *sum, int lanes)
{
	if (lanes == 8)
		_mm256_store_ps(to, sum->y);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			_mm512_store_ps(to + 16 * v, sum->z[v]);
}

RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_band(LinearSparseSums sum[SPARSE_ROWS_BAND], const SparseBand *band, const float *x, int lanes)
{
	const uint8_t *words = band->words;
	if (!band->count)
		return;
	uint64_t inputs = sparse_rows_indices(band->index);
	RT_UNROLL_NONE for (int n = 2; n <= band->count; n += 2, words += 32) {
		const uint64_t next = sparse_rows_indices(band->index + 4 * n);
		linear_sparse_avx512_step(sum, (uint32_t)inputs, words, x, lanes);
		linear_sparse_avx512_step(sum, (uint32_t)(inputs >> 32), words + 16, x, lanes);
		inputs = next;
	}
}

/* acc[16][lanes] of a panel += one block; they begin at the outputs' biases where those are given. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_piece(float *acc, const float *bias, const float *x, const uint8_t *at, int lanes)
{
	enum { BAND = SPARSE_ROWS_BAND };
	for (int i = 0; i < SPARSE_ROWS_PANEL / BAND; i++) {
		const uint8_t *from = at;
		const SparseBand band = sparse_rows_band(&at);
		LinearSparseSums sum[BAND];
		for (; from < at; from += 64)
			_mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
		RT_UNROLL_FULL for (int j = 0; j < BAND; j++)
			linear_sparse_avx512_begin(&sum[j], acc + lanes * band.output[j], bias ? bias + band.output[j] : NULL, lanes);
		linear_sparse_avx512_band(sum, &band, x, lanes);
		RT_UNROLL_FULL for (int j = 0; j < BAND; j++)
			linear_sparse_avx512_end(acc + lanes * band.output[j], &sum[j], lanes);
	}
}

/* A function of its own: five of them a program, whatever K is. */
#define LINEAR_SPARSE_PIECE(lanes) \
RT_SHARED RT_TARGET_AVX512 void linear_sparse_avx512_piece##lanes(float *acc, const float *bias, const float *x, const uint8_t *at) \
{ linear_sparse_avx512_piece(acc, bias, x, at, lanes); }
LINEAR_SPARSE_PIECE(8)
LINEAR_SPARSE_PIECE(16)
LINEAR_SPARSE_PIECE(32)
LINEAR_SPARSE_PIECE(48)
LINEAR_SPARSE_PIECE(64)
#undef LINEAR_SPARSE_PIECE

/* out = act(acc[16][lanes]) with 16 lanes turned into rows, for `rows` rows and the first `width` outputs. */
RT_SHARED RT_TARGET_AVX512 void linear_sparse_avx512_leave(float *out, const float *acc, int rows, int lanes, int width, int N, int act)
{
	const __mmask16 there = math_avx512_first(lanes), some = math_avx512_first(width);
	_Alignas(64) float tile[16 * 16];
	__m512 r[16];
	RT_UNROLL_FULL for (int o = 0; o < 16; o++)
		r[o] = _mm512_maskz_loadu_ps(there, acc + (size_t)(o * lanes));
	math_avx512_transpose(r);
	if (rows == 16 && act == RT_ACT_NONE) {
		RT_UNROLL_FULL for (int i = 0; i < 16; i++)
			_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N, some, r[i]);
		return;
	}
	RT_UNROLL_FULL for (int i = 0; i < 16; i++)
		_mm512_store_ps(tile + 16 * i, r[i]);
	tile_avx512_activate(out, tile, 1, width, N, act, rows);
}

RT_INLINE RT_TARGET_AVX512 void linear_f32_sparse__avx512(float *out, const float *x, const void *w, const float *bias, int r0, int r1,
                                                          int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = LINEAR_SPARSE_AVX512_ROWS, CHUNK = LINEAR_SPARSE_AVX512_CHUNK };
	static void (*const piece[])(float *, const float *, const float *, const uint8_t *) = {linear_sparse_avx512_piece8,
		linear_sparse_avx512_piece16, linear_sparse_avx512_piece32, linear_sparse_avx512_piece48, linear_sparse_avx512_piece64};
	_Alignas(64) float acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks(K);
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int vectors = rows > 8 ? (rows + 15) / 16 : 0, lanes = vectors ? 16 * vectors : 8;
		linear_sparse_avx512_bring(scratch, x + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(CHUNK, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[vectors](acc[c], b ? NULL : bias + (p + c) * NR,
						(const float *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * (size_t)lanes, sparse_rows_piece(w, (p + c) * blocks + b));
			for (int i = 0; i < rows; i += 16)   /* 16 pages of out at a time: the TLB has not many more than 64 */
				for (int c = 0; c < chunk; c++)
					linear_sparse_avx512_leave(out + (size_t)(first + i) * (size_t)N + (size_t)(p + c) * NR, acc[c] + i, rt_min(16, rows - i),
						lanes, rt_min(NR, N - (p + c) * NR), N, act);
		}
	}
}
#endif
