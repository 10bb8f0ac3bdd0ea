/* random_graph.h: BERTs with random choices among equivalent ops; runs pipelines on them and evaluates the
 * result. */
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H
#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "passes/passes.h"

static uint64_t seed;

/* splitmix64: any seed gives a good sequence. */
static inline uint32_t random_below(uint32_t n)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ z >> 31) % n);
}

typedef struct Builder {
	Module *module;
	Graph *graph;
	Diag *diag;
	int64_t hidden, heads, size, ffn;
	Value *angles; /* angles that rotate q and k; NULL: no rotation */
	bool exact; /* fusion rounds no constant, and all have enough digits: numbers change by less than 1e-9 */
} Builder;

static inline Value *emit(Builder *b, Op op, Value *x, Value *y, Value *z, const Attrs *attr)
{
	Value *args[3] = {x, y, z};
	Value *v = graph_emit(b->graph, NULL, op, args, 1 + (y != NULL) + (z != NULL), attr, NULL, b->diag);
	if (!v) {
		diag_print(b->diag, stdout);
		CU_FAIL_FATAL("the test's own graph is wrong");
	}
	return v;
}

/* Multiples of 1/16 in [-1,1]: products and sums of a few hundred of them are exact in f32, so that folding
 * biases is. */
static inline Value *weight(Builder *b, DType dtype, int64_t rows, int64_t columns)
{
	static int number;
	char name[32];
	snprintf(name, sizeof name, "w%d", number++);
	Type type = rows ? type_make(dtype, 2, dim_number(rows), dim_number(columns))
					 : type_make(dtype, 1, dim_number(columns));
	Tensor *tensor = tensor_new(b->module, name, type);
	for (int64_t i = 0; i < type_count(&type); i++)
		tensor_set(tensor, i, ((double)random_below(33) - 16) / 16);
	return graph_const(b->graph, NULL, tensor, NULL);
}

static inline Value *scalar(Builder *b, double value)
{
	Tensor *tensor = tensor_new(b->module, "scalar", type_make(DT_F32, 0));
	tensor_set(tensor, 0, value);
	return graph_const(b->graph, NULL, tensor, NULL);
}

static inline Value *add_either(Builder *b, Op op, Value *x, Value *y)
{
	return random_below(2) ? emit(b, op, x, y, NULL, NULL) : emit(b, op, y, x, NULL, NULL);
}

/* x * factor, in one of several equivalent forms. */
static inline Value *scale(Builder *b, Value *x, double factor)
{
	if (random_below(2))
		return emit(b, OP_DIV, x, scalar(b, 1 / factor), NULL, NULL);
	return add_either(b, OP_MUL, x, scalar(b, factor));
}

static inline Value *linear(Builder *b, Value *x, int64_t outputs)
{
	int64_t inputs = x->type.dim[x->type.rank - 1].plus;
	DType dtype = DT_F32;
	if (random_below(4) == 0)
		dtype = random_below(2) ? DT_F16 : DT_BF16;
	Value *w = weight(b, dtype, outputs, inputs);
	switch (random_below(3)) {
	case 0: return emit(b, OP_LINEAR, x, w, NULL, NULL);
	case 1: return add_either(b, OP_ADD, emit(b, OP_LINEAR, x, w, NULL, NULL), weight(b, DT_F32, 0, outputs));
	default: return emit(b, OP_LINEAR, x, w, weight(b, random_below(2) ? DT_F32 : DT_F16, 0, outputs), NULL);
	}
}

static inline Value *layernorm(Builder *b, Value *x)
{
	Value *gamma = weight(b, DT_F32, 0, b->hidden), *beta = weight(b, DT_F16, 0, b->hidden);
	return emit(b, OP_LAYERNORM, x, gamma, beta, &(Attrs){.has = A_eps, .eps = 1e-6});
}

static inline Value *transpose(Builder *b, Value *x, int64_t i, int64_t j, int64_t k)
{
	return emit(b, OP_TRANSPOSE, x, NULL, NULL, &(Attrs){.has = A_perm, .perm = {3, {i, j, k}}});
}

