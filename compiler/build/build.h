/* build.h: from a loaded model to an output: IR text, a checkpoint, C, a library, a program. Options are
 * grouped by who reads them: loading (LoadOptions), the pipeline, the result, and what the result says about
 * itself. */
#ifndef BERTC_BUILD_H
#define BERTC_BUILD_H
#include "codegen/codegen.h"
#include "compiler/import/import.h"

/* Which passes run, and how. */
typedef struct PipelineOptions {
	const char *passes; /* pipeline text; NULL: level's preset, or the description's recipe */
	int level;          /* -O0 .. -O3; default 2 */
	bool level_given;
	const char *weights; /* "f32" "f16" "bf16"; NULL: the checkpoint's own precision */
	const char *compute; /* "f32" (default) */
	bool print_pipeline;
	const char *ledger;              /* --ledger=FILE.json */
	bool tune;                       /* --tune: time kernels and add to the file tune_cache */
	const char *tune_cache;          /* --tune-cache=FILE; NULL: none (with --tune: tune_default_path) */
	const struct TuneTable *tunings; /* these and nothing else, instead; NULL: as said */
	DriverOptions driver;
} PipelineOptions;

/* What the result is, and for which machine. */
typedef struct ResultOptions {
	const char *out, *name; /* name: prefix of the C functions; NULL: from out */
	EmitKind emit;
	const char *target, *cpu, *sysroot, *cc, *save_temps;
	int is_static; /* -1: default (yes for exe) */
	bool weights_inline, pack_small;
	bool no_cache; /* compile all code anew, keep no objects */
} ResultOptions;

/* What the program says about itself (--about). */
typedef struct AboutOptions {
	char *command;        /* the command line without paths of this machine, for the emitted comment */
	const char *verified; /* --verified=FILE.json: figures of verify; NULL: none */
	const struct json_t *figures; /* the same, already in memory (verified.h); NULL: none */
	struct json_t *tuned;         /* what tune measured of this pipeline; NULL: it was not tuned */
} AboutOptions;

typedef struct BuildOptions {
	LoadOptions load;
	PipelineOptions run;
	ResultOptions result;
	AboutOptions about;
	const struct BuildHooks *hooks; /* NULL: passes learn nothing from data, and --tune is refused */
	bool quiet, progress;
} BuildOptions;

/* One build, as its hooks see it. */
typedef struct BuildRun {
	const BuildOptions *options;
	Loaded *loaded;
	const Target *target;
	TuneTable *tunings; /* decisions between kernels; --tune adds to them */
	bool chains;        /* the pipeline holds chain-rows */
} BuildRun;

/* What needs built programs and yet happens during a build. The rooms that run programs (measure,
 * kernel_tune) stand above this one, so whoever builds hands these over; build_options_init sets them for
 * every command. */
typedef struct BuildHooks {
	/* Fills the part of the PassEnv by which passes learn from data. */
	void (*offer)(BuildRun *, PassEnv *);
	/* Whether this machine can time code of the target. False and a message. */
	bool (*tune_check)(const Target *, Diag *);
	/* DriverOptions.before of a build with --tune; its first argument is the BuildRun. Times kernels in front
	 * of lower and adds the decisions to the run's table. */
	bool (*tune_before)(void *run, const char *pass, Module *, Diag *);
} BuildHooks;

/* The pipeline to run, or NULL. Tasks of --merge stay apart until it merges them, if it names merge-tasks. */
void build_set_passes(BuildOptions *, const char *passes);
/* Runs the pipeline (lowering included) on the module in place and emits. ledger may be NULL. */
bool build_loaded(const BuildOptions *, Loaded *, Ledger *, Diag *);
/* Runs the passes named, none is added, and makes nothing of the result: another build goes on from there. */
bool build_run_passes(const BuildOptions *, Loaded *, Diag *);
/* The pipeline: --weights in front, --compute behind, a recipe completed by the preset, and the passes that
 * code needs at its end. NULL and messages on error. */
Pipeline *build_pipeline(const BuildOptions *, const Loaded *, Diag *);
/* Whether the options make sense and the result replaces no file of the model; to be asked before any work is
 * done. */
bool build_check(const BuildOptions *, Diag *);
#endif
