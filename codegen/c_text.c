/* c_text.c: writes foreign text (labels, names, origins) into emitted C so that no byte of it is read as
 * code. Also checks and makes C names. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"

/* C17 requires compilers to accept literals of 4095 bytes; GCC warns about longer ones. */
enum { LITERAL_MAX = 4000, IDENTIFIER_MAX = 63 };

/* Uses octal escapes: they have at most three digits, so unlike \x they cannot swallow the next character. */
static void print_literal(FILE *out, const char *text)
{
	putc('"', out);
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at == '"' || *at == '\\' || *at == '?')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at >= 0x7f)
			fprintf(out, "\\%03o", *at);
		else
			putc(*at, out);
	}
	putc('"', out);
}

/* A longer text becomes a compound literal of characters, which is also constant at file scope. */
void c_string(FILE *out, const char *text)
{
	size_t length = strlen(text);
	if (length <= LITERAL_MAX) {
		print_literal(out, text);
		return;
	}
	fputs("(const char[]){", out);
	for (size_t i = 0; i < length; i++)
		fprintf(out, "%s'\\%03o',", i % 20 == 0 ? "\n\t" : "", (unsigned char)text[i]);
	fputs("0}", out);
}

void c_comment(FILE *out, const char *text)
{
	static const char harmless[] = " _.,:;=+-/%@{}()<>[]#'\"!&|~^$";
	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		putc(isalnum(*at) || strchr(harmless, *at) ? *at : '_', out);
}

void c_real(FILE *out, double value)
{
	char text[40];
	snprintf(text, sizeof text, "%.9g", value);
	if ((double)(float)value != value)
		snprintf(text, sizeof text, "%.17g", value);
	fputs(text, out);
	if (!strpbrk(text, ".e"))
		fputs(".0", out);
}

/* Whether the name is a keyword of C or C++ or is declared by the headers that the emitted file includes. */
static bool is_taken(const char *name)
{
	static const char words[] = " alignas alignof and and_eq asm auto bitand bitor bool break case catch "
								"char char16_t char32_t char8_t class"
								" co_await co_return co_yield compl concept const const_cast consteval "
								"constexpr constinit continue decltype"
								" default delete do double dynamic_cast else enum explicit export extern "
								"false float for friend goto if inline int"
								" long mutable namespace new noexcept not not_eq nullptr operator or or_eq "
								"private protected public register"
								" reinterpret_cast requires restrict return short signed sizeof static "
								"static_assert static_cast struct switch"
								" template this thread_local throw true try typedef typeid typename typeof "
								"union unsigned using virtual void"
								" volatile wchar_t while xor xor_eq"
								" main errno stdin stdout stderr environ linux unix abort abs access acos "
								"alarm asin atan atof atoi bcmp bcopy"
								" bzero calloc ceil clock clone close cos ctime daemon difftime div dup dup2 "
								"erf errx exec execl execv exit exp"
								" fabs fclose ffs fflush floor fopen fork fprintf fputs fread free fwrite "
								"getc getchar getenv getline getopt"
								" getpid getw gmtime index ioctl isatty kill labs link log lseek malloc "
								"memchr memcmp memcpy memmove memset mktime"
								" mmap nanosleep nice open pause perror pipe poll pow pread printf putc puts "
								"pwrite qsort raise rand read readv"
								" realloc remove rename rewind rindex round sched select send signal sin "
								"sleep sprintf sqrt srand stat strcat"
								" strchr strcmp strcpy strlen strstr strtod strtol swab sync syscall sysconf "
								"system tan tanh tee time times"
								" timezone truncate ungetc uname unlink usleep vfork wait write writev y0 y1 "
								"yn j0 j1 jn stime stpcpy gamma"
								" signgam tzname daylight locale tm timespec timeval size_t ssize_t off_t "
								"pid_t int8_t int16_t int32_t int64_t"
								" uint8_t uint16_t uint32_t uint64_t uintptr_t intptr_t ptrdiff_t FILE NULL "
								"EOF ";
	char padded[IDENTIFIER_MAX + 3];
	snprintf(padded, sizeof padded, " %s ", name);
	return strstr(words, padded) != NULL;
}

bool c_is_identifier(const char *name)
{
	size_t length = strlen(name);
	if (length == 0 || length > IDENTIFIER_MAX || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] >= 0x80 || (!isalnum((unsigned char)name[i]) && name[i] != '_'))
			return false;
	bool reserved = name[0] == '_' || strncmp(name, "rt_", 3) == 0 || strncmp(name, "Rt", 2) == 0
		|| strncmp(name, "RT_", 3) == 0;
	return !reserved && !is_taken(name);
}

char *c_identifier_from_path(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char name[IDENTIFIER_MAX + 1];
	size_t n = 0;
	for (const char *at = base; *at && (*at != '.' || at == base) && n < IDENTIFIER_MAX - 8; at++)
		name[n++] = (unsigned char)*at < 0x80 && isalnum((unsigned char)*at) ? *at : '_';
	name[n] = '\0';
	while (name[0] == '_')
		memmove(name, name + 1, strlen(name));
	if (c_is_identifier(name))
		return checked_strdup(name);
	return checked_printf("model_%s", name);
}

char *c_upper(const char *name)
{
	char *text = checked_strdup(name);
	for (char *at = text; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	return text;
}

void c_named(FILE *out, const char *text, const char *name)
{
	for (const char *at = text; *at;) {
		const char *next = strstr(at, "NAME");
		const size_t plain = next ? (size_t)(next - at) : strlen(at);
		fwrite(at, 1, plain, out);
		at += plain;
		if (next) {
			fputs(name, out);
			at += 4;
		}
	}
}
