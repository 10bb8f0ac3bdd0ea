/* attention__avx512.h: what the AVX-512 attentions share. */
#ifndef RT_ATTENTION__AVX512_H
#define RT_ATTENTION__AVX512_H
#include "math__avx512.h"

/* Heights of tiles: as many of 8 as fit, then the rest in powers of two. */
RT_INLINE int attention_avx512_height(int left) { return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }
#endif
