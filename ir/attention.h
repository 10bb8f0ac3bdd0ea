/* attention.h: the arguments of attention: q, k and v, then score biases. infer_attention.c. */
#ifndef BERTC_IR_ATTENTION_H
#define BERTC_IR_ATTENTION_H
#include "ir.h"

/* How many arguments of an attention, or of what it received, are q, k and v; keys are the rows of the last.
 */
int32_t attention_parts(const Node *);
/* One score bias of an attention: dense, or a table by distance and perhaps the places of the tokens. */
typedef struct ScoreBias {
	Value *value, *places; /* places: NULL when token i is at place i */
	bool is_table;
} ScoreBias;
enum { BIASES_MAX = 4 };
/* The score biases behind q, k and v; how many. Whether they are good ones is infer's to say. */
int32_t attention_biases(const Node *, ScoreBias at[BIASES_MAX]);
/* Whether a bias broadcasts to scores [heads,queries,keys], or is a table by distance for them. */
bool score_bias_fits(const ScoreBias *, int64_t heads, Dim queries, Dim keys);
/* Whether places are position_ids, and so lie one behind the other. */
bool places_are_plain(const Value *);
/* Whether a type is that of a table by distance: [heads,2R+1], plain numbers. */
bool by_distance_table(const Type *);
#endif
