/* bpe.c: the tokenizer model BPE. Reads its part of tokenizer.json, and the older form, vocab.json with
 * merges.txt, which transformers reads with RobertaTokenizer's defaults. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tokenizer_import.h"
#include "compiler/support/files.h"
#include "runtime/tokenize/bpe.h"
#include "runtime/tokenize/split_byte_level.h"

enum { MERGES_MAX = 1 << 22 };
typedef struct Bpe {
	int32_t nmerges;
	const BpeMerge *merges; /* by rank, without repeated pairs */
	int32_t unk_id;         /* -1: characters outside the vocabulary make no token */
	bool fuse_unk, ignore_merges, fallback;
} Bpe;

static const Bpe *data_of(const TokenizerDesc *desc) { return desc->data; }

/* ---- merges ---------------------------------------------------------------------------------- */
typedef struct MergeReader {
	TokenizerImport *import;
	const char *path; /* the file of the merges */
	List merges;      /* BpeMerge */
} MergeReader;

static bool vocab_id(const MergeReader *r, const char *token, int32_t *id)
{
	const json_t *number = *token ? json_object_get(r->import->vocab, token) : NULL;
	*id = number ? (int32_t)json_integer_value(number) : -1;
	return *id >= 0
		|| diag_error_in(r->import->diag, EXIT_INPUT, r->path, 0,
			"merge %zu uses the token \"%.64s\", which is not in the vocabulary", r->merges.count, token);
}

static bool add_merge(MergeReader *r, const char *left, const char *right)
{
	char both[2 * TOKEN_BYTES_MAX + 1];
	BpeMerge merge;
	if (r->merges.count == MERGES_MAX)
		return diag_error_in(
			r->import->diag, EXIT_UNSUPPORTED, r->path, 0, "has more than %d merges", MERGES_MAX);
	if (!vocab_id(r, left, &merge.left) || !vocab_id(r, right, &merge.right))
		return false;
	snprintf(both, sizeof both, "%s%s", left, right); /* each has at most TOKEN_BYTES_MAX bytes */
	if (!vocab_id(r, both, &merge.id))
		return false;
	list_add(&r->merges, &merge);
	return true;
}

/* Adds a merge from a line "a b". */
static bool add_merge_line(MergeReader *r, const char *line, size_t length)
{
	char text[2 * TOKEN_BYTES_MAX + 2];
	const char *space = memchr(line, ' ', length);
	if (!space || memchr(space + 1, ' ', length - (size_t)(space + 1 - line)) || length >= sizeof text
		|| memchr(line, '\0', length))
		return diag_error_in(r->import->diag, EXIT_INPUT, r->path, 0,
			"merge %zu: expected two tokens separated by a space", r->merges.count);
	memcpy(text, line, length);
	text[length] = '\0';
	text[space - line] = '\0';
	return add_merge(r, text, text + (space - line) + 1);
}

static int by_pair(const void *left, const void *right)
{
	const BpeMerge *const *a = left, *const *b = right;
	if ((*a)->left != (*b)->left)
		return (*a)->left < (*b)->left ? -1 : 1;
	if ((*a)->right != (*b)->right)
		return (*a)->right < (*b)->right ? -1 : 1;
	return (*a > *b) - (*a < *b);
}

/* Copies the merges into the data. If a pair is repeated, only the last one stays, as in the library. */
static void keep_last(MergeReader *r, Bpe *data)
{
	const int32_t count = (int32_t)r->merges.count;
	BpeMerge *all = r->merges.items, *kept = mem_alloc(r->import->mem, ((size_t)count + 1) * sizeof *kept);
	BpeMerge **sorted = checked_calloc((size_t)count + 1, sizeof *sorted);
	for (int32_t i = 0; i < count; i++)
		sorted[i] = &all[i];
	qsort(sorted, (size_t)count, sizeof *sorted, by_pair);
	for (int32_t i = 0; i + 1 < count; i++)
		if (sorted[i]->left == sorted[i + 1]->left && sorted[i]->right == sorted[i + 1]->right)
			sorted[i]->id = -1;
	for (int32_t i = 0; i < count; i++)
		if (all[i].id >= 0)
			kept[data->nmerges++] = all[i];
	data->merges = kept;
	free(sorted);
}

