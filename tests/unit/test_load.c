/* test_load.c: directories, descriptions and graphs into modules, and everything that must be refused on the way. A tiny BERT
 * is written to a temporary directory; each case changes one thing about it.
 *
 * `test_load --eval MODEL [--task=T] [--outputs=O]` is no test: it evaluates MODEL on the ids (a tab, then types) of each line
 * of standard input and prints {"output": [numbers], ...} a line, for tests/python/test_import.py. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "compiler/builder.h"
#include "compiler/json_file.h"

/* ---- --eval ---------------------------------------------------------------------------------------------------------------- */

static int32_t read_ids(char *text, int32_t *ids, int32_t most)
{
	int32_t count = 0;
	for (char *end; count < most; text = end) {
		long id = strtol(text, &end, 10);
		if (end == text)
			break;
		ids[count++] = (int32_t)id;
	}
	return count;
}

static bool eval_line(const Graph *graph, char *line, Diag *diag)
{
	static int32_t ids[4096], types[4096];
	char *tab = strchr(line, '\t');
	if (tab)
		*tab = '\0';
	int32_t tokens = read_ids(line, ids, 4096);
	memset(types, 0, sizeof types);
	if (tab)
		read_ids(tab + 1, types, 4096);
	EvalArray *outputs = calloc((size_t)graph->noutputs, sizeof *outputs);
	bool good = graph_eval_ids(graph, ids, types, tokens, outputs, diag);
	for (int32_t o = 0; good && o < graph->noutputs; o++) {
		printf("%s\"%s\": [", o ? ", " : "{", graph->outputs[o].name);
		for (int64_t i = 0; i < outputs[o].count; i++)
			printf("%s%.9g", i ? ", " : "", eval_at(&outputs[o], i));
		fputs("]", stdout);
		eval_array_free(&outputs[o]);
	}
	puts("}");
	free(outputs);
	return good;
}

static int eval_model(int argc, char **argv)
{
	BuildOptions options = {.model = argv[2]};
	Loaded loaded;
	Diag diag;
	char *line = NULL;
	size_t room = 0;
	for (int i = 3; i < argc; i++) {
		if (strncmp(argv[i], "--task=", 7) == 0)
			options.task = argv[i] + 7;
		if (strncmp(argv[i], "--outputs=", 10) == 0)
			options.outputs = argv[i] + 10;
	}
	diag_init(&diag, options.model);
	bool good = model_load(&options, &loaded, &diag);
	while (good && getline(&line, &room, stdin) > 0)
		good = eval_line(loaded.module->graphs[0], line, &diag);
	diag_print(&diag, stderr);
	diag_free(&diag);
	free(line);
	model_unload(&loaded);
	return good ? 0 : 1;
}

/* ---- a tiny BERT: one layer, hidden 8, ffn 12, 20 words, 10 positions, 3 labels ----------------------------------------- */

static char *root;                          /* a temporary directory */

#define CONFIG "\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"], \"vocab_size\": 20, " \
	"\"hidden_size\": 8, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"intermediate_size\": 12, " \
	"\"max_position_embeddings\": 10"
#define LABELS "\"id2label\": {\"0\": \"bad\", \"1\": \"so so\", \"2\": \"good <&>\"}"

static char *at(const char *name)
{
	static char paths[8][4096];
	static int next;
	snprintf(paths[next = (next + 1) % 8], sizeof *paths, "%s/%s", root, name);
	return paths[next];
}

