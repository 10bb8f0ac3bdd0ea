/* driver.h: functions of measure.c and check_each.c that driver.c calls. Internal to passes/. */
#ifndef BERTC_DRIVER_H
#define BERTC_DRIVER_H
#include "passes.h"

/* measure.c: fills nodes, parameters, weight_bytes, macs and arena_bytes of the row, for all graphs of the
 * module. */
void module_measure(const Module *, LedgerRow *);

/* check_each.c: all outputs of all graphs of a module on sample input, in a row. */
typedef struct Sample {
	double *v;
	int64_t count;
	size_t capacity;
} Sample;
/* False and messages when the evaluator refuses the graph. */
bool sample_run(const Module *, const PassEnv *, Sample *, Diag *);
/* The largest difference and the smallest cosine of two samples. False when their sizes differ. */
bool sample_compare(const Sample *before, const Sample *after, double *max_abs, double *cosine);
void sample_free(Sample *);
#endif
