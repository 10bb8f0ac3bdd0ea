/* safetensors.c: reads checkpoints. A .safetensors file has 8 bytes of header length (little-endian), a JSON
 * header of that length, and the data of all tensors: https://github.com/huggingface/safetensors#format. The
 * whole header is checked before use: tensors_safetensors guarantees each tensor's type, place and size.
 * safetensors_write.c writes such files. The loader reads the index of sharded checkpoints. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "tensor_file.h"

/* BERT-large's header has 60 KB. The JSON tree in memory takes about ten times as much as the text. */
enum { HEADER_BYTES_MAX = 32 << 20, LENGTH_BYTES = 8 };

/* The state of reading one file. */
typedef struct Reader {
	TensorFile *file;
	Diag *diag;
	const char *data; /* the first byte after the header */
	int64_t data_bytes;
} Reader;

/* A tensor and its place in the data, to check the layout. */
typedef struct Extent {
	int64_t begin, end;
	const char *name;
} Extent;

#define READER_ERROR(reader, ...) TENSOR_FILE_ERROR((reader)->file, (reader)->diag, __VA_ARGS__)

/* ---- one tensor's entry ---------------------------------------------------------------------- */
static bool dtype_of(const char *text, DType *dtype)
{
	static const char *const stored[DT_COUNT] = {
#define DTYPE(NAME, text, name, ...) [DT_##NAME] = name,
#include "dtypes.def"
#undef DTYPE
	};
	for (int i = 0; i < DT_COUNT; i++)
		if (strcmp(stored[i], text) == 0) {
			*dtype = (DType)i;
			return true;
		}
	return false;
}

#define DTYPE(NAME, text, name, ...) " " name
static const char dtype_list[] =
#include "dtypes.def"
	;
#undef DTYPE

static bool read_dtype(Reader *reader, const char *name, const json_t *json, Type *type)
{
	if (!json_is_string(json))
		return READER_ERROR(reader, "tensor '%s': no dtype, expected one of%s", name, dtype_list);
	if (!dtype_of(json_string_value(json), &type->dtype))
		return READER_ERROR(reader, "tensor '%s': dtype '%s' is unknown, expected one of%s", name,
			json_string_value(json), dtype_list);
	return true;
}

/* Also sets *bytes, without overflow. */
static bool read_shape(Reader *reader, const char *name, const json_t *json, Type *type, int64_t *bytes)
{
	if (!json_is_array(json))
		return READER_ERROR(reader, "tensor '%s': no shape, expected a list of sizes", name);
	if (json_array_size(json) > RANK_MAX)
		return READER_ERROR(reader, "tensor '%s': shape has %zu dimensions, expected at most %d", name,
			json_array_size(json), RANK_MAX);
	type->rank = (int32_t)json_array_size(json);
	*bytes = dtype_bytes[type->dtype];
	for (int32_t i = 0; i < type->rank; i++) {
		const json_t *size = json_array_get(json, (size_t)i);
		if (!json_is_integer(size) || json_integer_value(size) < 0) {
			char *found = json_dumps(size, JSON_ENCODE_ANY);
			READER_ERROR(reader, "tensor '%s': dimension %d of the shape is %s, expected a whole number >= 0",
				name, i, found);
			free(found);
			return false;
		}
		int64_t number = json_integer_value(size);
		type->dim[i] = dim_number(number);
		if (number > DIM_MAX || __builtin_mul_overflow(*bytes, number, bytes) || *bytes > TENSOR_BYTES_MAX)
			return READER_ERROR(reader,
				"tensor '%s': dimension %d of the shape is %lld: the tensor exceeds the limit of %lld "
				"bytes",
				name, i, (long long)number, (long long)TENSOR_BYTES_MAX);
	}
	return true;
}

static bool read_offsets(Reader *reader, const char *name, const json_t *json, Extent *extent)
{
	const json_t *begin = json_array_get(json, 0), *end = json_array_get(json, 1);
	if (json_array_size(json) != 2 || !json_is_integer(begin) || !json_is_integer(end))
		return READER_ERROR(reader, "tensor '%s': no data_offsets, expected [begin, end]", name);
	*extent = (Extent){json_integer_value(begin), json_integer_value(end), name};
	if (extent->begin < 0 || extent->begin > extent->end || extent->end > reader->data_bytes)
		return READER_ERROR(reader,
			"tensor '%s': data_offsets [%lld, %lld], expected 0 <= begin <= end <= %lld, the bytes after the "
			"header",
			name, (long long)extent->begin, (long long)extent->end, (long long)reader->data_bytes);
	return true;
}

static bool check_keys(Reader *reader, const char *name, const json_t *json)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)json, key, value)
	{
		const bool known = strcmp(key, "dtype") == 0 || strcmp(key, "shape") == 0
			|| strcmp(key, "data_offsets") == 0;
		if (!known)
			return READER_ERROR(
				reader, "tensor '%s': unknown key '%s', expected dtype, shape and data_offsets", name, key);
	}
	return true;
}

