/* recurrent__scalar.c: one direction of an LSTM (Hochreiter, Schmidhuber 1997) or a GRU (Cho et al. 2014)
 * over the rows of a text, with the gates of PyTorch in its order. The weights are turned, [width][gates *
 * width]: the sums of a block of units then run along their rows. A sum starts with its bias and adds the
 * units of the state in order; the input is added last. */
#include <math.h>
#include "math__scalar.h"

enum { RECURRENT_BLOCK = 8 };

/* sum[gate][j] of n units from `unit` on: the bias, plus the state (NULL: zeros) times the weights. */
RT_INLINE void recurrent_sums(float sum[4][RECURRENT_BLOCK], const float *weights, const float *bias,
	const float *state, int width, int gates, int unit, int n)
{
	const size_t columns = (size_t)gates * (size_t)width;
	for (int g = 0; g < gates; g++)
		memcpy(sum[g], bias + g * width + unit, (size_t)n * sizeof **sum);
	for (int k = 0; state && k < width; k++)
		for (int g = 0; g < gates; g++) {
			const float *w = weights + (size_t)k * columns + g * width + unit;
			for (int j = 0; j < n; j++)
				sum[g][j] += state[k] * w[j];
		}
}

/* out[rows][width], x[rows][4 * width]: the input's part of the gates i, f, g, o; cell: float[width]. */
RT_INLINE void lstm_f32__scalar(float *out, const float *x, const float *weights, const float *bias, int rows,
	int width, int reverse, void *cell)
{
	float *c = cell, sum[4][RECURRENT_BLOCK];
	const float *state = NULL;
	for (int t = 0; t < rows; t++) {
		const size_t row = (size_t)(reverse ? rows - 1 - t : t);
		const float *in = x + row * 4 * (size_t)width;
		float *h = out + row * (size_t)width;
		for (int u = 0; u < width; u += RECURRENT_BLOCK) {
			const int n = rt_min(RECURRENT_BLOCK, width - u);
			recurrent_sums(sum, weights, bias, state, width, 4, u, n);
			for (int j = 0; j < n; j++) {
				const float *a = in + u + j;
				const float add = math_sigmoid(sum[0][j] + a[0]), keep = math_sigmoid(sum[1][j] + a[width]),
							value = tanhf(sum[2][j] + a[2 * width]),
							show = math_sigmoid(sum[3][j] + a[3 * width]);
				c[u + j] = (state ? keep * c[u + j] : 0) + add * value;
				h[u + j] = show * tanhf(c[u + j]);
			}
		}
		state = h;
	}
}

/* The same with x[rows][3 * width] and the gates r, z, n. */
RT_INLINE void gru_f32__scalar(
	float *out, const float *x, const float *weights, const float *bias, int rows, int width, int reverse)
{
	float sum[4][RECURRENT_BLOCK];
	const float *state = NULL;
	for (int t = 0; t < rows; t++) {
		const size_t row = (size_t)(reverse ? rows - 1 - t : t);
		const float *in = x + row * 3 * (size_t)width;
		float *h = out + row * (size_t)width;
		for (int u = 0; u < width; u += RECURRENT_BLOCK) {
			const int n = rt_min(RECURRENT_BLOCK, width - u);
			recurrent_sums(sum, weights, bias, state, width, 3, u, n);
			for (int j = 0; j < n; j++) {
				const float *a = in + u + j;
				const float reset = math_sigmoid(sum[0][j] + a[0]), keep = math_sigmoid(sum[1][j] + a[width]),
							value = tanhf(a[2 * width] + reset * sum[2][j]);
				h[u + j] = (1 - keep) * value + (state ? keep * state[u + j] : 0);
			}
		}
		state = h;
	}
}
