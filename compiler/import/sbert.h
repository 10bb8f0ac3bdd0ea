/* sbert.h: shared by the files that read a directory of sentence-transformers. Internal to import/. */
#ifndef BERTC_SBERT_H
#define BERTC_SBERT_H
#include "compiler/support/json_file.h"
#include "hf.h"
#include "keys.h"

/* The last module read. Modules come in this order. */
typedef enum Stage { STAGE_START, STAGE_ENCODER, STAGE_POOLING, STAGE_SCORES } Stage;

typedef struct SbertReader {
	const char *root, *path; /* the directory, and the path of its modules.json */
	ModelDesc *desc;
	Sbert *sbert;
	HeadDesc *head;
	Stage stage;
	Diag *diag;
} SbertReader;

/* The last part of a dotted path: "Tanh" of "torch.nn.modules.activation.Tanh". */
const char *sbert_last_part(const char *dotted);
/* The word of activation.c for a class of torch.nn with its defaults; NULL: there is none. */
const char *sbert_torch_activation(const char *path);

/* sbert_modules.c: each reads one module in its folder. */
bool sbert_read_pooling(SbertReader *, const char *folder);
bool sbert_read_layer_pooling(SbertReader *, const char *folder);
bool sbert_read_dense(SbertReader *, const char *folder);
bool sbert_read_layernorm(SbertReader *, const char *folder);
bool sbert_read_normalize(SbertReader *, const char *folder);
#endif
