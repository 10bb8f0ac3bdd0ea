/* linear_i8_sparse__avx512vnni.c: linear_i8_sparse__scalar.c with VPDPBUSD and tokens in lanes (as FBGEMM and SparseLib lay it out): a quad
 * of weights is broadcast once and multiplies the same four inputs of up to 64 rows.
 *
 * Up to 64 rows are turned into quads of unsigned bytes, q + 128, side by side in scratch; sums start at -128 * sums[n] as in
 * linear_i8__avx512vnni.c. Outputs are summed up block of inputs by block of inputs, a block's 24 KiB staying in L1 while the weights of
 * CHUNK panels pass; then 16 by 16 sums are turned back into rows. A quad costs 2.5 cycles at 64 rows on a Zen 5 (2 are the products
 * alone), and what leaves the sums half a cycle for every output of a row.
 *
 *   scratch  uint8_t x[K/4 rounded up][lanes][4], lanes: 8, 16, 32, 48 or 64 */
#if defined(__x86_64__)
#include "sparse_rows.h"
#include "tile__avx512.h"

enum {
	LINEAR_I8_SPARSE_AVX512VNNI_ROWS = 64,
	LINEAR_I8_SPARSE_AVX512VNNI_CHUNK = 2,   /* panels: 8 KiB of sums, which share the L1 with a block of rows */
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

/* Sums of one output for 8 rows in y, for more in z. */
typedef union LinearI8SparseSums { __m256i y; __m512i z[4]; } LinearI8SparseSums;

/* The j-th of four words that lie in every quarter of a register, everywhere. */
RT_INLINE RT_TARGET_AVX512VNNI __m512i linear_i8_sparse_avx512vnni_word(__m512i words, int j)
{
	return j == 0 ? _mm512_shuffle_epi32(words, 0x00) : j == 1 ? _mm512_shuffle_epi32(words, 0x55)
		: j == 2 ? _mm512_shuffle_epi32(words, 0xaa) : _mm512_shuffle_epi32(words, 0xff);
}

/* sum[j] += x of a quad by a word, for a band's four outputs; `quads` holds their indices. Four words are loaded at once and broadcast from
 * the register: loads are what bounds it (Zen 4: 5.5 cycles a quad of 64 rows when each word and index was loaded by itself). */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_step(LinearI8SparseSums sum[SPARSE_ROWS_BAND], uint32_t quads,
                                                                     const uint8_t *words, const uint8_t *x, int lanes)
{
	__m512i w = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)words));
	__asm__("" : "+v"(w));   /* else four loads are made of it again */
	RT_UNROLL_FULL for (int j = 0; j < SPARSE_ROWS_BAND; j++) {
		const uint8_t *at = x + (size_t)(quads >> 8 * j & 255) * (size_t)(4 * lanes);
		const __m512i word = linear_i8_sparse_avx512vnni_word(w, j);
		if (lanes == 8)
			sum[j].y = _mm256_dpbusd_epi32(sum[j].y, _mm256_load_si256((const __m256i *)(const void *)at), _mm512_castsi512_si256(word));
		else
			RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
				sum[j].z[v] = _mm512_dpbusd_epi32(sum[j].z[v], _mm512_load_si512(at + 64 * v), word);
	}
}

