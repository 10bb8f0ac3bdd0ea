/* test_ir.c: memory, messages, types, and building and changing graphs. */
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"
#include "tests/unit/ir_sample.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* ---- memory and messages --------------------------------------------------------------------- */

static void test_memory(void)
{
	MemArena *mem = mem_new();
	char *last = NULL;
	for (size_t bytes = 0; bytes < 3000; bytes += 7) {
		char *piece = mem_alloc(mem, bytes);
		CU_ASSERT_EQUAL((uintptr_t)piece % 16, 0);
		for (size_t i = 0; i < bytes; i++)
			CU_ASSERT_EQUAL_FATAL(piece[i], 0);
		memset(piece, 0xff, bytes);
		CU_ASSERT_PTR_NOT_EQUAL(piece, last);
		last = bytes ? piece : last;
	}
	char *large = mem_alloc(mem, 10 << 20);
	CU_ASSERT_EQUAL((uintptr_t)large % 64, 0);
	CU_ASSERT_EQUAL(large[0] | large[(10 << 20) - 1], 0);
	CU_ASSERT_STRING_EQUAL(mem_string(mem, "words and more", 5), "words");
	CU_ASSERT_STRING_EQUAL(mem_string(mem, NULL, 0), "");
	CU_ASSERT_STRING_EQUAL(mem_printf(mem, "%s.%d", "layer", 3), "layer.3");
	mem_free(mem);
	mem_free(NULL);
}

static void test_diag(void)
{
	Diag diag;
	diag_init(&diag, "a.bir");
	diag_warn(&diag, 0, "first");
	CU_ASSERT_FALSE(diag_error(&diag, EXIT_UNSUPPORTED, 7, "name %s", "a\nb\x1b\x7f\xc2\x85\xc3\xa9"));
	diag_error_in(&diag, EXIT_INPUT, "b.bir", 2, "second");
	diag_note(&diag, 3, "third");
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(diag.code, EXIT_UNSUPPORTED);
	CU_ASSERT_STRING_EQUAL(diag_text(&diag),
		"a.bir: warning: first\n"
		"a.bir:7: error: name a\\x0ab\\x1b\\x7f\\xc2\\x85\xc3\xa9\n"
		"b.bir:2: error: second\na.bir:3: note: third\n");
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(diag.count, 0);
	diag_free(&diag);
	diag_init(&diag, NULL);
	for (int i = 0; i < 1000; i++)
		diag_error(&diag, EXIT_INPUT, 0, "e%d", i);
	CU_ASSERT_EQUAL(diag.errors, 1000);
	CU_ASSERT_EQUAL(diag.count, DIAG_MESSAGES_MAX);
	char *text = diag_text(&diag);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "bertc: error: e199\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "e200"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "800 more errors"));
	char *huge = malloc(1 << 20);
	memset(huge, 'x', (1 << 20) - 1);
	huge[(1 << 20) - 1] = 0;
	diag_error(&diag, EXIT_INPUT, 0, "%s", huge);
	CU_ASSERT_TRUE(strlen(diag.messages[0].text) < 5000);
	free(huge);
	diag_free(&diag);
}

/* ---- types ----------------------------------------------------------------------------------- */

