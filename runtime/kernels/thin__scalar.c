/* thin__scalar.c: selects the rows of a text that stay, and moves such rows.
 *
 *   thin    out[kept]: the indices of the rows that stay, ascending. Row 0 stays, and so do rows with a
 *           nonzero number in must[rows] (NULL: none). Then rows with the largest sums of x[rows][width], the
 *           first of equal ones; NaN counts as the smallest
 *   gather  out[kept][H]: the rows of x at these indices
 *   spread  out[rows][H]: row i is the row of x[kept][H] that belongs to the last index <= i */
#include <math.h>

/* Whether a row must stay. */
RT_INLINE int thin_must_stay(const float *must, int row) { return row == 0 || (must && must[row] != 0.0f); }

/* How many rows of a text stay: `keep`, or the rows that must if they are more. */
RT_INLINE int thin_count(const float *must, int rows, int keep)
{
	int count = 0;
	for (int i = 0; i < rows; i++)
		count += thin_must_stay(must, i);
	return rt_max(count, rt_min(keep, rows));
}

/* scratch: double[rows]. The rank of a row is the number of better rows: about 10 us for 128 rows, less than
 * a sort. */
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
