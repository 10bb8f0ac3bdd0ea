/* sbert.h: shared by the files that read a directory of sentence-transformers. Internal to import/. */
#ifndef BERTC_SBERT_H
#define BERTC_SBERT_H
#include "compiler/support/json_file.h"
#include "hf.h"
#include "keys.h"

/* The last module read. Modules come in this order. */
typedef enum Stage {
	STAGE_START,
	STAGE_WORDS, /* an encoder with a decoder of masked words */
	STAGE_ENCODER,
	STAGE_POOLING,
	STAGE_SCORES,
	STAGE_SPARSE,
	STAGE_CLUSTERS
} Stage;

typedef struct SbertReader {
	const char *root, *path; /* the directory, and the path of its modules.json */
	ModelDesc *desc;
	Sbert *sbert;
	HeadDesc *head;
	Stage stage;
	bool masked;       /* there is a MultiVectorMask */
	const char *route; /* --route, or NULL */
	Diag *diag;
} SbertReader;

/* The last part of a dotted path: "Tanh" of "torch.nn.modules.activation.Tanh". */
const char *sbert_last_part(const char *dotted);
/* The word of activation.c for a class of torch.nn with its defaults; NULL: there is none. */
const char *sbert_torch_activation(const char *path);

/* sbert_modules.c: the config.json in the folder, an object. NULL and a message on error. */
json_t *sbert_read_config(SbertReader *, KeyFile, const char *folder, const char **path);
/* The same of a file with another name. */
json_t *sbert_read_named(SbertReader *, KeyFile, const char *folder, const char *name, const char **path);
/* Each reads one module in its folder. */
bool sbert_read_pooling(SbertReader *, const char *folder);
bool sbert_read_layer_pooling(SbertReader *, const char *folder);
bool sbert_read_dense(SbertReader *, const char *folder);
bool sbert_read_layernorm(SbertReader *, const char *folder);
bool sbert_read_splade(SbertReader *, const char *folder);
bool sbert_read_autoencoder(SbertReader *, const char *folder);
bool sbert_read_normalize(SbertReader *, const char *folder);
/* Appends a module. NULL and a message if there are too many. */
struct ModuleDesc *sbert_add_module(SbertReader *, ModuleKind, const char *folder);
/* word_embeddings.c */
bool sbert_read_words(SbertReader *, const char *folder);
bool sbert_read_bag(SbertReader *, const char *folder);
bool sbert_read_idf(SbertReader *, const char *folder);
bool sbert_read_word_weights(SbertReader *, const char *folder);
bool sbert_read_cnn(SbertReader *, const char *folder);
bool sbert_read_lstm(SbertReader *, const char *folder);
/* Appends a Normalize of each token. */
bool sbert_add_unit(SbertReader *);
/* sbert_late.c: MultiVectorMask and HierarchicalTokenPooling. */
bool sbert_read_mask(SbertReader *, const char *folder);
bool sbert_read_clusters(SbertReader *, const char *folder);
/* Refuses a tokenizer that pads on the left where queries are filled up. */
bool sbert_check_side(ModelDesc *, const char *directory, Diag *);
/* Keys of PyLate in config_sentence_transformers.json, before the prompts and the modules; a prompt with the
 * prefix; the prompts that are a prefix only; and what comes behind the modules. */
bool sbert_read_pylate(SbertReader *, const json_t *, const char *path);
const char *sbert_prefixed(SbertReader *, const char *name, const char *text);
bool sbert_add_prefixes(SbertReader *);
bool sbert_end_pylate(SbertReader *);
#endif
