/* family.c: looks up the data of a family, and builds the model of a description (family.h). */
#include <stdlib.h>
#include <string.h>
#include "family.h"

static const HeadSpec embed_head = {.build = head_embed, .pooling = "mean"},
					  multi_vector_head = {.build = head_multi_vector};

bool head_scores_words(const HeadDesc *head)
{
	return strcmp(head->task, task_names[TASK_FILL_MASK]) == 0
		|| (strcmp(head->task, task_names[TASK_SPARSE]) == 0 && !head->nmodules);
}

const HeadSpec *family_head(const Family *family, const HeadDesc *head)
{
	const Task task = (Task)word_index(head->task, task_names, TASK_COUNT);
	if (task == TASK_MULTI_VECTOR)
		return &multi_vector_head;
	if (task == TASK_EMBED || head->nmodules)
		return &embed_head;
	if (task == TASK_TAG && family->replaced.build && head->tensors
		&& strcmp(head->tensors, family->replaced.tensors) == 0)
		return &family->replaced;
	if (head_scores_words(head) && family->tabled.build && head->tensors
		&& strcmp(head->tensors, family->tabled.tensors) == 0)
		return &family->tabled;
	const Task as = head_scores_words(head) ? TASK_FILL_MASK : task;
	const HeadSpec *spec = &family->head[as == TASK_RANK ? TASK_CLASSIFY : as];
	return spec->build ? spec : NULL;
}

bool family_has_segments(const ModelDesc *desc)
{
	return desc->family->segments || (desc->family->size[SIZE_TYPES].key && desc->types > 1);
}

int32_t family_columns(const ModelDesc *desc) { return desc->embedding ? desc->embedding : desc->hidden; }

int32_t family_width(const ModelDesc *desc) { return desc->bottleneck ? desc->bottleneck : desc->hidden; }

int32_t family_attention(const ModelDesc *desc)
{
	const Attends attends = desc->family->attends;
	if (attends == ATTENDS_NONE)
		return 0;
	return attends == ATTENDS_HALF ? desc->hidden / desc->heads / 2 * desc->heads : family_width(desc);
}

int32_t family_depth(const ModelDesc *desc) { return desc->layers * (desc->inner ? desc->inner : 1); }

/* transformers: int(i / (num_hidden_layers / num_hidden_groups)), a division of reals. */
int32_t family_group(int32_t i, int32_t layers, int32_t groups)
{
	return (int32_t)(i / ((double)layers / groups));
}

int32_t family_longest(const ModelDesc *desc)
{
	const bool placed = !(desc->family->traits & 1u << TRAIT_PLACED) || desc->trait[TRAIT_PLACED];
	if (!desc->family->size[SIZE_POSITIONS].key || !placed)
		return MOST_POSITIONS;
	return desc->positions - (desc->family->skips_padding ? desc->padding + 1 : 0);
}

int32_t family_usual(const ModelDesc *desc)
{
	enum { USUAL = 512 };
	const int32_t longest = family_longest(desc), positions = desc->positions ? desc->positions : USUAL;
	return longest < MOST_POSITIONS ? longest : positions;
}

const char *size_name(const ModelDesc *desc, Size size)
{
	static const char *const words[] = {
#define SIZE(NAME, field, ...) [SIZE_##NAME] = #field,
#include "sizes.def"
#undef SIZE
		[SIZE_LABELS] = "labels"};
	if (!desc->from_config || (size != SIZE_LABELS && !desc->family->size[size].key))
		return words[size];
	if (size == SIZE_LABELS)
		return "id2label";
	return desc->family->size[size].key;
}

/* ---- names of tensors ------------------------------------------------------------------------ */

const char *family_bare_name(const Family *family, const char *name)
{
	for (int i = 0; family->prefixes[i]; i++) {
		const size_t length = strlen(family->prefixes[i]);
		if (length > 0 && strncmp(name, family->prefixes[i], length) == 0)
			return name + length;
	}
	return name;
}

const char *family_spelling(const Family *family, const char *name, int i, char text[SPELLING_BYTES])
{
	if (!family->prefixes[i])
		return NULL;
	snprintf(text, SPELLING_BYTES, "%s%s", family->prefixes[i], family_bare_name(family, name));
	return text;
}

