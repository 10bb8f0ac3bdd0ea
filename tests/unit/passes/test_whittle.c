/* test_whittle.c: passes that make a model smaller and learn from data: layers, vocabularies, factors, and
 * all of them in random pipelines. test_whittle_prune.c tests heads, neurons and blocks;
 * test_whittle_select.c tests selection. */
#include "tests/unit/whittled.h"
#include "tests/unit/suite.h"

/* ---- drop-layers ----------------------------------------------------------------------------- */

/* The mean cosine of a layer's input and output over the texts, computed independently. */
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
				aa += a * a;
				bb += b * b;
				ab += a * b;
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
				 : "drop-layers{strategy=contribution keep=3 data=texts.tsv}",
			by_data);
		runs(stay, by_list);
		CU_ASSERT_EQUAL(difference(by_data, by_list), 0);
		CU_ASSERT_TRUE(difference(by_data, module) > 1e-6);
		module_free(by_data);
		module_free(by_list);
	}
	module_free(module);
}

/* ---- embeddings ------------------------------------------------------------------------------ */

static void test_vocab(void)
{
	static const bool some[11] = {true, true, false, true, false, false, true, true, true, false, false};
	static const bool all[11] = {true, true, true, true, true, true, true, true, true, true, true};
	static const int32_t numbers[11] = {0, 1, -1, 2, -1, -1, 3, 4, 5, -1, -1};
	Module *module = encoder(&tiny), *fewer = module_copy(module);
	used_ids = all;
	memset(renumbered, 1, sizeof renumbered);
	runs("prune-vocab{corpus=corpus.txt}", fewer);
	CU_ASSERT_NOT_EQUAL(renumbered[0], 0); /* nothing is removed: the tokenizer does not change */
	CU_ASSERT_EQUAL(named(fewer->graphs[0], "words")->type.dim[0].plus, 11);
	used_ids = some;
	runs("prune-vocab{corpus=corpus.txt}", fewer);
	CU_ASSERT_EQUAL(memcmp(renumbered, numbers, sizeof numbers), 0);
	CU_ASSERT_EQUAL(named(fewer->graphs[0], "words")->type.dim[0].plus, 6);
	Module *filled = module_copy(module);
	runs("prune-vocab{corpus=corpus.txt keep=8}",
		filled); /* 2 and 4 are the lowest that the corpus does not use */
	static const int32_t filled_numbers[11] = {0, 1, 2, 3, 4, -1, 5, 6, 7, -1, -1};
	CU_ASSERT_EQUAL(memcmp(renumbered, filled_numbers, sizeof filled_numbers), 0);
	module_free(filled);
	filled = module_copy(module);
	runs("prune-vocab{corpus=corpus.txt keep=5}", filled); /* the corpus uses six */
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
	/* a text of kept tokens gives the same results with its new ids */
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

/* A masked language model with a tied decoder: the columns of its output and its bias shrink with the
 * table. */
static const char masked[] = "module @m max_tokens 16\nhead @mask fill-mask output=logits\n"
							 "graph @main(%ids: i32[S]) level=graph {\n  %words = const rand(1) : "
							 "f32[11,6]\n  %b = const rand(2) : f32[11]\n"
							 "  %x = embed %words, %ids : f32[S,6]\n  %t = tanh %x : f32[S,6]\n  %y = linear "
							 "%t, %words, %b : f32[S,11]\n"
							 "  return logits=%y\n}\n";

static void test_masked_vocab(void)
{
	static const bool some[11] = {false, true, true, true, true, true, true, true, true, true, false};
	Module *module = module_of_text(masked), *fewer = module_copy(module);
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
}

/* A table of rank r is exact at rank r, as input table and as decoder. At a lower rank, the error is the
 * minimum. */
static void test_factors(void)
{
	Module *module = module_of_text(masked);
	Tensor *table = tensor_new(module, "low", named(module->graphs[0], "words")->type);
	for (int i = 0; i < 11; i++)
		for (int k = 0; k < 6; k++)
			tensor_set(table, i * 6 + k,
				sin(i) * cos(2 * k) + 0.5 * cos(3 * i) * sin(k + 1) + 0.1 * sin(5 * i + 1) * cos(k * k));
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
						fitted += tensor_at(table, i * 6 + j) * tensor_at(out, j * 2 + q)
							* tensor_at(out, k * 2 + q);
				residual += (tensor_at(table, i * 6 + k) - fitted) * tensor_at(out, k * 2 + r);
				along += tensor_at(table, i * 6 + k) * tensor_at(out, k * 2 + r);
			}
			CU_ASSERT_TRUE(fabs(residual) <= 1e-5 * fmax(1, fabs(along)));
		}
	module_free(module);
	module_free(exact);
	module_free(less);
}

