/* calibrate.h: what passes learn from data. Whatever they observe is an output of a copy of the graph, made
 * of ops like any other. PassEnv's owner compiles the copy and runs it over a file of texts. Internal to
 * passes/. */
#ifndef BERTC_CALIBRATE_H
#define BERTC_CALIBRATE_H
#include "layers.h"

/* The copy of a graph's module in which observers stand. Values of the original are found by their ids. */
typedef struct Probe {
	Module *module;
	Graph *graph;
	Value **seen;         /* values whose mean over the data is wanted: f32[n] each */
	int32_t nseen, width; /* width: numbers of all of them */
} Probe;

/* room: how many values will be wanted at most. */
void probe_open(Probe *, const Graph *, int32_t room);
void probe_close(Probe *);
/* The copy's value with the id of a value of the original. */
Value *probe_value(const Probe *, const Value *);
/* Wants the mean over the texts of a value f32[n] of the copy. */
void probe_want(Probe *, Value *);
/* The mean over the file of option `data` of all values wanted, one after another; each text counts as often
 * as it has tokens when by_tokens. False and messages on error: no data given, nobody there to run code. */
bool probe_run(Probe *, bool by_tokens, double *means, PassRun *);
/* The same numbers of every text, as they are. */
bool probe_each(Probe *, ObserveFn *, void *argument, PassRun *);
/* What is wanted of each of the first `limit` (0: all) texts of a file, one value after another, in the order
 * of the texts. */
bool probe_observe(Probe *, const char *data, int32_t limit, ObserveFn *, void *arg, PassRun *);

/* What was wanted of labelled texts: n rows of `width` numbers, and the label of each text. */
typedef struct LabelledRows {
	int32_t n, width;
	size_t capacity; /* of rows */
	float *rows;
	int32_t *labels;
} LabelledRows;
/* Keeps what is wanted of each of the first `limit` (0: all) texts of a file, with its label. The caller
 * frees the rows. False and messages on error, also where there is no text. */
bool probe_labelled(Probe *, const char *data, int32_t limit, LabelledRows *, PassRun *);
void labelled_rows_free(LabelledRows *);
const float *labelled_row(const LabelledRows *, int32_t text);

/* Hands a value of the copy to `each`, text after text of that file: one row f32[n], or a row a token of
 * f32[S,n]. */
bool probe_rows(Probe *, Value *, ObserveFn *each, void *argument, PassRun *);
/* One score for each output of the copy, on the same file; its options are data=FILE and limit=N, the first N
 * rows of it. */
bool probe_score(Probe *, OutputScore *, PassRun *);

/* One value from many side by side along an axis (concat takes ARGS_MAX at a time); the list is used up. NULL
 * and messages on error. */
Value *concat_all(Graph *, Value **values, int32_t count, int32_t axis, Diag *);

/* Mean cosine between what each layer reads and makes, at the first token or over all tokens. */
bool observe_layer_cosines(Graph *, const Layers *, bool all_tokens, double *cosine, PassRun *);
/* f32[1] of a text: the cosine of the rows of two values f32[S,n], of the first token or the mean over all.
 * NULL: an error. */
Value *emit_cosine(Graph *, Value *a, Value *b, bool all_tokens, Diag *);
/* Mean square of each column of f32[S,n] values, over all tokens: their n's one after another. */
bool observe_squares(Graph *, Value *const *values, int32_t count, double *means, PassRun *);
/* A copy of `node` at the end of the graph, which reads args; map[] tells the copy's results by the ids of
 * the node's (variants.c). */
void node_clone(Graph *, const Node *, Value **args, Value **map);
/* What `output` becomes when `old` becomes `by`: copies of all nodes in between, the last of which is `last`
 * (variants.c). */
Value *clone_behind(Graph *, const Node *last, const Value *old, Value *by, Value *output);
#endif