static inline Value *split(Builder *b, Value *x)
{
	return emit(b, OP_RESHAPE, x, NULL, NULL,
		&(Attrs){.has = A_shape, .shape = {3, {dim_symbol(1), dim_number(b->heads), dim_number(b->size)}}});
}

static inline Value *attention(Builder *b, Value *x)
{
	uint32_t where = random_below(4); /* place of the factor: q, split q, scores, or no factor */
	double factor = 1 / sqrt((double)b->size);
	Value *q = linear(b, x, b->hidden), *k = linear(b, random_below(8) ? x : q, b->hidden),
		  *v = linear(b, x, b->hidden);
	if (b->angles) {
		q = emit(b, OP_ROTARY, q, b->angles, NULL, &(Attrs){.has = A_heads, .heads = b->heads});
		k = emit(b, OP_ROTARY, k, b->angles, NULL, &(Attrs){.has = A_heads, .heads = b->heads});
	}
	q = transpose(b, split(b, where == 0 ? scale(b, q, factor) : q), 1, 0, 2);
	q = where == 1 ? scale(b, q, factor) : q;
	k = random_below(2) ? transpose(b, split(b, k), 1, 2, 0)
						: transpose(b, transpose(b, split(b, k), 1, 0, 2), 0, 2, 1);
	v = transpose(b, split(b, v), 1, 0, 2);
	Value *scores = emit(b, OP_MATMUL, q, k, NULL, NULL);
	scores = where == 2 ? scale(b, scores, factor) : scores;
	Value *joined = transpose(
		b, emit(b, OP_MATMUL, emit(b, OP_SOFTMAX, scores, NULL, NULL, NULL), v, NULL, NULL), 1, 0, 2);
	return linear(b,
		emit(b, OP_RESHAPE, joined, NULL, NULL,
			&(Attrs){.has = A_shape, .shape = {2, {dim_symbol(1), dim_number(b->hidden)}}}),
		b->hidden);
}

static inline Value *activation(Builder *b, Value *x)
{
	switch (random_below(5)) {
	case 0: return emit(b, OP_RELU, x, NULL, NULL, NULL);
	case 1: return emit(b, OP_TANH, x, NULL, NULL, NULL);
	case 2: return add_either(b, OP_MUL, x, emit(b, OP_SIGMOID, x, NULL, NULL, NULL));
	case 3:
		b->exact = false;
		return add_either(b, OP_MUL, scale(b, x, 0.5),
			add_either(b, OP_ADD, scalar(b, 1), emit(b, OP_ERF, scale(b, x, sqrt(0.5)), NULL, NULL, NULL)));
	default: {
		b->exact = false;
		Value *cube = add_either(b, OP_MUL, add_either(b, OP_MUL, x, x), x);
		Value *inner = scale(b, add_either(b, OP_ADD, x, scale(b, cube, 0.044715)), 0.7978845608);
		Value *sum = add_either(b, OP_ADD, emit(b, OP_TANH, inner, NULL, NULL, NULL), scalar(b, 1));
		return scale(b, add_either(b, OP_MUL, x, sum), 0.5);
	}
	}
}

/* act(linear), or act(first half) * second half of a linear. */
static inline Value *neurons(Builder *b, Value *x)
{
	if (random_below(3))
		return activation(b, linear(b, x, b->ffn));
	Value *both = linear(b, x, 2 * b->ffn);
	const Attrs in = {.has = A_axis | A_start | A_end, .axis = 1, .end = b->ffn},
				gate = {.has = A_axis | A_start | A_end, .axis = 1, .start = b->ffn, .end = 2 * b->ffn};
	Value *first = emit(b, OP_SLICE, both, NULL, NULL, &in),
		  *second = emit(b, OP_SLICE, both, NULL, NULL, &gate);
	return add_either(b, OP_MUL, activation(b, first), second);
}

