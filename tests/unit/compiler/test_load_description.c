/* test_load_description.c: descriptions of models in XML: as written by describe, edited, and bad ones. */
#include "tests/unit/tiny_checkpoint.h"

static char *describe(const LoadOptions *options)
{
	char *text = NULL;
	size_t bytes;
	Diag diag;
	diag_init(&diag, options->model);
	ModelDesc *desc = description_from_hf(options->model, options, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(desc);
	FILE *out = open_memstream(&text, &bytes);
	CU_ASSERT_TRUE(description_write(desc, NULL, out));
	fclose(out);
	description_free(desc);
	diag_free(&diag);
	return text;
}

/* A description by describe builds the same module as the directory, byte for byte. */
static void test_describe(void)
{
	static const LoadOptions uses[] = {{.task = NULL}, {.task = "embed"},
		{.task = "tag", .outputs = "pooled"}, {.task = "classify", .outputs = "hidden", .max_tokens = 6}};
	write_tiny(
		"{" CONFIG ", \"layer_norm_eps\": 1.0000000000000003e-7, \"hidden_act\": \"gelu_new\", " LABELS "}");
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
		LoadOptions options = uses[i];
		options.model = directory;
		char *xml = describe(&options);
		write_file("model.xml", xml);
		Result direct = load_with(&options), described = load(at("model.xml"));
		CU_ASSERT_PTR_NOT_NULL_FATAL(direct.text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(described.text);
		const char *a = strchr(direct.text, '\n'),
				   *b = strchr(described.text, '\n'); /* the first line has the name of the directory */
		CU_ASSERT_STRING_EQUAL(a, b);
		result_free(&direct);
		result_free(&described);
		free(xml);
	}
}

/* Many labels need as many rows, so the tensors do not fit. Writing the description does not read tensors. */
static void test_many_labels(void)
{
	char *config = NULL;
	size_t bytes;
	FILE *out = open_memstream(&config, &bytes);
	fputs("{" CONFIG ", \"id2label\": {", out);
	for (int i = 0; i < 3000; i++)
		fprintf(out, "%s\"%d\": \"l&%d\"", i ? ", " : "", i, i);
	fputs("}}", out);
	fclose(out);
	write_tiny(config);
	char *xml = describe(&(LoadOptions){.model = directory});
	CU_ASSERT_PTR_NOT_NULL(strstr(xml, " labels=\"l&amp;0 l&amp;1 "));
	write_file("model.xml", xml);
	expect_error("many labels", load(at("model.xml")), EXIT_INPUT,
		"expected [3000,8]; does the description's labels match");
	free(xml);
	free(config);
}

#define XML_MODEL(inner) "<model xmlns=\"urn:bertc:model:1\" name=\"m\">" inner "</model>"
#define XML_ENCODER(layers) \
	"<encoder family=\"bert\" layers=\"" layers "\" hidden=\"8\" heads=\"2\" ffn=\"12\" " \
	"positions=\"10\" types=\"2\" activation=\"gelu\" eps=\"1e-12\"/>"
#define XML_FOREIGN(attribute) \
	"<weights href=\"model.safetensors\"/><encoder family=\"bert\" layers=\"1\" hidden=\"8\" " \
	"heads=\"2\" ffn=\"12\" positions=\"10\" types=\"2\" activation=\"gelu\" eps=\"1e-12\" " attribute \
	"/><head task=\"embed\"/>"
#define XML_TINY "<weights href=\"model.safetensors\"/>" XML_ENCODER("1")

static void test_edited(void)
{
	write_tiny("{}");
	write_file("model.xml",
		XML_MODEL(XML_TINY "<head name=\"mood\" task=\"classify\" labels=\"a b c\"/>"
						   "<head name=\"again\" task=\"classify\" problem=\"multi\" pooling=\"mean\">"
						   "<label>x y</label><label>&lt;</label><label>z</label></head>"
						   "<head name=\"vector\" task=\"embed\" pooling=\"max first\" "
						   "normalize=\"false\"/><passes>fuse,lower</passes>"));
	Result result = load(at("model.xml"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	const Module *module = result.loaded.module;
	CU_ASSERT_EQUAL(module->nheads, 3);
	CU_ASSERT_STRING_EQUAL(module->heads[0].output, "mood");
	CU_ASSERT_EQUAL(module->heads[1].problem, PROBLEM_MULTI);
	CU_ASSERT_STRING_EQUAL(module->heads[1].labels[0], "x y");
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 4); /* and hidden, for the embedder */
	CU_ASSERT_EQUAL(module->graphs[0]->outputs[2].value->type.dim[0].plus, 16);
	CU_ASSERT_STRING_EQUAL(result.loaded.passes, "fuse,lower");
	result_free(&result);
}

static void test_bad_xml(void)
{
	static const struct {
		const char *xml;
		ExitCode code;
		const char *part;
	} cases[] = {
		{"", EXIT_INPUT, "model.xml"},
		{"<model", EXIT_INPUT, "well-formed"},
		{"<a/>", EXIT_INPUT, "schema"},
		{"<model/>", EXIT_INPUT, "schema"},
		{"<!DOCTYPE model [<!ENTITY a \"b\">]><model xmlns=\"urn:bertc:model:1\" name=\"&a;\"/>", EXIT_INPUT,
			"document type declaration"},
		{"<!DOCTYPE model SYSTEM \"http://localhost/x.dtd\"><model/>", EXIT_INPUT,
			"document type declaration"},
		{XML_MODEL(XML_TINY), EXIT_INPUT, "schema"},
		{XML_MODEL(XML_FOREIGN("unbiased=\"norm\"")), EXIT_INPUT, "the family bert allows none"},
		{XML_MODEL(XML_FOREIGN("head-activation=\"tanh\"")), EXIT_INPUT, "does not use head-activation"},
		{XML_MODEL(XML_FOREIGN("rotary-theta=\"10\"")), EXIT_INPUT, "does not use rotary-theta"},
		{XML_MODEL(XML_FOREIGN("local-layers=\"1\"")), EXIT_INPUT, "does not use local-layers"},
		{XML_MODEL(XML_TINY "<head task=\"sing\"/>"), EXIT_INPUT, "schema"},
		{XML_MODEL(XML_TINY "<head task=\"classify\"/>"), EXIT_INPUT, "no labels"},
		{XML_MODEL(XML_TINY "<head task=\"classify\" labels=\"a b\"/>"), EXIT_INPUT, "classifier"},
		{XML_MODEL(XML_TINY "<head task=\"classify\" labels=\"a b\"><label>c</label></head>"), EXIT_INPUT,
			"use one of them"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" pooling=\"total\"/>"), EXIT_INPUT, "total"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" pooling=\"\"/>"), EXIT_INPUT, "empty"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" pooling=\"max max max max max max max max max max max max "
							"max "
							"max max max max\"/>"),
			EXIT_UNSUPPORTED, "more than 16 words"},
		{XML_MODEL(XML_TINY "<head task=\"tag\" labels=\"a\"><normalize/></head>"), EXIT_INPUT,
			"modules are only for"},
		{XML_MODEL(XML_TINY "<head task=\"classify\" dim=\"3\" labels=\"a\"/>"), EXIT_INPUT, "dim"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" activation=\"tanh\"/>"), EXIT_INPUT, "activation"},
		{XML_MODEL(XML_TINY "<head task=\"classify\" activation=\"prelu\" labels=\"a\"/>"), EXIT_UNSUPPORTED,
			"prelu"},
		{XML_MODEL(XML_TINY "<head task=\"tag\" pooling=\"max\" labels=\"a\"/>"), EXIT_INPUT,
			"has a pooling, but"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" labels=\"a\"/>"), EXIT_INPUT, "has labels, but"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" problem=\"multi\"/>"), EXIT_INPUT, "has a problem, but"},
		{XML_MODEL(XML_TINY "<head task=\"tag\" problem=\"regression\" labels=\"a\"/>"), EXIT_INPUT,
			"single or multi"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"/><head task=\"embed\"/>"), EXIT_INPUT, "two heads"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"/><head name=\"hidden\" task=\"embed\"/>"), EXIT_INPUT,
			"another output"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"><dense href=\"d\" activation=\"prelu\"/></head>"),
			EXIT_UNSUPPORTED, "prelu"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"><dense href=\"..\" activation=\"tanh\"/></head>"),
			EXIT_INPUT, "plain file name"},
		{XML_MODEL("<weights href=\"../model.safetensors\"/>" XML_ENCODER("1") "<head task=\"embed\"/>"),
			EXIT_INPUT, "schema"},
		{XML_MODEL("<weights href=\"..\"/>" XML_ENCODER("1") "<head task=\"embed\"/>"), EXIT_INPUT,
			"plain file name"},
		{XML_MODEL("<weights href=\"none.safetensors\"/>" XML_ENCODER("1") "<head task=\"embed\"/>"),
			EXIT_INPUT, "none.safetensors"},
		{XML_MODEL("<weights href=\"model.safetensors\"/>" XML_ENCODER("2") "<head task=\"embed\"/>"),
			EXIT_INPUT, "layer.1"},
		{XML_MODEL("<weights href=\"model.safetensors\"/>" XML_ENCODER("0") "<head task=\"embed\"/>"),
			EXIT_INPUT, "schema"},
		{XML_MODEL("<weights href=\"model.safetensors\"/>" XML_ENCODER("5000") "<head task=\"embed\"/>"),
			EXIT_INPUT, "expected at most 1024"},
		{XML_MODEL("<weights href=\"model.safetensors\"/><encoder family=\"gru\" layers=\"1\" hidden=\"8\" "
				   "heads=\"2\" "
				   "ffn=\"12\" positions=\"10\" types=\"2\" activation=\"gelu\" eps=\"1e-12\"/><head "
				   "task=\"embed\"/>"),
			EXIT_UNSUPPORTED, "gru"},
		{XML_MODEL("<graph><input id=\"ids\" type=\"i32[S]\"/><output name=\"y\" value=\"z\"/></graph>"),
			EXIT_INPUT, "%z"},
		{XML_MODEL("<graph><input id=\"ids\" type=\"i32[S]\"/>\n<op name=\"fly\" id=\"y\" args=\"ids\" "
				   "type=\"f32[S]\"/>"
				   "<output name=\"y\" value=\"y\"/></graph>"),
			EXIT_INPUT, ":2:"},
		{XML_MODEL("<graph><input id=\"ids\" type=\"i32[S]\"/>\n<op name=\"pool\" id=\"y\" args=\"ids\" "
				   "type=\"f32[S]\" "
				   "mode=\"} # \"/><output name=\"y\" value=\"y\"/></graph>"),
			EXIT_INPUT, "schema"},
	};
	write_tiny("{}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("model.xml", cases[i].xml);
		expect_error(cases[i].xml, load(at("model.xml")), cases[i].code, cases[i].part);
	}
	write_file("model.xml", XML_MODEL(XML_TINY "<head task=\"embed\"/>"));
	expect_error(
		"task", load_with(&(LoadOptions){.model = at("model.xml"), .task = "embed"}), EXIT_USAGE, "--task");
}

