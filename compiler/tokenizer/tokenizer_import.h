/* tokenizer_import.h: code shared by the two forms of a tokenizer's files. */
#ifndef TOKENIZER_IMPORT_H
#define TOKENIZER_IMPORT_H
#include "compiler/support/json_file.h"
#include "tokenizer.h"
#include "codegen/tokenize/tokenizer_tables.h"

enum {
	TOKENIZER_BYTES_MAX = 64 << 20, /* of a file; the largest in use have 17 MB */
	TOKEN_BYTES_MAX = 1024,         /* of one entry; the longest in use have about 200 */
	TOKEN_IDS_MAX = 1 << 24,        /* ids in the tables have 24 bits */
	TEMPLATE_ITEMS_MAX = 64,
};

/* tokenizer_class.c: what we know of a class, a row of classes.def. */
typedef enum ClassKind {
	/* WordPiece */
	CLASS_BERT,
	CLASS_CONVBERT,
	CLASS_MPNET,
	CLASS_FUNNEL,
	/* BPE */
	CLASS_ROBERTA,
	CLASS_DEBERTA,
	/* Unigram */
	CLASS_DEBERTA_V2,
	CLASS_ALBERT,
	CLASS_FNET,
	CLASS_REMBERT,
	CLASS_XLNET,
	CLASS_XLM_ROBERTA,
	CLASS_CAMEMBERT,
	CLASS_OTHER,
} ClassKind;
enum { SEGMENTS_BOTH, SEGMENTS_OLDER, SEGMENTS_NEITHER };
typedef struct TokenizerClass {
	const char *name; /* "BertTokenizer" */
	ClassKind kind;
	const char *model;       /* which reads the older form */
	const char *model_types; /* " bert ernie " */
	int segments;            /* SEGMENTS_BOTH, .. */
	const char *roles[TOKENIZER_ROLES];
} TokenizerClass;

typedef struct TokenizerImport {
	MemArena *mem;
	Diag *diag;
	const char *path;        /* of tokenizer.json or vocab.txt, for messages */
	const char *config_path; /* of tokenizer_config.json */
	TokenizerDesc *desc;
	bool transformers5;          /* reads as release 5, not 4 */
	bool alone;                  /* TOKENIZER_ALONE */
	const char *class_name;      /* as given; NULL: not given */
	const TokenizerClass *class; /* NULL: none that we know */
	bool overrides;              /* the class has the settings of BertNormalizer */
	bool mask_lstrip;            /* default: the mask token includes the spaces before it */
	const char *unk_token;       /* of the model, lives in mem; NULL: none */
	json_t *vocab;               /* token -> id */
	json_t *config;              /* tokenizer_config.json; empty if there is none */
	json_t *special;             /* special_tokens_map.json, likewise */
	json_t *added_json;          /* added_tokens.json, likewise */
	const char *added_path;
	json_t *added_ids; /* added token -> id */
	AddedToken *added; /* in the order of the file */
	int32_t nadded;
	size_t capacity; /* of added */
	int32_t next_id; /* for the next added token that is not in the vocabulary */
} TokenizerImport;

/* Reports an error in the main file; returns false. */
#define IMPORT_ERROR(import, code, ...) diag_error_in((import)->diag, code, (import)->path, 0, __VA_ARGS__)

/* Fills desc->vocab from import->vocab. */
bool import_vocab(TokenizerImport *);
/* Whether a token stands for a byte: "<0x41>". */
bool vocab_is_byte(const char *token);
/* The number of such tokens. Marks them in used[rows], which may be NULL. */
int32_t vocab_bytes(const TokenizerDesc *, bool *used, int32_t rows);
/* The id of a token, from the added tokens, else from the vocabulary; -1: none. */
int32_t import_token_id(const TokenizerImport *, const char *token);
/* Appends an added token, as the library does: skips an empty or known token; prefers the vocabulary's id to
 * given_id (-1: none). `path` is for messages. */
bool import_added(TokenizerImport *, AddedToken token, int64_t given_id, const char *path);
/* Appends a step to the normaliser. False and a message if there are too many. */
bool import_step(TokenizerImport *, CharStep);
/* Appends the tokens of tokenizer_config.json, special_tokens_map.json and added_tokens.json to those of the
 * main file: listed tokens, tokens of roles, additional tokens. older: the main file is of the older form,
 * without such tokens. */
bool import_config_tokens(TokenizerImport *, bool older);
/* tokenizer_class.c: finds the class. False and a message if config.json is malformed. */
bool import_class(TokenizerImport *);
bool import_is(const TokenizerImport *, ClassKind);
/* Refuses a tokenizer class that may split words or build the template of the older form differently. */
bool import_class_reads(TokenizerImport *, const TokenizerModel *);
/* The settings of BertNormalizer that tokenizer_config.json has, too. accents: 1, 0, or -1 for that of
 * lowercase. */
typedef struct BertSettings {
	bool lowercase, chinese;
	int accents;
} BertSettings;
/* Overrides settings of tokenizer.json by the defaults of a class that has them, then by
 * tokenizer_config.json. Does nothing for other classes. */
