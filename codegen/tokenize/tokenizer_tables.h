/* tokenizer_tables.h: the parts of tokenizer_emit.c, and what it makes before it is printed (the tests use
 * that directly). */
#ifndef TOKENIZER_TABLES_H
#define TOKENIZER_TABLES_H
#define RT_TABLES_ONLY
#include "runtime/tokenize/tokenizer.h"
#include "ir/blob.h"
#include "tokenizer_desc.h"

/* ---- trie.c: the double array of runtime/tokenize/tokenizer.h -------------------------------- */
typedef struct TrieKey {
	const char *text;
	int32_t bytes, value;
} TrieKey;
/* Builds units (uint32_t) from keys, which are sorted in place; of equal keys the first counts. Keys hold no
 * NUL and are not empty, values are below 2^24. False when the keys need more than 2^23 units. */
bool trie_build(TrieKey *keys, int32_t count, List *units);
/* The index of the unit that `text` leads to, -1: none. */
int32_t trie_walk(const List *units, const char *text, int32_t bytes);

/* ---- unicode.c: properties of code points, as the library has them ---------------------------- */
enum { UNICODE_PARTS_MAX = 8 };
bool unicode_is_control(int32_t code); /* but for tab and line ends */
bool unicode_is_space(int32_t code);
bool unicode_is_punctuation(int32_t code);
bool unicode_is_nonspacing(int32_t code);
bool unicode_is_chinese(int32_t code);
bool unicode_is_word(int32_t code); /* \w: Alphabetic, M, Nd, Pc and Join_Control */
int32_t unicode_combining_class(int32_t code);
int32_t unicode_to_lower(int32_t code); /* of U+0130, whose lower case is two, the first */
/* The full canonical decomposition; returns the number of parts, in their order in the data. */
int32_t unicode_decompose(int32_t code, int32_t parts[UNICODE_PARTS_MAX]);

/* ---- char_tables.c --------------------------------------------------------------------------- */
typedef struct CharTables {
	List blocks, cells, records, lists;
} CharTables;
/* The tables of the same names in runtime/tokenize/tokenizer.h. */
void char_tables_build(const TokenizerDesc *, CharTables *);
void char_tables_free(CharTables *);

/* ---- tokenizer_emit.c ------------------------------------------------------------------------ */
/* Where the tables of an RtTokenizer lie in the blob, and its numbers. */
typedef struct TokenizerLayout {
	size_t model_table[RT_MODEL_TABLES];
	int32_t model_number[RT_MODEL_NUMBERS];
#define TABLE(type, name) size_t name;
	RT_TOKENIZER_TABLES(TABLE)
#undef TABLE
#define NUMBER(name) int32_t name;
	RT_TOKENIZER_NUMBERS(NUMBER)
#undef NUMBER
} TokenizerLayout;
size_t layout_add(Blob *, List *); /* appends a table and frees the list */
/* An error: `count` things make a trie that is too large. */
bool layout_too_large(Diag *, const char *what, int32_t count);
/* A trie of all entries of the vocabulary. */
bool layout_vocab(const TokenizerDesc *, List *units, Diag *);
bool tokenizer_layout(const TokenizerDesc *, Blob *, TokenizerLayout *, Diag *);
/* The tokenizer itself, over a blob in this process. */
RtTokenizer tokenizer_instance(const TokenizerDesc *, const TokenizerLayout *, const uint8_t *blob);
/* Appends the tables to blob and prints the RtTokenizer initialiser `static const
 * RtTokenizer NAME_tokenizer`. */
bool emit_tokenizer(const TokenizerDesc *, Blob *, FILE *c, const char *name, Diag *);

/* ---- rows ------------------------------------------------------------------------------------- */
struct TokenizerImport;
struct TokenizerWriter;
struct json_t;
/* A model: a row of compiler/tokenizer/tokenizers.def; compiler/tokenizer/NAME.c defines NAME_tokenizer, and
 * runtime/tokenize/NAME.h holds what programs run: NAME_word. */
typedef struct TokenizerModel {
	const char *name, *type; /* "wordpiece", and what tokenizer.json calls it */
	RtWordFn *word;
	/* The unknown, separating, padding, classifying and masking token where no file names them. */
	const char *roles[5];
	/* Model and vocabulary from an object of tokenizer.json. */
	bool (*read)(struct TokenizerImport *, const struct json_t *model);
	/* Whether an object without a type is one of this model, as old files have it. May be NULL. */
	bool (*is_untyped)(const struct json_t *model);
	/* The older form: its files, the main one first ("vocab.txt"), and all that they say. */
	const char *files[4];
	bool (*read_files)(struct TokenizerImport *);
	/* Its tables, at the places that its runtime file names. */
	bool (*layout)(const TokenizerDesc *, Blob *, TokenizerLayout *, Diag *);
	/* Of two tokenizers of this model: is their data the same? */
	bool (*equal)(const TokenizerDesc *, const TokenizerDesc *);
	/* Whether a token continues the word that the token before it is part of. */
	bool (*continues)(const TokenizerDesc *, int32_t id);
	/* Whether no text ever becomes the token, though it is in the vocabulary. May be NULL. */
	bool (*is_never)(const TokenizerDesc *, int32_t id);
	/* Whether a token is one character, so that words can still be spelled while all of these stay. */
	bool (*is_single_character)(const TokenizerDesc *, int32_t id);
	/* Marks in used[rows] what else must stay for the tokens marked to be made as before. May be NULL. */
	void (*close)(const TokenizerDesc *, bool *used, int32_t rows);
	/* The data after ids have new numbers, to[rows], -1 for those that go; in `mem`. */
	const void *(*renumber)(const TokenizerDesc *, const int32_t *to, int32_t rows, MemArena *mem);
	/* Changes what "model" of tokenizer.json holds beside "vocab" after new numbers. May be NULL. */
	void (*rewrite)(const TokenizerDesc *, struct json_t *model);
	/* Writes one of `files`. */
	void (*write_file)(const TokenizerDesc *, const char *name, FILE *to);
} TokenizerModel;
/* A pre-tokenizer: a row of compiler/tokenizer/splitters.def; compiler/tokenizer/split_NAME.c defines
 * NAME_splitter, and runtime/tokenize/split_NAME.h holds split_NAME. */
typedef struct Splitter {
	const char *name, *type; /* "bert", "BertPreTokenizer" */
	RtSplitFn *split;
	uint32_t (*class_of)(int32_t code); /* of a normalised character: RT_SPACE, RT_OTHER or its own */
	/* Its settings from an object of tokenizer.json. May be NULL. */
	bool (*read)(struct TokenizerImport *, const struct json_t *pre_tokenizer);
	/* The text that an entry of the vocabulary stands for, appended to `text` (bytes). NULL: as it is. */
	void (*text_of)(const char *token, List *text);
} Splitter;
#endif
