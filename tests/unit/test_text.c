/* test_text.c: print -> parse -> print is a fixed point and loses nothing, for random modules of every op, attribute and
 * constant form; the parser says what is wrong and where, and survives any bytes. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ir/text.h"

static char directory[4000];

static Module *parse(const char *text, Diag *diag)
{
	diag_init(diag, "t.bir");
	return module_parse(text, strlen(text), directory, NULL, diag);
}

/* ---- random modules ---------------------------------------------------------------------------------------------- */
static uint64_t state;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545F4914F6CDD1Du;
}

static int64_t below(int64_t n) { return (int64_t)(next() >> 11) % n; }

/* Any bytes but NUL; mostly letters. */
static char *random_text(Module *module, int64_t most)
{
	char text[64];
	int64_t bytes = below(most + 1);
	for (int64_t i = 0; i < bytes; i++)
		text[i] = (char)(below(4) ? 'a' + below(26) : 1 + below(255));
	return mem_string(module->mem, text, (size_t)bytes);
}

static double random_real(void)
{
	double value;
	uint64_t bits = next();
	switch (below(5)) {
	case 0: return (double)below(1000) / 8;
	case 1: return pow(10, -(double)below(20));
	case 2: return below(2) ? INFINITY : -0.0;
	case 3: return (double)next() / 3;
	default:
		memcpy(&value, &bits, sizeof value);
		return isnan(value) ? 0.1 : value;
	}
}

static Dim random_dim(bool number)
{
	if (number || below(2))
		return dim_number(1 + (below(8) ? below(6) : below(DIM_MAX / 4096)));
	return (Dim){(int32_t)(1 + below(SYMBOLS_MAX - 1)), (int32_t)(below(2) ? 1 : 1 + below(1000)),
		below(2) ? 0 : below(2001) - 1000};
}

static Type random_type(bool small)
{
	Type type = {.dtype = (DType)below(DT_COUNT), .rank = (int32_t)below(RANK_MAX + 1)};
	int64_t bytes = dtype_bytes[type.dtype];
	for (int32_t i = 0; i < type.rank; i++) {
		type.dim[i] = small ? dim_number(1 + below(5)) : random_dim(false);
		if (dim_is_number(type.dim[i]) && (__builtin_mul_overflow(bytes, type.dim[i].plus, &bytes) || bytes > TENSOR_BYTES_MAX))
			return random_type(small);
	}
	return type;
}

static Attrs random_attrs(Module *module)
{
	Attrs attrs = {.has = (uint32_t)(next() & next() & ((1u << AI_COUNT) - 1))};
#define SET_REAL(field) attrs.field = random_real()
#define SET_INT(field)  attrs.field = below(2) ? below(100) : (int64_t)next()
#define SET_PACK(field) attrs.field = (Pack)below(PACK_COUNT)
#define SET_ACT(field)  attrs.field = (Act)below(ACT_COUNT)
#define SET_POOL(field) attrs.field = (Pool)below(POOL_COUNT)
#define SET_TEXT(field) attrs.field = random_text(module, 20)
#define SET_INTS(field) \
	for (attrs.field.count = (int32_t)below(RANK_MAX + 1); list < attrs.field.count; list++) \
		attrs.field.at[list] = (int64_t)next() >> below(64)
#define SET_DIMS(field) \
	for (attrs.field.count = (int32_t)below(RANK_MAX + 1); list < attrs.field.count; list++) \
		attrs.field.at[list] = random_dim(false)
	int32_t list = 0;
#define ATTR(field, KIND, doc) \
	list = 0; \
	SET_##KIND(field);
#include "ir/attrs.def"
#undef ATTR
	return attrs;
}

/* Random bits; a NaN would come back as another NaN. */
static const Tensor *random_tensor(Module *module)
{
	Tensor *tensor = tensor_new(module, "made.by.a.pass", random_type(true));
	int64_t count = type_count(&tensor->type);
	for (int64_t i = 0; i < tensor->bytes; i++)
		((uint8_t *)tensor->data)[i] = (uint8_t)next();
	for (int64_t i = 0; i < count; i++)
		if (isnan(tensor_at(tensor, i)) || below(4) == 0)
			memset((char *)tensor->data + i * dtype_bytes[tensor->type.dtype], 0, (size_t)dtype_bytes[tensor->type.dtype]);
	return tensor;
}

static void name_value(Module *module, Value *value, int64_t number)
{
	if (below(2))
		value->name = mem_printf(module->mem, below(20) ? "%c%lld" : "%c \"%lld", (int)('a' + below(26)), (long long)number);
}

