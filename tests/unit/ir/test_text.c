/* test_text.c: print -> parse -> print is a fixed point and loses nothing, for random modules of every op,
 * attribute and constant form; names and files of weights. What the parser
 * refuses is in test_text_errors.c. */
#include "tests/unit/random_module.h"

/* ---- random modules -------------------------------------------------------------------------- */

static bool value_equal(const Value *a, const Value *b)
{
	if (a->name ? !b->name || strcmp(a->name, b->name) != 0 : b->name || a->id != b->id)
		return false;
	return type_equal(&a->type, &b->type) && a->index == b->index;
}

static bool node_equal(const Node *a, const Node *b)
{
	bool equal = a->op == b->op && a->nargs == b->nargs && a->nresults == b->nresults
		&& attrs_equal(&a->attr, &b->attr);
	for (int32_t i = 0; equal && i < a->nargs; i++)
		equal = value_equal(a->args[i], b->args[i]);
	for (int32_t i = 0; equal && i < a->nresults; i++)
		equal = value_equal(a->results[i], b->results[i]);
	if (equal && a->op == OP_CONST)
		equal = type_equal(&a->data->type, &b->data->type)
			&& memcmp(a->data->data, b->data->data, (size_t)a->data->bytes) == 0;
	return equal;
}

static bool graph_identical(const Graph *a, const Graph *b)
{
	bool equal = a->level == b->level && a->noutputs == b->noutputs && a->ninputs == b->ninputs
		&& strcmp(a->name, b->name) == 0 && a->arena.planned == b->arena.planned;
#define FIELD(name) equal = equal && a->arena.name == b->arena.name;
	ARENA_FIELDS(FIELD)
#undef FIELD
	for (int32_t i = 0; equal && i < a->noutputs; i++)
		equal = strcmp(a->outputs[i].name, b->outputs[i].name) == 0
			&& value_equal(a->outputs[i].value, b->outputs[i].value);
	const Node *x = a->first, *y = b->first;
	for (; equal && x && y; x = x->next, y = y->next)
		equal = node_equal(x, y);
	return equal && !x && !y;
}

static bool module_equal(const Module *a, const Module *b)
{
	bool equal = a->nmeta == b->nmeta && a->nheads == b->nheads && a->ngraphs == b->ngraphs
		&& a->max_tokens == b->max_tokens && strcmp(a->name, b->name) == 0 && !a->tokenizer == !b->tokenizer;
	for (int32_t i = 0; equal && i < a->nmeta; i++)
		equal = strcmp(a->meta[i].key, b->meta[i].key) == 0
			&& strcmp(a->meta[i].value, b->meta[i].value) == 0;
	for (int32_t i = 0; equal && i < a->nheads; i++) {
		const Head *x = &a->heads[i], *y = &b->heads[i];
		equal = x->task == y->task && x->problem == y->problem && x->nlabels == y->nlabels
			&& strcmp(x->output, y->output) == 0;
		for (int32_t k = 0; equal && k < x->nlabels; k++)
			equal = strcmp(x->labels[k], y->labels[k]) == 0;
	}
	for (int32_t i = 0; equal && i < a->ngraphs; i++)
		equal = graph_identical(a->graphs[i], b->graphs[i]);
	return equal;
}

static void test_random_modules(void)
{
	for (uint64_t seed = 1; seed <= 400; seed++) {
		Module *module = random_module(seed);
		char *text = module_text(module, NULL);
		Diag diag;
		Module *again = parse(text, &diag);
		diag_print(&diag, stderr);
		CU_ASSERT_PTR_NOT_NULL_FATAL(again);
		CU_ASSERT(module_equal(module, again));
		char *text_again = module_text(again, NULL);
		CU_ASSERT_STRING_EQUAL(text, text_again);
		free(text_again);
		free(text);
		module_free(again);
		module_free(module);
		diag_free(&diag);
	}
}

