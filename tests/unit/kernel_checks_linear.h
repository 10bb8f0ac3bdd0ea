/* kernel_checks_linear.h: the rows of linear, whose weights are f32, f16 or bf16 and whose arithmetic is f32.
 * Part of kernel_checks.h. */
typedef void LinearFn(float *, const float *, const void *, const float *, int, int, int, int, int, int, int);

typedef void LinearSparseFn(
	float *, const float *, const void *, const float *, int, int, int, int, int, int, int, void *);

typedef struct LinearCase {
	int M, K, N, act;
	float *x, *bias;
	void *stored;          /* [N][K] */
	double *exact, *wide;  /* values of stored[N][K] and x[M][K] */
	double *want;          /* [M][N] */
	int panels;            /* of the row that the case is packed for, */
	void *w, *bias_padded; /* whose these are */
} LinearCase;

/* A case with these weights; it owns `stored` and `exact`. */
static LinearCase linear_inputs(int M, int K, int N, int act, void *stored, double *exact)
{
	LinearCase c = {.M = M, .K = K, .N = N, .act = act, .stored = stored, .exact = exact};
	c.x = random_floats((size_t)M * (size_t)K);
	c.bias = random_floats((size_t)N);
	c.wide = doubles(c.x, M, K, K);
	c.want = need((size_t)M * (size_t)N * sizeof *c.want);
	for (int r = 0; r < M; r++)
		for (int n = 0; n < N; n++)
			c.want[r * N + n] = act_exact((double)c.bias[n]
					+ dot_exact(c.wide + (size_t)r * (size_t)K, exact + (size_t)n * (size_t)K, K),
				act);
	return c;
}

static LinearCase linear_case(int dtype, int M, int K, int N, int act)
{
	double *exact;
	void *stored = random_stored((size_t)N * (size_t)K, dtype, &exact);
	return linear_inputs(M, K, N, act, stored, exact);
}

/* Packs weights and bias as passes pack them for the row. */
static void linear_pack(const Row *row, LinearCase *c)
{
	c->panels = (c->N + row->panel - 1) / row->panel;
	c->bias_padded = padded(row, c->bias, c->N);
	if (row_is_sparse(row))
		c->w = pack_sparse(c->stored, DT_F32, c->K, c->N);
	else
		c->w = pack_group(row, c->stored, row->dtype == RT_STORED_F32 ? 4 : 2, c->K, c->N);
}

static void linear_unpack(LinearCase *c)
{
	free(c->w);
	free(c->bias_padded);
}

static void linear_free(LinearCase *c)
{
	free(c->x);
	free(c->bias);
	free(c->stored);
	free(c->exact);
	free(c->wide);
	free(c->want);
}

/* Rows [r, end) and panels [p, stop) of the case. A sparse kernel gets its scratch, and no more. */
static void linear_run(
	const Row *row, const LinearCase *c, float *out, int r, int end, int p, int stop, int act)
{
	if (!row_is_sparse(row)) {
		((LinearFn *)row->fn)(out, c->x, c->w, c->bias_padded, r, end, p, stop, c->K, c->N, act);
		return;
	}
	const size_t bytes = staged_bytes(row, c->K);
	unsigned char *scratch = guarded_scratch(bytes);
	((LinearSparseFn *)row->fn)(out, c->x, c->w, c->bias_padded, r, end, p, stop, c->K, c->N, act, scratch);
	guarded_check(row, scratch, bytes);
}

/* Euclidean norm of the products that an output adds. Rounding errors are proportional to it. */
static double linear_size(const LinearCase *c, int r, int n)
{
	const double *x = c->wide + (size_t)r * (size_t)c->K, *w = c->exact + (size_t)n * (size_t)c->K;
	double squares = 0;
	for (int k = 0; k < c->K; k++)
		squares += x[k] * w[k] * (x[k] * w[k]);
	return sqrt(squares);
}

/* `out`: M * N results and 64 floats behind them. */
static void check_linear_values(const Row *row, const LinearCase *c, float *out)
{
	const double tolerance = 1e-5;
	char what[80];
	const size_t count = (size_t)c->M * (size_t)c->N;
	linear_run(row, c, out, 0, c->M, 0, c->panels, c->act);
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d", c->M, c->K, c->N, c->act);
	for (int i = 0; i < (int)count; i++) {
		const bool near = fabs((double)out[i] - c->want[i]) <= tolerance; /* whatever the size */
		check_near(
			row->name, what, i, out[i], c->want[i], near ? 0 : linear_size(c, i / c->N, i % c->N), tolerance);
	}
	check_filled(row->name, "writes past the end", out + count, &UNTOUCHED, 4, 64);
}