/* sum = start everywhere, or what lies at `from`. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_begin(LinearI8SparseSums *sum, const int32_t *from, int32_t start, int lanes)
{
	if (lanes == 8)
		sum->y = from ? _mm256_load_si256((const __m256i *)(const void *)from) : _mm256_set1_epi32(start);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			sum->z[v] = from ? _mm512_load_si512(from + 16 * v) : _mm512_set1_epi32(start);
}

/* to = sum, and own where there is one. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_end(int32_t *to, const LinearI8SparseSums *sum, const LinearI8SparseSums *own,
                                                                    int lanes)
{
	if (lanes == 8)
		_mm256_store_si256((__m256i *)(void *)to, own ? _mm256_add_epi32(sum->y, own->y) : sum->y);
	else
		RT_UNROLL_FULL for (int v = 0; v < lanes / 16; v++)
			_mm512_store_si512(to + 16 * v, own ? _mm512_add_epi32(sum->z[v], own->z[v]) : sum->z[v]);
}

/* A band's words into sum and, every other one, into own. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_band(LinearI8SparseSums *sum, LinearI8SparseSums *own, const SparseBand *band,
                                                                     const uint8_t *x, int lanes)
{
	const uint8_t *words = band->words;
	if (!band->count)
		return;
	uint64_t quads = sparse_rows_indices(band->index);
	RT_UNROLL_NONE for (int n = 2; n <= band->count; n += 2, words += 32) {
		const uint64_t next = sparse_rows_indices(band->index + 4 * n);
		linear_i8_sparse_avx512vnni_step(sum, (uint32_t)quads, words, x, lanes);
		linear_i8_sparse_avx512vnni_step(own, (uint32_t)(quads >> 32), words + 16, x, lanes);
		quads = next;
	}
}

/* acc[16][lanes] of a panel += one block; they begin at the outputs' sums where those are given. Of few lanes every other word goes into
 * sums apart (`own`), so that no product waits for the one before: it takes 4 cycles. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_piece(int32_t *acc, const int32_t *sums, const uint8_t *x, const uint8_t *at,
                                                                      int lanes)
{
	enum { BAND = SPARSE_ROWS_BAND };
	const int apart = lanes <= 16;
	for (int i = 0; i < SPARSE_ROWS_PANEL / BAND; i++) {
		const uint8_t *from = at;
		const SparseBand band = sparse_rows_band(&at);
		LinearI8SparseSums sum[BAND], own[BAND];
		for (; from < at; from += 64)
			_mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
		RT_UNROLL_FULL for (int j = 0; j < BAND; j++) {
			const int o = band.output[j];
			linear_i8_sparse_avx512vnni_begin(&sum[j], sums ? NULL : acc + lanes * o, sums ? -128 * sums[o] : 0, lanes);
			linear_i8_sparse_avx512vnni_begin(&own[j], NULL, 0, lanes);
		}
		linear_i8_sparse_avx512vnni_band(sum, apart ? own : sum, &band, x, lanes);
		RT_UNROLL_FULL for (int j = 0; j < BAND; j++)
			linear_i8_sparse_avx512vnni_end(acc + lanes * band.output[j], &sum[j], apart ? &own[j] : NULL, lanes);
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

/* tile[i] = row i of the sums acc[16][lanes]. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_turn(float tile[16 * 16], const int32_t *acc, int lanes)
{
	const __mmask16 there = math_avx512_first(lanes);
	__m512 r[16];
	RT_UNROLL_FULL for (int o = 0; o < 16; o++)
		r[o] = _mm512_castsi512_ps(_mm512_maskz_loadu_epi32(there, acc + (size_t)(o * lanes)));
	math_avx512_transpose(r);
	RT_UNROLL_FULL for (int i = 0; i < 16; i++)
		_mm512_store_ps(tile + 16 * i, r[i]);
}

/* y = sum * (s * w) + b, as the dense kernel computes it. */
RT_INLINE RT_TARGET_AVX512VNNI __m512 linear_i8_sparse_avx512vnni_scale(const float *sums, float s, __m512 w, __m512 b)
{
	return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), _mm512_mul_ps(_mm512_set1_ps(s), w), b);
}

