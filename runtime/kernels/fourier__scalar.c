/* fourier__scalar.c: the discrete Fourier transform over the tokens of a text, whose length is known at run
 * time only: rows * rows / 2 multiplications with each of the 2 * width columns, because row i and row
 * rows - i differ in the sign of their sines. */

/* Cosine and sine of i / n turns, 0 <= i < n, to the last bits of a double: Taylor's series at the nearest
 * quarter. */
RT_INLINE void fourier_angle(int i, int n, double *cosine, double *sine)
{
	const int64_t quarters = (8 * (int64_t)i + n) / (2 * (int64_t)n);
	const double x = 1.57079632679489661923 * (double)(4 * (int64_t)i - quarters * n)
		/ (double)n; /* within pi / 4 */
	double c = 1, s = x, term = 1;
	for (int k = 1; k < 10; k++) {
		term *= -x * x / (double)((2 * k - 1) * 2 * k);
		c += term;
		s += term * x / (double)(2 * k + 1);
	}
	const double turned[] = {c, -s, -c, s};
	*cosine = turned[quarters & 3];
	*sine = turned[(quarters + 3) & 3];
}

/* out[i] = sum over t of cos(2 pi i t / rows) x[t][0..width-1] - sin(2 pi i t / rows) x[t][width..];
 * out[rows][width], x[rows][2 * width]. */
RT_INLINE void fourier_f32__scalar(float *out, const float *x, int rows, int width)
{
	memset(out, 0, (size_t)rows * (size_t)width * sizeof *out);
	for (int i = 0; 2 * i <= rows && i < rows; i++) {
		const int other = (rows - i) % rows;
		float *even = out + (size_t)i * (size_t)width, *odd = out + (size_t)other * (size_t)width;
		double cosine, sine, c = 1, s = 0;
		fourier_angle(i, rows, &cosine, &sine);
		for (int t = 0; t < rows; t++) {
			const float *a = x + (size_t)t * 2 * (size_t)width, *b = a + width;
			const float by_c = (float)c, by_s = (float)s;
			for (int k = 0; k < width; k++)
				even[k] += by_c * a[k];
			for (int k = 0; other != i && k < width; k++) /* else all sines are 0 */
				odd[k] += by_s * b[k];
			const double next = c * cosine - s * sine;
			s = c * sine + s * cosine;
			c = next;
		}
		for (int k = 0; other != i && k < width; k++) {
			const float p = even[k], q = odd[k];
			even[k] = p - q;
			odd[k] = p + q;
		}
	}
}
