/* test_eval.c: the reference evaluator against numbers worked out by hand (or with another formula), op by
 * op, from .bir text. Everything else is measured with this evaluator, so these cases stay small enough to
 * check on paper. */
#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static char *said(Diag *diag)
{
	static char text[1 << 14];
	FILE *stream = fmemopen(text, sizeof text, "w");
	diag_print(diag, stream);
	fclose(stream);
	return text;
}

/* A graph with these lines that returns %y; NULL after a failed assertion. */
static Module *read_graph(const char *lines, Diag *diag)
{
	static const char frame[] = "module @m\ngraph @main(%%ids: i32[S], %%types: i32[S]) level=fused {\n%s\n  "
								"return out=%%y\n}\n";
	char *text = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&text, frame, lines) > 0);
	Module *module = module_parse(text, strlen(text), ".", NULL, diag);
	bool packed = strstr(lines, "panel=") != NULL; /* stands in lowered code only, where it needs a kernel */
	if (!module || (!packed && !module_verify(module, diag))) {
		printf("\n%s%s", text, said(diag));
		CU_FAIL("the graph of a test is wrong");
		module_free(module);
		module = NULL;
	}
	free(text);
	return module;
}

static const int32_t ids[] = {3, 1, 0, 2, 4, 5, 6, 7}, types[] = {0, 1, 1, 0, 1, 0, 0, 1};

static void check_array(
	const char *lines, const EvalArray *out, const double *want, int count, double tolerance)
{
	bool good = out->count == count;
	for (int i = 0; good && i < count; i++)
		good = fabs(out->v[i] - want[i]) <= tolerance || (isnan(out->v[i]) && isnan(want[i]))
			|| out->v[i] == want[i];
	CU_ASSERT_TRUE(good);
	if (good)
		return;
	printf("\n%s\n  gave", lines);
	for (int64_t i = 0; i < out->count; i++)
		printf(" %.17g", out->v[i]);
	printf("\n  wanted");
	for (int i = 0; i < count; i++)
		printf(" %.17g", want[i]);
	printf("\n");
}

/* The lines over the first `tokens` ids make these numbers, to 1e-12. */
static void check_values(int tokens, const char *lines, const double *want, int count)
{
	Diag diag;
	EvalArray out = {0};
	diag_init(&diag, NULL);
	Module *module = read_graph(lines, &diag);
	if (module) {
		bool good = graph_eval_ids(module->graphs[0], ids, types, tokens, &out, &diag);
		CU_ASSERT_TRUE(good);
		if (good)
			check_array(lines, &out, want, count, 1e-12);
		else
			printf("\n%s", said(&diag));
		eval_array_free(&out);
	}
	module_free(module);
	diag_free(&diag);
}
#define CHECK(tokens, lines, ...) \
	check_values(tokens, lines, (const double[]){__VA_ARGS__}, COUNT(((const double[]){__VA_ARGS__})))
#define CHECK_NOTHING(lines) check_values(0, lines, NULL, 0)

/* ---- ids ------------------------------------------------------------------------------------- */

static void test_embed(void)
{
	CHECK(2, "%t = const iota : f16[5,2]\n %y = embed %t, %ids : f32[S,2]", 6, 7, 2, 3);
	CHECK(1, "%t = const iota : bf16[5,2]\n %i = const [4, 0] : i32[2]\n %y = embed %t, %i : f32[2,2]", 8, 9,
		0, 1);
	CHECK(3,
		"%t = const [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4] : f32[8]\n %s = add %t, %t : f32[8]\n"
		"%r = reshape %s {shape=[4,2]} : f32[4,2]\n %y = embed %r, %ids : f32[S,2]",
		7, 8, 3, 4, 1, 2);
	CHECK_NOTHING("%t = const iota : f32[5,2]\n %y = embed %t, %ids : f32[S,2]");
	/* rows 3 and 1 of iota, (12 .. 15) and (4 .. 7), and rows 0 and 1 of %b add up to (1, 3, 3, 5) and (5, 3,
	 * 3, 1): mean 3, variance 2 */
	CHECK(2,
		"%a = const iota : f32[5,4]\n %b = const [-11, -10, -11, -10, 1, -2, -3, -6] : f16[2,4]\n"
		"%g = const [1, 2, 3, 4] : f32[4]\n %z = const [0, 0, 0.5, 0] : f16[4]\n"
		"%y = embed_layernorm %a, %ids, %b, %types, %g, %z {eps=0.25} : f32[S,4]",
		-2 / 1.5, 0, 0.5, 8 / 1.5, 2 / 1.5, 0, 0.5, -8 / 1.5);
	CHECK(1,
		"%a = const iota : f32[5,4]\n %b = const [-11, -10, -12, -9] : f32[1,4]\n %c = const [0, 0, 1, -1] : "
		"f32[1,4]\n"
		"%three = const [3] : i32[1]\n %zero = const [0] : i32[1]\n %g = const splat(1.0) : f32[4]\n"
		"%y = embed_layernorm %a, %three, %b, %zero, %c, %zero, %g, %g {eps=0.25} : f32[1,4]",
		1 - 2 / 1.5, 1, 1, 1 + 2 / 1.5);
	CHECK(2, "%p = position_ids %ids : i32[S]\n %t = const iota : f32[9,1]\n %y = embed %t, %p : f32[S,1]", 0,
		1);
	CHECK(3, "%p = position_ids %ids {start=2} : i32[S]\n %y = cast %p : f32[S]", 2, 3, 4);
}

