/* type.c: element types, dimensions, tensor types, and the region of the arena that a type belongs to. */
#include <stdarg.h>
#include <string.h>
#include "ir.h"

const char *const dtype_names[DT_COUNT] = {
#define DTYPE(NAME, text, ...) [DT_##NAME] = text,
#include "dtypes.def"
#undef DTYPE
};
const int32_t dtype_bytes[DT_COUNT] = {
#define DTYPE(NAME, text, stored, bytes, is_float) [DT_##NAME] = bytes,
#include "dtypes.def"
#undef DTYPE
};
static const bool dtype_floats[DT_COUNT] = {
#define DTYPE(NAME, text, stored, bytes, is_float) [DT_##NAME] = is_float,
#include "dtypes.def"
#undef DTYPE
};

bool dtype_is_float(DType dtype) { return dtype_floats[dtype]; }

bool dtype_parse(const char *text, size_t bytes, DType *dtype)
{
	for (int i = 0; i < DT_COUNT; i++)
		if (strlen(dtype_names[i]) == bytes && memcmp(dtype_names[i], text, bytes) == 0) {
			*dtype = (DType)i;
			return true;
		}
	return false;
}

/* ---- dimensions ------------------------------------------------------------------------------ */

Dim dim_number(int64_t number) { return (Dim){0, 0, number}; }

Dim dim_symbol(int32_t symbol) { return (Dim){symbol, 1, 0}; }

bool dim_is_number(Dim dim) { return dim.symbol == 0 || dim.scale == 0; }

bool dim_equal(Dim a, Dim b)
{
	if (dim_is_number(a) || dim_is_number(b))
		return dim_is_number(a) && dim_is_number(b) && a.plus == b.plus;
	return a.symbol == b.symbol && a.scale == b.scale && a.plus == b.plus;
}

bool dim_is_valid(Dim dim)
{
	if (dim_is_number(dim))
		return dim.plus >= 1 && dim.plus <= DIM_MAX;
	return dim.symbol >= 1 && dim.symbol < SYMBOLS_MAX && dim.scale >= 1 && dim.plus >= -DIM_MAX
		&& dim.plus <= DIM_MAX;
}

/* -1 when the result would not fit: every caller treats a negative size as an error anyway. */
int64_t dim_at(Dim dim, const int64_t symbols[SYMBOLS_MAX])
{
	if (dim_is_number(dim))
		return dim.plus;
	int64_t size;
	if (dim.symbol < 0 || dim.symbol >= SYMBOLS_MAX
		|| __builtin_mul_overflow((int64_t)dim.scale, symbols[dim.symbol], &size)
		|| __builtin_add_overflow(size, dim.plus, &size))
		return -1;
	return size;
}

/* ---- types ----------------------------------------------------------------------------------- */

Type type_make(DType dtype, int32_t rank, ...)
{
	Type type = {.dtype = dtype, .rank = rank};
	va_list dims;
	va_start(dims, rank);
	for (int i = 0; i < rank && i < RANK_MAX; i++)
		type.dim[i] = va_arg(dims, Dim);
	va_end(dims);
	return type;
}

bool type_equal(const Type *a, const Type *b)
{
	if (a->dtype != b->dtype || a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (!dim_equal(a->dim[i], b->dim[i]))
			return false;
	return true;
}

bool type_is_number(const Type *type)
{
	for (int i = 0; i < type->rank; i++)
		if (!dim_is_number(type->dim[i]))
			return false;
	return true;
}

int64_t type_count(const Type *type)
{
	int64_t count = 1;
	for (int i = 0; i < type->rank; i++)
		if (type->dim[i].plus < 0 || __builtin_mul_overflow(count, type->dim[i].plus, &count))
			return -1;
	return count;
}

/* S1 to S7 are at most S, so space for S tokens is enough. */
static bool dim_is_tokens(Dim dim) { return dim.symbol >= 1 && dim.scale == 1 && dim.plus == 0; }

bool type_is_rows(const Type *type)
{
	if (type->rank < 1 || !dim_is_tokens(type->dim[0]))
		return false;
	for (int i = 1; i < type->rank; i++)
		if (!dim_is_number(type->dim[i]))
			return false;
	return true;
}

int32_t type_rows(const Type *type) { return type_is_rows(type) ? type->dim[0].symbol : 0; }

Region type_region(const Type *type, int64_t *unit_bytes)
{
	int factors = 0;
	int64_t bytes = dtype_bytes[type->dtype];
	for (int i = 0; i < type->rank; i++) {
		Dim dim = type->dim[i];
		if (dim_is_tokens(dim))
			factors++;
		else if (!dim_is_number(dim) || dim.plus < 0 || __builtin_mul_overflow(bytes, dim.plus, &bytes))
			return REGION_NONE;
	}
	if (factors > 2 || bytes > TENSOR_BYTES_MAX)
		return REGION_NONE;
	*unit_bytes = bytes;
	static const Region regions[] = {REGION_TEXTS, REGION_TOKENS, REGION_PAIRS};
	return regions[factors];
}

static int dim_print(char *text, size_t room, Dim dim)
{
	if (dim_is_number(dim))
		return snprintf(text, room, "%lld", (long long)dim.plus);
	char scale[16] = "", symbol[16] = "S", plus[32] = "";
	if (dim.scale != 1)
		snprintf(scale, sizeof scale, "%d", dim.scale);
	if (dim.symbol != 1)
		snprintf(symbol, sizeof symbol, "S%d", dim.symbol - 1);
	if (dim.plus != 0)
		snprintf(plus, sizeof plus, "%+lld", (long long)dim.plus);
	return snprintf(text, room, "%s%s%s", scale, symbol, plus);
}

char *type_print(const Type *type, char text[128])
{
	const size_t room = 128;
	size_t at = (size_t)snprintf(text, room, "%s[", dtype_names[type->dtype]);
	for (int i = 0; i < type->rank && at < room; i++) {
		if (i > 0)
			at += (size_t)snprintf(text + at, room - at, ",");
		if (at < room)
			at += (size_t)dim_print(text + at, room - at, type->dim[i]);
	}
	if (at < room)
		snprintf(text + at, room - at, "]");
	return text;
}
