/* softmax__scalar.c: exp(x - max) / sum(exp(x - max)) of each row.
 *
 *   out, x  [r1][N]   rows r0..r1-1; out may be x itself */
#include <math.h>

RT_INLINE void softmax_f32__scalar(float *out, const float *x, int r0, int r1, int N)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)N;
		float *y = out + (size_t)r * (size_t)N, top = row[0];
		double sum = 0;
		for (int i = 1; i < N; i++)
			top = row[i] > top ? row[i] : top;
		for (int i = 0; i < N; i++)
			sum += (double)(y[i] = expf(row[i] - top));
		float scale = (float)(1.0 / sum);
		for (int i = 0; i < N; i++)
			y[i] *= scale;
	}
}
