/* memory.h: memory outside of a module's arena. There is one policy: without memory the process says so,
 * takes its temporary files away and ends with EXIT_RUN, so that no caller checks a result. A size that a
 * file decides is bounded before, with an error that names the file. What is returned goes to free(). */
#ifndef BERTC_MEMORY_H
#define BERTC_MEMORY_H
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Prints "bertc: error: out of memory (N bytes asked for)" and ends the process at once, without
 * atexit. 0: the number is not known.
 */
void out_of_memory(size_t bytes) __attribute__((noreturn));
/* What out_of_memory calls before the end, in any thread: it may not allocate. */
void out_of_memory_calls(void (*cleanup)(void));

/* As in the C library; of 0 bytes they return a pointer too. */
void *checked_malloc(size_t bytes);
void *checked_calloc(size_t count, size_t item_bytes); /* zeroed */
void *checked_realloc(void *, size_t bytes);
char *checked_strdup(const char *);
char *checked_strndup(const char *, size_t bytes_max);
char *checked_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *checked_vprintf(const char *format, va_list) __attribute__((format(printf, 1, 0)));

/* count * item_bytes; ends the process when no memory can hold so many. */
size_t checked_bytes(size_t count, size_t item_bytes);
/* A growing array: the items, moved where they have room for `count`. At first items is NULL and *capacity 0;
 * the capacity at least doubles. New items are not zeroed. Never NULL, even for no items, so that memset and
 * qsort may have the result. In a module's arena: mem_grow. */
void *checked_grow(void *items, size_t *capacity, size_t count, size_t item_bytes);
/* The capacity that such an array takes next to hold `count`. */
size_t capacity_for(size_t capacity, size_t count);

/* A stream whose text is at *text, NUL-terminated, once text_close has closed it. */
FILE *text_open(char **text, size_t *bytes);
void text_close(FILE *);
#endif
