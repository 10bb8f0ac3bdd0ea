/* description.h: the description of a model, from model.xml or a directory, before a graph is built. It holds
 * sizes, heads, limits and the paths of files. The family (families/) builds the graph; import/ reads the
 * files. */
#ifndef BERTC_DESCRIPTION_H
#define BERTC_DESCRIPTION_H
#include "codegen/codegen.h"

enum { CONV_MOST = 1023 }; /* tokens that a convolution reads */
struct json_t;             /* of jansson: files that read config.json include it */

/* SIZE_LAYERS etc.: index of each size of an encoder. MOST_LAYERS etc.: its upper bound. SIZE_LABELS is not a
 * size of the encoder, but messages name it like one. */
typedef enum Size {
#define SIZE(NAME, ...) SIZE_##NAME,
#include "sizes.def"
#undef SIZE
	SIZE_COUNT,
	SIZE_LABELS = SIZE_COUNT
} Size;
enum {
#define SIZE(NAME, field, least, most, about) MOST_##NAME = (most),
#include "sizes.def"
#undef SIZE
};

/* BIAS_ATTENTION etc.: a part that may have no biases. */
typedef enum Bias {
#define BIAS(NAME, text) BIAS_##NAME,
#include "biases.def"
#undef BIAS
	BIAS_COUNT
} Bias;
extern const char *const bias_words[BIAS_COUNT];

/* TRAIT_TRIGRAM etc.: what a model may have. */
typedef enum Trait {
#define TRAIT(NAME, text) TRAIT_##NAME,
#include "traits.def"
#undef TRAIT
	TRAIT_COUNT
} Trait;
extern const char *const trait_words[TRAIT_COUNT];

/* Rotary positions: a token at place p turns the pair i of d/2 pairs of a head by p / factor / theta^(2i/d).
 */
typedef struct RotaryDesc {
	double theta; /* 0: none */
	double factor;
} RotaryDesc;

/* modules.c: what sentence-transformers puts before and after the pooling. */
typedef enum ModuleKind {
	MODULE_DENSE,
	MODULE_LAYERNORM,
	MODULE_NORMALIZE,
	MODULE_AUTOENCODER,
	MODULE_WORD_WEIGHTS, /* from here on, always of each token */
	MODULE_CNN,
	MODULE_LSTM,
	MODULE_LAYERS,
	MODULE_COUNT
} ModuleKind;
extern const char *const module_words[MODULE_COUNT]; /* "dense" "layernorm" ... */
enum { MODULES_MAX = 8, POOLINGS_MAX = 16 };

typedef struct HeadDesc {
	const char *name, *task, *problem; /* words of ir.h's task_names, problem_names; problem may be NULL */
	const char *tensors;               /* stem of its weights; NULL: the family's for the task */
	const char *pooling; /* one or more of pooling_words, separated by spaces; NULL: the family's */
	bool normalize;      /* of modules: scale the result to unit length */
	bool skips_prompt;   /* the tokens of a prompt are not pooled */
	int32_t dim;         /* of modules: keep the first numbers of the result; 0: all */
	int32_t top;         /* sparse: keep the largest weights; 0: all */
	/* classify, rank: of the scores, as activation.c names it; NULL: none. sparse: NULL, or log1p_relu */
	const char *activation;
	/* of modules: size of the embeddings that the Pooling module's config.json gives; 0: not given */
	int64_t pooled;
	int32_t nmodules; /* of embed, and of a classifier that sentence-transformers puts together */
	struct ModuleDesc {
		ModuleKind kind;
		bool each;     /* acts on each token, before the pooling */
		bool residual; /* dense: the input is added */
		const char *href, *activation;
		bool standard;           /* autoencoder: the input is standardised */
		int64_t inputs, outputs; /* dense, autoencoder: from its config.json; 0: not given */
		int bias;                /* dense: from its config.json: 1 yes, -1 no, 0 not given */
	} module[MODULES_MAX];
	int32_t nlabels;
	const char **labels;
} HeadDesc;
/* Late interaction: a text has a vector for each token, and a query scores a document by the largest products
 * of its tokens. Khattab, Zaharia: "ColBERT", 2020. Texts may be queries or documents (runtime/text.c). */
