/* emit.h: shared by the files that emit C; internal to codegen/. */
#ifndef BERTC_EMIT_H
#define BERTC_EMIT_H
#include "codegen.h"

/* ---- c_text.c: foreign text inside C --------------------------------------------------------- */
/* A string literal. Any bytes stay inside the quotes and form no trigraph. */
void c_string(FILE *, const char *text);
/* Text inside a comment. Bytes that could end the comment or continue a line become '_'. */
void c_comment(FILE *, const char *text);
/* A float or double constant that reads back exactly. */
void c_real(FILE *, double value);
char *c_upper(const char *); /* malloc'd */
/* The text with `name` in the place of each NAME. */
void c_named(FILE *, const char *text, const char *name);

/* ---- paste.c: runtime/ files inside the emitted file ----------------------------------------- */
typedef struct Paste {
	FILE *out;
	const char **done;
	int32_t count;
	size_t capacity;
} Paste;
/* Pastes a file after the files that it includes with quotes, each file once, without their #include
 * lines. */
bool paste_file(Paste *, const char *name, Diag *);
/* Pastes the pre-tokenizer and the model of this tokenizer. NULL: pastes nothing. */
bool paste_tokenizer(Paste *, const TokenizerDesc *, Diag *);
bool paste_kernel(Paste *, const char *function, Diag *);
/* Forgets all files but the first `count`: they are pasted again where they are wanted. */
void paste_forget(Paste *, int32_t count);
void paste_free(Paste *);

/* ---- weights.c: constants in the blob -------------------------------------------------------- */
/* offset: in the blob, or, if the tensor is coded, in the decoded memory. */
typedef struct PlacedTensor {
	const void *data;
	int64_t bytes;
	uint64_t hash;
	size_t offset;
	bool coded;
} PlacedTensor;
struct RtPacked;
typedef struct Weights {
	Blob blob;
	PlacedTensor *table;
	size_t count, capacity;
	struct RtPacked *packed;
	size_t packed_capacity;
	int32_t npacked; /* coded constants, for the program's decoder */
	size_t coded_bytes, decoded_bytes;
} Weights;
/* The place of the constant. Adds it to the blob unless an equal constant is there. */
const PlacedTensor *weights_place(Weights *, const Tensor *);
/* The same, with entropy coding if that makes the constant smaller by an eighth. shape: outputs, words and
 * word of the constant. */
void weights_place_coded(Weights *, const Tensor *, const struct RtPacked *shape);
void weights_free(Weights *);
/* Writes the blob as C text in 64-bit words. All targets are little-endian. */
void weights_print_inline(const Blob *, const char *name, FILE *);
bool weights_write(const Blob *, const char *path, Diag *);

/* ---- emit_step.c: steps ---------------------------------------------------------------------- */
/* A function in the emitted file that computes one kind of step with literal dimensions. */
typedef struct Wrapper {
	const char *name, *text; /* text: everything after the name, "(...)\n{...}\n" */
	const char *attribute;   /* what its kernel may use: "RT_TARGET_AVX2 " or "" */
	const KernelInfo *kernel;
	bool is_core; /* a linear of K inputs, called by the wrappers of all linears with that K */
} Wrapper;
typedef struct Step {
	const char *origin, *kernel;
	double per_token, per_text, per_pair;
	int32_t symbol;
} Step;
/* Sizes of the tables, limits, and the room of a context, as the program states them. */
typedef struct ModelSizes {
	int32_t hidden, vocab, type_vocab, max_tokens, batch_tokens, batch_texts;
} ModelSizes;
/* The code for one CPU. */
typedef struct Variant {
	const CpuTarget *cpu;
	const Graph *graph;
	const char *function; /* "NAME_graph_x86_64_v3" */
	uint32_t isa;         /* bits that its kernels need */
	Step *steps;
	int32_t nsteps;
	FILE *calls; /* the body of its function, while it is written */
	char *text;
	size_t text_bytes;       /* the finished body, malloc'd */
	const uint32_t *reached; /* by value id: the outputs that need it */
} Variant;
typedef struct Emitter {
	const Module *module;
	const Graph *graph; /* the first one; all have the same inputs, outputs and sizes */
	Variant variants[CPUS_MAX];
	int32_t nvariants; /* one per graph of the module */
	Variant *variant;  /* the current one, to which emit_step adds */
	const EmitOptions *options;
	Diag *diag;
	MemArena *mem; /* for texts of wrappers etc. */
	ModelSizes sizes;
	Weights weights;
	Wrapper *wrappers;
	int32_t nwrappers;
	const KernelInfo **kernels;
	int32_t nkernels; /* in use, in order of first use */
	int64_t chain;    /* the chain that calls is in the midst of; -1: one without a number; 0: none */
	uint32_t guard;   /* the steps now being written are for these outputs only; 0: for all */
	char *tokenizer;  /* C text of its tables; malloc'd */
} Emitter;
/* Closes the open chain and the open `if` for some outputs. */
void emit_end(Emitter *);
/* Adds the line of a step and, if needed, a wrapper, a kernel and constants. */
bool emit_step(Emitter *, const Node *);

