/* words.c: WhitespaceTokenizer of sentence-transformers, in whitespacetokenizer_config.json: a list of words,
 * whose places are the ids, and a list of stop words. Texts are split at what Python calls white space. */
#include <string.h>
#include "regex.h"
#include "runtime/tokenize/words.h"

typedef struct Words {
	int32_t nstops;
	const char **stops;
	bool lower;
} Words;

static const Words *data_of(const TokenizerDesc *desc) { return desc->data; }

/* str.isspace() of Python. */
static bool is_space(int32_t code) { return unicode_is_space(code) || (code >= 0x1C && code <= 0x1F); }

/* The strings of an array, without empty ones; NULL and a message if it is another value. */
static const char **read_strings(TokenizerImport *import, const json_t *root, const char *key, int32_t *count)
{
	const json_t *list = json_object_get(root, key);
	const size_t size = json_array_size(list);
	const char **strings = mem_alloc(import->mem, (size + 1) * sizeof *strings);
	*count = 0;
	if (list && !json_is_array(list)) {
		IMPORT_ERROR(import, EXIT_INPUT, "%s is %s, expected an array", key, json_kind(list));
		return NULL;
	}
	for (size_t i = 0; i < size; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (!text || strlen(text) > TOKEN_BYTES_MAX) {
			IMPORT_ERROR(import, EXIT_INPUT, "%s: item %zu is not a string of at most %d bytes", key, i,
				TOKEN_BYTES_MAX);
			return NULL;
		}
		if (*text)
			strings[(*count)++] = mem_string(import->mem, text, strlen(text));
	}
	return strings;
}

/* The place of a word in the list is its id. Of equal words the last place counts; BoW, whose list is in
 * config.json, has none. */
static bool read_words(TokenizerImport *import, const json_t *root)
{
	const char *slash = strrchr(import->path, '/');
	const bool bag = strcmp(slash ? slash + 1 : import->path, "config.json") == 0;
	const json_t *list = json_object_get(root, "vocab");
	json_t *item;
	size_t i;
	if (!json_is_array(list))
		return IMPORT_ERROR(import, EXIT_INPUT, "vocab is %s, expected an array", json_kind(list));
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item))
			return IMPORT_ERROR(
				import, EXIT_INPUT, "vocab: item %zu is %s, expected a string", i, json_kind(item));
		if (!*json_string_value(item))
			return IMPORT_ERROR(import, EXIT_UNSUPPORTED, "vocab: item %zu is empty", i);
		if (bag && json_object_get(import->vocab, json_string_value(item)))
			return IMPORT_ERROR(import, EXIT_UNSUPPORTED, "vocab: \"%.64s\" is there twice; remove item %zu",
				json_string_value(item), i);
		json_object_set_new(import->vocab, json_string_value(item), json_integer((json_int_t)i));
	}
	return import_vocab(import);
}

static bool read_files(TokenizerImport *import)
{
	TokenizerDesc *desc = import->desc;
	Words *data = mem_alloc(import->mem, sizeof *data);
	json_t *root = json_read(import->path, TOKENIZER_BYTES_MAX, 0, import->diag);
	bool good = root != NULL;
	if (good && !json_is_object(root))
		good = IMPORT_ERROR(import, EXIT_INPUT, "is not a JSON object");
	*data = (Words){0};
	desc->data = data;
	desc->split = &plain_splitter;
	desc->unk_id = desc->pad_id = desc->cls_id = desc->sep_id = desc->mask_id = -1;
	good = good && json_member_bool(root, "do_lower_case", &data->lower, import->path, import->diag)
		&& (data->stops = read_strings(import, root, "stop_words", &data->nstops)) != NULL
		&& read_words(import, root)
		&& regex_property(import, "WhitespaceTokenizer", is_space, &desc->cuts[desc->ncuts++]);
	json_decref(root);
	import_plain_template(import);
	return good;
}

/* Pairs of a code point and its lower case. */
static List lower_pairs(void)
{
	List pairs = list_new(sizeof(uint32_t));
	for (int32_t code = 0; code < UNICODE_PLANE_4; code++) {
		const uint32_t pair[2] = {(uint32_t)code, (uint32_t)unicode_to_lower(code)};
		if (pair[0] == pair[1])
			continue;
		list_add(&pairs, &pair[0]);
		list_add(&pairs, &pair[1]);
	}
	return pairs;
}

struct LowerCase {
	RtTokenizer tables;
};

LowerCase *lower_new(MemArena *mem)
{
	LowerCase *lower = mem_alloc(mem, sizeof *lower);
	List pairs = lower_pairs();
	uint32_t *copy = mem_alloc(mem, pairs.count * sizeof *copy);
	memcpy(copy, pairs.items, pairs.count * sizeof *copy);
	*lower = (LowerCase){0};
	lower->tables.model_table[WORDS_PAIRS] = copy;
	lower->tables.model_number[WORDS_NPAIRS] = (int32_t)pairs.count / 2;
	list_free(&pairs);
	return lower;
}

char *lower_text(const LowerCase *lower, const char *text, MemArena *mem)
{
	unsigned char to[WORDS_BYTES];
	const size_t bytes = strlen(text);
	if (bytes > sizeof((Word *)0)->text) /* no word of a text is as long */
		return mem_string(mem, text, bytes);
	const int32_t made = words_lower(&lower->tables, (const unsigned char *)text, (int32_t)bytes, to);
	return mem_string(mem, (const char *)to, (size_t)made);
}

static bool layout_tables(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	const Words *data = data_of(desc);
	List keys = list_new(sizeof(TrieKey)), units;
	for (int32_t i = 0; i < data->nstops; i++) /* a stop word comes before a word of the list */
		list_add(&keys, &(TrieKey){data->stops[i], (int32_t)strlen(data->stops[i]), 0});
	for (int32_t id = 0; id < desc->nvocab; id++)
		if (desc->vocab[id])
			list_add(&keys, &(TrieKey){desc->vocab[id], (int32_t)strlen(desc->vocab[id]), id + 1});
	const bool fits = trie_build(keys.items, (int32_t)keys.count, &units);
	list_free(&keys);
	layout->model_table[WORDS_VOCAB] = layout_add(blob, &units);
	List pairs = lower_pairs();
	layout->model_number[WORDS_NPAIRS] = (int32_t)pairs.count / 2;
	layout->model_table[WORDS_PAIRS] = layout_add(blob, &pairs);
	layout->model_number[WORDS_LOWER] = data->lower;
	return fits || layout_too_large(diag, "words", desc->nvocab);
}

static bool equal(const TokenizerDesc *a, const TokenizerDesc *b)
{
	const Words *x = data_of(a), *y = data_of(b);
	bool same = x->nstops == y->nstops && x->lower == y->lower;
	for (int32_t i = 0; i < x->nstops && same; i++)
		same = strcmp(x->stops[i], y->stops[i]) == 0;
	return same;
}

const TokenizerModel words_tokenizer = {
	.name = "words",
	.type = "WhitespaceTokenizer",
	.word = words_word,
	.files = {"whitespacetokenizer_config.json"},
	.read_files = read_files,
	.layout = layout_tables,
	.equal = equal,
	.continues = model_never,
	.is_single_character = model_never,
	.renumber = model_keeps,
};
