/* test_whittle_select.c: hard-attention and prune-tokens: the layers and tokens that they choose, and the
 * smaller number of operations in the ledger. */
#include "tests/unit/whittled.h"
#include "tests/unit/suite.h"

/* ---- selecting and thinning ------------------------------------------------------------------ */

static const Attrs *softmax_of(const Module *module, int layer)
{
	char name[16];
	snprintf(name, sizeof name, "p%d", layer);
	return &named(module->graphs[0], name)->node->attr;
}

static bool selects(const Module *module, int layer) { return softmax_of(module, layer)->has & A_SELECT; }

/* layers=auto takes the layers that alone do not lower the score. While the set lowers the score, it drops
 * the layer with the highest loss. */
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
	Module *all = encoder(&tiny), *plain = encoder(&tiny); /* of six tokens at most, six keys are all */
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
	all = encoder(&tiny); /* layers that already select do not change */
	runs("hard-attention{k=2 layers=1},hard-attention{k=1 layers=auto by=cosine cosine=1 data=texts.tsv}",
		all);
	for (int l = 0; l < tiny.layers; l++)
		CU_ASSERT_EQUAL(selects(all, l), l == 1);
	CU_ASSERT_EQUAL(softmax_of(all, 1)->keep, 2);
	module_free(all);
	module_free(plain);
}

/* A single layer is not taken if it lowers the score. There is no later round that would drop it. */
static void test_hard_attention_of_one_layer(void)
{
	int lowers = 0;
	for (int ffn = 3; ffn < 23; ffn++) {
		const TinyEncoder shallow = {
			.layers = 1, .heads = 1 + ffn % 4, .size = 3, .ffn = ffn, .vocab = 11, .labels = 2};
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

/* A tagger keeps tokens that begin words, here odd ids. A dropped token gets the row of the last kept
 * token. */
static void test_tagger(void)
{
	char *text = tiny_encoder_text(&tiny), *at = strstr(text, "head @classify"), *tagger = NULL;
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(
		asprintf(&tagger, "module @tiny max_tokens 16\nhead @tag tag output=hidden%s", strchr(at, '\n')) > 0);
	Module *module = module_parse(tagger, strlen(tagger), ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	static const char *labels[64];
	for (int i = 0; i < 64; i++)
		labels[i] = "x";
	module->heads[0].nlabels = tiny.heads * tiny.size;
	module->heads[0].labels = labels;
	CU_ASSERT_TRUE(module_verify(module, &diag));
	char *message = run("prune-tokens{layer=0 keep=1}", module);
	CU_ASSERT_PTR_NOT_NULL(
		message ? strstr(message, "all tokens that begin a word") : NULL); /* nobody says which */
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

/* The ledger counts half the rows for linears after thin, with fused and unfused attention. */
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

int main(void)
{
	static const SuiteTest tests[] = {
		{"hard attention", test_hard_attention},
		{"hard attention of one layer", test_hard_attention_of_one_layer},
		{"tagger", test_tagger},
		{"thinned work", test_thinned_work},
	};
	return SUITE_RUN("whittle: select", tests);
}