int64_t family_layer(const Family *family, const char *name, const char **digits)
{
	const char *bare = family_bare_name(family, name);
	const size_t stem = family->layers ? strlen(family->layers) : 0;
	if (stem == 0 || strncmp(bare, family->layers, stem) != 0 || bare[stem] != '.')
		return -1;
	*digits = bare + stem + 1;
	const size_t count = strspn(*digits, "0123456789");
	if (count == 0 || (*digits)[count] != '.')
		return -1;
	return strtoll(*digits, NULL, 10);
}

bool family_is_decoder(const Family *family, const char *name)
{
	const HeadSpec *spec = &family->head[TASK_FILL_MASK];
	if (!spec->build)
		return false;
	char stem[SPELLING_BYTES];
	const char *star = strchr(spec->out, '*');
	if (!star)
		return false;
	snprintf(stem, sizeof stem, "%.*s%s%s.", (int)(star - spec->out), spec->out, spec->tensors, star + 1);
	return strncmp(name, stem, strlen(stem)) == 0;
}

/* ---- the model ------------------------------------------------------------------------------- */

/* N of a tensor PREFIXencoder.layer.N.REST with exactly this prefix; -1: it is another. */
static int64_t layer_with(const Family *family, const char *name, const char *prefix)
{
	const char *digits;
	const bool own = family_bare_name(family, name) - name == (ptrdiff_t)strlen(prefix);
	return own ? family_layer(family, name, &digits) : -1;
}

static bool has_layers(const Builder *b, const char *prefix)
{
	for (int32_t f = 0; f < b->module->nfiles; f++)
		for (int32_t t = 0; t < tensor_file_count(b->module->files[f]); t++)
			if (layer_with(b->desc->family, tensor_file_get(b->module->files[f], t)->name, prefix) >= 0)
				return true;
	return false;
}

/* Finds the prefix of tensor names: checkpoints of a bare encoder have none, those with a head do. The word
 * table tells it; where the decoder stands for the table, the layers do. */
static void find_prefix(Builder *b)
{
	const Family *family = b->desc->family;
	if (!family->layers) { /* a table alone, which has one name */
		b->prefix = family->prefixes[0];
		return;
	}
	for (int i = 0; family->prefixes[i] && !b->failed; i++)
		if (builder_has(b, builder_text(b, "%s%s.weight", family->prefixes[i], family->words))) {
			b->prefix = family->prefixes[i];
			return;
		}
	const bool tied = !b->failed && head_tied_table(b);
	for (int i = 0; tied && family->prefixes[i] && !b->failed; i++)
		if (has_layers(b, family->prefixes[i])) {
			b->prefix = family->prefixes[i];
			return;
		}
	builder_fail(b, EXIT_INPUT,
		"embeddings.word: %s holds no %s%s.weight, with or without \"%s\"; does the checkpoint belong to the "
		"family %s?",
		b->desc->weights, family->prefixes[0], family->words, family->prefixes[0], family->model_type);
}

/* Refuses a checkpoint with more layers, or groups of layers, than its own config.json has: they do not
 * belong together. A description may use fewer layers. */
static void check_layers(Builder *b)
{
	const Family *family = b->desc->family;
	const Size size = family->inner ? SIZE_GROUPS : SIZE_LAYERS;
	for (int32_t f = 0; f < b->module->nfiles && b->desc->from_config; f++)
		for (int32_t t = 0; t < tensor_file_count(b->module->files[f]) && !b->failed; t++) {
			const char *name = tensor_file_get(b->module->files[f], t)->name;
			if (layer_with(family, name, b->prefix) >= b->desc->size[size])
				builder_fail(b, EXIT_INPUT,
					"%s holds %s, but %s of config.json is %d; to use only the first layers, write a "
					"description with `bertc describe` and change its number of %s",
					b->desc->weights, name, size_name(b->desc, size), b->desc->size[size],
					family->inner ? "groups" : "layers");
		}
}

Module *family_build(
	const ModelDesc *desc, TensorFile *const *files, int32_t nfiles, const LoadOptions *options, Diag *diag)
{
	Builder b;
	builder_start(&b, desc, files, nfiles, options, diag);
	find_prefix(&b);
	check_layers(&b);
	Value *hidden = b.failed ? NULL : desc->family->encoder(&b);
	if (!b.failed)
		build_heads(&b, hidden);
	return builder_finish(&b);
}
