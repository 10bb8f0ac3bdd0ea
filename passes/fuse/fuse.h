/* fuse.h: the patterns of the pass fuse, one function each, grouped by file. Internal to passes/. Every
 * pattern walks the whole graph, counts in run->changes, says with pass_note why it left alone what nearly
 * matched, and returns false only after an error. */
#ifndef BERTC_FUSE_H
#define BERTC_FUSE_H
#include "ir/attention.h"
#include "passes/rewrite.h"

/* fuse_epilogue.c */
bool fuse_activation(Graph *, PassRun *);
bool fuse_epilogue(Graph *, PassRun *);
/* fuse_attention.c */
bool fuse_attention(Graph *, PassRun *);
bool fuse_qkv(Graph *, PassRun *);
/* fuse_weights.c */
/* A new tensor of the same type: each number times factor. */
Tensor *tensor_scaled(Graph *, const Tensor *, double factor);
bool fuse_scale(Graph *, PassRun *);
bool fuse_bias(Graph *, PassRun *);
/* fuse_layernorm.c */
bool fuse_embed_layernorm(Graph *, PassRun *);
bool fuse_add_layernorm(Graph *, PassRun *);
/* fuse_first_row.c */
bool fuse_first_row(Graph *, PassRun *);

/* rows [S, heads*size], split into heads. */
typedef struct Heads {
	Value *rows;
	int64_t heads, size;
} Heads;
/* Multi-head attention in primitive ops: softmax(q k^T scale + biases) v, its heads joined to rows again. */
typedef struct AttentionMatch {
	Heads q, k, v;
	double scale;
	ScoreBias bias[BIASES_MAX];
	double factor[BIASES_MAX]; /* a bias counts times its factor */
	int32_t nbiases;
	Attrs selects; /* keep, share or threshold of the softmax, if any; nothing else */
	Value *result;
} AttentionMatch;
/* NULL when softmax is the heart of an attention, filled into the match; else what is in the way ("": nothing
 * looks like one). */
const char *attention_match(const Graph *, const Node *softmax, AttentionMatch *);

/* The op that adds up what an attention of q, k and v gives to each token, from the same q and k: what is
 * done to these for the one is done for the other. NULL: none. */
Node *received_of(const Graph *, const Node *attention);
/* The node that makes v when that is a linear with constant weight (and bias) which only `user` reads (and
 * received_of it); else NULL. */
Node *linear_of(const Graph *, const Value *v, const Node *user);
/* The bias of a linear; NULL: none. */
static inline const Tensor *linear_bias(const Node *linear)
{
	return linear->nargs == 3 ? value_tensor(linear->args[2]) : NULL;
}
/* Another linear in the place of `linear`, reading new constants; bias may be NULL. NULL after an error. */
Node *linear_replace(Graph *, Node *linear, const Tensor *weight, const Tensor *bias, PassRun *);
/* Number of elements of v's last axis. */
static inline int64_t value_width(const Value *v)
{
	return v->type.rank ? v->type.dim[v->type.rank - 1].plus : 1;
}
#endif
