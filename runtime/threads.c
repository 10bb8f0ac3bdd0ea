/* threads.c: the number of threads for --threads and BERTC_NUM_THREADS. 0 stands for the CPUs that this
 * process may use: those of its affinity mask, or fewer if a cgroup limits its CPU time (cgroups(7),
 * proc_pid_mountinfo(5)). The cgroup files are the only files that the program opens. `root` is a prefix of
 * every path, "" except in tests. */
#include "program.h"

/* Reads the first line of a small file. 0: there is no such file. */
RT_FN int threads_read(const char *directory, const char *name, char *text, int capacity)
{
	char path[4096];
	const int bytes = snprintf(path, sizeof path, "%s/%s", directory, name);
	if (bytes < 0 || bytes >= (int)sizeof path)
		return 0;
	FILE *file = fopen(path, "re");
	const int got = file && fgets(text, capacity, file);
	if (file)
		fclose(file);
	return got;
}

/* The quota of one cgroup directory in CPUs, rounded up; 0: no limit. */
RT_FN int32_t threads_quota(const char *directory)
{
	char text[128];
	long long quota = 0, period = 0;
	if (threads_read(directory, "cpu.max", text, sizeof text)) { /* v2: "max 100000" or "150000 100000" */
		if (sscanf(text, "%lld %lld", &quota, &period) != 2)
			return 0;
	} else if (!threads_read(directory, "cpu.cfs_quota_us", text, sizeof text)
		|| sscanf(text, "%lld", &quota) != 1
		|| !threads_read(directory, "cpu.cfs_period_us", text, sizeof text)
		|| sscanf(text, "%lld", &period) != 1) {
		return 0;
	}
	if (quota <= 0 || period <= 0 || quota / period >= RT_THREADS_MAX)
		return 0;
	return (int32_t)(quota / period + (quota % period > 0));
}

/* Whether the comma-separated list contains the word. */
RT_FN int threads_list_has(const char *list, const char *word)
{
	const size_t bytes = strlen(word);
	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (strcspn(list, ",") == bytes && memcmp(list, word, bytes) == 0)
			return 1;
	return 0;
}

/* Finds the cgroup of this process that limits CPU time: "4:cpu,cpuacct:/a/b" in v1, "0::/a/b" in v2. 0:
 * none. */
RT_FN int threads_group(const char *root, int v2, char *group, size_t capacity)
{
	char path[4096], *line = NULL;
	size_t bytes = 0;
	int found = 0;
	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	FILE *file = fopen(path, "re");
	while (file && !found && getline(&line, &bytes, file) > 0) {
		char *list = strchr(line, ':'), *at = list ? strchr(list + 1, ':') : NULL;
		if (!at)
			continue;
		*at++ = '\0';
		at[strcspn(at, "\n")] = '\0';
		found = v2 ? strcmp(line, "0:") == 0 : threads_list_has(list + 1, "cpu");
		if (found)
			snprintf(group, capacity, "%s", at);
	}
	if (file)
		fclose(file);
	free(line);
	return found;
}

/* mountinfo writes a blank in a path as \040. */
RT_FN void threads_unescape(char *text)
{
	char *to = text;
	for (const char *at = text; *at; to++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' && at[3] >= '0'
			&& at[3] <= '7') {
			*to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

/* The minimum of `threads` and the quotas of all groups from the process's group up to the mount point. `top`
 * is the group that is mounted there. */
RT_FN int32_t threads_limit(
	int32_t threads, const char *root, const char *top, const char *mounted, const char *group)
{
	char directory[4096];
	const size_t prefix = strcmp(top, "/") == 0 ? 0 : strlen(top);
	const int inside = strncmp(group, top, prefix) == 0 && (group[prefix] == '/' || !group[prefix]);
	const int length = snprintf(directory, sizeof directory, "%s%s", root, mounted);
	snprintf(directory + length, sizeof directory - (size_t)length, "%s", inside ? group + prefix : "");
	for (;;) {
		const int32_t quota = threads_quota(directory);
		threads = quota > 0 && quota < threads ? quota : threads;
		char *slash = strrchr(directory, '/');
		if (!slash || slash < directory + length)
			return threads;
		*slash = '\0';
	}
}

/* One line of mountinfo: "36 35 0:30 /top /mounted rw,.. optional.. - cgroup2 cgroup2 rw,..". In v1 the
 * controllers are last. */
RT_FN int32_t threads_mount(int32_t threads, const char *root, char *line)
{
	char top[1024], mounted[1024], kind[32], options[1024] = "", group[2048];
	const char *rest = strstr(line, " - ");
	if (!rest || sscanf(line, "%*s %*s %*s %1023s %1023s", top, mounted) != 2
		|| sscanf(rest + 3, "%31s %*s %1023s", kind, options) < 1)
		return threads;
	const int v2 = strcmp(kind, "cgroup2") == 0;
	if ((!v2 && (strcmp(kind, "cgroup") != 0 || !threads_list_has(options, "cpu")))
		|| !threads_group(root, v2, group, sizeof group))
		return threads;
	threads_unescape(top);
	threads_unescape(mounted);
	return threads_limit(threads, root, top, mounted, group);
}

/* `threads`, or fewer if the cgroups of the process allow fewer. */
RT_FN int32_t threads_cgroups(int32_t threads, const char *root)
{
	char path[4096], *line = NULL;
	size_t bytes = 0;
	snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
	FILE *file = fopen(path, "re");
	while (file && getline(&line, &bytes, file) > 0)
		threads = threads_mount(threads, root, line);
	if (file)
		fclose(file);
	free(line);
	return threads;
}

RT_FN int32_t rt_threads_parse(const char *text)
{
	char *end;
	const long threads = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || threads > RT_THREADS_MAX)
		return -1;
	return threads == 0 ? threads_cgroups(rt_min(team_cpus(), RT_THREADS_MAX), "") : (int32_t)threads;
}
