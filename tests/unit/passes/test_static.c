/* test_static.c: quantize-int8{scheme=static}: scales learned from texts (the reference evaluator runs the
 * model), the values of its codes and biases, and the linears that a budget leaves with dynamic scales. */
#include "tests/unit/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/module_text.h"

enum { TOKENS = 9, INPUTS = 37, OUTPUTS = 70 };

/* Column 3 of what the linear reads is forty times as large as others, column 5 is far from zero, and no
 * column is symmetric. */
static const char text_linear[] = "module @m\nhead @h embed single output=y\ngraph @main(%ids: i32[S]) "
								  "level=fused {\n"
								  "  %t = const rand(1) : f32[9,37]\n  %wide = const [1, 1, 1, 40, 1, 1, 1, "
								  "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "
								  "1, 1, 1, 1, 1, 1, 1, 1, 1] : f32[37]\n  %far = const [0, 0, 0, 0, 0, 30, "
								  "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
								  "0, 0, 0, 0, 0, 0, 0, 0, 0, 0] : f32[37]\n"
								  "  %e = embed %t, %ids : f32[S,37]\n  %m = mul %e, %wide : f32[S,37]\n  %x "
								  "= add %m, %far : f32[S,37]\n"
								  "  %w = const rand(2) : f32[70,37]\n  %b = const rand(3) : f32[70]\n  %u = "
								  "const rand(4) : f32[64,70]\n"
								  "  %h = linear %x, %w, %b {act=gelu} : f32[S,70]  # layer.0.ffn.in\n  %v = "
								  "linear %h, %u : f32[S,64]  # layer.0.ffn.out\n"
								  "  %y = pool %v {mode=mean} : f32[64]\n  return y=%y, x=%x, h=%h\n}\n";

static void outputs_of(const Module *module, EvalArray *outputs)
{
	const int32_t ids[TOKENS] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(graph_eval_ids(module->graphs[0], ids, NULL, TOKENS, outputs, &diag));
	diag_free(&diag);
}

static int texts_played;

static bool play_observe(void *context, Module *module, const char *data, int32_t limit, ObserveFn *each,
	void *argument, Diag *diag)
{
	(void)context, (void)limit;
	CU_ASSERT_STRING_EQUAL(data, "texts.tsv");
	CU_ASSERT_TRUE(module_verify(module, diag));
	for (int i = 0; i < texts_played; i++) {
		EvalArray out = {0};
		outputs_of(module, &out);
		float *row = calloc((size_t)out.count, sizeof *row);
		for (int64_t k = 0; k < out.count; k++)
			row[k] = (float)eval_at(&out, k);
		each(argument, row, (int32_t)out.count, TOKENS);
		free(row);
		eval_array_free(&out);
	}
	return true;
}

/* A model is worth 1, less 0.3 for static codes in front of 64 outputs and 0.1 for those in front of 70. */
static double worth_of(const Value *value)
{
	const Node *node = value->node;
	double lost = 0;
	for (int32_t i = 0; node && i < (node->op == OP_LINEAR_I8 ? 1 : node->nargs); i++)
		lost += worth_of(node->args[i]);
	if (node && node->op == OP_LINEAR_I8 && node->args[0]->node->op == OP_QUANTIZE_STATIC)
		lost += node->args[2]->type.dim[0].plus == 64 ? 0.3 : 0.1;
	return lost;
}

static bool play_score(
	void *context, Module *module, const char *data, int32_t limit, OutputScore *scores, Diag *diag)
{
	(void)context, (void)limit, (void)data;
	CU_ASSERT_TRUE(module_verify(module, diag));
	for (int k = 0; k < module->graphs[0]->noutputs; k++) {
		const double lost = worth_of(module->graphs[0]->outputs[k].value);
		scores[k] = (OutputScore){1 - lost, lost};
	}
	return true;
}

static const PassEnv played_env = {.max_tokens = 16, .observe = play_observe, .score = play_score};

static Module *quantized(const char *passes)
{
	Module *module = module_of_text(text_linear);
	texts_played = 2;
	passes_run(passes, module, &played_env, NULL);
	return module;
}

