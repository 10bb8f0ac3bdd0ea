/* tokenizer.h: tokenisation in emitted programs. codegen/tokenize/tokenizer_emit.c writes the tables, which
 * are in the program's data beside the weights. Nothing is allocated and no file is opened. */
#ifndef RT_TOKENIZER_H
#define RT_TOKENIZER_H
#include "../model.h"

enum { RT_SPECIAL = -1 }; /* byte_start and byte_end of tokens that are not in the text */

/* ---- the tables ---------------------------------------------------------------------------------
 *  * The normalised form of a code point. The compiler applies the normaliser's steps to every code point, so
 * a record is all that the program needs. */
typedef struct RtRecord {
	uint32_t bits;
	int32_t value;
} RtRecord;
enum {                     /* bits of a record */
	RT_KIND = 7,           /* one of: */
	RT_ONE = 0,            /* the character code point + value */
	RT_GONE = 1,           /* none */
	RT_SPACED = 2,         /* the character code point + value between two spaces */
	RT_LIST = 3,           /* entries [value, value + count) of the lists */
	RT_HANGUL = 4,         /* a Hangul syllable, taken apart by arithmetic */
	RT_CLASS_SHIFT = 3,    /* two bits: class of the resulting character (RT_ONE and RT_SPACED) */
	RT_RAW_WORD = 1 << 5,  /* \w matches the code point itself */
	RT_RAW_SPACE = 1 << 6, /* the code point itself is White_Space */
	RT_REORDERED = 1 << 7, /* its list has a mark that canonical ordering may move */
	RT_COUNT_SHIFT = 8,    /* eight bits: length of its list */
	RT_COUNT_MASK = 0xFF,
	/* for normalisers whose steps look at neighbours (normalizer.h): */
	RT_RAW_CLASS_SHIFT = 16, /* two bits: class of the code point itself */
	RT_CLUSTER_SHIFT = 18,   /* two bits: its part in grapheme clusters */
	RT_JOINS_NEXT = 1 << 20, /* the normal form may depend on the next character, whatever it is */
	RT_JOINS_BEFORE = 1 << 21,
	RT_PAIR_NEXT = 1 << 22, /* it may, if the next one has RT_PAIR_BEFORE */
	RT_PAIR_BEFORE = 1 << 23,
};
enum { RT_CLUSTER_OTHER, RT_CLUSTER_EXTEND, RT_CLUSTER_CONTROL, RT_CLUSTER_PREPEND };
/* A step of a normaliser that looks at neighbours. Members after `count` are offsets in step_data, but
 * `extra` of RT_STEP_LITERAL is the length of the new text. */
enum {
	RT_STEP_MAP,       /* single characters */
	RT_STEP_DECOMPOSE, /* the same, then canonical ordering: NFD, NFKD */
	RT_STEP_COMPOSE,   /* the same, then composition: NFC, NFKC. extra: RtComposite[count], sorted */
	RT_STEP_LITERAL,   /* replaces a text. lists: the old one, count characters, then the new one */
	RT_STEP_PREPEND,   /* lists: count characters */
	RT_STEP_CHARSMAP,  /* extra: a trie, place in lists: length and characters */
};
typedef struct RtNormalStep {
	int32_t kind, count;
	uint32_t blocks, cells, records, lists, extra;
} RtNormalStep;
typedef struct RtComposite {
	uint32_t first, second, composite;
} RtComposite;
/* A pre-tokenizer before the last one (cuts.h). Offsets are of cut_data. */
typedef struct RtCut {
	int32_t classes, behavior, invert;
	uint32_t blocks, cells, states;
} RtCut;
/* Strip before all other steps, or after them. RT_TRIM_RUNS: runs of spaces become one before all steps. */
enum { RT_TRIM_LEFT = 1, RT_TRIM_RIGHT = 2, RT_STRIP_LEFT = 4, RT_STRIP_RIGHT = 8, RT_TRIM_RUNS = 16 };
/* run_set: the characters of which a run becomes run_content. RT_RUN_WHITE: White_Space */
enum { RT_RUN_NONE, RT_RUN_SPACES, RT_RUN_WHITE };
/* Each pre-tokenizer defines the classes 0 to 3 of characters (split_bert.h); RT_SPACE is the same in all.
 */
