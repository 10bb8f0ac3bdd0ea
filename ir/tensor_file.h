/* tensor_file.h: what a format of tensor files is written with. A row of tensor_formats.def names
 * tensors_NAME, which finds the whole file mapped, checks it, and adds each tensor once. A file whose tensors
 * are listed somewhere else (raw data beside a graph) is made by the reader of that list with
 * tensor_file_map, tensor_file_add and tensor_file_sort. */
#ifndef BERTC_TENSOR_FILE_H
#define BERTC_TENSOR_FILE_H
#include "ir.h"

struct TensorFile {
	MemArena *mem;
	const char *path, *name;   /* name: the plain file name */
	const char *format;        /* NULL: the file lists no tensors */
	const unsigned char *data; /* the whole file, mapped; NULL: it is empty */
	size_t bytes;
	Tensor *tensors; /* sorted by name */
	int32_t count;
};

/* An error about the file, EXIT_INPUT. Returns false. */
#define TENSOR_FILE_ERROR(file, diag, ...) diag_error_in((diag), EXIT_INPUT, (file)->path, 0, __VA_ARGS__)

/* Maps a regular file; it has no tensors yet. NULL and a message on error. */
TensorFile *tensor_file_map(const char *path, Diag *);
/* Adds a tensor whose name is copied and whose data outlives the file: its mapping, or its arena. Data at an
 * address from which its type cannot be read is copied. */
void tensor_file_add(TensorFile *, const char *name, const Type *, const void *data, int64_t bytes);
/* Call when all are added, before any other function. False and a message if two have the same name. */
bool tensor_file_sort(TensorFile *, Diag *);

#define TENSOR_FORMAT(NAME, ...) bool tensors_##NAME(TensorFile *, Diag *);
#include "tensor_formats.def"
#undef TENSOR_FORMAT
#endif
