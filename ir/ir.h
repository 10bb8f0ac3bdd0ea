/* ir.h: the intermediate representation. Types first, then the functions under the name of their file.
 *
 * A Graph describes ONE text of S tokens as a list of nodes in topological order: no blocks, no regions. A
 * node (an op with its arguments and attributes) makes one or more values. Batching is the business of
 * lowering. The language, with an example for every op and the exact invariants, is in IR.md; verify.c checks
 * them.
 *
 * Ownership: everything in a Module lives in its arena and dies with module_free; passes never free. Tensors
 * are views of mapped checkpoints or of the arena. */
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

/* attrs.def turned into bit numbers, mask bits and one flat struct; a field counts only when its bit is in
 * `has`. */
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
/* What plan-memory and the passes before it write on a lowered row-wise op. */
enum { A_CHAINED = A_kernel | A_offset | A_chain | A_rows | A_inner };
/* Which keys of a query softmax and attention keep; at most one is given. */
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

/* ---- origins: which part of the model an op came from (origin.c) ------------------------------ */
typedef enum ModelPart {
	PART_OTHER,
#define PART(NAME, ...) PART_##NAME,
#include "parts.def"
#undef PART
	PART_COUNT
} ModelPart;

/* An origin taken apart. */
typedef struct Origin {
	int32_t task_bytes; /* of the task's name that the origin begins with ("stsb/"), 0: none */
	int32_t layer;      /* -1: no layer's */
	ModelPart part;
	const char *text; /* the origin behind the task and the layer: "attention.query"; "" when there is none */
} Origin;

typedef struct Node Node;
typedef struct Graph Graph;
typedef struct Module Module;

/* One tensor at run time (or a constant). */
typedef struct Value {
	uint32_t id;      /* unique in the graph, never reused, survives passes: the inspector follows it */
	const char *name; /* spelling in .bir without '%'; NULL: printed as %ID */
	Type type;
	Node *node;    /* who makes it; NULL: a graph input */
	int32_t index; /* which result of node, or which input of the graph */
} Value;

struct Node {
	Op op;
	int32_t nargs, nresults;
	Value *args[ARGS_MAX];
	Value *results[RESULTS_MAX];
	Attrs attr;
	const Tensor *data; /* OP_CONST only */
	/* The part of the model it came from: "layer.3.attention.query"; may be NULL. Written by node_set_origin
	 * only. */
	const char *origin;
	Origin place; /* the origin taken apart */
	int32_t line; /* in the .bir file it was read from, or 0 */
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
/* How many of n elements stay by keep or share: at least one, at most n; n when neither is given. */
int64_t attrs_kept(const Attrs *, int64_t n);

typedef struct GraphOutput {
	const char *name;
	Value *value;
} GraphOutput;

/* Size of the arena that lowered code needs, in bytes, set by plan-memory. Zero until planned. Every term is
 * rounded up to 64 (IR.md, Arena):
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
	Level level;      /* highest level the verifier lets in */
	int32_t ninputs, noutputs;
	Value **inputs; /* %ids: i32[S] first, then perhaps %types: i32[S] */
	GraphOutput *outputs;
	Node *first, *last;
	uint32_t next_id;
	ArenaPlan arena;
	int32_t line, return_line; /* in the .bir file, or 0 */
};

/* ---- what a program does with the graph's outputs -------------------------------------------- */
typedef enum Task {
	TASK_CLASSIFY,
	TASK_TAG,
	TASK_EMBED,
	TASK_RANK,
	TASK_QA,
	TASK_FILL_MASK,
	TASK_COUNT
} Task;
typedef enum Problem { PROBLEM_SINGLE, PROBLEM_MULTI, PROBLEM_REGRESSION, PROBLEM_COUNT } Problem;
extern const char *const task_names[TASK_COUNT];       /* "classify" "tag" "embed" "rank" "qa" "fill-mask" */
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

