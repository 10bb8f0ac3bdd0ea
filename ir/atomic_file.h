/* atomic_file.h: files that appear whole or not at all, and temporary files and directories that never stay
 * behind. */
#ifndef BERTC_ATOMIC_FILE_H
#define BERTC_ATOMIC_FILE_H
#include "ir.h"

/* Write to *stream, then commit (rename) or discard. A device or pipe is written in place. */
typedef struct AtomicFile {
	FILE *stream;
	char *path, *temporary; /* owned; temporary: NULL when written in place */
} AtomicFile;
bool atomic_open(AtomicFile *, const char *path, Diag *); /* false and a message: nothing to discard */
bool atomic_commit(AtomicFile *, Diag *);                 /* flushes; false and a message: nothing stays */
void atomic_discard(AtomicFile *);

/* What this process is to remove when it is interrupted or runs out of memory. */
void temporary_remember(const char *path, bool directory);
bool temporary_forget(const char *path); /* false: it was not remembered */
void temporaries_remove(void);           /* all of them; safe in a signal handler */
void remove_tree(const char *directory); /* does nothing to one that was not remembered */
#endif
