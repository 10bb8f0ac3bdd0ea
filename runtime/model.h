/* model.h: the tables that the emitter writes for one model, and what the generic runtime (api.c, program.c)
 * does with them. Everything here is const data or a pointer to emitted code. */
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
	RT_E_TEXT,    /* text, but no tokenizer; a pair, but the model takes none; invalid UTF-8 under `strict` */
	RT_E_WEIGHTS, /* coded weights are damaged: NAME_new gives NULL, NAME_why this */
	RT_STATUS_COUNT
};
enum {
	RT_TASK_CLASSIFY,
	RT_TASK_TAG,
	RT_TASK_EMBED,
	RT_TASK_RANK,
	RT_TASK_QA,
	RT_TASK_FILL_MASK
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
} RtOptionInfo;                         /* value: the default */
typedef struct RtTokenizer RtTokenizer; /* tokenizer.h */

/* What thin left of the texts that came there. */
typedef struct RtKept {
	int32_t rows, texts;
} RtKept;
enum { RT_SYMBOLS_MAX = 7 }; /* S1 to S7 */

/* One pass over a batch of texts that fits the arena. Text i has the tokens [offsets[i], offsets[i+1]). */
typedef struct RtCall {
	const int32_t *ids, *types, *offsets; /* types is never NULL here */
	int32_t ntokens, ntexts, longest, threads;
	int32_t *thinned;      /* offsets of the rows that steps leave of the texts: rt_offsets in steps.h */
	int32_t *thinned_rest; /* those of an exit's rest */
	RtKept *kept;          /* by symbol - 1, for --profile */
	char *tokens, *texts, *pairs, *fixed; /* arena regions, 64-byte aligned: see ArenaPlan in ir.h */
	char *scratch;
	size_t scratch_bytes; /* of thread t: scratch + t * scratch_bytes */
	char *blocks;
	size_t block_bytes;   /* rows inside a chain of steps, of thread t: blocks + t * block_bytes */
	float *const *out;    /* out[k]: where output k goes, or NULL: not wanted */
	double *step_seconds; /* --profile: one a step, written by thread 0; NULL: off */
	struct RtTeam *team;
	/* of the call as it began, by which values have their places; room_pairs: tokens * longest */
	int32_t room_tokens, room_texts;
	size_t room_pairs;
	uint32_t want;         /* bit k: out[k] is wanted, or everything that can be timed */
	const double *options; /* NAME_set: one a row of RtModel.options */
	/* texts that ended early (exit.h): two slots for decisions, how many exits were passed, the offsets that
	 * the call began with, and the number that text i had then (NULL: i) */
	int32_t *exits, passed;
	const int32_t *began, *numbers;
} RtCall;

typedef struct RtStep {
	const char *origin, *kernel;
	double flops_per_token, flops_per_text, flops_per_pair;
	int32_t symbol; /* whose rows count as tokens: rt_offsets in steps.h */
} RtStep;

/* int32 of one slot of RtCall.exits. */
RT_INLINE size_t rt_exit_ints(int64_t texts) { return 3 * (size_t)texts + 4; }

/* A constant that lies entropy coded in the program: unpack.h says how. */
typedef struct RtPacked {
	size_t from, from_bytes, to, to_bytes; /* in RtUnpack.from; in RtUnpack.to */
	int32_t outputs, words;                /* of sparse weights: how many, and words of each; 0: plain */
	int32_t order;                         /* of how many inputs they say the order; 0: they don't */
	int32_t word;                          /* bytes of an element: 1, 2 or 4 */
	uint64_t hash;                         /* of what it becomes */
} RtPacked;
/* All of a model, and what came of decoding it: unpack.c. */
typedef struct RtUnpack {
	const RtPacked *packed;
	int32_t npacked;
	const unsigned char *from;
	unsigned char *to;
	size_t to_bytes, from_bytes; /* from_bytes: of all coded constants */
	int status;
	double seconds;
} RtUnpack;

/* The model's code for one CPU; all variants compute the same graph over the same weights. */
typedef struct RtVariant {
	const char *cpu; /* as --cpu named it: "x86-64-v3" */
	uint32_t isa;    /* bits of isa.def that its code needs */
	/* runs the whole graph as thread `thread` of call->threads; all threads call it */
	void (*run)(const RtCall *, int32_t thread);
	const RtStep *steps;
	int32_t nsteps;
	/* the arena's polynomial: bytes of each region for a call */
	int64_t per_token, per_text, per_pair, per_thread_token, per_thread, per_block, fixed;
} RtVariant;

typedef struct RtModel {
	const char *name, *about; /* about: JSON text, see program.c */
	int32_t hidden, vocab, type_vocab, max_tokens, batch_tokens, batch_texts;
	int32_t takes_pairs, nthinned; /* nthinned: how often its steps thin the tokens out */
	const RtOutput *outputs;
	int32_t noutputs;
	const RtHead *heads;
	int32_t nheads;
	const RtOptionInfo *options;
	int32_t noptions;             /* options of the model itself */
	int32_t exits;                /* 1: texts may end early */
	const RtTokenizer *tokenizer; /* NULL: ids only */
	const RtVariant *variants;
	int32_t nvariants; /* oldest CPU first: the last that this CPU can run is taken */
	const void *weights;
	size_t weights_bytes;
	int (*unpack)(void);      /* decodes what is coded, once; NULL: nothing is */
	const RtUnpack *unpacked; /* the same as a table, and what came of it; NULL without unpack */
} RtModel;
#endif
