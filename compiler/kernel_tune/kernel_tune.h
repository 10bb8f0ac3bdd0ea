/* kernel_tune.h: what was measured of kernels, as text, and measuring it. passes/lower/tune.c asks the table;
 * nothing else in a build times anything. */
#ifndef BERTC_TUNE_H
#define BERTC_TUNE_H
#include "compiler/build/build.h"

/* ---- kernel_tune_file.c: decisions as text (tune.txt holds those that bertc brings along) ---- */
/* Adds the decisions of a text; `own`: they are the user's. Every bad line is told: file, line, what was
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

/* ---- kernel_tune.c --------------------------------------------------------------------------- */
/* DriverOptions.before of a build with --tune: in front of lower it times, for every shape of linear and of
 * chain that the user's decisions in the table do not answer, what the cost model proposes, adds the
 * decisions and saves them. */
typedef struct Tuner {
	const BuildOptions *options;
	const Target *target;
	TuneTable *table;
	const char *path;
	bool chains;
} Tuner;
bool tune_before(void *tuner, const char *pass, Module *, Diag *);
/* Whether this machine can time code of the target. */
bool tune_check(const Target *, Diag *);
#endif
