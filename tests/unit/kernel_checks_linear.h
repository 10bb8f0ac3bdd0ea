/* kernel_checks_linear.h: the rows of linear, whose weights are f32, f16 or bf16 and whose arithmetic is f32.
 * Part of kernel_checks.h. */
typedef void LinearFn(float *, const float *, const void *, const float *, int, int, int, int, int, int, int);

typedef void LinearSparseFn(
	float *, const float *, const void *, const float *, int, int, int, int, int, int, int, void *);

typedef struct LinearCase {
	int M, K, N, panels;
	float *x, *bias;
	void *w;       /* packed for the row */
	double *exact; /* [N][K]: what w means */
} LinearCase;

/* Random x and bias, zeros beyond N; w and exact are the caller's to make. */
static LinearCase linear_inputs(int M, int K, int N, int panel)
{
	const int P = (N + panel - 1) / panel;
	LinearCase c = {.M = M, .K = K, .N = N, .panels = P};
	c.x = random_floats((size_t)M * (size_t)K);
	c.bias = random_floats((size_t)(P * panel));
	c.exact = need((size_t)N * (size_t)K * sizeof *c.exact);
	for (int n = N; n < P * panel; n++)
		c.bias[n] = 0;
	return c;
}

/* Packed as passes pack it: w[P][K][panel], zeros beyond N. */
static LinearCase linear_case(const Row *row, int M, int K, int N)
{
	LinearCase c = linear_inputs(M, K, N, row->panel);
	const size_t size = row->dtype == RT_STORED_F32 ? 4 : 2, panel = (size_t)row->panel;
	double *packed;
	c.w = random_stored((size_t)c.panels * (size_t)K * panel, row->dtype, &packed);
	for (int n = 0; n < c.panels * row->panel; n++)
		for (int k = 0; k < K; k++) {
			const size_t at = ((size_t)(n / row->panel) * (size_t)K + (size_t)k) * panel
				+ (size_t)(n % row->panel);
			if (n < N)
				c.exact[(size_t)n * (size_t)K + (size_t)k] = packed[at];
			else
				memset((char *)c.w + at * size, 0, size);
		}
	free(packed);
	return c;
}

static void linear_free(LinearCase *c)
{
	free(c->x);
	free(c->bias);
	free(c->w);
	free(c->exact);
}

/* Rows [r, end) and panels [p, stop) of the case. A sparse kernel gets its scratch, and no more. */
static void linear_run(
	const Row *row, const LinearCase *c, float *out, int r, int end, int p, int stop, int act)
{
	if (!row_is_sparse(row)) {
		((LinearFn *)row->fn)(out, c->x, c->w, c->bias, r, end, p, stop, c->K, c->N, act);
		return;
	}
	const size_t bytes = staged_bytes(row, c->K);
	unsigned char *scratch = guarded_scratch(bytes);
	((LinearSparseFn *)row->fn)(out, c->x, c->w, c->bias, r, end, p, stop, c->K, c->N, act, scratch);
	guarded_check(row, scratch, bytes);
}

static void check_linear_values(const Row *row, const LinearCase *c, int act)
{
	char what[80];
	const size_t count = (size_t)c->M * (size_t)c->N;
	float *out = fresh(count + 64);
	linear_run(row, c, out, 0, c->M, 0, c->panels, act);
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d", c->M, c->K, c->N, act);
	for (int r = 0; r < c->M; r++)
		for (int n = 0; n < c->N; n++) {
			const float *x = c->x + (size_t)r * (size_t)c->K;
			const double *w = c->exact + (size_t)n * (size_t)c->K;
			double sum = (double)c->bias[n], squares = 0;
			for (int k = 0; k < c->K; k++) {
				const double term = (double)x[k] * w[k];
				sum += term;
				squares += term * term;
			}
			check_near(row->name, what, (long)r * c->N + n, out[(size_t)r * (size_t)c->N + (size_t)n],
				act_exact(sum, act), sqrt(squares), 1e-5);
		}
	for (size_t i = 0; i < 64; i++)
		check_same(row->name, "writes past the end", &out[count + i], &UNTOUCHED, 4);
	free(out);
}

/* Any division into rows and panels gives the same bytes and writes nothing else. Draws two heights, one of
 * them below `most`. */
static void check_linear_split(const Row *row, const LinearCase *c, unsigned most)
{
	const size_t n = (size_t)c->M * (size_t)c->N;
	float *whole = fresh(n), *parts = fresh(n);
	linear_run(row, c, whole, 0, c->M, 0, c->panels, RT_ACT_GELU);
	for (int p = 0; p < c->panels; p++)
		for (int r = 0, end; r < c->M; r = end) {
			end = rt_min(c->M, r + 1 + (int)(draw() % (draw() % 2 ? 14 : most)));
			linear_run(row, c, parts, r, end, p, p + 1, RT_ACT_GELU);
			for (int i = end * c->N; i < (int)n && p == 0; i++)
				if (memcmp(&parts[i], &UNTOUCHED, 4) != 0) {
					check_same(row->name, "writes rows it should not", &parts[i], &UNTOUCHED, 4);
					break;
				}
		}
	check_same(row->name, "split into rows and panels", whole, parts, n * 4);
	free(whole);
	free(parts);
}

