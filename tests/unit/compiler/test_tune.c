/* test_tune.c: tuning decisions: their files, good and hostile; which decision applies; the candidates of the
 * cost model; and that lower and chain-rows obey them. */
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compiler/build/tunings.h"
#include "compiler/support/files.h"

#define HEAD "bertc-tune 1\n"
#define TILE_8x48 "linear_f32_8x48__avx512"

static bool parse(TuneTable *table, const char *text, Diag *diag)
{
	diag_init(diag, NULL);
	return tune_parse(table, text, strlen(text), "cache.txt", true, diag);
}

/* The text has `count` decisions. */
static void accepts(const char *text, int32_t count)
{
	Diag diag;
	TuneTable table = {0};
	if (!parse(&table, text, &diag)) {
		diag_print(&diag, stdout);
		CU_FAIL("refused");
	}
	CU_ASSERT_EQUAL(table.count, count);
	tune_free(&table);
	diag_free(&diag);
}

/* Expects an error at that line with `part` in its text, exit 3, and only the decisions of other lines. */
static void refuses(const char *text, int line, const char *part)
{
	Diag diag;
	TuneTable table = {0};
	bool found = false;
	CU_ASSERT_FALSE(parse(&table, text, &diag));
	CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	for (int i = 0; i < diag.count; i++)
		found |= diag.messages[i].line == line && strcmp(diag.messages[i].file, "cache.txt") == 0
			&& strstr(diag.messages[i].text, part);
	if (!found) {
		printf("\n\"%.90s\": expected \"%s\" at line %d\n", text, part, line);
		diag_print(&diag, stdout);
		CU_FAIL("message");
	}
	tune_free(&table);
	diag_free(&diag);
}

static void test_text(void)
{
	accepts(HEAD, 0);
	accepts("bertc-tune 1", 0);
	accepts(HEAD "# a comment\n\n   \t\n  # another\n", 0);
	accepts(HEAD "linear f32 K=384 N=1536 act=gelu cpu=znver4 -> " TILE_8x48 "\n", 1);
	accepts(HEAD "  linear\tf32  K=384 N=* act=* cpu=znver4 ->   " TILE_8x48, 1);
	accepts(HEAD "linear f32 K=384 N=1 act=none cpu=x86-64 -> linear_f32__scalar\nchain-rows linear f32 "
				 "width=1 cpu=x86-64 -> 16\n",
		2);
	accepts(HEAD "chain-rows linear_i8 i8 width=* cpu=generic -> 4096\nchain-rows linear_bf16 bf16 "
				 "width=1536 cpu=znver5 -> 96\n",
		2);
	/* of the two CPUs with this name one has NEON64, the other NEON32 */
	accepts(HEAD "linear f32 K=* N=8 act=none cpu=generic -> linear_f32__neon64\n"
				 "linear f32 K=* N=9 act=none cpu=generic -> linear_f32__neon32\n",
		2);
}

