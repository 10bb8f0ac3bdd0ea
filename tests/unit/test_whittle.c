/* test_whittle.c: passes that make a model smaller and learn from data. Who compiles and runs for them is played by the
 * reference evaluator over a few texts; compiler/calibrate.c, which does it in earnest, is met by the Python tests. */
#include <CUnit/Basic.h>
#include <math.h>
#include <string.h>
#include "passes/driver.h"
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

static bool play_observe(void *context, Module *module, const char *data, int32_t limit, ObserveFn *each, void *argument,
	Diag *diag)
{
	(void)context;
	CU_ASSERT_STRING_EQUAL(data, "texts.tsv");
	CU_ASSERT_TRUE(module_verify(module, diag));
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 1);
	for (int i = 0; i < (limit ? limit : TEXTS); i++) {
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

/* Labels of the texts, and the loss of one output on them: what compiler/score.c computes on a file. */
static const int gold[TEXTS] = {0, 1, 1, 0};

static OutputScore score_of(const Module *module, int output)
{
	OutputScore score = {0};
	for (int i = 0; i < TEXTS; i++) {
		EvalArray out[32] = {{0}};
		outputs_of(module, texts[i], out);
		double sum = 0, top = eval_at(&out[output], 0);
		int best = 0;
		for (int k = 0; k < out[output].count; k++) {
			sum += exp(eval_at(&out[output], k));
			best = eval_at(&out[output], k) > top ? (top = eval_at(&out[output], k), k) : best;
		}
		score.loss += (log(sum) - eval_at(&out[output], gold[i])) / TEXTS;
		score.value += (double)(best == gold[i]) / TEXTS;
		for (int k = 0; k < module->graphs[0]->noutputs; k++)
			eval_array_free(&out[k]);
	}
	return score;
}

static int scored_outputs;

static bool play_score(void *context, Module *module, const char *data, int32_t limit, OutputScore *scores, Diag *diag)
{
	(void)context, (void)limit;
	CU_ASSERT_STRING_EQUAL(data, "texts.tsv");
	CU_ASSERT_TRUE(module_verify(module, diag));
	CU_ASSERT_TRUE_FATAL(module->graphs[0]->noutputs <= 32);
	for (int k = 0; k < module->graphs[0]->noutputs; k++)
		scores[k] = score_of(module, k);
	scored_outputs += module->graphs[0]->noutputs;
	return true;
}

static bool play_labels(void *context, const char *data, int32_t limit, int32_t **labels, int32_t *count, Diag *diag)
{
	(void)context, (void)data, (void)limit, (void)diag;
	*count = TEXTS;
	*labels = malloc(sizeof gold);
	memcpy(*labels, gold, sizeof gold);
	return true;
}

static const bool *used_ids;
static bool no_corpus;
static int32_t renumbered[16];

static bool play_used(void *context, const char *corpus, bool *used, int32_t rows, Diag *diag)
{
	(void)context, (void)diag;
	CU_ASSERT_EQUAL(corpus == NULL, no_corpus);
	if (corpus)
		CU_ASSERT_STRING_EQUAL(corpus, "corpus.txt");
	memcpy(used, used_ids, (size_t)rows);
	return true;
}

/* Token 3 is no text's. */
static void play_never(void *context, bool *never, int32_t rows)
{
	(void)context, (void)rows;
	never[3] = true;
}

static bool play_renumber(void *context, const int32_t *to, int32_t rows, Diag *diag)
{
	(void)context, (void)diag;
	CU_ASSERT_TRUE_FATAL(rows <= 16);
	memcpy(renumbered, to, (size_t)rows * sizeof *to);
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
	const PassEnv env = {.max_tokens = 16, .observe = play_observe, .score = play_score, .labels = play_labels,
		.vocab_used = play_used, .vocab_never = play_never, .vocab_renumber = play_renumber};
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
	const TinyEncoder deep = {.layers = 5, .heads = 2, .size = 4, .ffn = 6, .vocab = 11, .labels = 2};
	Module *module = encoder(&deep);
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

/* ---- pruning ---------------------------------------------------------------------------------------------------------- */

static const TinyEncoder tiny = {.layers = 3, .heads = 4, .size = 3, .ffn = 7, .vocab = 11, .labels = 2};

/* Both pipelines leave the same model of another size than before. */
static void same_as(const Module *module, const char *pipeline, const char *listed)
{
	Module *a = module_copy(module), *b = module_copy(module);
	runs(pipeline, a);
	runs(listed, b);
	if (difference(a, b) != 0)
		printf("\n%s is not %s\n", pipeline, listed);
	CU_ASSERT_EQUAL(difference(a, b), 0);
	CU_ASSERT_TRUE(difference(a, module) > 1e-9);
	module_free(a);
	module_free(b);
}

/* Importance of every unit of every layer, and the list of the `count` least, "heads=0.1,2.3"; malloc'd. */
static char *least_listed(const char *pass, const char *key, double *score, int layers, int units, int count, bool each)
{
	char *text = malloc(4096), *end = text + sprintf(text, "%s{%s=", pass, key);
	for (int n = 0; n < count * (each ? layers : 1); n++) {
		int best = -1;
		for (int i = 0; i < layers * units; i++)
			if (score[i] < 1e9 && (!each || i / units == n / count) && (best < 0 || score[i] < score[best]))
				best = i;
		score[best] = 1e10;
		end += sprintf(end, "%d.%d,", best / units, best % units);
	}
	strcpy(end - 1, "}");
	return text;
}

/* The weight of a named linear. */
static const Tensor *weight_of(const Module *module, const char *name, int layer)
{
	char text[32];
	snprintf(text, sizeof text, "%s%d", name, layer);
	return value_tensor(named(module->graphs[0], text)->node->args[1]);
}

/* |rows of in| |columns of out| of each unit of width w; with squares, root of sum of E[x^2] |column|^2. Unit length a layer. */
static void importances(const Module *module, const char *in, const char *out, const char *mixed, int units, int w, double *score)
{
	for (int l = 0; l < tiny.layers; l++) {
		const Tensor *a = weight_of(module, in, l), *b = weight_of(module, out, l);
		int inputs = (int)a->type.dim[1].plus, rows = (int)b->type.dim[0].plus, columns = (int)b->type.dim[1].plus;
		double squares[64] = {0}, tokens = 0, norm = 0;
		if (mixed) {
			Module *copy = module_copy(module);
			char name[32];
			snprintf(name, sizeof name, "%s%d", mixed, l);
			copy->nheads = 0;
			copy->graphs[0]->noutputs = 1;
			copy->graphs[0]->outputs[0].value = (Value *)(uintptr_t)named(copy->graphs[0], name);
			for (int i = 0; i < TEXTS; i++) {
				EvalArray v = {0};
				outputs_of(copy, texts[i], &v);
				for (int64_t k = 0; k < v.count; k++)
					squares[k % columns] += eval_at(&v, k) * eval_at(&v, k);
				tokens += (double)v.dim[0];
				eval_array_free(&v);
			}
			module_free(copy);
		}
		for (int u = 0; u < units; u++) {
			double first = 0, second = 0;
			for (int i = 0; i < w * inputs; i++)
				first += pow(tensor_at(a, u * w * inputs + i), 2);
			for (int c = u * w; c < (u + 1) * w; c++)
				for (int r = 0; r < rows; r++)
					second += pow(tensor_at(b, r * columns + c), 2) * (mixed ? squares[c] / tokens : 1);
			score[l * units + u] = sqrt(mixed ? second : first * second);
			norm += pow(score[l * units + u], 2);
		}
		for (int u = 0; u < units; u++)
			score[l * units + u] /= sqrt(norm);
	}
}

static void test_importance(void)
{
	static const struct { const char *pass, *key, *in, *out, *mixed; int units, width; } kinds[] = {
		{"prune-heads", "heads", "v", "o", "cj", 4, 3}, {"prune-ffn", "neurons", "f", "g", "m", 7, 1},
	};
	Module *module = encoder(&tiny);
	for (int k = 0; k < 2; k++)
		for (int data = 0; data < 2; data++)
			for (int each = 0; each < 2; each++) {
				double score[32];
				char pipeline[128];
				const int all = kinds[k].units * tiny.layers, go = each ? 2 : 5;
				importances(module, kinds[k].in, kinds[k].out, data ? kinds[k].mixed : NULL, kinds[k].units, kinds[k].width,
					score);
				char *listed = least_listed(kinds[k].pass, kinds[k].key, score, tiny.layers, kinds[k].units, go, each);
				char amount[32];
				snprintf(amount, sizeof amount, each ? "keep=%.0f" : "share=%.4f",
					each ? kinds[k].units - go : (double)(all - go) / all);
				snprintf(pipeline, sizeof pipeline, "%s{by=%s %s}", kinds[k].pass,
					data ? "activation data=texts.tsv" : "magnitude", amount);
				same_as(module, pipeline, listed);
				free(listed);
			}
	module_free(module);
}

/* Loss of the model without one head, one neuron. */
static void test_accuracy(void)
{
	static const struct { const char *pass, *key; int units; } kinds[] = {
		{"prune-heads", "heads", 4}, {"prune-ffn", "neurons", 7}};
	Module *module = encoder(&tiny);
	for (int k = 0; k < 2; k++) {
		double score[32];
		char pipeline[128];
		for (int i = 0; i < tiny.layers * kinds[k].units; i++) {
			Module *copy = module_copy(module);
			snprintf(pipeline, sizeof pipeline, "%s{%s=%d.%d}", kinds[k].pass, kinds[k].key, i / kinds[k].units,
				i % kinds[k].units);
			runs(pipeline, copy);
			score[i] = score_of(copy, 0).loss;
			module_free(copy);
		}
		scored_outputs = 0;
		char *listed = least_listed(kinds[k].pass, kinds[k].key, score, tiny.layers, kinds[k].units, 2, true);
		snprintf(pipeline, sizeof pipeline, "%s{by=accuracy data=texts.tsv keep=%d}", kinds[k].pass, kinds[k].units - 2);
		same_as(module, pipeline, listed);
		CU_ASSERT_EQUAL(scored_outputs, 1 + tiny.layers * kinds[k].units);
		free(listed);
	}
	module_free(module);
}

/* Many neurons are measured in lots: as many variants as lots, and the widths asked for. More than 32 outputs are cut into
 * batches. */
static void test_lots(void)
{
	const TinyEncoder wide = {.layers = 5, .heads = 2, .size = 2, .ffn = 70, .vocab = 11, .labels = 2};
	Module *module = encoder(&wide);
	scored_outputs = 0;
	runs("prune-ffn{by=accuracy data=texts.tsv keep=33}", module);
	CU_ASSERT_EQUAL(scored_outputs, 1 + 5 * 8);
	for (int l = 0; l < 5; l++)
		CU_ASSERT_EQUAL(weight_of(module, "g", l)->type.dim[1].plus, 33);
	module_free(module);
}

/* Difference of the first outputs on the first text, of which six rows are observed: what six neurons or nine numbers of heads and a bias
 * can make again exactly. */
static double difference_on_first(const Module *module, const char *pipeline)
{
	Module *copy = module_copy(module);
	EvalArray x[2] = {{0}}, y[2] = {{0}};
	double worst = 0;
	runs(pipeline, copy);
	outputs_of(module, texts[0], x);
	outputs_of(copy, texts[0], y);
	for (int64_t k = 0; k < x[0].count; k++)
		worst = fmax(worst, fabs(eval_at(&x[0], k) - eval_at(&y[0], k)));
	for (int k = 0; k < 2; k++) {
		eval_array_free(&x[k]);
		eval_array_free(&y[k]);
	}
	module_free(copy);
	return worst;
}

static void test_refit(void)
{
	static const struct { const char *pipeline; bool exact; } rows[] = {
		{"prune-ffn{by=reconstruction keep=6 data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{by=reconstruction share=0.9 data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{neurons=0.2,1.5,2.0 refit=yes data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{by=magnitude keep=6 refit=yes data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{neurons=0.2,1.5,2.0}", false},
		{"prune-ffn{neurons=0.2,1.5,2.0 refit=yes data=texts.tsv limit=1 ridge=1e9}", false},   /* weights are held */
		{"prune-heads{by=reconstruction keep=3 data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-heads{heads=0.1,1.3,2.0 refit=yes data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-heads{heads=0.1,1.3,2.0 refit=no}", false},
	};
	Module *module = encoder(&tiny);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const double difference = difference_on_first(module, rows[i].pipeline);
		CU_ASSERT(rows[i].exact ? difference < 1e-4 : difference > 1e-3);
		if (rows[i].exact ? difference >= 1e-4 : difference <= 1e-3)
			printf("\n%s: %g\n", rows[i].pipeline, difference);
	}
	Module *copy = module_copy(module);
	runs("prune-ffn{by=reconstruction share=0.5 data=texts.tsv}", copy);
	int64_t left = 0;
	for (int l = 0; l < tiny.layers; l++)
		left += weight_of(copy, "g", l)->type.dim[1].plus;
	CU_ASSERT_EQUAL(left, 11);                                           /* of 21: half, rounded */
	module_free(copy);
	copy = module_copy(module);
	char *message = run("prune-ffn{keep=3 refit=maybe}", copy);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	CU_ASSERT_PTR_NOT_NULL(strstr(message, "refit=maybe, expected yes or no"));
	free(message);
	module_free(copy);
	copy = module_copy(module);
	message = run("prune-heads{by=reconstruction keep=3}", copy);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	CU_ASSERT_PTR_NOT_NULL(strstr(message, "give data=FILE"));
	free(message);
	module_free(copy);
	module_free(module);
}

/* Of the blocks that are left, the one goes without which accuracy is highest, then loss least; measured anew each time. */
static void greedy_blocks(const Module *module, int count, char *listed)
{
	Module *now = module_copy(module);
	char *end = listed + sprintf(listed, "prune-blocks{blocks=");
	for (int n = 0; count < 0 || n < count; n++) {
		OutputScore best = count < 0 ? score_of(now, 0) : (OutputScore){-1, 0};
		char found[32] = "";
		for (int i = 0; i < 2 * tiny.layers; i++) {
			Module *without = module_copy(now);
			char block[32], pipeline[64];
			snprintf(block, sizeof block, "%d.%s", i / 2, i % 2 ? "ffn" : "attention");
			snprintf(pipeline, sizeof pipeline, "prune-blocks{blocks=%s}", block);
			char *message = run(pipeline, without);
			OutputScore score = message ? (OutputScore){-2, 0} : score_of(without, 0);
			if (score.value > best.value || (score.value == best.value && score.loss < best.loss)) {
				best = score;
				strcpy(found, block);
			}
			free(message);
			module_free(without);
		}
		if (!*found)
			break;
		char pipeline[64];
		snprintf(pipeline, sizeof pipeline, "prune-blocks{blocks=%s}", found);
		runs(pipeline, now);
		end += sprintf(end, "%s,", found);
	}
	strcpy(end - 1, "}");
	module_free(now);
}

static void test_blocks(void)
{
	Module *module = encoder(&tiny);
	char listed[256];
	greedy_blocks(module, 4, listed);
	same_as(module, "prune-blocks{by=accuracy data=texts.tsv keep=2}", listed);
	greedy_blocks(module, -1, listed);
	CU_ASSERT_TRUE(strchr(listed, '.') != NULL);
	same_as(module, "prune-blocks{by=accuracy data=texts.tsv}", listed);
	/* by activation: |block|^2 / |around|^2 */
	double least = INFINITY;
	char block[64] = "";
	for (int i = 0; i < 2 * tiny.layers; i++) {
		double part[2] = {0};
		for (int side = 0; side < 2; side++) {
			char name[16];
			if (side == 0)
				snprintf(name, sizeof name, i % 2 ? "g%d" : "o%d", i / 2);
			else
				snprintf(name, sizeof name, i == 0 ? "x" : i % 2 ? "a%d" : "h%d", i % 2 ? i / 2 : i / 2 - 1);
			Module *copy = module_copy(module);
			copy->nheads = 0;
			copy->graphs[0]->noutputs = 1;
			copy->graphs[0]->outputs[0].value = (Value *)(uintptr_t)named(copy->graphs[0], name);
			for (int t = 0; t < TEXTS; t++) {
				EvalArray v = {0};
				outputs_of(copy, texts[t], &v);
				for (int64_t k = 0; k < v.count; k++)
					part[side] += pow(eval_at(&v, k), 2);
				eval_array_free(&v);
			}
			module_free(copy);
		}
		if (part[0] / part[1] < least) {
			least = part[0] / part[1];
			snprintf(block, sizeof block, "prune-blocks{blocks=%d.%s}", i / 2, i % 2 ? "ffn" : "attention");
		}
	}
	same_as(module, "prune-blocks{by=activation data=texts.tsv keep=5}", block);
	module_free(module);
}

/* ---- embeddings ------------------------------------------------------------------------------------------------------- */

static void test_vocab(void)
{
	static const bool some[11] = {true, true, false, true, false, false, true, true, true, false, false};
	static const bool all[11] = {true, true, true, true, true, true, true, true, true, true, true};
	static const int32_t numbers[11] = {0, 1, -1, 2, -1, -1, 3, 4, 5, -1, -1};
	Module *module = encoder(&tiny), *fewer = module_copy(module);
	used_ids = all;
	memset(renumbered, 1, sizeof renumbered);
	runs("prune-vocab{corpus=corpus.txt}", fewer);
	CU_ASSERT_NOT_EQUAL(renumbered[0], 0);   /* nothing goes: the tokenizer is left alone */
	CU_ASSERT_EQUAL(named(fewer->graphs[0], "words")->type.dim[0].plus, 11);
	used_ids = some;
	runs("prune-vocab{corpus=corpus.txt}", fewer);
	CU_ASSERT_EQUAL(memcmp(renumbered, numbers, sizeof numbers), 0);
	CU_ASSERT_EQUAL(named(fewer->graphs[0], "words")->type.dim[0].plus, 6);
	Module *filled = module_copy(module);
	runs("prune-vocab{corpus=corpus.txt keep=8}", filled);   /* 2 and 4 are the lowest that the corpus does not use */
	static const int32_t filled_numbers[11] = {0, 1, 2, 3, 4, -1, 5, 6, 7, -1, -1};
	CU_ASSERT_EQUAL(memcmp(renumbered, filled_numbers, sizeof filled_numbers), 0);
	module_free(filled);
	filled = module_copy(module);
	runs("prune-vocab{corpus=corpus.txt keep=5}", filled);   /* the corpus uses six */
	CU_ASSERT_EQUAL(memcmp(renumbered, numbers, sizeof numbers), 0);
	module_free(filled);
	/* without a corpus: 0, 8 and the lowest, but not 3 */
	static const bool two[11] = {[0] = true, [8] = true};
	static const int32_t lowest_numbers[11] = {0, 1, 2, -1, 3, -1, -1, -1, 4, -1, -1};
	filled = module_copy(module);
	used_ids = two;
	no_corpus = true;
	runs("prune-vocab{keep=5}", filled);
	no_corpus = false;
	CU_ASSERT_EQUAL(memcmp(renumbered, lowest_numbers, sizeof lowest_numbers), 0);
	module_free(filled);
	/* a text of tokens that stay gives what it gave under its old numbers */
	const int32_t old[] = {3, 8, 0, 6, 7, 1}, now[] = {2, 5, 0, 3, 4, 1};
	EvalArray x[2] = {{0}}, y[2] = {{0}};
	outputs_of(module, old, x);
	outputs_of(fewer, now, y);
	for (int64_t k = 0; k < x[0].count; k++)
		CU_ASSERT_EQUAL(eval_at(&x[0], k), eval_at(&y[0], k));
	for (int k = 0; k < 2; k++) {
		eval_array_free(&x[k]);
		eval_array_free(&y[k]);
	}
	module_free(module);
	module_free(fewer);
}

/* A masked language model whose decoder shares the table: columns of its output shrink with the rows, bias too. */
static const char masked[] = "module @m max_tokens 16\nhead @mask fill-mask output=logits\n"
	"graph @main(%ids: i32[S]) level=graph {\n  %words = const rand(1) : f32[11,6]\n  %b = const rand(2) : f32[11]\n"
	"  %x = embed %words, %ids : f32[S,6]\n  %t = tanh %x : f32[S,6]\n  %y = linear %t, %words, %b : f32[S,11]\n"
	"  return logits=%y\n}\n";

static void test_masked_vocab(void)
{
	static const bool some[11] = {false, true, true, true, true, true, true, true, true, true, false};
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_parse(masked, strlen(masked), ".", NULL, &diag), *fewer = module_copy(module);
	used_ids = some;
	runs("prune-vocab{corpus=corpus.txt}", fewer);
	const Node *decoder = fewer->graphs[0]->outputs[0].value->node;
	CU_ASSERT_EQUAL(decoder->results[0]->type.dim[1].plus, 9);
	CU_ASSERT_EQUAL(decoder->args[2]->type.dim[0].plus, 9);
	CU_ASSERT_PTR_EQUAL(decoder->args[1], named(fewer->graphs[0], "x")->node->args[0]);
	const int32_t old[] = {3, 9, -1}, now[] = {2, 8, -1};
	EvalArray x = {0}, y = {0};
	outputs_of(module, old, &x);
	outputs_of(fewer, now, &y);
	for (int64_t t = 0; t < 2; t++)
		for (int64_t k = 0; k < 9; k++)
			CU_ASSERT_EQUAL(eval_at(&x, t * 11 + k + 1), eval_at(&y, t * 9 + k));
	eval_array_free(&x);
	eval_array_free(&y);
	module_free(module);
	module_free(fewer);
	diag_free(&diag);
}

/* Of a table of rank r nothing is lost at rank r, on either way through it; below, what is lost is the least that can be. */
static void test_factors(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_parse(masked, strlen(masked), ".", NULL, &diag);
	Tensor *table = tensor_new(module, "low", named(module->graphs[0], "words")->type);
	for (int i = 0; i < 11; i++)
		for (int k = 0; k < 6; k++)
			tensor_set(table, i * 6 + k, sin(i) * cos(2 * k) + 0.5 * cos(3 * i) * sin(k + 1) + 0.1 * sin(5 * i + 1) * cos(k * k));
	named(module->graphs[0], "words")->node->data = table;
	Module *exact = module_copy(module), *less = module_copy(module);
	runs("factorize-embeddings{rank=3}", exact);
	CU_ASSERT_TRUE(difference(module, exact) < 1e-6);
	CU_ASSERT_EQUAL(exact->graphs[0]->outputs[0].value->node->args[1]->type.dim[1].plus, 3);
	runs("factorize-embeddings{rank=2}", less);
	CU_ASSERT_TRUE(difference(module, less) > 1e-4);
	/* the residual of the projection is orthogonal to the vectors that were kept */
	const Tensor *out = value_tensor(named(less->graphs[0], "x")->node->args[1]);
	for (int i = 0; i < 11; i++)
		for (int r = 0; r < 2; r++) {
			double residual = 0, along = 0;
			for (int k = 0; k < 6; k++) {
				double fitted = 0;
				for (int q = 0; q < 2; q++)
					for (int j = 0; j < 6; j++)
						fitted += tensor_at(table, i * 6 + j) * tensor_at(out, j * 2 + q) * tensor_at(out, k * 2 + q);
				residual += (tensor_at(table, i * 6 + k) - fitted) * tensor_at(out, k * 2 + r);
				along += tensor_at(table, i * 6 + k) * tensor_at(out, k * 2 + r);
			}
			CU_ASSERT_TRUE(fabs(residual) <= 1e-5 * fmax(1, fabs(along)));
		}
	module_free(module);
	module_free(exact);
	module_free(less);
	diag_free(&diag);
}

/* Everything one after another, down to code: any order that is allowed verifies and fits. */
static void test_together(void)
{
	static const char *const pipelines[] = {
		"prune-heads{keep=2},prune-ffn{keep=3},drop-layers{layers=0,2},prune-blocks{keep=3},O2",
		"prune-blocks{blocks=1.attention},prune-heads{share=0.5},prune-ffn{share=0.3},drop-layers{strategy=bottom keep=2},O1",
		"canonicalize,fold-const,cse,prune-ffn{neurons=0.0},prune-heads{heads=2.3},prune-heads{heads=2.2},dce,O0",
		"drop-layers{strategy=contribution keep=2 data=texts.tsv},prune-heads{by=activation keep=1 data=texts.tsv limit=2},O2",
		"prune-blocks{keep=0},prune-heads{by=activation keep=1 data=texts.tsv},prune-ffn{by=accuracy keep=1 data=texts.tsv},O2",
		"factorize-embeddings{rank=3},prune-blocks{keep=4},prune-ffn{keep=2},cast-weights{to=f32},O2",
	};
	for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++) {
		Module *module = encoder(&tiny), *plain = module_copy(module);
		char before[256];
		runs(pipelines[i], module);
		CU_ASSERT_EQUAL(module->graphs[0]->level, LEVEL_LOWERED);
		snprintf(before, sizeof before, "%.*s", (int)(strrchr(pipelines[i], ',') - pipelines[i]), pipelines[i]);
		runs(before, plain);
		CU_ASSERT_TRUE(difference(module, plain) < 1e-5);
		module_free(module);
		module_free(plain);
	}
}

