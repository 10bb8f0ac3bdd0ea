/* description.h: the description of a model, from model.xml or a directory, before a graph is built. It holds
 * sizes, heads, limits and the paths of files. The family (families/) builds the graph; import/ reads the
 * files. */
#ifndef BERTC_DESCRIPTION_H
#define BERTC_DESCRIPTION_H
#include "codegen/codegen.h"

/* Each size of an encoder: its number, and MOST_LAYERS etc. SIZE_LABELS is no size of the encoder, but
 * messages name it like one. */
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

typedef struct HeadDesc {
	const char *name, *task, *problem; /* words of ir.h's task_names, problem_names; problem may be NULL */
	const char *tensors;               /* stem of its weights; NULL: the family's for the task */
	const char *pooling; /* one or more of pooling_words, separated by spaces; NULL: the family's */
	bool normalize;      /* embed: unit length at the end */
	int32_t ndense;
	/* embed: what a directory says of the size of its embeddings before any Dense; 0: nothing */
	int64_t pooled;
	struct DenseDesc {
		const char *href, *activation;
		int64_t inputs, outputs; /* what its config.json says; 0: nothing */
		int bias;                /* the same: 1: it has one, -1: none, 0: not said */
	} dense[4];                  /* embed: 2_Dense, 3_Dense */
	int32_t nlabels;
	const char **labels;
} HeadDesc;
enum { HEADS_MAX = 64 };
/* The content of model.xml. describe writes it; build reads it, or derives it from a directory. */
typedef struct ModelDesc {
	MemArena *mem;
	const char *path;              /* of the description or directory, for messages */
	const char *directory;         /* references are looked up here, then in --search */
	const char *modules_directory; /* where dense modules lie when not in directory; NULL: they do */
	const char *name;
	const char *weights;   /* plain file name: .safetensors, or .safetensors.index.json of a sharded one */
	const char *tokenizer; /* tokenizer.json or vocab.txt; NULL: ids only */
	const struct Family *family; /* NULL: a graph, or tasks over one base */
	union {
		struct {
#define SIZE(NAME, field, ...) int32_t field;
#include "sizes.def"
#undef SIZE
		};
		int32_t size[SIZE_COUNT]; /* the same, by number; 0: the family has no such size */
	};
	bool from_config; /* made from config.json: its key names in messages; the checkpoint holds no more layers
					   */
	bool untied; /* the decoder of masked words has a table and a bias of its own (tie_word_embeddings) */
	const char *activation; /* as config.json spells it */
	double eps;
	int32_t nheads;
	HeadDesc head[HEADS_MAX];
	int32_t max_tokens;
	const char *max_tokens_rule; /* which file gave the limit */
	const char *delta; /* path of a delta.safetensors, whose tensors stand for those of that name in weights;
						  NULL: none */
	const char *weights_directory; /* where weights lies when that is another model's; NULL: directory */
	int32_t nmerges; /* tasks of several checkpoints over these weights, and no head of its own */
	struct MergeDesc {
		const char *name, *directory;
	} merge[HEADS_MAX];
	const char
		*outputs; /* "hidden pooled": beside those of the heads; NULL: hidden, where a head keeps every row */
	const char *passes; /* recipe, or NULL */
	bool is_graph;      /* second form: <graph>, already built: */
	Module *module;
} ModelDesc;

/* Options that decide how a model is read. They live as long as the command. */
typedef struct LoadOptions {
	const char *model;      /* a directory, a .xml, a .bir or "-" */
	const char *task;       /* --task; NULL: as the checkpoint says */
	const char *outputs;    /* "hidden,pooled", added to those of the heads; NULL: none */
	int max_tokens;         /* --max-tokens; 0: as the files say */
	const char *search[16]; /* --search DIR, NULL-terminated */
	const char *merge;      /* --merge=NAME=DIR,..: several tasks over the base model; NULL: one */
	bool merge_later;       /* the pipeline names merge-tasks: each task's graph stays by itself until then */
	const ModelDesc *base;  /* of a directory that is being read for --merge: what its delta changes */
} LoadOptions;

ModelDesc *description_new(const char *path, const char *directory);
void description_free(ModelDesc *);
/* Writes it as model.xml; false when the stream failed. */
bool description_write(const ModelDesc *, FILE *);
/* Adds a head with default values; its name is the task's, or NULL for the task's. Returns NULL and a message
 * past HEADS_MAX. */
HeadDesc *description_add_head(ModelDesc *, const char *name, const char *task, Diag *);
/* Checks the fields together: heads divide hidden, words are known, names differ. Fills missing fields of
 * heads: the stem of their tensors and their pooling. Applies --max-tokens and --outputs. */
bool description_check(ModelDesc *, const LoadOptions *, Diag *);
/* A name for modules and C made of any text: letters, digits and '_', no digit in front. */
char *name_from_text(MemArena *, const char *text);
/* Words of `pooling`: the modes of pool as .bir spells them, and the family's pooler. */
enum { POOLING_POOLER = POOL_COUNT, POOLING_COUNT };
extern const char *const pooling_words[POOLING_COUNT];
/* The index of word in list, or -1. Words are those of the model description. */
int word_index(const char *word, const char *const *list, int count);
/* Copies label names LABEL_0 .. LABEL_(n-1), as transformers calls labels that nobody named. */
const char **labels_numbered(MemArena *, int32_t count);
/* True when text is UTF-8 without control characters, 1 to NAME_BYTES_MAX bytes: labels and names go into
 * lines of output. */
bool text_is_clean(const char *text);
#endif
