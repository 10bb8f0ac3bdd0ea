/* kernel_checks_narrow.h: the rows of linear_i8, and of the ops that write codes. Every row must give the
 * same bits as the definition, as in kernel_checks_quantize.h. Part of kernel_checks.h. */

/* Tolerance of an activation after narrow numbers: GELU may be math_avx512_gelu_low, within 2.3e-6. */
static double act_tolerance(int act) { return act == RT_ACT_GELU ? 3e-6 : 1e-6; }

/* ---- linear_i8 ------------------------------------------------------------------------------- */
typedef void LinearI8Fn(float *, const int8_t *, const float *, const void *, const float *, const float *,
	const int32_t *, int, int, int, int, int, int, int, void *);
/* Kinds of codes: random, or the ends of their range with one sign, both signs, or alternating signs. */
enum { CODES_ANY, CODES_MOST, CODES_LEAST, CODES_TURNS, CODES_KINDS };

typedef struct CodesCase {
	int M, K, N, act;
	int8_t *q, *codes;    /* codes[N][K] */
	void *sparse;         /* codes packed for sparse rows, which share one layout; or NULL */
	float *s, *ws, *bias; /* ws[N], bias[N] */
	float *want;          /* [M][N] without activation */
	double *acted;        /* and with it */
	int32_t *sums;        /* [N] */
} CodesCase;

/* The weights of a case in the layout of a row. w is `dense` or belongs to the case. */
typedef struct CodesPacked {
	int panels;
	void *w, *dense;
	float *ws, *bias;
	int32_t *sums;
} CodesPacked;

static int8_t draw_code(int kind, int at, bool weight)
{
	switch (kind) {
	case CODES_MOST: return 127;
	case CODES_LEAST: return weight ? -128 : 127;
	case CODES_TURNS: return at % 2 ? -127 : 127;
	default: return (int8_t)((int)(draw() % 255) - 127);
	}
}

/* Sets seven of eight weights or quads to zero. In every second matrix, the nonzero ones belong to inputs
 * that are not neighbours; packing reorders these inputs if that pays (more than 28 outputs). In the other
 * matrices, quads are zeroed; some outputs are all zero, some have no zeros. */
static void draw_zeros(int8_t *codes, int K, int N)
{
	const bool scattered = draw() % 2;
	const unsigned from = draw();
	for (int n = 0; n < N && scattered; n++)
		for (int k = 0; k < K; k++)
			if ((((unsigned)k * 2654435761u + from) >> 13 & 7) != (unsigned)(n & 7))
				codes[n * K + k] = 0;
	for (int n = 0; n < N && !scattered; n++)
		for (int k = 0; k < K; k += 4)
			if (n % 7 == 3 || (n % 5 && draw() % 8))
				memset(codes + n * K + k, 0, (size_t)rt_min(4, K - k));
}

static CodesPacked codes_pack(const Row *row, const CodesCase *c)
{
	void *dense = c->sparse ? NULL : pack_group(row, c->codes, 1, c->K, c->N);
	return (CodesPacked){.panels = (c->N + row->panel - 1) / row->panel,
		.w = dense ? dense : c->sparse,
		.dense = dense,
		.ws = padded(row, c->ws, c->N),
		.bias = padded(row, c->bias, c->N),
		.sums = padded(row, c->sums, c->N)};
}

static void packed_free(CodesPacked *packed)
{
	free(packed->dense);
	free(packed->ws);
	free(packed->bias);
	free(packed->sums);
}

/* Without the expected results. */
static CodesCase codes_case(bool sparse, int M, int K, int N, int kind)
{
	CodesCase c = {.M = M,
		.K = K,
		.N = N,
		.q = need((size_t)(M * K)),
		.codes = need((size_t)(N * K)),
		.s = random_floats((size_t)M),
		.ws = random_floats((size_t)N),
		.bias = random_floats((size_t)N),
		.sums = need((size_t)N * 4)};
	memset(c.sums, 0, (size_t)N * 4);
	for (int i = 0; i < M * K; i++)
		c.q[i] = i / K == 1 ? 0 : draw_code(kind, i, false);
	for (int i = 0; i < N * K; i++)
		c.codes[i] = draw_code(kind, i, true);
	if (sparse) {
		draw_zeros(c.codes, K, N);
		c.sparse = pack_sparse(c.codes, DT_I8, K, N);
	}
	for (int n = 0; n < N; n++)
		for (int k = 0; k < K; k++)
			c.sums[n] += c.codes[n * K + k];
	if (M > 1)
		c.s[1] = 0; /* a row of zeros has scale 0 */
	return c;
}