static bool check_unknown(const MergeReader *r, const Bpe *data)
{
	for (int32_t i = 0; i < data->nmerges && data->unk_id >= 0; i++)
		if (data->merges[i].left == data->unk_id || data->merges[i].right == data->unk_id)
			return diag_error_in(r->import->diag, EXIT_UNSUPPORTED, r->path, 0,
				"a merge uses the unknown token \"%.64s\", which is not supported", r->import->unk_token);
	return true;
}

/* Byte fallback is supported where each byte has a token, and no merge uses one: then unknown characters
 * never join their neighbours. */
static bool check_fallback(const MergeReader *r, const Bpe *data)
{
	const TokenizerDesc *desc = r->import->desc;
	if (data->fallback && vocab_bytes(desc, NULL, 0) < 256)
		return IMPORT_ERROR(r->import, EXIT_UNSUPPORTED,
			"model BPE has byte_fallback, but not all tokens from <0x00> to <0xFF>, which is not supported");
	for (int32_t i = 0; i < data->nmerges && data->fallback; i++)
		if (vocab_is_byte(desc->vocab[data->merges[i].left])
			|| vocab_is_byte(desc->vocab[data->merges[i].right])
			|| vocab_is_byte(desc->vocab[data->merges[i].id]))
			return IMPORT_ERROR(r->import, EXIT_UNSUPPORTED,
				"model BPE has byte_fallback, and merge %d has the token of a byte, which is not supported",
				i);
	return true;
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */
static bool is_untyped(const json_t *model) { return json_object_get(model, "merges"); }

/* Refuses options that change ids and are not supported. */
static bool refuse_options(TokenizerImport *import, const json_t *model)
{
	static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
	double dropout = 0;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		const char *text = "";
		if (!json_member_text(model, texts[i], &text, import->path, import->diag))
			return false;
		if (*text)
			return IMPORT_ERROR(
				import, EXIT_UNSUPPORTED, "model BPE with %s \"%.64s\" is not supported", texts[i], text);
	}
	if (!json_member_real(model, "dropout", &dropout, import->path, import->diag))
		return false;
	if (dropout != 0)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"model BPE with dropout %g skips merges at random, which is not supported; set it to null",
			dropout);
	return true;
}

static bool read_merges(MergeReader *r, const json_t *list)
{
	const json_t *item;
	size_t i;
	if (!json_is_array(list))
		return IMPORT_ERROR(r->import, EXIT_INPUT, "model.merges is %s, expected an array",
			list ? json_kind(list) : "missing");
	json_array_foreach(list, i, item)
	{
		const char *left = json_string_value(json_array_get(item, 0)),
				   *right = json_string_value(json_array_get(item, 1));
		const bool pair = json_array_size(item) == 2 && left && right;
		if (!pair && !json_is_string(item))
			return IMPORT_ERROR(r->import, EXIT_INPUT, "merge %zu: expected two tokens", i);
		if (pair ? !add_merge(r, left, right)
				 : !add_merge_line(r, json_string_value(item), json_string_length(item)))
			return false;
	}
	return true;
}

static bool finish(MergeReader *r, Bpe *data)
{
	keep_last(r, data);
	list_free(&r->merges);
	data->unk_id = r->import->unk_token ? import_token_id(r->import, r->import->unk_token) : -1;
	r->import->desc->data = data;
	return check_unknown(r, data) && check_fallback(r, data);
}

static bool read_model(TokenizerImport *import, const json_t *model)
{
	Bpe *data = mem_alloc(import->mem, sizeof *data);
	MergeReader r = {import, import->path, list_new(sizeof(BpeMerge))};
	const char *unk = NULL;
	if (!refuse_options(import, model)
		|| !json_member_text(model, "unk_token", &unk, import->path, import->diag)
		|| !json_member_bool(model, "fuse_unk", &data->fuse_unk, import->path, import->diag)
		|| !json_member_bool(model, "ignore_merges", &data->ignore_merges, import->path, import->diag)
		|| !json_member_bool(model, "byte_fallback", &data->fallback, import->path, import->diag)
		|| !import_model_vocab(import, model))
		return false;
	import->unk_token = unk ? mem_string(import->mem, unk, strlen(unk)) : NULL;
	if (read_merges(&r, json_object_get(model, "merges")))
		return finish(&r, data);
	list_free(&r.merges);
	return false;
}

