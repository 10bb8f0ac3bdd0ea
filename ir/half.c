/* half.c: f16 (IEEE 754 binary16) and bf16 (the upper half of a binary32), and elements of tensors as
 * numbers. Widening is exact; narrowing rounds to nearest, ties to even. NaN stays NaN. Tensor data may lie
 * unaligned in a file, so elements are read with memcpy. Hosts are little-endian,
 * as safetensors files are. */
#include <math.h>
#include <string.h>
#include "ir.h"

static uint32_t float_bits(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static float float_of(uint32_t bits)
{
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Drops the low `shift` bits (1..31), rounded to nearest, ties to even. */
static uint32_t shift_round(uint32_t bits, int shift)
{
	return (bits + (1u << (shift - 1)) - 1 + (bits >> shift & 1)) >> shift;
}

float half_to_float(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
	if (magnitude >= 0x7c00) /* infinity and NaN: exponent 31 becomes 255 */
		return float_of(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
	if (magnitude < 0x0400) { /* zero and subnormals: multiples of 2^-24 */
		float value = (float)magnitude * 0x1p-24f;
		return sign ? -value : value;
	}
	return float_of(sign | ((magnitude << 13) + ((127 - 15) << 23)));
}

uint16_t half_from_float(float value)
{
	uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff, result;
	if (magnitude > 0x7f800000)
		result = 0x7e00 | (magnitude >> 13 & 0x3ff); /* a quiet NaN with the top bits of the payload */
	else if (magnitude >= 0x477ff000)
		result = 0x7c00; /* from 65520 on: rounds up past 65504, the largest half */
	else if (magnitude >= 0x38800000)
		result = shift_round(
			magnitude - ((127 - 15) << 23), 13); /* from 2^-14 on: normal; a carry moves the exponent up */
	else if (magnitude < 0x33000000)
		result = 0; /* below half of the smallest subnormal, 2^-24 */
	else
		result = shift_round((magnitude & 0x7fffff) | 0x800000, 126 - (int)(magnitude >> 23));
	return (uint16_t)(sign | result);
}

float bfloat_to_float(uint16_t bfloat) { return float_of((uint32_t)bfloat << 16); }

uint16_t bfloat_from_float(float value)
{
	uint32_t bits = float_bits(value);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16
			| 0x40); /* set the quiet bit: a NaN with an empty upper half would become infinity */
	return (uint16_t)shift_round(bits, 16);
}

/* Rounds to a binary float with `bits` bits of significand, least exponent `least` (for subnormals) and
 * largest number `largest`. Rounds once, directly from double: a detour over float would round twice. */
static double double_round(double value, int bits, int least, double largest)
{
	if (value == 0 || !isfinite(value))
		return value;
	int exponent = ilogb(value) < least ? least : ilogb(value);
	double rounded = ldexp(rint(ldexp(value, bits - 1 - exponent)), exponent - (bits - 1));
	return fabs(rounded) > largest ? copysign(INFINITY, value) : rounded;
}

static double integer_round(double value, double least, double most)
{
	double rounded = isnan(value) ? 0 : rint(value);
	if (rounded < least)
		return least;
	return rounded > most ? most : rounded;
}

double dtype_round(DType dtype, double value)
{
	switch (dtype) {
	case DT_F32: return double_round(value, 24, -126, 0x1.fffffep127);
	case DT_F16: return double_round(value, 11, -14, 65504);
	case DT_BF16: return double_round(value, 8, -126, 0x1.fep127);
	case DT_I8: return integer_round(value, INT8_MIN, INT8_MAX);
	case DT_U8: return integer_round(value, 0, UINT8_MAX);
	case DT_I32: return integer_round(value, INT32_MIN, INT32_MAX);
	case DT_I64: return integer_round(value, -0x1p63, 0x1.fffffffffffffp62);
	default: return value;
	}
}

#define ELEMENT(type) \
	type element; \
	memcpy(&element, at, sizeof element)

double tensor_at(const Tensor *tensor, int64_t i)
{
	const char *at = (const char *)tensor->data + i * dtype_bytes[tensor->type.dtype];
	switch (tensor->type.dtype) {
	case DT_F32: {
		ELEMENT(float);
		return element;
	}
	case DT_F16: {
		ELEMENT(uint16_t);
		return half_to_float(element);
	}
	case DT_BF16: {
		ELEMENT(uint16_t);
		return bfloat_to_float(element);
	}
	case DT_F64: {
		ELEMENT(double);
		return element;
	}
	case DT_I8: {
		ELEMENT(int8_t);
		return element;
	}
	case DT_U8: {
		ELEMENT(uint8_t);
		return element;
	}
	case DT_I32: {
		ELEMENT(int32_t);
		return element;
	}
	case DT_I64: {
		ELEMENT(int64_t);
		return (double)element;
	}
	default: return 0;
	}
}

void tensor_set(Tensor *tensor, int64_t i, double value)
{
	char *at = (char *)tensor->data + i * dtype_bytes[tensor->type.dtype];
	value = dtype_round(tensor->type.dtype, value);
#define STORE(type, number) \
	do { \
		type element = (type)(number); \
		memcpy(at, &element, sizeof element); \
	} while (0)
	switch (tensor->type.dtype) {
	case DT_F32: STORE(float, value); break;
	case DT_F16: STORE(uint16_t, half_from_float((float)value)); break;
	case DT_BF16: STORE(uint16_t, bfloat_from_float((float)value)); break;
	case DT_F64: STORE(double, value); break;
	case DT_I8: STORE(int8_t, value); break;
	case DT_U8: STORE(uint8_t, value); break;
	case DT_I32: STORE(int32_t, value); break;
	case DT_I64: STORE(int64_t, value); break;
	default: break;
	}
#undef STORE
}

void tensor_floats(const Tensor *tensor, int64_t start, int64_t count, float *out)
{
	const char *from = (const char *)tensor->data + start * dtype_bytes[tensor->type.dtype];
	uint16_t half;
	switch (tensor->type.dtype) {
	case DT_F32:
		if (count > 0)
			memcpy(out, from, (size_t)count * sizeof *out);
		break;
	case DT_F16:
		for (int64_t i = 0; i < count; i++) {
			memcpy(&half, from + 2 * i, sizeof half);
			out[i] = half_to_float(half);
		}
		break;
	case DT_BF16:
		for (int64_t i = 0; i < count; i++) {
			memcpy(&half, from + 2 * i, sizeof half);
			out[i] = bfloat_to_float(half);
		}
		break;
	default:
		for (int64_t i = 0; i < count; i++)
			out[i] = (float)tensor_at(tensor, start + i);
	}
}
