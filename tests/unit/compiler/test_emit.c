/* test_emit.c: compiled code computes the numbers of the reference evaluator, for every op, level and CPU of
 * this machine, with batches and several threads. */
#include "tests/unit/suite.h"
#include <math.h>
#include <string.h>
#include "codegen/emit.h"
#include "tests/unit/compiled.h"
#include "tests/unit/module_text.h"

/* ---- built code against the evaluator -------------------------------------------------------- */

/* Every op that can be compiled, with two and four dimensions, per token, per text, per pair of tokens. */
static const char every_op[] = "module @ops max_tokens 24\n"
							   "graph @main(%ids: i32[S], %types: i32[S]) level=graph {\n"
							   "  %words = const rand(1) : f16[50,24]\n"
							   "  %places = const rand(2) : f32[26,24]\n"
							   "  %kinds = const rand(3) : bf16[3,24]\n"
							   "  %w = const rand(4) : f32[24,24]\n"
							   "  %v = const rand(5) : f16[40,24]\n"
							   "  %b = const rand(6) : f32[24]\n"
							   "  %c = const rand(7) : f32[40]\n"
							   "  %one = const splat(1.25) : f32[1,24]\n"
							   "  %quarter = const splat(0.25) : f32[]\n"
							   "  %half = sqrt %quarter : f32[]\n"
							   "  %x = embed %words, %ids : f32[S,24]\n"
							   "  %at = position_ids %ids {start=2} : i32[S]\n"
							   "  %p = embed %places, %at : f32[S,24]\n"
							   "  %t = embed %kinds, %types : f32[S,24]\n"
							   "  %xp = add %x, %p : f32[S,24]\n"
							   "  %xpt = add %xp, %t : f32[S,24]\n"
							   "  %h = layernorm %xpt, %b, %b {eps=1e-05} : f32[S,24]\n"
							   "  %q = linear %h, %w, %b : f32[S,24]\n"
							   "  %k = linear %h, %w : f32[S,24]\n"
							   "  %q3 = reshape %q {shape=[S,3,8]} : f32[S,3,8]\n"
							   "  %k3 = reshape %k {shape=[S,3,8]} : f32[S,3,8]\n"
							   "  %qt = transpose %q3 {perm=[1,0,2]} : f32[3,S,8]\n"
							   "  %kt = transpose %k3 {perm=[1,2,0]} : f32[3,8,S]\n"
							   "  %scores = matmul %qt, %kt : f32[3,S,S]\n"
							   "  %scaled = mul %scores, %half : f32[3,S,S]\n"
							   "  %soft = softmax %scaled : f32[3,S,S]\n"
							   "  %mixed = matmul %soft, %qt : f32[3,S,8]\n"
							   "  %back = transpose %mixed {perm=[1,0,2]} : f32[S,3,8]\n"
							   "  %flat = reshape %back {shape=[S,24]} : f32[S,24]\n"
							   "  %wide = linear %flat, %v, %c : f32[S,40]\n"
							   "  %left = slice %wide {axis=1 start=3 end=11} : f32[S,8]\n"
							   "  %right = slice %wide {axis=1 start=24 end=40} : f32[S,16]\n"
							   "  %both = concat %left, %right {axis=1} : f32[S,24]\n"
							   "  %sub = sub %both, %one : f32[S,24]\n"
							   "  %erf = erf %sub : f32[S,24]\n"
							   "  %tanh = tanh %erf : f32[S,24]\n"
							   "  %relu = relu %tanh : f32[S,24]\n"
							   "  %sigmoid = sigmoid %relu : f32[S,24]\n"
							   "  %exp = exp %sigmoid : f32[S,24]\n"
							   "  %sqrt = sqrt %exp : f32[S,24]\n"
							   "  %div = div %h, %sqrt : f32[S,24]\n"
							   "  %res = add %div, %h : f32[S,24]\n"
							   "  %unit = normalize %res {eps=1e-12} : f32[S,24]\n"
							   "  %mean = pool %unit {mode=mean} : f32[24]\n"
							   "  %last = pool %unit {mode=last} : f32[24]\n"
							   "  %most = pool %unit {mode=max} : f32[24]\n"
							   "  %root = pool %unit {mode=mean_sqrt} : f32[24]\n"
							   "  %weighted = pool %unit {mode=mean_weighted} : f32[24]\n"
							   "  %first = pool %res {mode=first} : f32[24]\n"
							   "  %rows = concat %mean, %last, %most, %root, %weighted, %first {axis=0} : "
							   "f32[144]\n"
							   "  %table = reshape %rows {shape=[6,24]} : f32[6,24]\n"
							   "  %more = linear %table, %w, %b : f32[6,24]\n"
							   "  %act = tanh %more : f32[6,24]\n"
							   "  %shifted = add %act, %b : f32[6,24]\n"
							   "  %prob = softmax %shifted : f32[6,24]\n"
							   "  return tokens=%unit, table=%prob\n"
							   "}\n";

