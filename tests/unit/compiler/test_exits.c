/* test_exits.c: logistic regression, early-exit with the reference evaluator in place of compiled code, exits
 * in graphs, tasks merged into one graph, the thresholds of the curve, and energy counters. */
#include "tests/unit/suite.h"
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "compiler/measure/curve.h"
#include "passes/whittle/statistics.h"
#include "tests/unit/module_text.h"
#include "tests/unit/tiny_encoder.h"

/* ---- logistic regression --------------------------------------------------------------------- */

enum { ROWS = 60, WIDTH = 4, CLASSES = 3 };
static float features[ROWS][WIDTH + 1], targets[ROWS][CLASSES]; /* rows lie WIDTH + 1 apart */

static void make_data(void)
{
	uint32_t seed = 7;
	for (int i = 0; i < ROWS; i++) {
		for (int j = 0; j <= WIDTH; j++) {
			seed = seed * 1664525u + 1013904223u;
			features[i][j] = (float)(seed >> 8) / (1 << 24) * (j == 0 ? 100.0f : 1.0f)
				+ (j == 1 ? 50.0f : 0.0f);
		}
		features[i][2] = 3; /* says nothing */
		const int other = features[i][3] > 0.5f ? 1 : 2, label = features[i][0] > 60 ? 0 : other;
		for (int c = 0; c < CLASSES; c++)
			targets[i][c] = c == label ? 0.8f : 0.1f;
	}
}

/* The objective of statistics.h, written directly. */
static double objective(const float *weight, const float *bias, double l2)
{
	double loss = 0;
	for (int i = 0; i < ROWS; i++) {
		double logit[CLASSES], sum = 0;
		for (int c = 0; c < CLASSES; c++) {
			logit[c] = (double)bias[c];
			for (int j = 0; j < WIDTH; j++)
				logit[c] += (double)weight[c * WIDTH + j] * (double)features[i][j];
			sum += exp(logit[c]);
		}
		for (int c = 0; c < CLASSES; c++)
			loss -= (double)targets[i][c] * (logit[c] - log(sum)) / ROWS;
	}
	for (int j = 0; j < WIDTH; j++) {
		double mean = 0, variance = 0;
		for (int i = 0; i < ROWS; i++)
			mean += (double)features[i][j] / ROWS;
		for (int i = 0; i < ROWS; i++)
			variance += ((double)features[i][j] - mean) * ((double)features[i][j] - mean) / ROWS;
		for (int c = 0; c < CLASSES; c++)
			loss += 0.5 * l2 * (double)weight[c * WIDTH + j] * (double)weight[c * WIDTH + j] * variance;
	}
	return loss;
}

static void test_logistic(void)
{
	const LogisticData data = {ROWS, WIDTH, CLASSES, features[0], WIDTH + 1, targets[0]};
	for (double l2 = 1e-4; l2 < 2; l2 *= 100) {
		float weight[CLASSES * WIDTH], bias[CLASSES], again[CLASSES * WIDTH];
		CU_ASSERT_TRUE_FATAL(logistic_fit(&data, l2, weight, bias));
		const double least = objective(weight, bias, l2);
		for (int k = 0; k < CLASSES * WIDTH; k++) { /* no direction decreases the objective */
			const float kept = weight[k], step = k % WIDTH == 0 ? 1e-4f : 1e-2f;
			for (int sign = -1; sign <= 1; sign += 2) {
				weight[k] = kept + (float)sign * step;
				CU_ASSERT_TRUE(objective(weight, bias, l2) > least - 1e-9);
			}
			weight[k] = kept;
		}
		for (int c = 0; c < CLASSES; c++) {
			CU_ASSERT_EQUAL(weight[c * WIDTH + 2], 0);
			bias[c] += 0.01f;
			CU_ASSERT_TRUE(objective(weight, bias, l2) > least - 1e-9);
			bias[c] -= 0.01f;
		}
		CU_ASSERT_TRUE(logistic_fit(&data, l2, again, bias));
		CU_ASSERT_EQUAL(memcmp(weight, again, sizeof weight), 0);
	}
	float weight[CLASSES * WIDTH], bias[CLASSES];
	const float kept = features[5][1];
	features[5][1] = NAN;
	CU_ASSERT_FALSE(logistic_fit(&data, 0.1, weight, bias));
	features[5][1] = kept;
}

/* ---- early-exit ------------------------------------------------------------------------------ */

enum { TEXTS = 40, LENGTH = 5 };
static int32_t texts[TEXTS][LENGTH];
static int32_t gold[TEXTS];

static void evaluate(const Module *module, int text, EvalArray *outputs)
{
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(graph_eval_ids(module->graphs[0], texts[text], NULL, LENGTH, outputs, &diag));
	diag_free(&diag);
}

