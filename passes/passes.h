/* passes.h: the passes and their driver. A pass is a plain function over one graph; passes.def is the only
 * list of them. */
#ifndef BERTC_PASSES_H
#define BERTC_PASSES_H
#include "ir/ir.h"

/* What a target's CPU can do. A kernel needs a set of these (runtime/kernels.def). */
enum Isa {
#define ISA(NAME, bit, target, text) ISA_##NAME = 1 << bit,
#include "runtime/isa.def"
#undef ISA
};

typedef struct PassOption {
	const char *key, *value;
} PassOption;

/* One item of a pipeline: `drop-layers{strategy=top keep=4}`. */
typedef struct PassItem {
	int32_t pass; /* row of pass_info */
	int32_t noptions;
	const PassOption *options;
	char *text; /* as it prints in --print-pipeline */
} PassItem;
typedef struct Pipeline {
	PassItem *items;
	int32_t count;
	int32_t ncode; /* of these at the end: passes that make code, which a preset has put there */
	bool preset;   /* one was named, so that the passes that make code belong at the end */
	struct MemArena *mem;
} Pipeline;

/* A CPU that code is made for. */
typedef struct CpuTarget {
	const char *name;
	uint32_t isa;
} CpuTarget;
/* One text that went through an observed model: the numbers of its one output (`tokens` rows of them when it
 * has a row a token), how many are in a row, and the text's length. */
typedef void ObserveFn(void *arg, const float *row, int32_t width, int32_t tokens);

/* How good an output is on labelled data: accuracy, entity F1 or rank correlation, as the model's first head
 * and the data have it; and the mean cross-entropy of the gold labels (minus the former where there are
 * none), which tells more of small changes. */
typedef struct OutputScore {
	double value, loss;
} OutputScore;

/* What all passes of a build share. */
typedef struct PassEnv {
	uint32_t isa; /* bits of Isa of the target CPU; before a module is split, those that all of them have */
	/* A program for several: the first PASS_SPLITS makes a graph for each, in this order. */
	const CpuTarget *cpus;
	int32_t ncpus;                /* 0: one CPU, isa */
	const char *cpu;              /* set for passes on a graph for one CPU: its name */
	const struct TuneTable *tune; /* lower and chain-rows ask it before they take defaults; NULL: none */
	int32_t max_tokens;           /* longest text the program takes */
	int32_t threads;              /* 0: any */
	/* For passes that learn from data; NULL where there is no tokenizer or nobody who compiles (bertc opt).
	 * Both run the first graph of the module, which they use up, as compiled code of this machine over the
	 * first `limit` (0: all) texts of a file. False and messages on error. */
	void *calibration; /* their first argument */
	bool (*observe)(void *, Module *, const char *data, int32_t limit, ObserveFn *, void *arg, Diag *);
	/* Every output of the graph (at most 32) is one of the head's; one score each. */
	bool (*score)(void *, Module *, const char *data, int32_t limit, OutputScore *, Diag *);
	/* The number of the label of each of those texts among those of the first head; malloc'd. An error where
	 * one has none. */
	bool (*labels)(void *, const char *data, int32_t limit, int32_t **labels, int32_t *count, Diag *);
	/* How much each of the `width` columns of the module's one output f32[S,width] says of the tags in a
	 * CoNLL file: columns in `order`, the most telling first, and their means over the words. The module is
	 * used up. */
	bool (*rank)(void *, Module *, const char *data, int32_t limit, int32_t *order, double *mean, Diag *);
	/* The tokenizer's vocabulary. Which of the ids below `rows` must stay: those that the texts of a file
	 * (each line, cut at tabs) use (NULL: none do, and the order of ids must tell which are common), those of
	 * single characters, special and added ones. And their new numbers, -1 for those that go. */
	bool (*vocab_used)(void *, const char *corpus, bool *used, int32_t rows, Diag *);
	/* Which no text ever becomes, whatever else is in the vocabulary: "[unused7]". May be NULL: none is
	 * known. */
	void (*vocab_never)(void *, bool *never, int32_t rows);
	/* Which tokens continue a word, so that the one before them begins it or continues it too. */
	void (*vocab_continues)(void *, bool *continues, int32_t rows);
	bool (*vocab_renumber)(void *, const int32_t *to, int32_t rows, Diag *);
} PassEnv;

/* A pass's view of its own run. */
typedef struct PassRun {
	const PassEnv *env;
	const PassItem *item;
	Diag *diag;
	int32_t changes;       /* the pass counts what it did */
	struct LedgerRow *row; /* for pass_note */
} PassRun;
typedef bool PassFn(Graph *, PassRun *);

