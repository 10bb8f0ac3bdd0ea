/* trained.h: scales of quantisation-aware training. compiler/model/qat.c stores them as meta lines, one per
 * linear: the step and zero point of its input's codes, and the name of its weight with the scale of each
 * row. */
#ifndef BERTC_TRAINED_H
#define BERTC_TRAINED_H
#include "passes.h"

#define TRAINED_PREFIX "scales." /* of the key; the origin of the linear follows */

typedef struct Trained {
	double step, zero, unit;
	const Tensor *weight, *scales;
} Trained;
/* False when the line is malformed. Only a .bir file from elsewhere can hold such a line. */
bool trained_read(const Module *, const Meta *, Trained *);
bool module_has_scales(const Module *);
#endif
