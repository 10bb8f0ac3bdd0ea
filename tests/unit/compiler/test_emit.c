/* test_emit.c: code generation. Foreign text inside C, pasting, constants in the blob, targets; and that
 * built code computes what the reference evaluator says, for every op, level and CPU that runs here, over
 * batches, with several threads. */
#include <CUnit/Basic.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "codegen/emit.h"
#include "compiler/cli/bertc.h"

/* ---- small parts ----------------------------------------------------------------------------- */

static char *printed(void (*print)(FILE *, const char *), const char *text)
{
	char *result = NULL;
	size_t bytes;
	FILE *out = open_memstream(&result, &bytes);
	print(out, text);
	fclose(out);
	return result;
}

static void check_text(void (*print)(FILE *, const char *), const char *text, const char *expected)
{
	char *got = printed(print, text);
	CU_ASSERT_STRING_EQUAL(got, expected);
	free(got);
}

static void test_foreign_text(void)
{
	check_text(c_string, "plain", "\"plain\"");
	check_text(c_string,
		"a\"b\\c\nd\001"
		"7",
		"\"a\\\"b\\\\c\\012d\\0017\"");
	check_text(c_string, "?\?/ ?\?>", "\"\\?\\?/ \\?\\?>\"");
	check_text(c_string, "\xc3\xa9", "\"\\303\\251\"");
	check_text(c_comment, "a*/b//c\\\n?\?/", "a__b__c_____");
	check_text(c_comment, "layer.0.attention {k=1}", "layer.0.attention {k=1}");
	char longest[5001];
	memset(longest, 'x', 5000);
	longest[5000] = '\0';
	char *got = printed(c_string, longest);
	CU_ASSERT_EQUAL(
		strncmp(got, "(const char[]){", 15), 0); /* no compiler must take more than 4095 bytes in quotes */
	CU_ASSERT_PTR_NULL(strchr(got, '"'));
	free(got);
}

static void test_reals(void)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{1, "1.0"}, {0.5, "0.5"}, {1e-12, NULL}, {0.1, NULL}, {-3, "-3.0"}, {1e30, NULL}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = NULL;
		size_t bytes;
		FILE *out = open_memstream(&text, &bytes);
		c_real(out, cases[i].value);
		fclose(out);
		CU_ASSERT_EQUAL(strtod(text, NULL), cases[i].value);
		if (cases[i].text)
			CU_ASSERT_STRING_EQUAL(text, cases[i].text);
		free(text);
	}
}

