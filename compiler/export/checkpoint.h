/* checkpoint.h: shared by the files of --emit=checkpoint. Internal to export/. */
#ifndef BERTC_CHECKPOINT_H
#define BERTC_CHECKPOINT_H
#include "compiler/model/family.h"
#include "export.h"

typedef struct Writer {
	const LoadOptions *options;
	const char *out;
	const Loaded *loaded;
	const ModelDesc *desc;
	const Graph *graph;
	MemArena *mem;
	const char *root, *folder;            /* the new directory; the encoder's, usually the same */
	int32_t nlayers, layer[MOST_LAYERS];  /* old numbers of the remaining layers, ascending */
	int32_t nstored, stored[MOST_LAYERS]; /* the same of what tensors are numbered by: layers, or groups */
	int64_t vocab;                        /* rows of the word table */
	const Tensor **tensors;               /* to write, with their new names */
	const char **sources;                 /* the name of each in the old checkpoint */
	int32_t ntensors, room;               /* room: tensors of the graph and of all files */
	Diag *diag;
} Writer;

#define REFUSE(w, ...) diag_error((w)->diag, EXIT_UNSUPPORTED, 0, "--emit=checkpoint: " __VA_ARGS__)

/* checkpoint_files.c: makes the folders and copies the files that do not change: the tokenizer's, unless it
 * has been renumbered, and the modules of sentence-transformers. Sets w->folder. False and messages on error.
 */
bool checkpoint_copy_rest(Writer *);
/* checkpoint_tensors.c: fills w->tensors and w->sources. False and messages on error. */
bool checkpoint_collect(Writer *);
#endif
