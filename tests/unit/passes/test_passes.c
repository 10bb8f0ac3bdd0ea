/* test_passes.c: the parser of pipelines, order constraints, and random legal pipelines on random graphs,
 * which must not change results. FileCheck tests (tests/passes) test single passes; test_passes_plan.c tests
 * memory and the driver. */
#include "tests/unit/random_graph.h"
#include "tests/unit/suite.h"

/* ---- pipelines as text ----------------------------------------------------------------------- */

/* The text prints back as `canonical`. */
static void parses_to(const char *text, const char *canonical)
{
	Diag diag;
	diag_init(&diag, NULL);
	Pipeline *pipeline = pipeline_parse(text, &diag);
	char *printed = pipeline ? pipeline_text(pipeline) : NULL;
	CU_ASSERT_PTR_NOT_NULL(printed);
	if (!printed || strcmp(printed, canonical)) {
		printf("\n\"%s\" prints as \"%s\", expected \"%s\"\n", text,
			printed ? printed : diag.messages[0].text, canonical);
		CU_FAIL("pipeline text");
	}
	free(printed);
	pipeline_free(pipeline);
	diag_free(&diag);
}

static void refused_with(const char *text, const char *part)
{
	Diag diag;
	diag_init(&diag, NULL);
	Pipeline *pipeline = pipeline_parse(text, &diag);
	CU_ASSERT_PTR_NULL(pipeline);
	CU_ASSERT_EQUAL(diag.code, EXIT_USAGE);
	bool found = false;
	for (int i = 0; i < diag.count; i++)
		found |= strstr(diag.messages[i].text, part) != NULL;
	if (!found) {
		printf("\n\"%.60s\" gives \"%s\", expected \"%s\"\n", text,
			diag.count ? diag.messages[0].text : "nothing", part);
		CU_FAIL("message");
	}
	pipeline_free(pipeline);
	diag_free(&diag);
}

static void test_parser(void)
{
	parses_to("", "");
	parses_to("  ", "");
	parses_to("dce", "dce");
	parses_to(" cse , dce\n", "cse,dce");
	parses_to(
		"cast-weights{to=f16},fuse{only=attention,qkv}", "cast-weights{to=f16},fuse{only=attention,qkv}");
	parses_to("cast-weights{ to=f16 }", "cast-weights{to=f16}");
	parses_to("dce{}", "dce");
	parses_to("O0", "lower,pack-weights,chain-rows,plan-memory");
	parses_to("cse,-O0", "cse,lower,pack-weights,chain-rows,plan-memory");
	parses_to("O0,cse", "cse,lower,pack-weights,chain-rows,plan-memory");
	for (int level = 0; level <= 3; level++)
		parses_to(pipeline_preset(level), pipeline_preset(level));
	CU_ASSERT_STRING_EQUAL(pipeline_preset(-5), pipeline_preset(0));
	CU_ASSERT_STRING_EQUAL(pipeline_preset(99), pipeline_preset(3));
}

#define TIDIED "canonicalize,fold-const,cse,fuse,fold-const,cse,dce,"
#define CODE "lower,pack-weights,chain-rows,plan-memory"

/* What a pipeline becomes at level O2 when code is to be made. NULL: it is refused. */
static void completes_to(const char *text, bool is_recipe, const char *expected)
{
	Diag diag;
	diag_init(&diag, NULL);
	Pipeline *pipeline = pipeline_parse(text, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipeline);
	CU_ASSERT_EQUAL(pipeline_is_recipe(pipeline), is_recipe);
	const bool good = pipeline_complete(pipeline, 2, &diag);
	char *whole = good ? pipeline_text(pipeline) : NULL;
	if (!expected ? whole != NULL : !whole || strcmp(whole, expected)) {
		printf("\n\"%s\" is completed to \"%s\", expected \"%s\"\n", text, whole ? whole : "nothing",
			expected ? expected : "nothing");
		CU_FAIL("completed");
	}
	free(whole);
	pipeline_free(pipeline);
	diag_free(&diag);
}

static void test_complete(void)
{
	completes_to("quantize-int8", true, TIDIED "quantize-int8," CODE);
	completes_to("cast-weights{to=f16},quantize-int8{exclude=layer.0},compute-bf16", true,
		"cast-weights{to=f16}," TIDIED "quantize-int8{exclude=layer.0},compute-bf16," CODE);
	completes_to("fuse,quantize-int8", false, "fuse,quantize-int8," CODE);
	completes_to("quantize-int8,lower", false, "quantize-int8,lower,pack-weights,plan-memory");
	completes_to("lower,pack-weights", false, "lower,pack-weights,plan-memory");
	completes_to("lower,plan-memory", false, "lower,plan-memory");
	completes_to("cse", false, "cse," CODE);
	completes_to("", false, CODE);
	completes_to("O2,quantize-int8", false, TIDIED "quantize-int8," CODE);
	completes_to("pack-weights", false, NULL);
}