/* A number that whoever runs the program may set (`--set NAME=VALUE`, NAME_set). In .bir:
 * `option @exit_entropy : f32 = 0.2`. */
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
	int32_t max_tokens;    /* 0: not said */
	int32_t nheads, ngraphs, nmeta, noptions;
	Head *heads;
	Graph **graphs;
	Option *options;
	Meta *meta;                /* free text carried into --about: "model_sha256", "source", ... */
	struct TensorFile **files; /* mapped checkpoints, closed by module_free */
	int32_t nfiles;
	bool borrows_files; /* made by module_copy: the original closes them */
};

/* ---- tensor_file.c: a file of tensors, of any format of tensor_formats.def --------------------
 * The file is mapped, never copied. Everything that it says is checked before it can be used. */
typedef struct TensorFile TensorFile;
TensorFile *tensor_file_open(const char *path, Diag *); /* NULL and messages on error */
void tensor_file_close(TensorFile *);
const char *tensor_file_name(const TensorFile *);   /* plain file name, without directory */
const char *tensor_file_format(const TensorFile *); /* NULL: it lists no tensors, so no .bir can name it */
const Tensor *tensor_file_find(const TensorFile *, const char *name);
int32_t tensor_file_count(const TensorFile *);
const Tensor *tensor_file_get(const TensorFile *, int32_t i);     /* sorted by name */
const void *tensor_file_bytes(const TensorFile *, size_t *bytes); /* the whole file */
/* safetensors_write.c, https://github.com/huggingface/safetensors#format. Writes by rename; of equal names
 * only one may be given. No tensors make a valid empty file. */
bool safetensors_write(const char *path, const Tensor *const *tensors, int32_t count, Diag *);

/* ---- graph.c --------------------------------------------------------------------------------- */
Module *module_new(const char *name);
void module_free(Module *);
bool module_add_file(Module *, TensorFile *); /* takes ownership */
const Tensor *module_find_tensor(const Module *, const char *name);
void module_set_meta(Module *, const char *key, const char *value);
Head *module_add_head(Module *, const char *name); /* the rest zeroed; valid until the next is added */
/* A new option, or the one of that name with another default. */
void module_set_option(Module *, const char *name, double value);
/* Its number among the options; -1: there is none of that name. */
int32_t module_find_option(const Module *, const char *name);
Graph *graph_new(Module *, const char *name);   /* at LEVEL_GRAPH */
Graph *graph_copy(Module *into, const Graph *); /* same ids; tensors shared */
Module *module_copy(const Module *); /* nodes copied, tensor data shared: keep the original alive */
Value *graph_add_input(Graph *, const char *name, Type);
void graph_add_output(Graph *, const char *name, Value *);
/* Appends (before == NULL) or inserts a node. Result types come from infer; NULL and messages when they do
 * not fit. OP_CAST makes f32; for another type set node->results[0]->type.dtype right afterwards: infer keeps
 * the dtype that the result of a cast already has. Constants: graph_const. */
Node *graph_insert(
	Graph *, Node *before, Op, Value *const *args, int32_t nargs, const Attrs *, const char *origin, Diag *);
/* The same without any check, result types as given (as many as op_info[op].results): for the parser, which
 * takes types as they are written and leaves the judgement to verify. data: OP_CONST only. At most ARGS_MAX
 * arguments. */
Node *graph_insert_typed(Graph *, Node *before, Op, Value *const *args, int32_t nargs, const Attrs *,
	const Tensor *data, const char *origin, const Type *results);
/* graph_insert for the usual single result; NULL on error. */
Value *graph_emit(
	Graph *, Node *before, Op, Value *const *args, int32_t nargs, const Attrs *, const char *origin, Diag *);
Value *graph_const(Graph *, Node *before, const Tensor *, const char *origin);
/* A new tensor in the module's arena, its data zeroed and writable. */
Tensor *tensor_new(Module *, const char *name, Type);
void graph_replace_uses(Graph *, Value *old, Value *by); /* outputs too */
void graph_erase(Graph *, Node *);                       /* its results must have no uses */
int32_t value_uses(const Graph *, const Value *);        /* arguments and outputs that read it */
/* The node, when exactly one argument and no output reads it. */
Node *value_only_user(const Graph *, const Value *);
bool value_is_const(const Value *);
/* For each value, by its id, bit k: output k needs it. Outputs beyond the 32 that a program can have count as
 * the last. */
