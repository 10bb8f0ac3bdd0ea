/* ir.h: the intermediate representation. Types first, then the functions under the name of their file.
 *
 * A Graph describes ONE text of S tokens as a list of nodes in topological order: no blocks, no regions. A
 * node (an op with its arguments and attributes) makes one or more values. Lowering adds batching. IR.md
 * describes the language, with an example for every op. verify.c lists the invariants and checks them.
 *
 * Ownership: everything in a Module lives in its arena and dies with module_free; passes never free. A
 * tensor's data is a view of a mapped checkpoint or lies in the arena. */
#ifndef BERTC_IR_H
#define BERTC_IR_H
#include "diag.h"
#include "memory.h"
#include "type.h"

typedef enum Pack {
#define WORD(KIND, NAME, TEXT) WORD_##KIND(NAME)
#define WORD_PACK(NAME) PACK_##NAME,
#define WORD_ACT(NAME)
#define WORD_POOL(NAME)
#include "enums.def"
#undef WORD_PACK
#undef WORD_ACT
	PACK_COUNT
} Pack;
typedef enum Act {
#undef WORD_ACT
#define WORD_PACK(NAME)
#define WORD_ACT(NAME) ACT_##NAME,
#include "enums.def"
#undef WORD_ACT
#undef WORD_POOL
	ACT_COUNT
} Act;
typedef enum Pool {
#define WORD_ACT(NAME)
#define WORD_POOL(NAME) POOL_##NAME,
#include "enums.def"
#undef WORD_ACT
#undef WORD_PACK
#undef WORD_POOL
#undef WORD
	POOL_COUNT
} Pool;

typedef struct Ints {
	int32_t count;
	int64_t at[RANK_MAX];
} Ints;
typedef struct Dims {
	int32_t count;
	Dim at[RANK_MAX];
} Dims;

/* attrs.def as bit numbers, mask bits and one flat struct. A field of Attrs is valid only if its bit is set
 * in `has`. */
enum AttrIndex {
#define ATTR(name, KIND, doc) AI_##name,
#include "attrs.def"
#undef ATTR
	AI_COUNT
};
enum AttrMask {
#define ATTR(name, KIND, doc) A_##name = 1 << AI_##name,
#include "attrs.def"
#undef ATTR
};
/* The attributes that plan-memory and the passes before it set on a lowered row-wise op. */
enum { A_CHAINED = A_kernel | A_offset | A_chain | A_rows | A_inner };
/* How softmax and attention select the keys that a query keeps. An op has at most one of these. */
enum { A_SELECT = A_keep | A_share | A_threshold };
#define ATTR_TYPE_REAL double
#define ATTR_TYPE_INT int64_t
#define ATTR_TYPE_INTS Ints
#define ATTR_TYPE_DIMS Dims
#define ATTR_TYPE_TEXT const char *
#define ATTR_TYPE_PACK Pack
#define ATTR_TYPE_ACT Act
#define ATTR_TYPE_POOL Pool
typedef struct Attrs {
	uint32_t has;
#define ATTR(name, KIND, doc) ATTR_TYPE_##KIND name;
#include "attrs.def"
#undef ATTR
} Attrs;

typedef enum Op {
#define OP(NAME, ...) OP_##NAME,
#include "ops.def"
#undef OP
	OP_COUNT
} Op;

typedef enum Level { LEVEL_GRAPH = 1, LEVEL_FUSED = 2, LEVEL_LOWERED = 4 } Level;
typedef enum Domain { DOMAIN_NONE, DOMAIN_ROWS, DOMAIN_TEXT } Domain;

/* ---- origins: which part of the model an op came from (origin.c) ----------------------------- */
typedef enum ModelPart {
	PART_OTHER,
#define PART(NAME, ...) PART_##NAME,
#include "parts.def"
#undef PART
	PART_COUNT
} ModelPart;

