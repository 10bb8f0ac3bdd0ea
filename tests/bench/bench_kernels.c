/* bench_kernels.c: how fast the x86-64 kernels are, as fractions of the FMA peak measured in the same run.
 * Not a test.
 *
 *   clang-19 -O3 -std=c17 -D_GNU_SOURCE tests/bench/bench_kernels.c -lm -o bench_kernels && ./bench_kernels
 * [tokens ..]
 *
 * Linear layers are MiniLM-L6's (hidden 384, 6 layers) with literal dimensions, as the emitter prints them,
 * and with weights that lie one after another as in a program, so that small numbers of tokens pay for
 * reading them. Minimum CPU time of several runs. SCALAR=1 times the scalar kernels as well. */
#if !defined(__x86_64__)
#error "needs an x86-64 CPU: elsewhere kernels run under an emulator, whose times say nothing"
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "runtime/rt.h"
#include "runtime/kernels/linear__scalar.c"
#include "runtime/kernels/linear__avx2.c"
#include "runtime/kernels/linear__avx512.c"
#include "runtime/kernels/attention__scalar.c"
#include "runtime/kernels/attention__avx2.c"
#include "runtime/kernels/attention__avx512.c"
#include "runtime/kernels/layernorm__scalar.c"
#include "runtime/kernels/layernorm__avx2.c"
#include "runtime/kernels/layernorm__avx512.c"
#include "runtime/kernels/activation__scalar.c"
#include "runtime/kernels/activation__avx2.c"
#include "runtime/kernels/activation__avx512.c"

enum { LAYERS = 6, H = 384, HEADS = 12, FFN = 1536, MAX_TOKENS = 512, SHAPES = 4 };

static double now(void) /* CPU time: other programs' turns do not count */
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- one set of wrappers an ISA -------------------------------------------------------------- */
typedef void LinearRun(float *, const float *, const void *, const float *, int rows);
typedef void AttentionRun(float *, const float *qkv, int tokens, void *scratch);
typedef void LayernormRun(float *, const float *, const float *, const float *, const float *, int rows);
typedef void ActivationRun(float *, const float *, int rows);
typedef struct Set {
	const char *name;
	int panel;
	LinearRun *linear[3][SHAPES]; /* f32, f16, bf16; QKV, output, FFN in, FFN out */
	AttentionRun *attention;
	LayernormRun *layernorm;
	ActivationRun *gelu;
} Set;
static const int shape[SHAPES][2] = {{H, 3 * H}, {H, H}, {H, FFN}, {FFN, H}};

#define LINEAR(isa, target, dt, NR, label, K, N, act) \
	target static void linear_##dt##_##isa##_##label( \
		float *out, const float *x, const void *w, const float *bias, int rows) \
	{ \
		linear_##dt##__##isa(out, x, w, bias, 0, rows, 0, ((N) + NR - 1) / NR, K, N, act); \
	}
#define LINEARS(isa, target, dt, NR) \
	LINEAR(isa, target, dt, NR, qkv, H, 3 * H, RT_ACT_NONE) \
	LINEAR(isa, target, dt, NR, o, H, H, RT_ACT_NONE) \
	LINEAR(isa, target, dt, NR, in, H, FFN, RT_ACT_GELU) \
	LINEAR(isa, target, dt, NR, out, FFN, H, RT_ACT_NONE)
