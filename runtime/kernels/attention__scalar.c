/* attention__scalar.c: softmax(q k^T * scale) v for heads h0..h1-1 of one text.
 *
 *   out  [queries][heads*d]      head h fills columns h*d..h*d+d-1
 *   q    [queries], k, v [keys]  rows q_stride, k_stride, v_stride floats apart; head h reads columns h*d..h*d+d-1
 *   scratch                      of this thread, as kernels.def declares it; here the scores of one query: float[keys]
 *
 * A text without tokens gives zeros. The softmax sees all scores of a query at once: texts are short (512 tokens: 2 KB of
 * scores a query), so that nothing is gained by the running maximum of "flash" attention, and each result depends on its own
 * query only. */
#include <math.h>

RT_INLINE void attention_f32__scalar(float *out, const float *q, const float *k, const float *v, int queries, int keys, int heads,
                                     int d, int q_stride, int k_stride, int v_stride, int h0, int h1, float scale, void *scratch)
{
	float *score = scratch;
	for (int h = h0; h < h1; h++)
		for (int i = 0; i < queries; i++) {
			const float *query = q + (size_t)i * (size_t)q_stride + (size_t)h * (size_t)d;
			float *y = out + ((size_t)i * (size_t)heads + (size_t)h) * (size_t)d, top = -INFINITY;
			for (int t = 0; t < keys; t++) {
				const float *key = k + (size_t)t * (size_t)k_stride + (size_t)h * (size_t)d;
				float dot = 0;
				for (int j = 0; j < d; j++)
					dot += query[j] * key[j];
				score[t] = dot * scale;
				top = score[t] > top ? score[t] : top;
			}
			double sum = 0;
			for (int t = 0; t < keys; t++)
				sum += (double)(score[t] = expf(score[t] - top));
			memset(y, 0, (size_t)d * sizeof *y);
			for (int t = 0; t < keys; t++)
				for (int j = 0; j < d; j++)
					y[j] += score[t] * v[(size_t)t * (size_t)v_stride + (size_t)h * (size_t)d + (size_t)j];
			float factor = keys ? (float)(1.0 / sum) : 0;
			for (int j = 0; j < d; j++)
				y[j] *= factor;
		}
}
