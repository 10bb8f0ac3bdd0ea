/* layers.h: an encoder's layers, for the passes in whittle/. Internal to passes/. */
#ifndef BERTC_LAYERS_H
#define BERTC_LAYERS_H
#include "passes/fuse/fuse.h"

/* A residual block: x + out(..(x)), before its LayerNorm. */
typedef struct Block {
	Node *out;     /* the last linear; its inputs are the block's heads or neurons */
	Node *sum;     /* adds the result of out and the residual input */
	Value *around; /* the residual input x */
} Block;

/* A feed-forward network. */
typedef struct Network {
	Block block;
	Node *in;      /* the linear of the neurons */
	Node *gate;    /* the gate's linear; NULL without a gate; `in` when one linear computes both: */
	Node *half[2]; /* then its slices, in and gate; else NULL */
} Network;

enum { SHARED_MAX = 16, NETWORKS_MAX = 64 };

/* One layer: the ops whose origin begins with "layer.N.". */
typedef struct Layer {
	int32_t number;            /* N as in the checkpoint; dropping layers does not renumber the others */
	Value *input, *output;     /* the carried input, and the value that other layers read */
	Value *shared[SHARED_MAX]; /* other inputs, computed outside the layers, such as a bias */
	int32_t nshared;
	bool has_attention;
	Block attention;
	AttentionMatch heads; /* q, k, v and the head size of the attention */
	Node *softmax;        /* of the attention */
	Node *q, *k, *v;      /* linears with constant weights */
	Network *ffn;         /* in the order of the graph; most encoders have one, MobileBERT four */
	int32_t nffn;
} Layer;

typedef struct Layers {
	Layer *at;
	int32_t count, most; /* most: the largest number */
	int32_t *place;      /* by number: 1 + the index in `at`; 0: there is none */
} Layers;

/* Finds all layers, in graph order; the memory belongs to the module. False and a message when there are
 * none, or when a layer does not have exactly one carried input and one output. Does not look for blocks. */
bool layers_find(Graph *, const char *pass, Layers *, Diag *);
/* The same, but a layer may output fewer rows than it reads, because it drops tokens. */
bool layers_find_thinned(Graph *, const char *pass, Layers *, Diag *);
/* The same, and finds the blocks inside (blocks.c). Adds a note for each block that is not recognised. */
bool layers_find_blocks(Graph *, const char *pass, Layers *, PassRun *);
/* The layer of that number; NULL: there is none. */
Layer *layers_number(const Layers *, int64_t number);
/* Their numbers, "0-5,8"; the memory belongs to the module. */
char *layers_print(Graph *, const Layers *);
/* The layers that an option lists, as indices of `at`, in the order of the list; `chosen` has room for all.
 * False and a message when a layer does not exist or is named twice. */
bool layers_listed(Graph *, const Layers *, const char *key, int32_t *chosen, int32_t *count, PassRun *);
/* The node that computes v, if it is a linear at graph level with a constant weight and a constant bias or
 * none. Else NULL. */
Node *constant_linear(const Value *v);
bool op_is_elementwise(Op);

/* Recomputes the types of all results after the width of a weight or a shape has changed; ids stay. False and
 * messages when an op no longer fits. */
bool graph_retype(Graph *, Diag *);
#endif
