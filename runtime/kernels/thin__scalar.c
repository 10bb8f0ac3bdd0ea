/* thin__scalar.c: which rows of a text stay, and values of those rows alone.
 *
 *   thin    out[kept]: places of the rows that stay, upwards. Row 0 stays, and each whose number in
 * must[rows] (NULL: none) is not 0; then those of the largest sums of x[rows][width], of equals the first;
 * NaN counts as the smallest gather  out[kept][H]: the rows of x at these places spread  out[rows][H]: row i
 * is the row of x[kept][H] that belongs to the last place not above i */
#include <math.h>

/* Rows that stay whatever the others are. */
RT_INLINE int thin_must_stay(const float *must, int row) { return row == 0 || (must && must[row] != 0.0f); }

/* How many rows stay of a text: `keep`, or as many as must. */
RT_INLINE int thin_count(const float *must, int rows, int keep)
{
	int count = 0;
	for (int i = 0; i < rows; i++)
		count += thin_must_stay(must, i);
	return rt_max(count, rt_min(keep, rows));
}

/* scratch: double[rows]. A row's rank among all is its number of betters: 128 rows take some 10 us, less than
 * a sort with its branches. */
RT_INLINE void thin_f32__scalar(
	int32_t *out, const float *x, const float *must, int rows, int width, int kept, void *scratch)
{
	double *sum = scratch;
	for (int i = 0; i < rows; i++) {
		double total = 0;
		for (int n = 0; n < width; n++)
			total += (double)x[(size_t)i * (size_t)width + (size_t)n];
		const double ranked = total < INFINITY ? total : -INFINITY; /* NaN comes last */
		sum[i] = thin_must_stay(must, i) ? INFINITY : ranked;
	}
	for (int i = 0, at = 0; i < rows; i++) {
		int better = 0;
		for (int j = 0; j < i; j++)
			better += sum[j] >= sum[i];
		for (int j = i + 1; j < rows; j++)
			better += sum[j] > sum[i];
		if (better < kept)
			out[at++] = i;
	}
}

RT_INLINE void gather_f32__scalar(float *out, const float *x, const int32_t *places, int kept, int H)
{
	for (int i = 0; i < kept; i++)
		memcpy(out + (size_t)i * (size_t)H, x + (size_t)places[i] * (size_t)H, (size_t)H * sizeof *out);
}

RT_INLINE void spread_f32__scalar(
	float *out, const float *x, const int32_t *places, int rows, int kept, int H)
{
	for (int i = 0, at = 0; i < rows; i++) {
		at += at + 1 < kept && places[at + 1] <= i;
		memcpy(out + (size_t)i * (size_t)H, x + (size_t)at * (size_t)H, (size_t)H * sizeof *out);
	}
}
