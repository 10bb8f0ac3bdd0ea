/* attention_bf16__avx512bf16.c: attention__scalar.c with both products in bf16 (VDPBF16PS) and the softmax between them in f32, for
 * programs whose linears compute in bf16 or int8.
 *
 * For each head, K and V are rounded once into panels. Then, for every up to 12 queries: all their scores, in units of log2 e so that
 * softmax is a power of two; 2^(score - largest) rounded to bf16; the product with V, divided by the sum at the end. Rounded so, the
 * output has a cosine above 0.9999 with the exact one; 8-bit codes would lose the many small weights beside one large one.
 *
 *   scratch  uint16_t k[keys/32 rounded up][d/2 rounded up][32][2]    two elements of a key side by side
 *            uint16_t v[keys/2 rounded up to 16][d/16 rounded up][16][2]   two keys of an element side by side
 *            uint16_t q[12][d rounded up to 32], p[12][keys rounded up to 32]
 *            float score[12][keys rounded up to 32] */
#if defined(__x86_64__)
#include "attention__avx512.h"

enum { ATTENTION_BF16_MR = 12 };

/* 32 keys from k on become one panel; keys from `count` on and elements beyond d are 0. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_pack_keys(uint16_t *panel, const float *k, int count, int d, int k_stride)
{
	const int pairs = (d + 1) / 2;
	for (int t0 = 0; t0 < 32; t0 += 16)
		for (int j0 = 0; j0 < d; j0 += 32) {
			const __mmask16 m0 = math_avx512_first(d - j0), m1 = math_avx512_first(d - j0 - 16);
			__m512 r[16];
			RT_UNROLL_FULL for (int i = 0; i < 16; i++) {
				const int there = t0 + i < count;
				const float *row = k + (size_t)(there ? t0 + i : 0) * (size_t)k_stride + j0;
				r[i] = (__m512)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(there ? m1 : 0, row + 16),
					_mm512_maskz_loadu_ps(there ? m0 : 0, row));
			}
			attention_avx512_transpose(r);
			RT_UNROLL_FULL for (int j = 0; j < 16; j++)
				if (j0 / 2 + j < pairs)
					_mm512_store_ps(panel + ((size_t)(j0 / 2 + j) * 32 + (size_t)t0) * 2, r[j]);
		}
}

/* Values of all keys, two keys of an element side by side; zeros beyond the last key up to a whole 32. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_pack_values(uint16_t *packed, const float *v, int keys, int d, int v_stride)
{
	const int blocks = (d + 15) / 16;
	const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20,
		4, 19, 3, 18, 2, 17, 1, 16, 0);
	for (int t = 0; t < ((keys + 31) & ~31); t += 2)
		for (int j = 0; j < blocks; j++) {
			const __mmask16 m = math_avx512_first(d - 16 * j);
			const float *row = v + (size_t)(t < keys ? t : 0) * (size_t)v_stride + 16 * j;
			const __m512 a = _mm512_maskz_loadu_ps(t < keys ? m : 0, row);
			const __m512 b = _mm512_maskz_loadu_ps(t + 1 < keys ? m : 0, row + (t + 1 < keys ? v_stride : 0));
			_mm512_store_si512(packed + ((size_t)(t / 2) * (size_t)blocks + (size_t)j) * 32,
				_mm512_permutexvar_epi16(interleave, (__m512i)_mm512_cvtne2ps_pbh(b, a)));
		}
}

/* c[i][n] = factor[i] * sum over pairs t of a[i][t] b[t][n] for i < mr and n < 16 nv. a's rows lie as pairs apart, b's 32 bs numbers. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_tile(float *c, int cs, const uint16_t *a, int as, const uint16_t *b, int bs,
                                                        int pairs, int columns, const float *factor, int mr, int nv)
{
	__m512 acc[ATTENTION_BF16_MR][2];
	const __mmask16 m[2] = { math_avx512_first(columns), math_avx512_first(columns - 16) };
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		RT_UNROLL_FULL for (int j = 0; j < nv; j++)
			acc[i][j] = _mm512_setzero_ps();
	for (int t = 0; t < pairs; t++, b += 32 * bs) {
		__m512bh w[2];
		RT_UNROLL_FULL for (int j = 0; j < nv; j++)
			w[j] = (__m512bh)_mm512_load_si512(b + 32 * j);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) {
			int32_t pair;
			memcpy(&pair, a + (size_t)i * (size_t)as + 2 * (size_t)t, 4);
			const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
			RT_UNROLL_FULL for (int j = 0; j < nv; j++)
				acc[i][j] = _mm512_dpbf16_ps(acc[i][j], x, w[j]);
		}
	}
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		RT_UNROLL_FULL for (int j = 0; j < nv; j++)
			_mm512_mask_storeu_ps(c + (size_t)i * (size_t)cs + 16 * j, m[j],
				factor ? _mm512_mul_ps(acc[i][j], _mm512_set1_ps(factor[i])) : acc[i][j]);
}

/* p[n] = 2^(score[n] - largest) as bf16, 0 from `keys` on up to a whole 32; returns 1 / sum. */
RT_INLINE RT_TARGET_AVX512BF16 float attention_bf16_softmax(uint16_t *p, float *score, int keys)
{
	__m512 top = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
	for (int n = 0; n < keys; n += 16) {
		const __mmask16 m = math_avx512_first(keys - n);
		top = _mm512_mask_max_ps(top, m, top, _mm512_loadu_ps(score + n));
	}
	top = _mm512_set1_ps(_mm512_reduce_max_ps(top));
	for (int n = 0; n < keys; n += 32) {
		const __m512 a = math_avx512_exp2_low(_mm512_sub_ps(_mm512_loadu_ps(score + n), top));
		const __m512 b = math_avx512_exp2_low(_mm512_sub_ps(_mm512_loadu_ps(score + n + 16), top));
		const __m512 x = _mm512_maskz_mov_ps(math_avx512_first(keys - n), a);
		const __m512 y = _mm512_maskz_mov_ps(math_avx512_first(keys - n - 16), b);
		_mm512_store_si512(p + n, (__m512i)_mm512_cvtne2ps_pbh(y, x));
		sum = _mm512_add_ps(sum, _mm512_add_ps(x, y));
	}
	return keys > 0 ? 1.0f / _mm512_reduce_add_ps(sum) : 0;
}

