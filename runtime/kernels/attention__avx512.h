/* attention__avx512.h: shared by the AVX-512 attentions. The loops over elements and keys are not unrolled:
 * they are as fast, and Clang takes 30 % less time. */
#ifndef RT_ATTENTION__AVX512_H
#define RT_ATTENTION__AVX512_H
#include "bias__scalar.h"
#include "math__avx512.h"

/* Heights of tiles: 8 while possible, then powers of two. */
RT_INLINE int attention_avx512_height(int left)
{
	if (left >= 8)
		return 8;
	if (left >= 4)
		return 4;
	return left >= 2 ? 2 : 1;
}

/* score[t][..] = scores of 16 nv queries with the keys k[t], t < mr, at t * stride; top becomes the largest
 * of each query. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_keys(float *score, int stride, const float *queries,
	const float *k, int d, int k_stride, __m512 top[2], int mr, int nv)
{
	__m512 acc[8][2];
	RT_UNROLL_FULL for (int t = 0; t < mr; t++) RT_UNROLL_FULL for (int v = 0; v < nv; v++) acc[t][v]
		= _mm512_setzero_ps();
	RT_UNROLL_NONE for (int j = 0; j < d; j++)
	{
		__m512 x[2];
		RT_UNROLL_FULL for (int v = 0; v < nv; v++) x[v] = _mm512_loadu_ps(queries + 32 * (size_t)j + 16 * v);
		RT_UNROLL_FULL for (int t = 0; t < mr; t++)
		{
			const __m512 y = _mm512_set1_ps(k[(size_t)t * (size_t)k_stride + (size_t)j]);
			RT_UNROLL_FULL for (int v = 0; v < nv; v++) acc[t][v] = _mm512_fmadd_ps(x[v], y, acc[t][v]);
		}
	}
	RT_UNROLL_FULL for (int t = 0; t < mr; t++) RT_UNROLL_FULL for (int v = 0; v < nv; v++)
	{
		_mm512_storeu_ps(score + (size_t)t * (size_t)stride + 16 * v, acc[t][v]);
		top[v] = _mm512_max_ps(acc[t][v], top[v]);
	}
}

/* out[i][n] = inverse[i] * sum over t of weight[t][i] v[t][n] for i < mr and n < columns <= 16 nv. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_values(float *out, int out_stride, const float *weight,
	const float *v, int v_stride, int keys, int columns, const float *inverse, int mr, int nv)
{
	__m512 acc[8][2];
	const __mmask16 m[2] = {math_avx512_first(columns), math_avx512_first(columns - 16)};
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < nv; j++) acc[i][j]
		= _mm512_setzero_ps();
	RT_UNROLL_NONE for (int t = 0; t < keys; t++)
	{
		__m512 row[2];
		RT_UNROLL_FULL for (int j = 0; j < nv; j++) row[j] = _mm512_maskz_loadu_ps(
			m[j], v + (size_t)t * (size_t)v_stride + 16 * j);
		RT_UNROLL_FULL for (int i = 0; i < mr; i++)
		{
			const __m512 x = _mm512_set1_ps(weight[32 * (size_t)t + (size_t)i]);
			RT_UNROLL_FULL for (int j = 0; j < nv; j++) acc[i][j] = _mm512_fmadd_ps(x, row[j], acc[i][j]);
		}
	}
	RT_UNROLL_FULL for (int i = 0; i < mr; i++) RT_UNROLL_FULL for (int j = 0; j < nv; j++)
		_mm512_mask_storeu_ps(out + (size_t)i * (size_t)out_stride + 16 * j, m[j],
			_mm512_mul_ps(acc[i][j], _mm512_set1_ps(inverse[i])));
}

/* Adds rows of a dense bias, times unit, to the scores of `count` <= 16 queries in lanes.
 */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_bias_dense(
	float *score, const float *rows, size_t stride, int count, int keys, float unit)
{
	for (int t0 = 0; t0 < keys; t0 += 16) {
		const __mmask16 columns = math_avx512_first(keys - t0);
		__m512 r[16];
		RT_UNROLL_FULL for (int i = 0; i < 16; i++) r[i] = _mm512_maskz_loadu_ps(
			i < count ? columns : 0, rows + (size_t)(i < count ? i : 0) * stride + t0);
		math_avx512_transpose(r);
		RT_UNROLL_FULL for (int t = 0; t < 16; t++) if (t0 + t < keys)
		{
			float *at = score + 32 * (size_t)(t0 + t);
			_mm512_storeu_ps(
				at, _mm512_add_ps(_mm512_loadu_ps(at), _mm512_mul_ps(r[t], _mm512_set1_ps(unit))));
		}
	}
}

