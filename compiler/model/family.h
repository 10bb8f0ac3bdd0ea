/* family.h: a family of models as data and one function. Each file of compiler/families defines one Family,
 * and compiler/families/families.def lists them. The reader of config.json, the heads, merging and exporting
 * use this data. None of them depends on a particular family.
 *
 * Names of tensors are stems: without the family's prefix and without ".weight" and ".bias". */
#ifndef FAMILY_H
#define FAMILY_H
#include "builder.h"

/* A size in config.json. key NULL: the family has no such size, and model.xml may not give one. */
typedef struct FamilySize {
	const char *key, *alias; /* alias: another spelling that transformers accepts, or NULL */
	int32_t fallback;        /* the default of the transformers config class */
} FamilySize;

/* A key of config.json that would change the answer and is not supported. */
typedef struct FamilyRefusal {
	const char *key;
	const char *fine; /* the only supported value, as JSON; null or a missing key are also accepted */
	const char *why;
} FamilyRefusal;

/* The head of a task. A star in a stem is replaced by the head's own stem (`tensors` of HeadDesc). */
typedef struct HeadSpec {
	Value *(*build)(Builder *, const HeadDesc *, const char *origin);
	const char *tensors;    /* the default stem; NULL: the head has no tensors of its own */
	const char *pooling;    /* the default pooling; NULL: the head reads every row */
	const char *dense;      /* a linear before the output; NULL: none */
	const char *activation; /* after dense; NULL: the encoder's */
	bool spare;             /* models without dense, which may have any width, lack its activation, too */
	bool encoder_act;       /* the encoder's, although heads have another */
	const char *norm;       /* a LayerNorm after that; NULL: none */
	const char *out;        /* the linear that makes the output */
	const char *bias;       /* fill-mask: the full name of its bias, if it is not the bias of out */
	bool bias_won;          /* transformers 4.57 adds `bias` where the checkpoint has both */
	const char *rest; /* fill-mask: the table has fewer columns than the state; this matrix has the others */
} HeadSpec;

/* The head for two texts in a row: next sentence prediction or sentence order. */
typedef struct FamilyPair {
	const char *tensors;   /* NULL: the family has no such head */
	const char *name;      /* beside a fill-mask head */
	const char *labels[2]; /* of its two classes */
	bool relabelled;       /* config.json may give other labels */
} FamilyPair;

/* Of the columns of a layer attention makes all, half (beside a convolution) or none: then the family has no
 * attention. */
typedef enum Attends { ATTENDS_ALL, ATTENDS_HALF, ATTENDS_NONE } Attends;

/* Whether texts get special tokens. TOKENS_ALONE: they get none, and only tokenizer.json counts. */
typedef enum FamilyTokens { TOKENS_SPECIAL, TOKENS_ALONE, TOKENS_PLAIN } FamilyTokens;

typedef struct Family {
	const char *model_type; /* in config.json, and `family` in model.xml */
	FamilySize size[SIZE_COUNT];
	struct {
		const char *key, *fallback;
	} activation;
	struct {
		const char *key, *fallback;
	} head_activation; /* of heads whose HeadSpec has none; key NULL: the encoder's */
	struct {
		const char *key; /* NULL: config.json cannot change it */
		double fallback;
	} eps;
	struct {
		const char *key; /* NULL: config.json cannot change it */
		bool none;       /* by default the part has no biases */
	} bias[BIAS_COUNT];
	uint32_t traits; /* bit 1 << TRAIT_NAME: a model may have it; `read` finds out */
	double rotary;   /* base of rotary positions that turn queries and keys; 0: none */
	bool rms;        /* norms are RMSNorm */
	bool untied;     /* the default of tie_word_embeddings is false */
	/* Reads further keys of config.json, after the sizes and heads; NULL: none. False and messages on error.
	 */
	bool (*read)(ModelDesc *, const struct json_t *config, const char *path, Diag *);
	const FamilyRefusal *refused; /* ends with a row without a key; NULL: none */
	const char *const *prefixes;  /* of the encoder's tensors, ends with NULL */
	const char *words;            /* the word embedding table; every checkpoint of the family has it */
	const char *layers;           /* stem of encoder.layer.N; NULL: layers are not numbered */
	const char *inner;  /* N is a group of layers STEM.N.inner.I (SIZE_GROUPS); NULL: N is a layer */
	const char *pooler; /* the pooler's linear; NULL: none */
	FamilyPair pair;
	HeadSpec replaced; /* which tokens are replaced (ForPreTraining); build NULL: none */
	HeadSpec tabled;   /* another form of fill-mask, whose decoder is the word table; build NULL: none */
	bool typeless;     /* there may be no table of types: a model of 0 types */
	bool segments;     /* the graph has the input %types even if the table of types has one row */
	Attends attends;   /* how many columns attention has */
	FamilyTokens tokens;
	bool bag;                     /* the encoder gives one row, with a number for each word */
	bool skips_padding;           /* positions start at padding + 1; padding tokens have none */
	Value *(*encoder)(Builder *); /* the last hidden state f32[S,H]; NULL on error */
	HeadSpec head[TASK_COUNT];    /* rank uses the row of classify; embed needs none */
} Family;

/* True for fill-mask, and for sparse without modules: the head has a decoder of masked words. */
bool head_scores_words(const HeadDesc *);
/* The row of the head's task; `replaced` or `tabled` if the head names its tensors; NULL: the family has no
 * such head. */
const HeadSpec *family_head(const Family *, const HeadDesc *);
/* True if the graph has the input %types. Otherwise all tokens get row 0 of the table of types. */
bool family_has_segments(const ModelDesc *);
/* Whether no token attends to those that fill queries up (late.c). */
bool family_hides(const ModelDesc *);
/* The number of columns of the embedding tables: the hidden size, unless the family has SIZE_EMBEDDING. */
int32_t family_columns(const ModelDesc *);
/* The width of the layers' blocks: the hidden size, or the bottleneck. */
int32_t family_width(const ModelDesc *);
/* The number of columns that attention makes; 0: there is no attention. */
int32_t family_attention(const ModelDesc *);
/* The number of layers that the encoder runs. */
int32_t family_depth(const ModelDesc *);
/* In families with SIZE_GROUPS: the group that runs as number i of `layers`. */
int32_t family_group(int32_t i, int32_t layers, int32_t groups);
/* The number of tokens of the longest text that has positions: any number in families without positions. */
int32_t family_longest(const ModelDesc *);
/* The limit of tokens where no file gives one. */
int32_t family_usual(const ModelDesc *);
/* The name of a size in messages: the key of config.json, or the attribute of model.xml. */
const char *size_name(const ModelDesc *, Size);

/* The tensor's name with prefix i of the family instead of its own, i = 0, 1, ..; NULL after the last. Writes
 * into text. */
enum { SPELLING_BYTES = NAME_BYTES_MAX + 64 };
const char *family_spelling(const Family *, const char *name, int i, char text[SPELLING_BYTES]);
/* The name without the family's prefix. */
const char *family_bare_name(const Family *, const char *name);
/* N of a tensor name "PREFIXencoder.layer.N.REST", a layer or a group, and the position of its digits; -1:
 * not a layer's tensor. */
int64_t family_layer(const Family *, const char *name, const char **digits);

/* True for the weight and the bias of a masked language model's decoder under its own name. */
bool family_is_decoder(const Family *, const char *name);

/* Builds the encoder and the heads of the description as a module. Takes ownership of the files, even on
 * error. NULL and messages on error. */
Module *family_build(
	const ModelDesc *, TensorFile *const *files, int32_t nfiles, const LoadOptions *, Diag *);
#endif
