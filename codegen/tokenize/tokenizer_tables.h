/* tokenizer_tables.h: the parts of tokenizer_emit.c, and what it makes before it is printed (the tests use
 * that directly). */
#ifndef TOKENIZER_TABLES_H
#define TOKENIZER_TABLES_H
#define RT_TABLES_ONLY
#include "runtime/tokenize/tokenizer.h"
#include "codegen/codegen.h"

/* A growing array; items are plain data. Its memory is malloc'd: list_free. */
typedef struct List {
	void *items;
	size_t count, capacity, size;
} List;
List list_new(size_t item_bytes);
size_t list_add(List *, const void *item); /* returns its index */
void list_free(List *);

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

/* ---- unicode_tables.c ------------------------------------------------------------------------ */
typedef struct UnicodeTables {
	List blocks, cells, records, lists;
} UnicodeTables;
/* The tables of the same names in runtime/tokenize/tokenizer.h for the normaliser's four switches. */
void unicode_tables_build(const TokenizerDesc *, UnicodeTables *);
void unicode_tables_free(UnicodeTables *);

/* ---- tokenizer_emit.c ------------------------------------------------------------------------ */
/* Where the tables of an RtTokenizer lie in the blob, and its numbers. */
typedef struct TokenizerLayout {
#define TABLE(type, name) size_t name;
	RT_TOKENIZER_TABLES(TABLE)
#undef TABLE
#define NUMBER(name) int32_t name;
	RT_TOKENIZER_NUMBERS(NUMBER)
#undef NUMBER
} TokenizerLayout;
bool tokenizer_layout(const TokenizerDesc *, Blob *, TokenizerLayout *, Diag *);
/* The tokenizer itself, over a blob in this process. */
RtTokenizer tokenizer_instance(const TokenizerLayout *, const uint8_t *blob);
#endif
