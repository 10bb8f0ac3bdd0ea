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

/* One layer: the nodes whose origin begins with "layer.N.". */
typedef struct Layer {
	int32_t number;        /* N, that of the checkpoint: layers that are dropped do not renumber the others */
	Value *input, *output; /* the one value that it reads from outside, and the one that others read of it */
	bool has_attention, has_ffn;
	Block attention, ffn;
	AttentionMatch heads;     /* attention's q, k, v and the size of its heads */
	Node *softmax;            /* the heart of the attention */
	Node *q, *k, *v, *ffn_in; /* linears with constant weights */
} Layer;

typedef struct Layers {
	Layer *at;
	int32_t count;
} Layers;

/* All layers in the order of the graph; the memory is the module's. False and a message when there is none,
 * or one has not exactly one input and one output. Blocks are not looked for. */
bool layers_find(Graph *, const char *pass, Layers *, Diag *);
/* The same where a layer may make fewer rows than it reads, for tokens are thinned out in it. */
bool layers_find_thinned(Graph *, const char *pass, Layers *, Diag *);
/* The same with the blocks inside; notes what of a layer is not recognised. */
bool layers_find_blocks(Graph *, const char *pass, Layers *, PassRun *);
/* The layer of that number; NULL: there is none. */
Layer *layers_number(const Layers *, int64_t number);

/* Types of all results again, after the width of a weight or a shape has changed; ids stay. False and
 * messages when an op no longer fits. */
bool graph_retype(Graph *, Diag *);
#endif
