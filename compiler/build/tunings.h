/* tunings.h: decisions between kernels as text. tune.txt holds the built-in decisions; compiler/kernel_tune
 * makes new ones. passes/lower/tune.c looks them up. */
#ifndef BERTC_TUNINGS_H
#define BERTC_TUNINGS_H
#include "passes/passes.h"

/* Adds the decisions of a text; `own`: they are the user's. Every bad line is reported with file, line, found
 * and expected word. */
bool tune_parse(TuneTable *, const char *text, size_t bytes, const char *file, bool own, Diag *);
/* The built-in decisions, then those of the file unless path is NULL. may_lack: a missing file counts as
 * empty. */
bool tune_load(TuneTable *, const char *path, bool may_lack, Diag *);
/* Writes the user's decisions, sorted, atomically (by rename). Creates missing folders. */
bool tune_save(const TuneTable *, const char *path, Diag *);
/* "linear f32 K=384 N=1536 act=gelu cpu=znver4". */
void tune_key_print(const TuneRow *, FILE *);
/* The default file of --tune-cache. malloc'd; NULL and a message on error. */
char *tune_default_path(Diag *);
#endif
