/* kernel_table.c: runtime/kernels.def as data: names, required instruction sets and sizes. The C text of the
 * kernels is embedded by codegen/. */
#include "passes/passes.h"
#include <string.h>

#define KERNEL(OP, DTYPE, name, isa, ...) \
	{.op = OP_##OP, .dtype = DT_##DTYPE, .function = #name, .needs = isa, .file = __VA_ARGS__},
const KernelInfo kernel_info[] = {
#include "runtime/kernels.def"
};
const int32_t kernel_count = (int32_t)(sizeof kernel_info / sizeof kernel_info[0]);

#define VARIANT(NAME, bit, text, meaning) [bit] = text,
const char *const kernel_variant_text[KERNEL_VARIANTS] = {
#include "runtime/kernels.def"
};

const KernelInfo *kernel_select(Op op, uint32_t variant, DType dtype, uint32_t isa)
{
	for (int32_t i = kernel_count - 1; i >= 0; i--) {
		const KernelInfo *k = &kernel_info[i];
		const bool same = k->op == op && k->variant == variant && k->dtype == dtype;
		if (same && !k->alternative && !(k->needs & ~isa))
			return k;
	}
	return NULL;
}

const KernelInfo *kernel_of_op(const KernelInfo *kernel, Op op)
{
	for (int32_t i = 0; i < kernel_count; i++) {
		const KernelInfo *k = &kernel_info[i];
		const bool same = k->op == op && k->variant == kernel->variant && k->dtype == kernel->dtype;
		if (same && k->needs == kernel->needs && k->panel == kernel->panel)
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
