/* scratch.c: a temporary directory beside the result, on the same file system, so that finished files get
 * their names by rename: they appear whole or not at all. One is open at a time; a signal handler may remove
 * it (scratch_interrupted). */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "emit.h"

/* What an interruption has to remove: paths are fixed when the directory is made, since a handler may not
 * allocate. */
enum { SCRATCH_FILES = 8, PATH_BYTES = 4096 };
static char pending_directory[PATH_BYTES], pending_files[SCRATCH_FILES][PATH_BYTES];
static volatile sig_atomic_t pending_count, pending;

void scratch_interrupted(void)
{
	if (!pending)
		return;
	for (int i = 0; i < pending_count; i++)
		unlink(pending_files[i]);
	rmdir(pending_directory);
}

bool scratch_open(Scratch *scratch, const char *beside, Diag *diag)
{
	const char *slash = strrchr(beside, '/');
	int folder = slash ? (int)(slash + 1 - beside) : 0;
	scratch->directory = NULL;
	if (strlen(beside) > PATH_BYTES - 64)
		return diag_error_in(diag, EXIT_RUN, beside, 0, "cannot be written: the path is too long");
	if (asprintf(&scratch->directory, "%.*s.bertc-XXXXXX", folder, beside) < 0) {
		scratch->directory = NULL;
		return diag_error(diag, EXIT_RUN, 0, "out of memory");
	}
	if (!mkdtemp(scratch->directory)) {
		diag_error_in(diag, EXIT_RUN, beside, 0, "cannot be written: %s", strerror(errno));
		free(scratch->directory);
		scratch->directory = NULL;
		return false;
	}
	strcpy(pending_directory, scratch->directory);
	pending_count = 0;
	pending = 1;
	return true;
}

char *scratch_path(const Scratch *scratch, const char *name)
{
	char *path = NULL;
	if (asprintf(&path, "%s/%s", scratch->directory, name) < 0) {
		fputs("bertc: error: out of memory\n", stderr);
		exit(EXIT_RUN);
	}
	for (int i = 0; i < pending_count; i++)
		if (strcmp(pending_files[i], path) == 0)
			return path;
	if (pending_count < SCRATCH_FILES && strlen(path) < PATH_BYTES) {
		strcpy(pending_files[pending_count], path);
		pending_count++;
	}
	return path;
}

void scratch_close(Scratch *scratch)
{
	if (!scratch->directory)
		return;
	DIR *directory = opendir(scratch->directory);
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(scratch->directory);
	pending = 0;
	free(scratch->directory);
	scratch->directory = NULL;
}

bool scratch_commit(const Scratch *scratch, const char *name, const char *path, Diag *diag)
{
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)
		&& !S_ISDIR(st.st_mode)) /* a device or pipe must not be renamed over */
		return diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: it is no regular file");
	char *from = scratch_path(scratch, name);
	bool good = rename(from, path) == 0;
	free(from);
	return good ? true : diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
}
