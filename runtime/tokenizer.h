/* tokenizer.h: tokenisation inside the emitted program. The tables are written by codegen/tokenizer_emit.c and lie in the
 * program's data beside the weights; nothing is allocated here and nothing is opened. The vocabulary's layout is tokenizer.c's own. */
#ifndef RT_TOKENIZER_H
#define RT_TOKENIZER_H
#include "model.h"

enum { RT_SPECIAL = -1 };   /* byte_start and byte_end of a token that is not in the text */

/* What one call of rt_tokenize did. */
typedef struct RtEncoding {
	int32_t n;              /* tokens written, special tokens included */
	int32_t total;          /* tokens there would be without truncation */
	int32_t text_tokens, pair_tokens;   /* written of each, special tokens excluded */
	size_t  text_next, pair_next;       /* byte where the first token left out begins; the length when all fit */
	int32_t replaced;       /* invalid UTF-8 sequences that became U+FFFD */
} RtEncoding;

/* Encodes text, or text and pair (pair NULL: single), with the special tokens of the template, truncated to max_tokens as
 * longest_first does in transformers. ids, types, byte_start, byte_end have room for max_tokens; all but ids may be NULL.
 * byte_start/byte_end: offsets into the original UTF-8 of the text the token lies in (the pair for its tokens). word (may be
 * NULL): number of the pre-token (word or punctuation mark) that the token is part of, counted from 0 in each text; -1 for special tokens.
 * Returns RT_OK, RT_E_TEXT (no template for a pair), or RT_E_LENGTH (max_tokens has no room for the special tokens). */
RT_FN int rt_tokenize(const RtTokenizer *, const char *text, size_t bytes, const char *pair, size_t pair_bytes, int32_t max_tokens,
                      int32_t *ids, int32_t *types, int32_t *byte_start, int32_t *byte_end, int32_t *word, RtEncoding *);
/* The vocabulary's spelling of an id ("##ing"); bytes receives its length. NULL: no such id. */
RT_FN const char *rt_token_text(const RtTokenizer *, int32_t id, size_t *bytes);
RT_FN int32_t rt_token_mask_id(const RtTokenizer *);   /* -1: the vocabulary has no mask */
#endif