/* How far output k of a module is from that of the float graph, in its norm. */
static double error_of(const Module *module, int k)
{
	Module *plain = module_of_text(text_linear);
	EvalArray want[3], got[3];
	outputs_of(plain, want);
	outputs_of(module, got);
	double error = 0, norm = 0;
	for (int64_t i = 0; i < want[k].count; i++) {
		error += pow(eval_at(&got[k], i) - eval_at(&want[k], i), 2);
		norm += pow(eval_at(&want[k], i), 2);
	}
	for (int i = 0; i < 3; i++) {
		eval_array_free(&want[i]);
		eval_array_free(&got[i]);
	}
	module_free(plain);
	return sqrt(error / norm);
}

static Node *find_node(const Module *module, Op op)
{
	for (Node *node = module->graphs[0]->first; node; node = node->next)
		if (node->op == op)
			return node;
	return NULL;
}

/* Every code is in use and none is cut off: of a column that has a range of its own,
 * or of the widest of all. */
static void check_codes(const char *pipeline, bool each_column)
{
	Module *module = quantized(pipeline);
	const Node *quantize = find_node(module, OP_QUANTIZE_STATIC);
	CU_ASSERT_PTR_NOT_NULL_FATAL(quantize);
	graph_add_output(module->graphs[0], "q", quantize->results[0]);
	EvalArray out[4];
	outputs_of(module, out);
	double lowest = 0, highest = 0;
	int full = 0;
	for (int k = 0; k < INPUTS; k++) {
		double low = 127, high = -127;
		for (int r = 0; r < TOKENS; r++) {
			low = fmin(low, eval_at(&out[3], r * INPUTS + k));
			high = fmax(high, eval_at(&out[3], r * INPUTS + k));
		}
		full += low == -127 && high == 127;
		CU_ASSERT(
			!each_column || fabs(low + high) <= 1); /* a column's zero point is the middle of its range */
		lowest = fmin(lowest, low);
		highest = fmax(highest, high);
	}
	CU_ASSERT(lowest == -127 && highest == 127);
	CU_ASSERT(full >= each_column);
	for (int i = 0; i < 4; i++)
		eval_array_free(&out[i]);
	module_free(module);
}

static void test_codes(void)
{
	check_codes("fold-const,quantize-int8{scheme=static data=texts.tsv}", true);
	check_codes("fold-const,quantize-int8{scheme=static data=texts.tsv granularity=tensor}", false);
}

/* A step per column helps most if columns differ. Work shared by the linears of one value is done once. */
static void test_errors(void)
{
	Module *channel = quantized("quantize-int8{scheme=static data=texts.tsv}");
	Module *tensor = quantized("quantize-int8{scheme=static data=texts.tsv granularity=tensor}");
	Module *percentile = quantized("quantize-int8{scheme=static data=texts.tsv granularity=tensor "
								   "method=percentile percentile=70}");
	Module *all = quantized("quantize-int8{scheme=static data=texts.tsv method=percentile percentile=100}");
	Module *mse = quantized("quantize-int8{scheme=static data=texts.tsv method=mse}");
	CU_ASSERT(error_of(channel, 2) > 0 && error_of(channel, 2) < 0.01);
	CU_ASSERT(error_of(tensor, 2) > 2 * error_of(channel, 2));
	CU_ASSERT(error_of(tensor, 2) < 0.05);
	CU_ASSERT(error_of(percentile, 2) > 4 * error_of(tensor, 2)); /* three in ten are cut off */
	CU_ASSERT(error_of(all, 2) == error_of(channel, 2));
	CU_ASSERT(error_of(mse, 2) < 0.01);
	module_free(channel);
	module_free(tensor);
	module_free(percentile);
	module_free(all);
	module_free(mse);
}

/* What rounded weights miss on the average is in the bias: the mean over the texts that were seen is hardly
 * off. */
static void test_bias(void)
{
	Module *module = quantized("quantize-int8{scheme=static data=texts.tsv exclude=layer.0.ffn.out}"),
		   *plain = module_of_text(text_linear);
	find_node(module, OP_LINEAR_I8)->attr.has &= ~A_act;
	for (Node *node = plain->graphs[0]->first; node; node = node->next)
		node->attr.has &= ~A_act;
	EvalArray want[3], got[3];
	outputs_of(plain, want);
	outputs_of(module, got);
	double worst = 0;
	for (int n = 0; n < OUTPUTS; n++) {
		double sum = 0;
		for (int r = 0; r < TOKENS; r++)
			sum += eval_at(&got[2], r * OUTPUTS + n) - eval_at(&want[2], r * OUTPUTS + n);
		worst = fmax(worst, fabs(sum / TOKENS));
	}
	CU_ASSERT(
		worst < 0.06); /* what codes of x are off, a third of a step each; 0.15 without the correction */
	for (int i = 0; i < 3; i++) {
		eval_array_free(&want[i]);
		eval_array_free(&got[i]);
	}
	module_free(module);
	module_free(plain);
}