/* ---- vocab.json and merges.txt --------------------------------------------------------------- */
static bool read_vocab_json(TokenizerImport *import)
{
	json_t *vocab = json_read(import->path, TOKENIZER_BYTES_MAX, 0, import->diag);
	if (vocab && !json_is_object(vocab)) {
		IMPORT_ERROR(import, EXIT_INPUT, "is %s, expected an object of tokens and ids", json_kind(vocab));
		json_decref(vocab);
		return false;
	}
	if (!vocab)
		return false;
	json_decref(import->vocab);
	import->vocab = vocab;
	return import_vocab(import);
}

static bool read_merges_txt(MergeReader *r)
{
	size_t bytes;
	char *text = file_read(r->path, TOKENIZER_BYTES_MAX, &bytes, r->import->diag);
	json_t *checked = text ? json_stringn(text, bytes) : NULL; /* jansson checks UTF-8 */
	bool good = checked
		|| (text && diag_error_in(r->import->diag, EXIT_INPUT, r->path, 0, "is not UTF-8 text"));
	json_decref(checked);
	for (char *at = text, *stop; good && at < text + bytes; at = stop + 1) {
		stop = memchr(at, '\n', (size_t)(text + bytes - at));
		stop = stop ? stop : text + bytes;
		size_t length = (size_t)(stop - at);
		length -= length > 0 && at[length - 1] == '\r';
		if (length > 0 && !(length >= 8 && memcmp(at, "#version", 8) == 0))
			good = add_merge_line(r, at, length);
	}
	free(text);
	return good;
}

static bool read_post_processor(TokenizerImport *import)
{
	TokenizerDesc *desc = import->desc;
	if (desc->cls_id < 0 || desc->sep_id < 0)
		return IMPORT_ERROR(import, EXIT_INPUT,
			"the vocabulary has no %s token; name it in tokenizer_config.json",
			desc->cls_id < 0 ? "<s>" : "</s>");
	import_roberta_template(import, desc->cls_id, desc->sep_id);
	desc->trim_offsets = true;
	desc->trim_prefix = desc->split_number[BYTE_LEVEL_PREFIX];
	return json_member_bool(
		import->config, "trim_offsets", &desc->trim_offsets, import->config_path, import->diag);
}

static bool read_files(TokenizerImport *import)
{
	Bpe *data = mem_alloc(import->mem, sizeof *data);
	const char *slash = strrchr(import->path, '/');
	MergeReader r = {import, "merges.txt", list_new(sizeof(BpeMerge))};
	bool prefix = false;
	if (slash)
		r.path = mem_printf(import->mem, "%.*s/merges.txt", (int)(slash - import->path), import->path);
	if (!read_vocab_json(import) || !read_merges_txt(&r)) {
		list_free(&r.merges);
		return false;
	}
	import->mask_lstrip = !import->transformers5;
	if (!finish(&r, data) || !import_config_tokens(import, true)
		|| !json_member_bool(import->config, "add_prefix_space", &prefix, import->config_path, import->diag))
		return false;
	import->unk_token = NULL; /* here only a role, not the model's unknown token */
	import->desc->split = &byte_level_splitter;
	import->desc->split_number[BYTE_LEVEL_PREFIX] = prefix;
	import->desc->split_number[BYTE_LEVEL_REGEX] = true;
	return read_post_processor(import);
}

/* ---- tables ---------------------------------------------------------------------------------- */
typedef struct Tables {
	List slots, tokens; /* BPE_SLOTS, BPE_TOKENS */
	RtTokenizer t;      /* uses the lists; has no trie */
} Tables;

static int32_t characters_of(const char *token)
{
	int32_t n = 0;
	for (; *token; token++)
		n += (*token & 0xC0) != 0x80;
	return n;
}

static void build_slots(const Bpe *data, Tables *tables)
{
	uint32_t size = 16, zero = 0;
	while (size < 2 * (uint32_t)data->nmerges)
		size *= 2;
	tables->slots = list_new(sizeof(uint32_t));
	for (uint32_t i = 0; i < size; i++)
		list_add(&tables->slots, &zero);
	uint32_t *slots = tables->slots.items;
	for (int32_t i = 0; i < data->nmerges; i++) {
		uint32_t at = bpe_hash(data->merges[i].left, data->merges[i].right) & (size - 1);
		while (slots[at])
			at = (at + 1) & (size - 1);
		slots[at] = (uint32_t)i + 1;
	}
	tables->t.model_number[BPE_MASK] = (int32_t)size - 1;
}

/* For each token, finds the merge that makes it from its own characters, if there is one. A merge does if
 * both parts are made this way and no earlier merge crosses the boundary between them. Merges are processed
 * by the length of their token, so that parts come before the whole. */
