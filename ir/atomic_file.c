/* atomic_file.c: files that appear completely or not at all, by rename, and the removal of temporary files if
 * bertc is interrupted. A small table has the temporary names, so that a signal handler and out_of_memory can
 * remove them without malloc or stdio. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "atomic_file.h"

/* ---- temporaries ----------------------------------------------------------------------------- */

enum { TEMPORARIES_MAX = 16, TREE_DEPTH_MAX = 8 };
static struct {
	char path[4096];
	pid_t owner; /* a forked process must not remove it */
	volatile sig_atomic_t used, directory;
} temporaries[TEMPORARIES_MAX];

void temporary_remember(const char *path, bool directory)
{
	for (int i = 0; i < TEMPORARIES_MAX; i++)
		if (!temporaries[i].used && strlen(path) < sizeof temporaries[i].path) {
			strcpy(temporaries[i].path, path);
			temporaries[i].owner = getpid();
			temporaries[i].directory = directory;
			temporaries[i].used = 1;
			return;
		}
}

bool temporary_forget(const char *path)
{
	for (int i = 0; i < TEMPORARIES_MAX; i++)
		if (temporaries[i].used && strcmp(temporaries[i].path, path) == 0) {
			temporaries[i].used = 0;
			return true;
		}
	return false;
}

/* Empties a directory with system calls only, because opendir allocates, which a signal handler must not do.
 * Removes links without following them. */
static void empty_directory(int parent, const char *name, int depth)
{
	_Alignas(struct dirent64) char buffer[4096];
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	for (bool removed = true;
		removed;) { /* repeat after deleting, because that shifts the offsets of a directory */
		removed = false;
		ssize_t bytes;
		lseek(fd, 0, SEEK_SET);
		while ((bytes = getdents64(fd, buffer, sizeof buffer)) > 0)
			for (ssize_t at = 0; at < bytes;) {
				const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
				at += entry->d_reclen;
				if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
					continue;
				if (unlinkat(fd, entry->d_name, 0) == 0) {
					removed = true;
				} else if (depth > 0) {
					empty_directory(fd, entry->d_name, depth - 1);
					removed |= unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0;
				}
			}
	}
	close(fd);
}

void temporaries_remove(void)
{
	for (int i = 0; i < TEMPORARIES_MAX; i++) {
		if (!temporaries[i].used || temporaries[i].owner != getpid())
			continue;
		temporaries[i].used = 0;
		if (temporaries[i].directory) {
			empty_directory(AT_FDCWD, temporaries[i].path, TREE_DEPTH_MAX);
			rmdir(temporaries[i].path);
		} else {
			unlink(temporaries[i].path);
		}
	}
}

void remove_tree(const char *directory)
{
	if (!temporary_forget(directory))
		return;
	empty_directory(AT_FDCWD, directory, TREE_DEPTH_MAX);
	rmdir(directory);
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool cannot_write(const char *path, Diag *diag)
{
	return diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
}

/* Writes to a device or pipe (/dev/stdout) directly: a rename would replace it. */
bool atomic_open(AtomicFile *file, const char *path, Diag *diag)
{
	static unsigned serial;
	struct stat st;
	*file = (AtomicFile){0};
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		file->path = checked_strdup(path);
		errno = EISDIR;
		if (!S_ISDIR(st.st_mode))
			file->stream = fopen(path, "we");
		if (file->stream)
			return true;
		cannot_write(path, diag);
		atomic_discard(file);
		return false;
	}
	file->temporary = checked_printf("%s.tmp-%ld-%u", path, (long)getpid(), serial++);
	file->path = checked_strdup(path);
	int fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0) {
		cannot_write(path, diag);
		free(file->temporary);
		file->temporary = NULL;
		atomic_discard(file);
		return false;
	}
	temporary_remember(file->temporary, false);
	file->stream = fdopen(fd, "w");
	return true;
}

bool atomic_commit(AtomicFile *file, Diag *diag)
{
	bool bad = ferror(file->stream);
	bad |= fclose(file->stream) != 0;
	file->stream = NULL;
	if (!bad && file->temporary)
		bad = rename(file->temporary, file->path) != 0;
	if (bad)
		cannot_write(file->path, diag);
	else if (file->temporary) {
		temporary_forget(file->temporary);
		free(file->temporary);
		file->temporary = NULL;
	}
	atomic_discard(file);
	return !bad;
}

void atomic_discard(AtomicFile *file)
{
	if (file->stream)
		fclose(file->stream);
	if (file->temporary) {
		unlink(file->temporary);
		temporary_forget(file->temporary);
	}
	free(file->temporary);
	free(file->path);
	*file = (AtomicFile){0};
}