#define NAMES(isa, dt) \
	{linear_##dt##_##isa##_qkv, linear_##dt##_##isa##_o, linear_##dt##_##isa##_in, linear_##dt##_##isa##_out}
#define SET(isa, target, NR) \
	LINEARS(isa, target, f32, NR) \
	LINEARS(isa, target, f16, NR) \
	LINEARS(isa, target, bf16, NR) \
	target static void attention_##isa(float *out, const float *qkv, int tokens, void *scratch) \
	{ \
		attention_f32__##isa(out, qkv, qkv + H, qkv + 2 * H, tokens, tokens, HEADS, H / HEADS, 3 * H, 3 * H, \
			3 * H, 0, HEADS, 1.0f, scratch); \
	} \
	target static void layernorm_##isa( \
		float *out, const float *x, const float *y, const float *gamma, const float *beta, int rows) \
	{ \
		add_layernorm_f32__##isa(out, x, y, gamma, beta, 0, rows, H, 1e-12f); \
	} \
	target static void gelu_##isa(float *out, const float *x, int rows) \
	{ \
		activation_f32__##isa(out, x, 0, rows, FFN, RT_ACT_GELU); \
	} \
	static const Set set_##isa = {#isa, NR, {NAMES(isa, f32), NAMES(isa, f16), NAMES(isa, bf16)}, \
		attention_##isa, layernorm_##isa, gelu_##isa};

SET(scalar, __attribute__((noinline)), 8)
SET(avx2, __attribute__((noinline)) RT_TARGET_AVX2, 16)
SET(avx512, __attribute__((noinline)) RT_TARGET_AVX512, 32)

RT_TARGET_AVX512 static double peak_avx512(void)
{
	__m512 acc[12];
	for (int i = 0; i < 12; i++)
		acc[i] = _mm512_set1_ps((float)i);
	double start = now();
	for (int n = 0; n < 400000; n++)
		for (int i = 0; i < 12; i++) {
			acc[i] = _mm512_fmadd_ps(acc[i], _mm512_set1_ps(0.999f), _mm512_set1_ps(0.001f));
			__asm__ volatile("" : "+v"(acc[i]));
		}
	return 400000.0 * 12 * 32 / (now() - start);
}

RT_TARGET_AVX2 static double peak_avx2(void)
{
	__m256 acc[12];
	for (int i = 0; i < 12; i++)
		acc[i] = _mm256_set1_ps((float)i);
	double start = now();
	for (int n = 0; n < 400000; n++)
		for (int i = 0; i < 12; i++) {
			acc[i] = _mm256_fmadd_ps(acc[i], _mm256_set1_ps(0.999f), _mm256_set1_ps(0.001f));
			__asm__ volatile("" : "+x"(acc[i]));
		}
	return 400000.0 * 12 * 16 / (now() - start);
}

/* ---- measuring ------------------------------------------------------------------------------- */
static double peak; /* FLOP/s */
static float *x, *y, *z;
static void *weights, *scratch;

static void measure_peak(double (*fn)(void))
{
	for (int i = 0; fn && i < 5; i++) {
		double got = fn();
		peak = got > peak ? got : peak;
	}
}

static void fill(float *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (float)(i * 2654435761u % 1000) * 0.002f - 1.0f;
}

/* Minimum seconds of each linear shape, 6 layers each, of all in turn. */
static void bench_linears(const Set *set, int dtype, int tokens, double best[SHAPES + 1])
{
	for (int s = 0; s <= SHAPES; s++)
		best[s] = 1e9;
	for (int rep = 0; rep < 4 + 400 / tokens; rep++) {
		const char *w = weights;
		double spent[SHAPES + 1] = {0};
		for (int layer = 0; layer < LAYERS; layer++)
			for (int s = 0; s < SHAPES; s++) {
				double start = now();
				set->linear[dtype][s](y, x, w, z, tokens);
				spent[s] += now() - start;
				w += (size_t)shape[s][0] * (size_t)shape[s][1] * (dtype ? 2 : 4);
			}
		for (int s = 0; s < SHAPES; s++)
			spent[SHAPES] += spent[s];
		for (int s = 0; s <= SHAPES; s++)
			best[s] = spent[s] < best[s] ? spent[s] : best[s];
	}
}

