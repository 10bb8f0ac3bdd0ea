/* test_infer.c: the shape rule of every op: accepted arguments with the result type, and messages for
 * others. */
#include "tests/unit/suite.h"
#include "tests/unit/module_text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define N(number) dim_number(number)

static Dim read_dim(const char **at)
{
	char *end;
	long long number = **at == 'S' ? 1 : strtoll(*at, &end, 10);
	if (**at != 'S')
		*at = end;
	if (**at != 'S')
		return N(number);
	Dim dim = {1, (int32_t)number, 0};
	++*at;
	if (**at == '1') {
		dim.symbol = 2;
		++*at;
	}
	if (**at == '+' || **at == '-') {
		dim.plus = strtoll(*at, &end, 10);
		*at = end;
	}
	return dim;
}

/* "f32[S,384]" */
static Type read_type(const char **at)
{
	Type type = {0};
	size_t bytes = strcspn(*at, "[");
	CU_ASSERT_TRUE_FATAL(dtype_parse(*at, bytes, &type.dtype));
	for (*at += bytes + 1; **at != ']'; *at += **at == ',')
		type.dim[type.rank++] = read_dim(at);
	++*at;
	return type;
}

/* want: the types of the results, with + between them, or a message */
typedef struct InferCase {
	Op op;
	Attrs attr;
	const char *args, *want;
} InferCase;

#define A1(a, value) {.has = A_##a, .a = value}
#define PACKED(p, w) {.has = A_panel | A_width, .panel = p, .width = w}
#define PERM(...) \
	{ \
		.has = A_perm, .perm = { sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__} } \
	}
#define SHAPE(n, ...) \
	{ \
		.has = A_shape, .shape = { n, {__VA_ARGS__} } \
	}
#define CUT(x, from, to) {.has = A_axis | A_start | A_end, .axis = x, .start = from, .end = to}
#define ROTATES(h, e) {.has = A_heads | A_end, .heads = h, .end = e}
#define DOTS(n, a) {.has = A_heads | A_axis, .heads = n, .axis = a}
#define ATTEND(p, h) {.has = A_pack | A_heads, .pack = PACK_##p, .heads = h}
#define NUM(n) {0, 0, n}
#define SYM(scale, plus) {1, scale, plus}

