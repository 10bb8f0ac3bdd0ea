/* threads.c: how many threads --threads and BERTC_NUM_THREADS ask for. 0 asks for what this process may really use: the CPUs of
 * its affinity mask, less when a cgroup gives it a share of CPU time. These are the only files the program ever opens. */
#include "program.h"
#include <fcntl.h>
#include <unistd.h>

/* A small file as text; 0 when it cannot be read. */
RT_FN int threads_read(const char *path, char *text, size_t capacity)
{
	const int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	const ssize_t got = read(file, text, capacity - 1);
	close(file);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/* CPUs that the quota of one cgroup directory amounts to, rounded up; 0: no limit there. */
RT_FN int32_t threads_quota(const char *directory)
{
	char path[1200], text[128];
	long long quota = 0, period = 0;
	snprintf(path, sizeof path, "%s/cpu.max", directory);   /* cgroup v2: "max 100000" or "150000 100000" */
	if (threads_read(path, text, sizeof text)) {
		if (sscanf(text, "%lld %lld", &quota, &period) != 2)
			return 0;
	} else {
		snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
		if (!threads_read(path, text, sizeof text) || sscanf(text, "%lld", &quota) != 1)
			return 0;
		snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
		if (!threads_read(path, text, sizeof text) || sscanf(text, "%lld", &period) != 1)
			return 0;
	}
	if (quota <= 0 || period <= 0 || quota / period >= RT_THREADS_MAX)
		return 0;
	return (int32_t)((quota + period - 1) / period);
}

RT_FN int32_t threads_least(int32_t threads, const char *directory)
{
	const int32_t quota = threads_quota(directory);
	return quota > 0 && quota < threads ? quota : threads;
}

/* The cgroup of this process and all above it: the tightest counts. */
RT_FN int32_t threads_machine(void)
{
	char groups[2048], directory[1100];
	int32_t threads = rt_min(team_cpus(), RT_THREADS_MAX);
	threads = threads_least(threads, "/sys/fs/cgroup/cpu");
	if (threads_read("/proc/self/cgroup", groups, sizeof groups)) {
		char *v2 = strstr(groups, "0::/");
		if (v2) {
			v2[strcspn(v2, "\n")] = '\0';
			snprintf(directory, sizeof directory, "/sys/fs/cgroup%.1000s", v2 + 3);
			for (char *slash; (slash = strrchr(directory, '/')) && slash >= directory + strlen("/sys/fs/cgroup"); *slash = '\0')
				threads = threads_least(threads, directory);
		}
	}
	return threads_least(threads, "/sys/fs/cgroup");
}

RT_FN int32_t rt_threads_parse(const char *text)
{
	char *end;
	const long threads = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || threads > RT_THREADS_MAX)
		return -1;
	return threads == 0 ? threads_machine() : (int32_t)threads;
}
