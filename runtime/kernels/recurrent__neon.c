/* recurrent__neon.c: recurrent__scalar.c with NEON, panels of 8 units on AArch64. ARMv7 has half the
 * registers: panels of 4. */
#if defined(__ARM_NEON)
#include "math__neon.h"
#include "recurrent.h"

#if defined(__aarch64__)
enum { RECURRENT_NEON = 8 };
#else
enum { RECURRENT_NEON = 4 };
#endif
enum { RECURRENT_QUADS = RECURRENT_NEON / 4 };

/* Adds the units [from, to) of the state, and for the next row those of `also`, which may be NULL. Sum g *
 * RECURRENT_QUADS + v has lanes 4v to 4v+3 of gate g. */
RT_INLINE void recurrent_neon_add(float32x4_t *sum, float32x4_t *next, const float *w, const float *state,
	const float *also, int gates, int from, int to)
{
	w += (size_t)from * (size_t)(gates * RECURRENT_NEON);
	for (int k = from; k < to; k++, w += gates * RECURRENT_NEON)
		RT_UNROLL_FULL for (int i = 0; i < gates * RECURRENT_QUADS; i++)
		{
			const float32x4_t weight = vld1q_f32(w + i * 4);
			sum[i] = math_neon_fma_n(sum[i], weight, state[k]);
			next[i] = also ? math_neon_fma_n(next[i], weight, also[k]) : next[i];
		}
}

RT_INLINE void recurrent_neon_sums(float32x4_t *now, float32x4_t *next, const RecurrentVisit *v, int gates)
{
	RT_UNROLL_FULL for (int i = 0; i < gates * RECURRENT_QUADS; i++)
	{
		const int lane = i % RECURRENT_QUADS * 4;
		next[i] = math_neon_load(v->bias + i / RECURRENT_QUADS * v->width + lane, v->width - v->unit - lane);
		now[i] = v->before ? vld1q_f32(v->sums + i * 4) : next[i];
	}
	if (v->before && !v->last)
		recurrent_neon_add(now, next, v->weights, v->before, v->state, gates, v->from, v->to);
	else if (v->before)
		recurrent_neon_add(now, next, v->weights, v->before, NULL, gates, v->from, v->to);
	else if (!v->last)
		recurrent_neon_add(next, now, v->weights, v->state, NULL, gates, v->from, v->to);
}

RT_INLINE void recurrent_neon_leave(float32x4_t *next, const RecurrentVisit *v, int gates)
{
	if (v->last)
		return;
	recurrent_neon_add(
		next, next, v->weights, v->state, NULL, gates, v->unit, rt_min(v->unit + RECURRENT_NEON, v->width));
	RT_UNROLL_FULL for (int i = 0; i < gates * RECURRENT_QUADS; i++) vst1q_f32(v->sums + i * 4, next[i]);
}

/* lstm_f32__scalar. */
RT_INLINE void RT_NEON(lstm_f32)(float *out, const float *x, const float *weights, const float *bias,
	int rows, int width, int reverse, void *scratch)
{
	float32x4_t now[4 * RECURRENT_QUADS], next[4 * RECURRENT_QUADS];
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_NEON < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 4, RECURRENT_NEON, t, i);
			recurrent_neon_sums(now, next, &v, 4);
			for (int q = 0; q < RECURRENT_QUADS && v.unit + q * 4 < width; q++) {
				const int n = width - v.unit - q * 4;
				float32x4_t a[4];
				RT_UNROLL_FULL for (int g = 0; g < 4; g++) a[g] = vaddq_f32(
					now[g * RECURRENT_QUADS + q], math_neon_load(v.in + g * width + q * 4, n));
				float *c = v.cell + v.unit + q * 4;
				const float32x4_t old = v.before ? math_neon_load(c, n) : vdupq_n_f32(0),
								  kept = vmulq_f32(math_neon_sigmoid(a[1]), old),
								  cell = math_neon_fma(kept, math_neon_sigmoid(a[0]), math_neon_tanh(a[2]));
				math_neon_store(c, cell, n);
				math_neon_store(
					v.state + v.unit + q * 4, vmulq_f32(math_neon_sigmoid(a[3]), math_neon_tanh(cell)), n);
			}
			recurrent_neon_leave(next, &v, 4);
		}
}

/* gru_f32__scalar. */
RT_INLINE void RT_NEON(gru_f32)(float *out, const float *x, const float *weights, const float *bias, int rows,
	int width, int reverse, void *scratch)
{
	float32x4_t now[3 * RECURRENT_QUADS], next[3 * RECURRENT_QUADS];
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_NEON < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 3, RECURRENT_NEON, t, i);
			recurrent_neon_sums(now, next, &v, 3);
			for (int q = 0; q < RECURRENT_QUADS && v.unit + q * 4 < width; q++) {
				const int n = width - v.unit - q * 4;
				float32x4_t a[3];
				RT_UNROLL_FULL for (int g = 0; g < 3; g++) a[g] = math_neon_load(v.in + g * width + q * 4, n);
				const float32x4_t old = v.before ? math_neon_load(v.before + v.unit + q * 4, n)
												 : vdupq_n_f32(0),
								  reset = math_neon_sigmoid(vaddq_f32(now[q], a[0])),
								  keep = math_neon_sigmoid(vaddq_f32(now[RECURRENT_QUADS + q], a[1])),
								  value = math_neon_tanh(
									  math_neon_fma(a[2], reset, now[2 * RECURRENT_QUADS + q])),
								  fresh = vmulq_f32(vsubq_f32(vdupq_n_f32(1), keep), value);
				math_neon_store(v.state + v.unit + q * 4, math_neon_fma(fresh, keep, old), n);
			}
			recurrent_neon_leave(next, &v, 3);
		}
}
#endif
