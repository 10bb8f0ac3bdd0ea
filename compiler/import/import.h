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
	char graph_sha256[65]; /* of the graph's text, and of its constants where no checkpoint's hash stands for
							  them */
	const int32_t *renumbered; /* new ids of the nrenumbered ones of the files, -1: gone; NULL: as they are */
	int32_t nrenumbered;
	ModelDesc *desc; /* what the module was built from; NULL: a .bir */
	Module **merged;
	int32_t nmerged; /* modules whose tensors the module reads: those of its tasks */
} Loaded;
/* load.c: options->model is a path that a row of importers.def accepts. False and messages on error; then
 * nothing has to be unloaded. */
bool model_load(const LoadOptions *, Loaded *, Diag *);
void model_unload(Loaded *);

/* importers.def: a test for the path, and a reader, which fills loaded->desc or loaded->module. A reader that
 * fills loaded->module applies --max-tokens. */
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
/* Writes "a directory, a model.xml or a .bir file": the importers that know all these options (0: all
 * importers). Returns text. */
const char *importers_text(ImportOptions, char text[IMPORTERS_BYTES]);

/* hf.c: NULL with messages on error; the result lives in its own mem (description_free). */
ModelDesc *description_from_hf(const char *directory, const LoadOptions *, Diag *);

/* xml_graph.c: the second form. model is an xmlNode of libxml2. */
struct _xmlNode;
Module *graph_from_xml(const ModelDesc *, struct _xmlNode *model, const LoadOptions *, Diag *);

/* sentence_transformers.c: modules.json and the folders it names. *found is false when there is no such file.
 * Fills one embed head, and directory when the encoder lies in a folder of its own. */
bool sbert_read(const char *directory, ModelDesc *, const char **encoder_directory, bool *found, Diag *);

/* merge.c: "stsb=DIR,mrpc=DIR" into desc->merge. False and a message when it is no such list. */
bool merge_parse(ModelDesc *desc, const char *list, Diag *);
/* Builds one module for the tasks in desc->merge over the weights of the base, desc. Each task has a graph;
 * merge-tasks joins them. Into loaded->module; false and messages on error. */
bool merge_load(ModelDesc *desc, const LoadOptions *, Loaded *loaded, Diag *);
/* Runs merge-tasks on a module of several tasks; does nothing if it is already merged. */
bool merge_graphs(Module *, Diag *);

/* checkpoint.c: opens desc->weights (an index opens its shards). Returns the number of files, malloc'd in
 * *files; 0 and messages on error. */
int32_t checkpoint_open(const ModelDesc *, const char *const *search, TensorFile ***files, Diag *);
void checkpoint_close(TensorFile **files, int32_t count);
/* The module of a description with an encoder; NULL and messages. */
Module *description_build(const ModelDesc *, const LoadOptions *, Diag *);
#endif