enum { RT_OTHER = 0, RT_SPACE = 1 };
/* A list's entry: code point in bits 0-20, class in 21-22, bit 23: removed, canonical combining class in
 * 24-31. */
#define RT_REMOVED ((uint32_t)1 << 23)
enum { RT_BLOCK_BITS = 7 };
/* Numbers of tables and settings of the model, and of settings of the pre-tokenizer. Their files define the
 * indices. */
enum { RT_MODEL_TABLES = 6, RT_MODEL_NUMBERS = 6, RT_SPLIT_NUMBERS = 4 };

/* RT_ADDED_NEVER: a match is no token, but it hides others that overlap it */
enum { RT_ADDED_SINGLE_WORD = 1, RT_ADDED_LSTRIP = 2, RT_ADDED_RSTRIP = 4, RT_ADDED_NEVER = 8 };
typedef struct RtAdded {
	int32_t id;
	uint32_t flags;
} RtAdded;
enum { RT_PIECE_TOKEN, RT_PIECE_A, RT_PIECE_B }; /* as TemplatePiece in codegen.h */
typedef struct RtPiece {
	int32_t piece, id, type;
} RtPiece;

/* A trie is a double array of 32-bit units; unit 0 is the root. Bits 0-7: the byte on the edge to this unit;
 * bit 8: a string ends here, and its value is trie[base] >> 8; bits 9-31: base. The child for byte c (never
 * 0) is trie[base ^ c], if bits 0-7 of that unit are c: no two units share a base. */
#define RT_TOKENIZER_TABLES(TABLE) /* type, name: in the blob, 64-byte aligned, little-endian */ \
	TABLE(uint16_t, blocks)        /* block of a code point's cells: blocks[code >> RT_BLOCK_BITS] */ \
	TABLE(uint16_t, cells)         /* number of the record */ \
	TABLE(RtRecord, records) \
	TABLE(uint32_t, lists) \
	TABLE(uint32_t, added_raw) /* trie, index in added: tokens that are searched in the raw text */ \
	TABLE(uint32_t, \
		added_clean) /* the same for tokens that are normalised and searched in the normalised text */ \
	TABLE(RtAdded, added) \
	TABLE(uint8_t, first_raw) /* 256: whether a token of added_raw may begin with this byte */ \
	TABLE(uint32_t, text_at)  /* ids + 1: start of the text of an id; empty: no such id */ \
	TABLE(char, texts) \
	TABLE(RtNormalStep, steps) \
	TABLE(uint8_t, step_data) \
	TABLE(RtCut, cuts) \
	TABLE(uint8_t, cut_data) \
	TABLE(RtPiece, single) \
	TABLE(RtPiece, pair)
#define RT_TOKENIZER_NUMBERS(NUMBER) \
	NUMBER(ids) /* largest id + 1 */ \
	NUMBER(mask_id) \
	NUMBER(unk_id) \
	NUMBER(continues) /* spellings of tokens inside a word begin with a prefix ("##ing") */ \
	NUMBER(nadded_raw) \
	NUMBER(nadded_clean) \
	NUMBER(trim_prefix) /* trim keeps the first character of a text's first token */ \
	NUMBER(cut_left)    /* a long text keeps its end */ \
	NUMBER(skips)       /* no token of added_raw begins with U+FFFD, which any bad byte is */ \
	NUMBER(nsteps)      /* 0: records alone are the normaliser */ \
	NUMBER(strips)      /* RT_STRIP_LEFT, RT_STRIP_RIGHT */ \
	NUMBER(ncuts)       /* pre-tokenizers before the last one */ \
	NUMBER(run_set) \
	NUMBER(run_least)   /* a shorter run stays */ \
	NUMBER(run_singles) /* except a single tab or line end */ \
	NUMBER(run_content) \
	NUMBER(nsingle) NUMBER(npair) /* 0: no template for pairs */