static uint32_t state = 1;

static int below(int n)   /* xorshift, Marsaglia 2003 */
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return (int)(state % (uint32_t)n);
}

static int random_pass(char *text)
{
	static const char *const by[] = {"magnitude", "activation data=texts.tsv", "accuracy data=texts.tsv limit=3"};
	static const char *const strategies[] = {"top", "bottom", "symmetric", "contribution data=texts.tsv"};
	switch (below(11)) {
	case 7: return sprintf(text, "hard-attention{k=%d}", 1 + below(6));
	case 8: return sprintf(text, "hard-attention{threshold=0.%d layers=%d}", 1 + below(9), below(4));
	case 9: return sprintf(text, "hard-attention{share=0.%d layers=auto by=%s data=texts.tsv}", 1 + below(9),
		below(2) ? "accuracy" : "cosine cosine=0.9");
	case 10: return sprintf(text, "prune-tokens{layer=%d keep=%s%d}", below(4), below(2) ? "0." : "", 1 + below(6));
	case 0: return sprintf(text, "drop-layers{strategy=%s keep=%d}", strategies[below(4)], 1 + below(3));
	case 1: return sprintf(text, "drop-layers{layers=%d}", below(4));
	case 2: return sprintf(text, "prune-heads{by=%s keep=%d}", by[below(3)], 1 + below(4));
	case 3: return sprintf(text, "prune-ffn{by=%s share=0.%d}", by[below(3)], 1 + below(9));
	case 4: return sprintf(text, "prune-blocks{by=%s keep=%d}", by[below(3)], below(7));
	case 5: return sprintf(text, "factorize-embeddings{rank=%d}", 1 + below(8));
	default: return sprintf(text, "prune-%s=%d.%d}", below(2) ? "heads{heads" : "ffn{neurons", below(4), below(4));
	}
}

