/* activation.c: builds the activation functions of config.json from primitive ops, in the order of operations
 * of transformers. The pass fuse recognises them. No call has two arguments that append nodes, because C does
 * not define the order in which arguments are evaluated. */
#include <math.h>
#include <string.h>
#include "builder.h"

/* half (1 + y), where half is 0.5 x */
static Value *half_of_one_plus(Builder *b, Value *x, Value *y, const char *origin)
{
	Value *half = build_binary(b, OP_MUL, x, build_scalar(b, 0.5), origin);
	Value *sum = build_binary(b, OP_ADD, build_scalar(b, 1), y, origin);
	return build_binary(b, OP_MUL, half, sum, origin);
}

/* (0.5 x) (1 + erf(x / sqrt 2)) */
static Value *gelu(Builder *b, Value *x, const char *origin)
{
	Value *scaled = build_binary(b, OP_DIV, x, build_scalar(b, sqrt(2)), origin);
	return half_of_one_plus(b, x, build_unary(b, OP_ERF, scaled, origin), origin);
}

/* (0.5 x) (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
static Value *gelu_tanh(Builder *b, Value *x, const char *origin)
{
	Value *square = build_binary(b, OP_MUL, x, x, origin);
	Value *cube = build_binary(b, OP_MUL, square, x, origin);
	Value *part = build_binary(b, OP_MUL, cube, build_scalar(b, 0.044715), origin);
	Value *sum = build_binary(b, OP_ADD, x, part, origin);
	Value *scaled = build_binary(b, OP_MUL, sum, build_scalar(b, sqrt(2 / acos(-1))), origin);
	return half_of_one_plus(b, x, build_unary(b, OP_TANH, scaled, origin), origin);
}

static Value *silu(Builder *b, Value *x, const char *origin)
{
	return build_binary(b, OP_MUL, x, build_unary(b, OP_SIGMOID, x, origin), origin);
}

static Value *relu(Builder *b, Value *x, const char *origin) { return build_unary(b, OP_RELU, x, origin); }
static Value *tanh_(Builder *b, Value *x, const char *origin) { return build_unary(b, OP_TANH, x, origin); }
static Value *sigmoid(Builder *b, Value *x, const char *origin)
{
	return build_unary(b, OP_SIGMOID, x, origin);
}

static Value *identity(Builder *b, Value *x, const char *origin)
{
	(void)b;
	(void)origin;
	return x;
}

/* ---- those of torch.nn, with the defaults of their classes ---------------------------------------- */

static Value *times(Builder *b, Value *x, double factor, const char *origin)
{
	return build_binary(b, OP_MUL, x, build_scalar(b, factor), origin);
}

static Value *plus(Builder *b, Value *x, double term, const char *origin)
{
	return build_binary(b, OP_ADD, x, build_scalar(b, term), origin);
}

/* max(-x, 0) */
static Value *below(Builder *b, Value *x, const char *origin)
{
	return relu(b, times(b, x, -1, origin), origin);
}

/* min(max(x, 0), top) = y - relu(y - top), y = relu(x) */
static Value *clamp(Builder *b, Value *x, double top, const char *origin)
{
	Value *least = relu(b, x, origin);
	Value *over = relu(b, plus(b, least, -top, origin), origin);
	return build_binary(b, OP_SUB, least, over, origin);
}

static Value *leaky_relu(Builder *b, Value *x, const char *origin)
{
	Value *above = relu(b, x, origin);
	return build_binary(b, OP_SUB, above, times(b, below(b, x, origin), 0.01, origin), origin);
}

/* x above 0, else factor (e^x - 1) */
static Value *exponential(Builder *b, Value *x, double factor, const char *origin)
{
	Value *above = relu(b, x, origin), *depth = times(b, below(b, x, origin), -1, origin);
	Value *grown = plus(b, build_unary(b, OP_EXP, depth, origin), -1, origin);
	return build_binary(b, OP_ADD, above, times(b, grown, factor, origin), origin);
}

static Value *elu(Builder *b, Value *x, const char *origin) { return exponential(b, x, 1, origin); }

