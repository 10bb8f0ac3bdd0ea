/* word_modules.c: modules of sentence-transformers between WordEmbeddings and the pooling: WordWeights, CNN
 * and LSTM. Each has a folder of its own. */
#include <string.h>
#include "compiler/support/files.h"
#include "compiler/support/json_file.h"
#include "compiler/tokenizer/tokenizer.h"
#include "family.h"

static char *path_in(Builder *b, const struct ModuleDesc *module, const char *name)
{
	const ModelDesc *desc = b->desc;
	return file_find_in(desc->modules_directory ? desc->modules_directory : desc->directory, module->href,
		name, b->options->search, b->module->mem, b->diag);
}

/* ---- WordWeights ----------------------------------------------------------------------------- */

/* The number of a word in `weights`, else that of its lower case, else `unknown`. */
static double weight_of(
	Builder *b, const json_t *weights, const LowerCase *lower, const char *word, double unknown)
{
	const json_t *found = json_object_get(weights, word);
	found = found ? found : json_object_get(weights, lower_text(lower, word, b->module->mem));
	return found ? json_number_value(found) : unknown;
}

static bool check_numbers(const json_t *weights, const char *path, Diag *diag)
{
	const char *word;
	json_t *number;
	json_object_foreach(
		(json_t *)(uintptr_t)weights, word, number) if (!json_is_number(number)) return diag_error_in(diag,
		EXIT_INPUT, path, 0, "word_weights \"%.80s\" is %s, expected a number", word, json_kind(number));
	return true;
}

/* The weight of each token, from the words of `vocab`: V numbers. NULL and a message on error. */
static Tensor *weight_table(Builder *b, const json_t *json, const char *path, Type type)
{
	const json_t *words = json_object_get(json, "vocab"), *weights = json_object_get(json, "word_weights");
	const int32_t vocab = b->desc->vocab;
	double unknown = 1;
	if (!json_member_real(json, "unknown_word_weight", &unknown, path, b->diag)
		|| !check_numbers(weights, path, b->diag))
		return NULL;
	if (!json_is_array(words) || json_array_size(words) != (size_t)vocab) {
		diag_error_in(b->diag, EXIT_INPUT, path, 0, "vocab has %zu words, but there are vectors for %d",
			json_array_size(words), vocab);
		return NULL;
	}
	Tensor *table = tensor_new(b->module, NULL, type);
	const LowerCase *lower = lower_new(b->module->mem);
	for (int32_t id = 0; id < vocab; id++) {
		const char *word = json_string_value(json_array_get(words, (size_t)id));
		tensor_set(table, id, weight_of(b, weights, lower, word ? word : "", unknown));
	}
	return table;
}

Value *build_word_weights(Builder *b, const struct ModuleDesc *module, Value *x, const char *origin)
{
	char *path = path_in(b, module, "config.json");
	json_t *json = path ? json_read(path, JSON_WORDS_BYTES_MAX, JSON_DECODE_INT_AS_REAL, b->diag) : NULL;
	const Type type = type_make(DT_F32, 2, dim_number(b->desc->vocab), dim_number(1));
	const Tensor *table = json ? weight_table(b, json, path, type) : NULL;
	json_decref(json);
	if (!table) {
		b->failed = true;
		return NULL;
	}
	b->token_weights = build_embed(b, graph_const(b->graph, NULL, table, origin), b->ids, origin);
	return build_binary(b, OP_MUL, x, b->token_weights, origin);
}

Value *build_weighted_mean(Builder *b, Value *rows, bool root, const char *origin)
{
	static const double least = 1e-9; /* of sentence-transformers' Pooling */
	const Attrs sum = {.has = A_mode, .mode = POOL_SUM};
	Value *total = build_op(b, OP_POOL, &b->token_weights, 1, &sum, origin),
		  *above = build_unary(
			  b, OP_RELU, build_binary(b, OP_SUB, total, build_scalar(b, least), origin), origin),
		  *divisor = build_binary(b, OP_ADD, above, build_scalar(b, least), origin);
	return build_binary(b, OP_DIV, build_op(b, OP_POOL, &rows, 1, &sum, origin),
		root ? build_unary(b, OP_SQRT, divisor, origin) : divisor, origin);
}

Value *build_bag_once(Builder *b, Value *weights, const char *origin)
{
	if (b->failed)
		return NULL;
	Tensor *ones = tensor_new(b->module, NULL, type_make(DT_F32, 1, weights->type.dim[0]));
	for (int32_t i = 0; i < b->desc->vocab; i++)
		tensor_set(ones, i, 1);
	Value *args[] = {graph_const(b->graph, NULL, ones, origin), b->ids}, *one = build_scalar(b, 1),
		  *count = build_op(b, OP_BAG, args, 2, NULL, origin),
		  *missing = build_unary(b, OP_RELU, build_binary(b, OP_SUB, one, count, origin), origin);
	return build_binary(b, OP_MUL, build_binary(b, OP_SUB, one, missing, origin), weights, origin);
}

/* The bag of words f32[1,V]; without cumulative_term_frequency a word counts once. */
Value *build_bag(Builder *b)
{
	static const char origin[] = "words";
	const Type type = type_make(DT_F32, 1, dim_number(b->desc->vocab));
	bool every = true;
	char *path = file_find(b->desc->directory, b->desc->weights, b->options->search, b->module->mem, b->diag);
	json_t *json = path ? json_read(path, JSON_WORDS_BYTES_MAX, JSON_DECODE_INT_AS_REAL, b->diag) : NULL;
	Tensor *table = json && json_member_bool(json, "cumulative_term_frequency", &every, path, b->diag)
		? weight_table(b, json, path, type)
		: NULL;
	json_decref(json);
	if (!table) {
		b->failed = true;
		return NULL;
	}
	Value *weights = graph_const(b->graph, NULL, table, origin);
	if (every)
		return build_op(b, OP_BAG, (Value *[]){weights, b->ids}, 2, NULL, origin);
	return build_bag_once(b, weights, origin);
}

/* ---- CNN and LSTM ---------------------------------------------------------------------------- */

Value *build_word_lstm(Builder *b, Value *x, const char *origin)
{
	const Attrs columns = {.has = A_axis, .axis = 1};
	const Tensor *state = builder_floats(b, "encoder.weight_hh_l0", NULL, origin);
	const bool both = builder_has(b, "encoder.weight_ih_l0_reverse");
	if (state && state->type.rank != 2)
		builder_fail(b, EXIT_INPUT, "%s: encoder.weight_hh_l0 is no matrix", origin);
	for (int32_t i = 0; !b->failed && (!i || builder_has(b, builder_text(b, "encoder.weight_ih_l%d", i)));
		i++) {
		const Recurrence layer = {.stem = "encoder", .layer = i, .width = state->type.dim[1].plus};
		Recurrence back = layer;
		back.back = true;
		Value *way[2] = {build_recurrence(b, x, &layer, origin), NULL};
		if (both)
			way[1] = build_recurrence(b, x, &back, origin);
		x = both ? build_op(b, OP_CONCAT, way, 2, &columns, origin) : way[0];
	}
	return b->failed ? NULL : x;
}