/* Appended passes are placed before the final passes of a preset, and in legal order. */
static void test_append(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	Pipeline *pipeline = pipeline_new();
	CU_ASSERT_TRUE(pipeline_append(pipeline, "", &diag));
	CU_ASSERT_EQUAL(pipeline->count, 0);
	CU_ASSERT_TRUE(pipeline_append(pipeline, "cast-weights{to=f16}", &diag));
	CU_ASSERT_TRUE(pipeline_append(pipeline, "O2", &diag));
	CU_ASSERT_TRUE(pipeline_append(pipeline, "compute-bf16", &diag));
	char *text = pipeline_text(pipeline);
	CU_ASSERT_STRING_EQUAL(text, "cast-weights{to=f16}," TIDIED "compute-bf16," CODE);
	CU_ASSERT_EQUAL(pipeline_find(pipeline, "canonicalize"), 1);
	CU_ASSERT_EQUAL(pipeline_find(pipeline, "sparsify"), -1);
	CU_ASSERT_FALSE(pipeline_append(pipeline, "drop-layers{keep=1}", &diag));
	CU_ASSERT_EQUAL(diag.errors > 0, true);
	free(text);
	pipeline_free(pipeline);
	diag_free(&diag);
}

static void test_hidden_folders(void)
{
	char text[] = "drop-layers{data=/x/dev.tsv keep=2},O2,drop-layers{data=a/b=c/d},x{data=plain "
				  "tokens=all}";
	pipeline_hide_folders(text);
	CU_ASSERT_STRING_EQUAL(
		text, "drop-layers{data=dev.tsv keep=2},O2,drop-layers{data=d},x{data=plain tokens=all}");
	char command[] = "--passes=drop-layers{data=../dev.tsv}";
	pipeline_hide_folders(command);
	CU_ASSERT_STRING_EQUAL(command, "--passes=drop-layers{data=dev.tsv}");
}

static void test_parser_errors(void)
{
	refused_with("fuze", "there is no pass \"fuze\"");
	refused_with("cse,", "expected a pass at byte 4, found its end");
	refused_with(",cse", "expected a pass at byte 0, found \",\"");
	refused_with("cse dce", "expected \",\" or the end at byte 4");
	refused_with("cse;dce", "expected \",\" or the end at byte 3");
	refused_with("\x01", "found an unprintable byte");
	refused_with("fuse{", "expected an option's name at byte 5, found its end");
	refused_with("fuse{only", "expected \"=\"");
	refused_with("fuse{only=", "expected a value of fuse{only=}");
	refused_with("fuse{only=a only=b}", "given twice");
	refused_with("fuse{bits=4}", "fuse has no option \"bits\"; it takes only");
	refused_with("dce{bits=4}", "dce has no option \"bits\"; it takes none");
	refused_with("O4", "there is no pass \"O4\"");
	char *many = calloc(1, 5000);
	for (int i = 0; i < 1001; i++)
		strcat(many, i ? ",dce" : "dce");
	refused_with(many, "more than 1000 passes");
	free(many);
	char *huge = malloc(100001);
	memset(huge, ' ', 100000);
	huge[100000] = 0;
	refused_with(huge, "100000 bytes, at most");
	free(huge);
}

/* Rows of OPTION: the parser refuses other words and numbers; every default is a value that it takes, and so
 * is every example. */
