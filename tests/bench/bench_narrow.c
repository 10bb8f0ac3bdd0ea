/* bench_narrow.c: the AVX-512 linears in f32, bf16 and int8 as fractions of what the core can multiply, and
 * of what it can read from memory at 8 tokens of BERT-base; both are measured in the same run, before and
 * after. Not a test.
 *
 *   clang-19 -O3 -std=c17 -D_GNU_SOURCE tests/bench/bench_narrow.c -lm -o bench_narrow && ./bench_narrow
 *
 * The linears are those of MiniLM-L6 and BERT-base with literal dimensions, as the emitter prints them;
 * weights of all layers lie one after another as in a program. Minimum CPU time of several runs; the epilogue
 * (scales, bias, GELU) is in the time, not in the products. */
#if !defined(__x86_64__)
#error "needs an x86-64 CPU with AVX-512, VNNI and BF16"
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "runtime/rt.h"
#include "runtime/kernels/linear__avx512.c"
#include "runtime/kernels/linear_dotbf16__avx512bf16.c"
#include "runtime/kernels/linear_i8__avx512vnni.c"

static double now(void) /* CPU time: other programs' turns do not count */
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- limits of the core: products a second, bytes a second ----------------------------------- */
enum { F32, BF16, I8, TYPES };
static const char *const type_names[TYPES] = {"f32", "bf16", "int8"};
static const int type_bytes[TYPES] = {4, 2, 1};

#define PEAK(name, target, T, zero, op, products) \
	target static double peak_##name(void) \
	{ \
		T acc[12]; \
		for (int i = 0; i < 12; i++) \
			acc[i] = zero; \
		double start = now(); \
		for (int n = 0; n < 1000000; n++) \
			RT_UNROLL_FULL for (int i = 0; i < 12; i++) \
			{ \
				op; \
				__asm__ volatile("" : "+v"(acc[i])); \
			} \
		return 1e6 * 12 * products / (now() - start); \
	}
PEAK(f32, RT_TARGET_AVX512, __m512, _mm512_setzero_ps(),
	acc[i] = _mm512_fmadd_ps(acc[i], _mm512_set1_ps(0.5f), acc[i]), 16)
PEAK(bf16, RT_TARGET_AVX512BF16, __m512, _mm512_setzero_ps(),
	acc[i] = _mm512_dpbf16_ps(
		acc[i], (__m512bh)_mm512_set1_epi32(0x3f803f80), (__m512bh)_mm512_set1_epi32(0x3f803f80)),
	32)
PEAK(i8, RT_TARGET_AVX512VNNI, __m512i, _mm512_setzero_si512(),
	acc[i] = _mm512_dpbusd_epi32(acc[i], _mm512_set1_epi8(1), _mm512_set1_epi8(1)), 64)

RT_TARGET_AVX512 static double read_speed(const char *memory, size_t bytes)
{
	__m512i sum[4] = {
		_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
	double start = now();
	for (size_t i = 0; i < bytes; i += 256)
		RT_UNROLL_FULL for (int j = 0; j < 4; j++) sum[j] = _mm512_xor_si512(
			sum[j], _mm512_load_si512((const void *)(memory + i + 64 * j)));
	double seconds = now() - start;
	RT_UNROLL_FULL for (int j = 0; j < 4; j++) __asm__ volatile("" : : "v"(sum[j]));
	return (double)bytes / seconds;
}

static double best_of(double (*fn)(void), double best)
{
	for (int i = 0; i < 5; i++) {
		double got = fn();
		best = got > best ? got : best;
	}
	return best;
}

/* ---- linears --------------------------------------------------------------------------------- */
typedef void Run(float *out, const void *x, const void *w, const float *v, int rows, void *scratch);
#define LINEAR(K, N, act) \
	__attribute__((noinline)) RT_TARGET_AVX512 static void f32_##K##_##N( \
		float *out, const void *x, const void *w, const float *v, int rows, void *scratch) \
	{ \
		(void)scratch; \
		linear_f32__avx512(out, x, w, v, 0, rows, 0, (N) / 32, K, N, act); \
	} \
	__attribute__((noinline)) RT_TARGET_AVX512BF16 static void bf16_##K##_##N( \
		float *out, const void *x, const void *w, const float *v, int rows, void *scratch) \
	{ \
		linear_dotbf16__avx512bf16(out, x, w, v, 0, rows, 0, (N) / 32, K, N, act, scratch); \
	} \
	__attribute__((noinline)) RT_TARGET_AVX512VNNI static void i8_##K##_##N( \
		float *out, const void *x, const void *w, const float *v, int rows, void *scratch) \
	{ \
		linear_i8__avx512vnni( \
			out, x, v, w, v, v, (const int32_t *)(const void *)v, 0, rows, 0, (N) / 32, K, N, act, scratch); \
	}