static void check_id_error(const char *lines, const int32_t *bad, const char *want)
{
	Diag diag;
	EvalArray out = {0};
	diag_init(&diag, NULL);
	Module *module = read_graph(lines, &diag);
	if (module) {
		CU_ASSERT_FALSE(graph_eval_ids(module->graphs[0], bad, NULL, 2, &out, &diag));
		CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
		CU_ASSERT_PTR_NOT_NULL(strstr(said(&diag), want));
		CU_ASSERT_PTR_NULL(out.v);
	}
	module_free(module);
	diag_free(&diag);
}

static void test_bad_ids(void)
{
	const char *plain = "%t = const iota : f32[5,2]\n %y = embed %t, %ids : f32[S,2]  # embeddings.word";
	check_id_error(plain, (const int32_t[]){4, 5},
		"embeddings.word: %y = embed: id 5 of token 1 is outside the table of 5 rows");
	check_id_error(plain, (const int32_t[]){-1, 0}, "id -1 of token 0");
	check_id_error(plain, (const int32_t[]){INT32_MIN, 0}, "id -2147483648 of token 0");
	check_id_error("%a = const iota : f32[5,2]\n %b = const iota : f32[2,2]\n %g = const splat(1.0) : "
				   "f32[2]\n"
				   "%y = embed_layernorm %a, %ids, %b, %ids, %g, %g {eps=0.0} : f32[S,2]",
		(const int32_t[]){1, 2}, "id 2 of token 1");
}

/* ---- products -------------------------------------------------------------------------------- */

#define ROWS2 \
	"%t = const [1, 2, 3, 4, 5, 6, -1, 0.5, 2, 0, 0, 1] : f32[4,3]\n %x = embed %t, %ids : f32[S,3]\n"

static void test_linear(void)
{
	/* ids 3, 1: rows (0, 0, 1) and (4, 5, 6) */
	CHECK(2, ROWS2 "%w = const [1, 2, 3, 0.5, 0, -1] : f16[2,3]\n %y = linear %x, %w : f32[S,2]", 3, -1, 32,
		-4);
	CHECK(2,
		ROWS2 "%w = const [1, 2, 3, 0.5, 0, -1] : f16[2,3]\n %b = const [10, 20] : bf16[2]\n"
			  "%y = linear %x, %w, %b : f32[S,2]",
		13, 19, 42, 16);
	CHECK(2, ROWS2 "%w = const [1, 2, 3, 0.5, 0, -1] : f64[2,3]\n %y = linear %x, %w {act=relu} : f32[S,2]",
		3, 0, 32, 0);
	CHECK(1, "%x = const [1, 2] : f32[2]\n %w = const [3, 4] : f32[1,2]\n %y = linear %x, %w : f32[1]", 11);
	CHECK_NOTHING(ROWS2 "%w = const [1, 2, 3, 0.5, 0, -1] : f16[2,3]\n %y = linear %x, %w : f32[S,2]");
	/* panels of two outputs: b[p][k][j] is weight (2p+j, k); the third output's neighbour is padding */
	CHECK(2,
		ROWS2 "%w = const [1, 0.5, 2, 0, 3, -1, 7, 0, 8, 0, 9, 0] : f16[2,3,2]\n %b = const [10, 20, 30, 0] "
			  ": f32[4]\n"
			  "%y = linear %x, %w, %b {panel=2 width=3} : f32[S,3]",
		13, 19, 39, 42, 16, 152);
	/* more than the eight partial sums of a dot product */
	CHECK(1,
		"%x = const iota : f32[1,21]\n %w = const splat(2.0) : f32[1,21]\n %y = linear %x, %w : f32[1,1]",
		420);
}

static void test_matmul(void)
{
	CHECK(1,
		"%a = const [1, 2, 3, 4] : f32[2,2]\n %b = const [5, 6, 7, 8] : f16[2,2]\n %y = matmul %a, %b : "
		"f32[2,2]",
		19, 22, 43, 50);
	CHECK(1, "%a = const iota : f32[2,1,3]\n %b = const iota : f32[2,3,2]\n %y = matmul %a, %b : f32[2,1,2]",
		0 * 0 + 1 * 2 + 2 * 4, 0 * 1 + 1 * 3 + 2 * 5, 3 * 6 + 4 * 8 + 5 * 10, 3 * 7 + 4 * 9 + 5 * 11);
	CHECK(2, ROWS2 "%c = transpose %x {perm=[1,0]} : f32[3,S]\n %y = matmul %x, %c : f32[S,S]", 1, 6, 6, 77);
	CHECK_NOTHING(ROWS2 "%c = transpose %x {perm=[1,0]} : f32[3,S]\n %y = matmul %x, %c : f32[S,S]");
	check_values(0, ROWS2 "%c = transpose %x {perm=[1,0]} : f32[3,S]\n %y = matmul %c, %x : f32[3,3]",
		(double[9]){0}, 9);
}

