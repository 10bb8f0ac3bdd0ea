/* files.c: reads whole files up to a limit, finds the files of a model, makes temporary directories, and
 * shows the progress line. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "files.h"

bool path_has_suffix(const char *path, const char *suffix)
{
	const size_t length = strlen(path), tail = strlen(suffix);
	return length > tail && strcmp(path + length - tail, suffix) == 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

char *file_read(const char *path, size_t limit, size_t *bytes, Diag *diag)
{
	struct stat st;
	int fd = file_open(path, &st, diag);
	if (fd < 0)
		return NULL;
	if ((uintmax_t)st.st_size > limit) {
		diag_error_in(
			diag, EXIT_INPUT, path, 0, "has %jd bytes, expected at most %zu", (intmax_t)st.st_size, limit);
		close(fd);
		return NULL;
	}
	size_t size = (size_t)st.st_size, done = 0;
	char *text = malloc(size + 1); /* not checked_malloc: the message names the file */
	while (text && done < size) {
		ssize_t got = read(fd, text + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	close(fd);
	if (!text || done < size) {
		diag_error_in(diag, EXIT_INPUT, path, 0,
			text ? "ends after %zu of %zu bytes" : "does not fit into memory (%zu of %zu bytes read)", done,
			size);
		free(text);
		return NULL;
	}
	text[size] = '\0';
	if (bytes)
		*bytes = size;
	return text;
}

static bool is_plain_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0
		&& strlen(name) <= NAME_BYTES_MAX;
}

static bool is_regular(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *file_find_in(const char *directory, const char *reference, const char *inside,
	const char *const *search, MemArena *mem, Diag *diag)
{
	if (!is_plain_name(reference)) {
		diag_error(diag, EXIT_INPUT, 0,
			"reference \"%s\" is not a plain file name; put the file beside the model or give its directory "
			"with --search, and write only its name here",
			reference);
		return NULL;
	}
	const char *slash = inside ? "/" : "";
	for (const char *at = directory; at; at = search ? *search++ : NULL) {
		char *path = mem_printf(mem, "%s/%s%s%s", at, reference, slash, inside ? inside : "");
		if (!file_is_absent(path))
			return path;
	}
	diag_error(diag, EXIT_INPUT, 0, "\"%s%s%s\" is neither in %s nor in a --search directory", reference,
		slash, inside ? inside : "", directory);
	return NULL;
}

char *file_find(
	const char *directory, const char *reference, const char *const *search, MemArena *mem, Diag *diag)
{
	return file_find_in(directory, reference, NULL, search, mem, diag);
}

static bool same_inode(const char *a, const char *b)
{
	struct stat s, t;
	return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return checked_strdup(".");
	return checked_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

bool file_is_of_model(const char *out, const char *model)
{
	static const char *const kinds[] = {".json", ".safetensors", ".txt", ".model"};
	if (same_inode(out, model))
		return is_regular(out);
	struct stat st;
	char *folder = folder_of(out),
		 *home = stat(model, &st) == 0 && S_ISDIR(st.st_mode) ? checked_strdup(model) : folder_of(model);
	bool found = false;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		found |= strlen(out) > strlen(kinds[i])
			&& strcmp(out + strlen(out) - strlen(kinds[i]), kinds[i]) == 0;
	found = found && is_regular(out) && same_inode(folder, home);
	free(folder);
	free(home);
	return found;
}

/* ---- temporary directories -------------------------------------------------------------------- */

char *temporary_directory(Diag *diag)
{
	const char *base = getenv("TMPDIR");
	if (!base || !*base)
		base = "/tmp";
	/* compilers would take a name that begins with a dash as an option */
	char *path = checked_printf("%s%s/bertc-XXXXXX", *base == '-' ? "./" : "", base);
	if (!mkdtemp(path)) {
		diag_error_in(diag, EXIT_RUN, path, 0,
			"cannot make a temporary directory: %s; set TMPDIR to a writable directory", strerror(errno));
		free(path);
		return NULL;
	}
	temporary_remember(path, true);
	return path;
}

static bool directory_is_empty(const char *path)
{
	int entries = 0;
	DIR *dir = opendir(path);
	while (dir && readdir(dir))
		entries++;
	if (dir)
		closedir(dir);
	return dir && entries <= 2; /* "." and ".." */
}

char *directory_aside(const char *path, Diag *diag)
{
	struct stat st;
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		length--;
	/* rename replaces an empty directory */
	if (lstat(path, &st) == 0 && !(S_ISDIR(st.st_mode) && directory_is_empty(path))) {
		diag_error_in(diag, EXIT_USAGE, path, 0, "exists already; remove it or give another -o");
		return NULL;
	}
	char *aside = checked_printf("%.*s.tmp-%ld", (int)length, path, (long)getpid());
	if (mkdir(aside, 0777) != 0) {
		diag_error_in(diag, EXIT_RUN, aside, 0, "cannot be made: %s", strerror(errno));
		free(aside);
		return NULL;
	}
	temporary_remember(aside, true);
	return aside;
}

bool directory_commit(const char *aside, const char *path, Diag *diag)
{
	if (rename(aside, path) != 0)
		return diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
	temporary_forget(aside);
	return true;
}

bool file_copy(const char *from, const char *to, Diag *diag)
{
	struct stat st;
	char block[1 << 16];
	int in = file_open(from, &st, diag);
	AtomicFile file;
	if (in < 0 || !atomic_open(&file, to, diag)) {
		if (in >= 0)
			close(in);
		return false;
	}
	ssize_t got;
	while ((got = read(in, block, sizeof block)) > 0)
		fwrite(block, 1, (size_t)got, file.stream);
	close(in);
	if (got < 0) {
		diag_error_in(diag, EXIT_INPUT, from, 0, "cannot be read: %s", strerror(errno));
		atomic_discard(&file);
		return false;
	}
	return atomic_commit(&file, diag);
}

/* ---- progress -------------------------------------------------------------------------------- */

void progress_show(const char *what, int64_t done, int64_t of)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K[%jd/%jd] %s", (intmax_t)done, (intmax_t)of, what);
}

void progress_clear(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}