static void test_identifiers(void)
{
	static const char *const good[] = {"a", "model_1", "Bert", "sst2"};
	static const char *const bad[] = {"", "1a", "a-b", "a b", "int", "class", "printf", "_a", "rt_x", "time",
		"a;b", "a/*", "\xc3\xa9",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		CU_ASSERT_TRUE(c_is_identifier(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_FALSE(c_is_identifier(bad[i]));
	static const struct {
		const char *path, *name;
	} paths[] = {{"out/my-model.so", "my_model"}, {"sst2", "sst2"}, {"/a/b/libx.a", "libx"},
		{"int", "model_int"}, {"2nd.c", "model_2nd"}, {".hidden", "hidden"}, {"a/time", "model_time"},
		{"\xc3\xa9t\xc3\xa9", "t__"}};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char *name = c_identifier_from_path(paths[i].path);
		CU_ASSERT_STRING_EQUAL(name, paths[i].name);
		CU_ASSERT_TRUE(c_is_identifier(name));
		free(name);
	}
}

static void test_paste(void)
{
	char *text = NULL;
	size_t bytes;
	Diag diag;
	diag_init(&diag, NULL);
	Paste paste = {.out = open_memstream(&text, &bytes)};
	CU_ASSERT_TRUE(paste_file(&paste, "api.h", &diag));
	CU_ASSERT_TRUE(paste_kernel(&paste, "linear_f32__scalar", &diag));
	CU_ASSERT_TRUE(paste_file(&paste, "model.h", &diag));
	CU_ASSERT_FALSE(paste_file(&paste, "../secret.c", &diag));
	CU_ASSERT_FALSE(paste_kernel(&paste, "linear_f32__abacus", &diag));
	fclose(paste.out);
	paste_free(&paste);
	const char *first = strstr(text, "/* ==== rt.h */"), *model = strstr(text, "/* ==== model.h */"),
			   *kernel = strstr(text, "/* ==== kernels/linear__scalar.c */");
	CU_ASSERT_TRUE(first && model && kernel && first < model && model < kernel);
	CU_ASSERT_PTR_NULL(strstr(first + 1, "/* ==== rt.h */"));
	CU_ASSERT_PTR_NULL(strstr(text, "#include \""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "#include <stdint.h>"));
	free(text);
	diag_free(&diag);
}

static void test_weights(void)
{
	float one[3] = {1, 2, 3}, two[40];
	memset(two, 0, sizeof two);
	Tensor a = {.data = one, .bytes = sizeof one}, b = {.data = two, .bytes = sizeof two},
		   part = {.data = two, .bytes = 4};
	Weights weights = {0};
	CU_ASSERT_EQUAL(weights_place(&weights, &a)->offset, 0);
	size_t at = weights_place(&weights, &b)->offset;
	CU_ASSERT_EQUAL(at % 64, 0);
	CU_ASSERT_EQUAL(weights_place(&weights, &a)->offset, 0);
	CU_ASSERT_EQUAL(weights_place(&weights, &b)->offset, at);
	CU_ASSERT_NOT_EQUAL(weights_place(&weights, &part)->offset, at); /* same start, another length */
	float again[3] = {1, 2, 3}, almost[3] = {1, 2, 4};
	Tensor copy = {.data = again, .bytes = sizeof again}, other = {.data = almost, .bytes = sizeof almost};
	CU_ASSERT_EQUAL(weights_place(&weights, &copy)->offset, 0); /* the same bytes lie there once */
	CU_ASSERT_NOT_EQUAL(weights_place(&weights, &other)->offset, 0);
	CU_ASSERT_EQUAL(memcmp(weights.blob.data, one, sizeof one), 0);
	static char many[200][8];
	size_t end = weights.blob.bytes;
	for (int i = 0; i < 200; i++) {
		many[i][0] = (char)i, many[i][7] = 7;
		weights_place(&weights, &(Tensor){.data = many[i], .bytes = 8});
	}
	CU_ASSERT_TRUE(weights.blob.bytes > end + 199 * 64);
	CU_ASSERT_EQUAL(weights_place(&weights, &b)->offset, at);
	weights_free(&weights);
}

static void test_targets(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	Target target;
	CU_ASSERT_TRUE(target_find("x86_64-linux-gnu", "haswell", &target, &diag));
	CU_ASSERT_EQUAL(target.isa, ISA_AVX2);
	CU_ASSERT_STRING_EQUAL(target.flags, "-march=x86-64 -mtune=haswell");
	CU_ASSERT_STRING_EQUAL(target.cc_flags, "");
	CU_ASSERT_TRUE(target_find("arm-linux-gnueabihf", NULL, &target, &diag));
	CU_ASSERT_STRING_EQUAL(target.cpu, "generic");
	CU_ASSERT_STRING_EQUAL(target.cc_flags, "-march=armv7-a -mfloat-abi=hard -mfpu=neon-vfpv4");
	CU_ASSERT_EQUAL(target.ncpus, 1);
	CU_ASSERT_TRUE(target_find(NULL, NULL, &target, &diag));
	CU_ASSERT_TRUE(target_is_host(&target));
	/* several: in the order of the table, each once, tuned for the newest, all of whose code has the bits
	 * they share */
	CU_ASSERT_TRUE(target_find("x86_64-linux-gnu", "haswell,x86-64-v4,baseline,haswell", &target, &diag));
	CU_ASSERT_STRING_EQUAL(target.cpu, "x86-64,haswell,x86-64-v4");
	CU_ASSERT_EQUAL(target.ncpus, 3);
	CU_ASSERT_STRING_EQUAL(target.cpus[1].name, "haswell");
	CU_ASSERT_EQUAL(target.cpus[1].isa, ISA_AVX2);
	CU_ASSERT_EQUAL(target.isa, 0);
	CU_ASSERT_STRING_EQUAL(target.flags, "-march=x86-64");
	CU_ASSERT_TRUE(target_find("aarch64-linux-gnu", "neoverse-v1,cortex-a72", &target, &diag));
	CU_ASSERT_STRING_EQUAL(target.cpu, "cortex-a72,neoverse-v1");
	CU_ASSERT_EQUAL(target.isa, ISA_NEON64);
	CU_ASSERT_STRING_EQUAL(target.flags, "-march=armv8-a -mtune=neoverse-v1");
	CU_ASSERT_TRUE(target_find("arm-linux-gnueabihf", "cortex-a7,cortex-a15", &target, &diag));
	CU_ASSERT_EQUAL(diag.errors, 0);
	CU_ASSERT_FALSE(target_find("z80-cpm", NULL, &target, &diag));
	CU_ASSERT_FALSE(target_find("aarch64-linux-gnu", "pentium", &target, &diag));
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(diag.code, EXIT_UNSUPPORTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[1].text, "neoverse-n1"));
	CU_ASSERT_FALSE(target_find("arm-linux-gnueabihf", "cortex-a9,cortex-a7", &target, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[2].text, "-mfpu=neon-vfpv4"));
	static const char *const wrong[] = {"x86-64,", ",x86-64", "", "x86-64,,haswell", "x86-64, haswell"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CU_ASSERT_FALSE(target_find("x86_64-linux-gnu", wrong[i], &target, &diag));
		CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[3 + i].text, "unknown CPU"));
	}
	diag_free(&diag);
}

static void test_sha256(void)
{
	char hex[65];
	toolchain_sha256((const void *const[]){"a", "bc"}, (const size_t[]){1, 2}, 2, hex);
	CU_ASSERT_STRING_EQUAL(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2, "abc" */
}

/* ---- built code against the evaluator -------------------------------------------------------- */

/* Every op that code can be made of; two-dimensional, four-dimensional, per token, per text, per pair of
 * tokens. */
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

/* What fusion makes of an encoder layer, as it stands afterwards: all packings of attention, all activations.
 */
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

typedef struct Api {
	void *handle;
	void *(*new)(int);
	void (*free)(void *);
	int (*run_outputs)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, uint32_t,
		float *const *, const size_t *);
} Api;

