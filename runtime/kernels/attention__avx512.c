/* attention__avx512.c: attention__scalar.c with AVX-512.
 *
 * For each head, K is transposed once into scratch, in panels of 32 keys, so that 16 scores of a query lie in a register.
 * Then, for every 8 queries: all their scores, the softmax without its division, and the product with V, divided at the end.
 *
 *   scratch  float packed[keys*d], panel p = packed + p*32*d is [d][min(32, keys - p*32)]
 *            float score[8][keys] */
#if defined(__x86_64__)
#include "attention__avx512.h"

RT_INLINE RT_TARGET_AVX512 void attention_avx512_pack(float *packed, const float *k, int keys, int d, int k_stride)
{
	for (int t0 = 0; t0 < keys; t0 += 16) {
		int width = rt_min(32, keys - (t0 & ~31)), count = rt_min(16, keys - t0);
		float *to = packed + (size_t)(t0 & ~31) * (size_t)d + (t0 & 31);
		for (int j0 = 0; j0 < d; j0 += 16) {
			__mmask16 columns = math_avx512_first(d - j0);
			__m512 r[16];
			RT_UNROLL_FULL for (int i = 0; i < 16; i++)   /* beyond the last key: any row that exists, under an empty mask */
				r[i] = _mm512_maskz_loadu_ps(i < count ? columns : 0,
					k + (size_t)(i < count ? t0 + i : t0) * (size_t)k_stride + j0);
			attention_avx512_transpose(r);
			RT_UNROLL_FULL for (int j = 0; j < 16; j++)
				if (j0 + j < d)
					_mm512_mask_storeu_ps(to + (size_t)(j0 + j) * (size_t)width, math_avx512_first(count), r[j]);
		}
	}
}

/* c[i][n] = scale[i] * sum over t of a[i][t] b[t][n] for i < mr and n < cols <= 16 nv. Rows of a, b, c lie as, bs, cs apart. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_tile(float *c, int cs, const float *a, int as, const float *b, int bs,
                                                      int length, int cols, const float *scale, int mr, int nv)
{
	__m512 acc[8][2];
	__mmask16 m[2] = { math_avx512_first(cols), math_avx512_first(cols - 16) };
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		RT_UNROLL_FULL for (int j = 0; j < nv; j++)
			acc[i][j] = _mm512_setzero_ps();
	for (int t = 0; t < length; t++) {
		__m512 row[2];
		RT_UNROLL_FULL for (int j = 0; j < nv; j++)
			row[j] = _mm512_maskz_loadu_ps(m[j], b + (size_t)t * (size_t)bs + 16 * j);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++) {
			__m512 x = _mm512_set1_ps(a[(size_t)i * (size_t)as + (size_t)t]);
			RT_UNROLL_FULL for (int j = 0; j < nv; j++)
				acc[i][j] = _mm512_fmadd_ps(x, row[j], acc[i][j]);
		}
	}
	RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		RT_UNROLL_FULL for (int j = 0; j < nv; j++)
			_mm512_mask_storeu_ps(c + (size_t)i * (size_t)cs + 16 * j, m[j], _mm512_mul_ps(acc[i][j], _mm512_set1_ps(scale[i])));
}

/* mr queries of one head, all keys. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_queries(float *out, int out_stride, const float *q, int q_stride,
                                                         const float *packed, const float *v, int v_stride, int keys, int d,
                                                         float scale, float *score, int mr)
{
	float factor[8];   /* scores in units of log2 e: softmax is then a power of two */
	for (int i = 0; i < mr; i++)
		factor[i] = scale * 1.44269504f;
	for (int t = 0; t < keys; t += 32) {
		int width = rt_min(32, keys - t);
		const float *panel = packed + (size_t)t * (size_t)d;
		if (width > 16)
			attention_avx512_tile(score + t, keys, q, q_stride, panel, width, d, width, factor, mr, 2);
		else
			attention_avx512_tile(score + t, keys, q, q_stride, panel, width, d, width, factor, mr, 1);
	}
	for (int i = 0; i < mr; i++)
		factor[i] = math_avx512_softmax2(score + (size_t)i * (size_t)keys, score + (size_t)i * (size_t)keys, keys);
	for (int j = 0; j < d; j += 32)
		if (d - j > 16)
			attention_avx512_tile(out + j, out_stride, score, keys, v + j, v_stride, keys, d - j, factor, mr, 2);
		else
			attention_avx512_tile(out + j, out_stride, score, keys, v + j, v_stride, keys, d - j, factor, mr, 1);
}

RT_INLINE RT_TARGET_AVX512 void attention_f32__avx512(float *out, const float *q, const float *k, const float *v, int queries,
                                                      int keys, int heads, int d, int q_stride, int k_stride, int v_stride,
                                                      int h0, int h1, float scale, void *scratch)
{
	float *packed = scratch, *score = packed + (size_t)keys * (size_t)d;
	for (int h = h0; h < h1; h++) {
		size_t column = (size_t)h * (size_t)d;
		attention_avx512_pack(packed, k + column, keys, d, k_stride);
		for (int i = 0, mr; i < queries; i += mr) {
			float *y = out + (size_t)i * (size_t)heads * (size_t)d + column;
			const float *x = q + (size_t)i * (size_t)q_stride + column;
			mr = queries - i >= 8 ? 8 : queries - i >= 4 ? 4 : queries - i >= 2 ? 2 : 1;
#define ATTENTION_QUERIES(m) \
			case m: \
				attention_avx512_queries(y, heads * d, x, q_stride, packed, v + column, v_stride, keys, d, scale, score, m); \
				break;
			switch (mr) { ATTENTION_QUERIES(1) ATTENTION_QUERIES(2) ATTENTION_QUERIES(4) ATTENTION_QUERIES(8) }
#undef ATTENTION_QUERIES
		}
	}
}
#endif