/* ---- numbers --------------------------------------------------------------------------------- */
/* Every f16 and bf16, and a million f32, f64 and i64 bit patterns, survive as text. */
static void check_element(DType dtype, const void *bits)
{
	char text[NUMBER_BYTES_MAX + 64];
	unsigned char again[8] = {0};
	element_text(bits, dtype, 0, text);
	char *end;
	Number number = {.is_int = !dtype_is_float(dtype), .d = strtod(text, &end)};
	number.i = number.is_int ? strtoll(text, &end, 10) : 0;
	CU_ASSERT(*end == 0 && element_store(again, dtype, 0, number));
	if (!isnan(number.d) && memcmp(again, bits, (size_t)dtype_bytes[dtype]) != 0)
		CU_FAIL("another number");
	CU_ASSERT(strlen(text) <= 24);
}

static void test_elements(void)
{
	state = 5;
	for (uint32_t bits = 0; bits < 65536; bits++) {
		uint16_t half = (uint16_t)bits;
		check_element(DT_F16, &half);
		check_element(DT_BF16, &half);
		check_element(DT_I8, &half);
		check_element(DT_U8, &half);
	}
	for (int i = 0; i < 100000; i++) {
		uint64_t bits = next();
		check_element(DT_F32, &bits);
		check_element(DT_F64, &bits);
		check_element(DT_I32, &bits);
		check_element(DT_I64, &bits);
	}
	char text[NUMBER_BYTES_MAX];
	element_text(&(float){0.1f}, DT_F32, 0, text);
	CU_ASSERT_STRING_EQUAL(text, "0.1");
	element_text(&(uint16_t){0x2e66}, DT_F16, 0, text);
	CU_ASSERT_STRING_EQUAL(text, "0.1");
	real_text(1e-12, text);
	CU_ASSERT_STRING_EQUAL(text, "1e-12");
	real_text(0.1 + 0.2, text);
	CU_ASSERT_STRING_EQUAL(text, "0.30000000000000004");
	real_text(NAN, text);
	CU_ASSERT_STRING_EQUAL(text, "nan");
}

static const char HEADER[] = "graph @main(%ids: i32[S]) {\n";

static Module *parse_const(const char *form, const char *type, Diag *diag)
{
	char text[4096];
	snprintf(text, sizeof text, "%s  %%c = const %s : %s\n  return c=%%c\n}\n", HEADER, form, type);
	return parse(text, diag);
}

