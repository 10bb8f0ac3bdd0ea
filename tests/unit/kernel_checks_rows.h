/* kernel_checks_rows.h: row-wise and elementwise ops in f32: layernorm, activations, softmax, unary ops. Part
 * of kernel_checks.h. */

/* ---- layernorm ------------------------------------------------------------------------------- */
typedef void LayernormFn(float *, const float *, const float *, const float *, int, int, int, float);
typedef void EmbedLayernormFn(float *, const void *, const int32_t *, const float *, const int32_t *,
	const float *, const int32_t *, const float *, const float *, int, int, int, float);

static void check_layernorm_row(const Row *row, const char *what, const float *got, const double *x,
	const float *gamma, const float *beta, int H, double eps)
{
	double mean = 0, var = 0, top = 0;
	for (int i = 0; i < H; i++)
		mean += x[i] / H;
	for (int i = 0; i < H; i++)
		var += (x[i] - mean) * (x[i] - mean) / H;
	for (int i = 0; i < H; i++)
		top = fmax(top,
			fabs(x[i]) / sqrt(var + eps)); /* x is rounded to float before: cancellation costs this much */
	for (int i = 0; i < H; i++)
		check_near(row->name, what, i, got[i],
			(x[i] - mean) / sqrt(var + eps) * (double)gamma[i] + (double)beta[i], top / 10, 1e-5);
}

static void check_layernorm_size(const Row *row, int H, double offset, float eps)
{
	enum { R = 5, FROM = 1, TO = 4, V = 7 };
	size_t n = (size_t)R * (size_t)H;
	float *gamma = random_floats((size_t)H), *beta = random_floats((size_t)H),
		  *t1 = random_floats(3 * (size_t)H);
	float *t2 = random_floats(2 * (size_t)H), *out = fresh(n), *again = fresh(n), *x = random_floats(n),
		  *y = random_floats(n);
	double *exact, *sum = need((size_t)H * sizeof *sum);
	void *t0 = random_stored((size_t)V * (size_t)H, row->dtype, &exact);
	int32_t ids0[R] = {6, 0, 3, 6, 1}, ids1[R] = {0, 1, 2, 2, 0}, ids2[R] = {0, 1, 1, 0, 0};
	bool add = row->op == OP_ADD_LAYERNORM, embed = row->op == OP_EMBED_LAYERNORM;
	char what[80];
	for (size_t i = 0; i < n; i++)
		x[i] += (float)offset;
	for (int tables = embed ? 1 : 3; tables <= 3; tables++) {
		const float *a = tables > 1 ? t1 : NULL, *b = tables > 2 ? t2 : NULL;
		snprintf(what, sizeof what, "H=%d offset=%g tables=%d", H, offset, tables);
		for (int split = 0; split < 2; split++) {
			float *to = split ? again : out;
			for (int r = FROM; r < TO; r += split ? 1 : TO - FROM) {
				int end = split ? r + 1 : TO;
				if (embed)
					((EmbedLayernormFn *)row->fn)(
						to, t0, ids0, a, a ? ids1 : NULL, b, b ? ids2 : NULL, gamma, beta, r, end, H, eps);
				else if (add)
					((AddLayernormFn *)row->fn)(to, x, y, gamma, beta, r, end, H, eps);
				else
					((LayernormFn *)row->fn)(to, x, gamma, beta, r, end, H, eps);
			}
		}
		check_same(row->name, "row by row", out, again, n * 4);
		for (int r = 0; r < R; r++)
			for (int i = 0; i < H; i++) {
				size_t at = (size_t)(r * H + i);
				sum[i] = (double)x[at] + (add ? (double)y[at] : 0);
				if (embed)
					sum[i] = exact[ids0[r] * H + i] + (a ? (double)a[ids1[r] * H + i] : 0)
						+ (b ? (double)b[ids2[r] * H + i] : 0);
				if (i == H - 1 && r >= FROM && r < TO)
					check_layernorm_row(
						row, what, out + (size_t)r * (size_t)H, sum, gamma, beta, H, (double)eps);
				else if (r < FROM || r >= TO)
					check_same(row->name, "touches other rows", &out[at], &UNTOUCHED, 4);
			}
	}
	if (add) { /* in place */
		((AddLayernormFn *)row->fn)(x, x, y, gamma, beta, FROM, TO, H, eps);
		check_same(row->name, "in place", x + FROM * H, out + FROM * H, (size_t)((TO - FROM) * H) * 4);
	}
	free(gamma);
	free(beta);
	free(t1);
	free(t2);
	free(out);
	free(again);
	free(x);
	free(y);
	free(exact);
	free(sum);
	free(t0);
}