/* ---- emit_body.c: values and the statements of wrappers -------------------------------------- */
/* Where a value is at run time: IR.md, Arena. */
typedef enum Place { PLACE_IDS, PLACE_CONST, PLACE_TOKENS, PLACE_TEXTS, PLACE_PAIRS, PLACE_NOWHERE } Place;
Place value_place(const Value *);
/* The symbol of its rows: 0: S, or no rows; 1: S1; .. */
int32_t value_symbol(const Value *);
/* Elements per token, text or pair: the product of the dimensions that are numbers. */
int64_t value_unit(const Value *);

/* ---- emit_ops.c, emit_attention.c, emit_tensor.c: the body of each op's wrapper -------------- */
/* How a step is divided: rows of all tokens of the call, rows of all its texts, or whole texts. */
typedef enum Form { FORM_TOKENS, FORM_TEXTS, FORM_EACH } Form;
/* A wrapper while it is written. The function of the op adds name, parameters and kernel calls; emit_step.c
 * and emit_body.c add the rest. */
typedef struct Body {
	Emitter *e;
	const Node *node;
	const KernelInfo *kernel;
	Form form;
	const char *name; /* "linear_384_1152_gelu" */
	int32_t nparams;
	struct {
		const char *name;
		const Value *value;
	} param[ARGS_MAX + 1];                /* the first is the result */
	FILE *code;                           /* statements; FORM_EACH: inside the loop over texts i */
	uint32_t uses_tokens, uses_begin;     /* bit k: the statements use Sk, the text's number of such rows, or
											 begink, the first of them */
	bool whole;                           /* the statements divide the work themselves */
	double per_token, per_text, per_pair; /* floating-point operations */
} Body;
typedef bool BodyFn(Body *);
BodyFn body_rows, body_unary, body_linear, body_pooled, body_attention, body_position_ids, body_pool;
BodyFn body_by_distance, body_dot_by_distance, body_received, body_thin, body_gather, body_spread;
BodyFn body_exit;
BodyFn body_matmul, body_transpose, body_reshape, body_slice, body_concat, body_shift, body_convolve,
	body_bag, body_fourier, body_recurrent;
/* Whether ids are known to be below `rows`: the API checks inputs, and constants are checked here. */
bool body_check_ids(Body *, const Value *ids, int64_t rows);
BodyFn body_binary;
void body_param(Body *, const char *name, const Value *);
/* Prints all parameters as arguments of the kernel; FORM_EACH: pointers to the text's part. */
void body_print_params(Body *);
/* The first dimension of the result that is not its rows. */
int32_t body_first_dim(const Body *);
/* The attribute for the instructions that a kernel uses: "RT_TARGET_AVX2 " or "". */
const char *isa_attribute(uint32_t needs);
/* Declares the first row and the number of rows of a text, for every symbol that the statements use. */
void body_text_rows(Body *, FILE *);
/* The selection arguments of a kernel: ", S, 0.05f" or ", 12, 0.0f"; "" if all n keys stay. n: as C text. */
const char *body_selection(Body *, const char *n);
/* The op and the variant of its kernel, for the name of a step: "linear_sparse". */
const char *body_op_name(Body *);
/* A number as a C float literal. */
const char *body_real(Body *, double value);
/* The suffix of the names S and begin for a symbol: "", "1", .. */
const char *body_suffix(Body *, int32_t symbol);
/* "384", "S" or "S1". */
const char *body_dim(Body *, Dim);
/* The product of dims [first, last) of the type: "1", "12 * S". */
const char *body_product(Body *, const Type *, int32_t first, int32_t last);
/* The first element of the text in a parameter: "x + begin * 384". */
const char *body_pointer(Body *, int32_t param);
extern const char *const emit_act_words[ACT_COUNT],
	*const emit_pool_words[POOL_COUNT]; /* "GELU", as in RT_ACT_GELU */