void graph_reach_outputs(const Graph *, uint32_t *by_id);
/* What reads, behind an exit, a value that is made or given in front of it, other than a constant or what an
 * exit takes over; and that value. NULL: nothing does, so that code may leave behind what belongs to the
 * texts that ended. */
const Node *graph_exit_crossing(const Graph *, const Value **value);
/* Pairs of a table and the ids that pick its rows, with which the node's arguments begin. */
int32_t node_lookups(const Node *);
/* Rows of the table of such a pair, packed or not. */
int64_t node_table_rows(const Node *, int32_t pair);
/* Which argument of a linear of any kind is its weight; -1: the op is no linear. */
int32_t node_weight(const Node *);
const Tensor *value_tensor(const Value *);     /* NULL unless a const */
bool value_is_scalar(const Value *, double *); /* a const of one element */

/* The next op behind `after` (NULL: the first) that picks rows of a table args[0] by this input of the graph;
 * NULL: none. */
const Node *graph_lookup(const Graph *, int32_t input, const Node *after);

/* ---- names.c --------------------------------------------------------------------------------- */
bool name_is_valid(const char *); /* a letter or _, then letters, digits, _ . -; <= 255 bytes */
/* Writes "%name" or "%12"; returns text. */
char *value_print(const Value *, char text[264]);

/* ---- origin.c -------------------------------------------------------------------------------- */
/* Takes any text apart, NULL too. The place points into it. */
Origin origin_parse(const char *origin);
/* Gives the node another origin, which is copied. */
void node_set_origin(Graph *, Node *, const char *origin);
/* "layer.3.attention.query" */
const char *origin_in_layer(Graph *, int32_t layer, ModelPart);
/* The encoder's layer that an op belongs to; -1: none, a constant, or a layer of one task among several. */
int32_t node_layer(const Node *);

/* ---- equal.c --------------------------------------------------------------------------------- */
bool attrs_equal(const Attrs *, const Attrs *);
bool tensor_equal(const Tensor *, const Tensor *); /* type and bytes, not the name */
/* Whether both make the same outputs by the same ops of equal constants. If not, *where is a node of the
 * first graph that has no counterpart, or NULL when inputs or outputs differ. */
bool graph_equal(const Graph *, const Graph *, const Node **where);

/* ---- sparse.c: weights of which most are zero, layout in its head ---------------------------- */
enum {
	SPARSE_PANEL = 64, /* outputs a piece */
	SPARSE_BAND = 4,   /* outputs a band */
	SPARSE_BLOCK = 96, /* words of an output */
	SPARSE_WORD = 4    /* bytes a word */
};
static inline int64_t sparse_blocks(int64_t words) { return (words + SPARSE_BLOCK - 1) / SPARSE_BLOCK; }
int64_t sparse_words(int64_t inputs, DType); /* of an output: of i8 a fourth of its inputs, of f32 as many */
/* Of the groups of so many neighbouring inputs in a matrix [outputs, inputs] of i8 or floats, the share that
 * are not all zero. */
double sparse_density(const Tensor *, int64_t group);
/* Writes the packed form of such a matrix; returns its bytes. NULL: counts them only. -1: more than
 * INT32_MAX. */
int64_t sparse_pack(const Tensor *, void *packed);
/* Row n of a packed form of so many outputs and words: `words` words to row, in the order of inputs. */
void sparse_row(const void *packed, int64_t outputs, int64_t words, int64_t n, void *row);
/* How many words of all outputs a packed form holds. */
int64_t sparse_stored(const void *packed, int64_t outputs, int64_t words);
/* Whether these bytes are a packed form of so many outputs and words an output, of codes or f32, as kernels
 * read it without looking. */
