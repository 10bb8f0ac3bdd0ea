/* calibrate.h: what passes ask of the compiler while a model is built: to run changed copies on data. */
#ifndef BERTC_CALIBRATE_RUN_H
#define BERTC_CALIBRATE_RUN_H
#include "compiler/support/files.h"
#include "program.h"

/* BuildHooks.offer. Fills the part of a PassEnv that needs a tokenizer and a compiler; leaves it empty for
 * models without tokenizer. */
void calibration_offer(BuildRun *, PassEnv *);
/* A changed copy of the model, built for this machine; the module is used up, but stays the caller's. */
bool calibration_open(const BuildRun *, Module *, Program *, Diag *);

/* vocabulary.c: vocab_used, vocab_continues and vocab_renumber of PassEnv; the last changes
 * loaded->tokenizer. */
bool vocabulary_used(void *calibration, const char *corpus, bool *used, int32_t rows, Diag *);
void vocabulary_never(void *calibration, bool *never, int32_t rows);
void vocabulary_continues(void *calibration, bool *continues, int32_t rows);
bool vocabulary_renumber(void *calibration, const int32_t *to, int32_t rows, Diag *);
#endif
