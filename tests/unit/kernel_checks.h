/* kernel_checks.h: every row of kernels.def that this CPU can run, against the same formula in double precision, over sizes
 * around vector and panel widths. Nothing but libc, so that test_kernels.c runs it here and kernel_checks_main.c, cross-
 * compiled, under qemu. A check prints what differs and counts it in `failures`. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "../../runtime/cpu.c"
#include "../../runtime/kernels/linear__scalar.c"
#include "../../runtime/kernels/linear__avx2.c"
#include "../../runtime/kernels/linear__avx512.c"
#include "../../runtime/kernels/linear__neon.c"
#include "../../runtime/kernels/attention__scalar.c"
#include "../../runtime/kernels/attention__avx2.c"
#include "../../runtime/kernels/attention__avx512.c"
#include "../../runtime/kernels/attention_bf16__avx512bf16.c"
#include "../../runtime/kernels/attention__neon.c"
#include "../../runtime/kernels/layernorm__scalar.c"
#include "../../runtime/kernels/layernorm__avx2.c"
#include "../../runtime/kernels/layernorm__avx512.c"
#include "../../runtime/kernels/layernorm__neon.c"
#include "../../runtime/kernels/activation__scalar.c"
#include "../../runtime/kernels/activation__avx2.c"
#include "../../runtime/kernels/activation__avx512.c"
#include "../../runtime/kernels/activation__neon.c"
#include "../../runtime/kernels/softmax__scalar.c"
#include "../../runtime/kernels/softmax__avx2.c"
#include "../../runtime/kernels/softmax__avx512.c"
#include "../../runtime/kernels/softmax__neon.c"
#include "../../runtime/kernels/softmax_select__scalar.c"
#include "../../runtime/kernels/thin__scalar.c"
#include "../../runtime/kernels/embed__scalar.c"
#include "../../runtime/kernels/rows__scalar.c"
#include "../../runtime/kernels/tensor__scalar.c"
#include "../../runtime/kernels/exit__scalar.c"
#include "../../runtime/kernels/quantize__scalar.c"
#include "../../runtime/kernels/quantize__avx2.c"
#include "../../runtime/kernels/quantize__avx512.c"
#include "../../runtime/kernels/quantize__neon.c"
#include "../../runtime/kernels/linear_i8__scalar.c"
#include "../../runtime/kernels/linear_i8__avx2.c"
#include "../../runtime/kernels/linear_i8__avxvnni.c"
#include "../../runtime/kernels/linear_i8__avx512.c"
#include "../../runtime/kernels/linear_i8__avx512vnni.c"
#include "../../runtime/kernels/linear_i8_sparse__scalar.c"
#include "../../runtime/kernels/linear_i8_sparse__avx2.c"
#include "../../runtime/kernels/linear_i8_sparse__avxvnni.c"
#include "../../runtime/kernels/linear_i8_sparse__avx512.c"
#include "../../runtime/kernels/linear_i8_sparse__avx512vnni.c"
#include "../../runtime/kernels/linear_sparse__scalar.c"
#include "../../runtime/kernels/linear_sparse__avx2.c"
#include "../../runtime/kernels/linear_sparse__avx512.c"
#include "../../runtime/kernels/linear_i8__neon.c"
#include "../../runtime/kernels/linear_i8__dotprod.c"
#include "../../runtime/kernels/linear_i8__i8mm.c"
#include "../../runtime/kernels/linear_i8_sparse__neon.c"
#include "../../runtime/kernels/linear_i8_sparse__dotprod.c"
#include "../../runtime/kernels/linear_sparse__neon.c"
#include "../../runtime/kernels/linear_dotbf16__scalar.c"
#include "../../runtime/kernels/linear_dotbf16__avx2.c"
#include "../../runtime/kernels/linear_dotbf16__avx512bf16.c"
#include "../../runtime/kernels/linear_dotbf16__neon.c"

/* ---- the table, as far as this architecture compiles it ----------------------------------------------------------------- */
typedef void AnyFn(void);
typedef struct Row {
	const char *op;
	int dtype;
	const char *name;
	AnyFn *fn;
	int panel, group, scratch_per_token, scratch, staged;
} Row;

enum Isa {
#define ISA(NAME, bit, target, text) ISA_##NAME = 1 << bit,
#include "../../runtime/isa.def"
#undef ISA
};
enum { RT_STORED_I8 = 100 };   /* no kernel asks for it: codes are the only form of weights that linear_i8 has */

