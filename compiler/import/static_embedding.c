/* static_embedding.c: StaticEmbedding of sentence-transformers: model.safetensors and tokenizer.json in one
 * folder, without a config.json. The tensors give the sizes, and the truncation of tokenizer.json gives the
 * limit of tokens. */
#include <string.h>
#include "compiler/support/json_file.h"
#include "hf.h"
#include "compiler/support/files.h"

enum { TOKENIZER_JSON_BYTES_MAX = 256 << 20 };

/* The number of tokens that the tokenizer keeps; 0: all. */
static bool read_limit(ModelDesc *desc, const char *directory, SbertEncoder *encoder, Diag *diag)
{
	double limit = 0;
	const char *path = mem_printf(desc->mem, "%s/tokenizer.json", directory);
	json_t *json = json_read(path, TOKENIZER_JSON_BYTES_MAX, JSON_DECODE_INT_AS_REAL, diag);
	json_t *truncation = json_object_get(json, "truncation");
	bool good = json != NULL;
	if (good && json_is_object(truncation))
		good = json_member_real(truncation, "max_length", &limit, path, diag)
			&& (limit >= 1
				|| diag_error_in(
					diag, EXIT_INPUT, path, 0, "truncation.max_length is %g, expected at least 1", limit));
	json_decref(json);
	encoder->file = "tokenizer.json";
	encoder->model_limit = limit;
	encoder->model_limit_rule = "truncation.max_length";
	return good;
}

json_t *static_config(ModelDesc *desc, const char *directory, SbertEncoder *encoder, Diag *diag)
{
	const char *path = mem_printf(desc->mem, "%s/model.safetensors", directory);
	TensorFile *file = read_limit(desc, directory, encoder, diag) ? tensor_file_open(path, diag) : NULL;
	if (!file)
		return NULL;
	const Tensor *rows = tensor_file_find(file, "embedding.weight"),
				 *mapping = tensor_file_find(file, "mapping");
	rows = rows ? rows : tensor_file_find(file, "embeddings");
	json_t *config = NULL;
	if (rows && rows->type.rank == 2 && (!mapping || mapping->type.rank == 1))
		config = json_pack("{s:s, s:I, s:I}", "model_type", "static", "vocab_size",
			(json_int_t)(mapping ? mapping : rows)->type.dim[0].plus, "hidden_size",
			(json_int_t)rows->type.dim[1].plus);
	else
		diag_error_in(diag, EXIT_INPUT, path, 0,
			"has no matrix embedding.weight (StaticEmbedding) or embeddings (model2vec)");
	tensor_file_close(file);
	return config;
}