typedef enum LateTask { LATE_PLAIN, LATE_QUERY, LATE_DOCUMENT, LATE_COUNT } LateTask;
typedef struct LateDesc {
	int32_t limit[LATE_COUNT]; /* tokens of a text; 0: the model's limit */
	int32_t fill;              /* a query has at least so many tokens */
	const char *fill_rule;     /* origin of fill */
	const char *token;         /* that fill it up; NULL: the mask */
	bool attends;              /* tokens attend to them */
	bool mean;                 /* scores are divided by the rows of the query */
	bool skips[LATE_COUNT];    /* texts of that task have no rows for these tokens: */
	int32_t nskip;
	const char **skip;
	bool clusters[LATE_COUNT];      /* the rows of texts of that task join to clusters: */
	double factor;                  /* so many rows to a cluster; 0: none */
	int32_t protect;                /* so many rows at the start stay */
	bool unit;                      /* all rows get length 1 again */
	bool pylate;                    /* from a directory of PyLate, whose */
	const char *prefix[LATE_COUNT]; /* prefixes of texts are one token each, if the tokenizer has it */
} LateDesc;
enum { LATE_SKIP_MAX = 4096 };
enum { HEADS_MAX = 64, PROMPTS_MAX = 512, PROMPT_BYTES_MAX = 1 << 16 };
/* The content of model.xml. describe writes it; build reads it, or derives it from a directory. */
typedef struct ModelDesc {
	MemArena *mem;
	const char *path;              /* description or directory, for messages */
	const char *directory;         /* references are looked up here, then in --search */
	const char *modules_directory; /* directory of dense modules; NULL: directory */
	const char *name;
	const char *weights;         /* plain file name: .safetensors, or .safetensors.index.json for shards */
	const char *tokenizer;       /* tokenizer.json or vocab.txt; NULL: ids only */
	bool lowercase;              /* texts are lowered before anything else */
	const struct Family *family; /* NULL: a graph, or tasks over one base */
	union {
		struct {
#define SIZE(NAME, field, ...) int32_t field;
#include "sizes.def"
#undef SIZE
		};
		int32_t size[SIZE_COUNT]; /* the same, by index; 0: the family has no such size */
	};
	bool
		from_config; /* from config.json: messages name its keys; the checkpoint may hold no further layers */
	bool transformers5;     /* --compat=transformers5 */
	bool untied;            /* the fill-mask decoder has its own table and bias (tie_word_embeddings false) */
	const char *activation; /* as config.json spells it */
	const char *conv_activation; /* of the convolution; NULL: there is none */
	const char *head_activation; /* of heads, if the family has a key for it; NULL: none */
	double eps;
	bool unbiased[BIAS_COUNT]; /* the part has no biases */
	bool trait[TRAIT_COUNT];
	RotaryDesc rotary, local_rotary; /* the second in layers with local attention */
	bool *local; /* [layers]: a token attends to `window` tokens around it; NULL: to all, in every layer */
	int32_t nheads;
	HeadDesc head[HEADS_MAX];
	int32_t nprompts; /* texts that programs put before each text */
	struct PromptDesc {
		const char *name, *text;
	} *prompt;
	const char *default_prompt; /* the name of one of them; NULL: none */
	LateDesc *late;             /* of the task multi-vector; NULL: none */
	const char *similarity;     /* a word of similarity_words; NULL: cosine, of sparse weights dot */
	const char *unknown_keys;   /* of JSON files, as "FILE: KEY, KEY; FILE: KEY"; NULL: none */
	int32_t max_tokens;
	const char *max_tokens_rule; /* origin of max_tokens */
	const char *delta; /* path of a delta.safetensors; its tensors replace those of weights; NULL: none */
	const char *weights_directory; /* directory of the base's weights; NULL: directory */
	int32_t nmerges; /* tasks that share these weights; the description itself then has no head */
	struct MergeDesc {
		const char *name, *directory;
	} merge[HEADS_MAX];
	const char *outputs; /* "hidden pooled": further outputs; NULL: hidden if a head uses all rows */
	const char *passes;  /* recipe, or NULL */
	bool is_graph;       /* second form, <graph>; module is the built graph */
	Module *module;
} ModelDesc;

