/* tokenizer_write.c: writes a tokenizer's files with renumbered ids: tokenizer.json, vocab.txt and the ids in
 * the configuration files. Everything else in them stays unchanged. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer_import.h"
#include "export.h"

typedef struct Rewriter {
	const Loaded *loaded;
	MemArena *mem;
} Rewriter;

static int64_t new_id(const Rewriter *r, const json_t *id)
{
	const json_int_t old = json_is_integer(id) ? json_integer_value(id) : -1;
	return old >= 0 && old < r->loaded->nrenumbered ? r->loaded->renumbered[old] : -1;
}

/* Gives a member that holds an id its new id. Removes the member if the token was removed. */
static void renumber_member(const Rewriter *r, json_t *object, const char *key)
{
	const json_t *id = json_object_get(object, key);
	const int64_t number = new_id(r, id);
	if (json_is_integer(id) && number >= 0)
		json_object_set_new(object, key, json_integer(number));
	else if (json_is_integer(id))
		json_object_del(object, key);
}

/* {"token": id}, sorted by the new ids. */
static json_t *renumber_vocab(const Rewriter *r, json_t *vocab)
{
	const char *token;
	json_t *id, *fresh = json_object();
	const char **by_id = mem_alloc(r->mem, ((size_t)r->loaded->nrenumbered + 1) * sizeof *by_id);
	json_object_foreach(vocab, token, id) if (new_id(r, id) >= 0) by_id[new_id(r, id)] = token;
	for (int32_t i = 0; i < r->loaded->nrenumbered; i++)
		if (by_id[i])
			json_object_set_new(fresh, by_id[i], json_integer(i));
	return fresh;
}

/* "ids": [101] in the special tokens of a template, and ["[SEP]", 102] in BertProcessing. */
static void renumber_processor(const Rewriter *r, json_t *processor)
{
	static const char *const pairs[] = {"cls", "sep"};
	const char *name;
	json_t *token, *item;
	size_t i;
	json_object_foreach(json_object_get(processor, "special_tokens"), name, token)
	{
		json_t *ids = json_object_get(token, "ids");
		json_array_foreach(ids, i, item) json_array_set_new(ids, i, json_integer(new_id(r, item)));
	}
	for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		json_t *pair = json_object_get(processor, pairs[i]);
		if (json_array_size(pair) == 2)
			json_array_set_new(pair, 1, json_integer(new_id(r, json_array_get(pair, 1))));
	}
	json_array_foreach(json_object_get(processor, "processors"), i, item) renumber_processor(r, item);
}

static void renumber_tokenizer(const Rewriter *r, json_t *root)
{
	json_t *model = json_object_get(root, "model"), *token;
	size_t i;
	json_object_set_new(model, "vocab", renumber_vocab(r, json_object_get(model, "vocab")));
	if (r->loaded->tokenizer->model->rewrite)
		r->loaded->tokenizer->model->rewrite(r->loaded->tokenizer, model);
	json_array_foreach(json_object_get(root, "added_tokens"), i, token) renumber_member(r, token, "id");
	renumber_processor(r, json_object_get(root, "post_processor"));
	renumber_member(r, json_object_get(root, "padding"), "pad_id");
}

/* {"101": {"content": ..}} */
static void renumber_config(const Rewriter *r, json_t *root)
{
	json_t *decoder = json_object_get(root, "added_tokens_decoder"), *fresh, *token;
	const char *key;
	if (!json_is_object(decoder))
		return;
	fresh = json_object();
	json_object_foreach(decoder, key, token)
	{
		json_t *id = json_integer(strtoll(key, NULL, 10));
		if (new_id(r, id) >= 0)
			json_object_set(fresh, mem_printf(r->mem, "%lld", (long long)new_id(r, id)), token);
		json_decref(id);
	}
	json_object_set_new(root, "added_tokens_decoder", fresh);
}

static void renumber_added(const Rewriter *r, json_t *root)
{
	const char *token;
	json_t *id;
	void *next;
	json_object_foreach_safe(root, next, token, id) renumber_member(r, root, token);
}

void tokenizer_renumber_roles(const Loaded *loaded, json_t *config)
{
	const Rewriter r = {loaded, NULL};
	static const char *const keys[] = {"pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id",
		"sep_token_id", "mask_token_id", "unk_token_id", "decoder_start_token_id"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (loaded->renumbered)
			renumber_member(&r, config, keys[i]);
}

/* tokenizer_config.json may hold an integer too large for C (model_max_length 10^30), so all its integers are
 * read as reals. Those that fit become integers again. */
static json_t *with_integers(json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;
	void *next;
	if (json_is_real(value) && fabs(json_real_value(value)) < 9e15
		&& floor(json_real_value(value)) == json_real_value(value)) {
		json_t *integer = json_integer((json_int_t)json_real_value(value));
		json_decref(value);
		return integer;
	}
	json_object_foreach_safe(value, next, key, item)
		json_object_set_new(value, key, with_integers(json_incref(item)));
	json_array_foreach(value, i, item) json_array_set_new(value, i, with_integers(json_incref(item)));
	return value;
}

static bool rewrite_json(const Rewriter *r, const char *from, const char *to,
	void (*renumber)(const Rewriter *, json_t *), Diag *diag)
{
	const bool huge = renumber == renumber_config;
	json_t *root = json_read(from, TOKENIZER_BYTES_MAX, huge ? JSON_DECODE_INT_AS_REAL : 0, diag);
	if (!root)
		return false;
	root = huge ? with_integers(root) : root;
	renumber(r, root);
	const bool good = json_write(root, huge ? 15 : 17, to, diag);
	json_decref(root);
	return good;
}

/* A file of a tokenizer without tokenizer.json: vocab.txt, or vocab.json and merges.txt. */
static bool write_older(const TokenizerDesc *desc, const char *name, const char *to, Diag *diag)
{
	AtomicFile file;
	if (!atomic_open(&file, to, diag))
		return false;
	desc->model->write_file(desc, name, file.stream);
	return atomic_commit(&file, diag);
}

bool tokenizer_write(const Loaded *loaded, const char *from, const char *to, Diag *diag)
{
	static const struct {
		const char *name;
		void (*renumber)(const Rewriter *, json_t *);
	} files[] = {
		{"tokenizer.json", renumber_tokenizer},
		{"tokenizer_config.json", renumber_config},
		{"added_tokens.json", renumber_added},
	};
	const TokenizerDesc *desc = loaded->tokenizer;
	const Rewriter r = {loaded, mem_new()};
	/* a .model file may hold a model that has files of its own elsewhere */
	const bool older = desc->model->write_file
		&& !file_is_absent(mem_printf(r.mem, "%s/%s", from, desc->model->files[0]));
	bool good = older || !file_is_absent(mem_printf(r.mem, "%s/tokenizer.json", from))
		|| diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%s cannot be written with new ids; write tokenizer.json once with transformers: "
			"AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
			loaded->desc->tokenizer);
	for (size_t i = 0; i < sizeof files / sizeof *files && good; i++) {
		const char *source = mem_printf(r.mem, "%s/%s", from, files[i].name);
		const char *target = mem_printf(r.mem, "%s/%s", to, files[i].name);
		if (!file_is_absent(source))
			good = rewrite_json(&r, source, target, files[i].renumber, diag);
	}
	for (const char *const *file = desc->model->files; older && *file && good; file++) {
		const char *source = mem_printf(r.mem, "%s/%s", from, *file);
		if (!file_is_absent(source))
			good = write_older(desc, *file, mem_printf(r.mem, "%s/%s", to, *file), diag);
	}
	mem_free(r.mem);
	return good;
}
