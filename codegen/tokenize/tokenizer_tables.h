/* tokenizer_tables.h: shared by the files that make a tokenizer's tables. Tests use the tables before they
 * are printed. */
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
/* Builds units (uint32_t) from keys. Sorts the keys in place; the first of equal keys wins. Keys are not
 * empty and have no NUL; values are below 2^24. False: the keys need more than 2^23 units. */
bool trie_build(TrieKey *keys, int32_t count, List *units);
/* The index of the unit for `text`; -1: none. */
int32_t trie_walk(const List *units, const char *text, int32_t bytes);
/* The value of `text`; -1: it is not a key. */
int32_t trie_find(const List *units, const char *text, int32_t bytes);

/* ---- unicode.c: properties of code points, as in the tokenizers library ---------------------- */
enum { UNICODE_PARTS_MAX = 8, UNICODE_COMPATIBLE_MAX = 24 };
enum { UNICODE_PLANE_4 = 0x40000 };    /* from here on, only plane 14 has characters */
bool unicode_is_control(int32_t code); /* except tab and line ends */
bool unicode_is_space(int32_t code);
bool unicode_is_punctuation(int32_t code);
bool unicode_is_nonspacing(int32_t code);
bool unicode_is_chinese(int32_t code);
bool unicode_is_mark(int32_t code);
/* "Lu": the general category in Unicode 16 (unicode16.c), as for the next two. */
const char *unicode_category(int32_t code);
bool unicode_is_letter(int32_t code);
bool unicode_is_number(int32_t code);
bool unicode_is_word(int32_t code); /* \w: Alphabetic, M, Nd, Pc and Join_Control */
int32_t unicode_combining_class(int32_t code);
int32_t unicode_to_lower(int32_t code); /* for U+0130 the first of its two */
/* The full canonical decomposition, in the order of the Unicode data. Returns the number of parts. */
int32_t unicode_decompose(int32_t code, int32_t parts[UNICODE_PARTS_MAX]);
/* The same, or the full compatibility decomposition. */
int32_t unicode_decompose_as(int32_t code, bool compatible, int32_t parts[UNICODE_COMPATIBLE_MAX]);
uint32_t unicode_cluster(int32_t code); /* RT_CLUSTER_OTHER, .. */
/* Appends all pairs that NFC composes (RtComposite), sorted, without Hangul. */
void unicode_composites(List *pairs);

struct TokenizerLayout;

/* ---- char_tables.c --------------------------------------------------------------------------- */
typedef struct CharTables {
	List blocks, cells, records, lists;
} CharTables;
/* A character after some steps. */
typedef struct MadeChar {
	int32_t code, class; /* canonical combining class, once decomposed */
	bool removed;        /* its class still affects the order of its neighbours */
} MadeChar;
enum { MADE_MAX = 24 };
/* Different records of the tables. Unicode's own normal forms and BERT's normaliser have fewer than 8,000. */
enum { CHAR_RECORDS_MAX = 1 << 14 };
/* The result of steps for a code point. Returns the number of characters. */
int32_t char_make(const CharStep *steps, int32_t nsteps, int32_t code, MadeChar made[MADE_MAX]);
typedef struct CharMaker CharMaker;
/* Makes the record of a code point. */
typedef RtRecord CharRecordFn(CharMaker *, const void *data, int32_t code);
/* Adds entries to the lists and returns their place. Reuses the last list if it is equal, which is common for
 * neighbouring marks. */
int32_t char_list(CharMaker *, const uint32_t *entries, int32_t count);
/* RT_RAW_WORD, RT_RAW_SPACE. */
uint32_t char_raw_bits(int32_t code);
/* The record of a TokenizerDesc whose steps look at one character at a time. */
CharRecordFn char_record;
/* The tables of the same names in runtime/tokenize/tokenizer.h. False: more than CHAR_RECORDS_MAX records. */
bool char_tables_build(CharRecordFn *, const void *data, CharTables *);
void char_tables_free(CharTables *);

/* ---- normalizer_tables.c --------------------------------------------------------------------- */
/* Adds steps, step_data and the records of a normaliser whose steps look at neighbours. */
bool normalizer_layout(const TokenizerDesc *, Blob *, struct TokenizerLayout *, Diag *);