/* Options that decide how a model is read. They live as long as the command. */
typedef struct LoadOptions {
	const char *model;      /* a directory, a .xml, a .bir or "-" */
	const char *task;       /* --task; NULL: from the checkpoint */
	const char *outputs;    /* "hidden,pooled", added to those of the heads; NULL: none */
	int max_tokens;         /* --max-tokens; 0: from the files */
	const char *search[16]; /* --search DIR, NULL-terminated */
	bool transformers5;     /* --compat=transformers5 */
	const char *merge;      /* --merge=NAME=DIR,..; NULL: none */
	const char *route;      /* --route: of a Router of sentence-transformers; NULL: its default */
	bool merge_later;       /* the pipeline has merge-tasks: keep one graph per task until then */
	const ModelDesc *base;  /* the base, while a directory of --merge is read */
} LoadOptions;

ModelDesc *description_new(const char *path, const char *directory);
void description_free(ModelDesc *);
/* Writes it as model.xml. why: lines for a comment at its head; NULL: none. False if the stream failed. */
bool description_write(const ModelDesc *, const char *why, FILE *);
/* Adds a head with default values. name NULL: the task's name. NULL and a message beyond HEADS_MAX heads. */
HeadDesc *description_add_head(ModelDesc *, const char *name, const char *task, Diag *);
/* Sets the pooling of all classifiers. */
void description_set_pooling(ModelDesc *, const char *pooling);
/* Checks that the fields are consistent: heads divide hidden, words are known, names differ. Fills missing
 * fields of heads: tensors and pooling. Applies --max-tokens and --outputs. */
bool description_check(ModelDesc *, const LoadOptions *, Diag *);
/* Adds a prompt. False and a message if there are too many, or if the name is taken or unfit for printing. */
bool description_add_prompt(ModelDesc *, const char *name, const char *text, Diag *);
/* late.c: adds a token without rows. False and a message if there are too many, or if it is unfit for meta
 * lines. */
bool description_add_skip(ModelDesc *, const char *token, Diag *);
/* Sets all limits, and max_tokens to the largest. asked: --max-tokens, or 0. */
bool description_settle_late(ModelDesc *, int asked, Diag *);
/* Meta lines for the emitter (codegen/emit_late.c). */
void description_late_meta(const ModelDesc *, Module *);
/* Turns any text into a name for modules and C: letters, digits and '_', not beginning with a digit. */
char *name_from_text(MemArena *, const char *text);
/* The activation of a sparse head that takes the logarithm twice. */
#define log1p_relu "log1p_relu"
/* Words of `pooling`: the modes of the op pool, the family's pooler, and `late`: the mean of what the last
 * linear of a classifier makes of each token. */
enum { POOLING_POOLER = POOL_COUNT, POOLING_LATE, POOLING_COUNT };
extern const char *const pooling_words[POOLING_COUNT];
/* How embeddings are compared, as SimilarityFunction of sentence-transformers. */
enum { SIMILARITY_COUNT = 4 };
extern const char *const similarity_words[SIMILARITY_COUNT]; /* "cosine" "dot" "euclidean" "manhattan" */
/* The index of word in list, or -1. */
int word_index(const char *word, const char *const *list, int count);
/* The labels LABEL_0 .. LABEL_(n-1), transformers' default names. */
const char **labels_numbered(MemArena *, int32_t count);
/* True if text is UTF-8 without control characters, 1 to NAME_BYTES_MAX bytes. Labels and names must be,
 * because they are printed in lines. */
bool text_is_clean(const char *text);
#endif
