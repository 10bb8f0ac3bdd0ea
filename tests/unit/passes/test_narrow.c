/* test_narrow.c: linears on narrow numbers. The evaluator, used by --check-each and `bertc verify`, gives the
 * same bits as the kernels. The codes of quantize-int8 match the definition in its head comment. Packing for
 * any kernel changes no number. */
#include "tests/unit/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/module_text.h"
#include "runtime/rt.h"
#include "runtime/kernels/quantize__scalar.c"
#include "runtime/kernels/linear_i8__scalar.c"
#include "runtime/kernels/linear_dotbf16__scalar.c"

enum { ROWS = 9, INPUTS = 37, OUTPUTS = 70, PANEL = 8, PANELS = 9, PADDED = PANEL * PANELS };

static void evaluate(const Module *module, EvalArray *out)
{
	Diag diag;
	const int32_t ids[ROWS] = {3, 1, 4, 0, 5, 8, 2, 6, 7};
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(graph_eval_ids(module->graphs[0], ids, NULL, ROWS, out, &diag));
	diag_free(&diag);
}

static const Node *find_node(const Module *module, Op op)
{
	const Node *node = module->graphs[0]->first;
	while (node && node->op != op)
		node = node->next;
	CU_ASSERT_PTR_NOT_NULL_FATAL(node);
	return node;
}

/* Rows of rand, of which one is zeros and another below the least that counts; weights of which an output is
 * zeros. */
#define HEAD \
	"module @m\ngraph @main(%ids: i32[S]) level=fused {\n" \
	"  %t = const rand(1) : f32[9,37]\n  %scale = const [1, 1, 0, 1e-31, 100, 1, 1, 1e-6, 3] : f32[9,1]\n" \
	"  %u = mul %t, %scale : f32[9,37]\n  %x = embed %u, %ids : f32[S,37]\n" \
	"  %r = const rand(2) : f32[70,37]\n  %b = const rand(3) : f32[70]\n" \
	"  %k = const iota : f32[70]\n  %k1 = reshape %k {shape=[70,1]} : f32[70,1]\n  %w = mul %r, %k1 : " \
	"f32[70,37]\n"
static const char text_linear[] = HEAD "  %y = linear %x, %w, %b : f32[S,70]\n  return y=%y, x=%x\n}\n";

/* Row r of the packed form of w[outputs][inputs], elements of `size` bytes in groups: pack_weights.c's
 * equation once more. */
static void pack_again(const void *w, void *to, size_t size, int group)
{
	for (int n = 0; n < OUTPUTS; n++)
		for (int k = 0; k < INPUTS; k++) {
			int at = ((n / PANEL * ((INPUTS + group - 1) / group) + k / group) * PANEL + n % PANEL) * group
				+ k % group;
			memcpy((char *)to + (size_t)at * size, (const char *)w + (size_t)(n * INPUTS + k) * size, size);
		}
}

static void test_int8(void)
{
	EvalArray out[4], exact[2];
	Module *module = module_of_text(text_linear);
	passes_run("fold-const", module, &(PassEnv){.isa = 0}, NULL);
	evaluate(module, exact);
	passes_run("quantize-int8", module, &(PassEnv){.isa = 0}, NULL);
	const Node *node = find_node(module, OP_LINEAR_I8), *quantize = find_node(module, OP_QUANTIZE);
	graph_add_output(module->graphs[0], "q", quantize->results[0]);
	graph_add_output(module->graphs[0], "s", quantize->results[1]);
	evaluate(module, out);

	/* the codes of the weights */
	const Tensor *codes = node->args[2]->node->data, *scales = node->args[3]->node->data;
	const float *ws = scales->data;
	const int8_t *wq = codes->data;
	const Node *table = find_node(module, OP_EMBED);
	CU_ASSERT_EQUAL(table->args[0]->node->op, OP_CONST);
	for (int n = 0; n < OUTPUTS; n++) {
		int most = 0;
		for (int k = 0; k < INPUTS; k++)
			most = abs(wq[n * INPUTS + k]) > most ? abs(wq[n * INPUTS + k]) : most;
		CU_ASSERT_EQUAL(most, n ? 127 : 0);
		CU_ASSERT(n ? ws[n] > 0 : ws[n] == 0);
	}

	/* evaluator and kernels: the same codes, scales and sums */
	float x[ROWS * INPUTS], s[ROWS], y[ROWS * OUTPUTS], wide[2][PADDED] = {{0}};
	int8_t q[ROWS * INPUTS], packed[PANELS * (INPUTS + 3) * PANEL] = {0};
	int32_t sums[PADDED] = {0};
	for (int i = 0; i < ROWS * INPUTS; i++)
		x[i] = (float)out[1].v[i];
	quantize_f32__scalar(q, s, x, 0, ROWS, INPUTS);
	for (int i = 0; i < ROWS * INPUTS; i++)
		CU_ASSERT_EQUAL(q[i], out[2].v[i]);
	for (int i = 0; i < ROWS; i++)
		CU_ASSERT_EQUAL(s[i], out[3].v[i]);
	pack_again(wq, packed, 1, 4);
	memcpy(wide[0], ws, OUTPUTS * sizeof *ws);
	tensor_floats(node->args[4]->node->data, 0, OUTPUTS, wide[1]);
	linear_i8__scalar(
		y, q, s, packed, wide[0], wide[1], sums, 0, ROWS, 0, PANELS, INPUTS, OUTPUTS, RT_ACT_NONE, NULL);
	for (int i = 0; i < ROWS * OUTPUTS; i++)
		CU_ASSERT_EQUAL(y[i], out[0].v[i]);

	/* and near the numbers that they stand for: half a step of each factor, added up like random errors */
	double error = 0, norm = 0;
	for (int i = 0; i < ROWS * OUTPUTS; i++) {
		error += (y[i] - exact[0].v[i]) * (y[i] - exact[0].v[i]);
		norm += exact[0].v[i] * exact[0].v[i];
	}
	CU_ASSERT(error > 0 && sqrt(error / norm) < 0.01);
	for (int i = 0; i < 4; i++)
		eval_array_free(&out[i]);
	eval_array_free(&exact[0]);
	eval_array_free(&exact[1]);
	module_free(module);
}