static void write_file(const char *name, const char *text)
{
	FILE *out = fopen(at(name), "wb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
}

static const struct { const char *name; int rows, columns; } tiny_tensors[] = {
	{"bert.embeddings.word_embeddings.weight", 20, 8}, {"bert.embeddings.position_embeddings.weight", 10, 8},
	{"bert.embeddings.token_type_embeddings.weight", 2, 8}, {"bert.embeddings.LayerNorm.weight", 8, 0},
	{"bert.embeddings.LayerNorm.bias", 8, 0},
	{"bert.encoder.layer.0.attention.self.query.weight", 8, 8}, {"bert.encoder.layer.0.attention.self.query.bias", 8, 0},
	{"bert.encoder.layer.0.attention.self.key.weight", 8, 8}, {"bert.encoder.layer.0.attention.self.key.bias", 8, 0},
	{"bert.encoder.layer.0.attention.self.value.weight", 8, 8}, {"bert.encoder.layer.0.attention.self.value.bias", 8, 0},
	{"bert.encoder.layer.0.attention.output.dense.weight", 8, 8}, {"bert.encoder.layer.0.attention.output.dense.bias", 8, 0},
	{"bert.encoder.layer.0.attention.output.LayerNorm.weight", 8, 0}, {"bert.encoder.layer.0.attention.output.LayerNorm.bias", 8,
	0},
	{"bert.encoder.layer.0.intermediate.dense.weight", 12, 8}, {"bert.encoder.layer.0.intermediate.dense.bias", 12, 0},
	{"bert.encoder.layer.0.output.dense.weight", 8, 12}, {"bert.encoder.layer.0.output.dense.bias", 8, 0},
	{"bert.encoder.layer.0.output.LayerNorm.weight", 8, 0}, {"bert.encoder.layer.0.output.LayerNorm.bias", 8, 0},
	{"bert.pooler.dense.weight", 8, 8}, {"bert.pooler.dense.bias", 8, 0}, {"classifier.weight", 3, 8}, {"classifier.bias", 3, 0},
};
enum { TINY_TENSORS = sizeof tiny_tensors / sizeof *tiny_tensors };

/* Tensors [from, to) of the list, `skip` left out, into one file. */
static void write_tensors(const char *name, int from, int to, const char *skip)
{
	static float numbers[256];
	Tensor tensors[TINY_TENSORS];
	const Tensor *list[TINY_TENSORS];
	int count = 0;
	Diag diag;
	diag_init(&diag, name);
	for (int i = 0; i < 256; i++)
		numbers[i] = (float)((i * 37 % 101) - 50) / 64;
	for (int i = from; i < to; i++) {
		int rows = tiny_tensors[i].rows, columns = tiny_tensors[i].columns;
		if (skip && strcmp(skip, tiny_tensors[i].name) == 0)
			continue;
		Type type = type_make(DT_F32, columns ? 2 : 1, dim_number(rows), dim_number(columns));
		tensors[count] = (Tensor){.name = tiny_tensors[i].name, .type = type, .data = numbers,
			.bytes = 4 * rows * (columns ? columns : 1)};
		list[count] = &tensors[count];
		count++;
	}
	CU_ASSERT_TRUE_FATAL(safetensors_write(at(name), list, count, &diag));
	diag_free(&diag);
}

static void write_tiny(const char *config)
{
	write_file("config.json", config);
	write_tensors("model.safetensors", 0, TINY_TENSORS, NULL);
}

/* ---- loading, and what came of it --------------------------------------------------------------------------------------- */

typedef struct Result { ExitCode code; char *messages, *text; Loaded loaded; } Result;

static Result load_with(const BuildOptions *options)
{
	Result result = {0};
	size_t bytes;
	Diag diag;
	diag_init(&diag, options->model);
	if (model_load(options, &result.loaded, &diag))
		result.text = module_text(result.loaded.module, NULL);
	result.code = diag.code;
	FILE *out = open_memstream(&result.messages, &bytes);
	diag_print(&diag, out);
	fclose(out);
	diag_free(&diag);
	return result;
}

static Result load(const char *model) { return load_with(&(BuildOptions){.model = model}); }

static void result_free(Result *result)
{
	if (result->text)
		model_unload(&result->loaded);
	free(result->messages);
	free(result->text);
}

static void expect_error(const char *what, Result result, ExitCode code, const char *part)
{
	bool right = !result.text && result.code == code && strstr(result.messages, part);
	if (!right)
		printf("\n%s: expected exit %d and \"%s\", got exit %d and %s", what, code, part, result.text ? 0 : (int)result.code,
			result.messages);
	CU_ASSERT_TRUE(right);
	result_free(&result);
}

/* ---- directories -------------------------------------------------------------------------------------------------------- */

static void test_tiny(void)
{
	write_tiny("{" CONFIG ", " LABELS "}");
	Result result = load(root);
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	const Module *module = result.loaded.module;
	CU_ASSERT_EQUAL(module->nheads, 1);
	CU_ASSERT_EQUAL(module->heads[0].task, TASK_CLASSIFY);
	CU_ASSERT_EQUAL(module->heads[0].problem, PROBLEM_SINGLE);
	CU_ASSERT_STRING_EQUAL(module->heads[0].labels[2], "good <&>");
	CU_ASSERT_EQUAL(module->max_tokens, 10);
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 1);
	CU_ASSERT_PTR_NULL(result.loaded.tokenizer);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.messages, "token ids only"));
	/* primitive ops only: fusion is the passes' work */
	for (const Node *node = module->graphs[0]->first; node; node = node->next)
		CU_ASSERT_TRUE(op_info[node->op].levels & LEVEL_GRAPH);
	result_free(&result);
}

static void test_limits(void)
{
	BuildOptions options = {.model = root, .max_tokens = 4};
	write_tiny("{" CONFIG ", " LABELS "}");
	Result result = load_with(&options);
	CU_ASSERT_EQUAL(result.loaded.module->max_tokens, 4);
	result_free(&result);
	options.max_tokens = 99;
	result = load_with(&options);
	CU_ASSERT_EQUAL(result.loaded.module->max_tokens, 10);
	result_free(&result);
	static const struct { const char *tokenizer, *sbert; int limit; } rules[] = {
		{"{\"model_max_length\": 1000000000000000019884624838656}", NULL, 10}, {"{\"model_max_length\": 7}", NULL, 7},
		{"{\"model_max_length\": 7}", "{\"max_seq_length\": 5}", 5}, {"{\"model_max_length\": 7}", "{\"max_seq_length\": null}",
		7},
		{"{\"model_max_length\": 512}", NULL, 10},
	};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		write_file("tokenizer_config.json", rules[i].tokenizer);
		if (rules[i].sbert)
			write_file("sentence_bert_config.json", rules[i].sbert);
		result = load(root);
		CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
		CU_ASSERT_EQUAL(result.loaded.module->max_tokens, rules[i].limit);
		result_free(&result);
		unlink(at("sentence_bert_config.json"));
	}
	write_file("tokenizer_config.json", "{\"model_max_length\": -3}");
	expect_error("negative length", load(root), EXIT_INPUT, "model_max_length is -3");
	unlink(at("tokenizer_config.json"));
}

