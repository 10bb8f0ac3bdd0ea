/* recurrent__scalar.c: one direction of an LSTM (Hochreiter, Schmidhuber 1997) or a GRU (Cho et al. 2014)
 * over the rows of a text, with the gates of PyTorch in its order. recurrent.h says in which order units are
 * computed. The input is added to a sum last. */
#include <math.h>
#include "math__scalar.h"
#include "recurrent.h"

enum { RECURRENT_SCALAR = 8 }; /* units of a panel */

/* Adds the units [from, to) of the state times their weights. */
RT_INLINE void recurrent_scalar_add(
	float sum[4][RECURRENT_SCALAR], const RecurrentVisit *v, const float *state, int gates, int from, int to)
{
	const float *w = v->weights + (size_t)from * (size_t)(gates * RECURRENT_SCALAR);
	for (int k = from; k < to; k++)
		for (int g = 0; g < gates; g++, w += RECURRENT_SCALAR)
			for (int j = 0; j < RECURRENT_SCALAR; j++)
				sum[g][j] += state[k] * w[j];
}

/* The sums of this row, complete; those of the next row, begun. n: units of the panel. */
RT_INLINE void recurrent_scalar_sums(float now[4][RECURRENT_SCALAR], float next[4][RECURRENT_SCALAR],
	const RecurrentVisit *v, int gates, int n)
{
	for (int g = 0; g < gates; g++)
		for (int j = 0; j < RECURRENT_SCALAR; j++) {
			next[g][j] = j < n ? v->bias[g * v->width + j] : 0;
			now[g][j] = v->before ? v->sums[g * RECURRENT_SCALAR + j] : next[g][j];
		}
	if (v->before)
		recurrent_scalar_add(now, v, v->before, gates, v->from, v->to);
	if (!v->last)
		recurrent_scalar_add(next, v, v->state, gates, v->from, v->to);
}

/* With the state of this panel known, the next row's sums wait for the panels after it. */
RT_INLINE void recurrent_scalar_leave(
	float next[4][RECURRENT_SCALAR], const RecurrentVisit *v, int gates, int n)
{
	if (v->last)
		return;
	recurrent_scalar_add(next, v, v->state, gates, v->unit, v->unit + n);
	memcpy(v->sums, next, (size_t)gates * sizeof *next);
}

/* out[rows][width], x[rows][4 * width]: the input's part of the gates i, f, g, o. */
RT_INLINE void lstm_f32__scalar(float *out, const float *x, const float *weights, const float *bias, int rows,
	int width, int reverse, void *scratch)
{
	float now[4][RECURRENT_SCALAR], next[4][RECURRENT_SCALAR];
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_SCALAR < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 4, RECURRENT_SCALAR, t, i);
			const int n = rt_min(RECURRENT_SCALAR, width - v.unit);
			float *h = v.state + v.unit, *c = v.cell + v.unit;
			recurrent_scalar_sums(now, next, &v, 4, n);
			for (int j = 0; j < n; j++) {
				const float *a = v.in + j;
				const float add = math_sigmoid(now[0][j] + a[0]), keep = math_sigmoid(now[1][j] + a[width]),
							value = tanhf(now[2][j] + a[2 * width]),
							show = math_sigmoid(now[3][j] + a[3 * width]);
				c[j] = (v.before ? keep * c[j] : 0) + add * value;
				h[j] = show * tanhf(c[j]);
			}
			recurrent_scalar_leave(next, &v, 4, n);
		}
}

/* The same with x[rows][3 * width] and the gates r, z, n. */
RT_INLINE void gru_f32__scalar(float *out, const float *x, const float *weights, const float *bias, int rows,
	int width, int reverse, void *scratch)
{
	float now[4][RECURRENT_SCALAR], next[4][RECURRENT_SCALAR];
	for (int t = 0; t < rows; t++)
		for (int i = 0; i * RECURRENT_SCALAR < width; i++) {
			const RecurrentVisit v = recurrent_visit(
				out, x, weights, bias, rows, width, reverse, scratch, 3, RECURRENT_SCALAR, t, i);
			const int n = rt_min(RECURRENT_SCALAR, width - v.unit);
			float *h = v.state + v.unit;
			recurrent_scalar_sums(now, next, &v, 3, n);
			for (int j = 0; j < n; j++) {
				const float *a = v.in + j;
				const float reset = math_sigmoid(now[0][j] + a[0]), keep = math_sigmoid(now[1][j] + a[width]),
							value = tanhf(a[2 * width] + reset * now[2][j]);
				h[j] = (1 - keep) * value + (v.before ? keep * v.before[v.unit + j] : 0);
			}
			recurrent_scalar_leave(next, &v, 3, n);
		}
}