/* A parsed origin. */
typedef struct Origin {
	int32_t task_bytes; /* length of the task prefix ("stsb/"); 0: no task */
	int32_t layer;      /* -1: not in a layer */
	ModelPart part;
	const char *text; /* the rest, after task and layer: "attention.query"; may be "" */
} Origin;

typedef struct Node Node;
typedef struct Graph Graph;
typedef struct Module Module;

/* One tensor at run time (or a constant). */
typedef struct Value {
	uint32_t id; /* unique in the graph and never reused; passes keep it, so the inspector can follow it */
	const char *name; /* as in .bir, without '%'; NULL: printed as %ID */
	Type type;
	Node *node;    /* its producer; NULL: a graph input */
	int32_t index; /* which result of node, or which input of the graph */
} Value;

struct Node {
	Op op;
	int32_t nargs, nresults;
	Value *args[ARGS_MAX];
	Value *results[RESULTS_MAX];
	Attrs attr;
	const Tensor *data; /* OP_CONST only */
	/* The part of the model it came from: "layer.3.attention.query"; may be NULL. Only node_set_origin writes
	 * it. */
	const char *origin;
	Origin place; /* the parsed origin */
	int32_t line; /* in the .bir file; 0: not read from one */
	Node *prev, *next;
};

/* A node's row of ops.def. */
struct EvalArray;
typedef bool InferFn(const Node *, Type results[RESULTS_MAX], Diag *);
typedef bool EvalFn(const Node *, const struct EvalArray *const *args, struct EvalArray *results, Diag *);
typedef struct OpInfo {
	const char *name;
	uint32_t levels; /* mask of Level */
	Domain domain;
	int32_t least_args, most_args, results;
	uint32_t required, optional; /* attribute masks */
	const char *meaning;
	InferFn *infer;
	EvalFn *eval;
} OpInfo;
extern const OpInfo op_info[OP_COUNT];
/* How many of n elements `keep` or `share` selects: at least 1, at most n. Returns n if neither is given. */
int64_t attrs_kept(const Attrs *, int64_t n);

typedef struct GraphOutput {
	const char *name;
	Value *value;
} GraphOutput;

/* Size of the arena that lowered code needs, in bytes. plan-memory sets it; until then every field is zero.
 * Every term is rounded up to a multiple of 64 (IR.md, Arena):
 *
 *   tokens * per_token + texts * per_text + tokens * longest * per_pair
 *   + threads * (longest * per_thread_token + per_thread) + threads * per_block + fixed */
typedef struct ArenaPlan {
	bool planned;
	int64_t per_token, per_text, per_pair, per_thread_token, per_thread, per_block, fixed;
} ArenaPlan;

struct Graph {
	Module *module;
	const char *name; /* without '@' */
	Level level;      /* highest level that the verifier accepts */
	int32_t ninputs, noutputs;
	Value **inputs; /* %ids: i32[S], then optionally %types: i32[S] */
	GraphOutput *outputs;
	Node *first, *last;
	uint32_t next_id;
	ArenaPlan arena;
	int32_t line, return_line; /* in the .bir file, or 0 */
};

/* ---- tasks: how a program uses the graph's outputs ------------------------------------------- */
typedef enum Task {
	TASK_CLASSIFY,
	TASK_TAG,
	TASK_EMBED,
	TASK_RANK,
	TASK_QA,
	TASK_FILL_MASK,
	TASK_CHOICE, /* the output is a number: how well a text goes on with a choice */
	TASK_MULTI_VECTOR,
	TASK_SPARSE, /* the output is a weight for each word of the vocabulary, or each latent; most are 0 */
	TASK_COUNT
} Task;
/* An answer is a vector, and two texts are compared by the vectors of each. */
static inline bool task_embeds(Task task) { return task == TASK_EMBED || task == TASK_SPARSE; }
typedef enum Problem { PROBLEM_SINGLE, PROBLEM_MULTI, PROBLEM_REGRESSION, PROBLEM_COUNT } Problem;
/* "classify" "tag" "embed" "rank" "qa" "fill-mask" "choice" "multi-vector" "sparse"; behind them "zero-shot",
 * which only the option --task takes: TASK_CLASSIFY with labels of the program */
