/* test_eval.c: compares the reference evaluator with numbers calculated by hand (or by another formula),
 * op by op, from .bir text. Other tests rely on this evaluator, so the cases are small enough to check on
 * paper. */
#include "eval_checks.h"
#include "tests/unit/suite.h"

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
	CHECK(4, "%p = position_ids %ids {start=3 padding=1} : i32[S]\n %y = cast %p : f32[S]", 3, 2, 4, 5);
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
		CU_ASSERT_PTR_NOT_NULL(strstr(diag_text(&diag), want));
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

/* The numbers of torch.nn.LSTM and torch.nn.GRU in double. */
static void test_recurrent(void)
{
	CHECK(1,
		"%a = const [-4, -1, 2, -4, -1, 2, -4, -1, 1, 4, -2, 1, 4, -2, 1, 4, -3, 0, 3, -3, 0, 3, -3, 0] : "
		"f32[3,8]\n"
		" %b = const [-0.75, 0, 0.75, -0.25, 0.5, -0.5, 0.25, -0.75, 0.5, -0.5, 0.25, -0.75, 0, 0.75, -0.25, "
		"0.5] : f32[2,8]\n"
		" %c = const [-1, 0, 1, -0.5, 0.5, -1, 0, 1] : f32[8]\n"
		" %y = lstm %a, %b, %c {reverse=0} : f32[3,2]",
		-5.562903404538537e-05, 0.1010035758711409, 0.3421475369722031, -0.6875208586444758,
		0.02838863289149148, 0.2615270609377532);
	CHECK(1,
		"%a = const [-4, -1, 2, -4, -1, 2, -4, -1, 1, 4, -2, 1, 4, -2, 1, 4, -3, 0, 3, -3, 0, 3, -3, 0] : "
		"f32[3,8]\n"
		" %b = const [-0.75, 0, 0.75, -0.25, 0.5, -0.5, 0.25, -0.75, 0.5, -0.5, 0.25, -0.75, 0, 0.75, -0.25, "
		"0.5] : f32[2,8]\n"
		" %c = const [-1, 0, 1, -0.5, 0.5, -1, 0, 1] : f32[8]\n"
		" %y = lstm %a, %b, %c {reverse=1} : f32[3,2]",
		0.01083307242069102, 0.03869643594093382, 0.3539516163228684, -0.6006103182119396,
		0.0003941822704260345, 0.3274081939155054);
	CHECK(1,
		"%a = const [-4, -1, 2, -4, -1, 2, 1, 4, -2, 1, 4, -2, -3, 0, 3, -3, 0, 3] : f32[3,6]\n"
		" %b = const [-0.75, 0, 0.75, -0.25, 0.5, -0.5, 0.5, -0.5, 0.25, -0.75, 0, 0.75] : f32[2,6]\n"
		" %c = const [-1, 0, 1, -0.5, 0.5, -1] : f32[6]\n"
		" %y = gru %a, %b, %c {reverse=0} : f32[3,2]",
		-0.03605244486565229, 0.9288621788860334, 0.677394927982504, -0.1144000870877281, 0.6698964662099651,
		0.9492248479232842);
	CHECK(1,
		"%a = const [-4, -1, 2, -4, -1, 2, 1, 4, -2, 1, 4, -2, -3, 0, 3, -3, 0, 3] : f32[3,6]\n"
		" %b = const [-0.75, 0, 0.75, -0.25, 0.5, -0.5, 0.5, -0.5, 0.25, -0.75, 0, 0.75] : f32[2,6]\n"
		" %c = const [-1, 0, 1, -0.5, 0.5, -1] : f32[6]\n"
		" %y = gru %a, %b, %c {reverse=1} : f32[3,2]",
		0.6382573079552216, 0.9111068178156457, 0.6812575432802527, -0.1159540576069965,
		0.0001617475139298052, 0.9576944321814281);
	CHECK_NOTHING(ROWS2 "%a = concat %x, %x, %x, %x {axis=1} : f32[S,12]\n %b = const splat(1) : f32[3,12]\n"
						" %c = const splat(1) : f32[12]\n %y = lstm %a, %b, %c : f32[S,3]");
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
	CHECK(1, "%a = const iota : f32[3,2]\n %y = shift %a {start=1} : f32[3,2]", 2, 3, 4, 5, 0, 0);
	CHECK(1, "%a = const iota : f16[3,2]\n %y = shift %a {start=-2} : f32[3,2]", 0, 0, 0, 0, 0, 1);
	CHECK(1, "%a = const splat(1) : f32[2,2]\n %y = shift %a {start=2} : f32[2,2]", 0, 0, 0, 0);
	CHECK_NOTHING(ROWS2 "%y = shift %x {start=-1} : f32[S,3]");
	CHECK(2, ROWS2 "%y = shift %x {start=-1} : f32[S,3]", 0, 0, 0, 0, 0, 1);
	CHECK(1,
		"%a = const [1, 2, 3, 4] : f32[2,2]\n %b = const [1, 10, 100, 1, 10, 100] : f16[3,2]\n"
		" %y = convolve %a, %b : f32[2,2]",
		130, 402, 301, 24);
	CHECK(1,
		"%a = const [1, 2, 3, 4] : f32[2,2]\n %b = const [1, 0, 0, 1, 0, 1, 1, 0] : f32[2,4]\n"
		" %y = convolve %a, %b {heads=2} : f32[2,2]", /* T = 2: the row before, then the own */
		0, 2, 3, 2);
	CHECK(1,
		"%a = const [1, 2, 3, 4] : f32[2,2]\n %b = const [1, 10, 0, 1] : f32[4]\n"
		" %y = convolve %a, %b {heads=2} : f32[2,2]",
		10, 2, 31, 4);
	CHECK_NOTHING(ROWS2 "%w = const splat(1) : f32[1,3]\n %y = convolve %x, %w : f32[S,3]");
	CHECK(1, "%a = const [1, 5, 2, 6, 4, 9, 8, 7] : f32[4,2]\n %y = fourier %a : f32[4,1]", 15, -2, -5, -4);
	CHECK(1, "%a = const [3, 5] : f32[1,2]\n %y = fourier %a : f32[1,1]", 3);
	CHECK_NOTHING(ROWS2 "%z = concat %x, %x {axis=1} : f32[S,6]\n %y = fourier %z : f32[S,3]");
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
	CHECK(1, "%x = const [0, 3, 1e-20] : f32[3]\n %y = log1p %x : f32[3]", 0, log(4), 1e-20f);
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
	CU_ASSERT_PTR_NOT_NULL(strstr(diag_text(&diag), "%h = cast: %d is not a constant"));
	cast->args[0] = graph_const(graph, cast, tensor, NULL);
	tensor = node_eval_const(graph, cast, 0, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tensor);
	CU_ASSERT_EQUAL(tensor_at(tensor, 0), half_to_float(half_from_float(1.f / 3)));
	CU_ASSERT_PTR_NULL(node_eval_const(graph, graph->last, 0, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag_text(&diag), "%types is not a constant"));
	module_free(module);
	diag_free(&diag);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"embed", test_embed},
		{"ids out of range", test_bad_ids},
		{"linear", test_linear},
		{"matmul", test_matmul},
		{"transpose, reshape, slice, concat, shift, convolve, fourier", test_moves},
		{"lstm, gru: the numbers of PyTorch", test_recurrent},
		{"add, sub, mul, div", test_binary},
		{"functions of one number", test_unary},
		{"cast", test_cast},
		{"constants", test_constants},
	};
	return SUITE_RUN("elements", tests);
}
