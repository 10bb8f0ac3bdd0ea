/* rewrite.h: the few moves that passes make on a graph, beside those of ir.h. Internal to passes/. */
#ifndef BERTC_REWRITE_H
#define BERTC_REWRITE_H
#include "passes.h"

/* Puts a node of one result in front of old's node and lets it take over old's uses, name and origin. old's
 * node stays, unused. NULL and messages on error. */
Value *rewrite_value(Graph *, Value *old, Op, Value *const *args, int32_t nargs, const Attrs *, PassRun *);
/* Lets `by` take over all uses of old, and its name when it has none of its own. */
void rewrite_uses(Graph *, Value *old, Value *by);
/* Erases node when nothing uses it, then the nodes that only it used. They all stand before node, so that a
 * walk which has already fetched node->next may go on. */
void rewrite_erase(Graph *, Node *);

/* Constant rows that are added to what a table gives go into the table (fold_rows.c). False after an error.
 */
bool fold_table_rows(Graph *, PassRun *);

/* Erases every node that no output needs; how many. */
int32_t graph_sweep(Graph *);
/* True when an item of the comma-separated list matches the origin or one of the parts it lies in: "layer.3"
 * has layer.3.ffn.in. */
bool origin_matches(const char *list, const char *origin);

/* True when v is made by op. */
static inline bool value_is(const Value *v, Op op) { return v->node && v->node->op == op; }

/* A new tensor whose name says what it was made from: "BASE.WHAT.N", N making it unique in the graph. */
Tensor *tensor_derived(Graph *, const Tensor *base, const char *what, Type);
/* A tensor as f32, widened exactly; the tensor itself when it is f32 already. */
const Tensor *tensor_widened(Graph *, const Tensor *);
/* A plain type from sizes. */
Type type_numbers(DType, int32_t rank, const int64_t *sizes);
#endif
