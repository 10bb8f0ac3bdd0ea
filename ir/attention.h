/* attention.h: the arguments of attention: q, k and v, then score biases. infer_attention.c. */
#ifndef BERTC_IR_ATTENTION_H
#define BERTC_IR_ATTENTION_H
#include "ir.h"

/* How many leading arguments of `attention` or `received` hold q, k and v. The last of them has the keys as
 * rows.
 */
int32_t attention_parts(const Node *);
/* The axis of dot_by_distance: whose rows are multiplied with those of the table. */
enum { DOT_QUERIES = 1, DOT_KEYS = 2 };
/* One score bias of an attention: dense; a table by distance, perhaps with positions of the tokens; or, if
 * `axis` is not 0, the products of dot_by_distance with a table and an index. */
typedef struct ScoreBias {
	Value *value, *places;   /* places: NULL: token i has position i */
	bool is_table, by_query; /* by_query: a table for each query */
	int32_t axis;
	Value *index; /* with axis; else NULL */
} ScoreBias;
enum { BIASES_MAX = 4 };
/* Writes the score biases, which follow q, k and v, and returns their number. Does not check them; infer
 * does. */
int32_t attention_biases(const Node *, ScoreBias at[BIASES_MAX]);
/* How many arguments of the attention the bias takes. */
static inline int32_t score_bias_args(const ScoreBias *bias) { return bias->places || bias->index ? 2 : 1; }
/* Whether a bias broadcasts to scores [heads,queries,keys], or is a table by distance or of products for
 * them. size: of a head. */
bool score_bias_fits(const ScoreBias *, int64_t heads, int64_t size, Dim queries, Dim keys);
/* Whether the positions come from position_ids, and are thus consecutive. */
bool places_are_plain(const Value *);
/* Whether a type is that of a table by distance: [heads,2R+1], plain numbers. */
bool by_distance_table(const Type *);
/* Whether some bias of the attention multiplies rows: those of q or k (axis), or any (axis 0). */
bool attention_has_dots(const Node *, int32_t axis);
/* How many biases of the attention are products; 0 for other ops. */
int32_t attention_dots(const Node *);
/* The largest number of rows, with those that only fill a panel, of the packed tables; 0: there is none. */
int64_t attention_packed_rows(const Node *);
/* Whether a type is that of a table by distance for each query: rows [S,heads*(2R+1)]. */
bool by_query_table(const Type *, int64_t heads);
#endif
