/* calibrate.h: observation of a model on data, for passes that learn from it. The observed values are
 * computed by ops in a copy of the graph and returned as its outputs. The owner of PassEnv compiles the copy
 * and runs it over a file of texts. Internal to passes/. */
#ifndef BERTC_CALIBRATE_H
#define BERTC_CALIBRATE_H
#include "layers.h"

/* A copy of a graph's module with observers. Values of the original are found by their ids. */
typedef struct Probe {
	Module *module;
	Graph *graph;
	Value **seen;         /* values to average over the data: f32[n] each */
	int32_t nseen, width; /* width: total number of their elements */
} Probe;

/* room: the maximum number of values to observe. */
void probe_open(Probe *, const Graph *, int32_t room);
void probe_close(Probe *);
/* The copy's value for a value of the original (the ids are equal). */
Value *probe_value(const Probe *, const Value *);
/* Requests the mean over the texts of a value f32[n] of the copy. */
void probe_want(Probe *, Value *);
/* The means of all requested values over the file of option `data`, one after another. With by_tokens each
 * text is weighted by its number of tokens. False and messages on error, also when no data is given or code
 * cannot be run. */
bool probe_run(Probe *, bool by_tokens, double *means, PassRun *);
/* The same numbers for each text, not averaged. */
bool probe_each(Probe *, ObserveFn *, void *argument, PassRun *);
/* Gets the requested values of the first `limit` (0: all) texts of a file, one value after another, in the
 * order of the texts. */
bool probe_observe(Probe *, const char *data, int32_t limit, ObserveFn *, void *arg, PassRun *);

/* Observations of labelled texts: n rows of `width` numbers, and the label of each text. */
typedef struct LabelledRows {
	int32_t n, width;
	size_t capacity; /* of rows */
	float *rows;
	int32_t *labels;
} LabelledRows;
/* Stores the requested values of the first `limit` (0: all) texts of a file, with their labels if they are
 * needed. The caller frees the rows. False and messages on error, also when the file has no texts. */
bool probe_labelled(Probe *, const char *data, int32_t limit, bool labelled, LabelledRows *, PassRun *);
void labelled_rows_free(LabelledRows *);
const float *labelled_row(const LabelledRows *, int32_t text);

/* Calls `each` with a value of the copy for each text of the file: one row for f32[n], one row per token for
 * f32[S,n]. */
bool probe_rows(Probe *, Value *, ObserveFn *each, void *argument, PassRun *);
/* One score for each output of the copy, on the file of option data=FILE; limit=N takes its first N rows. */
bool probe_score(Probe *, OutputScore *, PassRun *);

/* Concatenates many values along an axis (concat takes ARGS_MAX at a time). The list is used up. NULL and
 * messages on error. */
Value *concat_all(Graph *, Value **values, int32_t count, int32_t axis, Diag *);

/* Mean cosine between each layer's input and output, at the first token or over all tokens. */
bool observe_layer_cosines(Graph *, const Layers *, bool all_tokens, double *cosine, PassRun *);
/* f32[1] per text: the cosine of the rows of two values f32[S,n], at the first token or the mean over all
 * tokens. NULL after an error. */
Value *emit_cosine(Graph *, Value *a, Value *b, bool all_tokens, Diag *);
/* Mean square of each column of f32[S,n] values over all tokens, n numbers for each value, one value after
 * another. */
bool observe_squares(Graph *, Value *const *values, int32_t count, double *means, PassRun *);
/* Copies `node` to the end of the graph, with the arguments args. map[] gives the copy's results by the ids
 * of node's results (variants.c). */
void node_clone(Graph *, const Node *, Value **args, Value **map);
/* The value of `output` when `old` is replaced by `by`. Copies all nodes in between, up to `last`
 * (variants.c). */
Value *clone_behind(Graph *, const Node *last, const Value *old, Value *by, Value *output);
#endif
