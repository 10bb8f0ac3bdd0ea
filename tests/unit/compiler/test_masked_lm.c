/* test_masked_lm.c: the decoder of a tiny masked BERT: which of the stored matrices and biases the program
 * reads, what it says, and what is refused. tests/python/models/test_masked_lm.py compares the numbers with
 * transformers. */
#include "tests/unit/tiny_checkpoint.h"

#define WORDS "bert.embeddings.word_embeddings.weight"
#define DECODER "cls.predictions.decoder.weight"
#define OWN "cls.predictions.decoder.bias"
#define SHARED "cls.predictions.bias"
enum { HAS_WORDS = 1, HAS_DECODER = 2, HAS_OWN = 4, HAS_SHARED = 8, DIFFER = 16, ROW_MORE = 32, ZEROS = 64 };

static const struct {
	const char *name;
	int rows, columns;
	int part; /* 0: always there */
} head_tensors[] = {
	{"cls.predictions.transform.dense.weight", 8, 8, 0},
	{"cls.predictions.transform.dense.bias", 8, 0, 0},
	{"cls.predictions.transform.LayerNorm.gamma", 8, 0, 0},
	{"cls.predictions.transform.LayerNorm.beta", 8, 0, 0},
	{DECODER, 20, 8, HAS_DECODER},
	{OWN, 20, 0, HAS_OWN},
	{SHARED, 20, 0, HAS_SHARED},
};
enum { HEAD_TENSORS = sizeof head_tensors / sizeof *head_tensors };

static Tensor tensor_of(const char *name, int rows, int columns, const float *numbers)
{
	return (Tensor){.name = name,
		.type = type_make(DT_F32, columns ? 2 : 1, dim_number(rows), dim_number(columns)),
		.data = numbers,
		.bytes = 4 * rows * (columns ? columns : 1)};
}

/* DIFFER: the decoder's own tensors hold other numbers. ROW_MORE: the last one has a row more. ZEROS: the
 * biases are of zeros. */
static void write_masked(const char *tie, int parts)
{
	static float numbers[256], zeros[32];
	Tensor tensors[TINY_TENSORS + HEAD_TENSORS];
	const Tensor *list[TINY_TENSORS + HEAD_TENSORS];
	char config[1024];
	int count = 0;
	Diag diag;
	diag_init(&diag, "model.safetensors");
	for (int i = 0; i < 256; i++)
		numbers[i] = (float)((i * 37 % 101) - 50) / 64;
	for (int i = 0; i < TINY_TENSORS; i++)
		if (parts & HAS_WORDS || strcmp(tiny_tensors[i].name, WORDS) != 0)
			tensors[count++] = tensor_of(
				tiny_tensors[i].name, tiny_tensors[i].rows, tiny_tensors[i].columns, numbers);
	for (int i = 0; i < HEAD_TENSORS; i++) {
		const int part = head_tensors[i].part, own = part & (HAS_DECODER | HAS_OWN);
		const float *from = part > HAS_DECODER && parts & ZEROS ? zeros : numbers;
		if (part && !(part & parts))
			continue;
		tensors[count++] = tensor_of(head_tensors[i].name, head_tensors[i].rows, head_tensors[i].columns,
			from + (own && parts & DIFFER ? 1 : 0));
	}
	if (parts & ROW_MORE) {
		const char *name = tensors[count - 1].name;
		tensors[count - 1] = tensor_of(name, 21, 0, numbers);
	}
	for (int i = 0; i < count; i++)
		list[i] = &tensors[i];
	snprintf(config, sizeof config, "{" CONFIG "%s}", tie);
	write_file("config.json", config);
	CU_ASSERT_TRUE_FATAL(safetensors_write(at("model.safetensors"), list, count, &diag));
	diag_free(&diag);
}

#define TIED ", \"tie_word_embeddings\": true"
#define UNTIED ", \"tie_word_embeddings\": false"

static Result load_masked(void) { return load_with(&(LoadOptions){.model = directory, .task = "fill-mask"}); }

static const Tensor *argument(const Node *node, int i)
{
	return i < node->nargs ? value_tensor(node->args[i]) : NULL;
}