/* The same for a table by distance with positions of the tokens, or a table for each query. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_bias_places(
	float *score, const RtBias *bias, int head, int i0, int count, int keys, float unit)
{
	const __mmask16 some = math_avx512_first(count);
	const __m512i reach = _mm512_set1_epi32(bias->reach),
				  lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
				  row = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)bias->query));
	const __m512i own = bias->places ? _mm512_maskz_loadu_epi32(some, bias->places + i0)
									 : _mm512_add_epi32(lane, _mm512_set1_epi32(i0));
	const float *table = bias->at + (size_t)head * bias->head + (size_t)i0 * bias->query
		+ (size_t)bias->reach;
	for (int t = 0; t < keys; t++) {
		const __m512i distance = _mm512_sub_epi32(_mm512_set1_epi32(bias->places ? bias->places[t] : t), own);
		const __m512i held = _mm512_max_epi32(
			_mm512_sub_epi32(_mm512_setzero_si512(), reach), _mm512_min_epi32(distance, reach));
		const __m512 value = _mm512_mask_i32gather_ps(
			_mm512_setzero_ps(), some, _mm512_add_epi32(held, row), table, 4);
		float *at = score + 32 * (size_t)t;
		_mm512_storeu_ps(at, _mm512_add_ps(_mm512_loadu_ps(at), _mm512_mul_ps(value, _mm512_set1_ps(unit))));
	}
}

/* score[t][..] of 16 nv queries from i0 on, `count` of them: multiplies by `scale`, then adds the slice
 * (reversed, because queries are in lanes), the sums of products [t][32] and the other biases, each times
 * `unit`. top becomes the largest score of each query. */
RT_INLINE RT_TARGET_AVX512 void attention_avx512_bias(float *score, const BiasHead *biases, int i0, int count,
	int keys, float scale, float unit, __m512 top[2], int nv)
{
	for (int w = 0; w < nv; w++) {
		float *scores = score + 16 * w;
		const int first = i0 + 16 * w, some = rt_max(0, rt_min(16, count - 16 * w));
		for (int t = 0; t < keys; t++) {
			__m512 value = biases->slice
				? _mm512_maskz_loadu_ps(math_avx512_first(some), biases->slice + (keys - 1 + first - t))
				: _mm512_setzero_ps();
			if (biases->relative)
				value = _mm512_add_ps(value, _mm512_loadu_ps(biases->relative + 32 * (size_t)t + 16 * w));
			const __m512 x = _mm512_mul_ps(_mm512_loadu_ps(scores + 32 * (size_t)t), _mm512_set1_ps(scale));
			_mm512_storeu_ps(
				scores + 32 * (size_t)t, _mm512_add_ps(x, _mm512_mul_ps(value, _mm512_set1_ps(unit))));
		}
		for (int b = 0; some && b < biases->count; b++) {
			const RtBias *bias = biases->bias + b;
			if (bias->reach >= 0 && !bias_in_slice(bias))
				attention_avx512_bias_places(scores, bias, biases->head, first, some, keys, unit);
			else if (bias->reach < 0)
				attention_avx512_bias_dense(scores,
					bias->at + (size_t)biases->head * bias->head + (size_t)first * bias->query, bias->query,
					some, keys, unit);
		}
		top[w] = _mm512_set1_ps(-INFINITY);
		for (int t = 0; t < keys; t++)
			top[w] = _mm512_max_ps(_mm512_loadu_ps(scores + 32 * (size_t)t), top[w]);
	}
}
#endif
