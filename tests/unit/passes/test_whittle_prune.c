/* test_whittle_prune.c: prune-heads, prune-ffn and prune-blocks: importance, the order of removal, and the
 * refit of the remaining weights. */
#include "tests/unit/whittled.h"
#include "tests/unit/suite.h"

/* ---- pruning --------------------------------------------------------------------------------- */

/* Both pipelines give the same model, with another size than the original. */
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

/* Computes the importance of every unit of every layer. Returns the list of the `count` least important,
 * "heads=0.1,2.3"; malloc'd. */
static char *least_listed(
	const char *pass, const char *key, double *score, int layers, int units, int count, bool each)
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

/* |rows of in| |columns of out| of each unit of width w; with squares, root of sum of E[x^2] |column|^2. Unit
 * length a layer. */
static void importances(
	const Module *module, const char *in, const char *out, const char *mixed, int units, int w, double *score)
{
	for (int l = 0; l < tiny.layers; l++) {
		const Tensor *a = weight_of(module, in, l), *b = weight_of(module, out, l);
		int inputs = (int)a->type.dim[1].plus, rows = (int)b->type.dim[0].plus,
			columns = (int)b->type.dim[1].plus;
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
	static const struct {
		const char *pass, *key, *in, *out, *mixed;
		int units, width;
	} kinds[] = {
		{"prune-heads", "heads", "v", "o", "cj", 4, 3},
		{"prune-ffn", "neurons", "f", "g", "m", 7, 1},
	};
	Module *module = encoder(&tiny);
	for (int k = 0; k < 2; k++)
		for (int data = 0; data < 2; data++)
			for (int each = 0; each < 2; each++) {
				double score[32];
				char pipeline[128];
				const int all = kinds[k].units * tiny.layers, go = each ? 2 : 5;
				importances(module, kinds[k].in, kinds[k].out, data ? kinds[k].mixed : NULL, kinds[k].units,
					kinds[k].width, score);
				char *listed = least_listed(
					kinds[k].pass, kinds[k].key, score, tiny.layers, kinds[k].units, go, each);
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
	static const struct {
		const char *pass, *key;
		int units;
	} kinds[] = {{"prune-heads", "heads", 4}, {"prune-ffn", "neurons", 7}};
	Module *module = encoder(&tiny);
	for (int k = 0; k < 2; k++) {
		double score[32];
		char pipeline[128];
		for (int i = 0; i < tiny.layers * kinds[k].units; i++) {
			Module *copy = module_copy(module);
			snprintf(pipeline, sizeof pipeline, "%s{%s=%d.%d}", kinds[k].pass, kinds[k].key,
				i / kinds[k].units, i % kinds[k].units);
			runs(pipeline, copy);
			score[i] = score_of(copy, 0).loss;
			module_free(copy);
		}
		scored_outputs = 0;
		char *listed = least_listed(kinds[k].pass, kinds[k].key, score, tiny.layers, kinds[k].units, 2, true);
		snprintf(pipeline, sizeof pipeline, "%s{by=accuracy data=texts.tsv keep=%d}", kinds[k].pass,
			kinds[k].units - 2);
		same_as(module, pipeline, listed);
		CU_ASSERT_EQUAL(scored_outputs, 1 + tiny.layers * kinds[k].units);
		free(listed);
	}
	module_free(module);
}

/* Many neurons are measured in groups: one variant per group, with the requested widths. More than 32 outputs
 * are split into batches. */
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

/* Difference of the first outputs on the first text. Six rows of it are observed, so six neurons, or nine
 * numbers of heads and a bias, can reproduce them exactly. */
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
	static const struct {
		const char *pipeline;
		bool exact;
	} rows[] = {
		{"prune-ffn{by=reconstruction keep=6 data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{by=reconstruction share=0.9 data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{neurons=0.2,1.5,2.0 refit=yes data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{by=magnitude keep=6 refit=yes data=texts.tsv limit=1 ridge=1e-9}", true},
		{"prune-ffn{neurons=0.2,1.5,2.0}", false},
		{"prune-ffn{neurons=0.2,1.5,2.0 refit=yes data=texts.tsv limit=1 ridge=1e9}",
			false}, /* weights are held */
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
	CU_ASSERT_EQUAL(left, 11); /* of 21: half, rounded */
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

/* Removes the block whose absence gives the highest accuracy, then the lowest loss. All remaining blocks are
 * measured again in each step. */
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
			else if (i == 0)
				snprintf(name, sizeof name, "x");
			else
				snprintf(name, sizeof name, i % 2 ? "a%d" : "h%d", (i - 1) / 2);
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

int main(void)
{
	static const SuiteTest tests[] = {
		{"importance", test_importance},
		{"accuracy", test_accuracy},
		{"lots", test_lots},
		{"refit", test_refit},
		{"blocks", test_blocks},
	};
	return SUITE_RUN("whittle: prune", tests);
}