extern const char *const task_names[TASK_COUNT + 1];
extern const char *const problem_names[PROBLEM_COUNT]; /* "single" "multi" "regression" */

typedef struct Head {
	const char *name; /* "sentiment"; default: the task's name */
	Task task;
	Problem problem;
	const char *output; /* name of the graph output it reads */
	int32_t nlabels;
	const char **labels;
	int32_t line; /* in the .bir file, or 0 */
} Head;

/* A number that the user of a program may set at run time (`--set NAME=VALUE`, NAME_set). In .bir: `option
 * @exit_entropy : f32 = 0.2`. */
typedef struct Option {
	const char *name;
	double value;
	int32_t line;
} Option;

typedef struct Meta {
	const char *key, *value;
} Meta;

struct TensorFile;
struct Module {
	MemArena *mem;
	const char *name;      /* without '@' */
	const char *weights;   /* as written in the file: a plain file name, or NULL */
	const char *tokenizer; /* as written: a plain file name, or NULL (ids only) */
	const char *directory; /* where weights and tokenizer are looked up */
	int32_t max_tokens;    /* 0: not given */
	int32_t nheads, ngraphs, nmeta, noptions;
	Head *heads;
	Graph **graphs;
	Option *options;
	Meta *meta;                /* free text that --about prints: "model_sha256", "source", ... */
	struct TensorFile **files; /* mapped checkpoints, closed by module_free */
	int32_t nfiles;
	bool borrows_files; /* made by module_copy: the original closes them */
};

/* ---- tensor_file.c: a file of tensors, of any format of tensor_formats.def ----------------------
 * The file is mapped, never copied. Its header is checked completely before any tensor can be used. */
typedef struct TensorFile TensorFile;
TensorFile *tensor_file_open(const char *path, Diag *); /* NULL and messages on error */
void tensor_file_close(TensorFile *);
const char *tensor_file_name(const TensorFile *);   /* plain file name, without directory */
const char *tensor_file_format(const TensorFile *); /* NULL: raw data, which no .bir can refer to */
const Tensor *tensor_file_find(const TensorFile *, const char *name);
int32_t tensor_file_count(const TensorFile *);
const Tensor *tensor_file_get(const TensorFile *, int32_t i);     /* sorted by name */
const void *tensor_file_bytes(const TensorFile *, size_t *bytes); /* the whole file */
/* safetensors_write.c, https://github.com/huggingface/safetensors#format. Writes by rename. Names must be
 * unique. A count of 0 writes a valid file without tensors. */
bool safetensors_write(const char *path, const Tensor *const *tensors, int32_t count, Diag *);

/* ---- graph.c --------------------------------------------------------------------------------- */
Module *module_new(const char *name);
void module_free(Module *);
bool module_add_file(Module *, TensorFile *); /* takes ownership */
const Tensor *module_find_tensor(const Module *, const char *name);
/* Keys of meta lines: the prompt NAME is the value of "prompt.NAME". */
#define META_UNKNOWN_KEYS "unknown_keys"
#define META_PROMPT "prompt."
#define META_DEFAULT_PROMPT "default_prompt"
#define META_LOWERCASE "lowercase" /* texts are lowered before all else */
/* Of multi-vector models. Limits of tokens for texts without a task, queries and documents; how many tokens a
 * query has at least, the token that fills it up (missing: the mask) and that token's type; the tokens whose
 * rows are left out, one a line, and of which tasks; whether scores are divided by the rows of the query; of
 * clusters: how many rows stay, whether all get length 1, and for which tasks; how many rows join to one. */
