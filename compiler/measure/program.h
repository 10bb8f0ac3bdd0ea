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
#endif
