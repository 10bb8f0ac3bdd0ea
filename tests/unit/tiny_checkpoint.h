/* tiny_checkpoint.h: common code of the tests of loading: writes a tiny BERT to a temporary directory, loads
 * it, and checks refusals. */
#ifndef TINY_CHECKPOINT_H
#define TINY_CHECKPOINT_H
#include "tests/unit/directory.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "compiler/import/import.h"
#include "compiler/model/builder.h"
#include "compiler/tokenizer/tokenizer.h"
#include "compiler/support/json_file.h"

/* ---- a tiny BERT: one layer, hidden 8, ffn 12, 20 words, 10 positions, 3 labels -------------- */

#define CONFIG \
	"\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"], \"vocab_size\": 20, " \
	"\"hidden_size\": 8, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"intermediate_size\": 12, " \
	"\"max_position_embeddings\": 10"
#define LABELS "\"id2label\": {\"0\": \"bad\", \"1\": \"so so\", \"2\": \"good <&>\"}"

static const struct {
	const char *name;
	int rows, columns;
} tiny_tensors[] = {
	{"bert.embeddings.word_embeddings.weight", 20, 8},
	{"bert.embeddings.position_embeddings.weight", 10, 8},
	{"bert.embeddings.token_type_embeddings.weight", 2, 8},
	{"bert.embeddings.LayerNorm.weight", 8, 0},
	{"bert.embeddings.LayerNorm.bias", 8, 0},
	{"bert.encoder.layer.0.attention.self.query.weight", 8, 8},
	{"bert.encoder.layer.0.attention.self.query.bias", 8, 0},
	{"bert.encoder.layer.0.attention.self.key.weight", 8, 8},
	{"bert.encoder.layer.0.attention.self.key.bias", 8, 0},
	{"bert.encoder.layer.0.attention.self.value.weight", 8, 8},
	{"bert.encoder.layer.0.attention.self.value.bias", 8, 0},
	{"bert.encoder.layer.0.attention.output.dense.weight", 8, 8},
	{"bert.encoder.layer.0.attention.output.dense.bias", 8, 0},
	{"bert.encoder.layer.0.attention.output.LayerNorm.weight", 8, 0},
	{"bert.encoder.layer.0.attention.output.LayerNorm.bias", 8, 0},
	{"bert.encoder.layer.0.intermediate.dense.weight", 12, 8},
	{"bert.encoder.layer.0.intermediate.dense.bias", 12, 0},
	{"bert.encoder.layer.0.output.dense.weight", 8, 12},
	{"bert.encoder.layer.0.output.dense.bias", 8, 0},
	{"bert.encoder.layer.0.output.LayerNorm.weight", 8, 0},
	{"bert.encoder.layer.0.output.LayerNorm.bias", 8, 0},
	{"bert.pooler.dense.weight", 8, 8},
	{"bert.pooler.dense.bias", 8, 0},
	{"classifier.weight", 3, 8},
	{"classifier.bias", 3, 0},
};
enum { TINY_TENSORS = sizeof tiny_tensors / sizeof *tiny_tensors };

/* Tensors [from, to) of the list, `skip` left out, into one file. */
static inline void write_tensors(const char *name, int from, int to, const char *skip)
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
		tensors[count] = (Tensor){.name = tiny_tensors[i].name,
			.type = type,
			.data = numbers,
			.bytes = 4 * rows * (columns ? columns : 1)};
		list[count] = &tensors[count];
		count++;
	}
	CU_ASSERT_TRUE_FATAL(safetensors_write(at(name), list, count, &diag));
	diag_free(&diag);
}

static inline void write_tiny(const char *config)
{
	write_file("config.json", config);
	write_tensors("model.safetensors", 0, TINY_TENSORS, NULL);
}

/* ---- loading, and what came of it ------------------------------------------------------------ */

typedef struct Result {
	ExitCode code;
	char *messages, *text;
	Loaded loaded;
} Result;

static inline Result load_with(const LoadOptions *options)
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

static inline Result load(const char *model) { return load_with(&(LoadOptions){.model = model}); }

static inline void result_free(Result *result)
{
	if (result->text)
		model_unload(&result->loaded);
	free(result->messages);
	free(result->text);
}

static inline void expect_error(const char *what, Result result, ExitCode code, const char *part)
{
	bool right = !result.text && result.code == code && strstr(result.messages, part);
	if (!right)
		printf("\n%s: expected exit %d and \"%s\", got exit %d and %s", what, code, part,
			result.text ? 0 : (int)result.code, result.messages);
	CU_ASSERT_TRUE(right);
	result_free(&result);
}
#endif
