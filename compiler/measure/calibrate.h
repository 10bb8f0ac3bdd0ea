/* calibrate.h: runs changed copies of a model on data, for passes that learn from data. */
#ifndef BERTC_CALIBRATE_RUN_H
#define BERTC_CALIBRATE_RUN_H
#include "compiler/support/files.h"
#include "program.h"

/* BuildHooks.offer: fills the members of a PassEnv that need a tokenizer and a compiler. Leaves them empty
 * for models without a tokenizer. */
void calibration_offer(BuildRun *, PassEnv *);
/* Builds a changed copy of the model for this machine. The module is changed; the caller frees it. */
bool calibration_open(const BuildRun *, Module *, Program *, Diag *);

/* vocabulary.c: vocab_used, vocab_never, vocab_continues and vocab_renumber of PassEnv. vocab_renumber
 * changes loaded->tokenizer. */
bool vocabulary_used(void *calibration, const char *corpus, bool *used, int32_t rows, Diag *);
void vocabulary_never(void *calibration, bool *never, int32_t rows);
void vocabulary_continues(void *calibration, bool *continues, int32_t rows);
bool vocabulary_renumber(void *calibration, const int32_t *to, int32_t rows, Diag *);
#endif