#if defined(__x86_64__)
/* The AVX-VNNI kernels once more over AVX2 instructions, for CPUs that lack VPDPBUSD in VEX form, as most of those do that run tests. */
RT_INLINE RT_TARGET_AVX2 __m256i emulated_dpbusd(__m256i sums, __m256i a, __m256i w)
{
	for (int half = 0; half < 2; half++) {
		const __m256i low = _mm256_set1_epi16(0xff);
		const __m256i a16 = half ? _mm256_srli_epi16(a, 8) : _mm256_and_si256(a, low);
		const __m256i w16 = half ? _mm256_srai_epi16(w, 8) : _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
		sums = _mm256_add_epi32(sums, _mm256_madd_epi16(a16, w16));
	}
	return sums;
}
#pragma push_macro("RT_TARGET_AVXVNNI")
#undef RT_TARGET_AVXVNNI
#define RT_TARGET_AVXVNNI        RT_TARGET_AVX2
#define _mm256_dpbusd_avx_epi32  emulated_dpbusd
#define linear_i8_avxvnni_bring  linear_i8_emulated_bring
#define linear_i8_avxvnni_tile   linear_i8_emulated_tile
#define linear_i8_avxvnni        linear_i8_emulated
#define linear_i8__avxvnni       linear_i8__emulated
#define linear_i8_codes__avxvnni linear_i8_codes__emulated
#define linear_i8_sparse_avxvnni_bring linear_i8_sparse_emulated_bring
#define linear_i8_sparse_avxvnni_add linear_i8_sparse_emulated_add
#define linear_i8_sparse_avxvnni_step linear_i8_sparse_emulated_step
#define linear_i8_sparse_avxvnni_piece8 linear_i8_sparse_emulated_piece8
#define linear_i8_sparse_avxvnni_piece16 linear_i8_sparse_emulated_piece16
#define linear_i8_sparse_avxvnni_piece24 linear_i8_sparse_emulated_piece24
#define linear_i8_sparse_avxvnni_piece32 linear_i8_sparse_emulated_piece32
#define linear_i8_sparse_avxvnni linear_i8_sparse_emulated
#define linear_i8_sparse__avxvnni linear_i8_sparse__emulated
#define linear_i8_sparse_codes__avxvnni linear_i8_sparse_codes__emulated
#include "../../runtime/kernels/linear_i8__avxvnni.c"
#include "../../runtime/kernels/linear_i8_sparse__avxvnni.c"
#undef linear_i8_sparse_avxvnni_bring
#undef linear_i8_sparse_avxvnni_add
#undef linear_i8_sparse_avxvnni_step
#undef linear_i8_sparse_avxvnni_piece8
#undef linear_i8_sparse_avxvnni_piece16
#undef linear_i8_sparse_avxvnni_piece24
#undef linear_i8_sparse_avxvnni_piece32
#undef linear_i8_sparse_avxvnni
#undef linear_i8_sparse__avxvnni
#undef linear_i8_sparse_codes__avxvnni
#undef _mm256_dpbusd_avx_epi32
#undef linear_i8_avxvnni_bring
#undef linear_i8_avxvnni_tile
#undef linear_i8_avxvnni
#undef linear_i8__avxvnni
#undef linear_i8_codes__avxvnni
#pragma pop_macro("RT_TARGET_AVXVNNI")
#endif

