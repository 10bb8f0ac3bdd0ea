/* recurrent__avx512.c: LSTM and GRU, two vectors of units at a time: their 8 or 6 sums cover the latency of
 * an FMA. The weights are read once a row, 128 bytes of each gate. */
#if defined(__x86_64__)
#include "math__avx512.h"

/* sum[2 * gate + v]: lanes of 32 units from `unit` on, as in recurrent_sums. */
RT_INLINE RT_TARGET_AVX512 void recurrent_avx512_sums(__m512 sum[8], const float *weights, const float *bias,
	const float *state, int width, int gates, int unit, const __mmask16 some[2])
{
	const size_t columns = (size_t)gates * (size_t)width;
	RT_UNROLL_FULL for (int i = 0; i < 2 * gates; i++) sum[i] = _mm512_maskz_loadu_ps(
		some[i & 1], bias + i / 2 * width + unit + (i & 1) * 16);
	for (int k = 0; state && k < width; k++) {
		const __m512 h = _mm512_set1_ps(state[k]);
		const float *w = weights + (size_t)k * columns + unit;
		RT_UNROLL_FULL for (int i = 0; i < 2 * gates; i++) sum[i] = _mm512_fmadd_ps(
			h, _mm512_maskz_loadu_ps(some[i & 1], w + i / 2 * width + (i & 1) * 16), sum[i]);
	}
}

/* lstm_f32__scalar. */
RT_INLINE RT_TARGET_AVX512 void lstm_f32__avx512(float *out, const float *x, const float *weights,
	const float *bias, int rows, int width, int reverse, void *cell)
{
	float *c = cell;
	const float *state = NULL;
	for (int t = 0; t < rows; t++) {
		const size_t row = (size_t)(reverse ? rows - 1 - t : t);
		const float *in = x + row * 4 * (size_t)width;
		float *h = out + row * (size_t)width;
		for (int u = 0; u < width; u += 32) {
			const __mmask16 some[2] = {math_avx512_first(width - u), math_avx512_first(width - u - 16)};
			__m512 sum[8];
			recurrent_avx512_sums(sum, weights, bias, state, width, 4, u, some);
			for (int v = 0; v < 2 && some[v]; v++) {
				const int at = u + v * 16;
				__m512 a[4];
				RT_UNROLL_FULL for (int g = 0; g < 4; g++) a[g] = _mm512_add_ps(
					sum[2 * g + v], _mm512_maskz_loadu_ps(some[v], in + g * width + at));
				const __m512 old = state ? _mm512_maskz_loadu_ps(some[v], c + at) : _mm512_setzero_ps(),
							 kept = _mm512_mul_ps(math_avx512_sigmoid(a[1]), old),
							 now = _mm512_fmadd_ps(math_avx512_sigmoid(a[0]), math_avx512_tanh(a[2]), kept);
				_mm512_mask_storeu_ps(c + at, some[v], now);
				_mm512_mask_storeu_ps(
					h + at, some[v], _mm512_mul_ps(math_avx512_sigmoid(a[3]), math_avx512_tanh(now)));
			}
		}
		state = h;
	}
}

/* gru_f32__scalar. */
RT_INLINE RT_TARGET_AVX512 void gru_f32__avx512(
	float *out, const float *x, const float *weights, const float *bias, int rows, int width, int reverse)
{
	const __m512 one = _mm512_set1_ps(1.0f);
	const float *state = NULL;
	for (int t = 0; t < rows; t++) {
		const size_t row = (size_t)(reverse ? rows - 1 - t : t);
		const float *in = x + row * 3 * (size_t)width;
		float *h = out + row * (size_t)width;
		for (int u = 0; u < width; u += 32) {
			const __mmask16 some[2] = {math_avx512_first(width - u), math_avx512_first(width - u - 16)};
			__m512 sum[8];
			recurrent_avx512_sums(sum, weights, bias, state, width, 3, u, some);
			for (int v = 0; v < 2 && some[v]; v++) {
				const int at = u + v * 16;
				__m512 a[3];
				RT_UNROLL_FULL for (int g = 0; g < 3; g++) a[g] = _mm512_maskz_loadu_ps(
					some[v], in + g * width + at);
				const __m512 old = state ? _mm512_maskz_loadu_ps(some[v], state + at) : _mm512_setzero_ps(),
							 reset = math_avx512_sigmoid(_mm512_add_ps(sum[v], a[0])),
							 keep = math_avx512_sigmoid(_mm512_add_ps(sum[2 + v], a[1])),
							 value = math_avx512_tanh(_mm512_fmadd_ps(reset, sum[4 + v], a[2]));
				_mm512_mask_storeu_ps(h + at, some[v],
					_mm512_fmadd_ps(keep, old, _mm512_mul_ps(_mm512_sub_ps(one, keep), value)));
			}
		}
		state = h;
	}
}
#endif
