/* kernel_checks.h: compares every row of kernels.def that this CPU supports with the same formula in
 * double precision, for sizes around vector and panel widths. Needs only libc, so that test_kernels.c
 * runs it here, and kernel_checks_main.c runs it cross-compiled under qemu. A check prints differences
 * and counts them in `failures`. */
#include "kernel_rows.h"
#include "ir/sparse.c"
#include "ir/sparse_order.c"
#include "ir/memory.c"

/* ---- numbers --------------------------------------------------------------------------------- */
static uint64_t seed = 1;
static uint32_t draw(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}
static float uniform(void) { return (float)draw() / 1073741824.0f - 1.0f; } /* [-1, 1] */

static void *need(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
	if (!p)
		abort();
	return p;
}

static float *random_floats(size_t n)
{
	float *x = need(n * sizeof *x);
	for (size_t i = 0; i < n; i++)
		x[i] = uniform();
	return x;
}

static double from_f16(uint16_t h)
{
	int exponent = h >> 10 & 31, fraction = h & 1023;
	double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
	if (exponent == 31)
		value = fraction ? (double)NAN : (double)INFINITY;
	return h & 0x8000 ? -value : value;
}

static double from_bf16(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float x;
	memcpy(&x, &bits, 4);
	return (double)x;
}

/* n random stored numbers below 2 in magnitude, some subnormal; *exact gets their values. */
static void *random_stored(size_t n, int dtype, double **exact)
{
	uint16_t *half = need(n * 4);
	float *full = (float *)(void *)half;
	*exact = need(n * sizeof **exact);
	for (size_t i = 0; i < n; i++) {
		uint16_t bits = (uint16_t)(draw() & 0xbfff); /* f16: exponent at most 15 */
		if (dtype == RT_STORED_BF16)
			bits = (uint16_t)((draw() & 0x8000) | (0x3b00 + draw() % 0x0500)); /* 2^-9 .. 2 */
		if (dtype == RT_STORED_F32)
			full[i] = uniform();
		else
			half[i] = bits;
		const double small = dtype == RT_STORED_F16 ? from_f16(bits) : from_bf16(bits);
		(*exact)[i] = dtype == RT_STORED_F32 ? (double)full[i] : small;
	}
	return half;
}

static void report_far(
	const char *kernel, const char *what, long at, float got, double want, double size, double tolerance)
{
	double limit = tolerance * fmax(fmax(1, fabs(want)), size);
	bool good = fabs((double)got - want) <= limit;
	if (isnan(want))
		good = isnan(got);
	else if (isinf(want))
		good = (double)got == want;
	if (!good && ++failures <= 20)
		printf("%s: %s, element %ld: %.9g, expected %.9g within %.2g\n", kernel, what, at, (double)got, want,
			limit);
}

/* Counts a failure, and prints the first twenty, when got is further than tolerance * max(1, |want|, size)
 * from want. */
static void check_near(
	const char *kernel, const char *what, long at, float got, double want, double size, double tolerance)
{
	checks++;
	if (!(fabs((double)got - want) <= tolerance))
		report_far(kernel, what, at, got, want, size, tolerance);
}

static void check_same(const char *kernel, const char *what, const void *a, const void *b, size_t bytes)
{
	checks++;
	if (memcmp(a, b, bytes) != 0 && ++failures <= 20)
		printf("%s: %s: results differ\n", kernel, what);
}

/* x holds n copies of `size` bytes. */
static void check_filled(
	const char *kernel, const char *what, const void *x, const void *copy, size_t size, size_t n)
{
	if (n == 0)
		return;
	checks += (int)n - 1;
	check_same(kernel, what, x, copy, size);
	if (memcmp(x, (const char *)x + size, (n - 1) * size) != 0 && ++failures <= 20)
		printf("%s: %s\n", kernel, what);
}

static const float UNTOUCHED = 12345.678f;
static float *fresh(size_t n)
{
	float *x = need(n * sizeof *x);
	for (size_t i = 0; i < n; i++)
		x[i] = UNTOUCHED;
	return x;
}

/* Bytes of scratch that plan-memory grants for the inputs of a row of K columns. */
static size_t staged_bytes(const Row *row, int K)
{
	return (size_t)row->staged * (size_t)((K + 63) / 64 * 64);
}

/* Scratch, followed by 64 bytes that must not change. */
static unsigned char *guarded_scratch(size_t bytes)
{
	unsigned char *scratch = need(bytes + 64);
	memset(scratch, 0x5a, bytes + 64);
	return scratch;
}