#define META_LIMITS "limits"
#define META_FILL "fill"
#define META_FILL_TOKEN "fill_token"
#define META_SKIP "skip"
#define META_SKIP_TASKS "skip_tasks"
#define META_MEAN "mean_scores"
#define META_CLUSTERS "clusters"
#define META_CLUSTER_FACTOR "cluster_factor"
#define META_PREFIX "prefix." /* and 1 or 2: of queries, of documents; one token, if the tokenizer has it */
/* The option that tells how many tokens the prompt takes, which pool does not count. */
#define OPTION_PROMPT "prompt_tokens"
#define META_SIMILARITY "similarity"     /* how embeddings are compared; missing: cosine */
#define META_PLAIN_TOKENS "plain_tokens" /* a word of compiler/import/load.c */
void module_set_meta(Module *, const char *key, const char *value);
const char *module_meta(const Module *, const char *key); /* NULL: there is none */
Head *module_add_head(Module *, const char *name);        /* the rest zeroed; valid until the next is added */
/* Adds an option, or changes the default of the option with that name. */
void module_set_option(Module *, const char *name, double value);
/* The option's index; -1: there is no option with that name. */
int32_t module_find_option(const Module *, const char *name);
Graph *graph_new(Module *, const char *name);   /* at LEVEL_GRAPH */
Graph *graph_copy(Module *into, const Graph *); /* same ids; tensors shared */
Module *module_copy(const Module *); /* nodes copied, tensor data shared: keep the original alive */
Value *graph_add_input(Graph *, const char *name, Type);
void graph_add_output(Graph *, const char *name, Value *);
/* Appends (before == NULL) or inserts a node. infer_NAME derives the result types. Returns NULL, with
 * messages, if the arguments do not fit the op. OP_CAST makes f32. For another type, set
 * node->results[0]->type.dtype right afterwards: infer keeps the dtype that the result of a cast already has.
 * For constants use graph_const. */
Node *graph_insert(
	Graph *, Node *before, Op, Value *const *args, int32_t nargs, const Attrs *, const char *origin, Diag *);
/* The same without any check and with given result types (op_info[op].results of them). The parser uses it:
 * it takes types as written, and verify checks them later. data: OP_CONST only. At most ARGS_MAX
 * arguments. */
Node *graph_insert_typed(Graph *, Node *before, Op, Value *const *args, int32_t nargs, const Attrs *,
	const Tensor *data, const char *origin, const Type *results);
/* graph_insert for the usual single result; NULL on error. */
Value *graph_emit(
	Graph *, Node *before, Op, Value *const *args, int32_t nargs, const Attrs *, const char *origin, Diag *);
Value *graph_const(Graph *, Node *before, const Tensor *, const char *origin);
/* A new tensor in the module's arena. Its data is zeroed and writable. */
Tensor *tensor_new(Module *, const char *name, Type);
void graph_replace_uses(Graph *, Value *old, Value *by); /* outputs too */
void graph_erase(Graph *, Node *);                       /* its results must have no uses */
int32_t value_uses(const Graph *, const Value *);        /* how many arguments and outputs read it */
/* The node that reads the value, if it is read by exactly one argument and no output; else NULL. */
Node *value_only_user(const Graph *, const Value *);
bool value_is_const(const Value *);
/* Sets bit k of by_id[value->id] if output k needs the value. A program has at most 32 outputs; outputs past
 * that share the last bit. */
void graph_reach_outputs(const Graph *, uint32_t *by_id);
/* Finds a node after an exit that reads a value from before the exit. Constants and the value that the
 * exit passes on do not count. Returns the reader and sets *value. NULL: there is no such node, so code may
 * drop the rows of the texts that ended. */
const Node *graph_exit_crossing(const Graph *, const Value **value);
/* How many pairs (table, ids that pick its rows) the node's arguments begin with. */
int32_t node_lookups(const Node *);
/* Rows of the table in such a pair, packed or not. */
int64_t node_table_rows(const Node *, int32_t pair);
/* Which argument is the weight of a linear of any kind; -1: the op is not a linear. */
int32_t node_weight(const Node *);
const Tensor *value_tensor(const Value *);     /* NULL: not a const */
bool value_is_scalar(const Value *, double *); /* a const of one element */