static void test_bf16(void)
{
	EvalArray out[2];
	Module *module = module_of_text(text_linear);
	passes_run("fold-const,compute-bf16", module, &(PassEnv){.isa = 0}, NULL);
	evaluate(module, out);
	const Node *node = find_node(module, OP_LINEAR_BF16);
	float x[ROWS * INPUTS], y[ROWS * OUTPUTS], bias[PADDED] = {0};
	uint16_t packed[PANELS * (INPUTS + 1) * PANEL] = {0}, scratch[64];
	for (int i = 0; i < ROWS * INPUTS; i++)
		x[i] = (float)out[1].v[i];
	CU_ASSERT_EQUAL(node->args[1]->type.dtype, DT_BF16);
	pack_again(node->args[1]->node->data->data, packed, 2, 2);
	tensor_floats(node->args[2]->node->data, 0, OUTPUTS, bias);
	linear_dotbf16__scalar(y, x, packed, bias, 0, ROWS, 0, PANELS, INPUTS, OUTPUTS, RT_ACT_NONE, scratch);
	for (int i = 0; i < ROWS * OUTPUTS; i++)
		CU_ASSERT_EQUAL(y[i], out[0].v[i]);
	eval_array_free(&out[0]);
	eval_array_free(&out[1]);
	module_free(module);
}

/* Whatever panel and group the kernels of a CPU read, the packed graph computes the same bits. */
static void test_packed(void)
{
	static const uint32_t isas[] = {0, ISA_AVX2, ISA_AVX2 | ISA_AVXVNNI, ISA_AVX2 | ISA_AVX512,
		ISA_AVX2 | ISA_AVX512 | ISA_AVX512VNNI | ISA_AVX512BF16, ISA_NEON64, ISA_NEON64 | ISA_DOTPROD,
		ISA_NEON64 | ISA_DOTPROD | ISA_I8MM, ISA_NEON32};
	static const char *const recipes[] = {"fold-const,quantize-int8", "fold-const,compute-bf16"};
	for (size_t r = 0; r < 2; r++)
		for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
			EvalArray plain[2], packed[2];
			Module *module = module_of_text(text_linear);
			passes_run(recipes[r], module, &(PassEnv){.isa = isas[i]}, NULL);
			evaluate(module, plain);
			passes_run("lower,pack-weights,plan-memory", module, &(PassEnv){.isa = isas[i]}, NULL);
			evaluate(module, packed);
			const Node *node = find_node(module, r ? OP_LINEAR_BF16 : OP_LINEAR_I8);
			CU_ASSERT_EQUAL(node->attr.width, OUTPUTS);
			CU_ASSERT_EQUAL(node->args[r ? 1 : 2]->type.dim[2].plus, kernel_find(node->attr.kernel)->panel);
			CU_ASSERT_EQUAL(node->args[r ? 1 : 2]->type.dim[3].plus, kernel_find(node->attr.kernel)->group);
			CU_ASSERT_EQUAL(memcmp(plain[0].v, packed[0].v, (size_t)plain[0].count * sizeof *plain[0].v), 0);
			for (int k = 0; k < 2; k++) {
				eval_array_free(&plain[k]);
				eval_array_free(&packed[k]);
			}
			module_free(module);
		}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"int8", test_int8},
		{"bf16", test_bf16},
		{"packed", test_packed},
	};
	return SUITE_RUN("narrow", tests);
}
