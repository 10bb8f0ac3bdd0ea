/* test_passes.c: the parser of pipelines, order constraints, and the question that matters: does any legal pipeline leave the numbers of
 * any graph as they were? FileCheck tests beside it (tests/passes) look at single passes; memory and the driver are in test_passes_plan.c. */
#include "random_graph.h"

/* ---- pipelines as text ---------------------------------------------------------------------------------------------- */

/* The text prints back as `canonical`. */
static void parses_to(const char *text, const char *canonical)
{
	Diag diag;
	diag_init(&diag, NULL);
	Pipeline *pipeline = pipeline_parse(text, &diag);
	char *printed = pipeline ? pipeline_text(pipeline) : NULL;
	CU_ASSERT_PTR_NOT_NULL(printed);
	if (!printed || strcmp(printed, canonical)) {
		printf("\n\"%s\" prints as \"%s\", expected \"%s\"\n", text, printed ? printed : diag.messages[0].text, canonical);
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
		printf("\n\"%.60s\" gives \"%s\", expected \"%s\"\n", text, diag.count ? diag.messages[0].text : "nothing", part);
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
	parses_to("cast-weights{to=f16},fuse{only=attention,qkv}", "cast-weights{to=f16},fuse{only=attention,qkv}");
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

/* A recipe at level O2 and what it runs as; expected == NULL: it is a whole pipeline by itself. */
static void completes_to(const char *recipe, const char *expected)
{
	Diag diag;
	diag_init(&diag, NULL);
	Pipeline *pipeline = pipeline_parse(recipe, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipeline);
	char *text = pipeline_complete(pipeline, 2);
	if (!expected ? text != NULL : !text || strcmp(text, expected)) {
		printf("\n\"%s\" is completed to \"%s\", expected \"%s\"\n", recipe, text ? text : "nothing", expected ? expected : "nothing");
		CU_FAIL("recipe");
	}
	if (text)
		parses_to(text, strncmp(text, "O2", 2) ? "cast-weights{to=f16},canonicalize,fold-const,cse,fuse,fold-const,cse,dce,"
			"quantize-int8{exclude=layer.0},compute-bf16,lower,pack-weights,chain-rows,plan-memory"
			: "canonicalize,fold-const,cse,fuse,fold-const,cse,dce,quantize-int8,lower,pack-weights,chain-rows,plan-memory");
	free(text);
	pipeline_free(pipeline);
	diag_free(&diag);
}

static void test_recipes(void)
{
	completes_to("quantize-int8", "O2,quantize-int8");
	completes_to("cast-weights{to=f16},quantize-int8{exclude=layer.0},compute-bf16",
		"cast-weights{to=f16},O2,quantize-int8{exclude=layer.0},compute-bf16");
	completes_to("fuse,quantize-int8", NULL);
	completes_to("quantize-int8,lower", NULL);
	completes_to("cse", NULL);
	completes_to("O2,quantize-int8", NULL);
}

static void test_hidden_folders(void)
{
	char text[] = "drop-layers{data=/home/x/dev.tsv keep=2},O2,drop-layers{data=a/b=c/d},x{data=plain tokens=all}";
	pipeline_hide_folders(text);
	CU_ASSERT_STRING_EQUAL(text, "drop-layers{data=dev.tsv keep=2},O2,drop-layers{data=d},x{data=plain tokens=all}");
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
	refused_with("fuse{only=", "expected an option's value");
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
	refused_with(huge, "100000 bytes long");
	free(huge);
}

/* Every row of the order table is kept, from both sides and with other passes between. */
static void test_order(void)
{
	for (int32_t i = 0; i < pass_order_count; i++) {
		char text[256], reason[256];
		snprintf(text, sizeof text, "%s,%s", pass_order[i].second, pass_order[i].first);
		snprintf(reason, sizeof reason, "%s must come before %s: %s", pass_order[i].first, pass_order[i].second,
			pass_order[i].why);
		refused_with(text, reason);
		snprintf(text, sizeof text, "%s,%s,%s", pass_order[i].first, pass_order[i].second, pass_order[i].first);
		refused_with(text, reason);
		snprintf(text, sizeof text, "%s,%s", pass_order[i].first, pass_order[i].second);
		parses_to(text, text);
	}
	for (int32_t i = 0; i < pass_order_count; i++) {   /* names in the table are passes */
		bool first = false, second = false;
		for (int32_t k = 0; k < pass_count; k++) {
			first |= !strcmp(pass_info[k].name, pass_order[i].first);
			second |= !strcmp(pass_info[k].name, pass_order[i].second);
		}
		CU_ASSERT_TRUE(first && second);
	}
}

/* ---- random BERTs ----------------------------------------------------------------------------------------------------- */

/* A random pipeline that keeps the order table: passes of graph level at random, then perhaps the three that lower. */
static void random_pipeline(char text[512])
{
	static const char *const graph_level[] = { "canonicalize", "fold-const", "cse", "dce", "fuse" };
	static const char *const only[] = { "activation", "epilogue", "attention", "first-row", "fold-scale", "fold-bias", "qkv",
		"embed-layernorm", "add-layernorm" };
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

/* Fusion has to happen: -O2 leaves none of the ops that it is there for. */
static void test_fuses_all(void)
{
	static const Op gone[] = { OP_SOFTMAX, OP_MATMUL, OP_TRANSPOSE, OP_RESHAPE, OP_LAYERNORM, OP_ADD, OP_ERF, OP_MUL, OP_DIV };
	for (uint64_t at = 1; at <= 40; at++) {
		Diag diag;
		bool exact;
		seed = at;
		diag_init(&diag, NULL);
		Module *module = random_bert(&diag, &exact);
		CU_ASSERT_TRUE(run_pipeline("O2", module, 0, &diag));
		for (const Node *node = module->graphs[0]->first; node; node = node->next)
			for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
				if (node->op == gone[i]) {
					printf("\nseed %llu: %s is left after -O2\n", (unsigned long long)at, op_info[node->op].name);
					CU_FAIL("not fused");
				}
		CU_ASSERT_EQUAL(module->graphs[0]->arena.per_pair, 0);   /* memory is linear in tokens */
		module_free(module);
		diag_free(&diag);
	}
}

<<<<<<< HEAD
=======
/* ---- plan-memory ------------------------------------------------------------------------------------------------------ */

/* Random elementwise graphs of f32[S,n] and f32[n], with many values alive at once. */
static Module *random_dag(Diag *diag, int32_t nodes)
{
	Builder b = { .module = module_new("dag"), .diag = diag };
	Value *values[64];
	b.graph = graph_new(b.module, "main");
	graph_add_input(b.graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
	for (int32_t i = 0; i < nodes; i++) {
		Value *x = i ? values[random_below((uint32_t)i)] : NULL;
		if (!x || random_below(4) == 0)
			values[i] = emit(&b, OP_EMBED, weight(&b, DT_F32, 5, 1 + random_below(60)), b.graph->inputs[0], NULL, NULL);
		else if (random_below(4) == 0 && x->type.rank == 2)
			values[i] = emit(&b, OP_POOL, x, NULL, NULL, &(Attrs){ .has = A_mode, .mode = POOL_MEAN });
		else if (random_below(3) == 0)
			values[i] = linear(&b, x, 1 + random_below(60));
		else
			values[i] = emit(&b, OP_TANH, x, NULL, NULL, NULL);
	}
	graph_add_output(b.graph, "last", values[nodes - 1]);
	graph_add_output(b.graph, "middle", values[nodes / 2]);
	return b.module;
}

typedef struct Life { const Value *value; Region region; int64_t offset, bytes; int first, last; } Life;

static int lives_of(const Graph *graph, Life *lives)
{
	int count = 0, step = 0;
	for (const Node *node = graph->first; node; node = node->next, step++) {
		for (int i = 0; i < node->nargs; i++)
			for (int k = 0; k < count; k++)
				if (lives[k].value == node->args[i])
					lives[k].last = step;
		if (node->op == OP_CONST)
			continue;
		Life *life = &lives[count++];
		*life = (Life){ .value = node->results[0], .offset = node->attr.offset.at[0], .first = step, .last = step };
		life->region = type_region(&life->value->type, &life->bytes);
	}
	for (int i = 0; i < graph->noutputs; i++)
		for (int k = 0; k < count; k++)
			if (lives[k].value == graph->outputs[i].value)
				lives[k].last = step;
	return count;
}

static void check_plan(const Graph *graph)
{
	static Life lives[256];
	const ArenaPlan *arena = &graph->arena;
	const int64_t size[] = { 0, arena->per_token, arena->per_text, arena->per_pair };
	int64_t least[4] = { 0 }, total[4] = { 0 };
	int count = lives_of(graph, lives);
	CU_ASSERT_TRUE(arena->planned);
	for (int i = 0; i < count; i++) {
		const Life *a = &lives[i];
		int64_t live = 0;
		CU_ASSERT_TRUE(a->offset % 64 == 0 && a->offset >= 0 && a->offset + a->bytes <= size[a->region]);
		for (int k = 0; k < count; k++) {
			const Life *b = &lives[k];
			if (a->region != b->region || b->first > a->first || b->last < a->first)
				continue;
			live += (b->bytes + 63) / 64 * 64;   /* what lives while a is written */
			CU_ASSERT_TRUE(i == k || a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
		}
		least[a->region] = live > least[a->region] ? live : least[a->region];
		total[a->region] += (a->bytes + 63) / 64 * 64;
	}
	for (int r = 1; r < 4; r++) {
		CU_ASSERT_TRUE(size[r] >= least[r] && size[r] <= total[r]);
		CU_ASSERT_TRUE(size[r] <= least[r] + least[r] / 2);   /* greedy by size stays far below this bound here */
	}
}

static void test_plan(void)
{
	for (uint64_t at = 1; at <= 100; at++) {
		Diag diag;
		seed = at;
		diag_init(&diag, NULL);
		Module *module = random_dag(&diag, 3 + (int32_t)random_below(60));
		CU_ASSERT_TRUE_FATAL(run_pipeline("lower,pack-weights,plan-memory", module, 0, &diag));
		check_plan(module->graphs[0]);
		module_free(module);
		diag_free(&diag);
	}
}

/* What a fused layer needs at the most: a chain reads what attention made and the residual, and makes a new residual and q, k and v, one
 * row of each a token, and at most one more that the greedy plan wastes; what is between lies in a block. No more, for any depth. */
static void test_plan_of_layers(void)
{
	for (int layers = 1; layers <= 7; layers++) {
		Diag diag;
		seed = 7;
		diag_init(&diag, NULL);
		Builder b = { .module = module_new("deep"), .diag = &diag, .hidden = 64, .heads = 4, .size = 16, .ffn = 256 };
		b.graph = graph_new(b.module, "main");
		graph_add_input(b.graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
		Value *x = embeddings(&b);
		for (int i = 0; i < layers; i++) {
			x = layernorm(&b, emit(&b, OP_ADD, attention(&b, x), x, NULL, NULL));
			Value *inner = emit(&b, OP_RELU, linear(&b, x, b.ffn), NULL, NULL, NULL);
			x = layernorm(&b, emit(&b, OP_ADD, linear(&b, inner, b.hidden), x, NULL, NULL));
		}
		graph_add_output(b.graph, "hidden", x);
		CU_ASSERT_TRUE_FATAL(run_pipeline("O2", b.module, 0, &diag));
		CU_ASSERT(b.graph->arena.per_token <= (64 + 64 + 64 + 3 * 64 + 64) * 4);
		CU_ASSERT(b.graph->arena.per_block <= 132 * (256 + 64 + 64) * 4);
		CU_ASSERT_EQUAL(b.graph->arena.per_pair, 0);
		module_free(b.module);
		diag_free(&diag);
	}
}

/* ---- driver and ledger -------------------------------------------------------------------------------------------------- */

static void count_progress(void *arg, const char *pass, int32_t done, int32_t of)
{
	int32_t *calls = arg;
	CU_ASSERT_TRUE(done <= of && (pass != NULL) == (done < of));
	++*calls;
}

static void test_driver(void)
{
	Diag diag;
	bool exact;
	int32_t calls = 0;
	seed = 4;
	diag_init(&diag, NULL);
	Module *module = random_bert(&diag, &exact);
	Pipeline *pipeline = pipeline_parse("O2", &diag);
	Ledger ledger = { 0 };
	const PassEnv env = { .isa = 0, .max_tokens = 12 };
	DriverOptions options = { .check_each = true, .progress = count_progress, .progress_arg = &calls };
	CU_ASSERT_TRUE_FATAL(pipeline_run(pipeline, module, &env, &options, &ledger, &diag));
	CU_ASSERT_EQUAL(ledger.count, pipeline->count);
	CU_ASSERT_EQUAL(calls, pipeline->count + 1);
	for (int32_t i = 0; i < ledger.count; i++) {
		const LedgerRow *row = &ledger.rows[i];
		CU_ASSERT_TRUE(row->checked && row->max_abs < 1e-5 && row->cosine > 0.999999);
		CU_ASSERT_TRUE(row->nodes > 0 && row->parameters > 0 && row->macs > 0 && row->weight_bytes >= 2 * row->parameters);
		CU_ASSERT_EQUAL(row->arena_bytes > 0, i == ledger.count - 1);
	}
	char *json = ledger_json(&ledger);
	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"pass\": \"plan-memory\""));
	free(json);
	ledger_free(&ledger);
	pipeline_free(pipeline);
	module_free(module);
	diag_free(&diag);
}

/* MACs and parameters of a graph that can be counted by hand. */
static void test_measure(void)
{
	static const char text[] =
		"module @m\ngraph @main(%ids: i32[S]) level=fused {\n"
		"  %t = const rand(1) : f16[10,8]\n  %x = embed %t, %ids : f32[S,8]\n"
		"  %w = const rand(2) : f32[24,8]\n  %q = linear %x, %w : f32[S,24]\n"
		"  %a = attention %q {heads=2 pack=qkv} : f32[S,8]\n"
		"  %w2 = const rand(2) : f32[24,8]\n"
		"  %p = pool %a {mode=first} : f32[8]\n  %y = linear %p, %w2 : f32[24]\n  return logits=%y\n}\n";
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_parse(text, sizeof text - 1, ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	Pipeline *pipeline = pipeline_parse("cse", &diag);
	Ledger ledger = { 0 };
	CU_ASSERT_TRUE_FATAL(pipeline_run(pipeline, module, &(PassEnv){ 0 }, NULL, &ledger, &diag));
	CU_ASSERT_EQUAL(ledger.rows[0].changes, 1);
	CU_ASSERT_EQUAL(ledger.rows[0].parameters, 80 + 192);
	CU_ASSERT_EQUAL(ledger.rows[0].weight_bytes, 160 + 768);
	CU_ASSERT_EQUAL(ledger.rows[0].macs, 128 * 24 * 8 + 2 * 128 * 128 * 8 + 24 * 8);
	ledger_free(&ledger);
	pipeline_free(pipeline);
	module_free(module);
	diag_free(&diag);
}

/* ---- kernels as data ---------------------------------------------------------------------------------------------------- */

static void test_kernel_table(void)
{
	static const uint32_t isas[] = { 0, ISA_AVX2, ISA_AVX2 | ISA_AVX512, ISA_AVX2 | ISA_AVX512 | ISA_AVX512VNNI | ISA_AVX512BF16,
		ISA_NEON64, ISA_NEON64 | ISA_DOTPROD | ISA_I8MM, ISA_NEON32 };
	static const DType dtypes[OP_COUNT] = { [OP_LINEAR_I8] = DT_I8, [OP_LINEAR_I8_CODES] = DT_I8, [OP_LINEAR_BF16] = DT_BF16, [OP_EMBED_I8] = DT_I8,
		[OP_EMBED_I4] = DT_I8 };
	for (int32_t op = 0; op < OP_COUNT; op++) {   /* every op that may stand in lowered code has a kernel everywhere */
		if (!(op_info[op].levels & LEVEL_LOWERED) || op_info[op].domain == DOMAIN_NONE)
			continue;
		for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
			const KernelInfo *kernel = kernel_select(op_info[op].name, dtypes[op], isas[i]);
			if (!kernel)
				printf("\n%s has no kernel for isa %u\n", op_info[op].name, isas[i]);
			CU_ASSERT_PTR_NOT_NULL_FATAL(kernel);
			CU_ASSERT_EQUAL(kernel->needs & ~isas[i], 0);
			CU_ASSERT_PTR_EQUAL(kernel_find(kernel->function)->function, kernel->function);
		}
	}
	CU_ASSERT_PTR_NOT_NULL(kernel_select("linear", DT_F16, 0));
	CU_ASSERT_PTR_NOT_NULL(kernel_select("linear", DT_BF16, 0));
	CU_ASSERT_PTR_NULL(kernel_select("linear", DT_I8, ~0u));
	CU_ASSERT_PTR_NULL(kernel_select("linear_i8", DT_F32, ~0u));
	CU_ASSERT_PTR_NULL(kernel_select("convolution", DT_F32, ~0u));
	CU_ASSERT_PTR_NULL(kernel_find("linear_f32__abacus"));
}

>>>>>>> tune
int main(void)
{
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("passes", NULL, NULL);
	CU_ADD_TEST(suite, test_parser);
	CU_ADD_TEST(suite, test_parser_errors);
	CU_ADD_TEST(suite, test_recipes);
	CU_ADD_TEST(suite, test_hidden_folders);
	CU_ADD_TEST(suite, test_order);
	CU_ADD_TEST(suite, test_random);
	CU_ADD_TEST(suite, test_fuses_all);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