static void test_bad_configs(void)
{
	static const struct { const char *config; ExitCode code; const char *part; } cases[] = {
		{"", EXIT_INPUT, "config.json"}, {"[]", EXIT_INPUT, "not a JSON object"}, {"{", EXIT_INPUT, "not JSON"},
		{"{\"a\": 1, \"a\": 2}", EXIT_INPUT, "duplicate"}, {"{}", EXIT_INPUT, "model_type"},
		{"{\"model_type\": 3}", EXIT_INPUT, "model_type is an integer"},
		{"{\"model_type\": \"gpt2\"}", EXIT_UNSUPPORTED, "families known: bert"},
		{"{" CONFIG ", \"is_decoder\": true}", EXIT_UNSUPPORTED, "is_decoder"},
		{"{" CONFIG ", \"is_decoder\": \"yes\"}", EXIT_INPUT, "is_decoder is a string"},
		{"{" CONFIG ", \"add_cross_attention\": true}", EXIT_UNSUPPORTED, "add_cross_attention"},
		{"{" CONFIG ", \"position_embedding_type\": \"relative_key\"}", EXIT_UNSUPPORTED, "relative_key"},
		{"{" CONFIG ", \"quantization_config\": {\"bits\": 4}}", EXIT_UNSUPPORTED, "quantization_config"},
		{"{" CONFIG ", \"pruned_heads\": {\"0\": [1]}}", EXIT_UNSUPPORTED, "pruned_heads"},
		{"{" CONFIG ", \"layer_norm_eps\": 0}", EXIT_INPUT, "layer_norm_eps is 0"},
		{"{" CONFIG ", \"layer_norm_eps\": -1e-5}", EXIT_INPUT, "layer_norm_eps"},
		{"{" CONFIG ", \"layer_norm_eps\": \"1e-5\"}", EXIT_INPUT, "layer_norm_eps is a string"},
		{"{" CONFIG ", \"hidden_act\": \"mish\"}", EXIT_UNSUPPORTED, "known: gelu, gelu_new"},
		{"{" CONFIG ", \"hidden_act\": {}}", EXIT_INPUT, "hidden_act is an object"},
		{"{" CONFIG ", \"problem_type\": \"ranking\"}", EXIT_UNSUPPORTED, "ranking"},
		{"{" CONFIG ", \"num_labels\": 0}", EXIT_INPUT, "num_labels is 0"}, {"{" CONFIG ", \"num_labels\": 2, " LABELS "}",
		EXIT_INPUT, "id2label names 3"},
		{"{" CONFIG ", \"id2label\": []}", EXIT_INPUT, "id2label"}, {"{" CONFIG ", \"id2label\": {\"0\": 1}}", EXIT_INPUT,
		"not a string"},
		{"{" CONFIG ", \"id2label\": {\"1\": \"a\"}}", EXIT_INPUT, "missing"}, {"{" CONFIG ", \"id2label\": {\"0\": \"a\\nb\"}}",
		EXIT_INPUT, "control characters"},
		{"{" CONFIG ", \"id2label\": {\"0\": \"\"}}", EXIT_INPUT, "1 to 1024 bytes"},
		{"{" CONFIG ", \"type_vocab_size\": 99999999999999999999}", EXIT_INPUT, "too big"},
		{"{" CONFIG "}", EXIT_INPUT, "classifier"},   /* two labels by default, three rows */
	};
	write_tiny("{}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("config.json", cases[i].config);
		expect_error(cases[i].config, load(root), cases[i].code, cases[i].part);
	}
	/* numbers of the right key and the wrong size: each is told from the tensors, by its own name */
	static const struct { const char *key, *value; const char *part; } sizes[] = {
		{"vocab_size", "19", "expected [19,8]; does config.json vocab_size match"},
		{"hidden_size", "16", "hidden_size match this checkpoint"},
		{"hidden_size", "9", "2 heads"}, {"hidden_size", "true", "hidden_size is true"},
		{"hidden_size", "8.5", "a number with a fraction"},
		{"hidden_size", "-8", "hidden_size is -8"}, {"hidden_size", "0", "hidden_size is 0"},
		{"hidden_size", "1000000000", "expected 1 to"},
		{"intermediate_size", "13",
		"layer.0.ffn.in: weight is f32[12,8], expected [13,8]; does config.json intermediate_size match this checkpoint?"},
		{"num_hidden_layers", "2", "layer.1.attention.query"}, {"max_position_embeddings", "11", "max_position_embeddings match"},
		{"type_vocab_size", "3", "type_vocab_size match"}, {"num_attention_heads", "3", "3 heads"},
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char config[1024], old[64];
		snprintf(config, sizeof config, "{%s, \"type_vocab_size\": 2, %s}", CONFIG, LABELS);
		snprintf(old, sizeof old, "\"%s\": ", sizes[i].key);
		char *value = strstr(config, old) + strlen(old), *rest = strdup(value + strspn(value, "0123456789"));
		snprintf(value, sizeof config - (size_t)(value - config), "%s%s", sizes[i].value, rest);
		free(rest);
		write_file("config.json", config);
		expect_error(config, load(root), EXIT_INPUT, sizes[i].part);
	}
}