/* The word in lower case, for names: "gelu". */
const char *body_lower(Body *, const char *word);

/* ---- emit_packed.c: --pack=small ------------------------------------------------------------- */
/* Codes the weights of all linears. Call it before placing anything else. */
void emit_packed_constants(Emitter *);
/* Writes the tables that the program needs to decode them, and the memory for the result. */
void emit_packed_tables(const Emitter *, FILE *);
/* Reports the saved bytes and the cost at program start, in one line on standard error. */
bool emit_packed_report(const Emitter *);

/* ---- emit_model.c: tables -------------------------------------------------------------------- */
/* Whether texts may end early. */
bool emit_has_exits(const Graph *);
/* emit_late.c: whether the model is one for late interaction; and writes its RtLate. */
bool emit_is_late(const Module *);
bool emit_late(Emitter *, FILE *c);
/* Writes the tables and the RtModel. Call it after all steps. False and a message if an output cannot be
 * returned. */
bool emit_model(Emitter *, FILE *c);

/* ---- emit_tasks.c: functions of the C API for the task of the first head ---------------------- */
bool emit_has_task_functions(const Emitter *);
/* Their declarations with comments, and what they call. */
void emit_task_declarations(const Emitter *, FILE *h);
void emit_task_functions(const Emitter *, FILE *c);

/* ---- emit_walk.c ----------------------------------------------------------------------------- */
/* Walks the graphs: afterwards the wrappers, kernels, steps, the blob and each variant's calls are known.
 * Before all that prints. */
bool emit_walk(Emitter *);
void emit_walk_free(Emitter *);

/* ---- emit_c.c, emit_h.c: whole files --------------------------------------------------------- */
/* NAME.c on `c`. */
bool emit_c(Emitter *e, FILE *c);
bool emit_h(Emitter *e, FILE *h);
/* Parts of NAME.c: the blob, or that there is one; a wrapper; after the wrappers the graphs, tables and the
 * C API, which includes NAME.h or holds its text. */
void emit_blob(const Emitter *, FILE *c);
void emit_blob_declaration(const Emitter *, FILE *c);
void emit_wrapper(const Wrapper *, const char *linkage, FILE *c);
bool emit_tables(Emitter *, FILE *c, bool with_header);
/* Width of output i in floats and whether it has a row a token; false with a message when the program cannot
 * return it. */
bool output_shape(Emitter *, int32_t i, int64_t *width, bool *per_token);

/* ---- cc.c: another compiler (--cc) ------------------------------------------------------------ */
typedef struct CcJob {
	const char *source, *object, *directory; /* directory: searched by .incbin and #include */
	const char *const *defines;              /* "NAME" or "NAME=VALUE", NULL-terminated */
	bool pic;
} CcJob;
bool cc_compile(const EmitOptions *, const CcJob *, Diag *);
bool cc_link(const EmitOptions *, bool is_static, const char *object, const char *out, Diag *);

/* ---- scratch.c: a temporary directory beside the result -------------------------------------- */
typedef struct Scratch {
	char *directory;
} Scratch;
bool scratch_open(Scratch *, const char *beside, Diag *);
char *scratch_path(const Scratch *, const char *name); /* malloc'd */
void scratch_close(Scratch *);                         /* removes it with its content */
/* Moves a file of the directory to its final name. */
bool scratch_commit(const Scratch *, const char *name, const char *path, Diag *);
#endif
