/* bertc.h: what the subcommands share. main.c is the table of contents; one file a subcommand (cmd_NAME.c). */
#ifndef BERTC_H
#define BERTC_H
#include <argp.h>
#include "codegen/codegen.h"

#define COMMAND(function, name, arguments, doc) int cmd_##function(int argc, char **argv);
#include "commands.def"
#undef COMMAND

/* ---- options.c: options of build and of every command that builds ------------------------------------------------------ */
typedef struct BuildOptions {
	const char *model, *out, *name;
	EmitKind    emit;
	const char *passes;                 /* pipeline text; NULL: level's preset, or the description's recipe */
	int         level;                  /* -O0 .. -O3; default 2 */
	bool        level_given;
	const char *weights;                /* "f32" "f16" "bf16"; NULL: the checkpoint's own precision */
	const char *compute;                /* "f32" (default) */
	const char *target, *cpu, *sysroot, *cc, *save_temps;
	int         is_static;              /* -1: default (yes for exe) */
	const char *task, *outputs;         /* outputs: "hidden,pooled", added to those of the heads */
	int         max_tokens;
	bool        quiet, progress, print_pipeline, weights_inline, pack_small;
	const char *search[16];             /* --search DIR, NULL-terminated */
	const char *merge;                  /* --merge=NAME=DIR,..: several tasks over the base MODEL */
	const struct ModelDesc *base;       /* of a directory that is being read for --merge: what its delta changes */
	const char *ledger;                 /* --ledger=FILE.json */
	const char *verified;               /* --verified=FILE.json: figures of verify for --about; NULL: none */
	const struct json_t *figures;       /* the same, already in memory (verified.h); NULL: none */
	struct json_t *tuned;               /* what tune measured of this pipeline, for --about; NULL: it was not tuned */
	bool        tune;                   /* --tune: time kernels and add to the file tune_cache */
	const char *tune_cache;             /* --tune-cache=FILE; NULL: none (with --tune: tune_default_path) */
	const struct TuneTable *tunings;    /* these and nothing else, instead; NULL: as said */
	DriverOptions driver;
	char       *command;                /* the command line without paths of this machine, for the emitted comment */
} BuildOptions;
void build_options_init(BuildOptions *, int argc, char **argv);
/* A child parser: its `input` is a BuildOptions. Commands list it in .children. */
extern const struct argp build_argp;
/* The number that an option was given, within [least, most]; the one MODEL of a command. A usage error ends the process with exit 2. */
double option_number(struct argp_state *, const char *name, const char *text, double least, double most);
void   option_model(struct argp_state *, BuildOptions *, const char *argument);

/* ---- description.c, load_*.c, the files of families/: from files to a module ---------------------------------------------------------- */
typedef struct HeadDesc {
	const char *name, *task, *problem;  /* words of ir.h's task_names, problem_names; problem may be NULL */
	const char *tensors;                /* prefix of its weights: "classifier", "qa_outputs", "cls.predictions"; NULL: by task */
	const char *pooling;                /* embed: "mean" "first" "max" "mean_sqrt" "mean_weighted" "last" "pooler", several by spaces */
	bool        normalize;              /* embed: unit length at the end */
	int32_t     ndense; struct DenseDesc { const char *href, *activation; } dense[4];   /* embed: 2_Dense, 3_Dense */
	int32_t     nlabels; const char **labels;
} HeadDesc;
enum { HEADS_MAX = 64 };
/* What model.xml says. describe writes it, build reads it (or makes it from a directory without writing it down). */
typedef struct ModelDesc {
	MemArena   *mem;
	const char *path;                   /* of the description or directory, for messages */
	const char *directory;              /* references are looked up here, then in --search */
	const char *modules_directory;      /* where dense modules lie when not in directory; NULL: they do */
	const char *name;
	const char *weights;                /* plain file name: .safetensors, or .safetensors.index.json of a sharded one */
	const char *tokenizer;              /* tokenizer.json or vocab.txt; NULL: ids only */
	const char *family;                 /* row of families.def: "bert" */
	int32_t     layers, hidden, heads, ffn, positions, types, vocab;
	bool        from_config;            /* made from config.json: its key names in messages; the checkpoint holds no more layers */
	const char *activation;             /* as config.json spells it */
	double      eps;
	int32_t     nheads; HeadDesc head[HEADS_MAX];
	int32_t     max_tokens; const char *max_tokens_rule;   /* which file gave the limit */
	const char *delta;                  /* path of a delta.safetensors, whose tensors stand for those of that name in weights; NULL: none */
	const char *weights_directory;      /* where weights lies when that is another model's; NULL: directory */
	int32_t     nmerges;                /* tasks of several checkpoints over these weights, and no head of its own */
	struct MergeDesc { const char *name, *directory; } merge[HEADS_MAX];
	const char *outputs;                /* "hidden pooled": beside those of the heads; NULL: hidden, where a head keeps every row */
	const char *passes;                 /* recipe, or NULL */
	bool        is_graph;               /* second form: <graph>, already built: */
	Module     *module;
} ModelDesc;
/* Both return NULL with messages on error; the result lives in its own mem (description_free). */
ModelDesc *description_from_hf(const char *directory, const BuildOptions *, Diag *);
ModelDesc *description_from_xml(const char *path, const BuildOptions *, Diag *);
bool       description_write(const ModelDesc *, FILE *);
void       description_free(ModelDesc *);

