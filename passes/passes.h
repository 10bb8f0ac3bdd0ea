/* passes.h: the passes and their driver. A pass is a plain function over one graph. All passes are listed in
 * passes.def. */
#ifndef BERTC_PASSES_H
#define BERTC_PASSES_H
#include "ir/ir.h"

/* Instruction sets of the target's CPU. A kernel needs some of them (runtime/kernels.def). */
enum Isa {
#define ISA(NAME, bit, target, brief, text) ISA_##NAME = 1 << bit,
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
	int32_t ncode; /* the last ncode items are code-making passes of a preset */
	bool preset;   /* a preset was named, so that the passes that make code go last */
	struct MemArena *mem;
} Pipeline;

/* A CPU that code is generated for. */
typedef struct CpuTarget {
	const char *name;
	uint32_t isa;
} CpuTarget;
/* The result of one text in an observed model: the numbers of the one output (`tokens` rows when it has a row
 * per token), the numbers per row, and the text's length. */
typedef void ObserveFn(void *arg, const float *row, int32_t width, int32_t tokens);

/* The quality of an output on labelled data. value: accuracy, entity F1 or rank correlation, depending on the
 * model's first head and the data. loss: mean cross-entropy of the gold labels, which shows smaller changes;
 * -value when the data has no gold labels. */
typedef struct OutputScore {
	double value, loss;
} OutputScore;

/* Settings that all passes of a build share. */
typedef struct PassEnv {
	uint32_t isa; /* bits of Isa of the target CPU; before the split, the bits that all target CPUs have */
	/* Several target CPUs: the first PASS_SPLITS pass makes a graph for each, in this order. */
	const CpuTarget *cpus;
	int32_t ncpus;                /* 0: one CPU, isa */
	const char *cpu;              /* after the split: the name of the graph's CPU */
	const struct TuneTable *tune; /* lower and chain-rows ask it before they take defaults; NULL: none */
	int32_t max_tokens;           /* longest text the program takes */
	int32_t threads;              /* 0: any */
	bool quiet;                   /* no remarks of passes */
	/* For passes that learn from data; NULL without a tokenizer or a compiler (bertc opt). observe and score
	 * compile the first graph of the module for this machine and run it over the first `limit` (0: all) texts
	 * of a file. The module is used up. False and messages on error. */
	void *calibration; /* their first argument */
	bool (*observe)(void *, Module *, const char *data, int32_t limit, ObserveFn *, void *arg, Diag *);
	/* Scores each output of the graph (at most 32) as an output of the first head. */
	bool (*score)(void *, Module *, const char *data, int32_t limit, OutputScore *, Diag *);
	/* For each of these texts the index of its label among the labels of the first head; malloc'd. A text
	 * without a label is an error. */
	bool (*labels)(void *, const char *data, int32_t limit, int32_t **labels, int32_t *count, Diag *);
	/* Ranks the `width` columns of the module's one output f32[S,width] by how well they predict the tags in
	 * a CoNLL file: `order` gets the columns, best first, and their means over the words are stored. The
	 * module is used up. */
	bool (*rank)(void *, Module *, const char *data, int32_t limit, int32_t *order, double *mean, Diag *);
	/* The tokenizer's vocabulary. Marks the ids below `rows` that must stay: ids used by the texts of a file
	 * (each line, cut at tabs), single characters, special and added tokens. With file NULL the ids must be
	 * ordered by frequency. vocab_renumber then takes the new numbers, -1 for ids that are removed. */
	bool (*vocab_used)(void *, const char *corpus, bool *used, int32_t rows, Diag *);
	/* Ids that no text produces with any vocabulary, such as "[unused7]". May be NULL. */
	void (*vocab_never)(void *, bool *never, int32_t rows);
	/* Tokens that continue a word: the token before each of them belongs to the same word. */
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
	PASS_NUMBERS = 1, /* may change results beyond rounding (lossy): in no -O level */
	PASS_REQUIRED = 2,
	PASS_SPLITS = 4,   /* from here on a graph is for one CPU */
	PASS_OUTPUTS = 16, /* may add outputs after the existing ones */
	PASS_IDS = 8,      /* renumbers token ids: an id before and the same id after are different tokens */
};
/* Phases order the passes of a pipeline (rows PHASE of passes.def). PHASE_NAME is the bit of a phase. */
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
	const char *doc;     /* in one sentence */
	const char *example; /* an item of a pipeline */
	const char *paper;   /* "": none */
} PassInfo;
extern const PassInfo pass_info[];
extern const int32_t pass_count;
/* The pass of this name; -1: there is none. */
int32_t pass_find(const char *name);