static int32_t dot_codes(const int8_t *x, const int8_t *y, int n)
{
	int32_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += x[i] * y[i];
	return sum;
}

/* Computes the expected results, with the activation `act` and without. */
static void codes_expect(CodesCase *c, int act)
{
	const int M = c->M, N = c->N;
	c->act = act;
	c->want = need((size_t)(M * N) * sizeof *c->want);
	c->acted = need((size_t)(M * N) * sizeof *c->acted);
	for (int r = 0; r < M; r++)
		for (int n = 0; n < N; n++) {
			const int32_t sum = dot_codes(c->q + r * c->K, c->codes + n * c->K, c->K);
			volatile float both = c->s[r] * c->ws[n]; /* volatile: rounded to f32, on every architecture */
			const float want = fmaf((float)sum, both, c->bias[n]);
			c->want[r * N + n] = want;
			c->acted[r * N + n] = act_exact((double)want, act);
		}
}

static void codes_free(CodesCase *c)
{
	free(c->q);
	free(c->codes);
	free(c->sparse);
	free(c->s);
	free(c->ws);
	free(c->bias);
	free(c->want);
	free(c->acted);
	free(c->sums);
}

/* The whole, and any division into rows and panels. */
static void check_linear_i8_case(
	const Row *row, const CodesCase *c, const CodesPacked *packed, int act, bool split)
{
	LinearI8Fn *fn = (LinearI8Fn *)row->fn;
	const size_t n = (size_t)(c->M * c->N), bytes = staged_bytes(row, c->K);
	unsigned char *scratch = guarded_scratch(bytes);
	float *out = fresh(n + 16);
	char what[80];
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d split=%d", c->M, c->K, c->N, act, split);
	for (int p = 0, stop; p < packed->panels; p = stop) {
		stop = split ? p + 1 : packed->panels;
		for (int r = 0, end; r < c->M; r = end) {
			end = split ? rt_min(c->M, r + 1 + (int)(draw() % 14)) : c->M;
			fn(out, c->q, c->s, packed->w, packed->ws, packed->bias, packed->sums, r, end, p, stop, c->K,
				c->N, act, scratch);
			if (p == 0)
				check_filled(row->name, "writes rows it should not", out + end * c->N, &UNTOUCHED, 4,
					n + 16 - (size_t)(end * c->N));
		}
	}
	for (size_t i = 0; i < n; i++)
		if (act == RT_ACT_NONE)
			check_bits(row->name, what, (long)i, out[i], c->want[i]);
		else
			check_near(row->name, what, (long)i, out[i], c->acted[i], 0, act_tolerance(act));
	guarded_check(row, scratch, bytes);
	free(out);
}

/* Runs one case on all rows that use its inputs, and frees it. `whole` is the activation of the undivided
 * run, `split` that of the divided run; -1: no such run. If both have an activation, it is the same. */
static void check_linear_i8_rows(const Row *first, bool panel, CodesCase c, int whole, int split)
{
	codes_expect(&c, rt_max(whole, split));
	for (const Row *row = first; row < rows + nrows; row++) {
		if (!row_takes(row, first, panel))
			continue;
		CodesPacked packed = codes_pack(row, &c);
		if (whole >= 0)
			check_linear_i8_case(row, &c, &packed, whole, false);
		if (split >= 0)
			check_linear_i8_case(row, &c, &packed, split, true);
		packed_free(&packed);
	}
	codes_free(&c);
}

/* Shapes around the panels of the row. */
static void check_linear_i8_panels(const Row *row)
{
	const int depths[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129};
	enum { DEPTHS = sizeof depths / sizeof *depths };
	const int P = row->panel, widths[] = {1, P - 1, P, P + 1, 2 * P + 5, 3 * P};
	enum { WIDTHS = sizeof widths / sizeof *widths };
	const bool sparse = row_is_sparse(row);
	for (int M = 1; M <= 50; M++)
		check_linear_i8_rows(row, true,
			codes_case(sparse, M, depths[M % DEPTHS], widths[M % WIDTHS], M % CODES_KINDS), RT_ACT_NONE,
			M % 7);
	for (int i = 0; i < DEPTHS; i++)
		for (int j = 0; j < WIDTHS; j++)
			check_linear_i8_rows(row, true,
				codes_case(sparse, 1 + (7 * i + j) % 13, depths[i], widths[j], (i + j) % CODES_KINDS),
				RT_ACT_NONE, -1);
}

