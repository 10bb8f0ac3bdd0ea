/* checkpoint.c: opens the checkpoint files of a description and builds its module. The files are one
 * .safetensors, or the shards in a .safetensors.index.json. A shard must have exactly the tensors that the
 * index assigns to it, so that no tensor is ambiguous. */
#include <stdlib.h>
#include <string.h>
#include "compiler/support/json_file.h"
#include "import.h"
#include "compiler/model/family.h"
#include "compiler/support/files.h"

enum { SHARDS_MAX = 1024, INDEX_BYTES_MAX = 64 << 20 };

typedef struct Shards {
	const char *name[SHARDS_MAX];
	char *path[SHARDS_MAX];
	int32_t count;
} Shards;

static int32_t shard_number(Shards *shards, const char *name)
{
	for (int32_t i = 0; i < shards->count; i++)
		if (strcmp(shards->name[i], name) == 0)
			return i;
	if (shards->count == SHARDS_MAX)
		return -1;
	shards->name[shards->count] = name;
	return shards->count++;
}

/* The files in the index, sorted by name, because the order of JSON members must not matter. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool list_shards(const json_t *map, const char *index, Shards *shards, Diag *diag)
{
	const char *tensor;
	json_t *value;
	if (!json_is_object(map) || json_object_size(map) == 0)
		return diag_error_in(
			diag, EXIT_INPUT, index, 0, "weight_map is not an object of tensors and file names");
	json_object_foreach((json_t *)map, tensor, value)
	{
		if (!json_is_string(value))
			return diag_error_in(diag, EXIT_INPUT, index, 0,
				"weight_map places %s in %s, expected a file name", tensor, json_kind(value));
		if (!path_has_suffix(json_string_value(value), ".safetensors"))
			return diag_error_in(diag, EXIT_INPUT, index, 0,
				"weight_map places %s in \"%s\", which is not a .safetensors file", tensor,
				json_string_value(value));
		if (shard_number(shards, json_string_value(value)) < 0)
			return diag_error_in(diag, EXIT_UNSUPPORTED, index, 0, "lists more than %d files", SHARDS_MAX);
	}
	qsort(shards->name, (size_t)shards->count, sizeof *shards->name, compare_names);
	return true;
}

/* Finds the weight files of the description. *shards: their paths. *map: weight_map of the index; NULL: no
 * index. *json: the index; free it after the names are no longer used. */
static bool find_shards(const ModelDesc *desc, const char *const *search, Shards *shards, json_t **json,
	const json_t **map, Diag *diag)
{
	*json = NULL, *map = NULL;
	const char *directory = desc->weights_directory ? desc->weights_directory : desc->directory;
	char *path = file_find(directory, desc->weights, search, desc->mem, diag);
	if (!path)
		return false;
	if (!path_has_suffix(desc->weights, ".json")) {
		shards->name[0] = desc->weights;
		shards->path[0] = path;
		shards->count = 1;
		return true;
	}
	*json = json_read(path, INDEX_BYTES_MAX, 0, diag);
	if (!*json)
		return false;
	*map = json_object_get(*json, "weight_map");
	if (!list_shards(*map, path, shards, diag))
		return false;
	for (int32_t i = 0; i < shards->count; i++)
		if (!(shards->path[i] = file_find(directory, shards->name[i], search, desc->mem, diag)))
			return false;
	return true;
}

static bool check_places(const json_t *map, const Shards *shards, TensorFile *const *files, Diag *diag)
{
	const char *tensor;
	json_t *value;
	for (int32_t f = 0; f < shards->count; f++)
		for (int32_t t = 0; t < tensor_file_count(files[f]); t++) {
			const char *name = tensor_file_get(files[f], t)->name,
					   *place = json_string_value(json_object_get(map, name));
			if (!place || strcmp(place, shards->name[f]) != 0)
				return diag_error_in(diag, EXIT_INPUT, shards->path[f], 0,
					"holds %s, which the index places in %s", name, place ? place : "no file");
		}
	json_object_foreach((json_t *)map, tensor, value)
	{
		const char *name = json_string_value(value);
		int32_t f = (int32_t)((const char *const *)bsearch(
								  &name, shards->name, (size_t)shards->count, sizeof name, compare_names)
			- shards->name);
		if (!tensor_file_find(files[f], tensor))
			return diag_error_in(diag, EXIT_INPUT, shards->path[f], 0,
				"does not hold %s, which the index places in it", tensor);
	}
	return true;
}

void checkpoint_close(TensorFile **files, int32_t count)
{
	for (int32_t i = 0; i < count; i++)
		tensor_file_close(files[i]);
	free(files);
}

int32_t checkpoint_open(const ModelDesc *desc, const char *const *search, TensorFile ***files, Diag *diag)
{
	Shards shards = {.count = 0};
	json_t *json;
	const json_t *map;
	int32_t opened = 0;
	*files = NULL;
	if (find_shards(desc, search, &shards, &json, &map, diag)) {
		*files = checked_calloc(SHARDS_MAX, sizeof **files);
		while (opened < shards.count && ((*files)[opened] = tensor_file_open(shards.path[opened], diag)))
			opened++;
		if (opened < shards.count || (map && !check_places(map, &shards, *files, diag))) {
			checkpoint_close(*files, opened);
			*files = NULL;
			opened = 0;
		}
	}
	json_decref(json);
	return opened;
}

/* ---- the module ------------------------------------------------------------------------------ */

Module *description_build(const ModelDesc *desc, const LoadOptions *options, Diag *diag)
{
	TensorFile **files;
	if (!desc->family->words) /* its weights are in its config.json */
		return family_build(desc, NULL, 0, options, diag);
	int32_t count = checkpoint_open(desc, options->search, &files, diag);
	Module *module = count ? family_build(desc, files, count, options, diag) : NULL;
	free(files);
	return module;
}