static bool play_observe(void *context, Module *module, const char *data, int32_t limit, ObserveFn *each,
	void *argument, Diag *diag)
{
	(void)context, (void)data;
	CU_ASSERT_TRUE(module_verify(module, diag));
	for (int i = 0; i < (limit && limit < TEXTS ? limit : TEXTS); i++) {
		EvalArray out = {0};
		float row[256];
		evaluate(module, i, &out);
		for (int64_t k = 0; k < out.count; k++)
			row[k] = (float)eval_at(&out, k);
		each(argument, row, (int32_t)out.count, LENGTH);
		eval_array_free(&out);
	}
	return true;
}

static bool play_labels(
	void *context, const char *data, int32_t limit, int32_t **labels, int32_t *count, Diag *diag)
{
	(void)context, (void)data, (void)diag;
	*count = limit && limit < TEXTS ? limit : TEXTS;
	*labels = malloc(sizeof gold);
	memcpy(*labels, gold, sizeof gold);
	return true;
}

/* The encoder of tiny_encoder.h with a bias on its logits,
 * so that it does not give one label to all texts. */
static Module *biased(const double bias[3])
{
	char *text = tiny_encoder_text(
			 &(TinyEncoder){.layers = 3, .heads = 2, .size = 4, .ffn = 6, .vocab = 12, .labels = 3}),
		 *whole = NULL;
	static const char line[] = "  %logits = linear %cls, %cw";
	char *at = strstr(text, line);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	*at = '\0';
	CU_ASSERT_TRUE_FATAL(asprintf(&whole, "%s  %%cb = const [%.9g, %.9g, %.9g] : f32[3]\n%s, %%cb%s", text,
							 bias[0], bias[1], bias[2], line, at + sizeof line - 1)
		> 0);
	Module *module = module_of_text(whole);
	module->graphs[0]->noutputs = 1; /* logits alone */
	free(whole);
	free(text);
	return module;
}

static Module *tiny(void)
{
	double mean[3] = {0};
	Module *module = biased(mean);
	for (int i = 0; i < 60; i++) {
		EvalArray out = {0};
		for (int j = 0; j < LENGTH; j++)
			texts[0][j] = (i * 7 + j * j * 5 + i / 12) % 12;
		evaluate(module, 0, &out);
		for (int k = 0; k < 3; k++)
			mean[k] -= eval_at(&out, k) / 60;
		eval_array_free(&out);
	}
	module_free(module);
	return biased(mean);
}

static const PassEnv played_env = {.max_tokens = 16, .observe = play_observe, .labels = play_labels};

/* Share of right labels among the texts from, from + each, ..; *layers: sum of the layers that they run. */
static double right_at(Module *module, double threshold, int from, int each, double *layers)
{
	int right = 0, of = 0;
	*layers = 0;
	module_set_option(module, "exit_entropy", threshold);
	for (int i = from; i < TEXTS; i += each, of++) {
		EvalArray out[2] = {{0}};
		int best = 0;
		evaluate(module, i, out);
		for (int k = 1; k < 3; k++)
			best = eval_at(&out[0], k) > eval_at(&out[0], best) ? k : best;
		right += best == gold[i];
		*layers += eval_at(&out[1], 0);
		eval_array_free(&out[0]);
		eval_array_free(&out[1]);
	}
	return (double)right / of;
}

static void make_texts(const Module *module)
{
	uint32_t seed = 3;
	for (int i = 0; i < TEXTS; i++) { /* equal numbers of each label, as far as the model has them, so that
										 guessing the most frequent is not enough */
		for (int tries = 0; tries == 0 || (tries < 300 && gold[i] != i % 3); tries++) {
			EvalArray out = {0};
			for (int j = 0; j < LENGTH; j++)
				texts[i][j] = (int32_t)((seed = seed * 1664525u + 1013904223u) >> 8) % 12;
			evaluate(module, i, &out);
			gold[i] = 0;
			for (int k = 1; k < 3; k++)
				gold[i] = eval_at(&out, k) > eval_at(&out, gold[i]) ? k : gold[i];
			eval_array_free(&out);
		}
	}
	for (int i = 0; i < TEXTS; i += 7)
		gold[i] = (gold[i] + 1) % 3;
}