#define ROW(needs, op, dtype, function, panel, group, per_token, scratch, staged) \
	add_row(needs, (Row){ op, RT_STORED_##dtype, #function, (AnyFn *)function, panel, group, per_token, scratch, staged });
#define NO_ROW(...)
#if defined(__x86_64__)
#define ROW_X86 ROW
#else
#define ROW_X86 NO_ROW
#endif
#if defined(__aarch64__)
#define ROW_ARM64 ROW
#else
#define ROW_ARM64 NO_ROW
#endif
#if defined(__arm__) && defined(__ARM_NEON)
#define ROW_ARM32 ROW
#else
#define ROW_ARM32 NO_ROW
#endif
#define ROW_0              ROW
#define ROW_ISA_AVX2       ROW_X86
#define ROW_ISA_AVXVNNI    ROW_X86
#define ROW_ISA_AVX512     ROW_X86
#define ROW_ISA_AVX512VNNI ROW_X86
#define ROW_ISA_AVX512BF16 ROW_X86
#define ROW_ISA_NEON64     ROW_ARM64
#define ROW_ISA_DOTPROD    ROW_ARM64
#define ROW_ISA_I8MM       ROW_ARM64
#define ROW_ISA_NEON32     ROW_ARM32

static Row rows[200];
static int nrows, failures, checks;

static void add_row(uint32_t needs, Row row)
{
	if (nrows < (int)(sizeof rows / sizeof *rows) && !rt_cpu_missing(needs))
		rows[nrows++] = row;
}

static void load_rows(void)
{
	nrows = 0;
#define KERNEL(op, dtype, function, needs, panel, group, per_token, scratch, staged, file) \
	ROW_##needs(needs, op, dtype, function, panel, group, per_token, scratch, staged)
#include "../../runtime/kernels.def"
#undef KERNEL
#if defined(__x86_64__)
	ROW(ISA_AVX2, "linear_i8", I8, linear_i8__emulated, 16, 4, 0, 0, 48)
	ROW(ISA_AVX2, "linear_i8_codes", I8, linear_i8_codes__emulated, 16, 4, 0, 0, 48)
	ROW(ISA_AVX2, "linear_i8_sparse", I8, linear_i8_sparse__emulated, 16, 4, 0, 0, 32)
	ROW(ISA_AVX2, "linear_i8_sparse_codes", I8, linear_i8_sparse_codes__emulated, 16, 4, 0, 0, 32)
#endif
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------- */
static uint64_t seed = 1;
static uint32_t draw(void) { seed = seed * 6364136223846793005u + 1442695040888963407u; return (uint32_t)(seed >> 33); }
static float uniform(void) { return (float)draw() / 1073741824.0f - 1.0f; }   /* [-1, 1] */

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

static double from_bf16(uint16_t h) { uint32_t bits = (uint32_t)h << 16; float x; memcpy(&x, &bits, 4); return (double)x; }

/* n random stored numbers below 2 in magnitude, subnormal ones among them; *exact gets what they mean. */
static void *random_stored(size_t n, int dtype, double **exact)
{
	uint16_t *half = need(n * 4);
	float *full = (float *)(void *)half;
	*exact = need(n * sizeof **exact);
	for (size_t i = 0; i < n; i++) {
		uint16_t bits = (uint16_t)(draw() & 0xbfff);                       /* f16: exponent at most 15 */
		if (dtype == RT_STORED_BF16)
			bits = (uint16_t)((draw() & 0x8000) | (0x3b00 + draw() % 0x0500));  /* 2^-9 .. 2 */
		if (dtype == RT_STORED_F32)
			full[i] = uniform();
		else
			half[i] = bits;
		(*exact)[i] = dtype == RT_STORED_F32 ? (double)full[i] : dtype == RT_STORED_F16 ? from_f16(bits) : from_bf16(bits);
	}
	return half;
}

/* Counts a failure, and prints the first twenty, when got is further than tolerance * max(1, |want|, size) from want. */
static void check_near(const char *kernel, const char *what, long at, float got, double want, double size, double tolerance)
{
	double limit = tolerance * fmax(fmax(1, fabs(want)), size);
	checks++;
	if (isnan(want) ? isnan(got) : isinf(want) ? (double)got == want : fabs((double)got - want) <= limit)
		return;
	if (++failures <= 20)
		printf("%s: %s, element %ld: %.9g, expected %.9g within %.2g\n", kernel, what, at, (double)got, want, limit);
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

static double act_exact(double x, int act)
{
	switch (act) {
	case RT_ACT_GELU:      return 0.5 * x * erfc(-x / sqrt(2.0));
	case RT_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
	case RT_ACT_RELU:      return x > 0 || isnan(x) ? x : 0;
	case RT_ACT_SILU:      return x / (1 + exp(-x));
	case RT_ACT_TANH:      return tanh(x);
	case RT_ACT_SIGMOID:   return 1 / (1 + exp(-x));
	default:               return x;
	}
}

#include "kernel_checks_linear.h"
#include "kernel_checks_narrow.h"
#include "kernel_checks_sparse.h"

/* ---- layernorm ----------------------------------------------------------------------------------------------------------- */
typedef void LayernormFn(float *, const float *, const float *, const float *, int, int, int, float);
typedef void EmbedLayernormFn(float *, const void *, const int32_t *, const float *, const int32_t *, const float *,
                              const int32_t *, const float *, const float *, int, int, int, float);

static void check_layernorm_row(const Row *row, const char *what, const float *got, const double *x, const float *gamma,
                                const float *beta, int H, double eps)
{
	double mean = 0, var = 0, top = 0;
	for (int i = 0; i < H; i++)
		mean += x[i] / H;
	for (int i = 0; i < H; i++)
		var += (x[i] - mean) * (x[i] - mean) / H;
	for (int i = 0; i < H; i++)
		top = fmax(top, fabs(x[i]) / sqrt(var + eps));   /* x is rounded to float before: cancellation costs this much */
	for (int i = 0; i < H; i++)
		check_near(row->name, what, i, got[i], (x[i] - mean) / sqrt(var + eps) * (double)gamma[i] + (double)beta[i],
			top / 10, 1e-5);
}

static void check_layernorm_size(const Row *row, int H, double offset, float eps)
{
	enum { R = 5, FROM = 1, TO = 4, V = 7 };
	size_t n = (size_t)R * (size_t)H;
	float *gamma = random_floats((size_t)H), *beta = random_floats((size_t)H), *t1 = random_floats(3 * (size_t)H);
	float *t2 = random_floats(2 * (size_t)H), *out = fresh(n), *again = fresh(n), *x = random_floats(n), *y = random_floats(n);
	double *exact, *sum = need((size_t)H * sizeof *sum);
	void *t0 = random_stored((size_t)V * (size_t)H, row->dtype, &exact);
	int32_t ids0[R] = { 6, 0, 3, 6, 1 }, ids1[R] = { 0, 1, 2, 2, 0 }, ids2[R] = { 0, 1, 1, 0, 0 };
	bool add = strcmp(row->op, "add_layernorm") == 0, embed = strcmp(row->op, "embed_layernorm") == 0;
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
					((EmbedLayernormFn *)row->fn)(to, t0, ids0, a, a ? ids1 : NULL, b, b ? ids2 : NULL, gamma, beta,
						r, end, H, eps);
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
					sum[i] = exact[ids0[r] * H + i] + (a ? (double)a[ids1[r] * H + i] : 0) + (b ? (double)b[ids2[r] * H + i] : 0);
				if (i == H - 1 && r >= FROM && r < TO)
					check_layernorm_row(row, what, out + (size_t)r * (size_t)H, sum, gamma, beta, H, (double)eps);
				else if (r < FROM || r >= TO)
					check_same(row->name, "touches other rows", &out[at], &UNTOUCHED, 4);
			}
	}
	if (add) {   /* in place */
		((AddLayernormFn *)row->fn)(x, x, y, gamma, beta, FROM, TO, H, eps);
		check_same(row->name, "in place", x + FROM * H, out + FROM * H, (size_t)((TO - FROM) * H) * 4);
	}
	free(gamma); free(beta); free(t1); free(t2); free(out); free(again); free(x); free(y); free(exact); free(sum); free(t0);
}

static void check_layernorm(void)
{
	const int sizes[] = { 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 61, 128, 312, 384, 768 };
	for (const Row *row = rows; row < rows + nrows; row++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes && strstr(row->op, "layernorm") && !strstr(row->op, "codes"); i++) {
			check_layernorm_size(row, sizes[i], 0, 1e-12f + (sizes[i] < 4 ? 1e-3f : 0));
			check_layernorm_size(row, sizes[i], 100, 1e-5f + (sizes[i] < 4 ? 1e-1f : 0));
		}
}

/* ---- activation, softmax, unary ------------------------------------------------------------------------------------ */
typedef void ActivationFn(float *, const float *, int, int, int, int);
typedef void SoftmaxFn(float *, const float *, int, int, int);
typedef void UnaryFn(float *, const float *, int, int, int);

/* Values from 1e-40 to 1e30 of both signs, and a dense grid where the functions bend. */
static size_t interesting_floats(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = i < n / 2 ? ((float)i / (float)(n / 2) - 0.5f) * 40.0f : uniform() * powf(10.0f, (float)(draw() % 71) - 40.0f);
	const float edges[] = { 0.0f, -0.0f, 1e-45f, -1e-45f, 0.625f, -0.625f, 5.4f, -5.4f,
	                        88.0f, -88.0f, 104.0f, -104.0f, 1e30f, -1e30f };
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
		for (int act = 0; act < 7 && strcmp(row->op, "activation") == 0; act++) {
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
			for (int width = 1; width < 40; width++) {   /* a value does not depend on where it stands */
				float some[41], whole[41];
				some[width] = UNTOUCHED;
				memcpy(whole, out + 500, (size_t)width * 4);
				fn(some, x + 500, 0, 1, width, act);
				check_same(row->name, "place of a value", some, whole, (size_t)width * 4);
				check_same(row->name, "writes past the end", some + width, &UNTOUCHED, 4);
			}
			float odd[3] = { NAN, INFINITY, -INFINITY };
			fn(odd, odd, 0, 1, 3, act);
			check_near(row->name, what, 0, odd[0], (double)NAN, 0, 0);
			check_near(row->name, what, 1, odd[1], act_exact((double)INFINITY, act), 0, 1e-6);
			if (act != RT_ACT_SILU && act != RT_ACT_GELU_TANH && act != RT_ACT_GELU)   /* -inf * 0 is NaN there, as in PyTorch */
				check_near(row->name, what, 2, odd[2], act_exact(-(double)INFINITY, act), 0, 1e-6);
		}
	}
	free(x);
	free(out);
}

static void check_softmax(void)
{
	for (const Row *row = rows; row < rows + nrows; row++)
		for (int N = 1; N < 80 && strcmp(row->op, "softmax") == 0; N += N < 36 ? 1 : 7) {
			enum { R = 3 };
			float *x = random_floats((size_t)(R * N)), *out = fresh((size_t)(R * N) + 1), *one = fresh((size_t)(R * N));
			for (int i = 0; i < R * N; i++)
				x[i] = i / N == 1 ? x[i] * 60 : i / N == 2 ? x[i] * 3e4f : x[i] + 1000.0f;
			((SoftmaxFn *)row->fn)(out, x, 0, R, N);
			for (int r = 0; r < R; r++) {
				double top = -(double)INFINITY, sum = 0;
				for (int i = 0; i < N; i++)
					top = fmax(top, (double)x[r * N + i]);
				for (int i = 0; i < N; i++)
					sum += exp((double)x[r * N + i] - top);
				for (int i = 0; i < N; i++)
					check_near(row->name, "softmax", r * N + i, out[r * N + i], exp((double)x[r * N + i] - top) / sum, 0, 1e-6);
				((SoftmaxFn *)row->fn)(one, x, r, r + 1, N);
			}
			check_same(row->name, "row by row", one, out, (size_t)(R * N) * 4);
			check_same(row->name, "writes past the end", out + R * N, &UNTOUCHED, 4);
			x[N / 2] = NAN;
			((SoftmaxFn *)row->fn)(out, x, 0, R, N);
			check_near(row->name, "NaN in row 0", 0, out[0], (double)NAN, 0, 0);
			check_same(row->name, "NaN in row 0 leaves the others", out + N, one + N, (size_t)(2 * N) * 4);
			free(x); free(out); free(one);
		}
}

static void check_unary(void)
{
	enum { N = 4000 };
	float *x = need(N * 4), *out = need(N * 4);
	interesting_floats(x, N);
	for (int op = 0; op < 6; op++) {
		for (int i = 0; i < N; i++)
			x[i] = op == RT_UNARY_SQRT ? fabsf(x[i]) : x[i];
		unary_f32__scalar(out, x, 0, N / 2, op);
		unary_f32__scalar(out, x, N / 2, N, op);
		for (int i = 0; i < N; i++) {
			double v = (double)x[i], want = op == RT_UNARY_ERF ? erf(v) : op == RT_UNARY_TANH ? tanh(v)
				: op == RT_UNARY_RELU ? fmax(v, 0) : op == RT_UNARY_SIGMOID ? 1 / (1 + exp(-v))
				: op == RT_UNARY_EXP ? exp(v) : sqrt(v);
			check_near("unary_f32__scalar", "op", op * N + i, out[i], want > 3.4e38 ? (double)INFINITY : want, 0, 2e-7);
		}
	}
	free(x);
	free(out);
}

/* ---- attention ------------------------------------------------------------------------------------------------------------ */
typedef void AttentionFn(float *, const float *, const float *, const float *, int, int, int, int, int, int, int, int, int, float,
                         void *);

/* To nearest even; finite numbers only. */
static double to_bf16(double x)
{
	float f = (float)x;
	uint32_t bits;
	memcpy(&bits, &f, 4);
	return from_bf16((uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}

static void check_attention_size(const Row *row, int queries, int keys, int heads, int d, bool packed, float range)
{
	char what[100];
	int H = heads * d, stride = packed ? 3 * H : H;
	float *qkv = random_floats((size_t)rt_max(queries, keys) * (size_t)(3 * H) + 8), *out = fresh((size_t)(queries * H) + 1);
	float *again = fresh((size_t)(queries * H));
	const float *q = qkv, *k = packed ? qkv + H : qkv + (size_t)keys * (size_t)H / 2, *v = packed ? qkv + 2 * H : qkv + 3;
	size_t scratch_bytes = ((size_t)row->scratch_per_token * (size_t)d + (size_t)row->scratch) * (size_t)keys
		+ (size_t)row->staged * (size_t)((d + 63) & ~63);
	const bool bf16 = strncmp(row->name, "attention_bf16", 14) == 0;   /* what it multiplies is rounded; q with the factor log2 e */
	unsigned char *scratch = need(scratch_bytes + 64);
	double *score = need((size_t)rt_max(keys, 1) * sizeof *score);
	memset(scratch + scratch_bytes, 0x5a, 64);
	((AttentionFn *)row->fn)(out, q, k, v, queries, keys, heads, d, stride, stride, stride, 0, heads, range, scratch);
	for (int h = heads - 1; h >= 0; h--)
		((AttentionFn *)row->fn)(again, q, k, v, queries, keys, heads, d, stride, stride, stride, h, h + 1, range, scratch);
	snprintf(what, sizeof what, "queries=%d keys=%d heads=%d d=%d scale=%g", queries, keys, heads, d, (double)range);
	check_same(row->name, what, out, again, (size_t)(queries * H) * 4);
	check_same(row->name, "writes past the end", out + queries * H, &UNTOUCHED, 4);
	for (int i = 0; i < 64; i++)
		check_same(row->name, "more scratch than declared", scratch + scratch_bytes + i, "\x5a", 1);
	for (int h = 0; h < heads; h++)
		for (int i = 0; i < queries; i++) {
			double top = -(double)INFINITY, sum = 0;
			for (int t = 0; t < keys; t++) {
				score[t] = 0;
				for (int j = 0; j < d; j++) {
					double x = (double)q[i * stride + h * d + j], y = (double)k[t * stride + h * d + j];
					score[t] += bf16 ? to_bf16((double)((float)x * (range * 1.44269504f))) * to_bf16(y) / 1.4426950408889634
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
				/* a score is a sum of d products around 1: its rounding, 64 * 6e-8, is that of the weights; bf16 rounds the
				 * weights by 2^-9 at most */
				check_near(row->name, what, (long)(i * H + h * d + j), out[i * H + h * d + j], want, 0,
					bf16 ? 2e-3 : range > 2 ? 1e-4 : 4e-6);
			}
		}
	free(qkv); free(out); free(again); free(scratch); free(score);
}

static void check_attention(void)
{
	const int lengths[] = { 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 48, 63, 65, 97 };
	const int widths[] = { 1, 3, 4, 5, 8, 15, 16, 17, 32, 33, 64, 67 };
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (strcmp(row->op, "attention") != 0)
			continue;
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
			for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
				check_attention_size(row, lengths[i], lengths[i], 1 + (int)((i + j) % 3), widths[j], i % 2 == 0, 1.0f);
				check_attention_size(row, 1, lengths[i], 2, widths[j], true, 0.25f);
			}
		check_attention_size(row, 5, 130, 2, 32, true, 50.0f);   /* one key takes nearly all */
		check_attention_size(row, 2, 0, 2, 32, true, 1.0f);      /* a text without tokens: zeros */
	}
}

/* ---- embed, rows, tensor ------------------------------------------------------------------------------------------ */
typedef void EmbedFn(float *, const void *, const int32_t *, int, int, int);

typedef void EmbedI8Fn(float *, const void *, const int32_t *, const float *, const float *, int, int, int);

static int8_t nibble_of(int8_t byte, int column)
{
	const int half = column % 2 ? (uint8_t)byte / 16 : (uint8_t)byte % 16;
	return (int8_t)(half < 8 ? half : half - 16);
}

/* Codes of eight bits, or of four, two a byte; H is even then. */
static void check_embed_codes(const Row *row, int H)
{
	enum { V = 5, ROWS = 7 };
	const bool int4 = strcmp(row->op, "embed_i4") == 0;
	int32_t ids[ROWS];
	float *scales = random_floats(V), *added = random_floats((size_t)(ROWS * H)), *out = fresh((size_t)(ROWS * H) + 1);
	int8_t *table = need((size_t)(V * H));
	for (int i = 0; i < V * H; i++)
		table[i] = (int8_t)(draw() % 255 - 127);
	for (int r = 0; r < ROWS; r++)
		ids[r] = (int32_t)(draw() % V);
	for (int with = 0; with < 2; with++) {
		((EmbedI8Fn *)row->fn)(out, table, ids, scales, with ? added : NULL, 1, ROWS, H);
		for (int i = H; i < ROWS * H; i++) {
			const int id = ids[i / H], column = i % H;
			float want = (float)(int4 ? nibble_of(table[(id * H + column) / 2], column) : table[id * H + column]) * scales[id];
			want = with ? want + added[i] : want;
			check_same(row->name, row->op, out + i, &want, sizeof want);
		}
		check_same(row->name, "embed codes: writes past the end", out + ROWS * H, &UNTOUCHED, 4);
		check_same(row->name, "embed codes: writes rows not asked for", out, &UNTOUCHED, 4);
	}
	free(scales); free(added); free(out); free(table);
}

static void check_embed(void)
{
	const int32_t ids[] = { 4, 0, 8, 4, 1 };
	for (const Row *row = rows; row < rows + nrows; row++) {
		for (int H = 1; H < 70 && strcmp(row->op, "embed_i8") == 0; H += 4)
			check_embed_codes(row, H);
		for (int H = 2; H < 70 && strcmp(row->op, "embed_i4") == 0; H += 4)
			check_embed_codes(row, H);
		for (int H = 1; H < 70 && strcmp(row->op, "embed") == 0; H += 4) {
			double *exact;
			void *table = random_stored((size_t)(9 * H), row->dtype, &exact);
			float *out = fresh((size_t)(5 * H));
			((EmbedFn *)row->fn)(out, table, ids, 1, 4, H);
			for (int i = 0; i < 5 * H; i++)
				check_near(row->name, "embed", i, out[i],
					i / H >= 1 && i / H < 4 ? exact[ids[i / H] * H + i % H] : (double)UNTOUCHED, 0, 0);
			free(table); free(exact); free(out);
		}
	}
	for (unsigned bits = 0; bits < 65536; bits++) {
		check_near("math_from_f16", "bits", (long)bits, math_from_f16((uint16_t)bits), from_f16((uint16_t)bits), 0, 0);
		check_near("math_from_bf16", "bits", (long)bits, math_from_bf16((uint16_t)bits), from_bf16((uint16_t)bits), 0, 0);
	}
}

static void check_rows(void)
{
	for (int tokens = 0; tokens < 6; tokens++) {
		enum { H = 5 };
		float *x = random_floats((size_t)(tokens * H) + 1), out[H];
		int32_t at[6] = { 0 };
		for (int mode = RT_POOL_FIRST; mode <= RT_POOL_MEAN_WEIGHTED; mode++) {
			pool_f32__scalar(out, x, tokens, H, mode);
			for (int i = 0; i < H; i++) {
				double sum = 0, top = tokens ? -10 : 0, weighted = 0, n = tokens;
				for (int t = 0; t < tokens; t++) {
					sum += (double)x[t * H + i];
					weighted += (double)x[t * H + i] * (t + 1);
					top = fmax(top, (double)x[t * H + i]);
				}
				double want = !tokens ? 0 : mode == RT_POOL_FIRST ? (double)x[i]
					: mode == RT_POOL_LAST ? (double)x[(tokens - 1) * H + i] : mode == RT_POOL_MEAN ? sum / n
					: mode == RT_POOL_MAX ? top : mode == RT_POOL_MEAN_SQRT ? sum / sqrt(n) : weighted / (n * (n + 1) / 2);
				check_near("pool_f32__scalar", "mode", mode, out[i], want, 0, 1e-6);
			}
		}
		position_ids_i32__scalar(at, tokens, 2);
		for (int t = 0; t < 6; t++)
			check_near("position_ids_i32__scalar", "tokens", t, (float)at[t], t < tokens ? t + 2 : 0, 0, 0);
		memset(x, 0, 4);
		normalize_f32__scalar(x, x, 0, tokens, H, 1e-12f);
		for (int t = 0; t < tokens; t++) {
			double squares = 0;
			for (int i = 0; i < H; i++)
				squares += (double)x[t * H + i] * (double)x[t * H + i];
			check_near("normalize_f32__scalar", "norm", t, (float)squares, 1, 0, 1e-6);
		}
		free(x);
	}
	float zeros[3] = { 0, 0, 0 };
	normalize_f32__scalar(zeros, zeros, 0, 1, 3, 1e-12f);
	check_near("normalize_f32__scalar", "zeros", 0, zeros[0], 0, 0, 0);
}

static void check_tensor(void)
{
	enum { A = 2, B = 3, C = 4, D = 5 };
	float x[A * B * C * D], y[A * B * C * D], z[A * B * C * D];
	for (int i = 0; i < A * B * C * D; i++)
		x[i] = uniform();
	const int dims[] = { A, B, C, D }, perm[] = { 2, 0, 3, 1 };
	transpose_f32__scalar(y, x, 4, dims, perm);
	for (int a = 0; a < A; a++) for (int b = 0; b < B; b++) for (int c = 0; c < C; c++) for (int d = 0; d < D; d++)
		check_near("transpose_f32__scalar", "element", a, y[((c * A + a) * D + d) * B + b],
		           (double)x[((a * B + b) * C + c) * D + d], 0, 0);
	slice_f32__scalar(y, x, A * B, C, 1, 3, D);
	for (int o = 0; o < A * B; o++) for (int i = 0; i < 2 * D; i++)
		check_near("slice_f32__scalar", "element", i, y[o * 2 * D + i], (double)x[o * C * D + D + i], 0, 0);
	concat_f32__scalar(z, y, A * B, 2, 1, C, D);
	for (int o = 0; o < A * B; o++) for (int i = 0; i < 2 * D; i++)
		check_near("concat_f32__scalar", "element", i, z[o * C * D + D + i], (double)x[o * C * D + D + i], 0, 0);
	copy_f32__scalar(y, x, A * B * C * D);
	check_same("copy_f32__scalar", "copy", x, y, sizeof x);
	matmul_f32__scalar(z, x, x + A * B * C, A, B, D, C);   /* x[A][B][C] times [A][C][D] */
	for (int a = 0; a < A; a++) for (int b = 0; b < B; b++) for (int d = 0; d < D; d++) {
		double sum = 0;
		for (int c = 0; c < C; c++)
			sum += (double)x[(a * B + b) * C + c] * (double)x[A * B * C + (a * C + c) * D + d];
		check_near("matmul_f32__scalar", "element", (a * B + b) * D + d, z[(a * B + b) * D + d], sum, 0, 1e-6);
	}
	const int whole[] = { C * D, D, 1 }, column[] = { 0, 1, 0 }, box[] = { B, C, D };   /* b[C] along the middle axis */
	for (int op = RT_BINARY_ADD; op <= RT_BINARY_DIV; op++) {
		binary_f32__scalar(y, x, x + 7, 3, box, whole, column, op);
		for (int i = 0; i < B * C * D; i++) {
			double a = (double)x[i], b = (double)x[7 + i / D % C];
			double want = op == RT_BINARY_ADD ? a + b : op == RT_BINARY_SUB ? a - b : op == RT_BINARY_MUL ? a * b : a / b;
			check_near("binary_f32__scalar", "element", i, y[i], want, 0, 1e-6);
		}
	}
}

#include "kernel_checks_select.h"
/* The entropy of a softmax: log n where all are alike, nothing where one is far ahead, and between them what the definition says. */
static void check_exit(void)
{
	float x[64];
	for (int n = 1; n <= 64; n += n < 8 ? 1 : 13) {
		for (int i = 0; i < n; i++)
			x[i] = 700;
		check_near("exit_f32__scalar", "all alike", n, (float)exit_f32__scalar(x, n), log(n), 1e-12, 1e-6);
		x[n / 2] += 2000;
		check_near("exit_f32__scalar", "one ahead", n, (float)exit_f32__scalar(x, n), 0, 0, 0);
		double sum = 0, entropy = 0;
		for (int i = 0; i < n; i++)
			sum += exp((double)(x[i] = (float)(i * 7 % 11) * 0.3f - 1));
		for (int i = 0; i < n; i++)
			entropy -= exp((double)x[i]) / sum * log(exp((double)x[i]) / sum);
		check_near("exit_f32__scalar", "entropy", n, (float)exit_f32__scalar(x, n), entropy, 1e-9, 1e-6);
	}
	x[0] = NAN;
	if (exit_f32__scalar(x, 2) < 1e9)   /* a text of which nothing is known goes on */
		failures++;
}

/* All groups, by name. */
static const struct { const char *name; void (*run)(void); } kernel_checks[] = {
	{ "linear", check_linear }, { "linear_sparse", check_linear_sparse }, { "layernorm", check_layernorm }, { "activation", check_activation },
	{ "exit", check_exit },
	{ "softmax", check_softmax }, { "unary", check_unary }, { "attention", check_attention }, { "embed", check_embed },
	{ "rows", check_rows }, { "tensor", check_tensor }, { "quantize", check_quantize }, { "quantize_static", check_quantize_static },
	{ "linear_i8", check_linear_i8 }, { "linear_i8_codes", check_linear_i8_codes }, { "add_layernorm_codes", check_add_layernorm_codes },
	{ "linear_bf16", check_linear_bf16 }, { "attention_select", check_attention_select }, { "received", check_received },
	{ "softmax_select", check_softmax_select }, { "thin", check_thin },
};
enum { KERNEL_CHECKS = sizeof kernel_checks / sizeof *kernel_checks };