/* Any division into rows and panels gives the same bytes as the whole and writes nothing else. Draws two
 * heights, one of them below `most`. */
static void check_linear_split(const Row *row, const LinearCase *c, const float *whole, unsigned most)
{
	const size_t n = (size_t)c->M * (size_t)c->N;
	float *parts = fresh(n);
	for (int p = 0; p < c->panels; p++)
		for (int r = 0, end; r < c->M; r = end) {
			end = rt_min(c->M, r + 1 + (int)(draw() % (draw() % 2 ? 14 : most)));
			linear_run(row, c, parts, r, end, p, p + 1, c->act);
			if (p == 0)
				check_filled(row->name, "writes rows it should not", parts + end * c->N, &UNTOUCHED, 4,
					n - (size_t)(end * c->N));
		}
	check_same(row->name, "split into rows and panels", whole, parts, n * 4);
	free(parts);
}

/* NaN stays within its row, infinities and huge numbers do what IEEE says, and nothing hangs. */
static void check_linear_special(const Row *row)
{
	LinearCase c = linear_case(row->dtype, 14, 37, row->panel + 3, RT_ACT_GELU);
	linear_pack(row, &c);
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
	linear_unpack(&c);
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
	for (int i = 0; i < HALVES; i++) {
		uint16_t half = (uint16_t)i;
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
	for (int r = 1; r < M; r++)
		check_same(row->name, "weights of a later row", out, out + (size_t)r * HALVES, HALVES * sizeof *out);
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
		float *packed = pack_group(row, w, 4, K, N);
		out[i] = fresh((size_t)M * (size_t)N);
		((LinearFn *)row->fn)(out[i], x, packed, bias, 0, M, 0, (N + row->panel - 1) / row->panel, K, N, act);
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

/* Runs one case on all rows that use its inputs, and frees it. most != 0: also check_linear_split. */
static void check_linear_rows(const Row *first, bool panel, LinearCase c, unsigned most)
{
	for (const Row *row = first; row < rows + nrows; row++) {
		if (!row_takes(row, first, panel))
			continue;
		linear_pack(row, &c);
		float *out = fresh((size_t)c.M * (size_t)c.N + 64);
		check_linear_values(row, &c, out);
		if (most)
			check_linear_split(row, &c, out, most);
		free(out);
		linear_unpack(&c);
	}
	linear_free(&c);
}

/* Shapes around the panels of the row. */
static void check_linear_panels(const Row *row)
{
	const int P = row->panel, heights[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 25, 31};
	const int shapes[][2] = {
		{1, 1}, {3, 2}, {7, P - 1}, {16, P}, {31, P + 1}, {33, 2 * P + 5}, {64, 3 * P}, {127, 37}};
	for (size_t i = 0; i < sizeof heights / sizeof *heights; i++)
		for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
			check_linear_rows(row, true,
				linear_case(row->dtype, heights[i], shapes[s][0], shapes[s][1], (int)((i + s) % 7)), 0);
}

/* Shapes of models. */
static void check_linear_models(const Row *row)
{
	const int real[][3] = {{9, 384, 1152}, {13, 1536, 384}, {2, 768, 768}, {5, 3072, 70}, {40, 312, 312},
		{77, 400, 45}, {38, 193, 33}};
	for (size_t i = 0; i < sizeof real / sizeof *real; i++)
		check_linear_rows(row, false,
			linear_case(row->dtype, real[i][0], real[i][1], real[i][2], i % 2 ? RT_ACT_NONE : RT_ACT_GELU),
			60);
}

static void check_linear(void)
{
	check_tiles();
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (!row_is(row, OP_LINEAR, 0))
			continue;
		if (row_leads(row, true))
			check_linear_panels(row);
		if (row_leads(row, false))
			check_linear_models(row);
		check_linear_special(row);
		if (row->dtype != RT_STORED_F32) {
			check_linear_halves(row, 1);
			check_linear_halves(row, 40);
		}
	}
}
