/* cpu.c: checks that this CPU and its operating system support the instructions that the code was compiled
 * for. The check comes before the first kernel, so that a program on an old machine ends with a message
 * instead of SIGILL. Bits and names are those of isa.def. */
#include "cpu.h"
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__arm__) || defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* Row i is bit i of isa.def. */
static const char *const cpu_names[] = {
	"AVX2, FMA and F16C",
	"AVX-512 F, BW, DQ and VL",
	"AArch64 NEON",
	"ARMv7 NEON with VFPv4",
	"AVX2 and AVX-VNNI",
	"AVX-512 F, BW, DQ, VL and VNNI",
	"AVX-512 F, BW, DQ, VL and BF16",
	"AArch64 NEON with the dot product instructions",
	"AArch64 NEON with the int8 matrix multiply instructions",
};

#if defined(__x86_64__) || defined(__i386__)
/* Intel SDM volume 1, 14.3 and 15.2: the CPU has the instructions, and by XCR0 the system saves their
 * registers. */
RT_API uint32_t rt_cpu_isa(void)
{
	const uint32_t ymm = 0x6, zmm = 0xe6;
	uint32_t a, b, c, d, leaves, newer = 0, state, ignored, features = 0;
	if (!__get_cpuid(1, &a, &b, &c, &d))
		return 0;
	const uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
	if ((c & (fma | osxsave | avx | f16c)) != (fma | osxsave | avx | f16c))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(state), "=d"(ignored) : "c"(0));
	if (!__get_cpuid_count(7, 0, &leaves, &b, &c, &d) || (state & ymm) != ymm || !(b & 1u << 5))
		return 0;
	const uint32_t vnni = 1u << 11, avx_vnni = 1u << 4, bf16 = 1u << 5;
	if (leaves >= 1) {
		uint32_t more_b, more_c, more_d;
		__cpuid_count(7, 1, newer, more_b, more_c, more_d);
		(void)more_b, (void)more_c, (void)more_d;
	}
	features |= CPU_AVX2 | (newer & avx_vnni ? CPU_AVXVNNI : 0);
	const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
	if ((b & avx512) == avx512 && (state & zmm) == zmm)
		features |= CPU_AVX512 | (c & vnni ? CPU_AVX512VNNI : 0) | (newer & bf16 ? CPU_AVX512BF16 : 0);
	return features;
}
#elif defined(__aarch64__)
RT_API uint32_t rt_cpu_isa(void)
{
	const unsigned long has = getauxval(AT_HWCAP), more = getauxval(AT_HWCAP2);
	/* HWCAP_ASIMD, HWCAP_ASIMDDP, HWCAP2_I8MM */
	const unsigned long asimd = 1ul << 1, dotprod = 1ul << 20, i8mm = 1ul << 13;
	if (!(has & asimd))
		return 0;
	return CPU_NEON64 | (has & dotprod ? CPU_DOTPROD : 0) | (more & i8mm ? CPU_I8MM : 0);
}
#elif defined(__arm__)
RT_API uint32_t rt_cpu_isa(void)
{
	const unsigned long neon = 1ul << 12, vfpv4 = 1ul << 16; /* HWCAP_NEON, HWCAP_VFPv4 */
	return (getauxval(AT_HWCAP) & (neon | vfpv4)) == (neon | vfpv4) ? CPU_NEON32 : 0;
}
#else
RT_API uint32_t rt_cpu_isa(void) { return 0; }
#endif

RT_API const char *cpu_lacks(uint32_t isa, uint32_t has)
{
	for (uint32_t i = 0; i < sizeof cpu_names / sizeof *cpu_names; i++)
		if (isa & ~has & 1u << i)
			return cpu_names[i];
	return isa & ~has ? "instructions unknown to this program" : NULL;
}

RT_API const char *rt_cpu_missing(uint32_t isa) { return cpu_lacks(isa, rt_cpu_isa()); }
