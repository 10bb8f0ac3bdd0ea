/* files.h: reading whole files, temporary folders, folders that appear whole or not at all, and progress on a
 * terminal. Files that appear so are ir/atomic_file.h. */
#ifndef BERTC_FILES_H
#define BERTC_FILES_H
#include "ir/atomic_file.h"

/* Reads a whole regular file of at most `limit` bytes; malloc'd and NUL-terminated. NULL and a message on
 * error. */
char *file_read(const char *path, size_t limit, size_t *bytes, Diag *);
/* A reference must be a plain file name (no '/', not "." or ".."): finds it in directory, then in search.
 * NULL and a message. */
char *file_find(const char *directory, const char *reference, const char *const *search, MemArena *, Diag *);
/* The same for the file `inside` of a folder whose plain name is the reference. */
char *file_find_in(const char *directory, const char *reference, const char *inside,
	const char *const *search, MemArena *, Diag *);
/* "a.bir" has the suffix ".bir"; ".bir" alone has not. */
bool path_has_suffix(const char *path, const char *suffix);
/* Whether writing `out` would replace the model: MODEL itself, or a weights, tokenizer or configuration file
 * that lies with it. */
bool file_is_of_model(const char *out, const char *model);
bool file_copy(const char *from, const char *to, Diag *);
char *temporary_directory(Diag *); /* under $TMPDIR; malloc'd; ends with remove_tree */
/* A directory beside `path`, to be filled, then committed (renamed) or removed; malloc'd. NULL and a message
 * if path exists. */
char *directory_aside(const char *path, Diag *);
bool directory_commit(const char *aside, const char *path, Diag *);
/* One progress line on a terminal's standard error ("\r[3/9] fuse"), nothing elsewhere. */
void progress_show(const char *what, int64_t done, int64_t of);
void progress_clear(void);
#endif
