/* model.h: the tables that the emitter writes for a model, and that the generic runtime (api.c, program.c)
 * reads. Everything is const data or a pointer to emitted code. */
#ifndef RT_MODEL_H
#define RT_MODEL_H
#include "rt.h"

enum { /* status of every NAME_ function; text by NAME_strerror */
	RT_OK = 0,
	RT_E_ARGUMENT, /* a null pointer, a negative count, offsets that run backwards */
	RT_E_ID,       /* a token id or type id outside the tables */
	RT_E_LENGTH,   /* a text longer than MAX_TOKENS (and overflow is `error`) */
	RT_E_CAPACITY, /* an output buffer or the workspace is too small */
	RT_E_OPTION,   /* NAME_set: no such option, or its value is out of range */
	RT_E_TEXT, /* text without a tokenizer, a pair for a model of single texts, or invalid UTF-8 with `strict`
				*/
	RT_E_WEIGHTS, /* coded weights are damaged: NAME_new returns NULL, and NAME_why gives this reason */
	RT_STATUS_COUNT
};
enum {
	RT_TASK_CLASSIFY,
	RT_TASK_TAG,
	RT_TASK_EMBED,
	RT_TASK_RANK,
	RT_TASK_QA,
	RT_TASK_FILL_MASK,
	RT_TASK_CHOICE,
	RT_TASK_MULTI_VECTOR,
	RT_TASK_SPARSE
}; /* as Task in ir.h */
enum { RT_SINGLE, RT_MULTI, RT_REGRESSION }; /* as Problem */

typedef struct RtOutput {
	const char *name;
	int32_t width, per_token;
} RtOutput;
typedef struct RtHead {
	const char *name;
	int32_t task, problem, output, nlabels;
	const char *const *labels;
} RtHead;
typedef struct RtOptionInfo {
	const char *name;
	double value;
} RtOptionInfo; /* value: the default */
/* A text before each text (prompts.c). */
typedef struct RtPrompt {
	const char *name, *text;
} RtPrompt;
/* Late interaction (text.c). What a text is, as LateTask in compiler/model/description.h. */
enum { RT_PLAIN, RT_QUERY, RT_DOCUMENT, RT_LATE_TASKS };
typedef struct RtLate {
	int32_t limit[RT_LATE_TASKS]; /* tokens of a text */
	int32_t fill, token, type;    /* a query is filled up to so many tokens (0: as it is) with this one */
	int32_t mean;                 /* scores are divided by the rows of the query */
	int32_t skips[RT_LATE_TASKS]; /* such texts have no rows for the tokens of `skip` */
	const int32_t *skip;
	int32_t nskip;
	int32_t clusters[RT_LATE_TASKS]; /* the rows of such texts join to clusters: cluster.c */
	double factor;                   /* this many rows to a cluster */
	int32_t protect, unit;           /* so many rows at the start stay; all rows get length 1 */
} RtLate;
typedef struct RtTokenizer RtTokenizer; /* tokenizer.h */

/* How many rows a thin kept. */
typedef struct RtKept {
	int32_t rows, texts;
} RtKept;
enum { RT_SYMBOLS_MAX = 7 }; /* S1 to S7 */

/* One pass over the texts of a batch that fits the arena. Text i has the tokens [offsets[i],
 * offsets[i+1]). */
typedef struct RtCall {
	const int32_t *ids, *types, *offsets; /* types is never NULL here */
	int32_t ntokens, ntexts, longest, threads;
	int32_t *thinned;                     /* offsets of the rows that thin keeps: rt_offsets in steps.h */
	int32_t *thinned_rest;                /* the same for the call after an exit */
	RtKept *kept;                         /* by symbol - 1, for --profile */
	char *tokens, *texts, *pairs, *fixed; /* arena regions, 64-byte aligned: see ArenaPlan in ir.h */
	char *scratch;
	size_t scratch_bytes; /* of thread t: scratch + t * scratch_bytes */
	char *blocks;
	size_t block_bytes;   /* inner values of a chain, for thread t: blocks + t * block_bytes */
	float *const *out;    /* out[k]: buffer for output k; NULL: not requested */
	double *step_seconds; /* --profile: one per step, written by thread 0; NULL: off */
	struct RtTeam *team;
	/* sizes of the original call, which determine the places of values; room_pairs: tokens * longest */
	int32_t room_tokens, room_texts;
	size_t room_pairs;
	uint32_t want;         /* bit k: output k is requested; all bits for timing */
	const double *options; /* from NAME_set, one per row of RtModel.options */
	/* for texts that end early (exit.h): two slots of decisions, the number of exits passed, the original
	 * offsets, and the original number of text i (NULL: i) */
	int32_t *exits, passed;
	const int32_t *began, *numbers;
} RtCall;

