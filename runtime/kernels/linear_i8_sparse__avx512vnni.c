/* linear_i8_sparse__avx512vnni.c: linear_i8_sparse__scalar.c with VPDPBUSD and tokens in lanes (as FBGEMM and SparseLib lay it out): a quad
 * of weights is broadcast once and multiplies the same four inputs of up to 64 rows.
 *
 * Up to 64 rows are turned into quads of unsigned bytes, q + 128, side by side in scratch; sums start at -128 * sums[n] as in
 * linear_i8__avx512vnni.c. Outputs are summed up block of inputs by block of inputs, a block's 24 KiB staying in L1 while the weights of
 * CHUNK panels pass; then 16 by 16 sums are turned back into rows. A quad of one output costs 4.9 cycles at 64 rows, of two outputs 8.5
 * for both (Zen 4; 4 and 8 are the products alone).
 *
 *   scratch  uint8_t x[K/4 rounded up][lanes][4], lanes: 8, 16, 32, 48 or 64 */
#if defined(__x86_64__)
#include "sparse_rows.h"
#include "tile__avx512.h"

enum {
	LINEAR_I8_SPARSE_AVX512VNNI_ROWS = 64,
	LINEAR_I8_SPARSE_AVX512VNNI_CHUNK = 4,   /* panels: 16 KiB of sums, which share the L2 with the rows */
};

/* x[k / 4][i][k % 4] = q[i][k] + 128 for `rows` rows; lanes beyond them repeat the last, and inputs beyond K meet
 * weights of 0. (A load whose mask is all zero, from where nothing is mapped, would take hundreds of cycles.) */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_bring(uint8_t *x, const int8_t *q, int rows, int K, int lanes)
{
	const __m512i flip = _mm512_set1_epi8((char)0x80);
	const __mmask16 stored = math_avx512_first(lanes);
	for (int first = 0; first < lanes; first += 16)
		for (int k = 0; k < K; k += 64) {
			const __mmask64 some = K - k >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (K - k)) - 1;
			__m512 r[16];
			RT_UNROLL_FULL for (int i = 0; i < 16; i++) {
				const int8_t *row = q + (size_t)rt_min(first + i, rows - 1) * (size_t)K;
				r[i] = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_maskz_loadu_epi8(some, row + k), flip));
			}
			math_avx512_transpose(r);
			uint8_t *to = x + ((size_t)(k / 4) * (size_t)lanes + (size_t)first) * 4;
			RT_UNROLL_FULL for (int c = 0; c < 16; c++)
				_mm512_mask_storeu_epi32(to + (size_t)(4 * lanes * c), stored, _mm512_castps_si512(r[c]));
		}
}

/* Sums of one output for 8 or 16 rows in y, for 32, 48 or 64 in z. Half registers, since where a load of 64 bytes takes two turns so does a
 * broadcast to 64. */
typedef union LinearI8SparseSums { __m256i y[2]; __m512i z[4]; } LinearI8SparseSums;

/* Four words in every quarter of a register, and one of them everywhere. The compiler must not see that the one is a load by itself: a fifth
 * of the time of 8 to 32 rows (Zen 5). */
RT_INLINE RT_TARGET_AVX512VNNI __m512i linear_i8_sparse_avx512vnni_words(const uint8_t *words)
{
	__m512i four = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)words));
	__asm__("" : "+v"(four));
	return four;
}

RT_INLINE RT_TARGET_AVX512VNNI __m512i linear_i8_sparse_avx512vnni_word(__m512i words, int i)
{
	return i == 0 ? _mm512_shuffle_epi32(words, 0x00) : i == 1 ? _mm512_shuffle_epi32(words, 0x55)
		: i == 2 ? _mm512_shuffle_epi32(words, 0xaa) : _mm512_shuffle_epi32(words, 0xff);
}

