/* load.h: what the loaders share among themselves: a description under construction, and the words it may hold. */
#ifndef LOAD_H
#define LOAD_H
#include "compiler/cli/bertc.h"

/* Bounds of a description's numbers: far above any model there is, far below what could overflow a product of two. */
enum {
	LAYERS_MAX = 1024, HIDDEN_MAX = 1 << 16, FFN_MAX = 1 << 18, POSITIONS_MAX = 1 << 20, TYPES_MAX = 1 << 16, VOCAB_MAX = 1 << 24,
};

/* description.c */
ModelDesc  *description_new(const char *path, const char *directory);
/* Adds a head with default values; its name is the task's, or NULL for the task's. Returns NULL and a message past HEADS_MAX. */
HeadDesc   *description_add_head(ModelDesc *, const char *name, const char *task, Diag *);
/* Checks what no single field says: heads divide hidden, words are known, names differ. Fills what a head leaves out: where
 * its tensors are, and its pooling. Applies --max-tokens and --outputs. */
bool        description_check(ModelDesc *, const BuildOptions *, Diag *);
/* A name for modules and C made of any text: letters, digits and '_', no digit in front. */
char       *name_from_text(MemArena *, const char *text);
/* Words of `pooling`, as .bir spells the modes of pool; "pooler" is one more. */
extern const char *const pool_words[POOL_COUNT];
/* The index of word in list, or -1. Words are those of the model description. */
int         word_index(const char *word, const char *const *list, int count);
/* Copies label names LABEL_0 .. LABEL_(n-1), as transformers calls labels that nobody named. */
const char **labels_numbered(MemArena *, int32_t count);
/* True when text is UTF-8 without control characters, 1 to NAME_BYTES_MAX bytes: labels and names go into lines of output. */
bool        text_is_clean(const char *text);

/* load.c: the module of a description with an encoder; NULL and messages. */
Module     *description_build(const ModelDesc *, const BuildOptions *, Diag *);

/* import/merge.c: "stsb=DIR,mrpc=DIR" into desc->merge. False and a message when it is no such list. */
bool merge_parse(ModelDesc *desc, const char *list, Diag *);
/* One module of the tasks in desc->merge over the weights of desc, which is the base: a graph each, made one by merge-tasks. Into
 * loaded->module; false and messages on error. */
bool merge_load(ModelDesc *desc, const BuildOptions *, Loaded *, Diag *);

/* import/sentence_transformers.c: modules.json and the folders it names, of sentence-transformers. *found is false when there is no such file.
 * Fills one embed head, and directory when the encoder lies in a folder of its own. */
bool sbert_read(const char *directory, ModelDesc *, const char **encoder_directory, bool *found, Diag *);

/* import/xml_graph.c: the second form. model is an xmlNode of libxml2. */
struct _xmlNode;
Module *graph_from_xml(const ModelDesc *, struct _xmlNode *model, const BuildOptions *, Diag *);

/* checkpoint.c: opens desc->weights (an index opens its shards). Returns the number of files, malloc'd in *files; 0 and messages on error. */
int32_t checkpoint_open(const ModelDesc *, const char *const *search, SafeTensors ***files, Diag *);
void    checkpoint_close(SafeTensors **files, int32_t count);
/* The SHA-256 of the weights' bytes (one file after another) as 64 digits. */
bool    checkpoint_sha256(const ModelDesc *, const char *const *search, char hex[65], Diag *);
#endif
