/* linear_i8__avx512vnni.c: linear_i8__scalar.c with VPDPBUSD, which adds four products of an unsigned and a
 * signed byte to each of 16 sums, without saturating.
 *
 * Up to 48 rows are copied to scratch as unsigned bytes, q + 128, and then multiplied with all panels. The
 * sums start with -128 * sums[n], which removes the offset exactly. A tile is up to 12 rows by 32 outputs, or
 * 8 by 48, as in linear__avx512.c.
 *
 *   scratch  uint8_t rows[48][K rounded up to 64], 0 beyond K, where the weights are 0 too */
#if defined(__x86_64__)
#include "tile__avx512.h"

enum { LINEAR_I8_AVX512VNNI_ROWS = 48 };

/* rows[i] = q[i] + 128 for count rows. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_avx512vnni_bring(
	uint8_t *rows, const int8_t *q, int count, int K)
{
	const int stride = (K + 63) & ~63;
	const __m512i flip = _mm512_set1_epi8((char)0x80);
	for (int i = 0; i < count; i++, rows += stride, q += K) {
		int k = 0;
		for (; k + 64 <= K; k += 64)
			_mm512_store_si512(rows + k, _mm512_xor_si512(_mm512_loadu_si512(q + k), flip));
		if (k < K)
			_mm512_store_si512(rows + k,
				_mm512_xor_si512(_mm512_maskz_loadu_epi8(((__mmask64)1 << (K - k)) - 1, q + k), flip));
	}
}

/* Rows 0..mr-1 by one panel w[K4][16 * vectors][4], of which the first `width` outputs are written. `ahead`
 * and `alone` as in linear__avx512.c. */
RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_avx512vnni_tile(TileOut out, const uint8_t *rows,
	const float *s, const char *w, const float *ws, const float *bias, const int32_t *sums, uintptr_t ahead,
	int step, int width, int K, int N, int act, int mr, int alone, int vectors)
{
	enum { MR = 12 };
	const int stride = (K + 63) & ~63, quads = (K + 3) / 4;
	__m512i acc[MR][TILE_AVX512_VECTORS];
	__m512 y[MR][TILE_AVX512_VECTORS];
	RT_EACH_4(j, vectors,
		const __m512i start = _mm512_slli_epi32(
			_mm512_sub_epi32(_mm512_setzero_si512(), _mm512_loadu_si512(sums + 16 * j)), 7);
		RT_EACH_12(i, mr, acc[i][j] = start))
	uintptr_t at = (uintptr_t)w;
	RT_UNROLL_NONE for (int k = 0; k < quads; k++, at += 64 * (uintptr_t)vectors, ahead += (uintptr_t)step)
	{
		__m512i wj[TILE_AVX512_VECTORS];
		tile_avx512_fetch(at, ahead, vectors, alone);
		RT_EACH_4(j, vectors, wj[j] = _mm512_load_si512((const void *)(at + 64 * (uintptr_t)j)))
		RT_EACH_12(i, mr, int32_t quad; memcpy(&quad, rows + (size_t)i * (size_t)stride + 4 * (size_t)k, 4);
			const __m512i a = _mm512_set1_epi32(quad);
			RT_EACH_4(j, vectors, acc[i][j] = _mm512_dpbusd_epi32(acc[i][j], a, wj[j])))
	}
	RT_EACH_4(j, vectors, const __m512 scales = _mm512_loadu_ps(ws + 16 * j);
		const __m512 b = _mm512_loadu_ps(bias + 16 * j); RT_EACH_12(i, mr,
			y[i][j] = _mm512_fmadd_ps(
				_mm512_cvtepi32_ps(acc[i][j]), _mm512_mul_ps(_mm512_set1_ps(s[i]), scales), b)))
	tile_avx512_leave(out, y, vectors, width, N, act, mr);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_avx512vnni(TileOut out, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1,
	int K, int N, int act, void *scratch, int vectors, int most)
{
	enum { ROWS = LINEAR_I8_AVX512VNNI_ROWS };
	const int NR = 16 * vectors, line = 64 * vectors; /* bytes of a panel for four inputs */
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  quads = (K + 3) / 4;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int tiles = (rows + most - 1) / most, step = line / tiles;
		linear_i8_avx512vnni_bring(scratch, q + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			const char *panel = (const char *)w + (size_t)p * (size_t)quads * (size_t)line;
			const int width = N % NR ? rt_min(NR, N - p * NR) : NR;
			uintptr_t ahead = (uintptr_t)panel + (uintptr_t)quads * (uintptr_t)line;
			for (int t = 0; t < tiles; t++, ahead += (uintptr_t)step * (uintptr_t)quads) {
				const int i = rt_part(rows, t, tiles);
				const TileOut y = tile_out(out, first + i, p * NR, N);
				const uint8_t *x = (const uint8_t *)scratch + (size_t)i * (size_t)stride;
#define LINEAR_I8_TILE(m) \
	case m: \
		if (m <= most && (alone || 2 * m >= most)) \
			linear_i8_avx512vnni_tile(y, x, s + first + i, panel, ws + p * NR, bias + p * NR, sums + p * NR, \
				ahead, step, width, K, N, act, m, alone, vectors); \
		break;
				const int mr = rt_part(rows, t + 1, tiles) - i;
				if (tiles == 1) {
					enum { alone = 1 };
					switch (mr) {
						// clang-format off
						LINEAR_I8_TILE(1) LINEAR_I8_TILE(2) LINEAR_I8_TILE(3)
						LINEAR_I8_TILE(4) LINEAR_I8_TILE(5) LINEAR_I8_TILE(6)
						LINEAR_I8_TILE(7) LINEAR_I8_TILE(8) LINEAR_I8_TILE(9)
						LINEAR_I8_TILE(10) LINEAR_I8_TILE(11) LINEAR_I8_TILE(12)
						// clang-format on
					}
				} else { /* with two tiles or more, each has at least half the largest height */
					enum { alone = 0 };
					switch (mr) {
						// clang-format off
						LINEAR_I8_TILE(4) LINEAR_I8_TILE(5) LINEAR_I8_TILE(6)
						LINEAR_I8_TILE(7) LINEAR_I8_TILE(8) LINEAR_I8_TILE(9)
						LINEAR_I8_TILE(10) LINEAR_I8_TILE(11) LINEAR_I8_TILE(12)
						// clang-format on
					}
				}
#undef LINEAR_I8_TILE
			}
		}
	}
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8__avx512vnni(float *out, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1,
	int K, int N, int act, void *scratch)
{
	linear_i8_avx512vnni(
		tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch, 2, 12);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_codes__avx512vnni(int8_t *out, float *scales, const int8_t *q,
	const float *s, const void *w, const float *ws, const float *bias, const float *m, const float *z,
	const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_avx512vnni(
		tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch, 2, 12);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_8x48__avx512vnni(float *out, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1,
	int K, int N, int act, void *scratch)
{
	linear_i8_avx512vnni(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch, 3, 8);
}

RT_INLINE RT_TARGET_AVX512VNNI void linear_i8_codes_8x48__avx512vnni(int8_t *out, float *scales,
	const int8_t *q, const float *s, const void *w, const float *ws, const float *bias, const float *m,
	const float *z, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_avx512vnni(
		tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch, 3, 8);
}
#endif
