/* bench_sparse.c: the sparse int8 linear against the dense one on the same weights, of which a share is zero, and both against what the core
 * can multiply. Not a test.
 *
 *   clang-19 -O3 -std=gnu17 tests/bench/bench_sparse.c -lm -o bench_sparse && ./bench_sparse [SPARSITY[x4] ..]
 *
 * The linears of six layers of MiniLM-L6 and of BERT-base, with literal inputs as the emitter prints them. Zeros are drawn weight by weight,
 * which leaves most quads: 1 - SPARSITY^4 of them; with x4 four at a time (sparsify{structure=1x4}). Minimum CPU time of several runs by turns; results must be equal in every bit. */
#if !defined(__x86_64__)
#error "needs an x86-64 CPU with AVX-512 and VNNI"
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "../../runtime/rt.h"
#include "../../runtime/kernels/linear_i8__avx512vnni.c"
#include "../../runtime/kernels/linear_i8_sparse__avx512vnni.c"
#include "../../ir/sparse.c"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

RT_TARGET_AVX512VNNI static double peak(void)
{
	__m512i acc[12];
	for (int i = 0; i < 12; i++)
		acc[i] = _mm512_setzero_si512();
	double start = now();
	for (int n = 0; n < 1000000; n++)
		RT_UNROLL_FULL for (int i = 0; i < 12; i++) {
			acc[i] = _mm512_dpbusd_epi32(acc[i], _mm512_set1_epi8(1), _mm512_set1_epi8(1));
			__asm__ volatile("" : "+v"(acc[i]));
		}
	return 1e6 * 12 * 64 / (now() - start);
}

typedef void Run(float *, const int8_t *, const float *, const void *, const float *, const float *, const int32_t *, int, int, void *);
#define LINEAR(K) \
	__attribute__((noinline)) RT_TARGET_AVX512VNNI static void dense_##K(float *out, const int8_t *q, const float *s, const void *w, \
		const float *ws, const float *bias, const int32_t *sums, int rows, int N, void *scratch) \
	{ linear_i8__avx512vnni(out, q, s, w, ws, bias, sums, 0, rows, 0, N / 32, K, N, N == 4 * K ? RT_ACT_GELU : RT_ACT_NONE, scratch); } \
	__attribute__((noinline)) RT_TARGET_AVX512VNNI static void sparse_##K(float *out, const int8_t *q, const float *s, const void *w, \
		const float *ws, const float *bias, const int32_t *sums, int rows, int N, void *scratch) \
	{ linear_i8_sparse__avx512vnni(out, q, s, w, ws, bias, sums, 0, rows, 0, N / 16, K, N, N == 4 * K ? RT_ACT_GELU : RT_ACT_NONE, scratch); }
LINEAR(384) LINEAR(1536) LINEAR(768) LINEAR(3072)

enum { TOKENS_MAX = 256, LAYERS = 6 };   /* of their own weights each: no cache holds them all, and no branch predictor their counts */
typedef struct Shape { int K, N; Run *dense, *sparse; void *packed[LAYERS], *rows[LAYERS]; int64_t bytes; double time[2]; } Shape;
#define SHAPE(k, n) { .K = k, .N = n, .dense = dense_##k, .sparse = sparse_##k }
static Shape shapes[2][4] = {
	{ SHAPE(384, 1152), SHAPE(384, 384), SHAPE(384, 1536), SHAPE(1536, 384) },
	{ SHAPE(768, 2304), SHAPE(768, 768), SHAPE(768, 3072), SHAPE(3072, 768) },
};
static const char *const models[2] = { "MiniLM-L6", "BERT-base" };

static uint64_t seed = 1;
static uint32_t draw(void) { return (uint32_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33); }

static void *need(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 4096) / 64 * 64);
	if (!p)
		abort();
	memset(p, 0, (bytes + 4096) / 64 * 64);
	return p;
}

/* Draws the weights and lays them out both ways. */
static void shape_make(Shape *shape, int layer, double sparsity, int group)
{
	const int K = shape->K, N = shape->N;
	int8_t *codes = need((size_t)K * (size_t)N), *packed = need((size_t)K * (size_t)N);
	for (int n = 0, zero = 0; n < N; n++)
		for (int k = 0; k < K; k++) {
			zero = k % group ? zero : draw() % 1000000 < sparsity * 1e6;
			const int8_t code = zero ? 0 : (int8_t)((int)(draw() % 254) - 127);
			codes[n * K + k] = code;
			packed[((n / 32 * (K / 4) + k / 4) * 32 + n % 32) * 4 + k % 4] = code;
		}
	Tensor tensor = { .data = codes, .type = { .dtype = DT_I8, .rank = 2, .dim = { { .plus = N }, { .plus = K } } } };
	shape->bytes = sparse_pack(&tensor, NULL);
	shape->rows[layer] = need((size_t)shape->bytes);
	sparse_pack(&tensor, shape->rows[layer]);
	shape->packed[layer] = packed;
	free(codes);
}

