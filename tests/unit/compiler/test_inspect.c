/* test_inspect.c: parts of `bertc inspect`: text of any bytes in a page that stays well-formed, the insides
 * of layers, ledgers. */
#include "compiler/report/inspect.h"
#include "tests/unit/tiny_encoder.h"
#include "tests/unit/suite.h"
#include <string.h>

static char *page_text(const json_t *panels, const char *title)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	page_write(panels, title, out);
	fclose(out);
	return text;
}

static void test_strings(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"}, {"", ""}, {"caf\xc3\xa9", "caf\xc3\xa9"},
		{"a\xff"
		 "b",
			"a\xef\xbf\xbd"
			"b"},
		{"\xc3", "\xef\xbf\xbd"}, {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *string = page_string(cases[i].in, strlen(cases[i].in));
		CU_ASSERT_STRING_EQUAL_FATAL(json_string_value(string), cases[i].out);
		json_decref(string);
	}
	json_t *lines = page_lines("one\n\ntwo");
	CU_ASSERT_EQUAL(json_array_size(lines), 3);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(lines, 2)), "two");
	json_decref(lines);
}

static void test_escaping(void)
{
	json_t *panels = json_pack("{s:s, s:s}", "a", "</script><!--<script>", "b", "\xe2\x80\xa8");
	char *text = page_text(panels, "<b>&\"'");
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<title>&#60;b&#62;&#38;&#34;&#39;</title>"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "id=\"data-a\">\"\\u003c/script>\\u003c!--\\u003cscript>\"</script>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "id=\"data-b\">\"\\u2028\"</script>"));
	CU_ASSERT_PTR_NULL(strstr(text, "<!--"));
	int scripts = 0;
	for (const char *at = text; (at = strstr(at, "<script")); at++)
		scripts++;
	CU_ASSERT_EQUAL(scripts, 2 + 7); /* two blocks of data, and the scripts of inspect_page.c */
	free(text);
	json_decref(panels);
}

static Module *tiny_module(Diag *diag)
{
	const TinyEncoder encoder = {.layers = 3, .heads = 2, .size = 4, .ffn = 6, .vocab = 11, .labels = 2};
	char *text = tiny_encoder_text(&encoder);
	Module *module = module_parse(text, strlen(text), ".", NULL, diag);
	free(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	return module;
}

/* Columns match their names: the first layer's input is the output of the embeddings; each layer's output is
 * the next layer's input. */
static void test_exposed(void)
{
	Diag diag;
	diag_init(&diag, "tiny");
	Module *module = tiny_module(&diag), *copy = module_copy(module);
	ExposedLayers layers;
	CU_ASSERT_FATAL(layers_expose(copy, &layers, &diag));
	CU_ASSERT(module_verify(copy, &diag));
	CU_ASSERT_EQUAL(layers.count, 3);
	CU_ASSERT_EQUAL(layers.width, 3 * 4 * 8);
	CU_ASSERT_EQUAL(layers.at[1].heads, 2);
	CU_ASSERT_EQUAL(layers.at[1].size, 4);
	CU_ASSERT_EQUAL(layers.at[2].scale, 0.5);
	const int32_t ids[] = {1, 5, 2};
	EvalArray outs[5] = {{0}}, out;
	CU_ASSERT_EQUAL_FATAL(copy->graphs[0]->noutputs, 5);
	CU_ASSERT_FATAL(graph_eval_ids(copy->graphs[0], ids, NULL, 3, outs, &diag));
	out = outs[0];
	CU_ASSERT_EQUAL_FATAL(out.count, 3 * layers.width);
	for (int l = 0; l < 2; l++)
		for (int t = 0; t < 3; t++)
			for (int i = 0; i < 8; i++) {
				const int64_t row = t * layers.width;
				CU_ASSERT_EQUAL(eval_at(&out, row + layers.at[l].output + i),
					eval_at(&out, row + layers.at[l + 1].input + i));
			}
	CU_ASSERT_NOT_EQUAL(eval_at(&out, layers.at[0].q), eval_at(&out, layers.at[0].k));
	for (int l = 0; l < 3; l++) { /* equals the result of drop-layers */
		static const char *const rest[] = {
			"drop-layers{layers=1,2}", "drop-layers{layers=0,2}", "drop-layers{layers=0,1}"};
		Module *dropped = module_copy(module);
		Pipeline *pipeline = pipeline_parse(rest[l], &diag);
		EvalArray want[2] = {{0}};
		CU_ASSERT_FATAL(pipeline_run(pipeline, dropped, &(PassEnv){0}, NULL, NULL, &diag));
		CU_ASSERT_FATAL(graph_eval_ids(dropped->graphs[0], ids, NULL, 3, want, &diag));
		CU_ASSERT_EQUAL(eval_at(&outs[2 + l], 1), eval_at(&want[0], 1));
		CU_ASSERT_NOT_EQUAL(eval_at(&outs[2 + l], 1), eval_at(&outs[1], 1));
		eval_array_free(&want[0]);
		eval_array_free(&want[1]);
		pipeline_free(pipeline);
		module_free(dropped);
	}
	for (int i = 0; i < 5; i++)
		eval_array_free(&outs[i]);
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 2);
	module_free(copy);
	module_free(module);
	diag_free(&diag);
}

static bool note_row(void *argument, LedgerRow *row, Module *module, Diag *diag)
{
	(void)diag;
	int *seen = argument;
	CU_ASSERT(module->graphs[0]->first != NULL);
	row->scored = true;
	row->score = 0.5 - 0.1 * (*seen)++;
	return *seen < 3;
}

/* The hook is called after each pass and may end the run. The ledger begins with the original module. */
static void test_ledger(void)
{
	Diag diag;
	diag_init(&diag, "tiny");
	Module *module = tiny_module(&diag);
	Pipeline *pipeline = pipeline_parse("drop-layers{layers=0},cse,fuse,dce", &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipeline);
	int seen = 0;
	Ledger ledger = {0};
	CU_ASSERT(!pipeline_run(pipeline, module, &(PassEnv){0},
		&(DriverOptions){.after = note_row, .after_arg = &seen}, &ledger, &diag));
	CU_ASSERT_EQUAL(seen, 3);
	CU_ASSERT_EQUAL(ledger.count, 3);
	CU_ASSERT(ledger.start.parameters > ledger.rows[0].parameters);
	CU_ASSERT(ledger.start.nodes > ledger.rows[0].nodes);
	char *text = ledger_json(&ledger);
	json_t *json = json_loads(text, 0, NULL);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(json, "start"), "parameters")),
		ledger.start.parameters);
	CU_ASSERT_PTR_NULL(json_object_get(json_object_get(json, "start"), "score"));
	CU_ASSERT_DOUBLE_EQUAL(
		json_real_value(json_object_get(json_array_get(json_object_get(json, "passes"), 1), "score")), 0.4,
		1e-12);
	json_decref(json);
	free(text);
	ledger_free(&ledger);
	pipeline_free(pipeline);
	module_free(module);
	diag_free(&diag);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"strings", test_strings},
		{"escaping", test_escaping},
		{"exposed layers", test_exposed},
		{"ledger", test_ledger},
	};
	return SUITE_RUN("inspect", tests);
}