static void test_hostile(void)
{
	refuses("", 1, "begins with \"\", expected the line");
	refuses("bertc-tune 2\n", 1, "begins with \"bertc-tune 2\"");
	refuses("bertc-tune 1\r\n", 1, "expected the line");
	refuses(HEAD "linear\n", 2, "expected OP TYPE K=.. N=.. act=.. cpu=.. -> KERNEL");
	refuses(HEAD "chain-rows\n", 2, "expected chain-rows OP TYPE width=.. cpu=.. -> ROWS");
	refuses(HEAD "\n\nlinear f32 K=1 N=1 act=none cpu=znver4 -> " TILE_8x48 " more\n", 4, "expected OP TYPE");
	refuses(HEAD "linear f32 K=1 N=1 act=none cpu=znver4 => " TILE_8x48 "\n", 2, "expected OP TYPE");
	refuses(HEAD "matmul f32 K=1 N=1 act=none cpu=znver4 -> matmul_f32__scalar\n", 2,
		"op \"matmul\", expected linear");
	refuses(HEAD "linear i8 K=1 N=1 act=none cpu=znver4 -> " TILE_8x48 "\n", 2, "weights of type \"i8\"");
	refuses(HEAD "linear f99 K=1 N=1 act=none cpu=znver4 -> " TILE_8x48 "\n", 2, "weights of type \"f99\"");
	static const char *const numbers[] = {
		"K=", "K=0", "K=01", "K=-1", "K=1x", "K=1.5", "K=1234567890123", "N=1", "K", "K=**", "K= 1"};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		char text[160];
		snprintf(
			text, sizeof text, HEAD "linear f32 %s N=1 act=none cpu=znver4 -> " TILE_8x48 "\n", numbers[i]);
		refuses(text, 2,
			i + 1 < sizeof numbers / sizeof *numbers ? "expected K=N with N >= 1, or K=*"
													 : "expected OP TYPE");
	}
	refuses(HEAD "linear f32 K=1 N=1 act=swish cpu=znver4 -> " TILE_8x48 "\n", 2,
		"found \"act=swish\", expected act=*, or act= with one of none, gelu");
	refuses(HEAD "linear f32 K=1 N=1 ACT=none cpu=znver4 -> " TILE_8x48 "\n", 2, "act=");
	refuses(HEAD "linear f32 K=1 N=1 act=none cpu=z80 -> " TILE_8x48 "\n", 2,
		"found \"cpu=z80\", expected cpu= with a CPU");
	refuses(HEAD "linear f32 K=1 N=1 act=none cpu=znver4znver4znver4znver4znver4znver4 -> " TILE_8x48 "\n", 2,
		"expected cpu=");
	refuses(HEAD "linear f32 K=1 N=1 act=none cpu=znver3 -> " TILE_8x48 "\n", 2,
		"the CPU znver3 lacks instructions that the kernel " TILE_8x48 " needs");
	refuses(HEAD "linear f32 K=1 N=1 act=none cpu=znver4 -> system\n", 2,
		"this bertc has no kernel \"system\" for linear of f32");
	refuses(
		HEAD "linear f32 K=1 N=1 act=none cpu=znver4 -> linear_f16__avx512\n", 2, "this bertc has no kernel");
	refuses(HEAD "linear f32 K=1 N=1 act=none cpu=znver4 -> linear_f32_sparse__avx512\n", 2,
		"this bertc has no kernel");
	refuses(HEAD "linear f32 K=1 N=1 act=none cpu=znver4 -> layernorm_f32__avx512\n", 2,
		"this bertc has no kernel");
	static const char *const rows[] = {
		"15", "4097", "0", "-48", "+48", "48x", "99999999999999999999", "*", "048"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[160];
		snprintf(text, sizeof text, HEAD "chain-rows linear f32 width=* cpu=znver4 -> %s\n", rows[i]);
		refuses(text, 2, "expected 16 to 4096");
	}
	refuses(HEAD "chain-rows linear f32 width=8 cpu=znver4 -> 48\n#\nchain-rows linear f32  width=8 "
				 "cpu=znver4 -> 96\n",
		4, "repeats the decision of line 2");
	refuses(HEAD "\x1b[31mlinear f32 K=1 N=1 act=none cpu=znver4 -> x\n", 2, "op \"");
}

/* Every bad line is reported, good lines between them are kept, and zero bytes or very many lines do no
 * harm. */
static void test_many(void)
{
	Diag diag;
	TuneTable table = {0};
	CU_ASSERT_FALSE(parse(&table, HEAD "x\nchain-rows linear f32 width=8 cpu=znver4 -> 48\ny\n", &diag));
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(table.count, 1);
	diag_free(&diag);
	diag_init(&diag, NULL);
	CU_ASSERT_FALSE(tune_parse(&table, HEAD "\0\n", sizeof HEAD + 1, "cache.txt", true, &diag));
	CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	diag_free(&diag);
	tune_free(&table);

	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	fputs(HEAD, out);
	for (int i = 1; i <= 4097; i++)
		fprintf(out, "chain-rows linear f32 width=%d cpu=znver4 -> 48\n", i);
	fclose(out);
	refuses(text, 4098, "more than 4096 decisions");
	free(text);
	out = open_memstream(&text, &bytes);
	fputs(HEAD, out);
	for (int i = 0; i < 100000; i++)
		fputs("x\n", out);
	fclose(out);
	refuses(text, 2, "expected OP TYPE");
	free(text);
	text = malloc(1 << 20);
	memset(text, 'K', (1 << 20) - 1);
	text[(1 << 20) - 1] = 0;
	memcpy(text, HEAD, sizeof HEAD - 1);
	refuses(text, 2, "expected OP TYPE");
	free(text);
}

/* What the kernel is for linears of K inputs and N outputs with GELU; NULL: no answer. */
static const char *answer(const TuneTable *table, int64_t K, int64_t N, Act act)
{
	TuneRow key = {.op = OP_LINEAR, .dtype = DT_F32, .inputs = K, .outputs = N, .act = act, .cpu = "znver4"};
	const TuneRow *row = tune_find(table, &key);
	return row ? row->kernel->function : NULL;
}

