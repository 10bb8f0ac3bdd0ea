/* new_file.c: writes files that appear completely or not at all, by rename. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "text.h"

/* Writes to devices and pipes directly: a rename would replace /dev/null for everybody. */
bool new_file_open(NewFile *file, const char *path, Diag *diag)
{
	struct stat st;
	*file = (NewFile){.path = path, .diag = diag};
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		file->out = fopen(path, "wb");
		return file->out || diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
	}
	if (asprintf(&file->temporary, "%s.XXXXXX", path) < 0) {
		file->temporary = NULL;
		return diag_error_in(diag, EXIT_RUN, path, 0, "out of memory");
	}
	int handle = mkstemp(file->temporary);
	if (handle >= 0) {
		mode_t mask = umask(0);
		umask(mask);
		fchmod(handle, 0666 & ~mask); /* mkstemp makes files that others cannot read */
		file->out = fdopen(handle, "wb");
	}
	if (!file->out) {
		diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
		if (handle >= 0) {
			close(handle);
			unlink(file->temporary);
		}
		free(file->temporary);
		return false;
	}
	return true;
}

void new_file_discard(NewFile *file)
{
	fclose(file->out);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
}

bool new_file_commit(NewFile *file)
{
	bool good = !ferror(file->out);
	good = fclose(file->out) == 0 && good;
	good = good && (!file->temporary || rename(file->temporary, file->path) == 0);
	if (!good) {
		diag_error_in(file->diag, EXIT_RUN, file->path, 0, "cannot be written: %s", strerror(errno));
		if (file->temporary)
			unlink(file->temporary);
	}
	free(file->temporary);
	return good;
}
