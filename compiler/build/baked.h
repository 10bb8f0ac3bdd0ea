/* baked.h: see baked.c. */
#ifndef BERTC_BAKED_H
#define BERTC_BAKED_H
#include "build.h"

/* The options by themselves. */
bool baked_check(const ResultOptions *, Diag *);
/* Whether they fit the model. */
bool baked_fits(const ResultOptions *, const Loaded *, Diag *);
/* The JSON of --ranges; NULL without. The caller frees it. */
bool baked_ranges(const ResultOptions *, const Loaded *, char **text, Diag *);
#endif
