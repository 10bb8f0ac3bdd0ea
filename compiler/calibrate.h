/* calibrate.h: what passes ask of the compiler while a model is built: to run a changed copy of it over data. */
#ifndef BERTC_CALIBRATE_RUN_H
#define BERTC_CALIBRATE_RUN_H
#include "bertc.h"

typedef struct Calibration { const BuildOptions *options; const Loaded *loaded; } Calibration;

/* Fills the part of a PassEnv that needs a tokenizer and a compiler; leaves it empty for models without tokenizer. */
void calibration_offer(Calibration *, PassEnv *);
#endif
