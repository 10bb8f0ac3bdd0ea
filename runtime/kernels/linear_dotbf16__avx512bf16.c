/* linear_dotbf16__avx512bf16.c: linear_dotbf16__scalar.c with VDPBF16PS, which adds two products of bf16 to
 * each of 16 sums.
 *
 * Up to 48 rows are rounded into scratch and then multiplied with all panels. A tile is up to 12 rows by 32
 * outputs as in linear__avx512.c.
 *
 *   scratch  uint16_t rows[48][K rounded up to 64], 0 beyond K, where the weights are 0 too */
#if defined(__x86_64__)
#include "tile__avx512.h"

/* rows[i] = x[i] as bf16 for count rows. */
RT_INLINE RT_TARGET_AVX512BF16 void linear_dotbf16_avx512bf16_bring(
	uint16_t *rows, const float *x, int count, int K)
{
	const int stride = (K + 63) & ~63;
	for (int i = 0; i < count; i++, rows += stride, x += K)
		for (int k = 0; k < K; k += 32) {
			const __m512 low = _mm512_maskz_loadu_ps(math_avx512_first(K - k), x + k);
			const __m512 high = _mm512_maskz_loadu_ps(math_avx512_first(K - k - 16), x + k + 16);
			_mm512_store_si512(rows + k, (__m512i)_mm512_cvtne2ps_pbh(high, low));
		}
}

/* Rows 0..mr-1 by one panel w[K2][32][2], of which the first `width` outputs are written. `ahead` and `alone`
 * as in linear__avx512.c. */
RT_INLINE RT_TARGET_AVX512BF16 void linear_dotbf16_avx512bf16_tile(float *out, const uint16_t *rows,
	const char *w, const float *bias, uintptr_t ahead, int step, int width, int K, int N, int act, int mr,
	int alone)
{
	enum { MR = 12 };
	const int stride = (K + 63) & ~63, pairs = (K + 1) / 2;
	__m512 acc[MR][TILE_AVX512_VECTORS];
	RT_EACH_12(i, mr, RT_EACH_4(j, 2, acc[i][j] = _mm512_loadu_ps(bias + 16 * j)))
	uintptr_t at = (uintptr_t)w;
	RT_UNROLL_NONE for (int k = 0; k < pairs; k++, at += 128, ahead += (uintptr_t)step)
	{
		tile_avx512_fetch(at, ahead, 2, alone);
		const __m512bh w0 = (__m512bh)_mm512_load_si512((const void *)at),
					   w1 = (__m512bh)_mm512_load_si512((const void *)(at + 64));
		RT_EACH_12(i, mr, int32_t pair; memcpy(&pair, rows + (size_t)i * (size_t)stride + 2 * (size_t)k, 4);
			const __m512bh a = (__m512bh)_mm512_set1_epi32(pair);
			acc[i][0] = _mm512_dpbf16_ps(acc[i][0], a, w0); acc[i][1] = _mm512_dpbf16_ps(acc[i][1], a, w1))
	}
	tile_avx512_store(out, acc, 2, width, N, act, 1, mr);
}

RT_INLINE RT_TARGET_AVX512BF16 void linear_dotbf16__avx512bf16(float *out, const float *x, const void *w,
	const float *bias, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = 32, MR = 12, ROWS = 48 };
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  pairs = (K + 1) / 2;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int tiles = (rows + MR - 1) / MR, step = 128 / tiles;
		linear_dotbf16_avx512bf16_bring(scratch, x + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			const char *panel = (const char *)w + (size_t)p * (size_t)pairs * 128;
			const int width = N % NR ? rt_min(NR, N - p * NR) : NR;
			uintptr_t ahead = (uintptr_t)panel + (uintptr_t)pairs * 128;
			for (int t = 0; t < tiles; t++, ahead += (uintptr_t)step * (uintptr_t)pairs) {
				const int i = rt_part(rows, t, tiles);
				float *y = out + (size_t)(first + i) * (size_t)N + (size_t)p * NR;
				const uint16_t *row = (const uint16_t *)scratch + (size_t)i * (size_t)stride;
#define LINEAR_DOTBF16_TILE(m) \
	case m: \
		linear_dotbf16_avx512bf16_tile( \
			y, row, panel, bias + p * NR, ahead, step, width, K, N, act, m, alone); \
		break;
				const int mr = rt_part(rows, t + 1, tiles) - i;
				if (tiles == 1) {
					enum { alone = 1 };
					switch (mr) {
						// clang-format off
						LINEAR_DOTBF16_TILE(1) LINEAR_DOTBF16_TILE(2) LINEAR_DOTBF16_TILE(3)
						LINEAR_DOTBF16_TILE(4) LINEAR_DOTBF16_TILE(5) LINEAR_DOTBF16_TILE(6)
						LINEAR_DOTBF16_TILE(7) LINEAR_DOTBF16_TILE(8) LINEAR_DOTBF16_TILE(9)
						LINEAR_DOTBF16_TILE(10) LINEAR_DOTBF16_TILE(11) LINEAR_DOTBF16_TILE(12)
						// clang-format on
					}
				} else { /* 13 rows or more: at least two tiles */
					enum { alone = 0 };
					switch (mr) {
						// clang-format off
						LINEAR_DOTBF16_TILE(6) LINEAR_DOTBF16_TILE(7) LINEAR_DOTBF16_TILE(8)
						LINEAR_DOTBF16_TILE(9) LINEAR_DOTBF16_TILE(10) LINEAR_DOTBF16_TILE(11)
						LINEAR_DOTBF16_TILE(12)
						// clang-format on
					}
				}
#undef LINEAR_DOTBF16_TILE
			}
		}
	}
}
#endif
