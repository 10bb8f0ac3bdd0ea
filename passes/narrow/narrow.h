/* narrow.h: which linears the passes that multiply narrower numbers take. Internal to passes/. */
#ifndef BERTC_NARROW_H
#define BERTC_NARROW_H
#include "passes/rewrite.h"

/* The weight of a linear that quantize-int8 or compute-bf16 may rewrite; NULL: node is none, or a note says
 * why it stays as it is: named by the option `exclude` (origins, comma-separated, with * and ? as in file
 * names), or of so few outputs (a classifier's labels) that its time is nothing and its numbers are the
 * answer. */
const Tensor *narrow_weight(const Node *, PassRun *);
/* Lets every attention that is not excluded multiply in bf16. */
void narrow_attention(Graph *, PassRun *);
/* The rows of a matrix as codes -127..127 (i8), each with a scale of its own, max|row| / 127 (*scales, f32,
 * one a row); rounding to nearest even. NULL: it holds numbers that are not finite. */
Tensor *tensor_quantized(Graph *, const Tensor *matrix, Tensor **scales);

/* The same in codes -7..7, two a byte, [rows, columns/2]; columns are even. The scale is the one of some from
 * max|row| / 7 down to half of it that errs least. */
Tensor *tensor_quantized_4(Graph *, const Tensor *matrix, Tensor **scales);

/* Puts quantize and linear_i8 in the place of a linear with that weight. False and messages on error. */
bool node_quantize_dynamic(Graph *, Node *, const Tensor *weight, PassRun *);
/* quantize-int8{scheme=static}, all of it (quantize_static.c). */
bool quantize_static(Graph *, PassRun *);

/* ---- static_scales.c: ranges of values that linears read, learnt by quantize-int8{scheme=static} ---- */
/* A value that linears read, and all of those that are to be quantised: at most READERS_MAX. */
enum { READERS_MAX = 8 };
typedef struct StaticInput {
	Value *x;                  /* f32[..,K] */
	Node *reader[READERS_MAX]; /* linears with constant weights, as narrow_weight finds them */
	bool dynamic[READERS_MAX]; /* its codes get scales while the program runs */
	int32_t nreaders;
	int64_t width;                      /* K */
	double *low, *high, *mean, *square; /* of each column: range, mean and mean square over all tokens */
	float *m, *z;                       /* a code is x[k] * m[k] + z[k], rounded, within -127..127 */
	double weight;                      /* tokens seen */
	bool trained;                       /* m and z are the checkpoint's: nothing is learnt, every mean is 0 */
	bool trained_rows; /* and so are the scales of the weights of one reader or more: all columns have one
						  step */
	double alpha;      /* how much of the columns' differences went to the weights; 0: one scale for all */
} StaticInput;
/* ---- trained_scales.c: scales of quantisation-aware training, meta lines of compiler/model/qat.c ---- */
/* The checkpoint's scales where it has some: fills inputs that it knows, with trained set, and trained_rows
 * of all, and moves the ones to be learnt to the front. *count becomes their number. False and messages on
 * error. */
bool trained_inputs(Graph *, StaticInput *, int32_t *count, PassRun *);
/* The codes of a weight by the checkpoint's scales, in f32 as PyTorch makes them, within -128..127, and its
 * scales times `step`. NULL: the checkpoint has none for it. */
Tensor *trained_codes(Graph *, const Tensor *weight, double step, Tensor **scales);

/* Fills m and z of all inputs, by the pass's options. False and messages on error. */
bool static_scales(Graph *, StaticInput *, int32_t count, PassRun *);
#endif
