/* layers.h: an encoder's layers as passes that whittle see them. Internal to passes/. */
#ifndef BERTC_LAYERS_H
#define BERTC_LAYERS_H
#include "passes/fuse/fuse.h"

/* A residual block: x + out(..(x)), in front of its LayerNorm. */
typedef struct Block {
	Node *out;     /* the linear that ends it; its inputs are the block's heads or neurons */
	Node *sum;     /* the add of its result and what went around it */
	Value *around; /* the latter */
} Block;

enum { SHARED_MAX = 16 };

/* One layer: the ops whose origin begins with "layer.N.". */
typedef struct Layer {
	int32_t number;        /* N, that of the checkpoint: layers that are dropped do not renumber the others */
	Value *input, *output; /* the value that it carries on, and the one that others read of it */
	Value *shared[SHARED_MAX]; /* what else it reads: made outside of all layers, such as a bias */
	int32_t nshared;
	bool has_attention, has_ffn;
	Block attention, ffn;
	AttentionMatch heads;     /* attention's q, k, v and the size of its heads */
	Node *softmax;            /* the heart of the attention */
	Node *q, *k, *v, *ffn_in; /* linears with constant weights */
	Node *ffn_gate;           /* the gate's linear, NULL: none; ffn_in when one linear makes both halves: */
	Node *half[2];            /* slices of it, in's and the gate's; else NULL */
} Layer;

typedef struct Layers {
	Layer *at;
	int32_t count, most; /* most: the largest number */
	int32_t *place;      /* by number: 1 + the index in `at`; 0: there is none */
} Layers;

/* All layers in the order of the graph; the memory is the module's. False and a message when there is none,
 * or one has not exactly one carried input and one output. Blocks are not looked for. */
bool layers_find(Graph *, const char *pass, Layers *, Diag *);
/* The same where a layer may make fewer rows than it reads, for tokens are thinned out in it. */
bool layers_find_thinned(Graph *, const char *pass, Layers *, Diag *);
/* The same with the blocks inside (blocks.c); notes what of a layer is not recognised. */
bool layers_find_blocks(Graph *, const char *pass, Layers *, PassRun *);
/* The layer of that number; NULL: there is none. */
Layer *layers_number(const Layers *, int64_t number);
/* The node that makes v when that is a linear at graph level with constant weight and, if any, bias. */
Node *constant_linear(const Value *v);
bool op_is_elementwise(Op);

/* The first add on the way from the softmax back to q k^T, which puts a bias on the scores of the layer's
 * attention; NULL: none. */
const Node *layer_score_bias(const Layer *);

/* Types of all results again, after the width of a weight or a shape has changed; ids stay. False and
 * messages when an op no longer fits. */
bool graph_retype(Graph *, Diag *);
#endif
