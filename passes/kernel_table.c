/* kernel_table.c: runtime/kernels.def as data. The kernels themselves are C text that codegen/ embeds; here they are
 * names, needs and sizes only. */
#include "passes.h"
#include <string.h>

#define KERNEL(op, DTYPE, function, needs, panel, group, per_token, scratch, staged, file) \
	{ op, DT_##DTYPE, #function, needs, panel, group, per_token, scratch, staged },
const KernelInfo kernel_info[] = {
#include "../runtime/kernels.def"
};
#undef KERNEL
const int32_t kernel_count = (int32_t)(sizeof kernel_info / sizeof kernel_info[0]);

const KernelInfo *kernel_select(const char *op, DType dtype, uint32_t isa)
{
	for (int32_t i = kernel_count - 1; i >= 0; i--) {
		const KernelInfo *k = &kernel_info[i];
		if (!strcmp(k->op, op) && k->dtype == dtype && !(k->needs & ~isa))
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