static void bench_set(const Set *set, double (*peak_fn)(void), int tokens)
{
	static const char *const dtypes[] = {"f32", "f16", "bf16"};
	double linears[3] = {0}, rest[3] = {1e9, 1e9, 1e9};
	measure_peak(peak_fn);
	for (int dtype = 0; dtype < 3; dtype++) {
		double best[SHAPES + 1], flops = 0;
		bench_linears(set, dtype, tokens, best);
		printf("%-7s %-4s %4d tokens:", set->name, dtypes[dtype], tokens);
		for (int s = 0; s < SHAPES; s++) {
			double f = 2.0 * LAYERS * shape[s][0] * shape[s][1] * tokens;
			flops += f;
			printf("  %dx%d %.0f%%", shape[s][0], shape[s][1], 100 * f / best[s] / peak);
		}
		printf("  all %.3f ms, %.1f GFLOP/s, %.0f%% of peak\n", best[SHAPES] * 1e3,
			flops / best[SHAPES] * 1e-9, 100 * flops / best[SHAPES] / peak);
		linears[dtype] = best[SHAPES];
	}
	fill(x, (size_t)tokens * 3 * H);
	for (int rep = 0; rep < 10; rep++) {
		double start = now(), spent;
		for (int i = 0; i < LAYERS; i++)
			set->attention(y, x, tokens, scratch);
		spent = now() - start;
		rest[0] = spent < rest[0] ? spent : rest[0];
		start = now();
		for (int i = 0; i < 2 * LAYERS; i++)
			set->layernorm(y, x, x + H, z, z, tokens);
		spent = now() - start;
		rest[1] = spent < rest[1] ? spent : rest[1];
		start = now();
		for (int i = 0; i < LAYERS; i++)
			set->gelu(y, x, tokens);
		spent = now() - start;
		rest[2] = spent < rest[2] ? spent : rest[2];
	}
	printf("%-7s      %4d tokens:  attention %.3f ms, %.0f%% of peak  layernorm %.3f ms  (gelu alone %.3f "
		   "ms)  "
		   "model f32 %.3f f16 %.3f bf16 %.3f ms\n",
		set->name, tokens, rest[0] * 1e3, 100 * 4.0 * LAYERS * H * tokens * tokens / rest[0] / peak,
		rest[1] * 1e3, rest[2] * 1e3, (linears[0] + rest[0] + rest[1]) * 1e3,
		(linears[1] + rest[0] + rest[1]) * 1e3, (linears[2] + rest[0] + rest[1]) * 1e3);
}

int main(int argc, char **argv)
{
	static const int usual[] = {1, 8, 16, 32, 128};
	size_t total = 0;
	for (int s = 0; s < SHAPES; s++)
		total += (size_t)LAYERS * (size_t)shape[s][0] * (size_t)shape[s][1];
	x = aligned_alloc(64, (size_t)MAX_TOKENS * FFN * 4 + 4096);
	y = aligned_alloc(64, (size_t)MAX_TOKENS * FFN * 4);
	z = aligned_alloc(64, 4 * FFN * 4);
	scratch = aligned_alloc(64, 1 << 20);
	weights = aligned_alloc(64, total * 4);
	fill(x, (size_t)MAX_TOKENS * FFN + 1024);
	fill(z, 4 * FFN);
	memset(weights, 0x3c, total * 4); /* near 1 as f16, 0.01 as f32 and bf16 */
	for (int i = 0; i < (argc > 1 ? argc - 1 : 5); i++) {
		int tokens = argc > 1 ? atoi(argv[i + 1]) : usual[i];
		if (tokens < 1 || tokens > MAX_TOKENS) {
			fprintf(stderr, "bench_kernels: %s: 1 to %d tokens\n", argv[i + 1], MAX_TOKENS);
			return 2;
		}
		if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
			bench_set(&set_avx512, peak_avx512, tokens);
		if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
			bench_set(&set_avx2, peak_avx2, tokens);
		if (getenv("SCALAR"))
			bench_set(&set_scalar, NULL, tokens);
	}
	printf("FMA peak of one core: %.1f GFLOP/s\n", peak * 1e-9);
	return 0;
}