static void test_bad_checkpoints(void)
{
	write_tiny("{" CONFIG ", " LABELS "}");
	for (int i = 0; i < TINY_TENSORS; i++) {   /* any tensor missing is named */
		write_tensors("model.safetensors", 0, TINY_TENSORS, tiny_tensors[i].name);
		expect_error("missing tensor", load(root), EXIT_INPUT, tiny_tensors[i].name);
	}
	unlink(at("model.safetensors"));
	expect_error("no weights", load(root), EXIT_INPUT, "neither model.safetensors");
	write_file("pytorch_model.bin", "pickle");
	expect_error("pickle", load(root), EXIT_UNSUPPORTED, "save_pretrained");
	unlink(at("pytorch_model.bin"));
	expect_error("not there", load(at("nowhere")), EXIT_INPUT, "nowhere");
}

static void test_shards(void)
{
	static const char head[] = "{\"metadata\": {}, \"weight_map\": {";
	char index[8192];
	int length = snprintf(index, sizeof index, "%s", head);
	write_tiny("{" CONFIG ", " LABELS "}");
	unlink(at("model.safetensors"));
	write_tensors("a.safetensors", 0, 10, NULL);
	write_tensors("b.safetensors", 10, TINY_TENSORS, NULL);
	for (int i = 0; i < TINY_TENSORS; i++)
		length += snprintf(index + length, sizeof index - (size_t)length, "%s\"%s\": \"%c.safetensors\"", i ? ", " : "",
			tiny_tensors[i].name, i < 10 ? 'a' : 'b');
	snprintf(index + length, sizeof index - (size_t)length, "}}");
	write_file("model.safetensors.index.json", index);
	Result result = load(root);
	CU_ASSERT_PTR_NOT_NULL(result.text);
	result_free(&result);
	*strstr(index, "a.safetensors") = 'b';
	write_file("model.safetensors.index.json", index);
	expect_error("misplaced", load(root), EXIT_INPUT, "which the index places in b.safetensors");
	static const struct { const char *index, *part; } cases[] = {
		{"{}", "weight_map"}, {"{\"weight_map\": {}}", "weight_map"}, {"{\"weight_map\": {\"x\": 3}}", "an integer"},
		{"{\"weight_map\": {\"x\": \"a.bin\"}}", "a.bin"},
		{"{\"weight_map\": {\"x\": \"../a.safetensors\"}}", "plain"}, {"{\"weight_map\": {\"x\": \"/etc/a.safetensors\"}}",
		"plain"},
		{"{\"weight_map\": {\"x\": \"a.safetensors\"}}", "which the index places in no file"},
		{"{\"weight_map\": {\"x\": \"c.safetensors\"}}", "c.safetensors"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("model.safetensors.index.json", cases[i].index);
		expect_error(cases[i].index, load(root), EXIT_INPUT, cases[i].part);
	}
	unlink(at("model.safetensors.index.json"));
}

static void test_tasks(void)
{
	static const struct { const char *task; ExitCode code; const char *part; } cases[] = {
		{"qa", EXIT_INPUT, "qa_outputs.weight"}, {"fill-mask", EXIT_INPUT, "cls.predictions"}, {"rank", EXIT_INPUT, "one output"},
	};
	write_tiny("{" CONFIG ", " LABELS "}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_error(cases[i].task, load_with(&(BuildOptions){.model = root, .task = cases[i].task}), cases[i].code,
			cases[i].part);
	expect_error("outputs", load_with(&(BuildOptions){.model = root, .outputs = "hidden,scores"}), EXIT_USAGE, "scores");
	Result result = load_with(&(BuildOptions){.model = root, .task = "tag"});
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	CU_ASSERT_EQUAL(result.loaded.module->graphs[0]->noutputs, 2);
	CU_ASSERT_EQUAL(result.loaded.module->heads[0].task, TASK_TAG);
	result_free(&result);
	write_file("config.json", "{\"model_type\": \"bert\", \"architectures\": [\"BertForMultipleChoice\"]}");
	expect_error("architecture", load(root), EXIT_UNSUPPORTED, "BertForMultipleChoice");
	write_file("config.json", "{\"model_type\": \"bert\", \"architectures\": [\"BertLMHeadModel\"]}");
	expect_error("architecture", load(root), EXIT_UNSUPPORTED, "BertLMHeadModel");
	write_file("config.json", "{\"model_type\": \"bert\"}");
	expect_error("architecture", load(root), EXIT_UNSUPPORTED, "--task");
	write_file("config.json", "{\"model_type\": \"bert\", \"architectures\": [1]}");
	expect_error("architecture", load(root), EXIT_INPUT, "architectures");
}

/* ---- sentence-transformers ---------------------------------------------------------------------------------------------- */

#define MODULE(type, path) "{\"type\": \"sentence_transformers.models." type "\", \"path\": \"" path "\"}"

static void test_sbert(void)
{
	static const struct { const char *modules, *pooling; ExitCode code; const char *part; } cases[] = {
		{"{}", "{}", EXIT_INPUT, "not a JSON array"}, {"[3]", "{}", EXIT_INPUT, "an integer"},
		{"[{}]", "{}", EXIT_INPUT, "no type"}, {"[]", "{}", EXIT_UNSUPPORTED, "no Transformer"},
		{"[" MODULE("Transformer", "") "]", "{}", EXIT_UNSUPPORTED, "no Pooling"},
		{"[" MODULE("Transformer", "../other") "]", "{}", EXIT_INPUT, "plain folder name"},
		{"[" MODULE("Pooling", "1_Pooling") "]", "{}", EXIT_UNSUPPORTED, "order"},
		{"[" MODULE("Transformer", "") ", " MODULE("LSTM", "1_LSTM") "]", "{}", EXIT_UNSUPPORTED, "LSTM"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]", "{}", EXIT_UNSUPPORTED, "no pooling_mode"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]", "[]", EXIT_INPUT, "not a JSON object"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]", "{\"pooling_mode\": \"attention\"}",
		EXIT_UNSUPPORTED, "attention"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]", "{\"pooling_mode_mean_tokens\": 1}", EXIT_INPUT,
		"an integer"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") ", " MODULE("Dense", "2_Dense") "]",
		"{\"pooling_mode\": \"cls\"}", EXIT_INPUT, "2_Dense"},
	};
	write_tiny("{" CONFIG ", " LABELS "}");
	mkdir(at("1_Pooling"), 0777);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("modules.json", cases[i].modules);
		write_file("1_Pooling/config.json", cases[i].pooling);
		expect_error(cases[i].modules, load(root), cases[i].code, cases[i].part);
	}
	write_file("modules.json", "[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") ", " MODULE("Normalize",
		"2_Normalize") "]");
	write_file("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true}");
	write_file("config_sentence_transformers.json", "{\"default_prompt_name\": \"query\"}");
	Result result = load(root);
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	CU_ASSERT_EQUAL(result.loaded.module->heads[0].task, TASK_EMBED);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.messages, "prompt"));
	result_free(&result);
	unlink(at("modules.json"));
	unlink(at("config_sentence_transformers.json"));
}

