/* bench_sparse.c: linears over weights of which a share is zero, sparse against dense kernels of the same
 * instructions, and both against what the core can multiply. Not a test.
 *
 *   clang-19 -O3 -std=gnu17 tests/bench/bench_sparse.c -lm -o bench_sparse && ./bench_sparse [KERNELS ..]
 * [SPARSITY[x4] ..]
 *
 * KERNELS: i8_avx512vnni (by itself: this), i8_avx512, i8_avxvnni, i8_avx2, i8_scalar, f32_avx512, f32_avx2,
 * f32_scalar. The linears of six layers of MiniLM-L6 and of BERT-base, with literal inputs as the emitter
 * prints them. Zeros are drawn weight by weight, which leaves most quads: 1 - SPARSITY^4 of them; with x4
 * four at a time (sparsify{structure=1x4}). Minimum CPU time of several runs by turns; results in int8 must
 * be equal in every bit. */
#if !defined(__x86_64__)
#error "needs an x86-64 CPU with AVX-512 and VNNI"
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "runtime/rt.h"
#include "runtime/kernels/linear__scalar.c"
#include "runtime/kernels/linear__avx2.c"
#include "runtime/kernels/linear__avx512.c"
#include "runtime/kernels/linear_sparse__scalar.c"
#include "runtime/kernels/linear_sparse__avx2.c"
#include "runtime/kernels/linear_sparse__avx512.c"
#include "runtime/kernels/linear_i8__scalar.c"
#include "runtime/kernels/linear_i8__avx2.c"
#include "runtime/kernels/linear_i8__avxvnni.c"
#include "runtime/kernels/linear_i8__avx512.c"
#include "runtime/kernels/linear_i8__avx512vnni.c"
#include "runtime/kernels/linear_i8_sparse__scalar.c"
#include "runtime/kernels/linear_i8_sparse__avx2.c"
#include "runtime/kernels/linear_i8_sparse__avxvnni.c"
#include "runtime/kernels/linear_i8_sparse__avx512.c"
#include "runtime/kernels/linear_i8_sparse__avx512vnni.c"
#include "ir/memory.c"
#include "ir/sparse.c"
#include "ir/sparse_order.c"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Multiply-adds a second: by VPDPBUSD of codes, by VFMADD of floats. */
RT_TARGET_AVX512VNNI static double peak(bool floats)
{
	__m512i acc[12];
	for (int i = 0; i < 12; i++)
		acc[i] = _mm512_setzero_si512();
	double start = now();
	for (int n = 0; n < 1000000; n++)
		RT_UNROLL_FULL for (int i = 0; i < 12; i++)
		{
			acc[i] = floats ? _mm512_castps_si512(_mm512_fmadd_ps(
								  _mm512_set1_ps(1), _mm512_set1_ps(1), _mm512_castsi512_ps(acc[i])))
							: _mm512_dpbusd_epi32(acc[i], _mm512_set1_epi8(1), _mm512_set1_epi8(1));
			__asm__ volatile("" : "+v"(acc[i]));
		}
	return 1e6 * 12 * (floats ? 16 : 64) / (now() - start);
}

/* A linear of K inputs, of codes or of floats; all rows, all panels. */
typedef void Run(float *, const void *, const float *, const void *, const float *, const float *,
	const int32_t *, int, int, void *);
#define PARAMETERS \
	float *out, const void *x, const float *s, const void *w, const float *ws, const float *bias, \
		const int32_t *sums, int rows, int N, void *scratch
#define ACT(K) (N == 4 * K ? RT_ACT_GELU : RT_ACT_NONE)
#define LINEAR_I8(K, isa, TARGET, panel) \
	__attribute__((noinline)) TARGET static void i8_##isa##_dense_##K(PARAMETERS) \
	{ \
		linear_i8__##isa(out, x, s, w, ws, bias, sums, 0, rows, 0, N / panel, K, N, ACT(K), scratch); \
	} \
	__attribute__((noinline)) TARGET static void i8_##isa##_sparse_##K(PARAMETERS) \
	{ \
		linear_i8_sparse__##isa( \
			out, x, s, w, ws, bias, sums, 0, rows, 0, N / SPARSE_PANEL, K, N, ACT(K), scratch); \
	}
#define LINEAR_F32(K, isa, TARGET, panel) \
	__attribute__((noinline)) TARGET static void f32_##isa##_dense_##K(PARAMETERS) \
	{ \
		(void)s, (void)ws, (void)sums, (void)scratch; \
		linear_f32__##isa(out, x, w, bias, 0, rows, 0, N / panel, K, N, ACT(K)); \
	} \
	__attribute__((noinline)) TARGET static void f32_##isa##_sparse_##K(PARAMETERS) \
	{ \
		(void)s, (void)ws, (void)sums; \
		linear_f32_sparse__##isa(out, x, w, bias, 0, rows, 0, N / SPARSE_PANEL, K, N, ACT(K), scratch); \
	}