/* Shapes of models: 3072 * 127 * 127 needs 27 bits, and nothing saturates. */
static void check_linear_i8_models(const Row *row)
{
	const int real[][3] = {
		{9, 384, 1152}, {13, 1536, 384}, {5, 3072, 70}, {97, 400, 45}, {50, 193, 33}, {65, 388, 80}};
	for (size_t i = 0; i < sizeof real / sizeof *real; i++)
		for (int kind = 0; kind < CODES_KINDS; kind++) {
			const int act = kind ? RT_ACT_NONE : RT_ACT_GELU;
			check_linear_i8_rows(row, false,
				codes_case(row_is_sparse(row), real[i][0], real[i][1], real[i][2], kind), kind % 2 ? -1 : act,
				kind % 2 ? act : -1);
		}
}

static void check_linear_i8(void)
{
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (row->op != OP_LINEAR_I8)
			continue;
		if (row_leads(row, true))
			check_linear_i8_panels(row);
		if (row_leads(row, false))
			check_linear_i8_models(row);
	}
}

/* ---- codes written by the producer: the bits of the two ops in turn, by kernels of the same CPU ---- */
typedef void LinearI8CodesFn(int8_t *, float *, const int8_t *, const float *, const void *, const float *,
	const float *, const float *, const float *, const int32_t *, int, int, int, int, int, int, int, void *);
typedef void AddLayernormFn(
	float *, const float *, const float *, const float *, const float *, int, int, int, float);
typedef void AddLayernormCodesFn(float *, int8_t *, float *, const float *, const float *, const float *,
	const float *, const float *, const float *, int, int, int, float);

/* linear_i8__avx2 for linear_i8_codes__avx2. */
static const Row *row_without_codes(const Row *row)
{
	char name[80];
	const char *codes = strstr(row->name, "_codes");
	snprintf(name, sizeof name, "%.*s%s", (int)(codes - row->name), row->name, codes + strlen("_codes"));
	for (const Row *other = rows; other < rows + nrows; other++)
		if (!strcmp(other->name, name))
			return other;
	printf("%s: there is no %s\n", row->name, name);
	failures++;
	return NULL;
}

/* Scales that leave most codes inside, some outside, and every eighth column on a tie. */
static void draw_static(float *m, float *z, int n)
{
	for (int k = 0; k < n; k++) {
		m[k] = k % 8 ? uniform() * 60 : 0;
		z[k] = k % 8 ? uniform() * 60 : 0.5f + (float)(k % 5);
	}
}

/* After GELU, which differs between kernels: the codes of the exact GELU, or a neighbouring code if the value
 * is within `tolerance` of a tie. */
static void check_gelu_codes_row(const char *kernel, const char *what, const int8_t *q, const float *sums,
	const float *m, const float *z, int n)
{
	const double tolerance = 1e-6; /* of the kernels; math_avx512_gelu_low, 2.3e-6 off, would be noticed */
	for (int k = 0; k < n; k++) {
		const double v = act_exact((double)sums[k], RT_ACT_GELU) * (double)m[k] + (double)z[k];
		const double off = q[k] - fmin(fmax(v, -127), 127);
		check_near(kernel, what, k, (float)off, 0, 0, 0.5 + tolerance * fabs((double)m[k]) + 2e-7 * fabs(v));
	}
}

static void check_linear_i8_codes_row(
	const Row *row, const CodesCase *c, const float *m, const float *z, int act, bool split)
{
	const Row *plain = row_without_codes(row);
	if (!plain)
		return;
	const int M = c->M, K = c->K, N = c->N;
	CodesPacked packed = codes_pack(row, c);
	const size_t n = (size_t)(M * N), bytes = staged_bytes(row, K);
	unsigned char *scratch = guarded_scratch(bytes);
	float *y = fresh(n), *scales = fresh((size_t)M + 1);
	int8_t *q = need(n + 64);
	char what[80];
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d split=%d", M, K, N, act, split);
	memset(q, 0x55, n + 64);
	((LinearI8Fn *)plain->fn)(y, c->q, c->s, packed.w, packed.ws, packed.bias, packed.sums, 0, M, 0,
		packed.panels, K, N, act == RT_ACT_GELU ? RT_ACT_NONE : act, scratch);
	for (int p = 0, stop; p < packed.panels; p = stop) {
		stop = split ? p + 1 : packed.panels;
		for (int r = 0, end; r < M; r = end) {
			end = split ? rt_min(M, r + 1 + (int)(draw() % 14)) : M;
			((LinearI8CodesFn *)row->fn)(q, scales, c->q, c->s, packed.w, packed.ws, packed.bias, m, z,
				packed.sums, r, end, p, stop, K, N, act, scratch);
			if (p == 0)
				check_filled(row->name, "writes rows it should not", q + end * N, "\x55", 1,
					n + 64 - (size_t)(end * N));
		}
	}
	for (int r = 0; r < M; r++) {
		check_bits(row->name, what, -1, scales[r], 1);
		if (act == RT_ACT_GELU)
			check_gelu_codes_row(row->name, what, q + r * N, y + r * N, m, z, N);
		else
			check_codes_row(row->name, what, q + r * N, y + r * N, m, z, N);
	}
	check_same(row->name, "writes past the end", scales + M, &UNTOUCHED, 4);
	guarded_check(row, scratch, bytes);
	packed_free(&packed);
	free(y);
	free(scales);
	free(q);
}

