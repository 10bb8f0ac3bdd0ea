/* files.h: reads whole files, makes temporary directories, writes directories that appear whole or not at
 * all, and shows progress on a terminal. ir/atomic_file.h does the same for single files. */
#ifndef BERTC_FILES_H
#define BERTC_FILES_H
#include "ir/atomic_file.h"

/* Reads a whole regular file of at most `limit` bytes. The result is malloc'd and NUL-terminated. NULL and a
 * message on error. */
char *file_read(const char *path, size_t limit, size_t *bytes, Diag *);
/* Finds a file by its plain name (no '/', not "." or "..") in directory, then in the directories of search.
 * NULL and a message if the name is not plain or the file is in none of them. */
char *file_find(const char *directory, const char *reference, const char *const *search, MemArena *, Diag *);
/* The same for the file `inside` in a directory with that plain name. */
char *file_find_in(const char *directory, const char *reference, const char *inside,
	const char *const *search, MemArena *, Diag *);
/* "a.bir" has the suffix ".bir"; the name ".bir" does not. */
bool path_has_suffix(const char *path, const char *suffix);
/* True if writing `out` would overwrite the model: MODEL itself, or a weights, tokenizer or configuration
 * file beside it. */
bool file_is_of_model(const char *out, const char *model);
bool file_copy(const char *from, const char *to, Diag *);
char *temporary_directory(Diag *); /* in $TMPDIR; malloc'd; remove it with remove_tree */
/* Makes a temporary directory beside `path`. Fill it, then commit (rename) or remove it. The name is
 * malloc'd. NULL and a message if path exists. */
char *directory_aside(const char *path, Diag *);
bool directory_commit(const char *aside, const char *path, Diag *);
/* Shows one progress line ("[3/9] fuse") if standard error is a terminal. */
void progress_show(const char *what, int64_t done, int64_t of);
void progress_clear(void);
#endif
