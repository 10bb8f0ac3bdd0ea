/* test_importers.c: which importer reads which path, which options it accepts, and how the others refuse them
 * (importers.def). */
#include "tests/unit/tiny_checkpoint.h"

#define GRAPH(limit) \
	"module @m" limit "\ngraph @main(%ids: i32[S]) {\n  %a = const [1, 2] : f32[2]\n  return a=%a\n}\n"
#define XML \
	"<model xmlns=\"urn:bertc:model:1\" name=\"m\"><weights href=\"model.safetensors\"/>" \
	"<encoder family=\"bert\" layers=\"1\" hidden=\"8\" heads=\"2\" ffn=\"12\" positions=\"10\" " \
	"types=\"2\" " \
	"activation=\"gelu\" eps=\"1e-12\"/><head task=\"embed\"/></model>"
static const char every[] = "a Hugging Face directory, a model.xml or a .bir file";

static void write_all(void)
{
	write_tiny("{" CONFIG ", " LABELS "}");
	write_file("model.xml", XML);
	write_file("graph.bir", GRAPH(""));
}

/* The suffix selects the importer of a file. Only the file system decides what a directory is. */
static void test_takes(void)
{
	write_all();
	CU_ASSERT(
		import_hf_takes(directory) && !import_hf_takes(at("model.xml")) && !import_hf_takes(at("nothing")));
	CU_ASSERT(import_xml_takes("a.xml") && import_xml_takes("a/b.xml") && !import_xml_takes("a.xml.gz"));
	CU_ASSERT(import_bir_takes("-") && import_bir_takes("a/b.bir") && !import_bir_takes("bir"));
	CU_ASSERT(!import_xml_takes(".xml") && !import_bir_takes(".bir") && !import_bir_takes(""));
	const char *const models[] = {directory, at("model.xml"), at("graph.bir")};
	for (int i = 0; i < 3; i++) {
		Result result = load(models[i]);
		CU_ASSERT_PTR_NOT_NULL(result.text);
		CU_ASSERT_EQUAL(result.loaded.desc == NULL, i == 2);
		result_free(&result);
	}
	/* a directory with any name */
	CU_ASSERT_EQUAL(mkdir(at("odd.bir"), 0700), 0);
	expect_error("directory", load(at("odd.bir")), EXIT_INPUT, "odd.bir/config.json");
}

static void test_unknown(void)
{
	write_file("model.onnxx", "");
	expect_error(
		"suffix", load(at("model.onnxx")), EXIT_INPUT, "model.onnxx: error: is not a model: the name");
	expect_error("suffix", load(at("model.onnxx")), EXIT_INPUT, every);
	expect_error(
		"missing", load(at("none")), EXIT_INPUT, "is not a model: No such file or directory; expected");
	expect_error("missing", load(at("none.xml")), EXIT_INPUT, "none.xml");
	expect_error("missing", load(at("none.bir")), EXIT_INPUT, "none.bir");
	expect_error("empty", load(""), EXIT_INPUT, every);
}

/* Every option with every importer: accepted, or refused by name with the kinds of model that accept it. */
static void test_options(void)
{
	static const char checkpoint[] = "a Hugging Face directory; ",
					  described[] = "a Hugging Face directory or a model.xml; ";
	struct {
		LoadOptions options;
		const char *message, *takers;
	} cases[] = {
		{{.model = at("model.xml"), .task = "embed"}, "--task=embed is only for ", checkpoint},
		{{.model = at("graph.bir"), .task = "embed"}, "--task=embed is only for ", checkpoint},
		{{.model = at("model.xml"), .merge = "a=b"}, "--merge=a=b is only for ", checkpoint},
		{{.model = at("graph.bir"), .merge = "a=b"}, "--merge=a=b is only for ", checkpoint},
		{{.model = at("graph.bir"), .outputs = "hidden"}, "--outputs=hidden is only for ", described},
	};
	write_all();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		expect_error("option", load_with(&cases[i].options), EXIT_USAGE, cases[i].message);
		expect_error("option", load_with(&cases[i].options), EXIT_USAGE, cases[i].takers);
	}
	const LoadOptions obeyed[] = {
		{.model = directory, .task = "embed", .outputs = "pooled"},
		{.model = at("model.xml"), .outputs = "pooled"},
	};
	for (size_t i = 0; i < sizeof obeyed / sizeof *obeyed; i++) {
		Result result = load_with(&obeyed[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
		CU_ASSERT_EQUAL(result.loaded.module->heads[0].task, TASK_EMBED);
		const Graph *graph = result.loaded.module->graphs[0];
		CU_ASSERT_STRING_EQUAL(graph->outputs[graph->noutputs - 1].name, "pooled");
		result_free(&result);
	}
}

static void test_text(void)
{
	char text[IMPORTERS_BYTES];
	CU_ASSERT_STRING_EQUAL(importers_text(0, text), every);
	CU_ASSERT_STRING_EQUAL(importers_text(IMPORT_OUTPUTS, text), "a Hugging Face directory or a model.xml");
	CU_ASSERT_STRING_EQUAL(importers_text(IMPORT_TASK | IMPORT_MERGE, text), "a Hugging Face directory");
}

/* --max-tokens lowers the limit of a graph, and sets it where there is none. */
static void test_limit(void)
{
	static const struct {
		const char *graph;
		int asked, limit;
	} cases[] = {{GRAPH(""), 7, 7}, {GRAPH(" max_tokens 5"), 7, 5}, {GRAPH(" max_tokens 5"), 3, 3},
		{GRAPH(" max_tokens 5"), 0, 5}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("graph.bir", cases[i].graph);
		Result result = load_with(&(LoadOptions){.model = at("graph.bir"), .max_tokens = cases[i].asked});
		CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
		CU_ASSERT_EQUAL(result.loaded.module->max_tokens, cases[i].limit);
		result_free(&result);
	}
}

/* --about shows the hash of the file as read: `sha256sum model.safetensors`. */
static void test_hash(void)
{
	write_all();
	size_t bytes;
	Diag diag;
	char hex[65];
	diag_init(&diag, NULL);
	char *text = file_read(at("model.safetensors"), 1 << 20, &bytes, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	sha256_hex(&(const void *){text}, &bytes, 1, hex);
	free(text);
	const char *const models[] = {directory, at("model.xml")};
	for (int i = 0; i < 2; i++) {
		Result result = load(models[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(result.text, hex));
		result_free(&result);
	}
	diag_free(&diag);
}

int main(void)
{
	static const SuiteTest tests[] = {{"paths", test_takes}, {"unknown paths", test_unknown},
		{"options", test_options}, {"lists", test_text}, {"--max-tokens", test_limit}, {"hash", test_hash}};
	return SUITE_RUN_IN_DIRECTORY("importers", tests, NULL);
}
