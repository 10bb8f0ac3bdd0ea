/* attention__avx512.h: what the AVX-512 attentions share. */
#ifndef RT_ATTENTION__AVX512_H
#define RT_ATTENTION__AVX512_H
#include "math__avx512.h"

/* Heights of tiles: as many of 8 as fit, then the rest in powers of two. */
RT_INLINE int attention_avx512_height(int left) { return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }

/* 16 x 16 floats: element j of row i becomes element i of row j. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_transpose(__m512 r[16])
{
	__m512 t[16];
	RT_UNROLL_FULL for (int i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
	}
	RT_UNROLL_FULL for (int i = 0; i < 16; i += 4)
		RT_UNROLL_FULL for (int j = 0; j < 2; j++) {
			__m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + j + 2]);
			r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
			r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
		}
	/* r[4g + c] now holds, in its 128-bit part l, column 4l + c of rows 4g..4g+3 */
	RT_UNROLL_FULL for (int c = 0; c < 4; c++) {
		t[c]      = _mm512_shuffle_f32x4(r[c],     r[4 + c],  0x88);
		t[4 + c]  = _mm512_shuffle_f32x4(r[c],     r[4 + c],  0xdd);
		t[8 + c]  = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
		t[12 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
	}
	RT_UNROLL_FULL for (int c = 0; c < 4; c++) {
		r[c]      = _mm512_shuffle_f32x4(t[c],     t[8 + c],  0x88);
		r[8 + c]  = _mm512_shuffle_f32x4(t[c],     t[8 + c],  0xdd);
		r[4 + c]  = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0x88);
		r[12 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0xdd);
	}
}
#endif
