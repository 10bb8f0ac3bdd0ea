/* tile__avx512.h: writes the tiles of the AVX-512 linears of all number formats. */
#ifndef RT_TILE__AVX512_H
#define RT_TILE__AVX512_H
#include "math__avx512.h"
#include "tile__scalar.h"

enum { TILE_AVX512_VECTORS = 4, TILE_AVX512_SUMS = 24 }; /* most vectors in a row of a tile, and in a tile */
enum { TILE_AVX512_FETCH = 12288 };                      /* bytes; see tile_avx512_fetch */

/* Prefetches weights, in the step of k that reads `lines` cache lines at `at`. If a panel has only one tile,
 * the tile waits for memory, so it prefetches 12 KB ahead to L1. On a Zen 5, MiniLM-L6 in fp32 with 8 tokens
 * then takes 0.75 ms, or 1.01 ms with 4 KB. BERT-base takes 0.87 ms; 1.13 ms with hardware prefetches only;
 * and 1.04 ms with a second stream of prefetches to L2, which needs too many line buffers. If a panel has
 * several tiles, each prefetches a share of the next panel, at `ahead`, to L2, where the current panel
 * already is. */
RT_INLINE RT_TARGET_AVX512 void tile_avx512_fetch(uintptr_t at, uintptr_t ahead, int lines, int alone)
{
	const int count = alone ? lines : (lines + 1) / 2;
	const uintptr_t from = alone ? at + TILE_AVX512_FETCH : ahead;
	RT_EACH_4(j, count, const char *next = (const char *)(from + 64 * (uintptr_t)j);
		if (alone) _mm_prefetch(next, _MM_HINT_T0); else _mm_prefetch(next, _MM_HINT_T1))
}

/* out = act(tile[mr][vectors][16]), of which the first `width` outputs are written; rows of out have stride
 * N. */
RT_SHARED RT_TARGET_AVX512 void tile_avx512_activate(
	float *out, const float *tile, int vectors, int width, int N, int act, int mr)
{
	for (int j = 0; j < vectors; j++, out += 16, tile += 16) {
		const __mmask16 m = math_avx512_first(width - 16 * j);
		for (int i = 0; i < mr; i++)
			_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N, m,
				math_avx512_act(_mm512_load_ps(tile + 16 * vectors * i), act));
	}
}

/* The same for inputs that were rounded to 8 bits. */
RT_SHARED RT_TARGET_AVX512 void tile_avx512_activate_low(
	float *out, const float *tile, int vectors, int width, int N, int act, int mr)
{
	if (act != RT_ACT_GELU) {
		tile_avx512_activate(out, tile, vectors, width, N, act, mr);
		return;
	}
	for (int j = 0; j < vectors; j++, out += 16, tile += 16) {
		const __mmask16 m = math_avx512_first(width - 16 * j);
		for (int i = 0; i < mr; i++)
			_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N, m,
				math_avx512_gelu_low(_mm512_load_ps(tile + 16 * vectors * i)));
	}
}

/* out = act(sums) for mr rows of `vectors` sums in registers. Activations work on a copy in L1. In `out` they
 * would be 10 % slower, because a masked store is not forwarded to the next load. low: the inputs were
 * rounded to int8 or bf16. */
RT_INLINE RT_TARGET_AVX512 void tile_avx512_store(
	float *out, __m512 (*sums)[TILE_AVX512_VECTORS], int vectors, int width, int N, int act, int low, int mr)
{
	if (act == RT_ACT_NONE) {
		RT_EACH_4(j, vectors, const __mmask16 m = math_avx512_first(width - 16 * j);
			RT_EACH_12(i, mr, _mm512_mask_storeu_ps(out + (size_t)i * (size_t)N + 16 * j, m, sums[i][j])))
		return;
	}
	_Alignas(64) float tile[16 * TILE_AVX512_SUMS];
	RT_EACH_12(i, mr, RT_EACH_4(j, vectors, _mm512_store_ps(tile + 16 * (vectors * i + j), sums[i][j])))
	if (low)
		tile_avx512_activate_low(out, tile, vectors, width, N, act, mr);
	else
		tile_avx512_activate(out, tile, vectors, width, N, act, mr);
}

/* 16 columns of a tile as codes. */
RT_INLINE RT_TARGET_AVX512 void tile_avx512_code_column(
	int8_t *out, const float *tile, __m512 m, __m512 z, int stride, int width, int N, int act, int mr)
{
	const __mmask16 some = math_avx512_first(width);
	for (int i = 0; i < mr; i++) {
		const __m512 y = math_avx512_act(_mm512_load_ps(tile + stride * i), act);
		_mm_mask_storeu_epi8(out + (size_t)i * (size_t)N, some, math_avx512_codes(y, m, z));
	}
}

/* Static codes (m, z) of act(tile[mr][vectors][16]). Uses the full GELU, because an error of one code affects
 * all later layers: embeddings of MiniLM-L6 had a cosine of 0.9996 with the exact ones for
 * math_avx512_gelu_low, 0.99986 for a polynomial of degree 3 (error 2.4e-6), and 0.99997 for this one. */
RT_SHARED RT_TARGET_AVX512 void tile_avx512_codes(int8_t *out, const float *tile, const float *m,
	const float *z, int vectors, int width, int N, int act, int mr)
{
	for (int j = 0; j < vectors && 16 * j < width; j++) {
		const __mmask16 some = math_avx512_first(width - 16 * j);
		const __m512 mj = _mm512_maskz_loadu_ps(some, m + 16 * j),
					 zj = _mm512_maskz_loadu_ps(some, z + 16 * j);
		if (act == RT_ACT_GELU)
			tile_avx512_code_column(
				out + 16 * j, tile + 16 * j, mj, zj, 16 * vectors, width - 16 * j, N, RT_ACT_GELU, mr);
		else
			tile_avx512_code_column(
				out + 16 * j, tile + 16 * j, mj, zj, 16 * vectors, width - 16 * j, N, act, mr);
	}
}

/* Writes act(sums), or its codes, for a tile of an int8 linear. */
RT_INLINE RT_TARGET_AVX512 void tile_avx512_leave(
	TileOut out, __m512 (*sums)[TILE_AVX512_VECTORS], int vectors, int width, int N, int act, int mr)
{
	if (!out.codes) {
		tile_avx512_store((float *)out.at, sums, vectors, width, N, act, 1, mr);
		return;
	}
	_Alignas(64) float tile[16 * TILE_AVX512_SUMS];
	RT_EACH_12(i, mr, RT_EACH_4(j, vectors, _mm512_store_ps(tile + 16 * (vectors * i + j), sums[i][j])))
	tile_avx512_codes((int8_t *)out.at, tile, out.m, out.z, vectors, width, N, act, mr);
}
#endif
