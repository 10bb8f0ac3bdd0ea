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
	const TensorFile *part;  /* of the module in work, the only file that is read; NULL: those of the model */
	const char *part_href;   /* its folder: all such files have the same names */
	const char *prefix;      /* of the encoder's tensors, may be "" */
	Value *ids, *types;      /* types: NULL if the family has no segments */
	Value *words;            /* the word embedding table, which a masked LM may share */
	Value *hidden;           /* the last hidden state */
	Value *pooled;           /* the pooler's output; made at most once */
	Value *angles;           /* rotary positions of the current layer's queries and keys; NULL: none */
	bool neighbours;         /* they turn neighbouring columns together */
	bool turns_values;       /* they turn values, too */
	Value *score_table;      /* makes the score biases of each layer, [heads,2R+1] by distance; NULL: none */
	Value *score_bias;       /* added to the scores of the current layer's attention; NULL: none */
	Value *hidden_keys;      /* hides the tokens that fill queries up (late.c); NULL: there are none */
	int32_t hid;             /* the number of attentions that do */
	Value *distances, *rows; /* rows [D,H], and those for distances, i32[2R+1]: layers make `dots` of them */
	Value *dots[2];      /* tables [D,H] that the layer's queries and keys are multiplied with; NULL: none */
	int32_t score_parts; /* the scores are divided by sqrt(score_parts * size of a head); 0 is 1 */
	Value **states;      /* of layers with norms at their ends: their input, then the result of each */
	int32_t nstates;
	Value *token_weights; /* of WordWeights: f32[S,1]; NULL: a mean counts all tokens alike */
	const Value *made;    /* the last value computed by a module with a stem (LayerNorm, activation) */
	const char *maker;    /* that stem: linears that read the value use the module's scales (qat.c) */
	struct {
		double number;
		Value *value;
	} scalars[8];
	int nscalars;
} Builder;

/* Makes a module with the graph @main(%ids), or @main(%ids, %types) if the family has segments. Takes
 * ownership of the files, even on error. */
void builder_start(
	Builder *, const ModelDesc *, TensorFile *const *files, int32_t nfiles, const LoadOptions *, Diag *);
