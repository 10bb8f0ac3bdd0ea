# The number of threads of the emitted program and library, as the system counts them: one for --threads 1;
# the affinity mask for --threads 0; the environment variable; after fork().
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
[ -d /proc/self/task ] || { echo "no /proc"; exit 77; }
"$BERTC" build tiny.bir --cpu=baseline -o prog
mkfifo asked answered
tasks() { # WORDS...: threads of ./prog WORDS while it waits for its second line
	./prog --ids "$@" <asked >answered & local job=$! count
	exec 8>asked 9<answered
	echo 1 2 3 >&8
	read -r -t 20 _ <&9 || fail "no answer: $*"
	count=$(ls /proc/$job/task | wc -l)
	exec 8>&- 9<&-
	wait $job
	echo "$count"
}
[ "$(tasks)" -eq 1 ] || fail "threads are made without --threads"
[ "$(tasks --threads 1)" -eq 1 ] || fail "--threads 1 makes threads"
[ "$(tasks --threads 3)" -eq 3 ] || fail "--threads 3: $(tasks --threads 3) threads"
[ "$(BERTC_NUM_THREADS=2 tasks)" -eq 2 ] || fail "BERTC_NUM_THREADS=2"
[ "$(BERTC_NUM_THREADS=2 tasks --threads 4)" -eq 4 ] || fail "--threads does not override BERTC_NUM_THREADS"
machine=$(tasks --threads 0)
[ "$machine" -ge 1 ] && [ "$machine" -le "$(env -u OMP_NUM_THREADS nproc)" ] ||
	fail "--threads 0: $machine threads on $(env -u OMP_NUM_THREADS nproc) CPUs"
[ "$(BERTC_NUM_THREADS=0 tasks)" -eq "$machine" ] || fail "BERTC_NUM_THREADS=0 differs from --threads 0"
if command -v taskset >/dev/null; then
	cpu=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')
	taskset -cp "$cpu" $$ >/dev/null
	[ "$(tasks --threads 0)" -eq 1 ] || fail "--threads 0 ignores the affinity mask"
fi
for value in "" -1 257 many 2x " 2" 1e2 0x2 99999999999999999999; do
	expect 2 env BERTC_NUM_THREADS="$value" ./prog --ids 1; says 'expected 0 to 256'
	expect 2 ./prog --ids --threads="$value" 1; says 'expected 0 to 256'
done

# The library: a child process has no threads before its first call, then as many as its parent. It computes
# the same numbers.
"$BERTC" build tiny.bir --emit=shared --cpu=baseline --name=tiny -o libtiny.so
cat >use.c <<'C'
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tiny.h"
static int tasks(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}
int main(void)
{
	int32_t ids[64], offsets[3] = {0, 31, 63};
	float want[2 * TINY_OUTPUT_WIDTH], got[2 * TINY_OUTPUT_WIDTH];
	for (int i = 0; i < 64; i++)
		ids[i] = i % 60;
	tiny *one = tiny_new(1);
	if (!one || tiny_run_ids(one, ids, NULL, offsets, 2, want, sizeof want / sizeof *want) || tasks() != 1)
		return 1;
	tiny *three = tiny_new(3);
	if (!three || tasks() != 3
		|| tiny_run_ids(three, ids, NULL, offsets, 2, got, 2 * TINY_OUTPUT_WIDTH)
		|| memcmp(want, got, sizeof got))
		return 2;
	pid_t child = fork();
	if (child == 0) {
		alarm(20);
		if (tasks() != 1
		|| tiny_run_ids(three, ids, NULL, offsets, 2, got, 2 * TINY_OUTPUT_WIDTH)
		|| memcmp(want, got, sizeof got))
			_exit(3);
		_exit(tasks() == 3 ? 0 : 4);
	}
	int status;
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return 5;
	if (tiny_run_ids(three, ids, NULL, offsets, 2, got, 2 * TINY_OUTPUT_WIDTH)
		|| memcmp(want, got, sizeof got))
		return 6;
	tiny_free(three);
	tiny_free(one);
	puts("same");
	return 0;
}
C
if command -v gcc >/dev/null; then
	gcc -std=c17 -D_GNU_SOURCE use.c -o use ./libtiny.so
	[ "$(LD_LIBRARY_PATH=. ./use)" = same ] || fail "threads and fork() in the library"
else
	echo "no gcc: the library is not tested"
fi

# --threads 0 opens only files of the kernel about this process
if command -v strace >/dev/null &&
	strace -f -e trace=openat,open -o calls ./prog --ids --threads 0 '1 2' >/dev/null 2>&1; then
	! sed -n 's/.*open[a-z]*(.*"\(\/[^"]*\)".*/\1/p' calls |
		grep -vE '^/proc/self/(cgroup|mountinfo)$|^/.*/cpu\.(max|cfs_quota_us|cfs_period_us)$' ||
		fail "--threads 0 opens other files"
else
	echo "no strace: opened files are not checked"
fi
echo ok
