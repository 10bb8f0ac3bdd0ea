/* test_ir.c: memory, messages, types, building and changing graphs, the shape rule of every op (what it accepts and what it
 * says otherwise), and those invariants of the verifier that text cannot break. tests/verify holds the ones that it can. */
#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define S dim_symbol(1)
#define N(number) dim_number(number)

static char *text_of(Diag *diag)
{
	static char text[1 << 16];
	FILE *stream = fmemopen(text, sizeof text, "w");
	diag_print(diag, stream);
	fclose(stream);
	return text;
}

/* ---- memory and messages ------------------------------------------------------------------------------------------- */

static void test_memory(void)
{
	MemArena *mem = mem_new();
	char *last = NULL;
	for (size_t bytes = 0; bytes < 3000; bytes += 7) {
		char *piece = mem_alloc(mem, bytes);
		CU_ASSERT_EQUAL((uintptr_t)piece % 16, 0);
		for (size_t i = 0; i < bytes; i++)
			CU_ASSERT_EQUAL_FATAL(piece[i], 0);
		memset(piece, 0xff, bytes);
		CU_ASSERT_PTR_NOT_EQUAL(piece, last);
		last = bytes ? piece : last;
	}
	char *large = mem_alloc(mem, 10 << 20);
	CU_ASSERT_EQUAL((uintptr_t)large % 64, 0);
	CU_ASSERT_EQUAL(large[0] | large[(10 << 20) - 1], 0);
	CU_ASSERT_STRING_EQUAL(mem_string(mem, "words and more", 5), "words");
	CU_ASSERT_STRING_EQUAL(mem_string(mem, NULL, 0), "");
	CU_ASSERT_STRING_EQUAL(mem_printf(mem, "%s.%d", "layer", 3), "layer.3");
	mem_free(mem);
	mem_free(NULL);
}

static void test_diag(void)
{
	Diag diag;
	diag_init(&diag, "a.bir");
	diag_warn(&diag, 0, "first");
	CU_ASSERT_FALSE(diag_error(&diag, EXIT_UNSUPPORTED, 7, "name %s", "a\nb\x1b\x7f\xc2\x85\xc3\xa9"));
	diag_error_in(&diag, EXIT_INPUT, "b.bir", 2, "second");
	diag_note(&diag, 3, "third");
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(diag.code, EXIT_UNSUPPORTED);
	CU_ASSERT_STRING_EQUAL(text_of(&diag), "a.bir: warning: first\n"
		"a.bir:7: error: name a\\x0ab\\x1b\\x7f\\xc2\\x85\xc3\xa9\n"
		"b.bir:2: error: second\na.bir:3: note: third\n");
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(diag.count, 0);
	diag_free(&diag);
	diag_init(&diag, NULL);
	for (int i = 0; i < 1000; i++)
		diag_error(&diag, EXIT_INPUT, 0, "e%d", i);
	CU_ASSERT_EQUAL(diag.errors, 1000);
	CU_ASSERT_EQUAL(diag.count, DIAG_MESSAGES_MAX);
	char *text = text_of(&diag);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "bertc: error: e199\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "e200"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "800 more errors"));
	char *huge = malloc(1 << 20);
	memset(huge, 'x', (1 << 20) - 1);
	huge[(1 << 20) - 1] = 0;
	diag_error(&diag, EXIT_INPUT, 0, "%s", huge);
	CU_ASSERT_TRUE(strlen(diag.messages[0].text) < 5000);
	free(huge);
	diag_free(&diag);
}

/* ---- types --------------------------------------------------------------------------------------------------------- */