/* The module. If the builder failed: frees the module and returns NULL. */
Module *builder_finish(Builder *);
bool builder_fail(Builder *, ExitCode, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* False and a message if a constant [rows,columns] that the compiler makes itself is too large: a size in
 * config.json costs nothing, a tensor in a file does. what: the kind of numbers; hint: the way out. */
bool builder_has_room(
	Builder *, int64_t rows, int64_t columns, const char *what, const char *hint, const char *origin);
/* Formats a text that lives as long as the module. */
char *builder_text(Builder *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The tensor with this name: in the delta, with any prefix of the family, else in the checkpoint. NULL:
 * neither has it. */
const Tensor *builder_find(const Builder *, const char *tensor);
bool builder_has(const Builder *, const char *tensor);
/* The tensor NAME of any shape. `other`: another spelling of the name, or NULL. NULL and a message with the
 * origin if there is none, or if it is not of a float type. */
const Tensor *builder_floats(Builder *, const char *name, const char *other, const char *origin);
/* A copy in the module of a tensor of another folder, named after it: each folder has the same names, such as
 * linear.weight. f64 becomes f32. */
const Tensor *builder_copy(Builder *, const Tensor *, const char *href);
/* A copy of an f64 tensor as f32. Other types stay as they are. */
const Tensor *builder_narrowed(Builder *, const Tensor *);
/* The tensor NAME of shape [rows,columns] (columns 0: [rows]; rows 0: any number). `other`: another spelling
 * of the name, or NULL. NULL and a message with origin, found and expected shape on error. */
const Tensor *builder_tensor(
	Builder *, const char *name, const char *other, int64_t rows, int64_t columns, Size, const char *origin);

/* The same as a constant. f64 becomes f32. */
Value *build_tensor(
	Builder *, const char *name, const char *other, int64_t rows, int64_t columns, Size, const char *origin);
Value *build_op(Builder *, Op, Value *const *args, int nargs, const Attrs *, const char *origin);
Value *build_unary(Builder *, Op, Value *, const char *origin);
Value *build_binary(Builder *, Op, Value *, Value *, const char *origin);
/* An f32 scalar constant. Equal numbers share a node. */
Value *build_scalar(Builder *, double);
/* headed.c: the tensor NAME of this shape with its last axes as one, so that `axes` are left: 2,
 * [rows,columns], or 1. turned: transposed, [columns,rows]. keys: of config.json, for messages. */
Value *build_folded(Builder *, const char *name, const int64_t *shape, int32_t rank, int32_t axes,
	bool turned, const char *keys, const char *origin);
/* The tensor NAME [heads,size], or [rows,heads,size], with the two axes of heads as one: [H],
 * [rows,H]. turned: transposed, [H,rows]. */
Value *build_headed(Builder *, const char *name, int64_t rows, bool turned, const char *origin);
/* x[..,K] times STEM.weight [rows,K] plus STEM.bias [rows]; rows 0: any number. */
Value *build_linear(Builder *, Value *x, const char *stem, int64_t rows, Size, const char *origin);
/* The same without a bias if the description says so of the part. */
Value *build_linear_of(
	Builder *, Bias part, Value *x, const char *stem, int64_t rows, Size, const char *origin);
/* The same without a bias. */
Value *build_linear_plain(Builder *, Value *x, const char *stem, int64_t rows, Size, const char *origin);
/* The linear of part `part` of `parts`, equal parts of the `rows` rows of STEM: query, key or value. */
Value *build_linear_rows(Builder *, Bias, Value *x, const char *stem, int64_t rows, Size, int32_t part,
	int32_t parts, const char *origin);
/* grouped.c: the linear STEM of as many groups as the size says. */
Value *build_linear_grouped(
	Builder *, Value *x, const char *stem, int64_t rows, Size groups, const char *origin);
/* The same with the weight as blocks [groups,inputs,outputs]. */
Value *build_linear_blocks(
	Builder *, Value *x, const char *stem, int64_t rows, Size groups, const char *origin);
/* conv.c: a convolution along the tokens with the weights STEM.weight [rows,K/groups,taps], as PyTorch's
 * Conv1d with padding "same": row i of the result reads the rows from i - (taps - 1) / 2 on, zeros outside of
 * the text. rows 0, taps 0: any. */
enum { CONV_TAPS_MOST = 15 };
Value *build_conv(
	Builder *, Value *x, const char *stem, int64_t rows, int64_t taps, int64_t groups, const char *origin);
/* All of convs.0, convs.1, .. one beside the other, each after the activation (NULL: none). */
Value *build_convs(Builder *, Value *x, const char *act, const char *origin);
/* recurrent.c: layer `layer` of STEM, an LSTM or a GRU with the tensors of torch.nn, in one direction: the
 * states f32[S,width]. */
typedef struct Recurrence {
	const char *stem;
	int32_t layer;
	int64_t width;
	bool back, gru;
} Recurrence;
Value *build_recurrence(Builder *, Value *x, const Recurrence *, const char *origin);
/* The keys or values of heads that share them: each head of the STEM's `kv_heads` is repeated. */
Value *build_linear_shared(Builder *, Bias, Value *x, const char *stem, Size, const char *origin);
/* rotary.c: changes *rotary by the object of config.json with its parameters, which may be missing or null.
 * False and a message with the path and the object's key on error. */
bool rotary_read(RotaryDesc *, const struct json_t *, const char *key, const char *path, Diag *);
/* False and a message if head_dim of config.json is not the size of the description's heads. */
bool rotary_head_fits(const ModelDesc *, const struct json_t *config, const char *path, Diag *);
/* Family.read of families with the same rotary positions in all layers: rope_theta, rope_parameters,
 * rope_scaling. */
bool rotary_read_config(ModelDesc *, const struct json_t *config, const char *path, Diag *);
/* For each token of %ids the angles of its place as rotary reads them: f32[S,size]. */
Value *build_angles(Builder *, const RotaryDesc *, int32_t size, const char *origin);
/* STEM.weight, STEM.bias, or the older STEM.gamma, STEM.beta. The bias is zero if norms have none.
 * In families with RMSNorm that norm, of STEM.weight. */
Value *build_layernorm(Builder *, Value *x, const char *stem, const char *origin);
/* The same with another epsilon than the description's. */
Value *build_layernorm_with(Builder *, Value *x, const char *stem, double eps, const char *origin);
/* x * STEM.weight + STEM.bias, spelled as those of LayerNorm. */
Value *build_scale(Builder *, Value *x, const char *stem, const char *origin);
/* table[ids] */
Value *build_embed(Builder *, Value *table, Value *ids, const char *origin);
/* The linear of part `part` of `parts` of STEM.weight [parts*H,K], whose rows alternate head by head; bias:
 * the full name of its bias, NULL: none. */
Value *build_linear_dealt(
	Builder *, Value *x, const char *stem, int32_t part, int32_t parts, const char *bias, const char *origin);
/* softmax((q k^T + products by distance with b->dots) / sqrt(b->score_parts d) + b->score_bias) v over
 * desc->heads heads; q, k, v: f32[S,W], W as wide as they are. b->angles turn q, k and, if
 * b->turns_values, v. */
Value *build_attention(Builder *, Value *q, Value *k, Value *v, const char *origin);

/* qat.c: stores the scales of a linear and of its input, from a checkpoint of quantisation-aware training, as
 * a meta line. */
void build_scales(Builder *, const Value *x, const Tensor *weight, const char *stem, const char *origin);
/* Refuses a checkpoint with scales of a linear [rows,K] whose parts are used apart. */
void refuse_scales(Builder *, const Value *x, const char *stem, int64_t rows, const char *origin);
void builder_made_by(Builder *, const Value *, const char *stem);

/* activation.c: the activation functions of config.json's hidden_act, as primitive ops. */
bool activation_is_known(const char *name);
const char *activation_list(void); /* "gelu, gelu_new, ..." */
Value *build_activation(Builder *, const char *name, Value *, const char *origin);

/* heads.c: builds all heads and further outputs of the description on the last hidden state f32[S,H]. */
void build_heads(Builder *, Value *hidden);
/* For HeadSpec.build (family.h). Each returns the output value of the head; NULL on error. */
Value *head_embed(Builder *, const HeadDesc *, const char *origin);
Value *head_classify(Builder *, const HeadDesc *, const char *origin);
/* For each token, the scores of the labels; for qa, a start and an end score. */
Value *head_tokens(Builder *, const HeadDesc *, const char *origin);
/* late.c: a row for each token. */
Value *head_multi_vector(Builder *, const HeadDesc *, const char *origin);
/* The table of types with a row for the tokens that fill queries up, if those are hidden. */
Value *build_hidden_type(Builder *, Value *rows, const char *origin);
/* What hides them in the scores: f32[1,S]. NULL: they are not hidden. */
Value *build_hidden_keys(Builder *);
/* modules.c: the modules of a head that act on each token, or those after the pooling. */
Value *build_modules(Builder *, const HeadDesc *, bool each, Value *x, const char *origin);
/* x / |x| over the last axis. */
Value *build_normalize(Builder *, Value *x, const char *origin);
/* word_modules.c: modules over words, and the sum of the rows over the sum of the words' weights, or over its
 * square root. */
Value *build_bag(Builder *);
/* f32[1,V]: the weight f32[V] of each word that the text has. */
Value *build_bag_once(Builder *, Value *weights, const char *origin);
Value *build_word_weights(Builder *, const struct ModuleDesc *, Value *x, const char *origin);
Value *build_word_lstm(Builder *, Value *x, const char *origin);
Value *build_weighted_mean(Builder *, Value *rows, bool root, const char *origin);
/* masked_lm.c: for each token, a score of each entry of the vocabulary. */
Value *head_words(Builder *, const HeadDesc *, const char *origin);
/* The same with the word table as decoder, whatever tie_word_embeddings says. */
Value *head_table_words(Builder *, const HeadDesc *, const char *origin);
/* The name of the decoder's matrix if the word table may be read from it: the model is a tied masked language
 * model, and the checkpoint has such a tensor. Else NULL. */
const char *head_tied_table(Builder *);
/* heads.c: a stem of HeadSpec, with the head's own stem instead of the star. */
const char *head_stem(Builder *, const HeadDesc *, const char *stem);
/* norm(act(dense(x))), of the given width; parts that the head does not have are left out. */
Value *head_transform(Builder *, const HeadDesc *, Value *x, int32_t width, Size, const char *origin);
#endif