static void test_early_exit(void)
{
	Module *plain = tiny();
	make_texts(plain);
	static const char *const pipelines[] = {"early-exit{data=d max-drop=10 l2=1e-4 target=labels}",
		"early-exit{data=d held=h max-drop=3 target=labels pool=first l2=3}",
		"early-exit{data=d layers=1 entropy=0.4 limit=20}"};
	for (int p = 0; p < 3; p++) {
		Module *module = module_copy(plain);
		passes_run(pipelines[p], module, &played_env, NULL);
		CU_ASSERT_EQUAL_FATAL(module->noptions, 1);
		const double chosen = module->options[0].value, most = log(3), points = p == 0 ? 10 : 3;
		const int from = p == 0 ? 4 : 0, each = p == 0 ? 5 : 1; /* the texts held back */
		double layers, none;
		const double whole = right_at(module, 0, from, each, &none);
		for (int i = 0; i < TEXTS; i++) { /* 0: the model itself */
			EvalArray a = {0}, b[2] = {{0}};
			evaluate(plain, i, &a);
			evaluate(module, i, b);
			for (int k = 0; k < 3; k++)
				CU_ASSERT_EQUAL(eval_at(&a, k), eval_at(&b[0], k));
			CU_ASSERT_EQUAL(eval_at(&b[1], 0), 3);
			eval_array_free(&a);
			eval_array_free(&b[0]);
			eval_array_free(&b[1]);
		}
		right_at(module, 10, from, each, &layers); /* threshold above any entropy: the first exit */
		CU_ASSERT_EQUAL(layers, none / 3 * (p == 2 ? 2 : 1));
		if (p == 2) {
			CU_ASSERT_EQUAL(chosen, 0.4);
		} else {
			CU_ASSERT_TRUE(right_at(module, chosen, from, each, &layers) >= whole - points / 100 - 1e-9);
			CU_ASSERT_TRUE(chosen > 0 && chosen < most - 1e-9); /* heads so weak that the limit is met */
			CU_ASSERT_TRUE(right_at(module, chosen + most / 200, from, each, &layers) < whole - points / 100);
		}
		module_free(module);
	}
	module_free(plain);
}