static void *symbol(void *handle, const char *name)
{
	void *found = dlsym(handle, name);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	return found;
}

/* Builds the text as a shared object and opens it. Its files are removed at once. */
static bool build(
	const char *text, int level, const char *cpu, const char *passes, const char *directory, Api *api)
{
	Diag diag;
	diag_init(&diag, "test.bir");
	char out[512];
	static int number;
	snprintf(out, sizeof out, "%s/m%d.so", directory, number++);
	BuildOptions options;
	build_options_init(&options, 1, (char *[]){"bertc build", NULL});
	options.result.out = out, options.result.emit = EMIT_SHARED, options.result.name = "m",
	options.run.level = level, options.result.cpu = cpu, options.run.passes = passes;
	options.progress = false;
	Loaded loaded = {.module = module_parse(text, strlen(text), ".", NULL, &diag)};
	bool good = loaded.module && module_verify(loaded.module, &diag)
		&& build_loaded(&options, &loaded, NULL, &diag);
	diag_print(&diag, stderr);
	if (loaded.module)
		module_free(loaded.module);
	diag_free(&diag);
	free(options.about.command);
	if (!good)
		return false;
	api->handle = dlopen(out, RTLD_NOW | RTLD_LOCAL);
	unlink(out);
	snprintf(out, sizeof out, "%s/m.h", directory);
	unlink(out);
	if (!api->handle) {
		fprintf(stderr, "%s\n", dlerror());
		return false;
	}
	*(void **)&api->new = symbol(api->handle, "m_new");
	*(void **)&api->free = symbol(api->handle, "m_free");
	*(void **)&api->run_outputs = symbol(api->handle, "m_run_outputs");
	return true;
}

/* One call over all texts against the evaluator, text by text. */
static void compare(const Api *api, const char *text, int threads, float tolerance)
{
	Diag diag;
	diag_init(&diag, "test.bir");
	Module *module = module_parse(text, strlen(text), ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	const Graph *graph = module->graphs[0];
	int32_t offsets[TEXTS + 1] = {0}, ids[TEXTS * TOKENS_MAX], types[TEXTS * TOKENS_MAX];
	for (int i = 0; i < TEXTS; i++) {
		offsets[i + 1] = offsets[i] + lengths[i];
		for (int32_t t = offsets[i]; t < offsets[i + 1]; t++)
			ids[t] = (t * 37 + i) % 50, types[t] = t % 2;
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
		api->run_outputs(context, ids, types, offsets, TEXTS, (1u << graph->noutputs) - 1, out, floats), 0);
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

/* "x86-64-v4" needs more than this machine may have. */
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
	char directory[] = "/tmp/test_emit-XXXXXX";
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	Api api;
	if (!runs_here(cpu))
		fprintf(stderr, "skipped: this machine is no %s\n", cpu);
	else if (build(text, level, cpu, passes, directory, &api)) {
		compare(&api, text, 1, 2e-5f);
		compare(&api, text, 3, 2e-5f);
		dlclose(api.handle);
	} else {
		CU_FAIL("build failed");
	}
	CU_ASSERT_EQUAL(rmdir(directory), 0); /* nothing temporary is left */
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
	BuildOptions options;
	build_options_init(&options, 1, (char *[]){"bertc build", NULL});
	options.result.out = out, options.result.emit = EMIT_C, options.result.name = "m",
	options.run.passes = passes, options.progress = false;
	options.run.driver.failure_path = NULL;
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
		NULL, EXIT_UNSUPPORTED, "a row a text or a row a token");
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
	CU_initialize_registry();
	CU_pSuite parts = CU_add_suite("parts of the emitter", NULL, NULL);
	CU_add_test(parts, "foreign text stays text", test_foreign_text);
	CU_add_test(parts, "numbers read back", test_reals);
	CU_add_test(parts, "names", test_identifiers);
	CU_add_test(parts, "runtime files once, in order", test_paste);
	CU_add_test(parts, "constants once, aligned", test_weights);
	CU_add_test(parts, "targets", test_targets);
	CU_add_test(parts, "SHA-256", test_sha256);
	CU_pSuite code = CU_add_suite("built code against the evaluator", NULL, NULL);
	CU_add_test(code, "every op, -O0, baseline", test_every_op_plain);
	CU_add_test(code, "every op, -O2, native", test_every_op_fused);
	CU_add_test(code, "fused ops, -O0, baseline", test_fused_ops_plain);
#if defined(__x86_64__)
	CU_add_test(code, "fused ops, AVX2", test_fused_ops_avx2);
	CU_add_test(code, "fused ops, AVX-512", test_fused_ops_avx512);
#endif
	CU_add_test(code, "refusals", test_refusals);
	CU_basic_run_tests();
	int failures = (int)CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