static const InferCase infer_cases[] = {
	{OP_CONST, {0}, "", "has no data"},
	{OP_CONST, A1(eps, 1), "", "takes no attribute eps"},
	{OP_EMBED, {0}, "f16[100,32] i32[S]", "f32[S,32]"},
	{OP_EMBED, {0}, "f16[100,32] i32[1]", "f32[1,32]"},
	{OP_EMBED, {0}, "i32[100,32] i32[S]", "%a is i32[100,32], expected floats"},
	{OP_EMBED, {0}, "f32[32] i32[S]", "%a is f32[32], expected rank 2"},
	{OP_EMBED, {0}, "f32[100,32] f32[S]", "%b is f32[S], expected i32 of rank 1"},
	{OP_EMBED, {0}, "f32[100,32] i32[S,2]", "%b is i32[S,2], expected i32 of rank 1"},
	{OP_EMBED, {0}, "f32[100,32]", "1 arguments, expected 2"},
	{OP_EXIT, {.has = A_option, .option = "x"}, "f32[S,4] f32[3]", "f32[S,4]"},
	{OP_EXIT, {.has = A_option, .option = "x"}, "f32[4] f32[3] f32[1]", "f32[4]"},
	{OP_EXIT, {.has = A_option, .option = "x"}, "f32[S,4] f32[1]", "an entropy needs at least two labels"},
	{OP_EXIT, {.has = A_option, .option = "x"}, "f32[S,4] f32[S]", "an entropy needs at least two labels"},
	{OP_EXIT, {.has = A_option, .option = "x"}, "f32[S,4] f32[2,2]", "expected rank 1"},
	{OP_EXIT, {.has = A_option, .option = "x"}, "f32[S,4]", "1 arguments, expected 2"},
	{OP_EXIT, {0}, "f32[S,4] f32[3]", "option"},
	{OP_BAG, {0}, "f32[7] i32[S]", "f32[1,7]"},
	{OP_BAG, {0}, "f32[S] i32[S]", "expected a number for each id"},
	{OP_BAG, {0}, "f32[7,2] i32[S]", "expected rank 1"},
	{OP_BAG, {0}, "f32[7] f32[S]", "expected i32 of rank 1"},
	{OP_POSITION_IDS, {0}, "i32[S]", "i32[S]"},
	{OP_POSITION_IDS, A1(start, 2), "i32[S]", "i32[S]"},
	{OP_POSITION_IDS, A1(start, -1), "i32[S]", "start is -1"},
	{OP_POSITION_IDS, A1(start, INT64_MAX), "i32[S]", "start is 9223372036854775807"},
	{OP_POSITION_IDS, {0}, "f32[S,2]", "i32[S]"},
	{OP_POSITION_IDS, {.has = A_start | A_padding, .start = 2, .padding = 1}, "i32[S,2]", "expected rank 1"},
	{OP_POSITION_IDS, {.has = A_start | A_padding, .start = 2, .padding = 1}, "i32[S]", "i32[S]"},
	{OP_POSITION_IDS, {.has = A_start | A_padding, .start = 2, .padding = -1}, "i32[S]", "padding is -1"},
	{OP_POSITION_IDS, {.has = A_start | A_padding, .padding = 1}, "i32[S]", "padding needs start >= 1"},
	{OP_POSITION_IDS, A1(padding, 1), "i32[S]", "padding needs start >= 1"},
	{OP_LINEAR, {0}, "f32[S,4] f16[3,4] bf16[3]", "f32[S,3]"},
	{OP_LINEAR, {0}, "f32[4] f32[3,4]", "f32[3]"},
	{OP_LINEAR, A1(act, ACT_GELU), "f32[2,S,4] f32[3,4]", "f32[2,S,3]"},
	{OP_LINEAR, A1(act, (Act)99), "f32[S,4] f32[3,4]", "act is 99"},
	{OP_LINEAR, {0}, "f32[S,5] f32[3,4]", "%a is f32[S,5] but %b is f32[3,4]: the inner sizes differ"},
	{OP_LINEAR, {0}, "f32[S,4] f32[3,4] f32[4]", "%c is f32[4], expected [3]"},
	{OP_LINEAR, {0}, "f32[S,4] f32[3,4] f32[3,1]", "%c is f32[3,1], expected rank 1"},
	{OP_LINEAR, {0}, "f32[S,4] f32[3,4] i32[3]", "%c is i32[3], expected floats"},
	{OP_LINEAR, {0}, "f32[] f32[3,4]", "%a is f32[], expected rank 1 to 4"},
	{OP_LINEAR, {0}, "i32[S,4] f32[3,4]", "expected floats"},
	{OP_LINEAR, {0}, "f32[S,4] f32[4]", "%b is f32[4], expected rank 2"},
	{OP_LINEAR, {0}, "f32[S,S] f32[3,S]", "expected weights of a fixed size"},
	{OP_LINEAR, {0}, "f32[S,4] f32[3,4] f32[3] f32[3]", "4 arguments, expected 2 to 3"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,4] f16[2,4,8] f32[16]", "f32[S,11]"},
	{OP_LINEAR, PACKED(8, 17), "f32[S,4] f16[2,4,8] f32[16]",
		"%b is f16[2,4,8], expected [3,K,8] for width 17"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,4] f16[2,4,8] f32[11]", "%c is f32[11], expected [16]"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,5] f16[2,4,8]", "the inner sizes differ"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,4] f16[11,4]", "%b is f16[11,4], expected rank 3"},
	{OP_LINEAR, PACKED(0, 11), "f32[S,4] f16[2,4,8]", "panel is 0 and width is 11"},
	{OP_LINEAR, PACKED(INT64_MAX, INT64_MAX), "f32[S,4] f16[2,4,8]", "expected at least 1"},
	{OP_LINEAR, A1(panel, 8), "f32[S,4] f16[2,4,8]", "has panel without width"},
	{OP_LINEAR, A1(width, 8), "f32[S,4] f16[2,4]", "has width without panel"},
	{OP_QUANTIZE, {0}, "f32[S,4]", "i8[S,4]+f32[S]"},
	{OP_QUANTIZE, {0}, "f16[4]", "i8[4]+f32[]"},
	{OP_QUANTIZE, {0}, "i8[S,4]", "%a is i8[S,4], expected floats"},
	{OP_QUANTIZE, {0}, "f32[]", "expected rank 1 to 4"},
	{OP_QUANTIZE_STATIC, {0}, "f32[S,4] f32[4] f32[4]", "i8[S,4]+f32[S]"},
	{OP_QUANTIZE_STATIC, {0}, "f32[S,4] f32[4] f32[3]", "%c is f32[3], expected"},
	{OP_QUANTIZE_STATIC, {0}, "f32[S,4] f32[S] f32[4]", "%b is f32[S], expected"},
	{OP_LINEAR_I8_CODES, {0}, "i8[S,4] f32[S] i8[3,4] f32[3] f32[3] f32[3] f32[3]", "i8[S,3]+f32[S]"},
	{OP_LINEAR_I8_CODES, {0}, "i8[4] f32[] i8[3,4] f32[3] f32[3] f32[3] f32[3]", "i8[3]+f32[]"},
	{OP_LINEAR_I8_CODES, {0}, "i8[S,4] f32[S] i8[3,4] f32[3] f32[3] f32[3] f32[4]", "%g is f32[4], expected"},
	{OP_LINEAR_I8_CODES, PACKED(8, 11), "i8[S,6] f32[S] i8[2,2,8,4] f32[16] f32[16] f32[11] f32[11] i32[16]",
		"i8[S,11]+f32[S]"},
	{OP_LINEAR_I8_CODES, PACKED(8, 11), "i8[S,6] f32[S] i8[2,2,8,4] f32[16] f32[16] f32[11] f32[11] i32[11]",
		"%h is i32[11], expected i32[16]"},
	{OP_ADD_LAYERNORM_CODES, A1(eps, 0), "f32[S,4] f32[S,4] f32[4] f32[4] f32[4] f32[4]",
		"f32[S,4]+i8[S,4]+f32[S]"},
	{OP_ADD_LAYERNORM_CODES, A1(eps, 0), "f32[S,4] f32[S,4] f32[4] f32[4] f32[3] f32[4]",
		"%e is f32[3], expected"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[S] i8[3,4] f32[3]", "f32[S,3]"},
	{OP_LINEAR_I8, A1(act, ACT_GELU), "i8[4] f32[] i8[3,4] f32[3] bf16[3]", "f32[3]"},
	{OP_LINEAR_I8, {0}, "f32[S,4] f32[S] i8[3,4] f32[3]", "%a is f32[S,4], expected i8"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[S] f32[3,4] f32[3]", "%c is f32[3,4], expected i8"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[S,1] i8[3,4] f32[3]",
		"%b is f32[S,1], expected the scales f32[S] of the codes"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[4] i8[3,4] f32[3]",
		"%b is f32[4], expected the scales f32[S] of the codes"},
	{OP_LINEAR_I8, {0}, "i8[S,5] f32[S] i8[3,4] f32[3]",
		"%a is i8[S,5] but %c is i8[3,4]: the inner sizes differ"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[S] i8[3,4] f32[4]", "%d is f32[4], expected [3]"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[S] i8[3,4] f32[3] f32[4]", "%e is f32[4], expected [3]"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[S] i8[3,4] f32[3] f32[3] f32[3]", "%f is f32[3], expected i32"},
	{OP_LINEAR_I8, {0}, "i8[] f32[] i8[3,4] f32[3]", "%a is i8[], expected rank 1 to 4"},
	{OP_LINEAR_I8, {0}, "i8[S,4] f32[S] i8[3,4]", "3 arguments, expected 4 to 6"},
	{OP_LINEAR_I8, PACKED(8, 11), "i8[S,6] f32[S] i8[2,2,8,4] f32[16] f32[16] i32[16]", "f32[S,11]"},
	{OP_LINEAR_I8, PACKED(8, 11), "i8[S,9] f32[S] i8[2,2,8,4] f32[16] f32[16] i32[16]",
		"the inner sizes differ"},
	{OP_LINEAR_I8, PACKED(8, 11), "i8[S,4] f32[S] i8[2,2,8,4] f32[16] f32[16] i32[16]",
		"the inner sizes differ"},
	{OP_LINEAR_I8, PACKED(8, 11), "i8[S,6] f32[S] i8[2,2,8,4] f32[11] f32[16] i32[16]",
		"%d is f32[11], expected [16]"},
	{OP_LINEAR_I8, PACKED(8, 11), "i8[S,6] f32[S] i8[2,2,8,4] f32[16] f32[16] i32[11]",
		"%f is i32[11], expected i32[16]"},
	{OP_LINEAR_I8, PACKED(8, 17), "i8[S,6] f32[S] i8[2,2,8,4] f32[16] f32[16] i32[16]",
		"expected [3,K,8] for width 17"},
	{OP_LINEAR_I8, A1(panel, 8), "i8[S,4] f32[S] i8[1,4,8] f32[8]", "has panel without width"},
	{OP_LINEAR_BF16, {0}, "f32[S,4] bf16[3,4] f32[3]", "f32[S,3]"},
	{OP_LINEAR_BF16, PACKED(8, 11), "f32[S,3] bf16[2,2,8,2] f32[16]", "f32[S,11]"},
	{OP_LINEAR_BF16, PACKED(8, 11), "f32[S,5] bf16[2,2,8,2] f32[16]", "the inner sizes differ"},
	{OP_LINEAR_BF16, PACKED(8, 11), "f32[S,S] bf16[2,2,8,2] f32[16]", "the inner sizes differ"},
	{OP_LINEAR_BF16, {0}, "i8[S,4] bf16[3,4]", "expected floats"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,3] f32[2,2,8,2] f32[16]", "%b is f32[2,2,8,2], expected rank 3"},
	{OP_EMBED_I8, {0}, "i8[9,4] i32[S] f32[9]", "f32[S,4]"},
	{OP_EMBED_I8, {0}, "i8[9,4] i32[S] f32[9] f32[S,4]", "f32[S,4]"},
	{OP_EMBED_I8, {0}, "f32[9,4] i32[S] f32[9]", "%a is f32[9,4], expected a table i8[V,H]"},
	{OP_EMBED_I8, {0}, "i8[9,4] i32[S] f32[4]", "%c is f32[4], expected [9]"},
	{OP_EMBED_I4, {0}, "i8[9,4] i32[S] f32[9]", "f32[S,8]"},
	{OP_EMBED_I4, {0}, "i8[9,4] i32[S] f32[9] f32[S,8]", "f32[S,8]"},
	{OP_EMBED_I4, {0}, "f32[9,4] i32[S] f32[9]", "%a is f32[9,4], expected a table i8[V,H/2]"},
	{OP_EMBED_I4, {0}, "i8[9,4] i32[S] f32[9] f32[S,4]",
		"%d is f32[S,4], expected the type of the looked-up rows, f32[S,8]"},
	{OP_EMBED_I8, {0}, "i8[9,4] i32[S] f32[9] f32[S,5]",
		"%d is f32[S,5], expected the type of the looked-up rows, f32[S,4]"},
	{OP_MATMUL, {0}, "f32[12,S,32] f32[12,32,S]", "f32[12,S,S]"},
	{OP_MATMUL, {0}, "f32[S,3] f16[3,5]", "f32[S,5]"},
	{OP_MATMUL, {0}, "f32[S,S+1] f32[S+1,2]", "f32[S,2]"},
	{OP_MATMUL, {0}, "f32[S,S] f32[S+1,2]", "expected [..,M,K] and [..,K,N]"},
	{OP_MATMUL, {0}, "f32[12,S,32] f32[6,32,S]", "equal leading axes"},
	{OP_MATMUL, {0}, "f32[12,S,32] f32[32,S]", "equal leading axes"},
	{OP_MATMUL, {0}, "f32[4] f32[4]", "expected rank 2 to 4"},
	{OP_TRANSPOSE, PERM(1, 0, 2), "f16[S,12,32]", "f16[12,S,32]"},
	{OP_TRANSPOSE, PERM(2, 0, 1), "f32[S,12,32]", "f32[32,S,12]"},
	{OP_TRANSPOSE, PERM(0, 1), "f32[S,12,32]", "perm has 2 axes but %a is f32[S,12,32]"},
	{OP_TRANSPOSE, PERM(0, 0, 1), "f32[S,12,32]", "perm is not a permutation of 0..2"},
	{OP_TRANSPOSE, PERM(0, 3, 1), "f32[S,12,32]", "perm is not a permutation"},
	{OP_TRANSPOSE, PERM(0, -1, 1), "f32[S,12,32]", "perm is not a permutation"},
	{OP_TRANSPOSE, {0}, "f32[S,12]", "attribute perm is missing"},
	{OP_RESHAPE, SHAPE(3, SYM(1, 0), NUM(12), NUM(32)), "f16[S,384]", "f16[S,12,32]"},
	{OP_RESHAPE, SHAPE(1, SYM(6, 0)), "i32[2,S,3]", "i32[6S]"},
	{OP_RESHAPE, SHAPE(2, NUM(3), SYM(2, 2)), "f32[S+1,6]", "f32[3,2S+2]"},
	{OP_RESHAPE, SHAPE(0, NUM(0)), "f32[1,1]", "f32[]"},
	{OP_RESHAPE, SHAPE(2, SYM(1, 0), NUM(384)), "f32[384,S]", "f32[S,384]"},
	{OP_RESHAPE, SHAPE(2, SYM(1, 0), NUM(383)), "f32[S,384]",
		"%a is f32[S,384], which has another number of elements than f32[S,383]"},
	{OP_RESHAPE, SHAPE(2, SYM(1, 0), SYM(1, 0)), "f32[S]", "another number of elements"},
	{OP_RESHAPE, SHAPE(2, SYM(1, -1), SYM(1, 1)), "f32[S,S]", "another number of elements"},
	{OP_RESHAPE, SHAPE(1, {2, 1, 0}), "f32[S]", "another number of elements"},
	{OP_RESHAPE, SHAPE(2, NUM(0), NUM(7)), "f32[S]", "shape has the dim [0]"},
	{OP_RESHAPE, SHAPE(2, NUM(-1), NUM(-6)), "f32[6]", "shape has the dim [-1]"},
	{OP_RESHAPE, SHAPE(4, NUM(DIM_MAX), NUM(DIM_MAX), NUM(1), NUM(1)), "f32[6]",
		"another number of elements"},
	{OP_RESHAPE, SHAPE(9, NUM(1)), "f32[1]", "shape has 9 dims"},
	{OP_SLICE, CUT(1, 2, 5), "f16[S,8]", "f16[S,3]"},
	{OP_SLICE, CUT(0, 0, 8), "i32[8]", "i32[8]"},
	{OP_SLICE, CUT(1, 5, 5), "f32[S,8]", "start 5 and end 5 do not fit axis 1"},
	{OP_SLICE, CUT(1, 5, 9), "f32[S,8]", "do not fit"},
	{OP_SLICE, CUT(1, -1, 3), "f32[S,8]", "do not fit"},
	{OP_SLICE, CUT(0, 0, 1), "f32[S,8]", "axis 0 of %a, f32[S,8], has no fixed size"},
	{OP_SLICE, CUT(2, 0, 1), "f32[S,8]", "axis is 2 but %a is f32[S,8]"},
	{OP_SLICE, CUT(-1, 0, 1), "f32[S,8]", "axis is -1"},
	{OP_SLICE, A1(axis, 0), "f32[8]", "attribute start is missing"},
	{OP_CONCAT, A1(axis, 1), "f32[S,3] f32[S,4] f32[S,5]", "f32[S,12]"},
	{OP_CONCAT, A1(axis, 0), "f16[3] f16[4]", "f16[7]"},
	{OP_CONCAT, A1(axis, 0), "f16[3] f32[4]", "f32[7]"},
	{OP_CONCAT, A1(axis, 0), "i32[3]", "i32[3]"},
	{OP_CONCAT, A1(axis, 0), "f32[3] i32[4]", "%b is i32[4], which does not fit %a, f32[3], along axis 0"},
	{OP_CONCAT, A1(axis, 1), "f32[S,3] f32[2,4]", "does not fit"},
	{OP_CONCAT, A1(axis, 1), "f32[S,3] f32[S,S]", "does not fit"},
	{OP_CONCAT, A1(axis, 1), "f32[S,3] f32[S,3,1]", "does not fit"},
	{OP_CONCAT, A1(axis, 0), "f32[S,3] f32[S,3]", "has no fixed size"},
	{OP_CONCAT, A1(axis, 0), "f32[1099511627776] f32[1]", "more than 1099511627776 elements"},
	{OP_ADD, {0}, "f32[S,384] f32[S,384]", "f32[S,384]"},
	{OP_ADD, {0}, "f32[S,384] f16[384]", "f32[S,384]"},
	{OP_SUB, {0}, "f32[] f32[S,384]", "f32[S,384]"},
	{OP_MUL, {0}, "f32[S,1] f32[1,384]", "f32[S,384]"},
	{OP_DIV, {0}, "f32[12,S,S] f32[]", "f32[12,S,S]"},
	{OP_ADD, {0}, "f32[S,384] f32[S]", "%a is f32[S,384] and %b is f32[S]: these shapes do not broadcast"},
	{OP_SUB, {0}, "f32[S] f32[S+1]", "do not broadcast"},
	{OP_MUL, {0}, "f32[S] f32[5]", "do not broadcast"},
	{OP_DIV, {0}, "f32[2] f32[3]", "do not broadcast"},
	{OP_ADD, {0}, "i32[S] i32[S]", "%a is i32[S], expected floats"},
	{OP_ADD, {0}, "f32[S] i32[S]", "%b is i32[S], expected floats"},
	{OP_ADD, {0}, "f32[S]", "1 arguments, expected 2"},
	{OP_ERF, {0}, "f16[S,3]", "f32[S,3]"},
	{OP_TANH, {0}, "f32[]", "f32[]"},
	{OP_RELU, {0}, "f32[S,S,2]", "f32[S,S,2]"},
	{OP_SIGMOID, {0}, "f32[2]", "f32[2]"},
	{OP_EXP, {0}, "f32[2]", "f32[2]"},
	{OP_SQRT, {0}, "f64[2]", "f32[2]"},
	{OP_ERF, {0}, "i32[S]", "expected floats"},
	{OP_TANH, {0}, "i32[S]", "expected floats"},
	{OP_RELU, {0}, "u8[S]", "expected floats"},
	{OP_SIGMOID, {0}, "i8[S]", "expected floats"},
	{OP_EXP, {0}, "i64[S]", "expected floats"},
	{OP_SQRT, {0}, "i32[S]", "expected floats"},
	{OP_LOG1P, {0}, "f16[2]", "f32[2]"},
	{OP_LOG1P, {0}, "i32[S]", "expected floats"},
	{OP_TOP, A1(keep, 2), "f32[S,4]", "f32[S,4]"},
	{OP_TOP, A1(keep, 0), "f32[S,4]", "keep is 0"},
	{OP_TOP, {0}, "f32[S,4]", "attribute keep is missing"},
	{OP_SOFTMAX, {0}, "f32[12,S,S]", "f32[12,S,S]"},
	{OP_SOFTMAX, {0}, "f32[]", "expected rank 1 to 4"},
	{OP_LAYERNORM, A1(eps, 1e-12), "f32[S,4] f16[4] f16[4]", "f32[S,4]"},
	{OP_LAYERNORM, A1(eps, 0), "f32[4] f32[4] f32[4]", "f32[4]"},
	{OP_LAYERNORM, A1(eps, -1e-12), "f32[S,4] f32[4] f32[4]", "eps is -1e-12, expected a number >= 0"},
	{OP_LAYERNORM, A1(eps, NAN), "f32[S,4] f32[4] f32[4]", "eps is"},
	{OP_LAYERNORM, A1(eps, INFINITY), "f32[S,4] f32[4] f32[4]", "eps is inf"},
	{OP_LAYERNORM, A1(eps, 0), "f32[S,4] f32[4] f32[5]", "%c is f32[5], expected [4]"},
	{OP_LAYERNORM, A1(eps, 0), "f32[S,4] f32[1] f32[4]", "%b is f32[1], expected [4]"},
	{OP_LAYERNORM, {0}, "f32[S,4] f32[4] f32[4]", "attribute eps is missing"},
	{OP_LAYERNORM, A1(eps, 0), "f32[] f32[4] f32[4]", "expected rank 1 to 4"},
	{OP_NORMALIZE, A1(eps, 1e-12), "f32[S,4]", "f32[S,4]"},
	{OP_NORMALIZE, A1(eps, -1), "f32[S,4]", "eps is -1"},
	{OP_NORMALIZE, A1(eps, 1), "i32[S,4]", "expected floats"},
	{OP_RMSNORM, A1(eps, 1e-12), "f32[S,4] f16[4]", "f32[S,4]"},
	{OP_RMSNORM, A1(eps, -1), "f32[S,4] f32[4]", "eps is -1"},
	{OP_RMSNORM, A1(eps, 1), "f32[S,4] f32[5]", "%b is f32[5], expected [4]"},
	{OP_ROTARY, A1(heads, 2), "f32[S,8] f32[S,4]", "f32[S,8]"},
	{OP_ROTARY, A1(heads, 2), "f32[8] f32[2]", "f32[8]"},
	{OP_ROTARY, A1(heads, 3), "f32[S,8] f32[S,2]", "heads is 3, expected a divisor of 8 columns"},
	{OP_ROTARY, A1(heads, 0), "f32[S,8] f32[S,2]", "heads is 0"},
	{OP_ROTARY, A1(heads, 2), "f32[S,8] f32[S,3]", "even number of columns up to the 4 of a head"},
	{OP_ROTARY, A1(heads, 2), "f32[S,8] f32[S,6]", "up to the 4 of a head"},
	{OP_ROTARY, A1(heads, 2), "f32[S,8] f32[4]", "expected one row of angles per row"},
	{OP_ROTARY, A1(heads, 2), "f32[S,8] f32[7,4]", "expected one row of angles per row"},
	{OP_ROTARY, A1(heads, 2), "f32[S,8] i32[S,4]", "expected floats"},
	{OP_ROTARY, {.has = A_heads | A_apart, .heads = 2, .apart = 1}, "f32[S,8] f32[S,4]", "f32[S,8]"},
	{OP_ROTARY, {.has = A_heads | A_apart, .heads = 2, .apart = 2}, "f32[S,8] f32[S,4]",
		"apart is 2, expected 1"},
	{OP_ROTARY, ROTATES(2, 3), "f32[S,8] f32[S,4]", "end is 3, expected 1 to 2 heads"},
	{OP_ROTARY, ROTATES(2, 1), "f32[S,8] f32[S,4]", "f32[S,8]"},
	{OP_POOL, A1(mode, POOL_MEAN), "f32[S,4]", "f32[4]"},
	{OP_POOL, A1(mode, POOL_MEAN), "f32[S]", "expected rank 2"},
	{OP_POOL, A1(mode, POOL_MEAN), "i32[S,4]", "expected floats"},
	{OP_POOL, A1(mode, (Pool)77), "f32[S,4]", "mode is 77"},
	{OP_POOL, {0}, "f32[S,4]", "attribute mode is missing"},
	{OP_POOL, {.has = A_mode | A_option, .option = "x"}, "f32[S,4]", "f32[4]"},
	{OP_POOL, {.has = A_mode | A_option, .option = "x"}, "f32[3,4]",
		"the first rows are those of the prompt"},
	{OP_SOFTMAX, A1(keep, 3), "f32[S,4]", "f32[S,4]"},
	{OP_SOFTMAX, A1(share, 0), "f32[S,4]", "share is 0"},
	{OP_SOFTMAX, A1(threshold, NAN), "f32[S,4]", "threshold is"},
	{OP_RECEIVED, ATTEND(NONE, 2), "f32[S,8] f32[S,8]", "f32[S,2]"},
	{OP_RECEIVED, ATTEND(QKV, 4), "f32[S,24]", "f32[S,4]"},
	{OP_RECEIVED, ATTEND(KV, 4), "f32[S,8] f32[S,16]", "expected q and k, or qkv"},
	{OP_RECEIVED, ATTEND(NONE, 2), "f32[S,8] f32[3,8]",
		"%b is f32[3,8], expected 8 columns and as many rows"},
	{OP_RECEIVED, ATTEND(QKV, 2), "f32[S,25]", "cannot be cut into 2 heads"},
	{OP_RECEIVED, ATTEND(NONE, 2), "f32[8] f32[S,8]", "expected rank 2"},
	{OP_THIN, {.has = A_keep | A_symbol, .keep = 3, .symbol = 1}, "f32[S,8]", "i32[S1]"},
	{OP_THIN, {.has = A_share | A_symbol, .share = 0.5, .symbol = 7}, "f32[S,8] f32[S,1]", "i32[S7]"},
	{OP_THIN, {.has = A_share | A_symbol, .share = 0.5, .symbol = 0}, "f32[S,8]",
		"symbol is 0, expected 1 to 7"},
	{OP_THIN, {.has = A_symbol, .symbol = 1}, "f32[S,8]", "needs keep or share"},
	{OP_THIN, {.has = A_keep | A_share | A_symbol, .keep = 1, .share = 1, .symbol = 1}, "f32[S,8]",
		"exclude each other"},
	{OP_THIN, {.has = A_keep | A_symbol, .keep = 3, .symbol = 1}, "f32[S,8] f32[S]",
		"expected one number per row"},
	{OP_THIN, A1(keep, 3), "f32[S,8]", "attribute symbol is missing"},
	{OP_GATHER, {0}, "f32[S,8] i32[3]", "f32[3,8]"},
	{OP_GATHER, {0}, "f32[S,8] f32[3]", "expected i32 of rank 1"},
	{OP_GATHER, {0}, "f32[8] i32[3]", "expected rank 2"},
	{OP_SPREAD, {0}, "f32[3,8] i32[3] i32[S]", "f32[S,8]"},
	{OP_SPREAD, {0}, "f32[4,8] i32[3] i32[S]", "%a is f32[4,8], expected a row for each of %b, i32[3]"},
	{OP_SPREAD, {0}, "f32[3,8] i32[3,1] i32[S]", "expected i32 of rank 1"},
	{OP_SHIFT, A1(start, -2), "f16[S,8]", "f32[S,8]"},
	{OP_SHIFT, A1(start, 1), "f32[8]", "expected rank 2"},
	{OP_SHIFT, A1(start, 1), "i32[S,8]", "expected floats"},
	{OP_SHIFT, A1(start, -1048577), "f32[S,8]", "start is -1048577, expected a number of rows"},
	{OP_SHIFT, {0}, "f32[S,8]", "attribute start is missing"},
	{OP_CONVOLVE, {0}, "f16[S,8] f32[3,8]", "f32[S,8]"},
	{OP_CONVOLVE, {0}, "f32[S,8] f32[3,7]", "expected some rows of weights for the columns of %a"},
	{OP_CONVOLVE, {0}, "f32[S,8] f32[S,8]", "expected some rows of weights"},
	{OP_CONVOLVE, {0}, "f32[S,8] i32[3,8]", "expected floats"},
	{OP_CONVOLVE, A1(heads, 2), "f32[S,8] f32[S,6]", "f32[S,8]"},
	{OP_CONVOLVE, A1(heads, 2), "f32[S,8] f32[6]", "f32[S,8]"},
	{OP_CONVOLVE, A1(heads, 2), "f32[S,8] f32[7]", "expected weights of 2 heads"},
	{OP_CONVOLVE, {0}, "f32[S,8] f32[8]", "expected rank 2"},
	{OP_CONVOLVE, A1(heads, 3), "f32[S,8] f32[S,6]", "heads is 3, expected a divisor of the columns"},
	{OP_CONVOLVE, A1(heads, 0), "f32[S,8] f32[S,6]", "heads is 0, expected a divisor of the columns"},
	{OP_CONVOLVE, A1(heads, 2), "f32[S,8] f32[S,7]", "expected weights of 2 heads, for each row of %a"},
	{OP_CONVOLVE, A1(heads, 2), "f32[S,8] f32[3,6]", "expected weights of 2 heads, for each row of %a"},
	{OP_LSTM, A1(reverse, 1), "f32[S,12] f32[3,12] f32[12]", "f32[S,3]"},
	{OP_LSTM, A1(reverse, 2), "f32[S,12] f32[3,12] f32[12]", "reverse is 2, expected 0 or 1"},
	{OP_LSTM, {0}, "f32[S,12] f32[12,3] f32[12]", "expected weights of 3 units and 4 gates"},
	{OP_LSTM, A1(panel, 16), "f32[S,12] f32[1,3,4,16] f32[12]", "f32[S,3]"},
	{OP_LSTM, A1(panel, 16), "f32[S,12] f32[2,3,4,16] f32[12]", "expected weights of 3 units and 4 gates"},
	{OP_LSTM, A1(panel, 0), "f32[S,12] f32[1,3,4,8] f32[12]", "panel is 0, expected at least 1"},
	{OP_LSTM, A1(panel, 16), "f32[S,12] f32[3,12] f32[12]", "expected"},
	{OP_LSTM, {0}, "f32[S,10] f32[3,12] f32[12]", "expected a multiple of 4 columns"},
	{OP_GRU, {0}, "f32[S,12] f32[4,12] f32[12]", "f32[S,4]"},
	{OP_GRU, {0}, "f32[S,12] f32[4,12] f32[4]", "expected"},
	{OP_FOURIER, {0}, "f32[S,8]", "f32[S,4]"},
	{OP_FOURIER, {0}, "f32[S,7]", "expected an even number of columns"},
	{OP_FOURIER, {0}, "f32[S,4,8]", "expected rank 2"},
	{OP_CAST, {0}, "f16[S,4]", "f32[S,4]"},
	{OP_CAST, {0}, "i32[S]", "f32[S]"},
	{OP_ACTIVATION, A1(act, ACT_SILU), "f32[S,4]", "f32[S,4]"},
	{OP_ACTIVATION, A1(act, ACT_SILU), "i32[S,4]", "expected floats"},
	{OP_ACTIVATION, {0}, "f32[S,4]", "attribute act is missing"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[S,8] f32[S,8] f32[S,8]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[8] f32[S,8] f32[S,8]", "f32[8]"},
	{OP_ATTENTION, ATTEND(KV, 4), "f32[8] f32[S,16]", "f32[8]"},
	{OP_ATTENTION, ATTEND(KV, 4), "f32[S,8] f32[S,16]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(QKV, 8), "f32[S,24]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[S,8] f32[S,16]", "2 arguments, expected q, k and v"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,24]", "1 arguments, expected q and kv"},
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,24] f32[S,16]", "%b is f32[S,16], expected a score bias"},
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,24] f32[2,S,S]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,24] f16[2,7] f32[1,1] f32[1,S,S] f32[S,S]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,24] f32[S] f32[2,1,S] f32[2,7] i32[S]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[8] f32[S,8] f32[S,8] f32[2,S,S] f32[1,3]", "f32[8]"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[3,8] f32[S,16] f32[3,S]", "f32[3,8]"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[3,8] f32[S,16] f32[2,7]", "with as many queries as keys"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[2,6]", "expected a score bias"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[3,7]", "expected a score bias"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[3,S,S]", "expected a score bias"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[2,S,1]", "expected a score bias"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[1,2,S,S]", "expected a score bias"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] i32[S]", "expected a score bias"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[S,S] i32[S]", "expected one position per key"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[2,7] i32[3]", "expected one position per key"},
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,24] f32[S] f32[S] f32[S] f32[S] f32[S]",
		"has more than 4 score biases"},
	{OP_DOT_BY_DISTANCE, DOTS(2, 1), "f32[S,8] f32[5,8] =i32[7]", "f32[2,S,S]"}, /* =: a constant of zeros */
	{OP_DOT_BY_DISTANCE, DOTS(2, 1), "f32[S,8] f32[5,8] i32[7]", "an index is a constant"},
	{OP_DOT_BY_DISTANCE, DOTS(2, 3), "f32[S,8] f32[5,8] i32[7]", "axis is 3, expected 1"},
	{OP_DOT_BY_DISTANCE, DOTS(3, 2), "f32[S,8] f32[5,8] i32[7]", "cannot be cut into 3 heads"},
	{OP_DOT_BY_DISTANCE, DOTS(2, 2), "f32[S,8] f32[5,9] i32[7]", "expected a table [D,8]"},
	{OP_BY_DISTANCE, {0}, "f32[2,7] f32[S,8]", "f32[2,S,S]"},
	{OP_BY_DISTANCE, {0}, "bf16[1,1] i32[S]", "f32[1,S,S]"},
	{OP_BY_DISTANCE, {0}, "f32[2,6] f32[S,8]", "%a is f32[2,6], expected a table f32[heads,2R+1]"},
	{OP_BY_DISTANCE, {0}, "f32[2,S] f32[S,8]", "expected a table"},
	{OP_BY_DISTANCE, {0}, "i32[2,7] f32[S,8]", "expected a table"},
	{OP_BY_DISTANCE, {0}, "f32[2,7] i32[S,1]", "expected positions i32[S], or rows"},
	{OP_BY_DISTANCE, {0}, "f32[2,7] f32[]", "expected positions i32[S], or rows"},
	{OP_BY_DISTANCE, {.has = A_heads, .heads = 2}, "f32[S,6] i32[S]", "f32[2,S,S]"},
	{OP_BY_DISTANCE, {.has = A_heads, .heads = 2}, "f32[S,4] i32[S]",
		"%a is f32[S,4], expected a table for each query, f32[S,2*(2R+1)]"},
	{OP_BY_DISTANCE, {.has = A_heads, .heads = 0}, "f32[S,6] i32[S]", "expected a table for each query"},
	{OP_BY_DISTANCE, {.has = A_heads, .heads = 2}, "f32[3,6] i32[S]",
		"%a is f32[3,6], expected as many rows as %b has, i32[S]"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[S,6] i32[S]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,16] f32[S,6]", "f32[S,8]"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[3,8] f32[S,16] f32[S,6]", "expected a score bias"},
	{OP_ATTENTION, ATTEND(NONE, 3), "f32[S,8] f32[S,8] f32[S,8]",
		"%a is f32[S,8], which cannot be cut into 3 heads"},
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,25]", "cannot be cut into 2 heads"},
	{OP_ATTENTION, ATTEND(QKV, 0), "f32[S,24]", "cannot be cut into 0 heads"},
	{OP_ATTENTION, ATTEND(QKV, 1), "f32[S,S]", "cannot be cut"},
	{OP_ATTENTION, ATTEND(QKV, 1), "f32[24]", "expected rank 2"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[S,8] f32[S,8] f32[3,8]",
		"%c is f32[3,8], expected 8 columns and as many rows"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[S,8] f32[S,9] f32[S,8]", "%b is f32[S,9], expected 8 columns"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,8]", "%b is f32[S,8], expected 16 columns"},
	{OP_ATTENTION, {.has = A_pack | A_heads | A_scale, .pack = PACK_QKV, .heads = 2, .scale = NAN},
		"f32[S,24]", "scale is"},
	{OP_ATTENTION, A1(heads, 2), "f32[S,8] f32[S,8] f32[S,8]", "attribute pack is missing"},
	{OP_ADD_LAYERNORM, A1(eps, 0), "f32[S,4] f32[S,4] f32[4] f32[4]", "f32[S,4]"},
	{OP_ADD_LAYERNORM, A1(eps, 0), "f32[S,4] f32[4] f32[4] f32[4]", "expected the same shape"},
	{OP_ADD_LAYERNORM, A1(eps, 0), "f32[S,4] f32[S,4] f32[3] f32[4]", "%c is f32[3], expected [4]"},
	{OP_ADD_LAYERNORM, A1(eps, -1), "f32[S,4] f32[S,4] f32[4] f32[4]", "eps is -1"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[4] f32[4]", "f32[S,4]"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[2,4] i32[S] f32[7,4] i32[S] f32[4] f32[4]",
		"f32[S,4]"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[4] f32[4] f32[4]", "5 arguments, expected pairs"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[2,3] i32[S] f32[4] f32[4]",
		"do not fit the first table"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[2,4] i32[5] f32[4] f32[4]",
		"do not fit the first table"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[4] f32[3]", "%d is f32[3], expected [4]"},
	{OP_EMBED_LAYERNORM, A1(eps, -1), "f16[9,4] i32[S] f32[4] f32[4]", "eps is -1"},
};

