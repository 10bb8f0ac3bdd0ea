/* test_eval_rows.c: compares the reference evaluator with numbers calculated by hand, for ops over a whole
 * row or text (softmax, thinning, norms, pooling, attention) and for whole graphs. */
#include "eval_checks.h"
#include "tests/unit/suite.h"

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

/* Among equal scores the first ones are kept. Shares are rounded. If no score reaches the threshold, the
 * largest is kept. NaN comes last. */
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
	/* mean square 12.5; with eps 3.5: 1 / 4 */
	CHECK(1,
		"%x = const [3, 4] : f32[1,2]\n %g = const [1, 2] : f32[2]\n %y = rmsnorm %x, %g {eps=3.5} : "
		"f32[1,2]",
		0.75, 2);
	CHECK_NOTHING(ROWS2 "%g = const splat(1.0) : f32[3]\n %y = layernorm %x, %g, %g {eps=0.0} : f32[S,3]");
	CHECK_NOTHING(ROWS2 "%y = normalize %x {eps=1.0} : f32[S,3]");
	CHECK(1, "%x = const [1, -2, 2, 0, -4, 0] : f32[2,3]\n %y = top %x {keep=1} : f32[2,3]", 0, -2, 0, 0, -4,
		0);
	CHECK(1, "%x = const [1, -2, 2] : f32[3]\n %y = top %x {keep=9} : f32[3]", 1, -2, 2);
	CHECK_NOTHING(ROWS2 "%y = top %x {keep=2} : f32[S,3]");
}

static void test_rotary(void)
{
	/* quarter turns of the pairs (0, 1) of two heads; then by 0.6, 0.8 of the first head alone */
	CHECK(1,
		"%x = const [1, 2, 3, 4] : f32[1,4]\n %a = const [0, 1] : f32[1,2]\n"
		"%y = rotary %x, %a {heads=2} : f32[1,4]",
		-2, 1, -4, 3);
	CHECK(1,
		"%x = const [1, 2, 3, 4] : f32[1,4]\n %a = const [0.5, 2] : f32[1,2]\n"
		"%y = rotary %x, %a {heads=2 end=1} : f32[1,4]",
		-3.5, 3, 3, 4);
	/* pairs (0, 2) and (1, 3) of a head of five, by two angles; the last column stays */
	CHECK(1,
		"%x = const [1, 2, 3, 4, 5] : f32[1,5]\n %a = const [0, 1, 1, 0] : f32[1,4]\n"
		"%y = rotary %x, %a {heads=1} : f32[1,5]",
		-3, 2, 1, 4, 5);
	/* pairs (0, 1) and (2, 3) */
	CHECK(1,
		"%x = const [1, 2, 3, 4, 5] : f32[1,5]\n %a = const [0, 1, 1, 0] : f32[1,4]\n"
		"%y = rotary %x, %a {heads=1 apart=1} : f32[1,5]",
		-2, 1, 3, 4, 5);
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
	CHECK(3, ROWS2 "%y = pool %x {mode=sum} : f32[3]", 5, 7, 10);
	static const char *const modes[] = {"first", "last", "mean", "max", "mean_sqrt", "mean_weighted", "sum"};
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
	/* one head of size 2: scores add over its columns.
	 * q (1, 1), k (0, 0) and (ln 2, ln 2): weights (1, 4)/5 */
	CHECK(1,
		"%q = const [1, 1] : f64[1,2]\n %k = const [0, 0, 0.6931471805599453, 0.6931471805599453] : "
		"f64[2,2]\n"
		"%v = const [1, 10, 4, 30] : f32[2,2]\n %y = attention %q, %k, %v {heads=1 pack=none} : f32[1,2]",
		17. / 5, 26);
	CHECK_NOTHING(ROWS2 "%y = attention %x {heads=1 pack=qkv} : f32[S,1]");
	CHECK(0, ROWS2 "%q = const [5, 6, 7] : f32[3]\n %y = attention %q, %x, %x {heads=3 pack=none} : f32[3]",
		0, 0, 0);
}

/* One head with scores of 0: the biases alone give the weights. ln 2 doubles a weight. */
#define LN2 "0.6931471805599453"
#define ZEROS "%q = const [0, 0] : f64[2,1]\n %v = const [1, 4] : f32[2,1]\n"