/* Deep nesting, long attributes and many elements are refused by limits and do not crash. */
static void test_huge_xml(void)
{
	char *deep = malloc(1 << 20);
	char *end = deep;
	for (int i = 0; i < 100000; i++)
		end = stpcpy(end, "<a>");
	write_file("model.xml", deep);
	expect_error("deep", load(at("model.xml")), EXIT_INPUT, "well-formed");
	end = stpcpy(deep, "<model><head>");
	for (int i = 0; i < 40000; i++)
		end = stpcpy(end, "<label>a</label>");
	strcpy(end, "</head></model>");
	write_file("model.xml", deep);
	expect_error("labels", load(at("model.xml")), EXIT_UNSUPPORTED, "label elements");
	end = stpcpy(deep, "{\"a\": ");
	memset(end, '[', 100000);
	end[100000] = '\0';
	write_file("config.json", deep);
	expect_error("deep JSON", load(directory), EXIT_INPUT, "nested");
	free(deep);
}

/* The second form builds the same graph as .bir text. */
static void test_graph_form(void)
{
	static const char bir[] = "module @m weights \"model.safetensors\" max_tokens 10\n"
							  "head @classify classify single output=logits labels=[\"a b\", \"\\\"\", "
							  "\"c\", \"d\", \"e\", \"f\", \"g\", \"h\"]\n"
							  "graph @main(%ids: i32[S], %types: i32[S]) level=graph {\n"
							  "  %table = const @bert.embeddings.word_embeddings.weight : f32[20,8]  # "
							  "words\n"
							  "  %x = embed %table, %ids : f32[S,8]  # words\n"
							  "  %half = const [0.5, -1e-3] : f32[2]\n"
							  "  %noise = const rand(7) : f32[8]\n"
							  "  %y = add %x, %noise : f32[S,8]\n"
							  "  %r = reshape %y {shape=[S,2,4]} : f32[S,2,4]\n"
							  "  %t = transpose %r {perm=[1,0,2]} : f32[2,S,4]\n"
							  "  %z = pool %y {mode=mean} : f32[8]\n"
							  "  return logits=%z, all=%t, half=%half\n"
							  "}\n";
	static const char xml[] = "<model xmlns=\"urn:bertc:model:1\" name=\"m\" max-tokens=\"10\"><weights "
							  "href=\"model.safetensors\"/>\n"
							  "<head task=\"classify\" output=\"logits\"><label>a "
							  "b</label><label>\"</label><label>c</label><label>d</label>"
							  "<label>e</label><label>f</label><label>g</label><label>h</label></head>\n"
							  "<graph><input id=\"ids\" type=\"i32[S]\"/><input id=\"types\" "
							  "type=\"i32[S]\"/>\n"
							  "<const id=\"table\" tensor=\"bert.embeddings.word_embeddings.weight\" "
							  "type=\"f32[20,8]\" origin=\"words\"/>\n"
							  "<op name=\"embed\" id=\"x\" args=\"table ids\" type=\"f32[S,8]\" "
							  "origin=\"words\"/>\n"
							  "<const id=\"half\" values=\"0.5 -1e-3\" type=\"f32[2]\"/><const id=\"noise\" "
							  "rule=\"rand(7)\" type=\"f32[8]\"/>\n"
							  "<op name=\"add\" id=\"y\" args=\"x noise\" type=\"f32[S,8]\"/>"
							  "<op name=\"reshape\" id=\"r\" args=\"y\" shape=\"[S,2,4]\" "
							  "type=\"f32[S,2,4]\"/>\n"
							  "<op name=\"transpose\" id=\"t\" args=\"r\" perm=\"[1,0,2]\" "
							  "type=\"f32[2,S,4]\"/>"
							  "<op name=\"pool\" id=\"z\" args=\"y\" mode=\"mean\" type=\"f32[8]\"/>\n"
							  "<output name=\"logits\" value=\"z\"/><output name=\"all\" "
							  "value=\"t\"/><output name=\"half\" value=\"half\"/>"
							  "</graph></model>";
	write_tiny("{}");
	write_file("model.bir", bir);
	write_file("model.xml", xml);
	Result graph = load(at("model.bir")), described = load(at("model.xml"));
	if (!graph.text || !described.text)
		printf("\n%s%s", graph.messages, described.messages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(graph.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(described.text);
	const char *meta = strstr(described.text, "meta "),
			   *rest = meta ? strchr(meta, '\n') + 1 : described.text;
	CU_ASSERT_STRING_EQUAL(strstr(graph.text, "head "), rest);
	result_free(&graph);
	result_free(&described);
}

const char *schema_file(const char *name, size_t *bytes);

/* The schema has exactly the sizes of sizes.def. */
static void test_schema_sizes(void)
{
	static const char *const fields[] = {
#define SIZE(NAME, field, ...) #field,
#include "compiler/model/sizes.def"
#undef SIZE
	};
	size_t bytes;
	const char *start = strstr(schema_file("model.rng", &bytes), "<define name=\"encoder\">");
	CU_ASSERT_PTR_NOT_NULL_FATAL(start);
	char *part = strndup(start, (size_t)(strstr(start, "</define>") - start)), text[64];
	int found = 0;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		snprintf(text, sizeof text, "<attribute name=\"%s\">", fields[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(part, text));
	}
	for (const char *at = part; (at = strstr(at, "<attribute ")); at++)
		found++;
	CU_ASSERT_EQUAL(
		found, SIZE_COUNT + 13); /* family, tied, activation, eps, unbiased, traits, head-activation, and
								  of rotary positions: theta, factor, local-layers and both for them */
	free(part);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"sizes of the schema", test_schema_sizes},
		{"describe", test_describe},
		{"many labels", test_many_labels},
		{"edited descriptions", test_edited},
		{"bad descriptions", test_bad_xml},
		{"deep descriptions", test_huge_xml},
		{"graphs op by op", test_graph_form},
	};
	return SUITE_RUN_IN_DIRECTORY("load: descriptions", tests, NULL);
}