static void test_options(void)
{
	int32_t seen = 0;
	for (int32_t pass = 0; pass < pass_count; pass++) {
		Diag diag;
		diag_init(&diag, NULL);
		int32_t count;
		const PassOptionInfo *options = pass_options(pass, &count);
		for (int32_t i = 0; i < count; i++) {
			const PassOptionInfo *option = &options[i];
			const bool list = option->list != LIST_NONE;
			CU_ASSERT_EQUAL(
				(!list && option->words) + (!list && option->text) + option->whole + option->number + list,
				1);
			CU_ASSERT_PTR_EQUAL(pass_option_find(pass, option->key), option);
			CU_ASSERT(!*option->fallback || pass_option_check(pass, option, option->fallback, &diag));
		}
		seen += count;
		CU_ASSERT_EQUAL(diag.count, 0);
		diag_free(&diag);
		parses_to(pass_info[pass].example, pass_info[pass].example);
	}
	CU_ASSERT(seen > 70);
	refused_with(
		"drop-layers{strategy=middle keep=2}", "drop-layers: strategy=middle, expected top, bottom, ");
	refused_with("drop-layers{strategy=to keep=2}", "strategy=to, expected");
	refused_with("drop-layers{strategy=top|bottom keep=2}", "pipeline: expected");
	refused_with("sparsify{sparsity=1.01}", "sparsify: sparsity=1.01, expected a number from 0 to 1");
	refused_with("sparsify{sparsity=nan}", "sparsity=nan, expected a number from 0 to 1");
	refused_with("sparsify{sparsity=0.5x}", "sparsity=0.5x, expected a number");
	refused_with("sparsify{steps=0}", "sparsify: steps=0, expected a whole number from 1 to 100");
	refused_with("sparsify{steps=2.5}", "steps=2.5, expected a whole number");
	refused_with(
		"factorize-embeddings{rank=99999999999999999999}", "expected a whole number from 1 to 2147483647");
}

/* Options that list layers or parts of them, in every pass, read and refuse the same spellings. */
static void test_lists(void)
{
	static const struct {
		ListForm form;
		const char *value, *why;
	} cases[] = {
		{LIST_LAYERS, "0", NULL},
		{LIST_LAYERS, "0,2,4-7", NULL},
		{LIST_LAYERS, "3-3,1", NULL},
		{LIST_LAYERS, "7-4", "\"7-4\" runs backwards"},
		{LIST_LAYERS, "0,1-", "\"1-\" cannot be read"},
		{LIST_LAYERS, "-3", "\"-3\" cannot be read"},
		{LIST_LAYERS, "1-2-3", "\"1-2-3\" cannot be read"},
		{LIST_LAYERS, "1--2", "\"1--2\" cannot be read"},
		{LIST_LAYERS, "+1", "\"+1\" cannot be read"},
		{LIST_LAYERS, "0x1", "\"0x1\" cannot be read"},
		{LIST_LAYERS, "1.0", "\"1.0\" cannot be read"},
		{LIST_LAYERS, "1,,2", "\"\" is empty"},
		{LIST_LAYERS, ",1", "\"\" is empty"},
		{LIST_LAYERS, "1,", "\"\" is empty"},
		{LIST_LAYERS, "99999999999999999999", "is too large"},
		{LIST_LAYERS, "0-2147483647", "\"0-2147483647\" is too large"},
		{LIST_LAYERS, "auto,1", "\"auto\" cannot be read"},
		{LIST_UNITS, "0.3", NULL},
		{LIST_UNITS, "0.3,4-6.0-2", NULL},
		{LIST_UNITS, "0", "\"0\" cannot be read"},
		{LIST_UNITS, "0.", "\"0.\" cannot be read"},
		{LIST_UNITS, ".1", "\".1\" cannot be read"},
		{LIST_UNITS, "0.1.2", "\"0.1.2\" cannot be read"},
		{LIST_UNITS, "0.3-1", "\"0.3-1\" runs backwards"},
		{LIST_UNITS, "2-1.0", "\"2-1.0\" runs backwards"},
		{LIST_UNITS, "0.1,", "\"\" is empty"},
		{LIST_UNITS, "0.99999999999", "is too large"},
		{LIST_BLOCKS, "0.attention,3-5.ffn", NULL},
		{LIST_BLOCKS, "0", "\"0\" cannot be read"},
		{LIST_BLOCKS, "0.", "\"0.\" cannot be read"},
		{LIST_BLOCKS, "5-3.ffn", "\"5-3.ffn\" runs backwards"},
		{LIST_BLOCKS, "ffn", "\"ffn\" cannot be read"},
	};
	int32_t lists = 0;
	for (int32_t pass = 0; pass < pass_count; pass++) {
		int32_t count;
		const PassOptionInfo *options = pass_options(pass, &count);
		for (int32_t i = 0; i < count; i++) {
			CU_ASSERT(options[i].list || strncmp(options[i].key, "layer", 5) != 0);
			lists += options[i].list != LIST_NONE;
			for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
				char text[128];
				if (cases[c].form != options[i].list)
					continue;
				snprintf(
					text, sizeof text, "%s{%s=%s}", pass_info[pass].name, options[i].key, cases[c].value);
				if (cases[c].why)
					refused_with(text, cases[c].why);
				else
					parses_to(text, text);
			}
		}
	}
	CU_ASSERT(lists >= 9);
	refused_with("drop-layers{layers=7-4}",
		"drop-layers: layers=7-4: \"7-4\" runs backwards; expected layers as in 0,2,4-7");
	refused_with("hard-attention{k=1 layers=1-}", "expected all, auto or layers as in 0,2,4-7");
	refused_with("prune-heads{heads=x}", "expected LAYER.HEAD as in 0.3,4-6.0-2");
	refused_with("drop-layers{layers=1, 2}", "a list has no spaces");
	refused_with("drop-layers{layers=1 - 2}", "a list has no spaces");
	refused_with("drop-layers{layers=1 ,2}", "a list has no spaces");
	MemArena *mem = mem_new();
	CU_ASSERT_STRING_EQUAL(layer_list_print(mem, (const int32_t[]){0, 1, 2, 5, 7, 8}, 6), "0-2,5,7-8");
	CU_ASSERT_STRING_EQUAL(layer_list_print(mem, (const int32_t[]){4}, 1), "4");
	int32_t apart[400];
	for (int32_t i = 0; i < 400; i++)
		apart[i] = 2000000000 + 2 * i;
	const char *cut = layer_list_print(mem, apart, 400);
	CU_ASSERT(strlen(cut) < 256 && !strcmp(cut + strlen(cut) - 3, ",.."));
	int32_t all = 1; /* numbers of which no one is left out, however long their text is */
	while (strstr(layer_list_print(mem, apart, all + 1), ",..") == NULL)
		all++;
	const char *whole = layer_list_print(mem, apart, all);
	CU_ASSERT_EQUAL(strtol(strrchr(whole, ',') + 1, NULL, 10), apart[all - 1]);
	CU_ASSERT(strlen(whole) > 256 - 32);
	mem_free(mem);
}