/* All passes in a row, down to code: every legal order gives a valid module. */
static void test_together(void)
{
	static const char *const pipelines[] = {
		"prune-heads{keep=2},prune-ffn{keep=3},drop-layers{layers=0,2},prune-blocks{keep=3},O2",
		"prune-blocks{blocks=1.attention},prune-heads{share=0.5},prune-ffn{share=0.3},drop-layers{strategy="
		"bottom keep=2},O1",
		"canonicalize,fold-const,cse,prune-ffn{neurons=0.0},prune-heads{heads=2.3},prune-heads{heads=2.2},"
		"dce,O0",
		"drop-layers{strategy=contribution keep=2 data=texts.tsv},prune-heads{by=activation keep=1 "
		"data=texts.tsv limit=2},O2",
		"prune-blocks{keep=0},prune-heads{by=activation keep=1 data=texts.tsv},prune-ffn{by=accuracy keep=1 "
		"data=texts.tsv},O2",
		"factorize-embeddings{rank=3},prune-blocks{keep=4},prune-ffn{keep=2},cast-weights{to=f32},O2",
	};
	for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++) {
		Module *module = encoder(&tiny), *plain = module_copy(module);
		char before[256];
		runs(pipelines[i], module);
		CU_ASSERT_EQUAL(module->graphs[0]->level, LEVEL_LOWERED);
		snprintf(
			before, sizeof before, "%.*s", (int)(strrchr(pipelines[i], ',') - pipelines[i]), pipelines[i]);
		runs(before, plain);
		CU_ASSERT_TRUE(difference(module, plain) < 1e-5);
		module_free(module);
		module_free(plain);
	}
}

static uint32_t state = 1;

static int below(int n) /* xorshift, Marsaglia 2003 */
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return (int)(state % (uint32_t)n);
}

static int random_pass(const TinyEncoder *any, char *text)
{
	static const char *const by[] = {
		"magnitude", "activation data=texts.tsv", "accuracy data=texts.tsv limit=3"};
	static const char *const strategies[] = {"top", "bottom", "symmetric", "contribution data=texts.tsv"};
	switch (below(11)) {
	case 7: return sprintf(text, "hard-attention{k=%d}", 1 + below(6));
	case 8: return sprintf(text, "hard-attention{threshold=0.%d layers=%d}", 1 + below(9), below(4));
	case 9:
		return sprintf(text, "hard-attention{share=0.%d layers=auto by=%s data=texts.tsv}", 1 + below(9),
			below(2) ? "accuracy" : "cosine cosine=0.9");
	case 10:
		return sprintf(
			text, "prune-tokens{layer=%d keep=%s%d}", below(4), below(2) ? "0." : "", 1 + below(6));
	case 0:
		return sprintf(
			text, "drop-layers{strategy=%s keep=%d}", strategies[below(4)], 1 + below(any->layers));
	case 1: return sprintf(text, "drop-layers{layers=%d}", below(4));
	case 2: return sprintf(text, "prune-heads{by=%s keep=%d}", by[below(3)], 1 + below(any->heads));
	case 3: return sprintf(text, "prune-ffn{by=%s share=0.%d}", by[below(3)], 1 + below(9));
	case 4: return sprintf(text, "prune-blocks{by=%s keep=%d}", by[below(3)], below(2 * any->layers + 1));
	case 5: return sprintf(text, "factorize-embeddings{rank=%d}", 1 + below(any->size));
	default:
		return sprintf(text, "prune-%s=%d.%d}", below(2) ? "heads{heads" : "ffn{neurons", below(4), below(4));
	}
}