static void build_tokens(const TokenizerDesc *desc, Tables *tables)
{
	const Bpe *data = data_of(desc);
	int32_t ends[TOKEN_BYTES_MAX + 2] = {0},
								   *order = checked_calloc((size_t)data->nmerges + 1, sizeof *order);
	tables->tokens = list_new(sizeof(BpeToken));
	for (int32_t id = 0; id < desc->nvocab; id++) {
		const bool character = desc->vocab[id] && characters_of(desc->vocab[id]) == 1;
		list_add(&tables->tokens, &(BpeToken){character ? BPE_CHARACTER : BPE_NEVER, -1});
	}
	BpeToken *tokens = tables->tokens.items;
	tables->t.model_table[BPE_MERGES] = data->merges;
	tables->t.model_table[BPE_SLOTS] = tables->slots.items;
	tables->t.model_table[BPE_TOKENS] = tokens;
	for (int32_t i = 0; i < data->nmerges; i++)
		ends[characters_of(desc->vocab[data->merges[i].id]) + 1]++;
	for (int32_t n = 1; n < TOKEN_BYTES_MAX + 2; n++)
		ends[n] += ends[n - 1];
	for (int32_t i = 0; i < data->nmerges; i++)
		order[ends[characters_of(desc->vocab[data->merges[i].id])]++] = i;
	for (int32_t i = 0; i < data->nmerges; i++) {
		const BpeMerge *merge = &data->merges[order[i]];
		const BpeToken *left = &tokens[merge->left], *right = &tokens[merge->right];
		if (left->merge == BPE_NEVER || right->merge == BPE_NEVER || tokens[merge->id].merge != BPE_NEVER
			|| !bpe_parted(&tables->t, merge->left, merge->right, 0))
			continue;
		int32_t time = order[i];
		time = left->time > time ? left->time : time;
		time = right->time > time ? right->time : time;
		tokens[merge->id] = (BpeToken){order[i], time};
	}
	free(order);
}

static void build_tables(const TokenizerDesc *desc, Tables *tables)
{
	*tables = (Tables){0};
	build_slots(data_of(desc), tables);
	build_tokens(desc, tables);
}

static bool layout_tables(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	const Bpe *data = data_of(desc);
	Tables tables;
	List units;
	const bool good = layout_vocab(desc, &units, diag);
	build_tables(desc, &tables);
	if (data->fallback)
		layout->model_table[BPE_BYTES] = layout_bytes(&units, blob);
	layout->model_table[BPE_VOCAB] = layout_add(blob, &units);
	layout->model_table[BPE_MERGES] = blob_add(
		blob, data->merges, (size_t)data->nmerges * sizeof *data->merges);
	layout->model_table[BPE_SLOTS] = layout_add(blob, &tables.slots);
	layout->model_table[BPE_TOKENS] = layout_add(blob, &tables.tokens);
	layout->model_number[BPE_MASK] = tables.t.model_number[BPE_MASK];
	layout->model_number[BPE_UNK] = data->unk_id;
	layout->model_number[BPE_FUSE] = data->fuse_unk;
	layout->model_number[BPE_IGNORE_MERGES] = data->ignore_merges;
	layout->model_number[BPE_FALLBACK] = data->fallback;
	return good;
}

/* ---- other functions of the model ------------------------------------------------------------ */
static bool equal(const TokenizerDesc *a, const TokenizerDesc *b)
{
	const Bpe *x = data_of(a), *y = data_of(b);
	return x->nmerges == y->nmerges && x->unk_id == y->unk_id && x->fuse_unk == y->fuse_unk
		&& x->fallback == y->fallback && x->ignore_merges == y->ignore_merges
		&& memcmp(x->merges, y->merges, (size_t)x->nmerges * sizeof *x->merges) == 0;
}

/* True if the token continues a word. With ByteLevel, a word begins with a space, a digit or punctuation. The
 * first word of a text has no space, so its first token is taken for a continuation. */
static bool continues(const TokenizerDesc *desc, int32_t id)
{
	const unsigned char *token = (const unsigned char *)desc->vocab[id];
	const bool letter = (*token | 0x20) >= 'a' && (*token | 0x20) <= 'z';
	const bool space = token[0] == 0xC4 && token[1] == 0xA0; /* U+0120 */
	return desc->split == &byte_level_splitter && (letter || (*token >= 0x80 && !space));
}