static void test_biases(void)
{
	CHECK(0,
		"%t = const [5, 6, 7, 8, 9] : f16[1,5]\n %x = const splat(1) : f32[4,2]\n"
		"%y = by_distance %t, %x : f32[1,4,4]",
		7, 8, 9, 9, 6, 7, 8, 9, 5, 6, 7, 8, 5, 5, 6, 7);
	CHECK(0,
		"%t = const [5, 6, 7, 0, 1, 2] : f32[2,3]\n %p = const [3, 1] : i32[2]\n"
		"%y = by_distance %t, %p : f32[2,2,2]",
		6, 5, 7, 6, 1, 0, 2, 1);
	CHECK(0,
		"%t = const [5, 6, 7, 0, 1, 2, 50, 60, 70, 8, 9, 10] : f32[2,6]\n %p = const [3, 1] : i32[2]\n"
		"%y = by_distance %t, %p {heads=2} : f32[2,2,2]",
		6, 5, 70, 60, 1, 0, 10, 9);
	CHECK(1,
		ZEROS "%t = const [0, 0, " LN2 "] : f64[1,3]\n"
			  "%y = attention %q, %q, %v, %t {heads=1 pack=none} : f32[2,1]",
		(1. + 8) / 3, 2.5);
	CHECK(1,
		ZEROS "%t = const [0, 0, " LN2 "] : f64[1,3]\n %p = const [1, 0] : i32[2]\n"
			  "%y = attention %q, %q, %v, %t, %p {heads=1 pack=none} : f32[2,1]",
		2.5, (2. + 4) / 3);
	CHECK(1,
		ZEROS "%b = const [0, " LN2 ", 0, 0] : f64[1,2,2]\n %c = const [" LN2 ", 0] : f64[2]\n"
			  "%y = attention %q, %q, %v, %b, %c {heads=1 pack=none} : f32[2,1]",
		2.5, (2. + 4) / 3);
	CHECK(1,
		ZEROS "%b = const [0, 1] : f32[2]\n"
			  "%y = attention %q, %q, %v, %b {heads=1 pack=none keep=1} : f32[2,1]",
		4, 4);
	/* products with queries and with keys; ln 2 doubles a weight */
	CHECK(1,
		"%q = const [1, 0] : f64[2,1]\n %k = const [0, 1] : f64[2,1]\n %v = const [1, 4] : f32[2,1]\n"
		"%t = const [0, " LN2 "] : f64[2,1]\n %i = const [0, 0, 1] : i32[3]\n"
		"%y = attention %q, %k, %v, %t, %i, %t, %i {scale=0 heads=1 pack=none dots=[1,2]} : f32[2,1]",
		(1. + 16) / 5, 2.5);
	/* a single query is the first token; the second head has a bias of its own */
	CHECK(1,
		"%q = const [0, 0] : f64[2]\n %k = const splat(0) : f64[2,2]\n"
		"%v = const [1, 10, 4, 40] : f32[2,2]\n"
		"%b = const [0, " LN2 ", 9, 0, 0, 0, 9, 9] : f64[2,2,2]\n"
		"%y = attention %q, %k, %v, %b {heads=2 pack=none} : f32[2]",
		(1. + 8) / 3, 25);
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

/* Types may be NULL: zeros. An input, a constant and one value twice may be outputs;
 * each array is its own. */
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
	CU_ASSERT_PTR_NOT_NULL(strstr(diag_text(&diag), "the inputs differ in length"));
	module_free(module);
	diag_free(&diag);
}

/* Sizes that are invalid for some number of tokens, or too large for any machine. */
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
		strstr(diag_text(&diag), "%y = matmul: f32[S,S] has a negative size or is too large to evaluate"));
	module->graphs[0]->last->results[0]->type.dim[0].plus = -5;
	CU_ASSERT_FALSE(graph_eval_ids(module->graphs[0], zeros, NULL, 2, &out, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag_text(&diag), "has a negative size"));
	free(zeros);
	module_free(module);
	diag_free(&diag);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"softmax", test_softmax},
		{"selecting", test_selecting},
		{"thinning", test_thinning},
		{"norms", test_norms},
		{"rotary", test_rotary},
		{"pool", test_pool},
		{"attention", test_attention},
		{"score biases", test_biases},
		{"attention from primitive ops", test_primitives},
		{"outputs", test_outputs},
		{"sizes", test_sizes},
	};
	return SUITE_RUN("rows and texts", tests);
}
