/* checkpoint_files.c: the files of --emit=checkpoint that are copied unchanged (checkpoint.h). */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "checkpoint.h"
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer_import.h"

static bool copy_file(const Writer *w, const char *from, const char *to, const char *name)
{
	const char *path = mem_printf(w->mem, "%s/%s", from, name);
	return file_is_absent(path) || file_copy(path, mem_printf(w->mem, "%s/%s", to, name), w->diag);
}

static bool make_folder(const Writer *w, const char *path)
{
	return mkdir(path, 0777) == 0
		|| diag_error_in(w->diag, EXIT_RUN, path, 0, "cannot be made: %s", strerror(errno));
}

/* Copies all regular files of a module's folder: config.json and, for a Dense, its weights. */
static bool copy_folder(const Writer *w, const char *home, const char *name)
{
	const char *from = mem_printf(w->mem, "%s/%s", home, name),
			   *to = mem_printf(w->mem, "%s/%s", w->root, name);
	if (file_is_absent(from)) /* Normalize has none */
		return true;
	DIR *dir = opendir(from);
	if (!dir)
		return diag_error_in(w->diag, EXIT_INPUT, from, 0, "cannot open: %s", strerror(errno));
	bool good = make_folder(w, to);
	for (struct dirent *entry; good && (entry = readdir(dir));) {
		struct stat st;
		if (stat(mem_printf(w->mem, "%s/%s", from, entry->d_name), &st) != 0 || !S_ISDIR(st.st_mode))
			good = copy_file(w, from, to, entry->d_name);
	}
	closedir(dir);
	return good;
}

/* Copies modules.json of sentence-transformers and the folders that it names, except the encoder's. Folder
 * names were checked when the model was loaded. */
static bool copy_modules(const Writer *w, const char *home)
{
	const char *path = mem_printf(w->mem, "%s/modules.json", home);
	if (file_is_absent(path))
		return true;
	json_t *modules = json_read(path, JSON_CONFIG_BYTES_MAX, 0, w->diag), *module;
	size_t i;
	bool good = modules && copy_file(w, home, w->root, "modules.json")
		&& copy_file(w, home, w->root, "config_sentence_transformers.json");
	json_array_foreach(modules, i, module)
	{
		const char *name = json_string_value(json_object_get(module, "path"));
		if (good && name && *name && strcmp(mem_printf(w->mem, "%s/%s", home, name), w->desc->directory) != 0)
			good = copy_folder(w, home, name);
	}
	json_decref(modules);
	return good;
}

/* Copies those of the encoder's files that are there; the list ends with NULL. */
static bool copy_list(const Writer *w, const char *const *names)
{
	bool good = true;
	for (size_t i = 0; good && names[i]; i++)
		good = copy_file(w, w->desc->directory, w->folder, names[i]);
	return good;
}

bool checkpoint_copy_rest(Writer *w)
{
	static const char *const names[] = {
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", NULL};
	const ModelDesc *desc = w->desc;
	const char *home = desc->modules_directory ? desc->modules_directory : desc->directory;
	w->folder = w->root;
	if (desc->modules_directory) {
		w->folder = mem_printf(w->mem, "%s/%s", w->root, strrchr(desc->directory, '/') + 1);
		if (!make_folder(w, w->folder))
			return false;
	}
	const TokenizerModel *model = w->loaded->tokenizer ? w->loaded->tokenizer->model : &unigram_tokenizer;
	return copy_list(w, names) && copy_list(w, sbert_encoder_files) && copy_list(w, unigram_tokenizer.files)
		&& copy_list(w, unigram_tokenizer.other_files) && copy_list(w, model->files)
		&& (!w->loaded->renumbered || tokenizer_write(w->loaded, desc->directory, w->folder, w->diag))
		&& copy_modules(w, home);
}
