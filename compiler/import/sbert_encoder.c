/* sbert_encoder.c: sentence_bert_config.json, which sentence-transformers writes beside an encoder: its
 * output, its length limit, and whether texts become lower case. Keys that would change an answer in
 * another way are refused. */
#include <string.h>
#include "compiler/support/json_file.h"
#include "hf.h"
#include "keys.h"
#include "compiler/support/files.h"

/* The first that is there and not empty. */
const char *const sbert_encoder_files[] = {"sentence_bert_config.json", "sentence_roberta_config.json",
	"sentence_distilbert_config.json", "sentence_camembert_config.json", "sentence_albert_config.json",
	"sentence_xlm-roberta_config.json", "sentence_xlnet_config.json", NULL};

typedef struct EncoderReader {
	const char *path;
	ModelDesc *desc;
	SbertEncoder *encoder;
	Diag *diag;
} EncoderReader;

static bool refuse(EncoderReader *r, const char *object, const char *key, const char *why)
{
	return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0, "%s%s\"%.80s\" is not supported%s%s", object,
		*object ? " has " : "", key, *why ? ": " : "", why);
}

/* A limit; *out keeps its value if there is none. */
static bool read_limit(EncoderReader *r, const json_t *object, const char *key, double *out)
{
	double value = 0;
	if (!object || !json_member_real(object, key, &value, r->path, r->diag))
		return !object;
	if (!json_is_number(json_object_get(object, key)))
		return true;
	if (value < 1)
		return diag_error_in(r->diag, EXIT_INPUT, r->path, 0, "%s is %g, expected at least 1", key, value);
	*out = value;
	return true;
}

/* ---- arguments of the encoder, its tokenizer and calls of it ---------------------------------- */

/* An object that may be missing; NULL and true then. */
static bool read_object(EncoderReader *r, const json_t *from, const char *key, const json_t **out)
{
	*out = json_object_get(from, key);
	if (*out && json_is_null(*out))
		*out = NULL;
	return !*out || json_is_object(*out)
		|| diag_error_in(
			r->diag, EXIT_INPUT, r->path, 0, "%s is %s, expected an object", key, json_kind(*out));
}

/* Keys that change no answer: where and how fast the model runs, and how the program's batches look. */
static const char *const harmless[] = {"add_pooling_layer", "attn_implementation", "cache_dir", "device_map",
	"dtype", "local_files_only", "low_cpu_mem_usage", "padding", "padding_side", "return_tensors", "token",
	"torch_dtype", "trust_remote_code", "unpad_inputs", "use_cache", "use_fast",
	"use_memory_efficient_attention"};

static bool is_harmless(const char *key)
{
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		if (strcmp(harmless[i], key) == 0)
			return true;
	return false;
}

/* Refuses the keys of object NAME, except `obeyed` and those that change no answer. */
static bool check_keys(EncoderReader *r, const char *name, const json_t *object, const char *obeyed)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const bool cuts = strcmp(key, "truncation") == 0
			&& (json_is_true(value)
				|| (json_is_string(value) && !strcmp(json_string_value(value), "longest_first")));
		if (!cuts && strcmp(key, obeyed) != 0 && !is_harmless(key))
			return refuse(r, name, key, "");
	}
	return true;
}

/* The keyword arguments with which the parts are made. Files may have both spellings. */
static bool read_arguments(EncoderReader *r, const json_t *json)
{
	static const struct {
		const char *name, *obeyed;
	} arguments[] = {{"model_args", ""}, {"model_kwargs", ""}, {"config_args", ""}, {"config_kwargs", ""},
		{"tokenizer_args", "model_max_length"}, {"processor_kwargs", "model_max_length"}};
	for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++) {
		const json_t *object;
		double limit = 0;
		if (!read_object(r, json, arguments[i].name, &object)
			|| !check_keys(r, arguments[i].name, object, arguments[i].obeyed))
			return false;
		if (!*arguments[i].obeyed || !read_limit(r, object, "model_max_length", &limit))
			continue;
		if (limit > 0) { /* it wins over max_seq_length */
			r->encoder->model_limit = limit;
			r->encoder->model_limit_rule = "model_max_length";
		}
	}
	return true;
}

/* The keyword arguments of every call of the tokenizer. */
static bool read_call(EncoderReader *r, const json_t *json)
{
	const json_t *all, *common, *text;
	if (!read_object(r, json, "processing_kwargs", &all) || !all)
		return !all || json_is_object(all);
	return read_object(r, all, "common", &common) && check_keys(r, "processing_kwargs.common", common, "")
		&& read_object(r, all, "text", &text) && check_keys(r, "processing_kwargs.text", text, "max_length")
		&& read_limit(r, text, "max_length", &r->encoder->limit);
}