/* ---- moving elements ------------------------------------------------------------------------- */

static void test_moves(void)
{
	CHECK(1, "%a = const iota : f32[2,3]\n %y = transpose %a {perm=[1,0]} : f32[3,2]", 0, 3, 1, 4, 2, 5);
	CHECK(1, "%a = const iota : f32[2,3,2]\n %y = transpose %a {perm=[2,0,1]} : f32[2,2,3]", 0, 2, 4, 6, 8,
		10, 1, 3, 5, 7, 9, 11);
	CHECK(1, "%a = const iota : f32[2,1,2,2]\n %y = transpose %a {perm=[3,1,0,2]} : f32[2,1,2,2]", 0, 2, 4, 6,
		1, 3, 5, 7);
	CHECK(2, ROWS2 "%y = reshape %x {shape=[3,S]} : f32[3,S]", 0, 0, 1, 4, 5, 6);
	CHECK(1, "%a = const iota : f32[2,4]\n %y = slice %a {axis=1 start=1 end=3} : f32[2,2]", 1, 2, 5, 6);
	CHECK(1, "%a = const iota : f32[3,2]\n %y = slice %a {axis=0 start=2 end=3} : f32[1,2]", 4, 5);
	CHECK(1, "%a = const iota : f32[2,3,2]\n %y = slice %a {axis=1 start=1 end=2} : f32[2,1,2]", 2, 3, 8, 9);
	CHECK(1,
		"%a = const iota : f32[2,2]\n %b = const [7, 8] : f16[2,1]\n %y = concat %a, %b, %a {axis=1} : "
		"f32[2,5]",
		0, 1, 7, 0, 1, 2, 3, 8, 2, 3);
	CHECK(1,
		"%a = const [1, 2] : f32[1,2]\n %b = const [3, 4, 5, 6] : f32[2,2]\n %y = concat %a, %b {axis=0} : "
		"f32[3,2]",
		1, 2, 3, 4, 5, 6);
	CHECK_NOTHING(ROWS2 "%y = slice %x {axis=1 start=0 end=1} : f32[S,1]");
	CHECK_NOTHING(ROWS2 "%y = concat %x, %x {axis=1} : f32[S,6]");
}

/* ---- elementwise ----------------------------------------------------------------------------- */

static void test_binary(void)
{
	CHECK(1, "%a = const [1, 2, 3, 4] : f32[2,2]\n %b = const [10, 20] : f16[2]\n %y = add %a, %b : f32[2,2]",
		11, 22, 13, 24);
	CHECK(1, "%a = const [1, 2] : f32[2,1]\n %b = const [10, 20, 30] : f32[1,3]\n %y = sub %a, %b : f32[2,3]",
		-9, -19, -29, -8, -18, -28);
	CHECK(1, "%a = const splat(3.0) : f32[]\n %b = const iota : f32[2,1,2]\n %y = mul %a, %b : f32[2,1,2]", 0,
		3, 6, 9);
	CHECK(1,
		"%a = const iota : f32[2,2,2]\n %b = const [1, 2, 4, 8] : f32[2,1,2]\n %y = div %a, %b : f32[2,2,2]",
		0, 0.5, 2, 1.5, 1, 0.625, 1.5, 0.875);
	CHECK(1, "%a = const [1, -1, 0] : f32[3]\n %b = const [0, 0, 0] : f32[3]\n %y = div %a, %b : f32[3]",
		INFINITY, -INFINITY, NAN);
	CHECK_NOTHING(ROWS2 "%y = add %x, %x : f32[S,3]");
}

#define FIVE "%x = const [-2, -0.5, 0, 0.5, 3] : f32[5]\n "