/* The first numbers of rand(7) from an implementation in another language (IR.md, Random constants). */
static void test_rand(void)
{
	static const double expected[] = {
		-0.22034060955047607, -0.966423511505127, 0.8015213012695312, 0.16586053371429443};
	Diag diag;
	Module *module = parse_const("rand(7)", "f32[2,2]", &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(tensor_at(module->graphs[0]->first->data, i), expected[i]);
	CU_ASSERT_STRING_EQUAL(module->graphs[0]->first->data->form, "rand(7)");
	module_free(module);
	double sum = 0, squares = 0;
	for (uint64_t i = 0; i < 100000; i++) {
		double x = random_at(3, i);
		CU_ASSERT(x >= -1 && x < 1);
		sum += x;
		squares += x * x;
	}
	CU_ASSERT(fabs(sum / 100000) < 0.01 && fabs(squares / 100000 - 1.0 / 3) < 0.01);
}

static void check_const(const char *form, const char *type, const char *printed, int64_t at, double expected)
{
	Diag diag;
	Module *module = parse_const(form, type, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	char *text = module_text(module, NULL), line[300];
	snprintf(line, sizeof line, "  %%c = const %s : %s\n", printed, type);
	if (!strstr(text, line)) {
		fprintf(stderr, "expected %sin\n%s", line, text);
		CU_FAIL("another constant");
	}
	CU_ASSERT_EQUAL(tensor_at(module->graphs[0]->first->data, at), expected);
	free(text);
	module_free(module);
	diag_free(&diag);
}

static void test_constants(void)
{
	check_const("splat(0.50)", "f32[1000]", "splat(0.5)", 999, 0.5);
	check_const("splat(1e3)", "f64[2]", "splat(1000)", 1, 1000);
	check_const("splat(0.1)", "f16[2]", "splat(0.1)", 1, half_to_float(half_from_float(0.1f)));
	check_const("splat(-7)", "i8[2]", "splat(-7)", 1, -7);
	check_const("splat(9223372036854775807)", "i64[2]", "splat(9223372036854775807)", 0, 0x1p63);
	check_const("splat(inf)", "f32[2]", "splat(inf)", 0, INFINITY);
	check_const("iota", "i32[2,3]", "iota", 5, 5);
	check_const("iota", "f16[3]", "iota", 2, 2);
	check_const(
		"rand(0)", "bf16[3]", "rand(0)", 2, bfloat_to_float(bfloat_from_float((float)random_at(0, 2))));
	check_const("[1,2 , 3]", "u8[3]", "[1, 2, 3]", 2, 3);
	check_const("[-0, 1.5e0]", "f32[2]", "[-0, 1.5]", 1, 1.5);
	check_const("[-inf]", "f32[1]", "[-inf]", 0, -INFINITY);
	check_const("[0.333333343]", "f32[]", "[0.33333334]", 0, 1.0f / 3);
}

/* ---- names ----------------------------------------------------------------------------------- */
static void test_ids(void)
{
	static const char text[] = "module @model\n\ngraph @main(%0: i32[S], %types: i32[S]) level=graph {\n"
							   "  %w = const iota : f32[4,2]\n  %1 = embed %w, %0 : f32[S,2]\n  %a = embed "
							   "%w, %types : f32[S,2]\n"
							   "  %200 = add %1, %a : f32[S,2]  # layer.0\n  %x.y-z = relu %200 : f32[S,2]\n"
							   "  return hidden=%x.y-z, \"two.words\"=%200\n}\n";
	Diag diag;
	Module *module = parse(text, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	Graph *graph = module->graphs[0];
	char *again = module_text(module, NULL);
	CU_ASSERT_STRING_EQUAL(again, text);
	CU_ASSERT_EQUAL(graph->inputs[0]->id, 0);
	CU_ASSERT(graph->inputs[1]->id > 200 && graph->next_id > graph->last->results[0]->id);
	CU_ASSERT_EQUAL(graph->first->next->results[0]->id, 1);
	CU_ASSERT_EQUAL(graph->first->line, 4);
	CU_ASSERT_STRING_EQUAL(graph->last->prev->origin, "layer.0");
	CU_ASSERT(module_verify(module, &diag));
	free(again);
	module_free(module);
	diag_free(&diag);
}

/* ---- files ----------------------------------------------------------------------------------- */
static void test_weights(void)
{
	static const float one[3] = {1, 2, 3}, two[2] = {7, 8};
	const Tensor a = {.name = "a", .type = type_make(DT_F32, 1, dim_number(3)), .data = one, .bytes = 12};
	const Tensor b = {
		.name = "odd name:b", .type = type_make(DT_F32, 1, dim_number(2)), .data = two, .bytes = 8};
	const Tensor other = {.name = "a", .type = type_make(DT_F32, 1, dim_number(2)), .data = two, .bytes = 8};
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT(safetensors_write(at("one.safetensors"), (const Tensor *[]){&a, &b}, 2, &diag));
	CU_ASSERT_EQUAL(mkdir(at("far"), 0700), 0);
	CU_ASSERT(safetensors_write(at("far/two.safetensors"), (const Tensor *[]){&other}, 1, &diag));
	static const char text[] = "module @m weights \"one.safetensors\", \"two.safetensors\"\n\ngraph "
							   "@main(%ids: i32[S]) level=graph {\n"
							   "  %a = const @a : f32[2]\n  %b = const @\"odd name:b\" : f32[2]\n  return "
							   "a=%a, b=%b\n}\n";
	const char *search[] = {at("nowhere"), at("far"), NULL};
	Module *module = module_parse(text, strlen(text), directory, search, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	/* If several files have the name, the last one applies. */
	CU_ASSERT_EQUAL(tensor_at(module->graphs[0]->first->data, 0), 7);
	char *again = module_text(module, NULL);
	CU_ASSERT_STRING_EQUAL(again, text);
	free(again);
	Module *copy = module_copy(module);
	again = module_text(copy, NULL);
	CU_ASSERT_STRING_EQUAL(again, text);
	free(again);
	module_free(copy);
	module_free(module);
	CU_ASSERT_PTR_NULL(module_parse(text, strlen(text), directory, NULL, &diag));
	CU_ASSERT_EQUAL(diag.errors, 1); /* only that the file is missing, nothing about its constants */
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[0].text, "weights 'two.safetensors': no such file in"));
	diag_free(&diag);
	static const Case wrong[] = {
		{"const @a : f32[3]", 3, "tensor 'a' is f32[2] in two.safetensors, but the line says f32[3]"},
		{"const @c : f32[3]", 3, "no tensor 'c' in the weights"},
	};
	for (int i = 0; i < 2; i++) {
		char line[300];
		diag_init(&diag, NULL);
		snprintf(line, sizeof line,
			"module weights \"one.safetensors\", \"two.safetensors\"\n"
			"%s  %%a = %s\n  return a=%%a\n}\n",
			HEADER, wrong[i].text);
		CU_ASSERT_PTR_NULL(module_parse(line, strlen(line), directory, search, &diag));
		CU_ASSERT(diag.errors == 1 && diag.messages[0].line == 3
			&& strstr(diag.messages[0].text, wrong[i].message));
		diag_free(&diag);
	}
	CU_ASSERT_PTR_NULL(parse("module weights \"one.safetensors\", \"one.safetensors\"\n", &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[0].text, "named twice"));
	diag_free(&diag);
	unlink(at("far/two.safetensors"));
	rmdir(at("far"));
}

/* A module with loose constants: two of the same name, one without a name, one that stands in the text. */
static Module *loose_module(void)
{
	Diag diag;
	Module *module = parse("module @m weights \"one.safetensors\"\ngraph @main(%ids: i32[S]) {\n  %a = const "
						   "@a : f32[3]\n"
						   "  return a=%a\n}\n",
		&diag);
	Type large = type_make(DT_F32, 1, dim_number(100)), small = type_make(DT_F16, 1, dim_number(64));
	const char *names[] = {"a", "fused", "fused", "", "small"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	CU_ASSERT_FALSE(module_has_loose_constants(module));
	for (int i = 0; i < 5; i++) {
		Tensor *tensor = tensor_new(module, names[i], i == 4 ? small : large);
		for (int k = 0; k < 64; k++)
			tensor_set(tensor, k, i + k / 100.0);
		graph_const(module->graphs[0], NULL, tensor, NULL);
		if (i == 1) /* the same tensor twice is written once */
			graph_const(module->graphs[0], NULL, tensor, NULL);
	}
	return module;
}

static void test_write(void)
{
	Diag diag;
	Module *module = loose_module();
	CU_ASSERT(module_has_loose_constants(module));
	diag_init(&diag, NULL);
	char *elided = module_text(module, &(PrintOptions){.elide_constants = true});
	CU_ASSERT_PTR_NOT_NULL(strstr(elided, "%2 = const elided : f32[100]\n"));
	CU_ASSERT_PTR_NULL(parse(elided, &diag));
	diag_free(&diag);
	free(elided);
	CU_ASSERT(module_write(module, at("out.bir"), NULL, &diag));
	Module *again = module_read(at("out.bir"), NULL, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT_EQUAL(again->nfiles, 2);
	CU_ASSERT_EQUAL(tensor_file_count(again->files[1]), 4);
	const Node *x = module->graphs[0]->first, *y = again->graphs[0]->first;
	for (; x && y; x = x->next, y = y->next)
		CU_ASSERT(x->data->bytes == y->data->bytes
			&& memcmp(x->data->data, y->data->data, (size_t)x->data->bytes) == 0);
	CU_ASSERT(!x && !y);
	char *text = module_text(again, NULL);
	static const char *const lines[] = {
		"module @m weights \"one.safetensors\", \"out.safetensors\"\n",
		"%a = const @a : f32[3]\n",
		" = const @a.2 : f32[100]\n",
		" = const @fused : f32[100]\n",
		" = const @fused.2 : f32[100]\n",
		" = const @v6 : f32[100]\n",
		" = const [4, 4.01, ",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (!strstr(text, lines[i])) {
			fprintf(stderr, "no %s\nin\n%s", lines[i], text);
			CU_FAIL("a line is missing");
		}
	/* What is written holds no loose constants any more; written over itself it stays the same. */
	CU_ASSERT_FALSE(module_has_loose_constants(again));
	CU_ASSERT(module_write(again, at("again.bir"), NULL, &diag));
	CU_ASSERT_EQUAL(access(at("again.safetensors"), F_OK), -1);
	Module *third = module_read(at("again.bir"), NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(third);
	char *third_text = module_text(third, NULL);
	CU_ASSERT_STRING_EQUAL(text, third_text);
	free(third_text);
	free(text);
	module_free(third);
	/* A file that the text still needs is not overwritten. */
	Tensor *more = tensor_new(again, "more", type_make(DT_I32, 1, dim_number(65)));
	graph_const(again->graphs[0], NULL, more, NULL);
	CU_ASSERT(module_write(again, at("out.bir"), NULL, &diag));
	module_free(again);
	again = module_read(at("out.bir"), NULL, &diag);
	CU_ASSERT(
		again && again->nfiles == 3 && strcmp(tensor_file_name(again->files[2]), "out.2.safetensors") == 0);
	module_free(again);
	module_free(module);
	CU_ASSERT_EQUAL(diag.errors, 0);
	diag_free(&diag);
}

static void test_write_errors(void)
{
	Diag diag;
	Module *module = loose_module();
	diag_init(&diag, NULL);
	CU_ASSERT_FALSE(module_write(module, at("no/out.bir"), NULL, &diag));
	CU_ASSERT(diag.errors == 1 && strstr(diag.messages[0].text, "cannot be written: No such file"));
	/* The constants cannot be written: no .bir that refers to them appears. */
	CU_ASSERT_EQUAL(mkdir(at("bad.safetensors"), 0700), 0);
	CU_ASSERT_FALSE(module_write(module, at("bad.bir"), NULL, &diag));
	CU_ASSERT_EQUAL(access(at("bad.bir"), F_OK), -1);
	CU_ASSERT_EQUAL(rmdir(at("bad.safetensors")), 0);
	module_free(module);
	diag_free(&diag);
}

static void test_read(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_PTR_NULL(module_read(at("missing.bir"), NULL, &diag));
	CU_ASSERT_PTR_NULL(module_read(directory, NULL, &diag));
	CU_ASSERT(diag.errors == 2 && strstr(diag.messages[0].text, "No such file")
		&& strstr(diag.messages[1].text, "is a directory"));
	CU_ASSERT_STRING_EQUAL(diag.messages[1].file, directory);
	diag_free(&diag);
	/* The parser refuses modules that the verifier refuses. */
	FILE *out = fopen(at("wrong.bir"), "w");
	fputs(BODY("%y = relu %ids : f32[S]"), out);
	fclose(out);
	CU_ASSERT_PTR_NULL(module_read(at("wrong.bir"), NULL, &diag));
	CU_ASSERT(diag.errors == 1 && diag.messages[0].line == 2
		&& strcmp(diag.messages[0].file, at("wrong.bir")) == 0);
	diag_free(&diag);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"random modules", test_random_modules},
		{"elements", test_elements},
		{"rand", test_rand},
		{"constants", test_constants},
		{"ids", test_ids},
		{"weights", test_weights},
		{"module_write", test_write},
		{"module_write fails", test_write_errors},
		{"module_read", test_read},
	};
	static const char *const left[] = {
		"one.safetensors", "out.bir", "out.safetensors", "out.2.safetensors", "again.bir", "wrong.bir", NULL};
	return SUITE_RUN_IN_DIRECTORY("text", tests, left);
}
