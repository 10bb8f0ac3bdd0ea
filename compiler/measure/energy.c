/* energy.c: reads the RAPL counters of processor packages from Linux's powercap files. */
#include <errno.h>
#include <stdio.h>
#include "energy.h"

/* Reads a number from a sysfs file. On failure errno has the reason. */
static bool read_number(const char *directory, int package, const char *file, double *number)
{
	char path[512];
	if (snprintf(path, sizeof path, "%s/intel-rapl:%d/%s", directory, package, file) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return false;
	}
	FILE *in = fopen(path, "r");
	if (!in)
		return false;
	errno = EINVAL;
	const bool good = fscanf(in, "%lf", number) == 1 && *number >= 0;
	fclose(in);
	return good;
}

static const char *reason(int error)
{
	if (error == EACCES)
		return "only root may read the energy counters";
	return error == ENOENT ? "this machine has no energy counters (RAPL)"
						   : "the energy counters hold no numbers";
}

bool energy_read(const char *directory, Energy *energy, const char **why)
{
	*energy = (Energy){0};
	for (int i = 0; i < ENERGY_PACKAGES_MAX; i++, energy->packages++)
		if (!read_number(directory, i, "energy_uj", &energy->microjoules[i])
			|| !read_number(directory, i, "max_energy_range_uj", &energy->range[i]))
			break;
	*why = reason(errno);
	return energy->packages > 0;
}

double energy_between(const Energy *before, const Energy *after)
{
	double sum = 0;
	for (int i = 0; i < before->packages && i < after->packages; i++) {
		const double step = after->microjoules[i] - before->microjoules[i];
		sum += step < 0 ? step + before->range[i] : step;
	}
	return sum * 1e-6;
}