/* out = act of a tile of sums, or its codes, for the `count` rows that there are. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_tile(TileOut out, float tile[16 * 16], const float *s, const float *ws,
                                                                     const float *bias, int count, int width, int N, int act)
{
	const __mmask16 some = math_avx512_first(width);
	const __m512 w = _mm512_loadu_ps(ws), b = _mm512_loadu_ps(bias);
	float *to = (float *)out.at;
	if (!out.codes && act == RT_ACT_NONE)
		for (int i = 0; i < count; i++, to += N)
			_mm512_mask_storeu_ps(to, some, linear_i8_sparse_avx512vnni_scale(tile + 16 * i, s[i], w, b));
	else if (!out.codes && act == RT_ACT_GELU)
		for (int i = 0; i < count; i++, to += N)
			_mm512_mask_storeu_ps(to, some, math_avx512_gelu_low(linear_i8_sparse_avx512vnni_scale(tile + 16 * i, s[i], w, b)));
	else {
		for (int i = 0; i < count; i++)
			_mm512_store_ps(tile + 16 * i, linear_i8_sparse_avx512vnni_scale(tile + 16 * i, s[i], w, b));
		if (out.codes)
			tile_avx512_codes((int8_t *)out.at, tile, out.m, out.z, 1, width, N, act, count);
		else
			tile_avx512_activate_low(to, tile, 1, width, N, act, count);
	}
}

/* What the sums acc[panels][16][lanes] come to, for `rows` rows. 64 rows of out lie in more pages and sets of the L1 than it has ways: 16
 * rows at a time, all panels, took up to 5 % off the whole kernel on BERT-base's shapes at 97 % of zeros, and nothing on MiniLM's. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_leave(TileOut out, const int32_t *acc, const float *s, const float *ws,
                                                                      const float *bias, int rows, int lanes, int panels, int width, int N, int act)
{
	enum { NR = SPARSE_ROWS_PANEL };
	_Alignas(64) float tile[16 * 16];
	for (int first = 0; first < rows; first += 16)
		for (int c = 0; c < panels; c++) {
			linear_i8_sparse_avx512vnni_turn(tile, acc + c * NR * LINEAR_I8_SPARSE_AVX512VNNI_ROWS + first, lanes);
			linear_i8_sparse_avx512vnni_tile(tile_out(out, first, c * NR, N), tile, s + first, ws + c * NR, bias + c * NR,
				rt_min(16, rows - first), rt_min(NR, width - c * NR), N, act);
		}
}

/* Functions of their own, two of them a program: what follows a loop over K need not know K. */
RT_SHARED RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_floats(TileOut out, const int32_t *acc, const float *s, const float *ws,
                                                                       const float *bias, int rows, int lanes, int panels, int width, int N, int act)
{
	linear_i8_sparse_avx512vnni_leave(tile_floats(out.at), acc, s, ws, bias, rows, lanes, panels, width, N, act);
}

RT_SHARED RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni_codes(TileOut out, const int32_t *acc, const float *s, const float *ws,
                                                                      const float *bias, int rows, int lanes, int panels, int width, int N, int act)
{
	linear_i8_sparse_avx512vnni_leave(tile_codes(out.at, out.m, out.z), acc, s, ws, bias, rows, lanes, panels, width, N, act);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_sparse_avx512vnni(TileOut out, const int8_t *q, const float *s, const void *w,
                                                                const float *ws, const float *bias, const int32_t *sums, int r0,
                                                                int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = LINEAR_I8_SPARSE_AVX512VNNI_ROWS, CHUNK = LINEAR_I8_SPARSE_AVX512VNNI_CHUNK };
	static void (*const piece[])(int32_t *, const int32_t *, const uint8_t *, const uint8_t *) = {linear_i8_sparse_avx512vnni_piece8,
		linear_i8_sparse_avx512vnni_piece16, linear_i8_sparse_avx512vnni_piece32, linear_i8_sparse_avx512vnni_piece48,
		linear_i8_sparse_avx512vnni_piece64};
	void (*const leave)(TileOut, const int32_t *, const float *, const float *, const float *, int, int, int, int, int, int) =
		out.codes ? linear_i8_sparse_avx512vnni_codes : linear_i8_sparse_avx512vnni_floats;
	_Alignas(64) int32_t acc[CHUNK][NR * ROWS];
	const int count = r1 - r0, parts = (count + ROWS - 1) / ROWS, blocks = sparse_rows_blocks((K + 3) / 4);
	for (int part = 0; part < parts; part++) {
		const int first = r0 + rt_part(count, part, parts), rows = r0 + rt_part(count, part + 1, parts) - first;
		const int vectors = rows > 8 ? (rows + 15) / 16 : 0, lanes = vectors ? 16 * vectors : 8;
		linear_i8_sparse_avx512vnni_bring(scratch, q + (size_t)first * (size_t)K, rows, K, lanes);
		for (int p = p0, chunk; p < p1; p += chunk) {
			chunk = rt_min(CHUNK, p1 - p);
			for (int b = 0; b < blocks; b++)
				for (int c = 0; c < chunk; c++)
					piece[vectors](acc[c], b ? NULL : sums + (p + c) * NR,
						(const uint8_t *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * 4 * (size_t)lanes,
						sparse_rows_piece(w, (p + c) * blocks + b));
			leave(tile_out(out, first, p * NR, N), acc[0], s + first, ws + p * NR, bias + p * NR, rows, lanes, chunk, N - p * NR, N, act);
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
