/* test_whittle.c: passes that make a model smaller and learn from data. Who compiles and runs for them is played by the
 * reference evaluator over a few texts; compiler/calibrate.c, which does it in earnest, is met by the Python tests. */
#include <CUnit/Basic.h>
#include <math.h>
#include <string.h>
#include "passes/passes.h"
#include "tiny_encoder.h"

static const int32_t texts[][6] = {{1, 2, 3, 4, 5, 6}, {7, 3, 9, -1}, {2, -1}, {8, 8, 1, 10, -1}};
enum { TEXTS = sizeof texts / sizeof *texts };

static int32_t text_length(const int32_t *ids)
{
	int32_t n = 0;
	while (n < 6 && ids[n] >= 0)
		n++;
	return n;
}

/* All outputs of a text as doubles: outputs[k] is freed by the caller. */
static void outputs_of(const Module *module, const int32_t *ids, EvalArray *outputs)
{
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(graph_eval_ids(module->graphs[0], ids, NULL, text_length(ids), outputs, &diag));
	diag_free(&diag);
}

static bool play_observe(void *context, Module *module, const char *data, ObserveFn *each, void *argument, Diag *diag)
{
	(void)context;
	CU_ASSERT_STRING_EQUAL(data, "texts.tsv");
	CU_ASSERT_TRUE(module_verify(module, diag));
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 1);
	for (int i = 0; i < TEXTS; i++) {
		EvalArray out = {0};
		outputs_of(module, texts[i], &out);
		float row[4096];
		CU_ASSERT_TRUE_FATAL(out.count <= 4096);
		for (int64_t k = 0; k < out.count; k++)
			row[k] = (float)eval_at(&out, k);
		each(argument, row, (int32_t)out.count, text_length(texts[i]));
		eval_array_free(&out);
	}
	return true;
}

static Module *encoder(const TinyEncoder *e)
{
	Diag diag;
	diag_init(&diag, NULL);
	char *text = tiny_encoder_text(e);
	Module *module = module_parse(text, strlen(text), ".", NULL, &diag);
	if (!module || !module_verify(module, &diag))
		diag_print(&diag, stdout);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	free(text);
	diag_free(&diag);
	return module;
}

/* Runs the pipeline; NULL, or the first message of an error, malloc'd. */
static char *run(const char *text, Module *module)
{
	Diag diag;
	diag_init(&diag, NULL);
	const PassEnv env = {.max_tokens = 16, .observe = play_observe};
	const DriverOptions options = {.verify_each = true};
	Pipeline *pipeline = pipeline_parse(text, &diag);
	bool good = pipeline && pipeline_run(pipeline, module, &env, &options, NULL, &diag);
	char *message = good ? NULL : strdup(diag.count ? diag.messages[0].text : "no message");
	pipeline_free(pipeline);
	diag_free(&diag);
	return message;
}

static void runs(const char *text, Module *module)
{
	char *message = run(text, module);
	if (message)
		printf("\n%s: %s\n", text, message);
	CU_ASSERT_PTR_NULL(message);
	free(message);
}

/* Largest difference between the first outputs of two modules over all texts. */
static double difference(const Module *a, const Module *b)
{
	double worst = 0;
	for (int i = 0; i < TEXTS; i++) {
		EvalArray x[2] = {{0}}, y[2] = {{0}};
		outputs_of(a, texts[i], x);
		outputs_of(b, texts[i], y);
		CU_ASSERT_EQUAL_FATAL(x[0].count, y[0].count);
		for (int64_t k = 0; k < x[0].count; k++)
			worst = fmax(worst, fabs(eval_at(&x[0], k) - eval_at(&y[0], k)));
		for (int k = 0; k < 2; k++) {
			eval_array_free(&x[k]);
			eval_array_free(&y[k]);
		}
	}
	return worst;
}

/* ---- drop-layers ------------------------------------------------------------------------------------------------------ */

static const Value *named(const Graph *graph, const char *name)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node->nresults && node->results[0]->name && !strcmp(node->results[0]->name, name))
			return node->results[0];
	return NULL;
}

/* Mean cosine between a layer's input and output over the texts, computed here. */
static double layer_cosine(const Module *module, int layer, bool all)
{
	char in[16], out[16];
	snprintf(in, sizeof in, layer ? "h%d" : "x", layer - 1);
	snprintf(out, sizeof out, "h%d", layer);
	Module *copy = module_copy(module);
	Graph *graph = copy->graphs[0];
	graph->outputs[0].value = (Value *)(uintptr_t)named(graph, in);
	graph->outputs[1].value = (Value *)(uintptr_t)named(graph, out);
	copy->nheads = 0;
	double sum = 0, weight = 0;
	for (int i = 0; i < TEXTS; i++) {
		EvalArray v[2] = {{0}};
		outputs_of(copy, texts[i], v);
		for (int64_t t = 0; t < (all ? v[0].dim[0] : 1); t++) {
			double aa = 0, bb = 0, ab = 0;
			for (int64_t k = 0; k < v[0].dim[1]; k++) {
				double a = eval_at(&v[0], t * v[0].dim[1] + k), b = eval_at(&v[1], t * v[0].dim[1] + k);
				aa += a * a, bb += b * b, ab += a * b;
			}
			sum += ab / sqrt(aa * bb);
			weight++;
		}
		eval_array_free(&v[0]);
		eval_array_free(&v[1]);
	}
	module_free(copy);
	return sum / weight;
}

static void test_contribution(void)
{
	const TinyEncoder tiny = {.layers = 5, .heads = 2, .size = 4, .ffn = 6, .vocab = 11, .labels = 2};
	Module *module = encoder(&tiny);
	for (int all = 0; all < 2; all++) {
		int most = 0, second = -1;
		double cosine[5];
		for (int i = 0; i < 5; i++)
			cosine[i] = layer_cosine(module, i, all);
		for (int i = 1; i < 5; i++)
			most = cosine[i] > cosine[most] ? i : most;
		for (int i = 0; i < 5; i++)
			second = i != most && (second < 0 || cosine[i] > cosine[second]) ? i : second;
		char stay[64] = "drop-layers{layers=", *end = stay + strlen(stay);
		for (int i = 0; i < 5; i++)
			end += i == most || i == second ? 0 : sprintf(end, "%d,", i);
		strcpy(end - 1, "}");
		Module *by_data = module_copy(module), *by_list = module_copy(module);
		runs(all ? "drop-layers{strategy=contribution keep=3 data=texts.tsv tokens=all}"
			: "drop-layers{strategy=contribution keep=3 data=texts.tsv}", by_data);
		runs(stay, by_list);
		CU_ASSERT_EQUAL(difference(by_data, by_list), 0);
		CU_ASSERT_TRUE(difference(by_data, module) > 1e-6);
		module_free(by_data);
		module_free(by_list);
	}
	module_free(module);
}

int main(void)
{
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("whittle", NULL, NULL);
	CU_ADD_TEST(suite, test_contribution);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