/* ---- selecting and thinning ------------------------------------------------------------------------------------------- */

static const Attrs *softmax_of(const Module *module, int layer)
{
	char name[16];
	snprintf(name, sizeof name, "p%d", layer);
	return &named(module->graphs[0], name)->node->attr;
}

static bool selects(const Module *module, int layer) { return softmax_of(module, layer)->has & A_SELECT; }

/* layers=auto takes those that do not lower the score alone, then drops the one of the highest loss as long as they do together. */
static void test_hard_attention(void)
{
	for (int k = 1; k <= 3; k++) {
		Module *plain = encoder(&tiny), *chosen = encoder(&tiny);
		char pipeline[96];
		const double base = score_of(plain, 0).value;
		OutputScore alone[8];
		bool want[8];
		for (int l = 0; l < tiny.layers; l++) {
			Module *one = encoder(&tiny);
			snprintf(pipeline, sizeof pipeline, "hard-attention{k=%d layers=%d}", k, l);
			runs(pipeline, one);
			for (int other = 0; other < tiny.layers; other++)
				CU_ASSERT_EQUAL(selects(one, other), other == l);
			CU_ASSERT_EQUAL(softmax_of(one, l)->keep, k);
			alone[l] = score_of(one, 0);
			want[l] = alone[l].value >= base;
			module_free(one);
		}
		for (;;) {
			Module *together = encoder(&tiny);
			int left = 0, worst = -1;
			for (int l = 0; l < tiny.layers; l++) {
				if (!want[l])
					continue;
				snprintf(pipeline, sizeof pipeline, "hard-attention{k=%d layers=%d}", k, l);
				runs(pipeline, together);
				worst = worst < 0 || alone[l].loss >= alone[worst].loss ? l : worst;
				left++;
			}
			const bool good = left < 2 || score_of(together, 0).value >= base;
			module_free(together);
			if (good)
				break;
			want[worst] = false;
		}
		snprintf(pipeline, sizeof pipeline, "hard-attention{k=%d layers=auto data=texts.tsv}", k);
		runs(pipeline, chosen);
		for (int l = 0; l < tiny.layers; l++)
			CU_ASSERT_EQUAL(selects(chosen, l), want[l]);
		module_free(chosen);
		module_free(plain);
	}
	Module *all = encoder(&tiny), *plain = encoder(&tiny);   /* of six tokens at most, six keys are all */
	runs("hard-attention{k=6 layers=auto by=cosine data=texts.tsv}", all);
	for (int l = 0; l < tiny.layers; l++)
		CU_ASSERT_TRUE(selects(all, l));
	CU_ASSERT_TRUE(difference(all, plain) < 1e-12);
	module_free(all);
	all = encoder(&tiny);
	runs("hard-attention{k=1 layers=auto by=cosine cosine=1 data=texts.tsv}", all);
	for (int l = 0; l < tiny.layers; l++)
		CU_ASSERT_FALSE(selects(all, l));
	module_free(all);
	all = encoder(&tiny);   /* what selected before goes on as it did */
	runs("hard-attention{k=2 layers=1},hard-attention{k=1 layers=auto by=cosine cosine=1 data=texts.tsv}", all);
	for (int l = 0; l < tiny.layers; l++)
		CU_ASSERT_EQUAL(selects(all, l), l == 1);
	CU_ASSERT_EQUAL(softmax_of(all, 1)->keep, 2);
	module_free(all);
	module_free(plain);
}

