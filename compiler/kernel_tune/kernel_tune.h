/* kernel_tune.h: `build --tune` times kernels on this machine. Nothing else in a build times anything. */
#ifndef BERTC_KERNEL_TUNE_H
#define BERTC_KERNEL_TUNE_H
#include "compiler/build/build.h"

/* BuildHooks.tune_before, its first argument a BuildRun: in front of lower it times, for every shape of
 * linear and of chain that the user's decisions do not answer, what the cost model proposes, adds the
 * decisions to the run's table and saves them in the file of --tune-cache. */
bool tune_before(void *run, const char *pass, Module *, Diag *);
/* BuildHooks.tune_check. */
bool tune_check(const Target *, Diag *);
#endif
