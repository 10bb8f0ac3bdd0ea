/* kernel_checks_quantize.h: the rows of quantize and quantize_static. They are defined as f32 arithmetic in a
 * fixed order. Every row must give the same bits as the definition, which is repeated here. Part of
 * kernel_checks.h. */

static bool same_bits_or_nan(float got, float want)
{
	uint32_t a, b;
	memcpy(&a, &got, 4);
	memcpy(&b, &want, 4);
	return a == b || (isnan(want) && isnan(got));
}

static void check_bits(const char *kernel, const char *what, long at, float got, float want)
{
	checks++;
	if (!same_bits_or_nan(got, want) && ++failures <= 20)
		printf("%s: %s, element %ld: %.9g, expected exactly %.9g\n", kernel, what, at, (double)got,
			(double)want);
}

typedef void QuantizeFn(int8_t *, float *, const float *, int, int, int);

enum { QUANTIZE_ROWS = 14 };

/* Row r of K numbers: usual numbers, and numbers that activations should never have. */
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
	for (int k = 0; k < K && r == 12; k++) /* all of one magnitude */
		x[k] = k % 3 ? -0.7f : 0.7f;
	if (r == 13) /* an outlier, as BERT has them: the others get few codes */
		x[K / 3] = 3e5f;
}

typedef void QuantizeStaticFn(int8_t *, float *, const float *, const float *, const float *, int, int, int);

/* The rows; the factor and the offset of quantize_static for each of K columns; and the output of a kernel
 * for the rows from the second on. */
enum { QUANTIZE_FROM = 1 };
typedef struct QuantizeCase {
	int K;
	float *x, *m, *z, *s;
	int8_t *q;
} QuantizeCase;

static QuantizeCase quantize_case(int K)
{
	const size_t k = (size_t)K * 4, n = (size_t)QUANTIZE_ROWS * (size_t)K;
	QuantizeCase c = {K, need(n * 4), need(k), need(k), fresh(QUANTIZE_ROWS + 1), need(n + 1)};
	memset(c.q, 0x55, n + 1);
	for (int r = 0; r < QUANTIZE_ROWS; r++)
		quantize_row(c.x + r * K, r, K);
	/* steps of 1, in whose midst the ties of row 9 lie, and others; codes of both signs are cut off */
	for (int i = 0; i < K; i++) {
		c.m[i] = i % 4 == 1 ? 1 : uniform() * 200;
		c.z[i] = i % 4 == 1 ? 0 : uniform() * 60;
	}
	return c;
}

static void quantize_free(QuantizeCase *c)
{
	free(c->x);
	free(c->m);
	free(c->z);
	free(c->s);
	free(c->q);
}

/* Runs the kernel over some rows at a time; it touches no other. */
static void quantize_run(const Row *row, QuantizeCase *c)
{
	enum { R = QUANTIZE_ROWS };
	const int K = c->K;
	for (int r = QUANTIZE_FROM, end; r < R; r = end) {
		end = rt_min(R, r + 1 + (int)(draw() % 5));
		if (row->op == OP_QUANTIZE)
			((QuantizeFn *)row->fn)(c->q, c->s, c->x, r, end, K);
		else
			((QuantizeStaticFn *)row->fn)(c->q, c->s, c->x, c->m, c->z, r, end, K);
	}
	check_same(row->name, "touches other rows", c->s, &UNTOUCHED, 4);
	check_same(row->name, "writes past the end", c->s + R, &UNTOUCHED, 4);
	check_same(row->name, "writes past the end", c->q + R * K, "\x55", 1);
	check_filled(row->name, "touches other rows", c->q, "\x55", 1, (size_t)K);
}

/* The definition of quantize for one row of K numbers, whose codes and scale are q and s. */
static void check_quantized_row(
	const char *kernel, const char *what, const int8_t *q, float s, const float *x, int K)
{
	float largest = 0;
	for (int k = 0; k < K; k++)
		if (fabsf(x[k]) > largest)
			largest = fabsf(x[k]);
	const bool zeros = largest < 1e-30f;
	check_bits(kernel, what, -1, s, zeros ? 0 : largest * (1.0f / 127.0f));
	for (int k = 0; k < K; k++) {
		/* inf * 0 is NaN; in a finite row no code is further than half a step, and rounding, from the
		 * number */
		const float scaled = x[k] * (zeros ? 0 : 127.0f / largest);
		const float want = isnan(scaled) ? 0 : rintf(scaled);
		check_bits(kernel, what, k, q[k], want == 0 ? 0 : want);
		if (isfinite(largest) && !zeros && !isnan(x[k]))
			check_near(
				kernel, "half a step", k, (float)q[k], (double)x[k] * 127 / (double)largest, 0, 0.50002);
	}
}

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

static void check_quantize_size(const Row *row, int K)
{
	char what[40];
	QuantizeCase c = quantize_case(K);
	quantize_run(row, &c);
	for (int r = QUANTIZE_FROM; r < QUANTIZE_ROWS; r++) {
		const int8_t *q = c.q + r * K;
		const float *x = c.x + r * K;
		snprintf(what, sizeof what, "K=%d row=%d", K, r);
		if (row->op == OP_QUANTIZE) {
			check_quantized_row(row->name, what, q, c.s[r], x, K);
			continue;
		}
		check_bits(row->name, what, -1, c.s[r], 1);
		check_codes_row(row->name, what, q, x, c.m, c.z, K);
	}
	quantize_free(&c);
}

static void check_quantize_op(Op op)
{
	const int sizes[] = {127, 128, 129, 191, 192, 312, 384, 1000, 1536};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (row->op != op)
			continue;
		for (int K = 1; K < 81; K++)
			check_quantize_size(row, K);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			check_quantize_size(row, sizes[i]);
	}
}

static void check_quantize(void) { check_quantize_op(OP_QUANTIZE); }
static void check_quantize_static(void) { check_quantize_op(OP_QUANTIZE_STATIC); }
