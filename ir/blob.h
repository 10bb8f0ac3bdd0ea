/* blob.h: memory that grows: bytes in parts, and arrays. */
#ifndef BERTC_BLOB_H
#define BERTC_BLOB_H
#include "ir.h"

/* The bytes that go into the program beside its code: packed weights, then tokenizer tables; each part
 * 64-byte aligned. */
typedef struct Blob {
	uint8_t *data;
	size_t bytes, capacity;
} Blob;
size_t blob_add(Blob *, const void *data, size_t bytes); /* returns its offset, a multiple of 64 */
void blob_free(Blob *);

/* A growing array; items are plain data. Its memory is malloc'd: list_free. */
typedef struct List {
	void *items;
	size_t count, capacity, size;
} List;
List list_new(size_t item_bytes);
size_t list_add(List *, const void *item); /* returns its index */
void list_free(List *);
#endif