/* Every pair that has an order keeps it, from both sides and with other passes between; every other pair is
 * free. */
static void test_order(void)
{
	for (int32_t i = 0; i < pass_count * pass_count; i++) {
		const int32_t a = i / pass_count, b = i % pass_count;
		const char *first = pass_info[a].name, *second = pass_info[b].name, *why = pass_order_why(a, b);
		char text[256], reason[256];
		if (!why && !pass_order_why(b, a)) {
			snprintf(text, sizeof text, "%s,%s", first, second);
			parses_to(text, text);
		}
		if (!why)
			continue;
		snprintf(reason, sizeof reason, "%s must come before %s: %s", first, second, why);
		snprintf(text, sizeof text, "%s,%s", second, first);
		refused_with(text, reason);
		snprintf(text, sizeof text, "%s,%s,%s", first, second, first);
		refused_with(text, reason);
		snprintf(text, sizeof text, "%s,%s", first, second);
		parses_to(text, text);
	}
	for (int32_t i = 0; i < pass_order_count; i++) {
		const int32_t first = pass_find(pass_order[i].first), second = pass_find(pass_order[i].second);
		CU_ASSERT_TRUE_FATAL(first >= 0 && second >= 0);
		/* a row that the phases already say would have two reasons */
		CU_ASSERT_STRING_EQUAL(pass_order_why(first, second), pass_order[i].why);
	}
	for (int32_t i = 0; i < PHASE_COUNT; i++)
		CU_ASSERT_EQUAL(phase_info[i].earlier >> i, 0); /* earlier rows only: no cycle */
}

/* What the phases mean, pass by pass. */
static void test_phases(void)
{
	refused_with("fuse,prune-heads", "prune-heads must come before fuse: fuse joins the ops");
	refused_with("lower,drop-layers", "drop-layers must come before lower");
	refused_with("plan-memory,pack-weights", "pack-weights must come before plan-memory");
	refused_with("early-exit,merge-tasks", "merge-tasks must come before early-exit");
	refused_with("prune-tokens,quantize-embeddings", "quantize-embeddings must come before prune-tokens");
	refused_with("quantize-int8,fuse", "fuse must come before quantize-int8");
	parses_to("prune-tokens,early-exit", "prune-tokens,early-exit");
	parses_to("early-exit,prune-tokens", "early-exit,prune-tokens");
	parses_to("prune-tokens,merge-tasks", "prune-tokens,merge-tasks");
	parses_to("early-exit,quantize-embeddings", "early-exit,quantize-embeddings");
	parses_to("quantize-int8,drop-layers", "quantize-int8,drop-layers"); /* a recipe: fuse comes between */
	parses_to("lower,cse,dce", "lower,cse,dce");
}

