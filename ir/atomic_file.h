/* atomic_file.h: files that appear completely or not at all, temporary files and directories that are always
 * removed, and opening files that others made. */
#ifndef BERTC_ATOMIC_FILE_H
#define BERTC_ATOMIC_FILE_H
#include <sys/stat.h>
#include <sys/types.h>
#include "ir.h"

/* Write to *stream, then commit (rename) or discard. Devices and pipes are written directly. */
typedef struct AtomicFile {
	FILE *stream;
	char *path, *temporary; /* owned; temporary: NULL if written directly */
} AtomicFile;
bool atomic_open(AtomicFile *, const char *path,
	Diag *);                              /* false and a message on error; then there is nothing to discard */
bool atomic_commit(AtomicFile *, Diag *); /* flushes; false and a message on error; then no file is left */
void atomic_discard(AtomicFile *);

/* Files and directories that this process removes if it is interrupted or runs out of memory. */
void temporary_remember(const char *path, bool directory);
bool temporary_forget(const char *path); /* false: it is not in the table */
void temporaries_remove(void);           /* all of them; safe in a signal handler */
/* A process that writes into one of them now: it is ended before they are removed. 0: none. */
void temporary_worker(pid_t);
void remove_tree(const char *directory); /* only if it is in the table */

/* Opens a regular file for reading, without waiting. A pipe, socket, device or directory is refused by name.
 * -1 and a message (EXIT_INPUT) on error. */
int file_open(const char *path, struct stat *, Diag *);
/* The same, but also takes an unnamed pipe that this process inherited: "/dev/stdin", or "/dev/fd/63" from a
 * shell's `<(..)`. A named pipe is refused. */
int file_open_or_pipe(const char *path, struct stat *, Diag *);
/* Whether a folder has no entry of this name. A dangling symbolic link is an entry, and so is one that cannot
 * be examined: the caller opens it, and the error states the reason. */
bool file_is_absent(const char *path);
#endif