/* The items of a list in an option's value. */
typedef enum ListForm {
	LIST_NONE,
	LIST_LAYERS, /* "0,2,4-7" */
	LIST_UNITS,  /* "0.3,4-6.0-2": numbers within layers */
	LIST_BLOCKS, /* "0.attention,3-5.ffn" */
} ListForm;

/* An option of a pass. Its values are words, or numbers in a range, or a list, or else text that the pass
 * reads. */
typedef struct PassOptionInfo {
	PassFn *run; /* of the pass */
	const char *key;
	const char *words; /* "a|b"; of a list: words that may stand for it */
	bool whole, number;
	double least, most;
	const char *text; /* "FILE"; of a list: an example */
	ListForm list;
	const char *items;    /* of a list: "LAYER.HEAD" */
	const char *fallback; /* the default; "": the pass decides, as doc states */
	const char *doc;
} PassOptionInfo;
/* The options of a pass, `count` rows. */
const PassOptionInfo *pass_options(int32_t pass, int32_t *count);
/* NULL: the pass has no such option. */
const PassOptionInfo *pass_option_find(int32_t pass, const char *key);
/* Whether the option may have this value. False and a message, EXIT_USAGE. */
bool pass_option_check(int32_t pass, const PassOptionInfo *, const char *value, Diag *);

typedef struct PassOrder {
	const char *first, *second, *why;
} PassOrder;
extern const PassOrder pass_order[]; /* within a phase, or between phases that are otherwise free */
extern const int32_t pass_order_count;
/* The reason why pass `first` must come before pass `second`, by their phases or by pass_order. NULL when it
 * need not. */
const char *pass_order_why(int32_t first, int32_t second);

#define PASS(fn, ...) PassFn pass_##fn;
#include "passes.def"

/* ---- options.c: how a pass reads its options. Words and ranges were checked by the parser. ---- */

/* The value that the pipeline gives; NULL: none. */
const char *pass_option_given(const PassRun *, const char *key);
/* The same, or the default of passes.def; NULL: neither. */
const char *pass_option(const PassRun *, const char *key);
bool pass_option_is(const PassRun *, const char *key, const char *word);
/* The same as a number; `otherwise` where there is neither value nor default. */
int64_t pass_option_int(const PassRun *, const char *key, int64_t otherwise);
double pass_option_real(const PassRun *, const char *key, double otherwise);
/* Checks a number that an option gives against what the model has: "the model has", 12, "layer". False and a
 * message, EXIT_USAGE, when it is larger. */
bool pass_option_fits(
	const PassRun *, const char *key, int64_t number, int64_t most, const char *owner, const char *thing);

/* ---- layer_list.c: options that list layers or parts of layers; the parser checked the spelling ---- */