/* a += x of a quad by word w, and b += x by word w2 where there is a b. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_add(LinearI8SparseSums *a, LinearI8SparseSums *b, const uint8_t *x,
                                                                    unsigned quad, __m512i w, __m512i w2, int lanes)
{
	const uint8_t *at = x + (size_t)quad * (size_t)(4 * lanes);
	if (lanes <= 16) {
		const __m256i y = _mm512_castsi512_si256(w), y2 = _mm512_castsi512_si256(w2);
		RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++) {
			const __m256i xv = _mm256_load_si256((const __m256i *)(const void *)(at + 32 * v));
			a->y[v] = _mm256_dpbusd_epi32(a->y[v], xv, y);
			if (b)
				b->y[v] = _mm256_dpbusd_epi32(b->y[v], xv, y2);
		}
		return;
	}
	RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++) {
		const __m512i xv = _mm512_load_si512(at + 64 * v);
		a->z[v] = _mm512_dpbusd_epi32(a->z[v], xv, w);
		if (b)
			b->z[v] = _mm512_dpbusd_epi32(b->z[v], xv, w2);
	}
}

/* sum = start everywhere, or what lies at `from`. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_begin(LinearI8SparseSums *sum, const int32_t *from, int32_t start, int lanes)
{
	if (lanes <= 16)
		RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++)
			sum->y[v] = from ? _mm256_load_si256((const __m256i *)(const void *)(from + 8 * v)) : _mm256_set1_epi32(start);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			sum->z[v] = from ? _mm512_load_si512(from + 16 * v) : _mm512_set1_epi32(start);
}

/* to = sum, and own where there is one. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_end(int32_t *to, const LinearI8SparseSums *sum, const LinearI8SparseSums *own,
                                                                    int lanes)
{
	if (lanes <= 16)
		RT_UNROLL_FULL for (int v = 0; v < lanes / 8; v++)
			_mm256_store_si256((__m256i *)(void *)(to + 8 * v), own ? _mm256_add_epi32(sum->y[v], own->y[v]) : sum->y[v]);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			_mm512_store_si512(to + 16 * v, own ? _mm512_add_epi32(sum->z[v], own->z[v]) : sum->z[v]);
}

/* sum[0..1] += a pair of outputs. Of few lanes a part goes into sums apart (`own`), so that no product waits for the one before: it takes 4
 * cycles. Four words are loaded at once and broadcast from the register, and their indices too: two loads a cycle, of 32 bytes each, are
 * what bounds it (Zen 4: 5.5 cycles a quad of 64 rows when each word and index was loaded by itself). */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_pair(LinearI8SparseSums sum[2], LinearI8SparseSums own[2],
                                                                     const SparsePair *pair, const uint8_t *x, int lanes)
{
	const uint8_t *index = pair->index, *words = pair->words;
	RT_UNROLL_NONE for (int i = 0; i < pair->both; i++, index += 2, words += 16) {
		uint16_t quads;
		memcpy(&quads, index, 2);
		const __m512i w = linear_i8_sparse_avx512vnni_words(words);
		linear_i8_sparse_avx512vnni_add(&sum[0], &sum[1], x, quads & 255, linear_i8_sparse_avx512vnni_word(w, 0),
			linear_i8_sparse_avx512vnni_word(w, 1), lanes);
		linear_i8_sparse_avx512vnni_add(&own[0], &own[1], x, quads >> 8, linear_i8_sparse_avx512vnni_word(w, 2),
			linear_i8_sparse_avx512vnni_word(w, 3), lanes);
	}
	RT_UNROLL_NONE for (int i = 0; i < pair->apart; i++, index += 4, words += 16) {
		uint32_t quads;
		memcpy(&quads, index, 4);
		const __m512i w = linear_i8_sparse_avx512vnni_words(words);
		linear_i8_sparse_avx512vnni_add(&sum[0], NULL, x, quads & 255, linear_i8_sparse_avx512vnni_word(w, 0), w, lanes);
		linear_i8_sparse_avx512vnni_add(&own[0], NULL, x, quads >> 8 & 255, linear_i8_sparse_avx512vnni_word(w, 1), w, lanes);
		linear_i8_sparse_avx512vnni_add(&sum[1], NULL, x, quads >> 16 & 255, linear_i8_sparse_avx512vnni_word(w, 2), w, lanes);
		linear_i8_sparse_avx512vnni_add(&own[1], NULL, x, quads >> 24, linear_i8_sparse_avx512vnni_word(w, 3), w, lanes);
	}
}