/* mr queries of one head, all keys. */
RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16_queries(float *out, int out_stride, const float *q, int q_stride,
                                                           const uint16_t *k, const uint16_t *v, int keys, int d, float scale,
                                                           uint16_t *rows, uint16_t *p, float *score, int mr)
{
	const int wide = (d + 31) & ~31, room = (keys + 31) & ~31, blocks = (d + 15) / 16, pairs = (d + 1) / 2;
	const __m512 factor = _mm512_set1_ps(scale * 1.44269504f);
	float inverse[ATTENTION_BF16_MR];
	for (int i = 0; i < mr; i++)
		for (int j = 0; j < d; j += 32) {
			const float *x = q + (size_t)i * (size_t)q_stride + j;
			const __m512 a = _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(math_avx512_first(d - j), x));
			const __m512 b = _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(math_avx512_first(d - j - 16), x + 16));
			_mm512_store_si512(rows + i * wide + j, (__m512i)_mm512_cvtne2ps_pbh(b, a));
		}
	for (int t = 0; t < keys; t += 32)
		attention_bf16_tile(score + t, room, rows, wide, k + (size_t)t * (size_t)pairs * 2, 2, pairs, 32, NULL, mr, 2);
	for (int i = 0; i < mr; i++)
		inverse[i] = attention_bf16_softmax(p + (size_t)i * (size_t)room, score + (size_t)i * (size_t)room, keys);
	for (int j = 0; j < d; j += 32)
		if (d - j > 16)
			attention_bf16_tile(out + j, out_stride, p, room, v + 2 * j, blocks, (keys + 1) / 2, d - j, inverse, mr, 2);
		else
			attention_bf16_tile(out + j, out_stride, p, room, v + 2 * j, blocks, (keys + 1) / 2, d - j, inverse, mr, 1);
}

RT_INLINE RT_TARGET_AVX512BF16 void attention_bf16__avx512bf16(float *out, const float *q, const float *k, const float *v, int queries,
                                                               int keys, int heads, int d, int q_stride, int k_stride,
                                                               int v_stride, int h0, int h1, float scale, void *scratch)
{
	enum { MR = ATTENTION_BF16_MR };
	const int room = (keys + 31) & ~31, pairs = (d + 1) / 2, blocks = (d + 15) / 16, tiles = (queries + MR - 1) / MR;
	uint16_t *packed_k = scratch, *packed_v = packed_k + (size_t)room * (size_t)pairs * 2;
	uint16_t *rows = packed_v + (size_t)room * (size_t)blocks * 16, *p = rows + MR * ((d + 31) & ~31);
	float *score = (float *)(void *)(p + MR * (size_t)room);
	for (int h = h0; h < h1; h++) {
		const size_t column = (size_t)h * (size_t)d;
		for (int t = 0; t < keys; t += 32)
			attention_bf16_pack_keys(packed_k + (size_t)t * (size_t)pairs * 2, k + column + (size_t)t * (size_t)k_stride,
				rt_min(32, keys - t), d, k_stride);
		attention_bf16_pack_values(packed_v, v + column, keys, d, v_stride);
		for (int t = 0; t < tiles; t++) {
			const int i = rt_part(queries, t, tiles);
			float *y = out + (size_t)i * (size_t)heads * (size_t)d + column;
			const float *x = q + (size_t)i * (size_t)q_stride + column;
#define ATTENTION_QUERIES(m) \
			case m: \
				attention_bf16_queries(y, heads * d, x, q_stride, packed_k, packed_v, keys, d, scale, rows, p, score, m); \
				break;
			switch (rt_part(queries, t + 1, tiles) - i) {
			ATTENTION_QUERIES(1) ATTENTION_QUERIES(2)  ATTENTION_QUERIES(3)  ATTENTION_QUERIES(4)
			ATTENTION_QUERIES(5) ATTENTION_QUERIES(6)  ATTENTION_QUERIES(7)  ATTENTION_QUERIES(8)
			ATTENTION_QUERIES(9) ATTENTION_QUERIES(10) ATTENTION_QUERIES(11) ATTENTION_QUERIES(12)
			}
#undef ATTENTION_QUERIES
		}
	}
}
#endif