static void test_find(void)
{
	Diag diag;
	TuneTable table = {0};
	CU_ASSERT_TRUE(parse(&table,
		HEAD "linear f32 K=* N=1536 act=* cpu=znver4 -> " TILE_8x48 "\n"
			 "linear f32 K=384 N=1536 act=gelu cpu=znver4 -> linear_f32_6x64__avx512\n"
			 "linear f32 K=384 N=1536 act=gelu cpu=znver5 -> linear_f32__scalar\n"
			 "linear f16 K=384 N=1536 act=gelu cpu=znver4 -> linear_f16__scalar\n"
			 "chain-rows linear f32 width=1536 cpu=znver4 -> 96\n",
		&diag));
	CU_ASSERT_STRING_EQUAL(answer(&table, 384, 1536, ACT_GELU), "linear_f32_6x64__avx512");
	CU_ASSERT_STRING_EQUAL(answer(&table, 384, 1536, ACT_NONE), TILE_8x48);
	CU_ASSERT_STRING_EQUAL(answer(&table, 768, 1536, ACT_GELU), TILE_8x48);
	CU_ASSERT_PTR_NULL(answer(&table, 384, 1535, ACT_GELU));
	CU_ASSERT_PTR_NULL(answer(NULL, 384, 1536, ACT_GELU));
	static const char later[] = HEAD "linear f32 K=* N=* act=gelu cpu=znver4 -> linear_f32__avx512\n";
	CU_ASSERT_TRUE(tune_parse(&table, later, sizeof later - 1, "later.txt", true, &diag));
	CU_ASSERT_STRING_EQUAL(
		answer(&table, 384, 1536, ACT_GELU), "linear_f32__avx512"); /* later ones override */
	tune_free(&table);
	diag_free(&diag);
}

