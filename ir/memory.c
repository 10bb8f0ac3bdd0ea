/* memory.c: memory that ends the process when it runs out (memory.h). arena.c has the arena of a module. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "diag.h"
#include "memory.h"

enum { FIRST_ITEMS = 16 };

static void (*cleanup_before_end)(void);

void out_of_memory_calls(void (*cleanup)(void)) { cleanup_before_end = cleanup; }

void out_of_memory(size_t bytes)
{
	if (bytes > 0)
		fprintf(stderr, "bertc: error: out of memory (%zu bytes asked for)\n", bytes);
	else
		fputs("bertc: error: out of memory\n", stderr);
	if (cleanup_before_end)
		cleanup_before_end();
	_exit(EXIT_RUN); /* not exit: other threads may be running, and a forked process shares its parent's
						streams */
}

void *checked_malloc(size_t bytes)
{
	void *memory = malloc(bytes > 0 ? bytes : 1);
	if (!memory)
		out_of_memory(bytes);
	return memory;
}

size_t checked_bytes(size_t count, size_t item_bytes)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, item_bytes, &bytes))
		out_of_memory(SIZE_MAX);
	return bytes;
}

void *checked_calloc(size_t count, size_t item_bytes)
{
	const size_t bytes = checked_bytes(count, item_bytes);
	void *memory = calloc(bytes > 0 ? bytes : 1, 1);
	if (!memory)
		out_of_memory(bytes);
	return memory;
}

void *checked_realloc(void *old, size_t bytes)
{
	void *memory = realloc(old, bytes > 0 ? bytes : 1);
	if (!memory)
		out_of_memory(bytes);
	return memory;
}

char *checked_strdup(const char *text) { return checked_strndup(text, SIZE_MAX); }

char *checked_strndup(const char *text, size_t bytes_max)
{
	const size_t bytes = strnlen(text, bytes_max);
	char *copy = checked_malloc(bytes + 1);
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return copy;
}

char *checked_vprintf(const char *format, va_list args)
{
	char *text;
	if (vasprintf(&text, format, args) < 0)
		out_of_memory(0);
	return text;
}

char *checked_printf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = checked_vprintf(format, args);
	va_end(args);
	return text;
}

size_t capacity_for(size_t capacity, size_t count)
{
	size_t larger = capacity > SIZE_MAX / 2 ? SIZE_MAX : 2 * capacity;
	if (larger < FIRST_ITEMS)
		larger = FIRST_ITEMS;
	return larger > count ? larger : count;
}

void *checked_grow(void *items, size_t *capacity, size_t count, size_t item_bytes)
{
	if (items && count <= *capacity)
		return items;
	*capacity = capacity_for(*capacity, count);
	return checked_realloc(items, checked_bytes(*capacity, item_bytes));
}

FILE *text_open(char **text, size_t *bytes)
{
	FILE *stream = open_memstream(text, bytes);
	if (!stream)
		out_of_memory(0);
	return stream;
}

void text_close(FILE *stream)
{
	const bool bad = ferror(stream);
	if (fclose(stream) != 0 || bad)
		out_of_memory(0);
}
