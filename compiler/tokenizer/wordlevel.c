/* wordlevel.c: the tokenizer model WordLevel: a list of words. Reads its part of tokenizer.json. */
#include <string.h>
#include "tokenizer_import.h"
#include "runtime/tokenize/wordlevel.h"

static bool read_model(TokenizerImport *import, const json_t *model)
{
	const char *unk = NULL;
	if (!json_member_text(model, "unk_token", &unk, import->path, import->diag)
		|| !import_model_vocab(import, model))
		return false;
	if (!unk)
		return IMPORT_ERROR(import, EXIT_INPUT, "model WordLevel has no unk_token");
	import->unk_token = mem_string(import->mem, unk, strlen(unk));
	import->desc->data = import->desc;
	return json_object_get(import->vocab, unk)
		|| IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"model WordLevel without its unknown token \"%.64s\" in the vocabulary is not supported", unk);
}

static bool layout_tables(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	List units;
	const bool good = layout_vocab(desc, &units, diag);
	layout->model_number[WORDLEVEL_UNK] = desc->unk_id;
	layout->model_table[WORDLEVEL_VOCAB] = layout_add(blob, &units);
	return good;
}

static bool equal(const TokenizerDesc *a, const TokenizerDesc *b) { return a->unk_id == b->unk_id; }

const TokenizerModel wordlevel_tokenizer = {
	.name = "wordlevel",
	.type = "WordLevel",
	.word = wordlevel_word,
	.roles = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
	.read = read_model,
	.layout = layout_tables,
	.equal = equal,
	.continues = model_never,
	.is_single_character = model_never,
	.renumber = model_keeps,
};
