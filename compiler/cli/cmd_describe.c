/* cmd_describe.c: `bertc describe HF_DIR [-o model.xml]`: writes the description that build would use, for
 * editing. It is first tried on the checkpoint, so build can build every description that describe writes. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bertc.h"
#include "compiler/import/import.h"

static bool write_out(const ModelDesc *desc, const char *path, Diag *diag)
{
	AtomicFile file;
	if (!path || strcmp(path, "-") == 0)
		return description_write(desc, stdout);
	if (!atomic_open(&file, path, diag))
		return false;
	description_write(desc, file.stream);
	return atomic_commit(&file, diag);
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
		&& write_out(desc, options->result.out, diag);
	if (good && !options->quiet && !options->load.merge)
		diag_note(diag, 0, "max-tokens %d comes from %s", desc->max_tokens, desc->max_tokens_rule);
	if (good && !options->quiet && options->result.out && strcmp(options->result.out, "-") != 0
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
		.doc = "Write the XML description of a Hugging Face directory, for editing.",
		.no_words = "no directory: give HF_DIR",
		.work = describe,
	};
	BuildOptions options;
	return command_run(&usage, argc, argv, &options);
}