/* The decisions shipped with bertc are valid, unique, and not written back. */
static void test_built_in(void)
{
	Diag diag;
	TuneTable table = {0}, again = {0};
	char path[] = "/tmp/bertc-test-tune-XXXXXX";
	int fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE(tune_load(&table, NULL, false, &diag));
	CU_ASSERT_TRUE(table.count > 0);
	const int32_t built_in = table.count;
	static const char mine[] = HEAD "linear f32 K=9 N=* act=* cpu=znver4 -> " TILE_8x48 "\n"
									"chain-rows linear f32 width=8 cpu=znver4 -> 96\n";
	CU_ASSERT_TRUE(tune_parse(&table, mine, sizeof mine - 1, "a", true, &diag));
	CU_ASSERT_TRUE(tune_save(&table, path, &diag));
	char *text = file_read(path, 4096, NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	const char *chain = strstr(text, "chain-rows linear f32 width=8 cpu=znver4 -> 96\n");
	const char *linear = strstr(text, "linear f32 K=9 N=* act=* cpu=znver4 -> " TILE_8x48 "\n");
	CU_ASSERT_TRUE(chain && linear && chain < linear);
	free(text);
	CU_ASSERT_TRUE(tune_load(&again, path, false, &diag));
	CU_ASSERT_EQUAL(again.count, built_in + 2);
	CU_ASSERT_TRUE(again.count > 1 && again.rows[again.count - 1].own && !again.rows[0].own);
	tune_free(&again);
	unlink(path);
	CU_ASSERT_TRUE(tune_load(&again, path, true, &diag)); /* no file yet */
	CU_ASSERT_EQUAL(diag.errors, 0);
	tune_free(&again);
	CU_ASSERT_FALSE(tune_load(&again, path, false, &diag));
	CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	tune_free(&again);
	tune_free(&table);
	diag_free(&diag);
}

static void test_proposals(void)
{
	const KernelInfo *kernels[TUNE_CANDIDATES_MAX],
		*usual = kernel_select(OP_LINEAR, 0, DT_F32, ISA_AVX2 | ISA_AVX512);
	TuneRow key = {
		.op = OP_LINEAR, .dtype = DT_F32, .inputs = 384, .outputs = 1536, .act = ACT_GELU, .cpu = "znver4"};
	CU_ASSERT_STRING_EQUAL(usual->function,
		"linear_f32__avx512"); /* an alternative kernel is never the default, at any place in the table */
	int32_t count = tune_kernels(&key, usual, kernels);
	CU_ASSERT_EQUAL_FATAL(count, 3);
	CU_ASSERT_PTR_EQUAL(kernels[0], usual);
	CU_ASSERT_STRING_EQUAL(kernels[1]->function, TILE_8x48);
	CU_ASSERT_STRING_EQUAL(kernels[2]->function, "linear_f32_6x64__avx512");
	/* the usual one may be another: the default is then proposed like any */
	count = tune_kernels(&key, kernel_find(TILE_8x48), kernels);
	CU_ASSERT_EQUAL(count, 3);
	CU_ASSERT_STRING_EQUAL(kernels[0]->function, TILE_8x48);
	key.outputs = 32; /* one panel of 32, or one of 48 or 64 that is half empty */
	count = tune_kernels(&key, usual, kernels);
	for (int32_t i = 1; i < count; i++)
		CU_ASSERT_STRING_NOT_EQUAL(kernels[i]->function, "linear_f32_6x64__avx512");
	key.dtype = DT_F16; /* one kernel */
	CU_ASSERT_EQUAL(
		tune_kernels(&key, kernel_select(OP_LINEAR, 0, DT_F16, ISA_AVX2 | ISA_AVX512), kernels), 1);
	CU_ASSERT_EQUAL(tune_kernels(&key, NULL, kernels), 0);

	int64_t rows[TUNE_CANDIDATES_MAX];
	key.outputs = 1536;
	count = tune_rows(&key, 48, 1 << 20, rows);
	CU_ASSERT_EQUAL(count, 4);
	CU_ASSERT_EQUAL(rows[0], 48);
	for (int32_t i = 1; i < count; i++) {
		CU_ASSERT_NOT_EQUAL(rows[i], 48);
		CU_ASSERT_TRUE(rows[i] * 1536 * 4 <= 2 << 20);
	}
}

/* The attribute of the first node of that op, after lower and chain-rows for a znver4 that can do `isa`, with
 * the text's decisions. */
static void lowered_for(uint32_t isa, const char *decisions, Attrs *attr)
{
	static const char model[] = "module @m\ngraph @main(%ids: i32[S]) level=fused {\n"
								"  %t = const rand(1) : f32[9,16]\n  %w = const rand(2) : f32[96,16]\n  %x = "
								"embed %t, %ids : f32[S,16]\n"
								"  %y = linear %x, %w {act=gelu} : f32[S,96]\n  return hidden=%y\n}\n";
	const CpuTarget cpu = {"znver4", isa};
	Diag diag;
	TuneTable table = {0};
	CU_ASSERT_TRUE_FATAL(parse(&table, decisions, &diag));
	const PassEnv env = {.isa = cpu.isa, .cpus = &cpu, .ncpus = 1, .max_tokens = 16, .tune = &table};
	Module *module = module_parse(model, sizeof model - 1, ".", NULL, &diag);
	Pipeline *pipeline = pipeline_parse("lower,pack-weights,chain-rows,plan-memory", &diag);
	CU_ASSERT_TRUE_FATAL(module && pipeline && pipeline_run(pipeline, module, &env, NULL, NULL, &diag));
	for (const Node *node = module->graphs[0]->first; node; node = node->next)
		if (node->op == OP_LINEAR)
			*attr = node->attr;
	const char *kernel = kernel_find(attr->kernel)->function; /* the module's own copy goes with it */
	attr->kernel = kernel;
	pipeline_free(pipeline);
	module_free(module);
	tune_free(&table);
	diag_free(&diag);
}

static void lowered(const char *decisions, Attrs *attr)
{
	lowered_for(ISA_AVX2 | ISA_AVX512, decisions, attr);
}

static void test_passes(void)
{
	Attrs attr = {0};
	lowered(HEAD, &attr);
	CU_ASSERT_STRING_EQUAL(attr.kernel, "linear_f32__avx512");
	CU_ASSERT_EQUAL(attr.panel, 32);
	CU_ASSERT_EQUAL(attr.rows, 132);
	lowered(HEAD "linear f32 K=16 N=96 act=gelu cpu=znver4 -> " TILE_8x48 "\nchain-rows linear f32 width=96 "
				 "cpu=znver4 -> 24\n",
		&attr);
	CU_ASSERT_STRING_EQUAL(attr.kernel, TILE_8x48);
	CU_ASSERT_EQUAL(attr.panel, 48);
	CU_ASSERT_EQUAL(attr.rows, 24);
	lowered(HEAD "linear f32 K=16 N=96 act=none cpu=znver4 -> " TILE_8x48 "\nchain-rows linear f32 width=95 "
				 "cpu=znver4 -> 24\n",
		&attr);
	CU_ASSERT_STRING_EQUAL(attr.kernel, "linear_f32__avx512");
	CU_ASSERT_EQUAL(attr.rows, 132);
	lowered(HEAD "linear f32 K=16 N=96 act=gelu cpu=znver5 -> " TILE_8x48 "\n", &attr);
	CU_ASSERT_STRING_EQUAL(attr.kernel, "linear_f32__avx512");
	/* a decision of the CPU's namesake, which can do more */
	lowered_for(ISA_AVX2, HEAD "linear f32 K=16 N=96 act=gelu cpu=znver4 -> " TILE_8x48 "\n", &attr);
	CU_ASSERT_STRING_EQUAL(attr.kernel, "linear_f32__avx2");
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"text", test_text},
		{"hostile", test_hostile},
		{"many", test_many},
		{"find", test_find},
		{"built in", test_built_in},
		{"proposals", test_proposals},
		{"passes", test_passes},
	};
	return SUITE_RUN("tune", tests);
}
