/* rewrite.h: graph edits that passes need in addition to ir.h. Internal to passes/. */
#ifndef BERTC_REWRITE_H
#define BERTC_REWRITE_H
#include "passes.h"

/* Inserts a node with one result before old's node. The result takes over old's uses, name and origin. old's
 * node stays, unused. NULL and messages on error. */
Value *rewrite_value(Graph *, Value *old, Op, Value *const *args, int32_t nargs, const Attrs *, PassRun *);
/* Replaces all uses of old by `by`. A `by` without a name takes old's name. */
void rewrite_uses(Graph *, Value *old, Value *by);
/* Erases node if it is unused, then the nodes that only it used. These all come before node, so a walk that
 * holds node->next can continue. */
void rewrite_erase(Graph *, Node *);

/* Folds constant rows that are added to rows of a table into the table (fold_rows.c). False after an error.
 */
bool fold_table_rows(Graph *, PassRun *);

/* True when embed picks rows of v for rotary, or a linear multiplies with v for fourier: cosines and sines,
 * which are no weights and must stay precise. */
bool table_is_angles(const Graph *, const Value *v);
/* Erases every node that no output needs; returns their number. */
int32_t graph_sweep(Graph *);
/* True when an item of the comma-separated list matches the origin or a part that contains it: "layer.3"
 * matches layer.3.ffn.in. */
bool origin_matches(const char *list, const char *origin);

/* True when v is made by op. */
static inline bool value_is(const Value *v, Op op) { return v->node && v->node->op == op; }

/* A new tensor whose name says what it was made from: "BASE.WHAT.N", N making it unique in the graph. */
Tensor *tensor_derived(Graph *, const Tensor *base, const char *what, Type);

/* passes/lower/pack_recurrent.c, for pack-weights: packs the weights of the state of an lstm or a gru. False
 * and a message: they are not constant. */
bool recurrent_pack(Graph *, Node *, PassRun *);
/* A tensor as f32, widened exactly; the tensor itself when it is f32 already. */
const Tensor *tensor_widened(Graph *, const Tensor *);
/* A plain type from sizes. */
Type type_numbers(DType, int32_t rank, const int64_t *sizes);
#endif
