/* test_load.c: loads directories as modules, and refuses bad ones. Each case changes one thing in a tiny
 * BERT. Descriptions are in test_load_description.c.
 *
 * `test_load --eval` is no test: it evaluates models for tests/python/checkpoints.py. The request
 * `=MODEL [--task=T] [--outputs=O]`, with tabs between, loads a model. The answer is `1` (loaded) or `0` and
 * the bytes of the messages, a line, then the messages. Any other request is the ids of a text, perhaps a
 * tab and its types. The answer is a line {"output": [numbers], ...}. */
#include "tests/unit/tiny_checkpoint.h"

/* ---- --eval ---------------------------------------------------------------------------------- */

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

/* Loads the model of a request, which must outlive it, and answers. */
static bool eval_load(char *request, Loaded *loaded)
{
	LoadOptions options = {.model = strtok(request, "\t\n")};
	Diag diag;
	for (char *word; (word = strtok(NULL, "\t\n"));) {
		if (strncmp(word, "--task=", 7) == 0)
			options.task = word + 7;
		if (strncmp(word, "--outputs=", 10) == 0)
			options.outputs = word + 10;
		if (strncmp(word, "--route=", 8) == 0)
			options.route = word + 8;
	}
	diag_init(&diag, options.model);
	const bool good = model_load(&options, loaded, &diag);
	char *messages = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&messages, &bytes);
	diag_print(&diag, out);
	fclose(out);
	printf("%d %zu\n%s", good, bytes, messages);
	free(messages);
	diag_free(&diag);
	return good;
}

static int eval_models(void)
{
	char *line = NULL, *request = NULL;
	size_t room = 0;
	Loaded loaded;
	Diag diag;
	bool good = false;
	diag_init(&diag, "ids");
	while (diag.errors == 0 && getline(&line, &room, stdin) > 0) {
		if (line[0] == '=') {
			if (request)
				model_unload(&loaded);
			free(request);
			request = strdup(line + 1);
			good = eval_load(request, &loaded);
		} else if (good) {
			eval_line(loaded.module->graphs[0], line, &diag);
		}
		fflush(stdout);
	}
	if (request)
		model_unload(&loaded);
	free(request);
	free(line);
	diag_print(&diag, stderr);
	diag_free(&diag);
	return diag.errors ? 1 : 0;
}

/* ---- directories ----------------------------------------------------------------------------- */

static void test_tiny(void)
{
	write_tiny("{" CONFIG ", " LABELS "}");
	Result result = load(directory);
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	const Module *module = result.loaded.module;
	CU_ASSERT_EQUAL(module->nheads, 1);
	CU_ASSERT_EQUAL(module->heads[0].task, TASK_CLASSIFY);
	CU_ASSERT_EQUAL(module->heads[0].problem, PROBLEM_SINGLE);
	CU_ASSERT_STRING_EQUAL(module->heads[0].labels[2], "good <&>");
	CU_ASSERT_EQUAL(module->max_tokens, 10);
	CU_ASSERT_EQUAL(module->graphs[0]->noutputs, 1);
	CU_ASSERT_PTR_NULL(result.loaded.tokenizer);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.messages, "only token ids"));
	/* only primitive ops: passes do the fusion */
	for (const Node *node = module->graphs[0]->first; node; node = node->next)
		CU_ASSERT_TRUE(op_info[node->op].levels & LEVEL_GRAPH);
	result_free(&result);
}

