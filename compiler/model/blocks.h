/* blocks.h: the parts that encoders of several families share. A family gives the names of their tensors and
 * connects the parts. Differences between families are a field here or a separate block. */
#ifndef BLOCKS_H
#define BLOCKS_H
#include "family.h"

/* Stems of tensors, without the family's prefix; NULL: the family has no such part. */
typedef struct EmbeddingNames {
	const char *types, *positions, *norm;
	const char *tasks;   /* row 0 is added to every token, if the description has tasks */
	const char *project; /* the linear from embedding to hidden, if these sizes differ */
	bool projects_equal; /* or even if they are equal */
	bool norm_last;      /* the norm is after that linear, which then has no bias */
} EmbeddingNames;

/* Stems of tensors within a layer. act: the module that computes the activation, for qat.c. */
typedef struct LayerNames {
	struct {
		const char *query, *key, *value, *out, *norm;
		/* linears of b->distances: queries and keys are multiplied with what they make; those of keys and
		 * of queries themselves may do it; NULL: no such products */
		const char *far_key, *far_query;
		bool far_key_plain; /* the first has no bias */
		const char *joint;  /* query, key and value in one linear, a third of its rows each; NULL: separate */
		bool dealt;         /* a third of the rows of each head; query, key and value then name biases */
	} attention;
	struct {
		const char *in, *act, *out, *norm;
		const char *gate; /* out(act(in(x)) * gate(x)); NULL: none */
		bool halves;      /* in has twice as many rows: in, then gate */
	} ffn;
} LayerNames;

/* words[ids]: f32[S,H]. */
Value *block_words(Builder *);
/* The row of each token's place, or of its segment, of the table STEM with this number of columns. In
 * families that skip padding, positions start after the padding id; graphs without the input %types use the
 * first row of the table of types. */
Value *block_positions(Builder *, const char *stem, int32_t columns);
Value *block_types(Builder *, const char *stem, int32_t columns);
/* The stem of a part's tensors in layer i, and the origin of its nodes. */
const char *block_stem(Builder *, int32_t i, const char *part);
const char *block_origin(Builder *, int32_t i, const char *part);
/* project(norm(words[ids] + types[types] + positions[i])): f32[S,H]. Graphs without the input %types use the
 * first row of the table of types; tables whose name is NULL are left out. */
Value *block_embeddings(Builder *, const EmbeddingNames *);
/* out(attention(query(x), key(x), value(x))) of layer i. */
Value *block_attention(Builder *, const LayerNames *, Value *x, int32_t i);
/* The rest of layer i after its attention of x: y = norm(x + mixed), then norm(y + ffn(y)). */
Value *block_after_attention(Builder *, const LayerNames *, Value *x, Value *mixed, int32_t i);
/* out(act(in(x))) of layer i, or out(act(in(x)) * gate(x)). */
Value *block_ffn(Builder *, const LayerNames *, Value *x, int32_t i);
/* All layers, each norm(x + attention(x)), then norm(x + ffn(x)): Vaswani et al. 2017, figure 1. */
Value *block_post_norm_layers(Builder *, const LayerNames *, Value *x);
/* All layers, each y = x + attention(norm(x)), then y + ffn(norm(y)): Xiong et al. 2020, "On Layer
 * Normalization in the Transformer Architecture". first_norm: the first attention has a norm too. Local
 * attention and rotary positions are as the description says. */
Value *block_pre_norm_layers(Builder *, const LayerNames *, Value *x, bool first_norm);
#endif
