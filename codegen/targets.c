/* targets.c: finds targets and CPUs by name, and identifies this machine. The table is targets.def.
 * passes/lower/kernel_table.c chooses the kernels of a CPU. */
#include <stdlib.h>
#include <string.h>
#include "codegen.h"
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

typedef struct TripleRow {
	const char *triple, *flags, *cc_flags, *link_flags;
} TripleRow;
typedef struct CpuRow {
	const char *triple, *name, *tune, *flags;
	uint32_t isa;
} CpuRow;

static const TripleRow triples[] = {
#define TARGET(triple, flags, cc_flags, link_flags) {triple, flags, cc_flags, link_flags},
#define CPU(...)
#include "targets.def"
#undef TARGET
#undef CPU
};
static const CpuRow cpus[] = {
#define TARGET(...)
#define CPU(triple, name, tune, flags, isa) {triple, name, tune, flags, isa},
#include "targets.def"
#undef TARGET
#undef CPU
};
enum { TRIPLES = sizeof triples / sizeof *triples, CPUS = sizeof cpus / sizeof *cpus, FLAGS_MAX = 160 };

static const struct {
	const char *brief, *name;
	uint32_t bit;
} isa_names[] = {
#define ISA(NAME, bit, target, brief, text) {brief, text, 1u << bit},
#include "runtime/isa.def"
#undef ISA
};

const char *target_host_triple(void)
{
#if defined(__x86_64__)
	return "x86_64-linux-gnu";
#elif defined(__aarch64__)
	return "aarch64-linux-gnu";
#else
	return "arm-linux-gnueabihf";
#endif
}

bool target_is_host(const Target *target) { return strcmp(target->triple, target_host_triple()) == 0; }

/* Bits of Isa that this machine has and its operating system has enabled. */
static uint32_t host_isa(void)
{
	uint32_t isa = 0;
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
		isa |= ISA_AVX2;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
		&& __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		isa |= ISA_AVX512 | (__builtin_cpu_supports("avx512vnni") ? ISA_AVX512VNNI : 0)
			| (__builtin_cpu_supports("avx512bf16") ? ISA_AVX512BF16 : 0);
	unsigned a = 0, b = 0, c = 0, d = 0; /* GCC 12 has no name for AVX-VNNI */
	if ((isa & ISA_AVX2) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4))
		isa |= ISA_AVXVNNI;
#elif defined(__aarch64__)
	const unsigned long has = getauxval(AT_HWCAP),
						more = getauxval(AT_HWCAP2); /* HWCAP_ASIMDDP, HWCAP2_I8MM */
	isa |= ISA_NEON64 | (has & 1ul << 20 ? ISA_DOTPROD : 0) | (more & 1ul << 13 ? ISA_I8MM : 0);
#elif defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)
	isa |= ISA_NEON32;
#endif
	return isa;
}

/* The row with LLVM's name of this machine's CPU; else the newest generic row that this machine supports. */
static const CpuRow *native_row(uint32_t isa)
{
	const CpuRow *best = NULL;
	for (int i = 0; i < CPUS; i++) {
		if (strcmp(cpus[i].triple, target_host_triple()) != 0 || (cpus[i].isa & ~isa))
			continue;
		if (strcmp(cpus[i].name, toolchain_host_cpu()) == 0)
			return &cpus[i];
		if (!best || (strcmp(cpus[i].tune, "generic") == 0 && (cpus[i].isa & best->isa) == best->isa))
			best = &cpus[i];
	}
	return best;
}

/* The names of CPUs for a message, comma-separated. */
static void list_cpus(const char *triple, char *text, size_t bytes)
{
	text[0] = 0;
	for (int i = 0; i < CPUS; i++)
		if (strcmp(cpus[i].triple, triple) == 0)
			snprintf(text + strlen(text), bytes - strlen(text), "%s%s", text[0] ? ", " : "", cpus[i].name);
}

static const TripleRow *find_triple(const char *triple)
{
	for (int i = 0; i < TRIPLES; i++)
		if (strcmp(triples[i].triple, triple) == 0)
			return &triples[i];
	return NULL;
}

static const CpuRow *find_cpu(const char *triple, const char *cpu)
{
	bool baseline = strcmp(cpu, "baseline") == 0;
	for (int i = 0; i < CPUS; i++)
		if (strcmp(cpus[i].triple, triple) == 0 && (baseline || strcmp(cpus[i].name, cpu) == 0))
			return &cpus[i];
	return NULL;
}

/* Sets "-march=x86-64 -mtune=znver5" and the flags for every compiler. They are in static tables, so nobody
 * has to free a Target. */
static void fill_flags(const TripleRow *triple, const CpuRow *cpu, Target *target)
{
	static char flags[CPUS][FLAGS_MAX], cpu_flags[CPUS][FLAGS_MAX], cc_flags[CPUS][FLAGS_MAX];
	bool tuned = strcmp(cpu->tune, "generic") != 0;
	const char *space = triple->cc_flags[0] && cpu->flags[0] ? " " : "";
	snprintf(cc_flags[cpu - cpus], FLAGS_MAX, "%s%s%s", triple->cc_flags, space, cpu->flags);
	snprintf(cpu_flags[cpu - cpus], FLAGS_MAX, "%s%s%s", triple->flags, cpu->flags[0] ? " " : "", cpu->flags);
	snprintf(flags[cpu - cpus], FLAGS_MAX, "%s%s%s", cpu_flags[cpu - cpus], tuned ? " -mtune=" : "",
		tuned ? cpu->tune : "");
	target->base_flags = triple->flags;
	target->cpu_flags = cpu_flags[cpu - cpus];
	target->flags = flags[cpu - cpus];
	target->cc_flags = cc_flags[cpu - cpus];
}

