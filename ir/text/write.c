/* write.c: writes OUT.bir, and beside it a .safetensors file with large constants from passes. Each file
 * appears completely or not at all, by rename. The constants come first, so OUT.bir never refers to a missing
 * file. */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ir/atomic_file.h"
#include "text.h"

/* ---- which files constants come from --------------------------------------------------------- */
typedef struct Names {
	MemArena *mem;
	const char **at;
	int32_t count;
	size_t capacity;
} Names;

static bool names_have(const Names *names, const char *name)
{
	for (int32_t i = 0; i < names->count; i++)
		if (strcmp(names->at[i], name) == 0)
			return true;
	return false;
}

static void names_add(Names *names, const char *name)
{
	if (names_have(names, name))
		return;
	names->at = mem_grow(
		names->mem, names->at, &names->capacity, (size_t)names->count + 1, sizeof *names->at);
	names->at[names->count++] = name;
}

/* The mapped files in order, then the files that only constants name (in modules made by hand). */
const char **module_weights(const Module *module, MemArena *mem, int32_t *count)
{
	Names names = {.mem = mem};
	for (int32_t i = 0; i < module->nfiles; i++)
		if (tensor_file_format(module->files[i]))
			names_add(&names, tensor_file_name(module->files[i]));
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next)
			if (node->op == OP_CONST && node->data->file)
				names_add(&names, node->data->file);
	*count = names.count;
	return names.at;
}

/* ---- names of loose constants ---------------------------------------------------------------- */
/* The loose constants found so far, and the names in use, as binary trees (POSIX tsearch). */
typedef struct Placing {
	MemArena *mem;
	void *tensors, *names;
} Placing;

static int by_tensor(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const Placed *)a)->tensor, y = (uintptr_t)((const Placed *)b)->tensor;
	return (x > y) - (x < y);
}

const char *plan_name(const PrintPlan *plan, const Tensor *tensor)
{
	if (plan->nplaced == 0)
		return NULL;
	const Placed *placed = bsearch(
		&(Placed){.tensor = tensor}, plan->placed, (size_t)plan->nplaced, sizeof *placed, by_tensor);
	return placed ? placed->name : NULL;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }
static void keep(void *node) { (void)node; }

static const char *name_choose(Placing *placing, const Tensor *tensor, const Value *value)
{
	const char *wish = tensor->name && *tensor->name ? tensor->name : value->name;
	if (!wish)
		wish = mem_printf(placing->mem, "v%u", value->id);
	const char *name = wish;
	for (int32_t i = 2; tfind(name, &placing->names, by_text); i++)
		name = mem_printf(placing->mem, "%s.%d", wish, i);
	tsearch(name, &placing->names, by_text);
	return name;
}

/* Returns every loose constant once, sorted by tensor. Names are assigned in the order of the text, so they
 * are deterministic. A name that the text uses for a tensor of another file is not reused. */
static Placed *constants_place(const Module *module, MemArena *mem, int32_t *count)
{
	Placing placing = {.mem = mem};
	int32_t most = 0, n = 0;
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next) {
			if (node->op == OP_CONST && node->data->file)
				tsearch(node->data->name, &placing.names, by_text);
			most += node->op == OP_CONST && tensor_is_loose(node->data);
		}
	Placed *placed = mem_alloc(mem, ((size_t)most + 1) * sizeof *placed);
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next) {
			if (node->op != OP_CONST || !tensor_is_loose(node->data))
				continue;
			placed[n] = (Placed){.tensor = node->data};
			if (*(Placed **)tsearch(&placed[n], &placing.tensors, by_tensor) != &placed[n])
				continue; /* an earlier node has the same tensor */
			placed[n++].name = name_choose(&placing, node->data, node->results[0]);
		}
	tdestroy(placing.names, keep);
	tdestroy(placing.tensors, keep);
	qsort(placed, (size_t)n, sizeof *placed, by_tensor);
	*count = n;
	return placed;
}

static bool constants_write(const char *path, const PrintPlan *plan, MemArena *mem, Diag *diag)
{
	const Tensor **list = mem_alloc(mem, (size_t)plan->nplaced * sizeof *list);
	for (int32_t i = 0; i < plan->nplaced; i++) {
		Tensor *tensor = mem_alloc(mem, sizeof *tensor);
		*tensor = *plan->placed[i].tensor;
		tensor->name = plan->placed[i].name;
		list[i] = tensor;
	}
	return safetensors_write(path, list, plan->nplaced, diag);
}

/* "dir/tiny.safetensors" for "dir/tiny.bir", or "dir/tiny.2.safetensors", ... if the text already refers to
 * that file. */
static char *constants_path(const Module *module, const char *path, MemArena *mem)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
	int stem = dot && dot > base && strcmp(dot, ".bir") == 0 ? (int)(dot - path) : (int)strlen(path);
	Names taken = {.mem = mem};
	taken.at = module_weights(module, mem, &taken.count);
	char *out = mem_printf(mem, "%.*s.safetensors", stem, path);
	for (int32_t i = 2; names_have(&taken, out + (base - path)); i++)
		out = mem_printf(mem, "%.*s.%d.safetensors", stem, path, i);
	return out;
}

bool module_write(const Module *module, const char *path, const PrintOptions *options, Diag *diag)
{
	MemArena *mem = mem_new();
	PrintPlan plan = {.options = options};
	AtomicFile file;
	bool good = atomic_open(&file, path, diag);
	if (good && module_has_loose_constants(module) && !(options && options->elide_constants)) {
		char *constants = constants_path(module, path, mem);
		const char *slash = strrchr(constants, '/');
		plan.file = slash ? slash + 1 : constants;
		plan.placed = constants_place(module, mem, &plan.nplaced);
		good = constants_write(constants, &plan, mem, diag);
		if (!good)
			atomic_discard(&file);
	}
	if (good) {
		module_print_plan(module, file.stream, &plan);
		good = atomic_commit(&file, diag);
	}
	mem_free(mem);
	return good;
}