enum PassFlags {
	PASS_NUMBERS = 1, /* may change results beyond rounding (lossy): no -O level holds it */
	PASS_REQUIRED = 2,
	PASS_SPLITS = 4,   /* from here on a graph is for one CPU */
	PASS_OUTPUTS = 16, /* may add outputs behind those there are */
	PASS_IDS = 8,      /* gives token ids new numbers: the same ids before and after mean nothing */
};
/* Where a pass may stand in a pipeline: the rows PHASE. PHASE_NAME is the bit of one. */
enum {
#define PHASE(NAME, ...) PHASE_##NAME##_AT,
#include "passes.def"
	PHASE_COUNT
};
enum {
#define PHASE(NAME, ...) PHASE_##NAME = 1 << PHASE_##NAME##_AT,
#include "passes.def"
};
typedef struct PhaseInfo {
	const char *name;
	uint32_t earlier; /* phases whose passes must come before those of this one */
	const char *why;
} PhaseInfo;
extern const PhaseInfo phase_info[PHASE_COUNT];

typedef struct PassInfo {
	const char *name;
	PassFn *run;
	int32_t phase; /* of phase_info */
	uint32_t flags;
	const char *options; /* keys it takes, "strategy keep layers"; "" for none */
	const char *doc;
} PassInfo;
extern const PassInfo pass_info[];
extern const int32_t pass_count;
/* The pass of this name; -1: there is none. */
int32_t pass_find(const char *name);
typedef struct PassOrder {
	const char *first, *second, *why;
} PassOrder;
extern const PassOrder pass_order[]; /* within a phase, or between phases that are otherwise free */
extern const int32_t pass_order_count;
/* Why the pass `first` must come before the pass `second`, by their phases or by pass_order; NULL: it need
 * not. */
const char *pass_order_why(int32_t first, int32_t second);

#define PASS(fn, ...) PassFn pass_##fn;
#include "passes.def"

/* The option's value, or fallback. */
const char *pass_option(const PassRun *, const char *key, const char *fallback);
/* The same as a number within [least, most]; *value stays when the option is not given. False and a message,
 * EXIT_USAGE. */