#define INPUTS(LINEAR, isa, TARGET, panel) \
	LINEAR(384, isa, TARGET, panel) \
	LINEAR(1536, isa, TARGET, panel) LINEAR(768, isa, TARGET, panel) LINEAR(3072, isa, TARGET, panel)
// clang-format off
INPUTS(LINEAR_I8, scalar, RT_TARGET_NONE, 8)
INPUTS(LINEAR_I8, avx2, RT_TARGET_AVX2, 16)
INPUTS(LINEAR_I8, avxvnni, RT_TARGET_AVXVNNI, 16)
INPUTS(LINEAR_I8, avx512, RT_TARGET_AVX512, 32)
INPUTS(LINEAR_I8, avx512vnni, RT_TARGET_AVX512VNNI, 32)
INPUTS(LINEAR_F32, scalar, RT_TARGET_NONE, 8)
INPUTS(LINEAR_F32, avx2, RT_TARGET_AVX2, 16)
INPUTS(LINEAR_F32, avx512, RT_TARGET_AVX512, 32)
// clang-format on

enum { DENSE, SPARSE };
typedef struct Kernels {
	const char *name;
	bool floats;
	int panel, group;
	Run *run[2][4];
} Kernels; /* of 384, 1536, 768 and 3072 inputs */
#define KERNELS(type, isa, panel, group) \
	{ \
		#type "_" #isa, group == 1, panel, group, \
		{ \
			{type##_##isa##_dense_384, type##_##isa##_dense_1536, type##_##isa##_dense_768, \
				type##_##isa##_dense_3072}, \
			{ \
				type##_##isa##_sparse_384, type##_##isa##_sparse_1536, type##_##isa##_sparse_768, \
					type##_##isa##_sparse_3072 \
			} \
		} \
	}
static const Kernels kernels[] = {
	KERNELS(i8, avx512vnni, 32, 4),
	KERNELS(i8, avx512, 32, 2),
	KERNELS(i8, avxvnni, 16, 4),
	KERNELS(i8, avx2, 16, 2),
	KERNELS(i8, scalar, 8, 4),
	KERNELS(f32, avx512, 32, 1),
	KERNELS(f32, avx2, 16, 1),
	KERNELS(f32, scalar, 8, 1),
};

enum {
	TOKENS_MAX = 256,
	LAYERS = 6
}; /* of their own weights each: no cache holds them all, and no branch predictor their counts */
typedef struct Shape {
	int inputs, K, N;
	void *weights[2][LAYERS];
	int64_t bytes;
	double left, time[2];
} Shape;
static Shape shapes[2][4] = {
	{{.inputs = 0, 384, 1152}, {.inputs = 0, 384, 384}, {.inputs = 0, 384, 1536}, {.inputs = 1, 1536, 384}},
	{{.inputs = 2, 768, 2304}, {.inputs = 2, 768, 768}, {.inputs = 2, 768, 3072}, {.inputs = 3, 3072, 768}},
};
static const char *const models[2] = {"MiniLM-L6", "BERT-base"};

static uint64_t seed = 1;
static uint32_t draw(void)
{
	return (uint32_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33);
}

static void *need(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 4096) / 64 * 64);
	if (!p)
		abort();
	memset(p, 0, (bytes + 4096) / 64 * 64);
	return p;
}

/* Draws the weights and lays them out both ways. */
static void shape_make(const Kernels *kernel, Shape *shape, int layer, double sparsity, int fours)
{
	const int K = shape->K, N = shape->N, panel = kernel->panel, group = kernel->group;
	const size_t size = kernel->floats ? 4 : 1;
	char *plain = need((size_t)K * (size_t)N * size), *packed = need((size_t)K * (size_t)N * size);
	for (int n = 0, zero = 0; n < N; n++)
		for (int k = 0; k < K; k++) {
			zero = fours && k % 4 ? zero : draw() % 1000000 < sparsity * 1e6;
			const int8_t code = zero ? 0 : (int8_t)((int)(draw() % 254) - 127);
			const float real = (float)code / 1000;
			memcpy(plain + (size_t)(n * K + k) * size, kernel->floats ? (const void *)&real : &code, size);
			memcpy(packed
					+ (size_t)(((n / panel * (K / group) + k / group) * panel + n % panel) * group
						  + k % group)
						* size,
				kernel->floats ? (const void *)&real : &code, size);
		}
	Tensor tensor = {.data = plain,
		.type = {.dtype = kernel->floats ? DT_F32 : DT_I8, .rank = 2, .dim = {{.plus = N}, {.plus = K}}}};
	shape->bytes = sparse_pack(&tensor, NULL);
	shape->left = sparse_left(&tensor);
	shape->weights[SPARSE][layer] = need((size_t)shape->bytes);
	sparse_pack(&tensor, shape->weights[SPARSE][layer]);
	shape->weights[DENSE][layer] = packed;
	free(plain);
}

static float *vectors, *out[2];
static void *codes, *reals;
static int32_t *sums;
static void *scratch;

static void run(const Kernels *kernel, int which, const Shape *s, int layer, int tokens)
{
	kernel->run[which][s->inputs](out[which], kernel->floats ? reals : codes, vectors,
		s->weights[which][layer], vectors, vectors, sums, tokens, s->N, scratch);
}

