/* tokenizer_emit.c: writes a TokenizerDesc as tables in the blob and as the initialiser of an RtTokenizer.
 * char_tables.c makes the tables of characters, trie.c the tries, and each model's file its own tables. The
 * emitted C gets only numbers, no text of the model. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_tables.h"
/* Added tokens are normalised by the same code that looks for them in programs. */
#include "runtime/tokenize/tokenizer.c"
#include "runtime/tokenize/cuts.h"
#include "runtime/tokenize/normalizer.h"
#include "runtime/tokenize/trim.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	"tables are written as they lie in memory; all targets are such");
_Static_assert((int)RT_PIECE_TOKEN == (int)PIECE_TOKEN && (int)RT_PIECE_A == (int)PIECE_A
		&& (int)RT_PIECE_B == (int)PIECE_B,
	"pieces of templates have the same numbers here and in the program");

size_t layout_add(Blob *blob, List *list)
{
	size_t offset = blob_add(blob, list->items, list->count * list->size);
	list_free(list);
	return offset;
}

bool layout_too_many_records(Diag *diag)
{
	return diag_error(diag, EXIT_UNSUPPORTED, 0,
		"tokenizer: the normalizer changes characters in more than %d different ways", CHAR_RECORDS_MAX);
}

bool layout_chars(CharRecordFn *make, const void *data, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	CharTables tables;
	const bool fits = char_tables_build(make, data, &tables);
	layout->blocks = layout_add(blob, &tables.blocks);
	layout->cells = layout_add(blob, &tables.cells);
	layout->records = layout_add(blob, &tables.records);
	layout->lists = layout_add(blob, &tables.lists);
	return fits || layout_too_many_records(diag);
}

int32_t tokenizer_token_id(const TokenizerDesc *desc, const char *text, size_t bytes)
{
	for (int32_t i = 0; i < desc->nadded; i++)
		if ((size_t)desc->added[i].bytes == bytes && memcmp(desc->added[i].text, text, bytes) == 0)
			return desc->added[i].id;
	for (int32_t i = 0; i < desc->nvocab; i++)
		if (desc->vocab[i] && strlen(desc->vocab[i]) == bytes && memcmp(desc->vocab[i], text, bytes) == 0)
			return i;
	return -1;
}

bool layout_too_large(Diag *diag, const char *what, int32_t count)
{
	return diag_error(
		diag, EXIT_UNSUPPORTED, 0, "tokenizer: %d %s need a table of more than 8,388,608 units", count, what);
}

bool layout_vocab(const TokenizerDesc *desc, List *units, Diag *diag)
{
	List keys = list_new(sizeof(TrieKey));
	for (int32_t id = 0; id < desc->nvocab; id++)
		if (desc->vocab[id])
			list_add(&keys, &(TrieKey){desc->vocab[id], (int32_t)strlen(desc->vocab[id]), id});
	bool fits = trie_build(keys.items, (int32_t)keys.count, units);
	list_free(&keys);
	return fits || layout_too_large(diag, "vocabulary entries", desc->nvocab);
}

size_t layout_bytes(const List *units, Blob *blob)
{
	List bytes = list_new(sizeof(int32_t));
	for (int byte = 0; byte < 256; byte++) {
		char token[8];
		snprintf(token, sizeof token, "<0x%02X>", byte);
		list_add(&bytes, &(int32_t){trie_find(units, token, (int32_t)strlen(token))});
	}
	return layout_add(blob, &bytes);
}

static void add_bytes(List *texts, const char *text)
{
	for (; *text; text++)
		list_add(texts, text);
}

/* Adds the text of every id, including added tokens. */
static void add_texts(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout)
{
	List text_at = list_new(sizeof(uint32_t)), texts = list_new(1);
	layout->ids = desc->nvocab;
	for (int32_t i = 0; i < desc->nadded; i++)
		layout->ids = desc->added[i].id >= layout->ids ? desc->added[i].id + 1 : layout->ids;
	const AddedToken **added = checked_calloc((size_t)layout->ids + 1, sizeof *added);
	for (int32_t i = 0; i < desc->nadded; i++)
		added[desc->added[i].id] = &desc->added[i];
	for (int32_t id = 0; id <= layout->ids; id++) {
		uint32_t at = (uint32_t)texts.count;
		const char *entry = id < desc->nvocab ? desc->vocab[id] : NULL;
		list_add(&text_at, &at);
		if (entry && !added[id] && desc->split->text_of && !desc->spelled)
			desc->split->text_of(desc, entry, &texts);
		else if (entry)
			add_bytes(&texts, entry);
		else if (added[id])
			add_bytes(&texts, added[id]->text);
	}
	free(added);
	layout->text_at = layout_add(blob, &text_at);
	layout->texts = layout_add(blob, &texts);
}