/* Encoder layers as they are after fusion: all packings of attention, all activations. */
static const char fused_ops[] = "module @fused max_tokens 24\n"
								"graph @main(%ids: i32[S], %types: i32[S]) level=fused {\n"
								"  %words = const rand(1) : f32[50,16]\n"
								"  %kinds = const rand(2) : f16[2,16]\n"
								"  %places = const rand(3) : bf16[24,16]\n"
								"  %b = const rand(4) : f32[16]\n"
								"  %w3 = const rand(5) : f32[48,16]\n"
								"  %w2 = const rand(6) : f32[32,16]\n"
								"  %w1 = const rand(7) : bf16[16,16]\n"
								"  %at = position_ids %ids : i32[S]\n"
								"  %x = embed_layernorm %words, %ids, %places, %at, %kinds, %types, %b, %b "
								"{eps=1e-12} : f32[S,16]\n"
								"  %y = embed_layernorm %words, %ids, %b, %b {eps=1e-12} : f32[S,16]\n"
								"  %qkv = linear %x, %w3 : f32[S,48]\n"
								"  %a = attention %qkv {heads=2 pack=qkv scale=0.35} : f32[S,16]\n"
								"  %r = add_layernorm %a, %y, %b, %b {eps=1e-12} : f32[S,16]\n"
								"  %q = linear %r, %w1, %b {act=relu} : f32[S,16]\n"
								"  %kv = linear %r, %w2 {act=silu} : f32[S,32]\n"
								"  %a2 = attention %q, %kv {heads=4 pack=kv} : f32[S,16]\n"
								"  %s = activation %a2 {act=gelu_tanh} : f32[S,16]\n"
								"  %a3 = attention %s, %q, %r {heads=1 pack=none scale=2} : f32[S,16]\n"
								"  %g = linear %a3, %w1 {act=gelu} : f32[S,16]\n"
								"  %f = pool %g {mode=first} : f32[16]\n"
								"  %a4 = attention %f, %kv {heads=2 pack=kv} : f32[16]\n"
								"  %z = linear %a4, %w1, %b {act=tanh} : f32[16]\n"
								"  %n = add_layernorm %z, %f, %b, %b {eps=1e-12} : f32[16]\n"
								"  %o = linear %n, %w1 {act=sigmoid} : f32[16]\n"
								"  return hidden=%g, pooled=%o\n"
								"}\n";

enum { TEXTS = 5, TOKENS_MAX = 24 };
static const int32_t lengths[TEXTS] = {7, 1, 24, 2, 17};

/* Compares one call with all texts with the evaluator, text by text. */
static void compare(const Compiled *api, const char *text, int threads, float tolerance)
{
	Diag diag;
	diag_init(&diag, "test.bir");
	Module *module = module_of_text(text);
	const Graph *graph = module->graphs[0];
	int32_t offsets[TEXTS + 1] = {0}, ids[TEXTS * TOKENS_MAX], types[TEXTS * TOKENS_MAX];
	for (int i = 0; i < TEXTS; i++) {
		offsets[i + 1] = offsets[i] + lengths[i];
		for (int32_t t = offsets[i]; t < offsets[i + 1]; t++) {
			ids[t] = (t * 37 + i) % 50;
			types[t] = t % 2;
		}
	}
	float *out[4];
	size_t floats[4];
	int64_t width[4];
	for (int32_t k = 0; k < graph->noutputs; k++) {
		const Value *value = graph->outputs[k].value;
		width[k] = value_unit(value);
		floats[k] = (size_t)width[k] * (size_t)(value_place(value) == PLACE_TOKENS ? offsets[TEXTS] : TEXTS);
		out[k] = malloc(floats[k] * sizeof(float));
	}
	void *context = api->new(threads);
	CU_ASSERT_PTR_NOT_NULL_FATAL(context);
	CU_ASSERT_EQUAL(
		api->run(context, ids, types, offsets, TEXTS, (1u << graph->noutputs) - 1, out, floats), 0);
	api->free(context);
	double worst = 0;
	for (int i = 0; i < TEXTS; i++) {
		EvalArray expected[4];
		CU_ASSERT_TRUE_FATAL(
			graph_eval_ids(graph, ids + offsets[i], types + offsets[i], lengths[i], expected, &diag));
		for (int32_t k = 0; k < graph->noutputs; k++) {
			int32_t first = value_place(graph->outputs[k].value) == PLACE_TOKENS ? offsets[i] : i;
			const float *row = out[k] + (size_t)width[k] * (size_t)first;
			for (int64_t n = 0; n < expected[k].count; n++) {
				double difference = fabs(row[n] - eval_at(&expected[k], n));
				worst = difference <= worst ? worst : difference; /* also when it is NaN */
			}
			eval_array_free(&expected[k]);
		}
	}
	CU_ASSERT_TRUE(worst <= (double)tolerance);
	if (!(worst <= (double)tolerance))
		fprintf(stderr, "largest difference %g\n", worst);
	for (int32_t k = 0; k < graph->noutputs; k++)
		free(out[k]);
	module_free(module);
	diag_free(&diag);
}