static void test_types(void)
{
	const int64_t symbols[SYMBOLS_MAX] = {0, 5, 3};
	Dim twice = {1, 2, -1};
	CU_ASSERT_EQUAL(dim_at(twice, symbols), 9);
	CU_ASSERT_EQUAL(dim_at(dim_symbol(2), symbols), 3);
	CU_ASSERT_EQUAL(dim_at(N(7), symbols), 7);
	CU_ASSERT_TRUE(dim_at((Dim){1, INT32_MAX, INT64_MAX}, symbols) < 0);
	CU_ASSERT_TRUE(dim_at((Dim){99, 1, 0}, symbols) < 0);
	CU_ASSERT_TRUE(dim_equal((Dim){1, 0, 4}, N(4)));       /* scale 0: a number, whatever the symbol */
	CU_ASSERT_FALSE(dim_equal(S, dim_symbol(2)));
	CU_ASSERT_FALSE(dim_equal(S, (Dim){1, 1, 1}));
	CU_ASSERT_FALSE(dim_equal(S, N(1)));
	CU_ASSERT_FALSE(dim_is_valid(N(0)));
	CU_ASSERT_FALSE(dim_is_valid(N(DIM_MAX + 1)));
	CU_ASSERT_FALSE(dim_is_valid((Dim){SYMBOLS_MAX, 1, 0}));
	CU_ASSERT_FALSE(dim_is_valid((Dim){1, -1, 4}));
	CU_ASSERT_TRUE(dim_is_valid(twice));

	char text[128];
	Type type = type_make(DT_BF16, 4, S, twice, (Dim){3, 1, 12}, N(768));
	CU_ASSERT_STRING_EQUAL(type_print(&type, text), "bf16[S,2S-1,S2+12,768]");
	type = type_make(DT_F32, 0);
	CU_ASSERT_STRING_EQUAL(type_print(&type, text), "f32[]");
	CU_ASSERT_EQUAL(type_count(&type), 1);
	Dim longest = {7, INT32_MAX, INT64_MIN};
	type = type_make(DT_BF16, 4, longest, longest, longest, longest);
	CU_ASSERT_TRUE(strlen(type_print(&type, text)) < 128);
	type = type_make(DT_F32, 2, N(3), N(4));
	CU_ASSERT_EQUAL(type_count(&type), 12);
	CU_ASSERT_TRUE(type_is_number(&type));
	type = type_make(DT_F32, 3, N(DIM_MAX), N(DIM_MAX), N(2));
	CU_ASSERT_EQUAL(type_count(&type), -1);
	type = type_make(DT_F32, 1, N(-3));
	CU_ASSERT_EQUAL(type_count(&type), -1);

	DType dtype;
	CU_ASSERT_TRUE(dtype_parse("bf16,", 4, &dtype) && dtype == DT_BF16);
	CU_ASSERT_FALSE(dtype_parse("f3", 2, &dtype));
	CU_ASSERT_TRUE(dtype_is_float(DT_BF16) && !dtype_is_float(DT_I32));
}

static void test_regions(void)
{
	const struct { Type type; Region region; int64_t bytes; bool rows; } cases[] = {
		{type_make(DT_F32, 2, S, N(384)), REGION_TOKENS, 1536, true},
		{type_make(DT_F32, 3, N(12), S, N(32)), REGION_TOKENS, 1536, false},
		{type_make(DT_I32, 1, S), REGION_TOKENS, 4, true},
		{type_make(DT_F32, 1, N(384)), REGION_TEXTS, 1536, false},
		{type_make(DT_F32, 0), REGION_TEXTS, 4, false},
		{type_make(DT_F32, 3, N(12), S, S), REGION_PAIRS, 48, false},
		{type_make(DT_F32, 3, S, S, S), REGION_NONE, 0, false},
		{type_make(DT_F32, 1, (Dim){1, 2, 0}), REGION_NONE, 0, false},
		{type_make(DT_F32, 1, (Dim){1, 1, 1}), REGION_NONE, 0, false},
		{type_make(DT_F32, 3, S, N(DIM_MAX), N(DIM_MAX)), REGION_NONE, 0, true},
	};
	for (int i = 0; i < COUNT(cases); i++) {
		int64_t bytes = 0;
		CU_ASSERT_EQUAL(type_region(&cases[i].type, &bytes), cases[i].region);
		CU_ASSERT_EQUAL(bytes, cases[i].bytes);
		CU_ASSERT_EQUAL(type_is_rows(&cases[i].type), cases[i].rows);
	}
}

