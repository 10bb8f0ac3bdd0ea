/* energy.h: what the machine's own counters say of the energy that its processors take. */
#ifndef BERTC_ENERGY_H
#define BERTC_ENERGY_H
#include <stdbool.h>

enum { ENERGY_PACKAGES_MAX = 64 };
/* Counters of all processor packages, in microjoules; each wraps at its range. */
typedef struct Energy {
	int packages;
	double microjoules[ENERGY_PACKAGES_MAX], range[ENERGY_PACKAGES_MAX];
} Energy;

/* Reads DIRECTORY/intel-rapl:N/energy_uj (ENERGY_DIRECTORY: where Linux has them, on AMD too). False, and
 * *why, a text that stays: there are none, or this user may not read them. */
#define ENERGY_DIRECTORY "/sys/class/powercap"
bool energy_read(const char *directory, Energy *, const char **why);
/* Joules from the first reading to the second, no more than one wrap of a counter apart. */
double energy_between(const Energy *, const Energy *);
#endif
