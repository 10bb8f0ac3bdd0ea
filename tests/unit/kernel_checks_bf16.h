/* kernel_checks_bf16.h: the rows of linear_bf16, which are defined bit by bit too.
 * Part of kernel_checks.h. */

/* ---- linear_bf16 --------------------------------------------------------------------------------
 * Inputs keep away from numbers below 2^-126, which VDPBF16PS and ARMv7 take for zero and others do not. */
typedef void LinearBf16Fn(
	float *, const float *, const void *, const float *, int, int, int, int, int, int, int, void *);

static float rounded_bf16(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, 4);
	bits = isnan(x) ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
	return (float)from_bf16((uint16_t)(bits >> 16));
}

static void check_linear_bf16_size(const Row *row, int M, int K, int N, int act)
{
	LinearBf16Fn *fn = (LinearBf16Fn *)row->fn;
	int P = (N + row->panel - 1) / row->panel;
	const size_t n = (size_t)(M * N), columns = (size_t)(P * row->panel), bytes = staged_bytes(row, K);
	double *exact;
	uint16_t *w = random_stored((size_t)(N * K), RT_STORED_BF16, &exact),
			 *packed = pack_group(row, w, 2, K, N);
	float *x = random_floats((size_t)(M * K)), *bias = random_floats(columns), *out = fresh(n + 16),
		  *parts = fresh(n);
	unsigned char *scratch = guarded_scratch(bytes);
	char what[80];
	for (size_t i = (size_t)N; i < columns; i++)
		bias[i] = 0;
	if (M > 4) { /* of these rows' results the definition says what they are, NaN or not */
		x[1 * K + K / 2] = NAN;
		x[2 * K + K - 1] = INFINITY;
		x[3 * K] = 3.3e38f;
	}
	fn(out, x, packed, bias, 0, M, 0, P, K, N, act, scratch);
	for (int p = 0; p < P; p++)
		for (int r = 0, end; r < M; r = end) {
			end = rt_min(M, r + 1 + (int)(draw() % 14));
			fn(parts, x, packed, bias, r, end, p, p + 1, K, N, act, scratch);
		}
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d", M, K, N, act);
	check_same(row->name, what, out, parts, n * 4);
	check_filled(row->name, "writes past the end", out + n, &UNTOUCHED, 4, 16);
	for (int r = 0; r < M; r++)
		for (int j = 0; j < N; j++) {
			volatile float sum = bias[j];
			for (int k = 0; k < K; k += 2)
				for (int i = k + 1 < K; i >= 0; i--) /* the second of a pair first */
					sum += rounded_bf16(x[r * K + k + i]) * (float)exact[j * K + k + i];
			if (act == RT_ACT_NONE)
				check_bits(row->name, what, (long)(r * N + j), out[r * N + j], sum);
			else if (fabsf(sum) < 1e30f || isnan(sum))
				check_near(row->name, what, (long)(r * N + j), out[r * N + j], act_exact((double)sum, act), 0,
					act_tolerance(act));
		}
	guarded_check(row, scratch, bytes);
	free(exact);
	free(w);
	free(packed);
	free(x);
	free(bias);
	free(out);
	free(parts);
}

static void check_linear_bf16(void)
{
	const int depths[] = {1, 2, 3, 4, 5, 16, 31, 32, 33, 63, 64, 65, 127};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (!row_is(row, OP_LINEAR_BF16, 0))
			continue;
		int P = row->panel, widths[] = {1, P - 1, P, P + 1, 2 * P + 5};
		for (int M = 1; M <= 50; M++)
			check_linear_bf16_size(row, M, depths[(size_t)M % (sizeof depths / sizeof *depths)],
				widths[(size_t)M % (sizeof widths / sizeof *widths)], M % 3 ? RT_ACT_NONE : M % 7);
		const int real[][3] = {{9, 384, 1152}, {13, 1536, 384}, {5, 3072, 70}, {97, 400, 45}, {50, 193, 33}};
		for (size_t i = 0; i < sizeof real / sizeof *real; i++)
			check_linear_bf16_size(row, real[i][0], real[i][1], real[i][2], i ? RT_ACT_NONE : RT_ACT_GELU);
	}
}
