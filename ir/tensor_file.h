/* tensor_file.h: the interface for readers of tensor files. Each row of tensor_formats.def has a function
 * tensors_NAME. It gets the mapped file, checks it, and adds each tensor once. If another file lists the
 * tensors (raw data beside a graph), the reader of that list calls tensor_file_map, tensor_file_add and
 * tensor_file_sort itself. */
#ifndef BERTC_TENSOR_FILE_H
#define BERTC_TENSOR_FILE_H
#include "ir.h"

struct TensorFile {
	MemArena *mem;
	const char *path, *name;   /* name: the plain file name */
	const char *format;        /* NULL: raw data, no list of tensors */
	const unsigned char *data; /* the whole file, mapped; NULL: it is empty */
	size_t bytes;
	Tensor *tensors; /* sorted by name */
	int32_t count;
};

/* Reports an error about the file, EXIT_INPUT. Returns false. */
#define TENSOR_FILE_ERROR(file, diag, ...) diag_error_in((diag), EXIT_INPUT, (file)->path, 0, __VA_ARGS__)

/* Maps a regular file, without tensors yet. NULL and a message on error. */
TensorFile *tensor_file_map(const char *path, Diag *);
/* Adds a tensor. Copies the name, but not the data, which must be in the file's mapping or arena. Only data
 * that is misaligned for its type is copied. */
void tensor_file_add(TensorFile *, const char *name, const Type *, const void *data, int64_t bytes);
/* Call it once after the last tensor_file_add and before any lookup. False and a message if two tensors have
 * the same name. */
bool tensor_file_sort(TensorFile *, Diag *);

#define TENSOR_FORMAT(NAME, ...) bool tensors_##NAME(TensorFile *, Diag *);
#include "tensor_formats.def"
#undef TENSOR_FORMAT
#endif
