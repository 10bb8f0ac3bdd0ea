/* program.h: an emitted model, loaded into this process as a shared object. */
#ifndef BERTC_PROGRAM_H
#define BERTC_PROGRAM_H
#include "compiler/build/build.h"

/* program_open builds a shared object in a temporary directory and opens it. The function members are the
 * functions of its C API. */
typedef struct Program {
	void *handle;
	void *context;
	char *directory; /* removed by program_close */
	int32_t hidden, max_tokens, noutputs, width, per_token;
	int (*run_ids)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, float *, size_t);
	int (*run_outputs)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, uint32_t,
		float *const *, const size_t *);
	int (*run_text)(void *, const char *const *, const size_t *, const char *const *, const size_t *, int32_t,
		float *, size_t, int32_t *, uint8_t *);
	int (*tokenize)(void *, const char *, size_t, const char *, size_t, int32_t *, int32_t *, int32_t *,
		int32_t *, int32_t, int32_t *);
	int (*set)(void *, const char *, double);
	const char *(*label)(int), *(*output)(int), *(*strerror)(int), *(*about)(void), *(*cpu)(const void *);
} Program;
bool program_open(const BuildOptions *, Loaded *, int threads, Program *, Diag *);
void program_close(Program *);
/* Tokenizes a text and its pair (NULL: none) to at most `most` tokens. Writes ids, types and, unless NULL,
 * the byte where each token starts; *n: number of tokens. Returns the status of the C API. */
int program_tokenize(const Program *, const char *text, const char *pair, int32_t *ids, int32_t *types,
	int32_t *start, int32_t most, int32_t *n);
#endif