/* An only layer is not taken where that lowers the score: there is no round of several together that would put it right. */
static void test_hard_attention_of_one_layer(void)
{
	int lowers = 0;
	for (int ffn = 3; ffn < 23; ffn++) {
		const TinyEncoder shallow = {.layers = 1, .heads = 1 + ffn % 4, .size = 3, .ffn = ffn, .vocab = 11, .labels = 2};
		Module *plain = encoder(&shallow), *selecting = encoder(&shallow), *chosen = encoder(&shallow);
		runs("hard-attention{k=1 layers=0}", selecting);
		runs("hard-attention{k=1 layers=auto data=texts.tsv}", chosen);
		const bool good = score_of(selecting, 0).value >= score_of(plain, 0).value;
		CU_ASSERT_EQUAL(selects(chosen, 0), good);
		lowers += !good;
		module_free(plain);
		module_free(selecting);
		module_free(chosen);
	}
	CU_ASSERT_TRUE(lowers > 0);
}

static void play_continues(void *context, bool *continues, int32_t rows)
{
	(void)context;
	for (int32_t i = 0; i < rows; i++)
		continues[i] = i % 2 == 0;
}

/* A tagger keeps tokens that begin words, here odd ids; what went has the row of the last that stayed. */
static void test_tagger(void)
{
	char *text = tiny_encoder_text(&tiny), *at = strstr(text, "head @classify"), *tagger = NULL;
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(asprintf(&tagger, "module @tiny max_tokens 16\nhead @tag tag output=hidden%s", strchr(at, '\n')) > 0);
	Module *module = module_parse(tagger, strlen(tagger), ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	static const char *labels[64];
	for (int i = 0; i < 64; i++)
		labels[i] = "x";
	module->heads[0].nlabels = tiny.heads * tiny.size;
	module->heads[0].labels = labels;
	CU_ASSERT_TRUE(module_verify(module, &diag));
	char *message = run("prune-tokens{layer=0 keep=1}", module);
	CU_ASSERT_PTR_NOT_NULL(message ? strstr(message, "every token that begins a word") : NULL);   /* nobody says which */
	free(message);
	module_free(module);
	module = module_parse(tagger, strlen(tagger), ".", NULL, &diag);
	module->heads[0].nlabels = tiny.heads * tiny.size;
	module->heads[0].labels = labels;
	const PassEnv env = {.max_tokens = 16, .vocab_continues = play_continues};
	const DriverOptions options = {.verify_each = true};
	Pipeline *pipeline = pipeline_parse("prune-tokens{layer=0 keep=1}", &diag);
	CU_ASSERT_TRUE(pipeline_run(pipeline, module, &env, &options, NULL, &diag));
	for (int i = 0; i < TEXTS; i++) {
		EvalArray out[2] = {{0}};
		outputs_of(module, texts[i], out);
		const int64_t width = out[1].dim[1];
		CU_ASSERT_EQUAL(out[1].dim[0], text_length(texts[i]));
		for (int t = 1; t < text_length(texts[i]); t++) {
			bool same = true;
			for (int64_t k = 0; k < width; k++)
				same &= eval_at(&out[1], t * width + k) == eval_at(&out[1], (t - 1) * width + k);
			CU_ASSERT_EQUAL(same, texts[i][t] % 2 == 0);
		}
		eval_array_free(&out[0]);
		eval_array_free(&out[1]);
	}
	pipeline_free(pipeline);
	module_free(module);
	diag_free(&diag);
	free(tagger);
	free(text);
}

/* What is thinned is counted, whether or not attention is fused: linears behind it have half the rows. */
static void test_thinned_work(void)
{
	Module *plain = encoder(&tiny), *thin = encoder(&tiny);
	LedgerRow before = {0}, after = {0}, lowered = {0};
	runs("prune-tokens{layer=0 keep=0.5}", thin);
	module_measure(plain, &before);
	module_measure(thin, &after);
	CU_ASSERT_TRUE(after.macs < before.macs * 2 / 3 && after.macs > before.macs / 3);
	runs("O2", thin);
	module_measure(thin, &lowered);
	CU_ASSERT_TRUE(lowered.macs <= after.macs && lowered.arena_bytes > 0);
	module_free(plain);
	module_free(thin);
}

/* What passes learn from data behind exits is learnt of texts that go through all layers. */
static void test_observed_behind_exits(void)
{
	static const char late[] = "normalize-embeddings{method=z-score layers=2 data=texts.tsv}";
	Module *plain = encoder(&tiny), *exits = encoder(&tiny);
	plain->graphs[0]->noutputs = exits->graphs[0]->noutputs = 1;   /* logits alone */
	runs("early-exit{data=texts.tsv limit=4 layers=0,1 entropy=2}", exits);   /* above log 2: every text ends */
	runs(late, exits);
	runs(late, plain);
	module_set_option(exits->graphs[0]->module, "exit_entropy", 0);   /* none does */
	CU_ASSERT_EQUAL(difference(plain, exits), 0);
	module_free(plain);
	module_free(exits);
}

/* Random encoders through random pipelines: each refuses in so many words, or leaves a graph that verifies and that every level of
 * optimisation computes alike. */
static void test_random(void)
{
	int ran = 0;
	for (int i = 0; i < (getenv("FULL") ? 3000 : 200); i++) {
		state = (uint32_t)i * 2654435761u + 1;
		const TinyEncoder any = {.layers = 1 + below(4), .heads = 1 + below(4), .size = 1 + below(5), .ffn = 1 + below(9), .vocab = 11,
			.labels = 2 + below(3)};
		char pipeline[512], *end = pipeline, level[8];
		for (int n = 1 + below(3); n > 0; n--) {
			end += random_pass(end);
			*end++ = ',';
		}
		end[-1] = '\0';
		Module *module = encoder(&any);
		char *message = run(pipeline, module);
		if (!message) {
			Module *low = module_copy(module);
			snprintf(level, sizeof level, "O%d", below(3));
			runs(level, low);
			if (!(difference(module, low) < 1e-4))
				printf("\nseed %d: %s,%s differs by %g\n", i, pipeline, level, difference(module, low));
			CU_ASSERT_TRUE(difference(module, low) < 1e-4);
			module_free(low);
			ran++;
		} else if (strstr(message, "must come before") == NULL && strstr(message, "there is no") == NULL
			&& strstr(message, "leaves no") == NULL && strstr(message, "has no attention that") == NULL
			&& strstr(message, "thinned out already") == NULL) {
			printf("\nseed %d: %s: %s\n", i, pipeline, message);
			CU_FAIL("message");
		}
		free(message);
		module_free(module);
	}
	CU_ASSERT_TRUE(ran > 100);
}

int main(void)
{
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("whittle", NULL, NULL);
	CU_ADD_TEST(suite, test_contribution);
	CU_ADD_TEST(suite, test_importance);
	CU_ADD_TEST(suite, test_accuracy);
	CU_ADD_TEST(suite, test_lots);
	CU_ADD_TEST(suite, test_refit);
	CU_ADD_TEST(suite, test_blocks);
	CU_ADD_TEST(suite, test_vocab);
	CU_ADD_TEST(suite, test_masked_vocab);
	CU_ADD_TEST(suite, test_factors);
	CU_ADD_TEST(suite, test_together);
	CU_ADD_TEST(suite, test_hard_attention);
	CU_ADD_TEST(suite, test_hard_attention_of_one_layer);
	CU_ADD_TEST(suite, test_tagger);
	CU_ADD_TEST(suite, test_thinned_work);
	CU_ADD_TEST(suite, test_observed_behind_exits);
	CU_ADD_TEST(suite, test_random);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
