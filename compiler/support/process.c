/* process.c: see process.h. */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "process.h"

pid_t process_fork(void)
{
	const pid_t parent = getpid(), child = fork();
	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* the parent ended before prctl */
		_exit(1);
	return 0;
}