static float *vectors, *out[2];
static int8_t *q;
static int32_t *sums;
static void *scratch;

/* All layers one after another, dense and sparse by turns. */
static void measure(Shape layer[4], int tokens)
{
	for (int i = 0; i < 4; i++)
		layer[i].time[0] = layer[i].time[1] = 1e9;
	for (int r = 0; r < 20; r++)
		for (int which = 0; which < 2; which++) {
			double sum[4] = {0};
			for (int l = 0; l < LAYERS; l++)
				for (int i = 0; i < 4; i++) {
					const Shape *s = &layer[i];
					const double start = now();
					(which ? s->sparse : s->dense)(out[which], q, vectors, which ? s->rows[l] : s->packed[l], vectors, vectors, sums, tokens, s->N,
						scratch);
					sum[i] += now() - start;
					if (which && r == 0) {
						s->dense(out[0], q, vectors, s->packed[l], vectors, vectors, sums, tokens, s->N, scratch);
						if (memcmp(out[0], out[1], (size_t)tokens * (size_t)s->N * 4)) {
							fprintf(stderr, "bench_sparse: K=%d N=%d, %d tokens: the results differ\n", s->K, s->N, tokens);
							exit(1);
						}
					}
				}
			for (int i = 0; i < 4; i++)
				layer[i].time[which] = fmin(layer[i].time[which], sum[i]);
		}
}

static void table(double sparsity, int group)
{
	static const int tokens[] = { 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256 };
	for (int m = 0; m < 2; m++) {
		int64_t bytes = 0, weights = 0;
		for (Shape *s = shapes[m]; s < shapes[m] + 4; s++) {
			for (int l = 0; l < LAYERS; l++)
				shape_make(s, l, sparsity, group);
			bytes += s->bytes;
			weights += (int64_t)s->K * s->N;
		}
		printf("\n%s, %.0f %% of the weights zero%s: %.2fx smaller than f32\n%7s %9s %9s  dense/sparse: all; q k v; out; ffn in, gelu; ffn out\n",
			models[m], 100 * sparsity, group > 1 ? ", by fours" : "", 4.0 * (double)weights / (double)bytes, "tokens", "of peak", "as dense");
		for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++) {
			double sum[2] = {0}, most = peak();
			measure(shapes[m], tokens[t]);
			for (Shape *s = shapes[m]; s < shapes[m] + 4; s++) {
				sum[0] += s->time[0];
				sum[1] += s->time[1];
			}
			printf("%7d %9.2f %9.2f  %.2f;", tokens[t], LAYERS * (double)weights * tokens[t] / sum[0] / most, LAYERS * (double)weights * tokens[t] / sum[1] / most,
				sum[0] / sum[1]);
			for (Shape *s = shapes[m]; s < shapes[m] + 4; s++)
				printf(" %.2f", s->time[0] / s->time[1]);
			puts("");
		}
		for (Shape *s = shapes[m]; s < shapes[m] + 4; s++)
			for (int l = 0; l < LAYERS; l++)
				free(s->packed[l]), free(s->rows[l]);
	}
}

int main(int argc, char **argv)
{
	for (int i = 0; i < 2; i++)
		out[i] = need(TOKENS_MAX * 3072 * 4);
	q = need(TOKENS_MAX * 3072);
	vectors = need(4096 * 4);
	sums = need(4096 * 4);
	scratch = need(64 * 3072);
	for (int i = 0; i < TOKENS_MAX * 3072; i++)
		q[i] = (int8_t)((int)(draw() % 255) - 127);
	for (int i = 0; i < 4096; i++)
		vectors[i] = 0.001f * (float)(i % 7 + 1);
	if (argc < 2)
		table(0.9, 1), table(0.97, 1), table(0.97, 4);
	for (int i = 1; i < argc; i++)
		table(strtod(argv[i], NULL), strstr(argv[i], "x4") ? 4 : 1);
	return 0;
}
