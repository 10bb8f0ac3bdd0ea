/* tunings.h: decisions between kernels as text. tune.txt holds those that bertc brings along;
 * compiler/kernel_tune makes new ones. passes/lower/tune.c asks the table. */
#ifndef BERTC_TUNINGS_H
#define BERTC_TUNINGS_H
#include "passes/passes.h"

/* Adds the decisions of a text; `own`: they are the user's. Every bad line is reported: file, line, what was
 * found and expected. */
bool tune_parse(TuneTable *, const char *text, size_t bytes, const char *file, bool own, Diag *);
/* The built-in decisions and, unless path is NULL, those of the file on top. may_lack: no such file yet is an
 * empty one. */
bool tune_load(TuneTable *, const char *path, bool may_lack, Diag *);
/* The user's decisions, sorted, by rename, in folders that are made where they lack. */
bool tune_save(const TuneTable *, const char *path, Diag *);
/* "linear f32 K=384 N=1536 act=gelu cpu=znver4". */
void tune_key_print(const TuneRow *, FILE *);
/* Where --tune keeps decisions when --tune-cache does not say. malloc'd; NULL and a message on error. */
char *tune_default_path(Diag *);
#endif
