/* process.h: processes that end with the one that started them. */
#ifndef BERTC_PROCESS_H
#define BERTC_PROCESS_H
#include <sys/types.h>

/* fork, but the child gets SIGTERM when its parent ends, however that comes about: nothing goes on working
 * for a command that is gone. The same goes for the program that the child becomes. */
pid_t process_fork(void);
#endif