/* ---- random BERTs ---------------------------------------------------------------------------- */

/* A random pipeline that keeps the order table: passes of graph level at random, then perhaps the three that
 * lower. */
static void random_pipeline(char text[512])
{
	static const char *const graph_level[] = {"canonicalize", "fold-const", "cse", "dce", "fuse"};
	static const char *const only[] = {"activation", "epilogue", "attention", "first-row", "fold-scale",
		"fold-bias", "qkv", "embed-layernorm", "add-layernorm"};
	*text = 0;
	for (uint32_t n = random_below(7); n; n--) {
		const char *pass = graph_level[random_below(5)];
		strcat(text, *text ? "," : "");
		strcat(text, pass);
		if (!strcmp(pass, "fuse") && random_below(2))
			sprintf(text + strlen(text), "{only=%s,%s}", only[random_below(9)], only[random_below(9)]);
	}
	if (random_below(2))
		strcat(strcat(text, *text ? "," : ""), "lower,pack-weights,chain-rows,plan-memory");
}

/* One random graph through one random pipeline, at several lengths. */
static void cross_check(uint64_t at)
{
	Diag diag;
	char text[512];
	bool exact;
	seed = at;
	diag_init(&diag, NULL);
	Module *module = random_bert(&diag, &exact), *after = module_copy(module);
	random_pipeline(text);
	if (!run_pipeline(text, after, random_below(2) ? 0 : ISA_AVX2 | ISA_AVX512, &diag)) {
		printf("\nseed %llu, %s:\n", (unsigned long long)at, text);
		diag_print(&diag, stdout);
		CU_FAIL("pipeline");
	}
	for (int64_t tokens = 1; tokens <= TOKENS && !diag.errors; tokens += 3) {
		EvalArray a[4], b[4];
		CU_ASSERT_TRUE_FATAL(evaluate(module, tokens, a, &diag) && evaluate(after, tokens, b, &diag));
		for (int32_t i = 0; i < module->graphs[0]->noutputs; i++) {
			double difference = largest_difference(&a[i], &b[i]);
			if (!(difference <= (exact ? 1e-9 : 1e-6))) {
				printf("\nseed %llu, %lld tokens, %s: output %d differs by %g\n", (unsigned long long)at,
					(long long)tokens, text, i, difference);
				CU_FAIL("numbers");
			}
			eval_array_free(&a[i]);
			eval_array_free(&b[i]);
		}
	}
	module_free(after);
	module_free(module);
	diag_free(&diag);
}

static void test_random(void)
{
	for (uint64_t i = 1; i <= (getenv("FULL") ? 5000 : 300); i++)
		cross_check(i);
}

/* The product of a gated feed-forward network. */
static bool is_gate(const Node *node)
{
	bool gate = node->op == OP_MUL;
	for (int32_t i = 0; gate && i < 2; i++) {
		const Node *maker = node->args[i]->node;
		gate = maker && (maker->op == OP_LINEAR || maker->op == OP_ACTIVATION);
	}
	return gate;
}

/* Fusion must happen: after -O2, none of the ops that it replaces is left. */
static void test_fuses_all(void)
{
	static const Op gone[] = {
		OP_SOFTMAX, OP_MATMUL, OP_TRANSPOSE, OP_RESHAPE, OP_LAYERNORM, OP_ADD, OP_ERF, OP_MUL, OP_DIV};
	for (uint64_t at = 1; at <= 40; at++) {
		Diag diag;
		bool exact;
		seed = at;
		diag_init(&diag, NULL);
		Module *module = random_bert(&diag, &exact);
		CU_ASSERT_TRUE(run_pipeline("O2", module, 0, &diag));
		for (const Node *node = module->graphs[0]->first; node; node = node->next)
			for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
				if (node->op == gone[i] && !is_gate(node)) {
					printf("\nseed %llu: %s is left after -O2\n", (unsigned long long)at,
						op_info[node->op].name);
					CU_FAIL("not fused");
				}
		CU_ASSERT_EQUAL(module->graphs[0]->arena.per_pair, 0); /* memory is linear in tokens */
		module_free(module);
		diag_free(&diag);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"parser", test_parser},
		{"parser errors", test_parser_errors},
		{"complete", test_complete},
		{"append", test_append},
		{"hidden folders", test_hidden_folders},
		{"options", test_options},
		{"lists", test_lists},
		{"order", test_order},
		{"phases", test_phases},
		{"random", test_random},
		{"fuses all", test_fuses_all},
	};
	return SUITE_RUN("passes", tests);
}
