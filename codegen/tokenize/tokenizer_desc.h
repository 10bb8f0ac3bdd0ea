/* tokenizer_desc.h: a tokenizer as data. compiler/ imports it; codegen writes its tables. */
#ifndef BERTC_TOKENIZER_DESC_H
#define BERTC_TOKENIZER_DESC_H
#include "ir/ir.h"

/* The same for all file formats. compiler/tokenizer/tokenizer_import.c fills it; it is allocated in `mem`. */
typedef struct AddedToken {
	const char *text;
	int32_t bytes, id;
	bool special, single_word, lstrip, rstrip, normalized;
} AddedToken;
typedef enum TemplatePiece { PIECE_TOKEN, PIECE_A, PIECE_B } TemplatePiece;
typedef struct TemplateItem {
	TemplatePiece piece;
	int32_t id, type;
} TemplateItem;
typedef enum CharStep {
#define STEP(name) STEP_##name,
#include "steps.def"
#undef STEP
	CHAR_STEPS
} CharStep;
enum { TOKENIZER_STEPS_MAX = 16 };
/* A precompiled character map: its keys of fewer than 6 bytes, the only ones that matter, and what they
 * become. The value of a key is the place in `lists` of a length and as many code points. */
typedef struct Charsmap {
	const struct TrieKey *keys;
	const uint32_t *lists;
	int32_t nkeys, nlists;
} Charsmap;
/* A step of a normaliser that looks at neighbours. kind: RT_STEP_MAP, .. (runtime/tokenize/tokenizer.h) */
typedef struct NormalStep {
	int32_t kind;
	CharStep step; /* of RT_STEP_MAP, RT_STEP_DECOMPOSE, RT_STEP_COMPOSE */
	int32_t npattern, ncontent;
	const uint32_t *pattern, *content; /* of RT_STEP_LITERAL; RT_STEP_PREPEND has only content */
	const Charsmap *map;
} NormalStep;
/* Runs of characters that become one, after all other steps. set: RT_RUN_NONE, .. */
typedef struct RunRule {
	int32_t set, least, singles, content;
} RunRule;
/* A pre-tokenizer before the last one of a Sequence: cuts at the matches of a regular expression, given as an
 * automaton (runtime/tokenize/cuts.h). of: the class of each code point; table: (classes + 1) entries a
 * state. */
typedef struct Cut {
	int32_t classes, ntable, behavior;
	bool invert;
	const uint8_t *of;
	const uint16_t *table;
} Cut;
enum { TOKENIZER_CUTS_MAX = 8 };
/* A tokenizer has a normaliser (steps), a pre-tokenizer that cuts words (split), a model that turns a word
 * into tokens (model), added tokens, and templates. */
typedef struct TokenizerDesc {
	const struct TokenizerModel *model; /* a row of compiler/tokenizer/tokenizers.def */
	const void *data;                   /* data of this kind of model */
	const struct Splitter *split;       /* a row of compiler/tokenizer/splitters.def */
	int32_t split_number[4];            /* its settings */
	int32_t ncuts;
	Cut cuts[TOKENIZER_CUTS_MAX]; /* before `split` */
	int32_t nsteps;
	CharStep steps[TOKENIZER_STEPS_MAX]; /* of normalisers that look at one character at a time */
	bool contextual;                     /* other normalisers: */
	int32_t nnormal;
	NormalStep normal[TOKENIZER_STEPS_MAX];
	int32_t strips; /* RT_TRIM_LEFT, .. */
	RunRule run;
	int32_t nvocab;                                  /* number of ids; an unused id has text NULL */
	const char **vocab;                              /* by id, UTF-8 */
	int32_t unk_id, pad_id, cls_id, sep_id, mask_id; /* -1: none */
	int32_t nadded;
	const AddedToken *added;
	int32_t nsingle, npair;
	const TemplateItem *single, *pair;
	bool trim_offsets, trim_prefix; /* the post-processor's trim_offsets and add_prefix_space */
	bool cut_left;                  /* a long text keeps its end */
	bool spelled;                   /* programs print tokens as the vocabulary spells them */
	bool splits_special;            /* special tokens in a text are read as text */
	int32_t max_length;             /* model_max_length if below 10^6, else 0 */
	const char *unknown_keys;       /* of its files, as in ModelDesc; NULL: none */
} TokenizerDesc;
bool tokenizer_has_step(const TokenizerDesc *, CharStep);
/* The id of exactly this token; -1: there is none. Added tokens come first, as in transformers. */
int32_t tokenizer_token_id(const TokenizerDesc *, const char *text, size_t bytes);
#endif
