/* blob.c: the data of an emitted program, and growing arrays. */
#include <stdlib.h>
#include <string.h>
#include "blob.h"

/* 64: the alignment of a cache line and of the widest vector load. */
enum { BLOB_ALIGN = 64 };

size_t blob_add(Blob *blob, const void *data, size_t bytes)
{
	size_t offset = (blob->bytes + BLOB_ALIGN - 1) / BLOB_ALIGN * BLOB_ALIGN, end = offset + bytes;
	blob->data = checked_grow(blob->data, &blob->capacity, end, 1);
	memset(blob->data + blob->bytes, 0, offset - blob->bytes);
	if (bytes > 0)
		memcpy(blob->data + offset, data, bytes);
	blob->bytes = end;
	return offset;
}

void blob_free(Blob *blob)
{
	free(blob->data);
	*blob = (Blob){0};
}

List list_new(size_t item_bytes) { return (List){.size = item_bytes}; }

size_t list_add(List *list, const void *item)
{
	list->items = checked_grow(list->items, &list->capacity, list->count + 1, list->size);
	memcpy((char *)list->items + list->count * list->size, item, list->size);
	return list->count++;
}

void list_free(List *list)
{
	free(list->items);
	*list = (List){0};
}