static void test_limits(void)
{
	LoadOptions options = {.model = directory, .max_tokens = 4};
	write_tiny("{" CONFIG ", " LABELS "}");
	Result result = load_with(&options);
	CU_ASSERT_EQUAL(result.loaded.module->max_tokens, 4);
	result_free(&result);
	options.max_tokens = 99;
	result = load_with(&options);
	CU_ASSERT_EQUAL(result.loaded.module->max_tokens, 10);
	result_free(&result);
	static const struct {
		const char *tokenizer, *sbert;
		int limit;
	} rules[] = {
		{"{\"model_max_length\": 1000000000000000019884624838656}", NULL, 10},
		{"{\"model_max_length\": 7}", NULL, 7},
		{"{\"model_max_length\": 7}", "{\"max_seq_length\": 5}", 5},
		{"{\"model_max_length\": 7}", "{\"max_seq_length\": null}", 7},
		{"{\"model_max_length\": 512}", NULL, 10},
	};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		write_file("tokenizer_config.json", rules[i].tokenizer);
		if (rules[i].sbert)
			write_file("sentence_bert_config.json", rules[i].sbert);
		result = load(directory);
		CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
		CU_ASSERT_EQUAL(result.loaded.module->max_tokens, rules[i].limit);
		result_free(&result);
		unlink(at("sentence_bert_config.json"));
	}
	write_file("tokenizer_config.json", "{\"model_max_length\": -3}");
	expect_error("negative length", load(directory), EXIT_INPUT, "model_max_length is -3");
	unlink(at("tokenizer_config.json"));
}

static void test_bad_configs(void)
{
	static const struct {
		const char *config;
		ExitCode code;
		const char *part;
	} cases[] = {
		{"", EXIT_INPUT, "config.json"}, {"[]", EXIT_INPUT, "not a JSON object"},
		{"{", EXIT_INPUT, "not JSON"}, {"{\"a\": 1, \"a\": 2}", EXIT_INPUT, "duplicate"},
		{"{}", EXIT_INPUT, "model_type"}, {"{\"model_type\": 3}", EXIT_INPUT, "model_type is an integer"},
		{"{\"model_type\": \"gpt2\"}", EXIT_UNSUPPORTED, "known: bert"},
		{"{" CONFIG ", \"is_decoder\": true}", EXIT_UNSUPPORTED, "is_decoder"},
		{"{" CONFIG ", \"is_decoder\": \"yes\"}", EXIT_INPUT, "is_decoder is a string"},
		{"{" CONFIG ", \"add_cross_attention\": true}", EXIT_UNSUPPORTED, "add_cross_attention"},
		{"{" CONFIG ", \"position_embedding_type\": \"relative_key\"}", EXIT_UNSUPPORTED, "relative_key"},
		{"{" CONFIG ", \"quantization_config\": {\"bits\": 4}}", EXIT_UNSUPPORTED, "quantization_config"},
		{"{" CONFIG ", \"pruned_heads\": {\"0\": [1]}}", EXIT_UNSUPPORTED, "pruned_heads"},
		{"{" CONFIG ", \"layer_norm_eps\": 0}", EXIT_INPUT, "layer_norm_eps is 0"},
		{"{" CONFIG ", \"layer_norm_eps\": -1e-5}", EXIT_INPUT, "layer_norm_eps"},
		{"{" CONFIG ", \"layer_norm_eps\": \"1e-5\"}", EXIT_INPUT, "layer_norm_eps is a string"},
		{"{" CONFIG ", \"hidden_act\": \"prelu\"}", EXIT_UNSUPPORTED, "known: gelu, gelu_new"},
		{"{" CONFIG ", \"hidden_act\": {}}", EXIT_INPUT, "hidden_act is an object"},
		{"{" CONFIG ", \"problem_type\": \"ranking\"}", EXIT_UNSUPPORTED, "ranking"},
		{"{" CONFIG ", \"num_labels\": 0}", EXIT_INPUT, "num_labels is 0"},
		{"{" CONFIG ", \"num_labels\": 2, " LABELS "}", EXIT_INPUT, "id2label has 3 entries"},
		{"{" CONFIG ", \"id2label\": []}", EXIT_INPUT, "id2label"},
		{"{" CONFIG ", \"id2label\": {\"0\": 1}}", EXIT_INPUT, "not a string"},
		{"{" CONFIG ", \"id2label\": {\"1\": \"a\"}}", EXIT_INPUT, "missing"},
		{"{" CONFIG ", \"id2label\": {\"0\": \"a\\nb\"}}", EXIT_INPUT, "control characters"},
		{"{" CONFIG ", \"id2label\": {\"0\": \"\"}}", EXIT_INPUT, "1 to 1024 bytes"},
		{"{" CONFIG ", \"type_vocab_size\": 99999999999999999999}", EXIT_INPUT, "too big"},
		{"{" CONFIG "}", EXIT_INPUT, "classifier"}, /* two labels by default, three rows */
	};
	write_tiny("{}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("config.json", cases[i].config);
		expect_error(cases[i].config, load(directory), cases[i].code, cases[i].part);
	}
	/* valid sizes that do not match the tensors: the message names the key */
	static const struct {
		const char *key, *value;
		const char *part;
	} sizes[] = {
		{"vocab_size", "19", "expected [19,8]; does config.json vocab_size match"},
		{"hidden_size", "16", "hidden_size match this checkpoint"},
		{"hidden_size", "9", "2 heads"},
		{"hidden_size", "true", "hidden_size is true"},
		{"hidden_size", "8.5", "a number with a fraction"},
		{"hidden_size", "-8", "hidden_size is -8"},
		{"hidden_size", "0", "hidden_size is 0"},
		{"hidden_size", "1000000000", "expected 1 to"},
		{"intermediate_size", "13",
			"layer.0.ffn.in: weight is f32[12,8], expected [13,8]; does config.json intermediate_size match "
			"this checkpoint?"},
		{"num_hidden_layers", "2", "layer.1.attention.query"},
		{"max_position_embeddings", "11", "max_position_embeddings match"},
		{"type_vocab_size", "3", "type_vocab_size match"},
		{"num_attention_heads", "3", "3 heads"},
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char config[1024], old[64];
		snprintf(config, sizeof config, "{%s, \"type_vocab_size\": 2, %s}", CONFIG, LABELS);
		snprintf(old, sizeof old, "\"%s\": ", sizes[i].key);
		char *value = strstr(config, old) + strlen(old), *rest = strdup(value + strspn(value, "0123456789"));
		snprintf(value, sizeof config - (size_t)(value - config), "%s%s", sizes[i].value, rest);
		free(rest);
		write_file("config.json", config);
		expect_error(config, load(directory), EXIT_INPUT, sizes[i].part);
	}
}