/* Runs one case on all rows that use the inputs of `first`. */
static void check_linear_i8_codes_rows(const Row *first, bool panel, int M, int K, int N, int act, bool split)
{
	CodesCase c = codes_case(row_is_sparse(first), M, K, N, CODES_ANY);
	float *m = need((size_t)N * 4), *z = need((size_t)N * 4);
	draw_static(m, z, N);
	for (int r = 0; r < M; r++) /* sums of all sizes, so that GELU gets numbers close to 0 */
		c.s[r] *= 0.002f;
	for (const Row *row = first; row < rows + nrows; row++)
		if (row_takes(row, first, panel))
			check_linear_i8_codes_row(row, &c, m, z, act, split);
	codes_free(&c);
	free(m);
	free(z);
}

static void check_linear_i8_codes(void)
{
	const int depths[] = {1, 3, 4, 5, 16, 17, 63, 64, 65, 129};
	enum { DEPTHS = sizeof depths / sizeof *depths, WIDTHS = 6 };
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (row->op != OP_LINEAR_I8_CODES)
			continue;
		const int P = row->panel, widths[WIDTHS] = {1, P - 1, P, P + 1, 2 * P + 5, 3 * P};
		for (int M = 1; M <= 50 && row_leads(row, true); M++)
			check_linear_i8_codes_rows(row, true, M, depths[M % DEPTHS], widths[M % WIDTHS], M % 7, M % 2);
		if (!row_leads(row, false))
			continue;
		check_linear_i8_codes_rows(row, false, 13, 384, 1536, RT_ACT_GELU, false);
		check_linear_i8_codes_rows(row, false, 97, 400, 45, RT_ACT_GELU, true);
	}
}

static void check_add_layernorm_codes(void)
{
	enum { R = 5, FROM = 1, TO = 4, MOST = 384 };
	const int sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 61, 128, 312, MOST};
	for (const Row *row = rows; row < rows + nrows; row++) {
		const Row *plain = row->op == OP_ADD_LAYERNORM_CODES ? row_without_codes(row) : NULL;
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes && plain; i++) {
			const int H = sizes[i];
			size_t n = (size_t)(R * H);
			float *x = random_floats(n), *y = random_floats(n), *gamma = random_floats((size_t)H),
				  *beta = random_floats((size_t)H);
			float *want = fresh(n), *out = fresh(n), *scales = fresh(R), *m = need((size_t)H * 4),
				  *z = need((size_t)H * 4);
			int8_t *q = need(n);
			char what[40];
			snprintf(what, sizeof what, "H=%d", H);
			memset(q, 0x55, n);
			draw_static(m, z, H);
			((AddLayernormFn *)plain->fn)(want, x, y, gamma, beta, FROM, TO, H, 1e-5f);
			((AddLayernormCodesFn *)row->fn)(out, q, scales, x, y, gamma, beta, m, z, FROM, TO, H, 1e-5f);
			check_same(row->name, what, out, want, n * 4);
			for (int r = 0; r < R; r++) {
				check_bits(row->name, what, -1, scales[r], r >= FROM && r < TO ? 1 : UNTOUCHED);
				if (r < FROM || r >= TO)
					check_filled(row->name, "touches other rows", q + r * H, "\x55", 1, (size_t)H);
				if (r >= FROM && r < TO)
					check_codes_row(row->name, what, q + r * H, want + r * H, m, z, H);
			}
			free(x);
			free(y);
			free(gamma);
			free(beta);
			free(want);
			free(out);
			free(scales);
			free(m);
			free(z);
			free(q);
		}
	}
}
