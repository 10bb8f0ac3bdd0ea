/* hf.h: shared by the files that read a Hugging Face directory. Internal to import/. */
#ifndef BERTC_HF_H
#define BERTC_HF_H
#include "import.h"

/* What sentence-transformers says of an encoder: sentence_bert_config.json, or an older name of that file. */
typedef struct SbertEncoder {
	const char *file;          /* its name; NULL: there is none */
	bool words;                /* the output is the scores of masked words */
	const char *output;        /* module_output_name: token_embeddings, sentence_embedding or scores */
	bool pooler;               /* the output is the pooler's */
	bool late;                 /* of late interaction: keys for queries and documents count */
	double model_limit, limit; /* max_seq_length, and the limit of each text; 0: not given */
	const char *model_limit_rule;
	bool lowercase;
} SbertEncoder;

/* A directory of sentence-transformers. */
typedef struct Sbert {
	bool found;  /* there is a modules.json */
	bool scores; /* a CrossEncoder */
	bool rows;   /* a MultiVectorEncoder: a vector for each token */
	bool routed; /* there is a Router */
	/* StaticEmbedding or WordEmbeddings instead of an encoder: makes what config.json would say and may set
	 * the limit. NULL and messages on error. NULL: there is a config.json. */
	struct json_t *(*make)(ModelDesc *, const char *directory, SbertEncoder *, Diag *);
	bool sparse;            /* a SparseEncoder */
	bool built;             /* the modules give the head, which is in the description */
	const char *directory;  /* of the encoder */
	const char *activation; /* a CrossEncoder's activation_fn of config_sentence_transformers.json, or NULL */
	SbertEncoder encoder;
} Sbert;

typedef struct HfReader {
	const char *config_path;
	const struct json_t *config;
	const LoadOptions *options;
	ModelDesc *desc;
	Diag *diag;
	bool bare; /* an encoder without a head, used as an embedder */
	const Sbert *sbert;
} HfReader;

/* sentence_transformers.c: reads modules.json and the folders in it, if there are any, and the encoder's
 * sentence_bert_config.json. False and messages on error. */
bool sbert_read(const char *directory, const char *route, ModelDesc *, Sbert *, Diag *);
/* sbert_encoder.c: reads sentence_bert_config.json in the encoder's directory. */
bool sbert_read_encoder(ModelDesc *, const char *directory, SbertEncoder *, Diag *);
/* sbert_late.c: reads the keys for queries and documents of sentence_bert_config.json into desc->late. */
bool sbert_read_late(ModelDesc *, const struct json_t *, const char *path, bool limited, Diag *);
/* static_embedding.c, word_embeddings.c: for Sbert.make. */
struct json_t *static_config(ModelDesc *, const char *directory, SbertEncoder *, Diag *);
struct json_t *words_config(ModelDesc *, const char *directory, SbertEncoder *, Diag *);
struct json_t *idf_config(ModelDesc *, const char *directory, SbertEncoder *, Diag *);
struct json_t *bag_config(ModelDesc *, const char *directory, SbertEncoder *, Diag *);
/* cross_encoder.c: true if config.json says that a CrossEncoder was saved. */
bool hf_is_cross_encoder(const HfReader *);
/* Sets problem and activation of a head with labels as CrossEncoder does. */
bool hf_read_activation(const HfReader *, HeadDesc *);

/* hf_sizes.c. Each fills its part of the description. False and messages on error. */
bool hf_read_family(HfReader *);
bool hf_refuse_unsupported(HfReader *);
bool hf_read_sizes(HfReader *);
/* The keys that only this family has, after the heads. */
bool hf_read_more(HfReader *);
#endif
