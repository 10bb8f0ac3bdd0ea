/* trained.h: scales of quantisation-aware training, which compiler/model/qat.c leaves as meta lines: for each
 * linear the step and the zero of the codes of its input, and its weight with the scales of the rows. */
#ifndef BERTC_TRAINED_H
#define BERTC_TRAINED_H
#include "passes.h"

#define TRAINED_PREFIX "scales." /* of the key; behind it stands the origin of the linear */

typedef struct Trained {
	double step, zero, unit;
	const Tensor *weight, *scales;
} Trained;
/* False when the line is no such thing, which only somebody else's .bir can hold. */
bool trained_read(const Module *, const Meta *, Trained *);
bool module_has_scales(const Module *);
#endif