static inline Value *embeddings(Builder *b)
{
	Graph *graph = b->graph;
	const Attrs skips = {.has = A_start | A_padding, .start = 3, .padding = 2};
	const Attrs *attrs = random_below(2) ? &skips : NULL;
	Value *positions = emit(b, OP_POSITION_IDS, graph->inputs[0], NULL, NULL, attrs);
	Value *x = emit(b, OP_EMBED, weight(b, random_below(2) ? DT_F32 : DT_F16, 23, b->hidden),
		graph->inputs[0], NULL, NULL);
	x = add_either(b, OP_ADD, x, emit(b, OP_EMBED, weight(b, DT_F32, 15, b->hidden), positions, NULL, NULL));
	if (random_below(3) == 0)
		b->angles = emit(
			b, OP_EMBED, weight(b, DT_F32, 15, b->size / (1 + random_below(2))), positions, NULL, NULL);
	if (graph->ninputs > 1)
		x = add_either(
			b, OP_ADD, x, emit(b, OP_EMBED, weight(b, DT_BF16, 2, b->hidden), graph->inputs[1], NULL, NULL));
	return layernorm(b, x);
}

static inline void outputs(Builder *b, Value *x)
{
	uint32_t kind = random_below(4);
	if (kind == 0 || kind == 3)
		graph_add_output(b->graph, "hidden", x);
	if (kind == 1 || kind == 3) {
		Value *cls = emit(b, OP_POOL, x, NULL, NULL, &(Attrs){.has = A_mode, .mode = POOL_FIRST});
		graph_add_output(
			b->graph, "logits", linear(b, emit(b, OP_TANH, linear(b, cls, b->hidden), NULL, NULL, NULL), 3));
	}
	if (kind == 2) {
		Value *mean = emit(b, OP_POOL, x, NULL, NULL, &(Attrs){.has = A_mode, .mode = POOL_MEAN});
		graph_add_output(b->graph, "embedding",
			emit(b, OP_NORMALIZE, mean, NULL, NULL, &(Attrs){.has = A_eps, .eps = 1e-12}));
	}
}

/* A BERT as an importer writes it, spelled at random. *exact: see Builder. */
static inline Module *random_bert(Diag *diag, bool *exact)
{
	Builder b = {.module = module_new("random"), .diag = diag, .exact = true};
	b.heads = 1 + random_below(3);
	b.size = random_below(2) ? 4 : 16; /* powers of four: 1/sqrt is exact */
	b.hidden = b.heads * b.size;
	b.ffn = 5 + random_below(20);
	b.graph = graph_new(b.module, "main");
	graph_add_input(b.graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
	if (random_below(3))
		graph_add_input(b.graph, "types", type_make(DT_I32, 1, dim_symbol(1)));
	Value *x = embeddings(&b);
	for (uint32_t layers = 1 + random_below(2); layers; layers--) {
		x = layernorm(&b, add_either(&b, OP_ADD, attention(&b, x), x));
		Value *inner = neurons(&b, x);
		x = layernorm(&b, add_either(&b, OP_ADD, linear(&b, inner, b.hidden), x));
	}
	outputs(&b, x);
	*exact = b.exact;
	return b.module;
}

enum { TOKENS = 7 };

static inline bool evaluate(const Module *module, int64_t tokens, EvalArray *out, Diag *diag)
{
	static const int32_t ids[TOKENS] = {3, 22, 0, 7, 7, 19, 1}, types[TOKENS] = {0, 0, 0, 1, 1, 1, 1};
	return graph_eval_ids(module->graphs[0], ids, types, tokens, out, diag);
}

static inline double largest_difference(const EvalArray *a, const EvalArray *b)
{
	if (a->count != b->count)
		return INFINITY;
	double largest = 1e-300, difference = 0;
	for (int64_t i = 0; i < a->count; i++) {
		largest = fmax(largest, fabs(eval_at(a, i)));
		double d = fabs(eval_at(a, i) - eval_at(b, i));
		difference = d > difference || isnan(d) ? d : difference;
	}
	return isnan(difference) ? INFINITY : difference / largest;
}

static inline bool run_pipeline(const char *text, Module *module, uint32_t isa, Diag *diag)
{
	const PassEnv env = {.isa = isa, .max_tokens = TOKENS};
	const DriverOptions options = {.verify_each = true};
	Pipeline *pipeline = pipeline_parse(text, diag);
	bool good = pipeline && pipeline_run(pipeline, module, &env, &options, NULL, diag);
	pipeline_free(pipeline);
	return good;
}
#endif