static bool row_is_layernorm(const Row *row)
{
	return row->op == OP_LAYERNORM || row->op == OP_ADD_LAYERNORM || row->op == OP_EMBED_LAYERNORM;
}

static void check_layernorm(void)
{
	const int sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 61, 128, 312, 384, 768};
	for (const Row *row = rows; row < rows + nrows; row++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes && row_is_layernorm(row); i++) {
			check_layernorm_size(row, sizes[i], 0, 1e-12f + (sizes[i] < 4 ? 1e-3f : 0));
			check_layernorm_size(row, sizes[i], 100, 1e-5f + (sizes[i] < 4 ? 1e-1f : 0));
		}
}

/* ---- activation, softmax, unary -------------------------------------------------------------- */
typedef void ActivationFn(float *, const float *, int, int, int, int);
typedef void SoftmaxFn(float *, const float *, int, int, int);
typedef void UnaryFn(float *, const float *, int, int, int);

/* Values from 1e-40 to 1e30 of both signs, and a dense grid where the functions bend. */
static size_t interesting_floats(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = i < n / 2 ? ((float)i / (float)(n / 2) - 0.5f) * 40.0f
						 : uniform() * powf(10.0f, (float)(draw() % 71) - 40.0f);
	const float edges[] = {0.0f, -0.0f, 1e-45f, -1e-45f, 0.625f, -0.625f, 5.4f, -5.4f, 88.0f, -88.0f, 104.0f,
		-104.0f, 1e30f, -1e30f};
	memcpy(x, edges, sizeof edges);
	return n;
}

static void check_activation(void)
{
	enum { N = 20000 };
	float *x = need(N * 4), *out = need((N + 16) * 4);
	interesting_floats(x, N);
	for (const Row *row = rows; row < rows + nrows; row++) {
		ActivationFn *fn = (ActivationFn *)row->fn;
		for (int act = 0; act < 7 && row->op == OP_ACTIVATION; act++) {
			char what[40];
			snprintf(what, sizeof what, "act=%d", act);
			fn(out, x, 0, N, 1, act);
			for (int i = 0; i < N; i++) {
				double want = act_exact((double)x[i], act);
				/* GELU may differ by 1e-6, which small values must not hide: tails are checked as they are */
				if (fabs(want) < 3e38)
					check_near(row->name, what, i, out[i], want, 0, 1e-6);
				if (act == RT_ACT_TANH && fabsf(x[i]) > 1e-30f)
					check_near(row->name, "tanh, relative", i, out[i] / x[i], want / (double)x[i], 0, 1e-6);
			}
			for (int width = 1; width < 40; width++) { /* a result does not depend on its position */
				float some[41], whole[41];
				some[width] = UNTOUCHED;
				memcpy(whole, out + 500, (size_t)width * 4);
				fn(some, x + 500, 0, 1, width, act);
				check_same(row->name, "place of a value", some, whole, (size_t)width * 4);
				check_same(row->name, "writes past the end", some + width, &UNTOUCHED, 4);
			}
			float odd[3] = {NAN, INFINITY, -INFINITY};
			fn(odd, odd, 0, 1, 3, act);
			check_near(row->name, what, 0, odd[0], (double)NAN, 0, 0);
			check_near(row->name, what, 1, odd[1], act_exact((double)INFINITY, act), 0, 1e-6);
			if (act != RT_ACT_SILU && act != RT_ACT_GELU_TANH
				&& act != RT_ACT_GELU) /* -inf * 0 is NaN there, as in PyTorch */
				check_near(row->name, what, 2, odd[2], act_exact(-(double)INFINITY, act), 0, 1e-6);
		}
	}
	free(x);
	free(out);
}