/* The next op after `after` (NULL: from the start) that looks up rows of a table, args[0], by this graph
 * input. NULL: none. */
const Node *graph_lookup(const Graph *, int32_t input, const Node *after);

/* ---- names.c --------------------------------------------------------------------------------- */
bool name_is_valid(const char *); /* a letter or _, then letters, digits, _ . -; <= 255 bytes */
/* Writes "%name" or "%12"; returns text. */
char *value_print(const Value *, char text[264]);

/* ---- origin.c -------------------------------------------------------------------------------- */
/* Parses any text, including NULL. The result points into the text. */
Origin origin_parse(const char *origin);
/* Sets the node's origin to a copy of the text. */
void node_set_origin(Graph *, Node *, const char *origin);
/* "layer.3.attention.query" */
const char *origin_in_layer(Graph *, int32_t layer, ModelPart);
/* The encoder layer of an op; -1: no layer, a constant, or a layer that belongs to one task among several. */
int32_t node_layer(const Node *);

/* ---- equal.c --------------------------------------------------------------------------------- */
bool attrs_equal(const Attrs *, const Attrs *);
bool tensor_equal(const Tensor *, const Tensor *); /* type and bytes, not the name */
/* Whether both graphs compute the same outputs with the same ops and equal constants. If not, *where is a
 * node of the first graph without a counterpart, or NULL if inputs or outputs differ. */
bool graph_equal(const Graph *, const Graph *, const Node **where);

/* ---- node.c: chains that end in a pool ----------------------------------------------------------------
 * A linear and the pool of its result may be a chain. A thread then computes POOLED_COLUMNS outputs of the
 * linear at a time, and keeps the largest of each. */
enum { POOLED_COLUMNS = 256 };
/* The pool that ends such a chain; NULL: the node does not begin one. */
const Node *node_pooled(const Node *);
/* The bytes per row of a value that is inner to a chain, which for a whole row are `bytes`. */
int64_t value_inner_bytes(const Value *, int64_t bytes);

/* ---- sparse.c: sparse weights; its head comment has the layout ------------------------------- */
enum {
	SPARSE_PANEL = 64, /* outputs per piece */
	SPARSE_BAND = 4,   /* outputs per band */
	SPARSE_BLOCK = 96, /* words per output in a piece */
	SPARSE_WORD = 4    /* bytes per word */
};
static inline int64_t sparse_blocks(int64_t words) { return (words + SPARSE_BLOCK - 1) / SPARSE_BLOCK; }
int64_t sparse_words(int64_t inputs, DType); /* per output: inputs / 4 for i8 (rounded up), inputs for f32 */
/* The share of nonzero groups in a matrix [outputs, inputs] of i8 or floats. A group is `group` neighbouring
 * inputs of one output; it is nonzero if any element is. */
double sparse_density(const Tensor *, int64_t group);
/* Writes the packed form of such a matrix and returns its size in bytes. packed == NULL: only counts. -1: the
 * size is above INT32_MAX. */
int64_t sparse_pack(const Tensor *, void *packed);
/* Unpacks row n of a packed form: writes `words` words to row, in the order of the inputs. */
void sparse_row(const void *packed, int64_t outputs, int64_t words, int64_t n, void *row);
/* How many words a packed form stores, over all outputs. */
int64_t sparse_stored(const void *packed, int64_t outputs, int64_t words);
/* Whether the bytes are a valid packed form of `outputs` outputs with `words` words each, of i8 codes or f32.
 * Kernels rely on it: they check nothing. */
bool sparse_is_valid(const void *packed, int64_t bytes, int64_t outputs, int64_t words, DType);
/* sparse_order.c: finds an order of the inputs of an i8 matrix that leaves fewer nonzero words. Writes it to
 * order[4 * words] and returns the number of nonzero words. -1: no order pays off; `order` is then
 * undefined. */