/* families.def: FAMILY(function, "model_type", "what it is"): builds the graph of an encoder and its heads. */
typedef Module *FamilyFn(const ModelDesc *, SafeTensors *const *files, int32_t nfiles, const BuildOptions *, Diag *);

/* tokenizer_import.c: tokenizer.json, or vocab.txt with tokenizer_config.json beside it, as data. The result lives in mem. */
TokenizerDesc *tokenizer_import(const char *directory, const char *file, const char *const *search, MemArena *, Diag *);

/* A model, read and checked, at graph level. */
typedef struct Loaded {
	Module        *module;
	TokenizerDesc *tokenizer;           /* NULL: ids only */
	MemArena      *mem;
	const char    *passes;              /* recipe of the description, or NULL */
	char           graph_sha256[65];    /* of the graph's text, and of its constants where no checkpoint's hash stands for them */
	const int32_t *renumbered;          /* new ids of the nrenumbered ones of the files, -1: gone; NULL: as they are */
	int32_t        nrenumbered;
	ModelDesc     *desc;                /* what the module was built from; NULL: a .bir */
	Module       **merged; int32_t nmerged;   /* modules whose tensors the module reads: those of its tasks */
} Loaded;
/* load.c: options->model is a directory, a .xml or a .bir. */
bool model_load(const BuildOptions *, Loaded *, Diag *);
void model_unload(Loaded *);
/* import/merge.c: merge-tasks on a module of several tasks; nothing on one that is merged. */
bool merge_graphs(Module *, Diag *);

/* ---- build.c: from a loaded model to options->out ---------------------------------------------------------------------------- */
/* Runs the pipeline (lowering included) on the module in place and emits. ledger may be NULL. */
bool build_loaded(const BuildOptions *, Loaded *, Ledger *, Diag *);
/* Runs the passes named, none is added, and makes nothing of the result: another build goes on from there. */
bool  build_run_passes(const BuildOptions *, Loaded *, Diag *);
/* The pipeline's text, malloc'd: --weights in front, --compute behind, a recipe completed by the preset, and the passes that code
 * needs at its end. NULL and messages on error. */
char *build_pipeline(const BuildOptions *, const Loaded *, Diag *);
/* Whether the options make sense and the result replaces no file of the model; to be asked before any work is done. */
bool build_check(const BuildOptions *, Diag *);

/* emit_checkpoint.c: the model as a Hugging Face directory again, options->out. */
bool checkpoint_emit(const BuildOptions *, const Loaded *, Diag *);

/* ---- program.c: the emitted program, loaded into this process -------------------------------------------------------------- */
/* Builds a shared object in a temporary directory and opens it. The functions are those of the C API in interface.md. */
typedef struct Program {
	void *handle; void *context;
	char *directory;                    /* temporary; removed by program_close */
	int32_t hidden, max_tokens, noutputs, width, per_token;
	int (*run_ids)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, float *, size_t);
	int (*run_outputs)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, uint32_t, float *const *, const size_t *);
	int (*tokenize)(void *, const char *, size_t, const char *, size_t, int32_t *, int32_t *, int32_t *, int32_t *, int32_t, int32_t *);
	int (*set)(void *, const char *, double);
	const char *(*label)(int), *(*output)(int), *(*strerror)(int), *(*about)(void), *(*cpu)(const void *);
} Program;
bool program_open(const BuildOptions *, Loaded *, int threads, Program *, Diag *);
void program_close(Program *);

/* ---- files.c: small things about files ------------------------------------------------------------------------------------------ */
/* Reads a whole regular file of at most `limit` bytes; malloc'd and NUL-terminated. NULL and a message on error. */
char *file_read(const char *path, size_t limit, size_t *bytes, Diag *);
/* A reference must be a plain file name (no '/', not "." or ".."): finds it in directory, then in search. NULL and a message. */
char *file_find(const char *directory, const char *reference, const char *const *search, MemArena *, Diag *);
/* The same for the file `inside` of a folder whose plain name is the reference. */
char *file_find_in(const char *directory, const char *reference, const char *inside, const char *const *search, MemArena *, Diag *);
/* Whether writing `out` would replace the model: MODEL itself, or a weights, tokenizer or configuration file that lies with it. */
bool  file_is_of_model(const char *out, const char *model);
/* A file that appears whole or not at all: write to *stream, then commit (rename) or discard. */
typedef struct AtomicFile { FILE *stream; char *path, *temporary; } AtomicFile;
bool  atomic_open(AtomicFile *, const char *path, Diag *);
bool  atomic_commit(AtomicFile *, Diag *);
void  atomic_discard(AtomicFile *);
bool  file_copy(const char *from, const char *to, Diag *);
char *temporary_directory(Diag *);                 /* under $TMPDIR; malloc'd */
/* A directory beside `path`, to be filled, then committed (renamed) or removed; malloc'd. NULL and a message if path exists. */
char *directory_aside(const char *path, Diag *);
bool  directory_commit(const char *aside, const char *path, Diag *);
void  remove_tree(const char *directory);          /* only what the two above made */
void  files_interrupted(void);                     /* removes all of these temporaries; safe in a signal handler */
/* One progress line on a terminal's standard error ("\r[3/9] fuse"), nothing elsewhere. */
void  progress_show(const char *what, int64_t done, int64_t of);
void  progress_clear(void);
#endif