/* ---- tokenizer_emit.c ------------------------------------------------------------------------ */
/* The offsets of an RtTokenizer's tables in the blob, and its numbers. */
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
/* Adds the tables of single characters. */
bool layout_chars(CharRecordFn *, const void *data, Blob *, TokenizerLayout *, Diag *);
/* Reports that the tables of single characters have too many records. Returns false. */
bool layout_too_many_records(Diag *);
/* Reports that a trie for `count` items is too large. Returns false. */
bool layout_too_large(Diag *, const char *what, int32_t count);
/* Builds a trie of all entries of the vocabulary. */
bool layout_vocab(const TokenizerDesc *, List *units, Diag *);
/* Adds the values of "<0x00>" to "<0xFF>" (256 int32_t; -1: none). */
size_t layout_bytes(const List *units, Blob *);
bool tokenizer_layout(const TokenizerDesc *, Blob *, TokenizerLayout *, Diag *);
/* The tokenizer, with its tables in this process. */
RtTokenizer tokenizer_instance(const TokenizerDesc *, const TokenizerLayout *, const uint8_t *blob);
/* Appends the tables to blob and prints the RtTokenizer initialiser `static const
 * RtTokenizer NAME_tokenizer`. */
bool emit_tokenizer(const TokenizerDesc *, Blob *, FILE *c, const char *name, Diag *);

/* ---- rows ------------------------------------------------------------------------------------ */
struct TokenizerImport;
struct TokenizerWriter;
struct json_t;
enum { TOKENIZER_ROLES = 7 };
/* A model is a row of compiler/tokenizer/tokenizers.def. compiler/tokenizer/NAME.c defines NAME_tokenizer,
 * and runtime/tokenize/NAME.h has NAME_word, which programs run. */
typedef struct TokenizerModel {
	const char *name, *type; /* "wordpiece", and its type in tokenizer.json */
	RtWordFn *word;
	/* Defaults of the unknown, separator, padding, class and mask token, of beginning and end; NULL: none. */
	const char *roles[TOKENIZER_ROLES];
	/* Reads model and vocabulary from an object of tokenizer.json. NULL: it is never there. */
	bool (*read)(struct TokenizerImport *, const struct json_t *model);
	/* Whether an object without a type, as in old files, is this model. May be NULL. */
	bool (*is_untyped)(const struct json_t *model);
	/* The older format: its files, the main one first ("vocab.txt"), and a function that reads them. */
	const char *files[4];
	const char *other_files[4]; /* other names of the main one */
	bool (*read_files)(struct TokenizerImport *);
	/* Adds its tables, in the order that its runtime file expects. */
	bool (*layout)(const TokenizerDesc *, Blob *, TokenizerLayout *, Diag *);
	/* Whether two tokenizers of this model have equal data. */
	bool (*equal)(const TokenizerDesc *, const TokenizerDesc *);
	/* Whether a token continues the word of the token before it. */
	bool (*continues)(const TokenizerDesc *, int32_t id);
	/* Whether no text can produce the token, although it is in the vocabulary. May be NULL. */
	bool (*is_never)(const TokenizerDesc *, int32_t id);
	/* Whether a token is a single character. While all of these stay, any word can be spelled. */
	bool (*is_single_character)(const TokenizerDesc *, int32_t id);
	/* Marks in used[rows] the other tokens that are needed to produce the marked ones as before. May be
	 * NULL. */
	void (*close)(const TokenizerDesc *, bool *used, int32_t rows);
	/* The data after renumbering ids by to[rows] (-1: removed), in `mem`. */
	const void *(*renumber)(const TokenizerDesc *, const int32_t *to, int32_t rows, MemArena *mem);
	/* Updates the rest of "model" in tokenizer.json, besides "vocab", after renumbering. May be NULL. */
	void (*rewrite)(const TokenizerDesc *, struct json_t *model);
	/* Writes one of `files`. NULL: they cannot be written with new ids. */
	void (*write_file)(const TokenizerDesc *, const char *name, FILE *to);
} TokenizerModel;
/* A pre-tokenizer is a row of compiler/tokenizer/splitters.def. compiler/tokenizer/split_NAME.c defines
 * NAME_splitter, and runtime/tokenize/split_NAME.h has split_NAME. */
typedef struct Splitter {
	const char *name, *type; /* "bert", "BertPreTokenizer" */
	RtSplitFn *split;
	uint32_t (*class_of)(
		int32_t code); /* class of a normalised character: RT_SPACE, RT_OTHER or a class of its own */
	/* Reads its settings from an object of tokenizer.json. May be NULL. */
	bool (*read)(struct TokenizerImport *, const struct json_t *pre_tokenizer);
	/* Appends the text of a vocabulary entry to `text` (bytes). NULL: the entry is its text. */
	void (*text_of)(const TokenizerDesc *, const char *token, List *text);
} Splitter;
#endif
