/* arena.c: the arena of a module. It hands out zeroed memory and frees all of it at once. Single pieces are
 * never freed: passes leave little garbage, and a module lives for one build. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "ir.h"

enum {
	ALIGNMENT = 64, /* a cache line: tensors made by passes are read by vector code in tests */
	SMALL_ALIGNMENT = 16,
	CHUNK_BYTES = 256 * 1024, /* the nodes of a BERT-base graph take about 2 MB: a few chunks */
	LARGE_BYTES = CHUNK_BYTES / 8,
};

typedef struct Chunk {
	struct Chunk *next;
	size_t used, size; /* in bytes, including this header */
} Chunk;

struct MemArena {
	Chunk *chunks; /* small pieces are cut from the first chunk */
};

/* Uses calloc, not malloc and memset: the kernel provides large tensors as zeroed pages at no cost. */
static Chunk *chunk_new(size_t size)
{
	Chunk *chunk = checked_calloc(1, size);
	chunk->used = sizeof *chunk;
	chunk->size = size;
	return chunk;
}

static void *chunk_cut(Chunk *chunk, size_t bytes, size_t alignment)
{
	uintptr_t base = (uintptr_t)chunk,
			  at = (base + chunk->used + alignment - 1) & ~(uintptr_t)(alignment - 1);
	if (at - base > chunk->size || bytes > chunk->size - (at - base))
		return NULL;
	chunk->used = at - base + bytes;
	return (char *)chunk + (at - base);
}

MemArena *mem_new(void) { return checked_calloc(1, sizeof(MemArena)); }

void mem_free(MemArena *mem)
{
	if (!mem)
		return;
	for (Chunk *chunk = mem->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(mem);
}

void *mem_alloc(MemArena *mem, size_t bytes)
{
	if (bytes > SIZE_MAX / 2)
		out_of_memory(bytes);
	if (bytes >= LARGE_BYTES) { /* its own chunk, second in the list: the first one is still in use */
		Chunk *chunk = chunk_new(sizeof(Chunk) + ALIGNMENT + bytes);
		if (mem->chunks) {
			chunk->next = mem->chunks->next;
			mem->chunks->next = chunk;
		} else {
			mem->chunks = chunk;
		}
		return chunk_cut(chunk, bytes, ALIGNMENT);
	}
	void *piece = mem->chunks ? chunk_cut(mem->chunks, bytes, SMALL_ALIGNMENT) : NULL;
	if (!piece) {
		Chunk *chunk = chunk_new(CHUNK_BYTES);
		chunk->next = mem->chunks;
		mem->chunks = chunk;
		piece = chunk_cut(chunk, bytes, SMALL_ALIGNMENT);
	}
	return piece;
}

void *mem_grow(MemArena *mem, void *items, size_t *capacity, size_t count, size_t item_bytes)
{
	if (count <= *capacity)
		return items;
	const size_t old = *capacity;
	*capacity = capacity_for(old, count);
	void *larger = mem_alloc(mem, checked_bytes(*capacity, item_bytes));
	if (old > 0)
		memcpy(larger, items, old * item_bytes);
	return larger;
}

char *mem_string(MemArena *mem, const char *text, size_t bytes)
{
	char *copy = mem_alloc(mem, bytes + 1);
	if (bytes)
		memcpy(copy, text, bytes);
	return copy;
}

char *mem_printf(MemArena *mem, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int bytes = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (bytes < 0)
		out_of_memory(0); /* glibc's vsnprintf fails only if the text is longer than INT_MAX bytes */
	char *text = mem_alloc(mem, (size_t)bytes + 1);
	vsnprintf(text, (size_t)bytes + 1, format, again);
	va_end(again);
	return text;
}
