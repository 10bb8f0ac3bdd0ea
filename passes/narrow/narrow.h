/* narrow.h: selection of linears for the passes that multiply narrower numbers. Internal to passes/. */
#ifndef BERTC_NARROW_H
#define BERTC_NARROW_H
#include "passes/rewrite.h"

/* The weight of a linear that quantize-int8 or compute-bf16 may rewrite. NULL when node is not a linear or
 * stays unchanged; a note then gives the reason. A linear stays when the option `exclude` names it (origins,
 * comma-separated, with * and ? as in file names). It also stays when it has few outputs, such as a
 * classifier's labels: it takes hardly any time, and its numbers are the answer. */
const Tensor *narrow_weight(const Node *, PassRun *);
/* Makes every attention that is not excluded multiply in bf16. */
void narrow_attention(Graph *, PassRun *);
/* The rows of a matrix as codes -127..127 (i8), each with a scale of its own, max|row| / 127 (*scales, f32,
 * one a row); rounding to nearest even. NULL: it holds numbers that are not finite. */
Tensor *tensor_quantized(Graph *, const Tensor *matrix, Tensor **scales);

/* The same in codes -7..7, two a byte, [rows, columns/2]; columns are even. Scales from max|row| / 7 down to
 * half of it are tried; the one with the smallest error is used. */
Tensor *tensor_quantized_4(Graph *, const Tensor *matrix, Tensor **scales);

/* What a pass has made of the weights of earlier linears, so that a weight of several linears is rounded
 * once. */
typedef struct Rounded {
	const Value *from;
	Value *codes, *scales; /* scales: NULL if the pass has none */
} Rounded;
typedef struct RoundedList {
	Rounded *at;
	int32_t count;
} RoundedList;
/* An empty list, with room for all linears of the graph. */
RoundedList rounded_open(Graph *);
/* What was made of the weight, or NULL. */
const Rounded *rounded_find(const RoundedList *, const Value *weight);
/* Makes constants of codes and scales (NULL: none) for the node and for all later linears with its weight. */
const Rounded *rounded_add(RoundedList *, Graph *, Node *, const Tensor *codes, const Tensor *scales);

/* Replaces a linear with that weight by quantize and linear_i8. False and messages on error. */
bool node_quantize_dynamic(Graph *, Node *, const Tensor *weight, RoundedList *, PassRun *);
/* quantize-int8{scheme=static}, all of it (quantize_static.c). */
bool quantize_static(Graph *, PassRun *);

/* ---- static_scales.c: ranges of linears' inputs, learnt by quantize-int8{scheme=static} ----- */
/* A value that linears read, with the linears to quantise: at most READERS_MAX. */
enum { READERS_MAX = 8 };
typedef struct StaticInput {
	Value *x;                  /* f32[..,K] */
	Node *reader[READERS_MAX]; /* linears with constant weights, as narrow_weight finds them */
	bool dynamic[READERS_MAX]; /* its scales are computed at run time */
	int32_t nreaders;
	int64_t width;                      /* K */
	double *low, *high, *mean, *square; /* of each column: range, mean and mean square over all tokens */
	float *m, *z;                       /* a code is x[k] * m[k] + z[k], rounded, within -127..127 */
	double weight;                      /* tokens seen */
	bool trained;      /* m and z come from the checkpoint: nothing is learnt, every mean is 0 */
	bool trained_rows; /* and so do the weight scales of at least one reader: all columns share one step */
	double alpha; /* share of the columns' differences moved into the weights; 0: one scale for all columns */
} StaticInput;
/* ---- trained_scales.c: scales of quantisation-aware training, meta lines of compiler/model/qat.c  */
/* Uses the scales of the checkpoint, if it has any. Fills the inputs that have trained scales and sets
 * `trained`; sets `trained_rows` of all inputs. Moves the inputs that must be learnt to the front and stores
 * their number in *count. False and messages on error. */
bool trained_inputs(Graph *, StaticInput *, int32_t *count, PassRun *);
/* The codes of a weight with the checkpoint's scales, computed in f32 as PyTorch does, within -128..127, and
 * its scales times `step`. NULL when the checkpoint has no scales for it. */
Tensor *trained_codes(Graph *, const Tensor *weight, double step, Tensor **scales);

/* Fills m and z of all inputs, by the pass's options. False and messages on error. */
bool static_scales(Graph *, StaticInput *, int32_t count, PassRun *);
#endif
