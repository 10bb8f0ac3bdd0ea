/* atomic_file.c: files that appear completely or not at all, by rename, the removal of temporary files if
 * bertc is interrupted, and opening files of others. A small table has the temporary names, so that a signal
 * handler and out_of_memory can remove them without malloc or stdio. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
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

static volatile sig_atomic_t worker;

void temporary_worker(pid_t process) { worker = process; }

void temporaries_remove(void)
{
	if (worker) { /* what it writes would come after its directory has been emptied */
		kill(worker, SIGTERM);
		waitpid(worker, NULL, 0);
	}
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

/* ---- reading --------------------------------------------------------------------------------- */

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "a directory";
	case S_IFIFO: return "a pipe";
	case S_IFSOCK: return "a socket";
	default: return "a device";
	}
}

/* A pipe of pipe(2) lies in a file system of its own, a named one in that of its folder. */
static bool is_handed_pipe(int fd, mode_t mode)
{
	struct statfs fs;
	return S_ISFIFO(mode) && fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

static bool refuse(const char *path, int error, Diag *diag)
{
	struct stat st;
	if (error == ENXIO) /* how the system refuses a socket */
		return diag_error_in(diag, EXIT_INPUT, path, 0, "is a socket, expected a regular file");
	if (error == ENOENT && lstat(path, &st) == 0)
		return diag_error_in(diag, EXIT_INPUT, path, 0, "cannot open: it is a symbolic link to nothing");
	return diag_error_in(diag, EXIT_INPUT, path, 0, "cannot open: %s", strerror(error));
}

/* O_NONBLOCK: opening a named pipe must not wait for a writer. */
static int open_kind(const char *path, struct stat *st, bool pipes, Diag *diag)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) != 0) {
		refuse(path, errno, diag);
	} else if (S_ISREG(st->st_mode)) {
		return fd;
	} else if (pipes && is_handed_pipe(fd, st->st_mode)) {
		fcntl(fd, F_SETFL, 0);
		return fd;
	} else {
		diag_error_in(diag, EXIT_INPUT, path, 0, "is %s, expected a regular file", kind_of(st->st_mode));
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

int file_open(const char *path, struct stat *st, Diag *diag) { return open_kind(path, st, false, diag); }

int file_open_or_pipe(const char *path, struct stat *st, Diag *diag)
{
	return open_kind(path, st, true, diag);
}

bool file_is_absent(const char *path)
{
	struct stat st;
	return lstat(path, &st) != 0 && errno == ENOENT;
}
