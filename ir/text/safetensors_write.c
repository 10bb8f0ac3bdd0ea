/* safetensors_write.c: writes checkpoints for any reader of the format. Tensors with wide types come first,
 * which aligns every tensor; then the order is by name. The header is padded with blanks to a multiple of 64
 * bytes. The same tensors always make the same bytes. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "ir/atomic_file.h"
#include "text.h"

enum { ALIGNMENT = 64 };

static const char *const stored_names[DT_COUNT] = {
#define DTYPE(NAME, text, stored, ...) [DT_##NAME] = stored,
#include "ir/dtypes.def"
#undef DTYPE
};

static int place_compare(const void *a, const void *b)
{
	const Tensor *x = *(const Tensor *const *)a, *y = *(const Tensor *const *)b;
	int32_t wide_x = dtype_bytes[x->type.dtype], wide_y = dtype_bytes[y->type.dtype];
	return wide_x != wide_y ? wide_y - wide_x : strcmp(x->name, y->name);
}

static json_t *entry_json(const Tensor *tensor, int64_t begin)
{
	json_t *shape = json_array();
	for (int32_t i = 0; i < tensor->type.rank; i++)
		json_array_append_new(shape, json_integer(tensor->type.dim[i].plus));
	return json_pack("{s:s, s:o, s:[I, I]}", "dtype", stored_names[tensor->type.dtype], "shape", shape,
		"data_offsets", (json_int_t)begin, (json_int_t)(begin + tensor->bytes));
}

/* The text of the header, malloc'd. NULL and a message if a name is not UTF-8 or occurs twice. */
static char *header_text(const char *path, const Tensor *const *sorted, int32_t count, Diag *diag)
{
	/* transformers before version 5 requires this entry; it stands for row-major data, as in PyTorch */
	json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
	int64_t at = 0;
	bool good = true;
	for (int32_t i = 0; good && i < count; i++) {
		const char *name = sorted[i]->name;
		if (json_object_get(header, name))
			good = diag_error_in(
				diag, EXIT_RUN, path, 0, "cannot be written: two tensors are called '%s'", name);
		else if (json_object_set_new(header, name, entry_json(sorted[i], at)) != 0)
			good = diag_error_in(
				diag, EXIT_RUN, path, 0, "cannot be written: the name '%s' of a tensor is not UTF-8", name);
		at += sorted[i]->bytes;
	}
	char *text = good ? json_dumps(header, JSON_COMPACT) : NULL;
	json_decref(header);
	return text;
}

static void write_all(FILE *out, const char *header, const Tensor *const *sorted, int32_t count)
{
	size_t bytes = strlen(header);
	uint64_t padded = (bytes + 8 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - 8;
	for (int i = 0; i < 8; i++)
		fputc((int)(padded >> (8 * i) & 255), out);
	fprintf(out, "%s%*s", header, (int)(padded - bytes), "");
	for (int32_t i = 0; i < count; i++)
		fwrite(sorted[i]->data, 1, (size_t)sorted[i]->bytes, out);
}

bool safetensors_write(const char *path, const Tensor *const *tensors, int32_t count, Diag *diag)
{
	MemArena *mem = mem_new();
	const Tensor **sorted = mem_alloc(mem, ((size_t)count + 1) * sizeof *sorted);
	for (int32_t i = 0; i < count; i++)
		sorted[i] = tensors[i];
	qsort(sorted, (size_t)count, sizeof *sorted, place_compare);
	char *header = header_text(path, sorted, count, diag);
	AtomicFile file;
	bool good = header && atomic_open(&file, path, diag);
	if (good) {
		write_all(file.stream, header, sorted, count);
		good = atomic_commit(&file, diag);
	}
	free(header);
	mem_free(mem);
	return good;
}
