/* blob.h: growing memory: a blob of aligned parts, and arrays. */
#ifndef BERTC_BLOB_H
#define BERTC_BLOB_H
#include "ir.h"

/* The data of an emitted program: packed weights, then tokenizer tables. Each part is 64-byte aligned. */
typedef struct Blob {
	uint8_t *data;
	size_t bytes, capacity;
} Blob;
size_t blob_add(Blob *, const void *data, size_t bytes); /* returns its offset, a multiple of 64 */
void blob_free(Blob *);

/* A growing array of plain data. Its memory is malloc'd; list_free frees it. */
typedef struct List {
	void *items;
	size_t count, capacity, size;
} List;
List list_new(size_t item_bytes);
size_t list_add(List *, const void *item); /* returns its index */
void list_free(List *);
#endif
