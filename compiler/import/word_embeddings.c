/* word_embeddings.c: the modules of sentence-transformers over words. Three of them take the place of an
 * encoder: WordEmbeddings, whose folder has wordembedding_config.json, model.safetensors and a tokenizer;
 * SparseStaticEmbedding, with a weight for each token; and BoW, which has only a config.json. WordWeights,
 * CNN and LSTM follow WordEmbeddings. */
#include <string.h>
#include "sbert.h"
#include "compiler/support/files.h"

static bool read_tokenizer_class(SbertReader *r, const json_t *json, const char *path)
{
	static const char *const known[] = {"WhitespaceTokenizer", "TransformersTokenizerWrapper"};
	const char *name = NULL;
	if (!json_member_text(json, "tokenizer_class", &name, path, r->diag))
		return false;
	if (name && word_index(sbert_last_part(name), known, 2) >= 0)
		return true;
	return diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
		"tokenizer_class \"%.80s\" is not supported; known: WhitespaceTokenizer, "
		"TransformersTokenizerWrapper",
		name ? name : "");
}

/* The encoder of a pipeline of words. */
bool sbert_read_words(SbertReader *r, const char *folder)
{
	SbertEncoder *encoder = &r->sbert->encoder;
	if (*folder)
		r->sbert->directory = mem_printf(r->desc->mem, "%s/%s", r->root, folder);
	encoder->file = "wordembedding_config.json";
	encoder->model_limit_rule = "max_seq_length";
	const char *path = mem_printf(r->desc->mem, "%s/%s", r->sbert->directory, encoder->file);
	json_t *json = json_read(path, JSON_CONFIG_BYTES_MAX, JSON_DECODE_INT_AS_REAL, r->diag);
	bool good = json != NULL;
	if (good && !json_is_object(json))
		good = diag_error_in(r->diag, EXIT_INPUT, path, 0, "is not a JSON object");
	keys_check(KEYS_WORDS, json, r->desc, path, r->diag);
	good = good && read_tokenizer_class(r, json, path)
		&& json_member_real(json, "max_seq_length", &encoder->model_limit, path, r->diag);
	json_decref(json);
	if (good && encoder->model_limit < 1)
		good = diag_error_in(
			r->diag, EXIT_INPUT, path, 0, "max_seq_length is %g, expected at least 1", encoder->model_limit);
	r->sbert->make = words_config;
	return good
		&& (!r->sbert->scores
			|| diag_error_in(
				r->diag, EXIT_UNSUPPORTED, r->path, 0, "WordEmbeddings in a CrossEncoder is not supported"));
}

/* What config.json would say of the tensor: its rows, and its columns, which may be the rows. NULL and a
 * message on error. */
static json_t *config_of(
	ModelDesc *desc, const char *directory, const char *type, const char *name, int rank, Diag *diag)
{
	const char *path = mem_printf(desc->mem, "%s/model.safetensors", directory);
	if (file_is_absent(path)) {
		diag_error_in(diag, EXIT_UNSUPPORTED, directory, 0,
			"has no model.safetensors; save the model once with sentence-transformers 5 or later");
		return NULL;
	}
	TensorFile *file = tensor_file_open(path, diag);
	if (!file)
		return NULL;
	const Tensor *rows = tensor_file_find(file, name);
	json_t *config = NULL;
	if (rows && rows->type.rank == rank)
		config = json_pack("{s:s, s:I, s:I}", "model_type", type, "vocab_size",
			(json_int_t)rows->type.dim[0].plus, "hidden_size", (json_int_t)rows->type.dim[rank - 1].plus);
	else
		diag_error_in(diag, EXIT_INPUT, path, 0, "has no %s %s", rank == 2 ? "matrix" : "vector", name);
	tensor_file_close(file);
	return config;
}

json_t *words_config(ModelDesc *desc, const char *directory, SbertEncoder *encoder, Diag *diag)
{
	(void)encoder;
	return config_of(desc, directory, "word-embeddings", "emb_layer.weight", 2, diag);
}

/* ---- SparseStaticEmbedding ------------------------------------------------------------------- */