/* A fitted head learns: on texts with labels that depend on one token, it is almost always right. */
static void test_fit_is_good(void)
{
	Module *module = tiny();
	Ledger ledger = {0};
	double layers;
	make_texts(module);
	for (int i = 0; i < TEXTS; i++) {
		for (int j = 0; j < LENGTH; j++)
			texts[i][j] = j == 2 ? i % 3 : 5;
		gold[i] = i % 3;
	}
	passes_run("early-exit{data=d held=h layers=0 target=labels l2=1e-6 max-drop=100}", module, &played_env,
		&ledger);
	CU_ASSERT_TRUE(right_at(module, 10, 0, 1, &layers) > 0.99);
	CU_ASSERT_EQUAL_FATAL(ledger.count, 1);
	CU_ASSERT_EQUAL_FATAL(ledger.rows[0].nnotes, 3);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ledger.rows[0].notes[0], "the head after layer 0: 1.0000 of 40 texts right"));
	ledger_free(&ledger);
	module_free(module);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static void test_crossing(void)
{
	static const char text[] = "option @o : f32 = 0.1\ngraph @main(%ids: i32[S]) level=graph {\n"
							   "  %t = const rand(1) : f32[9,2]\n  %x = embed %t, %ids : f32[S,2]\n  %r = "
							   "pool %x {mode=mean} : f32[2]\n"
							   "  %y = exit %x, %r {option=\"o\"} : f32[S,2]\n  %z = embed %t, %ids : "
							   "f32[S,2]\n  %u = add %y, %z : f32[S,2]\n"
							   "  %l = pool %u {mode=mean} : f32[2]\n  return logits=%l\n}\n";
	Module *module = module_of_text(text);
	const Value *value = NULL;
	const Node *reader = graph_exit_crossing(module->graphs[0], &value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
	CU_ASSERT_STRING_EQUAL(reader->results[0]->name, "z");
	CU_ASSERT_STRING_EQUAL(value->name, "ids");
	graph_replace_uses(module->graphs[0], reader->results[0],
		module->graphs[0]->last->prev->prev->prev->results[0]); /* %y */
	graph_erase(module->graphs[0], (Node *)reader);
	CU_ASSERT_PTR_NULL(graph_exit_crossing(module->graphs[0], &value));
	module_free(module);
}

/* The outputs that need each node, as bits, in the order of the text. */
static void check_reach(const char *text, const uint32_t *want, int nodes)
{
	Module *module = module_of_text(text);
	const Graph *graph = module->graphs[0];
	uint32_t *reached = calloc(graph->next_id, sizeof *reached);
	int at = 0;
	graph_reach_outputs(graph, reached);
	const Node *node = graph->first;
	for (; node && at < nodes; node = node->next)
		CU_ASSERT_EQUAL(reached[node->results[0]->id], want[at++]);
	CU_ASSERT_EQUAL(at, nodes);
	CU_ASSERT_PTR_NULL(node);
	free(reached);
	module_free(module);
}

static void test_reach(void)
{
	static const char text[] = "graph @main(%ids: i32[S]) level=graph {\n  %t = const rand(1) : f32[9,2]\n"
							   "  %x = embed %t, %ids : f32[S,2]\n  %a = tanh %x : f32[S,2]\n  %b = relu %x "
							   ": f32[S,2]\n  %c = relu %b : f32[S,2]\n"
							   "  %d = erf %x : f32[S,2]\n  return a=%a, c=%c, b=%b\n}\n";
	check_reach(text, (const uint32_t[]){7, 7, 1, 6, 2, 0}, 6);
}

/* An exit is also needed for outputs that no later node computes, because it decides where they come from. */
static void test_reach_of_exit(void)
{
	static const char text[] = "option @o : f32 = 0.5\ngraph @main(%ids: i32[S]) level=graph {\n  %t = const "
							   "rand(1) : f32[9,2]\n"
							   "  %n = const [1] : f32[1]\n  %m = const [2] : f32[1]\n  %x = embed %t, %ids "
							   ": f32[S,2]\n  %r = pool %x {mode=mean} : f32[2]\n"
							   "  %y = exit %x, %r, %n {option=\"o\"} : f32[S,2]\n  %z = pool %y {mode=mean} "
							   ": f32[2]\n  return logits=%z, layers=%m\n}\n";
	check_reach(text, (const uint32_t[]){3, 3, 2, 3, 3, 1, 1}, 7);
}

/* ---- the curve and its energy ---------------------------------------------------------------- */

static void test_thresholds(void)
{
	Curve curve;
	CU_ASSERT_TRUE_FATAL(curve_thresholds(&curve, "0.3,0.1,0.3", 2, 0.2));
	CU_ASSERT_EQUAL_FATAL(curve.count, 3);
	CU_ASSERT_EQUAL(curve.at[0].threshold, 0);
	CU_ASSERT_EQUAL(curve.at[1].threshold, 0.1);
	CU_ASSERT_EQUAL(curve.at[2].threshold, 0.3);
	CU_ASSERT_TRUE_FATAL(curve_thresholds(&curve, NULL, 4, 0.2));
	CU_ASSERT_EQUAL(curve.count, 13);
	CU_ASSERT_DOUBLE_EQUAL(curve.at[12].threshold, log(4), 1e-12);
	CU_ASSERT_TRUE_FATAL(curve_thresholds(&curve, NULL, 4, 0)); /* a default that is there already */
	CU_ASSERT_EQUAL(curve.count, 12);
	static const char *const bad[] = {"", "a", "0.1,", "0.1,,0.2", "-1", "nan", "inf", "0.1 0.2"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_FALSE(curve_thresholds(&curve, bad[i], 2, 0.2));
	char many[8 * CURVE_POINTS_MAX] = "0";
	for (int i = 0; i < CURVE_POINTS_MAX; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), ",%d", i);
	CU_ASSERT_FALSE(curve_thresholds(&curve, many, 2, 0.2));
}

static void put(const char *directory, int package, const char *file, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/intel-rapl:%d", directory, package);
	mkdir(path, 0777);
	snprintf(path, sizeof path, "%s/intel-rapl:%d/%s", directory, package, file);
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
}

static void test_energy(void)
{
	char directory[] = "/tmp/test_exits.XXXXXX", command[64];
	Energy before, after;
	const char *why = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_FALSE(energy_read(directory, &before, &why));
	CU_ASSERT_STRING_EQUAL(why, "this machine has no energy counters (RAPL)");
	put(directory, 0, "energy_uj", "not a number\n");
	CU_ASSERT_FALSE(energy_read(directory, &before, &why));
	CU_ASSERT_STRING_EQUAL(why, "the energy counters hold no numbers");
	for (int i = 0; i < 2; i++) {
		put(directory, i, "energy_uj", i ? "4000000\n" : "1000000\n");
		put(directory, i, "max_energy_range_uj", "5000000\n");
	}
	CU_ASSERT_TRUE_FATAL(energy_read(directory, &before, &why));
	CU_ASSERT_EQUAL(before.packages, 2);
	put(directory, 0, "energy_uj", "1500000\n");
	put(directory, 1, "energy_uj", "250000\n"); /* has wrapped */
	CU_ASSERT_TRUE_FATAL(energy_read(directory, &after, &why));
	CU_ASSERT_DOUBLE_EQUAL(energy_between(&before, &after), 0.5 + 1.25, 1e-9);
	snprintf(command, sizeof command, "rm -r %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"logistic", test_logistic},
		{"early_exit", test_early_exit},
		{"fit_is_good", test_fit_is_good},
		{"crossing", test_crossing},
		{"reach", test_reach},
		{"reach of an exit", test_reach_of_exit},
		{"thresholds", test_thresholds},
		{"energy", test_energy},
	};
	make_data();
	return SUITE_RUN("exits", tests);
}