/* acc[16][lanes] of a panel += one block; they begin at the outputs' sums where those are given. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_piece(int32_t *acc, const int32_t *sums, const uint8_t *x, const uint8_t *at,
                                                                      int lanes)
{
	const int apart = lanes <= 32;
	for (int i = 0; i < SPARSE_ROWS_PANEL / 2; i++) {
		const uint8_t *from = at;
		const SparsePair pair = sparse_rows_pair(&at);
		LinearI8SparseSums sum[2], own[2];
		for (; from < at; from += 64)
			_mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++) {
			const int o = pair.output[j];
			linear_i8_sparse_avx512vnni_begin(&sum[j], sums ? NULL : acc + lanes * o, sums ? -128 * sums[o] : 0, lanes);
			linear_i8_sparse_avx512vnni_begin(&own[j], NULL, 0, lanes);
		}
		linear_i8_sparse_avx512vnni_pair(sum, apart ? own : sum, &pair, x, lanes);
		RT_UNROLL_FULL for (int j = 0; j < 2; j++)
			linear_i8_sparse_avx512vnni_end(acc + lanes * pair.output[j], &sum[j], apart ? &own[j] : NULL, lanes);
	}
}

/* A function of its own: five of them a program, whatever K is. */
#define LINEAR_I8_SPARSE_PIECE(lanes) \
RT_SHARED RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_piece##lanes(int32_t *acc, const int32_t *sums, const uint8_t *x, const uint8_t *at) \
{ linear_i8_sparse_avx512vnni_piece(acc, sums, x, at, lanes); }
LINEAR_I8_SPARSE_PIECE(8)
LINEAR_I8_SPARSE_PIECE(16)
LINEAR_I8_SPARSE_PIECE(32)
LINEAR_I8_SPARSE_PIECE(48)
LINEAR_I8_SPARSE_PIECE(64)
#undef LINEAR_I8_SPARSE_PIECE

/* r[o] = acc[o] * (s * ws[o]) + bias[o] for 16 rows in lanes: the arithmetic of the dense kernel before anything is turned around. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_scale(__m512 r[16], const int32_t *acc, __mmask16 there, __m512 s,
                                                                      const float *ws, const float *bias, int lanes)
{
	RT_UNROLL_FULL for (int o = 0; o < 16; o++)
		r[o] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(there, acc + (size_t)(o * lanes))),
			_mm512_mul_ps(s, _mm512_set1_ps(ws[o])), _mm512_set1_ps(bias[o]));
}

/* out = act(r) with the lanes turned into rows, for `rows` rows and the first `width` outputs, or its codes. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_turn(TileOut to, __m512 r[16], int rows, int width, int N, int act)
{
	const __mmask16 some = math_avx512_first(width);
	_Alignas(64) float tile[16 * 16];
	if (!to.codes && act == RT_ACT_GELU)
		RT_UNROLL_FULL for (int o = 0; o < 16; o++)
			r[o] = math_avx512_gelu_low(r[o]);
	math_avx512_transpose(r);
	if (!to.codes && rows == 16 && (act == RT_ACT_NONE || act == RT_ACT_GELU)) {
		RT_UNROLL_FULL for (int i = 0; i < 16; i++)
			_mm512_mask_storeu_ps((float *)to.at + (size_t)i * (size_t)N, some, r[i]);
		return;
	}
	RT_UNROLL_FULL for (int i = 0; i < 16; i++)
		_mm512_store_ps(tile + 16 * i, r[i]);
	if (to.codes)
		tile_avx512_codes((int8_t *)to.at, tile, to.m, to.z, 1, width, N, act, rows);
	else
		tile_avx512_activate_low((float *)to.at, tile, 1, width, N, act == RT_ACT_GELU ? RT_ACT_NONE : act, rows);
}

/* What the sums acc[16][lanes] of a panel come to, for `rows` rows. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_leave(TileOut out, const int32_t *acc, const float *s, const float *ws,
                                                                      const float *bias, int rows, int lanes, int width, int N, int act)
{
	const __mmask16 there = math_avx512_first(lanes);
	for (int first = 0; first < rows; first += 16) {
		const int count = rt_min(16, rows - first);
		__m512 r[16];
		linear_i8_sparse_avx512vnni_scale(r, acc + first, there, _mm512_maskz_loadu_ps(math_avx512_first(count), s + first), ws, bias, lanes);
		linear_i8_sparse_avx512vnni_turn(tile_out(out, first, 0, N), r, count, width, N, act);
	}
}

/* Functions of their own, two of them a program: what follows a loop over K need not know K. */
RT_SHARED RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_floats(TileOut out, const int32_t *acc, const float *s, const float *ws,
                                                                       const float *bias, int rows, int lanes, int width, int N, int act)
{
	linear_i8_sparse_avx512vnni_leave(tile_floats(out.at), acc, s, ws, bias, rows, lanes, width, N, act);
}