bool sbert_read_idf(SbertReader *r, const char *folder)
{
	const char *path;
	if (*folder)
		r->sbert->directory = mem_printf(r->desc->mem, "%s/%s", r->root, folder);
	json_t *json = sbert_read_config(r, KEYS_WORDS, folder, &path);
	const bool listed = json && json_object_get(json, "path");
	json_decref(json);
	r->sbert->make = idf_config;
	r->head->name = r->head->task = task_names[TASK_SPARSE];
	if (json && r->sbert->scores)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"SparseStaticEmbedding in a CrossEncoder is not supported");
	return json
		&& (!listed
			|| diag_error_in(r->diag, EXIT_UNSUPPORTED, path, 0,
				"path, a JSON file of weights, is not supported; save the model once with "
				"sentence-transformers"));
}

json_t *idf_config(ModelDesc *desc, const char *directory, SbertEncoder *encoder, Diag *diag)
{
	(void)encoder;
	return config_of(desc, directory, "idf", "weight", 1, diag);
}

/* ---- BoW ------------------------------------------------------------------------------------- */

bool sbert_read_bag(SbertReader *r, const char *folder)
{
	if (*folder)
		r->sbert->directory = mem_printf(r->desc->mem, "%s/%s", r->root, folder);
	r->sbert->make = bag_config;
	r->head->pooling = pooling_words[POOL_FIRST]; /* it has one row */
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_WORDS, folder, &path);
	json_decref(json);
	return json
		&& (!r->sbert->scores
			|| diag_error_in(
				r->diag, EXIT_UNSUPPORTED, r->path, 0, "BoW in a CrossEncoder is not supported"));
}

json_t *bag_config(ModelDesc *desc, const char *directory, SbertEncoder *encoder, Diag *diag)
{
	const char *path = mem_printf(desc->mem, "%s/config.json", directory);
	json_t *json = json_read(path, JSON_WORDS_BYTES_MAX, 0, diag), *config = NULL;
	const size_t words = json_array_size(json_object_get(json, "vocab"));
	(void)encoder;
	if (json && words > 0)
		config = json_pack("{s:s, s:I, s:I}", "model_type", "bag-of-words", "vocab_size", (json_int_t)words,
			"hidden_size", (json_int_t)words);
	else if (json)
		diag_error_in(diag, EXIT_INPUT, path, 0, "has no list of words \"vocab\"");
	json_decref(json);
	return config;
}

/* ---- the modules after it -------------------------------------------------------------------- */

static bool add(SbertReader *r, ModuleKind kind, const char *folder)
{
	struct ModuleDesc *module = sbert_add_module(r, kind, folder);
	if (module)
		module->each = true;
	return module
		&& (r->sbert->make == words_config
			|| diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
				"%s is only supported after WordEmbeddings", module_words[kind]));
}

bool sbert_read_word_weights(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_config(r, KEYS_WORDS, folder, &path);
	json_decref(json);
	return json && add(r, MODULE_WORD_WEIGHTS, folder);
}

/* Each stride is 1, each kernel has a middle: then a token has a row. */
static bool check_kernels(SbertReader *r, const json_t *json, const char *path)
{
	const json_t *sizes = json_object_get(json, "kernel_sizes"),
				 *strides = json_object_get(json, "stride_sizes"), *item;
	size_t i;
	json_array_foreach(sizes, i, item) if (json_integer_value(item) % 2 == 0) return diag_error_in(r->diag,
		EXIT_UNSUPPORTED, path, 0,
		"kernel_sizes: item %zu is not an odd number; other kernels are not supported", i);
	json_array_foreach(strides, i, item) if (json_integer_value(item) != 1) return diag_error_in(
		r->diag, EXIT_UNSUPPORTED, path, 0, "stride_sizes: item %zu is not 1, the only supported one", i);
	return true;
}

bool sbert_read_cnn(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_named(r, KEYS_WORDS, folder, "cnn_config.json", &path);
	const bool good = json && check_kernels(r, json, path);
	json_decref(json);
	return good && add(r, MODULE_CNN, folder);
}

bool sbert_read_lstm(SbertReader *r, const char *folder)
{
	const char *path;
	json_t *json = sbert_read_named(r, KEYS_WORDS, folder, "lstm_config.json", &path);
	json_decref(json);
	return json && add(r, MODULE_LSTM, folder);
}