static Value *selu(Builder *b, Value *x, const char *origin)
{
	return times(b, exponential(b, x, 1.6732632423543772, origin), 1.0507009873554805, origin);
}

/* x / (1 + |x|) */
static Value *softsign(Builder *b, Value *x, const char *origin)
{
	Value *above = relu(b, x, origin);
	Value *size = build_binary(b, OP_ADD, above, below(b, x, origin), origin);
	return build_binary(b, OP_DIV, x, plus(b, size, 1, origin), origin);
}

static Value *hardtanh(Builder *b, Value *x, const char *origin)
{
	return plus(b, clamp(b, plus(b, x, 1, origin), 2, origin), -1, origin);
}

static Value *relu6(Builder *b, Value *x, const char *origin) { return clamp(b, x, 6, origin); }

static Value *hardsigmoid(Builder *b, Value *x, const char *origin)
{
	return times(b, clamp(b, plus(b, x, 3, origin), 6, origin), 1.0 / 6, origin);
}

static Value *hardswish(Builder *b, Value *x, const char *origin)
{
	return build_binary(b, OP_MUL, x, hardsigmoid(b, x, origin), origin);
}

/* x tanh(log(1 + e^x)) = x (1 - s^2) / (1 + s^2), s = sigmoid(-x) */
static Value *mish(Builder *b, Value *x, const char *origin)
{
	Value *part = build_unary(b, OP_SIGMOID, times(b, x, -1, origin), origin);
	Value *square = build_binary(b, OP_MUL, part, part, origin);
	Value *over = plus(b, times(b, square, -1, origin), 1, origin);
	Value *ratio = build_binary(b, OP_DIV, over, plus(b, square, 1, origin), origin);
	return build_binary(b, OP_MUL, x, ratio, origin);
}

static Value *tanhshrink(Builder *b, Value *x, const char *origin)
{
	return build_binary(b, OP_SUB, x, tanh_(b, x, origin), origin);
}

static Value *softmax(Builder *b, Value *x, const char *origin)
{
	return build_unary(b, OP_SOFTMAX, x, origin);
}

static Value *softmin(Builder *b, Value *x, const char *origin)
{
	return softmax(b, times(b, x, -1, origin), origin);
}

static const struct {
	const char *name;
	Value *(*build)(Builder *, Value *, const char *origin);
} activations[] = {
	{"gelu", gelu},
	{"gelu_new", gelu_tanh},
	{"gelu_pytorch_tanh", gelu_tanh},
	{"relu", relu},
	{"silu", silu},
	{"tanh", tanh_},
	{"gelu_python", gelu},
	{"gelu_fast", gelu_tanh},
	{"swish", silu},
	{"sigmoid", sigmoid},
	{"linear", identity},
	{"identity", identity},
	{"leaky_relu", leaky_relu},
	{"elu", elu},
	{"selu", selu},
	{"softsign", softsign},
	{"hardtanh", hardtanh},
	{"relu6", relu6},
	{"hardsigmoid", hardsigmoid},
	{"hardswish", hardswish},
	{"mish", mish},
	{"tanhshrink", tanhshrink},
	{"softmax", softmax},
	{"softmin", softmin},
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

static int activation_find(const char *name)
{
	for (int i = 0; i < ACTIVATIONS; i++)
		if (strcmp(activations[i].name, name) == 0)
			return i;
	return -1;
}

bool activation_is_known(const char *name) { return activation_find(name) >= 0; }

const char *activation_list(void)
{
	static char list[512];
	list[0] = '\0';
	for (int i = 0; i < ACTIVATIONS; i++)
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", activations[i].name);
	return list;
}

Value *build_activation(Builder *b, const char *name, Value *x, const char *origin)
{
	int i = activation_find(name);
	if (i >= 0)
		return activations[i].build(b, x, origin);
	builder_fail(b, EXIT_UNSUPPORTED, "%s: activation \"%s\" is not supported; known: %s", origin, name,
		activation_list());
	return NULL;
}
