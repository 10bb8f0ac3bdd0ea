/* start.c: what a program does before the first text: chooses the code for the CPU and makes the context. */
#include "program.h"

/* BERTC_CPU may name a CPU level; the program then acts as on such a CPU. Returns its bits, or UINT32_MAX for
 * an unknown name. */
RT_FN uint32_t program_level(const char *name)
{
	static const struct {
		const char *name;
		uint32_t isa;
	} levels[] = {
		{"native", UINT32_MAX >> 1},
		{"baseline", CPU_NEON64},
		{"x86-64", 0},
		{"x86-64-v2", 0},
		{"x86-64-v3", CPU_AVX2},
		{"x86-64-v4", CPU_AVX2 | CPU_AVX512},
		{"armv8-a", CPU_NEON64},
		{"armv7-a", 0},
		{"armv7-a+neon", CPU_NEON32},
	};
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (strcmp(name, levels[i].name) == 0)
			return levels[i].isa;
	return UINT32_MAX;
}

/* The CPUs that the program was built for: "x86-64-v3, x86-64-v4". */
RT_FN void program_cpus(const RtModel *m, char *text, size_t bytes)
{
	size_t used = 0;
	text[0] = '\0';
	for (int32_t i = 0; i < m->nvariants && used < bytes; i++)
		used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", m->variants[i].cpu);
}

/* Chooses the code: the one that BERTC_CPU names, else the newest for this CPU, or for the level that
 * BERTC_CPU names. */
RT_FN int program_choose(const RtProgram *p, const RtVariant **variant)
{
	const RtModel *m = p->model;
	const char *cpu = getenv("BERTC_CPU");
	const uint32_t isa = rt_cpu_isa();
	const RtVariant *named = NULL;
	char cpus[512];
	program_cpus(m, cpus, sizeof cpus);
	for (int32_t i = 0; cpu && i < m->nvariants; i++)
		if (strcmp(cpu, m->variants[i].cpu) == 0)
			named = &m->variants[i];
	const uint32_t level = program_level(cpu && !named ? cpu : "native");
	if (level == UINT32_MAX)
		return program_usage(p,
			"BERTC_CPU=%s: expected native, baseline, x86-64-v2, x86-64-v3, x86-64-v4, armv8-a, armv7-a, "
			"armv7-a+neon, or a CPU of this program: %s",
			cpu, cpus);
	if (!named)
		*variant = rt_choose(m, isa & level);
	else
		*variant = named->isa & ~isa ? NULL : named;
	if (*variant || p->options.tokenize)
		return 0;
	fprintf(stderr,
		"%s: error: %s lacks %s, which this program was compiled for (%s); build it with --cpu=baseline%s\n",
		m->name, !named && rt_choose(m, isa) ? "BERTC_CPU" : "this CPU",
		cpu_lacks((named ? named : m->variants)->isa, isa & level), cpus,
		m->nvariants > 1 ? " among others" : "");
	return RT_EXIT_UNSUPPORTED;
}

/* Reads the environment, chooses the CPU's code, and makes the context. */
RT_FN int program_start(RtProgram *p)
{
	const RtModel *m = p->model;
	const RtVariant *variant = NULL;
	const char *threads = getenv("BERTC_NUM_THREADS");
	if (threads && rt_threads_parse(threads) < 0)
		return program_usage(p, "BERTC_NUM_THREADS=%s: expected 0 to %d", threads, RT_THREADS_MAX);
	const int status = program_choose(p, &variant);
	if (status != 0 || p->options.tokenize)
		return status;
	if (p->options.threads == 0)
		p->options.threads = threads ? rt_threads_parse(threads) : 1;
	p->context = rt_new_variant(m, variant, p->options.threads);
	if (!p->context) {
		fprintf(stderr, "%s: error: %s\n", m->name, rt_why(m));
		return RT_EXIT_RUN;
	}
	for (int32_t i = 0; i < m->noptions; i++)
		if (p->options.has_own >> i & 1)
			p->context->options[i] = p->options.own[i];
	if ((p->options.huge_pages && rt_huge_pages(m) != RT_OK)
		|| (p->options.prefault && rt_prefault(m) != RT_OK)) {
		fprintf(stderr, "%s: error: no memory for the weights\n", m->name);
		return RT_EXIT_RUN;
	}
	return 0;
}