static void test_unary(void)
{
	CHECK(1, FIVE "%y = erf %x : f32[5]", -0.99532226501895273, -0.52049987781304654, 0, 0.52049987781304654,
		0.99997790950300136);
	CHECK(1, FIVE "%y = tanh %x : f32[5]", -0.96402758007581688, -0.46211715726000976, 0, 0.46211715726000976,
		0.99505475368673046);
	CHECK(1, FIVE "%y = relu %x : f32[5]", 0, 0, 0, 0.5, 3);
	CHECK(1, FIVE "%y = sigmoid %x : f32[5]", 0.11920292202211756, 0.37754066879814541, 0.5,
		0.62245933120185459, 0.95257412682243336);
	CHECK(1, FIVE "%y = exp %x : f32[5]", 0.1353352832366127, 0.60653065971263342, 1, 1.6487212707001282,
		20.085536923187668);
	CHECK(1, "%x = const [0, 4, 2, -1] : f32[4]\n %y = sqrt %x : f32[4]", 0, 2, 1.4142135623730951, NAN);
	CHECK(1, FIVE "%y = activation %x {act=none} : f32[5]", -2, -0.5, 0, 0.5, 3);
	CHECK(1, FIVE "%y = activation %x {act=gelu} : f32[5]", -0.045500263896358417, -0.15426876936299344, 0,
		0.34573123063700656, 2.9959503059051097);
	CHECK(1, FIVE "%y = activation %x {act=gelu_tanh} : f32[5]", -0.04540230591222494, -0.15428599017485606,
		0, 0.34571400982514394, 2.996362607918227);
	CHECK(1, FIVE "%y = activation %x {act=relu} : f32[5]", 0, 0, 0, 0.5, 3);
	CHECK(1, FIVE "%y = activation %x {act=silu} : f32[5]", -0.23840584404423512, -0.1887703343990727, 0,
		0.3112296656009273, 2.8577223804673);
	CHECK(1, FIVE "%y = activation %x {act=tanh} : f32[5]", -0.96402758007581688, -0.46211715726000976, 0,
		0.46211715726000976, 0.99505475368673046);
	CHECK(1, FIVE "%y = activation %x {act=sigmoid} : f32[5]", 0.11920292202211756, 0.37754066879814541, 0.5,
		0.62245933120185459, 0.95257412682243336);
	/* far out, where sums that cancel would leave nothing */
	CHECK(1, "%x = const [-40, 40] : f32[2]\n %y = activation %x {act=gelu} : f32[2]", 0, 40);
	CHECK(1, "%x = const [-1000, 1000] : f32[2]\n %y = activation %x {act=silu} : f32[2]", 0, 1000);
	CHECK_NOTHING(ROWS2 "%y = relu %x : f32[S,3]");
}