bool sparse_is_valid(const void *packed, int64_t bytes, int64_t outputs, int64_t words, DType);
/* sparse_order.c: order[4 * words] = an order of the inputs of a matrix of i8 in which fewer words are not
 * all zero; returns how many. -1: none that pays, and order is not to be read. */
int64_t sparse_order(const Tensor *, uint16_t *order);
/* The share of the words that a packed form has for a reason: those that are not all zero. */
double sparse_left(const Tensor *);

/* ---- infer.c, eval.c: one function an op ----------------------------------------------------- */
#define OP(NAME, ...) \
	bool infer_##NAME(const Node *, Type results[RESULTS_MAX], Diag *); \
	bool eval_##NAME(const Node *, const struct EvalArray *const *args, struct EvalArray *results, Diag *);
#include "ops.def"
#undef OP
/* An error about a node, EXIT_INPUT: "ORIGIN: %RESULT = OP: MESSAGE" at the node's line, as far as they are
 * known. Returns false. */
bool node_error(const Node *, Diag *, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Number of arguments and attributes as op_info says, then infer. */
bool node_infer(const Node *, Type results[RESULTS_MAX], Diag *);

/* An array while evaluating: numbers as double, or a constant read in place (v == NULL, tensor set). */
typedef struct EvalArray {
	DType dtype;
	int32_t rank;
	int64_t dim[RANK_MAX];
	int64_t count;
	double *v;
	const Tensor *tensor;
} EvalArray;
/* eval_NAME finds its results with dtype, dims and count set and v zeroed (a const: v NULL), and fills v. */
double eval_at(const EvalArray *, int64_t i);
void eval_array_free(EvalArray *);
/* Sum of a[i] * b[i]. */
double eval_dot(const double *a, const double *b, int64_t count);
/* Runs the graph on one text. inputs: as many as graph inputs, i32, all of length S. outputs: graph->noutputs
 * arrays, to be freed by the caller. Sums in double; a value of a float type is NOT rounded to it, except by
 * cast. */
bool graph_eval(const Graph *, const EvalArray *inputs, EvalArray *outputs, Diag *);
/* Ids (types may be NULL: zeros) of one text through graph_eval. */
bool graph_eval_ids(
	const Graph *, const int32_t *ids, const int32_t *types, int64_t tokens, EvalArray *outputs, Diag *);
/* One node on constants; the result is a new tensor of the module. NULL and messages on error. */
Tensor *node_eval_const(Graph *, const Node *, int32_t result, Diag *);

/* ---- print.c --------------------------------------------------------------------------------- */
typedef struct PrintOptions {
	bool elide_constants; /* large inner constants print as const elided */
} PrintOptions;
void module_print(const Module *, FILE *, const PrintOptions *);
char *module_text(const Module *, const PrintOptions *); /* malloc'd */
/* Writes OUT.bir and, where constants need it, OUT.safetensors beside it, by rename. */
bool module_write(const Module *, const char *path, const PrintOptions *, Diag *);
/* A const that is in no file, follows no rule and is too large to stand in the text (elide_constants or
 * module_write). */
bool module_has_loose_constants(const Module *);
void print_quoted(FILE *, const char *text); /* "..." with \" \\ \n \t \xHH */

/* ---- parse.c (lexer: lex.rl) --------------------------------------------------------------------
 * directory: where `weights "x.safetensors"` is looked up; search: further directories, NULL-terminated, may
 * be NULL. module_parse: grammar, names and constants are right; types are as written, so call module_verify
 * before anything else. module_read: the text of a file, parsed and verified. Both: NULL and every error with
 * its line. */
Module *module_parse(
	const char *text, size_t bytes, const char *directory, const char *const *search, Diag *);
Module *module_read(const char *path, const char *const *search, Diag *); /* "-": standard input */

/* ---- verify.c: the invariants, in prose, then checked ---------------------------------------- */
bool module_verify(const Module *, Diag *);
bool graph_verify(const Graph *, Diag *);
bool graph_verify_level(const Graph *, Level highest, Diag *);
#endif
