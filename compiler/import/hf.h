/* hf.h: shared by the files that read a Hugging Face directory. Internal to import/. */
#ifndef BERTC_HF_H
#define BERTC_HF_H
#include "import.h"

typedef struct HfReader {
	const char *config_path;
	const struct json_t *config;
	const LoadOptions *options;
	ModelDesc *desc;
	Diag *diag;
	bool bare; /* an encoder without a head, used as an embedder */
} HfReader;

/* hf_sizes.c. Each fills its part of the description. False and messages on error. */
bool hf_read_family(HfReader *);
bool hf_refuse_unsupported(HfReader *);
bool hf_read_sizes(HfReader *);
/* The keys that only this family has, after the heads. */
bool hf_read_more(HfReader *);
#endif