int64_t sparse_order(const Tensor *, uint16_t *order);
/* The share of nonzero words in the packed form, in the order that sparse_pack chooses. */
double sparse_left(const Tensor *);

/* ---- infer.c, eval.c: one function per op ---------------------------------------------------- */
#define OP(NAME, ...) \
	bool infer_##NAME(const Node *, Type results[RESULTS_MAX], Diag *); \
	bool eval_##NAME(const Node *, const struct EvalArray *const *args, struct EvalArray *results, Diag *);
#include "ops.def"
#undef OP
/* An error about a node, EXIT_INPUT: "ORIGIN: %RESULT = OP: MESSAGE" at the node's line. Unknown parts are
 * left out. Returns false. */
bool node_error(const Node *, Diag *, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Checks the number of arguments and the attributes against op_info, then calls infer. */
bool node_infer(const Node *, Type results[RESULTS_MAX], Diag *);

/* An array during evaluation: numbers as double, or a constant read in place (v == NULL, tensor set). */
typedef struct EvalArray {
	DType dtype;
	int32_t rank;
	int64_t dim[RANK_MAX];
	int64_t count;
	double *v;
	const Tensor *tensor;
} EvalArray;
/* eval_NAME gets its results with dtype, dims and count set and v zeroed (const: v NULL). It fills v. */
double eval_at(const EvalArray *, int64_t i);
void eval_array_free(EvalArray *);
/* Sum of a[i] * b[i]. */
double eval_dot(const double *a, const double *b, int64_t count);
/* Runs the graph on one text. inputs: graph->ninputs arrays of i32, all of length S. outputs: graph->noutputs
 * arrays, freed by the caller. Computes in double. Only cast rounds a value to its float type. */
bool graph_eval(const Graph *, const EvalArray *inputs, EvalArray *outputs, Diag *);
/* graph_eval for the ids of one text. types == NULL: all zero. */
bool graph_eval_ids(
	const Graph *, const int32_t *ids, const int32_t *types, int64_t tokens, EvalArray *outputs, Diag *);
/* Evaluates a node whose arguments are all constants. The result is a new tensor in the module. NULL and
 * messages on error. */
Tensor *node_eval_const(Graph *, const Node *, int32_t result, Diag *);

/* ---- print.c --------------------------------------------------------------------------------- */
typedef struct PrintOptions {
	bool elide_constants; /* print large constants as "elided" */
} PrintOptions;
void module_print(const Module *, FILE *, const PrintOptions *);
char *module_text(const Module *, const PrintOptions *); /* malloc'd */
/* Writes OUT.bir by rename and, if constants need it, OUT.safetensors beside it. */
bool module_write(const Module *, const char *path, const PrintOptions *, Diag *);
/* Whether a constant is in no file, follows no rule, and is too large to print. Such a module needs
 * elide_constants or module_write. */
bool module_has_loose_constants(const Module *);
void print_quoted(FILE *, const char *text); /* "..." with \" \\ \n \t \xHH */

/* ---- parse.c (lexer: lex.rl) --------------------------------------------------------------------
 *  * directory: where `weights "x.safetensors"` is looked up. search: more directories, NULL-terminated; may
 * be NULL. module_parse checks grammar, names and constants but takes types as written: call module_verify
 * next. module_read parses and verifies a file. Both return NULL on error and report every error with its
 * line. */
Module *module_parse(
	const char *text, size_t bytes, const char *directory, const char *const *search, Diag *);
Module *module_read(const char *path, const char *const *search, Diag *); /* "-": standard input */

/* ---- verify.c: states the invariants and checks them ----------------------------------------- */
bool module_verify(const Module *, Diag *);
bool graph_verify(const Graph *, Diag *);
bool graph_verify_level(const Graph *, Level highest, Diag *);
#endif
