/* energy.h: energy used by the processors, from the machine's counters. */
#ifndef BERTC_ENERGY_H
#define BERTC_ENERGY_H
#include <stdbool.h>

enum { ENERGY_PACKAGES_MAX = 64 };
/* Counters of all processor packages, in microjoules; each wraps at its range. */
typedef struct Energy {
	int packages;
	double microjoules[ENERGY_PACKAGES_MAX], range[ENERGY_PACKAGES_MAX];
} Energy;

/* Reads DIRECTORY/intel-rapl:N/energy_uj. ENERGY_DIRECTORY is Linux's directory, for Intel and AMD. False if
 * there are no counters or this user may not read them; *why is then the reason, a static string. */
#define ENERGY_DIRECTORY "/sys/class/powercap"
bool energy_read(const char *directory, Energy *, const char **why);
/* Joules between two readings. Each counter may wrap at most once between them. */
double energy_between(const Energy *, const Energy *);
#endif
