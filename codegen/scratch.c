/* scratch.c: a temporary directory beside the result, on the same file system. Finished files are renamed, so
 * they appear completely or not at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "emit.h"
#include "ir/atomic_file.h"

bool scratch_open(Scratch *scratch, const char *beside, Diag *diag)
{
	const char *slash = strrchr(beside, '/');
	int folder = slash ? (int)(slash + 1 - beside) : 0;
	/* a name that begins with a dash would be an option to compilers */
	const char *here = folder && *beside == '-' ? "./" : "";
	scratch->directory = checked_printf("%s%.*s.bertc-XXXXXX", here, folder, beside);
	if (!mkdtemp(scratch->directory)) {
		diag_error_in(diag, EXIT_RUN, beside, 0, "cannot be written: %s", strerror(errno));
		free(scratch->directory);
		scratch->directory = NULL;
		return false;
	}
	temporary_remember(scratch->directory, true);
	return true;
}

char *scratch_path(const Scratch *scratch, const char *name)
{
	return checked_printf("%s/%s", scratch->directory, name);
}

void scratch_close(Scratch *scratch)
{
	if (!scratch->directory)
		return;
	remove_tree(scratch->directory);
	free(scratch->directory);
	scratch->directory = NULL;
}

bool scratch_commit(const Scratch *scratch, const char *name, const char *path, Diag *diag)
{
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)
		&& !S_ISDIR(st.st_mode)) /* never rename over a device or pipe */
		return diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: is not a regular file");
	char *from = scratch_path(scratch, name);
	bool good = rename(from, path) == 0;
	free(from);
	return good ? true : diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
}