LINEAR(384, 1152, RT_ACT_NONE)
LINEAR(384, 384, RT_ACT_NONE)
LINEAR(384, 1536, RT_ACT_GELU)
LINEAR(1536, 384, RT_ACT_NONE)
LINEAR(768, 2304, RT_ACT_NONE)
// clang-format off
LINEAR(768, 768, RT_ACT_NONE)
LINEAR(768, 3072, RT_ACT_GELU)
LINEAR(3072, 768, RT_ACT_NONE)
// clang-format on
#define SHAPE(K, N, label) \
	{ \
		K, N, label, { f32_##K##_##N, bf16_##K##_##N, i8_##K##_##N } \
	}
typedef struct Shape {
	int K, N;
	const char *label;
	Run *run[TYPES];
} Shape;
static const Shape shapes[2][4] = {
	{SHAPE(384, 1152, "q k v"), SHAPE(384, 384, "out"), SHAPE(384, 1536, "ffn in, gelu"),
		SHAPE(1536, 384, "ffn out")},
	{SHAPE(768, 2304, "q k v"), SHAPE(768, 768, "out"), SHAPE(768, 3072, "ffn in, gelu"),
		SHAPE(3072, 768, "ffn out")},
};
static const char *const models[2] = {"MiniLM-L6", "BERT-base"};
static const int layers[2] = {6, 12};
enum { TOKENS_MAX = 128, WEIGHTS_BYTES = 12 * 768 * (2304 + 768 + 2 * 3072) * 4 };

static char *weights;
static float *x, *out, *vectors;
static void *scratch;

/* Seconds of each shape over all layers, and in [4] of all: the least of `repeat` runs. */
static void measure(int model, int type, int tokens, int repeat, double least[5])
{
	for (int i = 0; i < 5; i++)
		least[i] = 1e9;
	for (int r = 0; r < repeat; r++) {
		double sum[5] = {0};
		const char *w = weights;
		for (int l = 0; l < layers[model]; l++)
			for (int s = 0; s < 4; s++) {
				const Shape *shape = &shapes[model][s];
				double start = now();
				shape->run[type](out, x, w, vectors, tokens, scratch);
				sum[s] += now() - start;
				w += (size_t)shape->K * (size_t)shape->N * (size_t)type_bytes[type];
			}
		sum[4] = sum[0] + sum[1] + sum[2] + sum[3];
		for (int i = 0; i < 5; i++)
			least[i] = sum[i] < least[i] ? sum[i] : least[i];
	}
}

int main(void)
{
	static const int tokens[] = {8, 16, 32, 128};
	double peak[TYPES], read = 0, least[5];
	weights = aligned_alloc(2 << 20, (WEIGHTS_BYTES + 4096 + (2 << 20) - 1) >> 21 << 21);
	x = aligned_alloc(64, TOKENS_MAX * 3072 * 4);
	out = aligned_alloc(64, TOKENS_MAX * 3072 * 4);
	vectors = aligned_alloc(64, 4096 * 4);
	scratch = aligned_alloc(64, 96 * 3072);
	if (!weights || !x || !out || !vectors || !scratch)
		return 1;
	madvise(weights, WEIGHTS_BYTES, MADV_HUGEPAGE);   /* a program's file lies in large pages too */
	for (size_t i = 0; i < WEIGHTS_BYTES + 4096; i++) /* as f32 and bf16 small numbers, as int8 any */
		weights[i] = (char)(i % 4 == 3 || i % 2 ? 0x3a : (i * 2654435761u >> 24 & 0x7f));
	for (int i = 0; i < TOKENS_MAX * 3072; i++)
		x[i] = (float)(i % 997) * 0.002f - 1.0f;
	for (int i = 0; i < 4096; i++)
		vectors[i] = 0.001f;
	for (int pass = 0; pass < 2; pass++) {
		peak[F32] = best_of(peak_f32, pass ? peak[F32] : 0);
		peak[BF16] = best_of(peak_bf16, pass ? peak[BF16] : 0);
		peak[I8] = best_of(peak_i8, pass ? peak[I8] : 0);
		for (int i = 0; i < 3; i++)
			read = fmax(read, read_speed(weights, 256 << 20));
		if (pass)
			break;
		printf("peaks: f32 %.1f, bf16 %.1f, int8 %.1f billion products a second; reading 256 MB: %.1f "
			   "GB/s\n\n",
			peak[F32] * 1e-9, peak[BF16] * 1e-9, peak[I8] * 1e-9, read * 1e-9);
		printf("%-10s %-5s %7s %9s  fractions of peak: all linears; %s; %s; %s; %s\n", "model", "type",
			"tokens", "ms", shapes[0][0].label, shapes[0][1].label, shapes[0][2].label, shapes[0][3].label);
		for (int model = 0; model < 2; model++)
			for (int type = 0; type < TYPES; type++)
				for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++) {
					double all = 0;
					const int runs = tokens[t] < 32 ? 200 : 60;
					measure(model, type, tokens[t], model ? 12 : runs, least);
					for (int s = 0; s < 4; s++)
						all += (double)shapes[model][s].K * shapes[model][s].N * layers[model];
					printf("%-10s %-5s %7d %9.3f  %.2f ", models[model], type_names[type], tokens[t],
						least[4] * 1e3, all * tokens[t] / least[4] / peak[type]);
					for (int s = 0; s < 4; s++)
						printf(" %.2f",
							(double)shapes[model][s].K * shapes[model][s].N * layers[model] * tokens[t]
								/ least[s] / peak[type]);
					if (tokens[t] == 8)
						printf("   weights at %.1f GB/s, %.2f of reading",
							all * type_bytes[type] / least[4] * 1e-9,
							all * type_bytes[type] / least[4] / read);
					putchar('\n');
				}
	}
	printf("\npeaks again: f32 %.1f, bf16 %.1f, int8 %.1f; reading %.1f GB/s\n", peak[F32] * 1e-9,
		peak[BF16] * 1e-9, peak[I8] * 1e-9, read * 1e-9);
	return 0;
}
