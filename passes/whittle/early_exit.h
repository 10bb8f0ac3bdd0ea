/* early_exit.h: shared by the files of early-exit. Internal to passes/whittle. */
#ifndef EARLY_EXIT_H
#define EARLY_EXIT_H
#include "layers.h"

enum { EXITS_MAX = 64 };
#define EXIT_OPTION "exit_entropy"

/* A head after a layer. */
typedef struct Exit {
	Layer *layer;
	int32_t run; /* layers that a text has gone through at this exit */
	/* weight and bias each; pooler NULL: the head reads the pooled row itself */
	const Tensor *pooler[2], *head[2];
} Exit;

typedef struct EarlyExit {
	Graph *graph;
	PassRun *run;
	const GraphOutput *output; /* the model's logits */
	Pool pool;
	int32_t hidden, classes, count;
	Exit at[EXITS_MAX];
} EarlyExit;

/* The head's input, pooled from a layer's rows: f32[hidden]. NULL after an error, as below. */
Value *exit_row(const EarlyExit *, const Exit *, Graph *, Node *before, Value *rows);
/* The constant f32[1]. */
Value *exit_number(Graph *, Node *before, int32_t number, const char *origin);
/* Whether a value depends only on the number of tokens, such as the angles of rotary positions, or the bias
 * of each distance. Behind an exit it is made again. */
bool exit_remakes(const Value *);
/* Puts the exit after its layer. */
bool exit_emit(const EarlyExit *, const Layers *, const Exit *);
#endif
