/* cpu.h: the instruction sets that a CPU and its operating system support, in bits of isa.def. */
#ifndef RT_CPU_H
#define RT_CPU_H
#include "rt.h"

enum {
	CPU_AVX2 = 1 << 0,
	CPU_AVX512 = 1 << 1,
	CPU_NEON64 = 1 << 2,
	CPU_NEON32 = 1 << 3,
	CPU_AVXVNNI = 1 << 4,
	CPU_AVX512VNNI = 1 << 5,
	CPU_AVX512BF16 = 1 << 6,
	CPU_DOTPROD = 1 << 7,
	CPU_I8MM = 1 << 8,
};

RT_API uint32_t rt_cpu_isa(void); /* bits that this CPU and its system have */
/* NULL when `has` holds all of isa, else the name of the first thing it lacks; the same of this CPU. */
RT_API const char *cpu_lacks(uint32_t isa, uint32_t has);
RT_API const char *rt_cpu_missing(uint32_t isa);
#endif