/* This machine may not support "x86-64-v4". */
static bool runs_here(const char *cpu)
{
	Diag diag;
	diag_init(&diag, NULL);
	Target wanted, native;
	bool good = target_find(NULL, cpu, &wanted, &diag) && target_find(NULL, "native", &native, &diag)
		&& !(wanted.isa & ~native.isa);
	diag_free(&diag);
	return good;
}

static void build_and_compare(const char *text, int level, const char *cpu, const char *passes)
{
	if (!runs_here(cpu)) {
		fprintf(stderr, "skipped: this machine is no %s\n", cpu);
		return;
	}
	Diag diag;
	Compiled api;
	diag_init(&diag, "test.bir");
	Module *module = module_of_text(text);
	const bool good = compiled_open(&api, module, passes, level, cpu, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_TRUE_FATAL(good);
	compare(&api, text, 1, 2e-5f);
	compare(&api, text, 3, 2e-5f);
	dlclose(api.handle);
	module_free(module);
	diag_free(&diag);
}

static void test_every_op_plain(void) { build_and_compare(every_op, 0, "baseline", NULL); }
static void test_every_op_fused(void) { build_and_compare(every_op, 2, "native", NULL); }
static void test_fused_ops_plain(void) { build_and_compare(fused_ops, 0, "baseline", NULL); }
#if defined(__x86_64__)
static void test_fused_ops_avx2(void) { build_and_compare(fused_ops, 1, "x86-64-v3", NULL); }
static void test_fused_ops_avx512(void) { build_and_compare(fused_ops, 1, "x86-64-v4", "lower"); }
#endif

/* ---- what must be refused -------------------------------------------------------------------- */

static void refused(const char *text, const char *passes, ExitCode code, const char *message)
{
	Diag diag;
	diag_init(&diag, "test.bir");
	char directory[] = "/tmp/test_emit-XXXXXX", out[64];
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	snprintf(out, sizeof out, "%s/m.c", directory);
	BuildOptions options = build_of(out, EMIT_C, passes);
	Loaded loaded = {.module = module_parse(text, strlen(text), ".", NULL, &diag)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(loaded.module);
	CU_ASSERT_FALSE(build_loaded(&options, &loaded, NULL, &diag));
	CU_ASSERT_EQUAL(diag.code, code);
	bool found = false;
	for (int i = 0; i < diag.count; i++)
		found |= strstr(diag.messages[i].text, message) != NULL;
	CU_ASSERT_TRUE(found);
	if (!found)
		diag_print(&diag, stderr);
	CU_ASSERT_EQUAL(rmdir(directory), 0); /* neither the result nor anything temporary */
	module_free(loaded.module);
	diag_free(&diag);
	free(options.about.command);
}

static void test_refusals(void)
{
	refused("module @m\ngraph @main(%ids: i32[S]) level=graph {\n  %t = const rand(1) : f32[9,4]\n"
			"  %x = embed %t, %ids : f32[S,4]\n"
			"  %q = reshape %x {shape=[S,2,2]} : f32[S,2,2]\n  %a = transpose %q {perm=[1,0,2]} : "
			"f32[2,S,2]\n"
			"  %b = transpose %q {perm=[1,2,0]} : f32[2,2,S]\n"
			"  %s = matmul %a, %b : f32[2,S,S]\n  return scores=%s\n}\n",
		NULL, EXIT_UNSUPPORTED, "one row per text or one row per token");
	refused("module @m\ngraph @main(%ids: i32[S]) level=graph {\n  %t = const rand(1) : f32[9,4]\n  %i = "
			"const [1, 9] : i32[2]\n"
			"  %x = embed %t, %i : f32[2,4]\n  return rows=%x\n}\n",
		"lower", EXIT_INPUT, "id 9 is outside the table of 9 rows");
	refused("module @m max_tokens 100000\ngraph @main(%ids: i32[S]) level=graph {\n  %t = const rand(1) : "
			"f32[9,4]\n"
			"  %x = embed %t, %ids : f32[S,4]\n"
			"  %q = reshape %x {shape=[S,2,2]} : f32[S,2,2]\n  %a = transpose %q {perm=[1,0,2]} : "
			"f32[2,S,2]\n"
			"  %b = transpose %q {perm=[1,2,0]} : f32[2,2,S]\n"
			"  %s = matmul %a, %b : f32[2,S,S]\n  %e = softmax %s : f32[2,S,S]\n  %m = matmul %e, %a : "
			"f32[2,S,2]\n"
			"  %r = transpose %m {perm=[1,0,2]} : f32[S,2,2]\n"
			"  return hidden=%r\n}\n",
		"lower", EXIT_UNSUPPORTED, "lower --max-tokens");
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"every op, -O0, baseline", test_every_op_plain},
		{"every op, -O2, native", test_every_op_fused},
		{"fused ops, -O0, baseline", test_fused_ops_plain},
#if defined(__x86_64__)
		{"fused ops, AVX2", test_fused_ops_avx2},
		{"fused ops, AVX-512", test_fused_ops_avx512},
#endif
		{"refusals", test_refusals},
	};
	return SUITE_RUN("built code against the evaluator", tests);
}
