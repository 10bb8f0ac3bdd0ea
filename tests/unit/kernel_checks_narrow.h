/* kernel_checks_narrow.h: the rows of linear_i8, and of the ops that write codes. Every row must give the
 * same bits as the definition, as in kernel_checks_quantize.h. Part of kernel_checks.h. */
#include "ir/sparse.c"
#include "ir/sparse_order.c"
#include "ir/memory.c"

/* Tolerance of an activation after narrow numbers: GELU may be math_avx512_gelu_low, within 2.3e-6. */
static double act_tolerance(int act) { return act == RT_ACT_GELU ? 3e-6 : 1e-6; }

/* ---- linear_i8 ------------------------------------------------------------------------------- */
typedef void LinearI8Fn(float *, const int8_t *, const float *, const void *, const float *, const float *,
	const int32_t *, int, int, int, int, int, int, int, void *);
/* What the codes are: anything, or the ends of their range, of one sign, of both, and by turns. */
enum { CODES_ANY, CODES_MOST, CODES_LEAST, CODES_TURNS, CODES_KINDS };

typedef struct CodesCase {
	int M, K, N, panels;
	int8_t *q, *packed, *codes;  /* codes[N][K] */
	float *s, *ws, *bias, *want; /* want[M][N] without activation */
	int32_t *sums;
} CodesCase;

static int8_t draw_code(int kind, int at, bool weight)
{
	switch (kind) {
	case CODES_MOST: return 127;
	case CODES_LEAST: return weight ? -128 : 127;
	case CODES_TURNS: return at % 2 ? -127 : 127;
	default: return (int8_t)((int)(draw() % 255) - 127);
	}
}

