/* lines.c: reads lines of any bytes, including NUL, from a descriptor. Never waits for more input than one
 * line, so a line typed at a terminal is answered at once. */
#include "program.h"
#include <errno.h>
#include <unistd.h>

enum { LINES_CHUNK_BYTES = 1 << 16 };

/* Appends more input. 0: there was none (end, error, or out of memory). */
RT_FN int lines_fill(RtLines *in)
{
	if (in->begin > 0 && in->begin == in->end) {
		in->end = 0;
		in->begin = 0;
	}
	if (in->capacity - in->end < LINES_CHUNK_BYTES) {
		const size_t used = in->end - in->begin;
		if (in->begin > 0)
			memmove(in->data, in->data + in->begin, used);
		in->begin = 0;
		in->end = used;
		if (in->capacity - used < LINES_CHUNK_BYTES) {
			const size_t capacity = in->capacity ? in->capacity * 2 : 2 * LINES_CHUNK_BYTES;
			char *data = realloc(in->data, capacity);
			if (!data) {
				in->ended = in->failed = !in->data;
				return 0;
			}
			in->data = data;
			in->capacity = capacity;
		}
	}
	ssize_t got;
	do
		got = read(in->descriptor, in->data + in->end, in->capacity - in->end);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		in->ended = 1;
		in->failed = got < 0;
		return 0;
	}
	in->end += (size_t)got;
	return 1;
}

/* Skips the rest of a line that is too long. */
RT_FN void lines_skip(RtLines *in)
{
	do {
		char *newline = memchr(in->data + in->begin, '\n', in->end - in->begin);
		if (newline) {
			in->begin = (size_t)(newline + 1 - in->data);
			return;
		}
		in->begin = in->end;
	} while (lines_fill(in));
}

RT_FN int rt_lines_next(RtLines *in, const char **line, size_t *bytes)
{
	size_t looked = 0;
	if (in->skips)
		lines_skip(in);
	in->skips = 0;
	for (;;) {
		char *from = in->data ? in->data + in->begin : NULL;
		const size_t have = in->end - in->begin;
		char *newline = have > looked ? memchr(from + looked, '\n', have - looked) : NULL;
		looked = have;
		const int fits = newline || have <= RT_LINE_BYTES_MAX;
		if (!newline && fits && !in->ended && lines_fill(in))
			continue;
		if (!newline && (!fits || !in->ended)) { /* or there is no memory for more */
			in->begin = in->end;
			in->skips = 1;
			return -1;
		}
		if (!newline && have == 0)
			return 0;
		*line = from;
		*bytes = newline ? (size_t)(newline - from) : have;
		in->begin += *bytes + (newline != NULL);
		if (*bytes > RT_LINE_BYTES_MAX)
			return -1;
		if (*bytes > 0 && from[*bytes - 1] == '\r')
			--*bytes;
		return 1;
	}
}
