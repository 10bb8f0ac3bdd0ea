/* fuse.h: the patterns of the pass fuse, one function each, grouped by file. Internal to passes/. Every
 * pattern walks the whole graph and counts its rewrites in run->changes. It explains near matches with
 * pass_note, and returns false only after an error. */
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
/* fuse_split.c */
bool fuse_split(Graph *, PassRun *);
/* fuse_weights.c */
/* A new tensor of the same type: each number times factor. */
Tensor *tensor_scaled(Graph *, const Tensor *, double factor);
bool fuse_scale(Graph *, PassRun *);
bool fuse_bias(Graph *, PassRun *);
/* fuse_affine.c */
bool fuse_affine(Graph *, PassRun *);
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
/* Multi-head attention in primitive ops: softmax(q k^T scale + biases) v, with the heads joined back into
 * rows. */
typedef struct AttentionMatch {
	Heads q, k, v;
	double scale;
	ScoreBias bias[BIASES_MAX];
	double factor[BIASES_MAX]; /* a bias counts times its factor */
	Heads dotted[BIASES_MAX];  /* the rows that a bias of products multiplies */
	int32_t nbiases;
	Attrs selects; /* keep, share or threshold of the softmax, if any; nothing else */
	Value *result;
} AttentionMatch;
/* NULL when the softmax belongs to an attention, which is stored in the match. Otherwise the reason why it
 * does not match, or "" when it does not look like an attention at all. */
const char *attention_match(const Graph *, const Node *softmax, AttentionMatch *);
/* The attributes of the attention op, with pack=none. */
Attrs attention_attrs(const AttentionMatch *);
/* Appends the arguments of its score biases. False after an error. */
bool attention_emit_biases(
	Graph *, Node *before, const AttentionMatch *, Value **args, int32_t *nargs, Diag *);

/* The `received` op that reads the same q and k as an attention (it sums the attention that each token
 * receives). Whoever changes q and k for the attention must change them for this op too. NULL: none. */
Node *received_of(const Graph *, const Node *attention);
/* The node that computes v, if it is a linear with constant weight (and bias) and only `user` (and
 * received_of it) reads v. Otherwise NULL. */
Node *linear_of(const Graph *, const Value *v, const Node *user);
/* x of v = rotary(x, angles); v itself if no rotary computes it. */
static inline Value *unrotated(Value *v) { return value_is(v, OP_ROTARY) ? v->node->args[0] : v; }
/* The bias of a linear; NULL: none. */
static inline const Tensor *linear_bias(const Node *linear)
{
	return linear->nargs == 3 ? value_tensor(linear->args[2]) : NULL;
}
/* Replaces `linear` by a linear with new constants; bias may be NULL. NULL after an error. */
Node *linear_replace(Graph *, Node *linear, const Tensor *weight, const Tensor *bias, PassRun *);
/* Number of elements of v's last axis. */
static inline int64_t value_width(const Value *v)
{
	return v->type.rank ? v->type.dim[v->type.rank - 1].plus : 1;
}
#endif