/* Passes after early-exit learn from texts that run through all layers. */
static void test_observed_behind_exits(void)
{
	static const char late[] = "normalize-embeddings{method=z-score layers=2 data=texts.tsv}";
	Module *plain = encoder(&tiny), *exits = encoder(&tiny);
	plain->graphs[0]->noutputs = exits->graphs[0]->noutputs = 1; /* logits alone */
	runs(
		"early-exit{data=texts.tsv limit=4 layers=0,1 entropy=2}", exits); /* above log 2: every text exits */
	runs(late, exits);
	runs(late, plain);
	module_set_option(exits->graphs[0]->module, "exit_entropy", 0); /* none does */
	CU_ASSERT_EQUAL(difference(plain, exits), 0);
	module_free(plain);
	module_free(exits);
}

/* One row, or several equal rows, have no variance: the result would be zeros and rounding errors. */
static void test_rows_that_vary(void)
{
	static const char *const methods[] = {"z-score", "min-max", "all-but-the-top"};
	TinyEncoder embedder = tiny;
	embedder.head = TINY_EMBED;
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		for (int limit = 1; limit <= 2; limit++) {
			char text[100];
			Module *module = encoder(&embedder);
			snprintf(text, sizeof text, "normalize-embeddings{method=%s data=texts.tsv limit=%d}", methods[i],
				limit);
			char *message = run(text, module);
			CU_ASSERT_EQUAL(message != NULL, limit == 1);
			CU_ASSERT_TRUE(
				!message || strstr(message, "1 row of texts.tsv, expected rows that differ") != NULL);
			free(message);
			module_free(module);
		}
}

/* n rows vary in n - 1 directions, so n or more components would be arbitrary. */
static void test_components_of_rows(void)
{
	TinyEncoder embedder = tiny;
	embedder.head = TINY_EMBED;
	for (int components = 1; components <= 3; components++) {
		char text[100];
		Module *module = encoder(&embedder);
		snprintf(text, sizeof text,
			"normalize-embeddings{method=all-but-the-top components=%d data=texts.tsv limit=3}", components);
		char *message = run(text, module);
		CU_ASSERT_EQUAL(message != NULL, components == 3);
		CU_ASSERT_TRUE(!message
			|| strstr(
				   message, "3 components, but only 3 rows in texts.tsv; expected fewer components than rows")
				!= NULL);
		free(message);
		module_free(module);
	}
}

/* Random encoders through random pipelines: a pipeline is refused with a message, or gives a valid graph with
 * the same results at every level of optimisation. */
static void test_random(void)
{
	int ran = 0;
	for (int i = 0; i < (getenv("FULL") ? 3000 : 200); i++) {
		state = (uint32_t)i * 2654435761u + 1;
		const TinyEncoder any = {.layers = 1 + below(4),
			.heads = 1 + below(4),
			.size = 1 + below(5),
			.ffn = 1 + below(9),
			.vocab = 11,
			.labels = 2 + below(3)};
		char pipeline[512], *end = pipeline, level[8];
		for (int n = 1 + below(3); n > 0; n--) {
			end += random_pass(&any, end);
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
			&& strstr(message, "leaves no") == NULL && strstr(message, "has no attention, which") == NULL
			&& strstr(message, "drops tokens already") == NULL
			&& strstr(message, "; give at most ") == NULL) {
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
	static const SuiteTest tests[] = {
		{"contribution", test_contribution},
		{"vocab", test_vocab},
		{"masked vocab", test_masked_vocab},
		{"factors", test_factors},
		{"together", test_together},
		{"observed behind exits", test_observed_behind_exits},
		{"rows that vary", test_rows_that_vary},
		{"components of rows", test_components_of_rows},
		{"random", test_random},
	};
	return SUITE_RUN("whittle", tests);
}