bool import_bert_settings(TokenizerImport *, BertSettings *);
/* Appends the steps of BertNormalizer. */
bool import_bert_normalizer(TokenizerImport *, bool clean_text, const BertSettings *);
/* The object in a file beside the main file; an empty object if the file is missing. NULL and a message if it
 * is malformed. */
json_t *import_beside(TokenizerImport *, const char *name, const char **path);
/* rebuilt.c: whether transformers 5 builds most of tokenizer.json anew for this class. */
bool import_is_rebuilt(const TokenizerImport *);
/* A copy of tokenizer.json with what it builds. NULL and a message on error. */
json_t *import_rebuild(TokenizerImport *, json_t *root);
/* Whether two objects give a model the same settings, besides vocabulary and merges. */
bool import_same_settings(const json_t *model, const json_t *other);
/* Sets the templates of the class, after import_config_tokens. */
bool import_rebuild_template(TokenizerImport *);
/* tokenizer_equal.c: notes what transformers 5 reads differently: `five`, and settings of the model. */
void import_note_differences(TokenizerImport *, const TokenizerDesc *five, bool settings);
/* spm.c: reads a SentencePiece .model file. */
bool spm_import(TokenizerImport *);
/* Sets desc->cut_left from tokenizer.json (root, which may be NULL) and tokenizer_config.json. */
bool import_truncation(TokenizerImport *, const json_t *root);
/* Sets all segments of the templates to 0 if the model gets no token_type_ids: they are missing from
 * model_input_names of tokenizer_config.json or, without that key, of the class. */
bool import_segments(TokenizerImport *);
/* Overrides *flag of tokenizer.json by tokenizer_config.json. If that has no such key, RobertaTokenizer and
 * DebertaTokenizer override it by `fallback`. */
bool import_config_flag(TokenizerImport *, const char *key, bool fallback, bool *flag);
/* For TokenizerModel: no token is one; and the data have no ids. */
bool model_never(const TokenizerDesc *, int32_t id);
const void *model_keeps(const TokenizerDesc *, const int32_t *to, int32_t rows, MemArena *);
/* Sets the template A: no special tokens. */
void import_plain_template(TokenizerImport *);
/* Sets the templates [CLS] A [SEP] and [CLS] A [SEP] B [SEP] with types 0 and 1. */
void import_bert_template(TokenizerImport *, int32_t cls_id, int32_t sep_id);
/* Sets the templates <s> A </s> and <s> A </s></s> B </s>, all of type 0. */
void import_roberta_template(TokenizerImport *, int32_t cls_id, int32_t sep_id);
/* Sets the templates A <sep> <cls> and A <sep> B <sep> <cls>, <cls> with type 2. */
void import_xlnet_template(TokenizerImport *, int32_t cls_id, int32_t sep_id);
/* Sets Bert's templates with type 2 of [CLS]. */
void import_funnel_template(TokenizerImport *, int32_t cls_id, int32_t sep_id);
/* Refuses trim_offsets where it is not supported. */
bool import_check_trim(TokenizerImport *);
/* The token of a role ("mask_token"), of the files or of the class; NULL: none, or an error. */
const char *import_role(TokenizerImport *, const char *role);
/* Fills import->vocab from the vocab of a tokenizer's model. */
bool import_model_vocab(TokenizerImport *, const json_t *model);
/* normalizers.c: reads the normalizer of tokenizer.json. The functions below append to the normaliser; false
 * and a message on error. desc->contextual is set before import_normal and what uses it. */
bool import_normalizer(TokenizerImport *, const json_t *normalizer);
bool import_normal(TokenizerImport *, NormalStep);
bool import_replace(TokenizerImport *, const char *pattern, const char *content);
bool import_replace_runs(TokenizerImport *, const char *regex, const char *content);
bool import_strip(TokenizerImport *, bool left, bool right);
bool import_precompiled(TokenizerImport *, const Charsmap *); /* false if it is NULL */
/* The code points of a text, in the arena. */
uint32_t *import_codes(TokenizerImport *, const char *text, int32_t *count);
/* pre_tokenizers.c: reads the pre_tokenizer of tokenizer.json. */
bool import_pre_tokenizer(TokenizerImport *, const json_t *pre_tokenizer);
/* charsmap.c: reads a precompiled character map in base64, or its bytes. NULL and a message if it is
 * malformed. */
const Charsmap *import_charsmap(TokenizerImport *, const char *base64);
const Charsmap *import_charsmap_bytes(TokenizerImport *, const uint8_t *bytes, size_t count);
/* tokenizer_keys.c: warns about keys of the files that bertc does not know, and adds them to
 * desc->unknown_keys. root: tokenizer.json, NULL in the older forms. False and a message about a key that is
 * refused. */
bool import_check_keys(TokenizerImport *, const json_t *root);
/* tokenizer_json.c: reads the model of tokenizer.json, then the rest. */
bool import_json_model(TokenizerImport *, const json_t *root);
bool import_json_rest(TokenizerImport *, const json_t *root);

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
