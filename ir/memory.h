/* memory.h: memory outside of a module's arena. Out of memory ends the process: it reports the error, removes
 * its temporary files and exits with EXIT_RUN. So callers need not check results. Sizes that come from a file
 * must be limited before, with an error that names the file. Returned memory goes to free(). */
#ifndef BERTC_MEMORY_H
#define BERTC_MEMORY_H
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Prints "bertc: error: out of memory (N bytes asked for)" and ends the process at once, without atexit. 0:
 * unknown number.
 */
void out_of_memory(size_t bytes) __attribute__((noreturn));
/* Sets a function that out_of_memory calls first, in any thread. It must not allocate. */
void out_of_memory_calls(void (*cleanup)(void));

/* As in the C library, but for 0 bytes they also return a pointer. */
void *checked_malloc(size_t bytes);
void *checked_calloc(size_t count, size_t item_bytes); /* zeroed */
void *checked_realloc(void *, size_t bytes);
char *checked_strdup(const char *);
char *checked_strndup(const char *, size_t bytes_max);
char *checked_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *checked_vprintf(const char *format, va_list) __attribute__((format(printf, 1, 0)));

/* Returns count * item_bytes. Ends the process on overflow. */
size_t checked_bytes(size_t count, size_t item_bytes);
/* A growing array: the items, moved where they have room for `count`. At first items is NULL and *capacity 0;
 * the capacity at least doubles. New items are not zeroed. Never NULL, even for no items, so that memset and
 * qsort may have the result. In a module's arena: mem_grow. */
void *checked_grow(void *items, size_t *capacity, size_t count, size_t item_bytes);
/* The next capacity of such an array for `count` items. */
size_t capacity_for(size_t capacity, size_t count);

/* Opens a stream to memory. After text_close, *text is its content, NUL-terminated. */
FILE *text_open(char **text, size_t *bytes);
void text_close(FILE *);
#endif
