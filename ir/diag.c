/* diag.c: collects messages about inputs (diag.h). Printing happens once, at the end of a command. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "diag.h"
#include "memory.h"

enum { TEXT_BYTES_MAX = 4096 }; /* of one message: a hostile key may be megabytes long */

void diag_init(Diag *diag, const char *file) { *diag = (Diag){.file = file}; }

void diag_free(Diag *diag)
{
	for (int i = 0; i < diag->count; i++) {
		free(diag->messages[i].file);
		free(diag->messages[i].text);
	}
	for (int i = 0; i < diag->ndecisions; i++) {
		free(diag->decisions[i].about);
		free(diag->decisions[i].text);
	}
	free(diag->messages);
	free(diag->decisions);
	*diag = (Diag){.file = diag->file};
}

/* Bytes of the control character at p: 1 for C0 and DEL, 2 for a C1 control in UTF-8 (C2 80..9F: terminals
 * obey them), else 0. */
static int control_bytes(const unsigned char *p)
{
	if (*p < 0x20 || *p == 0x7f)
		return 1;
	return p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f ? 2 : 0;
}

/* Returns a malloc'd copy as one line: control bytes become \xHH. At most TEXT_BYTES_MAX bytes of the text
 * are used. */
static char *text_escape(const char *text)
{
	char *copy = checked_malloc(4 * TEXT_BYTES_MAX + sizeof "..."), *to = copy;
	const unsigned char *p = (const unsigned char *)text, *start = p;
	while (*p && p - start < TEXT_BYTES_MAX) {
		int controls = control_bytes(p);
		for (int i = 0; i < controls; i++)
			to += snprintf(to, 5, "\\x%02x", *p++);
		if (!controls)
			*to++ = (char)*p++;
	}
	if (*p)
		to = stpcpy(to, "...");
	*to = 0;
	return checked_realloc(copy, (size_t)(to - copy) + 1);
}

/* Beyond DIAG_MESSAGES_MAX, errors are counted but not kept, because their number decides the exit status. */
static void diag_add(
	Diag *diag, Severity severity, const char *file, int line, const char *format, va_list args)
{
	if (diag->count >= DIAG_MESSAGES_MAX)
		return;
	diag->messages = checked_grow(
		diag->messages, &diag->capacity, (size_t)diag->count + 1, sizeof *diag->messages);
	char *text = checked_vprintf(format, args);
	diag->messages[diag->count++] = (Message){.severity = severity,
		.file = file ? checked_strdup(file) : NULL,
		.line = line,
		.text = text_escape(text)};
	free(text);
}

static void diag_count_error(Diag *diag, ExitCode code)
{
	if (diag->errors++ == 0)
		diag->code = code;
}

bool diag_error(Diag *diag, ExitCode code, int line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	diag_add(diag, SEV_ERROR, diag->file, line, format, args);
	va_end(args);
	diag_count_error(diag, code);
	return false;
}

bool diag_error_in(Diag *diag, ExitCode code, const char *file, int line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	diag_add(diag, SEV_ERROR, file, line, format, args);
	va_end(args);
	diag_count_error(diag, code);
	return false;
}

void diag_warn(Diag *diag, int line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	diag_add(diag, SEV_WARNING, diag->file, line, format, args);
	va_end(args);
}

void diag_note(Diag *diag, int line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	diag_add(diag, SEV_NOTE, diag->file, line, format, args);
	va_end(args);
}

void diag_decide(Diag *diag, const char *about, const char *format, ...)
{
	va_list args;
	if (diag->ndecisions >= DIAG_MESSAGES_MAX)
		return;
	va_start(args, format);
	char *text = checked_vprintf(format, args);
	va_end(args);
	diag->decisions = checked_grow(
		diag->decisions, &diag->decisions_capacity, (size_t)diag->ndecisions + 1, sizeof *diag->decisions);
	diag->decisions[diag->ndecisions++] = (Decision){checked_strdup(about), text_escape(text)};
	free(text);
}

static void message_print(const Message *message, FILE *stream)
{
	static const char *const words[] = {
		[SEV_NOTE] = "note", [SEV_WARNING] = "warning", [SEV_ERROR] = "error"};
	char *file = text_escape(message->file ? message->file : "bertc");
	fputs(file, stream);
	if (message->line > 0)
		fprintf(stream, ":%d", message->line);
	fprintf(stream, ": %s: %s\n", words[message->severity], message->text);
	free(file);
}

void diag_print(Diag *diag, FILE *stream)
{
	int printed = 0;
	for (int i = 0; i < diag->count; i++) {
		message_print(&diag->messages[i], stream);
		printed += diag->messages[i].severity == SEV_ERROR;
	}
	if (diag->count == DIAG_MESSAGES_MAX && diag->errors > printed)
		fprintf(stream, "%s: note: %d more errors are not shown\n", diag->file ? diag->file : "bertc",
			diag->errors - printed);
	Diag kept = *diag;
	diag->decisions = NULL;
	diag->ndecisions = 0;
	diag_free(diag);
	diag->errors = kept.errors;
	diag->code = kept.code;
	diag->decisions = kept.decisions;
	diag->ndecisions = kept.ndecisions;
	diag->decisions_capacity = kept.decisions_capacity;
}