bool pass_option_int(const PassRun *, const char *key, int64_t least, int64_t most, int64_t *value);
bool pass_option_real(const PassRun *, const char *key, double least, double most, double *value);
/* "why it did not fire": shown by --explain and in the ledger. */
void pass_note(PassRun *, const Node *, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* chain_rows.c: true when a row a token is all that every result needs of every computed argument, and all of
 * them have such rows. */
bool node_is_rowwise(const Node *);

/* measure.c: multiply-adds of a node; symbols as dim_at takes them. Nodes are asked in their order, for thin
 * sets the symbol that it makes: as many rows as it keeps where none must stay. */
int64_t node_macs(const Node *, int64_t *symbols);

/* ---- layers_infer.c: layers of graphs without origins ---------------------------------------- */
/* Finds the encoder's layers by their structure and names their ops as the importer of a checkpoint does.
 * Only for a graph in which no origin names a layer. NULL when it is done, else the reason why nothing is
 * named. */
const char *layers_infer(Graph *);

/* ---- neurons.c: what layers make, for those who look into a model ---------------------------- */
/* Neuron n of layer at[i] is column i * width + n. */
typedef struct Neurons {
	int32_t layers, width;
	const int32_t *at;
} Neurons;
/* Lets the graph return nothing but the outputs of its layers side by side, f32[S,layers*width], as
 * "neurons". */
bool neurons_expose(Graph *, const char *pass, Neurons *, Diag *);

/* ---- heads.c: the attention of layers -------------------------------------------------------- */
/* Layers at[i] have `heads` heads of `size` numbers; scores are q . k * scale. */
typedef struct HeadMap {
	int32_t layers, heads, size;
	const int32_t *at;
	double scale;
} HeadMap;
/* Lets the graph return nothing but q and k of its layers side by side, f32[S,layers*2*heads*size], as
 * "attention". Layers without attention are left out. */
bool heads_expose(Graph *, const char *pass, HeadMap *, Diag *);
/* How much each head matters, as prune-heads{by=..} ranks them: by="accuracy" is the growth of the loss
 * without it. */
bool heads_score(
	Graph *, const PassEnv *, const char *by, const char *data, int32_t limit, double *scores, Diag *);

/* ---- prune_blocks.c: what an encoder is made of ----------------------------------------------- */
typedef struct BlockList {
	const int32_t *layer; /* numbers of the layers, in the order of the graph */
	const char **block; /* blocks that are recognised, as prune-blocks{blocks=..} names them: "0.attention" */
	int32_t nlayers, nblocks;
} BlockList;
/* The memory is the module's. False and a message when the graph's layers are not told apart. */
bool blocks_list(Graph *, const char *pass, BlockList *, Diag *);

/* ---- ledger.c: one row a pass ---------------------------------------------------------------- */
typedef struct LedgerRow {
	const char *pass; /* item text */
	int32_t changes, nodes;
	int64_t parameters, weight_bytes, macs /* for one text of 128 tokens */, arena_bytes;
	double ms;
	bool checked;           /* --check-each ran: */
	double max_abs, cosine; /* against the step before, on sample input */
	bool scored;            /* whoever ran the pipeline has scored what it is by now on labelled data: */
	double score;           /* 0 to 1; Spearman: -1 to 1 */
	double latency_ms;      /* one text, one thread; 0: nobody timed it */
	char **notes;
	int32_t nnotes;
	size_t capacity; /* of notes */
} LedgerRow;
typedef struct Ledger {
	LedgerRow start; /* the module before the first pass; its pass is NULL */
	LedgerRow *rows;
	int32_t count;
	size_t capacity;
} Ledger;
void ledger_free(Ledger *);
void ledger_print(const Ledger *, FILE *); /* aligned table, notes beneath */
char *ledger_json(const Ledger *);         /* malloc'd */

/* ---- expose_layers.c: the insides of an encoder, for the inspector --------------------------- */
/* Columns of the one output that is left: `width` of the layer's input and output, heads*size of its q, k. */
typedef struct ExposedLayer {
	int32_t number, width;
	int32_t heads, size;         /* heads 0: its attention is not recognised, or is more than q and k */
	double scale;                /* probabilities are softmax(q k^T scale) */
	int64_t input, output, q, k; /* the first column of each */
} ExposedLayer;
typedef struct ExposedLayers {
	ExposedLayer *at;
	int32_t count, without;   /* how many of them have an output without it */
	int64_t width, out_width; /* of the rows; of the model's own first output, all of it or a row */
	bool out_per_token;
} ExposedLayers;
/* Makes the first graph of a copy (module_copy, at graph level) return these rows f32[S,width], then its own
 * first output, then the same without the first layer, the second, .. as far as a program can have outputs;
 * models of one layer have none of these. The memory is the module's. False and messages when it has no
 * layers, or one is not told apart. */
bool layers_expose(Module *copy, ExposedLayers *, Diag *);

/* ---- pipeline.c: table, string parser, driver ------------------------------------------------ */
typedef struct DriverOptions {
	const char *print_after; /* pass name, "all" or "changed"; printed to stderr; NULL: no */
	const char *stop_after;  /* pass name */
	const char *dump_dir;    /* numbered .bir files */
	bool verify_each, check_each, time_passes, explain;
	bool (*before)(void *, const char *pass, Module *,
		Diag *); /* called before each pass; false ends the run; may be NULL */
	void *before_arg;
	bool (*after)(
		void *, LedgerRow *, Module *, Diag *); /* called after each pass, with its row filled; the same */
	void *after_arg;
	const char *reproduce;    /* the command line, first line of the .bir that a failing pass leaves */
	const char *failure_path; /* where that file goes ("bertc-failure.bir"); NULL: nowhere */
	void (*progress)(void *, const char *pass, int32_t done, int32_t of);
	void *progress_arg;
} DriverOptions;
/* pipeline ::= item (',' item)*; item ::= name ('{' (key '=' value)(' ' key '=' value)* '}')?. "-O2" style
 * names of presets are allowed as items ("O0".."O3"). Checks names, option keys, order constraints. NULL and
 * messages on error. */
Pipeline *pipeline_parse(const char *text, Diag *);
void pipeline_free(Pipeline *);
char *pipeline_text(const Pipeline *);  /* malloc'd */
const char *pipeline_preset(int level); /* -O0 .. -O3, spelled out */
Pipeline *pipeline_new(void);           /* of no passes */
/* The text's passes behind those that are there, but in front of the passes that a preset has put at the end.
 * False and messages on error. */
bool pipeline_append(Pipeline *, const char *text, Diag *);
/* The index of the first item of the pass; -1: there is none. */
int32_t pipeline_find(const Pipeline *, const char *pass);
/* A recipe names passes, but none of any preset: "drop-layers{keep=3},quantize-int8". */
bool pipeline_is_recipe(const Pipeline *);
/* Adds what it takes to make code. A recipe goes in the midst of the preset: its passes that must come after
 * fuse follow it, the others stand in front. Any other pipeline gets at its end what it lacks of the passes
 * that make code. */
bool pipeline_complete(Pipeline *, int level, Diag *);
/* Leaves of option values that are paths the file's name, in place: `{data=a/b.tsv}` becomes `{data=b.tsv}`.
 * What a program says about itself names no folder of the machine that it was built on. */
void pipeline_hide_folders(char *text);
/* Runs every item over every graph of the module; verifies after each. ledger may be NULL. */
bool pipeline_run(const Pipeline *, Module *, const PassEnv *, const DriverOptions *, Ledger *, Diag *);

/* ---- kernel_table.c: runtime/kernels.def as data --------------------------------------------- */
/* Forms of an op that have kernels of their own: the rows VARIANT. */
enum {
#define VARIANT(NAME, bit, ...) KERNEL_##NAME = 1 << bit,
#include "runtime/kernels.def"
#define VARIANT(NAME, ...) +1
	KERNEL_VARIANTS = 0
#include "runtime/kernels.def"
};
extern const char *const kernel_variant_text[KERNEL_VARIANTS]; /* by bit */
typedef struct KernelInfo {
	Op op;
	DType dtype;          /* element type of its weights or table; F32 where there are none */
	const char *function; /* "linear_f16__avx512" */
	uint32_t needs;       /* bits of Isa */
	const char *file;     /* source under runtime/kernels/ */
	uint32_t variant;     /* bits of KERNEL_NAME */
	bool alternative;     /* taken only where a tuning says so */
	int32_t panel;        /* weight rows a panel; 0: unpacked */
	int32_t group;        /* inputs of a row that lie side by side in a panel */
	/* per-thread scratch bytes: (scratch_per_token * head size + scratch) * longest text */
	int64_t scratch_per_token, scratch;
	int64_t staged; /* and as many for each input of a linear, rounded up to 64 inputs */
	/* The largest tile of a linear in registers, rows by vectors of outputs; 0: the table does not say. */
	struct {
		int32_t rows, vectors;
	} tile;
	/* The percentage of nonzero words up to which a sparse kernel is the faster one: `one` of a call of one
	 * token, growing evenly to `percent` of a call of `tokens` and more. */
	struct {
		int32_t one, tokens, percent;
	} pays;
} KernelInfo;
extern const KernelInfo kernel_info[];
extern const int32_t kernel_count;
/* The last row that is no alternative and whose needs are within isa. NULL: there is none. */
const KernelInfo *kernel_select(Op, uint32_t variant, DType, uint32_t isa);
/* The kernel of another op that equals this one in variant, element type, needs and panel. NULL: none. */
const KernelInfo *kernel_of_op(const KernelInfo *, Op);
const KernelInfo *kernel_find(const char *function);
static inline bool kernel_is_sparse(const KernelInfo *kernel) { return kernel->variant & KERNEL_SPARSE; }

/* ---- tune.c: decisions between kernels that give the same bits ------------------------------- */
enum { TUNE_ANY = -1, TUNE_NAME_BYTES = 32, TUNE_CANDIDATES_MAX = 4 };
enum { CHAIN_ROWS_LEAST = 16, CHAIN_ROWS_MOST = 4096 };
/* One decision: for linears of this shape on this CPU the kernel; for chains the rows of a block. Also what
 * is asked. */
typedef struct TuneRow {
	bool is_chain;
	Op op;       /* a linear; of a chain: the linear with the narrowest weights, the first of them */
	DType dtype; /* of its weights */
	int64_t inputs, outputs;   /* K and N, or TUNE_ANY; of a chain: 0 and the numbers of the widest row */
	int32_t act;               /* an Act, or TUNE_ANY */
	char cpu[TUNE_NAME_BYTES]; /* a name of targets.def */
	const KernelInfo *kernel;  /* decided for a linear */
	int64_t rows;              /* decided for a chain */
	bool own;                  /* of the user's cache or new, not of the defaults */
} TuneRow;
typedef struct TuneTable {
	TuneRow *rows;
	int32_t count;
	size_t capacity;
} TuneTable; /* later rows override earlier ones */
void tune_add(TuneTable *, const TuneRow *);
void tune_free(TuneTable *);
/* What to ask for a linear, or for the chain of the nodes from first up to but not end. False: cpu is NULL,
 * or there is no linear. */
bool tune_key_linear(const Node *, const char *cpu, TuneRow *key);
bool tune_key_chain(const Node *first, const Node *end, const char *cpu, TuneRow *key);
/* The last row that answers; NULL: none. */
const TuneRow *tune_find(const TuneTable *, const TuneRow *key);
/* What the cost model proposes to time, the usual one first; returns how many. cache_bytes: a core's L2. */
int32_t tune_kernels(
	const TuneRow *key, const KernelInfo *usual, const KernelInfo *kernels[TUNE_CANDIDATES_MAX]);
int32_t tune_rows(const TuneRow *key, int64_t usual, int64_t cache_bytes, int64_t rows[TUNE_CANDIDATES_MAX]);
#endif
