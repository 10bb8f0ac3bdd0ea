/* atomic_file.h: files that appear completely or not at all, and temporary files and directories that are
 * always removed. */
#ifndef BERTC_ATOMIC_FILE_H
#define BERTC_ATOMIC_FILE_H
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
void remove_tree(const char *directory); /* only if it is in the table */
#endif
