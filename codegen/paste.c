/* paste.c: copies files of runtime/, which are embedded in bertc, into the emitted C: each file once, after
 * the files that it includes. So the result is one translation unit without other files. emit_c.c chooses the
 * files. */
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "tokenize/tokenizer_tables.h"

static bool is_done(const Paste *paste, const char *name)
{
	for (int32_t i = 0; i < paste->count; i++)
		if (strcmp(paste->done[i], name) == 0)
			return true;
	return false;
}

static void remember(Paste *paste, const char *name)
{
	paste->done = checked_grow(paste->done, &paste->capacity, (size_t)paste->count + 1, sizeof *paste->done);
	paste->done[paste->count++] = checked_strdup(name);
}

/* The name between the quotes of `#include "name"`, looked up beside the including file, then in runtime/.
 * NULL: the line is not such an include. */
static const char *included(const char *line, const char *end, const char *from, char path[256])
{
	static const char directive[] = "#include \"";
	size_t length = sizeof directive - 1;
	if ((size_t)(end - line) <= length || strncmp(line, directive, length) != 0)
		return NULL;
	const char *name = line + length, *quote = memchr(name, '"', (size_t)(end - name));
	if (!quote)
		return NULL;
	const char *slash = strrchr(from, '/');
	int folder = slash ? (int)(slash + 1 - from) : 0;
	if (strncmp(name, "../", 3) == 0 && folder) {
		name += 3;
		folder = 0;
	}
	snprintf(path, 256, "%.*s%.*s", folder, from, (int)(quote - name), name);
	if (!embedded_file(path, NULL))
		snprintf(path, 256, "%.*s", (int)(quote - name), name);
	return path;
}

bool paste_file(Paste *paste, const char *name, Diag *diag)
{
	if (is_done(paste, name))
		return true;
	size_t bytes;
	const char *text = embedded_file(name, &bytes);
	if (!text)
		return diag_error(diag, EXIT_RUN, 0, "the runtime file %s is not part of this bertc", name);
	remember(paste, name);
	const char *end = text + bytes;
	char path[256];
	for (const char *line = text; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		stop = stop ? stop + 1 : end;
		if (included(line, stop, name, path) && !paste_file(paste, path, diag))
			return false;
		line = stop;
	}
	fprintf(paste->out, "\n/* ==== %s */\n", name);
	for (const char *line = text; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		stop = stop ? stop + 1 : end;
		if (!included(line, stop, name, path))
			fwrite(line, 1, (size_t)(stop - line), paste->out);
		line = stop;
	}
	return true;
}

bool paste_kernel(Paste *paste, const char *function, Diag *diag)
{
	const KernelInfo *kernel = kernel_find(function);
	char name[256];
	if (kernel) {
		snprintf(name, sizeof name, "kernels/%s", kernel->file);
		return paste_file(paste, name, diag);
	}
	return diag_error(diag, EXIT_RUN, 0, "there is no kernel %s in runtime/kernels.def", function);
}

bool paste_tokenizer(Paste *paste, const TokenizerDesc *desc, Diag *diag)
{
	char split[64], model[64];
	if (!desc)
		return true;
	snprintf(split, sizeof split, "tokenize/split_%s.h", desc->split->name);
	snprintf(model, sizeof model, "tokenize/%s.h", desc->model->name);
	return (!desc->contextual || paste_file(paste, "tokenize/normalizer.h", diag))
		&& (desc->ncuts == 0 || paste_file(paste, "tokenize/cuts.h", diag)) && paste_file(paste, split, diag)
		&& paste_file(paste, model, diag)
		&& (!desc->trim_offsets || paste_file(paste, "tokenize/trim.h", diag));
}

void paste_forget(Paste *paste, int32_t count)
{
	while (paste->count > count)
		free((char *)(uintptr_t)paste->done[--paste->count]);
}

void paste_free(Paste *paste)
{
	paste_forget(paste, 0);
	free(paste->done);
	*paste = (Paste){0};
}
