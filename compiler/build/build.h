/* build.h: from a loaded model to an output: IR text, a checkpoint, C, a library, a program. Options are
 * grouped by their reader: loading (LoadOptions), the pipeline, the result, and the result's --about. */
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
	const struct TuneTable *tunings; /* replaces the built-in tunings and tune_cache; NULL: use those */
	DriverOptions driver;
} PipelineOptions;

/* What the result is, and for which machine. */
typedef struct ResultOptions {
	const char *out, *name; /* name: prefix of the C functions; NULL: from out */
	EmitKind emit;
	const char *target, *cpu, *sysroot, *cc, *save_temps;
	int is_static; /* -1: default (yes for exe) */
	bool weights_inline, pack_small;
	const char *labels, *pattern; /* --labels, --template of zero-shot classification; NULL: none */
	const char *ranges;           /* a file: --ranges of embeddings; NULL: none */
	bool zero_shot;               /* --task=zero-shot */
	bool no_cache;                /* compile all code anew, keep no objects */
} ResultOptions;

/* Contents of the program's --about. */
typedef struct AboutOptions {
	char *command;        /* the command line without paths of this machine, for the emitted comment */
	const char *verified; /* --verified=FILE.json: figures of verify; NULL: none */
	const struct json_t *figures; /* the same, already in memory (verified.h); NULL: none */
	struct json_t *tuned;         /* figures of tune for this pipeline; NULL: not from tune */
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

/* Functions that need built programs during a build. The folders that run programs (measure, kernel_tune)
 * depend on this one, so the caller passes these functions in. build_options_init sets them for every
 * command. */
typedef struct BuildHooks {
	/* Fills the part of PassEnv for passes that learn from data. */
	void (*offer)(BuildRun *, PassEnv *);
	/* True when this machine can time code for the target; else false and a message. */
	bool (*tune_check)(const Target *, Diag *);
	/* DriverOptions.before of a build with --tune; its first argument is the BuildRun. Times kernels before
	 * of lower and adds the decisions to the run's table. */
	bool (*tune_before)(void *run, const char *pass, Module *, Diag *);
} BuildHooks;

/* The pipeline to run, or NULL. If it names merge-tasks, the tasks of --merge stay separate until that
 * pass. */
void build_set_passes(BuildOptions *, const char *passes);
/* Runs the pipeline (lowering included) on the module in place and emits. ledger may be NULL. */
bool build_loaded(const BuildOptions *, Loaded *, Ledger *, Diag *);
/* Runs only the named passes and writes no result. Another build can continue from there. */
bool build_run_passes(const BuildOptions *, Loaded *, Diag *);
/* The pipeline: --weights first, --compute last, a recipe completed by the preset, and the passes that
 * code needs at its end. NULL and messages on error. */
Pipeline *build_pipeline(const BuildOptions *, const Loaded *, Diag *);
/* True when the options are valid and the result replaces no file of the model. Call it before any work is
 * done. */
bool build_check(const BuildOptions *, Diag *);
#endif
