/* kernel_table.c: runtime/kernels.def as data. The kernels themselves are C text that codegen/ embeds; here
 * they are names, needs and sizes only. */
#include "passes/passes.h"
#include <string.h>

#define ROW(op, DTYPE, function, needs, panel, group, per_token, scratch, staged, alternative) \
	{op, DT_##DTYPE, #function, needs, panel, group, per_token, scratch, staged, alternative},
#define KERNEL(op, DTYPE, function, needs, panel, group, per_token, scratch, staged, file) \
	ROW(op, DTYPE, function, needs, panel, group, per_token, scratch, staged, false)
#define ALTERNATIVE(op, DTYPE, function, needs, panel, group, per_token, scratch, staged, file) \
	ROW(op, DTYPE, function, needs, panel, group, per_token, scratch, staged, true)
const KernelInfo kernel_info[] = {
#include "runtime/kernels.def"
};
#undef KERNEL
const int32_t kernel_count = (int32_t)(sizeof kernel_info / sizeof kernel_info[0]);

#define KERNEL(...)
#define ALTERNATIVE(...)
#define TILE(function, rows, vectors) {#function, rows, vectors},
static const struct {
	const char *function;
	int32_t rows, vectors;
} tiles[] = {
#include "runtime/kernels.def"
};
#undef KERNEL

const KernelInfo *kernel_select(const char *op, DType dtype, uint32_t isa)
{
	for (int32_t i = kernel_count - 1; i >= 0; i--) {
		const KernelInfo *k = &kernel_info[i];
		if (!k->alternative && !strcmp(k->op, op) && k->dtype == dtype && !(k->needs & ~isa))
			return k;
	}
	return NULL;
}

const KernelInfo *kernel_find(const char *function)
{
	for (int32_t i = 0; i < kernel_count; i++)
		if (!strcmp(kernel_info[i].function, function))
			return &kernel_info[i];
	return NULL;
}

#define KERNEL(...)
#define ALTERNATIVE(...)
#define SPARSE(function, one, tokens, percent) {#function, one, tokens, percent},
static const SparseInfo sparse[] = {
#include "runtime/kernels.def"
};
#undef KERNEL

const SparseInfo *kernel_sparse(const KernelInfo *kernel)
{
	for (size_t i = 0; i < sizeof sparse / sizeof *sparse; i++)
		if (!strcmp(sparse[i].function, kernel->function))
			return &sparse[i];
	return NULL;
}

bool kernel_tile(const KernelInfo *kernel, int32_t *rows, int32_t *vectors)
{
	for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
		if (!strcmp(tiles[i].function, kernel->function)) {
			*rows = tiles[i].rows;
			*vectors = tiles[i].vectors;
			return true;
		}
	return false;
}
