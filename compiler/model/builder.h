/* builder.h: functions with which the files of families/ build graphs. A Builder appends primitive ops to one
 * graph. After the first error it is `failed`: every call then returns NULL and accepts NULL as a value, so
 * callers need no checks in between. */
#ifndef BUILDER_H
#define BUILDER_H
#include "description.h"

typedef struct Builder {
	const ModelDesc *desc;
	const LoadOptions *options;
	Module *module;
	Graph *graph;
	Diag *diag;
	bool failed;
	const TensorFile *delta; /* its tensors replace those of the same name; NULL: none */
	const char *prefix;      /* in front of the encoder's tensors, perhaps "" */
	Value *ids, *types;      /* types: NULL when the family has no segments */
	Value *words;            /* the word embedding table, which a masked LM may share */
	Value *hidden;           /* the last hidden state */
	Value *pooled;           /* the pooler's output; made at most once */
	const Value *made;       /* the last value that was made by a module of its own, */
	const char *maker;       /* and that module's stem: its scales are those of who reads the value (qat.c) */
	struct {
		double number;
		Value *value;
	} scalars[8];
	int nscalars;
} Builder;

/* A module with the graph @main(%ids), or @main(%ids, %types) where the family has segments; takes the files
 * in any case. */
void builder_start(
	Builder *, const ModelDesc *, TensorFile *const *files, int32_t nfiles, const LoadOptions *, Diag *);
/* The module, or NULL (and it is freed) when the builder failed. */
Module *builder_finish(Builder *);
bool builder_fail(Builder *, ExitCode, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Text that lives as long as the module. */
char *builder_text(Builder *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The tensor of that name: from the delta, with any prefix of the family, else from the checkpoint. NULL:
 * there is none. */
const Tensor *builder_find(const Builder *, const char *tensor);
bool builder_has(const Builder *, const char *tensor);

/* NAME as a constant of shape [rows,columns] (columns 0: [rows]; rows 0: any number). NULL and a message that
 * names origin, what was found and what was expected. `other` is another spelling of the name, or NULL. f64
 * becomes f32. */
Value *build_tensor(
	Builder *, const char *name, const char *other, int64_t rows, int64_t columns, Size, const char *origin);
Value *build_op(Builder *, Op, Value *const *args, int nargs, const Attrs *, const char *origin);
Value *build_unary(Builder *, Op, Value *, const char *origin);
Value *build_binary(Builder *, Op, Value *, Value *, const char *origin);
/* An f32 constant of no axes; one node a number. */
Value *build_scalar(Builder *, double);
/* x[..,K] through STEM.weight [rows,K] and STEM.bias [rows]; rows 0: as many as there are. */
Value *build_linear(Builder *, Value *x, const char *stem, int64_t rows, Size, const char *origin);
/* STEM.weight, STEM.bias, or the older STEM.gamma, STEM.beta. */
Value *build_layernorm(Builder *, Value *x, const char *stem, const char *origin);
/* table[ids] */
Value *build_embed(Builder *, Value *table, Value *ids, const char *origin);
/* softmax(q k^T / sqrt(d)) v over desc->heads heads; q, k, v: f32[S,H]. */
Value *build_attention(Builder *, Value *q, Value *k, Value *v, const char *origin);

/* qat.c: stores the scales of a linear and of its input, from a checkpoint of quantisation-aware training, as
 * a meta line. */
void build_scales(Builder *, const Value *x, const Tensor *weight, const char *stem, const char *origin);
void builder_made_by(Builder *, const Value *, const char *stem);

/* activation.c: functions of config.json's hidden_act in primitive ops. */
bool activation_is_known(const char *name);
const char *activation_list(void); /* "gelu, gelu_new, ..." */
Value *build_activation(Builder *, const char *name, Value *, const char *origin);

/* heads.c: all heads and further outputs of the description on top of the last hidden state f32[S,H]. */
void build_heads(Builder *, Value *hidden);
/* Builders of HeadSpec (family.h); each returns the value that is the head's output, NULL on error. */
Value *head_embed(Builder *, const HeadDesc *, const char *origin);
Value *head_classify(Builder *, const HeadDesc *, const char *origin);
/* A label or, for qa, a start and an end score for each token. */
Value *head_tokens(Builder *, const HeadDesc *, const char *origin);
/* A score of each word of the vocabulary for each token. */
Value *head_words(Builder *, const HeadDesc *, const char *origin);
#endif