static void count_schemes(const char *pipeline, int statics, int dynamics, const char *const *notes)
{
	Module *module = module_of_text(text_linear);
	Ledger ledger = {0};
	texts_played = 1;
	char *message = passes_error(pipeline, module, &played_env, &ledger);
	CU_ASSERT_PTR_NULL_FATAL(message);
	for (const Node *node = module->graphs[0]->first; node; node = node->next)
		if (node->op == OP_LINEAR_I8) {
			statics -= node->args[0]->node->op == OP_QUANTIZE_STATIC;
			dynamics -= node->args[0]->node->op == OP_QUANTIZE;
		}
	CU_ASSERT(statics == 0 && dynamics == 0);
	for (; *notes; notes++) {
		bool found = false;
		for (int32_t i = 0; i < ledger.rows[0].nnotes; i++)
			found |= strstr(ledger.rows[0].notes[i], *notes) != NULL;
		if (!found)
			printf("\nno note: %s\n", *notes);
		CU_ASSERT(found);
	}
	ledger_free(&ledger);
	module_free(module);
}

static void test_budget(void)
{
	static const char *const table[] = {"score 1.0000, loss 0.0000 in float",
		"(layer.0.ffn.in): alone in int8: score 0.9000 (-0.1000)",
		"(layer.0.ffn.out): alone in int8: score 0.7000 (-0.3000), loss 0.3000 (+0.3000)", NULL};
	static const char *const one[] = {"score 0.6000 with dynamic scales in 0 of 2",
		"score 0.9000 with dynamic scales in 1 of 2",
		"(layer.0.ffn.out): dynamic scales, to stay within the budget", NULL};
	static const char *const none[] = {"score 1.0000 with dynamic scales in 2 of 2", NULL};
	count_schemes("quantize-int8{scheme=static data=texts.tsv sensitivity=yes}", 2, 0, table);
	count_schemes("quantize-int8{scheme=static data=texts.tsv budget=50}", 2, 0, table);
	count_schemes("quantize-int8{scheme=static data=texts.tsv budget=11}", 1, 1, one);
	count_schemes("quantize-int8{scheme=static data=texts.tsv budget=0}", 0, 2, none);
}

static void refuses(const char *text, int played, const char *pipeline, const char *says)
{
	Module *module = module_of_text(text);
	texts_played = played;
	char *message = passes_error(pipeline, module, &played_env, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	if (!strstr(message, says))
		printf("\n%s: %s\n", pipeline, message);
	CU_ASSERT_PTR_NOT_NULL(strstr(message, says));
	free(message);
	module_free(module);
}

static void test_refused(void)
{
	static const char infinite[] = "module @m\ngraph @main(%ids: i32[S]) level=fused {\n  %t = const [1, "
								   "inf, 0, 1, 2, 3, 4, 5, 6] : f32[9,1]\n"
								   "  %w = const rand(2) : f32[70,1]\n  %x = embed %t, %ids : f32[S,1]\n  %y "
								   "= linear %x, %w : f32[S,70]  # second\n"
								   "  return y=%y\n}\n";
	refuses(text_linear, 0, "quantize-int8{scheme=static data=texts.tsv}", "has no texts");
	refuses(text_linear, 1, "quantize-int8{scheme=static data=texts.tsv sensitivity=maybe}",
		"sensitivity=maybe, expected yes or no");
	refuses(text_linear, 1, "quantize-int8{scheme=static data=texts.tsv budget=much}",
		"budget=much, expected a number from 0 to 100");
	refuses(
		infinite, 1, "quantize-int8{scheme=static data=texts.tsv}", "second reads NaN or infinite numbers");
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"codes", test_codes},
		{"errors", test_errors},
		{"bias", test_bias},
		{"budget", test_budget},
		{"refused", test_refused},
	};
	return SUITE_RUN("static", tests);
}
