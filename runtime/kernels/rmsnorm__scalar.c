/* rmsnorm__scalar.c: scales rows to a mean square of 1, then by gamma (Zhang, Sennrich 2019, "Root Mean
 * Square Layer Normalization"). Plain C: the lanes of the sum are what a compiler needs for vectors.
 *
 *   out    [r1][H]   rows r0..r1-1 are written; may be x
 *   x      [r1][H]
 *   gamma  [H] */
#include <math.h>

RT_INLINE void rmsnorm_f32__scalar(
	float *out, const float *x, const float *gamma, int r0, int r1, int H, float eps)
{
	enum { LANES = 16 };
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)H;
		float *y = out + (size_t)r * (size_t)H, lane[LANES] = {0};
		int i = 0;
		for (; i + LANES <= H; i += LANES)
			for (int k = 0; k < LANES; k++)
				lane[k] += row[i + k] * row[i + k];
		double squares = 0;
		for (; i < H; i++)
			squares += (double)row[i] * (double)row[i];
		for (int k = 0; k < LANES; k++)
			squares += (double)lane[k];
		const float scale = (float)(1.0 / sqrt(squares / H + (double)eps));
		for (i = 0; i < H; i++)
			y[i] = row[i] * scale * gamma[i];
	}
}