/* ---- the output ------------------------------------------------------------------------------- */

/* The method and its output for texts: forward, and the last hidden state unless the file says otherwise. */
static bool read_method(EncoderReader *r, const json_t *json)
{
	static const char *const known[] = {"last_hidden_state", "pooler_output", "logits"};
	const char *method = "forward", *output = known[0];
	const json_t *all, *text = NULL;
	if (!read_object(r, json, "modality_config", &all) || (all && !read_object(r, all, "text", &text)))
		return false;
	if (!text)
		return !all || refuse(r, "", "modality_config", "it has no entry for text");
	if (json_object_get(all, "message"))
		return refuse(r, "modality_config", "message", "chat templates are not supported");
	if (json_is_array(json_object_get(text, "method_output_name")))
		return refuse(r, "modality_config", "method_output_name", "it is a list");
	if (!json_member_text(text, "method", &method, r->path, r->diag)
		|| !json_member_text(text, "method_output_name", &output, r->path, r->diag))
		return false;
	if (strcmp(method, "forward") != 0)
		return refuse(r, "modality_config", method, "the only method is \"forward\"");
	if (word_index(output, known, 3) < 0)
		return refuse(
			r, "modality_config", output, "known outputs: last_hidden_state, pooler_output, logits");
	r->encoder->pooler = strcmp(output, "pooler_output") == 0;
	return true;
}

static bool read_output(EncoderReader *r, const json_t *json)
{
	static const struct {
		const char *task, *output;
	} tasks[] = {{"feature-extraction", "token_embeddings"}, {"fill-mask", "token_embeddings"},
		{"sequence-classification", "scores"}};
	const char *task = tasks[r->encoder->words].task, *output = NULL;
	if (!json_member_text(json, "transformer_task", &task, r->path, r->diag)
		|| !json_member_text(json, "module_output_name", &output, r->path, r->diag) || !read_method(r, json))
		return false;
	for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
		if (strcmp(task, tasks[i].task) != 0)
			continue;
		if (!output || !json_object_get(json, "modality_config"))
			output = tasks[i].output;
		const bool pooled = strcmp(output, "sentence_embedding") == 0;
		if (r->encoder->pooler != pooled || (!pooled && strcmp(output, tasks[i].output) != 0))
			return refuse(r, "", output, "transformer_task and modality_config give another output");
		r->encoder->words = i == 1;
		r->encoder->output = mem_string(r->desc->mem, output, strlen(output));
		return true;
	}
	return refuse(
		r, "transformer_task", task, "known: feature-extraction, fill-mask, sequence-classification");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool read_keys(EncoderReader *r, const json_t *json)
{
	const json_t *tokenizer = json_object_get(json, "tokenizer_name_or_path");
	if (tokenizer && !json_is_null(tokenizer))
		return refuse(r, "", "tokenizer_name_or_path", "the tokenizer must lie beside the encoder");
	if (!read_limit(r, json, "max_seq_length", &r->encoder->model_limit))
		return false;
	r->encoder->model_limit_rule = "max_seq_length";
	return json_member_bool(json, "do_lower_case", &r->encoder->lowercase, r->path, r->diag)
		&& read_arguments(r, json) && read_call(r, json) && read_output(r, json)
		&& (!r->encoder->late || sbert_read_late(r->desc, json, r->path, r->encoder->limit > 0, r->diag));
}

bool sbert_read_encoder(ModelDesc *desc, const char *directory, SbertEncoder *encoder, Diag *diag)
{
	EncoderReader reader = {.desc = desc, .encoder = encoder, .diag = diag};
	encoder->output = "token_embeddings";
	for (size_t i = 0; sbert_encoder_files[i] && !encoder->file; i++) {
		reader.path = mem_printf(desc->mem, "%s/%s", directory, sbert_encoder_files[i]);
		if (file_is_absent(reader.path))
			continue;
		json_t *json = json_read(reader.path, JSON_CONFIG_BYTES_MAX, JSON_DECODE_INT_AS_REAL, diag);
		bool good = json != NULL;
		if (good && !json_is_object(json))
			good = diag_error_in(diag, EXIT_INPUT, reader.path, 0, "is not a JSON object");
		if (good && json_object_size(json) > 0)
			encoder->file = sbert_encoder_files[i];
		keys_check(KEYS_ENCODER, json, desc, reader.path, diag);
		good = good && read_keys(&reader, json);
		json_decref(json);
		if (!good)
			return false;
	}
	return true;
}
