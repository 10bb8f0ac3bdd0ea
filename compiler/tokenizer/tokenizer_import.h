/* tokenizer_import.h: code shared by the two forms of a tokenizer's files. */
#ifndef TOKENIZER_IMPORT_H
#define TOKENIZER_IMPORT_H
#include "compiler/support/json_file.h"
#include "tokenizer.h"
#include "codegen/tokenize/tokenizer_tables.h"

enum {
	TOKENIZER_BYTES_MAX = 64 << 20, /* of tokenizer.json or vocab.txt; the largest in use have 17 MB */
	TOKEN_BYTES_MAX = 1024,         /* of one entry; the longest in use have some 200 */
	TOKEN_IDS_MAX = 1 << 24,        /* ids in the tables have 24 bits */
	TEMPLATE_ITEMS_MAX = 64,
};

typedef struct TokenizerImport {
	MemArena *mem;
	Diag *diag;
	const char *path;        /* of tokenizer.json or vocab.txt, for messages */
	const char *config_path; /* of tokenizer_config.json */
	TokenizerDesc *desc;
	bool mask_lstrip;      /* the mask takes the spaces before it, where no file says */
	const char *unk_token; /* the model's own, lives in mem; NULL: it has none */
	json_t *vocab;         /* token -> id */
	json_t *config;        /* tokenizer_config.json; an empty object when there is none */
	json_t *special;       /* special_tokens_map.json, likewise */
	json_t *added_json;    /* added_tokens.json, likewise */
	const char *added_path;
	json_t *added_ids; /* added token -> id */
	AddedToken *added; /* in the order of the file */
	int32_t nadded;
	size_t capacity; /* of added */
	int32_t next_id; /* of the next added token that the vocabulary does not have */
} TokenizerImport;

/* An error of the main file; returns false. */
#define IMPORT_ERROR(import, code, ...) diag_error_in((import)->diag, code, (import)->path, 0, __VA_ARGS__)

/* desc->vocab from import->vocab. */
bool import_vocab(TokenizerImport *);
/* The id of a token, added ones first; -1: none. */
int32_t import_token_id(const TokenizerImport *, const char *token);
/* Appends an added token as the library would: an empty or a known one is passed over, an id the vocabulary
 * has for it wins over the one given (-1: none given). `path` is for messages. */
bool import_added(TokenizerImport *, AddedToken token, int64_t given_id, const char *path);
/* A step of the normaliser behind those there are; false and a message when there are too many. */
bool import_step(TokenizerImport *, CharStep);
/* The steps of BertNormalizer. */
bool import_bert_normalizer(TokenizerImport *, bool clean_text, bool chinese, bool accents, bool lowercase);
/* The tokens of tokenizer_config.json, special_tokens_map.json and added_tokens.json, behind those that the
 * main file has: listed ones, those of the roles, and additional ones. `older`: the main file is of the
 * older form, which leaves all of these to the other files. */
bool import_config_tokens(TokenizerImport *, bool older);
/* Refuses a tokenizer class that may read the older form differently: other words, or another template. */
bool import_class_reads(TokenizerImport *, const TokenizerModel *);
/* Whether the tokenizer's class is RobertaTokenizer or one built on it. */
bool import_is_roberta(const TokenizerImport *);
/* Sets all segments of the templates to 0 if the model gets no token_type_ids: model_input_names of
 * tokenizer_config.json, or of the class where that key is absent, does not list them. */
bool import_segments(TokenizerImport *);
/* *flag as tokenizer.json has it becomes what tokenizer_config.json says. The class RobertaTokenizer takes
 * `fallback` where that says nothing. */
bool import_config_flag(TokenizerImport *, const char *key, bool fallback, bool *flag);
/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP] with types 0 and 1. */
void import_bert_template(TokenizerImport *, int32_t cls_id, int32_t sep_id);
/* <s> A </s> and <s> A </s></s> B </s>, all of type 0. */
void import_roberta_template(TokenizerImport *, int32_t cls_id, int32_t sep_id);
/* import->vocab from an object of a tokenizer's model. */
bool import_model_vocab(TokenizerImport *, const json_t *model);
/* tokenizer_json.c: everything that tokenizer.json says. */
bool import_tokenizer_json(TokenizerImport *, const json_t *root);

/* The rows of tokenizers.def and splitters.def. */
#define TOKENIZER(name, text) extern const TokenizerModel name##_tokenizer;
#include "tokenizers.def"
#undef TOKENIZER
#define SPLITTER(name) extern const Splitter name##_splitter;
#include "splitters.def"
#undef SPLITTER
extern const TokenizerModel *const tokenizer_models[]; /* NULL-terminated */
extern const Splitter *const tokenizer_splitters[];    /* likewise */
#endif