static void random_node(Graph *graph, Value **values, int64_t *nvalues)
{
	Module *module = graph->module;
	Op op = (Op)below(OP_COUNT);
	Value *args[ARGS_MAX];
	int32_t nargs = op == OP_CONST ? 0 : (int32_t)below(ARGS_MAX + 1);
	for (int32_t i = 0; i < nargs; i++)
		args[i] = values[below(*nvalues)];
	Type types[RESULTS_MAX];
	for (int32_t i = 0; i < RESULTS_MAX; i++)
		types[i] = random_type(false);
	Attrs attrs = random_attrs(module);
	const Tensor *tensor = op == OP_CONST ? random_tensor(module) : NULL;
	Node *node = graph_insert_typed(graph, NULL, op, args, nargs, &attrs, tensor, below(2) ? random_text(module, 30) : NULL,
	                                tensor ? &tensor->type : types);
	for (int32_t i = 0; i < node->nresults; i++) {
		name_value(module, node->results[i], *nvalues);
		values[(*nvalues)++] = node->results[i];
	}
}

static Module *random_module(uint64_t seed)
{
	static Value *values[1000];
	state = seed * 0x9E3779B97F4A7C15u + 1;
	Module *module = module_new(below(2) ? "tiny" : "a name \"in quotes\"");
	module->tokenizer = below(2) ? "tokenizer.json" : NULL;
	module->max_tokens = (int32_t)below(3) * 256;
	for (int64_t i = below(3); i > 0; i--)
		module_set_meta(module, random_text(module, 10), random_text(module, 60));
	for (int64_t i = below(4); i > 0; i--) {
		Head *head = module_add_head(module, mem_printf(module->mem, "head.%lld", (long long)i));
		head->task = (Task)below(TASK_COUNT);
		head->problem = (Problem)below(PROBLEM_COUNT);
		head->output = below(2) ? "logits" : "out 1";
		head->nlabels = (int32_t)below(4);
		head->labels = mem_alloc(module->mem, 4 * sizeof *head->labels);
		for (int32_t k = 0; k < head->nlabels; k++)
			head->labels[k] = random_text(module, 60);
	}
	for (int64_t g = 1 + below(3); g > 0; g--) {
		Graph *graph = graph_new(module, mem_printf(module->mem, "g%lld", (long long)g));
		int64_t nvalues = 0;
		graph->level = (Level)(1 << below(3));
		graph->next_id = (uint32_t)below(100);
		if (below(2))
			graph->arena = (ArenaPlan){true, below(1 << 30), below(99), below(7), 0, below(64), below(9), TENSOR_BYTES_MAX};
		values[nvalues++] = graph_add_input(graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
		values[nvalues++] = graph_add_input(graph, NULL, random_type(false));
		for (int64_t i = below(40); i > 0; i--)
			random_node(graph, values, &nvalues);
		for (int64_t i = below(4); i > 0; i--)
			graph_add_output(graph, mem_printf(module->mem, below(4) ? "out%lld" : "an output%lld", (long long)i),
				values[below(nvalues)]);
	}
	return module;
}

static bool value_equal(const Value *a, const Value *b)
{
	if (a->name ? !b->name || strcmp(a->name, b->name) != 0 : b->name || a->id != b->id)
		return false;
	return type_equal(&a->type, &b->type) && a->index == b->index;
}

static bool node_equal(const Node *a, const Node *b)
{
	bool equal = a->op == b->op && a->nargs == b->nargs && a->nresults == b->nresults && attrs_equal(&a->attr, &b->attr);
	for (int32_t i = 0; equal && i < a->nargs; i++)
		equal = value_equal(a->args[i], b->args[i]);
	for (int32_t i = 0; equal && i < a->nresults; i++)
		equal = value_equal(a->results[i], b->results[i]);
	if (equal && a->op == OP_CONST)
		equal = type_equal(&a->data->type, &b->data->type) && memcmp(a->data->data, b->data->data, (size_t)a->data->bytes) == 0;
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
		equal = strcmp(a->outputs[i].name, b->outputs[i].name) == 0 && value_equal(a->outputs[i].value, b->outputs[i].value);
	const Node *x = a->first, *y = b->first;
	for (; equal && x && y; x = x->next, y = y->next)
		equal = node_equal(x, y);
	return equal && !x && !y;
}

static bool module_equal(const Module *a, const Module *b)
{
	bool equal = a->nmeta == b->nmeta && a->nheads == b->nheads && a->ngraphs == b->ngraphs && a->max_tokens == b->max_tokens &&
	             strcmp(a->name, b->name) == 0 && !a->tokenizer == !b->tokenizer;
	for (int32_t i = 0; equal && i < a->nmeta; i++)
		equal = strcmp(a->meta[i].key, b->meta[i].key) == 0 && strcmp(a->meta[i].value, b->meta[i].value) == 0;
	for (int32_t i = 0; equal && i < a->nheads; i++) {
		const Head *x = &a->heads[i], *y = &b->heads[i];
		equal = x->task == y->task && x->problem == y->problem && x->nlabels == y->nlabels && strcmp(x->output, y->output) == 0;
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

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
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
	static const double expected[] = {-0.22034060955047607, -0.966423511505127, 0.8015213012695312, 0.16586053371429443};
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
	check_const("rand(0)", "bf16[3]", "rand(0)", 2, bfloat_to_float(bfloat_from_float((float)random_at(0, 2))));
	check_const("[1,2 , 3]", "u8[3]", "[1, 2, 3]", 2, 3);
	check_const("[-0, 1.5e0]", "f32[2]", "[-0, 1.5]", 1, 1.5);
	check_const("[-inf]", "f32[1]", "[-inf]", 0, -INFINITY);
	check_const("[0.333333343]", "f32[]", "[0.33333334]", 0, 1.0f / 3);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */
typedef struct Case { const char *text; int line; const char *message; } Case;

#define BODY(line) "graph @main(%ids: i32[S]) {\n  " line "\n  return x=%ids\n}\n"

static void test_errors(void)
{
	static const Case cases[] = {
		{"", 1, "no graph in the text"},
		{"\n\nfoo\n", 3, "expected module, meta, head, option or graph, found 'foo'"},
		{"\x80", 1, "found the byte 0x80"},
		{"module @a\nmodule @b\n", 2, "the module line must be the first"},
		{"module weights \"../x.safetensors\"\n", 1, "is not a plain file name"},
		{"module weights \"none.safetensors\"\n", 1, "weights 'none.safetensors': no such file in"},
		{"module weights \"..\"\n", 1, "is not a plain file name"},
		{"module weights \"\"\n", 1, "is not a plain file name"},
		{"module tokenizer \"a/b\"\n", 1, "is not a plain file name"},
		{"module max_tokens 0\n", 1, "max_tokens is 0, expected 1 to 2147483647"},
		{"module max_tokens 99999999999999999999\n", 1, "max_tokens is 99999999999999999999"},
		{"module max_tokens 4 max_tokens 4\n", 1, "each once"},
		{"meta \"a\" \"b\"\nmeta \"a\" \"c\"\n", 2, "meta \"a\" is given twice"},
		{"meta \"a\\q\" \"b\"\n", 1, "escape other than"},
		{"meta \"a\\x00\" \"b\"\n", 1, "a string has a NUL byte"},
		{"meta \"a\\x0\" \"b\"\n", 1, "escape other than"},
		{"meta \"a\n", 1, "a string that does not end on its line"},
		{"head @h guess output=x\n", 1, "expected a task: classify, tag"},
		{"head qa double output=x\n", 1, "expected single, multi, regression or output=NAME"},
		{"head qa single\n", 1, "expected output=NAME, found the end of the line"},
		{"head qa output=x labels=[\"a\" \"b\"]\n", 1, "expected ',' or ']'"},
		{"graph main() {\n return\n}\n", 1, "expected the graph's name"},
		{"graph @g(%0: i32[S], %0: i32[S]) {\nreturn\n}\n", 1, "%0 is defined already, in line 1"},
		{"graph @g(%ids: i32[S]) level=high {\nreturn\n}\n", 1, "expected graph, fused or lowered"},
		{"graph @g(%ids: i32[S]) arena{size=3} {\nreturn\n}\n", 1, "expected a term of the arena"},
		{"graph @g(%ids: i32[S]) arena{fixed=-3} {\nreturn\n}\n", 1, "a number of bytes is -3"},
		{"graph @g(%ids: i32[S]) {\n}\n", 2, "graph @g has no return line"},
		{"graph @g(%ids: i32[S]) {\nreturn\n\n", 4, "the text ends inside graph @g"},
		{BODY("%y = relu %x : f32[S]"), 2, "%x is not defined above this line"},
		{BODY("%y = relu %7 : f32[S]"), 2, "%7 is not defined above this line"},
		{BODY("%y = relu %y : f32[S]"), 2, "%y is not defined above this line"},
		{BODY("%ids = relu %ids : f32[S]"), 2, "%ids is defined already, in line 1"},
		{BODY("%99999999999 = relu %ids : f32[S]"), 2, "is too large, the largest is 16777215"},
		{BODY("%4294967295 = relu %ids : f32[S]"), 2, "is too large, the largest is 16777215"},
		{BODY("%y = reluu %ids : f32[S]"), 2, "there is no op 'reluu'"},
		{BODY("%y = %ids : f32[S]"), 2, "expected the name of an op, found '%ids'"},
		{BODY("%y, %z = relu %ids : f32[S], f32[S]"), 2, "relu makes 1 results; the line has 2 names and 2 types"},
		{BODY("%y = relu %ids"), 2, "expected ':' and the type of the result, found the end of the line"},
		{BODY("%y = relu %ids : f31[S]"), 2, "expected a type as f32[S,384], found 'f31'"},
		{BODY("%y = relu %ids : f32[0]"), 2, "a dimension is 0, expected 1 to"},
		{BODY("%y = relu %ids : f32[-1]"), 2, "a dimension is -1"},
		{BODY("%y = relu %ids : f32[S8]"), 2, "expected a dimension"},
		{BODY("%y = relu %ids : f32[0S]"), 2, "a dimension is 0"},
		{BODY("%y = relu %ids : f32[3000000000S]"), 2, "a symbol's factor is 3000000000"},
		{BODY("%y = relu %ids : f32[S +1]"), 2, "expected ',' or ']', found '+1'"},
		{BODY("%y = relu %ids : f32[1,1,1,1,1]"), 2, "more than 4 dimensions"},
		{BODY("%y = relu %ids : f32[1000000000000,1000000000000]"), 2, "a type of more than 1099511627776 bytes"},
		{BODY("%y = relu %ids {eps=1 eps=2} : f32[S]"), 2, "attribute eps is given twice"},
		{BODY("%y = relu %ids {foo=1} : f32[S]"), 2, "there is no attribute 'foo'"},
		{BODY("%y = relu %ids {heads=1.5} : f32[S]"), 2, "expected a whole number, found '1.5'"},
		{BODY("%y = relu %ids {eps=1e999} : f32[S]"), 2, "the number 1e999 is too large"},
		{BODY("%y = relu %ids {act=swish} : f32[S]"), 2,
			"expected one of none gelu gelu_tanh relu silu tanh sigmoid, found 'swish'"},
		{BODY("%y = relu %ids {perm=[0,1,2,3,4]} : f32[S]"), 2, "a list of more than 4 numbers"},
		{BODY("%y = relu %ids {kernel=abc} : f32[S]"), 2, "expected a string in quotes, found 'abc'"},
		{BODY("%y = relu %ids {eps=1 : f32[S]"), 2, "expected an attribute as eps=1e-12, or '}'"},
		{BODY("%y = relu %ids : f32[S] f32"), 2, "expected the end of the line, found 'f32'"},
		{BODY("%y = const @w : f32[2]"), 2, "tensor 'w', but the module line names no weights"},
		{BODY("%y = const elided : f32[2]"), 2, "printed without its large constants"},
		{BODY("%y = const [1, 2] : f32[3]"), 2, "a list of 2 elements for f32[3], expected 3"},
		{BODY("%y = const [1, x] : f32[2]"), 2, "expected a number, found 'x'"},
		{BODY("%y = const [1.5] : i32[1]"), 2, "element 0 is no whole number that fits i32"},
		{BODY("%y = const [300] : u8[1]"), 2, "element 0 is no whole number that fits u8"},
		{BODY("%y = const splat(1.5) : i32[1]"), 2, "element 0 is no whole number that fits i32"},
		{BODY("%y = const iota : i8[200]"), 2, "element 128 is no whole number that fits i8"},
		{BODY("%y = const rand(-1) : f32[1]"), 2, "the seed of rand must be a whole number from 0"},
		{BODY("%y = const rand(1) : i32[1]"), 2, "rand makes numbers between -1 and 1, so not i32[1]"},
		{BODY("%y = const rand(1) : f32[S]"), 2, "a constant of type f32[S], expected numbers as its dimensions"},
		{BODY("%y = const rand(1) : f32[1000000000]"), 2, "make more than 1073741824 bytes in all"},
		{BODY("%y = const 7 : f32[1]"), 2, "expected @tensor.name, splat(0.5), iota, rand(7) or a list"},
		{BODY("return x=%ids"), 3, "a second return line; the first is line 2"},
		{"graph @g(%ids: i32[S]) {\n return x=%ids\n %y = relu %ids : f32[S]\n}\n", 3, "an op behind the return line"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Diag diag;
		Module *module = parse(cases[i].text, &diag);
		CU_ASSERT_PTR_NULL(module);
		bool right = diag.errors == 1 && diag.code == EXIT_INPUT && diag.messages[0].line == cases[i].line &&
		             strstr(diag.messages[0].text, cases[i].message);
		if (!right) {
			fprintf(stderr, "of:\n%s\nexpected line %d: %s\n", cases[i].text, cases[i].line, cases[i].message);
			diag_print(&diag, stderr);
			CU_FAIL("another message");
		}
		module_free(module);
		diag_free(&diag);
	}
}

/* Errors on several lines are all reported; lines that use what a wrong line defined are not. */
static void test_goes_on(void)
{
	Diag diag;
	CU_ASSERT_PTR_NULL(parse("graph @main(%ids: i32[S]) {\n  %a = nonsense %ids : f32[S]\n  %b = relu %a : f32[S]\n"
	                         "  %c = relu %b {eps=} : f32[S]\n  %d = add %c, %b : f32[S]\n  return x=%e\n}\n}\n", &diag));
	CU_ASSERT_EQUAL(diag.errors, 4);
	static const int lines[] = {2, 4, 6, 8};
	for (int i = 0; i < 4 && i < diag.count; i++)
		CU_ASSERT_EQUAL(diag.messages[i].line, lines[i]);
	diag_free(&diag);
	/* More errors than are kept. */
	char *text = malloc(100000 * 2 + 1);
	for (int i = 0; i < 100000; i++)
		memcpy(text + 2 * i, "x\n", 3);
	CU_ASSERT_PTR_NULL(parse(text, &diag));
	CU_ASSERT_EQUAL(diag.errors, 100000);
	CU_ASSERT(diag.count <= DIAG_MESSAGES_MAX + 1);
	diag_free(&diag);
	free(text);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */
static void test_ids(void)
{
	static const char text[] =
		"module @model\n\ngraph @main(%0: i32[S], %types: i32[S]) level=graph {\n"
		"  %w = const iota : f32[4,2]\n  %1 = embed %w, %0 : f32[S,2]\n  %a = embed %w, %types : f32[S,2]\n"
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

/* ---- files ------------------------------------------------------------------------------------------------------- */
static char *in_directory(const char *name)
{
	static char paths[4][4200];
	static int turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

static void test_weights(void)
{
	static const float one[3] = {1, 2, 3}, two[2] = {7, 8};
	const Tensor a = {.name = "a", .type = type_make(DT_F32, 1, dim_number(3)), .data = one, .bytes = 12};
	const Tensor b = {.name = "odd name:b", .type = type_make(DT_F32, 1, dim_number(2)), .data = two, .bytes = 8};
	const Tensor other = {.name = "a", .type = type_make(DT_F32, 1, dim_number(2)), .data = two, .bytes = 8};
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT(safetensors_write(in_directory("one.safetensors"), (const Tensor *[]){&a, &b}, 2, &diag));
	CU_ASSERT_EQUAL(mkdir(in_directory("far"), 0700), 0);
	CU_ASSERT(safetensors_write(in_directory("far/two.safetensors"), (const Tensor *[]){&other}, 1, &diag));
	static const char text[] =
		"module @m weights \"one.safetensors\", \"two.safetensors\"\n\ngraph @main(%ids: i32[S]) level=graph {\n"
		"  %a = const @a : f32[2]\n  %b = const @\"odd name:b\" : f32[2]\n  return a=%a, b=%b\n}\n";
	const char *search[] = {in_directory("nowhere"), in_directory("far"), NULL};
	Module *module = module_parse(text, strlen(text), directory, search, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	/* The last file that has the name counts. */
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
	CU_ASSERT_EQUAL(diag.errors, 1);    /* only that the file is missing, nothing about its constants */
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[0].text, "weights 'two.safetensors': no such file in"));
	diag_free(&diag);
	static const Case wrong[] = {
		{"const @a : f32[3]", 3, "tensor 'a' is f32[2] in two.safetensors, but the line says f32[3]"},
		{"const @c : f32[3]", 3, "no tensor 'c' in the weights"},
	};
	for (int i = 0; i < 2; i++) {
		char line[300];
		diag_init(&diag, NULL);
		snprintf(line, sizeof line, "module weights \"one.safetensors\", \"two.safetensors\"\n"
			"%s  %%a = %s\n  return a=%%a\n}\n", HEADER, wrong[i].text);
		CU_ASSERT_PTR_NULL(module_parse(line, strlen(line), directory, search, &diag));
		CU_ASSERT(diag.errors == 1 && diag.messages[0].line == 3 && strstr(diag.messages[0].text, wrong[i].message));
		diag_free(&diag);
	}
	CU_ASSERT_PTR_NULL(parse("module weights \"one.safetensors\", \"one.safetensors\"\n", &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[0].text, "named twice"));
	diag_free(&diag);
	unlink(in_directory("far/two.safetensors"));
	rmdir(in_directory("far"));
}

/* A module with loose constants: two of the same name, one without a name, one that stands in the text. */
static Module *loose_module(void)
{
	Diag diag;
	Module *module = parse("module @m weights \"one.safetensors\"\ngraph @main(%ids: i32[S]) {\n  %a = const @a : f32[3]\n"
	                       "  return a=%a\n}\n", &diag);
	Type large = type_make(DT_F32, 1, dim_number(100)), small = type_make(DT_F16, 1, dim_number(64));
	const char *names[] = {"a", "fused", "fused", "", "small"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	CU_ASSERT_FALSE(module_has_loose_constants(module));
	for (int i = 0; i < 5; i++) {
		Tensor *tensor = tensor_new(module, names[i], i == 4 ? small : large);
		for (int k = 0; k < 64; k++)
			tensor_set(tensor, k, i + k / 100.0);
		graph_const(module->graphs[0], NULL, tensor, NULL);
		if (i == 1)    /* the same tensor twice is written once */
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
	CU_ASSERT(module_write(module, in_directory("out.bir"), NULL, &diag));
	Module *again = module_read(in_directory("out.bir"), NULL, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT_EQUAL(again->nfiles, 2);
	CU_ASSERT_EQUAL(safetensors_count(again->files[1]), 4);
	const Node *x = module->graphs[0]->first, *y = again->graphs[0]->first;
	for (; x && y; x = x->next, y = y->next)
		CU_ASSERT(x->data->bytes == y->data->bytes && memcmp(x->data->data, y->data->data, (size_t)x->data->bytes) == 0);
	CU_ASSERT(!x && !y);
	char *text = module_text(again, NULL);
	static const char *const lines[] = {
		"module @m weights \"one.safetensors\", \"out.safetensors\"\n", "%a = const @a : f32[3]\n", " = const @a.2 : f32[100]\n",
		" = const @fused : f32[100]\n", " = const @fused.2 : f32[100]\n", " = const @v6 : f32[100]\n", " = const [4, 4.01, ",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (!strstr(text, lines[i])) {
			fprintf(stderr, "no %s\nin\n%s", lines[i], text);
			CU_FAIL("a line is missing");
		}
	/* What is written holds no loose constants any more; written over itself it stays the same. */
	CU_ASSERT_FALSE(module_has_loose_constants(again));
	CU_ASSERT(module_write(again, in_directory("again.bir"), NULL, &diag));
	CU_ASSERT_EQUAL(access(in_directory("again.safetensors"), F_OK), -1);
	Module *third = module_read(in_directory("again.bir"), NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(third);
	char *third_text = module_text(third, NULL);
	CU_ASSERT_STRING_EQUAL(text, third_text);
	free(third_text);
	free(text);
	module_free(third);
	/* A file that the text still needs is not written over. */
	Tensor *more = tensor_new(again, "more", type_make(DT_I32, 1, dim_number(65)));
	graph_const(again->graphs[0], NULL, more, NULL);
	CU_ASSERT(module_write(again, in_directory("out.bir"), NULL, &diag));
	module_free(again);
	again = module_read(in_directory("out.bir"), NULL, &diag);
	CU_ASSERT(again && again->nfiles == 3 && strcmp(safetensors_name(again->files[2]), "out.2.safetensors") == 0);
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
	CU_ASSERT_FALSE(module_write(module, in_directory("no/out.bir"), NULL, &diag));
	CU_ASSERT(diag.errors == 1 && strstr(diag.messages[0].text, "cannot be written: No such file"));
	/* The constants cannot be written: no .bir that refers to them appears. */
	CU_ASSERT_EQUAL(mkdir(in_directory("bad.safetensors"), 0700), 0);
	CU_ASSERT_FALSE(module_write(module, in_directory("bad.bir"), NULL, &diag));
	CU_ASSERT_EQUAL(access(in_directory("bad.bir"), F_OK), -1);
	CU_ASSERT_EQUAL(rmdir(in_directory("bad.safetensors")), 0);
	module_free(module);
	diag_free(&diag);
}

static void test_read(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_PTR_NULL(module_read(in_directory("missing.bir"), NULL, &diag));
	CU_ASSERT_PTR_NULL(module_read(directory, NULL, &diag));
	CU_ASSERT(diag.errors == 2 && strstr(diag.messages[0].text, "No such file")
		&& strstr(diag.messages[1].text, "Is a directory"));
	CU_ASSERT_STRING_EQUAL(diag.messages[1].file, directory);
	diag_free(&diag);
	/* What verify refuses is refused here. */
	FILE *out = fopen(in_directory("wrong.bir"), "w");
	fputs(BODY("%y = relu %ids : f32[S]"), out);
	fclose(out);
	CU_ASSERT_PTR_NULL(module_read(in_directory("wrong.bir"), NULL, &diag));
	CU_ASSERT(diag.errors == 1 && diag.messages[0].line == 2 && strcmp(diag.messages[0].file, in_directory("wrong.bir")) == 0);
	diag_free(&diag);
}

/* ---- any bytes --------------------------------------------------------------------------------------------------- */
static void survive(const char *text, size_t bytes)
{
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_parse(text, bytes, directory, NULL, &diag);
	CU_ASSERT((module == NULL) == (diag.errors > 0));
	if (module && module_verify(module, &diag)) {
		char *printed = module_text(module, NULL);
		Module *again = module_parse(printed, strlen(printed), directory, NULL, &diag);
		CU_ASSERT_PTR_NOT_NULL(again);
		module_free(again);
		free(printed);
	}
	module_free(module);
	diag_free(&diag);
}

static void test_survives(void)
{
	static const char *const pieces[] = {
		"%ids", "%1", " = ", "{", "}", "[", "]", "\n", "graph @main(%ids: i32[S]) {\n", "return x=%ids\n", "const ", "relu ",
		"add ", ": f32[S,4]", "\"", "\\", "@w", "module ", "weights ", "eps=", "1e-12", "S", "-1", ",", "#", "\0", "\xff",
		"rand(1)", "splat(", ")", "iota", "level=", "arena{", "head ", "labels=[", "%\"a\"", "2S", "elided", "perm=[0",
		"linear "};
	for (uint64_t seed = 1; seed <= 60; seed++) {
		Module *module = random_module(seed);
		char *text = module_text(module, NULL);
		size_t bytes = strlen(text);
		module_free(module);
		for (int cut = 0; cut < 20; cut++) {
			/* An exact allocation, so that the sanitizer sees a byte read too far. */
			size_t length = (size_t)below((int64_t)bytes + 1);
			char *copy = malloc(length + 8);
			memcpy(copy, text, length);
			for (int64_t edits = below(4); edits > 0 && length > 0; edits--)
				copy[below((int64_t)length)] = (char)next();
			char *exact = malloc(length ? length : 1);
			memcpy(exact, copy, length);
			survive(exact, length);
			free(exact);
			free(copy);
		}
		free(text);
	}
	for (int round = 0; round < 3000; round++) {
		char text[2048];
		size_t length = 0;
		for (int64_t i = below(60); i > 0; i--) {
			const char *piece = pieces[below(sizeof pieces / sizeof *pieces)];
			size_t bytes = *piece ? strlen(piece) : 1;
			memcpy(text + length, piece, bytes);
			length += bytes;
		}
		survive(text, length);
	}
}

/* before, item repeated, after: the error of the first item too many. */
static void check_limit(const char *before, const char *item, int count, const char *after, const char *message)
{
	Diag diag;
	char *text = malloc(strlen(before) + (size_t)count * (strlen(item) + 8) + strlen(after) + 1), *at = stpcpy(text, before);
	for (int i = 0; i < count; i++)
		at += sprintf(at, item, i);
	strcpy(at, after);
	Module *module = parse(text, &diag);
	if (message) {
		CU_ASSERT_PTR_NULL(module);
		if (diag.count == 0 || !strstr(diag.messages[0].text, message)) {
			diag_print(&diag, stderr);
			fprintf(stderr, "expected: %s\n", message);
			CU_FAIL("another message");
		}
	} else {
		diag_print(&diag, stderr);
		CU_ASSERT_PTR_NOT_NULL(module);
	}
	module_free(module);
	diag_free(&diag);
	free(text);
}

static void test_limits(void)
{
	static const char graph[] = BODY("");
	check_limit("", "meta \"%d\" \"x\"\n", 1024, graph, NULL);
	check_limit("", "meta \"%d\" \"x\"\n", 1025, graph, "more than 1024 meta lines");
	check_limit("", "head @h%d qa output=x\n", 256, graph, NULL);
	check_limit("", "head @h%d qa output=x\n", 257, graph, "more than 256 heads");
	check_limit("", "graph @g%d(%%ids: i32[S]) {\nreturn\n}\n", 257, "", "more than 256 graphs");
	check_limit("graph @g(%a: i32[S]", ", %%x%d: i32[S]", 15, ") {\nreturn\n}\n", NULL);
	check_limit("graph @g(%a: i32[S]", ", %%x%d: i32[S]", 16, ") {\nreturn\n}\n", "more than 16 inputs");
	check_limit("graph @g(%a: i32[S]) {\n return x=%a", ", x%d=%%a", 256, "\n}\n", "more than 256 outputs");
	check_limit("graph @g(%a: i32[S]) {\n %b = concat %a", ", %%a", 15, " : i32[S]\n return\n}\n", NULL);
	check_limit("graph @g(%a: i32[S]) {\n %b = concat %a", ", %%a", 16, " : i32[S]\n return\n}\n", "more than 16 arguments");
	check_limit("graph @g(%a: i32[S]) {\n %b", ", %%c%d", 4, " = relu %a : i32[S]\n return\n}\n", "more than 4 results");
	check_limit("graph @g(%a: i32[S]) {\n %b = relu %a : i32", ", i32", 4, "\n return\n}\n", "more than 4 types");
	check_limit("graph @g(%a: i32[S]) {\n %b = relu %a {eps=1", "0", 70, "} : i32\n return\n}\n",
		"a number of 71 characters, expected at most 63");
	check_limit("graph @g(%a: i32[S]) {\n %b", "b", 1100, " = relu %a : i32\n return\n}\n", "has 1101 bytes, expected 1 to 1024");
	check_limit("head qa output=x labels=[\"a\"", ", \"%d\"", 100, "]\ngraph @g(%a: i32[S]) {\n return x=%a\n}\n", NULL);
	check_limit("head qa output=x labels=[", "]", 1, "\ngraph @g(%a: i32[S]) {\n return x=%a\n}\n", NULL);
	/* Files: larger than one read, and too large. */
	Diag diag;
	diag_init(&diag, NULL);
	FILE *out = fopen(in_directory("wrong.bir"), "w");
	for (int i = 0; i < 20000; i++)
		fprintf(out, "# line %d\n", i);
	fputs(graph, out);
	fclose(out);
	Module *module = module_read(in_directory("wrong.bir"), NULL, &diag);
	CU_ASSERT(module && module->graphs[0]->line == 20001);
	module_free(module);
	CU_ASSERT_EQUAL(truncate(in_directory("wrong.bir"), (64 << 20) + 1), 0);
	CU_ASSERT_PTR_NULL(module_read(in_directory("wrong.bir"), NULL, &diag));
	CU_ASSERT(diag.errors == 1 && strstr(diag.messages[0].text, "more than 67108864 bytes of text"));
	diag_free(&diag);
}

/* Lines on which every byte begins another string that never ends: to look at each of them would take hours. */
static void test_long_lines(void)
{
	static const char *const starts[] = {"", "graph @main(%ids: i32[S]) {\n  %y = relu %ids {kernel=\"", "graph @g() {\n  %\""};
	enum { PAIRS = 2000000 };
	char *text = malloc(2 * PAIRS + 100);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		char *at = stpcpy(text, starts[i]);
		for (int k = 0; k < PAIRS; k++)
			at = stpcpy(at, "\\\"");
		survive(text, (size_t)(at - text));
	}
	free(text);
}

int main(void)
{
	static const char *const files[] = {
		"one.safetensors", "out.bir", "out.safetensors", "out.2.safetensors", "again.bir", "wrong.bir"};
	const char *temporary = getenv("TMPDIR");
	snprintf(directory, sizeof directory, "%s/text.XXXXXX", temporary ? temporary : P_tmpdir);
	if (!mkdtemp(directory))
		return 1;
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("text", NULL, NULL);
	CU_add_test(suite, "random modules", test_random_modules);
	CU_add_test(suite, "elements", test_elements);
	CU_add_test(suite, "rand", test_rand);
	CU_add_test(suite, "constants", test_constants);
	CU_add_test(suite, "errors", test_errors);
	CU_add_test(suite, "goes on after an error", test_goes_on);
	CU_add_test(suite, "ids", test_ids);
	CU_add_test(suite, "weights", test_weights);
	CU_add_test(suite, "module_write", test_write);
	CU_add_test(suite, "module_write fails", test_write_errors);
	CU_add_test(suite, "module_read", test_read);
	CU_add_test(suite, "any bytes", test_survives);
	CU_add_test(suite, "limits", test_limits);
	CU_add_test(suite, "long lines", test_long_lines);
	CU_basic_run_tests();
	int failures = (int)CU_get_number_of_failures();
	CU_cleanup_registry();
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlink(in_directory(files[i]));
	if (rmdir(directory) != 0) {
		perror(directory);
		failures++;
	}
	return failures != 0;
}