RT_SHARED RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_codes(TileOut out, const int32_t *acc, const float *s, const float *ws,
                                                                      const float *bias, int rows, int lanes, int width, int N, int act)
{
	linear_i8_sparse_avx512vnni_leave(tile_codes(out.at, out.m, out.z), acc, s, ws, bias, rows, lanes, width, N, act);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni(TileOut out, const int8_t *q, const float *s, const void *w,
                                                                const float *ws, const float *bias, const int32_t *sums, int r0,
                                                                int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = LINEAR_I8_SPARSE_AVX512VNNI_ROWS, CHUNK = LINEAR_I8_SPARSE_AVX512VNNI_CHUNK };
	static void (*const piece[])(int32_t *, const int32_t *, const uint8_t *, const uint8_t *) = {linear_i8_sparse_avx512vnni_piece8,
		linear_i8_sparse_avx512vnni_piece16, linear_i8_sparse_avx512vnni_piece32, linear_i8_sparse_avx512vnni_piece48,
		linear_i8_sparse_avx512vnni_piece64};
	_Alignas(64) int32_t acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks((K + 3) / 4), most = blocks > 1 ? CHUNK : 1;
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int vectors = rows > 8 ? (rows + 15) / 16 : 0, lanes = vectors ? 16 * vectors : 8;
		linear_i8_sparse_avx512vnni_bring(scratch, q + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(most, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[vectors](acc[c], b ? NULL : sums + (p + c) * NR,
						(const uint8_t *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * 4 * (size_t)lanes,
						sparse_rows_piece(w, (p + c) * blocks + b));
			for (int c = 0; c < chunk; c++)
				(out.codes ? linear_i8_sparse_avx512vnni_codes : linear_i8_sparse_avx512vnni_floats)(tile_out(out, first, (p + c) * NR, N), acc[c], s + first, ws + (p + c) * NR,
					bias + (p + c) * NR, rows, lanes, rt_min(NR, N - (p + c) * NR), N, act);
		}
	}
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse__avx512vnni(float *out, const int8_t *q, const float *s, const void *w,
                                                                 const float *ws, const float *bias, const int32_t *sums, int r0,
                                                                 int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	linear_i8_sparse_avx512vnni(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_codes__avx512vnni(int8_t *out, float *scales, const int8_t *q, const float *s,
                                                                       const void *w, const float *ws, const float *bias,
                                                                       const float *m, const float *z, const int32_t *sums, int r0,
                                                                       int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_sparse_avx512vnni(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
#endif
