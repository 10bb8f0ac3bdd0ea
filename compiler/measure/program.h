/* program.h: the emitted program, loaded into this process. */
#ifndef BERTC_PROGRAM_H
#define BERTC_PROGRAM_H
#include "compiler/build/build.h"

/* Builds a shared object in a temporary directory and opens it. The functions are those of the C API in
 * interface.md. */
typedef struct Program {
	void *handle;
	void *context;
	char *directory; /* temporary; removed by program_close */
	int32_t hidden, max_tokens, noutputs, width, per_token;
	int (*run_ids)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, float *, size_t);
	int (*run_outputs)(void *, const int32_t *, const int32_t *, const int32_t *, int32_t, uint32_t,
		float *const *, const size_t *);
	int (*tokenize)(void *, const char *, size_t, const char *, size_t, int32_t *, int32_t *, int32_t *,
		int32_t *, int32_t, int32_t *);
	int (*set)(void *, const char *, double);
	const char *(*label)(int), *(*output)(int), *(*strerror)(int), *(*about)(void), *(*cpu)(const void *);
} Program;
bool program_open(const BuildOptions *, Loaded *, int threads, Program *, Diag *);
void program_close(Program *);
/* The ids and types of a text and of its pair (NULL: none), and where each token starts (unless NULL), `most`
 * of them at the most; *n: how many. Returns the status of the C API. */
int program_tokenize(const Program *, const char *text, const char *pair, int32_t *ids, int32_t *types,
	int32_t *start, int32_t most, int32_t *n);
#endif
