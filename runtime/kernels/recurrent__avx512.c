/* recurrent__avx512.c: recurrent__scalar.c with AVX-512, panels of 16 units. */
#if defined(__x86_64__)
#include "math__avx512.h"
#include "recurrent.h"

enum { RECURRENT_AVX512 = 16 };

/* Adds the units [from, to) of the state, and for the next row those of `also`, which may be NULL. */
RT_INLINE RT_TARGET_AVX512 void recurrent_avx512_add(__m512 sum[4], __m512 next[4], const float *w,
	const float *state, const float *also, int gates, int from, int to)
{
	w += (size_t)from * (size_t)(gates * RECURRENT_AVX512);
	for (int k = from; k < to; k++, w += gates * RECURRENT_AVX512) {
		const __m512 h = _mm512_set1_ps(state[k]), h2 = _mm512_set1_ps(also ? also[k] : 0);
		RT_UNROLL_FULL for (int g = 0; g < gates; g++)
		{
			const __m512 weight = _mm512_loadu_ps(w + g * RECURRENT_AVX512);
			sum[g] = _mm512_fmadd_ps(h, weight, sum[g]);
			next[g] = also ? _mm512_fmadd_ps(h2, weight, next[g]) : next[g];
		}
	}
}

RT_INLINE RT_TARGET_AVX512 void recurrent_avx512_sums(
	__m512 now[4], __m512 next[4], const RecurrentVisit *v, int gates, __mmask16 some)
{
	RT_UNROLL_FULL for (int g = 0; g < gates; g++)
	{
		next[g] = _mm512_maskz_loadu_ps(some, v->bias + g * v->width);
		now[g] = v->before ? _mm512_loadu_ps(v->sums + g * RECURRENT_AVX512) : next[g];
	}
	if (v->before && !v->last)
		recurrent_avx512_add(now, next, v->weights, v->before, v->state, gates, v->from, v->to);
	else if (v->before)
		recurrent_avx512_add(now, next, v->weights, v->before, NULL, gates, v->from, v->to);
	else if (!v->last)
		recurrent_avx512_add(next, now, v->weights, v->state, NULL, gates, v->from, v->to);
}

RT_INLINE RT_TARGET_AVX512 void recurrent_avx512_leave(__m512 next[4], const RecurrentVisit *v, int gates)
{
	if (v->last)
		return;
	recurrent_avx512_add(
		next, next, v->weights, v->state, NULL, gates, v->unit, rt_min(v->unit + RECURRENT_AVX512, v->width));
	RT_UNROLL_FULL for (int g = 0; g < gates; g++) _mm512_storeu_ps(v->sums + g * RECURRENT_AVX512, next[g]);
}

/* lstm_f32__scalar. */
RT_INLINE RT_TARGET_AVX512 void lstm_f32__avx512(float *out, const float *x, const float *weights,
	const float *bias, int rows, int width, int reverse, void *scratch)
{
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_AVX512 < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 4, RECURRENT_AVX512, t, i);
			const __mmask16 some = math_avx512_first(width - v.unit);
			__m512 now[4], next[4], a[4];
			recurrent_avx512_sums(now, next, &v, 4, some);
			RT_UNROLL_FULL for (int g = 0; g < 4; g++) a[g] = _mm512_add_ps(
				now[g], _mm512_maskz_loadu_ps(some, v.in + g * width));
			float *c = v.cell + v.unit;
			const __m512 old = v.before ? _mm512_maskz_loadu_ps(some, c) : _mm512_setzero_ps(),
						 kept = _mm512_mul_ps(math_avx512_sigmoid(a[1]), old),
						 cell = _mm512_fmadd_ps(math_avx512_sigmoid(a[0]), math_avx512_tanh(a[2]), kept);
			_mm512_mask_storeu_ps(c, some, cell);
			_mm512_mask_storeu_ps(
				v.state + v.unit, some, _mm512_mul_ps(math_avx512_sigmoid(a[3]), math_avx512_tanh(cell)));
			recurrent_avx512_leave(next, &v, 4);
		}
}

/* gru_f32__scalar. */
RT_INLINE RT_TARGET_AVX512 void gru_f32__avx512(float *out, const float *x, const float *weights,
	const float *bias, int rows, int width, int reverse, void *scratch)
{
	const __m512 one = _mm512_set1_ps(1.0f);
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_AVX512 < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 3, RECURRENT_AVX512, t, i);
			const __mmask16 some = math_avx512_first(width - v.unit);
			__m512 now[4], next[4], a[3];
			recurrent_avx512_sums(now, next, &v, 3, some);
			RT_UNROLL_FULL for (int g = 0; g < 3; g++) a[g] = _mm512_maskz_loadu_ps(some, v.in + g * width);
			const __m512 old = v.before ? _mm512_maskz_loadu_ps(some, v.before + v.unit)
										: _mm512_setzero_ps(),
						 reset = math_avx512_sigmoid(_mm512_add_ps(now[0], a[0])),
						 keep = math_avx512_sigmoid(_mm512_add_ps(now[1], a[1])),
						 value = math_avx512_tanh(_mm512_fmadd_ps(reset, now[2], a[2])),
						 fresh = _mm512_mul_ps(_mm512_sub_ps(one, keep), value);
			_mm512_mask_storeu_ps(v.state + v.unit, some, _mm512_fmadd_ps(keep, old, fresh));
			recurrent_avx512_leave(next, &v, 3);
		}
}
#endif