/* Checks these 64 bytes, and frees the scratch. */
static void guarded_check(const Row *row, unsigned char *scratch, size_t bytes)
{
	check_filled(row->name, "more scratch than declared", scratch + bytes, "\x5a", 1, 64);
	free(scratch);
}

static double dot_exact(const double *x, const double *y, int n)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += x[i] * y[i];
	return sum;
}

/* x[rows][n], of which a row begins every `stride` floats, as doubles side by side. */
static double *doubles(const float *x, int rows_of_x, int n, int stride)
{
	double *exact = need((size_t)rows_of_x * (size_t)n * sizeof *exact);
	for (int r = 0; r < rows_of_x; r++)
		for (int i = 0; i < n; i++)
			exact[(size_t)r * (size_t)n + (size_t)i] = (double)x[(size_t)r * (size_t)stride + (size_t)i];
	return exact;
}

/* Four bytes each of x[n], and zeros up to the end of the last panel of a row. */
static void *padded(const Row *row, const void *x, int n)
{
	const size_t whole = (size_t)((n + row->panel - 1) / row->panel * row->panel) * 4, used = (size_t)n * 4;
	char *copy = need(whole);
	memcpy(copy, x, used);
	memset(copy + used, 0, whole - used);
	return copy;
}

/* memcpy that makes no call for the usual small counts. */
static void copy_run(char *to, const char *from, size_t bytes)
{
	switch (bytes) {
	case 2: memcpy(to, from, 2); break;
	case 4: memcpy(to, from, 4); break;
	case 8: memcpy(to, from, 8); break;
	case 16: memcpy(to, from, 16); break;
	default: memcpy(to, from, bytes);
	}
}

/* packed[P][K/group][panel][group] of weights[N][K] of `size` bytes; zeros beyond N and K. */
static void *pack_group(const Row *row, const void *weights, size_t size, int K, int N)
{
	const int group = row->group, groups = (K + group - 1) / group, panel = row->panel,
			  panels = (N + panel - 1) / panel;
	const size_t run = (size_t)group * size, line = (size_t)panel * run,
				 bytes = (size_t)panels * (size_t)groups * line;
	const char *from = weights;
	char *packed = need(bytes);
	memset(packed, 0, bytes);
	for (int n = 0; n < N; n++) {
		char *to = packed + (size_t)(n / panel) * (size_t)groups * line + (size_t)(n % panel) * run;
		for (int k = 0; k < K; k += group, to += line) {
			const size_t now = (size_t)rt_min(group, K - k) * size;
			copy_run(to, from, now);
			from += now;
		}
	}
	return packed;
}

/* weights[N][K] in the layout of ir/sparse.c. Packs once into the largest possible size, then copies the used
 * bytes: counting them first would search twice for the order of the inputs. */
static void *pack_sparse(void *weights, DType dtype, int K, int N)
{
	const Tensor weight = {
		.data = weights, .type = {.dtype = dtype, .rank = 2, .dim = {{.plus = N}, {.plus = K}}}};
	const int64_t words = sparse_words(K, dtype), pieces = pieces_of(N, words);
	const int64_t most = (pieces + 1) * 4 + words * SPARSE_WORD * 2
		+ pieces * (SPARSE_PANEL / SPARSE_BAND) * band_bytes((SPARSE_BLOCK + 1) / 2 * 2);
	void *widest = need((size_t)most);
	const size_t bytes = (size_t)sparse_pack(&weight, widest);
	void *packed = need(bytes);
	memcpy(packed, widest, bytes);
	free(widest);
	return packed;
}

/* Whether `row` can use the inputs made for `first`: both have the same op, variant and dtype and, if
 * `panel`, the same panel. */
static bool row_takes(const Row *row, const Row *first, bool panel)
{
	return row_is(row, first->op, first->variant) && row->dtype == first->dtype
		&& (!panel || row->panel == first->panel);
}

/* Whether an earlier row has the same function and scratch. The table lists some functions for two types.
 * With the same inputs they give the same results. */
static bool row_repeats(const Row *row)
{
	for (const Row *other = rows; other < row; other++)
		if (row_is(other, row->op, row->variant) && other->fn == row->fn && other->scratch == row->scratch
			&& other->scratch_per_token == row->scratch_per_token && other->staged == row->staged
			&& other->relative == row->relative)
			return true;
	return false;
}

