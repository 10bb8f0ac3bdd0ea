/* kernel_checks_quantize.h: the rows of quantize and quantize_static. Their meaning is f32 arithmetic in a
 * fixed order: every row must give the same bits as the definition, which is written out here once more. Part
 * of kernel_checks.h. */

static bool same_bits_or_nan(float got, float want)
{
	return isnan(want) ? isnan(got) : memcmp(&got, &want, 4) == 0;
}

static void check_bits(const char *kernel, const char *what, long at, float got, float want)
{
	checks++;
	if (!same_bits_or_nan(got, want) && ++failures <= 20)
		printf("%s: %s, element %ld: %.9g, expected exactly %.9g\n", kernel, what, at, (double)got,
			(double)want);
}

/* ---- quantize -------------------------------------------------------------------------------- */
typedef void QuantizeFn(int8_t *, float *, const float *, int, int, int);

enum { QUANTIZE_ROWS = 14 };

/* Row r of K numbers: ordinary, and whatever a row of activations should never hold. */
static void quantize_row(float *x, int r, int K)
{
	const float largest[QUANTIZE_ROWS] = {
		1, 1, 0, 1e-40f, 0.99e-30f, 1.01e-30f, 3.4e38f, 1, 1, 127, 1, 1, 1e-3f, 1e4f};
	for (int k = 0; k < K; k++)
		x[k] = uniform() * largest[r];
	if (r == 7) /* NaN counts as 0, here and there and in all of row 8 */
		x[K / 2] = NAN;
	for (int k = 0; k < K && r == 8; k++)
		x[k] = k % 2 ? NAN : -(float)NAN;
	for (int k = 0; k < K && r == 9; k++) /* ties: the step is 1 */
		x[k] = k == 0 ? 127 : (float)(k % 127) + (float)(k % 2) - 0.5f;
	if (r == 10)
		x[K - 1] = INFINITY;
	if (r == 11)
		x[0] = -INFINITY;
	for (int k = 0; k < K && r == 12; k++) /* of one magnitude */
		x[k] = k % 3 ? -0.7f : 0.7f;
	if (r == 13) /* an outlier, as BERT has them: the others get few codes */
		x[K / 3] = 3e5f;
}

static void check_quantize_size(const Row *row, int K)
{
	enum { R = QUANTIZE_ROWS, FROM = 1 };
	size_t n = (size_t)R * (size_t)K;
	float *x = need(n * 4), *s = fresh(R + 1);
	int8_t *q = need(n + 1);
	char what[40];
	memset(q, 0x55, n + 1);
	for (int r = 0; r < R; r++)
		quantize_row(x + r * K, r, K);
	for (int r = FROM, end; r < R; r = end) {
		end = rt_min(R, r + 1 + (int)(draw() % 5));
		((QuantizeFn *)row->fn)(q, s, x, r, end, K);
	}
	check_same(row->name, "touches other rows", s, &UNTOUCHED, 4);
	check_same(row->name, "writes past the end", s + R, &UNTOUCHED, 4);
	check_same(row->name, "writes past the end", q + n, "\x55", 1);
	for (int k = 0; k < K; k++)
		check_same(row->name, "touches other rows", q + k, "\x55", 1);
	for (int r = FROM; r < R; r++) {
		float largest = 0;
		for (int k = 0; k < K; k++)
			if (fabsf(x[r * K + k]) > largest)
				largest = fabsf(x[r * K + k]);
		bool zeros = largest < 1e-30f;
		snprintf(what, sizeof what, "K=%d row=%d", K, r);
		check_bits(row->name, what, -1, s[r], zeros ? 0 : largest * (1.0f / 127.0f));
		for (int k = 0; k < K; k++) {
			/* inf * 0 is NaN; in a finite row no code is further than half a step, and rounding, from the
			 * number */
			float scaled = x[r * K + k] * (zeros ? 0 : 127.0f / largest);
			float want = isnan(scaled) ? 0 : rintf(scaled);
			check_bits(row->name, what, k, q[r * K + k], want == 0 ? 0 : want);
			if (isfinite(largest) && !zeros && !isnan(x[r * K + k]))
				check_near(row->name, "half a step", k, (float)q[r * K + k],
					(double)x[r * K + k] * 127 / (double)largest, 0, 0.50002);
		}
	}
	free(x);
	free(s);
	free(q);
}

static void check_quantize(void)
{
	const int sizes[] = {127, 128, 129, 191, 192, 312, 384, 1000, 1536};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (row->op != OP_QUANTIZE)
			continue;
		for (int K = 1; K < 81; K++)
			check_quantize_size(row, K);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			check_quantize_size(row, sizes[i]);
	}
}

/* ---- quantize_static ------------------------------------------------------------------------- */
typedef void QuantizeStaticFn(int8_t *, float *, const float *, const float *, const float *, int, int, int);

/* The codes of a row of floats, as the definition of quantize_static has them. */
static void check_codes_row(const char *kernel, const char *what, const int8_t *q, const float *x,
	const float *m, const float *z, int n)
{
	for (int k = 0; k < n; k++) {
		const volatile float product = x[k] * m[k];
		const float sum = product + z[k];
		const float want = isnan(sum) ? -127 : rintf(fminf(fmaxf(sum, -127), 127));
		check_bits(kernel, what, k, q[k], want == 0 ? 0 : want);
	}
}

static void check_quantize_static_size(const Row *row, int K)
{
	enum { R = QUANTIZE_ROWS, FROM = 1 };
	size_t n = (size_t)R * (size_t)K;
	float *x = need(n * 4), *s = fresh(R + 1), *m = need((size_t)K * 4), *z = need((size_t)K * 4);
	int8_t *q = need(n + 1);
	char what[40];
	memset(q, 0x55, n + 1);
	for (int r = 0; r < R; r++)
		quantize_row(x + r * K, r, K);
	/* steps of 1, in whose midst the ties of row 9 lie, and others; codes of both signs are cut off */
	for (int k = 0; k < K; k++) {
		m[k] = k % 4 == 1 ? 1 : uniform() * 200;
		z[k] = k % 4 == 1 ? 0 : uniform() * 60;
	}
	for (int r = FROM, end; r < R; r = end) {
		end = rt_min(R, r + 1 + (int)(draw() % 5));
		((QuantizeStaticFn *)row->fn)(q, s, x, m, z, r, end, K);
	}
	check_same(row->name, "touches other rows", s, &UNTOUCHED, 4);
	check_same(row->name, "writes past the end", s + R, &UNTOUCHED, 4);
	check_same(row->name, "writes past the end", q + n, "\x55", 1);
	for (int k = 0; k < K; k++)
		check_same(row->name, "touches other rows", q + k, "\x55", 1);
	for (int r = FROM; r < R; r++) {
		snprintf(what, sizeof what, "K=%d row=%d", K, r);
		check_bits(row->name, what, -1, s[r], 1);
		check_codes_row(row->name, what, q + r * K, x + r * K, m, z, K);
	}
	free(x);
	free(s);
	free(q);
	free(m);
	free(z);
}

static void check_quantize_static(void)
{
	const int sizes[] = {127, 128, 129, 191, 192, 312, 384, 1000, 1536};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (row->op != OP_QUANTIZE_STATIC)
			continue;
		for (int K = 1; K < 81; K++)
			check_quantize_static_size(row, K);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			check_quantize_static_size(row, sizes[i]);
	}
}