/* The row of one name from a list; NULL and a message if there is none. */
static const CpuRow *find_named(const char *triple, const char *cpu, Diag *diag)
{
	bool native = strcmp(cpu, "native") == 0;
	if (native && strcmp(triple, target_host_triple()) != 0) {
		diag_error(diag, EXIT_UNSUPPORTED, 0,
			"--cpu=native needs a target of this machine, not %s; choose a CPU from `bertc targets`", triple);
		return NULL;
	}
	const CpuRow *found = native ? native_row(host_isa()) : find_cpu(triple, cpu);
	if (!found) {
		char names[512];
		list_cpus(triple, names, sizeof names);
		diag_error(diag, EXIT_UNSUPPORTED, 0, "unknown CPU %.64s for %s, expected native, baseline, %s", cpu,
			triple, names);
	}
	return found;
}

/* Marks the CPUs of a comma-separated list. Returns the newest, or NULL and a message. */
static const CpuRow *find_all(const char *triple, const char *list, bool wanted[CPUS], Diag *diag)
{
	const CpuRow *newest = NULL;
	char name[64];
	for (const char *at = list;; at++) {
		size_t bytes = strcspn(at, ",");
		snprintf(name, sizeof name, "%.*s", (int)(bytes < sizeof name ? bytes : sizeof name), at);
		const CpuRow *found = find_named(triple, name, diag);
		if (!found)
			return NULL;
		wanted[found - cpus] = true;
		newest = !newest || found > newest ? found : newest;
		if (!*(at += bytes))
			return newest;
	}
}

bool target_find(const char *triple, const char *cpu, Target *target, Diag *diag)
{
	bool wanted[CPUS] = {false};
	if (!triple)
		triple = target_host_triple();
	const TripleRow *row = find_triple(triple);
	if (!row)
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "unknown target %s; `bertc targets` lists them", triple);
	if (!cpu)
		cpu = strcmp(triple, target_host_triple()) == 0 ? "native" : "baseline";
	const CpuRow *newest = find_all(row->triple, cpu, wanted, diag);
	if (!newest)
		return false;
	*target = (Target){.triple = row->triple, .isa = UINT32_MAX};
	fill_flags(row, newest, target);
	for (int i = 0; i < CPUS; i++) {
		if (!wanted[i])
			continue;
		if (strcmp(cpus[i].flags, newest->flags) != 0)
			return diag_error(diag, EXIT_UNSUPPORTED, 0,
				"--cpu=%s: %s and %s need different flags for the whole program (%s, %s); build a program "
				"for each",
				cpu, cpus[i].name, newest->name, cpus[i].flags, newest->flags);
		if (target->ncpus == CPUS_MAX)
			return diag_error(
				diag, EXIT_UNSUPPORTED, 0, "--cpu=%s: more than %d CPUs in one program", cpu, CPUS_MAX);
		size_t used = strlen(target->cpu);
		snprintf(target->cpu + used, sizeof target->cpu - used, "%s%s", used ? "," : "", cpus[i].name);
		target->cpus[target->ncpus++] = (CpuTarget){cpus[i].name, cpus[i].isa};
		target->isa &= cpus[i].isa;
	}
	target->link_flags = row->link_flags;
	return true;
}

bool target_runs_here(const Target *target)
{
	uint32_t all = 0;
	for (int32_t i = 0; i < target->ncpus; i++)
		all |= target->cpus[i].isa;
	return target_is_host(target) && !(all & ~host_isa());
}

bool target_cpu_known(const char *cpu, uint32_t needs, bool *can)
{
	bool known = false;
	*can = false;
	for (int i = 0; i < CPUS; i++)
		if (strcmp(cpus[i].name, cpu) == 0) {
			known = true;
			*can |= !(needs & ~cpus[i].isa);
		}
	return known;
}

static void print_isa(uint32_t isa, bool brief, FILE *out)
{
	const char *between = "";
	for (size_t n = 0; n < sizeof isa_names / sizeof *isa_names; n++) {
		if (!(isa & isa_names[n].bit))
			continue;
		fprintf(out, "%s%s", between, brief ? isa_names[n].brief : isa_names[n].name);
		between = brief ? ", " : "; ";
	}
	fputs(isa ? "" : "plain C17", out);
}

void target_isa_print(uint32_t isa, FILE *out) { print_isa(isa, false, out); }

/* In 80 columns. */
void targets_print(FILE *out)
{
	const CpuRow *native = native_row(host_isa());
	for (int i = 0; i < TRIPLES; i++) {
		fprintf(out, "%s%s\n", triples[i].triple,
			strcmp(triples[i].triple, target_host_triple()) == 0 ? "  (this machine)" : "");
		for (int k = 0, first = 1; k < CPUS; k++) {
			if (strcmp(cpus[k].triple, triples[i].triple) != 0)
				continue;
			fprintf(out, "  %-16s", cpus[k].name);
			print_isa(cpus[k].isa, true, out);
			fprintf(out, "%s%s\n", first ? "  (baseline)" : "", &cpus[k] == native ? "  (native)" : "");
			first = 0;
		}
	}
	fputs("\nInstruction sets:\n", out);
	for (size_t n = 0; n < sizeof isa_names / sizeof *isa_names; n++)
		fprintf(out, "  %-22s%s\n", isa_names[n].brief, isa_names[n].name);
	fputs("\n--cpu=x86-64-v3,x86-64-v4 builds one program with code for several CPUs. It runs\n"
		  "the code of the last CPU in the list that the machine supports. Weights with the\n"
		  "same layout are stored once.\n",
		out);
}
