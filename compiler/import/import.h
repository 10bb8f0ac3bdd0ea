/* import.h: reads a model in any supported form into a verified module at graph level and its tokenizer. */
#ifndef BERTC_IMPORT_H
#define BERTC_IMPORT_H
#include "compiler/model/description.h"

/* A model, read and checked, at graph level. */
typedef struct Loaded {
	Module *module;
	TokenizerDesc *tokenizer; /* NULL: ids only */
	MemArena *mem;
	const char *passes;    /* recipe of the description, or NULL */
	char graph_sha256[65]; /* of the graph's text, and of its constants without a checkpoint */
	const int32_t
		*renumbered; /* new id of each of the nrenumbered ids of the files; -1: removed; NULL: unchanged */
	int32_t nrenumbered;
	ModelDesc *desc; /* description of the module; NULL: a .bir */
	Module **merged;
	int32_t nmerged; /* modules of the tasks; they own tensors of the module */
} Loaded;
/* load.c: reads the model at options->model with the first importer that accepts the path. False and messages
 * on error; nothing has to be unloaded then. */
bool model_load(const LoadOptions *, Loaded *, Diag *);
void model_unload(Loaded *);

/* importers.def: for each importer, a test of the path, and a reader. The reader fills loaded->desc or
 * loaded->module. A reader that fills loaded->module applies --max-tokens. */
#define IMPORTER(NAME, ...) \
	bool import_##NAME##_takes(const char *path); \
	bool import_##NAME(const LoadOptions *, Loaded *, Diag *);
#include "importers.def"
#undef IMPORTER
typedef enum ImportOptionNumber {
#define IMPORT_OPTION(NAME, ...) IMPORT_NUMBER_##NAME,
#include "importers.def"
#undef IMPORT_OPTION
} ImportOptionNumber;
typedef enum ImportOptions {
#define IMPORT_OPTION(NAME, ...) IMPORT_##NAME = 1 << IMPORT_NUMBER_##NAME,
#include "importers.def"
#undef IMPORT_OPTION
} ImportOptions;
enum { IMPORTERS_BYTES = 512 };
/* Writes "a directory, a model.xml or a .bir file": the importers that accept all these options (0: all
 * importers). Returns text. */
const char *importers_text(ImportOptions, char text[IMPORTERS_BYTES]);

/* hf.c: NULL and messages on error. Free it with description_free. */
ModelDesc *description_from_hf(const char *directory, const LoadOptions *, Diag *);

/* sbert_encoder.c: names of the file that sentence-transformers writes beside an encoder; ends with NULL. */
extern const char *const sbert_encoder_files[];

/* xml_late.c: reads <late> into desc->late. False and a message on error. */
struct _xmlNode;
bool late_from_xml(ModelDesc *desc, struct _xmlNode *late, Diag *);
/* xml_graph.c: builds the graph of the second form of a description. */
Module *graph_from_xml(const ModelDesc *, struct _xmlNode *model, const LoadOptions *, Diag *);

/* merge.c: parses "stsb=DIR,mrpc=DIR" into desc->merge. False and a message on error. */
bool merge_parse(ModelDesc *desc, const char *list, Diag *);
/* Builds loaded->module for the tasks in desc->merge with the weights of the base, desc. Each task has a
 * graph; merge-tasks joins them. False and messages on error. */
bool merge_load(ModelDesc *desc, const LoadOptions *, Loaded *loaded, Diag *);
/* Runs merge-tasks on a module with a graph per task. Does nothing if it has one graph. */
bool merge_graphs(Module *, Diag *);

/* checkpoint.c: opens desc->weights, or the shards of an index. Returns the number of files; *files is
 * malloc'd. 0 and messages on error. */
int32_t checkpoint_open(const ModelDesc *, const char *const *search, TensorFile ***files, Diag *);
void checkpoint_close(TensorFile **files, int32_t count);
/* load.c: reads the tokenizer of a description that has one. NULL and messages on error. */
TokenizerDesc *description_tokenizer(const ModelDesc *, const LoadOptions *, MemArena *, Diag *);
/* Builds the module of a description with an encoder. NULL and messages on error. */
Module *description_build(const ModelDesc *, const LoadOptions *, Diag *);
#endif