static void check_softmax(void)
{
	for (const Row *row = rows; row < rows + nrows; row++)
		for (int N = 1; N < 80 && row_is(row, OP_SOFTMAX, 0); N += N < 36 ? 1 : 7) {
			enum { R = 3 };
			float *x = random_floats((size_t)(R * N)), *out = fresh((size_t)(R * N) + 1),
				  *one = fresh((size_t)(R * N));
			const float times[R] = {1, 60, 3e4f}, plus[R] = {1000, 0, 0};
			for (int i = 0; i < R * N; i++)
				x[i] = x[i] * times[i / N] + plus[i / N];
			((SoftmaxFn *)row->fn)(out, x, 0, R, N);
			for (int r = 0; r < R; r++) {
				double top = -(double)INFINITY, sum = 0;
				for (int i = 0; i < N; i++)
					top = fmax(top, (double)x[r * N + i]);
				for (int i = 0; i < N; i++)
					sum += exp((double)x[r * N + i] - top);
				for (int i = 0; i < N; i++)
					check_near(row->name, "softmax", r * N + i, out[r * N + i],
						exp((double)x[r * N + i] - top) / sum, 0, 1e-6);
				((SoftmaxFn *)row->fn)(one, x, r, r + 1, N);
			}
			check_same(row->name, "row by row", one, out, (size_t)(R * N) * 4);
			check_same(row->name, "writes past the end", out + R * N, &UNTOUCHED, 4);
			x[N / 2] = NAN;
			((SoftmaxFn *)row->fn)(out, x, 0, R, N);
			check_near(row->name, "NaN in row 0", 0, out[0], (double)NAN, 0, 0);
			check_same(row->name, "NaN in row 0 leaves the others", out + N, one + N, (size_t)(2 * N) * 4);
			free(x);
			free(out);
			free(one);
		}
}

static double unary_exact(int op, double v)
{
	switch (op) {
	case RT_UNARY_ERF: return erf(v);
	case RT_UNARY_TANH: return tanh(v);
	case RT_UNARY_RELU: return fmax(v, 0);
	case RT_UNARY_SIGMOID: return 1 / (1 + exp(-v));
	case RT_UNARY_EXP: return exp(v);
	case RT_UNARY_LOG1P: return log1p(v);
	default: return sqrt(v);
	}
}

/* Each element against its rank: how many are larger in magnitude, or equal and earlier. */
static void check_top(void)
{
	enum { R = 3, MOST = 40 };
	for (int H = 1; H < MOST; H += 3) {
		float *x = random_floats(R * (size_t)H), *out = need(R * (size_t)H * 4);
		for (int i = 0; i < R * H; i++)
			x[i] = roundf(x[i] * 4); /* many equal ones */
		for (int keep = 1; keep < H + 2; keep++) {
			top_f32__scalar(out, x, 0, 1, H, keep);
			top_f32__scalar(out, x, 1, R, H, keep);
			for (int i = 0; i < R * H; i++) {
				int rank = 0;
				for (int j = i / H * H; j < i / H * H + H; j++)
					rank += fabsf(x[j]) > fabsf(x[i]) || (j < i && fabsf(x[j]) == fabsf(x[i]));
				check_near("top_f32__scalar", "keep", keep, out[i], rank < keep ? (double)x[i] : 0, 0, 0);
			}
		}
		free(x);
		free(out);
	}
}

static void check_unary(void)
{
	enum { N = 4000 };
	float *x = need(N * 4), *out = need(N * 4);
	interesting_floats(x, N);
	for (int op = 0; op <= RT_UNARY_LOG1P; op++) {
		for (int i = 0; i < N; i++)
			x[i] = op == RT_UNARY_SQRT ? fabsf(x[i]) : x[i];
		unary_f32__scalar(out, x, 0, N / 2, op);
		unary_f32__scalar(out, x, N / 2, N, op);
		for (int i = 0; i < N; i++) {
			double want = unary_exact(op, (double)x[i]);
			check_near("unary_f32__scalar", "op", op * N + i, out[i], want > 3.4e38 ? (double)INFINITY : want,
				0, 2e-7);
		}
	}
	free(x);
	free(out);
}
