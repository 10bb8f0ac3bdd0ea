/* kernel_checks.h: compares every row of kernels.def that this CPU supports with the same formula in
 * double precision, for sizes around vector and panel widths. Needs only libc, so that test_kernels.c
 * runs it here, and kernel_checks_main.c runs it cross-compiled under qemu. A check prints differences
 * and counts them in `failures`. */
#include "kernel_rows.h"

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

/* Counts a failure, and prints the first twenty, when got is further than tolerance * max(1, |want|, size)
 * from want. */
static void check_near(
	const char *kernel, const char *what, long at, float got, double want, double size, double tolerance)
{
	double limit = tolerance * fmax(fmax(1, fabs(want)), size);
	bool good = fabs((double)got - want) <= limit;
	if (isnan(want))
		good = isnan(got);
	else if (isinf(want))
		good = (double)got == want;
	checks++;
	if (!good && ++failures <= 20)
		printf("%s: %s, element %ld: %.9g, expected %.9g within %.2g\n", kernel, what, at, (double)got, want,
			limit);
}

static void check_same(const char *kernel, const char *what, const void *a, const void *b, size_t bytes)
{
	checks++;
	if (memcmp(a, b, bytes) != 0 && ++failures <= 20)
		printf("%s: %s: results differ\n", kernel, what);
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

/* Scratch, and 64 bytes behind it that must stay as they are. */
static unsigned char *guarded_scratch(size_t bytes)
{
	unsigned char *scratch = need(bytes + 64);
	memset(scratch, 0x5a, bytes + 64);
	return scratch;
}

/* Checks these 64 bytes, and frees the scratch. */
static void guarded_check(const Row *row, unsigned char *scratch, size_t bytes)
{
	for (size_t i = 0; i < 64; i++)
		check_same(row->name, "more scratch than declared", scratch + bytes + i, "\x5a", 1);
	free(scratch);
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

static void check_attention_size(
	const Row *row, int queries, int keys, int heads, int d, bool packed, float range)
{
	char what[100];
	int H = heads * d, stride = packed ? 3 * H : H;
	float *qkv = random_floats((size_t)rt_max(queries, keys) * (size_t)(3 * H) + 8),
		  *out = fresh((size_t)(queries * H) + 1);
	float *again = fresh((size_t)(queries * H));
	const float *q = qkv, *k = packed ? qkv + H : qkv + (size_t)keys * (size_t)H / 2,
				*v = packed ? qkv + 2 * H : qkv + 3;
	const size_t scratch_bytes = attention_bytes(row, keys, d);
	const bool bf16 = strncmp(row->name, "attention_bf16", 14)
		== 0; /* what it multiplies is rounded; q with the factor log2 e */
	unsigned char *scratch = guarded_scratch(scratch_bytes);
	double *score = need((size_t)rt_max(keys, 1) * sizeof *score);
	((AttentionFn *)row->fn)(
		out, q, k, v, queries, keys, heads, d, stride, stride, stride, 0, heads, range, scratch);
	for (int h = heads - 1; h >= 0; h--)
		((AttentionFn *)row->fn)(
			again, q, k, v, queries, keys, heads, d, stride, stride, stride, h, h + 1, range, scratch);
	snprintf(what, sizeof what, "queries=%d keys=%d heads=%d d=%d scale=%g", queries, keys, heads, d,
		(double)range);
	check_heads(row, what, out, again, queries * H);
	guarded_check(row, scratch, scratch_bytes);
	for (int h = 0; h < heads; h++)
		for (int i = 0; i < queries; i++) {
			double top = -(double)INFINITY, sum = 0;
			for (int t = 0; t < keys; t++) {
				score[t] = 0;
				for (int j = 0; j < d; j++) {
					double x = (double)q[i * stride + h * d + j], y = (double)k[t * stride + h * d + j];
					score[t] += bf16 ? to_bf16((double)((float)x * (range * 1.44269504f))) * to_bf16(y)
							/ 1.4426950408889634
									 : x * y * (double)range;
				}
				top = fmax(top, score[t]);
			}
			for (int t = 0; t < keys; t++)
				sum += score[t] = exp(score[t] - top);
			for (int j = 0; j < d; j++) {
				double want = 0;
				for (int t = 0; t < keys; t++) {
					double y = (double)v[t * stride + h * d + j];
					want += score[t] / sum * (bf16 ? to_bf16(y) : y);
				}
				/* a score is a sum of d products around 1: its rounding, 64 * 6e-8, is that of the weights;
				 * bf16 rounds the weights by 2^-9 at most */
				const double exact = range > 2 ? 1e-4 : 4e-6;
				check_near(row->name, what, (long)(i * H + h * d + j), out[i * H + h * d + j], want, 0,
					bf16 ? 2e-3 : exact);
			}
		}
	free(qkv);
	free(out);
	free(again);
	free(score);
}

static void check_attention(void)
{
	const int lengths[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 48, 63, 65, 97};
	const int widths[] = {1, 3, 4, 5, 8, 15, 16, 17, 32, 33, 64, 67};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (!row_is(row, OP_ATTENTION, 0))
			continue;
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
			for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
				check_attention_size(
					row, lengths[i], lengths[i], 1 + (int)((i + j) % 3), widths[j], i % 2 == 0, 1.0f);
				check_attention_size(row, 1, lengths[i], 2, widths[j], true, 0.25f);
			}
		check_attention_size(row, 5, 130, 2, 32, true, 50.0f); /* one key takes nearly all */
		check_attention_size(row, 2, 0, 2, 32, true, 1.0f);    /* a text without tokens: zeros */
	}
}

#include "kernel_checks_select.h"
#include "kernel_checks_bias.h"

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
	{"attention", check_attention},
	{"embed", check_embed},
	{"rows", check_rows},
	{"tensor", check_tensor},
	{"quantize", check_quantize},
	{"quantize_static", check_quantize_static},
	{"linear_i8", check_linear_i8},
	{"linear_i8_codes", check_linear_i8_codes},
	{"add_layernorm_codes", check_add_layernorm_codes},
	{"linear_bf16", check_linear_bf16},
	{"attention_select", check_attention_select},
	{"attention_biased", check_attention_biased},
	{"by_distance", check_by_distance},
	{"received", check_received},
	{"softmax_select", check_softmax_select},
	{"thin", check_thin},
};
enum { KERNEL_CHECKS = sizeof kernel_checks / sizeof *kernel_checks };