/* ---- the shape rule of every op ------------------------------------------------------------------------------------ */

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
	if (**at == '1')
		dim.symbol = 2, ++*at;
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

typedef struct InferCase { Op op; Attrs attr; const char *args, *want; } InferCase;   /* want: a type, or a message */

#define A1(a, value) {.has = A_##a, .a = value}
#define PACKED(p, w) {.has = A_panel | A_width, .panel = p, .width = w}
#define PERM(...) {.has = A_perm, .perm = {sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}}}
#define SHAPE(n, ...) {.has = A_shape, .shape = {n, {__VA_ARGS__}}}
#define CUT(x, from, to) {.has = A_axis | A_start | A_end, .axis = x, .start = from, .end = to}
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
	{OP_POSITION_IDS, {0}, "i32[S]", "i32[S]"},
	{OP_POSITION_IDS, A1(start, 2), "i32[S]", "i32[S]"},
	{OP_POSITION_IDS, A1(start, -1), "i32[S]", "start is -1"},
	{OP_POSITION_IDS, A1(start, INT64_MAX), "i32[S]", "start is 9223372036854775807"},
	{OP_POSITION_IDS, {0}, "i32[S,2]", "expected rank 1"},
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
	{OP_LINEAR, PACKED(8, 17), "f32[S,4] f16[2,4,8] f32[16]", "%b is f16[2,4,8], expected [3,K,8] for width 17"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,4] f16[2,4,8] f32[11]", "%c is f32[11], expected [16]"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,5] f16[2,4,8]", "the inner sizes differ"},
	{OP_LINEAR, PACKED(8, 11), "f32[S,4] f16[11,4]", "%b is f16[11,4], expected rank 3"},
	{OP_LINEAR, PACKED(0, 11), "f32[S,4] f16[2,4,8]", "panel is 0 and width is 11"},
	{OP_LINEAR, PACKED(INT64_MAX, INT64_MAX), "f32[S,4] f16[2,4,8]", "expected at least 1"},
	{OP_LINEAR, A1(panel, 8), "f32[S,4] f16[2,4,8]", "panel is given without width"},
	{OP_LINEAR, A1(width, 8), "f32[S,4] f16[2,4]", "width is given without panel"},
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
	{OP_RESHAPE, SHAPE(2, SYM(1, 0), NUM(383)), "f32[S,384]", "%a is f32[S,384], which has not as many elements as f32[S,383]"},
	{OP_RESHAPE, SHAPE(2, SYM(1, 0), SYM(1, 0)), "f32[S]", "has not as many elements"},
	{OP_RESHAPE, SHAPE(2, SYM(1, -1), SYM(1, 1)), "f32[S,S]", "has not as many elements"},
	{OP_RESHAPE, SHAPE(1, {2, 1, 0}), "f32[S]", "has not as many elements"},
	{OP_RESHAPE, SHAPE(2, NUM(0), NUM(7)), "f32[S]", "shape has the dim [0]"},
	{OP_RESHAPE, SHAPE(2, NUM(-1), NUM(-6)), "f32[6]", "shape has the dim [-1]"},
	{OP_RESHAPE, SHAPE(4, NUM(DIM_MAX), NUM(DIM_MAX), NUM(1), NUM(1)), "f32[6]", "overflows"},
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
	{OP_POOL, A1(mode, POOL_MEAN), "f32[S,4]", "f32[4]"},
	{OP_POOL, A1(mode, POOL_MEAN), "f32[S]", "expected rank 2"},
	{OP_POOL, A1(mode, POOL_MEAN), "i32[S,4]", "expected floats"},
	{OP_POOL, A1(mode, (Pool)77), "f32[S,4]", "mode is 77"},
	{OP_POOL, {0}, "f32[S,4]", "attribute mode is missing"},
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
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,8] f32[S,16]", "2 arguments, expected qkv"},
	{OP_ATTENTION, ATTEND(NONE, 3), "f32[S,8] f32[S,8] f32[S,8]", "%a is f32[S,8], which cannot be cut into 3 heads"},
	{OP_ATTENTION, ATTEND(QKV, 2), "f32[S,25]", "cannot be cut into 2 heads"},
	{OP_ATTENTION, ATTEND(QKV, 0), "f32[S,24]", "cannot be cut into 0 heads"},
	{OP_ATTENTION, ATTEND(QKV, 1), "f32[S,S]", "cannot be cut"},
	{OP_ATTENTION, ATTEND(QKV, 1), "f32[24]", "expected rank 2"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[S,8] f32[S,8] f32[3,8]", "%c is f32[3,8], expected 8 columns and as many rows as %b has"},
	{OP_ATTENTION, ATTEND(NONE, 2), "f32[S,8] f32[S,9] f32[S,8]", "%b is f32[S,9], expected 8 columns"},
	{OP_ATTENTION, ATTEND(KV, 2), "f32[S,8] f32[S,8]", "%b is f32[S,8], expected 16 columns"},
	{OP_ATTENTION, {.has = A_pack | A_heads | A_scale, .pack = PACK_QKV, .heads = 2, .scale = NAN}, "f32[S,24]", "scale is"},
	{OP_ATTENTION, A1(heads, 2), "f32[S,8] f32[S,8] f32[S,8]", "attribute pack is missing"},
	{OP_ADD_LAYERNORM, A1(eps, 0), "f32[S,4] f32[S,4] f32[4] f32[4]", "f32[S,4]"},
	{OP_ADD_LAYERNORM, A1(eps, 0), "f32[S,4] f32[4] f32[4] f32[4]", "expected the same shape"},
	{OP_ADD_LAYERNORM, A1(eps, 0), "f32[S,4] f32[S,4] f32[3] f32[4]", "%c is f32[3], expected [4]"},
	{OP_ADD_LAYERNORM, A1(eps, -1), "f32[S,4] f32[S,4] f32[4] f32[4]", "eps is -1"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[4] f32[4]", "f32[S,4]"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[2,4] i32[S] f32[7,4] i32[S] f32[4] f32[4]", "f32[S,4]"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[4] f32[4] f32[4]", "5 arguments, expected pairs"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[2,3] i32[S] f32[4] f32[4]", "do not fit the first table"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[2,4] i32[5] f32[4] f32[4]", "do not fit the first table"},
	{OP_EMBED_LAYERNORM, A1(eps, 0), "f16[9,4] i32[S] f32[4] f32[3]", "%d is f32[3], expected [4]"},
	{OP_EMBED_LAYERNORM, A1(eps, -1), "f16[9,4] i32[S] f32[4] f32[4]", "eps is -1"},
};

static void check_infer(const InferCase *test)
{
	static const char *const names[ARGS_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	Module *module = module_new("m");
	Graph *graph = graph_new(module, "main");
	Value *args[ARGS_MAX];
	int nargs = 0;
	Diag diag;
	char text[128];
	diag_init(&diag, NULL);
	for (const char *at = test->args; *at; at += *at == ' ') {
		Type type = read_type(&at);
		args[nargs] = graph_add_input(graph, names[nargs], type);
		nargs++;
	}
	Node *node = graph_insert(graph, NULL, test->op, args, nargs, &test->attr, "layer.0", &diag);
	char *said = node ? type_print(&node->results[0]->type, text) : text_of(&diag);
	bool good = node ? strcmp(said, test->want) == 0 && diag.errors == 0
	                 : strstr(said, test->want) && diag.errors >= 1 && diag.code == EXIT_INPUT && strstr(said, "layer.0: ");
	if (!good)
		printf("\n%s %s: %s\n  wanted %s\n", op_info[test->op].name, test->args, said, test->want);
	CU_ASSERT_TRUE(good);
	CU_ASSERT_TRUE(node ? graph->first == node : graph->first == NULL);
	diag_free(&diag);
	module_free(module);
}

static void test_infer(void)
{
	bool accepts[OP_COUNT] = {[OP_CONST] = true}, refuses[OP_COUNT] = {[OP_CAST] = true};   /* a cast takes anything */
	for (int i = 0; i < COUNT(infer_cases); i++) {
		bool is_type = strchr(infer_cases[i].want, '[') && !strchr(infer_cases[i].want, ' ');
		(is_type ? accepts : refuses)[infer_cases[i].op] = true;
		check_infer(&infer_cases[i]);
	}
	for (int op = 0; op < OP_COUNT; op++)
		CU_ASSERT_TRUE(accepts[op] && refuses[op]);
}

/* ---- graphs -------------------------------------------------------------------------------------------------------- */

/* A module of two nodes: %y = relu(x + x) for x = embed of a constant table. */
static Module *sample(Graph **graph, Node *nodes[4])
{
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_new("sample");
	*graph = graph_new(module, "main");
	Value *ids = graph_add_input(*graph, "ids", type_make(DT_I32, 1, S));
	Tensor *tensor = tensor_new(module, "table", type_make(DT_F16, 2, N(5), N(3)));
	Value *table = graph_const(*graph, NULL, tensor, "embeddings");
	Value *x = graph_emit(*graph, NULL, OP_EMBED, (Value *[]){table, ids}, 2, NULL, "embeddings", &diag);
	Value *sum = graph_emit(*graph, NULL, OP_ADD, (Value *[]){x, x}, 2, NULL, NULL, &diag);
	Value *y = graph_emit(*graph, NULL, OP_RELU, &sum, 1, NULL, NULL, &diag);
	graph_add_output(*graph, "hidden", y);
	nodes[0] = table->node, nodes[1] = x->node, nodes[2] = sum->node, nodes[3] = y->node;
	CU_ASSERT_EQUAL(diag.errors, 0);
	diag_free(&diag);
	return module;
}

static void test_graph_edits(void)
{
	Graph *graph;
	Node *nodes[4];
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = sample(&graph, nodes);
	Value *x = nodes[1]->results[0], *sum = nodes[2]->results[0];
	double number;
	CU_ASSERT_EQUAL(value_uses(graph, x), 2);
	CU_ASSERT_PTR_NULL(value_only_user(graph, x));
	CU_ASSERT_PTR_EQUAL(value_only_user(graph, sum), nodes[3]);
	CU_ASSERT_PTR_NULL(value_only_user(graph, nodes[3]->results[0]));      /* an output reads it */
	CU_ASSERT_EQUAL(value_uses(graph, nodes[3]->results[0]), 1);
	CU_ASSERT_TRUE(value_is_const(nodes[0]->results[0]) && !value_is_const(x) && !value_is_const(graph->inputs[0]));
	CU_ASSERT_PTR_NOT_NULL(value_tensor(nodes[0]->results[0]));
	CU_ASSERT_FALSE(value_is_scalar(nodes[0]->results[0], &number));
	Tensor *half = tensor_new(module, "", type_make(DT_F16, 1, N(1)));
	tensor_set(half, 0, 0.5);
	Value *constant = graph_const(graph, graph->first, half, NULL);
	CU_ASSERT_TRUE(value_is_scalar(constant, &number) && number == 0.5);
	CU_ASSERT_PTR_EQUAL(graph->first, constant->node);
	graph_erase(graph, constant->node);
	CU_ASSERT_PTR_EQUAL(graph->first, nodes[0]);
	Value *tanh = graph_emit(graph, nodes[3], OP_TANH, &sum, 1, NULL, NULL, &diag);
	CU_ASSERT_PTR_EQUAL(nodes[2]->next, tanh->node);
	CU_ASSERT_PTR_EQUAL(nodes[3]->prev, tanh->node);
	graph_replace_uses(graph, nodes[3]->results[0], tanh);
	CU_ASSERT_PTR_EQUAL(graph->outputs[0].value, tanh);
	graph_erase(graph, nodes[3]);
	CU_ASSERT_PTR_EQUAL(graph->last, tanh->node);
	graph_replace_uses(graph, x, tanh);
	CU_ASSERT_PTR_EQUAL(nodes[2]->args[0], tanh);
	graph_replace_uses(graph, tanh, x);
	CU_ASSERT_EQUAL(tanh->id, 6);                        /* ids are never used twice: 5 was the erased constant */
	Value *tooMany[ARGS_MAX + 1] = {0};
	CU_ASSERT_PTR_NULL(graph_insert(graph, NULL, OP_CONCAT, tooMany, ARGS_MAX + 1, NULL, NULL, &diag));
	CU_ASSERT_EQUAL(diag.errors, 1);
	diag_free(&diag);
	module_free(module);
	module_free(NULL);
}

static void test_module_copy(void)
{
	static const char *labels[] = {"a", "b"};
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	nodes[3]->results[0]->name = "y";
	nodes[2]->line = 12;
	for (int i = 0; i < 9; i++)
		*module_add_head(module, "embed") = (Head){.name = mem_printf(module->mem, "head%d", i), .output = "hidden", .task = TASK_TAG,
			.nlabels = 2, .labels = labels};
	module_set_meta(module, "source", "one");
	module_set_meta(module, "source", "two");
	module->max_tokens = 77;
	graph->level = LEVEL_FUSED;
	Module *copy = module_copy(module);
	Graph *twin = copy->graphs[0];
	CU_ASSERT_STRING_EQUAL(copy->name, "sample");
	CU_ASSERT_EQUAL(copy->max_tokens, 77);
	CU_ASSERT_EQUAL(copy->nmeta, 1);
	CU_ASSERT_STRING_EQUAL(copy->meta[0].value, "two");
	CU_ASSERT_EQUAL(copy->nheads, 9);
	CU_ASSERT_STRING_EQUAL(copy->heads[8].name, "head8");
	CU_ASSERT_STRING_EQUAL(copy->heads[8].labels[1], "b");
	CU_ASSERT_EQUAL(twin->level, LEVEL_FUSED);
	CU_ASSERT_EQUAL(twin->next_id, graph->next_id);
	CU_ASSERT_PTR_EQUAL(twin->outputs[0].value, twin->last->results[0]);
	CU_ASSERT_STRING_EQUAL(twin->last->results[0]->name, "y");
	CU_ASSERT_EQUAL(twin->last->results[0]->id, nodes[3]->results[0]->id);
	CU_ASSERT_EQUAL(twin->last->prev->line, 12);
	CU_ASSERT_PTR_EQUAL(twin->last->args[0], twin->last->prev->results[0]);
	CU_ASSERT_PTR_EQUAL(twin->first->data, nodes[0]->data);
	CU_ASSERT_STRING_EQUAL(twin->first->origin, "embeddings");
	CU_ASSERT_PTR_NOT_EQUAL(twin->first, nodes[0]);
	module_free(copy);
	module_free(module);
}

static void test_names(void)
{
	char text[264];
	CU_ASSERT_TRUE(name_is_valid("a") && name_is_valid("_x.1-b") && name_is_valid("fill-mask"));
	CU_ASSERT_FALSE(name_is_valid("") || name_is_valid(NULL) || name_is_valid("1a") || name_is_valid("a b") || name_is_valid("a\n"));
	CU_ASSERT_FALSE(name_is_valid("\xc3\xa9") || name_is_valid("a*/"));
	char longest[300];
	memset(longest, 'a', sizeof longest);
	longest[255] = 0;
	CU_ASSERT_TRUE(name_is_valid(longest));
	longest[255] = 'a', longest[256] = 0;
	CU_ASSERT_FALSE(name_is_valid(longest));
	CU_ASSERT_STRING_EQUAL(value_print(&(Value){.id = 12}, text), "%12");
	CU_ASSERT_STRING_EQUAL(value_print(&(Value){.name = "x"}, text), "%x");
}

/* ---- what the verifier says about graphs that text cannot spell ---------------------------------------------------- */

static void expect_error(const Module *module, const char *want)
{
	Diag diag;
	diag_init(&diag, NULL);
	bool good = module_verify(module, &diag);
	int errors = diag.errors;
	const char *said = text_of(&diag);
	if (want ? !strstr(said, want) : errors > 0)
		printf("\nverify said: %s  wanted %s\n", said, want ? want : "nothing");
	CU_ASSERT_EQUAL(good, want == NULL);
	CU_ASSERT_EQUAL(errors > 0, want != NULL);
	CU_ASSERT_TRUE(!want || strstr(said, want));
	diag_free(&diag);
}

static void test_verify_lists(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	expect_error(module, NULL);

	nodes[2]->prev = nodes[0];
	expect_error(module, "the list of nodes is broken at add");
	nodes[2]->prev = nodes[1];
	graph->last = nodes[1];
	expect_error(module, "does not end at its last");
	graph->last = nodes[3];
	nodes[3]->next = nodes[3];
	expect_error(module, "the list of nodes is broken at relu");
	nodes[3]->next = NULL;
	nodes[2]->op = (Op)1000;
	expect_error(module, "a node has op 1000");
	nodes[2]->op = OP_ADD;
	nodes[2]->nargs = 17;
	expect_error(module, "17 arguments");
	nodes[2]->nargs = 2;
	nodes[2]->nresults = 0;
	expect_error(module, "0 results");
	nodes[2]->nresults = 1;
	expect_error(module, NULL);
	module_free(module);
}

static void test_verify_values(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	Value *x = nodes[1]->results[0], *sum = nodes[2]->results[0], *y = nodes[3]->results[0], stray = *x;

	nodes[2]->args[1] = &stray;
	expect_error(module, "argument %2 is not made before it is used");
	nodes[2]->args[1] = y;
	expect_error(module, "argument %4 is not made before it is used");
	nodes[2]->args[1] = sum;
	expect_error(module, "argument %3 is not made before it is used");
	nodes[2]->args[1] = NULL;
	expect_error(module, "argument 1 is missing");
	nodes[2]->args[1] = x;
	nodes[2]->results[0] = x;
	expect_error(module, "%2 is made twice");
	nodes[2]->results[0] = NULL;
	expect_error(module, "result 0 of add is missing");
	nodes[2]->results[0] = sum;
	sum->node = nodes[3];
	expect_error(module, "%3 does not belong to the node that makes it");
	sum->node = nodes[2];
	sum->index = 1;
	expect_error(module, "%3 does not belong");
	sum->index = 0;
	sum->id = x->id;
	expect_error(module, "two values have the id 2");
	sum->id = graph->next_id;
	expect_error(module, "%5 has id 5, ids must be below 5");
	sum->id = 3;
	sum->name = "ids";
	expect_error(module, "two values are called %ids");
	sum->name = "a b";
	expect_error(module, "\"a b\" is no valid name");
	sum->name = NULL;
	sum->type.rank = 9;
	expect_error(module, "no valid type (rank 9)");
	sum->type.rank = 2;
	sum->type.dim[1].plus = -4;
	expect_error(module, "%3 is f32[S,-4], but dims are numbers");
	sum->type.dim[1].plus = 3;
	sum->type.dim[0].symbol = 2;
	expect_error(module, "%3 is f32[S1,3], but dims are");
	sum->type.dim[0].symbol = 1;
	sum->type.dtype = (DType)50;
	expect_error(module, "no valid type");
	sum->type.dtype = DT_F16;
	expect_error(module, "%3 is declared f16[S,3], but the op makes f32[S,3]");
	sum->type.dtype = DT_F32;
	expect_error(module, NULL);
	graph->outputs[0].value = &stray;
	expect_error(module, "output hidden is no value of this graph");
	graph->outputs[0].value = NULL;
	expect_error(module, "output hidden is no value of this graph");
	graph->outputs[0].value = y;
	graph->outputs[0].name = "a b";
	expect_error(module, "output 0 has no valid name");
	graph->outputs[0].name = NULL;
	expect_error(module, "output 0 has no valid name");
	module_free(module);
}

static void test_verify_data(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	Tensor *tensor = (Tensor *)nodes[0]->data;

	tensor->bytes = 31;
	expect_error(module, "tensor table is f16[5,3] but has 31 bytes");
	tensor->bytes = 30;
	tensor->type.dim[0] = S;
	expect_error(module, "tensor table has dims that are not numbers");
	tensor->type.dim[0] = N(0);
	expect_error(module, "tensor table has dims that are not numbers");
	tensor->type.dim[0] = N(DIM_MAX);
	tensor->type.dim[1] = N(DIM_MAX);
	expect_error(module, "but has 30 bytes");
	tensor->type = type_make(DT_F16, 2, N(5), N(3));
	nodes[0]->data = NULL;
	expect_error(module, "has no data");
	nodes[0]->data = tensor;
	nodes[2]->data = tensor;
	expect_error(module, "has data, which is for const only");
	nodes[2]->data = NULL;
	const void *data = tensor->data;
	tensor->data = NULL;
	expect_error(module, "tensor table is");
	tensor->data = data;
	expect_error(module, NULL);
	module_free(module);
}

static void test_verify_module(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);

	module->name = "a b";
	expect_error(module, "module name \"a b\" is no valid name");
	module->name = "m";
	module->weights = "../x";
	expect_error(module, "weights \"../x\" is not a plain file name");
	module->weights = NULL;
	module->tokenizer = "..";
	expect_error(module, "tokenizer \"..\" is not a plain file name");
	module->tokenizer = NULL;
	module->max_tokens = -1;
	expect_error(module, "max_tokens is -1");
	module->max_tokens = 0;
	module->ngraphs = 0;
	expect_error(module, "0 graphs");
	module->ngraphs = 1;
	graph->level = (Level)3;
	expect_error(module, "has no valid level (3)");
	graph->level = LEVEL_GRAPH;
	Head *head = module_add_head(module, "embed");
	expect_error(module, "head @embed: no valid task, problem, output");
	*head = (Head){.name = "tags", .task = (Task)40, .output = "hidden"};
	expect_error(module, "head @tags: no valid task");
	*head = (Head){.name = "tags", .task = TASK_TAG, .output = "hidden", .nlabels = 3, .labels = (const char *[]){"a", NULL, "c"}};
	expect_error(module, "label 1 is longer");
	head->labels[1] = "b";
	expect_error(module, NULL);
	CU_ASSERT_TRUE(graph_new(module, "main") != NULL);
	expect_error(module, "two graphs are called @main");
	module->ngraphs = 1;
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE(graph_verify_level(graph, LEVEL_FUSED, &diag));
	graph->level = LEVEL_FUSED;
	CU_ASSERT_FALSE(graph_verify_level(graph, LEVEL_GRAPH, &diag));
	diag_free(&diag);
	module_free(module);
}

int main(void)
{
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("ir", NULL, NULL);
	CU_add_test(suite, "memory", test_memory);
	CU_add_test(suite, "messages", test_diag);
	CU_add_test(suite, "types", test_types);
	CU_add_test(suite, "regions of the arena", test_regions);
	CU_add_test(suite, "infer of every op", test_infer);
	CU_add_test(suite, "editing graphs", test_graph_edits);
	CU_add_test(suite, "copying modules", test_module_copy);
	CU_add_test(suite, "names", test_names);
	CU_add_test(suite, "verify: lists", test_verify_lists);
	CU_add_test(suite, "verify: values", test_verify_values);
	CU_add_test(suite, "verify: data", test_verify_data);
	CU_add_test(suite, "verify: modules", test_verify_module);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
