/* tile__avx512.h: how the AVX-512 linears of every number format leave a tile of 32 outputs. */
#ifndef RT_TILE__AVX512_H
#define RT_TILE__AVX512_H
#include "math__avx512.h"

/* out = act(tile[mr][32]), of which the first `width` outputs are written; rows of out lie N apart. */
RT_SHARED RT_TARGET_AVX512 void tile_avx512_activate(float *out, const float *tile, int width, int N, int act, int mr)
{
	__mmask16 m0 = math_avx512_first(width), m1 = math_avx512_first(width - 16);
	for (int i = 0; i < mr; i++) {
		_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N, m0, math_avx512_act(_mm512_load_ps(tile + 32 * i), act));
		_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N + 16, m1, math_avx512_act(_mm512_load_ps(tile + 32 * i + 16), act));
	}
}

/* The same, where the inputs were rounded to 8 bits. */
RT_SHARED RT_TARGET_AVX512 void tile_avx512_activate_low(float *out, const float *tile, int width, int N, int act, int mr)
{
	if (act != RT_ACT_GELU) {
		tile_avx512_activate(out, tile, width, N, act, mr);
		return;
	}
	__mmask16 m0 = math_avx512_first(width), m1 = math_avx512_first(width - 16);
	for (int i = 0; i < mr; i++) {
		_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N, m0, math_avx512_gelu_low(_mm512_load_ps(tile + 32 * i)));
		_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N + 16, m1, math_avx512_gelu_low(_mm512_load_ps(tile + 32 * i + 16)));
	}
}

/* out = act(sums) for mr rows of 32 sums in registers. An activation goes over a copy in L1: through `out` it would be 10 % slower,
 * since a masked store is not forwarded to the load that follows. low: the inputs were rounded to int8 or bf16. */
RT_INLINE RT_TARGET_AVX512 void tile_avx512_store(float *out, __m512 (*sums)[2], int width, int N, int act, int low, int mr)
{
	if (act == RT_ACT_NONE) {
		__mmask16 m0 = math_avx512_first(width), m1 = math_avx512_first(width - 16);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) {
			_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N, m0, sums[i][0]);
			_mm512_mask_storeu_ps(out + (size_t)i * (size_t)N + 16, m1, sums[i][1]);
		}
		return;
	}
	_Alignas(64) float tile[12][32];
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) {
		_mm512_store_ps(tile[i], sums[i][0]);
		_mm512_store_ps(tile[i] + 16, sums[i][1]);
	}
	if (low)
		tile_avx512_activate_low(out, tile[0], width, N, act, mr);
	else
		tile_avx512_activate(out, tile[0], width, N, act, mr);
}
#endif