/* packed[P][K/group][panel][group] of codes[N][K]; zeros beyond N and K. */
static void pack_group(const Row *row, const void *codes, void *packed, size_t size, int K, int N)
{
	int groups = (K + row->group - 1) / row->group;
	for (int n = 0; n < N; n++)
		for (int k = 0; k < K; k++) {
			size_t at = ((size_t)(n / row->panel) * (size_t)groups + (size_t)(k / row->group))
				* (size_t)row->panel;
			at = (at + (size_t)(n % row->panel)) * (size_t)row->group + (size_t)(k % row->group);
			memcpy((char *)packed + at * size,
				(const char *)codes + ((size_t)n * (size_t)K + (size_t)k) * size, size);
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

static void codes_pack(const Row *row, CodesCase *c)
{
	if (!row_is_sparse(row)) {
		pack_group(row, c->codes, c->packed, 1, c->K, c->N);
		return;
	}
	const Tensor weight = {
		.data = c->codes, .type = {.dtype = DT_I8, .rank = 2, .dim = {{.plus = c->N}, {.plus = c->K}}}};
	free(c->packed);
	c->packed = need((size_t)sparse_pack(&weight, NULL));
	sparse_pack(&weight, c->packed);
}

static CodesCase codes_case(const Row *row, int M, int K, int N, int kind)
{
	int P = (N + row->panel - 1) / row->panel;
	size_t padded = (size_t)(P * row->panel), bytes = padded * (size_t)(K + row->group);
	CodesCase c = {.M = M,
		.K = K,
		.N = N,
		.panels = P,
		.q = need((size_t)(M * K)),
		.packed = need(bytes),
		.codes = need((size_t)(N * K)),
		.s = random_floats((size_t)M),
		.ws = random_floats(padded),
		.bias = random_floats(padded),
		.want = need((size_t)(M * N) * 4),
		.sums = need(padded * 4)};
	memset(c.packed, 0, bytes);
	memset(c.sums, 0, padded * 4);
	for (int i = 0; i < M * K; i++)
		c.q[i] = i / K == 1 ? 0 : draw_code(kind, i, false);
	for (int i = 0; i < N * K; i++)
		c.codes[i] = draw_code(kind, i, true);
	if (row_is_sparse(row))
		draw_zeros(c.codes, K, N);
	for (int i = 0; i < N * K; i++)
		c.sums[i / K] += c.codes[i];
	for (int i = N; i < P * row->panel; i++)
		c.ws[i] = c.bias[i] = 0;
	if (M > 1)
		c.s[1] = 0; /* a row of zeros has scale 0 */
	codes_pack(row, &c);
	for (int r = 0; r < M; r++)
		for (int n = 0; n < N; n++) {
			int32_t sum = 0;
			for (int k = 0; k < K; k++)
				sum += c.q[r * K + k] * c.codes[n * K + k];
			volatile float both = c.s[r] * c.ws[n]; /* volatile: rounded to f32, on every architecture */
			c.want[r * N + n] = fmaf((float)sum, both, c.bias[n]);
		}
	return c;
}

static void codes_free(CodesCase *c)
{
	free(c->q);
	free(c->packed);
	free(c->codes);
	free(c->s);
	free(c->ws);
	free(c->bias);
	free(c->want);
	free(c->sums);
}

/* The whole, and any division into rows and panels. */
static void check_linear_i8_case(const Row *row, const CodesCase *c, int act, bool split)
{
	LinearI8Fn *fn = (LinearI8Fn *)row->fn;
	const size_t n = (size_t)(c->M * c->N), bytes = staged_bytes(row, c->K);
	unsigned char *scratch = guarded_scratch(bytes);
	float *out = fresh(n + 16);
	char what[80];
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d split=%d", c->M, c->K, c->N, act, split);
	for (int p = 0, stop; p < c->panels; p = stop) {
		stop = split ? p + 1 : c->panels;
		for (int r = 0, end; r < c->M; r = end) {
			end = split ? rt_min(c->M, r + 1 + (int)(draw() % 14)) : c->M;
			fn(out, c->q, c->s, c->packed, c->ws, c->bias, c->sums, r, end, p, stop, c->K, c->N, act,
				scratch);
			for (size_t i = (size_t)(end * c->N); i < n + 16 && p == 0; i++)
				check_same(row->name, "writes rows it should not", &out[i], &UNTOUCHED, 4);
		}
	}
	for (size_t i = 0; i < n; i++)
		if (act == RT_ACT_NONE)
			check_bits(row->name, what, (long)i, out[i], c->want[i]);
		else
			check_near(
				row->name, what, (long)i, out[i], act_exact((double)c->want[i], act), 0, act_tolerance(act));
	guarded_check(row, scratch, bytes);
	free(out);
}

static void check_linear_i8(void)
{
	const int depths[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (row->op != OP_LINEAR_I8)
			continue;
		int P = row->panel, widths[] = {1, P - 1, P, P + 1, 2 * P + 5, 3 * P};
		for (int M = 1; M <= 50; M++) {
			int K = depths[(size_t)M % (sizeof depths / sizeof *depths)];
			CodesCase c = codes_case(
				row, M, K, widths[(size_t)M % (sizeof widths / sizeof *widths)], M % CODES_KINDS);
			check_linear_i8_case(row, &c, RT_ACT_NONE, false);
			check_linear_i8_case(row, &c, M % 7, true);
			codes_free(&c);
		}
		for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
			for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
				CodesCase c = codes_case(
					row, 1 + (int)(7 * i + j) % 13, depths[i], widths[j], (int)(i + j) % CODES_KINDS);
				check_linear_i8_case(row, &c, RT_ACT_NONE, false);
				codes_free(&c);
			}
		const int real[][3] = {
			{9, 384, 1152}, {13, 1536, 384}, {5, 3072, 70}, {97, 400, 45}, {50, 193, 33}, {65, 388, 80}};
		for (size_t i = 0; i < sizeof real / sizeof *real; i++)
			for (int kind = 0; kind < CODES_KINDS;
				kind++) { /* 3072 * 127 * 127 needs 27 bits: nothing saturates */
				CodesCase c = codes_case(row, real[i][0], real[i][1], real[i][2], kind);
				check_linear_i8_case(row, &c, kind ? RT_ACT_NONE : RT_ACT_GELU, kind % 2);
				codes_free(&c);
			}
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

static void check_linear_i8_codes_case(
	const Row *row, const Row *plain, int M, int K, int N, int act, bool split)
{
	CodesCase c = codes_case(row, M, K, N, CODES_ANY);
	const size_t n = (size_t)(M * N), bytes = staged_bytes(row, K);
	unsigned char *scratch = guarded_scratch(bytes);
	float *y = fresh(n), *m = need((size_t)N * 4), *z = need((size_t)N * 4), *scales = fresh((size_t)M + 1);
	int8_t *q = need(n + 64);
	char what[80];
	snprintf(what, sizeof what, "M=%d K=%d N=%d act=%d split=%d", M, K, N, act, split);
	memset(q, 0x55, n + 64);
	draw_static(m, z, N);
	for (int r = 0; r < M; r++) /* sums of any size: GELU must see what lies around 0 */
		c.s[r] *= 0.002f;
	((LinearI8Fn *)plain->fn)(y, c.q, c.s, c.packed, c.ws, c.bias, c.sums, 0, M, 0, c.panels, K, N,
		act == RT_ACT_GELU ? RT_ACT_NONE : act, scratch);
	for (int p = 0, stop; p < c.panels; p = stop) {
		stop = split ? p + 1 : c.panels;
		for (int r = 0, end; r < M; r = end) {
			end = split ? rt_min(M, r + 1 + (int)(draw() % 14)) : M;
			((LinearI8CodesFn *)row->fn)(q, scales, c.q, c.s, c.packed, c.ws, c.bias, m, z, c.sums, r, end, p,
				stop, K, N, act, scratch);
			for (size_t i = (size_t)(end * N); i < n + 64 && p == 0; i++)
				check_same(row->name, "writes rows it should not", &q[i], "\x55", 1);
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
	codes_free(&c);
	free(y);
	free(m);
	free(z);
	free(scales);
	free(q);
}

static void check_linear_i8_codes(void)
{
	const int depths[] = {1, 3, 4, 5, 16, 17, 63, 64, 65, 129};
	for (const Row *row = rows; row < rows + nrows; row++) {
		const Row *plain = row->op == OP_LINEAR_I8_CODES ? row_without_codes(row) : NULL;
		if (!plain)
			continue;
		int P = row->panel, widths[] = {1, P - 1, P, P + 1, 2 * P + 5, 3 * P};
		for (int M = 1; M <= 50; M++)
			check_linear_i8_codes_case(row, plain, M, depths[(size_t)M % (sizeof depths / sizeof *depths)],
				widths[(size_t)M % (sizeof widths / sizeof *widths)], M % 7, M % 2);
		check_linear_i8_codes_case(row, plain, 13, 384, 1536, RT_ACT_GELU, false);
		check_linear_i8_codes_case(row, plain, 97, 400, 45, RT_ACT_GELU, true);
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
				for (int k = 0; k < H && (r < FROM || r >= TO); k++)
					check_same(row->name, "touches other rows", q + r * H + k, "\x55", 1);
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