static bool is_single_character(const TokenizerDesc *desc, int32_t id)
{
	return characters_of(desc->vocab[id]) == 1;
}

/* Marks the parts of each used token as used, too. */
static void close_parts(const TokenizerDesc *desc, bool *used, int32_t rows)
{
	Tables tables;
	build_tables(desc, &tables);
	const BpeToken *tokens = tables.tokens.items;
	if (data_of(desc)->fallback)
		(void)vocab_bytes(desc, used, rows);
	for (bool changed = true; changed;) {
		changed = false;
		for (int32_t id = 0; id < rows && id < desc->nvocab; id++) {
			if (!used[id] || tokens[id].merge < 0)
				continue;
			const BpeMerge *merge = &data_of(desc)->merges[tokens[id].merge];
			const int32_t parts[] = {merge->left, merge->right};
			for (int k = 0; k < 2; k++) {
				changed |= parts[k] < rows && !used[parts[k]];
				if (parts[k] < rows)
					used[parts[k]] = true;
			}
		}
	}
	list_free(&tables.slots);
	list_free(&tables.tokens);
}

/* Renumbers the merges. Drops merges with a removed token. */
static const void *renumber(const TokenizerDesc *desc, const int32_t *to, int32_t rows, MemArena *mem)
{
	const Bpe *old = data_of(desc);
	Bpe *data = mem_alloc(mem, sizeof *data);
	BpeMerge *merges = mem_alloc(mem, ((size_t)old->nmerges + 1) * sizeof *merges);
	*data = *old;
	data->nmerges = 0;
	data->merges = merges;
	data->unk_id = old->unk_id >= 0 && old->unk_id < rows ? to[old->unk_id] : -1;
	for (int32_t i = 0; i < old->nmerges; i++) {
		const BpeMerge *merge = &old->merges[i];
		if (merge->left >= rows || merge->right >= rows || merge->id >= rows)
			continue;
		const BpeMerge fresh = {to[merge->left], to[merge->right], to[merge->id]};
		if (fresh.left >= 0 && fresh.right >= 0 && fresh.id >= 0)
			merges[data->nmerges++] = fresh;
	}
	return data;
}

/* ---- writing the files with new ids ---------------------------------------------------------- */
static void rewrite(const TokenizerDesc *desc, json_t *model)
{
	const Bpe *data = data_of(desc);
	const bool lines = json_is_string(json_array_get(json_object_get(model, "merges"), 0));
	json_t *merges = json_array();
	for (int32_t i = 0; i < data->nmerges; i++) {
		const char *left = desc->vocab[data->merges[i].left], *right = desc->vocab[data->merges[i].right];
		json_array_append_new(
			merges, lines ? json_sprintf("%s %s", left, right) : json_pack("[s, s]", left, right));
	}
	json_object_set_new(model, "merges", merges);
}

static void write_vocab_json(const TokenizerDesc *desc, FILE *to)
{
	json_t *vocab = json_object();
	for (int32_t id = 0; id < desc->nvocab; id++)
		if (desc->vocab[id])
			json_object_set_new(vocab, desc->vocab[id], json_integer(id));
	json_dumpf(vocab, to, JSON_INDENT(2));
	fputc('\n', to);
	json_decref(vocab);
}

static void write_merges_txt(const TokenizerDesc *desc, FILE *to)
{
	const Bpe *data = data_of(desc);
	fputs("#version: 0.2\n", to);
	for (int32_t i = 0; i < data->nmerges; i++)
		fprintf(to, "%s %s\n", desc->vocab[data->merges[i].left], desc->vocab[data->merges[i].right]);
}

static void write_file(const TokenizerDesc *desc, const char *name, FILE *to)
{
	if (strcmp(name, "vocab.json") == 0)
		write_vocab_json(desc, to);
	else
		write_merges_txt(desc, to);
}

const TokenizerModel bpe_tokenizer = {
	.name = "bpe",
	.type = "BPE",
	.word = bpe_word,
	.roles = {"<unk>", "</s>", "<pad>", "<s>", "<mask>"},
	.read = read_model,
	.is_untyped = is_untyped,
	.files = {"vocab.json", "merges.txt"},
	.read_files = read_files,
	.layout = layout_tables,
	.equal = equal,
	.continues = continues,
	.is_single_character = is_single_character,
	.close = close_parts,
	.renumber = renumber,
	.rewrite = rewrite,
	.write_file = write_file,
};