/* Every bit of codes; of floats, which are added in another order, nearly. */
static void compare(const Kernels *kernel, const Shape *s, int tokens)
{
	for (int i = 0; i < tokens * s->N; i++)
		if (kernel->floats ? fabsf(out[0][i] - out[1][i]) > 1e-3f : memcmp(&out[0][i], &out[1][i], 4) != 0) {
			fprintf(stderr, "bench_sparse: K=%d N=%d, %d tokens: the results differ\n", s->K, s->N, tokens);
			exit(1);
		}
}

/* All layers one after another, dense and sparse by turns. */
static void measure(const Kernels *kernel, Shape layer[4], int tokens)
{
	for (int i = 0; i < 4; i++)
		layer[i].time[0] = layer[i].time[1] = 1e9;
	for (int r = 0; r < 20; r++)
		for (int which = 0; which < 2; which++) {
			double sum[4] = {0};
			for (int l = 0; l < LAYERS; l++)
				for (int i = 0; i < 4; i++) {
					const double start = now();
					run(kernel, which, &layer[i], l, tokens);
					sum[i] += now() - start;
					if (which && r == 0) {
						run(kernel, DENSE, &layer[i], l, tokens);
						compare(kernel, &layer[i], tokens);
					}
				}
			for (int i = 0; i < 4; i++)
				layer[i].time[which] = fmin(layer[i].time[which], sum[i]);
		}
}

static void table(const Kernels *kernel, double sparsity, int fours)
{
	static const int tokens[] = {1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256};
	for (int m = 0; m < 2; m++) {
		int64_t bytes = 0, weights = 0;
		double left = 0;
		for (Shape *s = shapes[m]; s < shapes[m] + 4; s++) {
			for (int l = 0; l < LAYERS; l++)
				shape_make(kernel, s, l, sparsity, fours);
			bytes += s->bytes;
			weights += (int64_t)s->K * s->N;
			left += s->left * s->K * s->N;
		}
		printf("\n%s: %s, %.0f %% of the weights zero%s, %.1f %% of the words not: %.2fx smaller than f32\n"
			   "%7s %9s %9s  dense/sparse: all; q k v; out; ffn in, gelu; ffn out\n",
			kernel->name, models[m], 100 * sparsity, fours ? ", by fours" : "", 100 * left / (double)weights,
			4.0 * (double)weights / (double)bytes, "tokens", "of peak", "as dense");
		for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++) {
			double sum[2] = {0}, most = peak(kernel->floats);
			measure(kernel, shapes[m], tokens[t]);
			for (Shape *s = shapes[m]; s < shapes[m] + 4; s++) {
				sum[0] += s->time[0];
				sum[1] += s->time[1];
			}
			printf("%7d %9.2f %9.2f  %.2f;", tokens[t], LAYERS * (double)weights * tokens[t] / sum[0] / most,
				LAYERS * (double)weights * tokens[t] / sum[1] / most, sum[0] / sum[1]);
			for (Shape *s = shapes[m]; s < shapes[m] + 4; s++)
				printf(" %.2f", s->time[0] / s->time[1]);
			puts("");
		}
		for (Shape *s = shapes[m]; s < shapes[m] + 4; s++)
			for (int l = 0; l < LAYERS; l++)
				free(s->weights[DENSE][l]), free(s->weights[SPARSE][l]);
	}
}

int main(int argc, char **argv)
{
	enum { KINDS = sizeof kernels / sizeof *kernels };
	bool chosen[KINDS] = {false}, any = false;
	double sparsity[16];
	int fours[16] = {0}, count = 0;
	for (int i = 1; i < argc; i++) {
		int k = 0;
		while (k < KINDS && strcmp(kernels[k].name, argv[i]))
			k++;
		if (k < KINDS)
			any = chosen[k] = true;
		else if (count < 16) {
			fours[count] = strstr(argv[i], "x4") != NULL;
			sparsity[count++] = strtod(argv[i], NULL);
		}
	}
	chosen[0] |= !any;
	if (!count) {
		sparsity[0] = 0.9;
		sparsity[1] = sparsity[2] = 0.97;
		fours[2] = 1;
		count = 3;
	}
	for (int i = 0; i < 2; i++)
		out[i] = need(TOKENS_MAX * 3072 * 4);
	codes = need(TOKENS_MAX * 3072);
	reals = need(TOKENS_MAX * 3072 * 4);
	vectors = need(4096 * 4);
	sums = need(4096 * 4);
	scratch = need(256 * 3072);
	for (int i = 0; i < TOKENS_MAX * 3072; i++) {
		((int8_t *)codes)[i] = (int8_t)((int)(draw() % 255) - 127);
		((float *)reals)[i] = (float)(int)(draw() % 2001) / 1000 - 1;
	}
	for (int i = 0; i < 4096; i++)
		vectors[i] = 0.001f * (float)(i % 7 + 1);
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < count && chosen[k]; i++)
			table(&kernels[k], sparsity[i], fours[i]);
	return 0;
}