/* Whether it is the first of the rows that use the same inputs. Inputs and expected results are made once, at
 * this row. */
static bool row_leads(const Row *row, bool panel)
{
	const Row *first = rows;
	while (!row_takes(first, row, panel))
		first++;
	return first == row;
}

static double act_exact(double x, int act)
{
	switch (act) {
	case RT_ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
	case RT_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
	case RT_ACT_RELU: return x > 0 || isnan(x) ? x : 0;
	case RT_ACT_SILU: return x / (1 + exp(-x));
	case RT_ACT_TANH: return tanh(x);
	case RT_ACT_SIGMOID: return 1 / (1 + exp(-x));
	default: return x;
	}
}

#include "kernel_checks_linear.h"
#include "kernel_checks_quantize.h"
#include "kernel_checks_narrow.h"
#include "kernel_checks_bf16.h"
#include "kernel_checks_sparse.h"
#include "kernel_checks_rows.h"
#include "kernel_checks_moves.h"

/* ---- attention ------------------------------------------------------------------------------- */
typedef void AttentionFn(float *, const float *, const float *, const float *, int, int, int, int, int, int,
	int, int, int, float, void *);

static size_t attention_bytes(const Row *row, int keys, int d)
{
	return ((size_t)row->scratch_per_token * (size_t)d + (size_t)row->scratch) * (size_t)keys
		+ staged_bytes(row, d);
}

/* All heads at once, and head by head: the same `count` numbers, and no float behind them is touched. */
static void check_heads(const Row *row, const char *what, const float *whole, const float *parts, int count)
{
	check_same(row->name, what, whole, parts, (size_t)count * 4);
	check_same(row->name, "writes past the end", whole + count, &UNTOUCHED, 4);
}