/* The normalised text, malloc'd. */
static char *normalized(const RtTokenizer *t, const char *text, int32_t bytes, int32_t *length)
{
	Segment segment;
	segment.from = -1;
	Cursor c = cursor_new(text, 0, bytes, 0, &segment);
	List out = list_new(1);
	Char ch;
	while (cursor_next(t, &c, &ch)) {
		unsigned char utf8[4];
		int32_t n = cursor_encode(ch.code, utf8);
		for (int32_t i = 0; i < n; i++)
			list_add(&out, &utf8[i]);
	}
	*length = (int32_t)out.count;
	return out.items;
}

/* Adds the trie of the added tokens with `normalized` == `clean`. As in the library, special tokens come
 * first, and the first of two tokens with the same text wins. */
static bool add_added_trie(const TokenizerDesc *desc, const TokenizerLayout *layout, bool clean, Blob *blob,
	size_t *offset, int32_t *count, Diag *diag)
{
	RtTokenizer t = tokenizer_instance(
		desc, layout, blob->data); /* complete for its normaliser; valid until the blob grows */
	List keys = list_new(sizeof(TrieKey)), units;
	for (int32_t i = 0; i < desc->nadded; i++) {
		const AddedToken *token = &desc->added[i];
		TrieKey key = {token->text, token->bytes, i};
		if (token->normalized != clean)
			continue;
		if (clean)
			key.text = normalized(&t, token->text, token->bytes, &key.bytes);
		if (key.bytes > 0)
			list_add(&keys, &key);
	}
	*count = (int32_t)keys.count;
	bool fits = trie_build(keys.items, *count, &units);
	for (size_t i = 0; clean && i < keys.count; i++)
		free((char *)((TrieKey *)keys.items)[i].text);
	list_free(&keys);
	*offset = layout_add(blob, &units);
	return fits || layout_too_large(diag, "added tokens", *count);
}

static bool add_added(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	List added = list_new(sizeof(RtAdded));
	uint8_t first[256] = {0};
	layout->skips = 1;
	for (int32_t i = 0; i < desc->nadded; i++) {
		const AddedToken *token = &desc->added[i];
		RtAdded row = {token->id,
			(token->single_word ? RT_ADDED_SINGLE_WORD : 0) | (token->lstrip ? RT_ADDED_LSTRIP : 0)
				| (token->rstrip ? RT_ADDED_RSTRIP : 0)
				| (token->special && desc->splits_special ? RT_ADDED_NEVER : 0)};
		list_add(&added, &row);
		if (token->normalized)
			continue;
		first[(unsigned char)token->text[0]] = 1;
		if (strncmp(token->text, "\xEF\xBF\xBD", 3) == 0) /* U+FFFD: any bad byte */
			layout->skips = 0;
	}
	layout->added = layout_add(blob, &added);
	layout->first_raw = blob_add(blob, first, sizeof first);
	return add_added_trie(desc, layout, false, blob, &layout->added_raw, &layout->nadded_raw, diag)
		&& add_added_trie(desc, layout, true, blob, &layout->added_clean, &layout->nadded_clean, diag);
}

static uint32_t add_aligned(List *data, const void *from, size_t bytes)
{
	const uint8_t *at = from, zero = 0;
	while (data->count % 8)
		list_add(data, &zero);
	const size_t offset = data->count;
	for (size_t i = 0; i < bytes; i++)
		list_add(data, &at[i]);
	return (uint32_t)offset;
}

/* Adds the classes of all code points; equal blocks are shared. */
static void add_classes(List *data, const uint8_t *of, RtCut *cut)
{
	enum { BLOCK = 1 << RT_BLOCK_BITS, BLOCKS = 0x110000 >> RT_BLOCK_BITS };
	List cells = list_new(1);
	uint16_t blocks[BLOCKS];
	for (int32_t block = 0; block < BLOCKS; block++) {
		const uint8_t *from = of + (block << RT_BLOCK_BITS);
		uint16_t number = 0;
		while (number < cells.count / BLOCK
			&& memcmp((uint8_t *)cells.items + (size_t)number * BLOCK, from, BLOCK) != 0)
			number++;
		for (int32_t i = 0; i < BLOCK && (size_t)number * BLOCK + (size_t)i == cells.count; i++)
			list_add(&cells, &from[i]);
		blocks[block] = number;
	}
	cut->blocks = add_aligned(data, blocks, sizeof blocks);
	cut->cells = add_aligned(data, cells.items, cells.count);
	list_free(&cells);
}

