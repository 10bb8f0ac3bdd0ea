/* eval_checks.h: evaluates graphs of a few lines and compares with numbers calculated by hand. */
#ifndef BERTC_EVAL_CHECKS_H
#define BERTC_EVAL_CHECKS_H
#include "module_text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* Lines that define %x: rows of a small table with three columns, one row per token. */
#define ROWS2 \
	"%t = const [1, 2, 3, 4, 5, 6, -1, 0.5, 2, 0, 0, 1] : f32[4,3]\n %x = embed %t, %ids : f32[S,3]\n"

/* A graph of these lines with the output %y. NULL after a failed assertion. */
static Module *read_graph(const char *lines, Diag *diag)
{
	static const char frame[] = "module @m\ngraph @main(%%ids: i32[S], %%types: i32[S]) level=fused {\n%s\n  "
								"return out=%%y\n}\n";
	char *text = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&text, frame, lines) > 0);
	Module *module = module_parse(text, strlen(text), ".", NULL, diag);
	bool packed = strstr(lines, "panel=") != NULL; /* panels exist only in lowered code, with a kernel */
	if (!module || (!packed && !module_verify(module, diag))) {
		printf("\n%s%s", text, diag_text(diag));
		CU_FAIL("the graph of a test is wrong");
		module_free(module);
		module = NULL;
	}
	free(text);
	return module;
}

static const int32_t ids[] = {3, 1, 0, 2, 4, 5, 6, 7}, types[] = {0, 1, 1, 0, 1, 0, 0, 1};

static void check_array(
	const char *lines, const EvalArray *out, const double *want, int count, double tolerance)
{
	bool good = out->count == count;
	for (int i = 0; good && i < count; i++)
		good = fabs(out->v[i] - want[i]) <= tolerance || (isnan(out->v[i]) && isnan(want[i]))
			|| out->v[i] == want[i];
	CU_ASSERT_TRUE(good);
	if (good)
		return;
	printf("\n%s\n  gave", lines);
	for (int64_t i = 0; i < out->count; i++)
		printf(" %.17g", out->v[i]);
	printf("\n  wanted");
	for (int i = 0; i < count; i++)
		printf(" %.17g", want[i]);
	printf("\n");
}

/* Checks that the lines give these numbers for the first `tokens` ids, to 1e-12. */
static void check_values(int tokens, const char *lines, const double *want, int count)
{
	Diag diag;
	EvalArray out = {0};
	diag_init(&diag, NULL);
	Module *module = read_graph(lines, &diag);
	if (module) {
		bool good = graph_eval_ids(module->graphs[0], ids, types, tokens, &out, &diag);
		CU_ASSERT_TRUE(good);
		if (good)
			check_array(lines, &out, want, count, 1e-12);
		else
			printf("\n%s", diag_text(&diag));
		eval_array_free(&out);
	}
	module_free(module);
	diag_free(&diag);
}
#define CHECK(tokens, lines, ...) \
	check_values(tokens, lines, (const double[]){__VA_ARGS__}, COUNT(((const double[]){__VA_ARGS__})))
#define CHECK_NOTHING(lines) check_values(0, lines, NULL, 0)
#endif
