/* test_passes_plan.c: plan-memory on random graphs, the driver and its ledger, and that every op has a
 * kernel. */
#include "tests/unit/random_graph.h"
#include "tests/unit/suite.h"

/* ---- plan-memory ----------------------------------------------------------------------------- */

/* Random elementwise graphs of f32[S,n] and f32[n], with many values alive at once. */
static Module *random_dag(Diag *diag, int32_t nodes)
{
	Builder b = {.module = module_new("dag"), .diag = diag};
	Value *values[64];
	b.graph = graph_new(b.module, "main");
	graph_add_input(b.graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
	for (int32_t i = 0; i < nodes; i++) {
		Value *x = i ? values[random_below((uint32_t)i)] : NULL;
		if (!x || random_below(4) == 0)
			values[i] = emit(
				&b, OP_EMBED, weight(&b, DT_F32, 5, 1 + random_below(60)), b.graph->inputs[0], NULL, NULL);
		else if (random_below(4) == 0 && x->type.rank == 2)
			values[i] = emit(&b, OP_POOL, x, NULL, NULL, &(Attrs){.has = A_mode, .mode = POOL_MEAN});
		else if (random_below(3) == 0)
			values[i] = linear(&b, x, 1 + random_below(60));
		else
			values[i] = emit(&b, OP_TANH, x, NULL, NULL, NULL);
	}
	graph_add_output(b.graph, "last", values[nodes - 1]);
	graph_add_output(b.graph, "middle", values[nodes / 2]);
	return b.module;
}

typedef struct Life {
	const Value *value;
	Region region;
	int64_t offset, bytes;
	int first, last;
} Life;

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
		*life = (Life){
			.value = node->results[0], .offset = node->attr.offset.at[0], .first = step, .last = step};
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
	const int64_t size[] = {0, arena->per_token, arena->per_text, arena->per_pair};
	int64_t least[4] = {0}, total[4] = {0};
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
			live += (b->bytes + 63) / 64 * 64; /* what lives while a is written */
			CU_ASSERT_TRUE(i == k || a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
		}
		least[a->region] = live > least[a->region] ? live : least[a->region];
		total[a->region] += (a->bytes + 63) / 64 * 64;
	}
	for (int r = 1; r < 4; r++) {
		CU_ASSERT_TRUE(size[r] >= least[r] && size[r] <= total[r]);
		CU_ASSERT_TRUE(
			size[r] <= least[r] + least[r] / 2); /* greedy by size stays far below this bound here */
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

/* The memory limit of a fused layer, for any depth: a chain reads the output of attention and the residual,
 * and writes a new residual and q, k and v. Each has one row per token. The greedy plan may waste one more.
 * Values inside the chain are in a block. */
static void test_plan_of_layers(void)
{
	for (int layers = 1; layers <= 7; layers++) {
		Diag diag;
		seed = 7;
		diag_init(&diag, NULL);
		Builder b = {
			.module = module_new("deep"), .diag = &diag, .hidden = 64, .heads = 4, .size = 16, .ffn = 256};
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

/* ---- driver and ledger ----------------------------------------------------------------------- */

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
	Ledger ledger = {0};
	const PassEnv env = {.isa = 0, .max_tokens = 12};
	DriverOptions options = {.check_each = true, .progress = count_progress, .progress_arg = &calls};
	CU_ASSERT_TRUE_FATAL(pipeline_run(pipeline, module, &env, &options, &ledger, &diag));
	CU_ASSERT_EQUAL(ledger.count, pipeline->count);
	CU_ASSERT_EQUAL(calls, pipeline->count + 1);
	for (int32_t i = 0; i < ledger.count; i++) {
		const LedgerRow *row = &ledger.rows[i];
		CU_ASSERT_TRUE(row->checked && row->max_abs < 1e-5 && row->cosine > 0.999999);
		CU_ASSERT_TRUE(row->nodes > 0 && row->parameters > 0 && row->macs > 0
			&& row->weight_bytes >= 2 * row->parameters);
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
	static const char text[] = "module @m\ngraph @main(%ids: i32[S]) level=fused {\n"
							   "  %t = const rand(1) : f16[10,8]\n  %x = embed %t, %ids : f32[S,8]\n"
							   "  %w = const rand(2) : f32[24,8]\n  %q = linear %x, %w : f32[S,24]\n"
							   "  %a = attention %q {heads=2 pack=qkv} : f32[S,8]\n"
							   "  %w2 = const rand(2) : f32[24,8]\n"
							   "  %p = pool %a {mode=first} : f32[8]\n  %y = linear %p, %w2 : f32[24]\n  "
							   "return logits=%y\n}\n";
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_parse(text, sizeof text - 1, ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	Pipeline *pipeline = pipeline_parse("cse", &diag);
	Ledger ledger = {0};
	CU_ASSERT_TRUE_FATAL(pipeline_run(pipeline, module, &(PassEnv){0}, NULL, &ledger, &diag));
	CU_ASSERT_EQUAL(ledger.rows[0].changes, 1);
	CU_ASSERT_EQUAL(ledger.rows[0].parameters, 80 + 192);
	CU_ASSERT_EQUAL(ledger.rows[0].weight_bytes, 160 + 768);
	CU_ASSERT_EQUAL(ledger.rows[0].macs, 128 * 24 * 8 + 2 * 128 * 128 * 8 + 24 * 8);
	ledger_free(&ledger);
	pipeline_free(pipeline);
	module_free(module);
	diag_free(&diag);
}

/* ---- kernels as data ------------------------------------------------------------------------- */

static void test_kernel_table(void)
{
	static const uint32_t isas[] = {0, ISA_AVX2, ISA_AVX2 | ISA_AVX512,
		ISA_AVX2 | ISA_AVX512 | ISA_AVX512VNNI | ISA_AVX512BF16, ISA_NEON64,
		ISA_NEON64 | ISA_DOTPROD | ISA_I8MM, ISA_NEON32};
	static const DType dtypes[OP_COUNT] = {[OP_LINEAR_I8] = DT_I8,
		[OP_LINEAR_I8_CODES] = DT_I8,
		[OP_LINEAR_BF16] = DT_BF16,
		[OP_EMBED_I8] = DT_I8,
		[OP_EMBED_I4] = DT_I8};
	for (int32_t op = 0; op < OP_COUNT;
		op++) { /* every op that may stand in lowered code has a kernel everywhere */
		if (!(op_info[op].levels & LEVEL_LOWERED) || op_info[op].domain == DOMAIN_NONE)
			continue;
		for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
			const KernelInfo *kernel = kernel_select((Op)op, 0, dtypes[op], isas[i]);
			if (!kernel)
				printf("\n%s has no kernel for isa %u\n", op_info[op].name, isas[i]);
			CU_ASSERT_PTR_NOT_NULL_FATAL(kernel);
			CU_ASSERT_EQUAL(kernel->needs & ~isas[i], 0);
			CU_ASSERT_PTR_EQUAL(kernel_find(kernel->function)->function, kernel->function);
		}
	}
	CU_ASSERT_PTR_NOT_NULL(kernel_select(OP_LINEAR, 0, DT_F16, 0));
	CU_ASSERT_PTR_NOT_NULL(kernel_select(OP_LINEAR, 0, DT_BF16, 0));
	CU_ASSERT_PTR_NULL(kernel_select(OP_LINEAR, 0, DT_I8, ~0u));
	CU_ASSERT_PTR_NULL(kernel_select(OP_LINEAR_I8, 0, DT_F32, ~0u));
	CU_ASSERT_PTR_NULL(kernel_select(OP_LINEAR, KERNEL_SELECT, DT_F32, ~0u));
	CU_ASSERT_PTR_NULL(kernel_find("linear_f32__abacus"));
	/* its sibling that writes codes reads the same panels */
	static const char *const siblings[][2] = {
		{"linear_i8__avx512vnni", "linear_i8_codes__avx512vnni"},
		{"linear_i8_8x48__avx512vnni", "linear_i8_codes_8x48__avx512vnni"},
		{"linear_i8_sparse__avx512vnni", "linear_i8_sparse_codes__avx512vnni"},
	};
	for (size_t i = 0; i < sizeof siblings / sizeof *siblings; i++) {
		const KernelInfo *codes = kernel_of_op(kernel_find(siblings[i][0]), OP_LINEAR_I8_CODES);
		CU_ASSERT_PTR_NOT_NULL_FATAL(codes);
		CU_ASSERT_STRING_EQUAL(codes->function, siblings[i][1]);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"plan", test_plan},
		{"plan of layers", test_plan_of_layers},
		{"driver", test_driver},
		{"measure", test_measure},
		{"kernel table", test_kernel_table},
	};
	return SUITE_RUN("passes: plan", tests);
}