static void test_accepted(void)
{
	static const struct {
		const char *tie;
		int parts;
		const char *words, *decoder, *bias; /* the tensors that are read; bias NULL: none */
		int notes;
	} cases[] = {
		{"", HAS_WORDS | HAS_SHARED, WORDS, WORDS, SHARED, 0},
		{TIED, HAS_WORDS | HAS_SHARED, WORDS, WORDS, SHARED, 0},
		{TIED, HAS_WORDS | HAS_OWN, WORDS, WORDS, OWN, 0},
		{TIED, HAS_WORDS | HAS_DECODER | HAS_OWN | HAS_SHARED, WORDS, WORDS, SHARED, 0},
		{TIED, HAS_WORDS | HAS_DECODER | HAS_OWN | HAS_SHARED | DIFFER, WORDS, DECODER, OWN, 2},
		{TIED, HAS_DECODER | HAS_SHARED, DECODER, DECODER, SHARED, 0},
		{UNTIED, HAS_WORDS | HAS_DECODER | HAS_OWN | DIFFER, WORDS, DECODER, OWN, 0},
		{UNTIED, HAS_WORDS | HAS_DECODER | HAS_SHARED | DIFFER, WORDS, DECODER, NULL, 1},
		{UNTIED, HAS_WORDS | HAS_DECODER | HAS_SHARED | ZEROS, WORDS, DECODER, NULL, 0},
		{UNTIED, HAS_WORDS | HAS_DECODER, WORDS, DECODER, NULL, 0},
		{UNTIED, HAS_WORDS | HAS_DECODER | HAS_OWN | HAS_SHARED | DIFFER, WORDS, DECODER, OWN, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_masked(cases[i].tie, cases[i].parts);
		Result result = load_masked();
		CU_ASSERT_PTR_NOT_NULL_FATAL(result.text);
		const Graph *graph = result.loaded.module->graphs[0];
		const Node *lookup = graph_lookup(graph, 0, NULL), *linear = graph->outputs[0].value->node;
		const Tensor *bias = argument(linear, 2);
		int notes = 0;
		for (const char *at = result.messages; (at = strstr(at, "transformers 4.57")); at++)
			notes++;
		const bool right = strcmp(argument(lookup, 0)->name, cases[i].words) == 0
			&& strcmp(argument(linear, 1)->name, cases[i].decoder) == 0
			&& (cases[i].bias ? bias && strcmp(bias->name, cases[i].bias) == 0 : !bias)
			&& notes == cases[i].notes;
		if (!right)
			printf("\ncase %zu: words %s, decoder %s, bias %s, %s\n", i, argument(lookup, 0)->name,
				argument(linear, 1)->name, bias ? bias->name : "none", result.messages);
		CU_ASSERT_TRUE(right);
		result_free(&result);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *tie;
		int parts;
		const char *part;
	} cases[] = {
		{", \"tie_word_embeddings\": null", HAS_WORDS | HAS_SHARED, "tie_word_embeddings is null"},
		{", \"tie_word_embeddings\": 1", HAS_WORDS | HAS_SHARED, "tie_word_embeddings is an integer"},
		{UNTIED, HAS_WORDS | HAS_OWN,
			"tie_word_embeddings is false, but model.safetensors holds no tensor " DECODER},
		{UNTIED, HAS_DECODER | HAS_OWN, "holds no " WORDS},
		{TIED, HAS_OWN | HAS_SHARED, "holds no " WORDS},
		{TIED, HAS_WORDS, "holds no tensor " SHARED},
		{TIED, HAS_WORDS | HAS_OWN | HAS_SHARED | ROW_MORE, SHARED},
		{UNTIED, HAS_WORDS | HAS_DECODER | HAS_OWN | HAS_SHARED | ROW_MORE, SHARED},
		{UNTIED, HAS_WORDS | HAS_DECODER | HAS_SHARED | ROW_MORE, SHARED},
		{UNTIED, HAS_WORDS | HAS_DECODER | HAS_OWN | ROW_MORE, OWN},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_masked(cases[i].tie, cases[i].parts);
		expect_error(cases[i].part, load_masked(), EXIT_INPUT, cases[i].part);
	}
	/* the word table of an encoder alone is not read from a decoder */
	write_masked(TIED, HAS_DECODER | HAS_SHARED);
	expect_error("embed", load_with(&(LoadOptions){.model = directory, .task = "embed"}), EXIT_INPUT,
		"holds no " WORDS);
}

int main(void)
{
	static const SuiteTest tests[] = {{"accepted", test_accepted}, {"refused", test_refused}};
	return SUITE_RUN_IN_DIRECTORY("masked_lm", tests, NULL);
}
