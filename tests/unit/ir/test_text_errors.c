/* test_text_errors.c: the parser reports errors with their lines, continues after them, has limits, and
 * survives any bytes. */
#include "tests/unit/random_module.h"

/* ---- errors ---------------------------------------------------------------------------------- */
static void test_errors(void)
{
	static const Case cases[] = {
		{"", 1, "no graph in the text"},
		{"\n\nfoo\n", 3, "expected module, meta, head, option or graph, found 'foo'"},
		{"\x80", 1, "found the byte 0x80"},
		{"module @a\nmodule @b\n", 2, "expected one module line"},
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
		{"graph @g(%0: i32[S], %0: i32[S]) {\nreturn\n}\n", 1, "%0 is already defined in line 1"},
		{"graph @g(%ids: i32[S]) level=high {\nreturn\n}\n", 1, "expected graph, fused or lowered"},
		{"graph @g(%ids: i32[S]) arena{size=3} {\nreturn\n}\n", 1, "expected a term of the arena"},
		{"graph @g(%ids: i32[S]) arena{fixed=-3} {\nreturn\n}\n", 1, "a number of bytes is -3"},
		{"graph @g(%ids: i32[S]) {\n}\n", 2, "graph @g has no return line"},
		{"graph @g(%ids: i32[S]) {\nreturn\n\n", 4, "the text ends inside graph @g"},
		{BODY("%y = relu %x : f32[S]"), 2, "%x is not defined above this line"},
		{BODY("%y = relu %7 : f32[S]"), 2, "%7 is not defined above this line"},
		{BODY("%y = relu %y : f32[S]"), 2, "%y is not defined above this line"},
		{BODY("%ids = relu %ids : f32[S]"), 2, "%ids is already defined in line 1"},
		{BODY("%99999999999 = relu %ids : f32[S]"), 2, "is too large, expected at most 16777215"},
		{BODY("%4294967295 = relu %ids : f32[S]"), 2, "is too large, expected at most 16777215"},
		{BODY("%y = reluu %ids : f32[S]"), 2, "there is no op 'reluu'"},
		{BODY("%y = %ids : f32[S]"), 2, "expected the name of an op, found '%ids'"},
		{BODY("%y, %z = relu %ids : f32[S], f32[S]"), 2,
			"relu makes 1 results; the line has 2 names and 2 types"},
		{BODY("%y = relu %ids"), 2, "expected ':' and the type of the result, found the end of the line"},
		{BODY("%y = relu %ids : f31[S]"), 2, "expected a type such as f32[S,384], found 'f31'"},
		{BODY("%y = relu %ids : f32[0]"), 2, "a dimension is 0, expected 1 to"},
		{BODY("%y = relu %ids : f32[-1]"), 2, "a dimension is -1"},
		{BODY("%y = relu %ids : f32[S8]"), 2, "expected a dimension"},
		{BODY("%y = relu %ids : f32[0S]"), 2, "a dimension is 0"},
		{BODY("%y = relu %ids : f32[3000000000S]"), 2, "a symbol's factor is 3000000000"},
		{BODY("%y = relu %ids : f32[S +1]"), 2, "expected ',' or ']', found '+1'"},
		{BODY("%y = relu %ids : f32[1,1,1,1,1]"), 2, "more than 4 dimensions"},
		{BODY("%y = relu %ids : f32[1000000000000,1000000000000]"), 2,
			"a type of more than 1099511627776 bytes"},
		{BODY("%y = relu %ids {eps=1 eps=2} : f32[S]"), 2, "attribute eps is given twice"},
		{BODY("%y = relu %ids {foo=1} : f32[S]"), 2, "there is no attribute 'foo'"},
		{BODY("%y = relu %ids {heads=1.5} : f32[S]"), 2, "expected a whole number, found '1.5'"},
		{BODY("%y = relu %ids {eps=1e999} : f32[S]"), 2, "the number 1e999 is too large"},
		{BODY("%y = relu %ids {act=swish} : f32[S]"), 2,
			"expected one of none gelu gelu_tanh relu silu tanh sigmoid, found 'swish'"},
		{BODY("%y = relu %ids {perm=[0,1,2,3,4]} : f32[S]"), 2, "a list of more than 4 numbers"},
		{BODY("%y = relu %ids {kernel=abc} : f32[S]"), 2, "expected a string in quotes, found 'abc'"},
		{BODY("%y = relu %ids {eps=1 : f32[S]"), 2, "expected an attribute such as eps=1e-12, or '}'"},
		{BODY("%y = relu %ids : f32[S] f32"), 2, "expected the end of the line, found 'f32'"},
		{BODY("%y = const @w : f32[2]"), 2, "tensor 'w' needs a file, but the module line has no weights"},
		{BODY("%y = const elided : f32[2]"), 2, "lacks its large constants"},
		{BODY("%y = const [1, 2] : f32[3]"), 2, "a list of 2 elements for f32[3], expected 3"},
		{BODY("%y = const [1, x] : f32[2]"), 2, "expected a number, found 'x'"},
		{BODY("%y = const [1.5] : i32[1]"), 2, "element 0 is not a whole number that fits i32"},
		{BODY("%y = const [300] : u8[1]"), 2, "element 0 is not a whole number that fits u8"},
		{BODY("%y = const splat(1.5) : i32[1]"), 2, "element 0 is not a whole number that fits i32"},
		{BODY("%y = const iota : i8[200]"), 2, "element 128 is not a whole number that fits i8"},
		{BODY("%y = const rand(-1) : f32[1]"), 2, "the seed of rand must be a whole number >= 0"},
		{BODY("%y = const rand(1) : i32[1]"), 2,
			"rand makes numbers between -1 and 1, which do not fit i32[1]"},
		{BODY("%y = const rand(1) : f32[S]"), 2,
			"a constant of type f32[S], expected dimensions that are numbers"},
		{BODY("%y = const rand(1) : f32[1000000000]"), 2, "together have more than 1073741824 bytes"},
		{BODY("%y = const 7 : f32[1]"), 2, "expected @tensor.name, splat(0.5), iota, rand(7) or a list"},
		{BODY("return x=%ids"), 3, "a second return line; the first is line 2"},
		{"graph @g(%ids: i32[S]) {\n return x=%ids\n %y = relu %ids : f32[S]\n}\n", 3,
			"an op after the return line"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Diag diag;
		Module *module = parse(cases[i].text, &diag);
		CU_ASSERT_PTR_NULL(module);
		bool right = diag.errors == 1 && diag.code == EXIT_INPUT && diag.messages[0].line == cases[i].line
			&& strstr(diag.messages[0].text, cases[i].message);
		if (!right) {
			fprintf(
				stderr, "of:\n%s\nexpected line %d: %s\n", cases[i].text, cases[i].line, cases[i].message);
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
	CU_ASSERT_PTR_NULL(parse("graph @main(%ids: i32[S]) {\n  %a = nonsense %ids : f32[S]\n  %b = relu %a : "
							 "f32[S]\n"
							 "  %c = relu %b {eps=} : f32[S]\n  %d = add %c, %b : f32[S]\n  return "
							 "x=%e\n}\n}\n",
		&diag));
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

/* ---- any bytes ------------------------------------------------------------------------------- */
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
	static const char *const pieces[] = {"%ids", "%1", " = ", "{", "}", "[", "]", "\n",
		"graph @main(%ids: i32[S]) {\n", "return x=%ids\n", "const ", "relu ", "add ", ": f32[S,4]", "\"",
		"\\", "@w", "module ", "weights ", "eps=", "1e-12", "S", "-1", ",", "#", "\0", "\xff", "rand(1)",
		"splat(", ")", "iota", "level=", "arena{", "head ", "labels=[", "%\"a\"", "2S", "elided", "perm=[0",
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
static void check_limit(
	const char *before, const char *item, int count, const char *after, const char *message)
{
	Diag diag;
	char *text = malloc(strlen(before) + (size_t)count * (strlen(item) + 8) + strlen(after) + 1),
		 *at = stpcpy(text, before);
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
	check_limit("graph @g(%a: i32[S]) {\n %b = concat %a", ", %%a", 16, " : i32[S]\n return\n}\n",
		"more than 16 arguments");
	check_limit("graph @g(%a: i32[S]) {\n %b", ", %%c%d", 4, " = relu %a : i32[S]\n return\n}\n",
		"more than 4 results");
	check_limit(
		"graph @g(%a: i32[S]) {\n %b = relu %a : i32", ", i32", 4, "\n return\n}\n", "more than 4 types");
	check_limit("graph @g(%a: i32[S]) {\n %b = relu %a {eps=1", "0", 70, "} : i32\n return\n}\n",
		"a number of 71 characters, expected at most 63");
	check_limit("graph @g(%a: i32[S]) {\n %b", "b", 1100, " = relu %a : i32\n return\n}\n",
		"has 1101 bytes, expected 1 to 1024");
	check_limit("head qa output=x labels=[\"a\"", ", \"%d\"", 100,
		"]\ngraph @g(%a: i32[S]) {\n return x=%a\n}\n", NULL);
	check_limit("head qa output=x labels=[", "]", 1, "\ngraph @g(%a: i32[S]) {\n return x=%a\n}\n", NULL);
	/* Files: larger than one read, and too large. */
	Diag diag;
	diag_init(&diag, NULL);
	FILE *out = fopen(at("wrong.bir"), "w");
	for (int i = 0; i < 20000; i++)
		fprintf(out, "# line %d\n", i);
	fputs(graph, out);
	fclose(out);
	Module *module = module_read(at("wrong.bir"), NULL, &diag);
	CU_ASSERT(module && module->graphs[0]->line == 20001);
	module_free(module);
	CU_ASSERT_EQUAL(truncate(at("wrong.bir"), (64 << 20) + 1), 0);
	CU_ASSERT_PTR_NULL(module_read(at("wrong.bir"), NULL, &diag));
	CU_ASSERT(diag.errors == 1 && strstr(diag.messages[0].text, "more than 67108864 bytes of text"));
	diag_free(&diag);
}

/* Every byte of these lines begins a string without an end. Reading each string to the end would take
 * hours. */
static void test_long_lines(void)
{
	static const char *const starts[] = {
		"", "graph @main(%ids: i32[S]) {\n  %y = relu %ids {kernel=\"", "graph @g() {\n  %\""};
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
	static const SuiteTest tests[] = {
		{"errors", test_errors},
		{"goes on after an error", test_goes_on},
		{"any bytes", test_survives},
		{"limits", test_limits},
		{"long lines", test_long_lines},
	};
	static const char *const left[] = {"wrong.bir", NULL};
	return SUITE_RUN_IN_DIRECTORY("text errors", tests, left);
}