/* NaN stays within its row, infinities and huge numbers do what IEEE says, and nothing hangs. */
static void check_linear_special(const Row *row)
{
	LinearCase c = linear_case(row, 14, 37, row->panel + 3);
	float *out = fresh((size_t)c.M * (size_t)c.N);
	c.x[3 * c.K + 5] = NAN;
	c.x[4 * c.K + 5] = INFINITY;
	c.x[5 * c.K + 5] = 1e-44f;
	linear_run(row, &c, out, 0, c.M, 0, c.panels, RT_ACT_GELU);
	for (int i = 0; i < c.M * c.N; i++) {
		checks++;
		if (i / c.N == 3 ? !isnan(out[i]) : i / c.N != 4 && !isfinite(out[i]))
			if (++failures <= 20)
				printf("%s: NaN in row 3: element %d is %g\n", row->name, i, (double)out[i]);
	}
	free(out);
	linear_free(&c);
}

/* Every bit pattern of a 16-bit weight, infinities and NaN among them, comes out of a product with 1 exactly
 * as it is. */
static void check_linear_halves(const Row *row, int M)
{
	enum { HALVES = 1 << 16 };
	uint16_t *w = aligned_alloc(64, HALVES * sizeof *w);
	float *x = need((size_t)M * sizeof *x), *bias = need(HALVES * sizeof *bias),
		  *out = fresh((size_t)M * HALVES);
	memset(bias, 0, HALVES * sizeof *bias);
	for (int i = 0; i < HALVES; i++)
		w[i] = (uint16_t)i;
	for (int i = 0; i < M; i++)
		x[i] = 1;
	((LinearFn *)row->fn)(out, x, w, bias, 0, M, 0, HALVES / row->panel, 1, HALVES, RT_ACT_NONE);
	for (int i = 0; i < M * HALVES; i++) {
		uint16_t half = (uint16_t)(i % HALVES);
		double want = row->dtype == RT_STORED_F16 ? from_f16(half) : from_bf16(half);
		bool tiny = fabs(want) < 0x1p-126; /* ARMv7 takes subnormal floats for zero */
		checks++;
		bool wrong = (double)out[i] != want;
		if (isnan(want))
			wrong = !isnan(out[i]);
		else if (tiny)
			wrong = fabsf(out[i]) >= 0x1p-126f;
		if (wrong)
			if (++failures <= 20)
				printf("%s: weight 0x%04x comes out as %.9g, expected %.9g\n", row->name, (unsigned)half,
					(double)out[i], want);
	}
	free(w);
	free(x);
	free(bias);
	free(out);
}

/* Whether two rows are the same instructions in other tiles:
 * linear_f32__avx512 and linear_f32_8x48__avx512. */
static bool same_but_for_tile(const Row *a, const Row *b)
{
	return a < b && row_is(b, a->op, a->variant) && a->dtype == b->dtype && a->needs == b->needs;
}

/* Tuning may choose between such kernels, so they must give the same bits for every output and activation. */
static void check_linear_tiles(const Row *a, const Row *b, int M, int K, int N, int act)
{
	float *w = random_floats((size_t)N * (size_t)K), *bias = random_floats((size_t)(N + 64)),
		  *x = random_floats((size_t)M * (size_t)K);
	float *out[2];
	for (int i = 0; i < 2; i++) {
		const Row *row = i ? b : a;
		const int P = (N + row->panel - 1) / row->panel;
		size_t panel = (size_t)row->panel, n = (size_t)P * panel * (size_t)K;
		float *packed = need(n * 4);
		memset(packed, 0, n * 4);
		for (int k = N * K - 1; k >= 0; k--)
			packed[((size_t)(k / K) / panel * (size_t)K + (size_t)(k % K)) * panel + (size_t)(k / K) % panel]
				= w[k];
		out[i] = fresh((size_t)M * (size_t)N);
		((LinearFn *)row->fn)(out[i], x, packed, bias, 0, M, 0, P, K, N, act);
		free(packed);
	}
	check_same(b->name, "other bits than in the default tile", out[0], out[1], (size_t)M * (size_t)N * 4);
	free(out[0]);
	free(out[1]);
	free(w);
	free(bias);
	free(x);
}

static void check_tiles(void)
{
	for (const Row *a = rows; a < rows + nrows; a++)
		for (const Row *b = rows; b < rows + nrows; b++)
			for (int M = 1;
				M <= 26 && same_but_for_tile(a, b) && row_is(a, OP_LINEAR, 0) && a->dtype == RT_STORED_F32;
				M++)
				check_linear_tiles(a, b, M, 37 + 16 * (M % 3), 5 + 13 * M, M % 7);
}

static void check_linear(void)
{
	check_tiles();
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (!row_is(row, OP_LINEAR, 0))
			continue;
		int P = row->panel, heights[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 25, 31};
		int shapes[][2] = {
			{1, 1}, {3, 2}, {7, P - 1}, {16, P}, {31, P + 1}, {33, 2 * P + 5}, {64, 3 * P}, {127, 37}};
		for (size_t i = 0; i < sizeof heights / sizeof *heights; i++)
			for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
				LinearCase c = linear_case(row, heights[i], shapes[s][0], shapes[s][1]);
				check_linear_values(row, &c, (int)((i + s) % 7));
				linear_free(&c);
			}
		int real[][3] = {{9, 384, 1152}, {13, 1536, 384}, {2, 768, 768}, {5, 3072, 70}, {40, 312, 312},
			{77, 400, 45}, {38, 193, 33}};
		for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
			LinearCase c = linear_case(row, real[i][0], real[i][1], real[i][2]);
			check_linear_values(row, &c, i % 2 ? RT_ACT_NONE : RT_ACT_GELU);
			check_linear_split(row, &c, 60);
			linear_free(&c);
		}
		check_linear_special(row);
		if (row->dtype != RT_STORED_F32) {
			check_linear_halves(row, 1);
			check_linear_halves(row, 40);
		}
	}
}