static void test_types(void)
{
	const int64_t symbols[SYMBOLS_MAX] = {0, 5, 3};
	Dim twice = {1, 2, -1};
	CU_ASSERT_EQUAL(dim_at(twice, symbols), 9);
	CU_ASSERT_EQUAL(dim_at(dim_symbol(2), symbols), 3);
	CU_ASSERT_EQUAL(dim_at(N(7), symbols), 7);
	CU_ASSERT_TRUE(dim_at((Dim){1, INT32_MAX, INT64_MAX}, symbols) < 0);
	CU_ASSERT_TRUE(dim_at((Dim){99, 1, 0}, symbols) < 0);
	CU_ASSERT_TRUE(
		dim_equal((Dim){1, 0, 4}, N(4))); /* with scale 0 it is a number, and the symbol does not matter */
	CU_ASSERT_FALSE(dim_equal(S, dim_symbol(2)));
	CU_ASSERT_FALSE(dim_equal(S, (Dim){1, 1, 1}));
	CU_ASSERT_FALSE(dim_equal(S, N(1)));
	CU_ASSERT_FALSE(dim_is_valid(N(0)));
	CU_ASSERT_FALSE(dim_is_valid(N(DIM_MAX + 1)));
	CU_ASSERT_FALSE(dim_is_valid((Dim){SYMBOLS_MAX, 1, 0}));
	CU_ASSERT_FALSE(dim_is_valid((Dim){1, -1, 4}));
	CU_ASSERT_TRUE(dim_is_valid(twice));

	char text[128];
	Type type = type_make(DT_BF16, 4, S, twice, (Dim){3, 1, 12}, N(768));
	CU_ASSERT_STRING_EQUAL(type_print(&type, text), "bf16[S,2S-1,S2+12,768]");
	type = type_make(DT_F32, 0);
	CU_ASSERT_STRING_EQUAL(type_print(&type, text), "f32[]");
	CU_ASSERT_EQUAL(type_count(&type), 1);
	Dim longest = {7, INT32_MAX, INT64_MIN};
	type = type_make(DT_BF16, 4, longest, longest, longest, longest);
	CU_ASSERT_TRUE(strlen(type_print(&type, text)) < 128);
	type = type_make(DT_F32, 2, N(3), N(4));
	CU_ASSERT_EQUAL(type_count(&type), 12);
	CU_ASSERT_TRUE(type_is_number(&type));
	type = type_make(DT_F32, 3, N(DIM_MAX), N(DIM_MAX), N(2));
	CU_ASSERT_EQUAL(type_count(&type), -1);
	type = type_make(DT_F32, 1, N(-3));
	CU_ASSERT_EQUAL(type_count(&type), -1);

	DType dtype;
	CU_ASSERT_TRUE(dtype_parse("bf16,", 4, &dtype) && dtype == DT_BF16);
	CU_ASSERT_FALSE(dtype_parse("f3", 2, &dtype));
	CU_ASSERT_TRUE(dtype_is_float(DT_BF16) && !dtype_is_float(DT_I32));
}

