/* attention.h: the arguments of attention: q, k and v, then score biases. infer_attention.c. */
#ifndef BERTC_IR_ATTENTION_H
#define BERTC_IR_ATTENTION_H
#include "ir.h"

/* How many leading arguments of `attention` or `received` hold q, k and v. The last of them has the keys as
 * rows.
 */
int32_t attention_parts(const Node *);
/* One score bias of an attention: dense, or a table by distance with optional positions of the tokens. */
typedef struct ScoreBias {
	Value *value, *places; /* places: NULL: token i has position i */
	bool is_table;
} ScoreBias;
enum { BIASES_MAX = 4 };
/* Writes the score biases, which follow q, k and v, and returns their number. Does not check them; infer
 * does. */
int32_t attention_biases(const Node *, ScoreBias at[BIASES_MAX]);
/* Whether a bias broadcasts to scores [heads,queries,keys], or is a table by distance for them. */
bool score_bias_fits(const ScoreBias *, int64_t heads, Dim queries, Dim keys);
/* Whether the positions come from position_ids, and are thus consecutive. */
bool places_are_plain(const Value *);
/* Whether a type is that of a table by distance: [heads,2R+1], plain numbers. */
bool by_distance_table(const Type *);
#endif
