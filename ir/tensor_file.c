/* tensor_file.c: files of tensors in any format (tensor_file.h). A file is mapped, not copied. It must not
 * shrink while in use: the system would end the process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "atomic_file.h"
#include "tensor_file.h"

typedef struct TensorFormat {
	const char *name, *suffix;
	bool (*read)(TensorFile *, Diag *);
} TensorFormat;
static const TensorFormat formats[] = {
#define TENSOR_FORMAT(NAME, name, suffix, doc) {name, suffix, tensors_##NAME},
#include "tensor_formats.def"
#undef TENSOR_FORMAT
};

/* ---- making one ------------------------------------------------------------------------------ */

static bool map_whole(TensorFile *file, Diag *diag)
{
	struct stat info;
	int handle = file_open(file->path, &info, diag);
	if (handle < 0)
		return false;
	const size_t bytes = (size_t)info.st_size;
	void *data = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, handle, 0) : NULL;
	const int error = errno;
	close(handle);
	if (data == MAP_FAILED)
		return TENSOR_FILE_ERROR(file, diag, "cannot be mapped: %s", strerror(error));
	file->data = data;
	file->bytes = bytes;
	return true;
}

TensorFile *tensor_file_map(const char *path, Diag *diag)
{
	MemArena *mem = mem_new();
	TensorFile *file = mem_alloc(mem, sizeof *file);
	const char *slash = strrchr(path, '/');
	file->mem = mem;
	file->path = mem_string(mem, path, strlen(path));
	file->name = file->path + (slash ? slash + 1 - path : 0);
	if (map_whole(file, diag))
		return file;
	tensor_file_close(file);
	return NULL;
}

/* The array doubles when its count is a power of two. */
static Tensor *next_tensor(TensorFile *file)
{
	const size_t count = (size_t)file->count;
	if ((count & (count - 1)) == 0) {
		Tensor *larger = mem_alloc(file->mem, (count ? 2 * count : 1) * sizeof *larger);
		if (count)
			memcpy(larger, file->tensors, count * sizeof *larger);
		file->tensors = larger;
	}
	return &file->tensors[file->count++];
}

void tensor_file_add(TensorFile *file, const char *name, const Type *type, const void *data, int64_t bytes)
{
	const bool aligned = (uintptr_t)data % (uintptr_t)dtype_bytes[type->dtype] == 0;
	if (!aligned)
		data = memcpy(mem_alloc(file->mem, (size_t)bytes), data, (size_t)bytes);
	*next_tensor(file) = (Tensor){
		.name = mem_string(file->mem, name, strlen(name)), .type = *type, .data = data, .bytes = bytes};
}

static int tensor_compare(const void *a, const void *b)
{
	return strcmp(((const Tensor *)a)->name, ((const Tensor *)b)->name);
}

bool tensor_file_sort(TensorFile *file, Diag *diag)
{
	if (file->count > 1)
		qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, tensor_compare);
	for (int32_t i = 1; i < file->count; i++)
		if (strcmp(file->tensors[i - 1].name, file->tensors[i].name) == 0)
			return TENSOR_FILE_ERROR(
				file, diag, "tensor '%s': the name is used twice", file->tensors[i].name);
	return true;
}

/* ---- opening one ----------------------------------------------------------------------------- */

static const TensorFormat *format_of(const char *name)
{
	const size_t length = strlen(name);
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		const size_t tail = strlen(formats[i].suffix);
		if (length > tail && strcmp(name + length - tail, formats[i].suffix) == 0)
			return &formats[i];
	}
	return &formats[0];
}

TensorFile *tensor_file_open(const char *path, Diag *diag)
{
	TensorFile *file = tensor_file_map(path, diag);
	if (!file)
		return NULL;
	const TensorFormat *format = format_of(file->name);
	file->format = format->name;
	if (!format->read(file, diag) || !tensor_file_sort(file, diag)) {
		tensor_file_close(file);
		return NULL;
	}
	for (int32_t i = 0; i < file->count; i++)
		file->tensors[i].file = file->name;
	return file;
}

void tensor_file_close(TensorFile *file)
{
	if (!file)
		return;
	if (file->data)
		munmap((void *)file->data, file->bytes);
	mem_free(file->mem);
}

const char *tensor_file_name(const TensorFile *file) { return file->name; }
const char *tensor_file_format(const TensorFile *file) { return file->format; }
int32_t tensor_file_count(const TensorFile *file) { return file->count; }
const Tensor *tensor_file_get(const TensorFile *file, int32_t i) { return &file->tensors[i]; }

const Tensor *tensor_file_find(const TensorFile *file, const char *name)
{
	if (file->count == 0)
		return NULL;
	return bsearch(
		&(Tensor){.name = name}, file->tensors, (size_t)file->count, sizeof *file->tensors, tensor_compare);
}

const void *tensor_file_bytes(const TensorFile *file, size_t *bytes)
{
	*bytes = file->bytes;
	return file->data;
}
