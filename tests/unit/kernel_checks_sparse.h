/* kernel_checks_sparse.h: the rows of linear_sparse, whose weights are the words of ir/sparse.c and whose
 * arithmetic is f32. Part of kernel_checks.h; those of linear_i8_sparse are in kernel_checks_narrow.h, since
 * they make the bits of the dense ones. */
typedef void LinearSparseFn(
	float *, const float *, const void *, const float *, int, int, int, int, int, int, int, void *);

/* How many of the weights are not zero: none, a tenth, half, all; and in one of seven outputs none anyway. */
enum { SPARSE_NONE, SPARSE_TENTH, SPARSE_HALF, SPARSE_ALL, SPARSE_KINDS };

typedef struct SparseCase {
	int M, K, N, panels;
	float *x, *bias, *weights;
	void *packed;
} SparseCase;

/* What is zero is -0.0 now and then, as masks leave it. */
static SparseCase sparse_case(int M, int K, int N, int kind)
{
	static const unsigned percent[SPARSE_KINDS] = {0, 10, 50, 100};
	const int P = (N + SPARSE_PANEL - 1) / SPARSE_PANEL;
	SparseCase c = {M, K, N, P, random_floats((size_t)M * (size_t)K),
		random_floats((size_t)(P * SPARSE_PANEL)), random_floats((size_t)N * (size_t)K), NULL};
	for (int i = 0; i < N * K; i++)
		if (draw() % 100 >= percent[kind] || i / K % 7 == 3)
			c.weights[i] = draw() % 2 ? -0.0f : 0.0f;
	for (int n = N; n < P * SPARSE_PANEL; n++)
		c.bias[n] = 0;
	const Tensor weight = {
		.data = c.weights, .type = {.dtype = DT_F32, .rank = 2, .dim = {{.plus = N}, {.plus = K}}}};
	c.packed = need((size_t)sparse_pack(&weight, NULL));
	sparse_pack(&weight, c.packed);
	return c;
}

static void sparse_free(SparseCase *c)
{
	free(c->x);
	free(c->bias);
	free(c->weights);
	free(c->packed);
}

static void check_sparse_values(const Row *row, const SparseCase *c, int act)
{
	size_t bytes, n = (size_t)c->M * (size_t)c->N;
	unsigned char *scratch = staged_scratch(row, c->K, &bytes);
	char what[80];
	float *out = fresh(n + 64);
	((LinearSparseFn *)row->fn)(
		out, c->x, c->packed, c->bias, 0, c->M, 0, c->panels, c->K, c->N, act, scratch);
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d", c->M, c->K, c->N, act);
	for (int i = 0; i < c->M * c->N; i++) {
		double sum = (double)c->bias[i % c->N], squares = 0;
		for (int k = 0; k < c->K; k++) {
			const double term = (double)c->x[i / c->N * c->K + k] * (double)c->weights[i % c->N * c->K + k];
			sum += term;
			squares += term * term;
		}
		check_near(row->name, what, i, out[i], act_exact(sum, act), sqrt(squares), 1e-5);
	}
	for (size_t i = 0; i < 64; i++)
		check_same(row->name, "writes past the end", &out[n + i], &UNTOUCHED, 4);
	staged_check(row, scratch, bytes);
	free(out);
}

/* Any division into rows and panels gives the same bytes, and touches nothing else. */
static void check_sparse_split(const Row *row, const SparseCase *c)
{
	size_t bytes, n = (size_t)c->M * (size_t)c->N;
	unsigned char *scratch = staged_scratch(row, c->K, &bytes);
	float *whole = fresh(n), *parts = fresh(n);
	LinearSparseFn *fn = (LinearSparseFn *)row->fn;
	fn(whole, c->x, c->packed, c->bias, 0, c->M, 0, c->panels, c->K, c->N, RT_ACT_GELU, scratch);
	for (int p = 0; p < c->panels; p++)
		for (int r = 0, end; r < c->M; r = end) {
			end = rt_min(c->M, r + 1 + (int)(draw() % (draw() % 2 ? 14 : 70)));
			fn(parts, c->x, c->packed, c->bias, r, end, p, p + 1, c->K, c->N, RT_ACT_GELU, scratch);
			for (int i = end * c->N; i < (int)n && p == 0; i++)
				if (memcmp(&parts[i], &UNTOUCHED, 4) != 0) {
					check_same(row->name, "writes rows it should not", &parts[i], &UNTOUCHED, 4);
					break;
				}
		}
	check_same(row->name, "split into rows and panels", whole, parts, n * 4);
	free(whole);
	free(parts);
	free(scratch);
}

/* NaN and infinity stay within their row. */
static void check_sparse_special(const Row *row)
{
	SparseCase c = sparse_case(70, 101, SPARSE_PANEL + 3, SPARSE_TENTH);
	size_t bytes;
	unsigned char *scratch = staged_scratch(row, c.K, &bytes);
	float *out = fresh((size_t)c.M * (size_t)c.N);
	for (int k = 0; k < c.K; k++) {
		c.x[3 * c.K + k] = NAN;
		c.x[69 * c.K + k] = INFINITY;
	}
	((LinearSparseFn *)row->fn)(
		out, c.x, c.packed, c.bias, 0, c.M, 0, c.panels, c.K, c.N, RT_ACT_NONE, scratch);
	for (int i = 0; i < c.M * c.N; i++) {
		checks++;
		if (i / c.N != 3 && i / c.N != 69 && !isfinite(out[i]) && ++failures <= 20)
			printf("%s: NaN in row 3, infinity in row 69: element %d is %g\n", row->name, i, (double)out[i]);
	}
	free(out);
	free(scratch);
	sparse_free(&c);
}

static void check_linear_sparse(void)
{
	const int depths[] = {1, 3, 7, 8, 9, 16, 17, 31, 33, 64, 95, 96, 97, 193};
	const int widths[] = {
		1, SPARSE_PANEL - 1, SPARSE_PANEL, SPARSE_PANEL + 1, 2 * SPARSE_PANEL + 5, 6 * SPARSE_PANEL};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (!row_is(row, OP_LINEAR, KERNEL_SPARSE))
			continue;
		for (int M = 1; M <= 70; M++) {
			SparseCase c = sparse_case(M, depths[(size_t)M % (sizeof depths / sizeof *depths)],
				widths[(size_t)M % (sizeof widths / sizeof *widths)], M % SPARSE_KINDS);
			check_sparse_values(row, &c, M % 7);
			sparse_free(&c);
		}
		const int real[][3] = {
			{9, 384, 1152}, {13, 1536, 384}, {5, 3072, 70}, {40, 312, 312}, {130, 400, 45}, {97, 193, 33}};
		for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
			SparseCase c = sparse_case(
				real[i][0], real[i][1], real[i][2], i % 2 ? SPARSE_TENTH : SPARSE_HALF);
			check_sparse_values(row, &c, i % 2 ? RT_ACT_NONE : RT_ACT_GELU);
			check_sparse_split(row, &c);
			sparse_free(&c);
		}
		check_sparse_special(row);
	}
}
