/* kernel_tune.h: `build --tune` times kernels on this machine. No other part of a build measures time. */
#ifndef BERTC_KERNEL_TUNE_H
#define BERTC_KERNEL_TUNE_H
#include "compiler/build/build.h"

/* BuildHooks.tune_before; `run` is a BuildRun. Before the pass lower, times the cost model's candidates for
 * every shape of linear and chain that the --tune-cache file does not decide. Adds the decisions to the run's
 * table and saves them in that file. */
bool tune_before(void *run, const char *pass, Module *, Diag *);
/* BuildHooks.tune_check: refuses targets that this machine cannot time. */
bool tune_check(const Target *, Diag *);
#endif
