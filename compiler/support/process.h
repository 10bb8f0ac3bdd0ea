/* process.h: child processes that end with their parent. */
#ifndef BERTC_PROCESS_H
#define BERTC_PROCESS_H
#include <sys/types.h>

/* Like fork, but the child gets SIGTERM when its parent ends for any reason. This survives an exec in the
 * child. */
pid_t process_fork(void);
#endif