static void test_regions(void)
{
	const struct {
		Type type;
		Region region;
		int64_t bytes;
		bool rows;
	} cases[] = {
		{type_make(DT_F32, 2, S, N(384)), REGION_TOKENS, 1536, true},
		{type_make(DT_F32, 3, N(12), S, N(32)), REGION_TOKENS, 1536, false},
		{type_make(DT_I32, 1, S), REGION_TOKENS, 4, true},
		{type_make(DT_F32, 1, N(384)), REGION_TEXTS, 1536, false},
		{type_make(DT_F32, 0), REGION_TEXTS, 4, false},
		{type_make(DT_F32, 3, N(12), S, S), REGION_PAIRS, 48, false},
		{type_make(DT_F32, 3, S, S, S), REGION_NONE, 0, false},
		{type_make(DT_F32, 1, (Dim){1, 2, 0}), REGION_NONE, 0, false},
		{type_make(DT_F32, 1, (Dim){1, 1, 1}), REGION_NONE, 0, false},
		{type_make(DT_F32, 3, S, N(DIM_MAX), N(DIM_MAX)), REGION_NONE, 0, true},
	};
	for (int i = 0; i < COUNT(cases); i++) {
		int64_t bytes = 0;
		CU_ASSERT_EQUAL(type_region(&cases[i].type, &bytes), cases[i].region);
		CU_ASSERT_EQUAL(bytes, cases[i].bytes);
		CU_ASSERT_EQUAL(type_is_rows(&cases[i].type), cases[i].rows);
	}
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static void test_graph_edits(void)
{
	Graph *graph;
	Node *nodes[4];
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = sample(&graph, nodes);
	Value *x = nodes[1]->results[0], *sum = nodes[2]->results[0];
	double number;
	CU_ASSERT_EQUAL(value_uses(graph, x), 2);
	CU_ASSERT_PTR_NULL(value_only_user(graph, x));
	CU_ASSERT_PTR_EQUAL(value_only_user(graph, sum), nodes[3]);
	CU_ASSERT_PTR_NULL(value_only_user(graph, nodes[3]->results[0])); /* an output reads it */
	CU_ASSERT_EQUAL(value_uses(graph, nodes[3]->results[0]), 1);
	CU_ASSERT_TRUE(
		value_is_const(nodes[0]->results[0]) && !value_is_const(x) && !value_is_const(graph->inputs[0]));
	CU_ASSERT_PTR_NOT_NULL(value_tensor(nodes[0]->results[0]));
	CU_ASSERT_FALSE(value_is_scalar(nodes[0]->results[0], &number));
	Tensor *half = tensor_new(module, "", type_make(DT_F16, 1, N(1)));
	tensor_set(half, 0, 0.5);
	Value *constant = graph_const(graph, graph->first, half, NULL);
	CU_ASSERT_TRUE(value_is_scalar(constant, &number) && number == 0.5);
	CU_ASSERT_PTR_EQUAL(graph->first, constant->node);
	graph_erase(graph, constant->node);
	CU_ASSERT_PTR_EQUAL(graph->first, nodes[0]);
	Value *tanh = graph_emit(graph, nodes[3], OP_TANH, &sum, 1, NULL, NULL, &diag);
	CU_ASSERT_PTR_EQUAL(nodes[2]->next, tanh->node);
	CU_ASSERT_PTR_EQUAL(nodes[3]->prev, tanh->node);
	graph_replace_uses(graph, nodes[3]->results[0], tanh);
	CU_ASSERT_PTR_EQUAL(graph->outputs[0].value, tanh);
	graph_erase(graph, nodes[3]);
	CU_ASSERT_PTR_EQUAL(graph->last, tanh->node);
	graph_replace_uses(graph, x, tanh);
	CU_ASSERT_PTR_EQUAL(nodes[2]->args[0], tanh);
	graph_replace_uses(graph, tanh, x);
	CU_ASSERT_EQUAL(tanh->id, 6); /* ids are not reused: 5 belonged to the erased constant */
	Value *tooMany[ARGS_MAX + 1] = {0};
	CU_ASSERT_PTR_NULL(graph_insert(graph, NULL, OP_CONCAT, tooMany, ARGS_MAX + 1, NULL, NULL, &diag));
	CU_ASSERT_EQUAL(diag.errors, 1);
	diag_free(&diag);
	module_free(module);
	module_free(NULL);
}

static void test_module_copy(void)
{
	static const char *labels[] = {"a", "b"};
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	nodes[3]->results[0]->name = "y";
	nodes[3]->results[0]->id = 40; /* ids have gaps, as after passes */
	graph->next_id = 50;
	nodes[2]->line = 12;
	for (int i = 0; i < 9; i++)
		*module_add_head(module, "") = (Head){.name = mem_printf(module->mem, "head%d", i),
			.output = "hidden",
			.task = TASK_TAG,
			.nlabels = 2,
			.labels = labels};
	module_set_meta(module, "source", "one");
	module_set_meta(module, "source", "two");
	module->max_tokens = 77;
	graph->level = LEVEL_FUSED;
	Module *copy = module_copy(module);
	Graph *twin = copy->graphs[0];
	CU_ASSERT_STRING_EQUAL(copy->name, "sample");
	CU_ASSERT_EQUAL(copy->max_tokens, 77);
	CU_ASSERT_EQUAL(copy->nmeta, 1);
	CU_ASSERT_STRING_EQUAL(copy->meta[0].value, "two");
	CU_ASSERT_EQUAL(copy->nheads, 9);
	CU_ASSERT_STRING_EQUAL(copy->heads[8].name, "head8");
	CU_ASSERT_STRING_EQUAL(copy->heads[8].labels[1], "b");
	CU_ASSERT_EQUAL(twin->level, LEVEL_FUSED);
	CU_ASSERT_EQUAL(twin->next_id, graph->next_id);
	CU_ASSERT_PTR_EQUAL(twin->outputs[0].value, twin->last->results[0]);
	CU_ASSERT_STRING_EQUAL(twin->last->results[0]->name, "y");
	CU_ASSERT_EQUAL(twin->last->results[0]->id, nodes[3]->results[0]->id);
	CU_ASSERT_EQUAL(twin->last->prev->line, 12);
	CU_ASSERT_PTR_EQUAL(twin->last->args[0], twin->last->prev->results[0]);
	CU_ASSERT_PTR_EQUAL(twin->first->data, nodes[0]->data);
	CU_ASSERT_STRING_EQUAL(twin->first->origin, "embeddings");
	CU_ASSERT_PTR_NOT_EQUAL(twin->first, nodes[0]);
	module_free(copy);
	module_free(module);
}

/* relu(x + c) or, other way round, of nodes in another order and with other ids;
 * `op` on top, c is `number`. */
static Graph *small_graph(Module *module, Op op, float number, bool turned, const char *output)
{
	Graph *graph = graph_new(module, "main");
	Diag diag;
	diag_init(&diag, NULL);
	Tensor *tensor = tensor_new(module, turned ? "a" : "b", type_make(DT_F32, 0));
	tensor_set(tensor, 0, (double)number);
	Value *x = graph_add_input(graph, "x", type_make(DT_F32, 1, dim_number(3))), *c, *unused;
	c = turned ? NULL : graph_const(graph, NULL, tensor, "origin");
	unused = graph_emit(graph, NULL, OP_TANH, &x, 1, NULL, NULL, &diag);
	c = c ? c : graph_const(graph, NULL, tensor, NULL);
	Value *sum = graph_emit(graph, NULL, OP_ADD, (Value *[]){x, c}, 2, NULL, NULL, &diag);
	graph_add_output(graph, output, graph_emit(graph, NULL, op, &sum, 1, NULL, NULL, &diag));
	if (!turned)
		graph_erase(graph, unused->node);
	diag_free(&diag);
	return graph;
}

static void test_graph_equal(void)
{
	Module *module = module_new("m");
	const Node *where;
	const Graph *plain = small_graph(module, OP_RELU, 2, false, "y");
	CU_ASSERT_TRUE(graph_equal(plain, plain, &where));
	CU_ASSERT_TRUE(graph_equal(plain, small_graph(module, OP_RELU, 2, true, "y"), &where));
	CU_ASSERT_FALSE(graph_equal(plain, small_graph(module, OP_TANH, 2, false, "y"), &where));
	CU_ASSERT_EQUAL(where->op, OP_RELU);
	CU_ASSERT_FALSE(graph_equal(plain, small_graph(module, OP_RELU, 2.5f, true, "y"), &where));
	CU_ASSERT_EQUAL(where->op, OP_CONST);
	CU_ASSERT_FALSE(graph_equal(plain, small_graph(module, OP_RELU, 2, false, "z"), &where));
	module_free(module);
}

static int32_t layer_of(const char *origin) { return origin_parse(origin).layer; }

static void test_origins(void)
{
	CU_ASSERT_EQUAL(layer_of("layer.12.attention.query"), 12);
	CU_ASSERT_EQUAL(layer_of("layer.0.x"), 0);
	CU_ASSERT_EQUAL(layer_of("layer.3"), -1);
	CU_ASSERT_EQUAL(layer_of("layer.x.y"), -1);
	CU_ASSERT_EQUAL(layer_of("layer.99999999999.y"), -1);
	CU_ASSERT_EQUAL(layer_of("player.1.x"), -1);
	CU_ASSERT_EQUAL(layer_of(NULL), -1);
	Origin place = origin_parse("stsb/layer.3.attention.query");
	CU_ASSERT_EQUAL(place.task_bytes, 4);
	CU_ASSERT_EQUAL(place.layer, 3);
	CU_ASSERT_EQUAL(place.part, PART_ATTENTION_QUERY);
	CU_ASSERT_STRING_EQUAL(place.text, "attention.query");
	static const struct {
		const char *origin;
		ModelPart part;
	} known[] = {
		{"layer.1.attention", PART_ATTENTION},
		{"layer.1.attention.norm", PART_ATTENTION_NORM},
		{"layer.1.ffn.gate", PART_FFN_GATE},
		{"layer.1.tokens", PART_TOKENS},
		{"layer.1.attentions", PART_OTHER},
		{"layer.1.head.x", PART_OTHER},
		{"layer.1.", PART_OTHER},
		{"attention.query", PART_OTHER},
		{"embeddings.word", PART_WORD_TABLE},
		{"embeddings.norm", PART_EMBEDDINGS},
		{"head.sentiment", PART_HEAD},
		{"mrpc/head.mrpc", PART_HEAD},
		{"headed", PART_OTHER},
		{"pooler", PART_POOLER},
		{"exit.3.pooler", PART_EXIT},
		{"/encoder/MatMul", PART_OTHER},
		{"", PART_OTHER},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		CU_ASSERT_EQUAL(origin_parse(known[i].origin).part, known[i].part);
}

static void test_names(void)
{
	char text[264];
	CU_ASSERT_TRUE(name_is_valid("a") && name_is_valid("_x.1-b") && name_is_valid("fill-mask"));
	CU_ASSERT_FALSE(name_is_valid("") || name_is_valid(NULL) || name_is_valid("1a") || name_is_valid("a b"));
	CU_ASSERT_FALSE(name_is_valid("\xc3\xa9") || name_is_valid("a*/") || name_is_valid("a\n"));
	char longest[300];
	memset(longest, 'a', sizeof longest);
	longest[255] = 0;
	CU_ASSERT_TRUE(name_is_valid(longest));
	longest[255] = 'a';
	longest[256] = 0;
	CU_ASSERT_FALSE(name_is_valid(longest));
	CU_ASSERT_STRING_EQUAL(value_print(&(Value){.id = 12}, text), "%12");
	CU_ASSERT_STRING_EQUAL(value_print(&(Value){.name = "x"}, text), "%x");
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"memory", test_memory},
		{"messages", test_diag},
		{"types", test_types},
		{"regions of the arena", test_regions},
		{"editing graphs", test_graph_edits},
		{"copying modules", test_module_copy},
		{"equal graphs", test_graph_equal},
		{"origins", test_origins},
		{"names", test_names},
	};
	return SUITE_RUN("ir", tests);
}