/* Messages may quote the type that is wanted, so which of the two it is must be known beforehand. */
static bool wants_type(const InferCase *test) { return strchr(test->want, '[') && !strchr(test->want, ' '); }

static void check_infer(const InferCase *test)
{
	static const char *const names[ARGS_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	Module *module = module_new("m");
	Graph *graph = graph_new(module, "main");
	Value *args[ARGS_MAX];
	int nargs = 0;
	Diag diag;
	char text[256] = "";
	diag_init(&diag, NULL);
	for (const char *at = test->args; *at; at += *at == ' ') {
		const bool constant = *at == '=';
		at += constant;
		Type type = read_type(&at);
		args[nargs] = constant ? graph_const(graph, NULL, tensor_new(module, names[nargs], type), NULL)
							   : graph_add_input(graph, names[nargs], type);
		nargs++;
	}
	const Node *last = graph->last;
	Node *node = graph_insert(graph, NULL, test->op, args, nargs, &test->attr, "layer.0", &diag);
	for (int i = 0; node && i < node->nresults; i++)
		strcat(strcat(text, i ? "+" : ""), type_print(&node->results[i]->type, (char[128]){0}));
	char *said = node ? text : diag_text(&diag);
	bool good = wants_type(test) ? node && strcmp(said, test->want) == 0 && diag.errors == 0
								 : !node && strstr(said, test->want) && diag.errors >= 1
			&& diag.code == EXIT_INPUT && strstr(said, "layer.0: ");
	if (!good)
		printf("\n%s %s: %s\n  wanted %s\n", op_info[test->op].name, test->args, said, test->want);
	CU_ASSERT_TRUE(good);
	CU_ASSERT_TRUE(graph->last == (node ? node : last));
	diag_free(&diag);
	module_free(module);
}

static void test_infer(void)
{
	bool accepts[OP_COUNT] = {[OP_CONST] = true},
		 refuses[OP_COUNT] = {[OP_CAST] = true}; /* a cast takes anything */
	for (int i = 0; i < COUNT(infer_cases); i++) {
		(wants_type(&infer_cases[i]) ? accepts : refuses)[infer_cases[i].op] = true;
		check_infer(&infer_cases[i]);
	}
	for (int op = 0; op < OP_COUNT; op++)
		CU_ASSERT_TRUE(accepts[op] && refuses[op]);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"every op", test_infer},
	};
	return SUITE_RUN("infer", tests);
}