typedef struct Cursor Cursor;
typedef struct Word Word;
typedef struct Writer Writer;
typedef struct Char Char;
/* Reads the next character of a normaliser whose steps look at neighbours; 0: end. */
typedef int RtNextFn(const RtTokenizer *, Cursor *, Char *);
/* Cuts the characters of a cursor up to index `to` into words for the model. They contain no added token. */
typedef void RtSplitFn(const RtTokenizer *, Cursor *, int32_t to, Writer *);
/* Writes the tokens of a word. */
typedef void RtWordFn(const RtTokenizer *, const Word *, Writer *);
/* Moves the offsets of the last written token past `before` characters of white space at its start and
 * `after` at its end. */
typedef void RtTrimFn(const RtTokenizer *, Writer *, int32_t before, int32_t after);
struct RtTokenizer {
	RtSplitFn *split; /* of the pre-tokenizer */
	RtSplitFn *last;  /* after cuts; NULL: there are none */
	RtWordFn *word;   /* of the model */
	RtTrimFn *trim;   /* of the post-processor; NULL: offsets stay */
	RtNextFn *next;   /* NULL: records alone are the normaliser */
	const void *model_table[RT_MODEL_TABLES];
	int32_t model_number[RT_MODEL_NUMBERS], split_number[RT_SPLIT_NUMBERS];
#define TABLE(type, name) const type *name;
	RT_TOKENIZER_TABLES(TABLE)
#undef TABLE
#define NUMBER(name) int32_t name;
	RT_TOKENIZER_NUMBERS(NUMBER)
#undef NUMBER
};

/* The result of rt_tokenize. */
typedef struct RtEncoding {
	int32_t n;                        /* tokens written, including special tokens */
	int32_t total;                    /* tokens without truncation */
	int32_t text_tokens, pair_tokens; /* tokens written of each, without special tokens */
	size_t text_next, pair_next;      /* start of the first token that was cut off after those written; the
									   * length: none was */
	int32_t replaced;                 /* invalid UTF-8 sequences that became U+FFFD */
} RtEncoding;

#ifndef RT_TABLES_ONLY /* the compiler wants the tables, not the functions */
/* Encodes text, or text and pair (pair NULL: single), with the special tokens of the template, truncated to
 * max_tokens as longest_first does in transformers, at the end or (cut_left) at the beginning of each text.
 * ids, types, byte_start, byte_end have room for max_tokens; all but ids may be NULL. byte_start/byte_end:
 * offsets into the original UTF-8 of the text the token lies in (the pair for its tokens). word (may be
 * NULL): number of the pre-token (word or punctuation mark) that the token is part of, counted from 0 in each
 * text; -1 for special tokens. Returns RT_OK, RT_E_TEXT (no template for a pair), or RT_E_LENGTH (max_tokens
 * has no room for the special tokens). */
RT_API int rt_tokenize(const RtTokenizer *, const char *text, size_t bytes, const char *pair,
	size_t pair_bytes, int32_t max_tokens, int32_t *ids, int32_t *types, int32_t *byte_start,
	int32_t *byte_end, int32_t *word, RtEncoding *);
/* Writes at most `limit` ids of a text without a template: the first ones or, with cut_left, the last.
 * *total: tokens of the whole text. *replaced: as in RtEncoding. Returns how many were written. */
RT_API int32_t rt_tokenize_one(const RtTokenizer *, const char *text, size_t bytes, int32_t limit,
	int32_t *ids, int32_t *total, int32_t *replaced);
/* The vocabulary's spelling of an id ("##ing"); bytes receives its length. NULL: no such id. */
RT_API const char *rt_token_text(const RtTokenizer *, int32_t id, size_t *bytes);
RT_API int32_t rt_token_mask_id(const RtTokenizer *); /* -1: the vocabulary has no mask */
#endif
#endif