/* ---- descriptions ------------------------------------------------------------------------------------------------------- */

static char *describe(const BuildOptions *options)
{
	char *text = NULL;
	size_t bytes;
	Diag diag;
	diag_init(&diag, options->model);
	ModelDesc *desc = description_from_hf(options->model, options, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(desc);
	FILE *out = open_memstream(&text, &bytes);
	CU_ASSERT_TRUE(description_write(desc, out));
	fclose(out);
	description_free(desc);
	diag_free(&diag);
	return text;
}

/* What describe writes builds the same module as the directory, to the byte. */
static void test_describe(void)
{
	static const BuildOptions uses[] = {{.task = NULL}, {.task = "embed"}, {.task = "tag", .outputs = "pooled"},
		{.task = "classify", .outputs = "hidden", .max_tokens = 6}};
	write_tiny("{" CONFIG ", \"layer_norm_eps\": 1.0000000000000003e-7, \"hidden_act\": \"gelu_new\", " LABELS "}");
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
		BuildOptions options = uses[i];
		options.model = root;
		char *xml = describe(&options);
		write_file("model.xml", xml);
		Result direct = load_with(&options), described = load(at("model.xml"));
		CU_ASSERT_PTR_NOT_NULL_FATAL(direct.text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(described.text);
		const char *a = strchr(direct.text, '\n'),
			*b = strchr(described.text, '\n');   /* the first line holds the name, that of the directory */
		CU_ASSERT_STRING_EQUAL(a, b);
		result_free(&direct);
		result_free(&described);
		free(xml);
	}
}

/* Many labels: as many rows, too, so the tensors would not fit; describing does not look at them. */
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
	char *xml = describe(&(BuildOptions){.model = root});
	CU_ASSERT_PTR_NOT_NULL(strstr(xml, " labels=\"l&amp;0 l&amp;1 "));
	write_file("model.xml", xml);
	expect_error("many labels", load(at("model.xml")), EXIT_INPUT, "expected [3000,8]; does the description's labels match");
	free(xml);
	free(config);
}

#define XML_MODEL(inner) "<model xmlns=\"urn:bertc:model:1\" name=\"m\">" inner "</model>"
#define XML_ENCODER(layers) "<encoder family=\"bert\" layers=\"" layers "\" hidden=\"8\" heads=\"2\" ffn=\"12\" " \
	"positions=\"10\" types=\"2\" activation=\"gelu\" eps=\"1e-12\"/>"
