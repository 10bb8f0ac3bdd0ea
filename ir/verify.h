/* verify.h: shared by the files of the verifier. */
#ifndef BERTC_VERIFY_H
#define BERTC_VERIFY_H
#include "value_map.h"

/* L1 to L5: lowered code, its arena plan, and memory that values share (verify_lowered.c). The graph's lists,
 * types and arguments must have been verified before. */
bool verify_lowered(const Graph *, Diag *);
/* M1 and M2: heads and names of a module (verify_module.c). */
bool verify_heads(const Module *, Diag *);
/* G9, and in lowered code L6: exits (exits.c). */
bool verify_exits(const Graph *, Diag *);
#endif
