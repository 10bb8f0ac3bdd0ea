/* cmd_describe.c: `bertc describe HF_DIR [-o model.xml]`: writes the description that build would use, for
 * editing, and what bertc chose when it read the files (diag_decide). It is first tried on the checkpoint, so
 * build can build every description that describe writes. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bertc.h"
#include "compiler/import/import.h"

static bool is_stdout(const char *path) { return !path || strcmp(path, "-") == 0; }

/* A line for each decision, aligned. */
static char *decisions_text(const Diag *diag)
{
	char *text = NULL;
	size_t bytes;
	int widest = 0;
	FILE *out = text_open(&text, &bytes);
	for (int i = 0; i < diag->ndecisions; i++) {
		const int width = (int)strlen(diag->decisions[i].about);
		widest = width > widest ? width : widest;
	}
	for (int i = 0; i < diag->ndecisions; i++)
		fprintf(out, "%-*s  %s\n", widest, diag->decisions[i].about, diag->decisions[i].text);
	text_close(out);
	return text;
}

/* The decisions are a comment of the XML and, where that goes to a file, standard output. */
static bool write_out(const ModelDesc *desc, const BuildOptions *options, Diag *diag)
{
	AtomicFile file;
	const char *path = options->result.out;
	char *why = decisions_text(diag), *comment = checked_printf(" Why:\n%s", why);
	bool good = is_stdout(path) || atomic_open(&file, path, diag);
	if (good)
		good = description_write(desc, *why ? comment : NULL, is_stdout(path) ? stdout : file.stream)
			|| !is_stdout(path);
	if (good && !is_stdout(path)) {
		good = atomic_commit(&file, diag);
		fputs(good && !options->quiet ? why : "", stdout);
	}
	free(comment);
	free(why);
	return good;
}

/* True when a file of `directory` can be found from the description at `path`. */
static bool lies_in(const char *path, const char *directory)
{
	struct stat a, b;
	const char *slash = strrchr(path, '/');
	char *folder = !slash ? checked_strdup(".") : checked_strndup(path, (size_t)(slash - path) + 1);
	bool same = stat(folder, &a) == 0 && stat(directory, &b) == 0 && a.st_dev == b.st_dev
		&& a.st_ino == b.st_ino;
	free(folder);
	return same;
}

static bool write_description(const BuildOptions *options, Loaded *loaded, Diag *diag)
{
	if (options->result.out && file_is_of_model(options->result.out, options->load.model))
		return diag_error_in(diag, EXIT_USAGE, options->result.out, 0,
			"is a file of the model, which the description would replace; "
			"give another -o");
	if (!model_load(&options->load, loaded, diag))
		return false;
	model_unload(loaded);
	diag_print(diag, stderr);
	Diag again; /* drops the second copy of the same warnings */
	diag_init(&again, options->load.model);
	ModelDesc *desc = description_from_hf(options->load.model, &options->load, &again);
	diag_free(&again);
	bool good = desc && (!options->load.merge || merge_parse(desc, options->load.merge, diag))
		&& write_out(desc, options, diag);
	if (good && !options->quiet && !is_stdout(options->result.out)
		&& !lies_in(options->result.out, options->load.model))
		diag_note(diag, 0, "%s lies elsewhere than its checkpoint: build it with --search=%s",
			options->result.out, options->load.model);
	description_free(desc);
	return good;
}

static int describe(void *options, Loaded *loaded, Diag *diag)
{
	return write_description(options, loaded, diag) ? EXIT_DONE : EXIT_RUN;
}

int cmd_describe(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "HF_DIR",
		.doc = "Write the XML description of a Hugging Face directory, for editing.\vA comment of the XML "
			   "lists "
			   "what bertc chose when it read the directory, with the file and the key that decided. With -o "
			   "the list is also printed, unless --quiet is given.",
		.no_words = "no directory: give HF_DIR",
		.work = describe,
	};
	BuildOptions options;
	return command_run(&usage, argc, argv, &options);
}