typedef struct RtStep {
	const char *origin, *kernel;
	double flops_per_token, flops_per_text, flops_per_pair;
	int32_t symbol; /* the symbol whose rows count as tokens: rt_offsets in steps.h */
} RtStep;

/* The number of int32 in one slot of RtCall.exits. */
RT_INLINE size_t rt_exit_ints(int64_t texts) { return 3 * (size_t)texts + 4; }

/* An entropy-coded constant (unpack.h). */
typedef struct RtPacked {
	size_t from, from_bytes, to, to_bytes; /* places in RtUnpack.from and RtUnpack.to */
	int32_t outputs, words; /* sparse weights: number of outputs, and words per output; 0: not sparse */
	int32_t order;          /* number of inputs in the order that sparse weights store; 0: they have none */
	int32_t word;           /* bytes of an element: 1, 2 or 4 */
	uint64_t hash;          /* of the decoded bytes */
} RtPacked;
/* All coded constants of a model, and the result of decoding: unpack.c. */
typedef struct RtUnpack {
	const RtPacked *packed;
	int32_t npacked;
	const unsigned char *from;
	unsigned char *to;
	size_t to_bytes, from_bytes; /* from_bytes: total of all coded constants */
	int status;
	double seconds;
} RtUnpack;

/* The model's code for one CPU. All variants compute the same graph with the same weights. */
typedef struct RtVariant {
	const char *cpu; /* its name in --cpu: "x86-64-v3" */
	uint32_t isa;    /* bits of isa.def that its code needs */
	/* runs the whole graph as thread `thread` of call->threads; all threads call it */
	void (*run)(const RtCall *, int32_t thread);
	const RtStep *steps;
	int32_t nsteps;
	/* the coefficients of the arena's size */
	int64_t per_token, per_text, per_pair, per_thread_token, per_thread, per_block, fixed;
} RtVariant;

typedef struct RtModel {
	const char *name, *about; /* about: JSON text, see program.c */
	int32_t hidden, vocab, type_vocab, max_tokens, batch_tokens, batch_texts;
	int32_t takes_pairs, nthinned; /* nthinned: number of thin steps */
	const RtOutput *outputs;
	int32_t noutputs;
	const RtHead *heads;
	int32_t nheads;
	const RtOptionInfo *options;
	int32_t noptions;                 /* options of the model itself */
	const char *labels, *pattern;     /* zero-shot classification: --labels and --template; NULL: not given;
									   * labels "": they	 must be given */
	const char *ranges;               /* of embeddings: --ranges; NULL: not given */
	const char *unknown_keys;         /* of the model's files, for --help; NULL: none */
	const char *similarity;           /* of embeddings; NULL: cosine */
	int32_t exits;                    /* 1: texts may end early */
	const RtTokenizer *tokenizer;     /* NULL: ids only */
	const RtPrompt *prompts, *prompt; /* prompt: the default; NULL: none */
	int32_t nprompts;
	const RtLate *late; /* NULL: not for late interaction */
	const RtVariant *variants;
	int32_t nvariants; /* oldest CPU first; the last that this CPU supports runs */
	const void *weights;
	size_t weights_bytes;
	int (*unpack)(void);      /* decodes coded constants once; NULL: there are none */
	const RtUnpack *unpacked; /* the coded constants and the result; NULL without unpack */
} RtModel;
#endif