static void add_cuts(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout)
{
	List cuts = list_new(sizeof(RtCut)), data = list_new(1);
	for (int32_t i = 0; i < desc->ncuts; i++) {
		const Cut *from = &desc->cuts[i];
		RtCut cut = {.classes = from->classes, .behavior = from->behavior, .invert = from->invert};
		add_classes(&data, from->of, &cut);
		cut.states = add_aligned(&data, from->table, (size_t)from->ntable * sizeof *from->table);
		list_add(&cuts, &cut);
	}
	layout->ncuts = desc->ncuts;
	layout->cuts = layout_add(blob, &cuts);
	layout->cut_data = layout_add(blob, &data);
}

static size_t add_template(Blob *blob, const TemplateItem *items, int32_t count)
{
	List pieces = list_new(sizeof(RtPiece));
	for (int32_t i = 0; i < count; i++)
		list_add(&pieces, &(RtPiece){(int32_t)items[i].piece, items[i].id, items[i].type});
	return layout_add(blob, &pieces);
}

bool tokenizer_layout(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	*layout = (TokenizerLayout){.mask_id = desc->mask_id,
		.unk_id = desc->unk_id,
		.trim_prefix = desc->trim_prefix,
		.cut_left = desc->cut_left,
		.nsingle = desc->nsingle,
		.npair = desc->npair};
	if (desc->contextual && !normalizer_layout(desc, blob, layout, diag))
		return false;
	if (!desc->contextual && !layout_chars(char_record, desc, blob, layout, diag))
		return false;
	if (!desc->model->layout(desc, blob, layout, diag) || !add_added(desc, blob, layout, diag))
		return false;
	add_texts(desc, blob, layout);
	add_cuts(desc, blob, layout);
	layout->single = add_template(blob, desc->single, desc->nsingle);
	layout->pair = add_template(blob, desc->pair, desc->npair);
	return true;
}

RtTokenizer tokenizer_instance(const TokenizerDesc *desc, const TokenizerLayout *layout, const uint8_t *blob)
{
	RtTokenizer t = {.split = desc->ncuts > 0 ? split_cuts : desc->split->split,
		.last = desc->ncuts > 0 ? desc->split->split : NULL,
		.word = desc->model->word,
		.trim = desc->trim_offsets ? trim_offsets : NULL,
		.next = desc->contextual ? normalizer_next : NULL,
#define TABLE(type, name) .name = (const type *)(const void *)(blob + layout->name),
		RT_TOKENIZER_TABLES(TABLE)
#undef TABLE
#define NUMBER(name) .name = layout->name,
			RT_TOKENIZER_NUMBERS(NUMBER)
#undef NUMBER
	};
	for (int32_t i = 0; i < RT_MODEL_TABLES; i++)
		t.model_table[i] = blob + layout->model_table[i];
	memcpy(t.model_number, layout->model_number, sizeof t.model_number);
	memcpy(t.split_number, desc->split_number, sizeof t.split_number);
	return t;
}

static void print_numbers(FILE *c, const char *field, const int32_t *numbers, int32_t count)
{
	fprintf(c, "\t.%s = {", field);
	for (int32_t i = 0; i < count; i++)
		fprintf(c, "%s%d", i ? ", " : "", (int)numbers[i]);
	fputs("},\n", c);
}

bool emit_tokenizer(const TokenizerDesc *desc, Blob *blob, FILE *c, const char *name, Diag *diag)
{
	TokenizerLayout layout;
	if (!tokenizer_layout(desc, blob, &layout, diag))
		return false;
	fprintf(c, "static const RtTokenizer %s_tokenizer = {\n", name);
	fprintf(c, "\t.split = split_%s,\n\t.word = %s_word,\n", desc->ncuts > 0 ? "cuts" : desc->split->name,
		desc->model->name);
	if (desc->ncuts > 0)
		fprintf(c, "\t.last = split_%s,\n", desc->split->name);
	if (desc->trim_offsets)
		fputs("\t.trim = trim_offsets,\n", c);
	if (desc->contextual)
		fputs("\t.next = normalizer_next,\n", c);
	for (int32_t i = 0; i < RT_MODEL_TABLES; i++)
		if (layout.model_table[i])
			fprintf(c, "\t.model_table[%d] = %s_blob + %zu,\n", (int)i, name, layout.model_table[i]);
	print_numbers(c, "model_number", layout.model_number, RT_MODEL_NUMBERS);
	print_numbers(c, "split_number", desc->split_number, RT_SPLIT_NUMBERS);
#define TABLE(type, field) \
	fprintf(c, "\t." #field " = (const " #type " *)(const void *)(%s_blob + %zu),\n", name, layout.field);
	RT_TOKENIZER_TABLES(TABLE)
#undef TABLE
#define NUMBER(field) fprintf(c, "\t." #field " = %d,\n", (int)layout.field);
	RT_TOKENIZER_NUMBERS(NUMBER)
#undef NUMBER
	fputs("};\n", c);
	return true;
}
