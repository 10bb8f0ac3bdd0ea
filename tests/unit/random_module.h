/* random_module.h: random modules of every op, attribute and form of constant, from a seed. */
#ifndef RANDOM_MODULE_H
#define RANDOM_MODULE_H
#include "text_sample.h"

static uint64_t state;

static inline uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545F4914F6CDD1Du;
}

static inline int64_t below(int64_t n) { return (int64_t)(next() >> 11) % n; }

/* Any bytes but NUL; mostly letters. */
static inline char *random_text(Module *module, int64_t most)
{
	char text[64];
	int64_t bytes = below(most + 1);
	for (int64_t i = 0; i < bytes; i++)
		text[i] = (char)(below(4) ? 'a' + below(26) : 1 + below(255));
	return mem_string(module->mem, text, (size_t)bytes);
}

static inline double random_real(void)
{
	double value;
	uint64_t bits = next();
	switch (below(5)) {
	case 0: return (double)below(1000) / 8;
	case 1: return pow(10, -(double)below(20));
	case 2: return below(2) ? INFINITY : -0.0;
	case 3: return (double)next() / 3;
	default: memcpy(&value, &bits, sizeof value); return isnan(value) ? 0.1 : value;
	}
}

static inline Dim random_dim(bool number)
{
	if (number || below(2))
		return dim_number(1 + (below(8) ? below(6) : below(DIM_MAX / 4096)));
	return (Dim){(int32_t)(1 + below(SYMBOLS_MAX - 1)), (int32_t)(below(2) ? 1 : 1 + below(1000)),
		below(2) ? 0 : below(2001) - 1000};
}

static inline Type random_type(bool small)
{
	Type type = {.dtype = (DType)below(DT_COUNT), .rank = (int32_t)below(RANK_MAX + 1)};
	int64_t bytes = dtype_bytes[type.dtype];
	for (int32_t i = 0; i < type.rank; i++) {
		type.dim[i] = small ? dim_number(1 + below(5)) : random_dim(false);
		if (dim_is_number(type.dim[i])
			&& (__builtin_mul_overflow(bytes, type.dim[i].plus, &bytes) || bytes > TENSOR_BYTES_MAX))
			return random_type(small);
	}
	return type;
}

static inline Attrs random_attrs(Module *module)
{
	Attrs attrs = {.has = (uint32_t)(next() & next() & ((1u << AI_COUNT) - 1))};
#define SET_REAL(field) attrs.field = random_real()
#define SET_INT(field) attrs.field = below(2) ? below(100) : (int64_t)next()
#define SET_PACK(field) attrs.field = (Pack)below(PACK_COUNT)
#define SET_ACT(field) attrs.field = (Act)below(ACT_COUNT)
#define SET_POOL(field) attrs.field = (Pool)below(POOL_COUNT)
#define SET_TEXT(field) attrs.field = random_text(module, 20)
#define SET_INTS(field) \
	for (attrs.field.count = (int32_t)below(RANK_MAX + 1); list < attrs.field.count; list++) \
	attrs.field.at[list] = (int64_t)next() >> below(64)
#define SET_DIMS(field) \
	for (attrs.field.count = (int32_t)below(RANK_MAX + 1); list < attrs.field.count; list++) \
	attrs.field.at[list] = random_dim(false)
	int32_t list = 0;
#define ATTR(field, KIND, doc) \
	list = 0; \
	SET_##KIND(field);
#include "ir/attrs.def"
#undef ATTR
	return attrs;
}

/* Random bits, but no NaN, which would be read back as another NaN. */
static const Tensor *random_tensor(Module *module)
{
	Tensor *tensor = tensor_new(module, "made.by.a.pass", random_type(true));
	int64_t count = type_count(&tensor->type);
	for (int64_t i = 0; i < tensor->bytes; i++)
		((uint8_t *)tensor->data)[i] = (uint8_t)next();
	for (int64_t i = 0; i < count; i++)
		if (isnan(tensor_at(tensor, i)) || below(4) == 0)
			memset((char *)tensor->data + i * dtype_bytes[tensor->type.dtype], 0,
				(size_t)dtype_bytes[tensor->type.dtype]);
	return tensor;
}

static inline void name_value(Module *module, Value *value, int64_t number)
{
	if (below(2))
		value->name = mem_printf(
			module->mem, below(20) ? "%c%lld" : "%c \"%lld", (int)('a' + below(26)), (long long)number);
}

static inline void random_node(Graph *graph, Value **values, int64_t *nvalues)
{
	Module *module = graph->module;
	Op op = (Op)below(OP_COUNT);
	Value *args[ARGS_MAX];
	int32_t nargs = op == OP_CONST ? 0 : (int32_t)below(ARGS_MAX + 1);
	for (int32_t i = 0; i < nargs; i++)
		args[i] = values[below(*nvalues)];
	Type types[RESULTS_MAX];
	for (int32_t i = 0; i < RESULTS_MAX; i++)
		types[i] = random_type(false);
	Attrs attrs = random_attrs(module);
	const Tensor *tensor = op == OP_CONST ? random_tensor(module) : NULL;
	Node *node = graph_insert_typed(graph, NULL, op, args, nargs, &attrs, tensor,
		below(2) ? random_text(module, 30) : NULL, tensor ? &tensor->type : types);
	for (int32_t i = 0; i < node->nresults; i++) {
		name_value(module, node->results[i], *nvalues);
		values[(*nvalues)++] = node->results[i];
	}
}

static inline Module *random_module(uint64_t seed)
{
	static Value *values[1000];
	state = seed * 0x9E3779B97F4A7C15u + 1;
	Module *module = module_new(below(2) ? "tiny" : "a name \"in quotes\"");
	module->tokenizer = below(2) ? "tokenizer.json" : NULL;
	module->max_tokens = (int32_t)below(3) * 256;
	for (int64_t i = below(3); i > 0; i--)
		module_set_meta(module, random_text(module, 10), random_text(module, 60));
	for (int64_t i = below(4); i > 0; i--) {
		Head *head = module_add_head(module, mem_printf(module->mem, "head.%lld", (long long)i));
		head->task = (Task)below(TASK_COUNT);
		head->problem = (Problem)below(PROBLEM_COUNT);
		head->output = below(2) ? "logits" : "out 1";
		head->nlabels = (int32_t)below(4);
		head->labels = mem_alloc(module->mem, 4 * sizeof *head->labels);
		for (int32_t k = 0; k < head->nlabels; k++)
			head->labels[k] = random_text(module, 60);
	}
	for (int64_t g = 1 + below(3); g > 0; g--) {
		Graph *graph = graph_new(module, mem_printf(module->mem, "g%lld", (long long)g));
		int64_t nvalues = 0;
		graph->level = (Level)(1 << below(3));
		graph->next_id = (uint32_t)below(100);
		if (below(2))
			graph->arena = (ArenaPlan){
				true, below(1 << 30), below(99), below(7), 0, below(64), below(9), TENSOR_BYTES_MAX};
		values[nvalues++] = graph_add_input(graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
		values[nvalues++] = graph_add_input(graph, NULL, random_type(false));
		for (int64_t i = below(40); i > 0; i--)
			random_node(graph, values, &nvalues);
		for (int64_t i = below(4); i > 0; i--)
			graph_add_output(graph,
				mem_printf(module->mem, below(4) ? "out%lld" : "an output%lld", (long long)i),
				values[below(nvalues)]);
	}
	return module;
}

#endif