static bool read_tensor(Reader *reader, const char *name, const json_t *json, Extent *extent)
{
	Type type = {0};
	int64_t bytes = 0;
	if (!json_is_object(json))
		return READER_ERROR(
			reader, "tensor '%s': expected an object with dtype, shape and data_offsets", name);
	if (*name == 0 || strlen(name) > NAME_BYTES_MAX)
		return READER_ERROR(reader, "tensor '%.64s': a name of %zu bytes, expected 1 to %d", name,
			strlen(name), NAME_BYTES_MAX);
	if (!check_keys(reader, name, json) || !read_dtype(reader, name, json_object_get(json, "dtype"), &type)
		|| !read_shape(reader, name, json_object_get(json, "shape"), &type, &bytes)
		|| !read_offsets(reader, name, json_object_get(json, "data_offsets"), extent))
		return false;
	if (extent->end - extent->begin != bytes) {
		char text[128];
		return READER_ERROR(reader,
			"tensor '%s': data_offsets [%lld, %lld] hold %lld bytes, expected %lld for %s", name,
			(long long)extent->begin, (long long)extent->end, (long long)(extent->end - extent->begin),
			(long long)bytes, type_print(&type, text));
	}
	tensor_file_add(reader->file, name, &type, reader->data + extent->begin, bytes);
	return true;
}

/* ---- the whole header ------------------------------------------------------------------------ */
static int extent_compare(const void *a, const void *b)
{
	const Extent *x = a, *y = b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* The tensors must cover the data exactly. Bytes in two tensors, or in none, suggest a forged file. */
static bool check_layout(Reader *reader, Extent *extents, int32_t count)
{
	int64_t at = 0;
	qsort(extents, (size_t)count, sizeof *extents, extent_compare);
	for (int32_t i = 0; i < count; i++) {
		if (extents[i].begin < at)
			return READER_ERROR(reader,
				"tensor '%s': begins at byte %lld of the data, inside tensor '%s', which ends at %lld",
				extents[i].name, (long long)extents[i].begin, extents[i - 1].name, (long long)at);
		if (extents[i].begin > at)
			return READER_ERROR(reader,
				"tensor '%s': begins at byte %lld of the data, expected %lld: bytes in between belong to no "
				"tensor",
				extents[i].name, (long long)extents[i].begin, (long long)at);
		at = extents[i].end;
	}
	if (at != reader->data_bytes)
		return READER_ERROR(reader,
			"%lld bytes of data after the header, expected %lld: the last bytes belong to no tensor",
			(long long)reader->data_bytes, (long long)at);
	return true;
}

static bool check_metadata(Reader *reader, const json_t *json)
{
	const char *key;
	json_t *value;
	if (json && !json_is_object(json))
		return READER_ERROR(reader, "__metadata__: expected an object of strings");
	json_object_foreach((json_t *)json, key, value)
	{
		if (!json_is_string(value))
			return READER_ERROR(reader, "__metadata__: '%s' is not a string", key);
	}
	return true;
}

static bool read_header(Reader *reader, const json_t *header)
{
	const char *name;
	json_t *value;
	bool good = check_metadata(reader, json_object_get(header, "__metadata__"));
	Extent *extents = checked_calloc(json_object_size(header) + 1, sizeof *extents);
	int32_t count = 0;
	json_object_foreach((json_t *)header, name, value)
	{
		if (strcmp(name, "__metadata__") == 0)
			continue;
		good &= read_tensor(reader, name, value, &extents[count]);
		count++;
	}
	good = good && check_layout(reader, extents, count);
	free(extents);
	return good;
}

static bool read_length(Reader *reader, uint64_t *length)
{
	const TensorFile *file = reader->file;
	if (file->bytes < LENGTH_BYTES)
		return READER_ERROR(
			reader, "%zu bytes, expected at least %d: not a safetensors file", file->bytes, LENGTH_BYTES);
	const uint64_t room = file->bytes - LENGTH_BYTES;
	*length = 0;
	for (int i = LENGTH_BYTES - 1; i >= 0; i--)
		*length = *length << 8 | file->data[i];
	if (*length < 2)
		return READER_ERROR(reader, "header length is %llu, expected at least 2: not a safetensors file",
			(unsigned long long)*length);
	if (*length > room)
		return READER_ERROR(reader,
			"header length is %llu, but only %llu bytes follow: cut short, or not a safetensors file",
			(unsigned long long)*length, (unsigned long long)room);
	if (*length > HEADER_BYTES_MAX)
		return READER_ERROR(reader, "header length is %llu, expected at most %d", (unsigned long long)*length,
			HEADER_BYTES_MAX);
	reader->data = (const char *)file->data + LENGTH_BYTES + *length;
	reader->data_bytes = (int64_t)(room - *length);
	return true;
}

bool tensors_safetensors(TensorFile *file, Diag *diag)
{
	Reader reader = {.file = file, .diag = diag};
	uint64_t length = 0;
	json_error_t error;
	if (!read_length(&reader, &length))
		return false;
	json_t *header = json_loadb(
		(const char *)file->data + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &error);
	if (!header)
		return READER_ERROR(&reader, "header, byte %d: %s", error.position, error.text);
	const bool good = json_is_object(header) ? read_header(&reader, header)
											 : READER_ERROR(&reader, "header: expected a JSON object");
	json_decref(header);
	return good;
}