/* To nearest even; finite numbers only. */
static double to_bf16(double x)
{
	float f = (float)x;
	uint32_t bits;
	memcpy(&bits, &f, 4);
	return from_bf16((uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}

/* Whether the row rounds its factors to bf16; q includes the factor log2 e. */
static bool row_rounds(const Row *row) { return strncmp(row->name, "attention_bf16", 14) == 0; }

typedef struct AttentionCase {
	int queries, keys, heads, d, stride;
	float range;
	float *qkv;
	const float *q, *k, *v;
	double *want; /* [queries][heads * d] */
} AttentionCase;

static void attention_head_exact(const AttentionCase *c, bool bf16, int h)
{
	const int d = c->d, keys = c->keys;
	double *q = doubles(c->q + h * d, c->queries, d, c->stride),
		   *k = doubles(c->k + h * d, keys, d, c->stride), *v = doubles(c->v + h * d, keys, d, c->stride),
		   *score = need((size_t)keys * sizeof *score);
	for (int i = 0; i < c->queries * d && bf16; i++)
		q[i] = to_bf16((double)((float)q[i] * (c->range * 1.44269504f)));
	for (int i = 0; i < keys * d && bf16; i++) {
		k[i] = to_bf16(k[i]);
		v[i] = to_bf16(v[i]);
	}
	for (int i = 0; i < c->queries; i++) {
		double top = -(double)INFINITY, sum = 0, *want = c->want + (i * c->heads + h) * d;
		for (int t = 0; t < keys; t++) {
			const double dot = dot_exact(q + i * d, k + t * d, d);
			score[t] = bf16 ? dot / 1.4426950408889634 : dot * (double)c->range;
			top = fmax(top, score[t]);
		}
		for (int t = 0; t < keys; t++)
			sum += score[t] = exp(score[t] - top);
		memset(want, 0, (size_t)d * sizeof *want);
		for (int t = 0; t < keys; t++) {
			const double weight = score[t] / sum;
			for (int j = 0; j < d; j++)
				want[j] += weight * v[t * d + j];
		}
	}
	free(q);
	free(k);
	free(v);
	free(score);
}

static void check_attention_row(const Row *row, const AttentionCase *c)
{
	char what[100];
	const int count = c->queries * c->heads * c->d, stride = c->stride;
	const size_t scratch_bytes = attention_bytes(row, c->keys, c->d);
	float *out = fresh((size_t)count + 1), *again = fresh((size_t)count);
	unsigned char *scratch = guarded_scratch(scratch_bytes);
	AttentionFn *fn = (AttentionFn *)row->fn;
	fn(out, c->q, c->k, c->v, c->queries, c->keys, c->heads, c->d, stride, stride, stride, 0, c->heads,
		c->range, scratch);
	for (int h = c->heads - 1; h >= 0; h--)
		fn(again, c->q, c->k, c->v, c->queries, c->keys, c->heads, c->d, stride, stride, stride, h, h + 1,
			c->range, scratch);
	snprintf(what, sizeof what, "queries=%d keys=%d heads=%d d=%d scale=%g", c->queries, c->keys, c->heads,
		c->d, (double)c->range);
	check_heads(row, what, out, again, count);
	guarded_check(row, scratch, scratch_bytes);
	/* a score is a sum of d products around 1: its rounding, 64 * 6e-8, is that of the weights; bf16 rounds
	 * the weights by 2^-9 at most */
	const double exact = c->range > 2 ? 1e-4 : 4e-6, tolerance = row_rounds(row) ? 2e-3 : exact;
	for (int i = 0; i < count; i++)
		check_near(row->name, what, i, out[i], c->want[i], 0, tolerance);
	free(out);
	free(again);
}

/* All rows. The expected results are computed once for rows that round to bf16, and once for the others. */
static void check_attention_size(int queries, int keys, int heads, int d, bool packed, float range)
{
	const int H = heads * d;
	AttentionCase c = {queries, keys, heads, d, packed ? 3 * H : H, range,
		random_floats((size_t)rt_max(queries, keys) * (size_t)(3 * H) + 8), NULL, NULL, NULL,
		need((size_t)(queries * H) * sizeof *c.want)};
	c.q = c.qkv;
	c.k = packed ? c.qkv + H : c.qkv + (size_t)keys * (size_t)H / 2;
	c.v = packed ? c.qkv + 2 * H : c.qkv + 3;
	for (int bf16 = 0; bf16 < 2; bf16++) {
		bool made = false;
		for (const Row *row = rows; row < rows + nrows; row++) {
			if (!row_is(row, OP_ATTENTION, 0) || row_repeats(row) || row_rounds(row) != (bf16 == 1))
				continue;
			for (int h = 0; h < heads && !made; h++)
				attention_head_exact(&c, bf16, h);
			made = true;
			check_attention_row(row, &c);
		}
	}
	free(c.qkv);
	free(c.want);
}

static void check_attention(void)
{
	const int lengths[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 48, 63, 65, 97};
	const int widths[] = {1, 3, 4, 5, 8, 15, 16, 17, 32, 33, 64, 67};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
			check_attention_size(lengths[i], lengths[i], 1 + (int)((i + j) % 3), widths[j], i % 2 == 0, 1.0f);
			check_attention_size(1, lengths[i], 2, widths[j], true, 0.25f);
		}
	check_attention_size(5, 130, 2, 32, true, 50.0f); /* one key gets almost the whole weight */
	check_attention_size(2, 0, 2, 32, true, 1.0f);    /* a text without tokens: zeros */
}

#include "kernel_checks_select.h"
#include "kernel_checks_bias.h"
#include "kernel_checks_relative.h"

/* All groups, by name. */
static const struct {
	const char *name;
	void (*run)(void);
} kernel_checks[] = {
	{"linear", check_linear},
	{"linear_sparse", check_linear_sparse},
	{"layernorm", check_layernorm},
	{"activation", check_activation},
	{"exit", check_exit},
	{"softmax", check_softmax},
	{"unary", check_unary},
	{"top", check_top},
	{"attention", check_attention},
	{"embed", check_embed},
	{"rows", check_rows},
	{"rmsnorm", check_rmsnorm},
	{"rotary", check_rotary},
	{"tensor", check_tensor},
	{"convolve", check_convolve},
	{"bag", check_bag},
	{"fourier", check_fourier},
	{"recurrent", check_recurrent},
	{"quantize", check_quantize},
	{"quantize_static", check_quantize_static},
	{"linear_i8", check_linear_i8},
	{"linear_i8_codes", check_linear_i8_codes},
	{"add_layernorm_codes", check_add_layernorm_codes},
	{"linear_bf16", check_linear_bf16},
	{"attention_select", check_attention_select},
	{"attention_biased", check_attention_biased},
	{"by_distance", check_by_distance},
	{"attention_relative", check_attention_relative},
	{"dot_by_distance", check_dot_by_distance},
	{"received", check_received},
	{"softmax_select", check_softmax_select},
	{"thin", check_thin},
};
enum { KERNEL_CHECKS = sizeof kernel_checks / sizeof *kernel_checks };