/* Reads a list. */
typedef struct LayerList {
	int32_t layer, unit; /* of the present item; unit: LIST_UNITS */
	const char *part;    /* LIST_BLOCKS: after the layer's dot, part_bytes long */
	int32_t part_bytes;
	bool failed; /* layer_list_refuse was called */
	/* Internal: */
	const PassOptionInfo *option;
	int32_t pass, last_layer, first_unit, last_unit, item_bytes;
	const char *value, *item, *rest;
	Diag *diag;
} LayerList;
/* The list that an option gives; it must be given and be no word. */
LayerList layer_list_open(const PassRun *, const char *key);
/* Moves to the next item. False at the end, and when the list was refused. */
bool layer_list_next(LayerList *);
/* The message that the model does not have an item, with the list and how one is written. False. */
bool layer_list_refuse(LayerList *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether the text is a list as the option takes it. False and a message, EXIT_USAGE. */
bool layer_list_check(int32_t pass, const PassOptionInfo *, const char *value, Diag *);
/* "0-5,8" of rising numbers; cut off when it is long. */
char *layer_list_print(struct MemArena *, const int32_t *numbers, int32_t count);

/* Records why a pass did or did not change a node; shown by --explain and in the ledger. */
void pass_note(PassRun *, const Node *, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Tells the user, as a note, what a pass chose. Nothing if PassEnv.quiet. */
void pass_remark(const PassRun *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* chain_rows.c: true when each row of every result needs only the same row of every computed argument, and
 * all of them have one row per token. */
bool node_is_rowwise(const Node *);

/* measure.c: multiply-adds of a node; symbols as dim_at takes them. Call it for the nodes in graph order,
 * because thin sets its new symbol to the number of rows that it keeps when no row is forced to stay. */
int64_t node_macs(const Node *, int64_t *symbols);

/* ---- layers_infer.c: layers of graphs without origins --------------------------------------- */
/* Finds the encoder's layers by their structure and names their ops as the importer of a checkpoint does. The
 * graph must have no origin that names a layer. NULL on success, else the reason why nothing was named. */
const char *layers_infer(Graph *);

/* ---- neurons.c: the outputs of layers, for whoever inspects a model ------------------------- */
/* Neuron n of layer at[i] is column i * width + n. */
typedef struct Neurons {
	int32_t layers, width;
	const int32_t *at;
} Neurons;
/* Makes the graph return only "neurons", f32[S,layers*width]: the outputs of its layers side by side. */
bool neurons_expose(Graph *, const char *pass, Neurons *, Diag *);

/* ---- heads.c: the attention of layers ------------------------------------------------------- */
/* Layers at[i] have `heads` heads of `size` numbers; scores are q . k * scale. */
typedef struct HeadMap {
	int32_t layers, heads, size;
	const int32_t *at;
	double scale;
} HeadMap;
/* Makes the graph return only "attention", f32[S,layers*2*heads*size]: q and k of its layers side by side.
 * Layers without attention are left out. */
bool heads_expose(Graph *, const char *pass, HeadMap *, Diag *);
/* The importance of each head, as prune-heads{by=..} ranks them. For by="accuracy" it is the increase of the
 * loss without the head. */
bool heads_score(
	Graph *, const PassEnv *, const char *by, const char *data, int32_t limit, double *scores, Diag *);

/* ---- prune_blocks.c: the blocks of an encoder ----------------------------------------------- */
typedef struct BlockList {
	const int32_t *layer; /* numbers of the layers, in the order of the graph */
	const char **block; /* blocks that are recognised, as prune-blocks{blocks=..} names them: "0.attention" */
	int32_t nlayers, nblocks;
} BlockList;
/* The memory belongs to the module. False and a message when the graph's layers cannot be found. */
bool blocks_list(Graph *, const char *pass, BlockList *, Diag *);

/* ---- ledger.c: one row a pass --------------------------------------------------------------- */
typedef struct LedgerRow {
	const char *pass; /* item text */
	int32_t changes, nodes;
	int64_t parameters, weight_bytes, macs /* for one text of 128 tokens */, arena_bytes;
	double ms;
	bool checked;           /* --check-each ran: */
	double max_abs, cosine; /* against the step before, on sample input */
	bool scored;            /* the caller scored the module after this pass on labelled data: */
	double score;           /* 0 to 1; Spearman: -1 to 1 */
	double latency_ms;      /* one text, one thread; 0: not timed */
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

/* ---- expose_layers.c: inner values of an encoder, for bertc inspect ------------------------- */
/* Columns of the exposed output: `width` each for the layer's input and output, heads*size each for q and k.
 */
typedef struct ExposedLayer {
	int32_t number, width;
	int32_t heads, size;         /* heads 0: the attention is not recognised, or has more than q and k */
	double scale;                /* probabilities are softmax(q k^T scale) */
	int64_t input, output, q, k; /* the first column of each */
} ExposedLayer;
typedef struct ExposedLayers {
	ExposedLayer *at;
	int32_t count, without;   /* layers; how many of them have an output computed without the layer */
	int64_t width, out_width; /* of an exposed row; of the first output or its rows */
	bool out_per_token;
} ExposedLayers;
/* Changes the first graph of a copy (module_copy, at graph level). It then returns the exposed rows
 * f32[S,width], its own first output, and this output without the first layer, without the second, and so on
 * up to the number of outputs that a program can have. A model of one layer has no outputs without a layer.
 * The memory belongs to the module. False and messages when the layers cannot be found. */
bool layers_expose(Module *copy, ExposedLayers *, Diag *);

/* ---- pipeline.c: table, string parser, driver ----------------------------------------------- */
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
	const char *reproduce;    /* the command line; first line of the .bir file written when a pass fails */
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
/* Inserts the text's passes after the existing passes, but before the code-making passes of a preset. False
 * and messages on error. */
bool pipeline_append(Pipeline *, const char *text, Diag *);
/* The index of the first item of the pass; -1: there is none. */
int32_t pipeline_find(const Pipeline *, const char *pass);
/* True for a recipe: a pipeline without passes of a preset, as in "drop-layers{keep=3},quantize-int8". */
bool pipeline_is_recipe(const Pipeline *);
/* Adds the passes that make code. A recipe is placed within the preset: its passes that must come after fuse
 * follow fuse, the others come first. Any other pipeline gets the missing code-making passes at its end. */
bool pipeline_complete(Pipeline *, int level, Diag *);
/* Shortens paths in option values to the file name, in place: `{data=a/b.tsv}` becomes `{data=b.tsv}`. So a
 * program does not reveal the folders of the build machine. */
void pipeline_hide_folders(char *text);
/* Runs every pass over every graph of the module and verifies after each. ledger may be NULL. */
bool pipeline_run(const Pipeline *, Module *, const PassEnv *, const DriverOptions *, Ledger *, Diag *);

/* ---- kernel_table.c: runtime/kernels.def as data -------------------------------------------- */
/* Variants of an op with separate kernels: the rows VARIANT. */
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
	bool alternative;     /* used only when a tuning chose it */
	int32_t panel;        /* weight rows a panel; 0: unpacked */
	int32_t group;        /* inputs of a row that lie side by side in a panel */
	/* per-thread scratch bytes: (scratch_per_token * head size + scratch) * longest text */
	int64_t scratch_per_token, scratch;
	int64_t staged;   /* additional bytes per input of a linear, rounded up to 64 inputs */
	int64_t relative; /* of attention: per row of its packed tables, and for 32 more */
	/* The largest register tile of a linear, rows by vectors of outputs; 0 when the table has no value. */
	struct {
		int32_t rows, vectors;
	} tile;
	/* The percentage of nonzero words up to which a sparse kernel is faster than the dense one: `one` for a
	 * call of one token, rising linearly to `percent` for a call of `tokens` or more. */
	struct {
		int32_t one, tokens, percent;
	} pays;
} KernelInfo;
extern const KernelInfo kernel_info[];
extern const int32_t kernel_count;
/* The last row that is not an alternative and needs only bits of isa. NULL: there is none. */
const KernelInfo *kernel_select(Op, uint32_t variant, DType, uint32_t isa);
/* The kernel of another op that equals this one in variant, element type, needs and panel. NULL: none. */
const KernelInfo *kernel_of_op(const KernelInfo *, Op);
const KernelInfo *kernel_find(const char *function);
static inline bool kernel_is_sparse(const KernelInfo *kernel) { return kernel->variant & KERNEL_SPARSE; }

/* ---- tune.c: decisions between kernels that give the same bits ------------------------------ */
enum { TUNE_ANY = -1, TUNE_NAME_BYTES = 32, TUNE_CANDIDATES_MAX = 4 };
enum { CHAIN_ROWS_LEAST = 16, CHAIN_ROWS_MOST = 4096 };
/* One decision for a shape and CPU: the kernel of a linear, or the rows per block of a chain. Also used as
 * the query. */
typedef struct TuneRow {
	bool is_chain;
	Op op;                     /* a linear; for a chain: its first linear with the narrowest weights */
	DType dtype;               /* of its weights */
	int64_t inputs, outputs;   /* K and N, or TUNE_ANY; for a chain: 0 and the width of the widest row */
	int32_t act;               /* an Act, or TUNE_ANY */
	char cpu[TUNE_NAME_BYTES]; /* a name of targets.def */
	const KernelInfo *kernel;  /* decided for a linear */
	int64_t rows;              /* decided for a chain */
	bool own;                  /* from the user's cache or new, not from the defaults */
} TuneRow;
typedef struct TuneTable {
	TuneRow *rows;
	int32_t count;
	size_t capacity;
} TuneTable; /* later rows override earlier ones */
void tune_add(TuneTable *, const TuneRow *);
void tune_free(TuneTable *);
/* Makes the query for a linear, or for the chain of nodes from first up to but not including end. False when
 * cpu is NULL or there is no linear. */
bool tune_key_linear(const Node *, const char *cpu, TuneRow *key);
bool tune_key_chain(const Node *first, const Node *end, const char *cpu, TuneRow *key);
/* The last row that matches the query; NULL: none. */
const TuneRow *tune_find(const TuneTable *, const TuneRow *key);
/* The candidates that the cost model proposes to time, the default first; returns their number. cache_bytes:
 * a core's L2. */
int32_t tune_kernels(
	const TuneRow *key, const KernelInfo *usual, const KernelInfo *kernels[TUNE_CANDIDATES_MAX]);
int32_t tune_rows(const TuneRow *key, int64_t usual, int64_t cache_bytes, int64_t rows[TUNE_CANDIDATES_MAX]);
#endif
