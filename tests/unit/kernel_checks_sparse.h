/* kernel_checks_sparse.h: the rows of linear_sparse, with weights packed by ir/sparse.c and f32 arithmetic.
 * Part of kernel_checks.h. linear_i8_sparse is in kernel_checks_narrow.h, because it gives the same bits as
 * dense kernels. */
/* Share of weights that are not zero: none, a tenth, half, all. One of seven outputs is always zero. */
enum { SPARSE_NONE, SPARSE_TENTH, SPARSE_HALF, SPARSE_ALL, SPARSE_KINDS };

/* Some zeros are -0.0, as masks leave them. */
static LinearCase sparse_case(int M, int K, int N, int kind, int act)
{
	static const unsigned percent[SPARSE_KINDS] = {0, 10, 50, 100};
	float *weights = random_floats((size_t)N * (size_t)K);
	for (int i = 0; i < N * K; i++)
		if (draw() % 100 >= percent[kind] || i / K % 7 == 3)
			weights[i] = draw() % 2 ? -0.0f : 0.0f;
	return linear_inputs(M, K, N, act, weights, doubles(weights, N, K, K));
}

/* NaN and infinity stay within their row. */
static void check_sparse_special(const Row *row)
{
	LinearCase c = sparse_case(70, 101, SPARSE_PANEL + 3, SPARSE_TENTH, RT_ACT_NONE);
	linear_pack(row, &c);
	float *out = fresh((size_t)c.M * (size_t)c.N);
	for (int k = 0; k < c.K; k++) {
		c.x[3 * c.K + k] = NAN;
		c.x[69 * c.K + k] = INFINITY;
	}
	linear_run(row, &c, out, 0, c.M, 0, c.panels, RT_ACT_NONE);
	for (int i = 0; i < c.M * c.N; i++) {
		checks++;
		if (i / c.N != 3 && i / c.N != 69 && !isfinite(out[i]) && ++failures <= 20)
			printf("%s: NaN in row 3, infinity in row 69: element %d is %g\n", row->name, i, (double)out[i]);
	}
	free(out);
	linear_unpack(&c);
	linear_free(&c);
}

static void check_linear_sparse(void)
{
	const int depths[] = {1, 3, 7, 8, 9, 16, 17, 31, 33, 64, 95, 96, 97, 193};
	const int widths[] = {
		1, SPARSE_PANEL - 1, SPARSE_PANEL, SPARSE_PANEL + 1, 2 * SPARSE_PANEL + 5, 6 * SPARSE_PANEL};
	const int real[][3] = {
		{9, 384, 1152}, {13, 1536, 384}, {5, 3072, 70}, {40, 312, 312}, {130, 400, 45}, {97, 193, 33}};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (!row_is(row, OP_LINEAR, KERNEL_SPARSE))
			continue;
		check_sparse_special(row);
		if (!row_leads(row, true))
			continue;
		for (int M = 1; M <= 70; M++)
			check_linear_rows(row, true,
				sparse_case(M, depths[(size_t)M % (sizeof depths / sizeof *depths)],
					widths[(size_t)M % (sizeof widths / sizeof *widths)], M % SPARSE_KINDS, M % 7),
				0);
		for (size_t i = 0; i < sizeof real / sizeof *real; i++)
			check_linear_rows(row, true,
				sparse_case(real[i][0], real[i][1], real[i][2], i % 2 ? SPARSE_TENTH : SPARSE_HALF,
					i % 2 ? RT_ACT_NONE : RT_ACT_GELU),
				70);
	}
}
