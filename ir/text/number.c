/* number.c: reads and writes single numbers of .bir text. parse_const.c and print.c handle whole
 * constants. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "text.h"

static bool int_store(void *at, DType dtype, Number number)
{
	static const struct {
		int64_t least, most;
	} range[DT_COUNT] = {
		[DT_I8] = {INT8_MIN, INT8_MAX},
		[DT_U8] = {0, UINT8_MAX},
		[DT_I32] = {INT32_MIN, INT32_MAX},
		[DT_I64] = {INT64_MIN, INT64_MAX},
	};
	if (!number.is_int || number.i < range[dtype].least || number.i > range[dtype].most)
		return false;
	int32_t word = (int32_t)number.i;
	uint8_t byte = (uint8_t)number.i; /* two's complement, so also correct for i8 */
	switch (dtype) {
	case DT_I32: memcpy(at, &word, sizeof word); return true;
	case DT_I64: memcpy(at, &number.i, sizeof number.i); return true;
	default: memcpy(at, &byte, sizeof byte); return true;
	}
}

bool element_store(void *data, DType dtype, int64_t i, Number number)
{
	void *at = (char *)data + i * dtype_bytes[dtype];
	if (!dtype_is_float(dtype))
		return int_store(at, dtype, number);
	double value = number.d;
	float single = (float)value;
	uint16_t half = dtype == DT_F16 ? half_from_float(single) : bfloat_from_float(single);
	switch (dtype) {
	case DT_F64: memcpy(at, &value, sizeof value); break;
	case DT_F32: memcpy(at, &single, sizeof single); break;
	default: memcpy(at, &half, sizeof half); break;
	}
	return true;
}

void real_text(double value, char text[NUMBER_BYTES_MAX])
{
	if (isnan(value)) {
		strcpy(text, "nan"); /* sign and payload are not kept */
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, NUMBER_BYTES_MAX, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			return;
	}
}

void element_text(const void *data, DType dtype, int64_t i, char text[NUMBER_BYTES_MAX])
{
	Tensor tensor = {.type = {.dtype = dtype}, .data = data};
	if (dtype == DT_I64) {
		int64_t word;
		memcpy(&word, (const char *)data + i * 8, sizeof word);
		snprintf(text, NUMBER_BYTES_MAX, "%lld", (long long)word);
		return;
	}
	double value = tensor_at(&tensor, i);
	if (dtype == DT_F64 || isnan(value)) {
		real_text(value, text);
		return;
	}
	if (fabs(value) < 1e6 && value == floor(value)) { /* "30", where the loop below would make "3e+01" */
		snprintf(text, NUMBER_BYTES_MAX, "%.0f", value);
		return;
	}
	/* Enough digits: 9 for f32 and shorter floats, which widen to f32; 10 for i32. */
	for (int digits = dtype_is_float(dtype) ? 1 : 10; digits <= 10; digits++) {
		unsigned char again[8] = {0};
		snprintf(text, NUMBER_BYTES_MAX, "%.*g", digits, value);
		Number number = {.is_int = !dtype_is_float(dtype), .d = strtod(text, NULL)};
		number.i = number.is_int ? (int64_t)value : 0;
		element_store(again, dtype, 0, number);
		if (memcmp(again, (const char *)data + i * dtype_bytes[dtype], (size_t)dtype_bytes[dtype]) == 0)
			return;
	}
}

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014), as a function
 * of the index, so that any element can be computed alone. The top 24 bits give a multiple of 2^-23, which is
 * exact in f32. */
double random_at(uint64_t seed, uint64_t i)
{
	uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	z ^= z >> 31;
	return (double)(z >> 40) * 0x1p-23 - 1;
}