static void test_bad_checkpoints(void)
{
	write_tiny("{" CONFIG ", " LABELS "}");
	for (int i = 0; i < TINY_TENSORS; i++) { /* the message names a missing tensor */
		write_tensors("model.safetensors", 0, TINY_TENSORS, tiny_tensors[i].name);
		expect_error("missing tensor", load(directory), EXIT_INPUT, tiny_tensors[i].name);
	}
	unlink(at("model.safetensors"));
	expect_error("no weights", load(directory), EXIT_INPUT, "neither model.safetensors");
	write_file("pytorch_model.bin", "pickle");
	expect_error("pickle", load(directory), EXIT_UNSUPPORTED, "save_pretrained");
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
		length += snprintf(index + length, sizeof index - (size_t)length, "%s\"%s\": \"%c.safetensors\"",
			i ? ", " : "", tiny_tensors[i].name, i < 10 ? 'a' : 'b');
	snprintf(index + length, sizeof index - (size_t)length, "}}");
	write_file("model.safetensors.index.json", index);
	Result result = load(directory);
	CU_ASSERT_PTR_NOT_NULL(result.text);
	result_free(&result);
	*strstr(index, "a.safetensors") = 'b';
	write_file("model.safetensors.index.json", index);
	expect_error("misplaced", load(directory), EXIT_INPUT, "which the index places in b.safetensors");
	static const struct {
		const char *index, *part;
	} cases[] = {
		{"{}", "weight_map"},
		{"{\"weight_map\": {}}", "weight_map"},
		{"{\"weight_map\": {\"x\": 3}}", "an integer"},
		{"{\"weight_map\": {\"x\": \"a.bin\"}}", "a.bin"},
		{"{\"weight_map\": {\"x\": \"../a.safetensors\"}}", "plain"},
		{"{\"weight_map\": {\"x\": \"/etc/a.safetensors\"}}", "plain"},
		{"{\"weight_map\": {\"x\": \"a.safetensors\"}}", "which the index places in no file"},
		{"{\"weight_map\": {\"x\": \"c.safetensors\"}}", "c.safetensors"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("model.safetensors.index.json", cases[i].index);
		expect_error(cases[i].index, load(directory), EXIT_INPUT, cases[i].part);
	}
	unlink(at("model.safetensors.index.json"));
}

static void test_tasks(void)
{
	static const struct {
		const char *task;
		ExitCode code;
		const char *part;
	} cases[] = {
		{"qa", EXIT_INPUT, "qa_outputs.weight"},
		{"fill-mask", EXIT_INPUT, "cls.predictions"},
		{"rank", EXIT_INPUT, "one label"},
	};
	write_tiny("{" CONFIG ", " LABELS "}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_error(cases[i].task, load_with(&(LoadOptions){.model = directory, .task = cases[i].task}),
			cases[i].code, cases[i].part);
	expect_error("outputs", load_with(&(LoadOptions){.model = directory, .outputs = "hidden,scores"}),
		EXIT_USAGE, "scores");
	Result result = load_with(&(LoadOptions){.model = directory, .task = "tag"});
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	CU_ASSERT_EQUAL(result.loaded.module->graphs[0]->noutputs, 2);
	CU_ASSERT_EQUAL(result.loaded.module->heads[0].task, TASK_TAG);
	result_free(&result);
	write_file("config.json", "{\"model_type\": \"bert\", \"architectures\": [\"BertForObjectDetection\"]}");
	expect_error("architecture", load(directory), EXIT_UNSUPPORTED, "BertForObjectDetection");
	write_file("config.json", "{\"model_type\": \"bert\", \"architectures\": [\"BertLMHeadModel\"]}");
	expect_error("architecture", load(directory), EXIT_UNSUPPORTED, "BertLMHeadModel");
	write_file("config.json", "{\"model_type\": \"bert\"}");
	expect_error("architecture", load(directory), EXIT_UNSUPPORTED, "--task");
	write_file("config.json", "{\"model_type\": \"bert\", \"architectures\": [1]}");
	expect_error("architecture", load(directory), EXIT_INPUT, "architectures");
}

/* ---- sentence-transformers ------------------------------------------------------------------- */

#define MODULE(type, path) "{\"type\": \"sentence_transformers.models." type "\", \"path\": \"" path "\"}"

static void test_sbert(void)
{
	static const struct {
		const char *modules, *pooling;
		ExitCode code;
		const char *part;
	} cases[] = {
		{"{}", "{}", EXIT_INPUT, "not a JSON array"},
		{"[3]", "{}", EXIT_INPUT, "an integer"},
		{"[{}]", "{}", EXIT_INPUT, "no type"},
		{"[]", "{}", EXIT_UNSUPPORTED, "no Transformer"},
		{"[" MODULE("Transformer", "") "]", "{}", EXIT_UNSUPPORTED, "no Pooling"},
		{"[" MODULE("Transformer", "../other") "]", "{}", EXIT_INPUT, "plain folder name"},
		{"[" MODULE("Pooling", "1_Pooling") "]", "{}", EXIT_UNSUPPORTED, "order"},
		{"[" MODULE("Transformer", "") ", " MODULE("CLIPModel", "1_CLIP") "]", "{}", EXIT_UNSUPPORTED,
			"CLIPModel"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]", "{\"pooling_mode\": 3}",
			EXIT_INPUT, "an integer"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]", "[]", EXIT_INPUT,
			"not a JSON object"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]",
			"{\"pooling_mode\": \"attention\"}", EXIT_UNSUPPORTED, "attention"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") "]",
			"{\"pooling_mode_mean_tokens\": 1}", EXIT_INPUT, "an integer"},
		{"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") ", " MODULE(
			 "Dense", "2_Dense") "]",
			"{\"pooling_mode\": \"cls\"}", EXIT_INPUT, "2_Dense"},
	};
	write_tiny("{" CONFIG ", " LABELS "}");
	mkdir(at("1_Pooling"), 0777);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("modules.json", cases[i].modules);
		write_file("1_Pooling/config.json", cases[i].pooling);
		expect_error(cases[i].modules, load(directory), cases[i].code, cases[i].part);
	}
	write_file("modules.json",
		"[" MODULE("Transformer", "") ", " MODULE("Pooling", "1_Pooling") ", " MODULE(
			"Normalize", "2_Normalize") "]");
	write_file("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true}");
	write_file("config_sentence_transformers.json", "{\"default_prompt_name\": \"query\"}");
	expect_error("default prompt", load(directory), EXIT_INPUT, "none of the prompts");
	write_file("config_sentence_transformers.json", "{\"prompts\": {\"query\": 3}}");
	expect_error("prompt", load(directory), EXIT_INPUT, "expected a string");
	write_file("config_sentence_transformers.json",
		"{\"default_prompt_name\": \"query\", \"prompts\": {\"query\": \"ask: \"}}");
	Result result = load(directory);
	CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
	CU_ASSERT_EQUAL(result.loaded.module->heads[0].task, TASK_EMBED);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "meta \"prompt.query\" \"ask: \""));
	result_free(&result);
	unlink(at("modules.json"));
	unlink(at("config_sentence_transformers.json"));
}

