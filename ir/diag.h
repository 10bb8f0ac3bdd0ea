/* diag.h: messages about inputs. Readers collect errors here and continue as far as they can. Library code
 * neither prints nor exits. Form: "FILE:LINE: error: MESSAGE" (without LINE if it is 0). */
#ifndef BERTC_DIAG_H
#define BERTC_DIAG_H
#include <stdbool.h>
#include <stdio.h>

/* The exit status of the process for each kind of error. */
typedef enum ExitCode {
	EXIT_DONE = 0,
	EXIT_RUN = 1,
	EXIT_USAGE = 2,
	EXIT_INPUT = 3,
	EXIT_UNSUPPORTED = 4,
	EXIT_LIMIT = 5,
	EXIT_SIGNAL = 128 /* and the number of the signal that ended it: 130 for Ctrl-C */
} ExitCode;

typedef enum Severity { SEV_NOTE, SEV_WARNING, SEV_ERROR } Severity;

typedef struct Message {
	Severity severity;
	char *file; /* owned; may be NULL */
	int line;   /* from 1; 0: no line */
	char *text; /* owned, one line, no newline; control bytes of foreign names are escaped */
} Message;

/* What a reader chose, and why: "class BertTokenizer, from tokenizer_class of tokenizer_config.json". */
typedef struct Decision {
	char *about, *text; /* owned; text as in Message */
} Decision;

typedef struct Diag {
	const char *file; /* borrowed: default file of new messages */
	Message *messages;
	int count;
	size_t capacity;
	int errors;
	ExitCode code;       /* set by the first error */
	Decision *decisions; /* of `bertc describe`; other commands do not print them */
	int ndecisions;
	size_t decisions_capacity;
} Diag;

/* Further messages are counted but not kept, so that a hostile file cannot fill the memory. */
enum { DIAG_MESSAGES_MAX = 200 };

void diag_init(Diag *, const char *file);
void diag_free(Diag *);
/* Records an error and returns false, so that `return diag_error(...)` reads well. */
bool diag_error(Diag *, ExitCode, int line, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for another file than diag->file. */
bool diag_error_in(Diag *, ExitCode, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void diag_warn(Diag *, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_note(Diag *, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_decide(Diag *, const char *about, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Prints all messages, one per line, and clears them. Keeps the error count, the code and the decisions. */
void diag_print(Diag *, FILE *);
#endif