#define XML_TINY "<weights href=\"model.safetensors\"/>" XML_ENCODER("1")

static void test_edited(void)
{
	write_tiny("{}");
	write_file("model.xml", XML_MODEL(XML_TINY
		"<head name=\"mood\" task=\"classify\" labels=\"a b c\"/>"
		"<head name=\"again\" task=\"classify\" problem=\"multi\" pooling=\"mean\">"
		"<label>x y</label><label>&lt;</label><label>z</label></head>"
		"<head name=\"vector\" task=\"embed\" pooling=\"max first\" normalize=\"false\"/><passes>fuse,lower</passes>"));
	Result result = load(at("model.xml"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	const Module *module = result.loaded.module;
	CU_ASSERT_EQUAL(module->nheads, 3);
	CU_ASSERT_STRING_EQUAL(module->heads[0].output, "mood");
	CU_ASSERT_EQUAL(module->heads[1].problem, PROBLEM_MULTI);
	CU_ASSERT_STRING_EQUAL(module->heads[1].labels[0], "x y");
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 4);       /* and hidden, for the embedder */
	CU_ASSERT_EQUAL(module->graphs[0]->outputs[2].value->type.dim[0].plus, 16);
	CU_ASSERT_STRING_EQUAL(result.loaded.passes, "fuse,lower");
	result_free(&result);
}

static void test_bad_xml(void)
{
	static const struct { const char *xml; ExitCode code; const char *part; } cases[] = {
		{"", EXIT_INPUT, "model.xml"}, {"<model", EXIT_INPUT, "well-formed"}, {"<a/>", EXIT_INPUT, "schema"},
		{"<model/>", EXIT_INPUT, "schema"},
		{"<!DOCTYPE model [<!ENTITY a \"b\">]><model xmlns=\"urn:bertc:model:1\" name=\"&a;\"/>", EXIT_INPUT,
		"document type declaration"},
		{"<!DOCTYPE model SYSTEM \"http://localhost/x.dtd\"><model/>", EXIT_INPUT, "document type declaration"},
		{XML_MODEL(XML_TINY), EXIT_INPUT, "schema"}, {XML_MODEL(XML_TINY "<head task=\"sing\"/>"), EXIT_INPUT, "schema"},
		{XML_MODEL(XML_TINY "<head task=\"classify\"/>"), EXIT_INPUT, "no labels"},
		{XML_MODEL(XML_TINY "<head task=\"classify\" labels=\"a b\"/>"), EXIT_INPUT, "classifier"},
		{XML_MODEL(XML_TINY "<head task=\"classify\" labels=\"a b\"><label>c</label></head>"), EXIT_INPUT, "either"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" pooling=\"sum\"/>"), EXIT_INPUT, "sum"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" pooling=\"\"/>"), EXIT_INPUT, "empty"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" pooling=\"max max\"/>"), EXIT_INPUT, "twice"},
		{XML_MODEL(XML_TINY "<head task=\"tag\" pooling=\"max\" labels=\"a\"/>"), EXIT_INPUT, "no pooling"},
		{XML_MODEL(XML_TINY "<head task=\"embed\" labels=\"a\"/>"), EXIT_INPUT, "no labels"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"/><head task=\"embed\"/>"), EXIT_INPUT, "two heads"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"/><head name=\"hidden\" task=\"embed\"/>"), EXIT_INPUT, "another output"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"><dense href=\"d\" activation=\"mish\"/></head>"), EXIT_UNSUPPORTED, "mish"},
		{XML_MODEL(XML_TINY "<head task=\"embed\"><dense href=\"..\" activation=\"tanh\"/></head>"), EXIT_INPUT, "plain name"},
		{XML_MODEL("<weights href=\"../model.safetensors\"/>" XML_ENCODER("1") "<head task=\"embed\"/>"), EXIT_INPUT, "schema"},
		{XML_MODEL("<weights href=\"..\"/>" XML_ENCODER("1") "<head task=\"embed\"/>"), EXIT_INPUT, "plain name"},
		{XML_MODEL("<weights href=\"none.safetensors\"/>" XML_ENCODER("1") "<head task=\"embed\"/>"), EXIT_INPUT,
			"none.safetensors"},
		{XML_MODEL("<weights href=\"model.safetensors\"/>" XML_ENCODER("2") "<head task=\"embed\"/>"), EXIT_INPUT, "layer.1"},
		{XML_MODEL("<weights href=\"model.safetensors\"/>" XML_ENCODER("0") "<head task=\"embed\"/>"), EXIT_INPUT, "schema"},
		{XML_MODEL("<weights href=\"model.safetensors\"/>" XML_ENCODER("5000") "<head task=\"embed\"/>"), EXIT_INPUT,
			"expected 1024 at most"},
		{XML_MODEL("<weights href=\"model.safetensors\"/><encoder family=\"gru\" layers=\"1\" hidden=\"8\" heads=\"2\" "
			"ffn=\"12\" positions=\"10\" types=\"2\" activation=\"gelu\" eps=\"1e-12\"/><head task=\"embed\"/>"),
			EXIT_UNSUPPORTED, "gru"},
		{XML_MODEL("<graph><input id=\"ids\" type=\"i32[S]\"/><output name=\"y\" value=\"z\"/></graph>"), EXIT_INPUT, "%z"},
		{XML_MODEL("<graph><input id=\"ids\" type=\"i32[S]\"/>\n<op name=\"fly\" id=\"y\" args=\"ids\" type=\"f32[S]\"/>"
			"<output name=\"y\" value=\"y\"/></graph>"), EXIT_INPUT, ":2:"},
		{XML_MODEL("<graph><input id=\"ids\" type=\"i32[S]\"/>\n<op name=\"pool\" id=\"y\" args=\"ids\" type=\"f32[S]\" "
			"mode=\"} # \"/><output name=\"y\" value=\"y\"/></graph>"), EXIT_INPUT, "schema"},
	};
	write_tiny("{}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("model.xml", cases[i].xml);
		expect_error(cases[i].xml, load(at("model.xml")), cases[i].code, cases[i].part);
	}
	write_file("model.xml", XML_MODEL(XML_TINY "<head task=\"embed\"/>"));
	expect_error("task", load_with(&(BuildOptions){.model = at("model.xml"), .task = "embed"}), EXIT_USAGE, "--task");
}