/* ---- files ----------------------------------------------------------------------------------- */

static void test_files(void)
{
	static const char *const escapes[] = {"", ".", "..", "/etc/passwd", "../model.safetensors", "a/b"};
	MemArena *mem = mem_new();
	Diag diag;
	diag_init(&diag, "test");
	write_file("data", "12345");
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
		CU_ASSERT_PTR_NULL(file_find(directory, escapes[i], NULL, mem, &diag));
	CU_ASSERT_PTR_NOT_NULL(file_find(directory, "data", NULL, mem, &diag));
	CU_ASSERT_PTR_NOT_NULL(
		file_find("/nowhere", "data", (const char *const[]){"/also/nowhere", directory, NULL}, mem, &diag));
	size_t bytes;
	char *text = file_read(at("data"), 5, &bytes, &diag);
	CU_ASSERT_STRING_EQUAL(text, "12345");
	CU_ASSERT_EQUAL(bytes, 5);
	free(text);
	CU_ASSERT_PTR_NULL(file_read(at("data"), 4, &bytes, &diag));
	CU_ASSERT_PTR_NULL(file_read(directory, 100, &bytes, &diag));
	mkfifo(at("fifo"), 0666);
	CU_ASSERT_PTR_NULL(file_read(at("fifo"), 100, &bytes, &diag)); /* must not hang */
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
	CU_ASSERT_FALSE(atomic_open(&file, directory, &diag)); /* a directory */
	CU_ASSERT_FALSE(atomic_open(&file, at("no/such/place"), &diag));
	CU_ASSERT_TRUE_FATAL(atomic_open(&file, "/dev/full", &diag)); /* written in place, and the disk is full */
	fputs("x", file.stream);
	CU_ASSERT_FALSE(atomic_commit(&file, &diag));
	CU_ASSERT_TRUE_FATAL(atomic_open(&file, at("out"), &diag)); /* what Ctrl-C does */
	free(temporary);
	temporary = strdup(file.temporary);
	char *other = temporary_directory(&diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	temporaries_remove();
	CU_ASSERT_NOT_EQUAL(access(temporary, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(other, F_OK), 0);
	atomic_discard(&file);
	free(temporary);
	free(other);
	diag_free(&diag);
}

static void test_names(void)
{
	static const char *const dirty[] = {"", "a\nb", "\x7f", "\xc0\x80", "\xed\xa0\x80", "\xff", "\xe2\x80",
		"\xef\xbf\xbe", "\xf5\x80\x80\x80", "\xc2\x85"};
	static const char *const clean[] = {
		"a", "B-Disease", "so so", "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "*/ \"; ?\?/"};
	static const struct {
		const char *from, *to;
	} names[] = {
		{"minilm-sst2", "minilm_sst2"}, {"2_Dense", "_2_Dense"}, {"", "model"}, {"a/*\n*/", "a_____"}};
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
	static const SuiteTest tests[] = {
		{"a tiny directory", test_tiny}, {"length limits", test_limits}, {"bad configs", test_bad_configs},
		{"bad checkpoints", test_bad_checkpoints}, {"shards", test_shards}, {"tasks", test_tasks},
		{"sentence-transformers", test_sbert}, {"files", test_files}, {"names", test_names},
		{"atomic files", test_atomic}, /* the last test: removes the directory, as Ctrl-C does */
	};
	if (argc == 2 && strcmp(argv[1], "--eval") == 0)
		return eval_models();
	return SUITE_RUN_IN_DIRECTORY("load", tests, NULL);
}