/* Values are not rounded to their type, except by cast. */
static void test_cast(void)
{
	const char *third = "%a = const [1, 2] : f32[2]\n %b = const splat(3.0) : f32[]\n %c = div %a, %b : "
						"f32[2]\n ";
	char lines[512];
	snprintf(lines, sizeof lines, "%s%%y = relu %%c : f32[2]", third);
	CHECK(1, lines, 1. / 3, 2. / 3);
	snprintf(lines, sizeof lines, "%s%%y = cast %%c : f32[2]", third);
	CHECK(1, lines, 1.f / 3, 2.f / 3);
	snprintf(lines, sizeof lines, "%s%%y = cast %%c : f16[2]", third);
	CHECK(1, lines, 1365. / 4096, 1365. / 2048); /* 11 bits */
	snprintf(lines, sizeof lines, "%s%%y = cast %%c : bf16[2]", third);
	CHECK(1, lines, 171. / 512, 171. / 256); /* 8 bits */
	snprintf(lines, sizeof lines, "%s%%y = cast %%c : i32[2]", third);
	CHECK(1, lines, 0, 1);
	CHECK(1, "%x = const [70000, -0.3, 1.00048828125] : f32[3]\n %y = cast %x : f16[3]", INFINITY,
		-0.300048828125, 1);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void test_softmax(void)
{
	CHECK(1, "%x = const [0, 0.6931471805599453, 5, 5] : f64[2,2]\n %y = softmax %x : f32[2,2]", 1. / 3,
		2. / 3, 0.5, 0.5);
	CHECK(1, "%x = const [1000, 0, -1000] : f32[3]\n %y = softmax %x : f32[3]", 1, 0, 0);
	CHECK(1, "%x = const [7] : f32[1]\n %y = softmax %x : f32[1]", 1);
	CHECK_NOTHING(ROWS2 "%c = transpose %x {perm=[1,0]} : f32[3,S]\n %s = matmul %x, %c : f32[S,S]\n %y = "
						"softmax %s : f32[S,S]");
	CHECK_NOTHING(ROWS2 "%c = transpose %x {perm=[1,0]} : f32[3,S]\n %y = softmax %c : f32[3,S]");
}

#define NORMS "%g = const [1, 2, 3, 4] : f16[4]\n %b = const [0, 0, 0.5, 0] : f32[4]\n "

/* Of equals the first stay; shares are rounded; a threshold is met or the largest stays; NaN comes last. */
static void test_selecting(void)
{
	const double e = exp(1), third = 1.0 / 3;
	CHECK(1, "%a = const [0, 1, 1, 0, 1, 0] : f32[6]\n %y = softmax %a {keep=4} : f32[6]", 1 / (1 + 3 * e),
		e / (1 + 3 * e), e / (1 + 3 * e), 0, e / (1 + 3 * e), 0);
	CHECK(1, "%a = const [5, 5, 5] : f32[3]\n %y = softmax %a {keep=2} : f32[3]", 0.5, 0.5, 0);
	CHECK(1, "%a = const [5, 5, 5] : f32[3]\n %y = softmax %a {keep=9} : f32[3]", third, third, third);
	CHECK(1, "%a = const [5, 5, 5, 5] : f32[4]\n %y = softmax %a {share=0.37} : f32[4]", 1, 0, 0, 0);
	CHECK(1, "%a = const [5, 5, 5, 5] : f32[4]\n %y = softmax %a {share=0.375} : f32[4]", 0.5, 0.5, 0, 0);
	CHECK(1, "%a = const [5, 5, 5, 5] : f32[4]\n %y = softmax %a {share=0.01} : f32[4]", 1, 0, 0, 0);
	CHECK(1, "%a = const [5, 5, 5, 5] : f32[4]\n %y = softmax %a {threshold=0.25} : f32[4]", 0.25, 0.25, 0.25,
		0.25);
	CHECK(1, "%a = const [5, 5, 5, 5] : f32[4]\n %y = softmax %a {threshold=0.3} : f32[4]", 1, 0, 0, 0);
	CHECK(1,
		"%q = const [1] : f32[1,1]\n %k = const [3, 1, 3, 2] : f32[4,1]\n %v = const [8, 1, 4, 2] : "
		"f32[4,1]\n"
		"%y = attention %q, %k, %v {heads=1 pack=none keep=2} : f32[1,1]",
		6);
	CHECK(1,
		"%q = const [1] : f32[1,1]\n %k = const [3, 1, 3, 2] : f32[4,1]\n %v = const [8, 1, 4, 2] : "
		"f32[4,1]\n"
		"%y = attention %q, %k, %v {heads=1 pack=none share=0.25 scale=-1} : f32[1,1]",
		1);
	CHECK_NOTHING("%t = const iota : f32[5,2]\n %x = embed %t, %ids : f32[S,2]\n %y = attention %x, %x, %x "
				  "{heads=1 pack=none keep=2} : f32[S,2]");
}

/* iota's rows 3, 1, 0, 2, 4 have the sums 13, 5, 1, 9, 17. */
static void test_thinning(void)
{
#define ROWS "%t = const iota : f32[5,2]\n %x = embed %t, %ids : f32[S,2]\n"
#define REST " %g = gather %x, %p : f32[S1,2]\n %y = spread %g, %p, %ids : f32[S,2]"
	CHECK(5, ROWS "%p = thin %x {keep=3 symbol=1} : i32[S1]\n" REST, 6, 7, 6, 7, 6, 7, 4, 5, 8, 9);
	CHECK(5, ROWS "%p = thin %x {share=0.5 symbol=1} : i32[S1]\n" REST, 6, 7, 6, 7, 6, 7, 4, 5, 8,
		9); /* 2.5 is 3 */
	CHECK(5, ROWS "%p = thin %x {keep=1 symbol=1} : i32[S1]\n" REST, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7);
	CHECK(2, ROWS "%p = thin %x {keep=9 symbol=1} : i32[S1]\n" REST, 6, 7, 2, 3);
	CHECK_NOTHING(ROWS "%p = thin %x {keep=9 symbol=1} : i32[S1]\n" REST);
	CHECK(5,
		ROWS "%m = const [1, 0, 0, 0, 0] : f32[5,1]\n %must = embed %m, %ids : f32[S,1]\n"
			 " %p = thin %x, %must {keep=2 symbol=1} : i32[S1]\n" REST,
		6, 7, 6, 7, 0, 1, 0, 1, 0, 1);
	CHECK(5,
		ROWS "%m = const [1, 1, 0, 0, 1] : f32[5,1]\n %must = embed %m, %ids : f32[S,1]\n"
			 " %p = thin %x, %must {keep=2 symbol=1} : i32[S1]\n" REST,
		6, 7, 2, 3, 0, 1, 0, 1, 8, 9);
	CHECK(4,
		"%t = const [1, 1, nan, 1, 2] : f32[5,1]\n %x = embed %t, %ids : f32[S,1]\n %p = thin %x {keep=2 "
		"symbol=1} : i32[S1]\n"
		" %u = const iota : f32[5,1]\n %z = embed %u, %ids : f32[S,1]\n %g = gather %z, %p : f32[S1,1]\n %y "
		"= spread %g, %p, %ids : f32[S,1]",
		3, 1, 1, 1);
	CHECK(5,
		ROWS "%p = thin %x {keep=4 symbol=3} : i32[S3]\n %g = gather %x, %p : f32[S3,2]\n %r = thin %g "
			 "{keep=2 symbol=1} : i32[S1]\n"
			 "%h = gather %g, %r : f32[S1,2]\n %y = pool %h {mode=mean} : f32[2]",
		7, 8);
	CHECK(2,
		"%a = const [0, 0, 7, 0] : f32[2,2]\n %z = const [1, 0, 1, 0] : f32[2,2]\n %y = received %a, %z "
		"{heads=2 pack=none} : f32[2,2]",
		1, 1, 1, 1);
	CHECK(2,
		"%a = const [1, 0, 0, 1] : f32[2,2]\n %z = const [0, 9, 9, 0] : f32[2,2]\n %y = received %a, %z "
		"{heads=1 pack=none keep=1} : f32[2,1]",
		1, 1);
#undef ROWS
#undef REST
}

static void test_norms(void)
{
	/* mean 3, variance (4 + 0 + 0 + 4) / 4 = 2; with eps 0.25: 1 / 1.5 */
	CHECK(1, NORMS "%x = const [1, 3, 3, 5] : f32[1,4]\n %y = layernorm %x, %g, %b {eps=0.25} : f32[1,4]",
		-2 / 1.5, 0, 0.5, 8 / 1.5);
	CHECK(1,
		NORMS "%x = const [1, 3, 3, 5, 2, 2, 2, 2] : f32[2,4]\n %y = layernorm %x, %g, %b {eps=0.25} : "
			  "f32[2,4]",
		-2 / 1.5, 0, 0.5, 8 / 1.5, 0, 0, 0.5, 0);
	CHECK(1,
		NORMS "%x = const [0, 1, 2, 3] : f32[1,4]\n %z = const [1, 2, 1, 2] : f32[1,4]\n"
			  "%y = add_layernorm %x, %z, %g, %b {eps=0.25} : f32[1,4]",
		-2 / 1.5, 0, 0.5, 8 / 1.5);
	CHECK(1, "%x = const [3, 4, 0, 0, 0, 2] : f32[3,2]\n %y = normalize %x {eps=1.0} : f32[3,2]", 0.6, 0.8, 0,
		0, 0, 1);
	CHECK(1, "%x = const [3, 4] : f32[2]\n %y = normalize %x {eps=10.0} : f32[2]", 0.3, 0.4);
	CHECK_NOTHING(ROWS2 "%g = const splat(1.0) : f32[3]\n %y = layernorm %x, %g, %g {eps=0.0} : f32[S,3]");
	CHECK_NOTHING(ROWS2 "%y = normalize %x {eps=1.0} : f32[S,3]");
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void test_pool(void)
{
	/* ids 3, 1, 0: rows (0, 0, 1), (4, 5, 6), (1, 2, 3) */
	CHECK(3, ROWS2 "%y = pool %x {mode=first} : f32[3]", 0, 0, 1);
	CHECK(3, ROWS2 "%y = pool %x {mode=last} : f32[3]", 1, 2, 3);
	CHECK(3, ROWS2 "%y = pool %x {mode=mean} : f32[3]", 5. / 3, 7. / 3, 10. / 3);
	CHECK(3, ROWS2 "%y = pool %x {mode=max} : f32[3]", 4, 5, 6);
	CHECK(3, ROWS2 "%y = pool %x {mode=mean_sqrt} : f32[3]", 5 / sqrt(3), 7 / sqrt(3), 10 / sqrt(3));
	CHECK(3, ROWS2 "%y = pool %x {mode=mean_weighted} : f32[3]", 11. / 6, 16. / 6, 22. / 6);
	static const char *const modes[] = {"first", "last", "mean", "max", "mean_sqrt", "mean_weighted"};
	for (int i = 0; i < COUNT(modes); i++) {
		char lines[512];
		snprintf(lines, sizeof lines, "%s%%y = pool %%x {mode=%s} : f32[3]", ROWS2, modes[i]);
		CHECK(0, lines, 0, 0, 0);
	}
}

/* Two heads of size 1 over two tokens. Head 0: q (1, 2), k (0, ln 2), v (1, 4): weights (1, 2)/3 and (1,
 * 4)/5. Head 1: q (0, 0), so plain means of v (10, 30). */
#define Q "1, 0, 2, 0"
#define K "0, 5, 0.6931471805599453, 7"
#define V "1, 10, 4, 30"
#define ATTENDED (1. + 8) / 3, 20, (1. + 16) / 5, 20

static void test_attention(void)
{
	CHECK(1,
		"%q = const [" Q "] : f64[2,2]\n %k = const [" K "] : f64[2,2]\n %v = const [" V "] : f32[2,2]\n"
		"%y = attention %q, %k, %v {heads=2 pack=none} : f32[2,2]",
		ATTENDED);
	CHECK(1,
		"%q = const [" Q "] : f64[2,2]\n %kv = const [0, 5, 1, 10, 0.6931471805599453, 7, 4, 30] : f64[2,4]\n"
		"%y = attention %q, %kv {heads=2 pack=kv} : f32[2,2]",
		ATTENDED);
	CHECK(1,
		"%qkv = const [1, 0, 0, 5, 1, 10, 2, 0, 0.6931471805599453, 7, 4, 30] : f64[2,6]\n"
		"%y = attention %qkv {heads=2 pack=qkv} : f32[2,2]",
		ATTENDED);
	CHECK(1,
		"%q = const [2, 0] : f64[2]\n %kv = const [0, 5, 1, 10, 0.6931471805599453, 7, 4, 30] : f64[2,4]\n"
		"%y = attention %q, %kv {heads=2 pack=kv} : f32[2]",
		(1. + 16) / 5, 20);
	CHECK(1,
		"%q = const [2, 0] : f64[2]\n %k = const [" K "] : f64[2,2]\n %v = const [" V "] : f32[2,2]\n"
		"%y = attention %q, %k, %v {heads=2 pack=none} : f32[2]",
		(1. + 16) / 5, 20);
	CHECK(1,
		"%qkv = const [2, 0, 0, 5, 1, 10, 4, 0, 0.6931471805599453, 7, 4, 30] : f64[2,6]\n"
		"%y = attention %qkv {heads=2 pack=qkv scale=0.5} : f32[2,2]",
		ATTENDED);
	/* one head of size 2: scores add over its columns. q (1, 1), k (0, 0) and (ln 2, ln 2): weights (1, 4)/5
	 */
	CHECK(1,
		"%q = const [1, 1] : f64[1,2]\n %k = const [0, 0, 0.6931471805599453, 0.6931471805599453] : "
		"f64[2,2]\n"
		"%v = const [1, 10, 4, 30] : f32[2,2]\n %y = attention %q, %k, %v {heads=1 pack=none} : f32[1,2]",
		17. / 5, 26);
	CHECK_NOTHING(ROWS2 "%y = attention %x {heads=1 pack=qkv} : f32[S,1]");
	CHECK(0, ROWS2 "%q = const [5, 6, 7] : f32[3]\n %y = attention %q, %x, %x {heads=3 pack=none} : f32[3]",
		0, 0, 0);
}

/* ---- whole graphs ---------------------------------------------------------------------------- */

/* The attention op against the primitive ops that the importer writes for it. */
static void test_primitives(void)
{
	const char *lines = "%t = const rand(1) : f32[8,4]\n %x = embed %t, %ids : f32[S,4]\n"
						"%wq = const rand(2) : f32[4,4]\n %wk = const rand(3) : f32[4,4]\n %wv = const "
						"rand(4) : f32[4,4]\n"
						"%q = linear %x, %wq : f32[S,4]\n %k = linear %x, %wk : f32[S,4]\n %v = linear %x, "
						"%wv : f32[S,4]\n"
						"%q1 = reshape %q {shape=[S,2,2]} : f32[S,2,2]\n %q2 = transpose %q1 {perm=[1,0,2]} "
						": f32[2,S,2]\n"
						"%k1 = reshape %k {shape=[S,2,2]} : f32[S,2,2]\n %k2 = transpose %k1 {perm=[1,2,0]} "
						": f32[2,2,S]\n"
						"%v1 = reshape %v {shape=[S,2,2]} : f32[S,2,2]\n %v2 = transpose %v1 {perm=[1,0,2]} "
						": f32[2,S,2]\n"
						"%s1 = matmul %q2, %k2 : f32[2,S,S]\n %half = const splat(0.5) : f32[]\n %s2 = mul "
						"%s1, %half : f32[2,S,S]\n"
						"%p = softmax %s2 : f32[2,S,S]\n %o1 = matmul %p, %v2 : f32[2,S,2]\n"
						"%o2 = transpose %o1 {perm=[1,0,2]} : f32[S,2,2]\n %o3 = reshape %o2 {shape=[S,4]} : "
						"f32[S,4]\n"
						"%o4 = attention %q, %k, %v {heads=2 pack=none scale=0.5} : f32[S,4]\n %y = sub %o3, "
						"%o4 : f32[S,4]";
	check_values(5, lines, (double[20]){0}, 20);
}

/* Types may be NULL: zeros. An input, a constant and one value twice may be outputs; each array is its own.
 */
static void test_outputs(void)
{
	static const char text[] = "module @m\ngraph @main(%ids: i32[S], %types: i32[S]) level=graph {\n"
							   "  %c = const [7, 8] : f16[2]\n  %y = cast %types : f32[S]\n  return a=%y, "
							   "b=%c, c=%ids, d=%y\n}\n";
	Diag diag;
	EvalArray out[4];
	diag_init(&diag, NULL);
	Module *module = module_parse(text, strlen(text), ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	const Graph *graph = module->graphs[0];
	CU_ASSERT_TRUE_FATAL(graph_eval_ids(graph, ids, NULL, 2, out, &diag));
	CU_ASSERT_TRUE(
		out[0].v[0] == 0 && out[0].v[1] == 0 && out[1].v[1] == 8 && out[2].v[0] == 3 && out[3].v != out[0].v);
	CU_ASSERT_TRUE(out[1].dtype == DT_F16 && out[1].rank == 1 && out[1].dim[0] == 2 && out[1].count == 2);
	for (int i = 0; i < 4; i++)
		eval_array_free(&out[i]);
	CU_ASSERT_TRUE_FATAL(graph_eval_ids(graph, ids, types, 2, out, &diag));
	CU_ASSERT_TRUE(out[0].v[0] == 0 && out[0].v[1] == 1);
	for (int i = 0; i < 4; i++)
		eval_array_free(&out[i]);
	EvalArray inputs[2] = {{.dtype = DT_I32, .rank = 1, .dim = {2}, .count = 2, .v = (double[]){1, 2}},
		{.dtype = DT_I32, .rank = 1, .dim = {1}, .count = 1, .v = (double[]){1}}};
	CU_ASSERT_FALSE(graph_eval(graph, inputs, out, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(said(&diag), "the inputs differ in length"));
	module_free(module);
	diag_free(&diag);
}

/* Sizes that make no sense for some number of tokens, or that no machine holds. */
static void test_sizes(void)
{
	static const char text[] = "module @m\ngraph @main(%ids: i32[S]) level=graph {\n  %t = const iota : "
							   "f32[5,1]\n"
							   "  %x = embed %t, %ids : f32[S,1]\n  %c = transpose %x {perm=[1,0]} : "
							   "f32[1,S]\n  %y = matmul %x, %c : f32[S,S]\n"
							   "  return a=%y\n}\n";
	Diag diag;
	EvalArray out = {0};
	diag_init(&diag, NULL);
	Module *module = module_parse(text, strlen(text), ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	const int64_t many = 1 << 15; /* squared: 8 GiB of doubles */
	int32_t *zeros = calloc((size_t)many, sizeof *zeros);
	CU_ASSERT_FALSE(graph_eval_ids(module->graphs[0], zeros, NULL, many, &out, &diag));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(said(&diag), "%y = matmul: f32[S,S] of 32768 tokens is too large to evaluate"));
	module->graphs[0]->last->results[0]->type.dim[0].plus = -5;
	CU_ASSERT_FALSE(graph_eval_ids(module->graphs[0], zeros, NULL, 2, &out, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(said(&diag), "has a negative size"));
	free(zeros);
	module_free(module);
	diag_free(&diag);
}

/* ---- constants ------------------------------------------------------------------------------- */

static void test_constants(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = read_graph("%a = const [1, 2, 3, 4] : f16[2,2]\n %t = transpose %a {perm=[1,0]} : "
								"f16[2,2]\n"
								"%three = const splat(3.0) : f32[]\n %d = div %a, %three : f32[2,2]\n %h = "
								"cast %d : f16[2,2]\n"
								"%y = cast %types : f32[S]",
		&diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	Graph *graph = module->graphs[0];
	Node *transpose = graph->first->next, *div = transpose->next->next, *cast = div->next;
	const Tensor *tensor = node_eval_const(graph, transpose, 0, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tensor);
	CU_ASSERT_TRUE(tensor->type.dtype == DT_F16 && tensor_at(tensor, 1) == 3 && tensor_at(tensor, 2) == 2);
	tensor = node_eval_const(graph, div, 0, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tensor);
	CU_ASSERT_TRUE(tensor->type.dtype == DT_F32 && tensor_at(tensor, 1) == 2.f / 3);
	CU_ASSERT_PTR_NULL(node_eval_const(graph, cast, 0, &diag)); /* its argument is not a constant yet */
	CU_ASSERT_PTR_NOT_NULL(strstr(said(&diag), "%h = cast: %d is not a constant"));
	cast->args[0] = graph_const(graph, cast, tensor, NULL);
	tensor = node_eval_const(graph, cast, 0, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tensor);
	CU_ASSERT_EQUAL(tensor_at(tensor, 0), half_to_float(half_from_float(1.f / 3)));
	CU_ASSERT_PTR_NULL(node_eval_const(graph, graph->last, 0, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(said(&diag), "%types is not a constant"));
	module_free(module);
	diag_free(&diag);
}

int main(void)
{
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("eval", NULL, NULL);
	CU_add_test(suite, "embed", test_embed);
	CU_add_test(suite, "ids out of range", test_bad_ids);
	CU_add_test(suite, "linear", test_linear);
	CU_add_test(suite, "matmul", test_matmul);
	CU_add_test(suite, "transpose, reshape, slice, concat", test_moves);
	CU_add_test(suite, "add, sub, mul, div", test_binary);
	CU_add_test(suite, "functions of one number", test_unary);
	CU_add_test(suite, "cast", test_cast);
	CU_add_test(suite, "softmax", test_softmax);
	CU_add_test(suite, "selecting", test_selecting);
	CU_add_test(suite, "thinning", test_thinning);
	CU_add_test(suite, "norms", test_norms);
	CU_add_test(suite, "pool", test_pool);
	CU_add_test(suite, "attention", test_attention);
	CU_add_test(suite, "attention from primitive ops", test_primitives);
	CU_add_test(suite, "outputs", test_outputs);
	CU_add_test(suite, "sizes", test_sizes);
	CU_add_test(suite, "constants", test_constants);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