/* Deep, long and many: limits, not crashes. */
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
	expect_error("deep JSON", load(root), EXIT_INPUT, "nested");
	free(deep);
}

/* The second form says what .bir says. */
static void test_graph_form(void)
{
	static const char bir[] =
		"module @m weights \"model.safetensors\" max_tokens 10\n"
		"head @classify classify single output=logits labels=[\"a b\", \"\\\"\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\"]\n"
		"graph @main(%ids: i32[S], %types: i32[S]) level=graph {\n"
		"  %table = const @bert.embeddings.word_embeddings.weight : f32[20,8]  # words\n"
		"  %x = embed %table, %ids : f32[S,8]  # words\n"
		"  %half = const [0.5, -1e-3] : f32[2]\n"
		"  %noise = const rand(7) : f32[8]\n"
		"  %y = add %x, %noise : f32[S,8]\n"
		"  %r = reshape %y {shape=[S,2,4]} : f32[S,2,4]\n"
		"  %t = transpose %r {perm=[1,0,2]} : f32[2,S,4]\n"
		"  %z = pool %y {mode=mean} : f32[8]\n"
		"  return logits=%z, all=%t, half=%half\n"
		"}\n";
	static const char xml[] =
		"<model xmlns=\"urn:bertc:model:1\" name=\"m\" max-tokens=\"10\"><weights href=\"model.safetensors\"/>\n"
		"<head task=\"classify\" output=\"logits\"><label>a b</label><label>\"</label><label>c</label><label>d</label>"
		"<label>e</label><label>f</label><label>g</label><label>h</label></head>\n"
		"<graph><input id=\"ids\" type=\"i32[S]\"/><input id=\"types\" type=\"i32[S]\"/>\n"
		"<const id=\"table\" tensor=\"bert.embeddings.word_embeddings.weight\" type=\"f32[20,8]\" origin=\"words\"/>\n"
		"<op name=\"embed\" id=\"x\" args=\"table ids\" type=\"f32[S,8]\" origin=\"words\"/>\n"
		"<const id=\"half\" values=\"0.5 -1e-3\" type=\"f32[2]\"/><const id=\"noise\" rule=\"rand(7)\" type=\"f32[8]\"/>\n"
		"<op name=\"add\" id=\"y\" args=\"x noise\" type=\"f32[S,8]\"/>"
		"<op name=\"reshape\" id=\"r\" args=\"y\" shape=\"[S,2,4]\" type=\"f32[S,2,4]\"/>\n"
		"<op name=\"transpose\" id=\"t\" args=\"r\" perm=\"[1,0,2]\" type=\"f32[2,S,4]\"/>"
		"<op name=\"pool\" id=\"z\" args=\"y\" mode=\"mean\" type=\"f32[8]\"/>\n"
		"<output name=\"logits\" value=\"z\"/><output name=\"all\" value=\"t\"/><output name=\"half\" value=\"half\"/>"
		"</graph></model>";
	write_tiny("{}");
	write_file("model.bir", bir);
	write_file("model.xml", xml);
	Result graph = load(at("model.bir")), described = load(at("model.xml"));
	if (!graph.text || !described.text)
		printf("\n%s%s", graph.messages, described.messages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(graph.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(described.text);
	const char *meta = strstr(described.text, "meta "), *rest = meta ? strchr(meta, '\n') + 1 : described.text;
	CU_ASSERT_STRING_EQUAL(strstr(graph.text, "head "), rest);
	result_free(&graph);
	result_free(&described);
}

/* ---- files -------------------------------------------------------------------------------------------------------------- */

static void test_files(void)
{
	static const char *const escapes[] = {"", ".", "..", "/etc/passwd", "../model.safetensors", "a/b"};
	MemArena *mem = mem_new();
	Diag diag;
	diag_init(&diag, "test");
	write_file("data", "12345");
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
		CU_ASSERT_PTR_NULL(file_find(root, escapes[i], NULL, mem, &diag));
	CU_ASSERT_PTR_NOT_NULL(file_find(root, "data", NULL, mem, &diag));
	CU_ASSERT_PTR_NOT_NULL(file_find("/nowhere", "data", (const char *const[]){"/also/nowhere", root, NULL}, mem, &diag));
	size_t bytes;
	char *text = file_read(at("data"), 5, &bytes, &diag);
	CU_ASSERT_STRING_EQUAL(text, "12345");
	CU_ASSERT_EQUAL(bytes, 5);
	free(text);
	CU_ASSERT_PTR_NULL(file_read(at("data"), 4, &bytes, &diag));
	CU_ASSERT_PTR_NULL(file_read(root, 100, &bytes, &diag));
	mkfifo(at("fifo"), 0666);
	CU_ASSERT_PTR_NULL(file_read(at("fifo"), 100, &bytes, &diag));     /* and does not hang */
	diag_free(&diag);
	mem_free(mem);
}

static void test_atomic(void)
{
	AtomicFile file;
	Diag diag;
	diag_init(&diag, "test");
	write_file("out", "old");
	CU_ASSERT_TRUE_FATAL(atomic_open(&file, at("out"), &diag));
	fputs("half", file.stream);
	char *temporary = strdup(file.temporary);
	atomic_discard(&file);
	CU_ASSERT_NOT_EQUAL(access(temporary, F_OK), 0);
	char *text = file_read(at("out"), 100, NULL, &diag);
	CU_ASSERT_STRING_EQUAL(text, "old");
	free(text);
	CU_ASSERT_TRUE_FATAL(atomic_open(&file, at("out"), &diag));
	fputs("new", file.stream);
	CU_ASSERT_TRUE(atomic_commit(&file, &diag));
	text = file_read(at("out"), 100, NULL, &diag);
	CU_ASSERT_STRING_EQUAL(text, "new");
	free(text);
	CU_ASSERT_FALSE(atomic_open(&file, root, &diag));                   /* a directory */
	CU_ASSERT_FALSE(atomic_open(&file, at("no/such/place"), &diag));
	CU_ASSERT_TRUE_FATAL(atomic_open(&file, "/dev/full", &diag));       /* written in place, and the disk is full */
	fputs("x", file.stream);
	CU_ASSERT_FALSE(atomic_commit(&file, &diag));
	CU_ASSERT_TRUE_FATAL(atomic_open(&file, at("out"), &diag));         /* what Ctrl-C does */
	free(temporary);
	temporary = strdup(file.temporary);
	char *directory = temporary_directory(&diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
	files_interrupted();
	CU_ASSERT_NOT_EQUAL(access(temporary, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(directory, F_OK), 0);
	atomic_discard(&file);
	free(temporary);
	free(directory);
	diag_free(&diag);
}

static void test_names(void)
{
	static const char *const dirty[] = {"", "a\nb", "\x7f", "\xc0\x80", "\xed\xa0\x80", "\xff", "\xe2\x80", "\xef\xbf\xbe",
		"\xf5\x80\x80\x80", "\xc2\x85"};
	static const char *const clean[] = {"a", "B-Disease", "so so", "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "*/ \"; ?\?/"};
	static const struct { const char *from, *to; } names[] = {{"minilm-sst2", "minilm_sst2"}, {"2_Dense", "_2_Dense"},
		{"", "model"}, {"a/*\n*/", "a_____"}};
	MemArena *mem = mem_new();
	for (size_t i = 0; i < sizeof dirty / sizeof *dirty; i++)
		CU_ASSERT_FALSE(text_is_clean(dirty[i]));
	for (size_t i = 0; i < sizeof clean / sizeof *clean; i++)
		CU_ASSERT_TRUE(text_is_clean(clean[i]));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CU_ASSERT_STRING_EQUAL(name_from_text(mem, names[i].from), names[i].to);
	mem_free(mem);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } tests[] = {
		{"a tiny directory", test_tiny}, {"length limits", test_limits}, {"bad configs", test_bad_configs},
		{"bad checkpoints", test_bad_checkpoints},
		{"shards", test_shards}, {"tasks", test_tasks}, {"sentence-transformers", test_sbert}, {"describe", test_describe},
		{"many labels", test_many_labels}, {"edited descriptions", test_edited},
		{"bad descriptions", test_bad_xml}, {"deep descriptions", test_huge_xml}, {"graphs op by op", test_graph_form},
		{"files", test_files},
		{"names", test_names}, {"atomic files", test_atomic},   /* the last: it takes root away, as Ctrl-C does */
	};
	if (argc > 2 && strcmp(argv[1], "--eval") == 0)
		return eval_model(argc, argv);
	Diag diag;
	diag_init(&diag, "test_load");
	root = temporary_directory(&diag);
	if (!root || CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	CU_pSuite suite = CU_add_suite("load", NULL, NULL);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		CU_add_test(suite, tests[i].name, tests[i].run);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	remove_tree(root);
	free(root);
	diag_free(&diag);
	return failures != 0;
}
