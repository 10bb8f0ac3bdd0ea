/* wordpiece.c: the tokenizer model WordPiece. Reads its part of tokenizer.json, and the older form,
 * vocab.txt, which transformers reads with BertTokenizer's defaults: [UNK] [SEP] [PAD] [CLS] [MASK], lower
 * case, each Chinese character a word. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_import.h"
#include "wordpiece.h"
#include "compiler/support/files.h"
#include "runtime/tokenize/wordpiece.h"

static const WordPiece *data_of(const TokenizerDesc *desc) { return desc->data; }

static void set_data(TokenizerImport *import, const char *prefix, int64_t chars)
{
	WordPiece *data = mem_alloc(import->mem, sizeof *data);
	data->prefix = mem_string(import->mem, prefix, strlen(prefix));
	data->max_word_chars = (int32_t)chars;
	import->desc->data = data;
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */
static bool is_untyped(const json_t *model) { return json_object_get(model, "max_input_chars_per_word"); }

static bool read_model(TokenizerImport *import, const json_t *model)
{
	const char *unk = "[UNK]", *prefix = "##";
	int64_t chars = 100;
	if (!json_member_text(model, "unk_token", &unk, import->path, import->diag)
		|| !json_member_text(model, "continuing_subword_prefix", &prefix, import->path, import->diag)
		|| !json_member_int(
			model, "max_input_chars_per_word", 0, INT64_MAX, &chars, import->path, import->diag))
		return false;
	if (chars > RT_WORD_CHARS_MAX)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"max_input_chars_per_word is %lld, at most %d is supported", (long long)chars, RT_WORD_CHARS_MAX);
	import->unk_token = mem_string(import->mem, unk, strlen(unk));
	set_data(import, prefix, chars);
	return import_model_vocab(import, model);
}

/* ---- vocab.txt ------------------------------------------------------------------------------- */
/* Reads one token per line; its id is the line number, from 0. If lines are equal, the last one applies, as
 * in a Python dictionary. */
static bool read_vocab_txt(TokenizerImport *import)
{
	size_t bytes;
	char *text = file_read(import->path, TOKENIZER_BYTES_MAX, &bytes, import->diag);
	if (!text)
		return false;
	bool fine = true;
	int line = 0;
	for (char *at = text, *end = text + bytes, *stop; fine && at < end; at = stop + 1, line++) {
		stop = memchr(at, '\n', (size_t)(end - at));
		stop = stop ? stop : end;
		size_t length = (size_t)(stop - at);
		length -= length > 0 && at[length - 1] == '\r';
		at[length] = '\0';
		if (strlen(at) != length
			|| json_object_set_new(import->vocab, at, json_integer(line)) != 0) /* jansson checks UTF-8 */
			fine = diag_error_in(
				import->diag, EXIT_INPUT, import->path, line + 1, "the token is not UTF-8 text");
		else if (line >= TOKEN_IDS_MAX)
			fine = diag_error_in(
				import->diag, EXIT_INPUT, import->path, line + 1, "more than %d tokens", TOKEN_IDS_MAX);
	}
	free(text);
	return fine;
}

static bool read_normalizer(TokenizerImport *import)
{
	BertSettings settings = {true, true, -1};
	return import_bert_settings(import, &settings) && import_bert_normalizer(import, true, &settings);
}

static bool read_files(TokenizerImport *import)
{
	TokenizerDesc *desc = import->desc;
	set_data(import, "##", 100);
	desc->split = &bert_splitter;
	if (!read_vocab_txt(import) || !import_vocab(import) || !read_normalizer(import)
		|| !import_config_tokens(import, true))
		return false;
	if (desc->cls_id < 0 || desc->sep_id < 0)
		return IMPORT_ERROR(import, EXIT_INPUT,
			"the vocabulary has no %s token; name it in tokenizer_config.json",
			desc->cls_id < 0 ? "[CLS]" : "[SEP]");
	import_bert_template(import, desc->cls_id, desc->sep_id);
	return true;
}

/* ---- tables ---------------------------------------------------------------------------------- */
static bool layout_tables(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	const WordPiece *data = data_of(desc);
	List units;
	const bool good = layout_vocab(desc, &units, diag);
	layout->continues = data->prefix[0] != '\0';
	layout->model_number[WORDPIECE_UNK] = desc->unk_id;
	layout->model_number[WORDPIECE_CHARS] = data->max_word_chars;
	layout->model_number[WORDPIECE_INSIDE] = trie_walk(&units, data->prefix, (int32_t)strlen(data->prefix));
	layout->model_table[WORDPIECE_VOCAB] = layout_add(blob, &units);
	return good;
}

/* ---- other functions of the model ------------------------------------------------------------ */
static bool equal(const TokenizerDesc *a, const TokenizerDesc *b)
{
	return strcmp(data_of(a)->prefix, data_of(b)->prefix) == 0
		&& data_of(a)->max_word_chars == data_of(b)->max_word_chars;
}

static bool continues(const TokenizerDesc *desc, int32_t id)
{
	const char *prefix = data_of(desc)->prefix;
	const size_t length = strlen(prefix);
	return length && id < desc->nvocab && desc->vocab[id] && strncmp(desc->vocab[id], prefix, length) == 0
		&& desc->vocab[id][length];
}

/* True for a token in brackets, such as [unused1]. A text never gives such a token, because brackets are
 * separate words. */
static bool is_never(const TokenizerDesc *desc, int32_t id)
{
	return desc->vocab[id][0] == '[' && desc->vocab[id][1];
}

static bool is_single_character(const TokenizerDesc *desc, int32_t id)
{
	const size_t skip = continues(desc, id) ? strlen(data_of(desc)->prefix) : 0;
	int characters = 0;
	for (const unsigned char *c = (const unsigned char *)desc->vocab[id] + skip; *c; c++)
		characters += (*c & 0xc0) != 0x80;
	return characters == 1;
}

/* Writes one token per line; its line number is its id. */
static void write_file(const TokenizerDesc *desc, const char *name, FILE *to)
{
	(void)name;
	for (int32_t id = 0; id < desc->nvocab; id++)
		fprintf(to, "%s\n", desc->vocab[id] ? desc->vocab[id] : "");
}

const TokenizerModel wordpiece_tokenizer = {
	.name = "wordpiece",
	.type = "WordPiece",
	.word = wordpiece_word,
	.roles = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
	.read = read_model,
	.is_untyped = is_untyped,
	.files = {"vocab.txt"},
	.read_files = read_files,
	.layout = layout_tables,
	.equal = equal,
	.continues = continues,
	.is_never = is_never,
	.is_single_character = is_single_character,
	.renumber = model_keeps,
	.write_file = write_file,
};
