/* recurrent__avx2.c: recurrent__scalar.c with AVX2, panels of 8 units: the sums of two rows take 8 of the 16
 * registers. */
#if defined(__x86_64__)
#include "math__avx2.h"
#include "recurrent.h"

enum { RECURRENT_AVX2 = 8 };

/* Adds the units [from, to) of the state, and for the next row those of `also`, which may be NULL. */
RT_INLINE RT_TARGET_AVX2 void recurrent_avx2_add(__m256 sum[4], __m256 next[4], const float *w,
	const float *state, const float *also, int gates, int from, int to)
{
	w += (size_t)from * (size_t)(gates * RECURRENT_AVX2);
	for (int k = from; k < to; k++, w += gates * RECURRENT_AVX2) {
		const __m256 h = _mm256_set1_ps(state[k]), h2 = _mm256_set1_ps(also ? also[k] : 0);
		RT_UNROLL_FULL for (int g = 0; g < gates; g++)
		{
			const __m256 weight = _mm256_loadu_ps(w + g * RECURRENT_AVX2);
			sum[g] = _mm256_fmadd_ps(h, weight, sum[g]);
			next[g] = also ? _mm256_fmadd_ps(h2, weight, next[g]) : next[g];
		}
	}
}

RT_INLINE RT_TARGET_AVX2 void recurrent_avx2_sums(
	__m256 now[4], __m256 next[4], const RecurrentVisit *v, int gates)
{
	RT_UNROLL_FULL for (int g = 0; g < gates; g++)
	{
		next[g] = math_avx2_load(v->bias + g * v->width, v->width - v->unit);
		now[g] = v->before ? _mm256_loadu_ps(v->sums + g * RECURRENT_AVX2) : next[g];
	}
	if (v->before && !v->last)
		recurrent_avx2_add(now, next, v->weights, v->before, v->state, gates, v->from, v->to);
	else if (v->before)
		recurrent_avx2_add(now, next, v->weights, v->before, NULL, gates, v->from, v->to);
	else if (!v->last)
		recurrent_avx2_add(next, now, v->weights, v->state, NULL, gates, v->from, v->to);
}

RT_INLINE RT_TARGET_AVX2 void recurrent_avx2_leave(__m256 next[4], const RecurrentVisit *v, int gates)
{
	if (v->last)
		return;
	recurrent_avx2_add(
		next, next, v->weights, v->state, NULL, gates, v->unit, rt_min(v->unit + RECURRENT_AVX2, v->width));
	RT_UNROLL_FULL for (int g = 0; g < gates; g++) _mm256_storeu_ps(v->sums + g * RECURRENT_AVX2, next[g]);
}

/* lstm_f32__scalar. */
RT_INLINE RT_TARGET_AVX2 void lstm_f32__avx2(float *out, const float *x, const float *weights,
	const float *bias, int rows, int width, int reverse, void *scratch)
{
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_AVX2 < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 4, RECURRENT_AVX2, t, i);
			const int n = width - v.unit;
			__m256 now[4], next[4], a[4];
			recurrent_avx2_sums(now, next, &v, 4);
			RT_UNROLL_FULL for (int g = 0; g < 4; g++) a[g] = _mm256_add_ps(
				now[g], math_avx2_load(v.in + g * width, n));
			float *c = v.cell + v.unit;
			const __m256 old = v.before ? math_avx2_load(c, n) : _mm256_setzero_ps(),
						 kept = _mm256_mul_ps(math_avx2_sigmoid(a[1]), old),
						 cell = _mm256_fmadd_ps(math_avx2_sigmoid(a[0]), math_avx2_tanh(a[2]), kept);
			math_avx2_store(c, cell, n);
			math_avx2_store(
				v.state + v.unit, _mm256_mul_ps(math_avx2_sigmoid(a[3]), math_avx2_tanh(cell)), n);
			recurrent_avx2_leave(next, &v, 4);
		}
}

/* gru_f32__scalar. */
RT_INLINE RT_TARGET_AVX2 void gru_f32__avx2(float *out, const float *x, const float *weights,
	const float *bias, int rows, int width, int reverse, void *scratch)
{
	const __m256 one = _mm256_set1_ps(1.0f);
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_AVX2 < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 3, RECURRENT_AVX2, t, i);
			const int n = width - v.unit;
			__m256 now[4], next[4], a[3];
			recurrent_avx2_sums(now, next, &v, 3);
			RT_UNROLL_FULL for (int g = 0; g < 3; g++) a[g] = math_avx2_load(v.in + g * width, n);
			const __m256 old = v.before ? math_avx2_load(v.before + v.unit, n) : _mm256_setzero_ps(),
						 reset = math_avx2_sigmoid(_mm256_add_ps(now[0], a[0])),
						 keep = math_avx2_sigmoid(_mm256_add_ps(now[1], a[1])),
						 value = math_avx2_tanh(_mm256_fmadd_ps(reset, now[2], a[2])),
						 fresh = _mm256_mul_ps(_mm256_sub_ps(one, keep), value);
			math_avx2_store(v.state + v.unit, _mm256_fmadd_ps(keep, old, fresh), n);
			recurrent_avx2_leave(next, &v, 3);
		}
}
#endif
