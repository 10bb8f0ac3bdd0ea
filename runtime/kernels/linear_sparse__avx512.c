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
	LINEAR_SPARSE_AVX512_CHUNK = 4,   /* panels: 16 KiB of sums, which share the L2 with the rows */
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

/* Sums of one output for 8 or 16 rows in y, for 32, 48 or 64 in z: half registers where a load of 64 bytes takes two turns, as of few rows
 * loads are most of the work. */
typedef union LinearSparseSums { __m256 y[2]; __m512 z[4]; } LinearSparseSums;

/* Four words in every quarter of a register, and one of them everywhere. The compiler must not see that the one is a load by itself: a tenth of the
 * time of 8 to 32 rows (Zen 5). */
RT_INLINE RT_TARGET_AVX512 __m512 linear_sparse_avx512_words(const uint8_t *words)
{
	__m512 four = _mm512_broadcast_f32x4(_mm_loadu_ps((const float *)(const void *)words));
	__asm__("" : "+v"(four));
	return four;
}

RT_INLINE RT_TARGET_AVX512 __m512 linear_sparse_avx512_word(__m512 words, int i)
{
	return i == 0 ? _mm512_permute_ps(words, 0x00) : i == 1 ? _mm512_permute_ps(words, 0x55)
		: i == 2 ? _mm512_permute_ps(words, 0xaa) : _mm512_permute_ps(words, 0xff);
}

/* a += x of input k by word w, and b += x by word w2 where there is a b. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_add(LinearSparseSums *a, LinearSparseSums *b, const float *x, unsigned k, __m512 w,
                                                         __m512 w2, int lanes)
{
	const float *at = x + (size_t)k * (size_t)lanes;
	if (lanes <= 16) {
		RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++) {
			const __m256 xv = _mm256_load_ps(at + 8 * v);
			a->y[v] = _mm256_fmadd_ps(xv, _mm512_castps512_ps256(w), a->y[v]);
			if (b)
				b->y[v] = _mm256_fmadd_ps(xv, _mm512_castps512_ps256(w2), b->y[v]);
		}
		return;
	}
	RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) {
		const __m512 xv = _mm512_load_ps(at + 16 * v);
		a->z[v] = _mm512_fmadd_ps(xv, w, a->z[v]);
		if (b)
			b->z[v] = _mm512_fmadd_ps(xv, w2, b->z[v]);
	}
}

/* sum = start everywhere, or what lies at `from`. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_begin(LinearSparseSums *sum, const float *from, const float *start, int lanes)
{
	if (lanes <= 16)
		RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++)
			sum->y[v] = start ? _mm256_broadcast_ss(start) : _mm256_load_ps(from + 8 * v);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			sum->z[v] = start ? _mm512_set1_ps(*start) : _mm512_load_ps(from + 16 * v);
}

RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_end(float *to, const LinearSparseSums *sum, int lanes)
{
	if (lanes <= 16)
		RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++)
			_mm256_store_ps(to + 8 * v, sum->y[v]);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			_mm512_store_ps(to + 16 * v, sum->z[v]);
}

/* sum[0..1] += a pair of outputs. Four words are loaded at once and broadcast from the register, and their indices too: loads bound it. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_pair(LinearSparseSums sum[2], const SparsePair *pair, const float *x, int lanes)
{
	const uint8_t *index = pair->index, *words = pair->words;
	RT_UNROLL_NONE for (int i = 0; i < pair->both; i++, index += 2, words += 16) {
		uint16_t at;
		memcpy(&at, index, 2);
		const __m512 w = linear_sparse_avx512_words(words);
		linear_sparse_avx512_add(&sum[0], &sum[1], x, at & 255, linear_sparse_avx512_word(w, 0), linear_sparse_avx512_word(w, 1), lanes);
		linear_sparse_avx512_add(&sum[0], &sum[1], x, at >> 8, linear_sparse_avx512_word(w, 2), linear_sparse_avx512_word(w, 3), lanes);
	}
	RT_UNROLL_NONE for (int i = 0; i < pair->apart; i++, index += 4, words += 16) {
		uint32_t at;
		memcpy(&at, index, 4);
		const __m512 w = linear_sparse_avx512_words(words);
		linear_sparse_avx512_add(&sum[0], NULL, x, at & 255, linear_sparse_avx512_word(w, 0), w, lanes);
		linear_sparse_avx512_add(&sum[1], NULL, x, at >> 16 & 255, linear_sparse_avx512_word(w, 2), w, lanes);
		linear_sparse_avx512_add(&sum[0], NULL, x, at >> 8 & 255, linear_sparse_avx512_word(w, 1), w, lanes);
		linear_sparse_avx512_add(&sum[1], NULL, x, at >> 24, linear_sparse_avx512_word(w, 3), w, lanes);
	}
}

/* acc[16][lanes] of a panel += one block; they begin at the outputs' biases where those are given. */
RT_INLINE RT_TARGET_AVX512 void linear_sparse_avx512_piece(float *acc, const float *bias, const float *x, const uint8_t *at, int lanes)
{
	for (int i = 0; i < SPARSE_ROWS_PANEL / 2; i++) {
		const uint8_t *from = at;
		const SparsePair pair = sparse_rows_pair(&at);
		LinearSparseSums sum[2];
		for (; from < at; from += 64)
			_mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			linear_sparse_avx512_begin(&sum[j], acc + lanes * pair.output[j], bias ? bias + pair.output[j] : NULL, lanes);
		linear_sparse_avx512_pair(sum, &pair, x, lanes);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			linear_sparse_avx512_end(acc + lanes * pair.output[j], &sum[j], lanes);
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
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks(K), most = blocks > 1 ? CHUNK : 1;
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int vectors = rows > 8 ? (rows + 15) / 16 : 0, lanes = vectors ? 16 * vectors : 8;
		linear_sparse_avx512_bring(scratch, x + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(most, p1 - p);
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
