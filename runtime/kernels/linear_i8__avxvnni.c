/* linear_i8__avxvnni.c: linear_i8__avx512vnni.c in 256-bit registers, for CPUs that have VPDPBUSD but no
 * AVX-512.
 *
 * Up to 48 rows are copied to scratch as unsigned bytes, q + 128, and then multiplied with all panels. The
 * sums start with -128 * sums[n], which removes the offset exactly. A tile is up to 6 rows by 16 outputs as
 * in linear__avx2.c.
 *
 *   w        [P][K/4 rounded up][16][4]
 *   scratch  uint8_t rows[48][K rounded up to 64], anything beyond K, where the weights are 0 */
#if defined(__x86_64__)
#include "tile__avx2.h"

/* rows[i] = q[i] + 128 for count rows. */
RT_INLINE RT_TARGET_AVXVNNI void linear_i8_avxvnni_bring(uint8_t *rows, const int8_t *q, int count, int K)
{
	const int stride = (K + 63) & ~63;
	const __m256i flip = _mm256_set1_epi8((char)0x80);
	for (int i = 0; i < count; i++, rows += stride, q += K) {
		int k = 0;
		for (; k + 32 <= K; k += 32)
			_mm256_store_si256((__m256i *)(void *)(rows + k),
				_mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(q + k)), flip));
		for (; k < stride; k++)
			rows[k] = k < K ? (uint8_t)(q[k] + 128) : 0;
	}
}

/* Rows 0..mr-1 by one panel w[K4][16][4], of which the first `width` outputs are written. `ahead` as in
 * linear__avx2.c. */
RT_INLINE RT_TARGET_AVXVNNI void linear_i8_avxvnni_tile(TileOut out, const uint8_t *rows, const float *s,
	const char *w, const float *ws, const float *bias, const int32_t *sums, uintptr_t ahead, int step,
	int width, int K, int N, int act, int mr)
{
	enum { MR = 6 };
	const int stride = (K + 63) & ~63, quads = (K + 3) / 4;
	__m256i acc[MR][2];
	const __m256i start0 = _mm256_slli_epi32(
		_mm256_sub_epi32(_mm256_setzero_si256(), _mm256_loadu_si256((const __m256i *)(const void *)sums)), 7);
	const __m256i start1 = _mm256_slli_epi32(
		_mm256_sub_epi32(
			_mm256_setzero_si256(), _mm256_loadu_si256((const __m256i *)(const void *)(sums + 8))),
		7);
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
	{
		acc[i][0] = start0;
		acc[i][1] = start1;
	}
	uintptr_t at = (uintptr_t)w;
	for (int k = 0; k < quads; k++, at += 64, ahead += (uintptr_t)step) {
		_mm_prefetch((const char *)ahead, _MM_HINT_T1);
		_mm_prefetch((const char *)(at + 512), _MM_HINT_T0);
		const __m256i w0 = _mm256_load_si256((const __m256i *)at);
		const __m256i w1 = _mm256_load_si256((const __m256i *)(at + 32));
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			int32_t quad;
			memcpy(&quad, rows + (size_t)i * (size_t)stride + 4 * (size_t)k, 4);
			const __m256i a = _mm256_set1_epi32(quad);
			acc[i][0] = _mm256_dpbusd_avx_epi32(acc[i][0], a, w0);
			acc[i][1] = _mm256_dpbusd_avx_epi32(acc[i][1], a, w1);
		}
	}
	tile_avx2_scale(out, acc, s, ws, bias, width, N, act, mr);
}

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_avxvnni(TileOut out, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1,
	int K, int N, int act, void *scratch)
{
	enum { NR = 16, MR = 6, ROWS = 48 };
	const int count = r1 - r0, blocks = (count + ROWS - 1) / ROWS, stride = (K + 63) & ~63,
			  quads = (K + 3) / 4;
	for (int b = 0; b < blocks; b++) {
		const int first = r0 + rt_part(count, b, blocks), rows = r0 + rt_part(count, b + 1, blocks) - first;
		const int tiles = (rows + MR - 1) / MR, step = 64 / tiles;
		linear_i8_avxvnni_bring(scratch, q + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			const char *panel = (const char *)w + (size_t)p * (size_t)quads * 64;
			const int width = N % NR ? rt_min(NR, N - p * NR) : NR;
			uintptr_t ahead = (uintptr_t)panel + (uintptr_t)quads * 64;
			for (int t = 0; t < tiles; t++, ahead += (uintptr_t)step * (uintptr_t)quads) {
				const int i = rt_part(rows, t, tiles);
				const TileOut y = tile_out(out, first + i, p * NR, N);
				const uint8_t *x = (const uint8_t *)scratch + (size_t)i * (size_t)stride;
#define LINEAR_I8_TILE(m) \
	case m: \
		linear_i8_avxvnni_tile(y, x, s + first + i, panel, ws + p * NR, bias + p * NR, sums + p * NR, ahead, \
			step, width, K, N, act, m); \
		break;
				switch (rt_part(rows, t + 1, tiles) - i) {
					LINEAR_I8_TILE(1)
					LINEAR_I8_TILE(2) LINEAR_I8_TILE(3) LINEAR_I8_TILE(4) LINEAR_I8_TILE(5) LINEAR_I8_TILE(6)
				}
#undef LINEAR_I8_TILE
			}
		}
	}
}

RT_INLINE RT_TARGET_AVXVNNI void linear_i8__avxvnni(float *out, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1,
	int K, int N, int act, void *scratch)
{
	linear_i8_avxvnni(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE RT_TARGET_AVXVNNI void linear_i8_codes__avxvnni(int8_t *out, float *scales, const int8_t *q,
	const float *s, const void *w, const float *ws, const float *bias, const float *m, const float *z,
	const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_avxvnni(tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
#endif
