/* softmax_select__scalar.c: softmax__scalar.c over selected elements of a row; the others become 0.
 *
 *   keep       the `keep` largest, the first of equal ones; N or more: all
 *   threshold  the elements with at least this probability, or the largest if there are none; 0: all */
#include "select__scalar.h"

RT_INLINE void softmax_select_f32__scalar(
	float *out, const float *x, int r0, int r1, int N, int keep, float threshold)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)N;
		float *y = out + (size_t)r * (size_t)N, top = -INFINITY;
		double sum = 0;
		if (y != row)
			memcpy(y, row, (size_t)N * sizeof *y);
		select_largest(y, N, keep);
		for (int i = 0; i < N; i++)
			top = y[i] > top ? y[i] : top;
		for (int i = 0; i < N; i++)
			sum += (double)(y[i] = expf(y[i] - top));
		float scale = (float)(1.0 / sum);
		if (threshold > 0)
			scale = select_probable(y, N, threshold, scale);
		for (int i = 0; i < N; i++)
			y[i] *= scale;
	}
}
