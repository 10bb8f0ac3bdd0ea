/* convolve__scalar.c: depthwise convolutions over the rows of a text, also dynamic ones (Wu et al. 2019, "Pay
 * Less Attention with Lightweight and Dynamic Convolutions"), whose weights are computed from each row. */

/* out[c] += x[c] * w[c * step]; step 0: one weight for all columns. */
RT_INLINE void convolve_add(float *out, const float *x, const float *w, int n, int step)
{
	for (int c = 0; c < n; c++)
		out[c] += x[c] * w[c * step];
}

/* out[i][c] = sum over k of x[i + k - taps / 2][c] times weights[k][c], or, with heads, times
 * weights[i][head of c][k], or weights[head of c][k] if rows have none of their own; arrays [rows][width]. */
RT_INLINE void convolve_f32__scalar(
	float *out, const float *x, const float *weights, int rows, int width, int taps, int heads, int own)
{
	memset(out, 0, (size_t)rows * (size_t)width * sizeof *out);
	for (int i = 0; i < rows; i++)
		for (int k = rt_max(0, taps / 2 - i); k < taps && i + k - taps / 2 < rows; k++) {
			const float *from = x + (size_t)(i + k - taps / 2) * (size_t)width;
			float *row = out + (size_t)i * (size_t)width;
			if (!heads)
				convolve_add(row, from, weights + (size_t)k * (size_t)width, width, 1);
			for (int h = 0, size = heads ? width / heads : 0; h < heads; h++)
				convolve_add(row + h * size, from + h * size,
					weights + ((size_t)(own ? i : 0) * (size_t)heads + (size_t)h) * (size_t)taps + k, size,
					0);
		}
}
