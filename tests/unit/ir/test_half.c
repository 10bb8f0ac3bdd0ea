/* test_half.c: compares f16 and bf16 with their definition for every value, and reads elements of tensors of
 * every type. */
#include "tests/unit/suite.h"
#include <math.h>
#include <string.h>
#include "ir/ir.h"

/* IEEE 754 binary16, straight from the definition. */
static double half_definition(unsigned half)
{
	double sign = half & 0x8000 ? -1 : 1;
	int exponent = half >> 10 & 31, mantissa = half & 0x3ff;
	if (exponent == 31)
		return mantissa ? NAN : sign * INFINITY;
	return exponent == 0 ? sign * ldexp(mantissa, -24) : sign * ldexp(1024 + mantissa, exponent - 25);
}

static bool same(double a, double b)
{
	return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

static void test_half_all(void)
{
	int wrong = 0;
	for (unsigned h = 0; h < 65536; h++) {
		float wide = half_to_float((uint16_t)h);
		wrong += !same(wide, half_definition(h));
		if (!isnan(wide))
			wrong += half_from_float(wide) != h;
		else
			wrong += !isnan(half_to_float(half_from_float(wide)))
				|| (half_from_float(wide) & 0x8000) != (h & 0x8000);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Between two neighbours, the midpoint rounds to the even one, and numbers just beside it to the nearer one.
 * Above the largest finite number, rounding works as if 65536 were a half; it gives infinity. */
static void test_half_rounding(void)
{
	int wrong = 0;
	for (unsigned h = 0; h < 0x7c00; h++) {
		double below = half_definition(h), above = h + 1 == 0x7c00 ? 65536 : half_definition(h + 1);
		float middle = (float)((below + above) / 2);
		unsigned even = h % 2 == 0 ? h : h + 1;
		wrong += half_from_float(middle) != even;
		wrong += half_from_float(nextafterf(middle, 0)) != h;
		wrong += half_from_float(nextafterf(middle, INFINITY)) != h + 1;
		wrong += half_from_float(-middle) != (even | 0x8000);
		wrong += !same(dtype_round(DT_F16, (below + above) / 2), half_definition(even));
		wrong += !same(dtype_round(DT_F16, nextafter((below + above) / 2, 0)), below);
		wrong += !same(dtype_round(DT_F16, nextafter((below + above) / 2, INFINITY)), half_definition(h + 1));
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(half_from_float(1e30f), 0x7c00);
	CU_ASSERT_EQUAL(half_from_float(-INFINITY), 0xfc00);
	CU_ASSERT_EQUAL(half_from_float(0x1p-149f), 0);
	CU_ASSERT_EQUAL(half_from_float(-0.0f), 0x8000);
	CU_ASSERT_TRUE(isnan(half_to_float(half_from_float(NAN))));
}

static void test_bfloat_all(void)
{
	int wrong = 0;
	for (unsigned b = 0; b < 65536; b++) {
		float wide = bfloat_to_float((uint16_t)b);
		uint32_t bits;
		memcpy(&bits, &wide, sizeof bits);
		wrong += bits != b << 16;
		if (!isnan(wide))
			wrong += bfloat_from_float(wide) != b;
		else
			wrong += !isnan(bfloat_to_float(bfloat_from_float(wide)));
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void test_bfloat_rounding(void)
{
	int wrong = 0;
	for (unsigned b = 0; b < 0x7f80; b++) {
		double below = bfloat_to_float((uint16_t)b),
			   above = b + 1 == 0x7f80 ? 0x1p128 : bfloat_to_float((uint16_t)(b + 1));
		float middle = (float)((below + above) / 2);
		unsigned even = b % 2 == 0 ? b : b + 1;
		wrong += bfloat_from_float(middle) != even;
		wrong += bfloat_from_float(nextafterf(middle, 0)) != b;
		wrong += bfloat_from_float(nextafterf(middle, INFINITY)) != b + 1;
		wrong += !same(dtype_round(DT_BF16, (below + above) / 2), bfloat_to_float((uint16_t)even));
		wrong += !same(dtype_round(DT_BF16, nextafter((below + above) / 2, 0)), below);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	uint32_t bits = 0x7f800001; /* a NaN whose upper half alone would be infinity */
	float nan;
	memcpy(&nan, &bits, sizeof nan);
	CU_ASSERT_TRUE(isnan(bfloat_to_float(bfloat_from_float(nan))));
}

/* One rounding, not two: just above the middle of two halves,
 * but rounding to float first would land on it. */
static void test_rounds_once(void)
{
	double value = 1 + 0x1p-11 + 0x1p-40;
	CU_ASSERT_EQUAL(dtype_round(DT_F16, value), 1 + 0x1p-10);
	CU_ASSERT_EQUAL(half_to_float(half_from_float((float)value)), 1);
	CU_ASSERT_EQUAL(dtype_round(DT_BF16, 1 + 0x1p-8 + 0x1p-50), 1 + 0x1p-7);
	CU_ASSERT_EQUAL(dtype_round(DT_F32, 0.1), 0.1f);
	CU_ASSERT_EQUAL(dtype_round(DT_F32, 1e300), INFINITY);
	CU_ASSERT_EQUAL(dtype_round(DT_F32, 0x1.8p-149), 0x1p-148);
	CU_ASSERT_EQUAL(dtype_round(DT_F64, 0.1), 0.1);
	CU_ASSERT_EQUAL(dtype_round(DT_I8, 2.5), 2);
	CU_ASSERT_EQUAL(dtype_round(DT_I8, 3.5), 4);
	CU_ASSERT_EQUAL(dtype_round(DT_I8, -1000), -128);
	CU_ASSERT_EQUAL(dtype_round(DT_U8, 1000), 255);
	CU_ASSERT_EQUAL(dtype_round(DT_I32, 1e20), INT32_MAX);
	CU_ASSERT_EQUAL(dtype_round(DT_I32, NAN), 0);
	CU_ASSERT_EQUAL(dtype_round(DT_I64, -INFINITY), -0x1p63);
}

static void test_elements(void)
{
	static const double numbers[] = {0, 1, -2, 100, 127.25, -0.5};
	Module *module = module_new("m");
	for (int dtype = 0; dtype < DT_COUNT; dtype++) {
		Tensor *tensor = tensor_new(module, "t", type_make((DType)dtype, 1, dim_number(6)));
		float floats[6];
		CU_ASSERT_EQUAL(tensor->bytes, 6 * dtype_bytes[dtype]);
		for (int i = 0; i < 6; i++) {
			CU_ASSERT_EQUAL(tensor_at(tensor, i), 0);
			tensor_set(tensor, i, numbers[i]);
		}
		for (int i = 0; i < 6; i++)
			CU_ASSERT_EQUAL(tensor_at(tensor, i), dtype_round((DType)dtype, numbers[i]));
		tensor_floats(tensor, 1, 5, floats);
		for (int i = 0; i < 5; i++)
			CU_ASSERT_EQUAL(floats[i], (float)dtype_round((DType)dtype, numbers[i + 1]));
	}
	module_free(module);
}

/* A checkpoint's header may be of any length, so its tensors may lie anywhere. */
static void test_unaligned(void)
{
	static const float numbers[2] = {1.5f, -2};
	char bytes[16];
	memcpy(bytes + 1, numbers, sizeof numbers);
	Tensor tensor = {.name = "t", .type = type_make(DT_F32, 1, dim_number(2)), .data = bytes + 1, .bytes = 8};
	float floats[2];
	tensor_floats(&tensor, 0, 2, floats);
	CU_ASSERT_EQUAL(floats[1], -2);
	CU_ASSERT_EQUAL(tensor_at(&tensor, 0), 1.5);
	tensor_set(&tensor, 0, 0.25);
	CU_ASSERT_EQUAL(tensor_at(&tensor, 0), 0.25);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"every f16", test_half_all},
		{"f16 rounding", test_half_rounding},
		{"every bf16", test_bfloat_all},
		{"bf16 rounding", test_bfloat_rounding},
		{"one rounding", test_rounds_once},
		{"elements of tensors", test_elements},
		{"unaligned data", test_unaligned},
	};
	return SUITE_RUN("half", tests);
}
