/* verify.h: what the files of the verifier share. */
#ifndef BERTC_VERIFY_H
#define BERTC_VERIFY_H
#include "value_map.h"

/* Invariants of lowered code, of its arena plan, and of the memory that values share (verify_lowered.c). The
 * graph's lists, types and arguments have been found sound before. */
bool verify_lowered(const Graph *, Diag *);
/* What a module says about its graphs (verify_module.c). */
bool verify_heads(const Module *, Diag *);
/* What exits say about their graph, and of lowered code what stands behind them (exits.c). */
bool verify_exits(const Graph *, Diag *);
#endif
